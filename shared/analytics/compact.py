"""Many small objects of a partition become one: sorted, each row once (コンパクション).

The new object is written before the old ones are deleted, so nothing is ever missing; until they are gone (or after
a crash in between) readers see rows twice, which every query allows for: it takes each event or order state by its
key. The next night finds more than one object again and finishes the work.
"""

from __future__ import annotations

from collections.abc import Iterable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from shared.analytics.compaction import Compaction, small
from shared.analytics.lake import Objects
from shared.analytics.parquet import arrow_schema, decode, encode
from shared.analytics.schema import BASE_TABLES, Table, partition_path
from shared.core.ids import digest

PREFIX = "compact-"

_GETS_AT_ONCE = 8


def compact(work: Compaction, objects: Objects) -> dict[str, Any]:
    """Compact one partition; safe to repeat and to kill anywhere."""
    table = _table(work.table)
    prefix = partition_path(table, work.tenant, work.value)
    sources = small(objects.list(prefix))
    if len(sources) < 2:
        return {**work.document(), "objects": len(sources), "rows": 0}
    with ThreadPoolExecutor(_GETS_AT_ONCE) as pool:
        arrow = merged(table, pool.map(lambda stored: decode(objects.get(stored.key)), sources))
    # Named by what went in: a repeat after a crash writes the same object again.
    name = f"{prefix}{PREFIX}{digest(*(stored.name for stored in sources))}.parquet"
    objects.put(name, encode(arrow))
    objects.delete(stored.key for stored in sources if stored.key != name)
    return {**work.document(), "objects": len(sources), "rows": arrow.num_rows}


def merged(table: Table, parts: Iterable[pa.Table]) -> pa.Table:
    """All rows once, sorted as the table says. Columns added since an object was written are null in its rows."""
    schema = arrow_schema(table)
    whole = pa.concat_tables([_conformed(part, schema) for part in parts])
    whole = whole.sort_by([(name, "ascending") for name in table.sort])
    happened = "event_id" in table.key
    columns = table.key if happened else [c for c in schema.names if c not in {"written_at", "sequence"}]
    return whole.filter(_changes(whole.select(columns)))


def _conformed(part: pa.Table, schema: pa.Schema) -> pa.Table:
    columns = [
        part[field.name].cast(field.type) if field.name in part.schema.names else pa.nulls(part.num_rows, field.type)
        for field in schema
    ]
    return pa.table(columns, schema=schema)


def _changes(sorted_rows: pa.Table) -> pa.Array:
    """True where a row differs from the one above it. A repeated state in a row of states says nothing new; the same
    state after another one (given back, re-opened) does.
    """
    rows = sorted_rows.num_rows
    if rows == 0:
        return pa.array([], pa.bool_())
    differs = pa.array([False] * (rows - 1))
    for column in sorted_rows.columns:
        whole = _comparable(column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column)
        above, below = whole[:-1], whole[1:]
        one_null = pc.not_equal(pc.is_null(above), pc.is_null(below))
        differs = pc.or_(differs, pc.or_(one_null, pc.fill_null(pc.not_equal(above, below), False)))
    return pa.concat_arrays([pa.array([True]), differs])


def _comparable(column: pa.Array) -> pa.Array:
    """A list of texts as one text: pyarrow compares no lists."""
    return pc.binary_join(column, "\x1f") if pa.types.is_list(column.type) else column


def _table(name: str) -> Table:
    return next(table for table in BASE_TABLES if table.name == name)
