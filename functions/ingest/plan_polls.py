"""Every few minutes: queue a poll for every connection that is due."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache

from shared.core.aws import client
from shared.core.clock import SystemClock
from shared.core.settings import load
from shared.core.telemetry import logger
from shared.ingest.connections import ConnectionBook
from shared.ingest.pull.plan import SqsTicks, plan
from shared.ingest.pull.store import DynamoPullStore


@dataclass(frozen=True)
class Settings:
    """Environment of this function."""

    prefix: str
    pulls_table: str
    polls_queue: str


@dataclass(frozen=True)
class Dependencies:
    """What planning needs from outside."""

    connections: ConnectionBook
    store: DynamoPullStore
    queue: SqsTicks


@cache
def _dependencies() -> Dependencies:
    settings = load(Settings)
    return Dependencies(
        ConnectionBook(client("ssm"), settings.prefix),
        DynamoPullStore(client("dynamodb"), settings.pulls_table),
        SqsTicks(client("sqs"), settings.polls_queue),
    )


def handler(_event: object, _context: object, deps: Dependencies | None = None) -> dict[str, int]:
    """Run for every connection of the deployment; how many polls were queued."""
    made = deps or _dependencies()
    readable = made.connections.all(skip=lambda error: logger("ingest").error(str(error)))
    return {"queued": plan(readable, made.store, made.queue.put, SystemClock().now())}
