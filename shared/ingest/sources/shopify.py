"""Shopify webhooks: https://shopify.dev/docs/api/webhooks (bodies of API version 2026-04; older ones read too).

The topic says what happened, the body says what *is*. Its pitfalls are handled here and nowhere else: ids beyond
2^53, money as text in up to three currencies, guests, and consent that arrives only on its own topics. Decided here:

- Only contracts of the app itself are told (`subscription_contracts/*`: no lines, no price, no date). An order of a
  foreign subscription app (定期購入アプリ) is known by the beginning of its `source_name` or by the tags such apps
  set; its lines are then marked as 定期, its contract stays unknown.
- A parcel's progress (`fulfillments/*`, `fulfillment_events/create`) and single payments are steps of the order; the
  order's own body comes on `orders/*`. An edited order comes again as `orders/updated`, with totals.
- A product says no currency: its price is read with the decimals it is written with. `variants/*` is about one variant.
- The day a saved card expires is kept as an attribute, because it announces a failed payment; its number is not.
"""

from __future__ import annotations

import hashlib
import hmac
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Literal, TypedDict
from urllib.parse import quote

from shared.core.errors import RejectedError
from shared.core.ids import EventId, digest
from shared.ingest import body as read
from shared.ingest import media
from shared.ingest.adapter import About, Connection, Request, delivered
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
    OrderStatusFacts,
    Person,
    ProductFacts,
    ProfileFacts,
    Refund,
    RefundFacts,
    SubscriptionFacts,
    SubscriptionState,
    UnknownFacts,
)
from shared.ingest.names import last_or_company
from shared.ingest.prefectures import prefecture
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

SUBSCRIPTION_STATES: Mapping[str, SubscriptionState] = {
    "active": SubscriptionState.ACTIVE,
    "paused": SubscriptionState.PAUSED,
    "failed": SubscriptionState.PAST_DUE,
    "cancelled": SubscriptionState.CANCELLED,
    "expired": SubscriptionState.EXPIRED,
}
"""Status of a contract → ours; whatever is not here (`stale`) is UNKNOWN."""

SUBSCRIPTION_TOPICS: Mapping[str, SubscriptionState] = {
    "subscription_contracts/activate": SubscriptionState.ACTIVE,
    "subscription_contracts/pause": SubscriptionState.PAUSED,
    "subscription_contracts/cancel": SubscriptionState.CANCELLED,
    "subscription_contracts/expire": SubscriptionState.EXPIRED,
    "subscription_contracts/fail": SubscriptionState.PAST_DUE,
    "subscription_billing_attempts/success": SubscriptionState.ACTIVE,
    "subscription_billing_attempts/failure": SubscriptionState.PAST_DUE,
    "subscription_billing_attempts/challenged": SubscriptionState.PAST_DUE,
    "subscription_billing_cycles/skip": SubscriptionState.PAUSED,
    "subscription_billing_cycles/unskip": SubscriptionState.ACTIVE,
}
"""Topics that say the state themselves."""

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

_EVENT_ID = re.compile(r"[A-Za-z0-9-]{8,64}", re.ASCII)
_TOPIC = re.compile(r"[a-z0-9_./]{1,100}", re.ASCII)
_CLASSIC_TOPIC = re.compile(r"[/.]")
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
            delivered(
                request,
                connection,
                now,
                about=_thing(topic, body, connection.store),
                event_id=event_id,
                topic=topic,
                occurred_at=_occurred_at(request, body, now),
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
    orders="yes: create, update, paid, fulfilled, arrived, cancel, delete, refund; products and stock",
    customers="yes: tags, segments, merges and erasure requests too",
    consent="yes: e-mail and SMS, from their own topics",
    carts="yes: carts and checkouts, with a link back",
    signature="base64 HMAC-SHA256 of the raw body; the shop's domain is compared",
    dedupe="`X-Shopify-Webhook-Id`, the same on every retry",
    limits="8 retries in 4 h, then Shopify drops the webhook; contracts (定期) only of the app itself, without lines, "
    "price and next date; of a foreign 定期購入 app only its orders are known, by their mark; the 2026 Events preview "
    "is answered and not kept",
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
    """Its topics are one word (`Order`) beside an action; `orders/create` without `x-` is a webhook like any other."""
    if "x-shopify-topic" in request.headers or "shopify-topic" not in request.headers:
        return False
    return "shopify-action" in request.headers or not _CLASSIC_TOPIC.search(request.headers["shopify-topic"])


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


def _thing(topic: str, body: Body, store: str) -> tuple[str, str | None]:
    known = TOPICS.get(topic)
    if topic in COMPLIANCE:
        _check_shop(body, store)
    kind, key = known.subject(body) if known else (topic.partition("/")[0], _any_id(body))
    if known and key is None and topic not in _MAY_NAME_NOTHING:
        raise RejectedError(f"the body of {topic} has no id of its {kind}")
    return kind, key


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
    tags = _tags(body)
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
        lines=_subscribed(body, _lines(body, currency), tags),
        refunds=tuple(_refund(refund, currency) for refund in read.items(body, "refunds")),
        checkout_token=read.text(body, "checkout_token"),
        cart_token=_cart_token(body, "cart_token"),
        goods_total=_money(body, "subtotal_price", currency),
        discount=abs(_money(body, "total_discounts", currency) or 0),
        coupons=_coupons(body),
        media=_media(body),
        referral=media.referral(read.text(body, "landing_site")),
        delivery_number=1 if _FIRST in tags else None,
        offline=read.word(body, "source_name") == "pos",
    )


def _tags(body: Body) -> frozenset[str]:
    """Tags of an order, in lower case."""
    return frozenset(tag.strip().lower() for tag in _tag_list(body))


def _tag_list(body: Body) -> Sequence[str]:
    """Tags of an order or customer: one text with commas, a list where an app writes it through GraphQL."""
    if isinstance(body.get("tags"), list):
        return read.strings(body, "tags")
    return (read.text(body, "tags") or "").split(",")


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


# what happens to an order without its body


def _step(envelope: Envelope, body: Body, status: _Status, word: str, at: datetime | None) -> Sequence[Event]:
    """A step of the order a body names, at its own time."""
    order_id = read.required(read.identifier(body, "order_id"), "order_id")
    facts = OrderStatusFacts(order_id=order_id, status=status, word=word if _METHOD.fullmatch(word) else None)
    person = Person(anonymous_ids=(f"order/{order_id}",))
    happened = event(envelope, EventType.ORDER_UPDATED, facts, person, at)
    return (replace(happened, occurred_at=at or envelope.occurred_at),)


def _fulfillment(envelope: Envelope, body: Body) -> Sequence[Event]:
    """A parcel as it stands: `shipment_status` is the carrier's word, `status` Shopify's."""
    word = read.word(body, "shipment_status") or read.word(body, "status")
    at = read.time(body, "updated_at") or read.time(body, "created_at")
    status = PARCEL.get(word) or PARCEL.get(read.word(body, "status"), "other")
    return _step(envelope, body, status, word, at)


def _fulfillment_event(envelope: Envelope, body: Body) -> Sequence[Event]:
    """One scan of a parcel: `delivered` is what mails after the arrival (お届け後) wait for."""
    word = read.word(body, "status")
    at = read.time(body, "happened_at") or read.time(body, "created_at")
    return _step(envelope, body, PARCEL.get(word, "other"), word, at)


def _transaction(envelope: Envelope, body: Body) -> Sequence[Event]:
    """Money that came in (コンビニ and 銀行振込 confirm so); it need not be all of it: orders/paid says that."""
    kind, status = read.word(body, "kind"), read.word(body, "status")
    came_in = (read.number(body, "amount") or Decimal(0)) > 0
    is_payment = (
        came_in and kind in {"", "sale", "capture"} and status in {"", "success"} and not read.flag(body, "test")
    )
    if not is_payment or read.identifier(body, "order_id") is None:
        return _kept(envelope, body)
    at = read.time(body, "processed_at") or read.time(body, "created_at")
    return _step(envelope, body, "payment", kind, at)


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
    done = (
        transaction
        for transaction in read.items(body, "transactions")
        if read.word(transaction, "kind") == "refund" and read.word(transaction, "status") in REFUNDED
    )
    moved = [amount for each in done if (amount := _moved(each, body, currency)) is not None]
    if moved:
        return sum(moved)
    lines = sum(_money(line, "subtotal", currency) or 0 for line in read.items(body, "refund_line_items"))
    adjustments = read.items(body, "order_adjustments")
    # Adjustments are negative where money goes back (a shipping refund is "-600").
    adjusted = sum(_money(entry, "amount", currency) or 0 for entry in adjustments)
    return lines - adjusted + (0 if any(map(_is_shipping, adjustments)) else _refunded_shipping(body, currency))


def _moved(transaction: Body, refund: Body, currency: str) -> int | None:
    """What a transaction moved, in the shop's currency; it may be told in the buyer's."""
    paid_in = read.currency(transaction)
    if paid_in in (None, currency):
        return _money(transaction, "amount", currency) or 0
    rate = _rate(refund, paid_in)
    return read.rounded((read.number(transaction, "amount") or Decimal(0)) * rate, currency) if rate else None


def _rate(refund: Body, paid_in: str | None) -> Decimal | None:
    """What the buyer's money is in the shop's, by the parts of a refund that are told in both."""
    shops = buyers = Decimal(0)
    for name, amount in _REFUND_PARTS:
        for part in read.items(refund, name):
            told = read.inner(part, f"{amount}_set") or {}
            ours, theirs = read.inner(told, "shop_money") or {}, read.inner(told, "presentment_money") or {}
            if read.currency(theirs, "currency_code") == paid_in:
                shops += abs(read.number(ours, "amount") or Decimal(0))
                buyers += abs(read.number(theirs, "amount") or Decimal(0))
    return shops / buyers if buyers else None


def _is_shipping(adjustment: Body) -> bool:
    return read.word(adjustment, "kind") == "shipping_refund"


def _refunded_shipping(body: Body, currency: str) -> int:
    """Shipping given back: since 2024-10 no adjustment any more; some versions tell it in both places."""
    return sum(_money(line, "subtotal_amount", currency) or 0 for line in read.items(body, "refund_shipping_lines"))


_REFUND_PARTS = (
    ("refund_line_items", "subtotal"),
    ("refund_shipping_lines", "subtotal_amount"),
    ("order_adjustments", "amount"),
)


def _refund_currency(body: Body) -> str | None:
    for found in (_shop_currency(line, amount) for name, amount in _REFUND_PARTS for line in read.items(body, name)):
        if found:
            return found
    for transaction in read.items(body, "transactions"):
        if paid_in := read.currency(transaction):
            return paid_in
    duties = read.inner(body, "total_duties_set")
    return _set_currency(duties)


# money and lines


def _money(body: Body, name: str, currency: str) -> int | None:
    """An amount in the shop's currency: of three currencies in one order, only shop_money is revenue.

    Converted amounts come finer than the smallest coin (`"1523.45"` yen): rounded rather than an order lost.
    """
    amounts = read.inner(body, f"{name}_set")
    shop_money = read.inner(amounts, "shop_money") if amounts else None
    told = read.number(shop_money, "amount") if shop_money else None
    value = read.number(body, name) if told is None else told
    return None if value is None else read.rounded(value, currency)


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
        image_url=read.web_address(line, "image_url"),
        subscription=bool(line.get("selling_plan_allocation")),
    )


# people


def _buyer(body: Body) -> Person:
    """Who ordered or is checking out; a guest has no customer object, and names then come from the bill.

    Not from the delivery address: a gift goes to somebody else.
    """
    customer = read.inner(body, "customer") or {}
    billing = read.inner(body, "billing_address") or {}
    place = billing or read.inner(customer, "default_address") or {}
    last = read.text(customer, "last_name") or read.text(billing, "last_name")
    first = read.text(customer, "first_name") or read.text(billing, "first_name")
    return Person(
        source_customer_id=read.identifier(customer, gid=GID),
        email=read.email(body) or read.email(body, "contact_email") or read.email(customer),
        phone=read.text(body, "phone") or read.text(customer, "phone") or read.text(place, "phone"),
        last_name=last_or_company(last, first, read.text(place, "company")),
        first_name=first,
        anonymous_ids=_anonymous_ids(read.text(body, "checkout_token"), _cart_token(body, "cart_token")),
        **_address(place),
    )


class _Address(TypedDict):
    postal_code: str | None
    prefecture: str | None
    address: str | None


def _address(place: Body) -> _Address:
    """An address as a postal DM needs it. Shopify writes the prefecture in Roman letters."""
    parts = (read.text(place, name) for name in ("city", "address1", "address2"))
    return {
        "postal_code": read.text(place, "zip"),
        "prefecture": prefecture(read.text(place, "province_code") or read.text(place, "province")),
        "address": " ".join(part for part in parts if part) or None,
    }


def _anonymous_ids(checkout_token: str | None, cart_token: str | None) -> tuple[str, ...]:
    named = (("checkout", checkout_token), ("cart", cart_token))
    return tuple(f"{kind}/{token}" for kind, token in named if token)


def _customer_person(body: Body) -> Person:
    place = read.inner(body, "default_address") or {}
    last, first = read.text(body, "last_name"), read.text(body, "first_name")
    return Person(
        source_customer_id=read.required(read.identifier(body, gid=GID), "id"),
        email=read.email(body),
        # The record's own telephone is the one to log in with; most have only that of the address.
        phone=read.text(body, "phone") or read.text(place, "phone"),
        last_name=last_or_company(last, first, read.text(place, "company")),
        first_name=first,
        **_address(place),
    )


def _customer(envelope: Envelope, body: Body) -> Sequence[Event]:
    """The record, and the consent that bodies before 2025-01 carried along."""
    person = _customer_person(body)
    version = read.time(body, "updated_at")
    changed = event(envelope, EventType.CUSTOMER_UPDATED, _profile(body), person, version)
    spoken = ((_CONSENT_FIELD[channel], channel) for channel in _CONSENT_FIELD)
    said = [each for name, channel in spoken for each in _consent(envelope, body, name, channel, person)]
    return (changed, *said, *(() if body.get("email_marketing_consent") else _old_consent(envelope, body, person)))


def _old_consent(envelope: Envelope, body: Body, person: Person) -> Sequence[Event]:
    """`accepts_marketing` of bodies before 2024-01. It does not say who ticked it: it never reverses an opt-out.

    A false without a time is how a record begins, not something anybody said.
    """
    granted, at = body.get("accepts_marketing"), read.time(body, "accepts_marketing_updated_at")
    if not isinstance(granted, bool) or not (granted or at):
        return ()
    facts = ConsentFacts(channel="email", granted=granted, method=f"{NAME}:accepts_marketing", by_customer=False)
    said = event(envelope, EventType.CONSENT_CHANGED, facts, person, at, part="email")
    return (replace(said, occurred_at=at or envelope.occurred_at),)


def _profile(body: Body) -> ProfileFacts:
    """When the customer registered, and the tags that bodies before 2025-01 carried along."""
    registered = read.local_day(body, "created_at")
    tags = (media.code(tag) for tag in _tag_list(body))
    attributes: dict[str, str | int | float | bool] = {f"tags/{tag}": True for tag in tags if tag}
    return ProfileFacts(
        attributes={"registered_on": registered.isoformat(), **attributes} if registered else attributes
    )


def _tags_changed(given: bool) -> Callable[[Envelope, Body], Sequence[Event]]:
    """Tags given to or taken from a customer: the difference only."""

    def events(envelope: Envelope, body: Body) -> Sequence[Event]:
        tags = (media.code(tag) for tag in read.strings(body, "tags"))
        return _attributes(envelope, body, "customerId", {f"tags/{tag}": given for tag in tags if tag}, "occurredAt")

    return events


def _segment_changed(member: bool) -> Callable[[Envelope, Body], Sequence[Event]]:
    """A customer joined or left a segment the shop made in Shopify."""

    def events(envelope: Envelope, body: Body) -> Sequence[Event]:
        segment = read.required(read.identifier(body, "segment_id"), "segment_id")
        return _attributes(envelope, body, "customer_id", {f"custom/shopify_segment_{segment}": member})

    return events


def _payment_method(envelope: Envelope, body: Body) -> Sequence[Event]:
    """A saved card and the month it expires in; other ways of paying have none."""
    card = read.inner(body, "payment_instrument") or {}
    year, month = read.number(card, "year"), read.number(card, "month")
    if year is None or month is None or year not in range(2000, 2200) or month not in range(1, 13):
        return _kept(envelope, body)
    next_month = date(int(year) + int(month) // 12, int(month) % 12 + 1, 1)
    expires = {"custom/card_expires_on": (next_month - timedelta(days=1)).isoformat()}
    return _attributes(envelope, body, "customer_id", expires)


def _attributes(
    envelope: Envelope, body: Body, customer: str, attributes: Mapping[str, str | bool], at: str = ""
) -> Sequence[Event]:
    person = Person(source_customer_id=read.required(read.identifier(body, customer), customer))
    when = read.time(body, at) if at else None
    changed = event(envelope, EventType.CUSTOMER_UPDATED, ProfileFacts(attributes=dict(attributes)), person, when)
    return (replace(changed, occurred_at=when or envelope.occurred_at),)


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


# products


def _product(envelope: Envelope, body: Body) -> Sequence[Event]:
    facts = ProductFacts(
        product_id=read.required(read.identifier(body, gid=GID), "id"),
        title=read.text(body, "title") or "",
        category=read.text(body, "product_type") or _category(body),
        price=min(
            (price for each in read.items(body, "variants") if (price := _price(each)) is not None), default=None
        ),
        stock=_stock(read.items(body, "variants")),
        url=_product_url(envelope.store, body),
        image_url=_image(body),
        deleted=read.word(body, "status") in {"archived", "draft"},
    )
    return (event(envelope, EventType.PRODUCT_UPDATED, facts, version=read.time(body, "updated_at")),)


def _category(body: Body) -> str | None:
    """Shopify's own taxonomy, where the shop gave no type of its own."""
    category = body.get("category")
    return read.text(category, "full_name") if isinstance(category, dict) else None


def _price(variant: Body) -> int | None:
    """Minor units by the decimals as written: the body says no currency, and JPY is written without any."""
    price = read.number(variant, "price")
    if price is None:
        return None
    return max(0, int(price) if price == price.to_integral_value() and "." not in str(price) else int(price * 100))


def _stock(variants: Sequence[Body]) -> int | None:
    """Pieces over all variants that Shopify counts; it sells on below zero where the shop allows it."""
    counted = [
        read.number(each, "inventory_quantity") or Decimal(0)
        for each in variants
        if each.get("inventory_quantity") is not None and each.get("inventory_management", "shopify") is not None
    ]
    return max(0, int(sum(counted))) if counted else None


def _product_url(store: str, body: Body) -> str | None:
    handle = read.text(body, "handle")
    return f"https://{store}/products/{quote(handle)}" if handle else None


def _image(body: Body) -> str | None:
    image = body.get("image")
    pictures = [image] if isinstance(image, dict) else read.items(body, "images")
    return next((found for each in pictures if (found := read.web_address(each, "src"))), None)


def _product_deleted(envelope: Envelope, body: Body) -> Sequence[Event]:
    product_id = read.required(read.identifier(body, gid=GID), "id")
    return (event(envelope, EventType.PRODUCT_UPDATED, ProductFacts(product_id=product_id, title="", deleted=True)),)


def _variant(envelope: Envelope, body: Body) -> Sequence[Event]:
    """One variant is back in stock (再入荷) or sold out."""
    facts = ProductFacts(
        product_id=read.required(read.identifier(body, "product_id"), "product_id"),
        variant_id=read.required(read.identifier(body, gid=GID), "id"),
        title="",
        price=_price(body),
        stock=_stock((body,)) if envelope.topic == "variants/in_stock" else 0,
    )
    return (event(envelope, EventType.PRODUCT_UPDATED, facts, version=read.time(body, "updated_at")),)


# subscriptions


def _contract(envelope: Envelope, body: Body) -> Sequence[Event]:
    """A contract of the app itself: its state and rhythm; Shopify tells no lines, price or date."""
    contract = read.required(read.identifier(body, gid=GID), "id")
    state = SUBSCRIPTION_TOPICS.get(envelope.topic) or SUBSCRIPTION_STATES.get(
        read.word(body, "status"), SubscriptionState.UNKNOWN
    )
    policy = read.inner(body, "delivery_policy") or read.inner(body, "billing_policy") or {}
    unit = read.word(policy, "interval")
    every = read.count(policy, "interval_count")
    began = read.time(body, "created_at") or (envelope.occurred_at if envelope.topic.endswith("/create") else None)
    facts = SubscriptionFacts(
        subscription_id=contract,
        state=state,
        started_at=began,
        currency=read.currency(body, "currency_code"),
        interval_unit=unit if unit in ("day", "week", "month", "year") else None,  # type: ignore[arg-type]
        interval_count=every or None,
        cancelled_at=envelope.occurred_at if state is SubscriptionState.CANCELLED else None,
    )
    customer = read.identifier(body, "customer_id", gid="admin_graphql_api_customer_id")
    return (event(envelope, EventType.SUBSCRIPTION_UPDATED, facts, _subscriber(contract, customer)),)


def _billing(envelope: Envelope, body: Body) -> Sequence[Event]:
    """A payment of a contract came in or failed, or a cycle was skipped; documented bodies may be empty."""
    contract = read.identifier(body, "subscription_contract_id", gid=_CONTRACT_GID)
    if contract is None:
        return _kept(envelope, body)
    facts = SubscriptionFacts(
        subscription_id=contract,
        state=SUBSCRIPTION_TOPICS[envelope.topic],
        next_delivery_on=None if read.flag(body, "skipped") else read.local_day(body, "billing_attempt_expected_date"),
    )
    return (event(envelope, EventType.SUBSCRIPTION_UPDATED, facts, _subscriber(contract, None)),)


def _subscriber(contract: str, customer: str | None) -> Person:
    """Payments and skips name the contract only, so it is what they and the contract's own topics share."""
    return Person(source_customer_id=customer, anonymous_ids=(f"subscription/{contract}",))


_CONTRACT_GID = "admin_graphql_api_subscription_contract_id"

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


def _cart_token(body: Body, *names: str) -> str | None:
    """A cart's token; `?key=…`, which only some bodies and pages append to it, is no part of its name."""
    written = (read.text(body, name) for name in names or ("token", "id"))
    return next((token for each in written if each and (token := each.partition("?")[0])), None)


def _checkout(envelope: Envelope, body: Body) -> Sequence[Event]:
    token = read.required(read.text(body, "token"), "token")
    # The documentation's own sample wraps it once more.
    currency = read.currency(read.inner(body, "currency") or {} if isinstance(body.get("currency"), dict) else body)
    url = read.text(body, "abandoned_checkout_url")
    facts = CartFacts(
        token=token,
        cart_token=_cart_token(body, "cart_token"),
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
_CUSTOMER_GID = "admin_graphql_api_customer_id"
_CONTRACT = _subject_id("subscription")
_PRODUCT = _subject_id("product")
_OF_ORDER = _subject_id("order", "order_id", gid=None)
_OF_CONTRACT = _subject_id("subscription", "subscription_contract_id", gid=_CONTRACT_GID)
_BILLING = tuple(topic for topic in SUBSCRIPTION_TOPICS if topic.startswith("subscription_billing_"))
COMPLIANCE = frozenset({"customers/data_request", "customers/redact", "shop/redact"})
_MAY_NAME_NOTHING = COMPLIANCE | {
    *_BILLING,
    "tender_transactions/create",
    "order_transactions/create",
    "orders/edited",
    "customers/purchasing_summary",
    "customer_payment_methods/revoke",
    "app/uninstalled",
    "app/scopes_update",
}
"""Topics whose body may come without an id: an empty one is documented, or a person is named by address only."""

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
    "refunds/create": Topic(_OF_ORDER, _refund_created),
    "order_transactions/create": Topic(_OF_ORDER, _transaction),
    "tender_transactions/create": Topic(_OF_ORDER, _transaction),
    "fulfillments/create": Topic(_OF_ORDER, _fulfillment),
    "fulfillments/update": Topic(_OF_ORDER, _fulfillment),
    "fulfillment_events/create": Topic(_OF_ORDER, _fulfillment_event),
    "customers/create": Topic(_CUSTOMER, _customer),
    "customers/update": Topic(_CUSTOMER, _customer),
    "customers/enable": Topic(_CUSTOMER, _customer),
    "customers/disable": Topic(_CUSTOMER, _customer),
    "customers/delete": Topic(_CUSTOMER, _customer_deleted),
    "customers/merge": Topic(_subject_id("customer", _KEPT, gid=None), _customers_merged),
    "customers/purchasing_summary": Topic(_subject_id("customer", "customerId", gid=None), _kept),
    "customer.tags_added": Topic(_subject_id("customer", "customerId", gid=None), _tags_changed(given=True)),
    "customer.tags_removed": Topic(_subject_id("customer", "customerId", gid=None), _tags_changed(given=False)),
    "customer.joined_segment": Topic(_subject_id("customer", "customer_id", gid=None), _segment_changed(member=True)),
    "customer.left_segment": Topic(_subject_id("customer", "customer_id", gid=None), _segment_changed(member=False)),
    "customer_payment_methods/create": Topic(_subject_id("customer", "customer_id", _CUSTOMER_GID), _payment_method),
    "customer_payment_methods/update": Topic(_subject_id("customer", "customer_id", _CUSTOMER_GID), _payment_method),
    "customer_payment_methods/revoke": Topic(_subject_id("customer", "customer_id", _CUSTOMER_GID), _kept),
    "customers_email_marketing_consent/update": Topic(_subject_id("customer", "customer_id", gid=None), _email_consent),
    "customers_marketing_consent/update": Topic(_CUSTOMER, _sms_consent),
    "customers/data_request": Topic(_of_customer, _export_requested),
    "customers/redact": Topic(_of_customer, _person_erased),
    "shop/redact": Topic(lambda body: ("shop", "shop"), _shop_erased),
    "products/create": Topic(_PRODUCT, _product),
    "products/update": Topic(_PRODUCT, _product),
    "products/delete": Topic(_PRODUCT, _product_deleted),
    "variants/in_stock": Topic(_subject_id("product", "product_id", gid=None), _variant),
    "variants/out_of_stock": Topic(_subject_id("product", "product_id", gid=None), _variant),
    "app/uninstalled": Topic(lambda body: ("app", "app"), _kept),
    "app/scopes_update": Topic(lambda body: ("app", "app"), _kept),
    **{
        f"subscription_contracts/{happened}": Topic(_CONTRACT, _contract)
        for happened in ("create", "update", "activate", "pause", "cancel", "expire", "fail")
    },
    **{topic: Topic(_OF_CONTRACT, _billing) for topic in _BILLING},
}
