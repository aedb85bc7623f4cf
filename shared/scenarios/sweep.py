"""Collects who is due (スイープ): a cohort file, then one named execution per shop, scenario and minute.

Safe to die anywhere and to run twice: nobody is marked here. Files are written once under a name that depends on
their content, the execution's name makes it one per minute, and whom an execution may have is decided by the claim in
its first step. Whoever is not claimed stays due and is found by the next sweep.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from shared.core.clock import to_iso
from shared.core.errors import MatakiteError
from shared.core.ids import CustomerId, ScenarioId, TenantId
from shared.customers.model import PersonState
from shared.scenarios import rules
from shared.scenarios.cohorts import FOLDER, CohortFiles, write_cohort
from shared.scenarios.enrolment import Enrolment
from shared.scenarios.machines import Machines
from shared.scenarios.store import EnrolmentStore, evenly

BATCH_SIZE = 50
"""People per Lambda call of a step."""
LIMIT = 100_000
"""People per execution; more wait for the next sweep."""
_LOOKS_AT_ONCE = 8


@dataclass(frozen=True)
class SweepDeps:
    """The ports of a sweep."""

    enrolments: EnrolmentStore
    files: CohortFiles
    machines: Machines
    tenants: Callable[[], Iterable[TenantId]]
    batch_size: int = BATCH_SIZE
    limit: int = LIMIT
    person: Callable[[TenantId, CustomerId], PersonState | None] = lambda _tenant, _customer: None
    """Saves executions for those who have touched their cart again; the first step looks once more."""


def sweep(scenario: ScenarioId, deps: SweepDeps, now: datetime) -> dict[str, int]:
    """Start what is due in every shop; people handed over, by shop.

    One shop's trouble does not stop the others; the first error is raised when all had their turn.
    """
    started: dict[str, int] = {}
    errors: list[MatakiteError] = []
    for tenant in deps.tenants():
        try:
            if people := _sweep_shop(tenant, scenario, deps, now):
                started[tenant] = people
        except MatakiteError as error:
            errors.append(error)
    if errors:
        raise errors[0]
    return started


def _sweep_shop(tenant: TenantId, scenario: ScenarioId, deps: SweepDeps, now: datetime) -> int:
    due = _still_due(deps.enrolments.due(tenant, scenario, now, deps.limit), deps, now)
    if not due or deps.enrolments.paused(tenant, scenario):
        return 0
    return start_cohort(evenly(due), execution_name(tenant, scenario, now), now, deps)


def start_cohort(people: Sequence[Enrolment], execution: str, at: datetime, deps: SweepDeps) -> int:
    """Start an execution over these people of one scenario, whose schedule begins at `at`; 0: it was started before."""
    tenant, scenario = people[0].tenant, people[0].scenario
    folder = f"{FOLDER}{tenant}/{scenario}/{execution}"
    cohort = write_cohort(deps.files, folder, [enrolment.member for enrolment in people], deps.batch_size)
    began = to_iso(at)
    document = {
        "tenant": tenant,
        "execution": execution,
        "scheduled_at": began,
        "arrived_at": began,
        "cohort": {"bucket": deps.files.bucket, **asdict(cohort)},
    }
    return cohort.size if deps.machines.start(scenario, execution, document) else 0


def _still_due(due: Sequence[Enrolment], deps: SweepDeps, now: datetime) -> list[Enrolment]:
    """Without those who went on shopping: they become due after their last touch.

    Who is here for anything but a cart is not looked up: of a crowd of 100,000 that would outlast the function.
    """
    if not due:
        return []

    def put_off(enrolment: Enrolment) -> bool:
        if not enrolment.instance.is_cart:
            return False
        person = deps.person(enrolment.tenant, enrolment.customer_id)
        later = rules.put_off(enrolment, person) if person else None
        return later is not None and deps.enrolments.arm(later) and not rules.is_due(later, now)

    with ThreadPoolExecutor(_LOOKS_AT_ONCE) as pool:
        return [each for each, later in zip(due, pool.map(put_off, due), strict=True) if not later]


LONGEST_NAME = 80
"""What Step Functions takes as the name of an execution; a shop and a scenario of the longest names come to 78."""


def execution_name(tenant: TenantId, scenario: ScenarioId, at: datetime) -> str:
    """`shop-cart_abandoned-20261121T1935`: one per shop, scenario and minute (UTC)."""
    return f"{tenant}-{scenario}-{at.astimezone(UTC):%Y%m%dT%H%M}"
