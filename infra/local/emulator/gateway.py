"""The front door: the internal ``/_matakite/`` pages and, behind them, MiniStack itself.

Patches add internal routes with :func:`route`; a patch that must lose a reply raises :class:`ReplyLostError`
after the service has committed, and the client's connection is reset.
"""

from __future__ import annotations

import contextvars
import json
import re
import socket
import struct
from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from hypercorn.asyncio.tcp_server import TCPServer  # type: ignore[import-not-found,unused-ignore]

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Application = Callable[[Scope, Receive, Send], Awaitable[None]]

INTERNAL_PREFIX = "/_matakite/"
_connection: contextvars.ContextVar[TCPServer] = contextvars.ContextVar("matakite_connection")


class ReplyLostError(Exception):
    """The service did its work, but the answer must never reach the caller."""


class BadInternalRequestError(ValueError):
    """An internal request the route cannot read; answered with 400 and this message."""


@dataclass(frozen=True)
class InternalRequest:
    """One call of an internal page."""

    method: str
    path: str
    query: dict[str, str]
    body: bytes
    match: dict[str, str] = field(default_factory=dict)

    def json(self) -> Any:
        """The body as JSON; an empty body is an empty object."""
        try:
            return json.loads(self.body) if self.body else {}
        except ValueError as error:
            raise BadInternalRequestError(f"the body is not JSON: {error}") from error


InternalHandler = Callable[[InternalRequest], Any]
_routes: list[tuple[str, re.Pattern[str], InternalHandler]] = []


def route(method: str, pattern: str, handler: InternalHandler) -> None:
    """Serve ``/_matakite/<pattern>`` (a regular expression with named groups) with the handler's value as JSON."""
    _routes.append((method, re.compile(re.escape(INTERNAL_PREFIX) + pattern + "$"), handler))


_at_shutdown: list[Callable[[], None]] = []


def at_shutdown(action: Callable[[], None]) -> None:
    """Do this when the emulator has stopped serving."""
    _at_shutdown.append(action)


def run_shutdown_actions() -> None:
    """Do everything that was asked for."""
    for action in _at_shutdown:
        action()


async def _body_of(receive: Receive) -> bytes:
    chunks: list[bytes] = []
    while True:
        message = await receive()
        chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            return b"".join(chunks)


async def _answer(send: Send, status: int, value: Any) -> None:
    body = json.dumps(value, ensure_ascii=False, default=str).encode()
    headers = [(b"content-type", b"application/json; charset=utf-8"), (b"content-length", str(len(body)).encode())]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


async def _serve_internal(scope: Scope, receive: Receive, send: Send) -> None:
    path, method = scope["path"], scope["method"]
    matches = [(m, match, h) for m, pattern, h in _routes if (match := pattern.match(path)) is not None]
    for route_method, match, handler in matches:
        if route_method == method:
            query = dict(parse_qsl(scope.get("query_string", b"").decode()))
            request = InternalRequest(method, path, query, await _body_of(receive), match.groupdict())
            try:
                await _answer(send, 200, handler(request))
            except BadInternalRequestError as error:
                await _answer(send, 400, {"message": str(error)})
            except LookupError as error:
                await _answer(send, 404, {"message": str(error)})
            return
    await _answer(send, 405 if matches else 404, {"message": f"no internal page {method} {path}"})


def _reset_connection() -> None:
    """Close the client's TCP connection with a reset, as a dying server would."""
    transport = _connection.get().writer.transport
    sock = transport.get_extra_info("socket")
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
    transport.abort()


def gateway(ministack: Application) -> Application:
    """Wrap MiniStack's application with the internal pages and the lost replies."""

    async def application(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] == "http" and scope["path"].startswith(INTERNAL_PREFIX):
            await _serve_internal(scope, receive, send)
            return
        try:
            await ministack(scope, receive, send)
        except ReplyLostError:
            _reset_connection()

    return application


def remember_connections() -> None:
    """Let a request know its own TCP connection (hypercorn does not tell ASGI applications)."""
    run = TCPServer.run

    async def run_known(self: TCPServer) -> None:
        _connection.set(self)
        await run(self)

    TCPServer.run = run_known  # type: ignore[method-assign,unused-ignore]
