"""What a mail template may speak of: the person, the shop, the sender, and what the scenario brings (`cart`, …).

What follows from the person's state as it is when the message goes (LIVE) is worked out when a template reads it, and
only then. What the scenario brings goes before it: the order that started it, not the last one.

Every name a template uses must be here or in `SendRequest.context`; a value that is not known is None, never absent,
so that a template can ask for it and a misspelt name is an error.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import asdict
from datetime import date
from types import MappingProxyType
from typing import Any

from shared.core.clock import shop_day
from shared.core.ids import CustomerId
from shared.core.keys import KeyRing
from shared.core.money import format_amount
from shared.core.shop import Shop
from shared.customers.model import Cart, Order, PersonState, Profile, Subscription
from shared.customers.referrals import share_url
from shared.delivery.content.catalogue import EMPTY, Catalogue, Product
from shared.delivery.content.recommend import arrivals, recommend, viewed
from shared.delivery.policy import SECTION
from shared.delivery.sender import Sender
from shared.ingest.model import Line, SubscriptionState

LIVE = ("order", "contract", "points", "rank", "viewed", "recommendations", "arrivals")
"""Lists are empty and the others None where nothing is known."""

Drawn = Mapping[str, Callable[[], Any]]
"""What is made only for a message that names it: a code of a campaign (`coupon`), the link by which somebody recommends
the shop (`share_url`).
"""
NOTHING: Drawn = MappingProxyType({})

JAPAN = "Asia/Tokyo"
_UNITS = {"day": "日ごと", "week": "週間ごと", "month": "か月ごと", "year": "年ごと"}
_RUNNING = frozenset({SubscriptionState.ACTIVE, SubscriptionState.PAST_DUE})


def cart_context(cart: Cart) -> dict[str, Any]:
    """`cart` of a template: its lines, its total and the way back to it (カートに戻るリンク)."""
    currency = cart.currency or "JPY"
    return {
        "lines": [_line(line, currency) for line in cart.lines],
        "total": format_amount(cart.total, currency),
        "recovery_url": cart.recovery_url,
    }


def person_context(profile: Profile) -> dict[str, Any]:
    """`person` of a template. `name` is the family name Japanese mail greets with, or None."""
    return {
        "name": profile.last_name or profile.first_name,
        "last_name": profile.last_name,
        "first_name": profile.first_name,
        "full_name": " ".join(filter(None, (profile.last_name, profile.first_name))) or None,
        "order_count": profile.summary.order_count,
        "total_amount": format_amount(profile.summary.total_amount, profile.summary.currency),
        "ltv_tier": profile.scores.ltv_tier.value if profile.scores else None,
        "status": profile.scores.status.value if profile.scores else None,
    }


def order_context(order: Order, timezone: str = JAPAN, catalogue: Catalogue = EMPTY) -> dict[str, Any]:
    """`order` of a template: what was in it, each product with the way to its page."""
    return {
        "lines": [_line_with_page(line, order.currency, catalogue) for line in order.lines],
        "total": format_amount(order.total, order.currency),
        "ordered_on": day(shop_day(order.ordered_at, timezone)) if order.ordered_at else None,
    }


def contract_context(contract: Subscription, catalogue: Catalogue = EMPTY) -> dict[str, Any]:
    """`contract` of a template (定期お届け): what comes, when and for how much."""
    currency = contract.currency or "JPY"
    unit = _UNITS.get(contract.interval_unit or "")
    return {
        "lines": [_line_with_page(line, currency, catalogue) for line in contract.lines],
        "amount": None if contract.amount is None else format_amount(contract.amount, currency),
        "interval": f"{contract.interval_count}{unit}" if unit and contract.interval_count else None,
        "next_delivery_on": day(contract.next_delivery_on) if contract.next_delivery_on else None,
        "deliveries": contract.deliveries,
    }


def share_link(shop: Shop, customer: CustomerId, keys: KeyRing) -> str | None:
    """`share_url` of a template: the shop's address as this person passes it on (ご紹介リンク)."""
    shop_url = shop.section(SECTION).get("shop_url")
    return share_url(str(shop_url), shop.tenant, customer, keys) if shop_url else None


def day(on: date) -> str:
    """As a letter says it: `3月5日`."""
    return f"{on.month}月{on.day}日"


def template_context(
    person: PersonState,
    shop: Shop,
    sender: Sender,
    unsubscribe_url: str,
    given: Mapping[str, Any],
    catalogue: Callable[[], Catalogue] = lambda: EMPTY,
    drawn: Drawn = NOTHING,
) -> Mapping[str, Any]:
    """Everything a template may use. The scenario's own variables cannot hide ours, except those that are live."""
    known = {
        **given,
        "person": person_context(person.profile),
        "shop": _shop(shop),
        "sender": asdict(sender),
        "unsubscribe_url": unsubscribe_url,
    }
    live = {**_live(person, shop, catalogue), **drawn}
    return _Context(known, {name: make for name, make in live.items() if name not in known})


class _Context(Mapping[str, Any]):
    """Variables, some of which are worked out when somebody looks."""

    def __init__(self, known: dict[str, Any], live: Mapping[str, Callable[[], Any]]) -> None:
        self._known = known
        self._live = live

    def __getitem__(self, name: str) -> Any:
        if name not in self._known and name in self._live:
            self._known[name] = self._live[name]()
        return self._known[name]

    def __contains__(self, name: object) -> bool:
        return name in self._known or name in self._live

    def __iter__(self) -> Iterator[str]:
        return iter(dict.fromkeys([*self._known, *self._live]))

    def __len__(self) -> int:
        return len({*self._known, *self._live})


def _live(person: PersonState, shop: Shop, catalogue: Callable[[], Catalogue]) -> dict[str, Callable[[], Any]]:
    return {
        "order": lambda: _last_order(person, shop, catalogue()),
        "contract": lambda: _next_contract(person, catalogue()),
        "points": lambda: _points(person),
        "rank": lambda: _rank(person),
        "viewed": lambda: _products(viewed(person, catalogue())),
        "recommendations": lambda: _products(recommend(person, catalogue())),
        "arrivals": lambda: _products(arrivals(person, catalogue())),
    }


def _last_order(person: PersonState, shop: Shop, catalogue: Catalogue) -> dict[str, Any] | None:
    dated = [(order.ordered_at, order.order_id, order) for order in person.orders if order.valid and order.ordered_at]
    last = max(dated, key=lambda each: each[:2], default=None)
    return order_context(last[2], shop.timezone, catalogue) if last else None


def _next_contract(person: PersonState, catalogue: Catalogue) -> dict[str, Any] | None:
    running = [contract for contract in person.subscriptions if contract.state in _RUNNING]
    soonest = min(running, key=lambda each: (each.next_delivery_on or date.max, each.subscription_id), default=None)
    return contract_context(soonest, catalogue) if soonest else None


def _points(person: PersonState) -> dict[str, Any] | None:
    """Of the store whose points expire first."""
    found = {name.split("/")[1]: value for name, value in _values(person, "points/", "/expires_on").items()}
    if not found:
        return None
    store = min(found, key=lambda each: (str(found[each]), each))
    of_store = _values(person, f"points/{store}/")
    return {
        "balance": of_store.get(f"points/{store}/balance"),
        "expiring": of_store.get(f"points/{store}/expiring"),
        "expires_on": _day_of(found[store]),
    }


def _rank(person: PersonState) -> dict[str, Any] | None:
    """The rank said last."""
    said = {n: a for n, a in person.attributes.items() if n.startswith("rank/") and not n.endswith("/until")}
    if not said:
        return None
    name = max(said, key=lambda each: (said[each].at, each))
    until = person.attributes.get(f"{name}/until")
    return {"name": said[name].value, "until": _day_of(until.value) if until else None}


def _values(person: PersonState, start: str, end: str = "") -> dict[str, Any]:
    known = person.attributes.items()
    return {name: said.value for name, said in known if name.startswith(start) and name.endswith(end)}


def _day_of(value: Any) -> str | None:
    try:
        return day(date.fromisoformat(str(value)))
    except ValueError:
        return None


def product_context(product: Product) -> dict[str, Any]:
    """A product of a list: its name, its price and the way to it."""
    return {
        "title": product.title,
        "price": None if product.price is None else format_amount(product.price, product.currency),
        "url": product.url,
        "image_url": product.image_url,
    }


def _products(products: Iterable[Product]) -> list[dict[str, Any]]:
    return [product_context(product) for product in products]


def _line_with_page(line: Line, currency: str, catalogue: Catalogue) -> dict[str, Any]:
    product = catalogue.products.get(line.product_id)
    image_url = line.image_url or (product.image_url if product else None)
    return {**_line(line, currency), "image_url": image_url, "url": product.url if product else None}


def _shop(shop: Shop) -> dict[str, Any]:
    section = shop.section(SECTION)
    return {"name": shop.name, "url": section.get("shop_url"), "guide_url": section.get("guide_url")}


def _line(line: Line, currency: str) -> dict[str, Any]:
    return {
        "title": line.title,
        "quantity": line.quantity,
        "price": format_amount(line.unit_amount, currency),
        "amount": format_amount(line.unit_amount * line.quantity, currency),
        "image_url": line.image_url,
    }
