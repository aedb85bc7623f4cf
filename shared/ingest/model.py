"""The one vocabulary of events, and the envelope in which a vendor's body waits to be read.

An `Envelope` is what is stored, once, the moment something arrives: the raw body with what is needed to find it
again. Readers (the fold, the archive, a replay) turn it into `Event`s with the source's adapter, so a mended adapter
re-reads history and a body we cannot read yet is never lost.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Literal

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
    PRODUCT_UPDATED = "product_updated"
    SUBSCRIPTION_UPDATED = "subscription_updated"
    PAGE_VIEWED = "page_viewed"
    LOGGED_IN = "logged_in"
    TRACKED = "tracked"
    SURVEY_ANSWERED = "survey_answered"
    POINTS_CHANGED = "points_changed"
    CALL_RECORDED = "call_recorded"
    PERSONS_LINKED = "persons_linked"
    PERSONS_UNLINKED = "persons_unlinked"
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


@dataclass(frozen=True, slots=True, kw_only=True)
class Envelope:
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
    raw: bytes = field(repr=False)
    """The body exactly as signed."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    """What a body says about a person. Personal data: never leaves DynamoDB."""

    source_customer_id: str | None = None
    email: str | None = None
    phone: str | None = None
    line_user_id: str | None = None
    """LINE's user id of this person at this channel (provider-scoped)."""
    last_name: str | None = None
    first_name: str | None = None
    last_name_kana: str | None = None
    first_name_kana: str | None = None
    postal_code: str | None = None
    prefecture: str | None = None
    address: str | None = None
    """Municipality, street and building as one line (postal DM)."""
    anonymous_ids: tuple[str, ...] = ()
    """Keys of a visitor not yet known: `cart/<token>`, `checkout/<token>`, `visitor/<cookie>`."""
    claimed: bool = False
    """Said by a browser with the public write key: anybody can say it. It may lead to a person, and fills what nobody
    else knows; it never replaces what a cart, a file or the shop's own server said."""


def is_withdrawn_address(email: str) -> bool:
    """Is it what EC-CUBE puts in place of the address of a member who left (退会)? Nobody reads mail there."""
    return email.lower().endswith("@dummy.dummy")


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """One product line of an order or cart (明細)."""

    product_id: str
    variant_id: str | None = None
    title: str
    quantity: int
    unit_amount: int
    """Minor units, per piece, before order-level discounts."""
    image_url: str | None = None
    category: str | None = None
    """As `ProductFacts.category`, where the order itself says it."""
    subscription: bool = False
    """Bought as a delivery of a subscription (定期)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Refund:
    """One refund (返金), keyed by its own id because order and refund topics both report it."""

    refund_id: str
    amount: int
    """Minor units, positive."""


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderFacts:
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
    goods_total: int | None = None
    """商品代金 after discounts, without shipping and fees; None where the source does not split it."""
    discount: int = 0
    """値引き over the whole order, minor units, positive."""
    coupons: tuple[str, ...] = ()
    """Codes used."""
    media: str | None = None
    """How the buyer came (広告媒体): utm source/medium/campaign joined with `/`, or the cart's own code."""
    referral: str | None = None
    """The token of the link by which somebody recommended the shop to the buyer (紹介), as it was given."""
    subscription_id: str | None = None
    delivery_number: int | None = None
    """n-th delivery of that subscription (お届け回数), first = 1."""
    offline: bool = False
    """Bought in a shop or by telephone (実店舗・電話)."""
    branch: str | None = None
    """Name of that shop (実店舗名), where `store` is whose member numbers it uses."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefundFacts:
    """Refunds of an order, known apart from its body."""

    kind: Literal["refund"] = "refund"
    order_id: str
    refunds: tuple[Refund, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderDeletedFacts:
    """An order that its source deleted: a tombstone that beats older updates."""

    kind: Literal["order_deleted"] = "order_deleted"
    order_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class OrderStatusFacts:
    """One step of an order that its source tells without the order's body (受注の状態): sent, arrived, cancelled.

    The event's own time is when it happened. It never says what an order is worth.
    """

    kind: Literal["order_status"] = "order_status"
    order_id: str
    status: Literal["placed", "payment", "shipped", "out_for_delivery", "delivered", "failed", "cancelled", "other"]
    """`payment`: money came in, perhaps not all of it. `failed`: the parcel did not arrive."""
    word: str | None = None
    """The source's own word of a fixed list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CartFacts:
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


@dataclass(frozen=True, slots=True, kw_only=True)
class ProfileFacts:
    """A customer record changed; what it says about the person's address is in `Event.person`."""

    kind: Literal["profile"] = "profile"
    attributes: Mapping[str, str | int | float | bool] = field(default_factory=dict, hash=False)
    """デモグラフィック属性 and the shop's own: `birth_on` (ISO date), `gender` (female, male, other), `occupation`,
    `registered_on`, `media`, `tags/<tag>` = True, `custom/<name>`. Names as in `shared/customers/attributes.py`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ConsentFacts:
    """Consent to marketing on one channel (配信許諾)."""

    kind: Literal["consent"] = "consent"
    channel: Literal["email", "sms", "line", "postal", "call"]
    granted: bool
    method: str
    """How it was said: `shopify:single_opt_in`, `one_click`, `page`, `import`, `complaint`."""
    basis: Literal["explicit", "business_relation", "written_notice", "published_address"] = "explicit"
    """Legal basis under 特定電子メール法."""
    by_customer: bool = True
    """False for imports and clerks: they can never reverse an opt-out the customer made."""
    wording: str = ""
    """Digest of the sentence that was agreed to (同意文言), where we showed it ourselves."""
    wording_text: str = ""
    """The sentence itself: the shop's words, nobody's name."""
    form: str = ""
    """Which form, in which version, showed it."""
    network: str = ""
    """Keyed digest of the network address it was said from (IP アドレス)."""
    address: str = ""
    """Keyed digest of the address it was said for, where a page of ours knows only our own id (`address_ref`)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class CustomerDeletedFacts:
    """The source deleted the customer record: not an erasure request, the person keeps their history."""

    kind: Literal["customer_deleted"] = "customer_deleted"


@dataclass(frozen=True, slots=True, kw_only=True)
class MergeFacts:
    """The source says two of its customer ids are one person; only a completed merge becomes an event."""

    kind: Literal["merge"] = "merge"
    kept_customer_id: str
    deleted_customer_id: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MessageFacts:
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
    scenario: str | None = None
    step: str | None = None
    arm: str | None = None
    """What it was sent for, as the message's own tags say it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EraseFacts:
    """A person (or a whole shop) asked to be erased (個人情報の削除)."""

    kind: Literal["erase"] = "erase"


@dataclass(frozen=True, slots=True, kw_only=True)
class UnknownFacts:
    """A topic without a reading yet."""

    kind: Literal["unknown"] = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class ProductFacts:
    """A product as its source describes it (商品): the feed of mails, categories and stock."""

    kind: Literal["product"] = "product"
    product_id: str
    title: str
    category: str | None = None
    """The shop's own category path, outermost first, joined with ` > `."""
    price: int | None = None
    """Minor units, the lowest price of its variants."""
    currency: str | None = None
    stock: int | None = None
    """Pieces over all variants; None where the source does not count."""
    url: str | None = None
    image_url: str | None = None
    deleted: bool = False
    """Not (any more) in the shop."""
    variant_id: str | None = None
    """Set where the notice is about one variant (SKU) only: `stock` and `price` are its own then, `title` is empty."""


class SubscriptionState(StrEnum):
    """定期契約の状態."""

    ACTIVE = "active"
    PAUSED = "paused"
    """休止・スキップ中"""
    PAST_DUE = "past_due"
    """A payment failed; not (yet) cancelled."""
    CANCELLED = "cancelled"
    """解約"""
    EXPIRED = "expired"
    """Ended as agreed (回数満了)."""
    UNKNOWN = "unknown"


@dataclass(frozen=True, slots=True, kw_only=True)
class SubscriptionFacts:
    """A subscription contract as its source describes it at one version (定期契約).

    None (and no lines) means that this notice does not say it, not that there is none.
    """

    kind: Literal["subscription"] = "subscription"
    subscription_id: str
    state: SubscriptionState
    started_at: datetime | None = None
    lines: tuple[Line, ...] = ()
    currency: str | None = None
    amount: int | None = None
    """Of one delivery, minor units."""
    interval_unit: Literal["day", "week", "month", "year"] | None = None
    interval_count: int | None = None
    deliveries: int | None = None
    """How many deliveries were made so far (お届け回数); None where the source does not say."""
    next_delivery_on: date | None = None
    cancelled_at: datetime | None = None
    cancel_reason: str | None = None
    """The source's own word or the shop's list, never free text of a person."""
    media: str | None = None
    """How the contract was won (広告媒体)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PageFacts:
    """A page (or app screen) was looked at (閲覧)."""

    kind: Literal["page"] = "page"
    url: str
    """Scheme, host and path only: queries and fragments carry secrets and addresses."""
    title: str | None = None
    page_type: str | None = None
    """`product`, `category`, `price`, `cart`, `home`, …: from the page's own properties or the shop's path rules."""
    product_id: str | None = None
    category: str | None = None
    referrer_host: str | None = None
    campaign: str | None = None
    """utm_source / utm_medium / utm_campaign joined with `/`."""
    machine: bool = False
    """A bot, a prefetch or a preview: recorded, never used for a decision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrackedFacts:
    """Something a shop's own site, app or member system says happened, in its own words (`Login` becomes a login)."""

    kind: Literal["tracked"] = "tracked"
    name: str
    properties: Mapping[str, str | int | float | bool] = field(default_factory=dict, hash=False)
    """Plain values only; whatever looks like an address, phone number or name is left out."""
    machine: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class LoginFacts:
    """A customer logged in (ログイン)."""

    kind: Literal["login"] = "login"
    machine: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class SurveyFacts:
    """One answer to one question (アンケート回答); the event's own time is when it was given."""

    kind: Literal["survey"] = "survey"
    survey_id: str
    question_id: str
    choices: tuple[str, ...] = ()
    """Ids of the choices taken (options of a list, never what a person typed)."""
    number: float | None = None
    """A rating or an amount."""
    text_given: bool = False
    """A free text was given. Its words may name anybody: they stay in the raw delivery."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PointsFacts:
    """Points and rank as a member system knows them (ポイント・会員ランク)."""

    kind: Literal["points"] = "points"
    balance: int | None = None
    expires_on: date | None = None
    """When the points that expire first do."""
    expiring: int | None = None
    """How many expire then."""
    rank: str | None = None
    rank_until: date | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class CallFacts:
    """What came of a call (架電結果)."""

    kind: Literal["call"] = "call"
    task_id: str | None = None
    """The call-centre task it answers, where it answers one."""
    outcome: str
    """`reached`, `absent`, `retained`, `cancelled`, `refused`, `wrong_number`, or the centre's own word."""
    reason: str | None = None
    """A word of the shop's list (解約理由), never free text."""


@dataclass(frozen=True, slots=True, kw_only=True)
class PersonLinkFacts:
    """Somebody decided that two persons are one (名寄せ), or that they are not: an event like any other."""

    kind: Literal["person_link"] = "person_link"
    other_customer_id: str
    joined: bool
    """False takes an earlier decision back (取り消し)."""
    actor: str


Facts = (
    OrderFacts
    | RefundFacts
    | OrderDeletedFacts
    | OrderStatusFacts
    | CartFacts
    | ProductFacts
    | ProfileFacts
    | SubscriptionFacts
    | ConsentFacts
    | CustomerDeletedFacts
    | MergeFacts
    | PersonLinkFacts
    | PageFacts
    | TrackedFacts
    | LoginFacts
    | SurveyFacts
    | PointsFacts
    | CallFacts
    | MessageFacts
    | EraseFacts
    | UnknownFacts
)
"""What an event says, without personal data (`recovery_url` excepted, which the lake drops)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
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
    person: Person = field(default_factory=Person)
    facts: Facts
    historical: bool = False
    """Imported history: fills state and lake, starts nothing."""
