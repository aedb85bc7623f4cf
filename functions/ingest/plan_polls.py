"""Every few minutes: queue a poll for every connection that is due."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cache

from shared.core.clock import SystemClock
from shared.core.settings import load
from shared.ingest.pull.live import Ticks, live_ticks


@dataclass(frozen=True)
class Settings:
    """Environment of this function."""

    prefix: str
    pulls_table: str
    polls_queue: str


@cache
def _dependencies() -> Ticks:
    return live_ticks(**asdict(load(Settings)))


def handler(_event: object, _context: object, deps: Ticks | None = None) -> dict[str, int]:
    """Run for every connection of the deployment; how many polls were queued."""
    return {"queued": (deps or _dependencies()).plan(SystemClock().now())}
