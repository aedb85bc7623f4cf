"""Which products a person is shown (レコメンド): what people with the same purchases bought, newest purchases first.

A product counts the share of its companions' buyers who also bought it, summed over what the person bought, each
purchase weighing half as much for every HALF_LIFE it lies before their last one. Never shown: what they own or have
in the cart, and what cannot be bought now. Where that is not enough, the best sellers follow.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta

from shared.customers.model import PersonState
from shared.delivery.content.catalogue import Catalogue, Product

HALF_LIFE = timedelta(days=180)
SHOWN = 3
"""What a phone shows without scrolling on."""


def recommend(person: PersonState, catalogue: Catalogue, count: int = SHOWN) -> tuple[Product, ...]:
    """At most `count` products, best first; the same state and catalogue always give the same."""
    bought = _bought_at(person)
    kept = set(bought) | _in_hand(person)
    scores: dict[str, float] = defaultdict(float)
    latest = max(bought.values(), default=None)
    for product_id, at in bought.items():
        weight = 0.5 ** ((latest - at) / HALF_LIFE) if latest else 1.0
        for companion in catalogue.bought_with.get(product_id, ()):
            scores[companion.product_id] += weight * companion.rate
    ranked = sorted(scores, key=lambda product_id: (-scores[product_id], product_id))
    order = dict.fromkeys([*ranked, *catalogue.best_sellers])
    found = (catalogue.on_sale(product_id) for product_id in order if product_id not in kept)
    return tuple(product for product in found if product)[:count]


def arrivals(person: PersonState, catalogue: Catalogue, count: int = SHOWN) -> tuple[Product, ...]:
    """What came into the shop last (新着), newest first, without what the person already has."""
    owned = set(_bought_at(person))
    dated = [
        (product.new_on, product)
        for product in catalogue.products.values()
        if product.new_on and not product.sold_out and product.product_id not in owned
    ]
    newest = sorted(dated, key=lambda each: (each[0], each[1].product_id), reverse=True)
    return tuple(product for _, product in newest[:count])


def viewed(person: PersonState, catalogue: Catalogue, count: int = SHOWN) -> tuple[Product, ...]:
    """What the person looked at last (最終閲覧商品) and can still be bought, latest first."""
    seen = dict.fromkeys(visit.product_id for visit in reversed(person.visits) if visit.product_id)
    found = (catalogue.on_sale(product_id) for product_id in seen)
    return tuple(product for product in found if product)[:count]


def _bought_at(person: PersonState) -> dict[str, datetime]:
    """Product → when it was last bought."""
    valid = [(order.ordered_at, order) for order in person.orders if order.valid and order.ordered_at]
    dated = sorted(valid, key=lambda each: each[0])
    return {line.product_id: at for at, order in dated for line in order.lines}


def _in_hand(person: PersonState) -> set[str]:
    """In an open cart, or delivered by a contract."""
    return {*_in_carts(person), *(product for contract in person.subscriptions for product in contract.product_ids)}


def _in_carts(person: PersonState) -> Iterator[str]:
    return (line.product_id for cart in person.carts if cart.open for line in cart.lines)
