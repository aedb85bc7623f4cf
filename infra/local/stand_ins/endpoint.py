"""A stand-in of somebody's webhook endpoint (Standard Webhooks), on loopback with TLS: a good receiver.

It checks every signature, knows a message by its id and takes it once; `plan` makes the next calls fail.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
import ssl
import time
from collections import deque
from collections.abc import Mapping
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from infra.local.stand_ins.serving import StandIn
from shared.delivery.channels.fake import ACCEPTING, Fault

TOLERANCE_SECONDS = 300
_HANG_SECONDS = 3.0
_REFUSALS = {Fault.THROTTLE: 429, Fault.PAUSE: 410, Fault.REJECT: 400, Fault.FAIL_BEFORE: 500}


class EndpointStandIn(StandIn):
    """Serve in a thread: `with EndpointStandIn(secret, context) as endpoint: … endpoint.url`."""

    def __init__(self, secret: str, context: ssl.SSLContext) -> None:
        self.taken: dict[str, Mapping[str, Any]] = {}
        """Message id → body."""
        self.attempts: list[str] = []
        self._key = base64.b64decode(secret.removeprefix("whsec_"))
        self._plan: deque[Fault] = deque()
        server = _Server(("127.0.0.1", 0), _handler(self))
        server.socket = context.wrap_socket(server.socket, server_side=True)
        super().__init__(server, "endpoint-stand-in")

    @property
    def url(self) -> str:
        """Where to post, under a name that the certificate is for."""
        return f"https://hooks.shop.example.jp:{self.port}/in"

    def plan(self, *faults: Fault) -> None:
        """What the next calls meet."""
        self._plan.extend(faults)

    def answer(self, headers: Mapping[str, str], body: bytes) -> int | Fault:
        """The status, or a Fault: no answer, in that way."""
        message = headers.get("webhook-id", "")
        self.attempts.append(message)
        if not self._is_signed(headers, body):
            return 401
        fault = self._plan.popleft() if self._plan else Fault.NONE
        if fault in _REFUSALS:
            return _REFUSALS[fault]
        if fault in ACCEPTING:
            self.taken.setdefault(message, json.loads(body))
        return 204 if fault is Fault.NONE else 500 if fault is Fault.FAIL_AFTER else fault

    def _is_signed(self, headers: Mapping[str, str], body: bytes) -> bool:
        stamp = headers.get("webhook-timestamp", "0")
        signed = b".".join((headers.get("webhook-id", "").encode(), stamp.encode(), body))
        expected = "v1," + base64.b64encode(hmac.new(self._key, signed, hashlib.sha256).digest()).decode()
        fresh = abs(time.time() - int(stamp)) <= TOLERANCE_SECONDS
        return fresh and expected in headers.get("webhook-signature", "").split(" ")


class _Server(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A caller that hangs up is what is tested here."""


def _handler(stand_in: EndpointStandIn) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("content-length") or 0))
            answer = stand_in.answer({name.lower(): value for name, value in self.headers.items()}, body)
            if isinstance(answer, Fault):
                time.sleep(_HANG_SECONDS if answer is Fault.HANG else 0)
                self.close_connection = True
                return
            self.send_response(answer)
            self.send_header("content-length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: object) -> None:
            """Quiet."""

    return Handler
