"""Stripe webhooks (v1 events): https://docs.stripe.com/webhooks

Stripe takes the money of orders that other carts report, so nothing here becomes an order: it would count every sale
twice. Decided here:

- A signature is believed for TOLERANCE before *and* after its own time. Stripe's library checks the age only; a
  signature from the future is no more genuine.
- `livemode: false` is answered 200 and never kept: test data must not reach a shop's figures. A body that does not say
  is refused. "Thin" v2 events (`object: v2.core.event`) have another shape: answered 200, not kept.
- A checkout session is a checkout. Stripe does not say what is in it, so an expired one is known but too little to
  mail about; `completed` closes it.
- `charge.refunded` belongs to an order of another source: kept unread, as are subscriptions and invoices until the
  event model has them.
- `customer.deleted` is a deleted record, not an erasure request: shops tidy up doubles with it.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.core.errors import RejectedError
from shared.core.ids import EventId
from shared.ingest import body as read
from shared.ingest.adapter import About, Connection, Request
from shared.ingest.body import Body
from shared.ingest.derive import event, unknown
from shared.ingest.model import (
    CartFacts,
    CustomerDeletedFacts,
    Envelope,
    Event,
    EventType,
    Person,
    ProfileFacts,
)
from shared.ingest.signing import hmac_hex, is_any, live_secrets

NAME = "stripe"
TOLERANCE = timedelta(seconds=300)
"""How far a signature's own time may lie from ours, in either direction."""
MAX_SIGNATURES = 10
"""Signatures of one header that are tried: Stripe sends one for each live secret."""

_EVENT_ID = re.compile(r"evt_[A-Za-z0-9_]{4,250}", re.ASCII)
_TYPE = re.compile(r"[a-z0-9_.]{1,100}", re.ASCII)
_SECONDS = re.compile(r"[0-9]{1,12}", re.ASCII)
_HTTPS = re.compile(r"https://[^\s<>\"']{1,2000}", re.ASCII)
_JAPANESE = re.compile("[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uff66-\uff9f]")
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
            Envelope(
                tenant=connection.tenant,
                subject="/".join((NAME, connection.store, read.key_part(kind), read.key_part(key or event_id))),
                event_id=EventId(event_id),
                source=NAME,
                connection=connection.connection_id,
                store=connection.store,
                topic=topic,
                occurred_at=min(read.epoch_time(body, "created") or now, now),
                received_at=now,
                raw=request.body,
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
    orders="no: it takes the money of orders another cart reports",
    customers="yes",
    consent="no: no such field",
    carts="checkout sessions, without their products",
    signature="`t`/`v1` hex HMAC-SHA256 of time and raw body, 300 s either way",
    dedupe="event `id` (`evt_…`), the same on every retry",
    limits="retried for 3 days; test mode and thin v2 events are answered and not kept; subscriptions, invoices and "
    "`charge.refunded` are kept unread; ISK and UGX amounts are not converted",
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
        kind, key = read.word(thing, "object"), read.opaque_id(thing)
    except RejectedError:
        kind, key = "", None
    if topic in TYPES and key is None:
        raise RejectedError(f"the body of {topic} has no id of its object")
    return kind or topic.partition(".")[0], key


# --- events -----------------------------------------------------------------------------------------------------------


def _customer(envelope: Envelope, customer: Body) -> Sequence[Event]:
    person = _person(customer, read.required(read.opaque_id(customer), "id"))
    return (event(envelope, EventType.CUSTOMER_UPDATED, ProfileFacts(), person),)


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
        total=max(0, int(read.number(session, "amount_total") or 0)) if currency else 0,
        recovery_url=url if url and _HTTPS.fullmatch(url) else None,
        completed_at=envelope.occurred_at if envelope.topic == _COMPLETED else None,
    )
    said = read.inner(session, "customer_details") or {}
    person = _person(said, _customer_id(session), email=read.email(session, "customer_email"))
    known = replace(person, anonymous_ids=(f"checkout/{token}",))
    return (event(envelope, EventType.CHECKOUT_UPDATED, facts, known),)


def _customer_id(session: Body) -> str | None:
    """`customer` is an id, or the whole record where the shop asked for it."""
    customer = session.get("customer")
    return read.opaque_id(customer) if isinstance(customer, dict) else read.opaque_id(session, "customer")


def _person(body: Body, customer_id: str | None, email: str | None = None) -> Person:
    last, first = split_name(read.text(body, "name"))
    return Person(
        source_customer_id=customer_id,
        email=read.email(body) or email,
        phone=read.text(body, "phone"),
        last_name=last,
        first_name=first,
    )


def split_name(name: str | None) -> tuple[str | None, str | None]:
    """(姓, 名) of a name in one field: only a Japanese one of two parts says which is which; else all is the last."""
    parts = (name or "").split()
    if len(parts) == 2 and _JAPANESE.search(name or ""):
        return parts[0], parts[1]
    return name, None


# --- vendor word → our word -------------------------------------------------------------------------------------------

_COMPLETED = "checkout.session.completed"

TYPES: Mapping[str, Callable[[Envelope, Body], Sequence[Event]]] = {
    "customer.created": _customer,
    "customer.updated": _customer,
    "customer.deleted": _customer_deleted,
    _COMPLETED: _checkout,
    "checkout.session.expired": _checkout,
}
"""Every other type is UNKNOWN: kept with its raw body."""
