"""From an envelope to events: what every event of a delivery takes from it."""

from __future__ import annotations

import re
from datetime import datetime
from decimal import Decimal

from shared.core.clock import to_iso
from shared.core.ids import EventId
from shared.ingest import body as read
from shared.ingest.model import Envelope, Event, EventType, Facts, Person, PointsFacts, UnknownFacts

_POINTS = re.compile(r"([0-9]{1,9})(?:\.0+)?", re.ASCII)


def event(
    envelope: Envelope,
    event_type: EventType,
    facts: Facts,
    person: Person | None = None,
    version: datetime | str | None = None,
    part: str = "",
) -> Event:
    """One event of a delivery. `version`: the source's own of the entity, else when it happened.

    `part` tells the events of one delivery apart.
    """
    return Event(
        tenant=envelope.tenant,
        event_id=EventId(f"{envelope.event_id}:{part}" if part else envelope.event_id),
        event_type=event_type,
        source=envelope.source,
        store=envelope.store,
        subject=envelope.subject,
        occurred_at=envelope.occurred_at,
        received_at=envelope.received_at,
        version=version if isinstance(version, str) else to_iso(version or envelope.occurred_at),
        person=person or Person(),
        facts=facts,
    )


def points(envelope: Envelope, body: read.Body, name: str, person: Person, version: datetime) -> tuple[Event, ...]:
    """The points a customer's record counts (ポイント残高); nothing where it counts none."""
    written = body.get(name)
    whole = _POINTS.fullmatch(str(written)) if isinstance(written, int | str | Decimal) else None
    if whole is None:
        return ()
    facts = PointsFacts(balance=int(whole.group(1)))
    return (event(envelope, EventType.POINTS_CHANGED, facts, person, version, part="points"),)


def unknown(envelope: Envelope) -> Event:
    """A delivery without a reading yet: its raw body stays for a later one."""
    return event(envelope, EventType.UNKNOWN, UnknownFacts())
