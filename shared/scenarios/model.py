"""The scenario language (シナリオ定義): what a file may say. `read.py` turns the YAML into these.

A scenario is a list of steps. A `branch` carries whoever is left along one of its arms; what follows the branch is
done in every arm, each at its own pace.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Discriminator, Field, StringConstraints, Tag

from shared.core.ids import ScenarioId, digest
from shared.customers.model import LtvTier, Status
from shared.delivery.model import Purpose, Reason

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


Duration = Annotated[timedelta, BeforeValidator(parse_duration)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{1,30}$")]
"""Lower-case words joined by `_`; it becomes part of state and execution names."""


class LiveStatus(StrEnum):
    """Live (配信中), staged (decides and records, sends nothing), off (nobody enters)."""

    LIVE = "live"
    STAGED = "staged"
    OFF = "off"


class Trigger(StrEnum):
    """What makes someone due for a scenario."""

    CART_ABANDONED = "cart_abandoned"
    """カゴ落ち: a cart that is open and was not touched for `after`."""


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


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)


class Entry(_Part):
    """Who gets in (開始条件)."""

    event: Trigger
    after: Duration = Field(gt=timedelta(0), le=timedelta(days=30))
    """How long the cart must have been left alone."""
    expires_after: Duration = Field(default=timedelta(days=1), gt=timedelta(0))
    """Due for longer than this when noticed (an outage, a late import): too late, nobody enters."""


class Wait(_Part):
    """待機."""

    wait: Duration = Field(gt=timedelta(0), le=timedelta(days=360))
    note: str = ""


class Send(_Part):
    """One message (配信)."""

    send: Name
    channel: Literal["email"]
    template: Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]+(/[a-z0-9_]+)+$")]
    expires_after: Duration = Field(default=timedelta(hours=12), gt=timedelta(0))
    """Later than this after its planned time it is no longer welcome and is not sent."""
    purpose: Purpose = Purpose.MARKETING
    note: str = ""


class Branch(_Part):
    """One way out of several (分岐)."""

    branch: Name
    on: Subject
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
KINDS: Mapping[str, type[_Part]] = {"wait": Wait, "send": Send, "branch": Branch, "exit": Exit}


def step_kind(value: object) -> str | None:
    """The word that says what a step is: the one key of `KINDS` it has."""
    if isinstance(value, Mapping):
        found = [kind for kind in KINDS if kind in value]
        return found[0] if len(found) == 1 else None
    return type(value).__name__.lower()


Step = Annotated[
    Annotated[Wait, Tag("wait")]
    | Annotated[Send, Tag("send")]
    | Annotated[Branch, Tag("branch")]
    | Annotated[Exit, Tag("exit")],
    Discriminator(
        step_kind,
        custom_error_type="step",
        custom_error_message="a step is exactly one of wait, send, branch or exit",
    ),
]


class ExamplePerson(_Part):
    """Who the example is about; the defaults are someone who may be written to."""

    email: str | None = "hanako@example.com"
    last_name: str = "見本"
    first_name: str = "花子"
    consent: Literal["opt_in", "opt_out", "unknown"] = "opt_in"
    tier: LtvTier | None = None
    status: Status | None = None
    orders: int = Field(default=0, ge=0)
    """Orders long before the cart."""
    bounced: bool = False


class ExampleCart(_Part):
    """The cart of the example; by default one thing in it, last touched on a Monday morning (shop time)."""

    touched_at: datetime = datetime(2026, 3, 2, 10, 0)  # noqa: DTZ001 - shop time, as a shop owner writes it
    quantity: int = Field(default=1, ge=0)
    """0: an empty cart."""
    historical: bool = False
    """Came with an import of old data."""


class ExampleEvent(_Part):
    """Something that happens to the example's person, `after` so long since the cart was last touched."""

    after: Duration
    event: Literal["order_placed", "other_order_placed", "cart_completed", "cart_emptied", "cart_touched", "opted_out"]


class ExpectSend(_Part):
    """This message goes out."""

    send: str
    at: datetime | None = None
    """Shop time, checked when given."""


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


class Scenario(_Part):
    """One scenario file (シナリオ)."""

    id: Name
    title: str = Field(min_length=1, max_length=60)
    notes: str = ""
    status: LiveStatus = LiveStatus.STAGED
    entry: Entry
    sweep_every: Duration = Field(default=timedelta(minutes=15), ge=timedelta(minutes=1), le=timedelta(days=1))
    """How often the due are collected: a cost setting, because every collection that finds someone is an execution."""
    exit_when: tuple[ExitRule, ...] = Field(min_length=1)
    steps: tuple[Step, ...] = Field(min_length=1)
    examples: tuple[Example, ...] = Field(min_length=2)

    @property
    def scenario_id(self) -> ScenarioId:
        """`id`, typed."""
        return ScenarioId(self.id)

    @property
    def version(self) -> str:
        """Digest of what decides: two files that do the same have the same version, whatever their words."""
        said = self.model_dump(mode="json", include={"id", "entry", "exit_when", "steps"}, by_alias=True)
        return digest(json.dumps(_without_notes(said), sort_keys=True))[:12]

    def sends(self) -> list[Send]:
        """Every message of the scenario, in the order of the file."""
        return [step for step in walk(self.steps) if isinstance(step, Send)]


def walk(steps: tuple[Step, ...]) -> Iterator[Step]:
    """Every step, arms included, in the order of the file."""
    for step in steps:
        yield step
        if isinstance(step, Branch):
            for _, path in step.paths():
                yield from walk(path)


def step_name(step: Step) -> str:
    """How a step is called: its own name, or `wait 1d`."""
    if isinstance(step, Wait):
        return f"wait {format_duration(step.wait)}"
    return str(getattr(step, type(step).__name__.lower()))


def _without_notes(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _without_notes(item) for key, item in value.items() if key != "note"}
    return [_without_notes(item) for item in value] if isinstance(value, list) else value


REASONS = frozenset(str(reason) for reason in Reason if reason) | {"historical", "empty_cart"}
"""What an example may give as the reason of a `skip`."""
