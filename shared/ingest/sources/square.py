"""Square webhooks: https://developer.squareup.com/docs/webhooks/overview

The signature covers the notification URL, byte for byte as it was registered: it stands in the connection and is never
rebuilt from the request. Decided here:

- One application may serve several merchants, so `merchant_id` in the signed body must be the connection's store.
- `order.*` is thin: an id and a state, no amount and no buyer, so it is a step of the order. What an order is worth
  comes with its completed payment; where the whole order is in the body (read back over the API, feed `order`), that
  beats every payment. An order paid in several parts counts its latest part until it was read back.
- Square writes an order of its own for every refund, so a refund's `order_id` is seldom the order that was paid: that
  one is lowered by the payment's `refunded_money`, which grows, or by the refund's order where it was read back. All
  count under the payment's id, once. Only a completed refund counts: a pending one may still fail. An exchange is worth
  what it came to beside its returns.
- A subscription with a `canceled_date` still runs: ACTIVE, with the time it was cancelled and no next delivery.
- `email_unsubscribed: true` is an opt-out. `false` is what Square writes for everybody who never said anything, so it
  is no consent (特定電子メール法).
- Merging customers makes a new one and deletes the old ones; both notices name all of them, and either is the merge.
- Test notifications, and what says it comes from the sandbox, are answered 200 and not kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from math import ceil
from typing import Literal

from shared.core.errors import RejectedError
from shared.ingest import body as read
from shared.ingest.adapter import About, Connection, Request, delivered
from shared.ingest.body import Body
from shared.ingest.derive import event, unknown
from shared.ingest.model import (
    ConsentFacts,
    CustomerDeletedFacts,
    Envelope,
    Event,
    EventType,
    Line,
    MergeFacts,
    OrderFacts,
    OrderStatusFacts,
    Person,
    ProductFacts,
    ProfileFacts,
    Refund,
    RefundFacts,
    SubscriptionFacts,
    SubscriptionState,
)
from shared.ingest.names import last_or_company, split_name
from shared.ingest.polled import feed_of, polled_envelope
from shared.ingest.prefectures import prefecture
from shared.ingest.signing import hmac_base64, is_any, live_secrets

NAME = "square"
MAX_MERGED = 100
"""Customers of one merge: more are refused as no merge of people."""

SUBSCRIPTION_STATES: Mapping[str, SubscriptionState] = {
    "active": SubscriptionState.ACTIVE,
    "paused": SubscriptionState.PAUSED,
    "deactivated": SubscriptionState.PAST_DUE,  # nobody paid
    "canceled": SubscriptionState.CANCELLED,
    "completed": SubscriptionState.EXPIRED,
}
"""Status of a subscription → ours; whatever is not here (`pending`) is UNKNOWN."""

_Status = Literal["placed", "payment", "shipped", "out_for_delivery", "delivered", "failed", "cancelled", "other"]
FULFILMENTS: Mapping[str, _Status] = {"completed": "shipped", "failed": "failed"}
"""State of a fulfilment → the order's step; whatever is not here is `other`."""

AT_THE_COUNTER = frozenset({"swiped", "emv", "contactless"})
"""How a card was read by somebody who stood before it (実店舗)."""
REGISTERS = frozenset({"square_pos", "retail", "restaurants", "terminal_api", "virtual_terminal"})
"""Products of Square's that a clerk works with: a code on a telephone (PayPay) says no more than this."""

FEEDS = frozenset({"order", "customer", "subscription"})
"""Whole records the poller reads from Square's API."""

_EVENT_ID = re.compile(r"[A-Za-z0-9-]{8,64}", re.ASCII)
_TYPE = re.compile(r"[a-z0-9_.]{1,100}", re.ASCII)
_TEST = "webhooks.test_notification"


class Square:
    """Adapter of Square's webhooks."""

    name = NAME

    def verify(self, request: Request, connection: Connection, now: datetime) -> bool:
        """base64(HMAC-SHA256(signature key, registered URL + raw body)) by a live key.

        A connection without its URL believes nobody. The older SHA-1 header is not looked at.
        """
        if not connection.url:
            return False
        given = request.headers.get("x-square-hmacsha256-signature", "")
        secrets, url = live_secrets(connection, now), connection.url
        return is_any(given, (signature(secret, url, request.body) for secret in secrets))

    def envelopes(self, request: Request, connection: Connection, now: datetime) -> Sequence[Envelope]:
        """The event in a verified request; none for tests and the sandbox."""
        body = read.parse_object(request.body)
        feed = feed_of(request)
        if feed in FEEDS:
            key = read.required(read.opaque_id(body), "id")
            return (polled_envelope(request, connection, feed, key, read.time(body, "updated_at"), now),)
        topic = read.word(body, "type")
        sandbox = request.headers.get("square-environment", "").strip().lower() == "sandbox"
        if topic == _TEST or sandbox:
            return ()
        event_id = body.get("event_id")
        if not _TYPE.fullmatch(topic) or not isinstance(event_id, str) or not _EVENT_ID.fullmatch(event_id):
            raise RejectedError("an event needs 'type' and 'event_id'")
        if (read.opaque_id(body, "merchant_id") or "").lower() != connection.store.lower():
            raise RejectedError("field 'merchant_id' must be the merchant of this connection")
        return (
            delivered(
                request,
                connection,
                now,
                about=_thing(topic, body),
                event_id=event_id,
                topic=topic,
                occurred_at=read.happened_at(now, body.get("created_at")),
            ),
        )

    def events(self, envelope: Envelope) -> Sequence[Event]:
        """What the envelope says. A type without a reading is one UNKNOWN event."""
        reading = TYPES.get(envelope.topic)
        body = read.parse_object(envelope.raw)
        if envelope.topic in FEEDS:
            return TYPES[f"{envelope.topic}.updated"](
                envelope, {"id": body.get("id"), "object": {envelope.topic: body}}
            )
        return reading(envelope, _data(body)) if reading else (unknown(envelope),)


ADAPTER = Square()

ABOUT = About(
    title="Square",
    arrives="webhook",
    orders="yes: from payments and refunds; lines once the order was read back; subscriptions; stock per variation",
    customers="yes: birthday, address, merges too",
    consent="opt-out only (`email_unsubscribed`)",
    carts="no: Square sends none",
    signature="base64 HMAC-SHA256 of registered URL and raw body; the merchant is compared",
    dedupe="`event_id`, the same on every retry",
    limits="11 retries in 24 h, in any order; order notices are thin, so an order paid in parts counts its latest "
    "part until it was read back; test mode and the sandbox are answered and not kept",
    webhook=True,
)


def signature(secret: str, url: str, body: bytes) -> bytes:
    """The text Square sends in X-Square-HmacSha256-Signature."""
    return hmac_base64(secret, url.encode() + body)


THIN = frozenset({"order.created", "order.updated", "order.fulfillment.updated"})
"""Types that hold an order's id and state only: the order is read back where the connection has a key."""


def is_thin(envelope: Envelope) -> bool:
    """Is this a notice, whose order is read back?"""
    return envelope.topic in THIN


# --- the request ------------------------------------------------------------------------------------------------------


def _data(body: Body) -> Body:
    return read.inner(body, "data") or {}


def _thing(topic: str, body: Body) -> tuple[str, str | None]:
    try:
        kind, key = _about(topic, _data(body))
    except RejectedError:
        kind, key = topic.partition(".")[0], None
    if topic in TYPES and key is None:
        raise RejectedError(f"the body of {topic} has no id of its object")
    return kind, key


def _about(topic: str, data: Body) -> tuple[str, str | None]:
    """(kind, id) of the thing: payments and refunds are about their order, so that their order is kept."""
    kind = topic.partition(".")[0]
    if kind in {"payment", "refund"}:
        return "order", read.opaque_id(_inside(data, kind), "order_id") or read.opaque_id(data)
    if kind == "invoice":
        contract = read.opaque_id(_inside(data, kind), "subscription_id")
        # An invoice's own id has a colon.
        return ("subscription", contract) if contract else (kind, read.text(data, "id"))
    if kind == "order":
        # `data.id` was seen to be the event's own id.
        return kind, read.opaque_id(_inside(data, *_NOTICES), "order_id") or read.opaque_id(data)
    return kind, read.opaque_id(data) or read.opaque_id(_inside(data, kind))


_NOTICES = ("order_created", "order_updated", "order_fulfillment_updated")


def _inside(data: Body, *names: str) -> Body:
    """The first of these objects that is there."""
    holder = read.inner(data, "object") or {}
    return next((found for name in names if (found := read.inner(holder, name))), {})


# --- customers --------------------------------------------------------------------------------------------------------


def _customer(envelope: Envelope, data: Body) -> Sequence[Event]:
    """The record, the opt-out in it, and the merge it came from if it did."""
    customer = _record(data)
    last, first = read.text(customer, "family_name"), read.text(customer, "given_name")
    person = Person(
        source_customer_id=read.required(read.opaque_id(customer) or read.opaque_id(data), "id"),
        email=read.email(customer, "email_address"),
        phone=read.text(customer, "phone_number"),
        last_name=last_or_company(last, first, read.text(customer, "company_name")),
        first_name=first,
    )
    person = _placed(person, read.inner(customer, "address") or {})
    updated_at = read.time(customer, "updated_at")
    changed = event(envelope, EventType.CUSTOMER_UPDATED, _profile(customer), person, updated_at)
    return (changed, *_opt_out(envelope, customer, person), *_merges(envelope, data))


def _profile(customer: Body) -> ProfileFacts:
    """Birthday and the day of registration; a birthday without its year begins with 0000 and is none."""
    days = {"birth_on": read.day(customer, "birthday"), "registered_on": read.local_day(customer, "created_at")}
    return ProfileFacts(attributes={name: found.isoformat() for name, found in days.items() if found})


def _placed(person: Person, place: Body) -> Person:
    parts = (read.text(place, name) for name in _ADDRESS)
    return replace(
        person,
        postal_code=read.text(place, "postal_code"),
        prefecture=prefecture(read.text(place, "administrative_district_level_1")),
        address=" ".join(part for part in parts if part) or None,
    )


_ADDRESS = ("locality", "sublocality", "address_line_1", "address_line_2", "address_line_3")


def _customer_deleted(envelope: Envelope, data: Body) -> Sequence[Event]:
    """A deleted record is no erasure request; deleted by a merge, it lives on in the new one."""
    person = Person(source_customer_id=read.required(read.opaque_id(data), "id"))
    deleted = event(envelope, EventType.CUSTOMER_DELETED, CustomerDeletedFacts(), person)
    return _merges(envelope, data) or (deleted,)


def _record(data: Body) -> Body:
    return read.inner(read.inner(data, "object") or {}, "customer") or {}


def _opt_out(envelope: Envelope, customer: Body, person: Person) -> Sequence[Event]:
    if not read.flag(read.inner(customer, "preferences") or {}, "email_unsubscribed"):
        return ()
    facts = ConsentFacts(channel="email", granted=False, method=f"{NAME}:email_unsubscribed")
    return (event(envelope, EventType.CONSENT_CHANGED, facts, person, part="email"),)


def _merges(envelope: Envelope, data: Body) -> Sequence[Event]:
    context = read.inner(read.inner(data, "object") or {}, "event_context") or {}
    merge = read.inner(context, "merge") or {}
    kept = read.opaque_id(merge, "to_customer_id")
    merged = merge.get("from_customer_ids")
    if kept is None or merged is None:
        return ()
    if not isinstance(merged, list) or len(merged) > MAX_MERGED:
        raise RejectedError("field 'from_customer_ids' must be a list of customers")
    gone = [read.required(read.opaque_id({"from_customer_ids": each}, "from_customer_ids"), "id") for each in merged]
    return tuple(
        event(
            envelope,
            EventType.CUSTOMERS_MERGED,
            MergeFacts(kept_customer_id=kept, deleted_customer_id=each),
            Person(source_customer_id=kept),
            part=f"merge-{number}",
        )
        for number, each in enumerate(gone)
        if each != kept
    )


# --- orders -----------------------------------------------------------------------------------------------------------


def _order(envelope: Envelope, data: Body) -> Sequence[Event]:
    """The whole order where the body has it, else the step that the notice tells."""
    order = _inside(data, "order")
    if order:
        return _whole_order(envelope, order)
    notice = _inside(data, *_NOTICES)
    state = read.word(notice, "state")
    if state == "draft":
        return (unknown(envelope),)
    order_id = read.required(read.opaque_id(notice, "order_id") or read.opaque_id(data), "order_id")
    if state == "canceled":
        return (_step(envelope, order_id, "cancelled", state, EventType.ORDER_CANCELLED),)
    if envelope.topic == "order.created":
        return (_step(envelope, order_id, "placed", state, EventType.ORDER_PLACED),)
    return (_step(envelope, order_id, "other", state, EventType.ORDER_UPDATED),)


def _step(envelope: Envelope, order_id: str, status: _Status, word: str, event_type: EventType) -> Event:
    facts = OrderStatusFacts(order_id=order_id, status=status, word=word if _TYPE.fullmatch(word) else None)
    return event(envelope, event_type, facts, Person(anonymous_ids=(f"order/{order_id}",)))


def _fulfilled(envelope: Envelope, data: Body) -> Sequence[Event]:
    notice = _inside(data, *_NOTICES)
    order_id = read.required(read.opaque_id(notice, "order_id") or read.opaque_id(data), "order_id")
    updates = notice.get("fulfillment_update")
    # Documented as a list of changes; seen as the one fulfilment itself, too.
    listed = (updates,) if isinstance(updates, dict) else read.items(notice, "fulfillment_update")
    words = [read.word(each, "new_state") or read.word(each, "state") for each in listed]
    word = words[-1] if words else ""
    return (_step(envelope, order_id, FULFILMENTS.get(word, "other"), word, EventType.ORDER_UPDATED),)


def _whole_order(envelope: Envelope, order: Body) -> Sequence[Event]:
    """An order with its lines; a draft is none, and what Square makes of a return is a refund."""
    lines, returned = read.items(order, "line_items"), read.items(order, "returns")
    net = _money(read.inner(order, "net_amounts") or {}, "total_money") if returned else None
    state, total = read.word(order, "state"), net or _money(order, "total_money")
    ordered_at = read.time(order, "created_at")
    if returned and not lines:
        return _returned(envelope, order)
    if state == "draft" or total is None or ordered_at is None:
        return (unknown(envelope),)
    currency, amount = total
    beside = sum(_amount(order, name) for name in ("total_tip_money", "total_service_charge_money"))
    facts = OrderFacts(
        order_id=read.required(read.opaque_id(order), "id"),
        number=read.text(order, "reference_id") or read.text(order, "ticket_name"),
        ordered_at=ordered_at,
        currency=currency,
        total=amount,
        paid=state == "completed" or _is_settled(order),
        cancelled_at=envelope.occurred_at if state == "canceled" else None,
        lines=tuple(_line(line) for line in lines),
        refunds=_by_payment(each for each in read.items(order, "refunds") if _has_refunded(each)),
        goods_total=max(0, amount - beside),
        discount=_amount(order, "total_discount_money"),
        offline="point of sale" in read.word(read.inner(order, "source") or {}, "name")
        or any(map(_is_offline, read.items(order, "tenders"))),
    )
    said = EventType.ORDER_CANCELLED if state == "canceled" else EventType.ORDER_UPDATED
    person = _buyer(order)
    # Sorts behind every payment's version, which is a time.
    return (event(envelope, said, facts, person, f"order/{read.count(order, 'version'):012d}"),)


def _returned(envelope: Envelope, order: Body) -> Sequence[Event]:
    """The order Square writes for a refund: it names the one that was paid, and its refunds their payment."""
    sources = (read.opaque_id(each, "source_order_id") for each in read.items(order, "returns"))
    order_id = next((found for found in sources if found), None)
    done = [each for each in read.items(order, "refunds") if _has_refunded(each)]
    refunds = _by_payment(each for each in done if read.opaque_id(each, "tender_id"))
    if order_id is None or not refunds:
        return (unknown(envelope),)
    facts = RefundFacts(order_id=order_id, refunds=refunds)
    return (event(envelope, EventType.ORDER_REFUNDED, facts, version=read.time(order, "updated_at")),)


def _buyer(order: Body) -> Person:
    """Who ordered, else who paid, else who comes to fetch it; a parcel may go to somebody else (ギフト)."""
    holders = (order, *read.items(order, "tenders"))
    customer_id = next((found for each in holders if (found := read.opaque_id(each, "customer_id"))), None)
    if customer_id:
        return Person(source_customer_id=customer_id)
    collected = (read.inner(each, "pickup_details") or {} for each in read.items(order, "fulfillments"))
    recipients = (read.inner(each, "recipient") for each in collected)
    collector = next((each for each in recipients if each), {})
    last, first = split_name(read.text(collector, "display_name"))
    return Person(
        source_customer_id=read.opaque_id(collector, "customer_id"),
        email=read.email(collector, "email_address"),
        phone=read.text(collector, "phone_number"),
        last_name=last,
        first_name=first,
    )


def _is_settled(order: Body) -> bool:
    due = _money(order, "net_amount_due_money")
    return due is not None and due[1] == 0 and bool(read.items(order, "tenders"))


def _line(line: Body) -> Line:
    pieces = read.number(line, "quantity")
    # 0.75 kg is one thing that was bought.
    quantity = max(0, min(read.MAX_COUNT, ceil(pieces))) if pieces is not None else 0
    variation, gross = read.opaque_id(line, "catalog_object_id"), _money(line, "gross_sales_money")
    return Line(
        # An amount typed in at the register has no catalogue entry.
        product_id=variation or "custom",
        variant_id=variation,
        title=read.text(line, "name") or "",
        quantity=quantity,
        # The base price is without options (トッピング) and may be of a kilogram.
        unit_amount=gross[1] // quantity if gross and quantity else _amount(line, "base_price_money"),
    )


def _money(body: Body, name: str) -> tuple[str, int] | None:
    """(currency, smallest units) of a Money object; None where there is none."""
    money = read.inner(body, name)
    amount = read.number(money, "amount") if money else None
    currency = read.currency(money) if money else None
    return None if amount is None or currency is None else (currency, max(0, int(amount)))


def _amount(body: Body, name: str) -> int:
    money = _money(body, name)
    return money[1] if money else 0


def _payment(envelope: Envelope, data: Body) -> Sequence[Event]:
    """A completed payment is an order that was paid: until the whole order is read, all we know of it."""
    payment = _inside(data, "payment")
    money = _money(payment, "total_money") or _money(payment, "amount_money")
    ordered_at = read.time(payment, "created_at") or envelope.occurred_at
    if read.word(payment, "status") != "completed" or money is None:
        return (unknown(envelope),)
    currency, total = money
    order_id = read.opaque_id(payment, "order_id") or read.opaque_id(payment) or read.opaque_id(data)
    facts = OrderFacts(
        order_id=read.required(order_id, "order_id"),
        number=read.text(payment, "receipt_number"),
        ordered_at=ordered_at,
        currency=currency,
        total=total,
        paid=True,
        refunds=_given_back(payment),
        goods_total=max(0, total - _amount(payment, "tip_money")),
        offline=_is_offline(payment),
    )
    version = read.time(payment, "updated_at") or envelope.occurred_at
    return (event(envelope, EventType.ORDER_UPDATED, facts, _payer(payment), version),)


def _is_offline(payment: Body) -> bool:
    """Was it paid in a shop? Of a payment, or of the tender an order has of it."""
    card, application = (read.inner(payment, name) or {} for name in ("card_details", "application_details"))
    return (
        read.word(card, "entry_method") in AT_THE_COUNTER
        or "cash" in (read.word(payment, "source_type"), read.word(payment, "type"))
        or read.word(application, "square_product") in REGISTERS
    )


def _payer(payment: Body) -> Person:
    bill = read.inner(payment, "billing_address") or {}
    person = Person(
        source_customer_id=read.opaque_id(payment, "customer_id"),
        email=read.email(payment, "buyer_email_address"),
        last_name=read.text(bill, "last_name"),
        first_name=read.text(bill, "first_name"),
    )
    return _placed(person, bill)


def _refunded(envelope: Envelope, data: Body) -> Sequence[Event]:
    refund = _inside(data, "refund")
    order_id = read.opaque_id(refund, "order_id")
    if order_id is None or not _has_refunded(refund):
        return (unknown(envelope),)
    facts = RefundFacts(order_id=order_id, refunds=_by_payment((refund,)))
    return (event(envelope, EventType.ORDER_REFUNDED, facts, version=read.time(refund, "updated_at")),)


def _has_refunded(refund: Body) -> bool:
    return read.word(refund, "status") in {"completed", "approved"} and _money(refund, "amount_money") is not None


def _given_back(payment: Body) -> tuple[Refund, ...]:
    """All that went back of a payment so far."""
    amount = _amount(payment, "refunded_money")
    return (Refund(refund_id=read.required(read.opaque_id(payment), "id"), amount=amount),) if amount else ()


def _by_payment(refunds: Iterable[Body]) -> tuple[Refund, ...]:
    """Refunds as their payments tell them, so that none counts twice. A tender's id is its payment's."""
    sums: dict[str, int] = {}
    for refund in refunds:
        of = next((found for name in _REFUND_OF if (found := read.opaque_id(refund, name))), None)
        key = read.required(of, "id")
        sums[key] = sums.get(key, 0) + _amount(refund, "amount_money")
    return tuple(Refund(refund_id=key, amount=amount) for key, amount in sums.items())


_REFUND_OF = ("payment_id", "tender_id", "id")


# --- subscriptions and stock ------------------------------------------------------------------------------------------


def _subscription(envelope: Envelope, data: Body) -> Sequence[Event]:
    contract = _inside(data, "subscription")
    subscription_id = read.required(read.opaque_id(contract) or read.opaque_id(data), "id")
    state = SUBSCRIPTION_STATES.get(read.word(contract, "status"), SubscriptionState.UNKNOWN)
    ends = read.day(contract, "canceled_date")
    cancelled = state is SubscriptionState.CANCELLED or ends is not None
    price = _money(contract, "price_override_money")
    # Some versions say only until when it is paid, which is the same day once it is.
    paid_until = read.day(contract, "charged_through_date") or read.day(contract, "paid_until_date")
    plan = read.opaque_id(contract, "plan_variation_id") or read.opaque_id(contract, "plan_id")  # `plan_id`: until 2023
    facts = SubscriptionFacts(
        subscription_id=subscription_id,
        state=state,
        started_at=_start_of_day(contract, "start_date"),
        lines=(Line(product_id=plan, title="", quantity=1, unit_amount=price[1] if price else 0, subscription=True),)
        if plan
        else (),
        currency=price[0] if price else None,
        amount=price[1] if price else None,
        next_delivery_on=None if cancelled else paid_until,
        cancelled_at=envelope.occurred_at if cancelled else None,
    )
    person = Person(
        source_customer_id=read.opaque_id(contract, "customer_id"), anonymous_ids=(f"subscription/{subscription_id}",)
    )
    return (event(envelope, EventType.SUBSCRIPTION_UPDATED, facts, person, _milliseconds(contract, "version")),)


def _start_of_day(body: Body, name: str) -> datetime | None:
    found = read.day(body, name)
    return datetime(found.year, found.month, found.day, tzinfo=UTC) if found else None


def _milliseconds(body: Body, name: str) -> datetime | None:
    """A subscription's version is the time of its change."""
    version = read.number(body, name)
    within = version is not None and 10**12 < version < 10**13
    return datetime.fromtimestamp(int(version) / 1000, UTC) if version is not None and within else None


def _charge_failed(envelope: Envelope, data: Body) -> Sequence[Event]:
    """The invoice of a subscription could not be charged."""
    invoice = _inside(data, "invoice")
    subscription_id = read.opaque_id(invoice, "subscription_id")
    if subscription_id is None:
        return (unknown(envelope),)
    facts = SubscriptionFacts(subscription_id=subscription_id, state=SubscriptionState.PAST_DUE)
    recipient = read.inner(invoice, "primary_recipient") or {}
    person = Person(
        source_customer_id=read.opaque_id(recipient, "customer_id"), anonymous_ids=(f"subscription/{subscription_id}",)
    )
    return (event(envelope, EventType.SUBSCRIPTION_UPDATED, facts, person),)


def _stock(envelope: Envelope, data: Body) -> Sequence[Event]:
    """Pieces of each variation that can be sold, at one location."""
    holder = read.inner(data, "object") or {}
    counted = [each for each in read.items(holder, "inventory_counts") if read.word(each, "state") == "in_stock"]
    return tuple(_counted(envelope, each, f"count-{n}") for n, each in enumerate(counted)) or (unknown(envelope),)


def _counted(envelope: Envelope, count: Body, part: str) -> Event:
    variation = read.required(read.opaque_id(count, "catalog_object_id"), "catalog_object_id")
    pieces = read.number(count, "quantity")
    stock = max(0, int(pieces)) if pieces is not None else None
    facts = ProductFacts(product_id=variation, variant_id=variation, title="", stock=stock)
    at = read.time(count, "calculated_at")
    return event(envelope, EventType.PRODUCT_UPDATED, facts, version=at, part=part)


# --- vendor word → our word -------------------------------------------------------------------------------------------

TYPES: Mapping[str, Callable[[Envelope, Body], Sequence[Event]]] = {
    "customer.created": _customer,
    "customer.updated": _customer,
    "customer.deleted": _customer_deleted,
    "order.created": _order,
    "order.updated": _order,
    "order.fulfillment.updated": _fulfilled,
    "payment.created": _payment,
    "payment.updated": _payment,
    "refund.created": _refunded,
    "refund.updated": _refunded,
    "subscription.created": _subscription,
    "subscription.updated": _subscription,
    "invoice.scheduled_charge_failed": _charge_failed,
    "inventory.count.updated": _stock,
}
"""Every other type is UNKNOWN: kept with its raw body."""
