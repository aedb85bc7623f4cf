"""Parquet in and out of memory: zstd, typed by the lake's one schema. The only file that knows pyarrow's types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from shared.analytics.schema import Kind, Table

TYPES: Mapping[Kind, pa.DataType] = {
    Kind.STRING: pa.string(),
    Kind.BIGINT: pa.int64(),
    Kind.INTEGER: pa.int32(),
    Kind.DOUBLE: pa.float64(),
    Kind.BOOLEAN: pa.bool_(),
    # Athena's timestamp has milliseconds and no zone; ours are UTC by definition.
    Kind.TIMESTAMP: pa.timestamp("ms"),
    Kind.DATE: pa.date32(),
    Kind.STRINGS: pa.list_(pa.string()),
    Kind.INTEGERS: pa.list_(pa.int32()),
}

Row = Mapping[str, Any]


def arrow_schema(table: Table) -> pa.Schema:
    """The Parquet schema of a table; partition keys live in the path, not in the file."""
    return pa.schema([pa.field(column.name, TYPES[column.kind]) for column in table.columns])


def to_arrow(table: Table, rows: Iterable[Row]) -> pa.Table:
    """Rows (one dict per row, aware UTC datetimes) as a typed Arrow table. An unknown column is an error."""
    known = [column.name for column in table.columns]
    columns: dict[str, list[Any]] = {name: [] for name in known}
    for row in rows:
        if row.keys() - columns.keys():
            raise ValueError(f"{table.name} has no column {sorted(row.keys() - columns.keys())}")
        for name in known:
            columns[name].append(row.get(name))
    arrays = [_array(columns[column.name], column.kind) for column in table.columns]
    return pa.Table.from_arrays(arrays, schema=arrow_schema(table))


def _array(values: list[Any], kind: Kind) -> pa.Array:
    if kind is Kind.TIMESTAMP:
        # Through the aware type: pyarrow then refuses a naive time mixed in and converts other zones to UTC.
        exact = pa.array(values, pa.timestamp("us", tz="UTC"))
        return exact.cast(pa.timestamp("ms", tz="UTC"), safe=False).cast(pa.timestamp("ms"))
    return pa.array(values, TYPES[kind])


def encode(arrow: pa.Table) -> bytes:
    """One Parquet object."""
    sink = pa.BufferOutputStream()
    pq.write_table(arrow, sink, compression="zstd", coerce_timestamps="ms", allow_truncated_timestamps=False)
    return bytes(sink.getvalue())


def encode_rows(table: Table, rows: Iterable[Row]) -> bytes:
    """Rows as one Parquet object, sorted as the table says."""
    return encode(to_arrow(table, rows).sort_by([(name, "ascending") for name in table.sort]))


def decode(body: bytes) -> pa.Table:
    """The Arrow table of one Parquet object."""
    return pq.read_table(pa.BufferReader(body))


def decode_slice(body: bytes, first: int, count: int) -> list[dict[str, Any]]:
    """Some rows of a Parquet object: only the row groups they lie in are unpacked."""
    file = pq.ParquetFile(pa.BufferReader(body))
    groups: list[int] = []
    skipped = before = 0
    for number in range(file.num_row_groups):
        rows = file.metadata.row_group(number).num_rows
        if before < first + count and before + rows > first:
            groups.append(number)
        elif before + rows <= first:
            skipped = before + rows
        before += rows
    if not groups:
        return []
    found: list[dict[str, Any]] = file.read_row_groups(groups).slice(first - skipped, count).to_pylist()
    return found


def count_rows(body: bytes) -> int:
    """Rows of a Parquet object, from its footer."""
    return int(pq.read_metadata(pa.BufferReader(body)).num_rows)
