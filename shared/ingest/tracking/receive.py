"""One request of a tracking SDK: whose key is it, keep the calls once, answer as Segment does.

| answer | when |
|---|---|
| 200 `{"success": true}` | kept now or before; calls nobody can be found in are kept too, unread |
| 400 | no JSON, too large, or not a call: SDKs do not try again |
| 401 | no write key, or one nobody has |
| 503 | a service we need did not answer: SDKs try again |

Two keys open a connection: its id is the public write key, which stands in every page of the shop; `<id>_<secret>`
is for the shop's own servers, whose word counts like a cart's.
"""

from __future__ import annotations

import base64
import binascii
import json
import zlib
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.core.errors import MisconfiguredError, RejectedError, UnavailableError
from shared.core.ids import TenantId
from shared.core.shop import Shop
from shared.core.telemetry import logger
from shared.ingest.adapter import Connection, Request
from shared.ingest.connections import Connections
from shared.ingest.receive import request_of
from shared.ingest.signing import is_any, live_secrets
from shared.ingest.store import EventStore
from shared.ingest.tracking import calls as wire
from shared.ingest.tracking.pages import page_rules

MAX_PLAIN_BYTES = 4_000_000
"""Of an unpacked body: room to say 400 to what is merely too large, none for a bomb."""

ACCEPTED = "CallsAccepted"
REFUSED = "CallsRefused"


class UnknownKeyError(RejectedError):
    """No connection has this write key."""


@dataclass(frozen=True, slots=True)
class TrackDeps:
    """What tracking needs from outside."""

    connections: Connections
    store: EventStore
    read_shop: Callable[[TenantId], Shop] | None = None
    """For the shop's path rules; without it the usual ones count."""
    count: Callable[[str, int], None] = lambda _name, _value: None


def track_http(event: Mapping[str, Any], deps: TrackDeps, now: datetime) -> dict[str, Any]:
    """Answer an API Gateway HTTP API event (payload 2.0) of `/v1/{call}`."""
    kind = str((event.get("pathParameters") or {}).get("call") or "")
    try:
        kept = keep(kind, request_of(event), deps, now)
    except UnknownKeyError as error:
        return _refused(401, "unauthorized", str(error), deps)
    except RejectedError as error:
        return _refused(400, "invalid_request", str(error), deps)
    except UnavailableError:
        return _answer(503, {"success": False, "code": "unavailable", "message": "not kept: please send it again"})
    deps.count(ACCEPTED, kept.count(True))
    return _answer(200, {"success": True})


def keep(kind: str, request: Request, deps: TrackDeps, now: datetime) -> list[bool]:
    """Keep the calls of a request; for each envelope whether it was new.

    Raises RejectedError, UnknownKeyError or UnavailableError.
    """
    document, calls = wire.parse_calls(kind, unpacked(request))
    connection, trusted = authenticated(request.headers, document, deps.connections, now)
    sent_at = document.get("sentAt")
    sent = wire.Sent(calls, sent_at if isinstance(sent_at, str) else None, trusted, request.headers)
    rules = page_rules(_shop(connection.tenant, deps))
    return [deps.store.put_once(each) for each in wire.envelopes_of(sent, connection, rules, now)]


def unpacked(request: Request) -> bytes:
    """The body as written, unpacked where an SDK sent it with gzip. Raises RejectedError."""
    encoding = request.headers.get("content-encoding", "").strip().lower()
    if encoding in {"", "identity"}:
        return request.body
    if encoding != "gzip":
        raise RejectedError("the body may be plain or gzip")
    unpacker = zlib.decompressobj(wbits=31)
    try:
        plain = unpacker.decompress(request.body, MAX_PLAIN_BYTES)
    except zlib.error:
        raise RejectedError("the body is not gzip") from None
    if unpacker.unconsumed_tail or not unpacker.eof:
        raise RejectedError("the body is too large or was cut off")
    return plain


def authenticated(
    headers: Mapping[str, str], document: Mapping[str, Any], connections: Connections, now: datetime
) -> tuple[Connection, bool]:
    """The connection of a write key, and whether the key was the secret one. Raises UnknownKeyError."""
    for key in _keys_of(headers, document):
        connection_id, _, secret = key.partition("_")
        connection = connections.find(connection_id, now)
        if connection is None or connection.source != wire.NAME:
            continue
        if not secret:
            return connection, False
        for known in (connection, connections.refresh(connection_id, now)):
            if known and is_any(secret, [each.encode() for each in live_secrets(known, now)]):
                return known, True
    raise UnknownKeyError("no such write key: see `matakite connection list`")


def _keys_of(headers: Mapping[str, str], document: Mapping[str, Any]) -> list[str]:
    """Basic authentication with the key as user name, else `writeKey` of the body or of its first call."""
    kind, _, text = headers.get("authorization", "").partition(" ")
    found: list[object] = []
    if kind.lower() == "basic":
        with suppress(binascii.Error, ValueError):
            found.append(base64.b64decode(text.strip(), validate=True).decode().partition(":")[0])
    found.append(document.get("writeKey"))
    batch = document.get("batch")
    if isinstance(batch, list) and batch and isinstance(batch[0], Mapping):
        found.append(batch[0].get("writeKey"))
    return list(dict.fromkeys(key for key in found if isinstance(key, str) and 0 < len(key) <= 200))


def _shop(tenant: TenantId, deps: TrackDeps) -> Shop | None:
    if deps.read_shop is None:
        return None
    try:
        return deps.read_shop(tenant)
    except MisconfiguredError:
        # What was seen is worth keeping even while the shop's settings are broken.
        logger("ingest").warning(
            "the shop's settings cannot be read: only the usual page types", extra={"shop": tenant}
        )
        return None


def _refused(status: int, code: str, message: str, deps: TrackDeps) -> dict[str, Any]:
    deps.count(REFUSED, 1)
    logger("ingest").warning("tracking calls refused", extra={"status": status, "reason": message})
    return _answer(status, {"success": False, "code": code, "message": message})


def _answer(status: int, document: Mapping[str, object]) -> dict[str, Any]:
    headers = {"content-type": "application/json", "cache-control": "no-store"}
    return {"statusCode": status, "headers": headers, "body": json.dumps(document)}
