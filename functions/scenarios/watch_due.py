"""Every 15 minutes: is anybody due whom no sweep collected? The alarm's own look, apart from the sweeps."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from shared.core.clock import SystemClock
from shared.core.settings import load
from shared.core.shop import list_shop_ids
from shared.core.telemetry import logger, tell
from shared.scenarios.store import DynamoEnrolmentStore
from shared.scenarios.watchdog import WatchDeps, overdue, parse_sweeps


@dataclass(frozen=True)
class Settings:
    """Environment of this function."""

    scenarios_table: str
    sweeps: str
    prefix: str


@cache
def _dependencies() -> WatchDeps:
    settings = load(Settings)
    return WatchDeps(
        enrolments=DynamoEnrolmentStore(settings.scenarios_table),
        tenants=partial(list_shop_ids, settings.prefix),
        sweeps=parse_sweeps(settings.sweeps),
    )


def handler(_event: dict[str, Any], _context: object, deps: WatchDeps | None = None) -> dict[str, int]:
    """People overdue, by shop and scenario."""
    found = overdue(deps or _dependencies(), SystemClock().now())
    tell("delivery", "SendsOverdue", sum(found.values()))
    if found:
        logger("scenarios").error("due and not collected", extra={"overdue": found})
    return found
