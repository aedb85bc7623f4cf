"""Due and not collected (配信漏れの監視): the count that wakes somebody when nothing else would.

A sweep that does not run raises no error. This looks at the due index by another schedule and knows nothing of sweeps
but how often each should come.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta

from shared.core.errors import RejectedError
from shared.core.ids import ScenarioId, TenantId
from shared.scenarios.store import EnrolmentStore

PATIENCE = timedelta(minutes=30)
"""Beyond the time between two sweeps: a sweep may fail and be tried again."""

LIMIT = 1_000
"""Counted per shop and scenario at most; the alarm asks whether there is anybody."""


@dataclass(frozen=True)
class WatchDeps:
    """The ports of the watchdog."""

    enrolments: EnrolmentStore
    tenants: Callable[[], Iterable[TenantId]]
    sweeps: Mapping[ScenarioId, timedelta]
    """Every scenario that is swept, and how often."""


def overdue(deps: WatchDeps, now: datetime) -> dict[str, int]:
    """People who should have been collected by now, by `shop scenario`; a paused scenario waits on purpose."""
    found: dict[str, int] = {}
    for tenant in deps.tenants():
        for scenario, every in deps.sweeps.items():
            late = deps.enrolments.due(tenant, scenario, now - every - PATIENCE, LIMIT)
            if late and not deps.enrolments.paused(tenant, scenario):
                found[f"{tenant} {scenario}"] = len(late)
    return found


def parse_sweeps(text: str) -> dict[ScenarioId, timedelta]:
    """`cart_abandoned:1,newsletter:15`: minutes between sweeps."""
    try:
        pairs = [part.rsplit(":", 1) for part in text.split(",") if part]
        return {ScenarioId(name): timedelta(minutes=int(minutes)) for name, minutes in pairs}
    except ValueError:
        raise RejectedError(f"not a list of scenarios and minutes: {text!r}") from None
