"""STORES and STORES レジ orders, polled (API 202211): https://github.com/heyinc/retail-api-docs

The vendor offers no webhooks and no `updated_at`, so whoever polls compares what an order says with what it said
before; the time of reading is its version. Decided here:

- `sales_amount` is what was ordered, after discounts; `cancel_amount` is what was taken back of it and only grows, so
  it is one refund of a growing amount. Fees the payment adds (`system_fee`) are the vendor's, not the shop's.
- An order whose deliveries are all cancelled is cancelled.
- A buyer is known by mail address only; a register sale (レジ) names nobody and is an order of the shop all the same.
- Nothing consents: there is no such field.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime

from shared.core.errors import RejectedError
from shared.ingest import body as read
from shared.ingest.adapter import About, Connection, Request
from shared.ingest.body import Body
from shared.ingest.derive import event, unknown
from shared.ingest.model import Envelope, Event, EventType, Line, OrderFacts, Person, Refund
from shared.ingest.polled import polled_envelope

NAME = "stores"
ORDER = "order"
ONLINE = "ec"
"""`sales_channel_id` of the web shop; any other is a register."""
CURRENCY = "JPY"


class Stores:
    """Adapter of polled STORES orders."""

    name = NAME

    def verify(self, request: Request, connection: Connection, now: datetime) -> bool:
        """Never: STORES posts nothing."""
        return False

    def envelopes(self, request: Request, connection: Connection, now: datetime) -> Sequence[Envelope]:
        """The order in a polled record."""
        body = read.parse_object(request.body)
        key = read.required(read.opaque_id(body), "id")
        return (polled_envelope(request, connection, ORDER, key, None, now),)

    def events(self, envelope: Envelope) -> Sequence[Event]:
        """The order as it stood when it was read."""
        if envelope.topic != ORDER:
            return (unknown(envelope),)
        body = read.parse_object(envelope.raw)
        facts = _facts(body)
        said = EventType.ORDER_CANCELLED if facts.cancelled_at else EventType.ORDER_UPDATED
        return (event(envelope, said, facts, _buyer(body), envelope.received_at),)


ADAPTER = Stores()

ABOUT = About(
    title="STORES",
    arrives="polled, REST 202211, every 15 minutes",
    orders="yes: web shop and register, cancellations and partial ones",
    customers="no: no such list; a buyer is known by the order's mail address",
    consent="no: no such field",
    carts="no: not in the API",
    signature="none needed: nothing is posted to us",
    dedupe="order `id` and a comparison with what was read before",
    limits="no `updated_at`: orders of the last 90 days are re-read every hour, those of the last 30 days each time",
)


def _facts(body: Body) -> OrderFacts:
    ordered_at = read.time(body, "ordered_at")
    total = read.amount(body, "sales_amount", CURRENCY)
    if ordered_at is None or total is None:
        raise RejectedError("an order needs 'ordered_at' and 'sales_amount'")
    returned = read.amount(body, "cancel_amount", CURRENCY) or 0
    lines = tuple(_lines(body))
    return OrderFacts(
        order_id=read.required(read.opaque_id(body), "id"),
        number=read.text(body, "number"),
        ordered_at=ordered_at,
        currency=CURRENCY,
        total=max(0, total),
        paid=any(read.time(each, "paid_at") for each in read.items(body, "transactions")),
        cancelled_at=_cancelled_at(body),
        lines=lines,
        refunds=(Refund(refund_id="cancel", amount=returned),) if returned > 0 else (),
        goods_total=max(0, total - _beside_goods(body)),
        discount=max(0, read.amount(body, "sales_discount", CURRENCY) or 0),
        offline=read.word(body, "sales_channel_id") != ONLINE,
    )


def _beside_goods(body: Body) -> int:
    """送料 and the shop's own 代引き手数料 (`fee`), both of which `sales_amount` holds."""
    shipping = [read.inner(each, "shipping_fee") for each in read.items(body, "deliveries")]
    fees = [read.inner(each, "fee") for each in read.items(body, "transactions")]
    return sum(read.amount(fee, "amount", CURRENCY) or 0 for fee in (*shipping, *fees) if fee)


def _cancelled_at(body: Body) -> datetime | None:
    """When the last of its deliveries was cancelled, if all were."""
    times = [read.time(each, "canceled_at") for each in read.items(body, "deliveries")]
    known = [at for at in times if at is not None]
    return max(known) if known and len(known) == len(times) else None


def _lines(body: Body) -> Iterator[Line]:
    for delivery in read.items(body, "deliveries"):
        for item in read.items(delivery, "items"):
            title = " ".join(filter(None, (read.text(item, "name"), read.text(item, "variation_name"))))
            yield Line(
                # What is typed in at the register has no product.
                product_id=read.text(item, "item_id") or "custom",
                variant_id=read.text(item, "variation_id"),
                title=title,
                quantity=read.count(item, "quantity"),
                unit_amount=max(0, read.amount(item, "regular_price", CURRENCY) or 0),
            )


def _buyer(body: Body) -> Person:
    billing = read.inner(body, "billing_address") or {}
    return Person(
        email=read.email(body),
        phone=read.text(billing, "tel"),
        last_name=read.text(billing, "last_name"),
        first_name=read.text(billing, "first_name"),
        postal_code=read.text(billing, "zip_code"),
        prefecture=read.text(billing, "prefecture"),
        address=read.text(billing, "address"),
    )
