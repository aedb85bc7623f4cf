"""Marking people (タグ付け): tags are events like any other, so that the fold, the lake and a replay know them."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime

from shared.core.aws import client
from shared.core.ids import CustomerId, TenantId
from shared.ingest.oversize import NoOversize
from shared.ingest.sources.admin import tag_envelope
from shared.ingest.store import DynamoEventStore, EventStore

Tags = Callable[[TenantId, CustomerId, str, str, datetime], None]
"""Marks a person: customer, tag, on which occasion, when. Safe to repeat."""


def live_tags(table: str) -> Tags:
    """Tags through the events table."""
    return through(DynamoEventStore(client("dynamodb"), table, NoOversize()))


def through(events: EventStore) -> Tags:
    """Tags through any store of events."""

    def tag(tenant: TenantId, customer: CustomerId, word: str, occasion: str, at: datetime) -> None:
        events.put_once(tag_envelope(tenant, customer, word, occasion, at))

    return tag
