"""Square webhooks: https://developer.squareup.com/docs/webhooks/overview

The signature covers the notification URL, byte for byte as it was registered: it stands in the connection and is never
rebuilt from the request. Decided here:

- One application may serve several merchants, so `merchant_id` in the signed body must be the connection's store.
- `order.*` carries an id and a state, no amount and no buyer; `payment.*` and `refund.*` name an order we then do not
  have. They are kept unread until the order can be read back from Square's API.
- `email_unsubscribed: true` is an opt-out. `false` is what Square writes for everybody who never said anything, so it
  is no consent (特定電子メール法).
- Merging customers makes a new one and deletes the old ones; both notices name all of them, and either is the merge.
- Test notifications, and what says it comes from the sandbox, are answered 200 and not kept.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timedelta

from shared.core.errors import RejectedError
from shared.core.ids import EventId
from shared.ingest import body as read
from shared.ingest.adapter import About, Connection, Request
from shared.ingest.body import Body
from shared.ingest.derive import event, unknown
from shared.ingest.model import (
    ConsentFacts,
    CustomerDeletedFacts,
    Envelope,
    Event,
    EventType,
    MergeFacts,
    Person,
    ProfileFacts,
)
from shared.ingest.signing import hmac_base64, is_any, live_secrets

NAME = "square"
CLOCK_TOLERANCE = timedelta(days=1)
"""A time further ahead than this is not believed."""
MAX_MERGED = 100
"""Customers of one merge: more are refused as no merge of people."""

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
            Envelope(
                tenant=connection.tenant,
                subject=_subject(topic, body, connection.store, event_id),
                event_id=EventId(event_id),
                source=NAME,
                connection=connection.connection_id,
                store=connection.store,
                topic=topic,
                occurred_at=_occurred_at(body, now),
                received_at=now,
                raw=request.body,
            ),
        )

    def events(self, envelope: Envelope) -> Sequence[Event]:
        """What the envelope says. A type without a reading is one UNKNOWN event."""
        reading = TYPES.get(envelope.topic)
        return reading(envelope, _data(read.parse_object(envelope.raw))) if reading else (unknown(envelope),)


ADAPTER = Square()

ABOUT = About(
    title="Square",
    arrives="webhook",
    orders="not yet: the notice is thin, reading the order back is still to come; kept unread",
    customers="yes, merges too",
    consent="opt-out only (`email_unsubscribed`)",
    carts="no: Square sends none",
    signature="base64 HMAC-SHA256 of registered URL and raw body; the merchant is compared",
    dedupe="`event_id`, the same on every retry",
    limits="11 retries in 24 h, in any order; payments, refunds, invoices and subscriptions are kept unread",
    webhook=True,
)


def signature(secret: str, url: str, body: bytes) -> bytes:
    """The text Square sends in X-Square-HmacSha256-Signature."""
    return hmac_base64(secret, url.encode() + body)


# --- the request ------------------------------------------------------------------------------------------------------


def _data(body: Body) -> Body:
    return read.inner(body, "data") or {}


def _occurred_at(body: Body, now: datetime) -> datetime:
    written = body.get("created_at")
    at = read.instant(written) if isinstance(written, str) else None
    return at if at and at <= now + CLOCK_TOLERANCE else now


def _subject(topic: str, body: Body, store: str, event_id: str) -> str:
    """`square/{store}/{kind}/{id}`: one partition per thing, so that the stream keeps the order of its events."""
    try:
        key = read.opaque_id(_data(body))
    except RejectedError:
        key = None
    if topic in TYPES and key is None:
        raise RejectedError(f"the body of {topic} has no id of its object")
    return "/".join((NAME, store, read.key_part(topic.partition(".")[0]), read.key_part(key or event_id)))


# --- customers --------------------------------------------------------------------------------------------------------


def _customer(envelope: Envelope, data: Body) -> Sequence[Event]:
    """The record, the opt-out in it, and the merge it came from if it did."""
    customer = _record(data)
    person = Person(
        source_customer_id=read.required(read.opaque_id(customer) or read.opaque_id(data), "id"),
        email=read.email(customer, "email_address"),
        phone=read.text(customer, "phone_number"),
        last_name=read.text(customer, "family_name"),
        first_name=read.text(customer, "given_name"),
    )
    updated_at = read.time(customer, "updated_at")
    changed = event(envelope, EventType.CUSTOMER_UPDATED, ProfileFacts(), person, updated_at)
    return (changed, *_opt_out(envelope, customer, person), *_merges(envelope, data))


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


# --- vendor word → our word -------------------------------------------------------------------------------------------

TYPES: Mapping[str, Callable[[Envelope, Body], Sequence[Event]]] = {
    "customer.created": _customer,
    "customer.updated": _customer,
    "customer.deleted": _customer_deleted,
}
"""Every other type is UNKNOWN: kept with its raw body."""
