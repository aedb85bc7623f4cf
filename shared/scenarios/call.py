"""What a state machine asks of the step function (`compile.py` writes it): ids, counts, times and the definition."""

from __future__ import annotations

import re
from datetime import datetime
from typing import Literal

from pydantic import BaseModel, ConfigDict

from shared.core.ids import ScenarioId, TenantId
from shared.delivery.model import Purpose
from shared.scenarios.cohorts import FOLDER
from shared.scenarios.language.conditions import Condition
from shared.scenarios.language.entries import Entry
from shared.scenarios.language.steps import Moment, Subject, WaitUntil
from shared.scenarios.model import ExitWhen, Period

ENTERED = "entered"
"""What the claim of the first step is called."""


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class CalledSend(_Part):
    """One message, or one person handed to the shop."""

    channels: tuple[str, ...]
    template: str
    purpose: Purpose
    expires_after_seconds: int
    staged: bool
    last: bool
    at: Moment | None = None
    """Each at their own moment."""
    above: tuple[str, ...] = ()
    """Scenarios of higher priority."""
    coupon: str | None = None
    """The campaign whose coupon a message may speak of; empty: of none on this way, though it may on another."""


class CalledBranch(_Part):
    """The arms, and what chooses among them."""

    arms: tuple[str, ...]
    on: Subject | None = None
    when: dict[str, Condition] | None = None
    shares: dict[str, int] | None = None
    reactions: tuple[str, ...] = ()


class CalledBatch(_Part):
    """Which people."""

    key: str
    part: str
    index: str


class CalledCohort(_Part):
    """The list that the batch is a part of."""

    bucket: str
    key: str
    part: str
    size: int
    batches: int


class StepCall(_Part):
    """What the state machine asks for (compile.py writes these)."""

    action: Literal["enter", "send", "branch", "exit", "gather", "tag", "coupon", "until"]
    of: Literal["send", "branch"] | None = None
    tenant: TenantId
    scenario: ScenarioId
    version: str
    execution: str
    step: str = ENTERED
    lane: str
    enter_within_seconds: int = 0
    """> 0: the first step, which claims the people; whoever was due for longer than this is too late to enter."""
    exit_when: tuple[ExitWhen, ...]
    goal: Condition | None = None
    period: Period | None = None
    reactions: tuple[str, ...] = ()
    """Sends whose openings and clicks the exits ask for."""
    entry: Entry | None = None
    """On the first step: who may come in, where there is more to ask than whether their time has come."""
    again_seconds: int | None = None
    scheduled_at: datetime
    arrived_at: datetime
    attempt: int = 0
    cohort: CalledCohort
    batch: CalledBatch | None = None
    send: CalledSend | None = None
    branch: CalledBranch | None = None
    tag: str = ""
    coupon: str = ""
    staged: bool = False
    """Of a coupon: none is promised."""
    until: WaitUntil | None = None
    answers: tuple[int, ...] = ()

    @property
    def folder(self) -> str:
        """Where this step of this execution keeps its files."""
        place = re.sub(r"[^a-z0-9_=]+", "-", f"{self.lane}{self.step}")
        return f"{FOLDER}{self.tenant}/{self.scenario}/{self.execution}/{place}"
