"""Let a scan go on where it stopped.

Without it: MiniStack sorts the whole table for every page of a scan, digests every key to find out whose segment it is,
and leaves out what earlier pages read; so reading a table takes the square of its size: a minute for 25,000 people.
Mended by giving its scan a table that begins where the page does, and holds what a page can hold.
"""

from __future__ import annotations

import contextvars
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from hashlib import sha1
from itertools import islice
from typing import Any

from ministack.core.responses import AccountRegionScopedDict
from ministack.services import dynamodb

from infra.local.emulator.settings import EmulatorSettings

_Table = dict[str, Any]
_Answer = tuple[int, dict[str, Any], bytes]
_part: contextvars.ContextVar[_Table | None] = contextvars.ContextVar("matakite_scanned_part", default=None)


class _Tables(AccountRegionScopedDict):  # type: ignore[misc]
    """MiniStack's tables; to a scan, the part of the table that its page is in."""

    __slots__ = ()

    def get(self, key: str, default: Any = None) -> Any:
        return _part.get() or super().get(key, default)


class _Order:
    """The partition keys of a table as MiniStack sorts them, by segment."""

    def __init__(self, items: Mapping[str, Any]) -> None:
        self.items = items
        self._segments: dict[int, list[list[str]]] = {}

    def segment(self, number: int, of: int) -> Sequence[str]:
        """The keys of a segment, as MiniStack deals them out."""
        if of not in self._segments:
            dealt: list[list[str]] = [[] for _ in range(of)]
            for key in sorted(self.items):
                dealt[int.from_bytes(sha1(key.encode(), usedforsecurity=False).digest()[:4], "big") % of].append(key)
            self._segments[of] = dealt
        return self._segments[of][number]


_orders: dict[int, _Order] = {}
"""By identity of a table's items; forgotten when a partition comes or goes."""


def _order(items: Mapping[str, Any]) -> _Order:
    found = _orders.get(id(items))
    if found is None or found.items is not items:
        found = _orders[id(items)] = _Order(items)
    return found


def _forgetting(change: Callable[..., Any]) -> Callable[..., Any]:
    def change_and_forget(table: _Table, partition: str, *rest: Any) -> Any:
        count = len(table["items"])
        done = change(table, partition, *rest)
        if len(table["items"]) != count:
            _orders.pop(id(table["items"]), None)
        return done

    return change_and_forget


def _read_by(data: dict[str, Any], table: _Table) -> _Table:
    """The table from where the page begins to where it must have ended, by size or limit."""
    keys = _order(table["items"]).segment(data.get("Segment", 0), data.get("TotalSegments", 1))
    begin = dynamodb._extract_key_val(data.get("ExclusiveStartKey", {}).get(table["pk_name"]))
    part: dict[str, Any] = defaultdict(dict)
    size = count = 0
    for key in islice(keys, bisect_left(keys, begin), None):
        rows = part[key] = table["items"][key]
        if key == begin:
            continue  # Some of it was read before.
        size += sum(map(dynamodb._item_size_bytes, rows.values()))
        count += len(rows)
        if size > dynamodb._DDB_PAGE_SIZE_BYTES or count > data.get("Limit", count):
            break
    return {**table, "items": part}


def _plain(data: dict[str, Any]) -> bool:
    """Whether it reads the table itself, and says where in words that can be right."""
    segment, of = data.get("Segment", 0), data.get("TotalSegments", 1)
    numbers = [segment, of, data.get("Limit", 1)]
    said = all(type(each) is int for each in numbers) and 0 <= segment < of
    return said and "IndexName" not in data and isinstance(data.get("ExclusiveStartKey", {}), dict)


def _from_there(scan: Callable[[dict[str, Any]], _Answer]) -> Callable[[dict[str, Any]], _Answer]:
    def scan_from_there(data: dict[str, Any]) -> _Answer:
        table = dynamodb._tables.get(dynamodb._normalize_table_name(data.get("TableName")))
        if table is None or not _plain(data):
            return scan(data)
        token = _part.set(_read_by(data, table))
        try:
            return scan(data)
        finally:
            _part.reset(token)

    return scan_from_there


def install(settings: EmulatorSettings) -> None:
    """Around MiniStack's scan and what adds and removes rows."""
    dynamodb._tables.__class__ = _Tables
    dynamodb._set_item = _forgetting(dynamodb._set_item)
    dynamodb._remove_item = _forgetting(dynamodb._remove_item)
    dynamodb._scan = _from_there(dynamodb._scan)
