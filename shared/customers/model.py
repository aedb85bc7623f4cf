"""A person as the shop knows them now: what the fold of their events amounts to."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum

from shared.core.ids import CustomerId, Ref, TenantId
from shared.ingest.model import Line, SubscriptionState


class ConsentStatus(StrEnum):
    """配信許諾の現在値. `unknown` is not consent: the default is off."""

    OPT_IN = "opt_in"
    OPT_OUT = "opt_out"
    UNKNOWN = "unknown"


class Status(StrEnum):
    """ステータス判定: exactly one per buyer, in the order they are tested (definitions.md §14)."""

    DORMANT = "dormant"
    """休眠"""
    AT_RISK = "at_risk"
    """離脱予備軍"""
    LOYAL = "loyal"
    """優良"""
    NEW = "new"
    """新規・少回数"""
    PROMISING = "promising"
    """リピート見込み"""


class LtvTier(StrEnum):
    """LTV ランク: 高 = top share of realised amount, 潜在 = predicted high but realised low, 低 = the rest."""

    HIGH = "high"
    POTENTIAL = "potential"
    LOW = "low"


@dataclass(frozen=True, slots=True)
class Order:
    """One order folded from everything its source said about it (受注の現在値)."""

    source: str
    store: str
    order_id: str
    ordered_at: datetime | None
    """None while only a refund or deletion is known: such an order does not count yet."""
    currency: str
    total: int
    refunds: Mapping[str, int] = field(default_factory=dict)
    """refund id → amount, both in minor units; a union over every body that named one."""
    cancelled: bool = False
    deleted: bool = False
    test: bool = False
    paid: bool = False
    lines: tuple[Line, ...] = ()
    checkout_token: str | None = None
    cart_token: str | None = None
    version: str = ""
    event_id: str = ""
    historical: bool = False
    goods_total: int | None = None
    discount: int = 0
    coupons: tuple[str, ...] = ()
    media: str | None = None
    referrer: CustomerId | None = None
    """Whose link the buyer came by (紹介者), under the id they had when they got it."""
    subscription_id: str | None = None
    delivery_number: int | None = None
    offline: bool = False
    """Bought in a shop or by telephone (実店舗・電話)."""
    cancel_is_final: bool = False
    """Cancelled by a message that only says that: no later body takes it back."""

    @property
    def valid(self) -> bool:
        """有効受注: body known, not cancelled, not a test, not deleted."""
        return self.ordered_at is not None and not (self.cancelled or self.test or self.deleted)

    @property
    def amount(self) -> int:
        """受注金額 with refunds deducted, minor units; 0 when not valid."""
        return max(0, self.total - sum(self.refunds.values())) if self.valid else 0


@dataclass(frozen=True, slots=True)
class Cart:
    """One cart or checkout as last heard (カート)."""

    source: str
    store: str
    token: str
    updated_at: datetime
    currency: str | None
    total: int
    lines: tuple[Line, ...] = ()
    recovery_url: str | None = None
    completed_at: datetime | None = None
    deleted: bool = False
    cart_token: str | None = None
    version: str = ""
    event_id: str = ""
    historical: bool = False
    completed_said_at: datetime | None = None
    """When it was last said to be completed: what was said before an erasure does not count after it."""
    deleted_said_at: datetime | None = None

    @property
    def open(self) -> bool:
        """Something in it, and not (yet) an order."""
        return bool(self.lines) and self.completed_at is None and not self.deleted


@dataclass(frozen=True, slots=True)
class Subscription:
    """One contract (定期契約), folded from everything its source said about it; or guessed from order gaps."""

    source: str
    store: str
    subscription_id: str
    state: SubscriptionState = SubscriptionState.UNKNOWN
    started_at: datetime | None = None
    lines: tuple[Line, ...] = ()
    currency: str | None = None
    amount: int | None = None
    """Of one delivery, minor units."""
    interval_unit: str | None = None
    """`day`, `week`, `month` or `year`; an estimate is in days."""
    interval_count: int | None = None
    deliveries: int | None = None
    """お届け回数: made so far, by the source's own count or, where it does not count, by the orders of the contract."""
    next_delivery_on: date | None = None
    cancelled_at: datetime | None = None
    cancel_reason: str | None = None
    media: str | None = None
    estimated: bool = False
    """No source told of this contract: it is what the gaps between the subscription orders suggest."""
    version: str = ""
    event_id: str = ""
    terms_version: str = ""
    """Of the latest body that says what is delivered, how often and for how much: a failed payment does not."""
    terms_event_id: str = ""
    historical: bool = False

    @property
    def product_ids(self) -> tuple[str, ...]:
        """What is delivered."""
        return tuple(dict.fromkeys(line.product_id for line in self.lines))

    @property
    def interval_days(self) -> int | None:
        """お届け周期 in days, a month as 30 and a year as 365."""
        if self.interval_unit is None or self.interval_count is None:
            return None
        return _DAYS[self.interval_unit] * self.interval_count


_DAYS = {"day": 1, "week": 7, "month": 30, "year": 365}

AttributeValue = str | int | float | bool | tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Attribute:
    """One thing known about a person (顧客属性), and when it was said: the latest saying wins.

    Names: `shared/customers/attributes.py`.
    """

    value: AttributeValue
    at: datetime
    event_id: str


@dataclass(frozen=True, slots=True)
class Visit:
    """A page view, a login or a tracked event of a person (行動履歴); machines are not counted."""

    event_id: str
    at: datetime
    kind: str
    """`page`, `login` or `tracked`."""
    name: str | None = None
    """Of a tracked event, in the shop's own words."""
    path: str | None = None
    page_type: str | None = None
    product_id: str | None = None


@dataclass(frozen=True, slots=True)
class ConsentEntry:
    """One line of the consent ledger (append-only)."""

    channel: str
    store: str
    granted: bool
    at: datetime
    method: str
    basis: str
    by_customer: bool
    event_id: str
    address: str = ""
    """Keyed digest of the address it was said for: the evidence without the address."""
    wording: str = ""
    """Digest of the sentence that was agreed to, and the sentence itself, where a page of ours showed it (同意文言)."""
    wording_text: str = ""
    form: str = ""
    """Which form, in which version, showed it."""
    network: str = ""
    """Keyed digest of the network address it was said from."""


@dataclass(frozen=True, slots=True)
class Card:
    """How to reach a person, as one event said it (連絡先). Personal data: kept in the profile row only."""

    email: str | None = None
    phone: str | None = None
    line_user_id: str | None = None
    last_name: str | None = None
    first_name: str | None = None
    last_name_kana: str | None = None
    first_name_kana: str | None = None
    postal_code: str | None = None
    prefecture: str | None = None
    address: str | None = None
    email_ref: str = ""
    """Keyed digest of the address: what suppression is kept under."""
    line_ref: str = ""
    phone_ref: str = ""


@dataclass(frozen=True, slots=True)
class Said:
    """When something was last said with which card. So an order that repeats a known card changes its own row only."""

    at: datetime
    event_id: str
    card: str
    """Key of the card among the person's cards."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Somebody decided that two persons are one, or took that back (名寄せ・取り消し). The latest decision counts."""

    one: CustomerId
    other: CustomerId
    joined: bool
    at: datetime
    event_id: str
    actor: str


@dataclass(frozen=True, slots=True)
class Evidence:
    """Two customer numbers have something in common (共有の連絡先): read as one until somebody parts them."""

    one: CustomerId
    other: CustomerId
    refs: tuple[Ref, ...]
    """What that is: addresses, or a cart or order."""
    at: datetime
    event_id: str
    """The first event that showed it."""


@dataclass(frozen=True, slots=True)
class Join:
    """How a former id became part of this person: which event said so, and when."""

    at: datetime
    event_id: str
    refs: tuple[Ref, ...] = ()
    """What both had in common."""


@dataclass(frozen=True, slots=True)
class Claim:
    """When somebody known otherwise was first seen in a browser (visitor cookie), and which event said so."""

    at: datetime
    event_id: str


@dataclass(frozen=True, slots=True)
class Record:
    """What a set of events says about one person.

    Records join (`rules.join`) like sets do: in any order, any number of times, to the same record.
    So the state of a person is the join of their events, and two persons found to be one are the join of both.
    """

    refs: frozenset[Ref] = frozenset()
    cards: Mapping[str, Card] = field(default_factory=dict)
    said: Mapping[str, Said] = field(default_factory=dict)
    """By the thing that named the person: `order#…`, `cart#…`, `account`, `form`: a customer record goes before what a
    form said."""
    orders: Mapping[str, Order] = field(default_factory=dict)
    carts: Mapping[str, Cart] = field(default_factory=dict)
    subscriptions: Mapping[str, Subscription] = field(default_factory=dict)
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    visits: Mapping[str, Visit] = field(default_factory=dict)
    """By event id, the latest 50."""
    last_login_at: datetime | None = None
    consent_log: Mapping[str, ConsentEntry] = field(default_factory=dict)
    decisions: Mapping[str, Decision] = field(default_factory=dict)
    """By pair of persons."""
    evidence: Mapping[str, Evidence] = field(default_factory=dict)
    """By pair of persons, with both."""
    nobodys: frozenset[Ref] = frozenset()
    """What they used and so many customer numbers have in common that it is nobody's (ダミーの宛先)."""
    visitors: Mapping[str, Claim] = field(default_factory=dict)
    """The browsers this person was seen in, by visitor ref: the earliest claim of each."""
    claims: Mapping[str, Claim] = field(default_factory=dict)
    """Of a browser's own record: who was seen in it, by their ref."""
    erased_at: datetime | None = None
    """What was said up to here is forgotten, whenever it arrives."""


class Suppressed(StrEnum):
    """Why an address gets no mail (配信停止). Kept under the address's digest, apart from any person."""

    BOUNCED = "bounced"
    COMPLAINED = "complained"
    PAUSED = "paused"
    """Too many soft bounces lately; heals by itself."""


@dataclass(frozen=True, slots=True)
class Suppression:
    """What happened to mail for one address."""

    reasons: Mapping[Suppressed, datetime] = field(default_factory=dict)
    """Permanent reasons and when each was first known."""
    soft_bounces: Mapping[str, datetime] = field(default_factory=dict)
    """event id → when, the latest 50."""


@dataclass(frozen=True, slots=True)
class Consent:
    """Current consent on one channel of one store: the fold of its ledger."""

    channel: str
    store: str
    status: ConsentStatus
    at: datetime
    method: str


@dataclass(frozen=True, slots=True)
class Summary:
    """Purchase state (最終購買日・購入回数・購入金額): always recomputed from the order rows, never incremented."""

    order_count: int = 0
    total_amount: int = 0
    currency: str = "JPY"
    first_ordered_at: datetime | None = None
    last_ordered_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Scores:
    """What the nightly run found; None until the first run after the first order."""

    as_of: date
    status: Status
    status_since: date
    ltv_tier: LtvTier
    rfm_r: int
    rfm_f: int
    rfm_m: int
    """RFM bins, 1 (worst) to 6 (best)."""
    rfm_rank: str
    """RFM rank (優良, 有望, 新規, 浮気予備軍, 悩み, 浮気・不満, 離反)."""
    next_order_on: date | None = None
    """次回購入予定日: the last order plus their purchase cycle; None while none is known."""


@dataclass(frozen=True, slots=True)
class Findings:
    """All that a night found of one person."""

    scores: Scores | None = None
    """None: no buyer (any more)."""
    segments: tuple[str, ...] | None = None
    """Names of the saved segments they are in, sorted; None: not found out tonight, so what was known stays."""


@dataclass(frozen=True, slots=True)
class Profile:
    """The one item that holds a person's address and name."""

    tenant: TenantId
    customer_id: CustomerId
    refs: frozenset[Ref] = frozenset()
    email: str | None = None
    phone: str | None = None
    last_name: str | None = None
    first_name: str | None = None
    last_name_kana: str | None = None
    first_name_kana: str | None = None
    postal_code: str | None = None
    address: str | None = None
    """Municipality, street and building as one line (postal DM); the prefecture is an attribute."""
    line_user_id: str | None = None
    summary: Summary = Summary()
    scores: Scores | None = None
    segments: tuple[str, ...] = ()
    """Names of the saved segments (セグメント) a night found them in, sorted. Somebody entered or left one when a row
    that is not `historical` differs in this from the row before.
    """
    segments_on: date | None = None
    """The night that last changed `segments`."""
    aliases: frozenset[CustomerId] = frozenset()
    """Ids of persons merged into this one; they keep resolving."""
    joins: Mapping[CustomerId, Join] = field(default_factory=dict)
    """How the former ids became part of this person, where an event said so."""
    decisions: tuple[Decision, ...] = ()
    """What people decided about this person's joins, oldest first; a decision may have been taken back since."""
    erased: bool = False
    rev: int = 0


@dataclass(frozen=True, slots=True)
class PersonState:
    """Everything that decides about a person, read at one moment."""

    profile: Profile
    orders: tuple[Order, ...] = ()
    carts: tuple[Cart, ...] = ()
    consents: tuple[Consent, ...] = ()
    suppressed: frozenset[str] = frozenset()
    """Channels whose current address is suppressed (hard bounce, complaint)."""
    subscriptions: tuple[Subscription, ...] = ()
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    visits: tuple[Visit, ...] = ()
    """The latest 50, oldest first."""
    last_login_at: datetime | None = None
    last_seen_at: datetime | None = None
    """The latest visit of any kind."""
