"""People inside a scenario move to its new version (版の移行): each to the step that is called what theirs is called.

Those who entered together go on together, in an execution of the new version that begins when they began. What they
have been through is passed without waiting: a wait is over that was over (`compile._left`), and the ledger answers for
what was sent; what the new version would have sent them long ago has become too late. So they come to where they were,
and go on from there by the new version, at its times. Whoever stands at a step that the new version does not have stays
with the old one.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime

from shared.core.ids import digest
from shared.scenarios.enrolment import Enrolment, EnrolmentState
from shared.scenarios.language.steps import Couponing, Tagging, step_kind, step_name, walk
from shared.scenarios.model import Scenario
from shared.scenarios.step import MOVED
from shared.scenarios.sweep import LONGEST_NAME, SweepDeps, execution_name, start_cohort


@dataclass(frozen=True, slots=True)
class Moved:
    """What became of the people inside by other versions."""

    moved: int
    stayed: int
    """At a step that the new version does not have, or gone meanwhile."""


def movable(people: Iterable[Enrolment], scenario: Scenario) -> tuple[list[Enrolment], list[Enrolment]]:
    """Of those inside by other versions: who can go on by this one, and who stays."""
    steps = {_recorded(step) for step in walk(scenario.steps)} | {""}
    inside = [e for e in people if e.state is EnrolmentState.ENTERED and e.version != scenario.version]
    return [each for each in inside if each.step in steps], [each for each in inside if each.step not in steps]


def _recorded(step: object) -> str:
    """What a person's record calls a step they have done."""
    name = step_name(step)  # type: ignore[arg-type]
    return f"{step_kind(step)} {name}" if isinstance(step, Tagging | Couponing) else name


def move(scenario: Scenario, people: Callable[[], Iterable[Enrolment]], deps: SweepDeps, now: datetime) -> Moved:
    """Move whom it can. The machine that runs must be of the new version.

    Safe to die and to repeat: people are given to their new execution first, and whatever execution people were given
    to is started, if it was not.
    """
    moving, staying = movable(people(), scenario)
    given = [each for each in moving if deps.enrolments.move(each, moved_execution(each, now), scenario.version)]
    groups: dict[str, list[Enrolment]] = {}
    for each in people():
        here = each.state is EnrolmentState.ENTERED and each.version == scenario.version
        if here and each.execution.endswith(MOVED):
            groups.setdefault(each.execution, []).append(each)
    for execution, together in groups.items():
        began = together[0].entered_at or now
        start_cohort(together, execution, began, deps)
    return Moved(len(given), len(staying) + len(moving) - len(given))


def moved_execution(enrolment: Enrolment, now: datetime) -> str:
    """Of those who entered together and are moved together."""
    began = execution_name(enrolment.tenant, enrolment.scenario, enrolment.entered_at or now)
    ends = f"-{digest(enrolment.execution, f'{now:%Y%m%dT%H%M}')[:8]}{MOVED}"
    return f"{began[: LONGEST_NAME - len(ends)]}{ends}"
