"""What each analysis reads, by the engine's own plan: its shop's partitions up to the day, and the columns it names.

Files of another shop, of later months and of other days lie beside those of the day; a plan that would open one of
them is found here, before Athena bills it.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Any

import duckdb
import pyarrow.parquet as pq
import pytest

from shared.analytics import catalog
from shared.analytics.definitions import Definitions
from shared.analytics.meaning import analyses, every_analysis, meaning, night_catalog
from shared.analytics.parquet import to_arrow
from shared.analytics.schema import BASE_TABLES, Partition, Table, partition_path
from shared.core.ids import TenantId
from tests.sql.lake_in_duckdb import TABLES, to_duckdb

AS_OF = date(2026, 3, 31)
SHOP, OTHER = TenantId("shop"), TenantId("other-shop")
MONTHS = ("2026-02", "2026-03", "2026-04")
DAYS = ("2026-03-30", "2026-03-31", "2026-04-01")
BASE = {table.name for table in BASE_TABLES}
EVERY_MONTH = {
    "products", "coupon_codes", "person_links", "person_ids", "subscription_states", "attribute_states",
    "consent_states",
}  # fmt: skip
"""Filed under a day that says nothing of when they hold: when they were told, said or begun."""
LATERAL = {"purchase_cycle_v1"}
"""DuckDB plans an UNNEST beside a table without naming files; Athena, and our own engine, prune by the WHERE."""
VALUES = catalog.parameters(SHOP, AS_OF, Definitions(), "JPY", previous_on=date(2026, 3, 30))
ON_A_SUNDAY = catalog.parameters(SHOP, date(2026, 3, 29), Definitions(), "JPY")
"""What is done once a week is done then."""
STORED = [analysis for analysis in analyses() if not analysis.made_by and analysis.name not in LATERAL]


@dataclass(frozen=True)
class Scan:
    """One reading of files in a plan."""

    files: int
    columns: frozenset[str]


@pytest.fixture(scope="module")
def lake(tmp_path_factory: pytest.TempPathFactory) -> duckdb.DuckDBPyConnection:
    """One empty file in each of three partitions of two shops, for every table."""
    folder = Path(tmp_path_factory.mktemp("lake"))
    connection = duckdb.connect(":memory:")
    for table in TABLES.values():
        empty = to_arrow(table, [{}])
        for tenant in (SHOP, OTHER):
            for value in DAYS if table.partition is Partition.DT else MONTHS:
                path = folder / partition_path(table, tenant, value) / "part-0.parquet"
                path.parent.mkdir(parents=True)
                pq.write_table(empty, path, compression="zstd")
        kind = "DATE" if table.partition is Partition.DT else "VARCHAR"
        types = f"{{'tenant': VARCHAR, '{table.partition.value}': {kind}}}"
        connection.execute(
            f"CREATE VIEW {table.name} AS SELECT * FROM read_parquet('{folder}/{table.name}/*/*/*.parquet',"  # noqa: S608
            f" hive_partitioning = true, hive_types = {types})"
        )
    return connection


def scans(connection: duckdb.DuckDBPyConnection, query: str) -> list[Scan]:
    """Every reading of files that the engine plans for a query."""
    ((_, plan),) = connection.execute(f"EXPLAIN (FORMAT json) {to_duckdb(query)}").fetchall()
    return [_scan(node["extra_info"]) for node in _nodes(json.loads(plan)) if "READ_PARQUET" in node["name"]]


def _nodes(plan: list[dict[str, Any]]) -> Iterator[dict[str, Any]]:
    for node in plan:
        yield node
        yield from _nodes(node["children"])


def _scan(said: dict[str, Any]) -> Scan:
    columns = said.get("Projections", [])
    named = [columns] if isinstance(columns, str) else columns
    # A plan says nothing of files where it leaves none out.
    return Scan(int(said.get("Scanning Files", "6/6").partition("/")[0]), frozenset(named))


def allowed_files(scan: Scan, tables: set[str]) -> int:
    """The most that a reading of any of these tables may open. Who is read as whom is asked beside most of them."""
    among = {"person_ids"} if "stored_id" in scan.columns else tables - {"person_ids"}
    return max((3 if table in EVERY_MONTH else 2 for table in among), default=2)


@pytest.mark.parametrize("analysis", STORED, ids=lambda analysis: analysis.name)
def test_a_nightly_analysis_reads_its_shops_partitions_and_the_columns_it_names(
    lake: duckdb.DuckDBPyConnection, analysis: catalog.Analysis
) -> None:
    found = scans(lake, catalog.nightly_query(analysis.name, night_catalog(), VALUES))
    read = set(catalog.stored_reads(analysis.name, night_catalog()))
    assert found
    for scan in found:
        # Up to two months of three for what is cut by month; one day of three for results.
        assert scan.files <= (allowed_files(scan, read & BASE) if read & BASE else 1), scan
        assert not any(scan.columns >= _columns(TABLES[table]) for table in read & BASE), "reads every column"


@pytest.mark.parametrize("name", catalog.names())
def test_over_the_base_tables_alone_it_reads_no_other_shop_and_no_later_month(
    lake: duckdb.DuckDBPyConnection, name: str
) -> None:
    made = {analysis.name for analysis in analyses() if analysis.made_by}
    if name == "score_changes_v1" or made & _inputs(name):
        pytest.skip("reads what a night has left")
    found = scans(lake, catalog.standalone_query(name, every_analysis(), ON_A_SUNDAY))
    assert found
    for scan in found:
        assert scan.files <= 3, scan
        assert not any(scan.columns >= _columns(table) for table in BASE_TABLES if len(table.columns) > 10), (
            "every column"
        )
    read = _inputs(name)
    if not read & EVERY_MONTH - {"person_ids"} and not read - BASE - set(catalog.names()):
        assert all(scan.files <= allowed_files(scan, read & BASE) for scan in found)


def _inputs(name: str) -> set[str]:
    reads = set(meaning(name).reads) | set(meaning(name).uses)
    return reads.union(*(_inputs(read) for read in reads if read in catalog.names()))


def _columns(table: Table) -> frozenset[str]:
    return frozenset(column.name for column in table.columns)


def test_a_query_without_its_predicates_would_be_noticed(lake: duckdb.DuckDBPyConnection) -> None:
    (everything,) = scans(lake, "SELECT SUM(amount) AS amount FROM order_states")
    assert everything.files == 6
    assert everything.columns == {"amount"}
    (later,) = scans(lake, "SELECT SUM(amount) AS amount FROM order_states WHERE tenant = 'shop'")
    assert later.files == 3
