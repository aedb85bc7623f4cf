"""One batch of people at one step of a scenario; called by the scenario's state machine."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from shared.core.aws import client
from shared.core.clock import SystemClock
from shared.core.settings import load
from shared.core.telemetry import metrics
from shared.customers.store import CustomerStore
from shared.delivery.live import live_coupons, live_send_deps
from shared.scenarios.cohorts import S3CohortFiles
from shared.scenarios.step import StepDeps, run_step
from shared.scenarios.store import DynamoEnrolmentStore
from shared.scenarios.tags import live_tags


@dataclass(frozen=True)
class Settings:
    """Environment of this function."""

    scenarios_table: str
    events_table: str
    customers_table: str
    deliveries_table: str
    work_bucket: str
    lake_bucket: str
    configuration_set: str
    keys_secret: str
    prefix: str


@cache
def _dependencies() -> StepDeps:
    at = load(Settings)
    people = CustomerStore(at.customers_table)
    return StepDeps(
        DynamoEnrolmentStore(at.scenarios_table),
        S3CohortFiles(at.work_bucket, client("s3")),
        people.person,
        live_send_deps(
            at.deliveries_table, people, at.keys_secret, at.configuration_set, at.prefix, at.work_bucket, at.lake_bucket
        ),
        SystemClock(),
        tag=live_tags(at.events_table),
        coupons=live_coupons(at.deliveries_table, at.prefix),
        count=lambda name, value: metrics("delivery").add_metric(name, "Count", value),
    )


@metrics("delivery").log_metrics
def handler(event: dict[str, Any], _context: object, deps: StepDeps | None = None) -> dict[str, Any]:
    """See `shared.scenarios.step`."""
    return run_step(event, deps or _dependencies())
