"""The pulls table: where polls stand and what they know. The only file that knows its keys.

| pk `{tenant}#{connection}`, sk | |
|---|---|
| `lease` | who polls this connection now, until when |
| `health` | last success, last problem, how many lost webhooks were found |
| `tokens` | the chain of rotating tokens (secret; the table is encrypted and has no stream) |
| `cursor#{feed}` | where the walks through a feed stand |
| `seen#{feed}#{digest of the key}` | what a record looked like; forgotten MEMORY after its last change (TTL) |

`body` is JSON; `version` and `attempt` make a write conditional and let it recognise its own lost reply.
"""

from __future__ import annotations

import json
import secrets
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict
from datetime import datetime, timedelta
from typing import Any, Protocol

from shared.core.aws import domain_errors
from shared.core.clock import from_iso, to_iso
from shared.core.errors import UnavailableError
from shared.core.ids import digest
from shared.ingest.adapter import Connection
from shared.ingest.pull.model import Cursor, Health, Seen, Window
from shared.ingest.pull.tokens import Chain

MEMORY = timedelta(days=180)
"""Longer than any walk reaches back."""
BATCH = 100
BATCH_TRIES = 10


class PullStore(Protocol):
    """What polls remember."""

    def lease(self, connection: Connection, owner: str, now: datetime, until: datetime) -> bool:
        """Take the connection for one run; False while another holds it."""
        ...

    def release(self, connection: Connection, owner: str) -> None:
        """Give it back, if it is still ours."""
        ...

    def cursor(self, connection: Connection, feed: str) -> Cursor:
        """Where a feed stands."""
        ...

    def save_cursor(self, connection: Connection, feed: str, cursor: Cursor) -> None:
        """Remember where it stands."""
        ...

    def seen(self, connection: Connection, feed: str, keys: Sequence[str]) -> Mapping[str, Seen]:
        """What is remembered of these records."""
        ...

    def remember(self, connection: Connection, feed: str, key: str, seen: Seen, now: datetime) -> None:
        """Remember how a record looks."""
        ...

    def health(self, connection: Connection) -> Health:
        """How the polls are doing."""
        ...

    def save_health(self, connection: Connection, health: Health) -> None:
        """Remember how they are doing."""
        ...

    def chain(self, connection: Connection) -> Chain | None:
        """The stored chain of tokens, read consistently."""
        ...

    def save_chain(self, connection: Connection, chain: Chain, expected: int) -> bool:
        """Store a chain if the stored version is `expected` (0: none is stored)."""
        ...


class DynamoPullStore:
    """The pulls table."""

    def __init__(self, client: Any, table: str) -> None:
        self._client = client
        self._table = table

    def lease(self, connection: Connection, owner: str, now: datetime, until: datetime) -> bool:
        """Take the connection for one run; False while another holds it."""
        item = {"version": {"N": "1"}, "attempt": {"S": owner}, "until": {"S": to_iso(until)}}
        condition = "attribute_not_exists(pk) OR #until < :now OR attempt = :owner"
        values = {":now": {"S": to_iso(now)}, ":owner": {"S": owner}}
        return self._put(connection, "lease", item, condition, values, {"#until": "until"})

    def release(self, connection: Connection, owner: str) -> None:
        """Give it back, if it is still ours."""
        with domain_errors("release a poll"):
            try:
                self._client.delete_item(
                    TableName=self._table,
                    Key=_key(connection, "lease"),
                    ConditionExpression="attempt = :owner",
                    ExpressionAttributeValues={":owner": {"S": owner}},
                )
            except self._client.exceptions.ConditionalCheckFailedException:
                return

    def cursor(self, connection: Connection, feed: str) -> Cursor:
        """Where a feed stands."""
        return read_cursor(self._body(connection, f"cursor#{feed}"))

    def save_cursor(self, connection: Connection, feed: str, cursor: Cursor) -> None:
        """Remember where it stands."""
        self._put(connection, f"cursor#{feed}", {"body": {"S": write_cursor(cursor)}})

    def seen(self, connection: Connection, feed: str, keys: Sequence[str]) -> Mapping[str, Seen]:
        """What is remembered of these records."""
        by_row = {_seen_row(feed, key): key for key in keys}
        found: dict[str, Seen] = {}
        rows = list(by_row)
        for start in range(0, len(rows), BATCH):
            for item in self._get_batch(connection, rows[start : start + BATCH]):
                said = json.loads(item["body"]["S"])
                found[by_row[item["sk"]["S"]]] = Seen(said["looks"], said["times"])
        return found

    def _get_batch(self, connection: Connection, rows: Sequence[str]) -> Iterable[Mapping[str, Any]]:
        asked: Any = {self._table: {"Keys": [_key(connection, row) for row in rows]}}
        for _ in range(BATCH_TRIES):
            with domain_errors("read what polls remember"):
                answer = self._client.batch_get_item(RequestItems=asked)
            yield from answer["Responses"].get(self._table, ())
            asked = answer.get("UnprocessedKeys")
            if not asked:
                return
        raise UnavailableError("read what polls remember: the table is too busy")

    def remember(self, connection: Connection, feed: str, key: str, seen: Seen, now: datetime) -> None:
        """Remember how a record looks."""
        body = json.dumps({"looks": seen.fingerprint, "times": seen.times})
        expires = {"N": str(int((now + MEMORY).timestamp()))}
        self._put(connection, _seen_row(feed, key), {"body": {"S": body}, "expires_at": expires})

    def health(self, connection: Connection) -> Health:
        """How the polls are doing."""
        return read_health(self._body(connection, "health"))

    def save_health(self, connection: Connection, health: Health) -> None:
        """Remember how they are doing."""
        self._put(connection, "health", {"body": {"S": write_health(health)}})

    def chain(self, connection: Connection) -> Chain | None:
        """The stored chain of tokens, read consistently."""
        text = self._body(connection, "tokens")
        return read_chain(text) if text else None

    def save_chain(self, connection: Connection, chain: Chain, expected: int) -> bool:
        """Store a chain if the stored version is `expected` (0: none is stored).

        When the answer to a write that did commit is lost, the SDK repeats it and meets its own row: `attempt` tells.
        """
        attempt = secrets.token_hex(8)
        item = {
            "body": {"S": write_chain(chain)},
            "version": {"N": str(chain.version)},
            "attempt": {"S": attempt},
        }
        unchanged = "attribute_not_exists(pk)" if expected == 0 else "#version = :expected"
        values = {":attempt": {"S": attempt}}
        names = {}
        if expected:
            values[":expected"] = {"N": str(expected)}
            names["#version"] = "version"
        return self._put(connection, "tokens", item, f"{unchanged} OR attempt = :attempt", values, names)

    def _body(self, connection: Connection, row: str) -> str | None:
        with domain_errors("read where a poll stands"):
            answer = self._client.get_item(TableName=self._table, Key=_key(connection, row), ConsistentRead=True)
        item = answer.get("Item")
        return str(item["body"]["S"]) if item else None

    def _put(
        self,
        connection: Connection,
        row: str,
        item: Mapping[str, Any],
        condition: str | None = None,
        values: Mapping[str, Any] | None = None,
        names: Mapping[str, str] | None = None,
    ) -> bool:
        extra: dict[str, Any] = {}
        if condition:
            extra = {"ConditionExpression": condition, "ExpressionAttributeValues": dict(values or {})}
        if names:
            extra["ExpressionAttributeNames"] = dict(names)
        with domain_errors("write where a poll stands"):
            try:
                self._client.put_item(TableName=self._table, Item={**_key(connection, row), **item}, **extra)
            except self._client.exceptions.ConditionalCheckFailedException:
                return False
        return True


class MemoryPullStore:
    """The pulls table in dicts, for tests and replay: what it keeps went through the same JSON."""

    def __init__(self) -> None:
        self.rows: dict[tuple[str, str], str] = {}
        self._leases: dict[str, tuple[str, datetime]] = {}

    def lease(self, connection: Connection, owner: str, now: datetime, until: datetime) -> bool:
        """Take the connection for one run; False while another holds it."""
        held = self._leases.get(connection.connection_id)
        if held and held[0] != owner and held[1] >= now:
            return False
        self._leases[connection.connection_id] = (owner, until)
        return True

    def release(self, connection: Connection, owner: str) -> None:
        """Give it back, if it is still ours."""
        if self._leases.get(connection.connection_id, ("",))[0] == owner:
            del self._leases[connection.connection_id]

    def cursor(self, connection: Connection, feed: str) -> Cursor:
        """Where a feed stands."""
        return read_cursor(self.rows.get((connection.connection_id, f"cursor#{feed}")))

    def save_cursor(self, connection: Connection, feed: str, cursor: Cursor) -> None:
        """Remember where it stands."""
        self.rows[connection.connection_id, f"cursor#{feed}"] = write_cursor(cursor)

    def seen(self, connection: Connection, feed: str, keys: Sequence[str]) -> Mapping[str, Seen]:
        """What is remembered of these records."""
        known = ((key, self.rows.get((connection.connection_id, _seen_row(feed, key)))) for key in keys)
        return {key: Seen(**json.loads(text)) for key, text in known if text}

    def remember(self, connection: Connection, feed: str, key: str, seen: Seen, now: datetime) -> None:
        """Remember how a record looks."""
        self.rows[connection.connection_id, _seen_row(feed, key)] = json.dumps(asdict(seen))

    def health(self, connection: Connection) -> Health:
        """How the polls are doing."""
        return read_health(self.rows.get((connection.connection_id, "health")))

    def save_health(self, connection: Connection, health: Health) -> None:
        """Remember how they are doing."""
        self.rows[connection.connection_id, "health"] = write_health(health)

    def chain(self, connection: Connection) -> Chain | None:
        """The stored chain of tokens."""
        text = self.rows.get((connection.connection_id, "tokens"))
        return read_chain(text) if text else None

    def save_chain(self, connection: Connection, chain: Chain, expected: int) -> bool:
        """Store a chain if the stored version is `expected` (0: none is stored)."""
        stored = self.chain(connection)
        if (stored.version if stored else 0) != expected:
            return False
        self.rows[connection.connection_id, "tokens"] = write_chain(chain)
        return True


# --- rows -------------------------------------------------------------------------------------------------------------


def _key(connection: Connection, row: str) -> dict[str, Any]:
    return {"pk": {"S": f"{connection.tenant}#{connection.connection_id}"}, "sk": {"S": row}}


def _seen_row(feed: str, key: str) -> str:
    return f"seen#{feed}#{digest(key)}"


_TIMES = frozenset(
    {
        "done_until",
        "deep_at",
        "access_until",
        "owner_until",
        "broken_at",
        "polled_at",
        "tried_at",
        "blocked_until",
        "checked_at",
    }
)


def _write(document: Mapping[str, Any]) -> str:
    plain = {name: to_iso(value) if isinstance(value, datetime) else value for name, value in document.items()}
    return json.dumps({name: value for name, value in plain.items() if value is not None}, ensure_ascii=False)


def _read(text: str) -> dict[str, Any]:
    said: dict[str, Any] = json.loads(text)
    return {name: from_iso(value) if name in _TIMES else value for name, value in said.items()}


def write_cursor(cursor: Cursor) -> str:
    """A cursor as JSON."""
    walk = cursor.walk
    return _write({**asdict(cursor), "walk": [to_iso(walk.since), to_iso(walk.until)] if walk else None})


def read_cursor(text: str | None) -> Cursor:
    """The cursor of a row; of none, one that never walked."""
    if text is None:
        return Cursor()
    said = _read(text)
    walk = said.pop("walk", None)
    said["tail"] = tuple(said.get("tail", ()))
    return Cursor(walk=Window(from_iso(walk[0]), from_iso(walk[1])) if walk else None, **said)


def write_health(health: Health) -> str:
    """Health as JSON."""
    return _write(asdict(health))


def read_health(text: str | None) -> Health:
    """The health of a row; of none, that of a connection that was never polled."""
    return Health(**_read(text)) if text else Health()


def write_chain(chain: Chain) -> str:
    """A chain as JSON."""
    return _write(asdict(chain))


def read_chain(text: str) -> Chain:
    """The chain of a row."""
    said = _read(text)
    return Chain(**{**said, "candidates": tuple(said.get("candidates", ()))})
