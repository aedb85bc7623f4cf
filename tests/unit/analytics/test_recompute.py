"""The state recomputed from the lake is the live state, whatever arrived in whatever order."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.analytics.archive import archive_history
from shared.analytics.compact import compact
from shared.analytics.compaction import Compaction
from shared.analytics.recompute import lake_events, recompute, without_personal_data
from shared.core.ids import EventId
from shared.customers import fold
from shared.customers.identity import refs_of
from shared.customers.reference import fold_all
from shared.ingest.model import CartFacts, ConsentFacts, Event, EventType, Line, OrderDeletedFacts, Refund, RefundFacts
from tests.unit.analytics.world import KEYS, SHOP, TENANT, World, an_order, customer_of

LINE = Line(product_id="p", title="お茶", quantity=1, unit_amount=500)


def history(seed: int) -> list[Event]:
    """Orders, edits, refunds, deletions, carts and consent of a few people who turn out to be fewer."""
    rng = random.Random(seed)
    events: list[Event] = []
    for number in range(30):
        customer = f"c{number // 2 % 6}"
        # c0 and c1 share an address now and then: they are one.
        email = "family@example.com" if customer in {"c0", "c1"} and rng.random() > 0.5 else f"{customer}@example.com"
        order = an_order(
            customer, str(number // 2), f"2026-03-{rng.randrange(1, 28):02d}", rng.randrange(9999), email=email
        )
        at = datetime(2026, 3, 28, rng.randrange(24), rng.randrange(60), rng.randrange(60), 123_000, tzinfo=UTC)
        facts: list[tuple[EventType, Any]] = [
            (EventType.ORDER_UPDATED, order.facts),
            (
                EventType.ORDER_REFUNDED,
                RefundFacts(order_id=str(number // 2), refunds=(Refund(refund_id="r", amount=5),)),
            ),
            (EventType.ORDER_DELETED, OrderDeletedFacts(order_id=str(number // 2))),
            (
                EventType.CHECKOUT_UPDATED,
                CartFacts(token=f"t{number}", lines=(LINE,), recovery_url="https://example.com/r"),
            ),
            (EventType.CONSENT_CHANGED, ConsentFacts(channel="email", granted=rng.random() > 0.5, method="shopify")),
        ]
        events.append(order)
        kind, fact = rng.choice(facts)
        changed = {"event_id": EventId(f"x{number}"), "event_type": kind, "facts": fact, "occurred_at": at}
        events.append(replace(order, **changed, version=at.isoformat()))
    return events


def into_lake(world: World, events: Iterable[Event]) -> None:
    """Events of several batches."""
    listed = list(events)
    for number in range(0, len(listed), 13):
        some = [(event, refs_of(event, KEYS)) for event in listed[number : number + 13]]
        archive_history(TENANT, f"i{number}", some, [], world.lake, SHOP)


@pytest.mark.parametrize("seed", range(8))
def test_lake_and_live_state_agree(seed: int) -> None:
    world = World()
    events = history(seed)
    shuffled = events + events[:20]
    random.Random(seed).shuffle(shuffled)
    for event in shuffled:
        fold.apply(event, world.customers, KEYS, SHOP)
    into_lake(world, shuffled)
    again = recompute(lake_events(world.lake, TENANT), KEYS, SHOP)
    assert len(again) > 1
    for customer_id, state in again.items():
        live = world.customers.person(TENANT, customer_id)
        assert live is not None
        assert without_personal_data(live) == state
    assert again.keys() == fold_all(events, KEYS, SHOP).keys()


def test_compacting_changes_nothing() -> None:
    world = World()
    into_lake(world, history(1))
    before = recompute(lake_events(world.lake, TENANT), KEYS, SHOP)
    compact(Compaction("events", TENANT, "2026-03"), world.lake)
    assert len(world.lake.bodies) == 1
    assert recompute(lake_events(world.lake, TENANT), KEYS, SHOP) == before


def test_a_lost_event_is_noticed() -> None:
    world = World()
    events = history(2)
    for event in events:
        fold.apply(event, world.customers, KEYS, SHOP)
    lost = an_order("c5", "lost", "2026-03-20", 777)
    fold.apply(lost, world.customers, KEYS, SHOP)
    into_lake(world, events)
    again = recompute(lake_events(world.lake, TENANT), KEYS, SHOP)
    live = {c: world.customers.person(TENANT, c) for c in {customer_of(world, f"c{n}") for n in range(6)}}
    assert any(again.get(c) != without_personal_data(state) for c, state in live.items() if state)


def test_our_own_opt_out_is_remembered_without_an_address() -> None:
    world = World()
    order = an_order("a", "1", "2026-03-01")
    fold.apply(order, world.customers, KEYS, SHOP)
    customer_id = customer_of(world, "a")
    facts = ConsentFacts(channel="email", granted=False, method="one_click")
    opt_out = replace(
        order,
        source="page",
        event_id=EventId("o"),
        event_type=EventType.CONSENT_CHANGED,
        facts=facts,
        person=replace(order.person, source_customer_id=customer_id, email=None),
        occurred_at=datetime(2026, 4, 1, tzinfo=UTC),
    )
    fold.apply(opt_out, world.customers, KEYS, SHOP)
    into_lake(world, [order, opt_out])
    again = recompute(lake_events(world.lake, TENANT), KEYS, SHOP)
    live = world.customers.person(TENANT, customer_id)
    assert live is not None
    assert live.consents
    assert again[customer_id] == without_personal_data(live)
