"""A stand-in of LINE's Messaging API: pushes, multicasts, retry keys, quota and link tokens, on loopback.

It answers with the shapes of LINE's published OpenAPI (the contract suite checks each) and the behaviour of the
reference: a retry key is known for 24 hours, a monthly limit stops everything, somebody who blocked the account gets a
200 and no message. `plan` makes the next calls fail.
"""

from __future__ import annotations

import json
import re
import threading
import time
import uuid
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass, field
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from infra.local.stand_ins.serving import StandIn
from shared.delivery.channels.fake import ACCEPTING, Fault

RETRY_KEY_SECONDS = 24 * 3600
MAX_RECIPIENTS = 500
MAX_TEXT = 5000
TOKEN = "stand-in-channel-access-token"  # noqa: S105 - of the stand-in only
BOT = {
    "userId": "U000000000000000000000000000000b0",
    "basicId": "@mihon",
    "displayName": "見本商店",
    "chatMode": "bot",
    "markAsReadMode": "auto",
}
"""The account itself."""
_USER = re.compile(r"U[0-9a-f]{32}")
_RETRY_KEY = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}", re.IGNORECASE)
_KINDS = frozenset({"text", "textV2", "image", "flex", "sticker", "template", "video", "audio", "location", "imagemap"})
_HANG_SECONDS = 3.0


@dataclass(frozen=True, slots=True)
class Pushed:
    """One message (of up to five objects) that LINE accepted for one person."""

    to: str
    messages: tuple[Mapping[str, Any], ...]
    retry_key: str
    request_id: str


@dataclass(frozen=True, slots=True)
class _Answer:
    status: int
    document: Mapping[str, Any]
    headers: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class _Known:
    """What LINE remembers of a retry key."""

    at: float
    request_id: str
    sent: tuple[Mapping[str, Any], ...]


class LineStandIn(StandIn):
    """Serve in a thread: `with LineStandIn() as line: … line.url`."""

    def __init__(self, *, monthly_limit: int | None = None, clock: Any = time.time) -> None:
        self.pushed: list[Pushed] = []
        self.blocked: set[str] = set()
        """Who blocked the account: a push to them is answered 200 and reaches nobody."""
        self.monthly_limit = monthly_limit
        self.used = 0
        self.calls: list[str] = []
        self._clock = clock
        self._keys: dict[str, _Known] = {}
        self._plan: deque[Fault] = deque()
        self._lock = threading.Lock()
        super().__init__(ThreadingHTTPServer(("127.0.0.1", 0), _handler(self)), "line-stand-in")

    @property
    def url(self) -> str:
        """Base URL, to be set where `https://api.line.me` is."""
        return f"http://127.0.0.1:{self.port}"

    def plan(self, *faults: Fault) -> None:
        """What the next sending calls meet."""
        with self._lock:
            self._plan.extend(faults)

    # --- the API ------------------------------------------------------------------------------------------------------

    def answer(self, method: str, path: str, headers: Mapping[str, str], body: bytes) -> _Answer | Fault:
        """What LINE would answer; a Fault: nothing, in that way."""
        with self._lock:
            self.calls.append(f"{method} {path}")
            if headers.get("authorization") != f"Bearer {TOKEN}":
                return _error(401, "Authentication failed. Confirm that the access token in the authorization header.")
            match method, path:
                case "POST", "/v2/bot/message/push":
                    return self._send(headers, body, many=False)
                case "POST", "/v2/bot/message/multicast":
                    return self._send(headers, body, many=True)
                case "POST", "/v2/bot/message/validate/push":
                    return self._validate(body)
                case "GET", "/v2/bot/info":
                    return _Answer(200, BOT)
                case "GET", "/v2/bot/message/quota":
                    limited = self.monthly_limit is not None
                    return _Answer(
                        200, {"type": "limited", "value": self.monthly_limit} if limited else {"type": "none"}
                    )
                case "GET", "/v2/bot/message/quota/consumption":
                    return _Answer(200, {"totalUsage": self.used})
                case "POST", _ if link := re.fullmatch(r"/v2/bot/user/(U[0-9a-f]{32})/linkToken", path):
                    return _Answer(200, {"linkToken": f"link-{link.group(1)[-6:]}-{uuid.uuid4().hex}"})
                case _:
                    return _error(404, "Not found")

    def _send(self, headers: Mapping[str, str], body: bytes, *, many: bool) -> _Answer | Fault:
        fault = self._plan.popleft() if self._plan else Fault.NONE
        refused = {
            Fault.THROTTLE: _error(429, "The API rate limit has been exceeded. Try again later."),
            Fault.PAUSE: _error(429, "You have reached your monthly limit."),
            Fault.REJECT: _error(400, "The request body has 1 error(s)", ("messages[0]", "May not be empty")),
        }
        if fault in refused:
            return refused[fault]
        if fault not in ACCEPTING:
            return fault
        answered = self._accept(headers, body, many=many)
        return answered if fault is Fault.NONE or answered.status != 200 else fault

    def _accept(self, headers: Mapping[str, str], body: bytes, *, many: bool) -> _Answer:
        key = headers.get("x-line-retry-key", "")
        if key and not _RETRY_KEY.fullmatch(key):
            return _error(400, "The property, 'X-Line-Retry-Key', must be a UUID")
        known = self._keys.get(key)
        if known and self._clock() - known.at < RETRY_KEY_SECONDS:
            told = {"message": "The retry key is already accepted", "sentMessages": list(known.sent)}
            return _Answer(409, told, {"x-line-accepted-request-id": known.request_id})
        document, problem = _read(body, many=many)
        if problem:
            return problem
        people = document["to"] if many else [document["to"]]
        if self.monthly_limit is not None and self.used + len(people) > self.monthly_limit:
            return _error(429, "You have reached your monthly limit.")
        return self._deliver(people, document["messages"], key)

    def _deliver(self, people: list[str], messages: list[Mapping[str, Any]], key: str) -> _Answer:
        request_id = str(uuid.uuid4())
        reached = [person for person in people if person not in self.blocked]
        self.used += len(reached)
        self.pushed += [Pushed(person, tuple(messages), key, request_id) for person in reached]
        sent = tuple({"id": str(uuid.uuid4().int)[:18], "quoteToken": "q-stand-in"} for _ in messages)
        if key:
            self._keys[key] = _Known(self._clock(), request_id, sent)
        return _Answer(200, {"sentMessages": list(sent)}, {"x-line-request-id": request_id})

    def _validate(self, body: bytes) -> _Answer:
        try:
            messages = json.loads(body)["messages"]
        except (ValueError, KeyError, TypeError):
            return _error(400, "The request body could not be parsed as JSON")
        return _message_problem(messages) or _Answer(200, {})


def _read(body: bytes, *, many: bool) -> tuple[dict[str, Any], _Answer | None]:
    try:
        document = json.loads(body)
    except ValueError:
        return {}, _error(400, "The request body could not be parsed as JSON")
    if not isinstance(document, dict):
        return {}, _error(400, "The request body must be an object")
    people = document.get("to") if many else [document.get("to")]
    if not isinstance(people, list) or not 1 <= len(people) <= MAX_RECIPIENTS:
        return {}, _error(400, "The property, 'to', in the request body is invalid")
    if not all(isinstance(person, str) and _USER.fullmatch(person) for person in people):
        return {}, _error(400, "The property, 'to', in the request body is invalid")
    return document, _message_problem(document.get("messages"))


def _message_problem(messages: object) -> _Answer | None:
    if not isinstance(messages, list) or not 1 <= len(messages) <= 5:
        return _error(400, "The request body has 1 error(s)", ("messages", "Size must be between 1 and 5"))
    for number, message in enumerate(messages):
        where = f"messages[{number}]"
        if not isinstance(message, dict) or message.get("type") not in _KINDS:
            return _error(400, "The request body has 1 error(s)", (f"{where}.type", "Unknown message type"))
        if message["type"] == "text" and not 1 <= len(str(message.get("text") or "")) <= MAX_TEXT:
            return _error(400, "The request body has 1 error(s)", (f"{where}.text", f"Length must be 1 to {MAX_TEXT}"))
        if message["type"] == "flex" and not message.get("altText"):
            return _error(400, "The request body has 1 error(s)", (f"{where}.altText", "May not be empty"))
    return None


def _error(status: int, message: str, detail: tuple[str, str] | None = None) -> _Answer:
    details = {"details": [{"message": detail[1], "property": detail[0]}]} if detail else {}
    return _Answer(status, {"message": message, **details}, {"x-line-request-id": str(uuid.uuid4())})


def _handler(stand_in: LineStandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            self._serve()

        def do_POST(self) -> None:
            self._serve()

        def _serve(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            headers = {name.lower(): value for name, value in self.headers.items()}
            answer = stand_in.answer(self.command, self.path.partition("?")[0], headers, body)
            if isinstance(answer, _Answer):
                self._write(answer)
                return
            match answer:
                case Fault.FAIL_BEFORE | Fault.FAIL_AFTER:
                    self._write(_error(500, "Internal server error"))
                case Fault.HANG:
                    time.sleep(_HANG_SECONDS)
                    self.close_connection = True
                case _:
                    self.close_connection = True
                    self.connection.close()

        def _write(self, answer: _Answer) -> None:
            body = json.dumps(answer.document, ensure_ascii=False).encode()
            self.send_response(HTTPStatus(answer.status))
            for name, value in {"content-type": "application/json", **answer.headers}.items():
                self.send_header(name, value)
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    return Handler
