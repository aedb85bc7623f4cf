"""One chunk of imported history: into the live state and into the lake."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shared.analytics.history import HistoryDeps, load_chunk
from shared.analytics.lake import S3Objects
from shared.core.aws import client
from shared.core.clock import SystemClock
from shared.core.ids import TenantId
from shared.core.keys import load_key_ring
from shared.core.settings import load
from shared.core.shop import load_shop
from shared.customers.store import CustomerStore


@dataclass(frozen=True)
class Settings:
    """Environment of this function."""

    lake_bucket: str
    work_bucket: str
    customers_table: str
    keys_secret: str
    prefix: str


def handler(event: dict[str, Any], _context: object) -> dict[str, int]:
    """Item of the import machine: {"tenant", "import_id", "bucket", "key"} → {"orders", "changed"}."""
    settings = load(Settings)
    deps = HistoryDeps(
        lake=S3Objects(settings.lake_bucket, client("s3")),
        work=S3Objects(settings.work_bucket, client("s3")),
        customers=CustomerStore(settings.customers_table),
        keys=load_key_ring(settings.keys_secret),
        shop=load_shop(settings.prefix, TenantId(event["tenant"])),
        clock=SystemClock(),
    )
    return load_chunk(event["import_id"], event["key"], deps)
