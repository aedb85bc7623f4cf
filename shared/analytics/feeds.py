"""Results that are read at every send: one object a shop, replaced each night, small enough to be kept in memory.

An object, not rows of a table: a step that writes to a million people reads it once a worker and five minutes, and a
night writes it once, however many products there are. Read without pyarrow.
"""

from __future__ import annotations

import gzip
import json
from collections.abc import Iterable, Mapping
from datetime import date
from typing import Any

from shared.core.ids import TenantId

PREFIX = "feeds/"
CATALOGUE = "catalogue_v1"
FEEDS = (CATALOGUE,)
"""Analyses whose rows are kept so."""


def feed_key(tenant: TenantId, analysis: str) -> str:
    """Where a feed lies in the lake bucket: no table, so no query scans it."""
    return f"{PREFIX}tenant={tenant}/{analysis}.json.gz"


def write_feed(rows: Iterable[Mapping[str, Any]]) -> bytes:
    """The rows, without what is null in them; the same rows always give the same bytes."""
    known = [{name: value for name, value in row.items() if value is not None} for row in rows]
    text = json.dumps(known, ensure_ascii=False, separators=(",", ":"), sort_keys=True, default=_day)
    return gzip.compress(text.encode(), mtime=0)


def read_feed(body: bytes) -> list[dict[str, Any]]:
    """What `write_feed` wrote; days are ISO texts."""
    rows: list[dict[str, Any]] = json.loads(gzip.decompress(body))
    return rows


def _day(value: Any) -> str:
    if isinstance(value, date):
        return value.isoformat()
    raise TypeError(f"a feed holds no {type(value).__name__}")
