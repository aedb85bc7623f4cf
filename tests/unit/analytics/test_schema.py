"""One declaration, two readers: the Parquet files and the Glue catalogue must not drift apart."""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, timedelta, timezone
from typing import Any

import pyarrow as pa
import pytest

from infra.node import use_bundled_node
from shared.analytics.meaning import result_tables
from shared.analytics.parquet import TYPES, arrow_schema, decode, encode_rows, to_arrow
from shared.analytics.schema import BASE_TABLES, EVENTS, ORDER_STATES, Kind, month_of, partition_path

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


@pytest.fixture(scope="module")
def glue() -> dict[str, dict[str, Any]]:
    """The Glue tables as CloudFormation gets them."""
    use_bundled_node()
    from aws_cdk import App, Stack
    from aws_cdk import aws_apigatewayv2 as apigw
    from aws_cdk import aws_lambda as lambda_

    from infra.analytics import Analytics
    from infra.functions import FunctionFactory
    from infra.house import House
    from infra.stateful import StatefulStack
    from infra.synth import cdk_context

    app = App(analytics_reporting=False, context=cdk_context())
    data = StatefulStack(app, "Data")
    stack = Stack(app, "Main")
    factory = FunctionFactory(lambda group: lambda_.Code.from_inline(f"# {group}"))
    house = House(
        tables=data.tables,
        lake=data.lake,
        work=data.work,
        keys=data.keys,
        functions=factory,
        api=apigw.HttpApi(stack, "Api"),
    )
    Analytics(stack, "Analytics", house=house)
    resources = app.synth().get_stack_by_name("Main").template["Resources"]
    tables = [r["Properties"]["TableInput"] for r in resources.values() if r["Type"] == "AWS::Glue::Table"]
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
            json.dumps(parameters["storage.location.template"])
            .replace("${tenant}", "a")
            .replace(f"${{{keys[1]}}}", "2026-03")
        )
        assert partition_path(table, "a", "2026-03") in template


def test_every_kind_has_a_parquet_type() -> None:
    assert set(TYPES) == set(Kind)


def test_instants_are_written_as_utc_whatever_their_zone() -> None:
    tokyo = timezone(timedelta(hours=9))
    row = {"event_id": "1", "occurred_at": datetime(2026, 3, 1, 0, 30, 0, 123_999, tzinfo=tokyo), "refs": ["a", "b"]}
    (found,) = decode(encode_rows(EVENTS, [row])).to_pylist()
    assert found["occurred_at"] == datetime(2026, 2, 28, 15, 30, 0, 123_000)  # noqa: DTZ001 - the lake has no zones
    assert found["refs"] == ["a", "b"]
    assert found["occurred_on"] is None


def test_an_unknown_column_is_refused() -> None:
    with pytest.raises(ValueError, match="no column"):
        to_arrow(ORDER_STATES, [{"customer": "a"}])


@pytest.mark.parametrize(
    ("on", "month"),
    [
        (date(2026, 3, 31), "2026-03"),
        (date(1980, 1, 1), "1990-01"),
        (date(999, 1, 1), "1990-01"),
        (date(2150, 1, 1), "2099-12"),
    ],
)
def test_days_outside_the_catalogue_are_kept_in_its_nearest_month(on: date, month: str) -> None:
    assert month_of(on) == month


def test_rows_come_sorted() -> None:
    rows = [{"event_id": name, "occurred_at": datetime(2026, 3, 1, tzinfo=UTC)} for name in "cab"]
    assert decode(encode_rows(EVENTS, rows))["event_id"].to_pylist() == ["a", "b", "c"]
