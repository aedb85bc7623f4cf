"""Faults at every port of the sender, a scheduler that stops workers at every call, and an oracle that judges.

Everything is drawn from one seed, so a failure is reproduced by its number.
"""

from __future__ import annotations

import random
import threading
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, Protocol, TypeVar, cast

from shared.core.clock import shop_day
from shared.core.errors import UnavailableError
from shared.core.ids import CustomerId, TenantId
from shared.customers.model import PersonState
from shared.delivery.channels.channel import Accepted, Message
from shared.delivery.channels.fake import Fault as SesFault
from shared.delivery.model import IN_FLIGHT, Outcome, SendRequest, SendState
from shared.delivery.send import deliver
from shared.delivery.store import LedgerStore
from tests.unit.delivery.world import TENANT, World, opted_out

R = TypeVar("R")

CALLS = ("contact", "reserve", "read_person", "claim", "mark", "send", "record")
"""Every call of a mail that goes out, in order."""


class Fault(StrEnum):
    """What happens to one call."""

    NONE = "none"
    EXCEPTION = "exception"
    """refused, without effect"""
    KILL = "kill"
    """the worker dies before it"""
    KILL_AFTER = "kill_after"
    """the worker dies right after it took effect"""
    TIMEOUT = "timeout"
    """no answer; the effect comes late, or never"""
    LOST_REPLY = "lost_reply"
    """it took effect, and the answer is lost"""
    REPEATED = "repeated"
    """the first answer was lost and the SDK made the call again"""


class Killed(BaseException):
    """The worker is gone: nothing of it runs any more."""


class ViolationError(AssertionError):
    """An invariant does not hold."""


class Plan(Protocol):
    """Which fault the next call of a worker meets."""

    def fault(self, call: str) -> Fault:
        """Called once for each call, in order."""
        ...


@dataclass
class AtCall:
    """One fault at the nth time that a call is made, and now and then another one anywhere."""

    call: str
    kind: Fault
    rng: random.Random
    more: float = 0.0
    fired: list[tuple[str, Fault]] = field(default_factory=list)
    _done: bool = False

    def fault(self, call: str) -> Fault:
        if call == self.call and not self._done:
            self._done = True
            return self._fire(call, self.kind)
        if self.rng.random() < self.more:
            return self._fire(call, self.rng.choice(list(Fault)))
        return Fault.NONE

    def _fire(self, call: str, kind: Fault) -> Fault:
        if kind is not Fault.NONE:
            self.fired.append((call, kind))
        return kind


@dataclass
class Anywhere:
    """A fault at any call, with one probability."""

    rng: random.Random
    probability: float
    fired: list[tuple[str, Fault]] = field(default_factory=list)

    def fault(self, call: str) -> Fault:
        if self.rng.random() >= self.probability:
            return Fault.NONE
        kind = self.rng.choice(list(Fault))
        self.fired.append((call, kind))
        return kind


class Never:
    """No faults."""

    def fault(self, call: str) -> Fault:
        return Fault.NONE


@dataclass
class Ports:
    """The sender's ports, each call of which may fail; `pause` lets the scheduler run somebody else."""

    world: World
    plan: Plan
    rng: random.Random
    pause: Callable[[], None] = lambda: None
    started: list[tuple[Message, datetime]] = field(default_factory=list)
    """Every call to the provider, with the instant it started."""
    late: list[Callable[[], object]] = field(default_factory=list)
    dead: bool = False
    marked: bool = False
    in_doubt: bool = False
    """A fault came at the mark or after it (C3b to C5): whether the provider has the mail may stay open."""

    def ledger(self) -> LedgerStore:
        ports, ledger = self, self.world.ledger

        class Faulty:
            def __getattr__(self, name: str) -> Callable[..., Any]:
                return lambda *args: ports.call(name, lambda: getattr(ledger, name)(*args))

        return cast("LedgerStore", Faulty())

    def read_person(self, tenant: TenantId, customer: CustomerId) -> PersonState | None:
        return self.call("read_person", lambda: self.world.read_person(tenant, customer))

    @property
    def parts(self) -> tuple[str, ...]:
        return self.world.ses.parts

    @property
    def repeats(self) -> timedelta | None:
        return self.world.ses.repeats

    def send(self, message: Message) -> Accepted:
        self.started.append((message, self.world.time.now()))
        self._let_time_pass()
        kind = self._fault("send")
        if kind is Fault.KILL:
            self._die()
        self.world.ses.plan(self._ses_fault(kind))
        accepted = self.world.ses.send(message)
        if kind is Fault.KILL_AFTER:
            self._die()
        return accepted

    def call(self, name: str, effect: Callable[[], R]) -> R:
        self._let_time_pass()
        kind = self._fault(name)
        match kind:
            case Fault.NONE:
                return effect()
            case Fault.REPEATED:
                effect()
                return effect()
            case Fault.EXCEPTION:
                raise UnavailableError(f"{name}: refused")
            case Fault.TIMEOUT:
                if self.rng.random() < 0.7:
                    self.late.append(effect)
                raise UnavailableError(f"{name}: timed out")
            case Fault.LOST_REPLY:
                effect()
                raise UnavailableError(f"{name}: reply lost")
            case Fault.KILL:
                self._die()
            case Fault.KILL_AFTER:
                effect()
                self._die()
        raise AssertionError

    def land(self) -> None:
        """What was under way when its sender stopped waiting takes effect now."""
        while self.late:
            self.late.pop(0)()

    def _fault(self, call: str) -> Fault:
        kind = self.plan.fault(call)
        self.marked |= call == "mark"
        self.in_doubt |= self.marked and kind is not Fault.NONE
        return kind

    def _ses_fault(self, kind: Fault) -> SesFault:
        match kind:
            case Fault.EXCEPTION:
                return self.rng.choice([SesFault.THROTTLE, SesFault.UNREACHABLE])
            case Fault.TIMEOUT:
                return self.rng.choice([SesFault.HANG, SesFault.FAIL_BEFORE])
            case Fault.LOST_REPLY:
                return self.rng.choice([SesFault.LOSE_REPLY, SesFault.FAIL_AFTER])
            case _:
                return SesFault.NONE

    def _let_time_pass(self) -> None:
        if self.dead:
            raise Killed
        self.pause()
        if self.late and self.rng.random() < 0.5:
            self.late.pop(0)()

    def _die(self) -> None:
        self.dead = True
        raise Killed


class Sending(Protocol):
    """How a scenario's step calls delivery; the tests of the tests put a broken one in its place."""

    def __call__(self, request: SendRequest, world: World, ports: Ports) -> Outcome: ...


def one_attempt(request: SendRequest, world: World, ports: Ports) -> Outcome:
    """One call of `deliver` through the faulty ports. The caller's own read is as old as the attempt."""
    deps = world.deps(ports.ledger(), ports, ports.read_person)
    return deliver(request, world.read_person(request.tenant, request.customer_id), deps, world.time.now())


def until_decided(
    request: SendRequest, world: World, plan: Plan, rng: random.Random, attempts: int = 12
) -> tuple[Outcome, list[Ports]]:
    """What the state machine does: the batch is retried, by a new worker if the old one died, until it is decided."""
    tried = []
    for attempt in range(attempts):
        ports = Ports(world, plan if attempt < attempts - 3 else Never(), rng, pause=lambda: _tick(world, rng))
        tried.append(ports)
        try:
            outcome = one_attempt(request, world, ports)
        except (UnavailableError, Killed):
            world.time.pass_(rng.choice([1, 20, 70]))
            if rng.random() < 0.5:
                ports.land()
            continue
        if outcome.state is not SendState.RESERVED:
            return outcome, tried
    for ports in tried:
        ports.land()
    world.time.pass_(70)
    ports = Ports(world, Never(), rng)
    return one_attempt(request, world, ports), [*tried, ports]


def _tick(world: World, rng: random.Random) -> None:
    world.time.pass_(rng.choice([0.001, 0.02, 0.02, 0.3, 1.2]))


@dataclass
class Oracle:
    """What must hold whatever happened: I1, I2, I3, I6 of the send protocol."""

    world: World
    due: Sequence[SendRequest]
    opted_out_at: Mapping[CustomerId, datetime] = field(default_factory=dict)

    def judge(self, started: Sequence[tuple[Message, datetime]]) -> None:
        """Raises ViolationError for the first invariant that does not hold."""
        self._never_twice()
        self._none_lost()
        self._opt_out_wins(started)
        self._calm(started)

    def _never_twice(self) -> None:
        twice = [send for send, count in Counter(self.world.sent_ids()).items() if count > 1]
        if twice:
            raise ViolationError(f"I1: accepted twice: {twice}")

    def _none_lost(self) -> None:
        accepted = set(self.world.sent_ids())
        for request in self.due:
            row = self.world.ledger.row(request.key)
            if row is None or row.state in IN_FLIGHT:
                raise ViolationError(f"I2: {request.step} is due and has no final row: {row}")
            if row.state is SendState.SENT and request.send_id not in accepted:
                raise ViolationError(f"I2: {request.step} says sent, and nothing was")
            if row.state not in (SendState.SENT, SendState.UNKNOWN) and request.send_id in accepted:
                raise ViolationError(f"I2: {request.step} was sent, and says {row.state}")

    def _opt_out_wins(self, started: Sequence[tuple[Message, datetime]]) -> None:
        for message, at in started:
            out = self.opted_out_at.get(message.key.customer_id)
            if out is not None and at > out + timedelta(seconds=1):
                raise ViolationError(f"I3: a call started {at - out} after the opt-out")

    def _calm(self, started: Sequence[tuple[Message, datetime]]) -> None:
        expiry = {request.send_id: request.expires_at for request in self.due}
        accepted = set(self.world.sent_ids())
        days: Counter[tuple[CustomerId, object]] = Counter()
        for send in accepted:
            row = next(row for row in self._rows() if row.send_id == send)
            days[row.customer_id, shop_day(row.decided_at, "Asia/Tokyo")] += 1
        over = [key for key, count in days.items() if count > 1]
        if over:
            raise ViolationError(f"I6: more than one mail a day: {over}")
        for message, at in started:
            limit = expiry[message.key.send_id]
            # The decision is made for the attempt's own instant; an attempt lasts less than its lease.
            if limit is not None and at > limit + timedelta(seconds=70):
                raise ViolationError(f"I6: sent {at - limit} after it had expired")

    def _rows(self) -> list[Any]:
        customers = {request.customer_id for request in self.due}
        return [row for customer in customers for row in self.world.ledger.rows(TENANT, customer)]


def _locked() -> threading.Lock:
    # A bare lock hands the turn over in a third of a semaphore's time, and there are 200,000 turns.
    lock = threading.Lock()
    lock.acquire()
    return lock


class Interleaving:
    """Workers that run one at a time; at every call the seed decides who goes on and how much time has passed."""

    def __init__(self, world: World, rng: random.Random) -> None:
        self._world = world
        self._rng = rng
        self._turns: dict[int, threading.Lock] = {}
        self._main = _locked()
        self._running: set[int] = set()
        self.errors: list[BaseException] = []

    def run(self, jobs: Sequence[Callable[[Callable[[], None]], None]]) -> None:
        """Run every job to its end; each is given the function that hands the turn back."""
        threads = [threading.Thread(target=self._work, args=(n, job), daemon=True) for n, job in enumerate(jobs)]
        self._turns = {n: _locked() for n in range(len(jobs))}
        self._running = set(self._turns)
        for thread in threads:
            thread.start()
        while self._running:
            self._world.time.pass_(self._rng.choice([0.001, 0.005, 0.02, 0.02, 0.3, 0.8, 1.5, 65]))
            self._turns[self._rng.choice(sorted(self._running))].release()
            self._main.acquire()
        for thread in threads:
            thread.join()
        if self.errors:
            raise self.errors[0]

    def _work(self, number: int, job: Callable[[Callable[[], None]], None]) -> None:
        def pause() -> None:
            self._main.release()
            self._turns[number].acquire()

        self._turns[number].acquire()
        try:
            job(pause)
        except Killed:
            pass
        except BaseException as error:  # noqa: BLE001 - whatever a worker raises is the test's to show
            self.errors.append(error)
        finally:
            self._running.discard(number)
            self._main.release()


def interleaved(
    world: World, due: Sequence[SendRequest], seed: int, send: Sending = one_attempt, rest: float = 70
) -> None:
    """2 to 8 workers over the same people, an opt-out in between, faults everywhere; then one calm redrive, when every
    lease is over (`rest` seconds).
    """
    rng = random.Random(seed)
    everyone = sorted({request.customer_id for request in due})
    opted_out_at: dict[CustomerId, datetime] = {}
    ports: list[Ports] = []

    def worker(pause: Callable[[], None]) -> None:
        # Its own source of chance: which faults a worker meets must not depend on who ran before it.
        mine = Ports(world, Anywhere(rng, rng.choice([0, 0.02, 0.1])), rng, pause)
        ports.append(mine)
        for request in rng.sample(due, rng.randint(1, len(due))):
            for _ in range(4):
                try:
                    send(request, world, mine)
                    break
                except UnavailableError:
                    pause()

    def customer(pause: Callable[[], None]) -> None:
        for _ in range(rng.randrange(25)):
            pause()
        who = rng.choice(everyone)
        world.people[who] = opted_out(world.people[who])
        opted_out_at[who] = world.time.now()

    jobs: list[Callable[[Callable[[], None]], None]] = [worker] * rng.randint(2, 8)
    if rng.random() < 0.5:
        jobs.append(customer)
    Interleaving(world, rng).run(jobs)
    for worker_ports in ports:
        worker_ports.land()
    world.time.pass_(rest)
    calm = Ports(world, Never(), rng)
    for request in due:
        one_attempt(request, world, calm)
    Oracle(world, due, opted_out_at).judge([call for each in (*ports, calm) for call in each.started])
