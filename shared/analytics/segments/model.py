"""The segment language (セグメント定義): conditions over what is known of a person, joined by all, any and none.

One definition has two readers: `compile.py` asks the lake for everybody it is true of, `live.py` asks the live state
of one person. Days are the shop's: "the last 30 days" are the as-of day and the 29 before it. What is not known is
neither more nor less than anything: a comparison with it is not met.

A condition says by `where` which of the two readers can answer it.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from enum import StrEnum
from typing import Annotated, Any, ClassVar, Literal, Self, TypeVar

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    StrictBool,
    StrictInt,
    StringConstraints,
    model_validator,
)

from shared.core.ids import digest
from shared.customers.model import LtvTier, Status

MAX_CONDITIONS = 50
MAX_DEPTH = 10
CART_DAYS = 90
"""A cart that nobody touched for so long is forgotten, not left."""


class Where(StrEnum):
    """Which reader can answer a condition."""

    LIVE = "live"
    """Both, at any moment."""
    RECENT = "recent"
    """Both; live only as far back as the latest 50 visits reach."""
    NIGHTLY = "nightly"
    """The lake alone: what a night found, what channels told, what the product feed says."""


# --- words ------------------------------------------------------------------------------------------------------------
def _one_or_more(value: object) -> object:
    return value if isinstance(value, list | tuple) else [value]


def _a_number(value: object) -> object:
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueError(f"a number is needed, got {value!r}")  # noqa: TRY004 - pydantic wants a ValueError
    return value


def _a_day(value: object) -> object:
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value) if isinstance(value, str) and len(value) == 10 else date.fromisoformat("-")
    except ValueError:
        raise ValueError(f"a day such as 2026-11-21 is needed, got {value!r}") from None


T = TypeVar("T")

Word = Annotated[str, StringConstraints(min_length=1, max_length=300)]
Several = Annotated[tuple[T, ...], BeforeValidator(_one_or_more), Field(min_length=1)]
"""One of them or a list: any of them will do."""
Words = Annotated[tuple[Word, ...], BeforeValidator(_one_or_more), Field(min_length=1, max_length=500)]
"""One text or a list of them: any of them will do."""
Number = Annotated[int | float, BeforeValidator(_a_number), Field(allow_inf_nan=False, ge=-(10**15), le=10**15)]
Day = Annotated[date, BeforeValidator(_a_day)]
Days = Annotated[StrictInt, Field(ge=0, le=36_500)]
Some = Annotated[StrictInt, Field(ge=1, le=36_500)]


class Part(BaseModel):
    """Anything a definition consists of."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Numbers(Part):
    """A comparison: at_least, at_most, more_than, less_than, is; all that are given must hold."""

    at_least: Number | None = None
    at_most: Number | None = None
    more_than: Number | None = None
    less_than: Number | None = None
    exactly: Number | None = Field(None, alias="is")

    @model_validator(mode="before")
    @classmethod
    def _short(cls, value: object) -> object:
        if isinstance(value, int | float) and not isinstance(value, bool):
            return {"is": value}
        if isinstance(value, Numbers | dict):
            return value
        raise ValueError(f"a number or a comparison such as {{at_least: 3}} is needed, got {value!r}")

    @model_validator(mode="after")
    def _says_something(self) -> Numbers:
        if not self.given():
            raise ValueError(f"say one of {', '.join(COMPARISONS)}")
        return self

    def given(self) -> dict[str, int | float]:
        """Comparison → limit, those that are given."""
        limits = {
            "at_least": self.at_least,
            "at_most": self.at_most,
            "more_than": self.more_than,
            "less_than": self.less_than,
            "is": self.exactly,
        }
        return {name: limit for name, limit in limits.items() if limit is not None}

    def hold(self, value: float | None) -> bool:
        """Is it true of this value? Of an unknown one never."""
        return value is not None and all(COMPARISONS[name](value, limit) for name, limit in self.given().items())


COMPARISONS: dict[str, Callable[[float, float], bool]] = {
    "at_least": lambda value, limit: value >= limit,
    "at_most": lambda value, limit: value <= limit,
    "more_than": lambda value, limit: value > limit,
    "less_than": lambda value, limit: value < limit,
    "is": lambda value, limit: value == limit,
}


class Condition(Part):
    """One thing asked of a person. `word` is its name in a definition, `bare` the field a plain value stands for."""

    word: ClassVar[str]
    bare: ClassVar[str] = ""
    needs: ClassVar[tuple[str, ...]] = ()
    """Fields of which at least one must be said."""
    reach: ClassVar[Where] = Where.LIVE

    @model_validator(mode="after")
    def _asks_something(self) -> Self:
        if self.needs and all(getattr(self, name) is None for name in self.needs):
            raise ValueError(f"say {', '.join(self.needs[:-1])} or {self.needs[-1]}")
        return self

    @property
    def where(self) -> Where:
        """Which reader can answer it."""
        return self.reach


class Window(Condition):
    """A condition about days (期間): all limits that are given hold."""

    within_days: Some | None = None
    """Of the last n days, the as-of day included."""
    before_days: Days | None = None
    """n days ago or longer."""
    since: Day | None = None
    until: Day | None = None

    def covers(self, day: date | None, as_of: date) -> bool:
        """Is this day meant?"""
        if day is None:
            return False
        return (
            (self.within_days is None or day > as_of - timedelta(days=self.within_days))
            and (self.before_days is None or day <= as_of - timedelta(days=self.before_days))
            and (self.since is None or day >= self.since)
            and (self.until is None or day <= self.until)
        )


class Counted(Window):
    """A condition that counts: without any measure, at least once."""

    count: Numbers | None = None

    measures: ClassVar[tuple[str, ...]] = ("count",)

    def compared(self) -> dict[str, Numbers]:
        """Measure → comparison."""
        given = {name: getattr(self, name) for name in self.measures if getattr(self, name) is not None}
        return given or {"count": Numbers(at_least=1)}


# --- conditions: purchases --------------------------------------------------------------------------------------------
class Orders(Counted):
    """Valid orders (受注): how many, for how much in all. `amount` is of a single order."""

    word: ClassVar[str] = "orders"
    measures: ClassVar[tuple[str, ...]] = ("count", "sum")

    sum: Numbers | None = None
    """受注金額 less refunds, minor units of the shop's currency."""
    amount: Numbers | None = None
    source: Words | None = None
    store: Words | None = None
    media: Words | None = None
    coupon: Words | None = None
    offline: StrictBool | None = None
    subscription: StrictBool | None = None
    """A delivery of a contract (定期), or not."""


class Bought(Counted):
    """Products bought (購入商品): in how many orders, pieces, for how much. 送料 and the like are no products."""

    word: ClassVar[str] = "bought"
    measures: ClassVar[tuple[str, ...]] = ("count", "quantity", "sum")

    product: Words | None = None
    category: Words | None = None
    quantity: Numbers | None = None
    sum: Numbers | None = None
    first: StrictBool | None = None
    """With their first order (初回商品), or not."""
    last: StrictBool | None = None
    """With their latest order, or not."""
    subscription: StrictBool | None = None

    @property
    def where(self) -> Where:
        """Categories come from the product feed, which the live state does not hold."""
        return Where.NIGHTLY if self.category else Where.LIVE


class FirstOrder(Condition):
    """Days since the first order (初回購買日)."""

    word: ClassVar[str] = "first_order"
    days_ago: Numbers


class LastOrder(Condition):
    """Days since the last order (最終購買日)."""

    word: ClassVar[str] = "last_order"
    days_ago: Numbers


class LeftCart(Condition):
    """A cart with something in it that did not become an order (カゴ落ち), touched within the last 90 days."""

    word: ClassVar[str] = "left_cart"
    days_ago: Numbers = Numbers(at_least=1)
    total: Numbers | None = None
    store: Words | None = None


class Contracts(Condition):
    """Subscription contracts (定期契約); everything asked holds of the same contract."""

    word: ClassVar[str] = "contracts"
    count: Numbers = Numbers(at_least=1)
    state: Several[Literal["active", "paused", "past_due", "cancelled", "expired", "unknown"]] | None = None
    product: Words | None = None
    store: Words | None = None
    deliveries: Numbers | None = None
    next_delivery_in_days: Numbers | None = None
    started_days_ago: Numbers | None = None
    cancelled_days_ago: Numbers | None = None
    cancel_reason: Words | None = None


# --- conditions: the person -------------------------------------------------------------------------------------------
class Age(Condition):
    """Age on the as-of day (年齢), by year and month of birth: the lake does not know the day."""

    word: ClassVar[str] = "age"
    bare: ClassVar[str] = "years"
    years: Numbers


class Birthday(Condition):
    """Month of birth (誕生月): `in_months: 0` is this month, 1 the next."""

    word: ClassVar[str] = "birthday"
    in_months: Annotated[StrictInt, Field(ge=0, le=11)] = 0


class Saying(Condition):
    """A text that is known of a person, one of those given."""

    bare: ClassVar[str] = "is_one_of"
    attribute: ClassVar[str]
    is_one_of: Words


class Gender(Saying):
    """性別"""

    word: ClassVar[str] = "gender"
    attribute: ClassVar[str] = "gender"
    is_one_of: Several[Literal["female", "male", "other"]]


class Prefecture(Saying):
    """都道府県"""

    word: ClassVar[str] = "prefecture"
    attribute: ClassVar[str] = "prefecture"


class Occupation(Saying):
    """職業"""

    word: ClassVar[str] = "occupation"
    attribute: ClassVar[str] = "occupation"


class Source(Saying):
    """How they came (流入媒体), as their customer record says it."""

    word: ClassVar[str] = "came_by"
    attribute: ClassVar[str] = "media"


class Tagged(Condition):
    """Has one of these tags (タグ)."""

    word: ClassVar[str] = "tag"
    bare: ClassVar[str] = "is_one_of"
    is_one_of: Words


class Registered(Condition):
    """Days since they became a member (会員登録日)."""

    word: ClassVar[str] = "registered"
    days_ago: Numbers


class Custom(Condition):
    """An attribute of the shop's own (独自項目): a number or a yes/no. Free texts never enter the lake: use a tag."""

    word: ClassVar[str] = "custom"
    name: Word
    number: Numbers | None = None
    yes: StrictBool | None = None

    @model_validator(mode="after")
    def _one_question(self) -> Custom:
        if (self.number is None) == (self.yes is None):
            raise ValueError("say number or yes; a free text of the shop's own is not in the lake: use a tag")
        return self


class Survey(Window):
    """An answer to a question (アンケート回答); a window counts from the day it was given."""

    word: ClassVar[str] = "survey"
    survey: Word
    question: Word
    choice: Words | None = None
    number: Numbers | None = None


class Points(Condition):
    """Points at one store (ポイント); everything asked holds at the same store."""

    word: ClassVar[str] = "points"
    needs: ClassVar[tuple[str, ...]] = ("balance", "expiring", "expires_in_days")
    balance: Numbers | None = None
    expiring: Numbers | None = None
    expires_in_days: Numbers | None = None
    store: Word | None = None


class MemberRank(Condition):
    """会員ランク at any store, or at the one named."""

    word: ClassVar[str] = "rank"
    is_one_of: Words = Field(alias="is")
    store: Word | None = None


class ConsentOn(Condition):
    """Consent on a channel (配信許諾), at any store or at the one named; `*` counts in every store."""

    word: ClassVar[str] = "consent"
    channel: Literal["email", "sms", "line", "postal", "call"]
    status: Literal["opt_in", "opt_out"] = "opt_in"
    store: Word | None = None


# --- conditions: behaviour --------------------------------------------------------------------------------------------
class Visits(Counted):
    """Page views, logins and tracked events (閲覧・ログイン・行動); machines do not count."""

    word: ClassVar[str] = "visits"
    reach: ClassVar[Where] = Where.RECENT
    kind: Several[Literal["page", "login", "tracked"]] | None = None
    name: Words | None = None
    page_type: Words | None = None
    product: Words | None = None


class Messages(Counted):
    """What became of messages (配信への反応): how many of them; machine opens and clicks do not count."""

    word: ClassVar[str] = "messages"
    reach: ClassVar[Where] = Where.NIGHTLY
    event: Several[Literal["sent", "delivered", "opened", "clicked", "bounced", "complained", "rejected"]]
    scenario: Words | None = None
    step: Words | None = None
    channel: Words | None = None


# --- conditions: what the night found ---------------------------------------------------------------------------------
class HasStatus(Condition):
    """ステータス判定 of the last night; `since_days`: for how long."""

    word: ClassVar[str] = "status"
    bare: ClassVar[str] = "is_one_of"
    is_one_of: Several[Status] = Field(alias="is")
    since_days: Numbers | None = None


class Tier(Condition):
    """LTV tier (高・潜在・低)."""

    word: ClassVar[str] = "ltv_tier"
    bare: ClassVar[str] = "is_one_of"
    is_one_of: Several[LtvTier]


class Rfm(Condition):
    """RFM bins (1 worst to 6 best) and rank."""

    word: ClassVar[str] = "rfm"
    needs: ClassVar[tuple[str, ...]] = ("r", "f", "m", "rank")
    r: Numbers | None = None
    f: Numbers | None = None
    m: Numbers | None = None
    rank: Several[Literal["優良", "有望", "新規", "浮気予備軍", "悩み", "浮気・不満", "離反"]] | None = None


class Prediction(Condition):
    """A number that the models predict; the lake alone has it."""

    bare: ClassVar[str] = "value"
    reach: ClassVar[Where] = Where.NIGHTLY
    column: ClassVar[str]
    value: Numbers


class POrder30(Prediction):
    """P(order within 30 days) (リピート予測)."""

    word: ClassVar[str] = "p_order_30"
    column: ClassVar[str] = "p_order_30"


class POrder90(Prediction):
    """P(order within 90 days)."""

    word: ClassVar[str] = "p_order_90"
    column: ClassVar[str] = "p_order_90"


class PAlive(Prediction):
    """Still a customer (顧客生存確率)."""

    word: ClassVar[str] = "p_alive"
    column: ClassVar[str] = "p_alive"


class PredictedLtv(Prediction):
    """Revenue expected within 365 days (予測LTV), minor units."""

    word: ClassVar[str] = "predicted_ltv"
    column: ClassVar[str] = "ltv_365"


class PredictedOrders(Prediction):
    """Orders expected within 365 days."""

    word: ClassVar[str] = "predicted_orders"
    column: ClassVar[str] = "orders_365"


class NextOrder(Condition):
    """Days until the next order is due (次回購入予定日); below 0 it is overdue."""

    word: ClassVar[str] = "next_order"
    reach: ClassVar[Where] = Where.NIGHTLY
    in_days: Numbers


class Cell(Condition):
    """The people behind a row of an analysis (分析のセル): the keys of the row, as a person types them."""

    word: ClassVar[str] = "analysis"
    reach: ClassVar[Where] = Where.NIGHTLY
    name: Word
    row: dict[Word, Annotated[str, StringConstraints(max_length=300)]] = Field(default_factory=dict)


class Sample(Condition):
    """A random share (無作為抽出): the same people for the same seed, on every day and for both readers."""

    word: ClassVar[str] = "sample"
    percent: Annotated[Number, Field(ge=0, le=100)]
    seed: Word

    def below(self) -> str:
        """Whose hash is smaller belongs to it (hexadecimal text, eight digits or `g`, which is above all)."""
        limit = round(self.percent * 2**32 / 100)
        return f"{limit:08x}" if limit < 2**32 else "g"


CONDITIONS: dict[str, type[Condition]] = {
    kind.word: kind
    for kind in (
        Orders, Bought, FirstOrder, LastOrder, LeftCart, Contracts,
        Age, Birthday, Gender, Prefecture, Occupation, Source, Tagged, Registered, Custom, Survey, Points, MemberRank,
        ConsentOn, Visits, Messages, HasStatus, Tier, Rfm, POrder30, POrder90, PAlive, PredictedLtv, PredictedOrders,
        NextOrder, Cell, Sample,
    )
}  # fmt: skip
"""The allow-list: nothing else can be asked."""


# --- joined -----------------------------------------------------------------------------------------------------------
class Join(StrEnum):
    """How conditions are joined: every one (AND), at least one (OR), not one (NOT)."""

    ALL = "all"
    ANY = "any"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Group:
    """Conditions joined."""

    join: Join
    parts: tuple[Group | Condition, ...]


Node = Group | Condition


@dataclass(frozen=True, slots=True)
class Segment:
    """A definition as it was written, and what it means."""

    name: str
    title: str
    members: Node
    document: dict[str, Any]
    """As written, without lines: what is kept, shown and digested."""
    description: str = ""
    as_of: date | None = None
    """A fixed day: a frozen list. None: the day it is asked on."""
    known_then: bool = False
    """Of a fixed day: by what had reached us by its end (当時の認識)."""

    @property
    def version(self) -> str:
        """Digest of who is meant: the same words, the same version."""
        meant = {name: self.document.get(name) for name in ("members", "as_of", "known")}
        return digest(json.dumps(meant, sort_keys=True, ensure_ascii=False, default=str))[:12]

    def conditions(self) -> Iterator[Condition]:
        """Every condition, in order."""
        return conditions(self.members)

    @property
    def nightly_words(self) -> tuple[str, ...]:
        """The conditions that the live state cannot answer."""
        return tuple(dict.fromkeys(each.word for each in self.conditions() if each.where is Where.NIGHTLY))

    @property
    def live_decidable(self) -> bool:
        """Can membership be told from one person's live state (by `live.py`, for `matakite customer show`)?

        Visits further back than the latest 50 are unknown.
        """
        return not self.nightly_words and self.as_of is None


def conditions(node: Node) -> Iterator[Condition]:
    """Every condition below a node, in order."""
    if isinstance(node, Condition):
        yield node
    else:
        for part in node.parts:
            yield from conditions(part)


Truth = bool | None
"""Yes, no, or not to be told from here."""


def joined(join: Join, truths: Iterator[Truth]) -> Truth:
    """Three-valued: what is not known decides only where the rest does not."""
    known = list(truths)
    match join:
        case Join.ALL:
            return False if False in known else None if None in known else True
        case Join.ANY:
            return True if True in known else None if None in known else False
        case Join.NONE:
            return False if True in known else None if None in known else True
