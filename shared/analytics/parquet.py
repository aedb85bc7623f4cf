"""Parquet in and out of memory: zstd, typed by the lake's one schema. The only file that knows pyarrow's types."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from io import RawIOBase
from itertools import islice
from typing import Any, BinaryIO

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
File = BinaryIO | RawIOBase
_BATCH = 1_000
"""Rows that are turned into columns at a time: column by column takes half the time of row by row."""


def arrow_schema(table: Table) -> pa.Schema:
    """The Parquet schema of a table; partition keys live in the path, not in the file."""
    return pa.schema([pa.field(column.name, TYPES[column.kind]) for column in table.columns])


def to_arrow(table: Table, rows: Iterable[Row]) -> pa.Table:
    """Rows (one dict per row, aware UTC datetimes) as a typed Arrow table. An unknown column is an error."""
    columns: dict[str, list[Any]] = {column.name: [] for column in table.columns}
    left = iter(rows)
    while batch := list(islice(left, _BATCH)):
        said = set().union(*batch)
        if unknown := said - columns.keys():
            raise ValueError(f"{table.name} has no column {sorted(unknown)}")
        for name, values in columns.items():
            values.extend([row.get(name) for row in batch] if name in said else [None] * len(batch))
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


def decode_slice(file: File, first: int, count: int) -> list[dict[str, Any]]:
    """Some rows of a Parquet file: only the row groups they lie in are read, and of these a batch at a time."""
    parquet = pq.ParquetFile(file)
    end = first + count
    groups = _groups_with(parquet.metadata, first, end)
    found: list[dict[str, Any]] = []
    if not groups:
        return found
    start = sum(parquet.metadata.row_group(number).num_rows for number in range(groups[0]))
    for batch in parquet.iter_batches(count, row_groups=groups):
        skipped = max(first - start, 0)
        found += batch.slice(skipped, max(end - start - skipped, 0)).to_pylist()
        start += batch.num_rows
        if start >= end:
            break
    return found


def _groups_with(metadata: pq.FileMetaData, first: int, end: int) -> list[int]:
    """The row groups in which rows from `first` on and before `end` lie."""
    found, before = list[int](), 0
    for number in range(metadata.num_row_groups):
        rows = metadata.row_group(number).num_rows
        if before < end and before + rows > first:
            found.append(number)
        before += rows
    return found


def count_rows(file: File) -> int:
    """Rows of a Parquet file, from its footer."""
    return int(pq.read_metadata(file).num_rows)
