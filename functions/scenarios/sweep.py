"""Every few minutes: collect who is due in one scenario, and start its machine."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from shared.core.aws import client
from shared.core.clock import SystemClock
from shared.core.ids import ScenarioId
from shared.core.settings import load
from shared.core.shop import list_shop_ids
from shared.core.telemetry import logger
from shared.customers.store import CustomerStore
from shared.scenarios.cohorts import S3CohortFiles
from shared.scenarios.machines import StepFunctions
from shared.scenarios.store import DynamoEnrolmentStore
from shared.scenarios.sweep import SweepDeps, sweep


@dataclass(frozen=True)
class Settings:
    """Environment of this function."""

    scenarios_table: str
    customers_table: str
    work_bucket: str
    machine_prefix: str
    prefix: str


@cache
def _dependencies() -> SweepDeps:
    settings = load(Settings)
    return SweepDeps(
        enrolments=DynamoEnrolmentStore(settings.scenarios_table),
        files=S3CohortFiles(settings.work_bucket, client("s3")),
        machines=StepFunctions(settings.machine_prefix, client("stepfunctions")),
        tenants=partial(list_shop_ids, settings.prefix),
        person=CustomerStore(settings.customers_table).person,
    )


def handler(event: dict[str, Any], _context: object, deps: SweepDeps | None = None) -> dict[str, int]:
    """`{"scenario": id}` from the schedule; people handed over, by shop."""
    started = sweep(ScenarioId(event["scenario"]), deps or _dependencies(), SystemClock().now())
    if started:
        logger("scenarios").info("swept", extra={"scenario": event["scenario"], "people": started})
    return started
