"""Waiting for a deployment to come to rest: streams read, queues empty, state machines done."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from infra.local.process import Emulator, internal
from shared.core.errors import UnavailableError

POLL_SECONDS = 0.25
QUIET_POLLS = 3
"""How often in a row nothing must be under way: a stream reader may be about to write what the next one reads."""


@dataclass(frozen=True, slots=True)
class Activity:
    """What is still under way."""

    unread: int
    """Stream records and queue messages nobody has handled yet."""
    executions: int
    """State machine executions that run."""
    waiting: str
    """Who has how much of it before them; for people."""

    @property
    def resting(self) -> bool:
        """Nothing is under way."""
        return self.unread == 0 and self.executions == 0


def wait_until(condition: Callable[[], bool], what: str, seconds: float, poll: float = POLL_SECONDS) -> None:
    """Return when the condition holds; UnavailableError naming `what` after `seconds`."""
    until = time.monotonic() + seconds
    while not condition():
        if time.monotonic() > until:
            raise UnavailableError(f"{what}: not within {seconds:.0f} s")
        time.sleep(poll)


def activity(emulator: Emulator, *, executions: bool = True) -> Activity:
    """What the local cloud is still doing."""
    backlog: dict[str, Any] = internal(emulator, "GET", "/_matakite/backlog")
    running = int(backlog["executions"]) if executions else 0
    waiting = ", ".join(f"{name}: {count}" for name, count in backlog["waiting"].items())
    return Activity(int(backlog["stream_records"]) + int(backlog["queue_messages"]), running, waiting)


def settle(emulator: Emulator, *, seconds: float = 120, executions: bool = True) -> None:
    """Wait until nothing is under way, several looks in a row."""
    quiet = 0

    def resting() -> bool:
        nonlocal quiet
        quiet = quiet + 1 if activity(emulator, executions=executions).resting else 0
        return quiet >= QUIET_POLLS

    try:
        wait_until(resting, "the deployment coming to rest", seconds)
    except UnavailableError as error:
        raise UnavailableError(f"{error}; still under way: {activity(emulator).waiting or 'nothing'}") from None
