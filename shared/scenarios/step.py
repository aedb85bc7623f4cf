"""What happens to a batch of people at a step of a scenario: one call does one batch of one step.

    enter   claim the people: from here they are this execution's
    send    for each: leave by an exit rule, or deliver; record where they stand
    branch  decide everyone's way once, and write the arms
    exit    take everyone who came here out
    gather  put together what the batches of a large cohort answered

A call may die anywhere and be made again, or run twice at once: the claim, the record of a step, the send ledger and
the files of an arm are all written once and answer the same afterwards.

Answers `{"defer_seconds", "arms"}`. `defer_seconds` > 0 asks the machine to come back: it is night, the provider is
busy, or an attempt that died still holds its lease. Raised errors are retried by the machine; a person on whom a step
breaks `PARK_AFTER` times is put aside (state FAILED), so that the others can go on.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

from shared.core.clock import Clock, shop_day
from shared.core.errors import MisconfiguredError, UnavailableError
from shared.core.ids import CustomerId, ScenarioId, TenantId
from shared.core.telemetry import logger
from shared.customers.model import PersonState
from shared.delivery.context import cart_context
from shared.delivery.model import Outcome, Purpose, Reason, SendRequest, SendState
from shared.delivery.send import SendDeps, deliver, hold_back, quiet_seconds
from shared.scenarios import rules
from shared.scenarios.cohorts import FOLDER, CohortFiles, gather_arms, read_batch, write_arms
from shared.scenarios.compile import END, PARK_AFTER
from shared.scenarios.enrolment import Batch, Cohort, Enrolment, EnrolmentState, FunnelRow, Member
from shared.scenarios.model import OTHERWISE, ExitRule, Subject
from shared.scenarios.store import EnrolmentStore
from shared.scenarios.sweep import BATCH_SIZE

_NOT_THEIRS = (UnavailableError, MisconfiguredError)
"""Errors that no person causes."""
COME_BACK_SECONDS = 90
"""When something was busy: longer than the lease an attempt that died still holds (60 s)."""
WAITING = "waiting"
FAILED = "failed"
SENDS_SENT = "SendsSent"
SENDS_HELD_BACK = "SendsHeldBack"
ENTERED = "entered"


class _Part(BaseModel):
    model_config = ConfigDict(frozen=True)


class _Send(_Part):
    channel: str
    template: str
    purpose: Purpose
    expires_after_seconds: int
    staged: bool
    last: bool


class _Branch(_Part):
    on: Subject
    arms: tuple[str, ...]


class _Batch(_Part):
    key: str
    part: str
    index: str


class _Cohort(_Part):
    bucket: str
    key: str
    part: str
    size: int
    batches: int


class StepCall(_Part):
    """What the state machine asks for (compile.py writes these)."""

    action: Literal["enter", "send", "branch", "exit", "gather"]
    of: Literal["send", "branch"] | None = None
    tenant: TenantId
    scenario: ScenarioId
    version: str
    execution: str
    step: str = ENTERED
    lane: str
    enter_within_seconds: int = 0
    """> 0: the first step, which claims the people; whoever was due for longer than this is too late to enter."""
    exit_when: tuple[ExitRule, ...]
    scheduled_at: datetime
    arrived_at: datetime
    attempt: int = 0
    cohort: _Cohort
    batch: _Batch | None = None
    send: _Send | None = None
    branch: _Branch | None = None
    answers: tuple[int, ...] = ()

    @property
    def folder(self) -> str:
        """Where this step of this execution keeps its files."""
        place = re.sub(r"[^a-z0-9_=]+", "-", f"{self.lane}{self.step}")
        return f"{FOLDER}{self.tenant}/{self.scenario}/{self.execution}/{place}"


@dataclass(frozen=True)
class StepDeps:
    """The ports a step works through."""

    enrolments: EnrolmentStore
    files: CohortFiles
    person: Callable[[TenantId, CustomerId], PersonState | None]
    """Strongly consistent; follows merges."""
    sending: SendDeps
    clock: Clock
    batch_size: int = BATCH_SIZE
    workers: int = 8
    """People worked on at once: a person is about ten calls to AWS and no computing."""
    count: Callable[[str, int], None] = lambda _name, _value: None
    """Counts SENDS_SENT and SENDS_HELD_BACK."""


def run_step(event: Mapping[str, Any], deps: StepDeps) -> dict[str, Any]:
    """Do one batch of one step."""
    call = StepCall.model_validate(event)
    if call.action == "gather":
        return _gather(call, deps)
    return _Step(call, deps).run()


def _answer(defer_seconds: int = 0, arms: Mapping[str, Cohort] | None = None, bucket: str = "") -> dict[str, Any]:
    cohorts = {arm: {"bucket": bucket, **asdict(cohort)} for arm, cohort in (arms or {}).items()}
    return {"defer_seconds": defer_seconds, "arms": cohorts}


def _gather(call: StepCall, deps: StepDeps) -> dict[str, Any]:
    if call.of == "send":
        return _answer(max(call.answers, default=0))
    cohort = Cohort(call.cohort.key, call.cohort.part, call.cohort.size, call.cohort.batches)
    arms = gather_arms(deps.files, cohort, call.folder, _arms(call), deps.batch_size)
    return _answer(arms=arms, bucket=deps.files.bucket)


def _arms(call: StepCall) -> tuple[str, ...]:
    return (*(call.branch.arms if call.branch else ()), OTHERWISE)


@dataclass(frozen=True, slots=True)
class _Met:
    """What one person met at a step: `outcome` is counted; None when they are not (or no longer) here."""

    outcome: str | None
    enrolment: Enrolment | None = None


@dataclass(frozen=True)
class _Step:
    call: StepCall
    deps: StepDeps

    def run(self) -> dict[str, Any]:
        here = self._people()
        match self.call.action:
            case "send":
                return self._send_all(here)
            case "branch":
                return self._branch_all(here)
            case "exit":
                self._finish(here, self._each(here, self._take_out))
            case _:
                self._count(Counter({ENTERED: len(here)}), len(here))
        return _answer()

    @property
    def now(self) -> datetime:
        """Where waits are accelerated, the schedule is the clock."""
        return max(self.deps.clock.now(), self.call.scheduled_at)

    # --- who is here ---

    def _people(self) -> list[Enrolment]:
        """The people of the batch that are this execution's, in the order of the file."""
        members = read_batch(self.deps.files, self._batch())
        known = self.deps.enrolments.get_many(
            self.call.tenant, self.call.scenario, [member.occurrence for member in members]
        )
        found = [known.get(member.occurrence) for member in members]
        if self.call.enter_within_seconds:
            found = self._pool(self._still_due([enrolment for enrolment in found if enrolment]), self._claim)
        return [enrolment for enrolment in found if enrolment and self._mine(enrolment)]

    def _mine(self, enrolment: Enrolment) -> bool:
        """Ours, and either still on the way or through this very step in an earlier attempt."""
        moving = enrolment.state is EnrolmentState.ENTERED
        return enrolment.execution == self.call.execution and (moving or enrolment.step == self.call.step)

    def _claim(self, enrolment: Enrolment) -> Enrolment | None:
        call = self.call
        return self.deps.enrolments.claim(
            call.tenant, call.scenario, enrolment.occurrence, call.execution, call.version, call.arrived_at
        )

    def _still_due(self, armed: Sequence[Enrolment]) -> list[Enrolment]:
        """Without those put off; on whom looking breaks again and again goes on, to be put aside by a later step."""
        with ThreadPoolExecutor(max(1, min(self.deps.workers, len(armed)))) as pool:
            futures = [pool.submit(self._put_off, enrolment) for enrolment in armed]
        errors = [error for future in futures if (error := future.exception())]
        if errors and (self.call.attempt < PARK_AFTER or any(isinstance(each, _NOT_THEIRS) for each in errors)):
            raise errors[0]
        looked = zip(armed, futures, strict=True)
        return [each for each, future in looked if future.exception() or not future.result()]

    def _put_off(self, enrolment: Enrolment) -> bool:
        """They went on shopping since they were made due: not yet."""
        if enrolment.state is not EnrolmentState.ARMED:
            return False
        person = self.deps.person(self.call.tenant, enrolment.customer_id)
        later = rules.put_off(enrolment, person) if person else None
        if later is None or not self.deps.enrolments.arm(later):
            return False
        return not rules.is_due(later, self.call.arrived_at)

    def _batch(self) -> Batch:
        if self.call.batch is None:
            raise MisconfiguredError(f"step {self.call.step} was called without a batch")
        return Batch(self.call.batch.key, self.call.batch.part, self.call.batch.index)

    def _stale(self, enrolment: Enrolment) -> bool:
        """Nobody collected them in time (an outage): calm, not a burst of late mail."""
        due_at, within = enrolment.due_at, self.call.enter_within_seconds
        return bool(within and due_at and self.call.arrived_at - due_at > timedelta(seconds=within))

    def _turned_away(self, enrolment: Enrolment) -> bool:
        if not self._stale(enrolment):
            return False
        self._record(enrolment, Reason.TOO_LATE, EnrolmentState.EXITED)
        return True

    # --- send ---

    def _send_all(self, here: Sequence[Enrolment]) -> dict[str, Any]:
        send = self._send()
        shop = self.deps.sending.read_shop(self.call.tenant)
        quiet = quiet_seconds(shop, send.purpose, send.channel, self.now)
        met = [_Met(WAITING, e) if e.step != self.call.step else _Met(e.outcome) for e in here]
        if not quiet:
            met = self._each(here, self._send_one)
        self._finish(here, met)
        self._measure(here, met)
        busy = COME_BACK_SECONDS if any(one.outcome == WAITING for one in met) else 0
        return _answer(quiet or busy)

    def _send_one(self, enrolment: Enrolment) -> _Met:
        if enrolment.step == self.call.step:
            return _Met(enrolment.outcome)
        person = self.deps.person(self.call.tenant, enrolment.customer_id)
        request = self._request(enrolment, person)
        reason = rules.exit_reason(self.call.exit_when, enrolment, person) if person else None
        if reason is None and self._stale(enrolment):
            reason = Reason.TOO_LATE
        if reason is not None:
            outcome = hold_back(request, reason, self.deps.sending, self.now)
        else:
            outcome = deliver(request, person, self.deps.sending, self.now)
        if outcome.state is SendState.RESERVED:
            return _Met(WAITING, enrolment)
        return self._record(enrolment, label(outcome), self._state_after(outcome, left=reason is not None))

    def _state_after(self, outcome: Outcome, *, left: bool) -> EnrolmentState:
        if left or rules.ends_with(self.call.exit_when, outcome):
            return EnrolmentState.EXITED
        return EnrolmentState.FINISHED if self._send().last else EnrolmentState.ENTERED

    def _request(self, enrolment: Enrolment, person: PersonState | None) -> SendRequest:
        send, call = self._send(), self.call
        cart = next(iter(rules.carts_of(enrolment, person)), None) if person else None
        planned_at = (enrolment.due_at if call.enter_within_seconds else None) or call.arrived_at
        return SendRequest(
            tenant=call.tenant,
            customer_id=enrolment.customer_id,
            scenario=call.scenario,
            scenario_version=call.version,
            step=call.step,
            occurrence=enrolment.occurrence,
            channel=send.channel,
            template=send.template,
            context={"cart": cart_context(cart)} if cart else {},
            store=enrolment.cart.store,
            purpose=send.purpose,
            expires_at=planned_at + timedelta(seconds=send.expires_after_seconds),
            staged=send.staged,
        )

    def _send(self) -> _Send:
        if self.call.send is None:
            raise MisconfiguredError(f"step {self.call.step} was called without what to send")
        return self.call.send

    def _measure(self, here: Sequence[Enrolment], met: Sequence[_Met]) -> None:
        """Count what is new: a batch that is repeated counts nobody twice. What is in doubt, the reconciler counts."""
        new = [one.outcome for was, one in zip(here, met, strict=True) if was.step != self.call.step and one.outcome]
        sent = new.count(str(SendState.SENT))
        held = len(new) - sent - sum(new.count(word) for word in (WAITING, FAILED, str(Reason.AMBIGUOUS)))
        for name, people in ((SENDS_SENT, sent), (SENDS_HELD_BACK, held)):
            if people:
                self.deps.count(name, people)

    # --- branch, exit ---

    def _branch_all(self, here: Sequence[Enrolment]) -> dict[str, Any]:
        branch, batch = self.call.branch, self._batch()
        if branch is None:
            raise MisconfiguredError(f"step {self.call.step} was called without its arms")
        people = self._pool(here, lambda e: self.deps.person(self.call.tenant, e.customer_id))
        chosen: dict[str, list[Member]] = {arm: [] for arm in _arms(self.call)}
        for enrolment, person in zip(here, people, strict=True):
            chosen[rules.arm(branch.on, branch.arms, person)].append(enrolment.member)
        key = f"{self.call.folder}/{batch.index}.json"
        recorded = write_arms(self.deps.files, key, chosen)
        self._count(Counter({arm: len(members) for arm, members in recorded.items()}), len(here))
        arms = {arm: Cohort(key, arm, len(members), 1) for arm, members in recorded.items()}
        return _answer(arms=arms, bucket=self.deps.files.bucket)

    def _take_out(self, enrolment: Enrolment) -> _Met:
        if enrolment.step == self.call.step:
            return _Met(enrolment.outcome)
        ended = self.call.step == END
        state = EnrolmentState.FINISHED if ended else EnrolmentState.EXITED
        return self._record(enrolment, self.call.step, state)

    # --- everyone, safely ---

    def _each(self, here: Sequence[Enrolment], do: Callable[[Enrolment], _Met]) -> list[_Met]:
        """Do it for everyone; who could not be served now is waiting, on whom it breaks is raised or put aside."""
        if not here:
            return []
        with ThreadPoolExecutor(min(self.deps.workers, len(here))) as pool:
            futures = [pool.submit(do, enrolment) for enrolment in here]
        results = [future.exception() or future.result() for future in futures]
        if killed := [result for result in results if not isinstance(result, (_Met, Exception))]:
            raise killed[0]
        return [self._met(enrolment, result) for enrolment, result in zip(here, results, strict=True)]

    def _met(self, enrolment: Enrolment, result: _Met | BaseException) -> _Met:
        if isinstance(result, _Met):
            return result
        if isinstance(result, UnavailableError) and self.call.action == "send":
            return _Met(WAITING, enrolment)
        if isinstance(result, _NOT_THEIRS) or self.call.attempt < PARK_AFTER:
            raise result
        logger("scenarios").error(
            "person put aside",
            extra={"occurrence": enrolment.occurrence, "step": self.call.step, "error": type(result).__name__},
        )
        return self._record(enrolment, FAILED, EnrolmentState.FAILED)

    def _pool(self, items: Sequence[Any], do: Callable[[Any], Any]) -> list[Any]:
        with ThreadPoolExecutor(max(1, min(self.deps.workers, len(items)))) as pool:
            return list(pool.map(do, items))

    def _record(self, enrolment: Enrolment, outcome: str, state: EnrolmentState) -> _Met:
        recorded = self.deps.enrolments.record(enrolment, self.call.step, outcome, state, self.now)
        return _Met(outcome if recorded else None, replace(enrolment, step=self.call.step, outcome=outcome))

    # --- what is counted ---

    def _finish(self, here: Sequence[Enrolment], met: Sequence[_Met]) -> None:
        counts = Counter(one.outcome for one in met if one.outcome)
        if len(here) and counts:
            self._count(counts, len(here))

    def _count(self, counts: Mapping[str, int], due: int) -> None:
        found = {outcome: people for outcome, people in counts.items() if people}
        if not found:
            return
        shop = self.deps.sending.read_shop(self.call.tenant)
        self.deps.enrolments.put_funnel(
            FunnelRow(
                tenant=self.call.tenant,
                scenario=self.call.scenario,
                on=shop_day(self.call.arrived_at, shop.timezone),
                execution=self.call.execution,
                step=self.call.step,
                batch=f"{self.call.lane}{self._batch().index}",
                counts=found,
                due=due,
            )
        )


def label(outcome: Outcome) -> str:
    """One word for what became of a send: `sent`, or the reason."""
    return str(outcome.reason if outcome.reason is not Reason.NONE else outcome.state)
