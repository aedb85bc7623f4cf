"""Saved segments (保存セグメント), in the reports table: the only file that knows their keys.

pk `{tenant}#saved_segments`, sk name: the segment as it is evaluated now;
pk `{tenant}#segment_history`, sk `{name}#{saved_at}`: every version that ever was.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any, Protocol

from shared.core.aws import client, domain_errors
from shared.core.clock import to_iso
from shared.core.errors import NotFoundError, RejectedError
from shared.core.ids import TenantId

MAX_SAVED = 50
MAX_CHARACTERS = 100_000
"""Of all saved segments' SQL together: it travels through the nightly machine (256 KB) and Athena (262,144)."""


@dataclass(frozen=True, slots=True)
class Saved:
    """A saved segment: its definition as written, and the SQL it was compiled to when it was saved."""

    name: str
    version: str
    title: str
    document: Mapping[str, Any]
    sql: str
    reads: tuple[str, ...]
    saved_at: str


class SavedSegments(Protocol):
    """Where a shop's segments are kept."""

    def all(self, tenant: TenantId) -> list[Saved]:
        """Every segment the night evaluates, by name."""
        ...

    def save(self, tenant: TenantId, saved: Saved, replacing: str | None) -> None:
        """Keep a version; `replacing` is the version that was read (None: a new name). Raises RejectedError."""
        ...

    def remove(self, tenant: TenantId, name: str) -> None:
        """Evaluate it no more; its history stays."""
        ...

    def history(self, tenant: TenantId, name: str) -> list[Saved]:
        """Every version that was ever saved under a name, newest first."""
        ...


def find(segments: SavedSegments, tenant: TenantId, name: str) -> Saved:
    """The saved segment of a name. Raises NotFoundError naming those there are."""
    every = {each.name: each for each in segments.all(tenant)}
    if name not in every:
        raise NotFoundError(f"no saved segment {name!r}; there are: {', '.join(every) or 'none'}")
    return every[name]


def check_room(every: Iterable[Saved], arriving: Saved) -> None:
    """Would the night still be able to ask them all? Raises RejectedError."""
    others = [each for each in every if each.name != arriving.name]
    if len(others) >= MAX_SAVED:
        raise RejectedError(f"{MAX_SAVED} segments are saved already: remove one first (matakite segment remove NAME)")
    size = sum(len(each.sql.encode()) for each in (*others, arriving))
    if size > MAX_CHARACTERS:
        raise RejectedError(
            f"the saved segments would ask {size:,} bytes of SQL every night, {MAX_CHARACTERS:,} are possible:"
            " remove one, or use fewer values"
        )


class SegmentStore:
    """The reports table."""

    def __init__(self, table: str, given: Any = None) -> None:
        self._table = table
        self._given = given

    @property
    def _client(self) -> Any:
        return self._given or client("dynamodb")

    def all(self, tenant: TenantId) -> list[Saved]:
        """Every segment the night evaluates, by name."""
        return self._query(f"{tenant}#saved_segments", "")

    def history(self, tenant: TenantId, name: str) -> list[Saved]:
        """Every version that was ever saved under a name, newest first."""
        return self._query(f"{tenant}#segment_history", f"{name}#")[::-1]

    def _query(self, partition: str, prefix: str) -> list[Saved]:
        asked: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": "pk = :pk" + (" AND begins_with(sk, :prefix)" if prefix else ""),
            "ExpressionAttributeValues": {":pk": {"S": partition}} | ({":prefix": {"S": prefix}} if prefix else {}),
            "ConsistentRead": True,
        }
        found: list[Saved] = []
        while True:
            with domain_errors("read the saved segments"):
                page = self._client.query(**asked)
            found += [_loaded(item["document"]["S"]) for item in page["Items"]]
            if "LastEvaluatedKey" not in page:
                return found
            asked["ExclusiveStartKey"] = page["LastEvaluatedKey"]

    def save(self, tenant: TenantId, saved: Saved, replacing: str | None) -> None:
        """Keep a version; `replacing` is the version that was read (None: a new name). Raises RejectedError."""
        document, version = {"S": _dumped(saved)}, {"S": saved.version}
        condition: dict[str, Any] = {"ConditionExpression": "attribute_not_exists(pk)"}
        if replacing is not None:
            condition = {
                "ConditionExpression": "version = :was",
                "ExpressionAttributeValues": {":was": {"S": replacing}},
            }
        key = {"pk": {"S": f"{tenant}#segment_history"}, "sk": {"S": f"{saved.name}#{saved.saved_at}"}}
        with domain_errors("keep a segment"):
            # The history first: a version that is evaluated is never missing from it.
            self._client.put_item(TableName=self._table, Item={**key, "document": document})
            try:
                self._client.put_item(
                    TableName=self._table,
                    Item={**_key(tenant, saved.name), "document": document, "version": version},
                    **condition,
                )
            except self._client.exceptions.ConditionalCheckFailedException:
                raise RejectedError(_CHANGED.format(saved.name)) from None

    def remove(self, tenant: TenantId, name: str) -> None:
        """Evaluate it no more; its history stays."""
        with domain_errors("remove a segment"):
            self._client.delete_item(TableName=self._table, Key=_key(tenant, name))


_CHANGED = "segment {}: somebody saved it a moment ago: look at it (matakite segment show) and save again"


class MemorySegmentStore:
    """Saved segments in a dict."""

    def __init__(self) -> None:
        self._now: dict[tuple[TenantId, str], Saved] = {}
        self._history: list[tuple[TenantId, Saved]] = []

    def all(self, tenant: TenantId) -> list[Saved]:
        """Every segment the night evaluates, by name."""
        return [self._now[key] for key in sorted(self._now) if key[0] == tenant]

    def history(self, tenant: TenantId, name: str) -> list[Saved]:
        """Every version that was ever saved under a name, newest first."""
        mine = [saved for of, saved in self._history if of == tenant and saved.name == name]
        return sorted(mine, key=lambda saved: saved.saved_at, reverse=True)

    def save(self, tenant: TenantId, saved: Saved, replacing: str | None) -> None:
        """Keep a version; `replacing` is the version that was read (None: a new name). Raises RejectedError."""
        kept = _loaded(_dumped(saved))
        self._history.append((tenant, kept))
        now = self._now.get((tenant, saved.name))
        if (now.version if now else None) != replacing:
            raise RejectedError(_CHANGED.format(saved.name))
        self._now[tenant, saved.name] = kept

    def remove(self, tenant: TenantId, name: str) -> None:
        """Evaluate it no more; its history stays."""
        self._now.pop((tenant, name), None)


def stamp(now: datetime) -> str:
    """`saved_at`: fixed width, so that the keys of the history are in the order of time."""
    return to_iso(now)


def _key(tenant: TenantId, name: str) -> dict[str, Any]:
    return {"pk": {"S": f"{tenant}#saved_segments"}, "sk": {"S": name}}


def _dumped(saved: Saved) -> str:
    # In the order in which it was written: so it is shown again.
    return json.dumps(asdict(saved), ensure_ascii=False, separators=(",", ":"))


def _loaded(text: str) -> Saved:
    document = json.loads(text)
    return Saved(**{**document, "reads": tuple(document["reads"])})
