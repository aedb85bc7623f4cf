"""カラーミーショップ (Color Me): sales, customers and products, polled: https://developer.shop-pro.jp

There is no order webhook; the two hooks of its App Store (install, uninstall) are verified and kept unread. Decided:

- Cancelling sets every amount and quantity to 0. Such a body says only *that* it was cancelled: it gets the lowest
  version there is, so that the amounts seen before stay and the cancelled flag is added to them.
- `receive_mail_magazine` is consent from the customer's own record: `false` is an opt-out, `true` is what the shop's
  record says and therefore never reverses an opt-out made elsewhere (a record that was touched is no new yes), `null`
  says nothing. The copy of the customer inside a sale is not read for consent.
- One `name` field: only a Japanese name of two parts is split.
- `member: false` is a guest, and every guest sale has a customer id of its own. So a guest is known by the mail address
  alone, where there is one: a dozen numbers with one address would make it nobody's (ダミーの宛先).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime

from shared.core.clock import shop_day, to_iso
from shared.core.errors import RejectedError
from shared.core.ids import EventId, digest
from shared.ingest import body as read
from shared.ingest.adapter import About, Connection, Request, delivered
from shared.ingest.body import Body
from shared.ingest.derive import event, points, unknown
from shared.ingest.model import (
    ConsentFacts,
    Envelope,
    Event,
    EventType,
    Line,
    OrderFacts,
    Person,
    ProductFacts,
    ProfileFacts,
)
from shared.ingest.names import split_name
from shared.ingest.polled import feed_of, polled_envelope, time_if_read
from shared.ingest.signing import hmac_base64, is_any, live_secrets

NAME = "colorme"
SALE, CUSTOMER, PRODUCT = "sale", "customer", "product"
KINDS = {SALE: "order", CUSTOMER: "customer", PRODUCT: "product"}
INSTALL, UNINSTALL = "install", "uninstall"
CURRENCY = "JPY"
LOWEST_VERSION = "0"
"""Before every time: a body with it never replaces another."""

GENDERS = {"male": "male", "female": "female"}
HIDDEN = frozenset({"hidden"})
"""`display_state` of a product that is not for sale."""


class ColorMe:
    """Adapter of polled Color Me records, and of its App Store's two hooks."""

    name = NAME

    def verify(self, request: Request, connection: Connection, now: datetime) -> bool:
        """base64(HMAC-SHA256(webhook_secret, raw body)) by a live secret; only its App Store posts anything."""
        given = request.headers.get("x-appstore-signature", "")
        return is_any(given, (hmac_base64(secret, request.body) for secret in live_secrets(connection, now)))

    def envelopes(self, request: Request, connection: Connection, now: datetime) -> Sequence[Envelope]:
        """The record of a polled feed; or a hook of the App Store, kept unread."""
        body = read.parse_object(request.body)
        feed = feed_of(request)
        if feed in KINDS:
            key = read.required(read.identifier(body), "id")
            return (polled_envelope(request, connection, KINDS[feed], key, time_if_read(_updated_at, body), now),)
        return (_hook(request, body, connection, now),)

    def events(self, envelope: Envelope) -> Sequence[Event]:
        """What the record says. A hook is one UNKNOWN event."""
        reading = FEEDS.get(envelope.topic)
        return reading(envelope, read.parse_object(envelope.raw)) if reading else (unknown(envelope),)


ADAPTER = ColorMe()

ABOUT = About(
    title="カラーミーショップ (Color Me)",
    arrives="polled, REST v1, every 15 minutes (its App Store's install and uninstall hooks are kept unread)",
    orders="yes: paid and cancelled; a cancelled one keeps the amounts that were seen before",
    customers="yes, with birthday, gender and points",
    consent="yes: `receive_mail_magazine`; it never reverses an opt-out",
    carts="no: not in the API",
    signature="hooks: base64 HMAC-SHA256 of the raw body; the polled API: OAuth2 token",
    dedupe="`id` and `update_date`",
    limits="no order webhook; partial refunds show only as a lower total; no subscription object; "
    "products are read once a day",
)


# --- the request ------------------------------------------------------------------------------------------------------


def _hook(request: Request, body: Body, connection: Connection, now: datetime) -> Envelope:
    topic = UNINSTALL if "uninstalled_at" in body else INSTALL
    minute = to_iso(now.replace(second=0, microsecond=0))
    event_id = EventId(digest(NAME, connection.connection_id, topic, request.body.hex(), minute))
    return delivered(
        request,
        connection,
        now,
        about=("app", event_id),
        event_id=event_id,
        topic=topic,
    )


def _updated_at(body: Body) -> datetime | None:
    return read.epoch_time(body, "update_date") or read.epoch_time(body, "make_date")


# --- sales ------------------------------------------------------------------------------------------------------------


def _sale(envelope: Envelope, body: Body) -> Sequence[Event]:
    facts = _facts(body)
    buyer = _person(read.inner(body, "customer") or {})
    version = to_iso(_updated_at(body) or envelope.occurred_at)
    if facts.cancelled_at is None:
        return (event(envelope, EventType.ORDER_UPDATED, facts, buyer, version),)
    version = LOWEST_VERSION if facts.total == 0 else version
    return (event(envelope, EventType.ORDER_CANCELLED, facts, buyer, version),)


def _facts(body: Body) -> OrderFacts:
    ordered_at = read.epoch_time(body, "make_date")
    total = read.amount(body, "total_price", CURRENCY)
    if ordered_at is None or total is None:
        raise RejectedError("a sale needs 'make_date' and 'total_price'")
    discount = _discount(body)
    order_id = read.required(read.identifier(body), "id")
    return OrderFacts(
        order_id=order_id,
        number=order_id,
        ordered_at=ordered_at,
        currency=CURRENCY,
        total=max(0, total),
        paid=read.flag(body, "paid"),
        cancelled_at=(_updated_at(body) or ordered_at) if read.flag(body, "canceled") else None,
        lines=tuple(_line(line) for line in read.items(body, "details")),
        goods_total=max(0, total - sum(_money(body, name) for name in _BESIDE_GOODS)),
        discount=max(0, discount),
        media=_media(body),
    )


_BESIDE_GOODS = (
    "delivery_total_charge",
    "fee",
    "noshi_total_charge",
    "card_total_charge",
    "wrapping_total_charge",
)
"""What `total_price` holds beside the goods. `product_total_price` is without tax in shops that show prices so."""


def _discount(body: Body) -> int:
    """Points and coupons. `totals` counts every kind where it is there; single fields leave Yahoo's points out."""
    totals = body.get("totals")
    counted = sum(_money(totals, name) for name in _DISCOUNT_TOTALS) if isinstance(totals, dict) else 0
    return max(counted, sum(_money(body, name) for name in ("point_discount", "gmo_point_discount", "other_discount")))


_DISCOUNT_TOTALS = ("discount_amount_for_normal_tax", "discount_amount_for_reduced_tax")


def _media(body: Body) -> str | None:
    return "mobile" if read.flag(body, "mobile") else None


def _money(body: Body, name: str) -> int:
    return read.amount(body, name, CURRENCY) or 0


def _line(line: Body) -> Line:
    price = read.amount(line, "price_with_tax", CURRENCY)
    return Line(
        product_id=read.identifier(line, "product_id") or "custom",
        variant_id=read.text(line, "product_model_number"),
        title=read.text(line, "pristine_product_full_name") or read.text(line, "product_name") or "",
        quantity=read.count(line, "product_num"),
        unit_amount=max(0, price if price is not None else _money(line, "price")),
        image_url=read.web_address(line, "product_image_url"),
    )


# --- customers --------------------------------------------------------------------------------------------------------


def _customer(envelope: Envelope, body: Body) -> Sequence[Event]:
    read.required(read.identifier(body), "id")
    person = _person(body)
    version = _updated_at(body) or envelope.occurred_at
    changed = event(envelope, EventType.CUSTOMER_UPDATED, ProfileFacts(attributes=_attributes(body)), person, version)
    return (changed, *_consent(envelope, body, person), *points(envelope, body, "points", person, version))


def _attributes(body: Body) -> Mapping[str, str | int | float | bool]:
    born, registered = read.day(body, "birthday"), read.epoch_time(body, "make_date")
    gender = GENDERS.get(read.word(body, "sex"))
    said: dict[str, str | int | float | bool] = {}
    if born:
        said["birth_on"] = born.isoformat()
    if registered:
        said["registered_on"] = shop_day(registered, read.TIMEZONE).isoformat()
    if gender:
        said["gender"] = gender
    return said


def _consent(envelope: Envelope, body: Body, person: Person) -> Sequence[Event]:
    said = body.get("receive_mail_magazine")
    if not isinstance(said, bool) or person.email is None:
        return ()
    facts = ConsentFacts(channel="email", granted=said, method=f"{NAME}:receive_mail_magazine", by_customer=not said)
    return (event(envelope, EventType.CONSENT_CHANGED, facts, person, part="email"),)


def _person(customer: Body) -> Person:
    last, first = split_name(read.text(customer, "name"))
    last_kana, first_kana = split_name(read.text(customer, "furigana"))
    email = read.email(customer, "mail")
    guest = customer.get("member") is False
    return Person(
        source_customer_id=None if guest and email else read.identifier(customer),
        email=email,
        phone=read.text(customer, "tel") or read.text(customer, "tel_mobile"),
        last_name=last,
        first_name=first,
        last_name_kana=last_kana,
        first_name_kana=first_kana,
        postal_code=read.text(customer, "postal"),
        prefecture=read.text(customer, "pref_name"),
        address=" ".join(filter(None, (read.text(customer, "address1"), read.text(customer, "address2")))) or None,
    )


# --- products ---------------------------------------------------------------------------------------------------------


def _product(envelope: Envelope, body: Body) -> Sequence[Event]:
    price = read.amount(body, "sales_price_including_tax", CURRENCY)
    category = read.inner(body, "category") or {}
    stocked = read.flag(body, "stock_managed")
    stock = read.number(body, "stocks") if stocked else None
    facts = ProductFacts(
        product_id=read.required(read.identifier(body), "id"),
        title=read.text(body, "name") or "",
        category=read.text(category, "name") or read.text(category, "id_big"),
        price=price if price is not None else read.amount(body, "sales_price", CURRENCY),
        currency=CURRENCY,
        stock=None if stock is None else max(0, min(int(stock), read.MAX_COUNT)),
        image_url=read.web_address(body, "image_url"),
        deleted=read.word(body, "display_state") in HIDDEN,
    )
    version = _updated_at(body) or envelope.occurred_at
    return (event(envelope, EventType.PRODUCT_UPDATED, facts, version=version),)


# --- vendor word → our word -------------------------------------------------------------------------------------------

FEEDS: Mapping[str, Callable[[Envelope, Body], Sequence[Event]]] = {
    SALE: _sale,
    CUSTOMER: _customer,
    PRODUCT: _product,
}
"""Every other topic is UNKNOWN: kept with its raw body."""
