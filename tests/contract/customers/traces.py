"""Traces over every source: some of what it can say, at other times and in other versions, shuffled and repeated; and
erasures of those it is about.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, timedelta
from functools import cache

from shared.core.clock import to_iso
from shared.core.ids import CustomerId, EventId, TenantId
from shared.customers.fold import apply
from shared.customers.model import PersonState
from shared.customers.reference import fold_all
from shared.customers.rows import MemoryRows
from shared.customers.store import MemoryCustomerStore
from shared.ingest.model import (
    CallFacts,
    EraseFacts,
    Event,
    EventType,
    LoginFacts,
    PageFacts,
    PointsFacts,
    SubscriptionFacts,
    SubscriptionState,
    SurveyFacts,
    TrackedFacts,
)
from tests.contract.carts.carts import readable
from tests.contract.carts.test_convergence import KEYS, SHOP, TENANT
from tests.unit.customers.world import a_cart, a_person, an_event, an_order, comparable

MOST = 8


@cache
def told() -> dict[str, tuple[Event, ...]]:
    """Everything the samples of every cart say, and what arrives without a cart."""
    said = {
        cart.name: tuple(replace(event, tenant=TENANT) for sample in cart.samples() for event in cart.read(sample))
        for cart in readable()
    }
    return {name: events for name, events in said.items() if events} | {"our own": _our_own()}


def _our_own() -> tuple[Event, ...]:
    """Visits, answers, points, calls and contracts of two people and a visitor."""
    page = PageFacts(url="https://example.com/price", page_type="price")
    contract = SubscriptionFacts(
        subscription_id="s1", state=SubscriptionState.ACTIVE, next_delivery_on=date(2026, 4, 1)
    )
    whos = (
        a_person("1", "a@example.com", line_user_id="U1"),
        a_person(None, "b@example.com", anonymous_ids=("visitor/v1",)),
        a_person(anonymous_ids=("visitor/v1",)),
        a_person(phone="090-0000-0001", last_name="見本"),
    )
    kinds = (
        (EventType.PAGE_VIEWED, page),
        (EventType.LOGGED_IN, LoginFacts()),
        (EventType.TRACKED, TrackedFacts(name="Favourite")),
        (EventType.TRACKED, TrackedFacts(name="Crawl", machine=True)),
        (EventType.SURVEY_ANSWERED, SurveyFacts(survey_id="q", question_id="1", choices=("a",))),
        (EventType.POINTS_CHANGED, PointsFacts(balance=120, rank="gold")),
        (EventType.CALL_RECORDED, CallFacts(outcome="reached")),
        (EventType.SUBSCRIPTION_UPDATED, contract),
        (EventType.SUBSCRIPTION_UPDATED, replace(contract, state=SubscriptionState.CANCELLED)),
    )
    said = [an_event(kind, facts, at, person=who) for at, who in enumerate(whos) for kind, facts in kinds]
    said += [an_order("o1", 3, person=whos[1]), an_order("o2", 4, person=whos[3]), a_cart("t1", 2, person=whos[2])]
    return tuple(replace(event, tenant=TENANT) for event in said)


def trace(source: str, rng: random.Random) -> tuple[list[Event], list[Event]]:
    """Some events of a source, varied, and the way they arrive."""
    events = []
    for number in range(rng.randint(1, MOST)):
        event = rng.choice(told()[source])
        if rng.random() < 0.5:
            at = event.occurred_at + timedelta(minutes=rng.randint(-3, 3))
            event = replace(event, occurred_at=at, version=to_iso(at), historical=rng.random() < 0.2)
        if rng.random() < 0.1:
            event = replace(event, event_type=EventType.PERSON_ERASED, facts=EraseFacts())
        events.append(replace(event, event_id=EventId(f"e{number}-{event.event_id}"[:60])))
    arriving = [event for event in events for _ in range(rng.randint(1, 2))]
    rng.shuffle(arriving)
    return events, [*arriving, *rng.sample(events, rng.randint(0, len(events)))]


def states(events: Sequence[Event]) -> dict[CustomerId, PersonState]:
    """Everybody these events amount to, applied one by one."""
    store = MemoryCustomerStore()
    for event in events:
        apply(event, store, KEYS, SHOP)
    return everybody(store, TENANT)


def everybody(store: MemoryCustomerStore, tenant: TenantId) -> dict[CustomerId, PersonState]:
    """Everybody in a store who is not found to be another."""
    assert isinstance(store.rows, MemoryRows)
    profiles = [rows["profile"] for rows in store.rows.partitions.values() if "profile" in rows]
    live = [CustomerId(row.pk.partition("#")[2]) for row in profiles if "merged_into" not in row.fields]
    found = (store.person(tenant, customer_id) for customer_id in live)
    return {state.profile.customer_id: comparable(state) for state in found if state}


def check(traces: int, seed: int) -> int:
    """Play traces over every source in turn; raises AssertionError with the trace that differs."""
    sources = sorted(told())
    for number in range(traces):
        source = sources[number % len(sources)]
        events, arriving = trace(source, random.Random(f"{seed}-{number}"))
        assert states(arriving) == fold_all(events, KEYS, SHOP), (source, seed, number)
    return len(sources)
