"""Polls as the functions run them: a message of a queue, the machine's clock, the standard HTTP client."""

from __future__ import annotations

import json
import secrets
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from shared.core.aws import client
from shared.core.clock import SystemClock
from shared.core.errors import MisconfiguredError, RejectedError
from shared.core.telemetry import logger, metrics
from shared.ingest.adapter import Connection
from shared.ingest.connections import ConnectionBook, Connections, SsmConnections
from shared.ingest.oversize import S3Oversize
from shared.ingest.pull.caller import Time
from shared.ingest.pull.follow_up import read_task
from shared.ingest.pull.http import Http, StandardHttp
from shared.ingest.pull.plan import SqsTicks, due
from shared.ingest.pull.poll import Events, PollDeps, Tally, poll
from shared.ingest.pull.read_back import read_back
from shared.ingest.pull.store import DynamoPullStore, PullStore
from shared.ingest.store import DynamoEventStore

SPARE = timedelta(seconds=45)
"""Of a function's time, kept for the call that is under way when a run's time is over."""
READ_BACKS = "ReadBacks"


class MachineTime:
    """The machine's clock, and real waiting."""

    def now(self) -> datetime:
        """The present instant."""
        return SystemClock().now()

    def sleep(self, seconds: float) -> None:
        """Wait."""
        time.sleep(seconds)


@dataclass(frozen=True)
class Polls:
    """What both functions share."""

    connections: Connections
    store: PullStore
    events: Events
    count: Callable[[str, int], None] = lambda _name, _value: None
    http: Http = field(default_factory=StandardHttp)
    time: Time = field(default_factory=MachineTime)

    def poll(self, message: str, remaining_ms: int) -> Tally:
        """Poll the connection that a message names."""
        budget = timedelta(milliseconds=remaining_ms) - SPARE
        now = self.time.now()
        connection = self._connection(_named(message), now)
        return poll(connection, self._deps(), now, budget) if connection else Tally(skipped=True)

    def read_back(self, message: str) -> bool:
        """Read the thing that a message names. Raises UnavailableError when the queue should bring it again."""
        task, now = read_task(message), self.time.now()
        connection = self._connection(task.connection, now)
        if connection is None:
            return False
        try:
            news = read_back(task, connection, self._deps(), now)
        except MisconfiguredError as error:
            # Asking again does not help; the reconciling poll says the same until somebody mends it.
            logger("ingest").error("read-back: %s", error, extra={"connection": task.connection[:4]})
            return False
        self.count(READ_BACKS, int(news))
        return news

    def _connection(self, connection_id: str, now: datetime) -> Connection | None:
        """The connection, None when it was removed meanwhile."""
        return self.connections.find(connection_id, now)

    def _deps(self) -> PollDeps:
        return PollDeps(
            store=self.store,
            events=self.events,
            http=self.http,
            time=self.time,
            owner=secrets.token_hex(8),
            count=self.count,
        )


@dataclass(frozen=True)
class Ticks:
    """What asks, every few minutes, who is due."""

    connections: ConnectionBook
    store: PullStore
    queue: SqsTicks

    def plan(self, now: datetime) -> int:
        """Queue every connection that is due; one that cannot be read stops no other."""
        readable = self.connections.all(skip=lambda error: logger("ingest").error(str(error)))
        return self.queue.put(due(readable, self.store, now))


def _named(message: str) -> str:
    try:
        return str(json.loads(message)["connection"])
    except (ValueError, KeyError, TypeError):
        raise RejectedError("not a message of a poll") from None


def live_polls(prefix: str, events_table: str, pulls_table: str, work_bucket: str) -> Polls:
    """Polls over the deployment's own tables."""
    dynamodb = client("dynamodb")
    return Polls(
        connections=SsmConnections(client("ssm"), prefix),
        store=DynamoPullStore(dynamodb, pulls_table),
        events=DynamoEventStore(dynamodb, events_table, S3Oversize(client("s3"), work_bucket)),
        count=lambda name, value: metrics("ingest").add_metric(name, "Count", value),
    )


def live_ticks(prefix: str, pulls_table: str, polls_queue: str) -> Ticks:
    """Ticks over the deployment's own connections, table and queue."""
    store = DynamoPullStore(client("dynamodb"), pulls_table)
    return Ticks(ConnectionBook(client("ssm"), prefix), store, SqsTicks(client("sqs"), polls_queue))
