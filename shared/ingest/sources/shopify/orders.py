"""Orders, and what happens to one without its body: parcels and payments are steps of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from typing import Literal

from shared.core.clock import to_iso
from shared.core.errors import RejectedError
from shared.ingest import body as read
from shared.ingest import media
from shared.ingest.body import Body
from shared.ingest.derive import event
from shared.ingest.model import (
    Envelope,
    Event,
    EventType,
    Line,
    OrderDeletedFacts,
    OrderFacts,
    OrderStatusFacts,
    Person,
)
from shared.ingest.sources.shopify.customers import buyer
from shared.ingest.sources.shopify.fields import GID, WORD, cart_token, lines_of, money, shop_currency, tag_list, unread
from shared.ingest.sources.shopify.refunds import refund_of

PAID = frozenset({"paid", "partially_refunded", "refunded"})
"""financial_status of an order whose money came in; a コンビニ or 銀行振込 order is `pending` until then."""

FOREIGN_SUBSCRIPTION = "subscription_contract"
"""How `source_name` of an order begins that a subscription app placed: undocumented, so never relied on alone."""
_FIRST, _RECURRING = "subscription first order", "subscription recurring order"
_SUBSCRIPTION_TAGS = frozenset({"subscription", _FIRST, _RECURRING})

_Status = Literal["placed", "payment", "shipped", "out_for_delivery", "delivered", "failed", "cancelled", "other"]

PARCEL: Mapping[str, _Status] = {
    "success": "shipped",
    "in_transit": "shipped",
    "carrier_picked_up": "shipped",
    "out_for_delivery": "out_for_delivery",
    "delivered": "delivered",
    "failure": "failed",
    "attempted_delivery": "failed",
}
"""Word of a fulfilment or of its events → the order's step; whatever is not here is `other`."""


def order_changed(event_type: EventType) -> Callable[[Envelope, Body], Sequence[Event]]:
    """An order as its body has it now, told as this type of event."""

    def events(envelope: Envelope, body: Body) -> Sequence[Event]:
        cancelled_at = read.time(body, "cancelled_at")
        if event_type is EventType.ORDER_CANCELLED:
            cancelled_at = cancelled_at or envelope.occurred_at
        facts = _order_facts(body, cancelled_at)
        changed_at = read.time(body, "updated_at") or read.time(body, "created_at") or envelope.occurred_at
        return (event(envelope, event_type, facts, buyer(body), _version(envelope, changed_at)),)

    return events


def _version(envelope: Envelope, changed_at: datetime) -> str:
    """When it changed, to the second; of several changes in one second (placed, and paid) the one told last.

    A webhook was triggered after the change; a record that was polled says no more, and is as it was when it was read.
    """
    told_at = envelope.occurred_at if envelope.occurred_at > changed_at else envelope.received_at
    return f"{to_iso(changed_at)}/{to_iso(told_at)}"


def _order_facts(body: Body, cancelled_at: datetime | None) -> OrderFacts:
    currency = read.required(shop_currency(body, "total_price") or read.currency(body), "currency")
    tags = _tags(body)
    ordered_at = read.time(body, "processed_at") or read.time(body, "created_at")
    total = money(body, "total_price", currency)
    if ordered_at is None or total is None:
        raise RejectedError("an order needs 'created_at' and 'total_price'")
    return OrderFacts(
        order_id=read.required(read.identifier(body, gid=GID), "id"),
        number=read.text(body, "name"),
        ordered_at=ordered_at,
        currency=currency,
        total=max(0, total),
        paid=read.word(body, "financial_status") in PAID,
        cancelled_at=cancelled_at,
        test=read.flag(body, "test"),
        lines=_subscribed(body, lines_of(body, currency), tags),
        refunds=tuple(refund_of(refund, currency) for refund in read.items(body, "refunds")),
        checkout_token=read.text(body, "checkout_token"),
        cart_token=cart_token(body, "cart_token"),
        goods_total=money(body, "subtotal_price", currency),
        discount=abs(money(body, "total_discounts", currency) or 0),
        coupons=_coupons(body),
        media=_media(body),
        referral=media.referral(read.text(body, "landing_site")),
        delivery_number=1 if _FIRST in tags else None,
        offline=read.word(body, "source_name") == "pos",
    )


def _tags(body: Body) -> frozenset[str]:
    """Tags of an order, in lower case."""
    return frozenset(tag.strip().lower() for tag in tag_list(body))


def _subscribed(body: Body, lines: tuple[Line, ...], tags: frozenset[str]) -> tuple[Line, ...]:
    """The lines, with those of a subscription marked: all, where only the order as a whole shows it."""
    foreign = read.word(body, "source_name").startswith(FOREIGN_SUBSCRIPTION) or bool(tags & _SUBSCRIPTION_TAGS)
    if not foreign or any(line.subscription for line in lines):
        return lines
    return tuple(replace(line, subscription=True) for line in lines)


def _coupons(body: Body) -> tuple[str, ...]:
    """Codes the buyer gave; an automatic discount has none."""
    entered = [*read.items(body, "discount_codes"), *read.items(body, "discount_applications")]
    codes = (media.code(read.text(each, "code")) for each in entered)
    return tuple(dict.fromkeys(code for code in codes if code))


def _media(body: Body) -> str | None:
    """utm values of the landing page, else those a theme wrote into the order's attributes."""
    noted = {read.text(note, "name"): note for note in read.items(body, "note_attributes")}
    attributes = (read.text(noted[name], "value") if name in noted else None for name in media.UTM)
    return media.from_landing_page(read.text(body, "landing_site")) or media.joined(*attributes)


def _step(envelope: Envelope, body: Body, status: _Status, word: str, at: datetime | None) -> Sequence[Event]:
    """A step of the order a body names, at its own time."""
    order_id = read.required(read.identifier(body, "order_id"), "order_id")
    facts = OrderStatusFacts(order_id=order_id, status=status, word=word if WORD.fullmatch(word) else None)
    person = Person(anonymous_ids=(f"order/{order_id}",))
    happened = event(envelope, EventType.ORDER_UPDATED, facts, person, at)
    return (replace(happened, occurred_at=at or envelope.occurred_at),)


def parcel(envelope: Envelope, body: Body) -> Sequence[Event]:
    """A parcel as it stands: `shipment_status` is the carrier's word, `status` Shopify's."""
    word = read.word(body, "shipment_status") or read.word(body, "status")
    at = read.time(body, "updated_at") or read.time(body, "created_at")
    status = PARCEL.get(word) or PARCEL.get(read.word(body, "status"), "other")
    return _step(envelope, body, status, word, at)


def parcel_scanned(envelope: Envelope, body: Body) -> Sequence[Event]:
    """One scan of a parcel: `delivered` is what mails after the arrival (お届け後) wait for."""
    word = read.word(body, "status")
    at = read.time(body, "happened_at") or read.time(body, "created_at")
    return _step(envelope, body, PARCEL.get(word, "other"), word, at)


def paid(envelope: Envelope, body: Body) -> Sequence[Event]:
    """Money that came in (コンビニ and 銀行振込 confirm so); it need not be all of it: orders/paid says that."""
    kind, status = read.word(body, "kind"), read.word(body, "status")
    came_in = (read.number(body, "amount") or Decimal(0)) > 0
    is_payment = (
        came_in and kind in {"", "sale", "capture"} and status in {"", "success"} and not read.flag(body, "test")
    )
    if not is_payment or read.identifier(body, "order_id") is None:
        return unread(envelope, body)
    at = read.time(body, "processed_at") or read.time(body, "created_at")
    return _step(envelope, body, "payment", kind, at)


def order_deleted(envelope: Envelope, body: Body) -> Sequence[Event]:
    """An order is gone from the shop: what it said is taken back."""
    order_id = read.required(read.identifier(body, gid=GID), "id")
    return (event(envelope, EventType.ORDER_DELETED, OrderDeletedFacts(order_id=order_id)),)
