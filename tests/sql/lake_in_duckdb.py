"""A lake in DuckDB: Athena SQL through sqlglot over rows at hand, typed by the lake's own schema."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, date, datetime
from functools import cache
from typing import Any

import duckdb
import pyarrow as pa
import sqlglot
from sqlglot import ErrorLevel

from shared.analytics.catalog import made_by_functions, names
from shared.analytics.lake import Objects
from shared.analytics.meaning import result_table
from shared.analytics.parquet import TYPES, decode, to_arrow
from shared.analytics.schema import BASE_TABLES, ORDER_STATES, Partition, Table, month_of

TENANT = "shop"
_RESULTS = [result_table(name) for name in (*names(), *made_by_functions())]
TABLES = {table.name: table for table in (*BASE_TABLES, *_RESULTS)}
_BASE = {table.name for table in BASE_TABLES}

Row = Mapping[str, Any]


_WORD = re.compile(r"\w+")


class DuckLake:
    """Every table of the lake, empty until filled; DuckDB is told of one when it is first named."""

    def __init__(self) -> None:
        # One thread: for the rows of a test the others would only spin.
        self.connection = duckdb.connect(":memory:", config={"threads": 1})
        self.connection.execute("SET TimeZone = 'UTC'")
        self._known: set[str] = set()

    def _tell(self, names: Iterable[str]) -> None:
        for name in names:
            if name not in self._known:
                self.connection.execute(_definition(name))
                self._known.add(name)

    def fill(self, name: str, rows: Iterable[Row], *, tenant: str = TENANT, dt: date | None = None) -> None:
        """Add rows; what a row leaves out is null, or follows from what it says."""
        table = TABLES[name]
        complete = [_completed(table, row) for row in rows]
        partition = [row.get("dt", dt) if table.partition is Partition.DT else _month(row) for row in complete]
        tenants = [row.get("tenant", tenant) for row in complete]
        columns = {column.name for column in table.columns}
        if set().union(*complete) - columns:
            complete = [{k: v for k, v in row.items() if k in columns} for row in complete]
        arrow = to_arrow(table, complete)
        kind = TYPES[table.partition_keys()[table.partition.value]]
        arrow = arrow.append_column("tenant", pa.array(tenants, pa.string()))
        arrow = arrow.append_column(table.partition.value, pa.array(partition, kind))
        self.add(name, arrow)

    def add(self, name: str, arrow: pa.Table) -> None:
        """Add rows that say their partition themselves."""
        self._tell([name])
        self.connection.register("incoming", arrow)
        self.connection.execute(f"INSERT INTO {name} BY NAME SELECT * FROM incoming")  # noqa: S608

    def forget(self, name: str, dt: date) -> None:
        """Take away a day's rows."""
        self._tell([name])
        self.connection.execute(f"DELETE FROM {name} WHERE dt = ?", [dt])  # noqa: S608

    def copy(self) -> DuckLake:
        """Another lake with the same rows."""
        other = DuckLake()
        for name in self._known:
            other.add(name, self.connection.table(name).to_arrow_table())
        return other

    def tell(self, athena_sql: str) -> None:
        """Let DuckDB know of every table a query names."""
        self._tell(TABLES.keys() & set(_WORD.findall(athena_sql)))

    def ask(self, athena_sql: str) -> pa.Table:
        """The answer to a query in Athena's dialect."""
        self.tell(athena_sql)
        return self.connection.sql(to_duckdb(athena_sql)).to_arrow_table()

    def rows(self, athena_sql: str) -> list[dict[str, Any]]:
        """The answer as dicts."""
        answer: list[dict[str, Any]] = self.ask(athena_sql).to_pylist()
        return answer


@cache
def _definition(name: str) -> str:
    """How DuckDB says that there is such a table, from the types of Parquet."""
    table = TABLES[name]
    keys = pa.schema([pa.field(key, TYPES[kind]) for key, kind in table.partition_keys().items()])
    with duckdb.connect(":memory:") as scratch:
        scratch.register("incoming", pa.unify_schemas([to_arrow(table, []).schema, keys]).empty_table())
        scratch.execute(f"CREATE TABLE {name} AS SELECT * FROM incoming")  # noqa: S608
        ((definition,),) = scratch.execute("SELECT sql FROM duckdb_tables()").fetchall()
    return str(definition)


@cache
def to_duckdb(athena_sql: str) -> str:
    """The same query for DuckDB; what sqlglot cannot say there is an error."""
    statements = sqlglot.transpile(athena_sql, read="athena", write="duckdb", unsupported_level=ErrorLevel.RAISE)
    (statement,) = statements
    return statement


def _completed(table: Table, row: Row) -> Row:
    if table is ORDER_STATES:
        return _completed_state(row)
    return _completed_fact(table, row)


def _completed_fact(table: Table, row: Row) -> Row:
    """A row of another base table, as short as a test wants to write it: it became known at noon of its own day."""
    return {**_fact_on(_day(row)), **row} if table.name in _BASE else row


@cache
def _fact_on(day: date) -> Row:
    noon = datetime(day.year, day.month, day.day, 12, tzinfo=UTC)
    return {
        "source": "shopify",
        "store": "a.myshopify.com",
        "currency": "JPY",
        "version": "",
        "sequence": "",
        "removed": False,
        "machine": False,
        "changed_on": day,
        "said_on": day,
        "occurred_on": day,
        "said_at": noon,
        "written_at": noon,
        "occurred_at": noon,
        "received_at": noon,
    }


_DAYS = ("ordered_on", "occurred_on", "spent_on", "said_on", "written_on", "changed_on", "started_on")


def _day(row: Row) -> date:
    day: date = next(row[name] for name in _DAYS if row.get(name) is not None)
    return day


def _completed_state(row: Row) -> Row:
    """An order state as short as a test wants to write it: customer, order, day and amount are enough."""
    return {**_state_on(row["ordered_on"]), "total": row.get("amount", 1000), **row}


@cache
def _state_on(day: date) -> Row:
    return {
        "source": "shopify",
        "store": "a.myshopify.com",
        "ordered_at": datetime(day.year, day.month, day.day, 3, tzinfo=UTC),
        "currency": "JPY",
        "amount": 1000,
        "valid": True,
        "cancelled": False,
        "version": "",
        "changed_on": day,
        "written_at": datetime(day.year, day.month, day.day, 4, tzinfo=UTC),
        "sequence": "",
        "removed": False,
        "historical": False,
    }


def _month(row: Row) -> str:
    return _month_of(_day(row))


_month_of = cache(month_of)


def differences(found: Sequence[Row], expected: Sequence[Row]) -> list[str]:
    """What differs between two sets of rows, on the columns the expected rows name, in any order."""
    columns = list(dict.fromkeys(key for row in expected for key in row))
    have = sorted(_shown(row, columns) for row in found)
    want = sorted(_shown(row, columns) for row in expected)
    missing = [f"- {row}" for row in want if have.count(row) < want.count(row)]
    surplus = [f"+ {row}" for row in have if want.count(row) < have.count(row)]
    return missing + surplus


def _shown(row: Row, columns: Sequence[str]) -> str:
    return ", ".join(f"{column}={_rounded(row.get(column))}" for column in columns)


def _rounded(value: Any) -> Any:
    return round(value, 9) if isinstance(value, float) else value


def lake_of(objects: Objects) -> DuckLake:
    """Everything in a bucket's Parquet objects, as Athena would see it."""
    lake = DuckLake()
    for table in TABLES.values():
        for stored in objects.list(f"{table.name}/"):
            attach(lake, table, decode(objects.get(stored.key)), stored.key)
    return lake


def attach(lake: DuckLake, table: Table, arrow: pa.Table, key: str) -> None:
    """One more object of a table, by its key in the bucket."""
    _, tenant, partition, _ = key.split("/")
    value = partition.partition("=")[2]
    kind = TYPES[table.partition_keys()[table.partition.value]]
    arrow = arrow.append_column("tenant", pa.array([tenant.partition("=")[2]] * arrow.num_rows, pa.string()))
    values = pa.array([value] * arrow.num_rows, pa.string()).cast(kind)
    lake.add(table.name, arrow.append_column(table.partition.value, values))
