"""POST|OPTIONS /v1/{call}: track, identify, page, screen, group, alias, batch of the Segment HTTP tracking API."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from shared.core.aws import client
from shared.core.clock import SystemClock
from shared.core.settings import load
from shared.core.shop import load_shop
from shared.core.telemetry import metrics
from shared.ingest.connections import SsmConnections
from shared.ingest.oversize import S3Oversize
from shared.ingest.store import DynamoEventStore
from shared.ingest.tracking.receive import TrackDeps, track_http


@dataclass(frozen=True)
class Settings:
    """Environment of this function."""

    events_table: str
    work_bucket: str
    prefix: str


@cache
def _dependencies() -> TrackDeps:
    settings = load(Settings)
    oversize = S3Oversize(client("s3"), settings.work_bucket)
    return TrackDeps(
        connections=SsmConnections(client("ssm"), settings.prefix),
        store=DynamoEventStore(client("dynamodb"), settings.events_table, oversize),
        read_shop=lambda tenant: load_shop(settings.prefix, tenant),
        count=count,
    )


def count(name: str, value: int) -> None:
    """Count into this function's metrics."""
    metrics("ingest").add_metric(name, "Count", value)


@metrics("ingest").log_metrics
def handler(event: dict[str, Any], _context: object, deps: TrackDeps | None = None) -> dict[str, Any]:
    """Answer one API Gateway HTTP API request (payload 2.0)."""
    return track_http(event, deps or _dependencies(), SystemClock().now())
