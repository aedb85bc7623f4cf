"""Which connections are due for a poll now: one message each, so that a slow vendor keeps no other waiting."""

from __future__ import annotations

import json
from collections.abc import Iterable
from datetime import datetime, timedelta
from typing import Any

from shared.core.aws import domain_errors
from shared.core.errors import UnavailableError
from shared.ingest.adapter import Connection
from shared.ingest.pull import rules
from shared.ingest.pull.registry import vendor, vendors
from shared.ingest.pull.store import PullStore

BATCH = 10


def is_polled(connection: Connection) -> bool:
    """Has a connection an API and a key for it?"""
    return connection.source in vendors() and bool(connection.token or connection.refresh_token)


def due(connections: Iterable[Connection], store: PullStore, now: datetime) -> list[Connection]:
    """The connections to poll now."""
    polled = (each for each in connections if is_polled(each))
    return [each for each in polled if rules.is_poll_due(vendor(each.source), store.health(each), now, every(each))]


def every(connection: Connection) -> timedelta | None:
    """How often this connection wants to be polled; None as its vendor does."""
    minutes = connection.poll_minutes
    return timedelta(minutes=minutes) if minutes else None


class SqsTicks:
    """The queue of connections to poll."""

    def __init__(self, client: Any, url: str) -> None:
        self._client = client
        self._url = url

    def put(self, connections: Iterable[Connection]) -> int:
        """One message for each connection."""
        listed = [json.dumps({"connection": each.connection_id}) for each in connections]
        for start in range(0, len(listed), BATCH):
            batch = listed[start : start + BATCH]
            entries = [{"Id": str(number), "MessageBody": body} for number, body in enumerate(batch)]
            with domain_errors("queue polls"):
                answer = self._client.send_message_batch(QueueUrl=self._url, Entries=entries)
            if answer.get("Failed"):
                raise UnavailableError("queue polls: not all were taken")
        return len(listed)
