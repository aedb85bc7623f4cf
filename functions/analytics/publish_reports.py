"""Nightly: small results for the widgets, and the record of the run."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shared.analytics.lake import S3Objects
from shared.analytics.publish import publish
from shared.analytics.reports import ReportStore
from shared.core.aws import client
from shared.core.clock import SystemClock
from shared.core.settings import load
from shared.core.telemetry import logger


@dataclass(frozen=True)
class Settings:
    """Environment of this function."""

    lake_bucket: str
    reports_table: str


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Last state of a night: {"night", "applied", "catalog"} → {"as_of", "state", "failed"}."""
    settings = load(Settings)
    lake = S3Objects(settings.lake_bucket, client("s3"))
    result = publish(event, lake, ReportStore(settings.reports_table), SystemClock().now())
    logger("analytics").info("nightly run ended", extra=result)
    return result
