"""One message of a mall's queue: whose is it, keep it once. What belongs to no connection is refused."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime

from shared.core.errors import NotFoundError
from shared.ingest import body as read
from shared.ingest.adapter import Request
from shared.ingest.connections import Connections
from shared.ingest.receive import DUPLICATE
from shared.ingest.sources import amazon
from shared.ingest.store import EventStore


@dataclass(frozen=True, slots=True)
class NotificationDeps:
    """What receiving a message needs from outside."""

    connections: Connections
    store: EventStore
    count: Callable[[str, int], None] = lambda _name, _value: None


def receive_amazon(message: str, deps: NotificationDeps, now: datetime) -> None:
    """Keep one SP-API notification.

    Raises RejectedError for what is none, NotFoundError for a seller nobody connected, UnavailableError to be
    given the message again.
    """
    raw = message.encode("utf-8", "surrogatepass")
    seller = amazon.seller_of(read.parse_object(raw))
    connection = deps.connections.find(amazon.connection_id(seller), now)
    if connection is None or connection.source != amazon.NAME:
        raise NotFoundError("no shop connected this seller: see `matakite connection add amazon`")
    for envelope in amazon.ADAPTER.envelopes(Request({}, raw), connection, now):
        if not deps.store.put_once(envelope):
            deps.count(DUPLICATE, 1)
