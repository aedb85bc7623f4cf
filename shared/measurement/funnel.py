"""シナリオファネル: of everyone a send considered, who was sent to and who was held back, balanced to the unit.

    due = sent + held back (by reason) + unknown + put aside + in flight

`due` is how many people the batch had in hand before anything was decided; the right side is what was recorded of
them afterwards. They are counted apart, so an imbalance is somebody of whom nothing is recorded.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import reduce

from shared.delivery.model import Reason, SendState
from shared.scenarios.enrolment import FunnelRow

WAITING = "waiting"
FAILED = "failed"
"""Words the scenario step counts besides `sent` and the reasons; a test holds them to `shared.scenarios.step`, which a
widget is too small a function to import.
"""

_REASONS = {str(reason): reason for reason in Reason if reason not in (Reason.NONE, Reason.AMBIGUOUS)}
_UNKNOWN = frozenset({str(SendState.UNKNOWN), str(Reason.AMBIGUOUS)})
_WORDS = frozenset({str(SendState.SENT), WAITING, FAILED}) | _UNKNOWN | frozenset(_REASONS)


@dataclass(frozen=True, slots=True)
class StepFunnel:
    """One send of a scenario, or several added up."""

    due: int = 0
    sent: int = 0
    held: Mapping[Reason, int] = field(default_factory=dict)
    """Held back for good, by the single reason; most frequent first."""
    unknown: int = 0
    """The provider may or may not have accepted it; settled later from its own events."""
    put_aside: int = 0
    """The step kept breaking on them: taken out so that the others could go on."""
    in_flight: int = 0
    """Waiting to be tried again: night, or a busy provider."""

    @property
    def held_back(self) -> int:
        """Everyone held back, whatever the reason."""
        return sum(self.held.values())

    @property
    def missing(self) -> int:
        """People due of whom no outcome is recorded; negative when more outcomes than people."""
        return self.due - self.sent - self.held_back - self.unknown - self.put_aside - self.in_flight

    @property
    def balanced(self) -> bool:
        """Due = sent + held back + unknown + put aside + in flight, to the unit."""
        return self.missing == 0

    def __add__(self, other: StepFunnel) -> StepFunnel:
        return StepFunnel(
            due=self.due + other.due,
            sent=self.sent + other.sent,
            held=dict((Counter(self.held) + Counter(other.held)).most_common()),
            unknown=self.unknown + other.unknown,
            put_aside=self.put_aside + other.put_aside,
            in_flight=self.in_flight + other.in_flight,
        )


@dataclass(frozen=True, slots=True)
class Funnel:
    """One scenario: its sends in order."""

    scenario: str
    steps: Mapping[str, StepFunnel]

    @property
    def total(self) -> StepFunnel:
        """The whole scenario. A person due at three sends counts three times: three decisions were made."""
        return reduce(StepFunnel.__add__, self.steps.values(), StepFunnel())


def funnel(scenario: str, sends: Sequence[str], rows: Iterable[FunnelRow]) -> Funnel:
    """The funnel of a scenario from what its batches recorded. `sends` are its send steps, in order.

    Steps that send nothing (entry, branches, exits) are left out; a send of an earlier version of the file, whose
    name is no longer in it, comes last.
    """
    steps = {send: StepFunnel() for send in sends}
    for row in rows:
        if row.step in steps or set(row.counts) <= _WORDS:
            steps[row.step] = steps.get(row.step, StepFunnel()) + of_batch(row)
    return Funnel(scenario, {name: step for name, step in steps.items() if step.due or step.missing})


def of_batch(row: FunnelRow) -> StepFunnel:
    """What one batch of a send met. A word we do not know counts as held back without a reason, never as nothing."""
    held: Counter[Reason] = Counter()
    for word, people in row.counts.items():
        if word in _REASONS or word not in _WORDS:
            held[_REASONS.get(word, Reason.NONE)] += people
    return StepFunnel(
        due=row.due,
        sent=row.counts.get(str(SendState.SENT), 0),
        held=dict(held.most_common()),
        unknown=sum(row.counts.get(word, 0) for word in _UNKNOWN),
        put_aside=row.counts.get(FAILED, 0),
        in_flight=row.counts.get(WAITING, 0),
    )
