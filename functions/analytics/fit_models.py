"""Nightly: fit the purchase models to the groups Athena counted, test them, predict for every group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shared.analytics.lake import S3Objects
from shared.analytics.modelling import fit
from shared.analytics.reports import ReportStore
from shared.core.aws import client
from shared.core.clock import SystemClock
from shared.core.settings import load
from shared.core.telemetry import logger


@dataclass(frozen=True)
class Settings:
    """Environment of this function."""

    work_bucket: str
    reports_table: str


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Step of the nightly machine: {"tenant", "as_of", "name", "inputs"} → {"key", "rows", "model", …}."""
    settings = load(Settings)
    work = S3Objects(settings.work_bucket, client("s3"))
    result = fit(event, work, ReportStore(settings.reports_table), SystemClock().now())
    logger("analytics").info("models fitted", extra=result)
    return result
