"""Shopify webhooks: https://shopify.dev/docs/api/webhooks (bodies of API version 2026-04; older ones read too).

The topic says what happened, the body says what *is*. Its pitfalls are handled here and nowhere else: ids beyond
2^53, money as text in up to three currencies, guests, and consent that arrives only on its own topics.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Literal

from shared.core.errors import RejectedError
from shared.core.ids import EventId, digest
from shared.ingest import body as read
from shared.ingest.adapter import About, Connection, Request
from shared.ingest.body import Body
from shared.ingest.derive import event, unknown
from shared.ingest.model import (
    CartFacts,
    ConsentFacts,
    CustomerDeletedFacts,
    Envelope,
    EraseFacts,
    Event,
    EventType,
    Line,
    MergeFacts,
    OrderDeletedFacts,
    OrderFacts,
    Person,
    ProfileFacts,
    Refund,
    RefundFacts,
    UnknownFacts,
)
from shared.ingest.signing import hmac_base64, is_any, live_secrets

NAME = "shopify"
GID = "admin_graphql_api_id"
CLOCK_TOLERANCE = timedelta(days=1)
"""A triggered-at further ahead than this is not believed: the header is not covered by the signature."""

PAID = frozenset({"paid", "partially_refunded", "refunded"})
"""financial_status of an order whose money came in; a コンビニ or 銀行振込 order is `pending` until then."""

REFUNDED = frozenset({"success", "pending"})
"""Status of a refund transaction that moved, or is moving, money."""

CONSENT: Mapping[str, tuple[bool, bool]] = {
    "subscribed": (True, True),
    "unsubscribed": (False, True),
    "not_subscribed": (False, False),
    "pending": (False, False),
    "invalid": (False, False),
    "redacted": (False, False),
}
"""Marketing state → (granted, said by the customer). `pending` waits for the double opt-in mail: not yet a yes."""

_EVENT_ID = re.compile(r"[A-Za-z0-9-]{8,64}", re.ASCII)
_TOPIC = re.compile(r"[a-z0-9_./]{1,100}", re.ASCII)
_METHOD = re.compile(r"[a-z_]{1,40}", re.ASCII)
_HTTPS = re.compile(r"https://[^\s<>\"']{1,2000}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Topic:
    """What a vendor topic means: the thing it is about, and how its body reads."""

    subject: Callable[[Body], tuple[str, str | None]]
    """(kind, id) of the thing; id None when the body has none."""
    read: Callable[[Envelope, Body], Sequence[Event]]


class Shopify:
    """Adapter of Shopify's HTTPS webhooks."""

    name = NAME

    def verify(self, request: Request, connection: Connection, now: datetime) -> bool:
        """base64(HMAC-SHA256(secret, raw body)) by a live secret, from the shop this connection belongs to.

        One app secret signs for every shop, so a signature alone does not say which shop a body is from.
        """
        signatures = (signature(secret, request.body) for secret in live_secrets(connection, now))
        genuine = is_any(_header(request, "hmac-sha256"), signatures)
        domain = _header(request, "shop-domain").strip().lower()
        return genuine and hmac.compare_digest(domain.encode("utf-8", "replace"), connection.store.lower().encode())

    def envelopes(self, request: Request, connection: Connection, now: datetime) -> Sequence[Envelope]:
        """The delivery in a verified request; none for a test notification or the 2026 Events preview."""
        body = read.parse_object(request.body)
        if _is_events_preview(request) or _header(request, "test").strip().lower() == "true":
            return ()
        topic = _header(request, "topic").strip().lower()
        if not _TOPIC.fullmatch(topic):
            raise RejectedError("header X-Shopify-Topic is missing or malformed")
        event_id = _event_id(request, connection, topic)
        return (
            Envelope(
                tenant=connection.tenant,
                subject=_subject(topic, body, connection.store, event_id),
                event_id=event_id,
                source=NAME,
                connection=connection.connection_id,
                store=connection.store,
                topic=topic,
                occurred_at=_occurred_at(request, body, now),
                received_at=now,
                raw=request.body,
            ),
        )

    def events(self, envelope: Envelope) -> Sequence[Event]:
        """What the envelope says. A topic without a reading is one UNKNOWN event."""
        topic = TOPICS.get(envelope.topic)
        body = read.parse_object(envelope.raw)
        return topic.read(envelope, body) if topic else (unknown(envelope),)


ADAPTER = Shopify()

ABOUT = About(
    title="Shopify",
    arrives="webhook (HTTPS), API 2026-04 and older bodies",
    orders="yes: create, update, paid, fulfilled, cancel, delete, refund",
    customers="yes, merges and erasure requests too",
    consent="yes: e-mail and SMS, from their own topics",
    carts="yes: carts and checkouts, with a link back",
    signature="base64 HMAC-SHA256 of the raw body; the shop's domain is compared",
    dedupe="`X-Shopify-Webhook-Id`, the same on every retry",
    limits="8 retries in 4 h, then Shopify drops the subscription; subscription contracts and stock are kept unread",
    webhook=True,
)


def signature(secret: str, body: bytes) -> bytes:
    """The text Shopify sends in X-Shopify-Hmac-SHA256."""
    return hmac_base64(secret, body)


# --- the request ------------------------------------------------------------------------------------------------------


def _header(request: Request, name: str) -> str:
    """A header of either style: `x-shopify-…`, or `shopify-…` of the Events preview."""
    return request.headers.get(f"x-shopify-{name}") or request.headers.get(f"shopify-{name}") or ""


def _is_events_preview(request: Request) -> bool:
    return "x-shopify-topic" not in request.headers and "shopify-topic" in request.headers


def _event_id(request: Request, connection: Connection, topic: str) -> EventId:
    """The delivery's own id, the same on every retry; a digest where a proxy lost it."""
    given = _header(request, "webhook-id").strip()
    if _EVENT_ID.fullmatch(given):
        return EventId(given)
    body_hash = hashlib.sha256(request.body).hexdigest()
    return EventId(digest(NAME, connection.connection_id, topic, body_hash, _header(request, "triggered-at")))


def _occurred_at(request: Request, body: Body, now: datetime) -> datetime:
    written = (_header(request, "triggered-at"), body.get("updated_at"), body.get("created_at"))
    instants = (read.instant(value) for value in written if isinstance(value, str))
    return next((at for at in instants if at is not None and at <= now + CLOCK_TOLERANCE), now)


def _subject(topic: str, body: Body, store: str, event_id: EventId) -> str:
    """`shopify/{store}/{kind}/{id}`: one partition per thing, so that the stream keeps the order of its events."""
    known = TOPICS.get(topic)
    if topic in _COMPLIANCE:
        _check_shop(body, store)
    kind, key = known.subject(body) if known else (topic.partition("/")[0], _any_id(body))
    if known and key is None and topic not in _COMPLIANCE:
        raise RejectedError(f"the body of {topic} has no id of its {kind}")
    return "/".join((NAME, store, read.key_part(kind), read.key_part(key or event_id)))


def _check_shop(body: Body, store: str) -> None:
    """The topic header is not signed: what erases must name this shop in its signed body."""
    named = body.get("shop_domain")
    if not isinstance(named, str) or named.strip().lower() != store.lower():
        raise RejectedError("field 'shop_domain' must name the shop of this connection")


def _any_id(body: Body) -> str | None:
    try:
        return read.identifier(body, gid=GID)
    except RejectedError:
        return None


# --- events -----------------------------------------------------------------------------------------------------------


def _kept(envelope: Envelope, body: Body) -> Sequence[Event]:
    """A topic that says nothing we use (an edited order comes again as orders/updated, with totals)."""
    return (unknown(envelope),)


# orders


def _order(event_type: EventType) -> Callable[[Envelope, Body], Sequence[Event]]:
    def events(envelope: Envelope, body: Body) -> Sequence[Event]:
        cancelled_at = read.time(body, "cancelled_at")
        if event_type is EventType.ORDER_CANCELLED:
            cancelled_at = cancelled_at or envelope.occurred_at
        facts = _order_facts(body, cancelled_at)
        version = read.time(body, "updated_at") or read.time(body, "created_at")
        return (event(envelope, event_type, facts, _buyer(body), version),)

    return events


def _order_facts(body: Body, cancelled_at: datetime | None) -> OrderFacts:
    currency = read.required(_shop_currency(body, "total_price") or read.currency(body), "currency")
    ordered_at = read.time(body, "processed_at") or read.time(body, "created_at")
    total = _money(body, "total_price", currency)
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
        lines=_lines(body, currency),
        refunds=tuple(_refund(refund, currency) for refund in read.items(body, "refunds")),
        checkout_token=read.text(body, "checkout_token"),
        cart_token=read.text(body, "cart_token"),
    )


def _order_deleted(envelope: Envelope, body: Body) -> Sequence[Event]:
    order_id = read.required(read.identifier(body, gid=GID), "id")
    return (event(envelope, EventType.ORDER_DELETED, OrderDeletedFacts(order_id=order_id)),)


def _refund_created(envelope: Envelope, body: Body) -> Sequence[Event]:
    order_id = read.required(read.identifier(body, "order_id"), "order_id")
    refund = _refund(body, _refund_currency(body))
    facts = RefundFacts(order_id=order_id, refunds=(refund,))
    version = read.time(body, "processed_at") or read.time(body, "created_at")
    return (event(envelope, EventType.ORDER_REFUNDED, facts, version=version),)


def _refund(body: Body, currency: str | None) -> Refund:
    refund_id = read.required(read.identifier(body, gid=GID), "id")
    return Refund(refund_id=refund_id, amount=max(0, _refunded(body, currency)) if currency else 0)


def _refunded(body: Body, currency: str) -> int:
    """The shop currency's amount of one refund: the money that moved, else the value of what was taken back.

    An unpaid order's removed line moves no money and still lowers what was ordered; its tax is not added, because
    `subtotal` holds it where prices include tax, and refunds/create does not say whether they do.
    """
    moved = [
        read.amount(transaction, "amount", currency) or 0
        for transaction in read.items(body, "transactions")
        if read.word(transaction, "kind") == "refund"
        and read.word(transaction, "status") in REFUNDED
        and read.currency(transaction) in (None, currency)
    ]
    if moved:
        return sum(moved)
    lines = sum(_money(line, "subtotal", currency) or 0 for line in read.items(body, "refund_line_items"))
    # Adjustments are negative where money goes back (a shipping refund is "-600").
    return lines - sum(_money(entry, "amount", currency) or 0 for entry in read.items(body, "order_adjustments"))


def _refund_currency(body: Body) -> str | None:
    for line in read.items(body, "refund_line_items"):
        if found := _shop_currency(line, "subtotal"):
            return found
    for transaction in read.items(body, "transactions"):
        if found := read.currency(transaction):
            return found
    duties = read.inner(body, "total_duties_set")
    return _set_currency(duties)


# money and lines


def _money(body: Body, name: str, currency: str) -> int | None:
    """An amount in the shop's currency: of three currencies in one order, only shop_money is revenue."""
    amounts = read.inner(body, f"{name}_set")
    shop_money = read.inner(amounts, "shop_money") if amounts else None
    if shop_money:
        return read.amount(shop_money, "amount", currency)
    return read.amount(body, name, currency)


def _shop_currency(body: Body, name: str) -> str | None:
    return _set_currency(read.inner(body, f"{name}_set"))


def _set_currency(amounts: Body | None) -> str | None:
    shop_money = read.inner(amounts, "shop_money") if amounts else None
    return read.currency(shop_money, "currency_code") if shop_money else None


def _lines(body: Body, currency: str | None) -> tuple[Line, ...]:
    return tuple(_line(line, currency) for line in read.items(body, "line_items"))


def _line(line: Body, currency: str | None) -> Line:
    return Line(
        # A line typed in by the shop has no product.
        product_id=read.identifier(line, "product_id") or "custom",
        variant_id=read.identifier(line, "variant_id"),
        title=read.text(line, "title") or read.text(line, "name") or "",
        quantity=read.count(line, "quantity"),
        unit_amount=max(0, _money(line, "price", currency) or 0) if currency else 0,
    )


# people


def _buyer(body: Body) -> Person:
    """Who ordered or is checking out; a guest has no customer object, and names then come from the bill.

    Not from the delivery address: a gift goes to somebody else.
    """
    customer = read.inner(body, "customer") or {}
    billing = read.inner(body, "billing_address") or {}
    return Person(
        source_customer_id=read.identifier(customer, gid=GID),
        email=read.email(body) or read.email(body, "contact_email") or read.email(customer),
        phone=read.text(body, "phone") or read.text(customer, "phone"),
        last_name=read.text(customer, "last_name") or read.text(billing, "last_name"),
        first_name=read.text(customer, "first_name") or read.text(billing, "first_name"),
        anonymous_ids=_anonymous_ids(read.text(body, "checkout_token"), read.text(body, "cart_token")),
    )


def _anonymous_ids(checkout_token: str | None, cart_token: str | None) -> tuple[str, ...]:
    named = (("checkout", checkout_token), ("cart", cart_token))
    return tuple(f"{kind}/{token}" for kind, token in named if token)


def _customer_person(body: Body) -> Person:
    return Person(
        source_customer_id=read.required(read.identifier(body, gid=GID), "id"),
        email=read.email(body),
        phone=read.text(body, "phone"),
        last_name=read.text(body, "last_name"),
        first_name=read.text(body, "first_name"),
    )


def _customer(envelope: Envelope, body: Body) -> Sequence[Event]:
    """The record, and the consent that bodies before 2025-01 carried along."""
    person = _customer_person(body)
    version = read.time(body, "updated_at")
    changed = event(envelope, EventType.CUSTOMER_UPDATED, ProfileFacts(), person, version)
    spoken = ((_CONSENT_FIELD[channel], channel) for channel in _CONSENT_FIELD)
    return (changed, *(each for name, channel in spoken for each in _consent(envelope, body, name, channel, person)))


def _customer_deleted(envelope: Envelope, body: Body) -> Sequence[Event]:
    person = Person(source_customer_id=read.required(read.identifier(body, gid=GID), "id"))
    return (event(envelope, EventType.CUSTOMER_DELETED, CustomerDeletedFacts(), person),)


def _customers_merged(envelope: Envelope, body: Body) -> Sequence[Event]:
    """Only a completed merge is a fact; requested and failed ones are kept unread."""
    if read.word(body, "status") != "completed":
        return _kept(envelope, body)
    kept = read.required(read.identifier(body, _KEPT), _KEPT)
    deleted = read.required(read.identifier(body, _DELETED), _DELETED)
    facts = MergeFacts(kept_customer_id=kept, deleted_customer_id=deleted)
    return (event(envelope, EventType.CUSTOMERS_MERGED, facts, Person(source_customer_id=kept)),)


_KEPT = "admin_graphql_api_customer_kept_id"
_DELETED = "admin_graphql_api_customer_deleted_id"

# consent

_Channel = Literal["email", "sms"]
_CONSENT_FIELD: Mapping[_Channel, str] = {"email": "email_marketing_consent", "sms": "sms_marketing_consent"}


def _email_consent(envelope: Envelope, body: Body) -> Sequence[Event]:
    customer_id = read.required(read.identifier(body, "customer_id"), "customer_id")
    person = Person(source_customer_id=customer_id, email=read.email(body, "email_address"))
    return _consent(envelope, body, _CONSENT_FIELD["email"], "email", person) or _kept(envelope, body)


def _sms_consent(envelope: Envelope, body: Body) -> Sequence[Event]:
    """`customers_marketing_consent` is SMS, and its customer key is `id`."""
    customer_id = read.required(read.identifier(body), "id")
    person = Person(source_customer_id=customer_id, phone=read.text(body, "phone"))
    return _consent(envelope, body, _CONSENT_FIELD["sms"], "sms", person) or _kept(envelope, body)


def _consent(envelope: Envelope, body: Body, name: str, channel: _Channel, person: Person) -> Sequence[Event]:
    said = read.inner(body, name) or {}
    state = read.word(said, "state")
    if state not in CONSENT:
        return ()
    granted, by_customer = CONSENT[state]
    how = read.word(said, "opt_in_level") if granted else state
    facts = ConsentFacts(
        channel=channel,
        granted=granted,
        method=f"{NAME}:{how}" if _METHOD.fullmatch(how) else NAME,
        by_customer=by_customer,
    )
    # When the customer said it, not when the record was touched: an old yes must not overtake a newer no.
    at = read.time(said, "consent_updated_at") or envelope.occurred_at
    said_then = event(envelope, EventType.CONSENT_CHANGED, facts, person, at, part=channel)
    return (replace(said_then, occurred_at=at),)


# carts and checkouts


def _cart(envelope: Envelope, body: Body) -> Sequence[Event]:
    """A cart names no person: it is known by its token until a checkout joins it."""
    token = read.required(_cart_token(body), "token")
    currencies = (_shop_currency(line, "price") for line in read.items(body, "line_items"))
    currency = next((found for found in currencies if found), None)
    lines = _lines(body, currency)
    facts = CartFacts(
        token=token,
        cart_token=token,
        currency=currency,
        total=sum(_money(line, "line_price", currency) or 0 for line in read.items(body, "line_items"))
        if currency
        else 0,
        lines=lines,
    )
    person = Person(anonymous_ids=_anonymous_ids(None, token))
    return (event(envelope, EventType.CART_UPDATED, facts, person, read.time(body, "updated_at")),)


def _cart_token(body: Body) -> str | None:
    return read.text(body, "token") or read.text(body, "id")


def _checkout(envelope: Envelope, body: Body) -> Sequence[Event]:
    token = read.required(read.text(body, "token"), "token")
    currency = read.currency(body)
    url = read.text(body, "abandoned_checkout_url")
    facts = CartFacts(
        token=token,
        cart_token=read.text(body, "cart_token"),
        currency=currency,
        total=max(0, _money(body, "total_price", currency) or 0) if currency else 0,
        lines=_lines(body, currency),
        recovery_url=url if url and _HTTPS.fullmatch(url) else None,
        completed_at=read.time(body, "completed_at"),
    )
    person = _buyer({**body, "checkout_token": token})
    return (event(envelope, EventType.CHECKOUT_UPDATED, facts, person, read.time(body, "updated_at")),)


def _checkout_deleted(envelope: Envelope, body: Body) -> Sequence[Event]:
    """Where the body still names the token; most only hold a number nobody else mentions."""
    token = read.text(body, "token")
    if token is None:
        return _kept(envelope, body)
    person = Person(anonymous_ids=_anonymous_ids(token, None))
    return (event(envelope, EventType.CHECKOUT_DELETED, CartFacts(token=token, deleted=True), person),)


# compliance


def _export_requested(envelope: Envelope, body: Body) -> Sequence[Event]:
    return (event(envelope, EventType.PERSON_EXPORT_REQUESTED, UnknownFacts(), _named(body)),)


def _person_erased(envelope: Envelope, body: Body) -> Sequence[Event]:
    return (event(envelope, EventType.PERSON_ERASED, EraseFacts(), _named(body)),)


def _shop_erased(envelope: Envelope, body: Body) -> Sequence[Event]:
    _check_shop(body, envelope.store)
    return (event(envelope, EventType.SHOP_ERASED, EraseFacts()),)


def _named(body: Body) -> Person:
    """The person of a compliance request: by id, mail and phone, any of which may be missing."""
    customer = read.inner(body, "customer") or {}
    return Person(
        source_customer_id=read.identifier(customer),
        email=read.email(customer),
        phone=read.text(customer, "phone"),
    )


# --- vendor word → our word -------------------------------------------------------------------------------------------


def _subject_id(kind: str, name: str = "id", gid: str | None = GID) -> Callable[[Body], tuple[str, str | None]]:
    return lambda body: (kind, read.identifier(body, name, gid))


def _of_customer(body: Body) -> tuple[str, str | None]:
    return "customer", read.identifier(read.inner(body, "customer") or {})


_ORDER = _subject_id("order")
_CUSTOMER = _subject_id("customer")
_COMPLIANCE = frozenset({"customers/data_request", "customers/redact", "shop/redact"})

TOPICS: Mapping[str, Topic] = {
    "carts/create": Topic(lambda body: ("cart", _cart_token(body)), _cart),
    "carts/update": Topic(lambda body: ("cart", _cart_token(body)), _cart),
    "checkouts/create": Topic(lambda body: ("checkout", read.text(body, "token")), _checkout),
    "checkouts/update": Topic(lambda body: ("checkout", read.text(body, "token")), _checkout),
    "checkouts/delete": Topic(
        lambda body: ("checkout", read.text(body, "token") or read.identifier(body)), _checkout_deleted
    ),
    "orders/create": Topic(_ORDER, _order(EventType.ORDER_PLACED)),
    "orders/paid": Topic(_ORDER, _order(EventType.ORDER_UPDATED)),
    "orders/updated": Topic(_ORDER, _order(EventType.ORDER_UPDATED)),
    "orders/fulfilled": Topic(_ORDER, _order(EventType.ORDER_UPDATED)),
    "orders/partially_fulfilled": Topic(_ORDER, _order(EventType.ORDER_UPDATED)),
    "orders/cancelled": Topic(_ORDER, _order(EventType.ORDER_CANCELLED)),
    "orders/edited": Topic(
        lambda body: ("order", read.identifier(read.inner(body, "order_edit") or {}, "order_id")), _kept
    ),
    "orders/delete": Topic(_ORDER, _order_deleted),
    "refunds/create": Topic(_subject_id("order", "order_id", gid=None), _refund_created),
    "customers/create": Topic(_CUSTOMER, _customer),
    "customers/update": Topic(_CUSTOMER, _customer),
    "customers/enable": Topic(_CUSTOMER, _customer),
    "customers/disable": Topic(_CUSTOMER, _customer),
    "customers/delete": Topic(_CUSTOMER, _customer_deleted),
    "customers/merge": Topic(_subject_id("customer", _KEPT, gid=None), _customers_merged),
    "customers_email_marketing_consent/update": Topic(_subject_id("customer", "customer_id", gid=None), _email_consent),
    "customers_marketing_consent/update": Topic(_CUSTOMER, _sms_consent),
    "customers/data_request": Topic(_of_customer, _export_requested),
    "customers/redact": Topic(_of_customer, _person_erased),
    "shop/redact": Topic(lambda body: ("shop", "shop"), _shop_erased),
}
