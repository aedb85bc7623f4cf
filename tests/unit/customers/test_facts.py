"""Contracts, attributes and visits of a person, folded from any source."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import date, timedelta

from shared.core.ids import EventId
from shared.customers.fold import apply
from shared.customers.model import PersonState
from shared.customers.reference import fold_all
from shared.customers.store import MemoryCustomerStore
from shared.ingest.model import (
    EventType,
    LoginFacts,
    OrderFacts,
    PageFacts,
    PointsFacts,
    ProductFacts,
    ProfileFacts,
    SubscriptionFacts,
    SubscriptionState,
    SurveyFacts,
)
from tests.unit.customers.test_fold import apply_all, everyone, fold, folded
from tests.unit.customers.world import (
    KEYS,
    SHOP,
    START,
    TEA,
    a_customer,
    a_person,
    an_erasure,
    an_event,
    an_order,
    minute,
)

TARO = a_person("1", "taro@example.com")


def test_a_contract_is_one_row_and_its_latest_version_counts() -> None:
    contract = SubscriptionFacts(subscription_id="s1", state=SubscriptionState.ACTIVE, deliveries=2, lines=(TEA,))
    stopped = replace(contract, state=SubscriptionState.CANCELLED, cancel_reason="too_much")
    events = [
        an_event(EventType.SUBSCRIPTION_UPDATED, contract, 1, person=TARO),
        an_event(EventType.SUBSCRIPTION_UPDATED, stopped, 3, person=TARO),
        an_event(EventType.SUBSCRIPTION_UPDATED, replace(contract, deliveries=3), 2, person=TARO),
    ]
    for arriving in itertools.permutations(events):
        (found,) = folded(*arriving).subscriptions
        assert (found.state, found.cancel_reason, found.estimated) == (SubscriptionState.CANCELLED, "too_much", False)


def test_where_no_source_tells_of_a_contract_it_is_estimated_from_the_gaps() -> None:
    delivery = replace(TEA, subscription=True)
    orders = []
    for number, day in enumerate((0, 30, 61, 90)):
        order = an_order(f"o{number}", number, person=TARO, ordered_at=START + timedelta(days=day))
        assert isinstance(order.facts, OrderFacts)
        orders.append(replace(order, facts=replace(order.facts, lines=(delivery,))))
    (found,) = folded(*orders).subscriptions
    assert (found.estimated, found.state, found.deliveries, found.interval_days) == (
        True,
        SubscriptionState.UNKNOWN,
        4,
        30,
    )
    assert found.next_delivery_on == date(2026, 6, 29)
    told = SubscriptionFacts(subscription_id="s1", state=SubscriptionState.ACTIVE, lines=(TEA,))
    (only,) = folded(*orders, an_event(EventType.SUBSCRIPTION_UPDATED, told, 9, person=TARO)).subscriptions
    assert (only.subscription_id, only.estimated) == ("s1", False)


def test_the_latest_saying_of_each_attribute_counts() -> None:
    state = folded(
        an_event(EventType.CUSTOMER_UPDATED, ProfileFacts(attributes={"gender": "male"}), 5, person=TARO),
        an_event(
            EventType.CUSTOMER_UPDATED, ProfileFacts(attributes={"gender": "female", "tags/vip": True}), 2, person=TARO
        ),
        an_event(
            EventType.SURVEY_ANSWERED, SurveyFacts(survey_id="q", question_id="1", choices=("a", "b")), 3, person=TARO
        ),
        an_event(
            EventType.POINTS_CHANGED, PointsFacts(balance=10, expires_on=date(2026, 5, 1), rank="gold"), 4, person=TARO
        ),
    )
    values = {name: known.value for name, known in state.attributes.items()}
    store = "kissa.example.com"
    assert values == {
        "gender": "male",
        "tags/vip": True,
        "survey/q/1": ("a", "b"),
        f"points/{store}/balance": 10,
        f"points/{store}/expires_on": "2026-05-01",
        f"rank/{store}": "gold",
    }


def visited(*ats: int, machine: bool = False) -> PersonState:
    page = PageFacts(url="https://example.com/price", page_type="price", machine=machine)
    views = [an_event(EventType.PAGE_VIEWED, page, at, person=TARO) for at in ats]
    return folded(a_customer(0, TARO), *views, an_event(EventType.LOGGED_IN, LoginFacts(), 1, person=TARO))


def test_the_fifty_latest_visits_are_kept_and_machines_are_none() -> None:
    state = visited(*range(2, 80))
    assert [visit.at for visit in state.visits] == [minute(at) for at in range(30, 80)]
    assert (state.last_login_at, state.last_seen_at) == (minute(1), minute(79))
    assert state.visits[0].path == "/price"
    assert len(visited(5, 6, machine=True).visits) == 1


def test_a_visitor_becomes_the_customer_they_turn_out_to_be() -> None:
    cookie = a_person(anonymous_ids=("visitor/v1",))
    view = an_event(EventType.PAGE_VIEWED, PageFacts(url="https://example.com/"), 1, person=cookie)
    login = an_event(EventType.LOGGED_IN, LoginFacts(), 2, person=replace(TARO, anonymous_ids=("visitor/v1",)))
    later = replace(view, event_id=EventId("later"), occurred_at=minute(9))
    for arriving in itertools.permutations([view, login, later]):
        state = folded(*arriving)
        assert [visit.kind for visit in state.visits] == ["page", "login", "page"]


def test_what_was_looked_at_and_answered_before_an_erasure_is_forgotten() -> None:
    page = PageFacts(url="https://example.com/price")
    events = [
        an_event(EventType.PAGE_VIEWED, page, 1, person=TARO),
        an_event(EventType.CUSTOMER_UPDATED, ProfileFacts(attributes={"gender": "male"}), 2, person=TARO),
        an_erasure(5, TARO),
        an_event(EventType.PAGE_VIEWED, page, 9, person=a_person("1")),
    ]
    state = folded(*events)
    assert [visit.at for visit in state.visits] == [minute(9)]
    assert state.attributes == {}


def test_products_are_nobody() -> None:
    store = MemoryCustomerStore()
    event = an_event(EventType.PRODUCT_UPDATED, ProductFacts(product_id="p", title="茶"), 1)
    assert apply(event, store, KEYS, SHOP).customer_id is None
    assert everyone(store) == fold_all([event], KEYS, SHOP) == {}


def test_a_telephone_alone_joins_nobody_who_is_known_otherwise() -> None:
    phone = {"phone": "090-0000-0001", "last_name": "見本"}
    events = [
        a_customer(1, a_person("1", "a@example.com", **phone)),
        a_customer(2, a_person("2", "b@example.com", **phone)),
        an_order("o1", 3, person=a_person(**phone)),
        an_order("o2", 4, person=a_person(**phone)),
    ]
    store = MemoryCustomerStore()
    apply_all(events, store)
    assert everyone(store) == fold(events)
    assert sorted(state.profile.summary.order_count for state in everyone(store).values()) == [0, 0, 2]


def test_half_width_kana_is_kept_full_width_and_addresses_of_malls_join_nobody() -> None:
    kana = folded(a_customer(1, a_person("1", last_name_kana="ﾔﾏﾀﾞ", address="見本町1-1", postal_code="100-0000")))
    assert (kana.profile.last_name_kana, kana.profile.address) == ("ヤマダ", "見本町1-1")
    masked = [an_order(f"o{n}", n, person=a_person(email="x1@marketplace.amazon.co.jp")) for n in range(2)]
    assert len(fold(masked)) == 2
