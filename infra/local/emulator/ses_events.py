"""Make SES keep whole messages and tell what becomes of them.

Without it: MiniStack's SendEmail forgets headers, tags, reply address and configuration set, publishes no events, has
no account suppression list, and asks permission for the identity only. Bounces, complaints, opens and clicks, which
half the product lives on, would never happen.
Mended: messages are kept in full, and Send, Delivery, Bounce and Complaint (by SES's mailbox simulator addresses),
Open and Click are published through the configuration set's EventBridge destination to the default bus.

``GET /_matakite/outbox`` (``?q=``, ``?limit=``, newest first), ``GET /_matakite/outbox/<id>``,
``POST /_matakite/outbox/<id>/open`` and ``…/click`` (``{"link": …}``) stand for the recipient's mail program.
``POST /_matakite/ses`` sets ``{"sending_paused", "max_send_rate", "lose_events", …}`` (:class:`Behaviour`): SES
publishes events at best effort, so any may be lost, doubled or late. Failing calls: ``lost_replies.py``.
"""

from __future__ import annotations

import heapq
import itertools
import json
import logging
import threading
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from datetime import UTC, datetime
from email.utils import parseaddr
from pathlib import Path
from typing import Any
from urllib.parse import unquote
from uuid import uuid4

from ministack import app
from ministack.core import iam_evaluator
from ministack.core.responses import get_account_id
from ministack.core.router import extract_access_key_id
from ministack.services import eventbridge, ses, ses_v2

from infra.local.emulator.gateway import BadInternalRequestError, InternalRequest, at_shutdown, route
from infra.local.emulator.grant_recorder import principal_name
from infra.local.emulator.ses_message import (
    Happening,
    InvalidMessageError,
    Message,
    happenings,
    mail_object,
    new_message_id,
    read_message,
    timestamp,
    validated_tags,
)
from infra.local.emulator.settings import ACCOUNT, REGION, EmulatorSettings

logger = logging.getLogger("matakite.ses")

_DETAIL_TYPES = {
    "Send": "Email Sent",
    "Delivery": "Email Delivered",
    "Bounce": "Email Bounced",
    "Complaint": "Email Complaint Received",
    "Open": "Email Opened",
    "Click": "Email Clicked",
}
_USER_AGENT = "Mozilla/5.0 (matakite local outbox)"
Response = tuple[int, dict[str, Any], Any]


@dataclass
class Behaviour:
    """How the stand-in behaves; a test may change it."""

    sending_paused: bool = False
    lose_events: int = 0
    double_events: int = 0
    event_delay_seconds: float = 0.05
    max_send_rate: float = 1000.0
    max_24_hour_send: float = 1_000_000.0


class Outbox:
    """Every accepted mail, and the account's suppression list."""

    def __init__(self) -> None:
        self.behaviour = Behaviour()
        self._lock = threading.Lock()
        self._messages: dict[str, Message] = {}
        self.suppressed: dict[str, dict[str, Any]] = {}

    def add(self, message: Message) -> None:
        """Keep a mail."""
        with self._lock:
            self._messages[message.message_id] = message

    def find(self, message_id: str) -> Message:
        """One mail."""
        try:
            return self._messages[message_id]
        except KeyError:
            raise LookupError(f"no mail has the id {message_id}") from None

    def newest(self, query: str, limit: int) -> list[Message]:
        """Mails whose addresses, subject or tags contain the words, newest first."""
        with self._lock:
            everything = list(self._messages.values())
        words = query.lower().split()
        found = (m for m in reversed(everything) if all(word in _searchable(m) for word in words))
        return list(itertools.islice(found, limit))

    def count(self) -> int:
        """How many mails there are."""
        return len(self._messages)

    def save(self, path: Path) -> None:
        """Write everything to a file."""
        state = {"messages": [asdict(m) for m in self._messages.values()], "suppressed": self.suppressed}
        path.write_text(json.dumps(state, ensure_ascii=False))

    def load(self, path: Path) -> None:
        """Read what :meth:`save` wrote."""
        state = json.loads(path.read_text())
        self._messages = {entry["message_id"]: Message(**entry) for entry in state["messages"]}
        self.suppressed = state["suppressed"]


def _searchable(message: Message) -> str:
    tags = " ".join(f"{name}={value}" for name, value in message.tags.items())
    return " ".join([message.source, *message.recipients, message.subject, tags, message.message_id]).lower()


outbox = Outbox()


# --- events -----------------------------------------------------------------------------------------------------------


class Publisher(threading.Thread):
    """Publishes events a little later, in order, on a thread of its own."""

    def __init__(self) -> None:
        super().__init__(daemon=True, name="ses-events")
        self._due: list[tuple[float, int, Message, Happening]] = []
        self._count = itertools.count()
        self._changed = threading.Condition()

    def later(self, seconds: float, message: Message, happening: Happening) -> None:
        """Publish after so many seconds."""
        with self._changed:
            heapq.heappush(self._due, (time.monotonic() + seconds, next(self._count), message, happening))
            self._changed.notify()

    def run(self) -> None:
        """Publish for ever."""
        while True:
            with self._changed:
                while not self._due or self._due[0][0] > time.monotonic():
                    self._changed.wait(self._due[0][0] - time.monotonic() if self._due else None)
                _, _, message, happening = heapq.heappop(self._due)
            publish(message, happening)


def _destinations(message: Message) -> list[dict[str, Any]]:
    record = ses_v2._config_sets.get(message.configuration_set) or {}
    return list((record.get("EventDestinations") or {}).values())


def publish(message: Message, happening: Happening) -> None:
    """Put the event on the default bus if the configuration set asks for its type."""
    wanted = any(
        destination.get("Enabled")
        and happening.kind.upper() in destination.get("MatchingEventTypes", ())
        and destination.get("EventBridgeDestination")
        for destination in _destinations(message)
    )
    seen = {"type": happening.kind, "at": timestamp(datetime.now(UTC)), "detail": happening.detail}
    message.events.append({**seen, "published": wanted})
    if not wanted:
        return
    times = 1
    if outbox.behaviour.lose_events > 0:
        outbox.behaviour.lose_events -= 1
        times = 0
    elif outbox.behaviour.double_events > 0:
        outbox.behaviour.double_events -= 1
        times = 2
    for _ in range(times):
        eventbridge._dispatch_event(event_of(message, happening))


def event_of(message: Message, happening: Happening) -> dict[str, Any]:
    """The EventBridge event, in MiniStack's own spelling."""
    detail = {
        "eventType": happening.kind,
        "mail": mail_object(message),
        happening.kind.lower(): happening.detail,
    }
    return {
        "EventId": str(uuid4()),
        "EventBusName": "default",
        "Source": "aws.ses",
        "DetailType": _DETAIL_TYPES[happening.kind],
        "Detail": json.dumps(detail, ensure_ascii=False),
        "Time": time.time(),
        "Resources": [f"arn:aws:ses:{REGION}:{ACCOUNT}:configuration-set/{message.configuration_set}"],
        "Account": ACCOUNT,
        "Region": REGION,
    }


_publisher = Publisher()


def accept(message: Message) -> None:
    """Keep the mail and let its fate take its course."""
    outbox.add(message)
    delay = outbox.behaviour.event_delay_seconds
    _publisher.later(delay, message, Happening("Send", {}))
    for recipient in message.recipients:
        suppressed = parseaddr(recipient)[1].lower() in outbox.suppressed
        for step, happening in enumerate(happenings(recipient, suppressed, datetime.now(UTC)), start=1):
            _publisher.later(delay * (1 + step), message, happening)


# --- the API ----------------------------------------------------------------------------------------------------------


def _failure(code: str, message: str, status: int = 400) -> Response:
    answer: Response = ses_v2._json_err(code, message, status)
    return answer


def _refusal(data: dict[str, Any]) -> Response | None:
    """What SES refuses before it looks at the message."""
    name = data.get("ConfigurationSetName")
    if name and name not in ses_v2._config_sets:
        return _failure("NotFoundException", f"Configuration set <{name}> does not exist.", 404)
    options = (ses_v2._config_sets.get(name) or {}).get("SendingOptions") or {}
    if outbox.behaviour.sending_paused or options.get("SendingEnabled") is False:
        return _failure("SendingPausedException", "Email sending is disabled.")
    return None


async def _send(serve: Callable[..., Any], given: tuple[Any, ...], data: dict[str, Any], caller: str) -> Response:
    moment = datetime.now(UTC)
    if refusal := _refusal(data):
        return refusal
    try:
        message = read_message(data, new_message_id(moment), caller, moment)
    except InvalidMessageError as error:
        return _failure("BadRequestException", str(error))
    answer: Response = await serve(*given)
    if answer[0] >= 300:
        return answer
    _take_over(message, json.loads(answer[2])["MessageId"])
    accept(message)
    accepted: Response = ses_v2.json_response({"MessageId": message.message_id})
    return accepted


def _take_over(message: Message, ministack_id: str) -> None:
    """Give MiniStack's own record our id, and take a rendered template's text from it."""
    record = next(r for r in reversed(ses_v2._sent_emails_list()) if r["MessageId"] == ministack_id)
    record["MessageId"] = message.message_id
    if not (message.subject or message.text or message.html):
        message.subject, message.text = record.get("Subject") or "", record.get("BodyText") or ""
        message.html = record.get("BodyHtml") or ""


async def _send_bulk(serve: Callable[..., Any], given: tuple[Any, ...], data: dict[str, Any], caller: str) -> Response:
    if refusal := _refusal(data):
        return refusal
    try:
        default_tags = validated_tags(data.get("DefaultEmailTags") or [])
        tags = [default_tags | validated_tags(e.get("ReplacementTags") or []) for e in data.get("BulkEmailEntries", [])]
    except InvalidMessageError as error:
        return _failure("BadRequestException", str(error))
    answer: Response = await serve(*given)
    if answer[0] >= 300:
        return answer
    results = json.loads(answer[2])["BulkEmailEntryResults"]
    for result, entry, entry_tags in zip(results, data["BulkEmailEntries"], tags, strict=True):
        if result.get("Status") == "SUCCESS":
            moment = datetime.now(UTC)
            single = {**data, "Destination": entry.get("Destination"), "EmailTags": []}
            message = read_message(single, new_message_id(moment), caller, moment)
            message.tags = entry_tags
            message.headers = [{"name": h["Name"], "value": h["Value"]} for h in entry.get("ReplacementHeaders") or ()]
            _take_over(message, result["MessageId"])
            result["MessageId"] = message.message_id
            accept(message)
    accepted: Response = ses_v2.json_response({"BulkEmailEntryResults": results})
    return accepted


def _suppression(method: str, path: str, data: dict[str, Any]) -> Response | None:
    """The account's suppression list, which MiniStack always shows as empty."""
    base, _, address = path.partition("/suppression/addresses")
    if base:
        return None
    address = unquote(address.strip("/")).lower()
    if method == "PUT" and not address:
        entry = {
            "EmailAddress": data["EmailAddress"],
            "Reason": data["Reason"],
            "LastUpdateTime": time.time(),
        }
        outbox.suppressed[str(data["EmailAddress"]).lower()] = entry
        return ses_v2.json_response({})  # type: ignore[no-any-return]
    if method == "GET" and not address:
        return ses_v2.json_response({"SuppressedDestinationSummaries": list(outbox.suppressed.values())})  # type: ignore[no-any-return]
    if address not in outbox.suppressed:
        return _failure("NotFoundException", f"Email address {address} does not exist on your suppression list.", 404)
    if method == "DELETE":
        del outbox.suppressed[address]
        return ses_v2.json_response({})  # type: ignore[no-any-return]
    return ses_v2.json_response({"SuppressedDestination": outbox.suppressed[address]})  # type: ignore[no-any-return]


def _patched(serve: Callable[..., Any]) -> Callable[..., Any]:
    async def handle(method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any]) -> Response:
        given = (method, path, headers, body, query)
        operation = path.rstrip("/").removeprefix("/v2/email")
        try:
            data = json.loads(body) if body else {}
        except ValueError:
            data = {}
        if method == "POST" and operation == "/outbound-emails":
            return await _send(serve, given, data, _caller(headers, query))
        if method == "POST" and operation == "/outbound-bulk-emails":
            return await _send_bulk(serve, given, data, _caller(headers, query))
        if method == "GET" and operation == "/account":
            return _account()
        if operation.startswith("/suppression/addresses") and (answer := _suppression(method, operation, data)):
            return answer
        return await serve(*given)  # type: ignore[no-any-return]

    return handle


def _account() -> Response:
    behaviour = outbox.behaviour
    quota = {
        "Max24HourSend": behaviour.max_24_hour_send,
        "MaxSendRate": behaviour.max_send_rate,
        "SentLast24Hours": float(outbox.count()),
    }
    answer = {
        "DedicatedIpAutoWarmupEnabled": False,
        "EnforcementStatus": "HEALTHY",
        "ProductionAccessEnabled": True,
        "SendQuota": quota,
        "SendingEnabled": not behaviour.sending_paused,
        "SuppressionAttributes": {"SuppressedReasons": []},
    }
    return ses_v2.json_response(answer)  # type: ignore[no-any-return]


def _caller(headers: dict[str, str], query: dict[str, Any]) -> str:
    found = iam_evaluator.resolve_principal(extract_access_key_id(headers, query), get_account_id())
    return principal_name(found.arn) if isinstance(found, iam_evaluator.PrincipalInfo) else "root"


# --- permissions ------------------------------------------------------------------------------------------------------


def _send_permissions(enforce: Callable[..., Any]) -> Callable[..., Any]:
    """SES asks for the identity and the configuration set, and tells sender and recipients as condition keys."""

    def enforce_send(
        method: str, path: str, headers: dict[str, str], body: bytes, query: dict[str, Any], request_id: str
    ) -> Any:
        operation = path.rstrip("/").removeprefix("/v2/email")
        if method != "POST" or operation not in ("/outbound-emails", "/outbound-bulk-emails"):
            return enforce(method, path, headers, body, query, request_id)
        try:
            data = json.loads(body or b"{}")
        except ValueError:
            data = {}
        display_name, address = parseaddr(str(data.get("FromEmailAddress", "")))
        action = "ses:SendBulkEmail" if "bulk" in operation else "ses:SendEmail"
        if (data.get("Content") or {}).get("Raw"):
            action = "ses:SendRawEmail"
        context = {
            "ses:FromAddress": address,
            "ses:FromDisplayName": display_name,
            "ses:ApiVersion": "2",
            "ses:Recipients": [r for group in (data.get("Destination") or {}).values() for r in group],
        }
        base = f"arn:aws:ses:{REGION}:{ACCOUNT}"
        arns = [f"{base}:identity/{_identity_of(address)}"]
        if data.get("ConfigurationSetName"):
            arns.append(f"{base}:configuration-set/{data['ConfigurationSetName']}")
        for arn in arns:
            denied = app._enforce_data_plane(
                "sesv2",
                action,
                headers,
                query,
                request_id,
                resource_arn=arn,
                service_context=context,
                named_resource=arn,
            )
            if denied:
                return denied
        return None

    return enforce_send


def _identity_of(address: str) -> str:
    """The verified identity an address is sent under: itself, else its domain."""
    return address if address in ses._identities else address.rpartition("@")[2]


# --- internal pages ---------------------------------------------------------------------------------------------------


def _list(request: InternalRequest) -> dict[str, Any]:
    found = outbox.newest(request.query.get("q", ""), int(request.query.get("limit", "100")))
    return {"count": outbox.count(), "messages": [asdict(message) for message in found]}


def _show(request: InternalRequest) -> dict[str, Any]:
    return asdict(outbox.find(request.match["id"]))


def _reader(request: InternalRequest) -> dict[str, Any]:
    given = request.json()
    return {
        "ipAddress": str(given.get("ip_address", "192.0.2.30")),
        "timestamp": timestamp(datetime.now(UTC)),
        "userAgent": str(given.get("user_agent", _USER_AGENT)),
    }


def _open(request: InternalRequest) -> dict[str, Any]:
    message = outbox.find(request.match["id"])
    _publisher.later(0, message, Happening("Open", _reader(request)))
    return {"message_id": message.message_id}


def _click(request: InternalRequest) -> dict[str, Any]:
    message = outbox.find(request.match["id"])
    link = str(request.json().get("link", ""))
    if not link:
        raise BadInternalRequestError('a click needs {"link": "https://…"}')
    _publisher.later(0, message, Happening("Click", {**_reader(request), "link": link, "linkTags": None}))
    return {"message_id": message.message_id, "link": link}


def _behave(request: InternalRequest) -> dict[str, Any]:
    given = request.json()
    if unknown := set(given) - {f.name for f in fields(Behaviour)}:
        raise BadInternalRequestError(f"unknown settings: {sorted(unknown)}")
    for name, value in given.items():
        setattr(outbox.behaviour, name, value)
    return asdict(outbox.behaviour)


def install(settings: EmulatorSettings) -> None:
    """Stand in front of MiniStack's SES v2."""
    ses_v2.handle_request = _patched(ses_v2.handle_request)
    app._enforce_ses_v2 = _send_permissions(app._enforce_ses_v2)
    _publisher.start()
    saved = settings.state_dir / "outbox.json"
    if settings.keep:
        if saved.exists():
            outbox.load(saved)
        at_shutdown(lambda: outbox.save(saved))
    route("GET", "outbox", _list)
    route("GET", r"outbox/(?P<id>[^/]+)", _show)
    route("POST", r"outbox/(?P<id>[^/]+)/open", _open)
    route("POST", r"outbox/(?P<id>[^/]+)/click", _click)
    route("POST", "ses", _behave)
