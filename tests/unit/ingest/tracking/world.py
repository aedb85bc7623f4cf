"""A connected website and requests as SDKs send them."""

from __future__ import annotations

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from typing import Any

from shared.core.ids import ConnectionId, TenantId
from shared.core.shop import Shop
from shared.ingest.adapter import Connection
from shared.ingest.connections import MemoryConnections
from shared.ingest.model import Event
from shared.ingest.oversize import MemoryOversize
from shared.ingest.registry import events_of
from shared.ingest.store import MemoryEventStore
from shared.ingest.tracking.receive import TrackDeps, track_http

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
KEY = "abcdefghijklmnopqrstuvwxyz"
STORE = "www.example.jp"
SITE = Connection(ConnectionId(KEY), TenantId("mihon"), "track", STORE, "ab" * 32)
SECRET_KEY = f"{KEY}_{SITE.secret}"
SHOP = Shop(TenantId("mihon"), "見本商店", sections={"tracking": {"page_types": {"/pages/price*": "price"}}})
CHROME = (
    "Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/146.0 Safari/537.36"
)


def iso(at: datetime) -> str:
    """As browsers write a time."""
    return at.isoformat(timespec="milliseconds").replace("+00:00", "Z")


@dataclass
class Site:
    """The tracking API with everything it keeps."""

    connection: Connection = SITE
    store: MemoryEventStore = field(default_factory=lambda: MemoryEventStore(MemoryOversize()))

    def post(
        self, kind: str, body: object, *, key: str | None = KEY, now: datetime = NOW, **headers: str
    ) -> dict[str, Any]:
        """The answer to one request; `body` as JSON unless it is bytes."""
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()
        sent = {"user-agent": CHROME, "content-type": "text/plain"}
        sent |= {name.replace("_", "-"): value for name, value in headers.items()}
        if key is not None:
            sent["authorization"] = "Basic " + base64.b64encode(f"{key}:".encode()).decode()
        event = {
            "requestContext": {"http": {"method": "POST"}},
            "pathParameters": {"call": kind},
            "headers": sent,
            "body": base64.b64encode(raw).decode(),
            "isBase64Encoded": True,
        }
        deps = TrackDeps(MemoryConnections(self.connection), self.store, lambda _tenant: SHOP)
        return track_http(event, deps, now)

    def events(self) -> list[Event]:
        """Everything kept, read."""
        return [event for envelope in self.store.envelopes() for event in events_of(envelope)]

    def said(self, kind: str, body: dict[str, Any], **how: Any) -> Event:
        """The one event a call is read as."""
        assert self.post(kind, body, **how)["statusCode"] == 200
        return self.events()[-1]


def call(**fields: Any) -> dict[str, Any]:
    """A call of the browser SDK."""
    return {"anonymousId": "visitor-1", "messageId": "m-1", "timestamp": iso(NOW - timedelta(seconds=1)), **fields}


def connected(users_of: str) -> Connection:
    """The site, its user ids being a cart's customer numbers."""
    return replace(SITE, users_of=users_of)


def facts(events: Sequence[Event]) -> list[Any]:
    """What the events say."""
    return [event.facts for event in events]
