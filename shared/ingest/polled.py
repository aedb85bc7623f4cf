"""A polled record on its way to its adapter: as a request that names its feed instead of a webhook topic.

Only the poller makes such requests; from outside they meet `verify` like everything else.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

from shared.core.errors import RejectedError
from shared.core.ids import digest
from shared.ingest import body as read
from shared.ingest.adapter import Connection, Request, delivered
from shared.ingest.model import Envelope

FEED = "x-matakite-feed"
"""The header that names the feed a record came from."""


def polled_request(feed: str, record: Mapping[str, Any], **headers: str) -> Request:
    """The request that carries one record of a feed; the same record always gives the same bytes."""
    return Request({FEED: feed, **headers}, record_bytes(record))


def record_bytes(record: Mapping[str, Any]) -> bytes:
    """A record as canonical JSON."""
    return json.dumps(record, ensure_ascii=False, sort_keys=True, separators=(",", ":")).encode("utf-8", "replace")


def feed_of(request: Request) -> str:
    """The feed a request says it is from; "" for a webhook."""
    return request.headers.get(FEED, "")


def polled_envelope(
    request: Request, connection: Connection, kind: str, key: str, occurred_at: datetime | None, now: datetime
) -> Envelope:
    """The envelope of one polled record. The poller gives it a better id, for it knows what it saw before."""
    topic = feed_of(request)
    body_hash = hashlib.sha256(request.body).hexdigest()
    return delivered(
        request,
        connection,
        now,
        about=(kind, key),
        event_id=digest(connection.source, connection.connection_id, topic, body_hash),
        topic=topic,
        occurred_at=min(occurred_at or now, now),
    )


def time_if_read(reader: Callable[[read.Body], datetime | None], body: read.Body) -> datetime | None:
    """When a record says it changed; None when what it says is no time: it is kept all the same."""
    try:
        return reader(body)
    except RejectedError:
        return None
