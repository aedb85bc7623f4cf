"""Nightly: the people of whom something new was found, cut into slices for one call each."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shared.analytics.lake import S3Objects
from shared.analytics.nightly import parse_night
from shared.analytics.scores import write_back
from shared.core.aws import client
from shared.core.settings import load


@dataclass(frozen=True)
class Settings:
    """Environment of this function."""

    lake_bucket: str


def handler(event: dict[str, Any], _context: object) -> dict[str, Any]:
    """The night of the machine → {"slices", "comparable"}."""
    return write_back(S3Objects(load(Settings).lake_bucket, client("s3")), parse_night(event))
