"""Reading back what a thin webhook named: at its first time, and once more at its last.

Not there is "not yet" at the first read; at the last one it is gone if the notice said so, and never was if it did not
(the shop rolled back). Both reads of one state are one event.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from shared.core.errors import RejectedError
from shared.core.ids import EventId, digest
from shared.ingest.adapter import Connection, Request
from shared.ingest.model import Envelope
from shared.ingest.polled import polled_request
from shared.ingest.pull import rules
from shared.ingest.pull.follow_up import Task
from shared.ingest.pull.plan import is_polled
from shared.ingest.pull.poll import PollDeps, caller_of

BUDGET = timedelta(seconds=45)


def read_back(task: Task, connection: Connection, deps: PollDeps, now: datetime) -> bool:
    """Read what a notice named and keep it; True when that was news. Safe to repeat.

    Raises UnavailableError when the shop does not answer now: the queue brings the task back.
    """
    if not is_polled(connection):
        # Webhooks come, but nobody gave us a key to the shop's API: `matakite connection list` says so.
        return False
    plan = deps.vendors(connection.source).read_back
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


def _gone(task: Task) -> Request | None:
    entity, _, action = task.topic.partition(".notice.")
    if not task.last or action != "deleted":
        return None
    return polled_request(f"{entity}.gone", {"id": task.subject.rpartition("/")[2]})


def _notice(task: Task, connection: Connection) -> Envelope:
    return Envelope(
        tenant=connection.tenant,
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
