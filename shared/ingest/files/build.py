"""The event a row becomes: its id is made of what it says, so the same row is the same event in any file."""

from __future__ import annotations

from datetime import datetime

from shared.core.clock import to_iso
from shared.core.errors import MisconfiguredError
from shared.core.ids import EventId, digest, keyed_digest
from shared.ingest.codec import facts_json
from shared.ingest.files.model import Context
from shared.ingest.files.people import who
from shared.ingest.model import Event, EventType, Facts, OrderFacts, Person


def thing_event(
    kind: EventType, subject: str, facts: Facts, person: Person, context: Context, *, at: datetime, version: str
) -> Event:
    """About an order, a contract or a product: the id is made of the facts only, without the person."""
    # An order's facts hold its own time; a stock that was 5, 4 and 5 again is three events.
    told = () if isinstance(facts, OrderFacts) else (version,)
    return _event(kind, subject, facts, person, context, at=at, version=version, told=told)


def person_event(kind: EventType, facts: Facts, person: Person, context: Context, *, at: datetime) -> Event:
    """About a person at a time: both are part of the id, the person in a way nobody can read: it reaches the lake."""
    key = context.options.personal_key
    if not key:
        raise MisconfiguredError("reading a file about people needs the shop's key")
    # What is not said is left out: a field that a later version adds must not make old rows new events.
    said = (f"{name}={value}" for name in sorted(Person.__dataclass_fields__) if (value := getattr(person, name)))
    told = (keyed_digest(key, context.options.tenant, "file", *said), to_iso(at))
    return _event(kind, who(person, context), facts, person, context, at=at, version=to_iso(at), told=told)


def _event(
    kind: EventType,
    subject: str,
    facts: Facts,
    person: Person,
    context: Context,
    *,
    at: datetime,
    version: str,
    told: tuple[str, ...],
) -> Event:
    options = context.options
    content = digest(options.tenant, options.source, options.store, *told, facts_json(facts))
    return Event(
        tenant=options.tenant,
        event_id=EventId(f"import-{options.revision:04d}-{content}"),
        event_type=kind,
        source=options.source,
        store=options.store,
        subject=f"{options.source}/{options.store}/{subject}",
        occurred_at=at,
        received_at=context.now,
        version=version,
        person=person,
        facts=facts,
        historical=True,
    )
