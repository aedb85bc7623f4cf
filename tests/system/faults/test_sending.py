"""Kill the deployed sender at every step of the ledger protocol, and lose the reply of every call it makes.

Real Lambda processes, tables, machines and mails; the faults are aimed at one person's call each, in cohorts of
several people, all at once. Nobody gets a mail twice, nobody is lost without a record (I1, I2).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import timedelta

import pytest

from infra.local.lifecycle import LocalCloud
from shared.delivery.model import Reason, SendState
from tests.system.conftest import OpenShop
from tests.system.faults import aim
from tests.system.faults.aim import SDK_ATTEMPTS
from tests.system.faults.cohort import FIRST, Books, Cohort, Someone, gather, invoke, leave_carts
from tests.system.faults.conductor import TABLE, Conductor, Line, note

SENT = frozenset({SendState.SENT})
IN_DOUBT = frozenset({SendState.UNKNOWN})
STORM_PEOPLE, STORM_THROTTLES = 30, 120


@dataclass(frozen=True)
class Cell:
    """One fault at one call of one person, and where that person's first mail must end."""

    call: str
    kind: str
    times: int = 1
    ends: frozenset[SendState] = SENT
    seconds: float = 60

    @property
    def label(self) -> str:
        """As it stands in the table."""
        return f"{self.call}: {self.kind.replace('_', ' ')}" + (f" x{self.times}" if self.times > 1 else "")


DYNAMO_CALLS = (aim.READ, aim.CONTACT, aim.RESERVE, aim.CLAIM, aim.MARK, aim.RECORD, aim.STAND)

REPLIES = [
    *(Cell(call, "lose_reply", SDK_ATTEMPTS) for call in DYNAMO_CALLS),
    *(Cell(call, "lose_reply") for call in (aim.ENTER, aim.CLAIM, aim.FUNNEL)),
]
REFUSALS = [
    *(Cell(call, "error_500_before", SDK_ATTEMPTS) for call in DYNAMO_CALLS),
    *(Cell(call, "throttle") for call in (aim.ENTER, aim.MARK, aim.FUNNEL)),
    Cell(aim.CLAIM, "error_500_after"),
]
PROVIDER = [
    Cell(aim.SEND, "throttle", 2),
    # SES never saw it, and nobody can know: in doubt for ever, never sent again.
    Cell(aim.SEND, "error_500_before", ends=IN_DOUBT),
    # SES has it, and says so in its events: settled.
    Cell(aim.SEND, "error_500_after"),
    Cell(aim.SEND, "lose_reply"),
    Cell(aim.SEND, "hang", seconds=15),
]
KILLS = [
    [Cell(aim.ENTER, "kill_after"), Cell(aim.RESERVE, "kill_before"), Cell(aim.RESERVE, "kill_after")],  # C0 C1 C2
    [Cell(aim.READ, "kill_after"), Cell(aim.CLAIM, "kill_after"), Cell(aim.MARK, "kill_before")],  # C3
    [
        Cell(aim.MARK, "kill_after", ends=IN_DOUBT),  # C3b
        Cell(aim.SEND, "kill_before", ends=IN_DOUBT),  # C3b
        Cell(aim.SEND, "kill_after"),  # C4, C5
    ],
    [Cell(aim.RECORD, "kill_before"), Cell(aim.RECORD, "kill_after"), Cell(aim.STAND, "kill_after")],  # C5 C6
    [Cell(aim.FUNNEL, "kill_before"), Cell(aim.FUNNEL, "kill_after")],  # C7
]
BYSTANDERS = 2


@dataclass
class Part:
    """A cohort and the faults of its first people, one each; the others only stand by."""

    cohort: Cohort
    cells: Sequence[Cell]
    lines: list[Line] = field(default_factory=list)

    def aimed(self) -> Iterator[tuple[Cell, Someone]]:
        """Each fault and its person."""
        yield from zip(self.cells, self.cohort.people, strict=False)

    @property
    def kills(self) -> bool:
        """Whether the sender itself dies."""
        return any(cell.kind.startswith("kill") for cell in self.cells)


@dataclass
class Aftermath:
    """What was seen when all was over."""

    parts: dict[str, Part]
    books: dict[str, Books]
    first: dict[str, Books]
    """After the first mails, before the second."""
    missed: list[str]
    throttled: int
    executions: dict[str, dict[str, str]]


@pytest.fixture(scope="module")
def parts(cloud: LocalCloud, open_shop: OpenShop, conductor: Conductor) -> dict[str, Part]:
    """Every cohort, its carts left and followed, its faults planned."""
    groups = {"replies": REPLIES, "refusals": REFUSALS, "provider": PROVIDER}
    groups |= {f"kills-{n}": cells for n, cells in enumerate(KILLS, start=1)}
    sizes = {name: len(cells) + BYSTANDERS for name, cells in groups.items()} | {"storm": STORM_PEOPLE}
    found = {
        name: Part(gather(cloud, open_shop(f"faults-{name}"), size), groups.get(name, ()))
        for name, size in sizes.items()
    }
    leave_carts(part.cohort for part in found.values())
    conductor.rest()
    return found


@pytest.fixture(scope="module")
def aftermath(parts: dict[str, Part], conductor: Conductor) -> Aftermath:
    """All cohorts at once: the first mail under fire, the others in peace."""
    labels = {}
    for part in parts.values():
        for cell, one in part.aimed():
            fault = {**aim.aim(cell.call, part.cohort, one), "kind": cell.kind, "times": cell.times}
            labels[conductor.plan(**fault, seconds=cell.seconds)] = f"{part.cohort.tenant} {cell.label}"
    storm = {"service": "dynamodb", "principal": "ScenariosStep", "contains": parts["storm"].cohort.tenant}
    throttles = conductor.plan(**storm, kind="throttle", share=0.5, times=STORM_THROTTLES)
    cohorts = [part.cohort for part in parts.values()]
    conductor.sweep()
    conductor.first_mails(cohorts)
    conductor.rest()
    throttled = conductor.count(throttles)
    missed = [labels.get(fault["id"], str(fault)) for fault in conductor.missed()]
    conductor.forget()
    first = {name: part.cohort.books() for name, part in parts.items()}
    conductor.to_the_end()
    for part in parts.values():
        part.lines = [note(_title(part, cell), part.cohort, [one]) for cell, one in part.aimed()]
    storm_part = parts["storm"]
    storm_part.lines = [
        note(f"{throttled} DynamoDB calls throttled (50 %)", storm_part.cohort, storm_part.cohort.people)
    ]
    for name, part in parts.items():
        if part.kills:
            bystanders = part.cohort.people[len(part.cells) :]
            note(f"{name}: bystanders", part.cohort, bystanders)
    return Aftermath(
        parts,
        {name: part.cohort.books() for name, part in parts.items()},
        first,
        missed,
        throttled,
        {name: part.cohort.executions() for name, part in parts.items()},
    )


def _title(part: Part, cell: Cell) -> str:
    return cell.label


def test_every_planned_fault_happened(aftermath: Aftermath) -> None:
    assert aftermath.missed == []
    assert aftermath.throttled == STORM_THROTTLES


def test_nobody_was_mailed_twice(aftermath: Aftermath) -> None:
    for name, books in aftermath.books.items():
        assert books.duplicates == 0, name
