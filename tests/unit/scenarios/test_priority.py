"""Several scenarios want the same person and the caps leave no room for all: the one of higher priority goes."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from shared.core.ids import CustomerId, EventId, ScenarioId
from shared.core.shop import Shop
from shared.ingest.model import CartFacts, ConsentFacts, Event, EventType, Line, PageFacts, Person
from shared.scenarios.enrolment import Enrolment, EnrolmentState, Instance
from shared.scenarios.examples import SHOP
from shared.scenarios.model import LiveStatus, Scenario
from shared.scenarios.replay import ReplayDeps, replay
from shared.scenarios.rules import rivals
from tests.unit.scenarios.test_replay import KEYS, SCENARIOS
from tests.unit.scenarios.test_words import templates
from tests.unit.scenarios.world import MORNING, STORE, TENANT, jst

HANAKO = Person(source_customer_id="1", email="hanako@example.com", last_name="見本")
LINE = Line(product_id="1", title="豆", quantity=1, unit_amount=1500)


def happened(kind: EventType, facts: Any, at: datetime) -> Event:
    """Something hanako did."""
    return Event(
        tenant=SHOP.tenant,
        event_id=EventId(f"{kind} {at}"),
        event_type=kind,
        source="shopify",
        store=STORE,
        subject=f"shopify/{STORE}/1",
        occurred_at=at,
        received_at=at,
        version=at.isoformat(),
        person=HANAKO,
        facts=facts,
    )


def morning(cart_at: str = "2026-03-02 10:00") -> list[Event]:
    """She says yes, looks at the prices twice (a mail at 10:15), and leaves a cart (a mail an hour later)."""
    price = PageFacts(url="https://shop.example.jp/p", page_type="price")
    cart = CartFacts(token="t1", currency="JPY", total=1500, lines=(LINE,))
    yes = ConsentFacts(channel="email", granted=True, method="test")
    return [
        happened(EventType.CONSENT_CHANGED, yes, jst("2026-03-02 09:00")),
        *(happened(EventType.PAGE_VIEWED, price, jst(f"2026-03-02 09:{minute}")) for minute in (44, 45)),
        happened(EventType.CHECKOUT_UPDATED, cart, jst(cart_at)),
    ]


def decided(events: list[Event], per_day: int, carts: int = 7, status: LiveStatus = LiveStatus.LIVE) -> dict[str, str]:
    """First mails and what became of them."""
    shop: Shop = replace(SHOP, sections={"delivery": {**SHOP.sections["delivery"], "cap_per_day": per_day}})
    pages = next(each for each in SCENARIOS if each.id == "pages")
    cart = next(each for each in SCENARIOS if each.id == "carts")
    both: list[Scenario] = [cart.model_copy(update={"priority": carts, "status": status}), pages]
    found = replay(both, events, ReplayDeps(shop, KEYS, templates()))
    return {each.step: each.outcome for each in found.decisions if each.step in {"carts_1", "pages_1"}}


def test_the_last_slot_of_the_day_is_kept_for_the_scenario_of_higher_priority() -> None:
    assert decided(morning(), per_day=1) == {"pages_1": "outranked", "carts_1": "sent"}


def test_where_there_is_room_for_both_both_go() -> None:
    assert decided(morning(), per_day=2) == {"pages_1": "sent", "carts_1": "sent"}


@pytest.mark.parametrize("carts", [1, 5])
def test_among_equals_and_before_a_lower_one_the_first_goes(carts: int) -> None:
    assert decided(morning(), per_day=1, carts=carts) == {"pages_1": "sent", "carts_1": "frequency_cap"}


def test_a_scenario_that_is_due_another_day_takes_no_slot_today() -> None:
    late = morning("2026-03-02 09:50")
    tomorrow = [replace(each, occurred_at=each.occurred_at + timedelta(days=1)) for each in late[-1:]]
    tomorrow = [replace(each, received_at=each.occurred_at) for each in tomorrow]
    assert decided([*late[:-1], *tomorrow], per_day=1) == {"pages_1": "sent", "carts_1": "sent"}


def place(scenario: str, state: EnrolmentState, due: str, **more: Any) -> Enrolment:
    """Somebody's place in a scenario."""
    at = jst(due)
    return Enrolment(TENANT, ScenarioId(scenario), f"{scenario} {due}", CustomerId("hanako"), Instance(), at, state, at,
                     **more)  # fmt: skip


@pytest.mark.parametrize(
    ("places", "wanted"),
    [
        ([place("a", EnrolmentState.ARMED, "2026-03-02 23:59")], 1),
        ([place("a", EnrolmentState.ARMED, "2026-03-03 00:00")], 0),
        ([place("a", EnrolmentState.ARMED, "2026-03-01 12:00")], 1),
        ([place("a", EnrolmentState.ARMED, day) for day in ("2026-03-02 11:00", "2026-03-02 12:00")], 1),
        ([place(name, EnrolmentState.ARMED, "2026-03-02 11:00") for name in "ab"], 2),
        ([place("a", EnrolmentState.ENTERED, "2026-03-02 09:00", entered_at=jst("2026-03-02 09:00"))], 1),
        ([place("a", EnrolmentState.ENTERED, "2026-03-01 09:00", entered_at=jst("2026-03-01 09:00"))], 0),
        ([place("a", EnrolmentState.ENTERED, "2026-03-02 09:00", entered_at=jst("2026-03-02 09:00"), step="one")], 0),
        ([place("a", EnrolmentState.EXITED, "2026-03-02 09:00")], 0),
    ],
)  # fmt: skip
def test_a_rival_is_a_scenario_that_is_due_today_and_has_not_begun(places: list[Enrolment], wanted: int) -> None:
    assert rivals(places, MORNING, SHOP.timezone) == wanted
