"""Rows that a function made, as CSV, into the lake: Parquet, typed by the table they belong to."""

from __future__ import annotations

from collections.abc import Mapping
from io import BytesIO
from typing import Any

import pyarrow as pa
from pyarrow import csv

from shared.analytics.lake import Objects
from shared.analytics.nightly import result_prefix
from shared.analytics.parquet import TYPES, encode
from shared.analytics.schema import Kind
from shared.core.ids import TenantId


def store(event: Mapping[str, Any], work: Objects, lake: Objects) -> dict[str, int]:
    """{"tenant", "as_of", "name", "key", "columns"} → {"rows"}. The result's place was emptied before, as for a query.

    `columns` are name → kind, as the result's table declares them. Safe to repeat.
    """
    body = work.get(event["key"])
    types = {name: TYPES[Kind(kind)] for name, kind in event["columns"].items()}
    arrow = read(body, types)
    if arrow.num_rows:
        prefix = result_prefix(event["name"], TenantId(event["tenant"]), event["as_of"])
        lake.put(f"{prefix}rows.parquet", encode(arrow))
    return {"rows": arrow.num_rows}


def read(body: bytes, types: Mapping[str, pa.DataType]) -> pa.Table:
    """CSV with a heading, columns in the order of `types`; an empty cell is null."""
    options = csv.ConvertOptions(column_types=dict(types), include_columns=list(types), strings_can_be_null=True)
    return csv.read_csv(BytesIO(body), convert_options=options)
