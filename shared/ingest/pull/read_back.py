"""Thin webhooks: what a notice names is read at its source, twice, later (遅延読み戻し).

EC-CUBE sends its webhook before it commits: read at once, the shop shows the old row or none. So a notice goes into a
queue twice, to be read after FIRST and again after LAST seconds. Not there is "not yet" at the first read; at the last
one it is gone if the notice said so, and never was if it did not. Both reads of one state are one event.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from shared.core.aws import domain_errors
from shared.core.clock import from_iso, to_iso
from shared.core.errors import RejectedError, UnavailableError
from shared.core.ids import ConnectionId, EventId, TenantId, digest
from shared.ingest.adapter import Connection
from shared.ingest.model import Envelope
from shared.ingest.polled import polled_request
from shared.ingest.pull import rules
from shared.ingest.pull.poll import PollDeps, caller_of
from shared.ingest.pull.registry import vendor, vendors

FIRST = timedelta(seconds=30)
"""The shop commits when its page is out: seconds later."""
LAST = timedelta(minutes=5)
DELAYS = (FIRST, LAST)
BATCH = 10
"""Messages of one SendMessageBatch."""
BUDGET = timedelta(seconds=45)


@dataclass(frozen=True, slots=True)
class Task:
    """One read to make."""

    connection: ConnectionId
    topic: str
    subject: str
    noticed_at: datetime
    last: bool


class Queue(Protocol):
    """Where reads wait for their time."""

    def put(self, tasks: Sequence[tuple[Task, timedelta]]) -> None:
        """Queue reads, each after its delay. Raises UnavailableError when not all of them are queued."""
        ...


class SqsQueue:
    """A queue with a delay on each message."""

    def __init__(self, client: Callable[[], Any], url: str) -> None:
        self._client = client
        self._url = url

    def put(self, tasks: Sequence[tuple[Task, timedelta]]) -> None:
        """Queue reads, each after its delay, ten at a time."""
        for start in range(0, len(tasks), BATCH):
            entries = [
                {"Id": str(number), "MessageBody": write_task(task), "DelaySeconds": int(delay.total_seconds())}
                for number, (task, delay) in enumerate(tasks[start : start + BATCH])
            ]
            with domain_errors("queue a read-back"):
                answer = self._client().send_message_batch(QueueUrl=self._url, Entries=entries)
            if answer.get("Failed"):
                raise UnavailableError("queue a read-back: not all of it was taken")


def is_thin(envelope: Envelope) -> bool:
    """Does a delivery only name a thing, which must be read at its source?"""
    return envelope.source in vendors() and vendor(envelope.source).thin(envelope)


def follow_up(queue: Queue) -> Callable[[Sequence[Envelope]], None]:
    """What the intake does with the deliveries it kept: queue the reads of the thin ones."""

    def queue_reads(envelopes: Sequence[Envelope]) -> None:
        thin = [envelope for envelope in envelopes if is_thin(envelope)]
        tasks = [(_task(envelope, delay), delay) for envelope in thin for delay in DELAYS]
        if tasks:
            queue.put(tasks)

    return queue_reads


def _task(envelope: Envelope, delay: timedelta) -> Task:
    return Task(envelope.connection, envelope.topic, envelope.subject, envelope.received_at, delay == DELAYS[-1])


def read_back(task: Task, connection: Connection, deps: PollDeps, now: datetime) -> bool:
    """Read what a notice named and keep it; True when that was news. Safe to repeat.

    Raises UnavailableError when the shop does not answer now: the queue brings the task back.
    """
    plan = vendor(connection.source).read_back
    notice = _notice(task, connection)
    planned = plan(notice) if plan else None
    if planned is None:
        raise RejectedError(f"nothing is read back for {task.topic!r}")
    call, request_of = planned
    request = request_of(caller_of(connection, deps, now + BUDGET).ask(call))
    if request is None:
        request = _gone(task)
        if request is None:
            return False
    (envelope,) = deps.adapters(connection.source).envelopes(request, connection, now)
    # One state of a thing is one event, however often and from whatever notice it is read.
    name = EventId(digest("read-back", connection.connection_id, envelope.topic, rules.raw_digest(envelope.raw)))
    return deps.events.put_once(rules.renamed(envelope, name))


def _gone(task: Task) -> Any:
    entity, _, action = task.topic.partition(".notice.")
    if not task.last or action != "deleted":
        return None
    return polled_request(f"{entity}.gone", {"id": task.subject.rpartition("/")[2]})


def _notice(task: Task, connection: Connection) -> Envelope:
    return Envelope(
        tenant=TenantId(connection.tenant),
        subject=task.subject,
        event_id=EventId(""),
        source=connection.source,
        connection=connection.connection_id,
        store=connection.store,
        topic=task.topic,
        occurred_at=task.noticed_at,
        received_at=task.noticed_at,
        raw=b"",
    )


def write_task(task: Task) -> str:
    """A task as the body of a message: ids only."""
    return json.dumps(
        {
            "connection": task.connection,
            "topic": task.topic,
            "subject": task.subject,
            "noticed_at": to_iso(task.noticed_at),
            "last": task.last,
        }
    )


def read_task(text: str) -> Task:
    """The task of a message. Raises RejectedError."""
    try:
        said: Mapping[str, Any] = json.loads(text)
        return Task(
            ConnectionId(said["connection"]),
            str(said["topic"]),
            str(said["subject"]),
            from_iso(said["noticed_at"]),
            bool(said["last"]),
        )
    except (ValueError, KeyError, TypeError):
        raise RejectedError("not a read-back task") from None
