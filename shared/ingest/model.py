"""The one vocabulary of events, and the envelope in which a vendor's body waits to be read.

An `Envelope` is what is stored, once, the moment something arrives: the raw body with what is needed to find it
again. Readers (the fold, the archive, a replay) turn it into `Event`s with the source's adapter, so a mended adapter
re-reads history and a body we cannot read yet is never lost.
"""

from __future__ import annotations

from datetime import datetime
from enum import StrEnum
from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, Field

from shared.core.ids import ConnectionId, EventId, TenantId


class EventType(StrEnum):
    """What happened, in our words."""

    ORDER_PLACED = "order_placed"
    ORDER_UPDATED = "order_updated"
    ORDER_CANCELLED = "order_cancelled"
    ORDER_REFUNDED = "order_refunded"
    ORDER_DELETED = "order_deleted"
    CART_UPDATED = "cart_updated"
    CHECKOUT_UPDATED = "checkout_updated"
    CHECKOUT_DELETED = "checkout_deleted"
    CUSTOMER_UPDATED = "customer_updated"
    CUSTOMER_DELETED = "customer_deleted"
    CUSTOMERS_MERGED = "customers_merged"
    CONSENT_CHANGED = "consent_changed"
    MESSAGE_SENT = "message_sent"
    MESSAGE_DELIVERED = "message_delivered"
    MESSAGE_OPENED = "message_opened"
    MESSAGE_CLICKED = "message_clicked"
    MESSAGE_BOUNCED = "message_bounced"
    MESSAGE_COMPLAINED = "message_complained"
    MESSAGE_REJECTED = "message_rejected"
    PERSON_EXPORT_REQUESTED = "person_export_requested"
    PERSON_ERASED = "person_erased"
    SHOP_ERASED = "shop_erased"
    UNKNOWN = "unknown"
    """A topic we do not act on: kept with its raw body, so that a later version can read it."""


class _Fact(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Envelope(_Fact):
    """One delivery as it arrived (one row of the events table). `raw` holds personal data: DynamoDB only."""

    tenant: TenantId
    subject: str
    """The thing it is about, `source/store/kind/id` (`shopify/a.myshopify.com/order/123`): the row's partition, so
    that the stream keeps the order of one thing's events."""
    event_id: EventId
    """Put once by this: the source's delivery id, or a digest where it sends none."""
    source: str
    """Adapter name: `shopify`, `import`, `ses`, `page`, …"""
    connection: ConnectionId
    store: str
    """The store within the tenant (店舗): a shop domain; consent is kept per store."""
    topic: str
    """The vendor's own word for what happened (`orders/create`)."""
    occurred_at: datetime
    received_at: datetime
    raw: bytes = Field(repr=False)
    """The body exactly as signed."""


class Person(_Fact):
    """What a body says about a person. Personal data: never leaves DynamoDB."""

    source_customer_id: str | None = None
    email: str | None = None
    phone: str | None = None
    last_name: str | None = None
    first_name: str | None = None
    anonymous_ids: tuple[str, ...] = ()
    """Keys of a visitor not yet known: `cart/<token>`, `checkout/<token>`."""


class Line(_Fact):
    """One product line of an order or cart (明細)."""

    product_id: str
    variant_id: str | None = None
    title: str
    quantity: int
    unit_amount: int
    """Minor units, per piece, before order-level discounts."""
    image_url: str | None = None


class Refund(_Fact):
    """One refund (返金), keyed by its own id because order and refund topics both report it."""

    refund_id: str
    amount: int
    """Minor units, positive."""


class OrderFacts(_Fact):
    """An order as its source describes it at one version (受注)."""

    kind: Literal["order"] = "order"
    order_id: str
    number: str | None = None
    ordered_at: datetime
    currency: str
    total: int
    """受注金額: tax and shipping included, discounts deducted, refunds NOT yet deducted. Minor units."""
    paid: bool = False
    cancelled_at: datetime | None = None
    test: bool = False
    lines: tuple[Line, ...] = ()
    refunds: tuple[Refund, ...] = ()
    checkout_token: str | None = None
    cart_token: str | None = None


class RefundFacts(_Fact):
    """Refunds of an order, known apart from its body."""

    kind: Literal["refund"] = "refund"
    order_id: str
    refunds: tuple[Refund, ...]


class OrderDeletedFacts(_Fact):
    """An order that its source deleted: a tombstone that beats older updates."""

    kind: Literal["order_deleted"] = "order_deleted"
    order_id: str


class CartFacts(_Fact):
    """A cart or checkout (カート): what is in it, and whether it became an order."""

    kind: Literal["cart"] = "cart"
    token: str
    """Checkout token where there is one, else cart token: the instance a cart scenario is keyed by."""
    cart_token: str | None = None
    currency: str | None = None
    total: int = 0
    lines: tuple[Line, ...] = ()
    recovery_url: str | None = None
    """Link back into the checkout. A bearer secret of the buyer: DynamoDB and the mail only."""
    completed_at: datetime | None = None
    deleted: bool = False


class ProfileFacts(_Fact):
    """A customer record changed; what it says about the person is in `Event.person`."""

    kind: Literal["profile"] = "profile"


class ConsentFacts(_Fact):
    """Consent to marketing on one channel (配信許諾)."""

    kind: Literal["consent"] = "consent"
    channel: Literal["email", "sms", "line"]
    granted: bool
    method: str
    """How it was said: `shopify:single_opt_in`, `one_click`, `page`, `import`, `complaint`."""
    basis: Literal["explicit", "business_relation", "written_notice", "published_address"] = "explicit"
    """Legal basis under 特定電子メール法."""
    by_customer: bool = True
    """False for imports and clerks: they can never reverse an opt-out the customer made."""


class CustomerDeletedFacts(_Fact):
    """The source deleted the customer record: not an erasure request, the person keeps their history."""

    kind: Literal["customer_deleted"] = "customer_deleted"


class MergeFacts(_Fact):
    """The source says two of its customer ids are one person; only a completed merge becomes an event."""

    kind: Literal["merge"] = "merge"
    kept_customer_id: str
    deleted_customer_id: str


class MessageFacts(_Fact):
    """What a channel reports about one of our sends."""

    kind: Literal["message"] = "message"
    send_id: str
    customer_id: str
    channel: str
    message_id: str
    permanent: bool = False
    """A bounce that will not heal: suppress the address now."""
    reason: str = ""
    """`bounce:General`, `complaint:abuse`, …; never a diagnostic text, which holds the address."""
    link: str | None = None
    machine: bool = False
    """Opened or clicked by a proxy or scanner: recorded, never used for a decision."""


class EraseFacts(_Fact):
    """A person (or a whole shop) asked to be erased (個人情報の削除)."""

    kind: Literal["erase"] = "erase"


class UnknownFacts(_Fact):
    """A topic without a reading yet."""

    kind: Literal["unknown"] = "unknown"


Facts = Annotated[
    OrderFacts
    | RefundFacts
    | OrderDeletedFacts
    | CartFacts
    | ProfileFacts
    | ConsentFacts
    | CustomerDeletedFacts
    | MergeFacts
    | MessageFacts
    | EraseFacts
    | UnknownFacts,
    Field(discriminator="kind"),
]
"""What an event says, without personal data (`recovery_url` excepted, which the lake drops)."""


class Event(_Fact):
    """One immutable fact in our words. Derived from an envelope, always to the same result."""

    tenant: TenantId
    event_id: EventId
    event_type: EventType
    source: str
    store: str
    subject: str
    occurred_at: datetime
    received_at: datetime
    version: str
    """The source's own version of the entity (its `updated_at`), comparable as text; ties go to `event_id`."""
    person: Person = Person()
    facts: Facts
    historical: bool = False
    """Imported history: fills state and lake, starts nothing."""
