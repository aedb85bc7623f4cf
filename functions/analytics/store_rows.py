"""Nightly: rows that a function made, from packed columns in the work bucket into the lake as Parquet."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shared.analytics.lake import S3Objects
from shared.analytics.stored_rows import store
from shared.core.aws import client
from shared.core.settings import load


@dataclass(frozen=True)
class Settings:
    """Environment of this function."""

    work_bucket: str
    lake_bucket: str


def handler(event: dict[str, Any], _context: object) -> dict[str, int]:
    """Step of the nightly machine: {"tenant", "as_of", "name", "key", "columns"} → {"rows"}."""
    settings = load(Settings)
    s3 = client("s3")
    return store(event, S3Objects(settings.work_bucket, s3), S3Objects(settings.lake_bucket, s3))
