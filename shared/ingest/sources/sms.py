"""Delivery receipts of SMS (AWS End User Messaging): sent, delivered, not reachable; and what each text cost.

They come through SNS into our own queue. The context of a text says whose send it is; telephone numbers are dropped
before anything is kept. Receipts take up to 72 hours, after which AWS says `TEXT_UNKNOWN`. In some countries
`TEXT_SUCCESSFUL` (the carrier took it) is the last word.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime

from shared.core.errors import RejectedError
from shared.core.ids import ConnectionId, EventId, TenantId, digest
from shared.ingest import body as read
from shared.ingest import derive
from shared.ingest.adapter import About, NotPosted
from shared.ingest.body import Body
from shared.ingest.model import Envelope, Event, EventType, MessageFacts, Person

NAME = "sms"
VERSION = "1.0"
_NUMBERS = frozenset({"destinationPhoneNumber", "originationPhoneNumber"})
_SECONDS_DIGITS = 10

MEANING: Mapping[str, EventType] = {
    "TEXT_PENDING": EventType.MESSAGE_SENT,
    "TEXT_QUEUED": EventType.MESSAGE_SENT,
    "TEXT_SUCCESSFUL": EventType.MESSAGE_DELIVERED,
    "TEXT_DELIVERED": EventType.MESSAGE_DELIVERED,
    "TEXT_INVALID": EventType.MESSAGE_BOUNCED,
    "TEXT_UNREACHABLE": EventType.MESSAGE_BOUNCED,
    "TEXT_CARRIER_UNREACHABLE": EventType.MESSAGE_BOUNCED,
    "TEXT_TTL_EXPIRED": EventType.MESSAGE_BOUNCED,
    "TEXT_UNKNOWN": EventType.MESSAGE_BOUNCED,
    "TEXT_BLOCKED": EventType.MESSAGE_REJECTED,
    "TEXT_CARRIER_BLOCKED": EventType.MESSAGE_REJECTED,
    "TEXT_SPAM": EventType.MESSAGE_REJECTED,
    "TEXT_INVALID_MESSAGE": EventType.MESSAGE_REJECTED,
    "TEXT_PROTECT_BLOCKED": EventType.MESSAGE_REJECTED,
}
"""AWS's word → ours. A new one is kept, and not acted on."""

_PERMANENT = frozenset({"TEXT_INVALID"})
"""The number cannot be one."""


class Sms(NotPosted):
    """Adapter of SMS receipts: they come through our own queue, whose policy lets only our topic in."""

    name = NAME

    def events(self, envelope: Envelope) -> Sequence[Event]:
        """What the receipt says about one of our sends."""
        record = read.parse_object(envelope.raw)
        event_type = MEANING.get(envelope.topic)
        if event_type is None:
            return (derive.unknown(envelope),)
        _, customer, send = send_context(record)
        facts = MessageFacts(
            send_id=send,
            customer_id=customer,
            channel="sms",
            message_id=message_id(record),
            permanent=envelope.topic in _PERMANENT,
            reason=f"sms:{envelope.topic.removeprefix('TEXT_').lower()}",
        )
        return (derive.event(envelope, event_type, facts, Person(source_customer_id=customer)),)


ADAPTER = Sms()

ABOUT = About(
    title="SMS (AWS End User Messaging)",
    arrives="SNS to our own queue",
    orders="no: a channel",
    customers="no: a channel",
    consent="yes: STOP or 配信停止 texted to a number with two-way SMS (`matakite sms connect --number`) is an opt-"
    "out; a number that cannot be reached is texted no more",
    carts="no: a channel",
    signature="none needed: only our topic may write to the queue",
    dedupe="message, type and time",
    limits="a receipt takes up to 72 hours; telephone numbers are dropped before it is kept",
)


def envelope_of(raw: bytes, received_at: datetime) -> Envelope:
    """The envelope of one receipt. Raises RejectedError for what is none, or not of one of our sends."""
    record = read.parse_object(raw)
    kind = read.required(read.text(record, "eventType"), "eventType")
    if read.text(record, "eventVersion") != VERSION:
        raise RejectedError(f"a receipt of version {VERSION} is expected; Pinpoint's older shape is not read")
    tenant, _, send = send_context(record)
    at = _occurred_at(record) or received_at
    kept = {name: value for name, value in record.items() if name not in _NUMBERS}
    return Envelope(
        tenant=TenantId(tenant),
        subject=f"{NAME}/{NAME}/send/{send}",
        event_id=EventId(digest(NAME, message_id(record), kind, str(at.timestamp()))),
        source=NAME,
        connection=ConnectionId(NAME),
        store=NAME,
        topic=kind,
        occurred_at=min(at, received_at),
        received_at=received_at,
        raw=json.dumps(kept, ensure_ascii=False, separators=(",", ":"), default=str).encode(),
    )


def send_context(record: Body) -> tuple[str, str, str]:
    """(tenant, customer id, send id) of the send that a receipt is about."""
    context = read.inner(record, "context") or {}
    tenant, customer, send = (read.text(context, name) for name in ("tenant", "customer", "send_id"))
    if not (tenant and customer and send):
        raise RejectedError("the receipt's context does not name a send: it was not sent by us")
    return read.key_part(tenant), read.key_part(customer), read.key_part(send)


def message_id(record: Body) -> str:
    """AWS's own id of the text, the one `SendTextMessage` answered with."""
    return read.required(read.text(record, "messageId"), "messageId")


def _occurred_at(record: Body) -> datetime | None:
    stamp = record.get("eventTimestamp")
    if isinstance(stamp, bool) or not isinstance(stamp, int) or not 0 < stamp < 10**14:
        return None
    # AWS sends milliseconds; some stand-ins seconds.
    return datetime.fromtimestamp(stamp if len(str(stamp)) <= _SECONDS_DIGITS else stamp / 1000, UTC)
