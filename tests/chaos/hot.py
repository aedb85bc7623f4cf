"""Chaos of a crowd (T13): no key of a table or an index may become hot when everybody is written to at once.

DynamoDB gives a partition key 1,000 write and 3,000 read units a second. The live sweep, compiled machine, step and
delivery run here over stores in memory that say under which keys DynamoDB's would write, by the key functions of those
stores, in virtual time: a machine has ten batches under way at once, and no call takes a function less than its
processor needs for it. So rows are written as fast as the functions can at all, mails as fast as the account may send.
"""

from __future__ import annotations

import heapq
import math
import random
from collections import Counter, defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any

from shared.core.clock import FixedClock
from shared.core.errors import UnavailableError
from shared.core.ids import CustomerId, SendId, TenantId
from shared.customers.items import person_pk
from shared.customers.model import PersonState
from shared.delivery import store as ledger
from shared.delivery.channels.channel import Accepted, Message, NotSentError
from shared.delivery.channels.fake import FakeChannel
from shared.delivery.coupons.issue import Book, Coupons, Terms
from shared.delivery.coupons.store import MemoryCoupons, _book_key
from shared.delivery.model import SendKey
from shared.delivery.pace import store as pace
from shared.delivery.pace.store import DynamoPaceStore
from shared.delivery.pacing import GRACE, Pace, Quota
from shared.delivery.spend.budget import LOT, Account, Lots
from shared.delivery.spend.store import MemorySpend, _month
from shared.delivery.store import MemoryLedgerStore
from shared.scenarios import store as enrolments
from shared.scenarios.cohorts import MemoryCohortFiles
from shared.scenarios.compile import Options
from shared.scenarios.enrolment import Enrolment, EnrolmentKey, FunnelRow, Instance, occurrence_of
from shared.scenarios.language.steps import Wait
from shared.scenarios.model import Scenario
from shared.scenarios.rehearse import Rehearsal
from shared.scenarios.step import COME_BACK_SECONDS
from shared.scenarios.store import MemoryEnrolmentStore
from shared.scenarios.sweep import BATCH_SIZE, LIMIT
from tests.chaos.poison import fed
from tests.unit.scenarios.world import CART, MORNING, STORE, TENANT, World, a_cart, a_person, preset

WRITES, READS = 1_000, 3_000
"""Units of one key in a second."""
BUSIEST, THROTTLED = 100, 0.01
"""T13: writes a second of any key, and the share of all calls that is throttled."""

CALL_SECONDS = 0.0012 / 0.58
"""What a call of the SDK takes of the processor of 1,024 MB (tests/bench/test_throughput.py: 12 ms a mail of ten)."""
START_SECONDS = 0.05
"""Before a batch's first call: the child's start (20 ms, measurement/cost/bill.py) and its file (25 ms)."""
BACKOFF_SECONDS, TRIES = 0.05, 10
ARMED_PER_SECOND = 4 * 0.29 / 0.0012
"""People made due: a call each of the trigger, of 0.29 processors, on the stream's four shards."""
SENT_PER_SECOND = 500 / (1 + GRACE.total_seconds())
"""Of an account whose MaxSendRate is 500."""
EVENTS_PER_MAIL = 2.3
"""Of SES (measurement/cost/bill.py)."""
THREADS = 16
"""Of one function (`StepDeps.workers`)."""
A_PERSONS = 10
"""Writes of one person's rows in a second, at most."""
RATES = (1, 14, 50, 100, 200, 500, 1_000, 3_000)
"""MaxSendRate of an account."""
PEOPLE, MAILS, CODES = 150, 2_000, 20_000
DUE = MORNING + timedelta(hours=1)


@dataclass
class Lane:
    """One batch's worker: where its time has come to, and when it last had a turn to send."""

    at: float
    sent_at: float = 0.0


@dataclass
class Partitions:
    """DynamoDB's limits of a key, in every second of virtual time."""

    lane: Lane = field(default_factory=lambda: Lane(MORNING.timestamp()))
    units: Counter[str] = field(default_factory=Counter)
    calls: int = 0
    throttled: int = 0
    peaks: Counter[str] = field(default_factory=Counter)
    """Most writes in a second of every key that had more than a person's row has."""
    _used: dict[int, defaultdict[str, float]] = field(default_factory=dict)

    def write(self, *keys: str) -> None:
        """One call that writes a unit under each key: of the row, and of its entry in an index."""
        self._call(WRITES, {f"w {key}": 1.0 for key in keys})
        self.units["write"] += len(keys)

    def read(self, *keys: str, units: float = 1.0) -> None:
        """One call that reads so much under each key."""
        self._call(READS, {f"r {key}": units for key in keys})
        self.units["read"] += len(keys)

    def forget(self, before: float) -> None:
        """Nothing more happens before this."""
        for second in [each for each in self._used if each < int(before)]:
            del self._used[second]

    def _call(self, limit: int, units: Mapping[str, float]) -> None:
        for _ in range(TRIES):
            self.lane.at += CALL_SECONDS
            self.calls += 1
            used = self._used.setdefault(int(self.lane.at), defaultdict(float))
            if all(used[key] + more <= limit for key, more in units.items()):
                self._take(used, units)
                return
            self.throttled += 1
            self.lane.at += BACKOFF_SECONDS
        raise UnavailableError("throttled ten times")

    def _take(self, used: defaultdict[str, float], units: Mapping[str, float]) -> None:
        for key, more in units.items():
            used[key] += more
            if key.startswith("w ") and used[key] > max(A_PERSONS, self.peaks[key]):
                self.peaks[key] = math.ceil(used[key])

    def elsewhere(self, key: str) -> None:
        """A unit that another function writes meanwhile, or another thread."""
        self._take(self._used.setdefault(int(self.lane.at), defaultdict(float)), {f"w {key}": 1.0})

    @property
    def busiest(self) -> int:
        """Most writes of any key in a second."""
        return max(self.peaks.values(), default=0)

    def judge(self) -> None:
        """T13."""
        hot = {key: writes for key, writes in self.peaks.items() if writes > BUSIEST}
        assert not hot, f"writes in a second: {hot}"
        share = self.throttled / max(1, self.calls)
        assert share <= THROTTLED, f"{share:.1%} of the calls are throttled"


class MeteredLedger(MemoryLedgerStore):
    """Every write of the ledger and of the contact row is one unit, and so is one that is refused."""

    def __init__(self, partitions: Partitions) -> None:
        super().__init__()
        self._partitions = partitions

    def __getattribute__(self, name: str) -> Any:
        found = super().__getattribute__(name)
        if name in {"reserve", "hold", "mark", "record", "release", "claim", "unclaim", "abandon", "doubt"}:
            return self._metered(found, self._partitions.write)
        if name in {"contact", "row"}:
            return self._metered(found, self._partitions.read)
        return found

    @staticmethod
    def _metered(call: Callable[..., Any], meter: Callable[[str], None]) -> Callable[..., Any]:
        def metered(about: Any, *given: Any) -> Any:
            whose = (about.tenant, about.customer_id) if hasattr(about, "customer_id") else (about, _first(given[0]))
            meter(ledger._pk(*whose))
            return call(about, *given)

        return metered


def _first(customers: CustomerId | Sequence[CustomerId]) -> CustomerId:
    """A contact is read of a person and those merged into them: nobody here has any."""
    return customers if isinstance(customers, str) else customers[0]


class MeteredEnrolments(MemoryEnrolmentStore):
    """A row's write is a unit under its key, and one under each index that shows the change."""

    def __init__(self, partitions: Partitions) -> None:
        super().__init__()
        self._partitions = partitions

    def arm(self, enrolment: Enrolment) -> bool:
        """See EnrolmentStore."""
        whose = f"by_customer {enrolment.tenant}#{enrolment.customer_id}"
        self._partitions.write(_row(*enrolment.key), _due(enrolment), whose)
        return super().arm(enrolment)

    def due(self, tenant: TenantId, scenario: Any, until: datetime, limit: int) -> list[Enrolment]:
        """See EnrolmentStore. A page of 1 MB holds some 1,400 people, and 128 half units of 4 KB."""
        found = super().due(tenant, scenario, until, limit)
        for start in range(0, len(found), 1_400):
            self._partitions.read(_due(found[start]), units=128.0)
        return found

    def claim(self, *given: Any) -> Enrolment | None:
        """See EnrolmentStore. It also takes the row out of the due index."""
        row = self._rows[given[:3]]
        self._partitions.write(_row(*row.key), _due(row))
        return super().claim(*given)

    def record(self, enrolment: Enrolment, *given: Any) -> bool:
        """See EnrolmentStore."""
        self._partitions.write(_row(*enrolment.key))
        return super().record(enrolment, *given)

    def put_funnel(self, row: FunnelRow) -> None:
        """See EnrolmentStore."""
        self._partitions.write(enrolments._control_key(row.tenant, row.scenario)["pk"]["S"])
        super().put_funnel(row)

    def get_each(self, wanted: Any) -> dict[EnrolmentKey, Enrolment]:
        """See EnrolmentStore."""
        asked = list(wanted)
        self._partitions.read(*(_row(*key) for key in asked))
        return super().get_each(asked)


def _row(*key: Any) -> str:
    return str(enrolments._key(*key)["pk"]["S"])


def _due(enrolment: Enrolment) -> str:
    return f"due {enrolments._due_key(enrolment)}"


class MeteredFiles(MemoryCohortFiles):
    """Objects put and got."""

    def __init__(self, units: Counter[str]) -> None:
        super().__init__()
        self._units = units

    def put(self, key: str, document: Any) -> Any:
        """See CohortFiles."""
        self._units["put"] += 1
        return super().put(key, document)

    def get(self, key: str) -> Any:
        """See CohortFiles."""
        self._units["get"] += 1
        return super().get(key)


class Outbox(FakeChannel):
    """Takes every mail when its worker's turn has come, and forgets it; SES's events about it come back in batches."""

    def __init__(self, partitions: Partitions) -> None:
        super().__init__()
        self.mails = 0
        self._partitions = partitions
        self._mails_a_feedback = int(fed().queue_batch / EVENTS_PER_MAIL)

    def send(self, message: Message) -> Accepted:
        """See Channel."""
        lane = self._partitions.lane
        lane.at = lane.sent_at = max(lane.at, lane.sent_at + Options().concurrency / SENT_PER_SECOND)
        self.mails += 1
        if self.mails % self._mails_a_feedback == 0:
            self._partitions.elsewhere(pace._reputation_key(message.key.tenant)["pk"]["S"])
        return Accepted(f"m{self.mails}")


@dataclass
class Crowd(World):
    """People who exist only while they are looked at."""

    partitions: Partitions = field(default_factory=Partitions)
    lanes: dict[str, list[Lane]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.ledger, self.files = MeteredLedger(self.partitions), MeteredFiles(self.partitions.units)
        self.enrolments = MeteredEnrolments(self.partitions)
        self.ses = self.outbox = Outbox(self.partitions)

    def person(self, tenant: TenantId, customer: CustomerId) -> PersonState | None:
        """Everybody left one cart, and agreed to mail."""
        self.partitions.read(f"customers {person_pk(tenant, customer)}")
        return a_person(customer, a_cart(f"c{customer}"))

    def rehearsal(self) -> Rehearsal:
        """Batches side by side, as many as the machine has under way."""
        live = super().rehearsal()

        def step(call: Mapping[str, Any]) -> Mapping[str, Any]:
            self.partitions.units["step calls"] += 1
            self._in_lane(str(call["execution"]))
            return live.step(call)

        return replace(live, step=step)

    def _in_lane(self, execution: str) -> None:
        """The worker of an execution that is free first takes the batch."""
        now = self.clock.at.timestamp()
        self.partitions.forget(now)
        lanes = self.lanes.setdefault(execution, [Lane(now) for _ in range(Options().concurrency)])
        lane = self.partitions.lane = min(lanes, key=lambda each: each.at)
        lane.at = max(lane.at, now) + START_SECONDS

    def enrols(self, people: int) -> None:
        """So many become due at once."""
        for n in range(people):
            customer = CustomerId(f"p{n:07}")
            cart = Instance("shopify", STORE, f"c{customer}")
            self.partitions.lane = Lane(MORNING.timestamp() + n / ARMED_PER_SECOND)
            self.partitions.forget(self.partitions.lane.at - 1)
            self.enrolments.arm(
                Enrolment(
                    TENANT, CART, occurrence_of(cart.source, cart.store, cart.key), customer, cart, MORNING, due_at=DUE
                )
            )

    def sweeps_all(self, people: int) -> None:
        """Sweep until nobody is due, and let the machines run to their ends."""
        for sweep in range(-(-people // LIMIT)):
            self.timeline.at(DUE + sweep * self.scenario.sweep_every, self._sweep)
        self.timeline.play()

    def _sweep(self) -> None:
        self.partitions.lane = Lane(self.clock.at.timestamp())
        self.sweeps()


# --- the queue of mail ------------------------------------------------------------------------------------------------


class Slots:
    """DynamoDB as the queue of mail uses it: each queue's next free slot, moved on where the condition holds. A call
    takes its caller CALL_SECONDS.
    """

    class exceptions:  # noqa: N801 - as boto3 calls it
        """What the client raises."""

        class ConditionalCheckFailedException(Exception):  # noqa: N818
            """With the row as it is."""

            def __init__(self, row: Mapping[str, Any]) -> None:
                super().__init__()
                self.response = {"Item": row}

    def __init__(self, partitions: Partitions, clock: FixedClock) -> None:
        self.answered_at = clock.at
        self._partitions = partitions
        self._clock = clock
        self._rows: dict[str, int] = {}

    def update_item(self, *, Key: Any, ExpressionAttributeValues: Any, **_: Any) -> dict[str, Any]:  # noqa: N803
        """A refused write is one, too."""
        key, values = Key["pk"]["S"], {name: int(each["N"]) for name, each in ExpressionAttributeValues.items()}
        self._partitions.lane.at = self._clock.at.timestamp()
        self._partitions.elsewhere(key)
        self._clock.at += timedelta(seconds=CALL_SECONDS)
        self.answered_at = self._clock.at
        known = self._rows.get(key)
        row = {} if known is None else {"next_at": {"N": str(known)}}
        if ":length" in values:
            holds, after = values[":now"] < (known or 0) <= values[":last"], (known or 0) + values[":length"]
        else:
            holds, after = (known or 0) <= values[":now"], values[":after"]
        if not holds:
            raise self.exceptions.ConditionalCheckFailedException(row)
        self._rows[key] = after
        return {"Attributes": row}


def queue_of_mail(per_second: int, mails: int, rng: random.Random) -> Partitions:
    """Every thread of every batch under way takes its turn, sends, and takes the next: who is first goes first.

    While a thread asks for a block its worker's others stand at the worker's lock, and the next block is for them too.
    """
    partitions, clock = Partitions(), FixedClock(DUE)
    slots = Slots(partitions, clock)

    def sleep(seconds: float) -> None:
        clock.at += timedelta(seconds=seconds)

    def worker() -> Pace:
        return Pace("ses", DynamoPaceStore("deliveries", slots, clock), lambda: Quota(per_second, -1, 0), clock, sleep)

    workers = [worker() for _ in range(Options().concurrency)]
    lock_free_at = [DUE] * len(workers)
    threads = [(DUE + timedelta(seconds=rng.random() / 100), n) for n in range(len(workers) * THREADS)]
    heapq.heapify(threads)
    while mails:
        clock.at, number = heapq.heappop(threads)
        which = number % len(workers)
        if clock.at < lock_free_at[which]:
            heapq.heappush(threads, (lock_free_at[which], number))
            continue
        mails -= 1
        now = clock.at
        workers[which]._waiting = sum(at <= now for at, other in threads if other % len(workers) == which)
        try:
            turn = workers[which].take()
            lock_free_at[which] = max(now, slots.answered_at)
            sleep(rng.uniform(0.02, 0.2))
            turn.come()
        except NotSentError:
            sleep(COME_BACK_SECONDS)
        heapq.heappush(threads, (clock.at, number))
    return partitions


# --- the book of coupons ----------------------------------------------------------------------------------------------


class MeteredCoupons(MemoryCoupons):
    """Numbers are taken in one write of the book's row."""

    def __init__(self, partitions: Partitions) -> None:
        super().__init__()
        self._partitions = partitions

    def take(self, tenant: TenantId, campaign: str, on: date, count: int = 1) -> tuple[Book, int] | None:
        """See CouponStore."""
        self._partitions.elsewhere(_book_key(tenant, campaign)["pk"]["S"])
        return super().take(tenant, campaign, on, count)


def book_of_coupons(mails: int, rng: random.Random) -> Partitions:
    """Every mail of a campaign gives a coupon of one book, from whichever of the workers sends it."""
    partitions = Partitions()
    store = MeteredCoupons(partitions)
    store.add(TENANT, "crowd", Terms("10%引き"), [f"C{n:06}" for n in range(CODES)])
    workers = [Coupons(store, lambda _: "Asia/Tokyo") for _ in range(Options().concurrency)]
    for n in range(mails):
        partitions.lane.at += 1 / SENT_PER_SECOND
        rng.choice(workers).issue(TENANT, "crowd", CustomerId(f"p{n:07}"), "once", DUE)
    return partitions


# --- the budget of LINE and SMS ---------------------------------------------------------------------------------------


class MeteredSpend(MemorySpend):
    """A month is one row, and a take that is refused a write, too."""

    def __init__(self, partitions: Partitions) -> None:
        super().__init__()
        self._partitions = partitions

    def take(self, tenant: TenantId, account: str, least: int, most: int, cap: int | None) -> int:
        """See SpendStore."""
        self._partitions.elsewhere(_month(tenant, account)["pk"]["S"])
        return super().take(tenant, account, least, most, cap)

    def count(self, tenant: TenantId, account: str, units: int) -> None:
        """See SpendStore."""
        self._partitions.elsewhere(_month(tenant, account)["pk"]["S"])
        super().count(tenant, account, units)


def budget_of_texts(mails: int, rng: random.Random) -> Partitions:
    """As fast as functions can send at all, in batches, to the end of the budget and beyond."""
    partitions, cap = Partitions(), rng.randint(0, mails)
    store = MeteredSpend(partitions)
    workers = [Lots(store) for _ in range(Options().concurrency)]
    account, sent = Account(TENANT, "line#2026-11", cap), 0
    for n in range(mails):
        partitions.lane.at += 10 * CALL_SECONDS / len(workers)
        worker = workers[n % len(workers)]
        key = SendKey(TENANT, CustomerId(f"p{n:07}"), SendId(str(n)))
        sent += worker.reserve(key, account, 1).granted
        if n // len(workers) % BATCH_SIZE == BATCH_SIZE - 1:
            worker.put_back()
    for worker in workers:
        worker.put_back()
    assert sent == store.used(account.tenant, account.name) <= cap, "I8"
    assert sent >= cap - LOT * len(workers), "no more than a lot of each worker was not used"
    return partitions


# --- T13 --------------------------------------------------------------------------------------------------------------


def crowded(case: int, rng: random.Random) -> None:
    """T13: by turns a cart campaign, the queue of mail at each rate, a book of coupons, a budget."""
    match case % 4:
        case 0:
            campaign(PEOPLE, rng.choice((preset(), waits_first()))).judge()
        case 1:
            queue_of_mail(RATES[-1 - case // 4 % len(RATES)], MAILS, rng).judge()
        case 2:
            book_of_coupons(MAILS, rng).judge()
        case _:
            budget_of_texts(MAILS, rng).judge()


def waits_first() -> Scenario:
    """The same, where nothing but the claim happens to a batch that is collected: nothing writes faster."""
    return preset().model_copy(update={"steps": (Wait(wait=timedelta(minutes=10)), *preset().steps)})


def campaign(people: int, scenario: Scenario) -> Partitions:
    """Everybody is made due, swept and sent three mails."""
    crowd = Crowd(scenario)
    crowd.enrols(people)
    crowd.sweeps_all(people)
    assert crowd.outbox.mails == 3 * people, "everybody got their three mails"
    return crowd.partitions
