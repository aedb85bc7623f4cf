"""What the intake does with thin webhooks: it queues the reads of what they name (遅延読み戻し).

EC-CUBE sends its webhook before it commits: read at once, the shop shows the old row or none. So a notice goes into a
queue twice, to be read after FIRST and again after LAST.
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
from shared.core.ids import ConnectionId
from shared.ingest.model import Envelope
from shared.ingest.registry import is_thin

FIRST = timedelta(seconds=30)
"""The shop commits when its page is out: seconds later."""
LAST = timedelta(minutes=5)
DELAYS = (FIRST, LAST)
BATCH = 10
"""Messages of one SendMessageBatch."""


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
