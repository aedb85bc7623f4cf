"""Plans failures of AWS calls, lets the schedule's and the leases' time pass, and keeps the table of what came of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from infra.cli.session import Deployment
from infra.demo import acts
from infra.demo.settle import settle, wait_until
from infra.local.lifecycle import LocalCloud
from infra.local.process import internal, set_wait_scale
from shared.delivery.model import IN_FLIGHT, SendState
from tests.system.faults.cohort import FIRST, SCENARIO, Cohort, Someone, function_name, invoke

CALM = 1 / 60
"""A deferral of 90 seconds takes 1.5, a retry's 10 seconds a sixth; the day until the second mail never ends."""
STEP = "ScenariosStep"
_SECOND_MAILS_SECONDS = 120


@dataclass(frozen=True)
class Line:
    """One line of the table: a fault, and what became of the people it was aimed at (or of the whole cohort)."""

    fault: str
    sent: int
    held: int
    unknown: int
    duplicates: int


TABLE: list[Line] = []


@dataclass(frozen=True)
class Conductor:
    """The test's hand on the local cloud."""

    cloud: LocalCloud
    deployment: Deployment

    # --- faults ---

    def plan(self, **fault: Any) -> str:
        """Plan a failure; its id."""
        return str(internal(self.cloud.emulator, "POST", "/_matakite/faults", fault)["id"])

    def missed(self) -> list[dict[str, Any]]:
        """Planned failures that never happened: a test of nothing."""
        return [fault for fault in internal(self.cloud.emulator, "GET", "/_matakite/faults") if not fault["happened"]]

    def count(self, fault_id: str) -> int:
        """How often a planned failure happened."""
        planned = internal(self.cloud.emulator, "GET", "/_matakite/faults")
        return next(int(fault["happened"]) for fault in planned if fault["id"] == fault_id)

    def forget(self) -> None:
        """No more failures."""
        internal(self.cloud.emulator, "DELETE", "/_matakite/faults")

    def ses(self, **behaviour: Any) -> None:
        """How SES behaves from now on."""
        internal(self.cloud.emulator, "POST", "/_matakite/ses", behaviour)

    # --- time ---

    def waits(self, scale: float) -> None:
        """How long Step Functions' waits take from now on."""
        set_wait_scale(self.cloud.emulator, scale)

    def rest(self) -> None:
        """Wait until streams and queues are worked off."""
        settle(self.cloud.emulator, executions=False)

    def busy(self) -> set[str]:
        """The shops one of whose batches is being worked on right now."""
        running = internal(self.cloud.emulator, "GET", "/_matakite/functions")
        return {each["event"]["tenant"] for each in running if STEP in each["function"]}

    def until(self, condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
        """Wait for it."""
        wait_until(condition, what, seconds, poll=0.1)

    def sweep(self) -> dict[str, Any]:
        """Everybody due, in every shop; at a time of the minute that leaves a second call in the same minute."""
        if (left := 60 - time.time() % 60) < 8:
            time.sleep(left)
        renew(self.deployment, "ScenariosSweep")
        return invoke(self.deployment, "ScenariosSweep", {"scenario": SCENARIO})

    def first_mails(self, cohorts: Sequence[Cohort], seconds: float = 100) -> None:
        """Until everybody's first mail is decided. Where nobody works on a shop any more, leases run out."""
        open_ = list(cohorts)

        def decided() -> bool:
            busy = self.busy()
            for cohort in list(open_):
                if cohort.tenant in busy:
                    continue
                if all(e.step == FIRST for e in cohort.standing().values()):
                    open_.remove(cohort)
                else:
                    cohort.let_leases_end()
            return not open_

        wait_until(decided, "everybody's first mail", seconds, poll=0.2)

    def to_the_end(self) -> None:
        """All further waits take no time, until every machine is done and every event was heard."""
        self.waits(0)
        settle(self.cloud.emulator, seconds=_SECOND_MAILS_SECONDS)
        self.waits(CALM)


def renew(deployment: Deployment, function: str) -> None:
    """Let a function start from nothing, as every change of its configuration does (it keeps shops for 5 minutes)."""
    client, name = deployment.client("lambda"), function_name(deployment, function)
    timeout = client.get_function_configuration(FunctionName=name)["Timeout"]
    client.update_function_configuration(FunctionName=name, Timeout=timeout)


@contextmanager
def conducting(cloud: LocalCloud, deployment: Deployment) -> Iterator[Conductor]:
    """Take the local cloud in hand: schedules fire only when told to; afterwards everything is as before."""
    conductor = Conductor(cloud, deployment)
    internal(cloud.emulator, "POST", "/_matakite/schedules/pause", {"paused": True})
    conductor.waits(CALM)
    try:
        yield conductor
    finally:
        conductor.forget()
        conductor.ses(sending_paused=False, lose_events=0, double_events=0)
        conductor.waits(acts.WAIT_SCALE)
        internal(cloud.emulator, "POST", "/_matakite/schedules/pause", {"paused": False})


def note(fault: str, cohort: Cohort, people: Sequence[Someone], step: str = FIRST) -> Line:
    """Add a line to the table: what became of these people's mail."""
    books = cohort.books()
    sends = {cohort.send(one, step) for one in people}
    rows = [row for row in books.at(step) if row.send_id in sends]
    states = Counter(row.state for row in rows)
    sent, unknown = states.pop(SendState.SENT, 0), states.pop(SendState.UNKNOWN, 0)
    held = sum(count for state, count in states.items() if state not in IN_FLIGHT)
    extra = sum(max(0, books.mails[send] - 1) for send in sends)
    line = Line(fault, sent, held, unknown, extra)
    TABLE.append(line)
    return line
