"""One declaration, two readers: the lake's Parquet files and the deployed Glue tables must not drift apart."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest

from shared.analytics.meaning import result_tables
from shared.analytics.parquet import arrow_schema
from shared.analytics.schema import BASE_TABLES, partition_path
from tests.stack import Templates

TABLES = [*BASE_TABLES, *result_tables()]

GLUE_TO_ARROW = {
    "string": pa.string(),
    "bigint": pa.int64(),
    "int": pa.int32(),
    "double": pa.float64(),
    "boolean": pa.bool_(),
    "timestamp": pa.timestamp("ms"),
    "date": pa.date32(),
    "array<string>": pa.list_(pa.string()),
    "array<int>": pa.list_(pa.int32()),
}


@pytest.fixture
def glue(templates: Templates) -> dict[str, dict[str, Any]]:
    """The Glue tables as CloudFormation gets them."""
    tables = [properties["TableInput"] for _, properties in templates.properties("AWS::Glue::Table")]
    return {table["Name"]: table for table in tables}


def test_glue_and_parquet_agree_column_by_column(glue: dict[str, dict[str, Any]]) -> None:
    assert glue.keys() == {table.name for table in TABLES}
    for table in TABLES:
        columns = glue[table.name]["StorageDescriptor"]["Columns"]
        schema = arrow_schema(table)
        assert [column["Name"] for column in columns] == schema.names
        assert [GLUE_TO_ARROW[column["Type"]] for column in columns] == [field.type for field in schema]


def test_partitions_lie_where_athena_computes_them(glue: dict[str, dict[str, Any]]) -> None:
    for table in TABLES:
        parameters = glue[table.name]["Parameters"]
        keys = [key["Name"] for key in glue[table.name]["PartitionKeys"]]
        assert keys[0] == "tenant"
        assert parameters["projection.tenant.type"] == "injected"
        assert parameters[f"projection.{keys[1]}.type"] == "date"
        template = (
            str(parameters["storage.location.template"]).replace("${tenant}", "a").replace(f"${{{keys[1]}}}", "2026-03")
        )
        assert partition_path(table, "a", "2026-03") in template
