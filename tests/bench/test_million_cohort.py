"""A large cohort swept, split into batches and taken through the whole scenario: what grows with it, and what does not.

The live sweep, compiled machine, step and delivery run here over stores in memory that count what DynamoDB, S3 and
Step Functions would charge (the rates per call are those the local cloud counted: tests/bench/counted_day.py), and how
often in a second of virtual time each of DynamoDB's keys would be written (T13: tests/chaos/hot.py). Mails go to a
stand-in in memory. `MATAKITE_COHORT=1000000` takes that many; the sweep hands over 100,000 per execution.
"""

from __future__ import annotations

import math
import os
import sys
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pytest

from shared.scenarios.sweep import BATCH_SIZE
from tests.chaos.hot import Crowd, Partitions

PEOPLE = int(os.environ.get("MATAKITE_COHORT", "20000"))
WRITE_UNITS_PER_MAIL = 6


@dataclass(frozen=True)
class Counted:
    """What a cohort took."""

    people: int
    executions: int
    transitions: int
    """Of the machine itself, starts included."""
    batches: int
    """Child executions of its maps."""
    partitions: Partitions
    mails: int
    seconds: float

    @property
    def units(self) -> Counter[str]:
        """Of DynamoDB and S3, and the step's calls."""
        return self.partitions.units


def play(people: int) -> Counted:
    """Sweep until nobody is due, and let the machines run to their ends."""
    started = time.perf_counter()
    crowd = Crowd()
    crowd.enrols(people)
    crowd.partitions.units.clear()  # from here on: what made them due is the trigger's
    crowd.sweeps_all(people)
    inside = _inside_maps(crowd.machine or {})
    children = sum(count for name, count in crowd.transitions.items() if name in inside)
    own = crowd.transitions.total() - children + len(crowd.executions)
    seconds = time.perf_counter() - started
    return Counted(people, len(crowd.executions), own, children, crowd.partitions, crowd.outbox.mails, seconds)


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
        " write units/1,000 | per mail | S3/1,000 | writes/s of a key | throttled |   s |",
        "|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|--:|",
    ]
    for each in found:
        per = 1000 / each.people
        s3 = (each.units["put"] + each.units["get"]) * per
        lines.append(
            f"| {each.people:,} | {each.executions} | {each.transitions} | {each.transitions * per:.2f} | "
            f"{each.batches:,} | {each.batches * per:.1f} | {each.units['step calls'] * per:.1f} | "
            f"{each.units['write'] * per:,.0f} | {each.units['write'] / each.mails:.2f} | {s3:.0f} | "
            f"{each.partitions.busiest} | {each.partitions.throttled} | {each.seconds:.0f} |"
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
        each.partitions.judge()
        assert each.batches <= 5 * math.ceil(each.people / BATCH_SIZE) + 10
    first, last = found[0], found[-1]
    assert last.transitions / last.executions <= first.transitions + 5, "an execution's own transitions stay"
