"""Nightly: one slice of what was found of people into the live state."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from shared.analytics.lake import S3Objects
from shared.analytics.scores import Slice, apply
from shared.core.aws import client
from shared.core.ids import TenantId
from shared.core.settings import load
from shared.customers.store import CustomerStore


@dataclass(frozen=True)
class Settings:
    """Environment of this function."""

    lake_bucket: str
    customers_table: str


def handler(event: dict[str, Any], _context: object) -> dict[str, int]:
    """Item of the nightly machine: {"tenant", "as_of", "slice", "comparable"} → {"changed", "written"}."""
    settings = load(Settings)
    return apply(
        S3Objects(settings.lake_bucket, client("s3")),
        TenantId(event["tenant"]),
        date.fromisoformat(event["as_of"]),
        Slice(**event["slice"]),
        CustomerStore(settings.customers_table),
        event["comparable"],
    )
