"""Nightly: which analyses can run next, and their SQL."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shared.analytics.lake import S3Objects
from shared.analytics.nights import plan_stage
from shared.analytics.reports import ReportStore
from shared.analytics.segments.store import SegmentStore
from shared.core.aws import client
from shared.core.clock import SystemClock
from shared.core.ids import TenantId
from shared.core.settings import load
from shared.core.shop import load_shop


@dataclass(frozen=True)
class Settings:
    """Environment of this function."""

    lake_bucket: str
    reports_table: str
    prefix: str


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """Before every stage: {"night", "results", "catalog"} → the night with its next queries."""
    settings = load(Settings)
    return plan_stage(
        event,
        load_shop(settings.prefix, TenantId(event["night"]["tenant"])),
        S3Objects(settings.lake_bucket, client("s3")),
        ReportStore(settings.reports_table),
        SystemClock().now(),
        SegmentStore(settings.reports_table),
    )
