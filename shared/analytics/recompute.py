"""The live state again, from the lake alone: proof that nothing was lost or counted twice (再計算).

The lake holds no personal data, so addresses and names cannot come back; everything decided from orders, carts and
consent can. `without_personal_data` leaves of a live state what the lake can vouch for.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

from shared.analytics.impersonal import BIRTH_MONTH, is_open, open_path
from shared.analytics.lake import Objects, partitions
from shared.analytics.parquet import decode
from shared.analytics.rows import OWN_CUSTOMER
from shared.analytics.schema import EVENTS
from shared.core.ids import CustomerId, EventId, Ref, TenantId
from shared.core.keys import KeyRing
from shared.core.shop import Shop
from shared.customers.model import PersonState
from shared.customers.reference import fold_all
from shared.ingest.codec import facts_of
from shared.ingest.model import Event, EventType, Person


@dataclass(frozen=True, slots=True)
class LakeEvent:
    """An event as the lake remembers it: whom it is about is in its refs."""

    event: Event
    refs: tuple[Ref, ...]


def lake_events(lake: Objects, tenant: TenantId) -> Iterator[LakeEvent]:
    """Every event of a shop, each once, whatever is still uncompacted."""
    seen: set[str] = set()
    for stored in partitions(lake, EVENTS, tenant).values():
        for each in stored:
            rows: list[dict[str, Any]] = decode(lake.get(each.key)).to_pylist()
            for row in rows:
                if row["event_id"] not in seen:
                    seen.add(row["event_id"])
                    yield lake_event(tenant, row)


def lake_event(tenant: TenantId, row: dict[str, Any]) -> LakeEvent:
    """The event of a row of `events`."""
    named = [ref for ref in row["refs"] if ref.startswith(f"{OWN_CUSTOMER}:")]
    event = Event(
        tenant=tenant,
        event_id=EventId(row["event_id"]),
        event_type=EventType(row["event_type"]),
        source=row["source"],
        store=row["store"],
        subject=row["subject"],
        occurred_at=_instant(row["occurred_at"]),
        received_at=_instant(row["received_at"]),
        version=row["version"],
        person=Person(source_customer_id=named[0].partition(":")[2] if named else None),
        facts=facts_of(row["facts"]),
        historical=row["historical"],
    )
    return LakeEvent(event, tuple(Ref(ref) for ref in row["refs"] if ref not in named))


def _instant(naive: datetime) -> datetime:
    """The lake's timestamps have no zone: they are UTC."""
    return naive.replace(tzinfo=UTC)


def recompute(events: Iterable[LakeEvent], keys: KeyRing, shop: Shop) -> dict[CustomerId, PersonState]:
    """The state that the lake's events amount to, by the definition of the fold."""
    refs: dict[str, tuple[Ref, ...]] = {}
    plain: list[Event] = []
    for found in events:
        refs[found.event.event_id] = found.refs
        plain.append(found.event)
    states = fold_all(plain, keys, shop, refs_of=lambda event, _: refs[event.event_id])
    return {customer_id: without_personal_data(state) for customer_id, state in states.items()}


def without_personal_data(state: PersonState) -> PersonState:
    """What of a state the lake can vouch for: no address, name or bearer link, and nothing the nightly run wrote.

    Instants are cut to the millisecond, as Athena keeps them.
    """
    profile = replace(
        state.profile,
        email=None,
        phone=None,
        last_name=None,
        first_name=None,
        last_name_kana=None,
        first_name_kana=None,
        postal_code=None,
        address=None,
        line_user_id=None,
        scores=None,
        segments=(),
        segments_on=None,
        aliases=frozenset(),
        joins={},
        rev=0,
    )
    attributes = {
        name: replace(known, at=_cut(known.at))
        for name, known in state.attributes.items()
        if name not in _ONLY_IN_PERSON and is_open(name, known.value)
    }
    visits = tuple(
        replace(visit, at=_cut(visit.at), path=open_path(visit.path) if visit.path else visit.path)
        for visit in state.visits
    )
    carts = tuple(replace(cart, recovery_url=None, updated_at=_cut(cart.updated_at)) for cart in state.carts)
    consents = tuple(replace(consent, at=_cut(consent.at)) for consent in state.consents)
    return replace(
        state,
        profile=profile,
        carts=carts,
        consents=consents,
        suppressed=frozenset(),
        attributes=attributes,
        visits=visits,
        last_login_at=_cut(state.last_login_at) if state.last_login_at else None,
        last_seen_at=_cut(state.last_seen_at) if state.last_seen_at else None,
    )


_ONLY_IN_PERSON = frozenset({"prefecture", BIRTH_MONTH})
"""Attributes that events say beside their facts, with what is personal, and what the lake says in their stead."""


def _cut(at: datetime) -> datetime:
    return at.replace(microsecond=at.microsecond // 1000 * 1000)
