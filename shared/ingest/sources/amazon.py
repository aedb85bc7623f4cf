"""Amazon (SP-API notifications): https://developer-docs.amazon.com/sp-api/docs/notifications-api-v1-use-case-guide

Amazon posts nothing: it writes `ORDER_CHANGE` into our queue, whose policy lets only Amazon's notification account in.
Decided here:

- The notice says what state an order is in, not what it is worth and not who bought: every event is a step of the
  order (受注の状態), no order by itself, so it never enters LTV. Buyers of the mall are reached by nobody.
- The seller id of the body finds the connection: its id is made of the seller's, so that no list has to be searched.
- `NotificationId` tells deliveries apart (duplicates and wrong order are normal), `EventTime` orders them.
- The postcode of the notice stays in the raw body.
"""

from __future__ import annotations

import base64
import hashlib
import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Literal

from shared.core.errors import RejectedError
from shared.core.ids import ConnectionId
from shared.ingest import body as read
from shared.ingest.adapter import About, Connection, Request, delivered
from shared.ingest.body import Body
from shared.ingest.derive import event, unknown
from shared.ingest.model import Envelope, Event, EventType, OrderStatusFacts, Person

NAME = "amazon"

_Status = Literal["placed", "payment", "shipped", "out_for_delivery", "delivered", "failed", "cancelled", "other"]
STATUSES: Mapping[str, _Status] = {
    "pending": "placed",
    "pendingavailability": "placed",
    "unshipped": "payment",  # Amazon has taken the money: it may be sent
    "invoiceunconfirmed": "payment",
    "partiallyshipped": "shipped",
    "shipped": "shipped",
    "canceled": "cancelled",
    "unfulfillable": "failed",
}
"""OrderStatus → the order's step; whatever is not here is `other`."""

PARCEL: Mapping[str, _Status] = {
    "outfordelivery": "out_for_delivery",
    "delivered": "delivered",
    "rejectedbybuyer": "failed",
    "undeliverable": "failed",
    "lost": "failed",
}
"""EasyShipShipmentStatus, where Amazon carries it itself, goes before the order's own status."""

EVENTS: Mapping[_Status, EventType] = {"placed": EventType.ORDER_PLACED, "cancelled": EventType.ORDER_CANCELLED}
ORDER_CHANGE = "ORDER_CHANGE"

_TYPE = re.compile(r"[A-Z0-9_]{1,100}", re.ASCII)
_NOTIFICATION_ID = re.compile(r"[A-Za-z0-9-]{8,64}", re.ASCII)
_WORD = re.compile(r"[a-z]{1,40}", re.ASCII)


class Amazon:
    """Adapter of SP-API's notifications."""

    name = NAME

    def verify(self, request: Request, connection: Connection, now: datetime) -> bool:
        """Never: notices come through our own queue, whose policy lets only Amazon in."""
        return False

    def envelopes(self, request: Request, connection: Connection, now: datetime) -> Sequence[Envelope]:
        """The notice in a message of the queue."""
        body = read.parse_object(request.body)
        topic, metadata = _topic(body), read.inner(*_spelled(body, "NotificationMetadata")) or {}
        event_id = metadata.get(_spelled(metadata, "NotificationId")[1])
        if not isinstance(event_id, str) or not _NOTIFICATION_ID.fullmatch(event_id):
            raise RejectedError("a notification needs a 'NotificationId'")
        if seller_of(body).lower() != connection.store.lower():
            raise RejectedError("field 'SellerId' must be the seller of this connection")
        key = _order_id(body) if topic == ORDER_CHANGE else event_id
        kind = "order" if topic == ORDER_CHANGE else topic.lower()
        return (
            delivered(
                request,
                connection,
                now,
                about=(kind, key),
                event_id=event_id,
                topic=topic,
                occurred_at=_occurred_at(body, now),
            ),
        )

    def events(self, envelope: Envelope) -> Sequence[Event]:
        """The step an order took. A type without a reading is one UNKNOWN event."""
        if envelope.topic != ORDER_CHANGE:
            return (unknown(envelope),)
        body = read.parse_object(envelope.raw)
        status, word = _status(_change(body))
        order_id = _order_id(body)
        facts = OrderStatusFacts(order_id=order_id, status=status, word=word if _WORD.fullmatch(word) else None)
        person = Person(anonymous_ids=(f"order/{order_id}",))
        said = EVENTS.get(status, EventType.ORDER_UPDATED)
        return (event(envelope, said, facts, person, read.time(body, "EventTime")),)


ADAPTER = Amazon()

ABOUT = About(
    title="Amazon (SP-API)",
    arrives="SQS: `ORDER_CHANGE` notifications into our own queue",
    orders="their state only (placed, paid, sent, arrived, cancelled): no amount and no product page",
    customers="no: Amazon names no buyer",
    consent="no: buyers of the mall are never put into a campaign",
    carts="no",
    signature="none needed: the queue's policy lets only Amazon's notification account in (437568002678, by Amazon's "
    "notifications guide; sellers report that their queues fill with it: amzn/selling-partner-api-docs#2043); "
    "the seller is compared",
    dedupe="`NotificationId`",
    limits="duplicates and any order; amounts come with an order file (`matakite import orders`)",
)


def connection_id(seller_id: str) -> ConnectionId:
    """The id of the connection of a seller: made of the seller's own, for that is all a notice says."""
    made = hashlib.sha256(f"{NAME}/{seller_id.strip().lower()}".encode("utf-8", "replace")).digest()[:16]
    return ConnectionId(base64.b32encode(made).decode().rstrip("=").lower())


def seller_of(body: Body) -> str:
    """The seller a notice is for, which most types name one level deeper. Raises RejectedError where it names none."""
    outer = read.inner(*_spelled(body, "Payload")) or {}
    for payload in (outer, *outer.values()):
        if isinstance(payload, dict) and (found := read.opaque_id(*_spelled(payload, "SellerId"))):
            return found
    raise RejectedError("a notification names its 'SellerId'")


def _spelled(body: Body, name: str) -> tuple[Body, str]:
    """A field and how this body spells it: most notifications say `SellerId`, some types say `sellerId`."""
    return body, name if name in body else name[0].lower() + name[1:]


def _topic(body: Body) -> str:
    topic = body.get(_spelled(body, "NotificationType")[1])
    if not isinstance(topic, str) or not _TYPE.fullmatch(topic):
        raise RejectedError("a notification needs a 'NotificationType'")
    return topic


def _change(body: Body) -> Body:
    return read.inner(read.inner(body, "Payload") or {}, "OrderChangeNotification") or {}


def _order_id(body: Body) -> str:
    return read.required(read.opaque_id(_change(body), "AmazonOrderId"), "AmazonOrderId")


def _status(change: Body) -> tuple[_Status, str]:
    """(step, Amazon's word): what the parcel does is later news than the order's status."""
    summary = read.inner(change, "Summary") or {}
    parcel, order = read.word(summary, "EasyShipShipmentStatus"), read.word(summary, "OrderStatus")
    if order != "canceled" and parcel in PARCEL:
        return PARCEL[parcel], parcel
    return STATUSES.get(order, "other"), order


def _occurred_at(body: Body, now: datetime) -> datetime:
    """When the order changed; null where Amazon does not know."""
    try:
        trigger = read.inner(_change(body), "OrderChangeTrigger") or {}
    except RejectedError:
        trigger = {}
    return read.happened_at(now, trigger.get("TimeOfOrderChange"), body.get("EventTime"))
