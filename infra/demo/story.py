"""One day of a shop as webhook calls: who abandons, orders, refuses, bounces, and what the network does to it.

Seeded and pure: the same seed and start give the same calls, byte for byte.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from enum import StrEnum

from infra.demo import cdnow, shopify
from infra.demo.shopify import Buyer, Item

SHOP = "matakite-demo.myshopify.com"
TOUCHED_BEFORE_DUE = timedelta(hours=1)
"""The scenario's entry rule: a cart is due when nobody touched it for an hour."""

PRODUCTS = (
    Item(1, "深煎りコーヒー豆 200g", 1480),
    Item(2, "有機ほうじ茶ティーバッグ 30包", 980),
    Item(3, "はちみつレモン美容液 30ml", 5800),
    Item(4, "今治フェイスタオル 2枚組", 3200),
    Item(5, "米ぬか石けん 3個セット", 1650),
    Item(6, "信州りんごジュース 6本", 4320),
    Item(7, "手編みウールソックス", 2750),
    Item(8, "南部鉄器 急須", 12800),
)


class Role(StrEnum):
    """What a shopper does that day."""

    ABANDONS = "abandons"
    ORDERS_AT_ONCE = "orders_at_once"
    ORDERS_AFTER_FIRST_MAIL = "orders_after_first_mail"
    UNSUBSCRIBES_AFTER_FIRST_MAIL = "unsubscribes_after_first_mail"
    OPTED_OUT = "opted_out"
    NEVER_AGREED = "never_agreed"
    BOUNCES = "bounces"
    COMPLAINS = "complains"
    EMPTIES_CART = "empties_cart"
    GIVES_NO_ADDRESS = "gives_no_address"


SHARES = {
    Role.ABANDONS: 0.38,
    Role.ORDERS_AT_ONCE: 0.20,
    Role.ORDERS_AFTER_FIRST_MAIL: 0.09,
    Role.UNSUBSCRIBES_AFTER_FIRST_MAIL: 0.05,
    Role.OPTED_OUT: 0.06,
    Role.NEVER_AGREED: 0.06,
    Role.BOUNCES: 0.04,
    Role.COMPLAINS: 0.03,
    Role.EMPTIES_CART: 0.04,
    Role.GIVES_NO_ADDRESS: 0.05,
}


@dataclass(frozen=True, slots=True)
class Shopper:
    """One visitor of the day."""

    number: int
    role: Role
    buyer: Buyer
    token: str
    items: tuple[Item, ...]
    touched_at: datetime


class Answer(StrEnum):
    """What the endpoint has to answer."""

    STORED = "stored"
    """200, and stored unless it was known already."""
    UNAUTHORISED = "unauthorised"
    MALFORMED = "malformed"
    """400"""


@dataclass(frozen=True, slots=True)
class Call:
    """One HTTP request to the webhook endpoint."""

    topic: str
    body: bytes
    webhook_id: str
    at: datetime
    expected: Answer = Answer.STORED
    signed: bool = True
    unknown_connection: bool = False


@dataclass(frozen=True, slots=True)
class Day:
    """The whole play: calls before the first mail, and the orders placed after it."""

    shoppers: tuple[Shopper, ...]
    morning: tuple[Call, ...]
    evening: tuple[Call, ...]

    def by_role(self, role: Role) -> list[Shopper]:
        """The shoppers who do this."""
        return [shopper for shopper in self.shoppers if shopper.role is role]


def play(
    start: datetime,
    *,
    shoppers: int = 240,
    lead: timedelta = timedelta(seconds=60),
    seed: int = 7,
    customers: int = cdnow.CUSTOMERS,
) -> Day:
    """A day whose carts become due `lead` after `start`; `customers` is how many of the history were imported."""
    rng = random.Random(seed)
    cast = tuple(_cast(rng, shoppers, start, lead, customers))
    morning = [call for shopper in cast for call in _morning(rng, shopper, start)]
    noisy = _with_noise(rng, morning)
    buyers = [s for s in cast if s.role is Role.ORDERS_AFTER_FIRST_MAIL]
    evening = tuple(_order(shopper, start + lead + timedelta(seconds=5)) for shopper in buyers)
    return Day(cast, tuple(noisy), evening)


def _cast(rng: random.Random, count: int, start: datetime, lead: timedelta, customers: int) -> Iterator[Shopper]:
    roles = [role for role, share in SHARES.items() for _ in range(round(share * count))]
    rng.shuffle(roles)
    known = rng.sample(range(1, customers + 1), min(len(roles), customers))
    for number, role in enumerate(roles, start=1):
        # Two in three are customers of the imported history; the others come for the first time.
        returning = number % 3 and number <= len(known)
        buyer = _buyer(number, role, f"{known[number - 1]:05}" if returning else None)
        items = tuple(
            replace(item, quantity=rng.choice((1, 1, 1, 2))) for item in rng.sample(PRODUCTS, rng.randint(1, 3))
        )
        touched = start + lead - TOUCHED_BEFORE_DUE + timedelta(seconds=rng.uniform(0, 5))
        yield Shopper(number, role, buyer, f"{start:%Y%m%d%H%M%S}chk{number:05}", items, touched)


def _buyer(number: int, role: Role, known: str | None) -> Buyer:
    last, first = cdnow.name(known or str(number))
    match role:
        case Role.GIVES_NO_ADDRESS:
            address = None
        case Role.BOUNCES:
            address = f"bounce+demo{number}@simulator.amazonses.com"
        case Role.COMPLAINS:
            address = f"complaint+demo{number}@simulator.amazonses.com"
        case _:
            address = cdnow.email(known) if known else f"visitor-{number:05}@example.jp"
    return Buyer(number, address, last, first)


def _morning(rng: random.Random, shopper: Shopper, start: datetime) -> list[Call]:
    """What the cart reports about one shopper before any mail is due, in the order it happened.

    Orders are of the day itself: in the hour after midnight carts are touched on the day before, which a night is for.
    """
    at = shopper.touched_at
    calls = [*_consents(shopper, at - timedelta(minutes=30))]
    if shopper.role is Role.GIVES_NO_ADDRESS:
        # A customer who signed in by telephone. Somebody without even a number is nobody yet, and due for nothing.
        checkout = shopify.checkout(shopper.token, shopper.buyer, shopper.items, at, SHOP)
        body = checkout | {"customer": {"id": shopper.buyer.customer_id, "email": None}}
        return [*calls, _call("checkouts/update", body, f"{shopper.token}-updated", at)]
    first = shopify.checkout(shopper.token, shopper.buyer, shopper.items[:1], at - timedelta(minutes=5), SHOP)
    items = () if shopper.role is Role.EMPTIES_CART else shopper.items
    second = shopify.checkout(shopper.token, shopper.buyer, items, at, SHOP)
    calls.append(_call("checkouts/create", first, f"{shopper.token}-created", at - timedelta(minutes=5)))
    calls.append(_call("checkouts/update", second, f"{shopper.token}-updated", at))
    if shopper.role is Role.ORDERS_AT_ONCE:
        calls.append(_order(shopper, start))
    if rng.random() < 0.4:  # the network delivers as it likes
        rng.shuffle(calls)
    return calls


def _consents(shopper: Shopper, at: datetime) -> Iterator[Call]:
    if shopper.buyer.email is None or shopper.role is Role.NEVER_AGREED:
        return
    topic = "customers_email_marketing_consent/update"
    granted = shopify.email_consent(shopper.buyer, granted=True, at=at)
    yield _call(topic, granted, f"{shopper.token}-consent", at)
    if shopper.role is Role.OPTED_OUT:
        later = at + timedelta(minutes=10)
        refused = shopify.email_consent(shopper.buyer, granted=False, at=later)
        yield _call(topic, refused, f"{shopper.token}-refusal", later)


def _order(shopper: Shopper, at: datetime) -> Call:
    body = shopify.order(shopper.number, shopper.token, shopper.buyer, shopper.items, at)
    return _call("orders/create", body, f"{shopper.token}-order", at)


def _call(topic: str, body: dict[str, object], webhook_id: str, at: datetime) -> Call:
    return Call(topic, shopify.encode(body), webhook_id, at)


def _half(body: bytes) -> bytes:
    """Cut off between two characters: half a character would be a wrong signature before it is a broken body."""
    return body[: len(body) // 2].decode(errors="ignore").encode()


def _with_noise(rng: random.Random, calls: Sequence[Call]) -> list[Call]:
    """Duplicates, forged signatures, broken bodies and strangers, mixed into the day."""
    noise = [rng.choice(calls) for _ in range(len(calls) // 4)]
    forged = [replace(call, signed=False, expected=Answer.UNAUTHORISED) for call in rng.sample(calls, 20)]
    strangers = [replace(call, unknown_connection=True, expected=Answer.UNAUTHORISED) for call in rng.sample(calls, 5)]
    broken = [
        replace(
            call,
            body=_half(call.body),
            webhook_id=f"{call.webhook_id}-broken",
            expected=Answer.MALFORMED,
        )
        for call in rng.sample(calls, 5)
    ]
    mixed = list(calls)
    for call in (*noise, *forged, *strangers, *broken):
        mixed.insert(rng.randint(0, len(mixed)), call)
    return mixed
