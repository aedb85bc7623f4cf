"""Nightly: some partitions of the lake become one sorted object each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shared.analytics.compact import compact
from shared.analytics.compaction import Compaction
from shared.analytics.lake import S3Objects
from shared.core.aws import client
from shared.core.settings import load


@dataclass(frozen=True)
class Settings:
    """Environment of this function."""

    lake_bucket: str


def handler(event: dict[str, Any], _context: object) -> list[dict[str, Any]]:
    """Item of the nightly machine: {"partitions": [{"table", "tenant", "value"}, …]}."""
    lake = S3Objects(load(Settings).lake_bucket, client("s3"))
    return [compact(Compaction(**partition), lake) for partition in event["partitions"]]
