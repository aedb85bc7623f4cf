"""Chaos of order (T2): a cart's story in each of its 120 orders and with repeats, in three platforms' own bodies."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from functools import cache, partial
from itertools import permutations
from typing import Any

from infra.demo import shopify
from shared.core.clock import to_iso
from shared.core.ids import EventId
from shared.core.keys import derive_key_ring
from shared.customers.fold import apply
from shared.customers.model import PersonState
from shared.customers.reference import fold_all
from shared.customers.rows import MemoryRows, Put, Row, Write, encode_item
from shared.customers.store import MemoryCustomerStore, read_row
from shared.ingest.adapter import Request
from shared.ingest.model import ConsentFacts, Event, EventType, OrderFacts, Person
from shared.ingest.polled import polled_request
from shared.scenarios.examples import SHOP
from tests.chaos.cohorts import HOUR, Provider
from tests.contract.carts.carts import CARTS, SAMPLES
from tests.contract.customers.traces import everybody
from tests.unit.scenarios.world import MORNING, TENANT, World, void

KEYS = derive_key_ring("a master key that exists in tests only")
EMAIL = "hanako@example.com"
DAY = timedelta(days=1)
ORDERS = tuple(permutations(reversed(range(5))))
"""The most disordered first."""
Message = tuple[Event, ...]
"""What one delivery says."""


def any_order(case: int, rng: random.Random) -> None:
    """T2: one platform and one order; within the hour nobody is mailed who bought, later nobody who is known to have.

    Whoever did not buy is mailed three times, in the same order of what is left: so the silence means something.
    """
    story, order = STORIES[case % len(STORIES)](), ORDERS[case // len(STORIES) % len(ORDERS)]
    arriving = [story[n] for n in order]
    browsed = [message for message in arriving if not _orders(message)]
    assert _told(browsed, rng, HOUR).mails() == ["mail_1", "mail_2", "mail_3"], "whoever left a cart is not mailed"
    assert not _told(arriving, rng, HOUR).mails(), "a bought cart was mailed"
    late = _told(arriving, rng, 3 * DAY)
    assert all(at < late.bought_at for at in late.provider.at.values()), "a cart was mailed that was known as bought"


def _told(arriving: Sequence[Message], rng: random.Random, within: timedelta) -> Listener:
    """A shop that was told these in this order, some again up to days later, and played to its end (I5)."""
    shop = Listener(rng)
    first = timedelta(minutes=20)
    spread = sorted(MORNING + first + rng.random() * (within - first) for _ in arriving)
    for message, at in zip(arriving, spread, strict=True):
        again = [at + rng.random() * 2 * DAY for _ in range(rng.choice([0, 0, 1, 2]))]
        for then in (at, *again):
            shop.timeline.at(then, partial(shop.hears, message))
    for tick in range(4 * 48):
        shop.timeline.at(MORNING + tick * HOUR / 2, lambda: void(shop.sweeps()))
    shop.play()
    said = [event for message in arriving for event in message]
    assert everybody(shop.store, TENANT) == fold_all(said, KEYS, shop.shop), "I5: not the state of the set"
    return shop


class Listener(World):
    """A shop whose people are what is heard of them: fold, stream, trigger, sweep and machine, one after the other."""

    def __init__(self, rng: random.Random) -> None:
        super().__init__(shop=replace(SHOP, tenant=TENANT))
        self.rng, self.bought_at = rng, datetime.max.replace(tzinfo=MORNING.tzinfo)
        self.ses = self.provider = Provider(self.clock, rng)
        self.store = MemoryCustomerStore()
        self.store.rows = self.rows = Streamed()

    def hears(self, message: Message) -> None:
        """A delivery is folded; the stream tells the trigger once or twice what changed."""
        for event in message:
            apply(event, self.store, KEYS, self.shop)
        if _orders(message):
            self.bought_at = min(self.bought_at, self.clock.at)
        changes, self.rows.stream = self.rows.stream * self.rng.choice([1, 1, 2]), []
        for change in filter(None, (read_row(encode_item(row)) for row in changes)):
            self._row(change)

    def person(self, tenant: Any, customer: Any) -> PersonState | None:
        """See World."""
        return self.store.person(tenant, customer)


class Streamed(MemoryRows):
    """Rows that show their stream."""

    def __init__(self) -> None:
        super().__init__()
        self.stream: list[Row] = []

    def transact(self, writes: Sequence[Write]) -> None:
        """See MemoryRows."""
        super().transact(writes)
        self.stream += [write.row for write in writes if isinstance(write, Put)]


# --- the stories ------------------------------------------------------------------------------------------------------


@cache
def _shopify() -> tuple[Message, ...]:
    """A cart of nobody, its checkout, another thing in it, a yes to mail, and the order."""
    shop, buyer = CARTS["shopify"].store, shopify.Buyer(1, EMAIL, "見本", "花子")
    tea, cup = shopify.Item(1, "ほうじ茶", 1200), shopify.Item(2, "湯のみ", 1800)
    told = (
        (0, "carts/create", shopify.cart("cart-t2", [tea], _at(0))),
        (2, "checkouts/create", shopify.checkout("t2", buyer, [tea], _at(2), shop)),
        (10, "checkouts/update", shopify.checkout("t2", buyer, [tea, cup], _at(10), shop)),
        (12, "customers_email_marketing_consent/update", shopify.email_consent(buyer, granted=True, at=_at(12))),
        (15, "orders/create", shopify.order(1, "t2", buyer, [tea, cup], _at(15))),
    )
    return tuple(_said("shopify", topic, body, minute) for minute, topic, body in told)


@cache
def _woocommerce() -> tuple[Message, ...]:
    """A draft of nobody, the same with an address, a yes on a page of ours, the order it becomes, and its end."""
    body = _sample("woocommerce/order.updated@draft-becomes-order.json")

    def draft(minute: int, status: str, email: str) -> Message:
        changes = {"status": status, "date_created_gmt": f"{_at(0):%Y-%m-%dT%H:%M:%S}"}
        changes["date_modified_gmt"] = f"{_at(minute):%Y-%m-%dT%H:%M:%S}"
        told = body | changes | {"billing": body["billing"] | {"email": email, "phone": ""}}
        return _said("woocommerce", "order.updated", told, minute)

    return (
        draft(0, "checkout-draft", ""),
        draft(10, "checkout-draft", EMAIL),
        _agreed("woocommerce", 12),
        draft(15, "processing", EMAIL),
        draft(16, "completed", EMAIL),
    )


@cache
def _eccube() -> tuple[Message, ...]:
    """The same of EC-CUBE, whose orders are read back: 購入処理中 twice, a yes, 新規受付 and 入金済み."""
    body = _sample("eccube/objects/order.json")

    def order(minute: int, status: str, **more: Any) -> Message:
        times = {"create_date": _at(0).isoformat(), "update_date": _at(minute).isoformat()}
        told = body | {"order_date": None, "OrderStatus": {"id": status}, "Customer": None, "email": EMAIL}
        return _said("eccube", "order", told | times | more, minute)

    return (
        order(0, "8", email=None, phone_number=None),
        order(10, "8"),
        _agreed("eccube", 12),
        order(15, "1", order_date=_at(15).isoformat()),
        order(16, "6", order_date=_at(15).isoformat(), payment_date=_at(16).isoformat()),
    )


STORIES: tuple[Callable[[], tuple[Message, ...]], ...] = (_shopify, _woocommerce, _eccube)


def _at(minute: int) -> datetime:
    return MORNING + timedelta(minutes=minute)


def _sample(name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((SAMPLES / name).read_text(encoding="utf-8"))
    return found


def _said(source: str, topic: str, body: Mapping[str, Any], minute: int) -> Message:
    cart, now = CARTS[source], _at(minute)
    connection = replace(cart.connection, tenant=TENANT)
    if source == "eccube":
        request = polled_request(topic, body)
    else:
        asked = cart.ask(topic, shopify.encode(dict(body)), connection, now)
        request = Request({**asked.headers, "x-shopify-triggered-at": to_iso(now)}, asked.body)
    envelopes = cart.adapter.envelopes(request, connection, now)
    return tuple(event for envelope in envelopes for event in cart.adapter.events(envelope))


def _agreed(source: str, minute: int) -> Message:
    at = _at(minute)
    return (
        Event(
            tenant=TENANT,
            event_id=EventId(f"agreed-{source}"),
            event_type=EventType.CONSENT_CHANGED,
            source="page",
            store=CARTS[source].store,
            subject="page/agreed",
            occurred_at=at,
            received_at=at,
            version=to_iso(at),
            person=Person(email=EMAIL),
            facts=ConsentFacts(channel="email", granted=True, method="page"),
        ),
    )


def _orders(message: Message) -> bool:
    return any(isinstance(event.facts, OrderFacts) for event in message)
