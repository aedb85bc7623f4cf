"""A shop of random people: events in, so that the live state and the lake's rows both follow from the same history."""

from __future__ import annotations

import random
from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from typing import Any, Literal
from zlib import crc32

from shared.analytics import catalog
from shared.analytics.definitions import Definitions
from shared.analytics.event_rows import rows_of_event
from shared.analytics.meaning import every_analysis
from shared.analytics.person_rows import (
    Written,
    attribute_rows,
    consent_rows,
    link_rows,
    order_rows,
    subscription_rows,
)
from shared.analytics.sql import Value
from shared.core.clock import to_iso
from shared.core.ids import CustomerId, EventId, TenantId
from shared.core.keys import KeyRing
from shared.core.shop import Shop
from shared.customers.identity import refs_of
from shared.customers.model import LtvTier, PersonState, Scores, Status
from shared.customers.reference import fold_all
from shared.ingest.model import (
    CartFacts,
    ConsentFacts,
    Event,
    EventType,
    Line,
    LoginFacts,
    OrderFacts,
    PageFacts,
    Person,
    PointsFacts,
    ProfileFacts,
    Refund,
    SubscriptionFacts,
    SubscriptionState,
    SurveyFacts,
    TrackedFacts,
)
from tests.sql.lake_in_duckdb import TENANT, DuckLake

AS_OF = date(2026, 3, 31)
NOW = datetime(2026, 3, 31, 14, 59, tzinfo=UTC)
"""A minute before the shop's midnight: the lake's day is over."""
SHOP = Shop(TenantId(TENANT), "お店")
KEYS = KeyRing(personal=b"a key of this test", links={"1": b"another"})

STORES = ("a.example.com", "b.example.com")
PRODUCTS = {"p1": "化粧水", "p2": "美容液", "p3": "口紅", "ship": "送料"}
MEDIA = ("google/cpc", "line", "チラシ's")
CHANNELS: tuple[Literal["email", "line", "sms"], ...] = ("email", "line", "sms")
TAGS = ("vip", "友の会", "a'b")


@dataclass
class World:
    """People as both readers see them."""

    people: dict[CustomerId, PersonState]
    lake: DuckLake
    values: dict[str, Value]


def random_world(seed: int, people: int = 60, settings: Definitions | None = None) -> World:
    """A shop of some people and everything that can be known of them."""
    rng = random.Random(seed)
    events = [event for number in range(people) for event in _story(rng, f"c{number:03d}")]
    states = {
        each: replace(state, profile=replace(state.profile, scores=_scores(rng)))
        for each, state in fold_all(events, KEYS, SHOP).items()
    }
    lake = DuckLake()
    values = catalog.parameters(SHOP.tenant, AS_OF, settings or Definitions(), SHOP.currency)
    _fill(lake, events, states)
    for view in ("valid_orders_v1", "lines_v1"):
        query = catalog.standalone_query(view, every_analysis(), values)
        lake.fill(view, lake.rows(query), dt=AS_OF)
    return World(states, lake, values)


def _on(rng: random.Random) -> date:
    ago = rng.choice([0, 1, 6, 7, 8, 29, 30, 31, 60, 89, 90, 91, 239, 240, rng.randrange(500)])
    return AS_OF - timedelta(days=ago)


def _at(on: date, rng: random.Random) -> datetime:
    """Some moment of a shop's day, its first and last minutes included."""
    minute = rng.choice([0, 1, 600, 1_200, 1_439])
    return datetime.combine(on, time(), UTC) - timedelta(hours=9) + timedelta(minutes=minute)


def _event(kind: EventType, facts: Any, at: datetime, customer: str, **changes: Any) -> Event:
    store = changes.pop("store", STORES[0])
    event_id = changes.pop("event_id", f"{kind}-{customer}-{to_iso(at)}-{crc32(repr(facts).encode())}")
    return Event(
        tenant=SHOP.tenant,
        event_id=EventId(event_id),
        event_type=kind,
        source=changes.pop("source", "shopify"),
        store=store,
        subject=f"shopify/{store}/x/{customer}",
        occurred_at=at,
        received_at=at,
        version=changes.pop("version", to_iso(at)),
        # One number in every store: the same person by mail address.
        person=Person(source_customer_id=customer, email=f"{customer}@example.com"),
        facts=facts,
    )


def _story(rng: random.Random, customer: str) -> Iterator[Event]:
    registered = _at(_on(rng), rng)
    yield _event(EventType.CUSTOMER_UPDATED, ProfileFacts(attributes=_attributes(rng)), registered, customer)
    for number in range(rng.choice([0, 0, 1, 1, 2, 3, 5])):
        yield _an_order(rng, customer, number)
    for number in range(rng.choice([0, 0, 1, 2])):
        yield _a_contract(rng, customer, number)
    for channel in CHANNELS:
        if rng.random() < 0.6:
            facts = ConsentFacts(channel=channel, granted=rng.random() < 0.6, method="page")
            yield _event(
                EventType.CONSENT_CHANGED, facts, _at(_on(rng), rng), customer, store=rng.choice((*STORES, "*"))
            )
    if rng.random() < 0.5:
        facts_ = rng.choice(
            [
                SurveyFacts(survey_id="s1", question_id="q1", choices=tuple(rng.sample(["a", "b", "c"], 2))),
                SurveyFacts(survey_id="s1", question_id="q2", number=float(rng.choice([1, 3, 5]))),
            ]
        )
        yield _event(EventType.SURVEY_ANSWERED, facts_, _at(_on(rng), rng), customer)
    for store in STORES:
        if rng.random() < 0.4:
            yield _event(EventType.POINTS_CHANGED, _points(rng), _at(_on(rng), rng), customer, store=store)
    for number in range(rng.choice([0, 0, 1, 4, 8, 60])):
        yield _a_visit(rng, customer, number)
    for number in range(rng.choice([0, 0, 1, 2])):
        yield from _a_cart(rng, customer, number)


def _attributes(rng: random.Random) -> dict[str, str | int | float | bool]:
    every: dict[str, str | int | float | bool] = {
        "gender": rng.choice(["female", "male", "other"]),
        "occupation": rng.choice(["会社員", "自営業"]),
        "media": rng.choice(MEDIA),
        "birth_on": f"{rng.randrange(1950, 2008)}-{rng.choice(['02', '03', '04', '12'])}-{rng.choice(['01', '28'])}",
        "registered_on": _on(rng).isoformat(),
        "custom/身長": rng.choice([150, 160, 170.5]),
        "custom/会員": rng.random() < 0.5,
        "custom/メモ": "本文は湖に入らない",
        **{f"tags/{tag}": True for tag in TAGS if rng.random() < 0.4},
    }
    return {name: value for name, value in every.items() if rng.random() < 0.7}


def _an_order(rng: random.Random, customer: str, number: int) -> Event:
    at = _at(_on(rng), rng)
    lines = tuple(
        Line(
            product_id=product,
            title=PRODUCTS[product],
            quantity=rng.choice([1, 2]),
            unit_amount=rng.choice([500, 3_000]),
            subscription=rng.random() < 0.2,
        )
        for product in rng.choices(sorted(PRODUCTS), k=rng.choice([0, 1, 2, 3]))
    )
    total = rng.choice([0, 5_000, 12_000])
    facts = OrderFacts(
        order_id=f"{customer}-{number}",
        ordered_at=at,
        currency=rng.choice(["JPY", "JPY", "JPY", "USD"]),
        total=total,
        lines=lines,
        refunds=(Refund(refund_id="r", amount=1_000),) if rng.random() < 0.2 else (),
        cancelled_at=at if rng.random() < 0.1 else None,
        test=rng.random() < 0.05,
        coupons=tuple(rng.sample(["SPRING", "it's"], rng.choice([0, 1, 2]))),
        media=rng.choice((*MEDIA, None)),
        subscription_id=f"s-{customer}" if rng.random() < 0.2 else None,
        offline=rng.random() < 0.2,
        # An order of a cart is no older than what the lake looks through for carts.
        cart_token=f"t-{customer}-0" if rng.random() < 0.4 and at > NOW - timedelta(days=60) else None,
    )
    source = rng.choice(["shopify", "import"])
    return _event(EventType.ORDER_UPDATED, facts, at, customer, store=rng.choice(STORES), source=source)


def _a_contract(rng: random.Random, customer: str, number: int) -> Event:
    started = _on(rng)
    state = rng.choice(list(SubscriptionState))
    facts = SubscriptionFacts(
        subscription_id=f"s-{customer}-{number}",
        state=state,
        started_at=_at(started, rng),
        lines=tuple(
            Line(product_id=p, title=PRODUCTS[p], quantity=1, unit_amount=3_000)
            for p in rng.sample(["p1", "p2", "p3"], rng.choice([1, 2]))
        ),
        deliveries=rng.choice([None, 1, 3]),
        next_delivery_on=rng.choice([None, AS_OF, AS_OF + timedelta(days=7), AS_OF + timedelta(days=8)]),
        cancelled_at=_at(_on(rng), rng) if state is SubscriptionState.CANCELLED else None,
        cancel_reason=rng.choice([None, "高い", "余った"]),
    )
    return _event(EventType.SUBSCRIPTION_UPDATED, facts, _at(started, rng), customer, store=rng.choice(STORES))


def _points(rng: random.Random) -> PointsFacts:
    return PointsFacts(
        balance=rng.choice([None, 0, 1, 500]),
        expires_on=rng.choice([None, *(AS_OF + timedelta(days=days) for days in (-1, 0, 30, 31))]),
        expiring=rng.choice([None, 0, 100]),
        rank=rng.choice([None, "gold", "silver"]),
        rank_until=rng.choice([None, AS_OF]),
    )


def _a_visit(rng: random.Random, customer: str, number: int) -> Event:
    kind, facts = rng.choice(
        [
            (EventType.PAGE_VIEWED, PageFacts(url="https://a.example.com/p", page_type="product", product_id="p1")),
            (EventType.PAGE_VIEWED, PageFacts(url="https://a.example.com/c", page_type="cart")),
            (EventType.LOGGED_IN, LoginFacts()),
            (EventType.LOGGED_IN, LoginFacts(machine=True)),
            (EventType.TRACKED, TrackedFacts(name="見積もり")),
        ]
    )
    return _event(kind, facts, _at(_on(rng), rng), customer, event_id=f"v-{customer}-{number}", source="track")


def _a_cart(rng: random.Random, customer: str, number: int) -> Iterator[Event]:
    on, token, store = _on(rng), f"t-{customer}-{number}", rng.choice(STORES)
    line = Line(product_id="p1", title="化粧水", quantity=1, unit_amount=3_000)
    for touch in range(rng.choice([1, 2])):
        at = _at(min(on + timedelta(days=touch * rng.choice([0, 1])), AS_OF), rng)
        facts = CartFacts(
            token=token,
            total=rng.choice([0, 3_000, 9_000]),
            lines=(line,) if rng.random() < 0.8 else (),
            currency="JPY",
        )
        yield _event(EventType.CART_UPDATED, facts, at, customer, store=store, event_id=f"{token}-{touch}")
    if rng.random() < 0.5:
        at = _at(on, rng)
        checkout = CartFacts(
            token=f"co-{token}",
            cart_token=token,
            total=4_000,
            lines=(line,),
            completed_at=at if rng.random() < 0.4 else None,
        )
        kind = EventType.CHECKOUT_DELETED if rng.random() < 0.2 else EventType.CHECKOUT_UPDATED
        yield _event(kind, checkout, at, customer, store=store, event_id=f"co-{token}")


def _scores(rng: random.Random) -> Scores | None:
    if rng.random() < 0.3:
        return None
    return Scores(
        as_of=AS_OF,
        status=rng.choice(list(Status)),
        status_since=AS_OF - timedelta(days=rng.choice([0, 1, 5])),
        ltv_tier=rng.choice(list(LtvTier)),
        rfm_r=rng.randrange(1, 7),
        rfm_f=rng.randrange(1, 7),
        rfm_m=rng.randrange(1, 7),
        rfm_rank=rng.choice(["優良", "有望", "離反"]),
    )


def _fill(lake: DuckLake, events: list[Event], people: dict[CustomerId, PersonState]) -> None:
    rows: dict[str, list[Any]] = {}
    for event in events:
        for table, row in rows_of_event(event, refs_of(event, KEYS), SHOP):
            rows.setdefault(table.name, []).append(row)
    for customer_id, person in people.items():
        written = Written(customer_id, SHOP, NOW - timedelta(hours=1))
        found = [row for order in person.orders for row in order_rows(order, written)]
        told = [contract for contract in person.subscriptions if not contract.estimated]
        found += [row for contract in told for row in subscription_rows(contract, written)]
        found += attribute_rows({}, person.attributes, written)
        found += [row for consent in person.consents for row in consent_rows(consent, written)]
        found += link_rows(frozenset(), person.profile.refs, written)
        for table, row in found:
            rows.setdefault(table.name, []).append(row)
    for name, each in rows.items():
        lake.fill(name, each)
    scored = [(customer_id, person.profile.scores) for customer_id, person in people.items()]
    lake.fill(
        "customer_scores_v1",
        [
            {
                "customer_id": customer_id,
                "status": scores.status.value,
                "status_since": scores.status_since,
                "ltv_tier": scores.ltv_tier.value,
                "rfm_r": scores.rfm_r,
                "rfm_f": scores.rfm_f,
                "rfm_m": scores.rfm_m,
                "rfm_rank": scores.rfm_rank,
            }
            for customer_id, scores in scored
            if scores
        ],
        dt=AS_OF,
    )
