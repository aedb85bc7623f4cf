"""Events stream → Parquet: the lake's one history of everything that happened."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from shared.analytics.archive import archive_events
from shared.analytics.lake import S3Objects
from shared.core.aws import client
from shared.core.keys import load_key_ring
from shared.core.settings import load
from shared.core.shop import load_shop
from shared.core.telemetry import logger
from shared.ingest.oversize import S3Oversize


@dataclass(frozen=True)
class Settings:
    """Environment of this function."""

    lake_bucket: str
    work_bucket: str
    keys_secret: str
    prefix: str


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """One batch of the stream; what cannot be read is retried, then set aside."""
    settings = load(Settings)
    archived = archive_events(
        event["Records"],
        S3Objects(settings.lake_bucket, client("s3")),
        load_key_ring(settings.keys_secret),
        partial(load_shop, settings.prefix),
        S3Oversize(client("s3"), settings.work_bucket),
    )
    logger("analytics").info("archived events", extra=archived.log())
    return archived.response()
