"""The account's rate in every second, its day, a domain's warm-up and a stopped shop: in virtual time, over workers."""

from __future__ import annotations

import heapq
import itertools
import random
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from shared.core.ids import CustomerId
from shared.delivery.channels.channel import Message, NotSentError, StoppedError
from shared.delivery.channels.fake import FakeChannel, Fault
from shared.delivery.model import Outcome, Purpose, SendState
from shared.delivery.pace.store import MemoryPaceStore
from shared.delivery.pacing import PER_QUEUE, QUEUE, MailTurns, Pace, Quota
from shared.delivery.send import deliver
from tests.unit.delivery.world import NOON, TENANT, VirtualTime, World, a_consent, a_person, a_request, a_shop

NIGHTLESS: dict[str, Any] = {"cap_per_day": None, "cap_per_week": None, "quiet_hours": {"email": None}}


@dataclass
class Own(VirtualTime):
    """A worker's clock: sleeping moves it, and only it."""

    def sleep(self, seconds: float) -> None:
        self.pass_(seconds)


def pace(store: MemoryPaceStore, clock: Own, per_second: float, **quota: Any) -> Pace:
    known = Quota(per_second, **{"per_day": -1, "used_today": 0} | quota)
    return Pace("ses", store, lambda: known, clock, clock.sleep)


def busiest_second(calls: list[datetime]) -> int:
    """Most calls in any second, wherever it begins."""
    calls = sorted(calls)
    most = first = 0
    for last, at in enumerate(calls):
        while at - calls[first] >= timedelta(seconds=1):
            first += 1
        most = max(most, last - first + 1)
    return most


def threads_of(queue: Pace, clock: Own, rng: random.Random, calls: list[datetime]) -> Callable[[], None]:
    """One mail: its turn, the protocol's own time (now and then very slow), its call."""

    def mail() -> None:
        turn = queue.take()
        clock.pass_(rng.choice([0.02, 0.05, 0.1, 0.3, 2.0]))
        turn.come()
        clock.pass_(rng.random() * 0.001)
        calls.append(clock.now())

    return mail


@pytest.mark.parametrize("per_second", [1, 14, 90, 500])
@pytest.mark.parametrize("workers", [1, 8])
def test_no_second_holds_more_calls_than_the_account_may_make(per_second: int, workers: int) -> None:
    """The earliest worker goes first, so all of them share the same minutes."""
    store, rng, calls = MemoryPaceStore(), random.Random(per_second * workers), list[datetime]()
    order = []
    for number in range(workers):
        clock = Own(NOON + timedelta(seconds=rng.random()))
        order.append((clock.at, number, clock, threads_of(pace(store, clock, per_second), clock, rng, calls)))
    heapq.heapify(order)
    missed = 0
    for _ in range(600):
        _, number, clock, mail = heapq.heappop(order)
        try:
            mail()
        except NotSentError:
            missed += 1
            clock.pass_(5)
        heapq.heappush(order, (clock.at, number, clock, mail))
    assert busiest_second(calls) <= per_second
    assert len(calls) + missed == 600
    assert len(calls) > 150


def test_a_pace_without_its_grace_would_be_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """The test of the test: slots that may be caught up bunch into one second."""
    store, calls = MemoryPaceStore(), list[datetime]()
    queues = [(pace(store, clock, 14), clock) for clock in (Own(NOON) for _ in range(30))]
    turns = [(queue.take(), clock) for queue, clock in queues]
    monkeypatch.setattr("shared.delivery.pacing.GRACE", timedelta(seconds=30))
    for turn, clock in turns:
        clock.at = NOON + timedelta(seconds=5)
        turn.come()
        calls.append(clock.now())
    assert busiest_second(calls) > 14


def test_one_worker_alone_reaches_most_of_the_rate_at_a_fifth_of_a_write_a_mail() -> None:
    """Threads of one worker: each asks while the others wait, so a block serves them all."""
    store, clock, calls = MemoryPaceStore(), Own(), list[datetime]()
    queue = pace(store, clock, 14)
    queue._waiting = 15  # as many threads stand in line
    for _ in range(280):
        turn = queue.take()
        turn.come()
        calls.append(clock.now())
    seconds = (calls[-1] - calls[0]).total_seconds()
    assert 280 / seconds >= 14 * 0.8
    assert busiest_second(calls) <= 14
    assert store.writes <= 280 * 0.2


def test_one_mail_after_another_of_a_slow_worker_alone_share_a_write() -> None:
    """No other thread waits, and 60 ms a mail: a block's time and its grace hold five of them."""
    store, clock = MemoryPaceStore(), Own()
    queue = pace(store, clock, 1000)
    for _ in range(100):
        queue.take().come()
        clock.pass_(0.06)
    assert store.writes <= 25


def test_a_mail_that_takes_long_to_prepare_needs_one_slot() -> None:
    """The turn is given for when the call will be made, as the last mails taught."""
    store, clock = MemoryPaceStore(), Own()
    queue = pace(store, clock, 1000)
    for _ in range(60):
        turn = queue.take()
        clock.pass_(0.3)
        turn.come()
        clock.pass_(2)  # longer than any block, so that each mail leases anew
    assert store.writes <= 63, "the first few teach"


def test_while_others_send_a_worker_takes_no_more_than_it_can_use() -> None:
    store, clock = MemoryPaceStore(), Own()
    first, second = pace(store, clock, PER_QUEUE), pace(store, clock, PER_QUEUE)
    for _ in range(2):
        first.take()
    second.take()  # waits for the end of what the first took for itself
    clock.pass_(0.2)
    first.take()
    taken = store._next["ses"]
    second.take()
    assert store._next["ses"] - taken <= timedelta(milliseconds=12), "a slot, not half a second"


def test_a_long_queue_sends_the_batch_home_instead_of_sleeping() -> None:
    store = MemoryPaceStore()
    store.lease("ses", QUEUE * 2, NOON, NOON)
    clock = Own()
    with pytest.raises(NotSentError):
        pace(store, clock, 14).take()
    assert clock.at == NOON


def test_the_day_s_quota_stops_before_it_is_used_up_and_goes_on_by_itself() -> None:
    clock, used = Own(), itertools.count()
    store = MemoryPaceStore()
    spent = [0.0]
    queue = Pace("ses", store, lambda: Quota(14, 200, spent[0]), clock, clock.sleep)

    def until_stopped() -> None:
        while True:
            queue.take()
            next(used)

    with pytest.raises(StoppedError, match="24 hours"):
        until_stopped()
    assert next(used) == 196, "two in a hundred are kept back"
    spent[0] = 0
    clock.pass_(61)
    queue.take()


def test_a_paused_account_is_not_called() -> None:
    with pytest.raises(StoppedError, match="paused"):
        pace(MemoryPaceStore(), Own(), 14, enabled=False).take()


# --- through the whole of `deliver` ---


class Timed(FakeChannel):
    """SES with a clock: says when it was called."""

    def __init__(self, clock: Own) -> None:
        super().__init__()
        self.clock = clock
        self.calls: list[datetime] = []

    def send(self, message: Message) -> Any:
        self.calls.append(self.clock.now())
        return super().send(message)


@dataclass
class Paced:
    """A shop's sending with its turns, in virtual time."""

    world: World
    per_second: float = 14
    per_day: float = -1
    store: MemoryPaceStore = field(default_factory=MemoryPaceStore)

    def __post_init__(self) -> None:
        self.clock = Own()
        self.world.time = self.clock
        self.ses = Timed(self.clock)
        self.world.ses = self.ses
        queue = pace(self.store, self.clock, self.per_second, per_day=self.per_day)
        self.deps = replace(self.world.deps(), turns=MailTurns(queue, self.store, self.clock))

    def people(self, count: int) -> list[CustomerId]:
        self.world.people = {CustomerId(f"p{n}"): a_person(CustomerId(f"p{n}")) for n in range(count)}
        return list(self.world.people)

    def send(self, customer: CustomerId, **more: Any) -> Outcome:
        person = self.world.people[customer]
        return deliver(a_request(customer=customer, **more), person, self.deps, self.clock.now())


@pytest.fixture
def paced(world: World) -> Paced:
    world.shop = a_shop(**NIGHTLESS)
    return Paced(world)


def test_a_shop_that_is_stopped_sends_nothing_and_writes_nothing(paced: Paced) -> None:
    (customer,) = paced.people(1)
    paced.store.stop(TENANT, "5.00% bounces", NOON)
    with pytest.raises(StoppedError, match="bounces"):
        paced.send(customer)
    assert not paced.ses.calls
    assert not paced.world.ledger.rows(TENANT, customer)
    assert paced.store.resume(TENANT, "admin", NOON)
    paced.clock.pass_(11)
    assert paced.send(customer).state is SendState.SENT


def test_a_warm_up_day_ends_at_its_cap_and_goes_on_where_it_stopped(paced: Paced) -> None:
    paced.world.shop = a_shop(**NIGHTLESS, warm_up={"from": "2026-11-20"})
    people = paced.people(60)
    yes = replace(a_consent(), at=NOON)
    paced.world.people = {customer: a_person(customer, consents=(yes,)) for customer in people}
    pending = list(people)

    def until_stopped() -> None:
        while pending:
            paced.send(pending[0])
            pending.pop(0)

    with pytest.raises(StoppedError, match="warming up"):
        until_stopped()
    assert len(paced.ses.accepted) == 50
    assert paced.send(pending[0], purpose=Purpose.TRANSACTIONAL).state is SendState.SENT
    paced.clock.pass_(86_400)
    for customer in pending:
        paced.send(customer, occurrence="cart-2" if customer == pending[0] else "cart-1")
    assert [message.key.customer_id for message in paced.ses.accepted] == [*people[:51], *people[50:]]


def test_mails_that_find_the_provider_busy_use_up_none_of_a_warm_up_day(paced: Paced) -> None:
    paced.world.shop = a_shop(**NIGHTLESS, warm_up={"from": "2026-11-20"})
    people = paced.people(50)
    yes = replace(a_consent(), at=NOON)
    paced.world.people = {customer: a_person(customer, consents=(yes,)) for customer in people}
    paced.ses.plan(Fault.THROTTLE)
    for customer in people:
        with pytest.raises(NotSentError):
            paced.send(customer)
    paced.clock.pass_(600)
    assert [paced.send(customer).state for customer in people] == [SendState.SENT] * 50


def test_every_mail_of_a_batch_starts_within_a_second_of_reading_its_person(paced: Paced) -> None:
    reads: dict[CustomerId, datetime] = {}

    def reading(tenant: Any, customer: CustomerId) -> Any:
        reads[customer] = paced.clock.now()
        paced.clock.pass_(0.02)
        return paced.world.people.get(customer)

    paced.deps = replace(paced.deps, read_person=reading)
    people = paced.people(50)
    for customer in people:
        paced.send(customer)
    gaps = [at - reads[customer] for at, customer in zip(paced.ses.calls, people, strict=True)]
    assert max(gaps) <= timedelta(seconds=1)
    assert busiest_second(paced.ses.calls) <= 14
