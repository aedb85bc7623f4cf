"""02:00: one nightly execution per shop."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from shared.analytics.nights import list_shops, start_nights
from shared.core.aws import client
from shared.core.clock import SystemClock
from shared.core.settings import load


@dataclass(frozen=True)
class Settings:
    """Environment of this function."""

    nightly_machine: str
    prefix: str


def handler(_event: dict[str, Any], _context: object) -> dict[str, int]:
    """The schedule's target; starting twice on one day is starting once."""
    settings = load(Settings)
    shops = list_shops(client("ssm"), settings.prefix)
    return {"started": start_nights(client("stepfunctions"), settings.nightly_machine, shops, SystemClock().now())}
