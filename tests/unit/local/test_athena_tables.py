"""Which files a table's query reads."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import duckdb
import pytest

from infra.local.emulator.athena_tables import (
    DataFile,
    StoredObject,
    TableError,
    duckdb_type,
    plain_files,
    projected_files,
    projections,
    surviving,
)

NOW = datetime(2026, 3, 10, tzinfo=UTC)


def a_table(**parameters: str) -> dict[str, Any]:
    """An events table with two projected partition columns."""
    return {
        "PartitionKeys": [{"Name": "tenant", "Type": "string"}, {"Name": "day_on", "Type": "date"}],
        "StorageDescriptor": {"Location": "s3://lake/events/"},
        "Parameters": {
            "projection.enabled": "true",
            "projection.tenant.type": "injected",
            "projection.day_on.type": "date",
            "projection.day_on.range": "2026-01-01,NOW+1DAY",
            "projection.day_on.format": "yyyy-MM-dd",
            "storage.location.template": "s3://lake/events/${tenant}/${day_on}/",
            **parameters,
        },
    }


def an_object(key: str) -> StoredObject:
    """One object of the lake."""
    return StoredObject("lake", key, "e", 10)


def days(table: dict[str, Any], *keys: str) -> list[tuple[str, ...]]:
    """Partition values of the files that are seen."""
    return [file.values for file in projected_files(table, map(an_object, keys), NOW)]


def test_only_partitions_inside_the_projection_are_seen() -> None:
    keys = (
        "events/t1/2026-03-01/a",
        "events/t1/2025-12-31/a",
        "events/t1/2026-03-12/a",
        "events/t1/someday/a",
        "events/t1/2026-03-02/_temporary/a",
        "other/t1/2026-03-01/a",
    )
    assert days(a_table(), *keys) == [("t1", "2026-03-01")]


def test_an_enumerated_column_sees_its_values_only() -> None:
    table = a_table(**{"projection.tenant.type": "enum", "projection.tenant.values": "t1,t2"})
    assert days(table, "events/t1/2026-03-01/a", "events/t9/2026-03-01/a") == [("t1", "2026-03-01")]


def test_a_column_without_projection_is_an_error() -> None:
    with pytest.raises(TableError, match="tenant"):
        projections(a_table(**{"projection.tenant.type": ""}))


def test_conditions_on_partitions_leave_files_out() -> None:
    files = [
        DataFile(an_object(f"events/{t}/{d}/a"), (t, d)) for t in ("t1", "t2") for d in ("2026-03-01", "2026-03-02")
    ]
    with duckdb.connect(":memory:") as connection:
        left = surviving(connection, a_table(), files, ["\"tenant\" = 't1'", "\"day_on\" > DATE '2026-03-01'"])
    assert [file.values for file in left] == [("t1", "2026-03-02")]


def test_a_plain_table_skips_hidden_objects() -> None:
    table = {"StorageDescriptor": {"Location": "s3://lake/seed"}}
    found = plain_files(table, map(an_object, ["seed/a", "seed/_SUCCESS", "seed/.tmp/b", "seeds/c", "seed/"]))
    assert [file.stored.key for file in found] == ["seed/a"]


@pytest.mark.parametrize(
    ("glue", "duck"),
    [
        ("bigint", "BIGINT"),
        ("decimal(18,2)", "DECIMAL(18,2)"),
        ("array<struct<sku:string,price:bigint>>", 'STRUCT("sku" VARCHAR, "price" BIGINT)[]'),
        ("map<string,array<int>>", "MAP(VARCHAR, INTEGER[])"),
    ],
)
def test_glue_types_are_known(glue: str, duck: str) -> None:
    assert duckdb_type(glue) == duck
