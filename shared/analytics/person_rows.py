"""What the lake keeps of a change in a person's state: orders with their lines, contracts, attributes, consent, links.

Each function turns what stood before and what stands now into the rows that say so; nothing that stayed the same is
said again. A state that is gone (moved by 名寄せ, taken back, erased) is said as `removed`.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.analytics.impersonal import Plain, open_attributes
from shared.analytics.rows import Row, changed_on, padded, state_row
from shared.analytics.schema import (
    ATTRIBUTE_STATES,
    CONSENT_STATES,
    ORDER_LINES,
    ORDER_STATES,
    PERSON_IDS,
    PERSON_LINKS,
    SUBSCRIPTION_STATES,
    Table,
)
from shared.core.clock import shop_day
from shared.core.ids import CustomerId, Ref
from shared.core.shop import Shop
from shared.customers.model import Attribute, Consent, Order, Subscription

TableRow = tuple[Table, Row]


@dataclass(frozen=True, slots=True)
class Written:
    """Whose state was written, and when."""

    customer_id: CustomerId
    shop: Shop
    at: datetime
    sequence: str = ""

    def day(self, at: datetime | None) -> Any:
        """The shop's day of an instant."""
        return shop_day(at, self.shop.timezone) if at else None

    def stamp(self, *, removed: bool) -> dict[str, Any]:
        """What every row of a state ends with."""
        return {"written_at": self.at, "sequence": padded(self.sequence), "removed": removed}


def order_rows(
    order: Order, written: Written, *, before: Order | None = None, removed: bool = False
) -> Iterator[TableRow]:
    """An order's state and its lines; lines that it had before and has no longer are removed."""
    state = state_row(
        written.customer_id, order, written.shop, written_at=written.at, sequence=written.sequence, removed=removed
    )
    yield ORDER_STATES, state
    key = {name: state[name] for name in ("customer_id", "source", "store", "order_id", "ordered_on", "changed_on")}
    for number, line in enumerate(order.lines, 1):
        yield (
            ORDER_LINES,
            {
                **key,
                "line_no": number,
                "product_id": line.product_id,
                "variant_id": line.variant_id,
                "title": line.title,
                "category": line.category,
                "quantity": line.quantity,
                "unit_amount": line.unit_amount,
                "amount": line.quantity * line.unit_amount,
                "currency": order.currency,
                "subscription": line.subscription,
                **written.stamp(removed=removed),
            },
        )
    for number in range(len(order.lines) + 1, (len(before.lines) if before else 0) + 1):
        yield ORDER_LINES, {**key, "line_no": number, **written.stamp(removed=True)}


def subscription_rows(contract: Subscription, written: Written, *, removed: bool = False) -> Iterator[TableRow]:
    """A contract's state (定期契約)."""
    yield (
        SUBSCRIPTION_STATES,
        {
            "customer_id": written.customer_id,
            "source": contract.source,
            "store": contract.store,
            "subscription_id": contract.subscription_id,
            "state": contract.state.value,
            "product_id": next(iter(contract.product_ids), None),
            "product_ids": list(contract.product_ids),
            "interval_days": contract.interval_days,
            "deliveries": contract.deliveries,
            "next_delivery_on": contract.next_delivery_on,
            "started_on": written.day(contract.started_at),
            "cancelled_on": written.day(contract.cancelled_at),
            "cancel_reason": contract.cancel_reason,
            "media": contract.media,
            "amount": contract.amount,
            "currency": contract.currency,
            "estimated": contract.estimated,
            "changed_on": changed_on(contract.version, written.shop) or written.day(contract.started_at or written.at),
            "historical": contract.historical,
            **written.stamp(removed=removed),
        },
    )


def consent_rows(consent: Consent, written: Written, *, removed: bool = False) -> Iterator[TableRow]:
    """A consent as it stands (配信許諾)."""
    yield (
        CONSENT_STATES,
        {
            "customer_id": written.customer_id,
            "channel": consent.channel,
            "store": consent.store,
            "status": consent.status.value,
            "said_at": consent.at,
            "said_on": written.day(consent.at),
            **written.stamp(removed=removed),
        },
    )


def attribute_rows(
    before: Mapping[str, Attribute], now: Mapping[str, Attribute], written: Written
) -> Iterator[TableRow]:
    """The attributes (顧客属性) that changed, those that are gone as removed."""
    was, stands = open_sayings(before), open_sayings(now)
    for name in sorted(was.keys() | stands.keys()):
        value, at = stands.get(name) or was[name]
        if was.get(name) != stands.get(name):
            yield (
                ATTRIBUTE_STATES,
                {
                    "customer_id": written.customer_id,
                    "name": name,
                    **valued(value),
                    "said_at": at,
                    "said_on": written.day(at),
                    **written.stamp(removed=name not in stands),
                },
            )


def open_sayings(attributes: Mapping[str, Attribute]) -> dict[str, tuple[Plain, datetime]]:
    """The attributes that may enter the lake, by name: what was said, and when."""
    said: dict[str, tuple[Plain, datetime]] = {}
    for name, attribute in attributes.items():
        for shown, value in open_attributes({name: attribute.value}).items():
            said[shown] = (value, attribute.at)
    return said


def valued(value: Plain) -> dict[str, Any]:
    """A value as the columns `value`, `number` and `choices` say it."""
    if isinstance(value, bool):
        return {"value": "true" if value else "false"}
    if isinstance(value, int | float):
        return {"value": f"{value:g}" if isinstance(value, float) else str(value), "number": float(value)}
    if isinstance(value, str):
        return {"value": value}
    return {"choices": list(value)}


def link_rows(before: frozenset[Ref], now: frozenset[Ref], written: Written) -> Iterator[TableRow]:
    """Refs that name this person since now, and those that do no longer."""
    for ref in sorted(before ^ now):
        yield (
            PERSON_LINKS,
            {
                "ref": ref,
                "customer_id": written.customer_id,
                "written_on": written.day(written.at),
                **written.stamp(removed=ref not in now),
            },
        )


def id_rows(read_as: Mapping[CustomerId, CustomerId], written: Written) -> Iterator[TableRow]:
    """As whom the rows of each id are read since now (名寄せ・取り消し)."""
    for stored_id, customer_id in sorted(read_as.items()):
        yield (
            PERSON_IDS,
            {
                "stored_id": stored_id,
                "customer_id": customer_id,
                "written_at": written.at,
                "written_on": written.day(written.at),
                "sequence": padded(written.sequence),
            },
        )
