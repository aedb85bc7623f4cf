"""Nightly: which nights of a shop are due, and which partitions of its lake want compacting."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shared.analytics.lake import S3Objects
from shared.analytics.nights import plan_nights
from shared.analytics.reports import ReportStore
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
    """First state of the nightly machine: {"tenant"} or {"tenant", "as_of"}."""
    settings = load(Settings)
    return plan_nights(
        load_shop(settings.prefix, TenantId(event["tenant"])),
        event.get("as_of"),
        S3Objects(settings.lake_bucket, client("s3")),
        ReportStore(settings.reports_table),
        SystemClock().now(),
    )
