"""A large cohort swept, split into batches and taken through the whole scenario: what grows with it, and what does not.

The live sweep, compiled machine, step and delivery run here over stores in memory that count what DynamoDB, S3 and
Step Functions would charge (the rates per call are those the local cloud counted: tests/bench/counted_day.py). Mails
go to a stand-in in memory. `MATAKITE_COHORT=1000000` takes that many; the sweep hands over 100,000 per execution.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from typing import Any

import pytest

from shared.core.ids import CustomerId, TenantId
from shared.customers.model import PersonState
from shared.delivery.channels.channel import Accepted, Message
from shared.delivery.channels.fake import FakeChannel
from shared.delivery.store import MemoryLedgerStore
from shared.scenarios.cohorts import MemoryCohortFiles
from shared.scenarios.enrolment import Enrolment, EnrolmentKey, Instance, occurrence_of
from shared.scenarios.rehearse import Rehearsal
from shared.scenarios.store import MemoryEnrolmentStore
from shared.scenarios.sweep import BATCH_SIZE, LIMIT
from tests.unit.scenarios.world import CART, MORNING, STORE, TENANT, World, a_cart, a_person

PEOPLE = int(os.environ.get("MATAKITE_COHORT", "20000"))
WRITE_UNITS_PER_MAIL = 6
DUE = MORNING + timedelta(hours=1)


class CountedLedger(MemoryLedgerStore):
    """Every write of the ledger and of the contact row is one unit, and so is one that is refused."""

    def __init__(self, units: Counter[str]) -> None:
        super().__init__()
        self._units = units

    def __getattribute__(self, name: str) -> Any:
        if name in {"reserve", "hold", "mark", "record", "release", "claim", "unclaim", "abandon", "doubt"}:
            self._units["write"] += 1
        elif name in {"contact", "row"}:
            self._units["read"] += 1
        return super().__getattribute__(name)


class CountedEnrolments(MemoryEnrolmentStore):
    """A claim also takes the row out of the due index: two units; a step's record and a count are one."""

    def __init__(self, units: Counter[str]) -> None:
        super().__init__()
        self._counted = units

    def claim(self, *given: Any) -> Enrolment | None:
        """See EnrolmentStore."""
        self._counted["write"] += 2
        return super().claim(*given)

    def record(self, *given: Any) -> bool:
        """See EnrolmentStore."""
        self._counted["write"] += 1
        return super().record(*given)

    def put_funnel(self, row: Any) -> None:
        """See EnrolmentStore."""
        self._counted["write"] += 1
        super().put_funnel(row)

    def get_each(self, wanted: Any) -> dict[EnrolmentKey, Enrolment]:
        """See EnrolmentStore."""
        asked = list(wanted)
        self._counted["read"] += len(asked)
        return super().get_each(asked)


class CountedFiles(MemoryCohortFiles):
    """Objects put and got."""

    def __init__(self, units: Counter[str]) -> None:
        super().__init__()
        self._counted = units

    def put(self, key: str, document: Any) -> Any:
        """See CohortFiles."""
        self._counted["put"] += 1
        return super().put(key, document)

    def get(self, key: str) -> Any:
        """See CohortFiles."""
        self._counted["get"] += 1
        return super().get(key)


class Outbox(FakeChannel):
    """Takes every mail and forgets it."""

    def __init__(self) -> None:
        super().__init__()
        self.mails = 0

    def send(self, message: Message) -> Accepted:
        """See Channel."""
        self.mails += 1
        return Accepted(f"m{self.mails}")


@dataclass
class Crowd(World):
    """People who exist only while they are looked at."""

    units: Counter[str] = field(default_factory=Counter)

    def __post_init__(self) -> None:
        super().__post_init__()
        self.ledger, self.files = CountedLedger(self.units), CountedFiles(self.units)
        self.enrolments = CountedEnrolments(self.units)
        self.ses = Outbox()

    def person(self, tenant: TenantId, customer: CustomerId) -> PersonState | None:
        """Everybody left one cart, and agreed to mail."""
        self.units["read"] += 1
        return a_person(customer, a_cart(f"c{customer}"))

    def rehearsal(self) -> Rehearsal:
        """Counts the calls of the step function, too."""
        live = super().rehearsal()

        def step(call: Mapping[str, Any]) -> Mapping[str, Any]:
            self.units["step calls"] += 1
            return live.step(call)

        return Rehearsal(step, live.read_file, self.clock, live.retried, live.entered)

    def enrols(self, people: int) -> None:
        """So many are due."""
        for n in range(people):
            customer = CustomerId(f"p{n:07}")
            cart = Instance("shopify", STORE, f"c{customer}")
            self.enrolments.arm(
                Enrolment(
                    TENANT, CART, occurrence_of(cart.source, cart.store, cart.key), customer, cart, MORNING, due_at=DUE
                )
            )


@dataclass(frozen=True)
class Counted:
    """What a cohort took."""

    people: int
    executions: int
    transitions: int
    """Of the machine itself, starts included."""
    batches: int
    """Child executions of its maps."""
    units: Counter[str]
    mails: int
    seconds: float


def play(people: int) -> Counted:
    """Sweep until nobody is due, and let the machines run to their ends."""
    started = time.perf_counter()
    crowd = Crowd()
    crowd.enrols(people)
    crowd.clock.at = DUE
    for minute in range(math.ceil(people / LIMIT)):
        crowd.clock.at = DUE + timedelta(minutes=minute)
        crowd.sweeps()
        crowd.timeline.play()
    inside = _inside_maps(crowd.machine or {})
    children = sum(count for name, count in crowd.transitions.items() if name in inside)
    own = crowd.transitions.total() - children + len(crowd.executions)
    assert isinstance(crowd.ses, Outbox)
    seconds = time.perf_counter() - started
    return Counted(people, len(crowd.executions), own, children, crowd.units, crowd.ses.mails, seconds)


def _inside_maps(machine: Mapping[str, Any]) -> set[str]:
    names: set[str] = set()
    for state in machine["States"].values():
        if "ItemProcessor" in state:
            names |= set(state["ItemProcessor"]["States"])
        for branch in state.get("Branches", ()):
            names |= _inside_maps(branch)
    return names


def table(found: Sequence[Counted]) -> str:
    """The curve: everything per 1,000 people."""
    lines = [
        "",
        "|    people | executions | transitions | …/1,000 | batches run | …/1,000 | step calls/1,000 |"
        " write units/1,000 | per mail | S3/1,000 |   s |",
        "|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for each in found:
        per = 1000 / each.people
        s3 = (each.units["put"] + each.units["get"]) * per
        lines.append(
            f"| {each.people:,} | {each.executions} | {each.transitions} | {each.transitions * per:.2f} | "
            f"{each.batches:,} | {each.batches * per:.1f} | {each.units['step calls'] * per:.1f} | "
            f"{each.units['write'] * per:,.0f} | {each.units['write'] / each.mails:.2f} | {s3:.0f} | "
            f"{each.seconds:.0f} |"
        )
    return "\n".join(lines) + "\n"


def test_cost_grows_with_batches_and_not_with_people(capsys: pytest.CaptureFixture[str]) -> None:
    sizes = [1_000, *(size for size in (10_000, 100_000) if size * 10 <= PEOPLE)]
    found = [play(size) for size in (*sizes, PEOPLE)]
    with capsys.disabled():
        sys.stdout.write(table(found))
    for each in found:
        assert each.mails == 3 * each.people, "everybody got their three mails"
        assert each.units["write"] / each.mails <= WRITE_UNITS_PER_MAIL
        assert each.batches <= 5 * math.ceil(each.people / BATCH_SIZE) + 10
    first, last = found[0], found[-1]
    assert last.transitions / last.executions <= first.transitions + 5, "an execution's own transitions stay"
