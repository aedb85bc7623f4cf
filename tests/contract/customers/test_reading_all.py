"""A whole table row by row, by one reader or several: in memory, and in DynamoDB in pages of a megabyte."""

from __future__ import annotations

import random
from collections.abc import Callable
from typing import Any

import boto3
import pytest

from shared.customers.rows import Delete, DynamoRows, MemoryRows, Put, Row, Rows

TABLE = "reading-contract"
PEOPLE, ORDERS, BYTES = 60, 7, 6_000
"""Two and a half megabytes: three pages, or one of each of three readers."""


def _row(person: int, number: int, shop: str = "shop", kind: str = "order") -> Row:
    body = random.Random(f"{person}/{number}").randbytes(BYTES).hex()[:BYTES]
    return Row(f"{shop}#{person:03}", f"{number}", kind, body, rev=1)


@pytest.fixture(scope="module")
def client(cloud: boto3.Session, make_table: Callable[[str], str]) -> Any:
    make_table(TABLE)
    return cloud.client("dynamodb")


@pytest.fixture(scope="module")
def table(client: Any) -> Rows:
    return _filled(DynamoRows(TABLE, client))


@pytest.fixture(scope="module", params=["memory", "dynamodb"])
def rows(request: pytest.FixtureRequest) -> Rows:
    return _filled(MemoryRows()) if request.param == "memory" else request.getfixturevalue("table")


def _filled(rows: Rows) -> Rows:
    for person in range(PEOPLE):
        rows.transact([Put(_row(person, number)) for number in range(ORDERS)])
    rows.transact([Put(_row(1, 1, shop="other")), Put(_row(1, 99, kind="cart"))])
    return rows


def _key(row: Row) -> tuple[str, str]:
    return row.key


def _all() -> list[Row]:
    return [_row(person, number) for person in range(PEOPLE) for number in range(ORDERS)]


@pytest.mark.parametrize("readers", [1, 3])
def test_every_row_of_the_kind_and_the_shop_is_read_once(rows: Rows, readers: int) -> None:
    assert sorted(rows.each_of_kind("shop#", "order", readers), key=_key) == _all()


@pytest.mark.parametrize("readers", [1, 3])
def test_what_comes_and_goes_meanwhile_hides_nothing_that_stays(rows: Rows, readers: int) -> None:
    reading = rows.each_of_kind("shop#", "order", readers)
    found = [next(reading)]
    passing = [_row(person, 0) for person in range(PEOPLE, PEOPLE + 20)]
    rows.transact([Put(row) for row in passing])
    found += [next(reading) for _ in range(200)]
    rows.transact([Delete(row.key) for row in passing])
    stayed = [row for row in (*found, *reading) if row not in passing]
    assert sorted(stayed, key=_key) == _all()


def test_who_has_found_enough_stops(rows: Rows) -> None:
    reading = rows.each_of_kind("shop#", "order", 3)
    assert next(reading).kind == "order"
    reading.close()
    assert list(reading) == []


@pytest.mark.parametrize("size", [7, 500])
def test_pages_of_any_size_make_one_table(client: Any, table: Rows, size: int) -> None:
    scan = client.get_paginator("scan").paginate
    halves = [scan(TableName=TABLE, Limit=size, Segment=segment, TotalSegments=2) for segment in (0, 1)]
    keys = [(item["pk"]["S"], item["sk"]["S"]) for half in halves for page in half for item in page["Items"]]
    assert len(keys) == len(set(keys)) == PEOPLE * ORDERS + 2
