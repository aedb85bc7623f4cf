"""Replay (リプレイ): scenarios over recorded history, with nobody contacted.

The events are folded, followed, swept, stepped and decided by the functions that do it live, over stores in memory and
in virtual time; the only fake is the provider. So a replay of a live period comes to the decisions that were made.

What a night found (status, LTV tier, segments) is no event: what is known today stands for the whole replay.
"""

from __future__ import annotations

import itertools
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any

from shared.core.clock import FixedClock, shop_day
from shared.core.errors import NotFoundError
from shared.core.ids import CustomerId, SendId, TenantId
from shared.core.keys import KeyRing
from shared.core.shop import Shop
from shared.customers.fold import apply
from shared.customers.model import Findings, PersonState
from shared.customers.rows import MemoryRows, Put, Row, Write, encode_item
from shared.customers.store import MemoryCustomerStore
from shared.delivery.channels.fake import FakeChannel
from shared.delivery.model import LedgerRow, SendKey, SendState
from shared.delivery.render import Renderer
from shared.delivery.send import SendDeps
from shared.delivery.store import MemoryLedgerStore
from shared.ingest.model import Event, EventType, MessageFacts
from shared.scenarios.cohorts import MemoryCohortFiles
from shared.scenarios.compile import compile_scenario
from shared.scenarios.enrolment import Enrolment
from shared.scenarios.examples import PARTS, SampleCoupons
from shared.scenarios.model import LiveStatus, Scenario
from shared.scenarios.rehearse import Rehearsal, Timeline
from shared.scenarios.step import StepDeps, run_step
from shared.scenarios.store import MemoryEnrolmentStore
from shared.scenarios.sweep import SweepDeps, sweep
from shared.scenarios.trigger import TriggerDeps, entry_rules, follow_change

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_REACTIONS = {EventType.MESSAGE_OPENED: "opened", EventType.MESSAGE_CLICKED: "clicked"}
_FUNCTION = "arn:aws:lambda:ap-northeast-1:000000000000:function:step"


@dataclass(frozen=True, slots=True)
class Decision:
    """What was decided about one person at one send."""

    scenario: str
    step: str
    customer_id: CustomerId
    occurrence: str
    channel: str
    outcome: str
    """`sent`, or the reason why not."""
    at: datetime


def decision_of(row: LedgerRow) -> Decision:
    """A row of the send ledger as a decision."""
    outcome = str(row.reason or row.state)
    return Decision(row.scenario, row.step, row.customer_id, row.occurrence, row.channel, outcome, row.decided_at)


@dataclass(frozen=True, slots=True)
class Replayed:
    """What came of it."""

    decisions: tuple[Decision, ...]
    """In the order they were made."""
    timezone: str

    def of(self, scenario: str) -> list[Decision]:
        """Of one scenario."""
        return [each for each in self.decisions if each.scenario == scenario]

    def sent(self, scenario: str) -> list[Decision]:
        """Messages that would have gone out."""
        return [each for each in self.of(scenario) if each.outcome == SendState.SENT]

    def reach(self, scenario: str) -> frozenset[CustomerId]:
        """People who would have got something."""
        return frozenset(each.customer_id for each in self.sent(scenario))

    def per_day(self, scenario: str) -> dict[date, int]:
        """Messages by shop day."""
        return dict(sorted(Counter(shop_day(each.at, self.timezone) for each in self.sent(scenario)).items()))

    def held(self, scenario: str) -> dict[str, int]:
        """Held back, by the single reason."""
        return dict(Counter(e.outcome for e in self.of(scenario) if e.outcome != SendState.SENT).most_common())

    def overlap(self, scenario: str) -> dict[str, int]:
        """People another scenario reached as well."""
        others = dict.fromkeys(each.scenario for each in self.decisions if each.scenario != scenario)
        return {other: len(self.reach(scenario) & self.reach(other)) for other in others}


@dataclass(frozen=True)
class ReplayDeps:
    """What a replay needs besides events."""

    shop: Shop
    keys: KeyRing
    renderer: Renderer
    known: Mapping[CustomerId, Findings] = field(default_factory=dict)
    """What the last night found."""
    until: datetime | None = None
    """Decisions after this are left out: the live ones have not been made yet."""


def replay(scenarios: Sequence[Scenario], events: Iterable[Event], deps: ReplayDeps) -> Replayed:
    """Play scenarios, as if they had been live, over the events of one shop."""
    live = [each.model_copy(update={"status": LiveStatus.LIVE}) for each in scenarios]
    return _Replay(live, deps).play(sorted(events, key=lambda event: (event.received_at, event.event_id)))


class ToldRows(MemoryRows):
    """Rows that tell, like a stream, what was written."""

    def __init__(self) -> None:
        super().__init__()
        self.told: list[tuple[Row | None, Row]] = []

    def transact(self, writes: Sequence[Write]) -> None:
        """All of the writes, or none."""
        puts = [write.row for write in writes if isinstance(write, Put)]
        before = self.get([row.key for row in puts])
        super().transact(writes)
        self.told += [(before.get(row.key), row) for row in puts]

    def changes(self) -> Iterator[dict[str, Any]]:
        """What was written since the last time, as records of the stream; imported history wakes nobody."""
        told, self.told = self.told, []
        for before, row in told:
            if not row.historical:
                old = {"OldImage": encode_item(before)} if before else {}
                yield {"NewImage": encode_item(row), **old}


class _Enrolments(MemoryEnrolmentStore):
    """Enrolments that say when somebody becomes due."""

    def __init__(self, armed: Any) -> None:
        super().__init__()
        self._armed = armed

    def arm(self, enrolment: Enrolment) -> bool:
        """Make someone due."""
        done = super().arm(enrolment)
        if done:
            self._armed(enrolment)
        return done


class _Replay:
    def __init__(self, scenarios: Sequence[Scenario], deps: ReplayDeps) -> None:
        self.deps = deps
        self.tenant = deps.shop.tenant
        self.scenarios = {scenario.id: scenario for scenario in scenarios}
        self.machines = {each.id: compile_scenario(each, _FUNCTION, others=scenarios) for each in scenarios}
        self.clock = FixedClock(_EPOCH)
        self.timeline = Timeline(self.clock)
        self.customers = MemoryCustomerStore(self.clock)
        self.rows = self.customers.rows = ToldRows()
        self.enrolments = _Enrolments(self._armed)
        self.files = MemoryCohortFiles()
        self.ledger = MemoryLedgerStore()
        self.trigger = TriggerDeps(entry_rules(scenarios), self.enrolments, lambda _: deps.shop.timezone)
        self.coupons = SampleCoupons()
        self.ticks: set[tuple[str, datetime]] = set()
        self.sending = self._sending()

    def play(self, events: Sequence[Event]) -> Replayed:
        for event in events:
            self.timeline.at(event.received_at, lambda event=event: self._happens(event))  # type: ignore[misc]
        self.timeline.play()
        people = {each.customer_id for name in self.scenarios.values() for each in self._people(name)}
        rows = [row for customer in people for row in self.ledger.rows(self.tenant, customer)]
        until = self.deps.until
        decisions = (decision_of(row) for row in rows if until is None or row.decided_at <= until)
        ordered = sorted(decisions, key=lambda each: (each.at, each.scenario, each.step, each.customer_id))
        return Replayed(tuple(ordered), self.deps.shop.timezone)

    def _people(self, scenario: Scenario) -> Iterator[Enrolment]:
        return self.enrolments.people(self.tenant, scenario.scenario_id)

    def _happens(self, event: Event) -> None:
        if event.event_type in _REACTIONS and isinstance(event.facts, MessageFacts):
            facts = event.facts
            if not facts.machine:
                key = SendKey(self.tenant, CustomerId(facts.customer_id), SendId(facts.send_id))
                self.ledger.react(key, _REACTIONS[event.event_type], event.occurred_at)
            return
        try:
            apply(event, self.customers, self.deps.keys, self.deps.shop)
        except NotFoundError:
            return  # it names somebody whose history does not reach so far back
        for change in self.rows.changes():
            follow_change(change, self.trigger, self.clock.at)

    def _armed(self, enrolment: Enrolment) -> None:
        """The sweep comes at whole multiples of its interval."""
        every = self.scenarios[enrolment.scenario].sweep_every
        due_at = max(enrolment.due_at or self.clock.at, self.clock.at)
        tick = _EPOCH + -((_EPOCH - due_at) // every) * every
        if (enrolment.scenario, tick) not in self.ticks:
            self.ticks.add((enrolment.scenario, tick))
            self.timeline.at(tick, lambda: self._sweep(enrolment.scenario))

    def _sweep(self, scenario: Any) -> None:
        ports = SweepDeps(self.enrolments, self.files, self, lambda: [self.tenant], person=self._person)
        sweep(scenario, ports, self.clock.at)

    def start(self, scenario: str, execution: str, document: Mapping[str, Any]) -> bool:
        """`Machines`: a rehearsal in the replay's time."""
        del execution
        rehearsal = Rehearsal(self._step, self.files.get, self.clock)
        self.timeline.start(rehearsal.run(self.machines[scenario], dict(document)))
        return True

    def _step(self, call: Mapping[str, Any]) -> Mapping[str, Any]:
        ports = StepDeps(
            self.enrolments,
            self.files,
            self._person,
            self.sending,
            self.clock,
            tag=lambda *_: None,
            coupons=self.coupons,
            workers=1,
        )
        return run_step(call, ports)

    def _person(self, tenant: TenantId, customer: CustomerId) -> PersonState | None:
        found = self.customers.person(tenant, customer)
        known = self.deps.known.get(found.profile.customer_id) if found else None
        if found is None or known is None:
            return found
        return replace(found, profile=replace(found.profile, scores=known.scores, segments=known.segments or ()))

    def _sending(self) -> SendDeps:
        owners = itertools.count()
        return SendDeps(
            ledger=self.ledger,
            read_person=self._person,
            read_shop=lambda _: self.deps.shop,
            channels={"email": FakeChannel(), **{name: FakeChannel(parts=parts) for name, parts in PARTS.items()}},
            renderer=self.deps.renderer,
            keys=self.deps.keys,
            clock=self.clock,
            monotonic=self.clock.at.timestamp,
            new_owner=lambda: f"replay-{next(owners)}",
        )


@dataclass(frozen=True, slots=True)
class Audience:
    """Whom another version of a scenario would have reached (対象者の差)."""

    before: frozenset[CustomerId]
    after: frozenset[CustomerId]

    def __str__(self) -> str:
        """`120 people before, 95 after: 10 more, 35 no longer`."""
        more, gone = len(self.after - self.before), len(self.before - self.after)
        return f"{len(self.before)} people before, {len(self.after)} after: {more} more, {gone} no longer"


def audience(
    before: Scenario, after: Scenario, others: Sequence[Scenario], events: Iterable[Event], deps: ReplayDeps
) -> Audience:
    """Both versions over the same events, each beside the others."""
    known = list(events)
    first, second = (replay([each, *others], known, deps).reach(after.id) for each in (before, after))
    return Audience(first, second)


def report(replayed: Replayed, scenario: Scenario, said: Callable[[str], str] = str) -> Iterator[str]:
    """What a person wants to know before a scenario goes live, line by line; `said` puts reasons into words."""
    sent, reach = replayed.sent(scenario.id), replayed.reach(scenario.id)
    yield f"{scenario.title} ({scenario.id}, version {scenario.version}): {len(sent)} messages to {len(reach)} people"
    for channel, number in sorted(Counter(each.channel for each in sent).items()):
        yield f"  by {channel}: {number}"
    for day, number in replayed.per_day(scenario.id).items():
        yield f"  {day}: {number}"
    for reason, number in replayed.held(scenario.id).items():
        yield f"  held back, {said(reason)}: {number}"
    for other, number in replayed.overlap(scenario.id).items():
        yield f"  also reached by {other}: {number}"
