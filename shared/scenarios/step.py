"""What happens to a batch of people at a step of a scenario: one call does one batch of one step.

    enter   claim the people: from here they are this execution's
    send    for each: leave by an exit rule, or deliver; record where they stand
    branch  decide everyone's way once, and write the arms
    exit    take everyone who came here out; a hold-out with a row in the ledger that says so
    tag     mark everyone
    coupon  whoever can be given none leaves; the message that names it gives it
    until   how long the whole cohort waits for the next time of day, weekday or business day
    gather  put together what the batches of a large cohort answered

A call may die anywhere and be made again, or run twice at once: the claim, the record of a step, the send ledger and
the files of an arm are all written once and answer the same afterwards.

Answers `{"defer_seconds", "arms"}`. `defer_seconds` > 0 asks the machine to come back: it is night, the provider is
busy, or an attempt that died still holds its lease. Raised errors are retried by the machine; a person on whom a step
breaks `PARK_AFTER` times is put aside (state FAILED), so that the others can go on.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from shared.core.clock import Clock, shop_day
from shared.core.errors import MisconfiguredError, UnavailableError
from shared.core.ids import CustomerId, TenantId, digest
from shared.core.telemetry import logger
from shared.customers.model import PersonState
from shared.delivery.channels.channel import StoppedError
from shared.delivery.channels.sms import texts
from shared.delivery.context import NOTHING, Drawn
from shared.delivery.coupons.issue import Coupon, NoCouponError, coupon_context
from shared.delivery.model import Outcome, Purpose, Reason, SendKey, SendRequest, SendState, send_id
from shared.delivery.rules import arrives, reaches, store_of
from shared.delivery.send import SendDeps, deliver, hold_back, quiet_seconds
from shared.scenarios import entries, rules
from shared.scenarios.call import ENTERED, CalledBranch, CalledSend, StepCall
from shared.scenarios.cohorts import CohortFiles, gather_arms, read_batch, write_arms
from shared.scenarios.compile import END, MANY, PARK_AFTER
from shared.scenarios.conditions import View
from shared.scenarios.context import context_of
from shared.scenarios.enrolment import Batch, Cohort, Enrolment, EnrolmentState, FunnelRow, Member
from shared.scenarios.language.entries import Trigger
from shared.scenarios.language.steps import HOLDOUT, OTHERWISE
from shared.scenarios.store import EnrolmentStore
from shared.scenarios.sweep import BATCH_SIZE
from shared.scenarios.tags import Tags
from shared.scenarios.trigger import load_again
from shared.scenarios.waits import moment_of, next_moment, usual_hour

_NOT_THEIRS = (UnavailableError, MisconfiguredError)
"""Errors that no person causes."""
COME_BACK_SECONDS = 90
"""When something was busy: longer than the lease an attempt that died still holds (60 s)."""
STOPPED_SECONDS = 900
"""When nothing is taken before somebody acts, or a day or month is over: asking more often costs and helps nobody."""
LOOKS = 1_000
"""Times a message is tried at most as long as it is welcome: each is up to 22 of the 25,000 events that the history of
an execution may have, after which Step Functions ends it.
"""
PAUSED_SECONDS = 3600
"""How often a paused cohort asks whether it may go on; what has become too late by then is not sent."""
WAITING = "waiting"
FAILED = "failed"
SENDS_SENT = "SendsSent"
SENDS_HELD_BACK = "SendsHeldBack"
TAGGED = "tagged"
PROMISED = "promised"
EJECTED = "ejected"
"""Taken out by hand (`matakite scenario eject`)."""
MOVED = "-moved"
"""Ends the name of an execution of people who began in another one (move.py)."""
NO_CHANNEL = "none"
"""Of a decision that no channel was to carry."""


def _no_tags(*_: object) -> None:
    raise MisconfiguredError("no tags can be written here")


class Coupons(Protocol):
    """Coupons of one's own (`shared/delivery/coupons/issue.py`)."""

    def promise(self, tenant: TenantId, campaign: str, customer: CustomerId, occurrence: str, now: datetime) -> None:
        """There is one for them. Raises NoCouponError."""
        ...

    def issue(self, tenant: TenantId, campaign: str, customer: CustomerId, occurrence: str, now: datetime) -> Coupon:
        """This person's coupon for this occasion; asked again, the same. Raises NoCouponError."""
        ...


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
    workers: int = 16
    """People worked on at once: a person is about ten calls to AWS and 12 ms of computing; more threads wait for it."""
    tag: Tags = _no_tags
    coupons: Coupons | None = None
    count: Callable[[str, int], None] = lambda _name, _value: None
    """Counts SENDS_SENT and SENDS_HELD_BACK."""


def run_step(event: Mapping[str, Any], deps: StepDeps) -> dict[str, Any]:
    """Do one batch of one step."""
    call = StepCall.model_validate(event)
    if call.action == "gather":
        return _gather(call, deps)
    if call.action == "until":
        return _until(call, deps)
    if call.batch and call.batch.key == call.cohort.key and call.cohort.batches > 1:
        return _answer(MANY)
    return _Step(call, deps).run()


def _answer(defer_seconds: int = 0, arms: Mapping[str, Cohort] | None = None, bucket: str = "") -> dict[str, Any]:
    cohorts = {arm: {"bucket": bucket, **asdict(cohort)} for arm, cohort in (arms or {}).items()}
    return {"defer_seconds": defer_seconds, "arms": cohorts}


def _gather(call: StepCall, deps: StepDeps) -> dict[str, Any]:
    if call.of == "send":
        return _answer(min((seconds for seconds in call.answers if seconds), default=0))
    cohort = Cohort(call.cohort.key, call.cohort.part, call.cohort.size, call.cohort.batches)
    arms = gather_arms(deps.files, cohort, call.folder, _arms(call), deps.batch_size)
    return _answer(arms=arms, bucket=deps.files.bucket)


def _until(call: StepCall, deps: StepDeps) -> dict[str, Any]:
    """The schedule counts, not the clock: a wait that is looked at late is not a longer wait."""
    if call.until is None:
        raise MisconfiguredError("a wait was called without what it waits for")
    timezone = deps.sending.read_shop(call.tenant).timezone
    seconds = (next_moment(call.until, call.scheduled_at, timezone) - call.scheduled_at).total_seconds()
    return _answer(math.ceil(seconds))


def _arms(call: StepCall) -> tuple[str, ...]:
    if call.branch is None:
        return (OTHERWISE,)
    return call.branch.arms if call.branch.shares else (*call.branch.arms, OTHERWISE)


@dataclass(frozen=True, slots=True)
class _Met:
    """What one person met at a step: `outcome` is counted; None when they are not (or no longer) here."""

    outcome: str | None
    enrolment: Enrolment | None = None
    seconds: int = COME_BACK_SECONDS
    """For how long, where they wait."""


@dataclass(frozen=True)
class _Step:
    call: StepCall
    deps: StepDeps
    people: dict[CustomerId, PersonState | None] = field(default_factory=dict)

    def run(self) -> dict[str, Any]:
        here = self._people()
        match self.call.action:
            case "send":
                return self._send_all(here)
            case "branch":
                return self._branch_all(here)
            case "exit":
                self._finish(here, self._each(here, self._take_out))
            case "tag":
                self._finish(here, self._each(here, self._tag_one))
            case "coupon":
                self._finish(here, self._each(here, self._coupon_one))
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
        keys = [(self.call.tenant, self.call.scenario, member.occurrence) for member in members]
        known = self.deps.enrolments.get_each(keys)
        found = [known.get(key) for key in keys]
        if self.call.enter_within_seconds:
            found = self._pool(self._still_due([enrolment for enrolment in found if enrolment]), self._claim)
        return [enrolment for enrolment in found if enrolment and self._mine(enrolment)]

    def _mine(self, enrolment: Enrolment) -> bool:
        """Ours, and either still on the way or through this very step in an earlier attempt."""
        moving = enrolment.state is EnrolmentState.ENTERED
        return enrolment.execution == self.call.execution and (moving or enrolment.step == self.call.step)

    def _claim(self, enrolment: Enrolment) -> Enrolment | None:
        if enrolment.state is not EnrolmentState.ARMED:
            return enrolment  # as it was read: a claim that is refused costs as much as one that is made
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
        """They went on shopping since they were made due, or what they wait for is not there: not yet."""
        if enrolment.state is not EnrolmentState.ARMED:
            return False
        person = self._person(enrolment)
        if person is None:
            return False
        if reason := self._turned_away_for(enrolment, person):
            call = self.call
            self.deps.enrolments.disarm(call.tenant, call.scenario, enrolment.occurrence, reason, call.arrived_at)
            return True
        later = rules.put_off(enrolment, person) or self._still_sold_out(enrolment)
        if later is None or not self.deps.enrolments.arm(later):
            return False
        return not rules.is_due(later, self.call.arrived_at)

    def _still_sold_out(self, enrolment: Enrolment) -> Enrolment | None:
        """Looked at again tomorrow, when the shop's product feed is new."""
        call = self.call
        if call.entry is None or call.entry.event is not Trigger.BACK_IN_STOCK:
            return None
        if self.deps.sending.read_catalogue(call.tenant).on_sale(enrolment.instance.key):
            return None
        # Only a later touch arms anew (`rules.rearms`).
        looked_at = max(call.arrived_at, enrolment.touched_at + timedelta(seconds=1))
        return replace(enrolment, touched_at=looked_at, due_at=call.arrived_at + timedelta(days=1))

    def _turned_away_for(self, enrolment: Enrolment, person: PersonState) -> str:
        """Why they do not get in. A date that comes again, or has moved, makes them due again."""
        call, entry = self.call, self.call.entry
        if entry is not None and entry.date is not None:
            for later in entries.dates_after(enrolment, entry, person, self._timezone()):
                self.deps.enrolments.arm(later)
        if self._was_here(enrolment, person):
            return rules.ENTERED_BEFORE
        if self._stale(enrolment) and call.action != "send":
            return Reason.TOO_LATE  # a send says so in the ledger
        if entry is None and call.period is None:
            return ""
        if entry is not None and entry.event is Trigger.FRIEND_ORDERED:
            friend = self.deps.person(call.tenant, CustomerId(enrolment.instance.key))
            if not entries.recommended(enrolment, person, friend):
                return rules.NOT_ELIGIBLE
        view = View(person, enrolment.touched_at, self.now, enrolment.occurrence)
        return entries.turned_away(enrolment, entry, call.period, view, self._timezone())

    def _was_here(self, enrolment: Enrolment, person: PersonState) -> bool:
        """Too lately for another time, or for the same thing, by any id they have or had."""
        again = load_again(self.call.again_seconds)
        ids = {enrolment.customer_id, person.profile.customer_id, *person.profile.aliases}
        if again is None and (self.call.entry is None or len(ids) == 1):
            return False
        mine = [self.call.scenario]
        others = [each for one in sorted(ids) for each in self.deps.enrolments.of_customer(self.call.tenant, one, mine)]
        if rules.let_in_as_another(enrolment, others):
            return True
        return again is not None and rules.entered_before(enrolment, others, again)

    def _timezone(self) -> str:
        return self.deps.sending.read_shop(self.call.tenant).timezone

    def _person(self, enrolment: Enrolment) -> PersonState | None:
        """Read once a batch, strongly consistent; whoever is sent something is read again after the reservation."""
        if enrolment.customer_id not in self.people:
            self.people[enrolment.customer_id] = self.deps.person(self.call.tenant, enrolment.customer_id)
        return self.people[enrolment.customer_id]

    def _view(self, enrolment: Enrolment, person: PersonState, reactions: Iterable[str]) -> View:
        found = {send: self._reaction(enrolment, send) for send in reactions}
        return View(person, enrolment.touched_at, self.now, enrolment.occurrence, found)

    def _reaction(self, enrolment: Enrolment, send: str) -> frozenset[str]:
        """What people did with a send of this scenario."""
        call, customer = self.call, enrolment.customer_id
        name = send_id(call.tenant, call.scenario, send, enrolment.occurrence, customer)
        row = self.deps.sending.ledger.row(SendKey(call.tenant, customer, name))
        return row.reactions if row else frozenset()

    def _batch(self) -> Batch:
        if self.call.batch is None:
            raise MisconfiguredError(f"step {self.call.step} was called without a batch")
        return Batch(self.call.batch.key, self.call.batch.part, self.call.batch.index)

    def _stale(self, enrolment: Enrolment) -> bool:
        """Nobody collected them in time (an outage): calm, not a burst of late mail."""
        due_at, within = enrolment.due_at, self.call.enter_within_seconds
        return bool(within and due_at and self.call.arrived_at - due_at > timedelta(seconds=within))

    # --- send ---

    def _send_all(self, here: Sequence[Enrolment]) -> dict[str, Any]:
        if self.deps.enrolments.paused(self.call.tenant, self.call.scenario):
            return _answer(PAUSED_SECONDS)
        # Who is reached by a channel that is awake does not wait for the night of another.
        quiet = min(map(self._night, self._send().channels))
        met = [_Met(WAITING, e) if e.step != self.call.step else _Met(e.outcome) for e in here]
        if not quiet:
            try:
                met = self._each(here, self._send_one)
            finally:
                self.deps.sending.put_back()
        self._finish(here, met)
        self._measure(here, met)
        soonest = max(COME_BACK_SECONDS, math.ceil(self._send().expires_after_seconds / LOOKS))
        later = [max(soonest, one.seconds) for one in met if one.outcome == WAITING]
        return _answer(quiet or min(later, default=0))

    def _send_one(self, enrolment: Enrolment) -> _Met:
        if enrolment.step == self.call.step:
            return _Met(enrolment.outcome)
        turn = math.ceil((self._moment(enrolment) - self.now).total_seconds())
        if turn > 0:
            return _Met(WAITING, enrolment, turn)
        person = self._person(enrolment)
        request = self._request(enrolment, person)
        reason = self._exit_reason(enrolment, person) if person else None
        if reason is None and self._stale(enrolment):
            reason = Reason.TOO_LATE
        if reason is not None:
            outcome = hold_back(request, reason, self.deps.sending, self.now)
        else:
            request = replace(request, rivals=self._rivals(enrolment))
            outcome = deliver(request, person, self.deps.sending, self.now, self._coupon(enrolment))
        if outcome.state is SendState.RESERVED:
            return _Met(WAITING, enrolment, self._night(request.channel))
        return self._record(enrolment, label(outcome), self._state_after(outcome, left=reason is not None))

    def _moment(self, enrolment: Enrolment) -> datetime:
        """When their turn is: at once, but for those waited for one by one."""
        call, at = self.call, self._send().at
        person = self._person(enrolment) if at else None
        if at is None or person is None:
            return call.arrived_at
        shop = self.deps.sending.read_shop(call.tenant)
        return moment_of(at, person, call.arrived_at, shop.timezone, usual_hour(shop))

    def _night(self, channel: str) -> int:
        """Seconds until a channel may be used (クワイエットタイム); 0 where it may be now."""
        return quiet_seconds(self.deps.sending.read_shop(self.call.tenant), self._send().purpose, channel, self.now)

    def _exit_reason(self, enrolment: Enrolment, person: PersonState) -> Reason | None:
        call = self.call
        if call.period is not None and not call.period.covers(shop_day(self.now, self._timezone())):
            return Reason.CLOSED
        return rules.exit_reason(call.exit_when, call.goal, enrolment, self._view(enrolment, person, call.reactions))

    def _state_after(self, outcome: Outcome, *, left: bool) -> EnrolmentState:
        if outcome.reason is Reason.GOAL:
            return EnrolmentState.FINISHED
        if left or outcome.reason is Reason.NO_COUPON or rules.ends_with(self.call.exit_when, outcome):
            return EnrolmentState.EXITED
        return EnrolmentState.FINISHED if self._send().last else EnrolmentState.ENTERED

    def _request(self, enrolment: Enrolment, person: PersonState | None) -> SendRequest:
        send, call = self._send(), self.call
        channel, store = self._channel(enrolment, person)
        planned_at = (enrolment.due_at if call.enter_within_seconds else None) or self._moment(enrolment)
        return SendRequest(
            tenant=call.tenant,
            customer_id=enrolment.customer_id,
            scenario=call.scenario,
            scenario_version=call.version,
            step=call.step,
            occurrence=enrolment.occurrence,
            channel=channel,
            template=send.template,
            context=context_of(enrolment, person, self._timezone()) if person else {},
            store=store,
            purpose=send.purpose,
            expires_at=planned_at + timedelta(seconds=send.expires_after_seconds),
            staged=send.staged,
        )

    def _rivals(self, enrolment: Enrolment) -> int:
        """How many scenarios of higher priority are due to this person today."""
        above = self._send().above
        if not above:
            return 0
        others = self.deps.enrolments.of_customer(self.call.tenant, enrolment.customer_id, above)
        return rules.rivals(others, self.now, self._timezone())

    def _channel(self, enrolment: Enrolment, person: PersonState | None) -> tuple[str, str]:
        """The first channel that reaches them, else (of what needs no consent) the first that arrives, else the first;
        with the store whose consent counts. A channel that the shop has not set up is none while there are others.
        """
        known, send = enrolment.instance.store, self._send()
        channels = [each for each in send.channels if self._wired(each)] or list(send.channels[:1])
        if person is None:
            return channels[0], known
        stores = {c: known if c == "email" and known else store_of(person, c, known) for c in channels}
        reached = [each for each in channels if reaches(person, each, stores[each])]
        if not reached and send.purpose is Purpose.TRANSACTIONAL:
            reached = [each for each in channels if arrives(person, each)]
        found = (reached or channels)[0]
        return found, stores[found]

    def _wired(self, channel: str) -> bool:
        sending = self.deps.sending
        return channel in sending.channels and (channel != "sms" or texts(sending.read_shop(self.call.tenant)))

    def _send(self) -> CalledSend:
        if self.call.send is None:
            raise MisconfiguredError(f"step {self.call.step} was called without what to send")
        return self.call.send

    def _measure(self, here: Sequence[Enrolment], met: Sequence[_Met]) -> None:
        """Count what is new: a batch that is repeated counts nobody twice. What is in doubt, the reconciler counts."""
        if self._catching_up():
            return
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
        ways = self._pool(here, lambda enrolment: self._way(branch, enrolment))
        chosen: dict[str, list[Member]] = {arm: [] for arm in _arms(self.call)}
        for enrolment, way in zip(here, ways, strict=True):
            chosen[way].append(enrolment.member)
        key = f"{self.call.folder}/{batch.index}.json"
        recorded = write_arms(self.deps.files, key, chosen)
        self._count(Counter({arm: len(members) for arm, members in recorded.items()}), len(here))
        arms = {arm: Cohort(key, arm, len(members), 1) for arm, members in recorded.items()}
        return _answer(arms=arms, bucket=self.deps.files.bucket)

    def _way(self, branch: CalledBranch, enrolment: Enrolment) -> str:
        if branch.shares is not None:
            # By the person, not by the occasion: whoever is held out stays held out.
            return rules.share(
                branch.shares, self.call.tenant, self.call.scenario, self.call.step, enrolment.customer_id
            )
        person = self._person(enrolment)
        if branch.when is not None:
            view = self._view(enrolment, person, branch.reactions) if person else None
            return rules.first_that_holds(branch.when, view)
        return rules.arm(branch.on, branch.arms, person) if branch.on else OTHERWISE

    def _tag_one(self, enrolment: Enrolment) -> _Met:
        if enrolment.step != self.call.step:
            self.deps.tag(self.call.tenant, enrolment.customer_id, self.call.tag, enrolment.occurrence, self.now)
        return self._record(enrolment, TAGGED, EnrolmentState.ENTERED)

    def _coupon_one(self, enrolment: Enrolment) -> _Met:
        if enrolment.step == self.call.step:
            return _Met(enrolment.outcome)
        try:
            if not self.call.staged:
                self._coupons().promise(*self._occasion(self.call.coupon, enrolment), self.now)
        except NoCouponError:
            return self._record(enrolment, str(Reason.NO_COUPON), EnrolmentState.EXITED)
        return self._record(enrolment, PROMISED, EnrolmentState.ENTERED)

    def _coupon(self, enrolment: Enrolment) -> Drawn:
        """`coupon` of a template: of the campaign they were promised last on the way here."""
        campaign = self._send().coupon
        if campaign is None:
            return NOTHING
        occasion = self._occasion(campaign, enrolment)
        return {"coupon": lambda: coupon_context(self._coupons().issue(*occasion, self.now)) if campaign else None}

    def _occasion(self, campaign: str, enrolment: Enrolment) -> tuple[TenantId, str, CustomerId, str]:
        """One coupon for each person, scenario and occasion."""
        occasion = digest(self.call.scenario, enrolment.occurrence)
        return self.call.tenant, campaign, enrolment.customer_id, occasion

    def _coupons(self) -> Coupons:
        if self.deps.coupons is None:
            raise MisconfiguredError("no coupons can be given here")
        return self.deps.coupons

    def _take_out(self, enrolment: Enrolment) -> _Met:
        if enrolment.step == self.call.step:
            return _Met(enrolment.outcome)
        if self.call.step == HOLDOUT:
            hold_back(self._held_out(enrolment), Reason.HOLDOUT, self.deps.sending, self.now)
            return self._record(enrolment, str(Reason.HOLDOUT), EnrolmentState.EXITED)
        ended = self.call.step == END
        state = EnrolmentState.FINISHED if ended else EnrolmentState.EXITED
        return self._record(enrolment, self.call.step, state)

    def _held_out(self, enrolment: Enrolment) -> SendRequest:
        """The decision not to send them anything, as the ledger keeps it."""
        call = self.call
        return SendRequest(
            tenant=call.tenant,
            customer_id=enrolment.customer_id,
            scenario=call.scenario,
            scenario_version=call.version,
            step=call.step,
            occurrence=enrolment.occurrence,
            channel=NO_CHANNEL,
            template="",
        )

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
            return _Met(WAITING, enrolment, STOPPED_SECONDS if isinstance(result, StoppedError) else COME_BACK_SECONDS)
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

    def _catching_up(self) -> bool:
        """Moved people pass what they have been through, and what has been counted."""
        moved = self.call.execution.endswith(MOVED)
        return moved and self.deps.clock.now() > self.call.arrived_at + timedelta(minutes=5)

    def _count(self, counts: Mapping[str, int], due: int) -> None:
        found = {outcome: people for outcome, people in counts.items() if people}
        if not found or self._catching_up():
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
