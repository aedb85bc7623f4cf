"""Rows that a function made, as packed columns, into the lake: Parquet, typed by the table they belong to."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

import pyarrow as pa

from shared.analytics.lake import Objects
from shared.analytics.nightly import result_prefix
from shared.analytics.parquet import TYPES, encode
from shared.analytics.schema import Kind
from shared.core.ids import TenantId

_NUMBERS = {"<i4": (pa.int32(), 4), "<i8": (pa.int64(), 8), "<f8": (pa.float64(), 8)}


def store(event: Mapping[str, Any], work: Objects, lake: Objects) -> dict[str, int]:
    """{"tenant", "as_of", "name", "key", "columns"} → {"rows"}. The result's place was emptied before, as for a query.

    `columns` are name → kind, as the result's table declares them. Safe to repeat.
    """
    types = {name: TYPES[Kind(kind)] for name, kind in event["columns"].items()}
    arrow = unpack(work.get(event["key"]), types)
    if arrow.num_rows:
        prefix = result_prefix(event["name"], TenantId(event["tenant"]), event["as_of"])
        lake.put(f"{prefix}rows.parquet", encode(arrow))
    return {"rows": arrow.num_rows}


def unpack(body: bytes, types: Mapping[str, pa.DataType]) -> pa.Table:
    """What `shared.analytics.models.night.pack` packed, in the order and with the types asked for."""
    end = body.index(b"\n") + 1
    head, rest, columns = json.loads(body[:end]), pa.py_buffer(body).slice(end), dict[str, pa.Array]()
    rows = head["rows"]
    for column in head["columns"]:
        if "type" in column:
            kind, width = _NUMBERS[column["type"]]
            values = pa.Array.from_buffers(kind, rows, [None, rest.slice(0, rows * width)])
            rest = rest.slice(rows * width)
        else:
            values = pa.repeat(pa.scalar(column["value"], types[column["name"]]), rows)
        columns[column["name"]] = values.cast(types[column["name"]])
    return pa.table({name: columns[name] for name in types})
