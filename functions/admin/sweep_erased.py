"""The nightly search for what deliveries and imported files still say of erased persons; called by its machine."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from shared.admin.erase import SweepDeps, plan_sweep, sweep_part
from shared.admin.live import live_sweep
from shared.core.settings import load

SPARE_MILLISECONDS = 60_000
"""Left when a part is handed on: one slice takes seconds."""


@dataclass(frozen=True)
class Settings:
    """Environment of this function."""

    customers_table: str
    deliveries_table: str
    scenarios_table: str
    events_table: str
    work_bucket: str
    keys_secret: str
    prefix: str


@cache
def _dependencies() -> SweepDeps:
    return live_sweep(**asdict(load(Settings)))


def handler(event: dict[str, Any], context: Any, deps: SweepDeps | None = None) -> dict[str, Any]:
    """{} → {"parts": […]}; a part → the same part, further or done."""
    deps = deps or _dependencies()
    if "kind" not in event:
        return plan_sweep(deps)
    return sweep_part(event, deps, lambda: context.get_remaining_time_in_millis() < SPARE_MILLISECONDS)
