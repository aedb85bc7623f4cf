"""WooCommerce webhooks (REST v3 bodies): https://woocommerce.com/document/webhooks/

The body is the object as it was when *sent*, so what happened is read from its `status` and `refunds`. Decided here:

- A `checkout-draft` is a checkout (カート), never an order: the block checkout saves one while the visitor types. It
  has no link back, because a draft cannot be paid by its URL.
- `failed` and `cancelled` are cancelled orders; a status this file does not know is an order that claims nothing more.
- A body without a status is no order: it may be a draft.
- `customer.deleted` is a deleted record, not an erasure request: shops delete accounts for many reasons.
- Nothing consents: the core has no such field. Coupons and `action.*` are kept unread.
- WooCommerce Subscriptions sends a contract's body on `subscription.*` and each renewal (お届け) as an order of its
  own, which names the contract in its meta. `pending-cancel` (解約予約) still runs: it is ACTIVE, with the time it was
  cancelled and no next delivery. `on-hold` is a payment that failed where the body says that one is due, else a pause.
- A product says no currency, so its price (whose decimals are the shop's own setting) is not read.
- Furigana exists only as plugins' meta: keys that hold `kana` or `gana` are read, with `first`/`last` where they
  say so.
- No delivery has an id: it is made of connection, topic, body and the minute of receipt, so that the same bytes sent
  again at once are one delivery and the same bytes of a later day are another.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from decimal import ROUND_CEILING, Decimal
from enum import Enum
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo

from shared.core.clock import shop_day, to_iso
from shared.core.errors import RejectedError
from shared.core.ids import EventId, digest
from shared.ingest import body as read
from shared.ingest import media
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
    OrderDeletedFacts,
    OrderFacts,
    Person,
    ProductFacts,
    ProfileFacts,
    Refund,
    SubscriptionFacts,
    SubscriptionState,
)
from shared.ingest.names import last_or_company
from shared.ingest.prefectures import prefecture
from shared.ingest.signing import hmac_base64, is_any, live_secrets

NAME = "woocommerce"


class Meaning(Enum):
    """What an order status amounts to."""

    ORDER = "order"
    PAID = "paid"
    CANCELLED = "cancelled"
    CHECKOUT = "checkout"
    NOTHING = "nothing"
    """Being typed in by the shop, or in its bin (`order.deleted` says so)."""
    UNKNOWN = "unknown"
    """A status of a plugin: an order, of which nothing more is claimed."""


STATUSES: Mapping[str, Meaning] = {
    "pending": Meaning.ORDER,
    "on-hold": Meaning.ORDER,  # 銀行振込 and コンビニ wait here
    "processing": Meaning.ORDER,  # 代金引換 too, so `date_paid_gmt` says whether it is paid
    "completed": Meaning.PAID,
    "refunded": Meaning.PAID,
    "cancelled": Meaning.CANCELLED,
    "failed": Meaning.CANCELLED,
    "checkout-draft": Meaning.CHECKOUT,
    "auto-draft": Meaning.NOTHING,
    "draft": Meaning.NOTHING,
    "trash": Meaning.NOTHING,
    "": Meaning.NOTHING,
}
"""Status → what it amounts to; whatever is not here is UNKNOWN."""

SUBSCRIPTION_STATES: Mapping[str, SubscriptionState] = {
    "active": SubscriptionState.ACTIVE,
    "pending-cancel": SubscriptionState.ACTIVE,
    "on-hold": SubscriptionState.PAUSED,
    "cancelled": SubscriptionState.CANCELLED,
    "trash": SubscriptionState.CANCELLED,
    "expired": SubscriptionState.EXPIRED,
    "switched": SubscriptionState.EXPIRED,  # another contract took over
}
"""Status of a subscription → ours; whatever is not here (`pending`) is UNKNOWN."""

RENEWALS = ("_subscription_renewal", "_subscription_resubscribe", "_subscription_switch")
"""Meta of an order that names the contract it belongs to."""

_MAX_META = 500
_KANA = re.compile(r"[ァ-ヶー・･ｦ-ﾟぁ-ゖ\s　]{1,100}")
_TOPIC = re.compile(r"[a-z0-9_.-]{1,100}", re.ASCII)
_INDEX = re.compile(r"[0-9]{1,6}", re.ASCII)
_PING = re.compile(rb"webhook_id=[0-9]{1,20}")
_NAIVE = re.compile(r"[0-9-]{10}[T ][0-9:.]{5,15}", re.ASCII)
_ENTITIES = (("&lt;", "<"), ("&gt;", ">"), ("&quot;", '"'), ("&#039;", "'"), ("&#x27;", "'"), ("&amp;", "&"))
_BLOCK_CHECKOUT = "store-api"


@dataclass(frozen=True, slots=True)
class Topic:
    """What a topic is about, and how its body reads."""

    kind: str
    read: Callable[[Envelope, Body], Sequence[Event]]


class WooCommerce:
    """Adapter of WooCommerce's webhooks."""

    name = NAME

    def verify(self, request: Request, connection: Connection, now: datetime) -> bool:
        """base64(HMAC-SHA256(secret, raw body)) by a live secret, from the site this connection belongs to.

        The ping that saving a webhook sends is believed too, unsigned as it is: nothing of it is kept.
        """
        secrets = live_secrets(connection, now)
        if is_ping(request):
            return bool(secrets)
        given = request.headers.get("x-wc-webhook-signature", "")
        genuine = is_any(given, (signature(secret, request.body) for secret in secrets))
        return genuine and _site(request) == connection.store.lower()

    def envelopes(self, request: Request, connection: Connection, now: datetime) -> Sequence[Envelope]:
        """The delivery in a verified request; none for a ping."""
        if is_ping(request):
            return ()
        topic = request.headers.get("x-wc-webhook-topic", "").strip().lower()
        if not _TOPIC.fullmatch(topic):
            raise RejectedError("header X-WC-Webhook-Topic is missing or malformed")
        body = _object(request.body)
        event_id = _event_id(request, connection, topic, now)
        return (
            delivered(
                request,
                connection,
                now,
                about=_thing(topic, body),
                event_id=event_id,
                topic=topic,
                occurred_at=read.happened_at(now, _zoned(body, "date_modified_gmt"), _zoned(body, "date_created_gmt")),
            ),
        )

    def events(self, envelope: Envelope) -> Sequence[Event]:
        """What the envelope says. A topic without a reading is one UNKNOWN event."""
        topic = TOPICS.get(envelope.topic)
        return topic.read(envelope, _object(envelope.raw)) if topic else (unknown(envelope),)


ADAPTER = WooCommerce()

ABOUT = About(
    title="WooCommerce (+ Subscriptions)",
    arrives="webhook, REST v3 bodies",
    orders="yes: create, update, cancel, delete; refunds inside the order; subscriptions, renewals, products and stock",
    customers="yes; furigana where a plugin keeps it",
    consent="no: the core has no such field",
    carts="block checkout only (`checkout-draft`), without a link back",
    signature="base64 HMAC-SHA256 of the raw body; the site's host is compared",
    dedupe="none sent: digest of connection, topic, body and minute of receipt",
    limits="never retries, and is switched off after 5 failures in a row: the reconciling poll needs API keys; "
    "coupons are kept unread; a product's price is not read, because its body says no currency",
    webhook=True,
)


def signature(secret: str, body: bytes) -> bytes:
    """The text WooCommerce sends in X-WC-Webhook-Signature.

    It un-escapes the stored secret first (`wp_specialchars_decode`): `a&amp;b` signs as `a&b`.
    """
    for escaped, plain in _ENTITIES:
        secret = secret.replace(escaped, plain)
    return hmac_base64(secret, body)


def is_ping(request: Request) -> bool:
    """Saving a webhook posts `webhook_id=123` as a form, unsigned and without any header of WooCommerce's."""
    named = any(name.startswith("x-wc-webhook-") for name in request.headers)
    return not named and _PING.fullmatch(request.body) is not None


# --- the request ------------------------------------------------------------------------------------------------------


def _site(request: Request) -> str:
    """The host of the site that says it sent this."""
    try:
        return urlsplit(request.headers.get("x-wc-webhook-source", "").strip()).hostname or ""
    except ValueError:
        return ""


def _object(raw: bytes) -> Body:
    """The body; some plugins wrap it into `{"data": …}`."""
    body = read.parse_object(raw)
    wrapped = body.get("data")
    return _with_lists(wrapped if len(body) == 1 and isinstance(wrapped, dict) else body)


def _with_lists(body: Body) -> Body:
    """PHP writes a list from which a plugin took an entry as an object: `{"0": …, "2": …}`."""
    holed = {
        name: list(value.values())
        for name, value in body.items()
        if isinstance(value, dict) and value and all(map(_INDEX.fullmatch, value))
    }
    return {**body, **holed} if holed else body


def _event_id(request: Request, connection: Connection, topic: str, now: datetime) -> EventId:
    minute = to_iso(now.replace(second=0, microsecond=0))
    return EventId(digest(NAME, connection.connection_id, topic, hashlib.sha256(request.body).hexdigest(), minute))


def _thing(topic: str, body: Body) -> tuple[str, str | None]:
    known = TOPICS.get(topic)
    kind = known.kind if known else topic.partition(".")[0]
    key = _known_id(body)
    if known and key is None and isinstance(body.get(kind), dict):
        raise RejectedError("this is the Legacy API: set the webhook's API version to WP REST API Integration v3")
    if known and key is None and {"code", "message"} <= body.keys():
        raise RejectedError(f"WooCommerce sent an error for the {kind}: the user who saved the webhook may not read it")
    if known and key is None:
        raise RejectedError(f"the body of {topic} has no id of its {kind}")
    return kind, key


def _known_id(body: Body) -> str | None:
    try:
        return read.identifier(body)
    except RejectedError:
        return None


def _gmt(body: Body, name: str) -> datetime | None:
    """A `…_gmt` time. Its local twin says no offset."""
    return read.time({name: _zoned(body, name)}, name)


def _zoned(body: Body, name: str) -> object:
    """What a `…_gmt` field says, which is UTC written without `Z`, with it."""
    written = body.get(name)
    return f"{written.strip()}Z" if isinstance(written, str) and _NAIVE.fullmatch(written.strip()) else written


def _local(body: Body, name: str) -> datetime | None:
    """A shop's own time, for a body that lost the other (captured ones did): better hours off than an order lost."""
    written = body.get(name)
    if not isinstance(written, str) or not _NAIVE.fullmatch(written.strip()):
        return None
    at = read.time({name: f"{written.strip()}Z"}, name)
    return at.replace(tzinfo=ZoneInfo(read.TIMEZONE)).astimezone(UTC) if at else None


def _gmt_if_any(body: Body, name: str) -> datetime | None:
    """Like `_gmt`; None for zeros and zero dates of old databases, which mean none."""
    return _gmt(body, name) if _is_given(body, name) else None


def _is_given(body: Body, name: str) -> bool:
    """Is there a date, and not one of an old database's ways to say none?"""
    written = body.get(name)
    none = written in (None, "", 0, False) or (
        isinstance(written, str) and (written.strip() == "0" or written.startswith("0000-"))
    )
    return not none


def _date_of(contract: Body, name: str) -> datetime | None:
    """A date of a contract. Webhooks of v1 *and* v2 send the v1 body, whose `start_date` is UTC as well."""
    return _gmt_if_any(contract, f"{name}_gmt") or _gmt_if_any(contract, name)


# --- orders -----------------------------------------------------------------------------------------------------------


def meaning(body: Body) -> Meaning:
    """What the order's status amounts to."""
    return STATUSES.get(read.word(body, "status").removeprefix("wc-"), Meaning.UNKNOWN)


def _order(event_type: EventType) -> Callable[[Envelope, Body], Sequence[Event]]:
    def events(envelope: Envelope, body: Body) -> Sequence[Event]:
        means = meaning(body)
        if means is Meaning.NOTHING:
            return (unknown(envelope),)
        if means is Meaning.CHECKOUT:
            return (
                event(envelope, EventType.CHECKOUT_UPDATED, _checkout_facts(body), _buyer(body), _version(envelope)),
            )
        said = EventType.ORDER_CANCELLED if means is Meaning.CANCELLED else event_type
        return (event(envelope, said, _order_facts(envelope, body, means), _buyer(body), _version(envelope)),)

    return events


def _version(envelope: Envelope) -> str:
    """When it changed, to the second; of several changes in one second the one sent last, for bodies are made then."""
    return f"{to_iso(envelope.occurred_at)}/{to_iso(envelope.received_at)}"


def _order_facts(envelope: Envelope, body: Body, means: Meaning) -> OrderFacts:
    currency = read.required(read.currency(body), "currency")
    total = _money(body, "total", currency)
    ordered_at = _gmt(body, "date_created_gmt") or _local(body, "date_created")
    if ordered_at is None or total is None:
        raise RejectedError("an order needs 'date_created_gmt' and 'total'")
    return OrderFacts(
        order_id=read.required(read.identifier(body), "id"),
        number=read.text(body, "number"),
        ordered_at=ordered_at,
        currency=currency,
        total=max(0, total),
        # REST v1 has only the local one.
        paid=means is Meaning.PAID or _is_given(body, "date_paid_gmt" if "date_paid_gmt" in body else "date_paid"),
        cancelled_at=envelope.occurred_at if means is Meaning.CANCELLED else None,
        lines=_lines(body, currency),
        refunds=tuple(_refund(refund, currency) for refund in read.items(body, "refunds")),
        checkout_token=_checkout_token(body),
        goods_total=_sum(body, "line_items", "total", currency),
        discount=abs(_with_tax(body, "discount_total", "discount_tax", currency) or 0),
        coupons=_coupons(body),
        media=media.joined(*(_meta_text(body, f"_wc_order_attribution_{name}") for name in media.UTM)),
        referral=media.referral(_meta_text(body, "_wc_order_attribution_session_entry")),
        subscription_id=_contract_of(body),
    )


def _meta(body: Body) -> Mapping[str, object]:
    """Meta data by key, the last of each; values may be of any type."""
    listed = body.get("meta_data")
    entries = listed[:_MAX_META] if isinstance(listed, list) else ()
    return {
        each["key"]: each.get("value")
        for each in entries
        if isinstance(each, dict) and isinstance(each.get("key"), str)
    }


def _meta_text(body: Body, key: str) -> str | None:
    value = _meta(body).get(key)
    return read.text({key: value}, key) if isinstance(value, str) else None


def _contract_of(body: Body) -> str | None:
    """The subscription that an order renews; such an order is one of its deliveries (お届け)."""
    meta = _meta(body)
    named = (meta.get(key) for key in RENEWALS)
    ids = (read.identifier({"id": value}) for value in named if isinstance(value, str | int) and str(value).isdigit())
    return next((found for found in ids if found), None)


def _coupons(body: Body) -> tuple[str, ...]:
    codes = (media.code(read.text(each, "code")) for each in read.items(body, "coupon_lines"))
    return tuple(dict.fromkeys(code for code in codes if code))


def _sum(body: Body, name: str, amount: str, currency: str) -> int:
    """What the lines come to, after coupons, with tax where the shop shows prices so (内税)."""
    lines = [(_decimal(line, amount), _decimal(line, f"{amount}_tax")) for line in read.items(body, name)]
    with_tax = read.flag(body, "prices_include_tax")
    return max(0, read.rounded(sum((net + (tax if with_tax else 0) for net, tax in lines), Decimal(0)), currency))


def _with_tax(body: Body, name: str, tax: str, currency: str) -> int | None:
    included = _decimal(body, tax) if read.flag(body, "prices_include_tax") else Decimal(0)
    return read.rounded(_decimal(body, name) + included, currency)


def _decimal(body: Body, name: str) -> Decimal:
    return read.number(body, name) or Decimal(0)


def _checkout_token(body: Body) -> str | None:
    """The checkout an order was: the block checkout's draft *becomes* the order and keeps its id."""
    return read.identifier(body) if read.word(body, "created_via") == _BLOCK_CHECKOUT else None


def _refund(body: Body, currency: str) -> Refund:
    """A refund; its total is negative."""
    return Refund(
        refund_id=read.required(read.identifier(body), "id"), amount=abs(_money(body, "total", currency) or 0)
    )


def _order_deleted(envelope: Envelope, body: Body) -> Sequence[Event]:
    order_id = read.required(read.identifier(body), "id")
    return (event(envelope, EventType.ORDER_DELETED, OrderDeletedFacts(order_id=order_id)),)


def _checkout_facts(body: Body) -> CartFacts:
    currency = read.currency(body)
    return CartFacts(
        token=read.required(read.identifier(body), "id"),
        currency=currency,
        total=max(0, _money(body, "total", currency) or 0) if currency else 0,
        lines=_lines(body, currency),
    )


# money and lines


def _money(body: Body, name: str, currency: str) -> int | None:
    """Text or number, with the shop's decimals whatever the currency has (`"1980.00"` yen)."""
    amount = read.number(body, name)
    return None if amount is None else read.rounded(amount, currency)


def _lines(body: Body, currency: str | None) -> tuple[Line, ...]:
    with_tax = read.flag(body, "prices_include_tax")
    subscription = "billing_period" in body or _contract_of(body) is not None
    return tuple(_line(line, currency, with_tax, subscription) for line in read.items(body, "line_items"))


def _line(line: Body, currency: str | None, with_tax: bool, subscription: bool) -> Line:
    pieces = read.number(line, "quantity") or Decimal(0)
    if not 0 <= pieces <= read.MAX_COUNT:
        raise RejectedError("field 'quantity' must be a number of pieces")
    image = line.get("image")
    return Line(
        product_id=read.identifier(line, "product_id") or "custom",
        variant_id=read.identifier(line, "variation_id"),
        title=read.text(line, "name") or "",
        # 1.5 kg is sold by some plugins: two pieces rather than a lost order.
        quantity=int(pieces.to_integral_value(ROUND_CEILING)),
        unit_amount=max(0, read.rounded(_unit_price(line, pieces, with_tax), currency)) if currency else 0,
        image_url=read.web_address(image, "src") if isinstance(image, dict) else None,
        subscription=subscription,
    )


def _unit_price(line: Body, pieces: Decimal, with_tax: bool) -> Decimal:
    """Per piece before coupons, with tax where the shop shows prices so (内税).

    Not `price`, which is after coupons, without tax, and a binary fraction.
    """
    subtotal = read.number(line, "subtotal")
    if subtotal is None or not pieces:
        return read.number(line, "price") or Decimal(0)
    tax = read.number(line, "subtotal_tax") if with_tax else None
    return (subtotal + (tax or 0)) / pieces


# --- people -----------------------------------------------------------------------------------------------------------


def _bill(body: Body) -> Body:
    """The billing address."""
    return read.inner(body, "billing") or {}


def _buyer(body: Body) -> Person:
    """Who ordered, from the bill; a guest's `customer_id` is 0.

    Not from the delivery address: a gift goes to somebody else.
    """
    billing = _bill(body)
    token = read.identifier(body) if meaning(body) is Meaning.CHECKOUT else _checkout_token(body)
    kana = _kana(body)
    last, first = read.text(billing, "last_name"), read.text(billing, "first_name")
    return Person(
        source_customer_id=read.identifier(body, "customer_id"),
        email=read.email(billing),
        phone=read.text(billing, "phone"),
        last_name=last_or_company(last, first, read.text(billing, "company")),
        first_name=first,
        last_name_kana=kana[0],
        first_name_kana=kana[1],
        postal_code=read.text(billing, "postcode"),
        prefecture=prefecture(read.text(billing, "state")),
        address=_street(billing),
        anonymous_ids=(f"checkout/{token}",) if token else (),
    )


def _street(place: Body) -> str | None:
    """Municipality, street and building as one line."""
    parts = (read.text(place, name) for name in ("city", "address_1", "address_2"))
    return " ".join(part for part in parts if part) or None


def _kana(body: Body) -> tuple[str | None, str | None]:
    """(セイ, メイ) from the meta of whichever plugin asks for them; a field for both is split at its space."""
    last = first = whole = None
    for key, value in _meta(body).items():
        name = key.lower()
        if not isinstance(value, str) or not ("kana" in name or "gana" in name) or "shipping" in name:
            continue
        said = value.strip()
        if not _KANA.fullmatch(said):
            continue
        if "last" in name or "sei" in name:
            last = last or said
        elif "first" in name or "mei" in name:
            first = first or said
        else:
            whole = whole or said
    if last or first or not whole:
        return last, first
    parts = whole.split()
    return (parts[0], parts[1]) if len(parts) == 2 else (whole, None)


def _customer(envelope: Envelope, body: Body) -> Sequence[Event]:
    billing, kana = _bill(body), _kana(body)
    last = read.text(body, "last_name") or read.text(billing, "last_name")
    first = read.text(body, "first_name") or read.text(billing, "first_name")
    person = Person(
        source_customer_id=read.required(read.identifier(body), "id"),
        email=read.email(body) or read.email(billing),
        phone=read.text(billing, "phone"),
        last_name=last_or_company(last, first, read.text(billing, "company")),
        first_name=first,
        last_name_kana=kana[0],
        first_name_kana=kana[1],
        postal_code=read.text(billing, "postcode"),
        prefecture=prefecture(read.text(billing, "state")),
        address=_street(billing),
    )
    # Its local twin, for once: the day the shop itself would say.
    registered = read.day(body, "date_created") or _shop_day(_gmt_if_any(body, "date_created_gmt"))
    facts = ProfileFacts(attributes={"registered_on": registered.isoformat()} if registered else {})
    return (event(envelope, EventType.CUSTOMER_UPDATED, facts, person, _version(envelope)),)


def _customer_deleted(envelope: Envelope, body: Body) -> Sequence[Event]:
    person = Person(source_customer_id=read.required(read.identifier(body), "id"))
    return (event(envelope, EventType.CUSTOMER_DELETED, CustomerDeletedFacts(), person),)


# --- subscriptions (WooCommerce Subscriptions) ------------------------------------------------------------------------


def _subscription(envelope: Envelope, body: Body) -> Sequence[Event]:
    """The contract as it stands: what happened is the difference to the last one."""
    subscription_id = read.required(read.identifier(body), "id")
    status = read.word(body, "status").removeprefix("wc-")
    state = _state(status, body)
    if status in {"draft", "auto-draft"}:
        return (unknown(envelope),)
    currency = read.currency(body)
    asked = _gmt_if_any(body, "cancelled_date_gmt")
    cancelled = state is SubscriptionState.CANCELLED or status == "pending-cancel"
    unit = read.word(body, "billing_period")
    facts = SubscriptionFacts(
        subscription_id=subscription_id,
        state=state,
        started_at=_date_of(body, "start_date") or _gmt_if_any(body, "date_created_gmt"),
        lines=_lines(body, currency),
        currency=currency,
        amount=max(0, _money(body, "total", currency) or 0) if currency else None,
        interval_unit=unit if unit in ("day", "week", "month", "year") else None,  # type: ignore[arg-type]
        interval_count=read.count(body, "billing_interval") or None,
        next_delivery_on=None if cancelled else _shop_day(_date_of(body, "next_payment_date")),
        cancelled_at=(asked or envelope.occurred_at) if cancelled else None,
        media=media.joined(*(_meta_text(body, f"_wc_order_attribution_{name}") for name in media.UTM)),
    )
    person = replace(_buyer(body), anonymous_ids=(f"subscription/{subscription_id}",))
    return (event(envelope, EventType.SUBSCRIPTION_UPDATED, facts, person, _version(envelope)),)


def _state(status: str, body: Body) -> SubscriptionState:
    owed = read.flag(body, "needs_payment") or _is_given(body, "payment_retry_date_gmt")
    if status == "on-hold" and owed:
        return SubscriptionState.PAST_DUE
    return SUBSCRIPTION_STATES.get(status, SubscriptionState.UNKNOWN)


def _shop_day(at: datetime | None) -> date | None:
    return shop_day(at, read.TIMEZONE) if at else None


def _subscription_deleted(envelope: Envelope, body: Body) -> Sequence[Event]:
    """A contract put into the bin delivers nothing any more."""
    subscription_id = read.required(read.identifier(body), "id")
    facts = SubscriptionFacts(
        subscription_id=subscription_id, state=SubscriptionState.CANCELLED, cancelled_at=envelope.occurred_at
    )
    person = Person(anonymous_ids=(f"subscription/{subscription_id}",))
    return (event(envelope, EventType.SUBSCRIPTION_UPDATED, facts, person, _version(envelope)),)


# --- products ---------------------------------------------------------------------------------------------------------


def _product(envelope: Envelope, body: Body) -> Sequence[Event]:
    if parent := _parent_of(body):
        return _variation(envelope, body, parent)
    images = read.items(body, "images")
    facts = ProductFacts(
        product_id=read.required(read.identifier(body), "id"),
        title=read.text(body, "name") or "",
        category=next((name for each in read.items(body, "categories") if (name := read.text(each, "name"))), None),
        stock=_stock(body),
        url=read.web_address(body, "permalink"),
        image_url=next((found for each in images if (found := read.web_address(each, "src"))), None),
        deleted=read.word(body, "status") not in {"", "publish"},
    )
    return (event(envelope, EventType.PRODUCT_UPDATED, facts, version=_version(envelope)),)


def _parent_of(body: Body) -> str | None:
    """The product a variation is of: `product.*` tells of variations (SKU) too, as if they were products."""
    return read.identifier(body, "parent_id") if read.word(body, "type") == "variation" else None


def _variation(envelope: Envelope, body: Body, parent: str) -> Sequence[Event]:
    variant_id = read.required(read.identifier(body), "id")
    facts = ProductFacts(product_id=parent, variant_id=variant_id, title="", stock=_stock(body))
    return (event(envelope, EventType.PRODUCT_UPDATED, facts, version=_version(envelope)),)


def _stock(body: Body) -> int | None:
    """Pieces where the shop counts them; else only that there are none (`in_stock` of v1 and v2)."""
    if read.word(body, "stock_status") == "outofstock" or body.get("in_stock") is False:
        return 0
    pieces = read.number(body, "stock_quantity")
    return None if pieces is None else max(0, int(pieces))


def _product_deleted(envelope: Envelope, body: Body) -> Sequence[Event]:
    product_id = read.required(read.identifier(body), "id")
    facts = ProductFacts(product_id=product_id, title="", deleted=True)
    return (event(envelope, EventType.PRODUCT_UPDATED, facts, version=_version(envelope)),)


# --- vendor word → our word -------------------------------------------------------------------------------------------

TOPICS: Mapping[str, Topic] = {
    "order.created": Topic("order", _order(EventType.ORDER_PLACED)),
    "order.updated": Topic("order", _order(EventType.ORDER_UPDATED)),
    "order.restored": Topic("order", _order(EventType.ORDER_UPDATED)),
    "order.deleted": Topic("order", _order_deleted),
    "customer.created": Topic("customer", _customer),
    "customer.updated": Topic("customer", _customer),
    "customer.restored": Topic("customer", _customer),
    "customer.deleted": Topic("customer", _customer_deleted),
    "product.created": Topic("product", _product),
    "product.updated": Topic("product", _product),
    "product.restored": Topic("product", _product),
    "product.deleted": Topic("product", _product_deleted),
    "subscription.created": Topic("subscription", _subscription),
    "subscription.updated": Topic("subscription", _subscription),
    "subscription.switched": Topic("subscription", _subscription),
    "subscription.restored": Topic("subscription", _subscription),
    "subscription.deleted": Topic("subscription", _subscription_deleted),
}
