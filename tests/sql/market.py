"""A made-up shop with everything a shop can tell: products, media, contracts, mails, points, carts, costs.

Written as facts, put into the lake's tables by `fill`. Products that go together, ties, days on limits, orders without
lines, excluded lines, people nobody knows anything of: all of it on purpose and all of it random by a seed.
"""

from __future__ import annotations

import json
import random
import zlib
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from typing import Any

from tests.sql.lake_in_duckdb import DuckLake

AS_OF = date(2026, 3, 31)
STORES = ("a.myshopify.com", "b.myshopify.com")
MEDIA = ("google/cpc/spring", "instagram/social", "yahoo/cpc", "")
PRODUCTS = {  # id: (title, category, unit price)
    "p1": ("化粧水", "基礎", 3_000),
    "p2": ("美容液", "基礎", 6_000),
    "p3": ("口紅", "メイク", 2_500),
    "p4": ("お試しセット", "お試し", 980),
    "p5": ("青汁", "健康", 4_200),
    "p6": ("名無し", None, 1_000),
    "ship": ("送料", None, 500),
    "gift": ("プレゼント", None, 0),
}
EXCLUDED = ("送料", "プレゼント", "手数料", "代引手数料", "ギフト包装")


@dataclass(frozen=True)
class Sale:
    """One order with its lines."""

    order_id: str
    customer: str
    on: date
    amount: int
    lines: tuple[str, ...]
    """Product ids, one piece each; none = the source told of no lines."""
    media: str
    store: str
    goods_total: int | None = None
    offline: bool = False
    discount: int = 0
    contract: str | None = None
    delivery: int | None = None
    valid: bool = True


@dataclass(frozen=True)
class Contract:
    """A subscription as it stands."""

    subscription_id: str
    customer: str
    store: str
    product: str
    media: str
    started_on: date
    state: str
    deliveries: int | None
    next_on: date | None
    reason: str | None


@dataclass
class Market:
    """Everything that happened."""

    as_of: date
    sales: list[Sale] = field(default_factory=list)
    contracts: list[Contract] = field(default_factory=list)
    costs: dict[tuple[str, date], int] = field(default_factory=dict)
    attributes: list[dict[str, Any]] = field(default_factory=list)
    messages: list[dict[str, Any]] = field(default_factory=list)
    carts: list[dict[str, Any]] = field(default_factory=list)
    links: list[dict[str, Any]] = field(default_factory=list)

    def known(self) -> list[Sale]:
        """Valid orders up to the as-of day, in the order in which they are numbered."""
        sales = [sale for sale in self.sales if sale.valid and sale.on <= self.as_of]
        return sorted(sales, key=lambda sale: (sale.on, "shopify", sale.store, sale.order_id))

    def histories(self) -> dict[str, list[Sale]]:
        """The same, by person."""
        found: dict[str, list[Sale]] = {}
        for sale in self.known():
            found.setdefault(sale.customer, []).append(sale)
        return found


def random_market(seed: int, people: int = 90) -> Market:
    """A shop of a few dozen customers over two years."""
    rng = random.Random(seed)
    market = Market(AS_OF)
    for number in range(people):
        _person(market, rng, f"c{number:03d}")
    _costs(market, rng)
    return market


def _person(market: Market, rng: random.Random, customer: str) -> None:
    on = AS_OF - timedelta(days=rng.choice([0, 7, 30, 89, 90, 239, 240, 241, 359, 360, rng.randrange(-5, 700)]))
    home = rng.choice(STORES)
    contract = f"s-{customer}" if rng.random() < 0.4 else None
    count = rng.choice([1, 1, 1, 2, 2, 3, 4, 7, 14])
    for place in range(count):
        media = rng.choice(MEDIA) if place == 0 or rng.random() < 0.4 else ""
        lines = tuple(rng.sample(sorted(PRODUCTS), rng.choice([0, 1, 1, 2, 3])))
        goods = sum(PRODUCTS[p][2] for p in lines)
        market.sales.append(
            Sale(
                order_id=f"{customer}-{place:02d}",
                customer=customer,
                on=on,
                amount=goods or rng.choice([0, 4_999, 5_000]),
                goods_total=goods if rng.random() < 0.7 else None,
                lines=lines,
                media=media,
                store=home if rng.random() < 0.8 else rng.choice(STORES),
                offline=rng.random() < 0.1,
                discount=rng.choice([0, 0, 100]),
                contract=contract if rng.random() < 0.8 else None,
                delivery=place + 1 if contract and rng.random() < 0.5 else None,
                valid=rng.random() > 0.08,
            )
        )
        on += timedelta(days=rng.choice([0, 1, 7, 28, 30, 30, 60, 90, rng.randrange(2, 200)]))
    if contract:
        _contract(market, rng, customer, contract, home)
    _attributes(market, rng, customer, home)
    _messages(market, rng, customer)
    _cart(market, rng, customer, home)


def _contract(market: Market, rng: random.Random, customer: str, contract: str, store: str) -> None:
    started = min(sale.on for sale in market.sales if sale.customer == customer)
    if started > AS_OF:
        return
    state = rng.choice(["active", "active", "paused", "past_due", "cancelled", "cancelled", "expired", "unknown"])
    market.contracts.append(
        Contract(
            contract,
            customer,
            store,
            rng.choice(["p1", "p5"]),
            rng.choice(MEDIA),
            started,
            state,
            rng.choice([None, 1, 2, 3]),
            rng.choice([None, AS_OF - timedelta(days=15), AS_OF - timedelta(days=14), AS_OF]),
            rng.choice(["高い", "余った", None]) if state == "cancelled" else None,
        )
    )


def _attributes(market: Market, rng: random.Random, customer: str, store: str) -> None:
    said = {
        "gender": rng.choice(["female", "male"]),
        "prefecture": rng.choice(["東京都", "大阪府"]),
        "birth_month": f"{rng.randrange(1950, 2005)}-{rng.choice(['03', '04'])}",
        f"points/{store}/balance": str(rng.choice([0, 120, 500])),
        f"points/{store}/expires_on": str(AS_OF + timedelta(days=rng.choice([-1, 0, 30, 31]))),
        f"rank/{store}": rng.choice(["gold", "silver"]),
    }
    for name, value in said.items():
        if rng.random() < 0.7:
            row: dict[str, Any] = {"customer_id": customer, "name": name, "value": value, "said_on": date(2026, 1, 5)}
            market.attributes.append(row | ({"number": float(value)} if value.isdigit() else {}))


def _messages(market: Market, rng: random.Random, customer: str) -> None:
    for place in range(rng.choice([0, 3, 6])):
        on = AS_OF - timedelta(days=rng.randrange(80))
        sent: dict[str, Any] = {
            "event_id": f"{customer}-{place}-s",
            "send_id": f"{customer}-{place}",
            "customer_id": customer,
            "scenario": rng.choice(["f2_conversion", "dormant_winback"]),
            "step": "mail_1",
            "channel": "email",
            "event": "sent",
            "occurred_on": on,
        }
        market.messages.append(sent)
        if rng.random() < 0.5:
            clicked = {"event_id": f"{customer}-{place}-c", "event": "clicked", "machine": rng.random() < 0.3}
            market.messages.append(sent | clicked | {"occurred_on": on + timedelta(days=rng.choice([0, 3, 4]))})


def _cart(market: Market, rng: random.Random, customer: str, store: str) -> None:
    if rng.random() < 0.4:
        return
    token, on = f"t-{customer}", AS_OF - timedelta(days=rng.choice([0, 1, 40, 364, 365]))
    ref = f"anon:{customer}"
    lines = [{"product_id": p, "title": PRODUCTS[p][0]} for p in rng.sample(sorted(PRODUCTS), rng.choice([1, 2]))]
    total = rng.choice([0, 4_999, 5_000, 120_000])
    base = {"store": store, "refs": [ref], "occurred_on": on}
    facts: dict[str, Any] = {"kind": "cart", "token": token, "total": total, "lines": lines}
    market.carts.append(base | {"event_id": f"{token}-1", "event_type": "cart_updated", "facts": _json(facts)})
    if rng.random() < 0.6:
        checkout = facts | {"token": f"co-{customer}", "cart_token": token}
        if rng.random() < 0.2:
            checkout["completed_at"] = "2026-03-01T00:00:00Z"
        market.carts.append(
            base | {"event_id": f"{token}-2", "event_type": "checkout_updated", "facts": _json(checkout)}
        )
        if rng.random() < 0.3:
            order = {"kind": "order", "order_id": "1", "checkout_token": f"co-{customer}"}
            market.carts.append(base | {"event_id": f"{token}-3", "event_type": "order_placed", "facts": _json(order)})
    if rng.random() < 0.8:
        market.links.append({"ref": ref, "customer_id": customer, "written_on": on})


def _json(facts: dict[str, Any]) -> str:
    return json.dumps(facts, ensure_ascii=False)


def _costs(market: Market, rng: random.Random) -> None:
    for media in (*MEDIA[:2], "billboard"):
        for month in range(1, 13):
            if rng.random() < 0.6:
                market.costs[media, date(2025, month, 1)] = rng.choice([0, 3_000, 12_000, 50_000])


def fill(lake: DuckLake, market: Market) -> None:
    """Put everything into the lake's tables."""
    lake.fill("order_states", [_order_row(sale) for sale in market.sales])
    lake.fill("order_lines", [row for sale in market.sales for row in _line_rows(sale)])
    lake.fill("products", _product_rows())
    lake.fill("subscription_states", [_contract_row(contract) for contract in market.contracts])
    lake.fill("attribute_states", [row for said in market.attributes for row in _attribute_rows(said)])
    lake.fill(
        "messages", [row | {"customer_id": _kept_as(row["customer_id"], row["send_id"])} for row in market.messages]
    )
    lake.fill("events", market.carts)
    lake.fill("person_links", [row | {"customer_id": _kept_as(row["customer_id"], row["ref"])} for row in market.links])
    lake.fill(
        "person_ids", [row for customer in sorted({sale.customer for sale in market.sales}) for row in _ids(customer)]
    )
    lake.fill("media_costs", [{"media": m, "spent_on": on, "amount": cost} for (m, on), cost in market.costs.items()])
    given = {f"AKI-{sale.customer}".upper() for sale in market.sales if sale.discount}
    lake.fill("coupon_codes", [{"code": code, "campaign": "autumn", "written_on": AS_OF} for code in sorted(given)])


def _joined(customer: str) -> bool:
    """Every fifth was two customers until somebody decided that they are one (名寄せ)."""
    return customer[1:].isdigit() and int(customer[1:]) % 5 == 0


def _kept_as(customer: str, thing: str) -> str:
    """The id that something of a customer is kept under."""
    return f"{customer}-too" if _joined(customer) and zlib.crc32(thing.encode()) % 2 else customer


def _ids(customer: str) -> Sequence[dict[str, Any]]:
    """Who is read as whom, with decisions that were taken back."""
    if _joined(customer):
        return [
            {"stored_id": f"{customer}-too", "customer_id": customer, "written_on": AS_OF},
            {"stored_id": customer, "customer_id": customer, "written_on": AS_OF},
        ]
    if customer.endswith("1"):
        return [
            {"stored_id": customer, "customer_id": "c000", "written_on": date(2026, 2, 1)},
            {"stored_id": customer, "customer_id": customer, "written_on": date(2026, 2, 2)},
        ]
    return []


def _attribute_rows(said: dict[str, Any]) -> Sequence[dict[str, Any]]:
    """Who was two may have said two things: the later counts."""
    customer = said["customer_id"]
    if not _joined(customer):
        return [said]
    kept = _kept_as(customer, said["name"])
    other = customer if kept != customer else f"{customer}-too"
    before = {"customer_id": other, "name": said["name"], "value": "前のこと", "said_on": date(2026, 1, 4)}
    # What was taken back of the one says nothing of the other.
    gone = {**before, "said_on": date(2026, 1, 9), "removed": True}
    return [said | {"customer_id": kept}, gone if said["name"] == "gender" else before]


def _order_row(sale: Sale) -> dict[str, Any]:
    return {
        "customer_id": _kept_as(sale.customer, sale.order_id),
        "order_id": sale.order_id,
        "ordered_on": sale.on,
        "amount": sale.amount,
        "total": sale.amount,
        "goods_total": sale.goods_total,
        "store": sale.store,
        "media": sale.media or None,
        "offline": sale.offline,
        "discount": sale.discount,
        "coupons": [f"aki-{sale.customer}"] if sale.discount else [],
        "subscription_id": sale.contract,
        "delivery_number": sale.delivery,
        "line_count": len(sale.lines),
        "valid": sale.valid,
        "written_at": datetime.combine(sale.on, time(4), UTC),
    }


def _line_rows(sale: Sale) -> Sequence[dict[str, Any]]:
    return [
        {
            "customer_id": _kept_as(sale.customer, sale.order_id),
            "order_id": sale.order_id,
            "store": sale.store,
            "ordered_on": sale.on,
            "line_no": number,
            "product_id": product,
            "title": PRODUCTS[product][0],
            "quantity": 1,
            "unit_amount": PRODUCTS[product][2],
            "amount": PRODUCTS[product][2],
            "subscription": False,
        }
        for number, product in enumerate(sale.lines, 1)
    ]


def _product_rows() -> Sequence[dict[str, Any]]:
    return [
        {
            "event_id": f"{store}-{product}",
            "store": store,
            "product_id": product,
            "title": title,
            "category": category,
            "occurred_on": date(2026, 3, 1),
        }
        for store in STORES
        for product, (title, category, _) in PRODUCTS.items()
    ]


def _contract_row(contract: Contract) -> dict[str, Any]:
    return {
        "customer_id": _kept_as(contract.customer, contract.subscription_id),
        "store": contract.store,
        "subscription_id": contract.subscription_id,
        "state": contract.state,
        "product_id": contract.product,
        "deliveries": contract.deliveries,
        "next_delivery_on": contract.next_on,
        "started_on": contract.started_on,
        "cancel_reason": contract.reason,
        "media": contract.media or None,
        "changed_on": contract.started_on,
    }
