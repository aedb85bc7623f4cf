"""Customers stream → Parquet: every state an order was ever in."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import Any

from shared.analytics.archive import archive_states
from shared.analytics.lake import S3Objects
from shared.core.aws import client
from shared.core.settings import load
from shared.core.shop import load_shop
from shared.core.telemetry import logger
from shared.customers.store import CustomerStore


@dataclass(frozen=True)
class Settings:
    """Environment of this function."""

    lake_bucket: str
    customers_table: str
    prefix: str


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """One batch of the stream; what cannot be read is retried, then set aside."""
    settings = load(Settings)
    archived = archive_states(
        event["Records"],
        S3Objects(settings.lake_bucket, client("s3")),
        partial(load_shop, settings.prefix),
        CustomerStore(settings.customers_table),
    )
    logger("analytics").info("archived order states", extra=archived.log())
    return archived.response()
