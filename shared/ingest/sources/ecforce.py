"""ecforce webhooks (有料オプション). The body is a Liquid template the shop pastes: ours, `ecforce_template_v1.liquid`.

Experimental: made from the vendor's public support pages, not tested against the vendor. Decided here:

- Signature, retries and transport are not published, so the scheme is ours: `X-Matakite-Signature` is the lower-case
  hex HMAC-SHA256 of the raw body with the connection's secret. A sender that can set no such header is believed by the
  `secret` its body holds (the template puts it there); a header that is there must be right, whatever the body says.
- A secret in the body proves who wrote it, not that nobody changed it on the way: TLS does that.
- Only variables the vendor's pages name are in the template. None of them is a time, so an order was placed when
  `order_completed` arrived; later notices are steps of it. None is a product line or a contract's id either.
- Every value is text. A body that is no JSON (a quote in a name, where the filter `json` is missing) is kept raw.
- Events of subscriptions (`subs_order_*`) and customers (`customer_*`) are kept unread: what their templates can name
  is not published. The n-th delivery (`times`) is on the order itself.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from pathlib import Path
from typing import Literal

from shared.core.clock import to_iso
from shared.core.errors import RejectedError
from shared.core.ids import EventId, digest
from shared.ingest import body as read
from shared.ingest.adapter import About, Connection, Request, delivered
from shared.ingest.body import Body
from shared.ingest.derive import event, unknown
from shared.ingest.model import Envelope, Event, EventType, OrderFacts, OrderStatusFacts, Person
from shared.ingest.prefectures import prefecture
from shared.ingest.signing import hmac_hex, is_any, live_secrets

NAME = "ecforce"
HEADER = "x-matakite-signature"
TEMPLATE = Path(__file__).with_name("ecforce_template_v1.liquid")
CURRENCY = "JPY"
PAID = frozenset({"captured"})
"""`payment.state` of an order whose money came in."""
UNREADABLE = "unreadable"
"""Topic of a genuine body that is no JSON."""
MAX_BODY = 65_536
"""Bytes of a rendered template; more is not searched for a secret."""

_SECRET = re.compile(rb'"secret"[ \t]*:[ \t]*"([A-Za-z0-9_-]{16,200})"')
_EVENT = re.compile(r"[a-z_]{1,60}", re.ASCII)
_NOT_DIGITS = re.compile(r"[,，円¥￥\s]")
_Status = Literal["placed", "payment", "shipped", "out_for_delivery", "delivered", "failed", "cancelled", "other"]


class EcForce:
    """Adapter of ecforce's webhooks with our template."""

    name = NAME

    def verify(self, request: Request, connection: Connection, now: datetime) -> bool:
        """Our signature header by a live secret; without the header, a live secret in the body."""
        secrets = live_secrets(connection, now)
        given = request.headers.get(HEADER)
        if given is not None:
            return is_any(given, (signature(secret, request.body) for secret in secrets))
        held = _SECRET.search(request.body) if len(request.body) <= MAX_BODY else None
        return held is not None and is_any(held.group(1).decode(), (secret.encode() for secret in secrets))

    def envelopes(self, request: Request, connection: Connection, now: datetime) -> Sequence[Envelope]:
        """The delivery in a verified request; one that is no JSON is kept as it is."""
        if not request.body.strip():
            raise RejectedError("the body is empty, not JSON")
        topic, kind, key = _about(request.body)
        minute = to_iso(now.replace(second=0, microsecond=0))
        body_hash = hashlib.sha256(request.body).hexdigest()
        event_id = EventId(digest(NAME, connection.connection_id, topic, body_hash, minute))
        return (
            delivered(
                request,
                connection,
                now,
                about=(kind, key),
                event_id=event_id,
                topic=topic,
            ),
        )

    def events(self, envelope: Envelope) -> Sequence[Event]:
        """What the envelope says. An event without a reading is one UNKNOWN event."""
        body = read.parse_object(envelope.raw)
        reading = EVENTS.get(envelope.topic)
        return reading(envelope, body) if reading else (unknown(envelope),)


ADAPTER = EcForce()

ABOUT = About(
    title="ecforce (experimental)",
    arrives="webhook (paid option) whose body is our Liquid template; not tested against the vendor",
    orders="completed, shipped, delivered, cancelled, with the n-th delivery (お届け回数); no lines",
    customers="the buyer of each order, with furigana and address; `customer_*` is kept unread",
    consent="no: the template has no such variable",
    carts="no",
    signature="our own `X-Matakite-Signature` (hex HMAC-SHA256 of the raw body), else the secret inside the body",
    dedupe="none sent: digest of connection, event, body and minute of receipt",
    limits="signature, retries and transport are not published; no variable is a time, so an order's time is its "
    "arrival; `subs_order_*` is kept unread; a body that is no JSON is kept raw",
    webhook=True,
)


def signature(secret: str, body: bytes) -> bytes:
    """The text of `X-Matakite-Signature`."""
    return hmac_hex(secret, body)


def template(event_name: str, secret: str) -> str:
    """What the shop pastes as the body of one of its webhooks."""
    if not _EVENT.fullmatch(event_name):
        raise RejectedError(f"an event of ecforce is a word such as order_completed, got {event_name!r}")
    text = TEMPLATE.read_text(encoding="utf-8")
    return text.replace("EVENT_NAME", event_name).replace("CONNECTION_SECRET", secret)


def _about(raw: bytes) -> tuple[str, str, str | None]:
    """(event, kind, id) of a body; none of them where it is no JSON."""
    try:
        body = read.parse_object(raw)
    except RejectedError:
        return UNREADABLE, UNREADABLE, None
    topic = read.word(body, "event")
    if not _EVENT.fullmatch(topic):
        raise RejectedError("a body needs the 'event' our template writes")
    kind = topic.partition("_")[0] if not topic.startswith("subs_order") else "subscription"
    key = read.text(body, "id")
    if topic in EVENTS and key is None:
        raise RejectedError(f"the body of {topic} has no id of its {kind}")
    return topic, kind, key


def _order_id(body: Body) -> str:
    return read.required(read.text(body, "id"), "id")


def _placed(envelope: Envelope, body: Body) -> Sequence[Event]:
    total = _yen(body, "total")
    if total is None:
        raise RejectedError("an order needs its 'total'")
    times = read.count(body, "times")
    facts = OrderFacts(
        order_id=_order_id(body),
        number=read.text(body, "number"),
        ordered_at=envelope.occurred_at,
        currency=CURRENCY,
        total=max(0, total),
        paid=read.word(body, "payment_state") in PAID,
        delivery_number=times or None,
    )
    return (event(envelope, EventType.ORDER_PLACED, facts, _buyer(body)),)


def _yen(body: Body, name: str) -> int | None:
    """An amount as a template may print it: `4980`, `4980.0`, `4,980`, `4,980円`, `￥4,980`."""
    written = read.text(body, name)
    return read.amount({name: _NOT_DIGITS.sub("", written)}, name, CURRENCY) if written else None


def _step(status: _Status, event_type: EventType) -> Callable[[Envelope, Body], Sequence[Event]]:
    def events(envelope: Envelope, body: Body) -> Sequence[Event]:
        order_id = _order_id(body)
        facts = OrderStatusFacts(order_id=order_id, status=status, word=envelope.topic)
        person = Person(source_customer_id=read.text(body, "customer_id"), anonymous_ids=(f"order/{order_id}",))
        return (event(envelope, event_type, facts, person),)

    return events


def _buyer(body: Body) -> Person:
    return Person(
        source_customer_id=read.text(body, "customer_id"),
        email=read.email(body),
        phone=_joined(body, "-", "tel01", "tel02", "tel03"),
        last_name=read.text(body, "name01"),
        first_name=read.text(body, "name02"),
        last_name_kana=read.text(body, "kana01"),
        first_name_kana=read.text(body, "kana02"),
        postal_code=_joined(body, "-", "zip01", "zip02"),
        prefecture=prefecture(read.text(body, "prefecture_id")),
        address=_joined(body, " ", "addr01", "addr02", "addr03"),
    )


def _joined(body: Body, between: str, *names: str) -> str | None:
    return between.join(part for name in names if (part := read.text(body, name))) or None


# --- vendor word → our word -------------------------------------------------------------------------------------------

EVENTS: Mapping[str, Callable[[Envelope, Body], Sequence[Event]]] = {
    "order_created": _placed,
    "order_complete": _placed,
    "order_completed": _placed,
    "order_shipped": _step("shipped", EventType.ORDER_UPDATED),
    "order_delivered": _step("delivered", EventType.ORDER_UPDATED),
    "order_canceled": _step("cancelled", EventType.ORDER_CANCELLED),
}
"""Every other event is UNKNOWN: kept with its raw body."""
