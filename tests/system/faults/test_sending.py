"""Kill the deployed sender at every step of the ledger protocol, and lose the reply of every call it makes.

Real Lambda processes, tables, machines and mails; the faults are aimed at one person's call each, in cohorts of
several people, all at once. Nobody gets a mail twice, nobody is lost without a record (I1, I2).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import timedelta

import pytest

from infra.cli.session import Deployment
from infra.local.lifecycle import LocalCloud
from shared.core.ids import SendId
from shared.delivery.model import Reason, SendState
from shared.scenarios.enrolment import EnrolmentState
from tests.system.faults import aim
from tests.system.faults.aim import SDK_ATTEMPTS
from tests.system.faults.cohort import FIRST, Books, Cohort, Someone, gather, leave_carts
from tests.system.faults.conductor import Conductor, note

SENT = frozenset({SendState.SENT})
IN_DOUBT = frozenset({SendState.UNKNOWN})
STORM_PEOPLE, STORM_THROTTLES = 30, 80


@dataclass(frozen=True)
class Cell:
    """One fault at one call of one person, and where that person's first mail must end."""

    call: str
    kind: str
    times: int = 1
    skip: int = 0
    ends: frozenset[SendState] = SENT
    seconds: float = 60

    @property
    def label(self) -> str:
        """As it stands in the table."""
        return f"{self.call}: {self.kind.replace('_', ' ')}" + (f" x{self.times}" if self.times > 1 else "")


DYNAMO_CALLS = (aim.READ, aim.CONTACT, aim.RESERVE, aim.CLAIM, aim.MARK, aim.RECORD, aim.STAND)

LOST = [
    Cell(aim.SEND, "hang", seconds=15),
    *(Cell(call, "lose_reply", SDK_ATTEMPTS) for call in DYNAMO_CALLS),
    *(Cell(call, "lose_reply") for call in (aim.ENTER, aim.CLAIM, aim.FUNNEL)),
    # SES has it, and says so in its events: settled.
    Cell(aim.SEND, "lose_reply"),
    Cell(aim.SEND, "error_500_after"),
]
REFUSED = [
    *(Cell(call, "error_500_before", SDK_ATTEMPTS) for call in DYNAMO_CALLS),
    *(Cell(call, "throttle") for call in (aim.ENTER, aim.MARK, aim.FUNNEL)),
    Cell(aim.CLAIM, "error_500_after"),
    Cell(aim.SEND, "throttle", 2),
    # SES never saw it, and nobody can know: in doubt for ever, never sent again.
    Cell(aim.SEND, "error_500_before", ends=IN_DOUBT),
]
KILLS = {
    "C0": Cell(aim.RESERVE, "kill_before"),
    "C0-entered": Cell(aim.ENTER, "kill_after"),
    "C1": Cell(aim.RESERVE, "kill_after"),
    "C2": Cell(aim.READ, "kill_before", skip=1),
    "C3": Cell(aim.READ, "kill_after", skip=1),
    "C3-claimed": Cell(aim.CLAIM, "kill_after"),
    "C3-mark": Cell(aim.MARK, "kill_before"),
    "C3b": Cell(aim.MARK, "kill_after", ends=IN_DOUBT),
    "C3b-call": Cell(aim.SEND, "kill_before", ends=IN_DOUBT),
    "C4": Cell(aim.SEND, "kill_after"),
    "C5": Cell(aim.RECORD, "kill_before"),
    "C6": Cell(aim.RECORD, "kill_after"),
    "C7": Cell(aim.STAND, "kill_after"),
    "C7-counted": Cell(aim.FUNNEL, "kill_after"),
}
"""One kill per cohort: it takes the neighbours along, wherever they are, and they must come through it too."""
KILLED: dict[str, Sequence[Cell]] = {f"kill-{point.lower()}": [cell] for point, cell in KILLS.items()}
GROUPS: dict[str, Sequence[Cell]] = {"calls-lost": LOST, "calls-refused": REFUSED, **KILLED}
STORM = "calls-throttled"
EVERYBODY = [*GROUPS, STORM]
CAPPED = {STORM, *KILLED}
"""Shops that allow one mail a week: whatever happened to the first, it keeps its slot, and the others are held back."""
BYSTANDERS = 2


@dataclass(frozen=True)
class Part:
    """A cohort and the faults of its first people, one each; the others only stand by."""

    cohort: Cohort
    cells: Sequence[Cell]

    def aimed(self) -> Iterator[tuple[Cell, Someone]]:
        """Each fault and its person."""
        yield from zip(self.cells, self.cohort.people, strict=False)


@dataclass(frozen=True)
class Aftermath:
    """What was seen when all was over."""

    parts: Mapping[str, Part]
    first: Mapping[str, Books]
    """After the first mails, before the second."""
    books: Mapping[str, Books]
    """At the end."""
    left: Mapping[SendId, SendState]
    """How far the attempts that died had come: RESERVED (nothing was sent), or SENDING (nobody knows)."""
    missed: Sequence[str]
    """Planned faults that never happened."""
    throttled: int
    executions: Mapping[str, Mapping[str, str]]


@pytest.fixture(scope="module")
def parts(cloud: LocalCloud, deployment: Deployment, conductor: Conductor) -> Mapping[str, Part]:
    """Every cohort, its carts left and followed."""
    found = {}
    for name in EVERYBODY:
        cells = GROUPS.get(name, ())
        people = STORM_PEOPLE if name == STORM else len(cells) + (BYSTANDERS if name in KILLED else 0)
        cap = 1 if name in CAPPED else 4
        found[name] = Part(gather(cloud, deployment, name, people, cap_per_week=cap), cells)
    leave_carts(part.cohort for part in found.values())
    conductor.rest()
    return found


@pytest.fixture(scope="module")
def aftermath(parts: Mapping[str, Part], conductor: Conductor) -> Aftermath:
    """All cohorts at once: the first mail under fire, the others in peace."""
    labels = {
        conductor.plan(
            **aim.aim(cell.call, part.cohort, one),
            kind=cell.kind,
            times=cell.times,
            skip=cell.skip,
            seconds=cell.seconds,
        ): f"{part.cohort.tenant}: {cell.label}"
        for part in parts.values()
        for cell, one in part.aimed()
    }
    storm = parts[STORM].cohort
    throttles = conductor.plan(
        service="dynamodb",
        principal="ScenariosStep",
        contains=storm.tenant,
        kind="throttle",
        share=0.5,
        times=STORM_THROTTLES,
    )
    conductor.sweep()
    left = conductor.first_mails([part.cohort for part in parts.values()])
    conductor.rest()
    first = _books(parts)
    throttled = conductor.count(throttles)
    missed = [labels.get(fault["id"], str(fault)) for fault in conductor.missed()]
    conductor.forget()
    conductor.to_the_end()
    books = _books(parts)
    for name, part in parts.items():
        for cell, one in part.aimed():
            note(cell.label, (part.cohort, books[name], [one]))
    stood_by = ((parts[name].cohort, books[name], parts[name].cohort.people[1:]) for name in KILLED)
    note("kills: who stood by", *stood_by)
    note(f"{throttled} DynamoDB calls throttled, one in two", (storm, books[STORM], storm.people))
    executions = {name: part.cohort.executions() for name, part in parts.items()}
    return Aftermath(parts, first, books, left, missed, throttled, executions)


def _books(parts: Mapping[str, Part]) -> dict[str, Books]:
    with ThreadPoolExecutor(4) as pool:
        return dict(zip(parts, pool.map(lambda part: part.cohort.books(), parts.values()), strict=True))


def test_every_planned_fault_happened(aftermath: Aftermath) -> None:
    assert aftermath.missed == []
    assert aftermath.throttled == STORM_THROTTLES


def test_no_mail_left_twice(aftermath: Aftermath) -> None:
    assert {name: books.duplicates for name, books in aftermath.books.items() if books.duplicates} == {}


@pytest.mark.parametrize("name", EVERYBODY)
def test_everybody_has_one_final_row_for_the_first_mail(aftermath: Aftermath, name: str) -> None:
    cohort, rows = aftermath.parts[name].cohort, aftermath.books[name].at(FIRST)
    assert Counter(row.send_id for row in rows) == Counter(cohort.send(one) for one in cohort.people)
    assert {row.state for row in rows} <= {SendState.SENT, SendState.UNKNOWN}


@pytest.mark.parametrize("name", EVERYBODY)
def test_what_the_ledger_says_is_what_ses_has(aftermath: Aftermath, name: str) -> None:
    books = aftermath.books[name]
    assert {row.send_id for row in books.rows if row.state is SendState.SENT} == set(books.mails)


@pytest.mark.parametrize("name", EVERYBODY)
def test_due_is_sent_and_held_back_and_unknown(aftermath: Aftermath, name: str) -> None:
    books = aftermath.books[name]
    sends = [row for row in books.funnel if row.step.startswith("mail")]
    assert all(row.due == sum(row.counts.values()) for row in sends)
    assert sum(row.due for row in sends) == len(books.rows)
    assert sum(row.due for row in sends if row.step == FIRST) == len(aftermath.parts[name].cohort.people)


@pytest.mark.parametrize("name", sorted(CAPPED))
def test_the_slot_of_the_first_mail_is_kept(aftermath: Aftermath, name: str) -> None:
    """I6: a slot lost on the way would let a second mail through."""
    later = [row for row in aftermath.books[name].rows if row.step != FIRST]
    assert {(row.state, row.reason) for row in later} == {(SendState.SUPPRESSED, Reason.FREQUENCY_CAP)}
    assert len(later) == 2 * len(aftermath.parts[name].cohort.people)


@pytest.mark.parametrize("name", EVERYBODY)
def test_the_machine_came_to_its_end(aftermath: Aftermath, name: str) -> None:
    assert list(aftermath.executions[name].values()) == ["SUCCEEDED"]
    standing = aftermath.parts[name].cohort.standing().values()
    assert {enrolment.state for enrolment in standing} == {EnrolmentState.FINISHED}


@pytest.mark.parametrize("name", EVERYBODY)
def test_only_who_was_at_the_provider_is_in_doubt(aftermath: Aftermath, name: str) -> None:
    """C3b to C5: the attempt died, or lost the answer, between the mark and the record."""
    part = aftermath.parts[name]
    doubtful = {row.send_id for row in aftermath.books[name].rows if row.state is SendState.UNKNOWN}
    at_provider = {send for send, state in aftermath.left.items() if state is SendState.SENDING}
    unanswered = {part.cohort.send(one) for cell, one in part.aimed() if cell.call == aim.SEND}
    assert doubtful <= at_provider | unanswered


@pytest.mark.parametrize("name", GROUPS)
def test_each_fault_ends_as_the_protocol_says(aftermath: Aftermath, name: str) -> None:
    part, rows = aftermath.parts[name], {row.send_id: row for row in aftermath.books[name].rows}
    for cell, one in part.aimed():
        state, send = rows[part.cohort.send(one)].state, part.cohort.send(one)
        # A neighbour's kill may have met this person, too, at a moment of its own.
        met = IN_DOUBT if aftermath.left.get(send) is SendState.SENDING else frozenset[SendState]()
        assert state in cell.ends | met, cell.label


def test_ses_itself_settles_what_it_accepted(aftermath: Aftermath) -> None:
    """The answer was lost, SES's Send event was not: SENT by its word, before any reconciler looks."""
    part, books = aftermath.parts["calls-lost"], aftermath.first["calls-lost"]
    lost = [one for cell, one in part.aimed() if cell.call == aim.SEND]
    rows = {row.send_id: row for row in books.at(FIRST)}
    assert len(lost) == 3
    for one in lost:
        row = rows[part.cohort.send(one)]
        assert (row.state, row.unresolved_since) == (SendState.SENT, None)
        assert row.message_id


def test_what_ses_never_saw_stays_in_doubt_and_is_never_sent_again(aftermath: Aftermath, conductor: Conductor) -> None:
    part = aftermath.parts["calls-refused"]
    (one,) = [one for cell, one in part.aimed() if cell.ends == IN_DOUBT]
    part.cohort.let_doubts_age(timedelta(minutes=16))
    assert conductor.reconcile()["unresolved"] >= 1
    books = part.cohort.books()
    (row,) = [row for row in books.at(FIRST) if row.send_id == part.cohort.send(one)]
    assert (row.state, row.reason) == (SendState.UNKNOWN, Reason.AMBIGUOUS)
    assert books.mails[row.send_id] == 0
    (funnel,) = [row for row in books.funnel if row.step == FIRST]
    assert funnel.counts[Reason.AMBIGUOUS] >= 1
    assert conductor.reconcile()["resent"] == 0
    assert part.cohort.books().mails == books.mails
