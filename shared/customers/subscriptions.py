"""Subscriptions that no source tells of (定期の推定): what the gaps between somebody's subscription orders suggest.

Some carts only mark an order's line as a delivery of a subscription (Shopify with a foreign subscription app). For
each store and product bought so:

| | |
|---|---|
| interval | the median of the gaps between the days of its orders, in days; unknown after one order |
| started | its first order |
| deliveries | its orders |
| next delivery | the last order plus the interval |
| state | always `unknown`: that somebody stopped cannot be told from a delay |

Always marked `estimated`; where a source tells of a contract on the same product, its word counts alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from datetime import timedelta
from itertools import pairwise
from statistics import median

from shared.core.ids import digest
from shared.customers.model import Order, Subscription
from shared.ingest.model import Line

SAME_DELIVERY_DAYS = 2
"""Orders closer together than this are one delivery in two parcels."""


def estimated(orders: Iterable[Order], told: Iterable[Subscription]) -> tuple[Subscription, ...]:
    """The contracts that orders suggest and no source told of."""
    known = {(contract.source, contract.store, product) for contract in told for product in contract.product_ids}
    bought: dict[tuple[str, str, str], list[tuple[Order, Line]]] = defaultdict(list)
    for order in orders:
        if not order.valid or order.subscription_id:
            continue
        for line in order.lines:
            if line.subscription and (order.source, order.store, line.product_id) not in known:
                bought[order.source, order.store, line.product_id].append((order, line))
    return tuple(_estimate(*key, bought[key]) for key in sorted(bought))


def _estimate(source: str, store: str, product: str, bought: Iterable[tuple[Order, Line]]) -> Subscription:
    dated = sorted(
        ((order.ordered_at, order.order_id, order, line) for order, line in bought if order.ordered_at),
        key=lambda each: each[:2],
    )
    deliveries = [dated[0]]
    for each in dated[1:]:
        if (each[0] - deliveries[-1][0]).days >= SAME_DELIVERY_DAYS:
            deliveries.append(each)
    gaps = [(after[0] - before[0]).days for before, after in pairwise(deliveries)]
    interval = round(median(gaps)) if gaps else None
    _, _, last, line = deliveries[-1]
    return Subscription(
        source=source,
        store=store,
        subscription_id=f"estimated-{digest(source, store, product)[:12]}",
        started_at=deliveries[0][0],
        lines=(line,),
        currency=last.currency,
        amount=line.unit_amount * line.quantity,
        interval_unit="day" if interval else None,
        interval_count=interval,
        deliveries=len(deliveries),
        next_delivery_on=(deliveries[-1][0] + timedelta(days=interval)).date() if interval else None,
        media=deliveries[0][2].media,
        estimated=True,
        version=last.version,
        event_id=last.event_id,
        historical=last.historical,
    )
