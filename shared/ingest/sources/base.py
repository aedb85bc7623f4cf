"""BASE orders, polled: https://docs.thebase.in (`GET /1/orders`, then `/1/orders/detail/:unique_key` for each)

Decided here:

- A buyer is known by mail address only: there is no customer id.
- An order is paid when it is no longer 入金待ち (`unpaid`).
- `total` may or may not still contain an item that was cancelled alone; the documents do not say. Where it does (it is
  the sum of all items), each cancelled item is a refund of its own; where it does not, nothing is subtracted twice.
- `subscription` names the contract of a 定期便 order: it becomes a contract (its interval is not told), versioned by
  the delivery number so that a late change of an old delivery does not turn it back.
- Nothing consents: there is no such field.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from shared.core.clock import to_iso
from shared.core.errors import RejectedError
from shared.ingest import body as read
from shared.ingest.adapter import About, Connection, Request
from shared.ingest.body import Body
from shared.ingest.derive import event, unknown
from shared.ingest.model import (
    Envelope,
    Event,
    EventType,
    Line,
    OrderFacts,
    Person,
    Refund,
    SubscriptionFacts,
    SubscriptionState,
)
from shared.ingest.polled import polled_envelope, time_if_read

NAME = "base"
ORDER = "order"
CURRENCY = "JPY"
CANCELLED = "cancelled"
UNPAID = "unpaid"
MAX_DELIVERIES = 10_000


class Base:
    """Adapter of polled BASE orders (the body of `/1/orders/detail`, unwrapped)."""

    name = NAME

    def verify(self, request: Request, connection: Connection, now: datetime) -> bool:
        """Never: BASE posts nothing."""
        return False

    def envelopes(self, request: Request, connection: Connection, now: datetime) -> Sequence[Envelope]:
        """The order in a polled record."""
        body = read.parse_object(request.body)
        key = read.required(read.opaque_id(body, "unique_key"), "unique_key")
        return (polled_envelope(request, connection, ORDER, key, time_if_read(_modified, body), now),)

    def events(self, envelope: Envelope) -> Sequence[Event]:
        """The order at this version, and the contract it is a delivery of."""
        if envelope.topic != ORDER:
            return (unknown(envelope),)
        body = read.parse_object(envelope.raw)
        facts, buyer = _facts(body), _buyer(body)
        said = EventType.ORDER_CANCELLED if facts.cancelled_at else EventType.ORDER_UPDATED
        modified = _modified(body) or envelope.occurred_at
        return (event(envelope, said, facts, buyer, modified), *_contract(envelope, body, facts, buyer, modified))


ADAPTER = Base()

ABOUT = About(
    title="BASE",
    arrives="polled, REST API 1, every 15 minutes",
    orders="yes: cancellations of orders and of single items",
    customers="no: no such list; a buyer is known by the order's mail address",
    consent="no: no such field",
    carts="no: not in the API",
    signature="none needed: nothing is posted to us; OAuth2 with a refresh token that is replaced on use",
    dedupe="`unique_key` and `modified`",
    limits="the list is filtered by order time only: the last 90 days are re-read every hour, the last 30 days each "
    "time; 5,000 calls an hour: one call a second",
)


def _modified(body: Body) -> datetime | None:
    return read.epoch_time(body, "modified")


def _facts(body: Body) -> OrderFacts:
    ordered_at = read.epoch_time(body, "ordered")
    total = read.amount(body, "total", CURRENCY)
    if ordered_at is None or total is None:
        raise RejectedError("an order needs 'ordered' and 'total'")
    status = read.word(body, "dispatch_status")
    contract, number = _delivery(body)
    discount = max(0, _discount(body))
    return OrderFacts(
        order_id=read.required(read.opaque_id(body, "unique_key"), "unique_key"),
        ordered_at=ordered_at,
        currency=CURRENCY,
        total=max(0, total),
        paid=status not in (UNPAID, CANCELLED, ""),
        cancelled_at=_cancelled_at(body, status),
        lines=_lines(body, subscription=contract is not None),
        refunds=_refunds(body, total),
        goods_total=max(0, sum(_money(item, "total") for item in _kept_items(body)) - discount),
        discount=discount,
        subscription_id=contract,
        delivery_number=number,
    )


def _cancelled_at(body: Body, status: str) -> datetime | None:
    at = read.epoch_time(body, "cancelled")
    # Orders of before `dispatch_status` say it by the time alone.
    if status != CANCELLED and (status or at is None):
        return None
    return at or _modified(body) or read.epoch_time(body, "ordered")


def _kept_items(body: Body) -> list[Body]:
    return [item for item in read.items(body, "order_items") if read.word(item, "status") != CANCELLED]


def _refunds(body: Body, total: int) -> tuple[Refund, ...]:
    """Items cancelled alone, where the total still contains them."""
    items = read.items(body, "order_items")
    gone = [item for item in items if read.word(item, "status") == CANCELLED]
    if not gone or len(gone) == len(items) or total != sum(_money(item, "total") for item in items) + _added(body):
        return ()
    return tuple(
        Refund(refund_id=f"item-{_item_id(item)}", amount=amount)
        for item in gone
        if (amount := max(0, _money(item, "total")))
    )


def _item_id(item: Body) -> str:
    return read.required(read.identifier(item, "order_item_id"), "order_item_id")


def _added(body: Body) -> int:
    """What an order costs beside its items: shipping, 代引き手数料, less discounts."""
    adjusted = _money(read.inner(body, "order_amount_adjustment") or {}, "adjusted_amount")
    by_item = sum(_money(item, "shipping_fee") for item in read.items(body, "order_items"))
    return _money(body, "shipping_fee") + by_item + _money(body, "cod_fee") + adjusted - _discount(body)


def _discount(body: Body) -> int:
    """クーポン and コイン."""
    return sum(_money(read.inner(body, name) or {}, "discount") for name in ("order_discount", "order_header_coin"))


def _money(body: Body, name: str) -> int:
    return read.amount(body, name, CURRENCY) or 0


def _lines(body: Body, *, subscription: bool) -> tuple[Line, ...]:
    return tuple(
        Line(
            product_id=read.identifier(item, "item_id") or "custom",
            variant_id=read.identifier(item, "variation_id"),
            title=" ".join(filter(None, (read.text(item, "title"), read.text(item, "variation")))),
            quantity=read.count(item, "amount"),
            unit_amount=max(0, _money(item, "price")),
            subscription=subscription,
        )
        for item in read.items(body, "order_items")
    )


def _delivery(body: Body) -> tuple[str | None, int | None]:
    """(contract, n-th delivery) of a 定期便 order; (None, None) of any other."""
    said = read.inner(body, "subscription") or {}
    contract = read.opaque_id(said, "unique_key")
    if contract is None:
        return None, None
    return contract, min(read.count(said, "repeat_number"), MAX_DELIVERIES) or None


def _contract(
    envelope: Envelope, body: Body, order: OrderFacts, buyer: Person, modified: datetime
) -> tuple[Event, ...]:
    contract, number = _delivery(body)
    if contract is None:
        return ()
    last = read.count(read.inner(body, "subscription") or {}, "repeat_times")
    facts = SubscriptionFacts(
        subscription_id=contract,
        # BASE tells of a contract only through its orders: that it was given up is not among them.
        state=SubscriptionState.EXPIRED if number and last and number >= last else SubscriptionState.ACTIVE,
        started_at=order.ordered_at if number == 1 else None,
        lines=order.lines,
        currency=order.currency,
        amount=order.total,
        deliveries=number,
    )
    version = f"{number or 0:06d}/{to_iso(modified)}"
    return (event(envelope, EventType.SUBSCRIPTION_UPDATED, facts, buyer, version, part="subscription"),)


def _buyer(body: Body) -> Person:
    return Person(
        email=read.email(body, "mail_address"),
        phone=read.text(body, "tel"),
        last_name=read.text(body, "last_name"),
        first_name=read.text(body, "first_name"),
        postal_code=read.text(body, "zip_code"),
        prefecture=read.text(body, "prefecture"),
        address=" ".join(filter(None, (read.text(body, "address"), read.text(body, "address2")))) or None,
    )
