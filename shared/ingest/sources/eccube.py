"""EC-CUBE 4 (Web API plugin): thin webhooks, and the objects they name read back over GraphQL.

https://doc4.ec-cube.net/web-api/webhook. The webhook is sent inside the shopper's own request, *before* the shop
commits, and is never repeated. So it is kept and answered at once, and the thing it names is read back twice, later
(`shared/ingest/pull/read_back.py`); the reconciling poll finds what no webhook told. Decided here:

- A connection without a secret is refused: EC-CUBE then sends no signature at all.
- A notice claims nothing by itself, not even `deleted`: it may have been rolled back. Gone after the last read, it is.
- 購入処理中 and 決済処理中 are a checkout (カート), never an order; the order that comes of it keeps the id.
- 退会 (the status, or an address at `dummy.dummy`) asks for erasure; that address is never learned.
- 返品 is a refund of everything. A status this file does not know is an order that claims nothing more.
- Item rows are products *and* 送料, 手数料, 割引, ポイント: only products are lines.
- Nothing consents: the core has no such field.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal
from enum import Enum

from shared.core.clock import to_iso
from shared.core.errors import RejectedError
from shared.core.ids import digest
from shared.ingest import body as read
from shared.ingest.adapter import About, Connection, Request, delivered
from shared.ingest.body import Body
from shared.ingest.derive import event, points, unknown
from shared.ingest.model import (
    CartFacts,
    CustomerDeletedFacts,
    Envelope,
    EraseFacts,
    Event,
    EventType,
    Line,
    OrderDeletedFacts,
    OrderFacts,
    Person,
    ProductFacts,
    ProfileFacts,
    Refund,
    is_withdrawn_address,
)
from shared.ingest.polled import feed_of, polled_envelope, time_if_read
from shared.ingest.signing import hmac_hex, is_any, live_secrets

NAME = "eccube"
ORDER, CUSTOMER, PRODUCT = "order", "customer", "product"
ENTITIES = (ORDER, CUSTOMER, PRODUCT)
GONE = "gone"
"""`order.gone`: read back after a `deleted` notice, and not there any more."""
NOTICE = "notice"
"""`order.notice.updated`: what the webhook said, kept and believed only after reading back."""
MAX_NOTICES = 500
"""Entities of one webhook; a page request of a shop touches a few."""


class Meaning(Enum):
    """What an order status amounts to."""

    ORDER = "order"
    PAID = "paid"
    CANCELLED = "cancelled"
    RETURNED = "returned"
    CHECKOUT = "checkout"
    UNKNOWN = "unknown"


NAMES: Mapping[str, Meaning] = {
    "新規受付": Meaning.ORDER,
    "対応中": Meaning.ORDER,
    "発送済み": Meaning.ORDER,
    "入金済み": Meaning.PAID,
    "注文取消し": Meaning.CANCELLED,
    "キャンセル": Meaning.CANCELLED,
    "返品": Meaning.RETURNED,
    "決済処理中": Meaning.CHECKOUT,
    "購入処理中": Meaning.CHECKOUT,
}
"""OrderStatus.name → meaning. Preferred to the number: a shop may rename and renumber, or speak English, hence both."""

IDS: Mapping[str, Meaning] = {
    "1": Meaning.ORDER,
    "3": Meaning.CANCELLED,
    "4": Meaning.ORDER,
    "5": Meaning.ORDER,
    "6": Meaning.PAID,
    "7": Meaning.CHECKOUT,
    "8": Meaning.CHECKOUT,
    "9": Meaning.RETURNED,
}

# As EC-CUBE's own master data name them, in a Japanese and in an English shop.
WITHDRAWN_NAMES, WITHDRAWN_ID = frozenset({"退会", "Terminated Member"}), "3"
PRODUCT_ROW_NAMES, PRODUCT_ROW_ID = frozenset({"商品", "Products"}), "1"
GENDERS = {"男性": "male", "女性": "female", "Male": "male", "Female": "female", "1": "male", "2": "female"}
HIDDEN = frozenset({"2", "3", "非公開", "廃止", "Hidden", "Discontinued"})

_ACTION = re.compile(r"[a-z_]{1,40}", re.ASCII)
_ENTITY = re.compile(r"[a-z_]{1,40}", re.ASCII)


class EcCube:
    """Adapter of EC-CUBE's webhooks and of what is read back."""

    name = NAME

    def verify(self, request: Request, connection: Connection, now: datetime) -> bool:
        """Lower-case hex(HMAC-SHA256(secret, raw body)) by a live secret; a missing header is no signature."""
        given = request.headers.get("x-eccube-signature", "")
        return is_any(given, (signature(secret, request.body) for secret in live_secrets(connection, now)))

    def envelopes(self, request: Request, connection: Connection, now: datetime) -> Sequence[Envelope]:
        """One envelope for each entity a webhook names; or the one of an object that was read."""
        feed = feed_of(request)
        if feed:
            return (_read_envelope(request, connection, feed, now),)
        return tuple(_notice(request, entry, connection, now) for entry in _entries(request.body))

    def events(self, envelope: Envelope) -> Sequence[Event]:
        """What an object says that was read. A notice is one UNKNOWN event: it waits for the read-back."""
        reading = FEEDS.get(envelope.topic)
        return reading(envelope, read.parse_object(envelope.raw)) if reading else (unknown(envelope),)


ADAPTER = EcCube()

ABOUT = About(
    title="EC-CUBE 4",
    arrives="webhook (Web API plugin), ids only: read back over GraphQL after 30 s and 5 min; reconciling poll",
    orders="yes: cancelled, returned, deleted",
    customers="yes, with points; 退会 is an erasure request",
    consent="no: the core has no such field",
    carts="購入処理中 orders, with the mail address once it is typed; without a link back",
    signature="hex HMAC-SHA256 of the raw body; a connection without a secret is refused",
    dedupe="none sent: digest of connection, notice and minute of receipt; then `update_date`",
    limits="never retries, and tells nothing that a batch or SQL changed: the hourly poll finds it; the name of "
    "an order status goes before its number",
    webhook=True,
)


def signature(secret: str, body: bytes) -> bytes:
    """The text EC-CUBE sends in X-ECCUBE-Signature."""
    return hmac_hex(secret, body)


# --- notices ----------------------------------------------------------------------------------------------------------


def _entries(raw: bytes) -> Sequence[Body]:
    """The list a webhook is; the example in EC-CUBE's own document lacks its brackets, so one object passes too."""
    stripped = raw.strip()
    if not stripped:
        raise RejectedError("the body is not JSON in UTF-8")
    listed = stripped if stripped.startswith(b"[") else b"[" + stripped + b"]"
    entries = read.items(read.parse_object(b'{"entries":' + listed + b"}"), "entries")
    if len(entries) > MAX_NOTICES:
        raise RejectedError(f"a webhook names at most {MAX_NOTICES} things")
    return entries


def _notice(request: Request, entry: Body, connection: Connection, now: datetime) -> Envelope:
    entity, action = read.word(entry, "entity"), read.word(entry, "action")
    key = read.identifier(entry)
    if not _ENTITY.fullmatch(entity) or not _ACTION.fullmatch(action) or key is None:
        raise RejectedError("a webhook names 'entity', 'id' and 'action'")
    # The same bytes are sent for every change of a thing: the minute tells a change from a repetition.
    minute = to_iso(now.replace(second=0, microsecond=0))
    body_hash = hashlib.sha256(request.body).hexdigest()
    return delivered(
        request,
        connection,
        now,
        about=(entity, key),
        event_id=digest(NAME, connection.connection_id, entity, key, action, body_hash, minute),
        topic=f"{entity}.{NOTICE}.{action}",
    )


def named_by(envelope: Envelope) -> tuple[str, str, str] | None:
    """(entity, id, action) of a notice of a thing we read back; None for anything else."""
    entity, _, action = envelope.topic.partition(f".{NOTICE}.")
    if not action or entity not in ENTITIES:
        return None
    return entity, envelope.subject.rpartition("/")[2], action


def is_thin(envelope: Envelope) -> bool:
    """Is this a notice, whose thing is read back?"""
    return named_by(envelope) is not None


def _read_envelope(request: Request, connection: Connection, feed: str, now: datetime) -> Envelope:
    entity = read.key_part(feed.partition(".")[0])
    body = read.parse_object(request.body)
    key = read.required(read.identifier(body), "id")
    return polled_envelope(request, connection, entity, key, time_if_read(_updated_at, body), now)


def _updated_at(body: Body) -> datetime | None:
    return read.time(body, "update_date") or read.time(body, "create_date")


# --- orders -----------------------------------------------------------------------------------------------------------


def meaning(body: Body) -> Meaning:
    """What the order's status amounts to; a status without name and number is none."""
    status = read.inner(body, "OrderStatus") or {}
    by_name = NAMES.get(read.text(status, "name") or "")
    return by_name or IDS.get(read.text(status, "id") or "", Meaning.UNKNOWN)


def _order(envelope: Envelope, body: Body) -> Sequence[Event]:
    means, version = meaning(body), _updated_at(body) or envelope.occurred_at
    if read.inner(body, "OrderStatus") is None:
        # Without its status it may be a checkout: it is not counted.
        return (unknown(envelope),)
    if means is Meaning.CHECKOUT:
        return (event(envelope, EventType.CHECKOUT_UPDATED, _checkout(body), _buyer(body), version),)
    said = EventType.ORDER_CANCELLED if means is Meaning.CANCELLED else EventType.ORDER_UPDATED
    return (event(envelope, said, _facts(body, means, version), _buyer(body), version),)


def _facts(body: Body, means: Meaning, version: datetime) -> OrderFacts:
    currency = read.currency(body, "currency_code") or "JPY"
    total = _money(body, "payment_total", currency)
    total = _money(body, "total", currency) if total is None else total
    ordered_at = read.time(body, "order_date") or read.time(body, "create_date")
    if ordered_at is None or total is None:
        raise RejectedError("an order needs 'order_date' and 'payment_total'")
    order_id = read.required(read.identifier(body), "id")
    discount = _money(body, "discount", currency) or 0
    goods = _money(body, "subtotal", currency)
    return OrderFacts(
        order_id=order_id,
        number=read.text(body, "order_no"),
        ordered_at=ordered_at,
        currency=currency,
        total=max(0, total),
        paid=means is Meaning.PAID or read.time(body, "payment_date") is not None,
        cancelled_at=version if means is Meaning.CANCELLED else None,
        lines=_lines(body, currency),
        refunds=(Refund(refund_id="return", amount=total),) if means is Meaning.RETURNED and total > 0 else (),
        checkout_token=order_id,
        goods_total=None if goods is None else max(0, goods - max(0, discount)),
        discount=max(0, discount),
    )


def _checkout(body: Body) -> CartFacts:
    currency = read.currency(body, "currency_code") or "JPY"
    total = _money(body, "payment_total", currency)
    return CartFacts(
        token=read.required(read.identifier(body), "id"),
        currency=currency,
        total=max(0, total or _money(body, "total", currency) or 0),
        lines=_lines(body, currency),
    )


def _order_gone(envelope: Envelope, body: Body) -> Sequence[Event]:
    order_id = read.required(read.identifier(body), "id")
    return (event(envelope, EventType.ORDER_DELETED, OrderDeletedFacts(order_id=order_id)),)


def _money(body: Body, name: str, currency: str) -> int | None:
    """An integer or float of yen, `"4700.00"` from some databases."""
    value = read.number(body, name)
    return None if value is None else read.rounded(value, currency)


def _lines(body: Body, currency: str) -> tuple[Line, ...]:
    return tuple(_line(row, currency) for row in read.items(body, "OrderItems") if _is_product(row))


def _is_product(row: Body) -> bool:
    kind = read.inner(row, "OrderItemType") or {}
    name = read.text(kind, "name")
    return name in PRODUCT_ROW_NAMES or (name is None and read.text(kind, "id") == PRODUCT_ROW_ID)


def _line(row: Body, currency: str) -> Line:
    product, variant = read.inner(row, "Product") or {}, read.inner(row, "ProductClass") or {}
    names = (read.text(row, name) for name in ("product_name", "class_category_name1", "class_category_name2"))
    return Line(
        product_id=read.identifier(product) or read.text(row, "product_code") or "custom",
        variant_id=read.identifier(variant),
        title=" ".join(filter(None, names)),
        quantity=read.count(row, "quantity"),
        unit_amount=max(0, read.rounded(_unit_price(row), currency)),
    )


def _unit_price(row: Body) -> Decimal:
    """Per piece with tax. By the rate: versions differ in whether `tax` is one piece's or the row's."""
    price, rate = read.number(row, "price") or Decimal(0), read.number(row, "tax_rate") or Decimal(0)
    taxed = (read.number(row, "tax") or Decimal(0)) > 0 and 0 < rate < 100
    return price * (100 + rate) / 100 if taxed else price


# --- people -----------------------------------------------------------------------------------------------------------


def _buyer(body: Body) -> Person:
    """Who ordered. A withdrawn member's old orders keep the real address."""
    customer = read.inner(body, "Customer") or {}
    # The checkout an order was has its id; for an order that never was one nobody else names it.
    token = read.identifier(body)
    return _person(body, read.identifier(customer), (f"checkout/{token}",) if token else ())


def _person(body: Body, customer_id: str | None, anonymous_ids: tuple[str, ...] = ()) -> Person:
    pref = read.inner(body, "Pref") or {}
    return Person(
        source_customer_id=customer_id,
        email=_email(body),
        phone=read.text(body, "phone_number"),
        last_name=read.text(body, "name01"),
        first_name=read.text(body, "name02"),
        last_name_kana=read.text(body, "kana01"),
        first_name_kana=read.text(body, "kana02"),
        postal_code=read.text(body, "postal_code"),
        prefecture=read.text(pref, "name"),
        address=" ".join(filter(None, (read.text(body, "addr01"), read.text(body, "addr02")))) or None,
        anonymous_ids=anonymous_ids,
    )


def _email(body: Body) -> str | None:
    found = read.email(body)
    return None if found and is_withdrawn_address(found) else found


def is_withdrawn(body: Body) -> bool:
    """退会: by name, by number where there is no name, or by the address EC-CUBE puts in place of the real one."""
    status = read.inner(body, "Status") or {}
    name = read.text(status, "name")
    by_status = name in WITHDRAWN_NAMES or (name is None and read.text(status, "id") == WITHDRAWN_ID)
    return by_status or is_withdrawn_address(read.text(body, "email") or "")


def _customer(envelope: Envelope, body: Body) -> Sequence[Event]:
    customer_id = read.required(read.identifier(body), "id")
    version = _updated_at(body) or envelope.occurred_at
    if is_withdrawn(body):
        return (
            event(envelope, EventType.PERSON_ERASED, EraseFacts(), Person(source_customer_id=customer_id), version),
        )
    person, facts = _person(body, customer_id), ProfileFacts(attributes=_attributes(body))
    changed = event(envelope, EventType.CUSTOMER_UPDATED, facts, person, version)
    return (changed, *points(envelope, body, "point", person, version))


def _attributes(body: Body) -> Mapping[str, str | int | float | bool]:
    born, registered = read.local_day(body, "birth"), read.local_day(body, "create_date")
    sex, job = read.inner(body, "Sex") or {}, read.inner(body, "Job") or {}
    gender = GENDERS.get(read.text(sex, "name") or read.text(sex, "id") or "")
    occupation = read.text(job, "name")
    said: dict[str, str | int | float | bool] = {}
    if born:
        said["birth_on"] = born.isoformat()
    if registered:
        said["registered_on"] = registered.isoformat()
    if gender:
        said["gender"] = gender
    if occupation:
        said["occupation"] = occupation
    return said


def _customer_gone(envelope: Envelope, body: Body) -> Sequence[Event]:
    person = Person(source_customer_id=read.required(read.identifier(body), "id"))
    return (event(envelope, EventType.CUSTOMER_DELETED, CustomerDeletedFacts(), person),)


# --- products ---------------------------------------------------------------------------------------------------------


def _product(envelope: Envelope, body: Body) -> Sequence[Event]:
    variants = [each for each in read.items(body, "ProductClasses") if each.get("visible") is not False]
    prices = [price for each in variants if (price := _money(each, "price02", "JPY")) is not None]
    facts = ProductFacts(
        product_id=read.required(read.identifier(body), "id"),
        title=read.text(body, "name") or "",
        price=max(0, min(prices)) if prices else None,
        currency="JPY",
        stock=_stock(variants),
        deleted=_is_hidden(body),
    )
    return (event(envelope, EventType.PRODUCT_UPDATED, facts, version=_updated_at(body) or envelope.occurred_at),)


def _is_hidden(body: Body) -> bool:
    status = read.inner(body, "Status") or {}
    return (read.text(status, "name") or read.text(status, "id") or "") in HIDDEN


def _stock(variants: Sequence[Body]) -> int | None:
    """Pieces over all variants; None as soon as one is not counted (在庫無制限)."""
    counted = [read.number(each, "stock") for each in variants if not read.flag(each, "stock_unlimited")]
    if not variants or len(counted) != len(variants) or None in counted:
        return None
    return max(0, min(int(sum(piece for piece in counted if piece is not None)), read.MAX_COUNT))


def _product_gone(envelope: Envelope, body: Body) -> Sequence[Event]:
    facts = ProductFacts(product_id=read.required(read.identifier(body), "id"), title="", deleted=True)
    return (event(envelope, EventType.PRODUCT_UPDATED, facts),)


# --- vendor word → our word -------------------------------------------------------------------------------------------

FEEDS: Mapping[str, Callable[[Envelope, Body], Sequence[Event]]] = {
    ORDER: _order,
    CUSTOMER: _customer,
    PRODUCT: _product,
    f"{ORDER}.{GONE}": _order_gone,
    f"{CUSTOMER}.{GONE}": _customer_gone,
    f"{PRODUCT}.{GONE}": _product_gone,
}
"""Every other topic is UNKNOWN: kept with its raw body."""
