"""A segment over one person's live state: the same answer as the lake's, before the night.

`matakite customer show` tells by it what holds of a person now; scenarios and lists go by what the night found.
Needs neither SQL nor a clock: state, definition and moment in, yes or no out; None where the live state cannot tell
(of a definition that is not `Segment.live_decidable` it tells only where the conditions it knows decide). Status, tier
and RFM are as the last night left them.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from functools import cached_property
from typing import Any

from shared.analytics.definitions import Definitions, definitions_of
from shared.analytics.impersonal import Plain, open_text
from shared.analytics.person_rows import open_sayings, valued
from shared.analytics.segments import model
from shared.analytics.segments.model import Condition, Node, Numbers, Segment, Truth, joined
from shared.core.clock import shop_day
from shared.core.shop import Shop
from shared.customers.model import Cart, Order, PersonState
from shared.customers.rules import EVERY_STORE, VISITS_KEPT

_ISO_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_MONTH = re.compile(r"(\d{4})-(\d{2})")


def decide(segment: Segment, person: PersonState, now: datetime, shop: Shop) -> Truth:
    """Is this person in the segment now? None: only the lake can tell."""
    if segment.as_of is not None:
        return None
    return _true(segment.members, _View(person, shop_day(now, shop.timezone), shop, definitions_of(shop)))


@dataclass(frozen=True)
class _Line:
    """A product of one valid order, as `lines_v1` has it."""

    number: int
    orders: int
    ordered_on: date
    product: str
    quantity: int
    amount: int | None
    subscription: bool


@dataclass(frozen=True)
class _Saying:
    """One attribute as the lake's columns have it."""

    value: str | None
    number: float | None
    choices: tuple[str, ...]
    said_on: date


@dataclass(frozen=True)
class _View:
    """A person as the lake would show them."""

    person: PersonState
    as_of: date
    shop: Shop
    definitions: Definitions

    def day(self, at: datetime | None) -> date | None:
        return shop_day(at, self.shop.timezone) if at else None

    def days_ago(self, day: date | None) -> int | None:
        return (self.as_of - day).days if day else None

    @cached_property
    def orders(self) -> list[tuple[date, Order]]:
        """Valid orders up to the day, in the order in which they are numbered."""
        dated = [(self.day(order.ordered_at), order) for order in self.person.orders if order.valid]
        known = [(on, order) for on, order in dated if on is not None and on <= self.as_of]
        return sorted(known, key=lambda each: (each[0], each[1].ordered_at, *_key(each[1])))

    def amount(self, order: Order) -> int | None:
        return order.amount if order.currency == self.shop.currency else None

    @cached_property
    def lines(self) -> list[_Line]:
        """Products by order; an order of excluded lines only is no order here."""
        excluded = set(self.definitions.excluded_products)
        numbered: list[tuple[int, date, Order, dict[str, list[Any]]]] = []
        number, last = 0, date.min
        for on, order in self.orders:
            products: dict[str, list[Any]] = {}
            for line in order.lines:
                if line.product_id not in excluded and line.title not in excluded:
                    products.setdefault(line.product_id, []).append(line)
            if not products:
                continue
            number += 0 if self.definitions.same_day_is_one and on == last else 1
            last = on
            numbered.append((number, on, order, products))
        return [
            _Line(
                place,
                number,
                on,
                product,
                sum(line.quantity for line in lines),
                sum(line.quantity * line.unit_amount for line in lines) if self._ours(order) else None,
                order.subscription_id is not None or any(line.subscription for line in lines),
            )
            for place, on, order, products in numbered
            for product, lines in products.items()
        ]

    def _ours(self, order: Order) -> bool:
        return order.currency == self.shop.currency

    @cached_property
    def sayings(self) -> dict[str, _Saying]:
        """What is known by name, by the day."""
        found = {name: self._saying(value, at) for name, (value, at) in open_sayings(self.person.attributes).items()}
        return {name: saying for name, saying in found.items() if saying.said_on <= self.as_of}

    def _saying(self, plain: Plain, at: datetime) -> _Saying:
        said = valued(plain)
        value = said.get("value")
        return _Saying(value, said.get("number"), tuple(said.get("choices", ())), shop_day(at, self.shop.timezone))


def _key(order: Order) -> tuple[str, str, str]:
    return order.source, order.store, order.order_id


def _as_day(value: str | None) -> date | None:
    if value is None or not _ISO_DAY.fullmatch(value):
        return None
    try:
        return date.fromisoformat(value)
    except ValueError:
        return None


# --- conditions -------------------------------------------------------------------------------------------------------
def _true(node: Node, view: _View) -> Truth:
    if isinstance(node, Condition):
        return None if node.where is model.Where.NIGHTLY else _ASKED[type(node)](node, view)
    return joined(node.join, (_true(part, view) for part in node.parts))


def _all(*held: bool) -> bool:
    return all(held)


def _asked(numbers: Numbers | None, value: float | None) -> bool:
    return numbers is None or numbers.hold(value)


def _among(words: Iterable[str] | None, value: str | None) -> bool:
    return words is None or value in tuple(words)


def _measured(node: model.Counted, measured: Mapping[str, float]) -> bool:
    return all(numbers.hold(measured[name]) for name, numbers in node.compared().items())


def _orders(node: model.Orders, view: _View) -> bool:
    found = [order for on, order in view.orders if node.covers(on, view.as_of) and _wanted(node, order, view)]
    return _measured(node, {"count": len(found), "sum": sum(view.amount(order) or 0 for order in found)})


def _wanted(node: model.Orders, order: Order, view: _View) -> bool:
    return (
        _among(node.source, order.source)
        and _among(node.store, order.store)
        and _among(node.media, order.media)
        and (node.coupon is None or bool(set(node.coupon) & set(order.coupons)))
        and _asked(node.amount, view.amount(order))
        and node.offline in (None, order.offline)
        and node.subscription in (None, order.subscription_id is not None)
    )


def _bought(node: model.Bought, view: _View) -> bool:
    found = [
        line
        for line in view.lines
        if node.covers(line.ordered_on, view.as_of)
        and _among(node.product, line.product)
        and node.subscription in (None, line.subscription)
        and node.first in (None, line.number == 1)
        and node.last in (None, line.number == line.orders)
    ]
    measured = {
        "count": len({line.number for line in found}),
        "quantity": sum(line.quantity for line in found),
        "sum": sum(line.amount or 0 for line in found),
    }
    return _measured(node, measured)


def _first_order(node: model.FirstOrder, view: _View) -> bool:
    return node.days_ago.hold(view.days_ago(view.orders[0][0] if view.orders else None))


def _last_order(node: model.LastOrder, view: _View) -> bool:
    return node.days_ago.hold(view.days_ago(view.orders[-1][0] if view.orders else None))


def _left_cart(node: model.LeftCart, view: _View) -> bool:
    return any(
        node.days_ago.hold(days) and _asked(node.total, total) and _among(node.store, store)
        for days, total, store in _left(view)
    )


def _left(view: _View) -> Iterator[tuple[int, int, str]]:
    """Carts left: days since the last touch, total, store. A cart and its checkouts are one."""
    tokens = {
        (order.source, order.store, token)
        for order in view.person.orders
        for token in (order.cart_token, order.checkout_token)
        if token
    }
    groups: dict[tuple[str, str, str], list[Cart]] = {}
    for cart in view.person.carts:
        on = view.day(cart.updated_at)
        if on is not None and on <= view.as_of:
            groups.setdefault((cart.source, cart.store, cart.cart_token or cart.token), []).append(cart)
    for (source, store, token), parts in groups.items():
        ended = any(part.completed_at is not None for part in parts)
        ordered = any((source, store, each) in tokens for each in (token, *(part.token for part in parts)))
        filled = [part for part in parts if part.lines and not part.deleted]
        if ended or ordered or not filled:
            continue
        days = min((view.as_of - shop_day(part.updated_at, view.shop.timezone)).days for part in filled)
        if days < model.CART_DAYS:
            yield days, max(part.total for part in filled), store


def _contracts(node: model.Contracts, view: _View) -> bool:
    def wanted(contract: Any) -> bool:
        ahead = view.days_ago(contract.next_delivery_on)
        return (
            not contract.estimated
            and _among(node.state, contract.state.value)
            and (node.product is None or bool(set(node.product) & set(contract.product_ids)))
            and _among(node.store, contract.store)
            and _among(node.cancel_reason, contract.cancel_reason)
            and _asked(node.deliveries, contract.deliveries)
            and _asked(node.next_delivery_in_days, -ahead if ahead is not None else None)
            and _asked(node.started_days_ago, view.days_ago(view.day(contract.started_at)))
            and _asked(node.cancelled_days_ago, view.days_ago(view.day(contract.cancelled_at)))
        )

    return node.count.hold(sum(map(wanted, view.person.subscriptions)))


def _birth(view: _View) -> tuple[int, int] | None:
    said = view.sayings.get("birth_month")
    found = _MONTH.match(said.value) if said and said.value else None
    if found is None or not 1 <= int(found[2]) <= 12:
        return None
    return int(found[1]), int(found[2])


def _age(node: model.Age, view: _View) -> bool:
    born = _birth(view)
    return node.years.hold(view.as_of.year - born[0] - (view.as_of.month < born[1]) if born else None)


def _birthday(node: model.Birthday, view: _View) -> bool:
    born = _birth(view)
    return born is not None and born[1] == (view.as_of.month - 1 + node.in_months) % 12 + 1


def _value(view: _View, name: str) -> str | None:
    said = view.sayings.get(name)
    return said.value if said else None


def _saying(node: model.Saying, view: _View) -> bool:
    return _value(view, node.attribute) in node.is_one_of


def _tagged(node: model.Tagged, view: _View) -> bool:
    return any(_value(view, f"tags/{tag}") == "true" for tag in node.is_one_of)


def _registered(node: model.Registered, view: _View) -> bool:
    return node.days_ago.hold(view.days_ago(_as_day(_value(view, "registered_on"))))


def _custom(node: model.Custom, view: _View) -> bool:
    said = view.sayings.get(f"custom/{node.name}")
    if said is None:
        return False
    return node.number.hold(said.number) if node.number else said.value == ("true" if node.yes else "false")


def _survey(node: model.Survey, view: _View) -> bool:
    said = view.sayings.get(f"survey/{node.survey}/{node.question}")
    return said is not None and _all(
        node.covers(said.said_on, view.as_of),
        node.choice is None or bool(set(node.choice) & set(said.choices)),
        _asked(node.number, said.number),
    )


def _points(node: model.Points, view: _View) -> bool:
    by_store: dict[str, dict[str, _Saying]] = {}
    for name, said in view.sayings.items():
        for what in ("balance", "expiring", "expires_on"):
            if name.startswith("points/") and name.endswith(f"/{what}") and len(name) > len(f"points/{what}"):
                by_store.setdefault(name[len("points/") : -len(what) - 1], {})[what] = said
    return any(_has_points(node, view, known) for store, known in by_store.items() if node.store in (None, store))


def _has_points(node: model.Points, view: _View, known: Mapping[str, _Saying]) -> bool:
    def number(what: str) -> float | None:
        return known[what].number if what in known else None

    ago = view.days_ago(_as_day(known["expires_on"].value)) if "expires_on" in known else None
    return _all(
        _asked(node.balance, number("balance")),
        _asked(node.expiring, number("expiring")),
        _asked(node.expires_in_days, -ago if ago is not None else None),
    )


def _member_rank(node: model.MemberRank, view: _View) -> bool:
    if node.store:
        return _value(view, f"rank/{node.store}") in node.is_one_of
    return any(
        said.value in node.is_one_of
        for name, said in view.sayings.items()
        if name.startswith("rank/") and not (name.endswith("/until") and len(name) >= len("rank//until"))
    )


def _consent(node: model.ConsentOn, view: _View) -> bool:
    said = {
        each.store: each.status.value
        for each in view.person.consents
        if each.channel == node.channel and shop_day(each.at, view.shop.timezone) <= view.as_of
    }
    if node.store is None:
        return node.status in said.values()
    return said.get(node.store, said.get(EVERY_STORE)) == node.status


def _visits(node: model.Visits, view: _View) -> Truth:
    """Past the latest 50 nothing is known: a count that may be too low decides only what more cannot change."""
    dated = [(shop_day(visit.at, view.shop.timezone), visit) for visit in view.person.visits]
    found = [
        visit
        for on, visit in dated
        if on <= view.as_of
        and node.covers(on, view.as_of)
        and _among(node.kind, visit.kind)
        and (node.name is None or open_text(visit.name) in node.name)
        and _among(node.page_type, visit.page_type)
        and (node.product is None or open_text(visit.product_id) in node.product)
    ]
    oldest = min((on for on, _ in dated), default=None)
    if len(dated) < VISITS_KEPT or oldest is None or not _reaches_before(node, oldest, view.as_of):
        return _measured(node, {"count": len(found)})
    numbers = node.compared()["count"]
    if numbers.hold(len(found)) and not set(numbers.given()) & {"at_most", "less_than", "is"}:
        return True
    too_many = {"at_most", "less_than", "is"} & set(numbers.given())
    return False if any(_over(numbers, name, len(found)) for name in too_many) else None


def _reaches_before(node: model.Visits, oldest: date, as_of: date) -> bool:
    """Could a day up to the oldest kept visit be in the window?"""
    if node.since is not None and node.since > oldest:
        return False
    return node.within_days is None or (as_of - oldest).days < node.within_days


def _over(numbers: Numbers, name: str, count: int) -> bool:
    limit = numbers.given()[name]
    return count >= limit if name == "less_than" else count > limit


def _status(node: model.HasStatus, view: _View) -> bool:
    scores = view.person.profile.scores
    return scores is not None and _all(
        scores.status in node.is_one_of,
        _asked(node.since_days, view.days_ago(scores.status_since)),
    )


def _tier(node: model.Tier, view: _View) -> bool:
    scores = view.person.profile.scores
    return scores is not None and scores.ltv_tier in node.is_one_of


def _rfm(node: model.Rfm, view: _View) -> bool:
    scores = view.person.profile.scores
    return scores is not None and _all(
        _asked(node.r, scores.rfm_r),
        _asked(node.f, scores.rfm_f),
        _asked(node.m, scores.rfm_m),
        _among(node.rank, scores.rfm_rank),
    )


def _sample(node: model.Sample, view: _View) -> bool:
    salted = f"{node.seed}:{view.person.profile.customer_id}"
    return hashlib.sha256(salted.encode()).hexdigest() < node.below()


_ASKED: Mapping[type[Condition], Callable[[Any, _View], Truth]] = {
    model.Orders: _orders,
    model.Bought: _bought,
    model.FirstOrder: _first_order,
    model.LastOrder: _last_order,
    model.LeftCart: _left_cart,
    model.Contracts: _contracts,
    model.Age: _age,
    model.Birthday: _birthday,
    model.Gender: _saying,
    model.Prefecture: _saying,
    model.Occupation: _saying,
    model.Source: _saying,
    model.Tagged: _tagged,
    model.Registered: _registered,
    model.Custom: _custom,
    model.Survey: _survey,
    model.Points: _points,
    model.MemberRank: _member_rank,
    model.ConsentOn: _consent,
    model.Visits: _visits,
    model.HasStatus: _status,
    model.Tier: _tier,
    model.Rfm: _rfm,
    model.Sample: _sample,
}
