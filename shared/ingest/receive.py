"""One webhook request: whose is it, is it genuine, keep it once, answer fast. Nothing is read into it here.

| answer | when |
|---|---|
| 200 | kept now or before; a ping, a test, a topic we have no reading for |
| 400 | genuine, but not what this source sends: the message says what |
| 401 | unknown connection, wrong signature or wrong store: always the same words, so nobody can probe |
| 405 | not posted (only where the function is called at its own address) |
| 413 | larger than MAX_BODY_BYTES |
| 503 | a service we need did not answer: nothing was kept, send it again |
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.core.errors import RejectedError, UnavailableError
from shared.core.telemetry import logger
from shared.ingest.adapter import Adapter, Connection, Request
from shared.ingest.connections import Connections
from shared.ingest.model import Envelope
from shared.ingest.registry import adapter
from shared.ingest.store import EventStore

MAX_BODY_BYTES = 5_000_000

DUPLICATE = "WebhooksDuplicate"
REFUSED = "WebhooksRefused"
FAILED = "WebhooksFailed"


@dataclass(frozen=True, slots=True)
class Answer:
    """What the sender is told."""

    status: int
    message: str


@dataclass(frozen=True, slots=True)
class ReceiveDeps:
    """What receiving needs from outside."""

    connections: Connections
    store: EventStore
    count: Callable[[str, int], None] = lambda _name, _value: None
    """Counts one of DUPLICATE, REFUSED and FAILED. Who is accepted is not told: Lambda counts its calls for nothing,
    and a line of metrics for each webhook would be most of the product's logs.
    """
    adapters: Callable[[str], Adapter] = adapter
    follow_up: Callable[[Sequence[Envelope]], None] = lambda _envelopes: None
    """For deliveries that only name a thing: queues reading it at its source. Safe to repeat."""


_UNKNOWN = Answer(401, "unknown connection or wrong signature")
_NOT_POSTED = Answer(405, "a webhook is posted")
_PATH = re.compile(r"/v1/hooks/([^/]+)")


def receive(request: Request, connection_id: str, deps: ReceiveDeps, now: datetime) -> Answer:
    """Answer one delivery. Never raises for what a sender can do, nor for a service that is down."""
    if len(request.body) > MAX_BODY_BYTES:
        return _refuse(deps, Answer(413, f"the body is over {MAX_BODY_BYTES // 1_000_000} MB"))
    try:
        connection = _authenticated(request, connection_id, deps, now)
        return _keep(request, connection, deps, now) if connection else _refuse(deps, _UNKNOWN)
    except RejectedError as error:
        return _refuse(deps, Answer(400, str(error)))
    except UnavailableError:
        deps.count(FAILED, 1)
        return Answer(503, "not kept: please send it again")


def _authenticated(request: Request, connection_id: str, deps: ReceiveDeps, now: datetime) -> Connection | None:
    connection = deps.connections.find(connection_id, now)
    if connection is None or deps.adapters(connection.source).verify(request, connection, now):
        return connection
    # The secret may have been rotated since it was cached: look once more before refusing.
    fresh = deps.connections.refresh(connection_id, now)
    return fresh if fresh and deps.adapters(fresh.source).verify(request, fresh, now) else None


def _keep(request: Request, connection: Connection, deps: ReceiveDeps, now: datetime) -> Answer:
    envelopes = deps.adapters(connection.source).envelopes(request, connection, now)
    kept = [deps.store.put_once(envelope) for envelope in envelopes]
    # Of duplicates too: the first time may have ended between the two.
    deps.follow_up(envelopes)
    if known := kept.count(False):
        deps.count(DUPLICATE, known)
    if not kept:
        return Answer(200, "nothing to keep")
    return Answer(200, "kept" if any(kept) else "already kept")


def _refuse(deps: ReceiveDeps, answer: Answer) -> Answer:
    deps.count(REFUSED, 1)
    return answer


# --- over HTTP --------------------------------------------------------------------------------------------------------


def receive_http(event: Mapping[str, Any], deps: ReceiveDeps, now: datetime) -> dict[str, Any]:
    """Answer an HTTP event (payload 2.0) of an API Gateway route with a `{connection}` part, or of the function's own
    address, where the path says it.
    """
    connection_id = _connection_of(event)
    try:
        posted = _method(event) == "POST"
        answer = receive(request_of(event), connection_id, deps, now) if posted else _refuse(deps, _NOT_POSTED)
    except RejectedError as error:
        answer = _refuse(deps, Answer(400, str(error)))
    if answer.status != 200:
        # The whole id is the secret part of the URL: its beginning is enough to tell connections apart.
        logger("ingest").warning(answer.message, extra={"status": answer.status, "connection": connection_id[:4]})
    body = json.dumps({"message": answer.message})
    return {"statusCode": answer.status, "headers": {"content-type": "application/json"}, "body": body}


def _connection_of(event: Mapping[str, Any]) -> str:
    """Empty where it names none: refused like one that nobody knows."""
    if "pathParameters" in event:
        return str((event["pathParameters"] or {}).get("connection") or "")
    path = _PATH.fullmatch(event.get("rawPath") or "")
    return path[1] if path else ""


def _method(event: Mapping[str, Any]) -> str:
    """The API's route lets only POST through; the function's own address lets everything through."""
    return str(((event.get("requestContext") or {}).get("http") or {}).get("method") or "POST")


def request_of(event: Mapping[str, Any]) -> Request:
    """The request in an API Gateway event: the body's bytes exactly as they were sent.

    Raises RejectedError when the event says base64 and the body is none.
    """
    body = event.get("body") or ""
    headers = {name.lower(): value for name, value in (event.get("headers") or {}).items()}
    try:
        raw = base64.b64decode(body, validate=True) if event.get("isBase64Encoded") else body.encode()
    except ValueError:
        raise RejectedError("the body cannot be read") from None
    return Request(headers, raw)
