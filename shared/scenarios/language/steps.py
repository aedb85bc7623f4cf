"""What happens on the way: waits, forks, sends and what else a step may do (ステップ)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from datetime import timedelta
from enum import StrEnum
from typing import Annotated

from pydantic import BeforeValidator, Discriminator, Field, StringConstraints, Tag

from shared.customers.model import LtvTier, Status
from shared.delivery.model import Purpose
from shared.scenarios.language.conditions import Condition
from shared.scenarios.language.words import (
    Arm,
    ChannelName,
    Day,
    Duration,
    Name,
    Part,
    Template,
    TimeOfDay,
    format_duration,
    one_or_more,
)


class Subject(StrEnum):
    """What a branch may look at."""

    LTV_TIER = "ltv_tier"
    STATUS = "status"
    BUYER = "buyer"
    """`first` has never bought, `repeat` has."""
    SEGMENT = "segment"
    """The first arm whose saved segment they are in."""


ARMS: Mapping[Subject, tuple[str, ...]] = {
    Subject.LTV_TIER: tuple(LtvTier),
    Subject.STATUS: tuple(Status),
    Subject.BUYER: ("first", "repeat"),
}
"""The values a subject can take, where the shop does not name them; a person without one goes to `else`."""


class WaitUntil(Part):
    """Until the next moment that fits, at least `for` from now, in shop time."""

    for_: Duration = Field(default=timedelta(0), alias="for", le=timedelta(days=360))
    until: TimeOfDay | None = None
    on: Annotated[tuple[Day, ...], BeforeValidator(one_or_more)] = ()


class Moment(StrEnum):
    """What each person is waited for by themselves; a send comes right after."""

    BEST_HOUR = "best_hour"
    """The hour at which they mostly order and look around (最適な時間帯)."""
    NEXT_ORDER = "next_order"
    """次回購入予定日: nothing may follow the send, for everybody would wait for the last of them."""


LONGEST_MOMENT = {Moment.BEST_HOUR: timedelta(days=1), Moment.NEXT_ORDER: timedelta(days=180)}


def _kind_of_wait(value: object) -> str:
    if isinstance(value, WaitUntil | dict):
        return "until"
    return "moment" if value in list(Moment) else "duration"


class Wait(Part):
    """待機."""

    wait: Annotated[
        Annotated[Duration, Field(gt=timedelta(0), le=timedelta(days=360)), Tag("duration")]
        | Annotated[WaitUntil, Tag("until")]
        | Annotated[Moment, Tag("moment")],
        Discriminator(_kind_of_wait),
    ]
    note: str = ""

    @property
    def longest(self) -> timedelta:
        """How long it can take; a business day is at most ten days away."""
        if isinstance(self.wait, timedelta):
            return self.wait
        if isinstance(self.wait, Moment):
            return LONGEST_MOMENT[self.wait]
        return self.wait.for_ + timedelta(days=11 if self.wait.on else 1)


class Send(Part):
    """One message (配信)."""

    send: Name
    channel: Annotated[tuple[ChannelName, ...], BeforeValidator(one_or_more), Field(min_length=1, max_length=5)]
    """One, or several in order: the first that reaches the person carries it, never two."""
    template: Template
    expires_after: Duration = Field(default=timedelta(hours=14), gt=timedelta(0))
    """Later than this after its planned time it is no longer welcome and is not sent. Longer than any night: LINE's and
    SMS's has 12 hours.
    """
    purpose: Purpose = Purpose.MARKETING
    note: str = ""


class Tagging(Part):
    """Mark the person (タグ付け): the attribute `tags/<word>` is set, as if a customer record had said so."""

    tag: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]{1,40}$")]
    note: str = ""


class Couponing(Part):
    """A coupon of their own (個別クーポン) of a campaign for everyone: messages after it speak of it as `coupon`, and
    the first that does gives it, so that nobody who is held back uses one up.

    Whoever can be given none leaves with `no_coupon`: what follows would promise one.
    """

    coupon: Annotated[str, StringConstraints(pattern=r"^[a-z0-9][a-z0-9_-]{0,39}$")]
    note: str = ""


class _Handover(Part):
    """People handed to the shop itself, once each: no message to them, so neither consent nor a cap is asked for."""

    note: str = ""

    @property
    def as_send(self) -> Send:
        """The same through the ledger, so that nobody is handed over twice."""
        return Send.model_construct(
            send=step_name(self),
            channel=(step_kind(self),),  # type: ignore[arg-type]
            template=getattr(self, "template", ""),
            purpose=Purpose.TRANSACTIONAL,
            expires_after=timedelta(days=7),
            note=self.note,
        )


class Notify(_Handover):
    """Tell the shop's staff (社内通知): `notify.txt` of the template."""

    notify: Name
    template: Template


class Webhook(_Handover):
    """Tell another system: `webhook.json` of the template, to the shop's endpoint."""

    webhook: Name
    template: Template


class Export(_Handover):
    """Put them on a list that the shop fetches as a file (リスト出力)."""

    export: Name


HANDOVERS = (Notify, Webhook, Export)


class WaitFor(Part):
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


class Split(Part):
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


class Branch(Part):
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


class Exit(Part):
    """The end of the way for whoever comes here (終了), with the word that goes into the record."""

    exit: Name
    note: str = ""


OTHERWISE = "else"
HAPPENED = "then"
HOLDOUT = "holdout"
Fork = Branch | Split | WaitFor
FORKS = (Branch, Split, WaitFor)
KINDS: Mapping[str, type[Part]] = {
    "wait": Wait,
    "send": Send,
    "branch": Branch,
    "exit": Exit,
    "split": Split,
    "wait_for": WaitFor,
    "tag": Tagging,
    "coupon": Couponing,
    "notify": Notify,
    "webhook": Webhook,
    "export": Export,
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
    | Annotated[Tagging, Tag("tag")]
    | Annotated[Couponing, Tag("coupon")]
    | Annotated[Notify, Tag("notify")]
    | Annotated[Webhook, Tag("webhook")]
    | Annotated[Export, Tag("export")],
    Discriminator(
        step_kind,
        custom_error_type="step",
        custom_error_message=f"a step is exactly one of {', '.join(KINDS)}",
    ),
]


def walk(steps: tuple[Step, ...]) -> Iterator[Step]:
    """Every step, arms included, in the order of the file."""
    for step in steps:
        yield step
        if isinstance(step, FORKS):
            for _, path in step.paths():
                yield from walk(path)


def preceded(steps: tuple[Step, ...], before: tuple[Step, ...] = ()) -> Iterator[tuple[Step, tuple[Step, ...]]]:
    """Every step with those that may have been done before it."""
    for step in steps:
        yield step, before
        if isinstance(step, FORKS):
            for _, path in step.paths():
                yield from preceded(path, before)
        before = (*before, *walk((step,)))


def step_name(step: Part) -> str:
    """How a step is called: its own name, or `wait 1d`."""
    if isinstance(step, Wait):
        return f"wait {wait_text(step)}"
    return str(getattr(step, next(kind for kind, part in KINDS.items() if type(step) is part)))


def wait_text(wait: Wait) -> str:
    """`1d`, or `2d until 10:00 on business_day`."""
    if isinstance(wait.wait, timedelta):
        return format_duration(wait.wait)
    if isinstance(wait.wait, Moment):
        return wait.wait.value
    until = wait.wait
    words = [format_duration(until.for_)] if until.for_ else []
    words += [f"until {until.until:%H:%M}"] if until.until else []
    words += [f"on {', '.join(until.on)}"] if until.on else []
    return " ".join(words)
