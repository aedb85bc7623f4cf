"""The scenario language (シナリオ定義): what a file may say. `read.py` turns the YAML into these.

A file is one scenario: who gets in, when they leave, and a list of steps. A fork (`branch`, `split`, `wait_for`)
carries whoever is left along one of its arms; what follows the fork is done in every arm, each at its own pace.

    id: f2_first_order            # = the file's name
    title: 初回購入のお礼
    status: staged                # live | staged (decides and records, sends nothing) | off
    entry: …                      # below
    reentry: once                 # once | always (per cart, order, contract) | 30d (once in so long, per person)
    sweep_every: 15m              # how often the due are collected: 1m to 1d, a cost setting
    period: {from: 2026-12-01, until: 2026-12-25}     # shop days; outside nobody enters and nothing is sent
    exit_when: [order_placed, unsubscribed, {contract: [cancelled]}]    # rules by name, or conditions
    goal: {ordered: {}}           # a condition: whoever meets it has arrived, and leaves with `goal`
    steps: […]
    examples: […]

Entries (`event`, with `after` = how long after it they are due, `expires_after` = later nobody enters, and `where` = a
condition on the person asked when they are collected):

    {event: cart_abandoned, after: 1h}
    {event: order_placed, after: 3d, number: 1, product: [A-1], subscription: false}     number: the person's n-th order
    {event: page_viewed, after: 1d, page_type: price, path: /plan*, product: [A-1], at_least: 3, within: 7d}
    {event: logged_in} · {event: tracked, name: trial_started}
    {event: survey_answered, survey: s1, question: q1, choice: [bad, poor]}
    {event: contract_changed, state: [cancelled]}        a 定期契約 came into this state
    {event: status_changed, to: [dormant], from: [at_risk, loyal]}       ステータス, as a night found it
    {event: date, date: birthday, days: -7, at: "10:00"}     days before (-) or after; at = shop time, default 10:00
    {event: broadcast}           nobody enters by themselves: `matakite scenario enrol`

Dates: birthday (every year), registered, first_order, last_order, last_login, last_seen, next_delivery,
contract_started, points_expire, rank_until. A date that has moved by the time they are collected lets nobody in.

Steps:

    wait: 2d · wait: {for: 2d, until: "10:00", on: [business_day]}     on: mon … sun, weekday, weekend, business_day
    wait_for: bought · when: {ordered: {}} · timeout: 7d · check_every: 1d · then: […] · else: […]
    branch: tier · on: ltv_tier | status | buyer · arms: {high: […]} · else: […]
    branch: reacted · when: {clicked: {clicked: mail_1}, opened: {opened: mail_1}} · arms: {clicked: […], …} · else: […]
    split: subject · shares: {a: 45, b: 45, holdout: 10} · arms: {a: […], b: […]}      by person, for ever the same
    send: mail_1 · channel: email, or [line, email]: the first that reaches them · template: folder/name
    tag: vip_offered · exit: word

Conditions (a mapping; everything in it must hold; the first arm whose condition holds is taken):

    tier: [high] · status: [dormant, at_risk] · buyer: first | repeat        buyer: never bought, has bought
    orders: {at_least: 2, at_most: 5} · ordered: {within: 30d, product: [A-1], at_least: 1}    no within: since entry
    opened: mail_1 · clicked: mail_1          a send of this scenario before; machines do not count
    viewed: {page_type: price, path: /plan*, product: [A-1], within: 7d, at_least: 2} · logged_in: {within: 30d}
    attribute: {name: gender, is: [female]} (or at_least, at_most, known: true) · contract: [active, paused]
    reachable: line                            an address, consent and no suppression on that channel
    all: [ … ] · any: [ … ] · none: [ … ]
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import date, datetime, time, timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import (
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Discriminator,
    Field,
    PlainSerializer,
    StringConstraints,
    Tag,
)

from shared.core.ids import ScenarioId, digest
from shared.customers.model import LtvTier, Status
from shared.delivery.model import Purpose, Reason
from shared.ingest.model import SubscriptionState

ENTRY = "entry"
"""Stands for "before the first step" where an example names a step."""

_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def parse_duration(text: object) -> timedelta:
    """`90s`, `30m`, `1h`, `1h30m`, `2d`, `1w`: whole numbers with a unit, largest first."""
    if isinstance(text, timedelta):
        return text
    if not isinstance(text, str) or not re.fullmatch(r"(\d+[wdhms])+", text):
        raise ValueError("a duration is a whole number with a unit: 30m, 1h, 1h30m, 2d or 1w")
    return timedelta(seconds=sum(int(n) * _UNITS[unit] for n, unit in re.findall(r"(\d+)([wdhms])", text)))


def format_duration(duration: timedelta) -> str:
    """The shortest text that `parse_duration` reads back."""
    left, text = int(duration.total_seconds()), ""
    for unit, seconds in sorted(_UNITS.items(), key=lambda item: -item[1]):
        count, left = divmod(left, seconds)
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def _one_or_more(value: object) -> object:
    return value if isinstance(value, list | tuple) else [value]


def _time_of_day(value: object) -> object:
    if isinstance(value, time):
        return value
    if not isinstance(value, str) or not re.fullmatch(r"([01]\d|2[0-3]):[0-5]\d(:00)?", value):
        raise ValueError('a time of day in quotes is needed, such as "10:00"')
    return time.fromisoformat(value)


Duration = Annotated[
    timedelta, BeforeValidator(parse_duration), PlainSerializer(format_duration, return_type=str, when_used="json")
]
TimeOfDay = Annotated[time, BeforeValidator(_time_of_day)]
Words = Annotated[tuple[str, ...], BeforeValidator(_one_or_more), Field(min_length=1)]
"""One text or a list of them: any of them will do."""
Tiers = Annotated[tuple[LtvTier, ...], BeforeValidator(_one_or_more), Field(min_length=1)]
Statuses = Annotated[tuple[Status, ...], BeforeValidator(_one_or_more), Field(min_length=1)]
States = Annotated[tuple[SubscriptionState, ...], BeforeValidator(_one_or_more), Field(min_length=1)]
Some = Annotated[int, Field(strict=True, ge=1, le=1000)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{1,30}$")]
"""Lower-case words joined by `_`; it becomes part of state and execution names."""
Arm = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,30}$")]


class LiveStatus(StrEnum):
    """Live (配信中), staged (decides and records, sends nothing), off (nobody enters)."""

    LIVE = "live"
    STAGED = "staged"
    OFF = "off"


class Trigger(StrEnum):
    """What makes someone due for a scenario."""

    CART_ABANDONED = "cart_abandoned"
    """カゴ落ち: a cart that is open and was not touched for `after`."""
    ORDER_PLACED = "order_placed"
    PAGE_VIEWED = "page_viewed"
    LOGGED_IN = "logged_in"
    TRACKED = "tracked"
    SURVEY_ANSWERED = "survey_answered"
    CONTRACT_CHANGED = "contract_changed"
    """定期契約: it came into one of these states."""
    STATUS_CHANGED = "status_changed"
    """ステータス: a night found the person in another one."""
    DATE = "date"
    BROADCAST = "broadcast"
    """一斉配信: whom the command names."""


class DateOf(StrEnum):
    """A day in a person's life with the shop that a scenario may count from (起点日)."""

    BIRTHDAY = "birthday"
    """Every year; on 28 February for those born on the 29th."""
    REGISTERED = "registered"
    FIRST_ORDER = "first_order"
    LAST_ORDER = "last_order"
    LAST_LOGIN = "last_login"
    LAST_SEEN = "last_seen"
    NEXT_DELIVERY = "next_delivery"
    """次回お届け日 of each running contract."""
    CONTRACT_STARTED = "contract_started"
    POINTS_EXPIRE = "points_expire"
    RANK_UNTIL = "rank_until"


class ExitRule(StrEnum):
    """What takes someone out at a step, before anything is sent (離脱条件)."""

    ORDER_PLACED = "order_placed"
    CART_COMPLETED = "cart_completed"
    CART_EMPTIED = "cart_emptied"
    UNSUBSCRIBED = "unsubscribed"
    """Cannot or may not be written to any more: opted out, complained, hard bounce, erased."""


class Subject(StrEnum):
    """What a branch may look at."""

    LTV_TIER = "ltv_tier"
    STATUS = "status"
    BUYER = "buyer"
    """`first` has never bought, `repeat` has."""


ARMS: Mapping[Subject, tuple[str, ...]] = {
    Subject.LTV_TIER: tuple(LtvTier),
    Subject.STATUS: tuple(Status),
    Subject.BUYER: ("first", "repeat"),
}
"""The values each subject can take; a person without one goes to `else`."""


ChannelName = Literal["email", "line", "sms", "postal", "call"]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun", "weekday", "weekend", "business_day"]


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


# --- conditions -------------------------------------------------------------------------------------------------------


class Numbers(_Part):
    """A comparison with a number: both limits that are given must hold."""

    at_least: float | None = None
    at_most: float | None = None


class Ordered(_Part):
    """Valid orders: since they entered, or within so long."""

    within: Duration | None = None
    product: Words | None = None
    at_least: Some = 1


class Viewed(_Part):
    """Pages looked at, as far back as the latest 50 visits reach; without `within`: since they entered."""

    page_type: Words | None = None
    path: Words | None = None
    """Of the address; a `*` at the end stands for anything."""
    product: Words | None = None
    within: Duration | None = None
    at_least: Some = 1


class LoggedIn(_Part):
    """A login: since they entered, or within so long."""

    within: Duration | None = None


class AttributeIs(_Part):
    """Something known about a person (顧客属性): names as in `shared/customers/attributes.py`."""

    name: str
    is_: Words | None = Field(default=None, alias="is")
    at_least: float | None = None
    at_most: float | None = None
    known: bool | None = None


class Condition(_Part):
    """What may be asked of a person at a step (条件): everything that is given must hold."""

    tier: Tiers | None = None
    status: Statuses | None = None
    buyer: Literal["first", "repeat"] | None = None
    orders: Numbers | None = None
    ordered: Ordered | None = None
    opened: str | None = None
    """A person (no machine) opened what this send of the scenario brought them."""
    clicked: str | None = None
    viewed: Viewed | None = None
    logged_in: LoggedIn | None = None
    attribute: AttributeIs | None = None
    contract: States | None = None
    """A contract in one of these states."""
    reachable: ChannelName | None = None
    all_: tuple[Condition, ...] = Field(default=(), alias="all")
    any_: tuple[Condition, ...] = Field(default=(), alias="any")
    none_: tuple[Condition, ...] = Field(default=(), alias="none")

    def parts(self) -> Iterator[Condition]:
        """This condition and all within it."""
        yield self
        for inner in (*self.all_, *self.any_, *self.none_):
            yield from inner.parts()


# --- who gets in ------------------------------------------------------------------------------------------------------


class Entry(_Part):
    """Who gets in (開始条件)."""

    event: Trigger
    after: Duration = Field(default=timedelta(0), ge=timedelta(0), le=timedelta(days=360))
    """How long after the event (of a cart: how long it must have been left alone)."""
    expires_after: Duration = Field(default=timedelta(days=1), gt=timedelta(0))
    """Due for longer than this when noticed (an outage, a late import): too late, nobody enters."""
    where: Condition | None = None
    """Asked when they are collected."""
    number: Some | None = None
    product: Words | None = None
    subscription: bool | None = None
    page_type: Words | None = None
    path: Words | None = None
    at_least: Some = 1
    within: Duration | None = None
    name: Words | None = None
    survey: str | None = None
    question: str | None = None
    choice: Words | None = None
    state: States | None = None
    to: Statuses | None = None
    from_: Statuses | None = Field(default=None, alias="from")
    date: DateOf | None = None
    days: Annotated[int, Field(strict=True, ge=-365, le=365)] = 0
    at: TimeOfDay = time(10)

    def told(self) -> dict[str, Any]:
        """As the trigger and the machine carry it: only what the file says."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)


BELONGS: Mapping[Trigger, tuple[str, ...]] = {
    Trigger.CART_ABANDONED: (),
    Trigger.ORDER_PLACED: ("number", "product", "subscription"),
    Trigger.PAGE_VIEWED: ("page_type", "path", "product", "at_least", "within"),
    Trigger.LOGGED_IN: (),
    Trigger.TRACKED: ("name", "at_least", "within"),
    Trigger.SURVEY_ANSWERED: ("survey", "question", "choice"),
    Trigger.CONTRACT_CHANGED: ("state", "product"),
    Trigger.STATUS_CHANGED: ("to", "from"),
    Trigger.DATE: ("date", "days", "at"),
    Trigger.BROADCAST: (),
}
"""Which fields an entry may have besides those of every entry."""

NEEDS: Mapping[Trigger, tuple[str, ...]] = {
    Trigger.CART_ABANDONED: ("after",),
    Trigger.TRACKED: ("name",),
    Trigger.SURVEY_ANSWERED: ("survey",),
    Trigger.CONTRACT_CHANGED: ("state",),
    Trigger.STATUS_CHANGED: ("to",),
    Trigger.DATE: ("date",),
}
KEYED = frozenset({Trigger.CART_ABANDONED, Trigger.ORDER_PLACED, Trigger.CONTRACT_CHANGED, Trigger.BROADCAST})
"""Entered once for each cart, order, contract or broadcast; the others once per person unless `reentry` says more."""


def _reentry(value: object) -> object:
    return value if value in {"once", "always"} else parse_duration(value)


Reentry = Annotated[
    Literal["once", "always"] | timedelta,
    BeforeValidator(_reentry),
    PlainSerializer(
        lambda value: value if isinstance(value, str) else format_duration(value), return_type=str, when_used="json"
    ),
]


class Period(_Part):
    """When a scenario works (運用期間): shop days, both included."""

    from_: date | None = Field(default=None, alias="from")
    until: date | None = None

    def covers(self, day: date) -> bool:
        """Is it working on this day?"""
        return (self.from_ is None or day >= self.from_) and (self.until is None or day <= self.until)


# --- steps ------------------------------------------------------------------------------------------------------------


class WaitUntil(_Part):
    """Until the next moment that fits, at least `for` from now, in shop time."""

    for_: Duration = Field(default=timedelta(0), alias="for", le=timedelta(days=360))
    until: TimeOfDay | None = None
    on: Annotated[tuple[Day, ...], BeforeValidator(_one_or_more)] = ()


class Wait(_Part):
    """待機."""

    wait: Annotated[
        Annotated[Duration, Field(gt=timedelta(0), le=timedelta(days=360)), Tag("duration")]
        | Annotated[WaitUntil, Tag("until")],
        Discriminator(lambda value: "until" if isinstance(value, WaitUntil | dict) else "duration"),
    ]
    note: str = ""

    @property
    def longest(self) -> timedelta:
        """How long it can take; a business day is at most ten days away."""
        if isinstance(self.wait, timedelta):
            return self.wait
        return self.wait.for_ + timedelta(days=11 if self.wait.on else 1)


class Send(_Part):
    """One message (配信)."""

    send: Name
    channel: Annotated[tuple[ChannelName, ...], BeforeValidator(_one_or_more), Field(min_length=1, max_length=5)]
    """One, or several in order: the first that reaches the person carries it, never two."""
    template: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]+(/[a-z0-9_]+)+$")]
    expires_after: Duration = Field(default=timedelta(hours=12), gt=timedelta(0))
    """Later than this after its planned time it is no longer welcome and is not sent."""
    purpose: Purpose = Purpose.MARKETING
    note: str = ""

    @property
    def identity(self) -> str:
        """What the ledger knows the send by: a person gets it once, whichever channel carries it."""
        return "+".join(self.channel)


class Tagging(_Part):
    """Mark the person (タグ付け): the attribute `tags/<word>` is set, as if a customer record had said so."""

    tag: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,40}$")]
    note: str = ""


class WaitFor(_Part):
    """待機（出来事まで）: until the condition holds, looked at every so often, or until the timeout."""

    wait_for: Name
    when: Condition
    timeout: Duration = Field(gt=timedelta(0), le=timedelta(days=180))
    check_every: Duration | None = Field(default=None, gt=timedelta(0))
    """A quarter of the timeout unless given."""
    then: tuple[Step, ...]
    otherwise: tuple[Step, ...] = Field(alias="else")
    note: str = ""

    def paths(self) -> Iterator[tuple[str, tuple[Step, ...]]]:
        """Both arms with their steps."""
        yield HAPPENED, self.then
        yield OTHERWISE, self.otherwise

    @property
    def every(self) -> timedelta:
        """How long between two looks."""
        return min(self.timeout, self.check_every or self.timeout / 4)

    @property
    def checks(self) -> int:
        """How often it is looked at."""
        return -(-self.timeout // self.every)

    def rounds(self) -> tuple[Step, ...]:
        """The same in waits and branches: look, and look again, until the timeout."""
        way: tuple[Step, ...] = self.otherwise
        for number in range(self.checks, 0, -1):
            name = self.wait_for if number == 1 else f"{self.wait_for}_{number}"
            span = min(self.every, self.timeout - self.every * (number - 1))
            when, arms = {HAPPENED: self.when}, {HAPPENED: self.then}
            look = Branch.model_construct(branch=name, on=None, when=when, arms=arms, otherwise=way, note=self.note)
            way = (Wait.model_construct(wait=span, note=""), look)
        return way


class Split(_Part):
    """A/B テスト: people by chance along one of the arms, the same person always along the same."""

    split: Name
    shares: dict[Arm, Annotated[int, Field(strict=True, ge=1, le=100)]] = Field(min_length=2)
    """Percent; `holdout` gets nothing and is recorded as held out."""
    arms: dict[Arm, tuple[Step, ...]] = Field(min_length=1)
    note: str = ""

    def paths(self) -> Iterator[tuple[str, tuple[Step, ...]]]:
        """Every arm with its steps."""
        for arm in self.shares:
            yield arm, ((Exit(exit=HOLDOUT),) if arm == HOLDOUT else self.arms.get(arm, ()))


class Branch(_Part):
    """One way out of several (分岐)."""

    branch: Name
    on: Subject | None = None
    """By a value of the person, …"""
    when: dict[Arm, Condition] | None = None
    """… or by conditions: the first arm whose condition holds."""
    arms: dict[str, tuple[Step, ...]] = Field(min_length=1)
    otherwise: tuple[Step, ...] = Field(alias="else")
    note: str = ""

    def paths(self) -> Iterator[tuple[str, tuple[Step, ...]]]:
        """Every arm with its steps, `else` last."""
        yield from self.arms.items()
        yield OTHERWISE, self.otherwise


class Exit(_Part):
    """The end of the way for whoever comes here (終了), with the word that goes into the record."""

    exit: Name
    note: str = ""


OTHERWISE = "else"
HAPPENED = "then"
HOLDOUT = "holdout"
Fork = Branch | Split | WaitFor
FORKS = (Branch, Split, WaitFor)
KINDS: Mapping[str, type[_Part]] = {
    "wait": Wait,
    "send": Send,
    "branch": Branch,
    "exit": Exit,
    "split": Split,
    "wait_for": WaitFor,
    "tag": Tagging,
}


def step_kind(value: object) -> str | None:
    """The word that says what a step is: the one key of `KINDS` it has."""
    if isinstance(value, Mapping):
        found = [kind for kind in KINDS if kind in value]
        return found[0] if len(found) == 1 else None
    return next((kind for kind, part in KINDS.items() if type(value) is part), None)


Step = Annotated[
    Annotated[Wait, Tag("wait")]
    | Annotated[Send, Tag("send")]
    | Annotated[Branch, Tag("branch")]
    | Annotated[Exit, Tag("exit")]
    | Annotated[Split, Tag("split")]
    | Annotated[WaitFor, Tag("wait_for")]
    | Annotated[Tagging, Tag("tag")],
    Discriminator(
        step_kind,
        custom_error_type="step",
        custom_error_message="a step is exactly one of wait, send, branch, split, wait_for, tag or exit",
    ),
]


class ExamplePerson(_Part):
    """Who the example is about; the defaults are someone who may be written to."""

    id: str = "hanako"
    """Their customer id: what a split draws by."""
    email: str | None = "hanako@example.com"
    phone: str | None = None
    line_user_id: str | None = None
    last_name: str = "見本"
    first_name: str = "花子"
    consent: Literal["opt_in", "opt_out", "unknown"] = "opt_in"
    line_consent: Literal["opt_in", "opt_out", "unknown"] = "unknown"
    sms_consent: Literal["opt_in", "opt_out", "unknown"] = "unknown"
    attributes: dict[str, str | int | float | bool | tuple[str, ...]] = Field(default_factory=dict)
    tier: LtvTier | None = None
    status: Status | None = None
    orders: int = Field(default=0, ge=0)
    """Orders long before the cart."""
    bounced: bool = False


class ExampleCart(_Part):
    """The cart of the example; by default one thing in it, last touched on a Monday morning (shop time).

    Of an entry without a cart, `touched_at` is when the thing happened that lets them in.
    """

    touched_at: datetime = datetime(2026, 3, 2, 10, 0)  # noqa: DTZ001 - shop time, as a shop owner writes it
    quantity: int = Field(default=1, ge=0)
    """0: an empty cart."""
    historical: bool = False
    """Came with an import of old data."""


class ExampleEvent(_Part):
    """Something that happens to the example's person, `after` so long since the cart was last touched."""

    after: Duration
    event: Literal[
        "order_placed",
        "other_order_placed",
        "cart_completed",
        "cart_emptied",
        "cart_touched",
        "opted_out",
        "opened",
        "clicked",
        "viewed",
        "logged_in",
        "contract_cancelled",
    ]
    send: str | None = None
    """Of an opening or click: what was opened."""
    page_type: str | None = None
    path: str | None = None
    product: str | None = None


class ExpectSend(_Part):
    """This message goes out."""

    send: str
    at: datetime | None = None
    """Shop time, checked when given."""
    channel: ChannelName | None = None
    """Checked when given."""


class ExpectSkip(_Part):
    """This step is reached and holds the person back for this reason (`entry`: never entered)."""

    skip: str
    reason: str


class Example(_Part):
    """A case that the file itself promises; `matakite scenario check` runs them all (例)."""

    title: str
    person: ExamplePerson = ExamplePerson()
    cart: ExampleCart = ExampleCart()
    then: tuple[ExampleEvent, ...] = ()
    expect: tuple[ExpectSend | ExpectSkip, ...] = Field(min_length=1)


ExitWhen = Annotated[
    Annotated[ExitRule, Tag("rule")] | Annotated[Condition, Tag("condition")],
    Discriminator(lambda value: "condition" if isinstance(value, Condition | dict) else "rule"),
]


class Scenario(_Part):
    """One scenario file (シナリオ)."""

    id: Name
    title: str = Field(min_length=1, max_length=60)
    notes: str = ""
    status: LiveStatus = LiveStatus.STAGED
    entry: Entry
    sweep_every: Duration = Field(default=timedelta(minutes=15), ge=timedelta(minutes=1), le=timedelta(days=1))
    """How often the due are collected: a cost setting, because every collection that finds someone is an execution."""
    reentry: Reentry | None = None
    """`once`, `always` (per cart, order, contract), or at most once in so long."""
    period: Period | None = None
    exit_when: tuple[ExitWhen, ...] = Field(min_length=1)
    """Rules by name, or conditions."""
    goal: Condition | None = None
    """Whoever meets it has arrived (目的達成)."""
    steps: tuple[Step, ...] = Field(min_length=1)
    examples: tuple[Example, ...] = Field(min_length=2)

    @property
    def scenario_id(self) -> ScenarioId:
        """`id`, typed."""
        return ScenarioId(self.id)

    @property
    def version(self) -> str:
        """Digest of what decides: two files that do the same have the same version, whatever their words."""
        decides = {"id", "entry", "reentry", "period", "exit_when", "goal", "steps"}
        said = self.model_dump(mode="json", include=decides, by_alias=True, exclude_defaults=True)
        return digest(json.dumps(_without_notes(said), sort_keys=True))[:12]

    @property
    def again_after(self) -> timedelta | None:
        """How long after entering the same person may enter again; None: whenever it happens again."""
        match self.reentry:
            case None:
                return None if self.entry.event in KEYED or self.entry.date in YEARLY else timedelta.max
            case "once":
                return timedelta.max
            case "always":
                return None
            case _:
                return self.reentry

    def sends(self) -> list[Send]:
        """Every message of the scenario, in the order of the file."""
        return [step for step in walk(self.steps) if isinstance(step, Send)]


YEARLY = frozenset({DateOf.BIRTHDAY, DateOf.NEXT_DELIVERY, DateOf.POINTS_EXPIRE, DateOf.RANK_UNTIL})
"""Dates that come again: each of them may be entered on."""


def walk(steps: tuple[Step, ...]) -> Iterator[Step]:
    """Every step, arms included, in the order of the file."""
    for step in steps:
        yield step
        if isinstance(step, FORKS):
            for _, path in step.paths():
                yield from walk(path)


def step_name(step: Step) -> str:
    """How a step is called: its own name, or `wait 1d`."""
    if isinstance(step, Wait):
        return f"wait {wait_text(step)}"
    return str(getattr(step, next(kind for kind, part in KINDS.items() if type(step) is part)))


def wait_text(wait: Wait) -> str:
    """`1d`, or `2d until 10:00 on business_day`."""
    if isinstance(wait.wait, timedelta):
        return format_duration(wait.wait)
    until = wait.wait
    words = [format_duration(until.for_)] if until.for_ else []
    words += [f"until {until.until:%H:%M}"] if until.until else []
    words += [f"on {', '.join(until.on)}"] if until.on else []
    return " ".join(words)


def _without_notes(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_notes(item) for key, item in value.items() if key != "note"}
    return [_without_notes(item) for item in value] if isinstance(value, list) else value


REASONS = frozenset(str(reason) for reason in Reason if reason) | {
    "historical",
    "empty_cart",
    "not_eligible",
    "entered_before",
}
"""What an example may give as the reason of a `skip`."""
