"""Due and not collected (配信漏れの監視): the count that wakes somebody when nothing else would.

A sweep that does not run raises no error. This looks at the due index by another schedule and knows nothing of sweeps
but how often each should come: as often it looks at a scenario, and once an hour at least.
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import product

from shared.core.errors import RejectedError
from shared.core.ids import ScenarioId, TenantId
from shared.scenarios.store import EnrolmentStore

PATIENCE = timedelta(minutes=30)
"""Beyond the time between two sweeps: a sweep may fail and be tried again."""

RUN, LONGEST = timedelta(minutes=15), timedelta(hours=1)
"""How often it runs (infra/scenarios.py), and the longest between two looks at a scenario: the alarm's period."""

LIMIT = 1_000
"""Counted per shop and scenario at most; the alarm asks whether there is anybody."""
_LOOKS_AT_ONCE = 8
"""A look is a query of every shard of the due index."""


@dataclass(frozen=True)
class WatchDeps:
    """The ports of the watchdog."""

    enrolments: EnrolmentStore
    tenants: Callable[[], Iterable[TenantId]]
    sweeps: Mapping[ScenarioId, timedelta]
    """Every scenario that is swept, and how often."""


def overdue(deps: WatchDeps, now: datetime) -> dict[str, int]:
    """People who should have been collected by now, by `shop scenario`; a paused scenario waits on purpose."""

    def late(place: tuple[TenantId, ScenarioId]) -> int:
        found = deps.enrolments.due(*place, now - deps.sweeps[place[1]] - PATIENCE, LIMIT)
        return len(found) if found and not deps.enrolments.paused(*place) else 0

    turn = [scenario for scenario, every in deps.sweeps.items() if is_turn(scenario, every, now)]
    places = list(product(deps.tenants(), turn))
    with ThreadPoolExecutor(_LOOKS_AT_ONCE) as pool:
        counted = zip(places, pool.map(late, places), strict=True)
        return {f"{tenant} {scenario}": number for (tenant, scenario), number in counted if number}


def is_turn(scenario: ScenarioId, every: timedelta, now: datetime) -> bool:
    """Is it looked at in this run? A look at an idle scenario costs as much as a sweep: they take turns."""
    runs = max(1, min(every, LONGEST) // RUN)
    return (int(now.timestamp() // RUN.total_seconds()) + zlib.crc32(scenario.encode())) % runs == 0


def parse_sweeps(text: str) -> dict[ScenarioId, timedelta]:
    """`cart_abandoned:1,newsletter:15`: minutes between sweeps."""
    try:
        pairs = [part.rsplit(":", 1) for part in text.split(",") if part]
        return {ScenarioId(name): timedelta(minutes=int(minutes)) for name, minutes in pairs}
    except ValueError:
        raise RejectedError(f"not a list of scenarios and minutes: {text!r}") from None
