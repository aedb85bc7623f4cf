"""Stripe webhooks (v1 events): https://docs.stripe.com/webhooks

Stripe takes the money of orders that other carts report, so a charge or a checkout never becomes an order: it would
count every sale twice. A paid invoice does: Stripe Billing alone writes invoices, and each one of a subscription is a
delivery (お届け) of it. Decided here:

- A signature is believed for TOLERANCE before *and* after its own time. Stripe's library checks the age only; a
  signature from the future is no more genuine.
- `livemode: false` is answered 200 and never kept: test data must not reach a shop's figures. A body that does not say
  is refused. "Thin" v2 events (`object: v2.core.event`) have another shape: answered 200, not kept.
- A checkout session is a checkout. Stripe does not say what is in it, so an expired one is known but too little to
  mail about; `completed` closes it.
- An invoice over nothing (a free trial) is no order. `charge.refunded` lowers the invoice it names; since 2025-03-31 a
  charge names none and is kept unread, and an invoice is lowered by its credit notes.
- `pause_collection` is a pause. `cancel_at_period_end` (解約予約) still runs: ACTIVE, with the time it was cancelled
  and no next delivery. A cancel reason is a word of Stripe's list; what a person typed (`comment`) is never taken.
- Where the shape changed with 2025-03-31 (periods, an invoice's subscription), both shapes are read.
- `customer.deleted` is a deleted record, not an erasure request: shops tidy up doubles with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal

from shared.core.clock import shop_day, to_iso
from shared.core.errors import RejectedError
from shared.core.money import exponent
from shared.ingest import body as read
from shared.ingest.adapter import About, Connection, Request, delivered
from shared.ingest.body import Body
from shared.ingest.derive import event, unknown
from shared.ingest.model import (
    CartFacts,
    CustomerDeletedFacts,
    Envelope,
    Event,
    EventType,
    Line,
    OrderFacts,
    Person,
    ProfileFacts,
    Refund,
    RefundFacts,
    SubscriptionFacts,
    SubscriptionState,
)
from shared.ingest.names import split_name
from shared.ingest.prefectures import prefecture
from shared.ingest.signing import hmac_hex, is_any, live_secrets

NAME = "stripe"
TOLERANCE = timedelta(seconds=300)
"""How far a signature's own time may lie from ours, in either direction."""
MAX_SIGNATURES = 10
"""Signatures of one header that are tried: Stripe sends one for each live secret."""

SUBSCRIPTION_STATES: Mapping[str, SubscriptionState] = {
    "active": SubscriptionState.ACTIVE,
    "trialing": SubscriptionState.ACTIVE,
    "past_due": SubscriptionState.PAST_DUE,
    "unpaid": SubscriptionState.PAST_DUE,
    "paused": SubscriptionState.PAUSED,
    "canceled": SubscriptionState.CANCELLED,
}
"""Status of a subscription → ours; whatever is not here (`incomplete`: never paid) is UNKNOWN."""

_WORD = re.compile(r"[a-z_]{1,40}", re.ASCII)
_EVENT_ID = re.compile(r"evt_[A-Za-z0-9_]{4,250}", re.ASCII)
_TYPE = re.compile(r"[a-z0-9_.]{1,100}", re.ASCII)
_SECONDS = re.compile(r"[0-9]{1,12}", re.ASCII)
_HTTPS = re.compile(r"https://[^\s<>\"']{1,2000}", re.ASCII)
_THIN = "v2.core.event"


@dataclass(frozen=True, slots=True)
class Signed:
    """A Stripe-Signature header: its time as written, and the signatures of scheme v1."""

    time: str
    signatures: tuple[str, ...]


class Stripe:
    """Adapter of Stripe's webhooks."""

    name = NAME

    def verify(self, request: Request, connection: Connection, now: datetime) -> bool:
        """Does any `v1` of the header equal hex(HMAC-SHA256(whsec_…, t "." raw body)), signed just now?"""
        signed = parse_header(request.headers.get("stripe-signature", ""))
        if signed is None or abs(now.timestamp() - int(signed.time)) > TOLERANCE.total_seconds():
            return False
        expected = [signature(secret, signed.time, request.body) for secret in live_secrets(connection, now)]
        genuine = False
        for given in signed.signatures:
            genuine |= is_any(given, expected)
        return genuine

    def envelopes(self, request: Request, connection: Connection, now: datetime) -> Sequence[Envelope]:
        """The event in a verified request; none for test mode and thin events."""
        body = read.parse_object(request.body)
        if body.get("object") == _THIN or body.get("livemode") is False:
            return ()
        _check(body, connection)
        topic = read.word(body, "type")
        event_id = body.get("id")
        if not _TYPE.fullmatch(topic) or not isinstance(event_id, str) or not _EVENT_ID.fullmatch(event_id):
            raise RejectedError("an event needs 'type' and an 'id' that begins with evt_")
        kind, key = _thing(topic, body)
        return (
            delivered(
                request,
                connection,
                now,
                about=(kind, key),
                event_id=event_id,
                topic=topic,
                occurred_at=min(read.epoch_time(body, "created") or now, now),
            ),
        )

    def events(self, envelope: Envelope) -> Sequence[Event]:
        """What the envelope says. A type without a reading is one UNKNOWN event."""
        reading = TYPES.get(envelope.topic)
        return reading(envelope, _object(read.parse_object(envelope.raw))) if reading else (unknown(envelope),)


ADAPTER = Stripe()

ABOUT = About(
    title="Stripe",
    arrives="webhook, v1 events",
    orders="paid invoices only: one of a subscription is its delivery; other money is of orders another cart reports",
    customers="yes",
    consent="no: no such field",
    carts="checkout sessions, without their products",
    signature="`t`/`v1` hex HMAC-SHA256 of time and raw body, 300 s either way",
    dedupe="event `id` (`evt_…`), the same on every retry",
    limits="retried for 3 days; test mode and thin v2 events are answered and not kept; since 2025-03-31 a refunded "
    "charge names no invoice, so only a credit note (`credit_note.created`) lowers one",
    webhook=True,
)


def signature(secret: str, time: str, body: bytes) -> bytes:
    """The `v1` of a body at a time. The whole `whsec_…` is the key."""
    return hmac_hex(secret, time.encode() + b"." + body)


def parse_header(header: str) -> Signed | None:
    """The parts of a Stripe-Signature; None when it has no time (or two), or no signature of scheme v1."""
    parts = [part.strip().partition("=") for part in header.split(",")]
    times = [value for name, _, value in parts if name == "t"]
    signatures = tuple(value for name, _, value in parts if name == "v1")[:MAX_SIGNATURES]
    if len(times) != 1 or not _SECONDS.fullmatch(times[0]) or not signatures:
        return None
    return Signed(times[0], signatures)


# --- the request ------------------------------------------------------------------------------------------------------


def _check(body: Body, connection: Connection) -> None:
    if body.get("object") != "event" or body.get("livemode") is not True:
        raise RejectedError("a body must be an 'event' that says whether it is 'livemode'")
    account = read.opaque_id(body, "account")
    if account is not None and account.lower() != connection.store.lower():
        raise RejectedError("field 'account' must be the account of this connection")


def _object(body: Body) -> Body:
    return read.inner(read.inner(body, "data") or {}, "object") or {}


def _thing(topic: str, body: Body) -> tuple[str, str | None]:
    """(kind, id) of what the event is about."""
    try:
        thing = _object(body)
        kind, key = _of_subscription(topic, thing) or (read.word(thing, "object"), read.opaque_id(thing))
    except RejectedError:
        kind, key = "", None
    if topic in TYPES and key is None:
        raise RejectedError(f"the body of {topic} has no id of its object")
    return kind or topic.partition(".")[0], key


def _of_subscription(topic: str, thing: Body) -> tuple[str, str] | None:
    """A failed payment is about the subscription, whose other events it must stay in order with."""
    contract = _contract_of(thing) if topic == _PAYMENT_FAILED else None
    return ("subscription", contract) if contract else None


# --- events -----------------------------------------------------------------------------------------------------------


def _customer(envelope: Envelope, customer: Body) -> Sequence[Event]:
    person = _person(customer, read.required(read.opaque_id(customer), "id"))
    created = read.epoch_time(customer, "created")
    facts = ProfileFacts(attributes={"registered_on": shop_day(created, read.TIMEZONE).isoformat()} if created else {})
    return (event(envelope, EventType.CUSTOMER_UPDATED, facts, person),)


def _customer_deleted(envelope: Envelope, customer: Body) -> Sequence[Event]:
    person = Person(source_customer_id=read.required(read.opaque_id(customer), "id"))
    return (event(envelope, EventType.CUSTOMER_DELETED, CustomerDeletedFacts(), person),)


def _checkout(envelope: Envelope, session: Body) -> Sequence[Event]:
    token = read.required(read.opaque_id(session), "id")
    currency = read.currency(session)
    recovery = read.inner(read.inner(session, "after_expiration") or {}, "recovery") or {}
    url = read.text(recovery, "url")
    facts = CartFacts(
        token=token,
        currency=currency,
        total=_minor(session, "amount_total", currency) if currency else 0,
        recovery_url=url if url and _HTTPS.fullmatch(url) else None,
        completed_at=envelope.occurred_at if envelope.topic == _COMPLETED else None,
    )
    said = read.inner(session, "customer_details") or {}
    person = _person(said, _customer_id(session), email=read.email(session, "customer_email"))
    known = replace(person, anonymous_ids=(f"checkout/{token}",))
    return (event(envelope, EventType.CHECKOUT_UPDATED, facts, known),)


# --- subscriptions and invoices (Stripe Billing) ----------------------------------------------------------------------


def _subscription(envelope: Envelope, contract: Body) -> Sequence[Event]:
    subscription_id = read.required(read.opaque_id(contract), "id")
    state = _state(envelope.topic, contract)
    items = _items(contract)
    next_at, last_day = _period_end(contract, items), read.epoch_time(contract, "cancel_at")
    # Flexible billing (2025) books the end of a period as its date only.
    booked = last_day is not None and (next_at is None or last_day <= next_at)
    ends = state is SubscriptionState.CANCELLED or read.flag(contract, "cancel_at_period_end") or booked
    asked = read.epoch_time(contract, "canceled_at") or read.epoch_time(contract, "ended_at") or envelope.occurred_at
    currency = read.currency(contract) or read.currency(_price(items[0]) if items else {})
    lines = tuple(_item(item) for item in items)
    rhythm = _rhythm(items)
    unit = read.word(rhythm, "interval")
    facts = SubscriptionFacts(
        subscription_id=subscription_id,
        state=state,
        started_at=_first_time(contract, "start_date", "created", "start"),
        lines=lines,
        currency=currency,
        amount=sum(line.unit_amount * line.quantity for line in lines)
        if lines and all(map(_is_priced, items))
        else None,
        interval_unit=unit if unit in ("day", "week", "month", "year") else None,  # type: ignore[arg-type]
        interval_count=read.count(rhythm, "interval_count") or None,
        next_delivery_on=None if ends or next_at is None else shop_day(next_at, read.TIMEZONE),
        cancelled_at=asked if ends else None,
        cancel_reason=_cancel_reason(contract) if ends else None,
    )
    person = _subscriber(contract, subscription_id)
    return (event(envelope, EventType.SUBSCRIPTION_UPDATED, facts, person, _version(envelope)),)


def _version(envelope: Envelope) -> str:
    """Stripe tells time in seconds, and a contract is made and paid within one: how it began is no later news."""
    happened = envelope.topic.rpartition(".")[2]
    return f"{to_iso(envelope.occurred_at)}/{_STEPS.get(happened, 1)}"


_STEPS = {"created": 0, "deleted": 2}


def _first_time(body: Body, *names: str) -> datetime | None:
    """Of the names one moment has had over the years, the first that is there."""
    return next((at for name in names if (at := read.epoch_time(body, name))), None)


def _state(topic: str, contract: Body) -> SubscriptionState:
    if topic == "customer.subscription.deleted":
        return SubscriptionState.CANCELLED
    state = SUBSCRIPTION_STATES.get(read.word(contract, "status"), SubscriptionState.UNKNOWN)
    paused = state is SubscriptionState.ACTIVE and read.inner(contract, "pause_collection")
    return SubscriptionState.PAUSED if paused else state


def _items(contract: Body) -> Sequence[Body]:
    """What is subscribed to; oldest bodies have the one `plan` on the contract itself."""
    listed = read.items(read.inner(contract, "items") or {}, "data")
    return listed or ((contract,) if read.inner(contract, "plan") else ())


def _is_priced(item: Body) -> bool:
    """Is it known beforehand what it costs? Not by consumption (metered) or by steps (tiers)."""
    price = _price(item)
    usage = read.word(read.inner(price, "recurring") or price, "usage_type")
    return usage != "metered" and any(price.get(name) is not None for name in _UNIT_AMOUNTS)


_UNIT_AMOUNTS = ("unit_amount", "unit_amount_decimal", "amount", "amount_decimal")


def _price(item: Body) -> Body:
    """The price of an item; `plan` is what it was called before."""
    return read.inner(item, "price") or read.inner(item, "plan") or {}


def _item(item: Body) -> Line:
    price = _price(item)
    currency = read.currency(price)
    product = price.get("product")
    # A shop named its plans itself until 2018 ("Gold plan"), and may name its products so still.
    price_id = read.text(price, "id")
    name = read.text(product, "name") if isinstance(product, dict) else read.text(price, "name")
    return Line(
        product_id=_product_id(price) or price_id or "custom",
        variant_id=price_id,
        title=name or read.text(price, "nickname") or "",
        quantity=1 if item.get("quantity") is None else read.count(item, "quantity"),
        unit_amount=next((found for name in _UNIT_AMOUNTS if (found := _minor(price, name, currency))), 0),
        subscription=True,
    )


def _product_id(price: Body) -> str | None:
    """The product of a price: an id, or the whole record where the shop asked for it."""
    product = price.get("product")
    return read.text(product, "id") if isinstance(product, dict) else read.text(price, "product")


def _minor(body: Body, name: str, currency: str | None) -> int:
    """Stripe counts in the smallest unit already; yen are whole. `…_decimal` amounts are finer: rounded.

    Of a few currencies it has another one than ISO 4217.
    """
    amount = read.number(body, name) or Decimal(0)
    finer = _DECIMALS[currency] - exponent(currency) if currency in _DECIMALS else 0
    return max(0, int(amount.scaleb(-finer).quantize(Decimal(1), ROUND_HALF_UP)))


_DECIMALS = {"ISK": 2, "UGX": 2, "MGA": 0}


def _rhythm(items: Sequence[Body]) -> Body:
    for item in items:
        price = _price(item)
        rhythm = read.inner(price, "recurring") or price
        if read.word(rhythm, "interval"):
            return rhythm
    return {}


def _period_end(contract: Body, items: Sequence[Body]) -> datetime | None:
    """The end of the paid period: of the contract before 2025-03-31, of its items since."""
    ends = (read.epoch_time(each, "current_period_end") for each in (contract, *items))
    return min((end for end in ends if end), default=None)


def _cancel_reason(contract: Body) -> str | None:
    details = read.inner(contract, "cancellation_details") or {}
    word = read.word(details, "feedback") or read.word(details, "reason")
    return word if _WORD.fullmatch(word) else None


def _subscriber(body: Body, subscription_id: str) -> Person:
    return Person(source_customer_id=_customer_id(body), anonymous_ids=(f"subscription/{subscription_id}",))


def _contract_of(invoice: Body) -> str | None:
    """The subscription an invoice is of: a field before 2025-03-31, inside `parent` since."""
    details = read.inner(read.inner(invoice, "parent") or {}, "subscription_details") or {}
    for holder in (details, invoice):
        named = holder.get("subscription")
        found = read.opaque_id(named) if isinstance(named, dict) else read.opaque_id(holder, "subscription")
        if found:
            return found
    return None


def _invoice_paid(envelope: Envelope, invoice: Body) -> Sequence[Event]:
    currency = read.currency(invoice)
    total = _minor(invoice, "total", currency) or _minor(invoice, "amount_paid", currency)
    if currency is None or total == 0:
        return (unknown(envelope),)
    contract = _contract_of(invoice)
    first = read.word(invoice, "billing_reason") == "subscription_create"
    facts = OrderFacts(
        order_id=read.required(read.opaque_id(invoice), "id"),
        number=read.text(invoice, "number"),
        ordered_at=_first_time(invoice, "created", "date") or envelope.occurred_at,
        currency=currency,
        total=total,
        paid=True,
        lines=tuple(_invoice_line(each, contract) for each in read.items(read.inner(invoice, "lines") or {}, "data")),
        goods_total=max(0, total - _minor(read.inner(invoice, "shipping_cost") or {}, "amount_total", currency)),
        discount=sum(_minor(each, "amount", currency) for each in read.items(invoice, "total_discount_amounts")),
        subscription_id=contract,
        delivery_number=1 if contract and first else None,
    )
    return (event(envelope, EventType.ORDER_UPDATED, facts, _billed(invoice, contract)),)


def _invoice_line(line: Body, contract: str | None) -> Line:
    pricing = read.inner(read.inner(line, "pricing") or {}, "price_details") or {}
    price = _price(line)
    quantity = 1 if line.get("quantity") is None else read.count(line, "quantity")
    price_id = read.text(pricing, "price") if isinstance(pricing.get("price"), str) else read.text(price, "id")
    return Line(
        product_id=_product_id(pricing) or _product_id(price) or price_id or "custom",
        variant_id=price_id,
        title=read.text(line, "description") or read.text(price, "name") or "",
        quantity=quantity,
        unit_amount=_minor(line, "amount", read.currency(line)) // quantity if quantity else 0,
        subscription=contract is not None,
    )


def _billed(invoice: Body, contract: str | None) -> Person:
    """Whom an invoice names, as they were when it was written."""
    last, first = split_name(read.text(invoice, "customer_name"))
    person = Person(
        source_customer_id=_customer_id(invoice),
        email=read.email(invoice, "customer_email"),
        phone=read.text(invoice, "customer_phone"),
        last_name=last,
        first_name=first,
        anonymous_ids=(f"subscription/{contract}",) if contract else (),
    )
    return _placed(person, read.inner(invoice, "customer_address") or {})


def _placed(person: Person, place: Body) -> Person:
    parts = (read.text(place, name) for name in ("city", "line1", "line2"))
    return replace(
        person,
        postal_code=read.text(place, "postal_code"),
        prefecture=prefecture(read.text(place, "state")),
        address=" ".join(part for part in parts if part) or None,
    )


def _payment_failed(envelope: Envelope, invoice: Body) -> Sequence[Event]:
    """A payment of a subscription failed: it is past due until the next one works."""
    contract = _contract_of(invoice)
    if contract is None:
        return (unknown(envelope),)
    facts = SubscriptionFacts(subscription_id=contract, state=SubscriptionState.PAST_DUE)
    return (event(envelope, EventType.SUBSCRIPTION_UPDATED, facts, _subscriber(invoice, contract)),)


def _refunded(envelope: Envelope, charge: Body) -> Sequence[Event]:
    """`amount_refunded` is what went back so far, so the charge is its own one refund that grows."""
    invoice = charge.get("invoice")
    order_id = read.opaque_id(invoice) if isinstance(invoice, dict) else read.opaque_id(charge, "invoice")
    if order_id is None:
        return (unknown(envelope),)
    amount = _minor(charge, "amount_refunded", read.currency(charge))
    refund = Refund(refund_id=read.required(read.opaque_id(charge), "id"), amount=amount)
    facts = RefundFacts(order_id=order_id, refunds=(refund,))
    return (event(envelope, EventType.ORDER_REFUNDED, facts),)


def _credited(envelope: Envelope, note: Body) -> Sequence[Event]:
    """A credit note lowers its invoice; before 2025-03-31 the refunded charge says the same, so it is not read."""
    order_id = read.opaque_id(note, "invoice")
    if order_id is None or _api_version(envelope) < _CHARGES_NAME_NO_INVOICE:
        return (unknown(envelope),)
    currency = read.currency(note)
    amount = _minor(note, "total", currency) or _minor(note, "amount", currency)
    refund = Refund(refund_id=read.required(read.opaque_id(note), "id"), amount=amount)
    return (event(envelope, EventType.ORDER_REFUNDED, RefundFacts(order_id=order_id, refunds=(refund,))),)


def _api_version(envelope: Envelope) -> str:
    """The version a body is written in: a date, and a name since 2024."""
    return read.text(read.parse_object(envelope.raw), "api_version") or ""


# --- people -----------------------------------------------------------------------------------------------------------


def _customer_id(session: Body) -> str | None:
    """`customer` is an id, or the whole record where the shop asked for it."""
    customer = session.get("customer")
    return read.opaque_id(customer) if isinstance(customer, dict) else read.opaque_id(session, "customer")


def _person(body: Body, customer_id: str | None, email: str | None = None) -> Person:
    last, first = split_name(read.text(body, "name"))
    person = Person(
        source_customer_id=customer_id,
        email=read.email(body) or email,
        phone=read.text(body, "phone"),
        last_name=last,
        first_name=first,
    )
    return _placed(person, read.inner(body, "address") or {})


# --- vendor word → our word -------------------------------------------------------------------------------------------

_COMPLETED = "checkout.session.completed"
_PAYMENT_FAILED = "invoice.payment_failed"
_CHARGES_NAME_NO_INVOICE = "2025-03-31"

TYPES: Mapping[str, Callable[[Envelope, Body], Sequence[Event]]] = {
    "customer.created": _customer,
    "customer.updated": _customer,
    "customer.deleted": _customer_deleted,
    _COMPLETED: _checkout,
    "checkout.session.expired": _checkout,
    **{
        f"customer.subscription.{happened}": _subscription
        for happened in ("created", "updated", "deleted", "paused", "resumed", "trial_will_end")
    },
    "invoice.paid": _invoice_paid,
    "invoice.payment_succeeded": _invoice_paid,
    _PAYMENT_FAILED: _payment_failed,
    "charge.refunded": _refunded,
    "credit_note.created": _credited,
}
"""Every other type is UNKNOWN: kept with its raw body."""
