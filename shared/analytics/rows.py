"""What the lake keeps of an event and of an order: pure, and without anything that names a person."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

from shared.analytics.impersonal import open_facts
from shared.analytics.schema import Table
from shared.core.clock import from_iso, shop_day
from shared.core.ids import CustomerId, Ref, digest
from shared.core.shop import Shop
from shared.customers.identity import OWN_SOURCES
from shared.customers.model import Order
from shared.ingest.codec import facts_document
from shared.ingest.model import Event

Row = dict[str, Any]

OWN_CUSTOMER = "person"
"""Kind of the ref that is our own customer id, as our pages and mails say it."""

SEQUENCE_DIGITS = 40
"""Stream sequence numbers have up to 40 digits; padded, text order is their order."""


def event_row(event: Event, refs: Iterable[Ref], shop: Shop) -> Row:
    """One row of `events`."""
    return {
        "event_id": event.event_id,
        "event_type": event.event_type.value,
        "source": event.source,
        "store": event.store,
        "subject": digest(event.subject),
        "refs": [*refs, *_own_customer(event)],
        "occurred_at": event.occurred_at,
        "occurred_on": shop_day(event.occurred_at, shop.timezone),
        "received_at": event.received_at,
        "version": event.version,
        "facts": json.dumps(open_facts(facts_document(event.facts)), ensure_ascii=False, separators=(",", ":")),
        "historical": event.historical,
    }


def _own_customer(event: Event) -> list[str]:
    if event.source in OWN_SOURCES and event.person.source_customer_id:
        return [f"{OWN_CUSTOMER}:{event.person.source_customer_id}"]
    return []


def state_row(
    customer_id: CustomerId,
    order: Order,
    shop: Shop,
    *,
    written_at: datetime,
    sequence: str = "",
    removed: bool = False,
) -> Row:
    """One row of `order_states`: how an order stood from now on; `removed` when it left this person."""
    ordered_on = shop_day(order.ordered_at, shop.timezone) if order.ordered_at else None
    return {
        "customer_id": customer_id,
        "source": order.source,
        "store": order.store,
        "order_id": order.order_id,
        "ordered_at": order.ordered_at,
        "ordered_on": ordered_on,
        "currency": order.currency,
        "total": order.total,
        "amount": order.amount,
        "valid": order.valid,
        "cancelled": order.cancelled,
        "version": order.version,
        "changed_on": changed_on(order.version, shop) or ordered_on,
        "written_at": written_at,
        "sequence": padded(sequence),
        "removed": removed,
        "historical": order.historical,
        "goods_total": order.goods_total,
        "discount": order.discount,
        "coupons": list(order.coupons),
        "media": order.media,
        "subscription_id": order.subscription_id,
        "delivery_number": order.delivery_number,
        "offline": order.offline,
        "line_count": len(order.lines),
    }


def padded(sequence: str) -> str:
    """A stream's sequence number as text whose order is its order."""
    return sequence.rjust(SEQUENCE_DIGITS, "0") if sequence else ""


def changed_on(version: str, shop: Shop) -> date | None:
    """The shop day from which a thing stood like this, where its version is a time (most sources' `updated_at`)."""
    try:
        # What follows the slash only breaks ties within one version (WooCommerce, Shopify, Stripe).
        return shop_day(from_iso(version.partition("/")[0]), shop.timezone)
    except ValueError:
        return None


def partition_day(table: Table, row: Mapping[str, Any]) -> date:
    """The shop day that decides about a row's partition.

    Where only a refund of an order is known, it is filed under the day we heard of it, and counted nowhere.
    """
    day = next(row[name] for name in table.day if row[name] is not None)
    return day.date() if isinstance(day, datetime) else day
