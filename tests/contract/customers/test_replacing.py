"""Many conditional writes in one call: what the rows in memory promise, DynamoDB keeps too, and its stream hears of."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import replace
from itertools import count
from typing import Any

import boto3
import pytest
from botocore.exceptions import ClientError

from shared.core.errors import MisconfiguredError, UnavailableError
from shared.customers.rows import ConflictError, DynamoRows, MemoryRows, Replace, Row, Rows, decode_item

_NUMBERS = count(1)
TABLE = "replacing-contract"


@pytest.fixture(scope="module")
def client(cloud: boto3.Session, make_table: Callable[[str], str]) -> Any:
    client: Any = cloud.client("dynamodb")
    make_table(TABLE)
    client.update_table(
        TableName=TABLE, StreamSpecification={"StreamEnabled": True, "StreamViewType": "NEW_AND_OLD_IMAGES"}
    )
    return client


@pytest.fixture(params=["memory", "dynamodb"])
def rows(request: pytest.FixtureRequest) -> Rows:
    return MemoryRows() if request.param == "memory" else DynamoRows(TABLE, request.getfixturevalue("client"))


@pytest.fixture
def pk() -> str:
    return f"shop#{next(_NUMBERS)}"


def a_row(pk: str, sk: str = "a", rev: int = 1, **changes: Any) -> Row:
    return Row(pk, sk, "order", changes.pop("body", '{"at":"日本"}'), rev=rev, **changes)


def new(*some: Row) -> list[Replace]:
    return [Replace(None, row) for row in some]


def test_nothing_is_asked_for_nothing(rows: Rows) -> None:
    rows.replace_each([])


def test_more_rows_than_go_into_a_call_are_all_written(rows: Rows, pk: str) -> None:
    many = [a_row(pk, f"{number:02}", historical=number % 2 == 0) for number in range(60)]
    rows.replace_each(new(*random.sample(many, 60)))
    assert rows.partition(pk) == many


LONG = '"' + "".join(map(str, range(900))) + '"'


@pytest.mark.parametrize(
    "changes",
    [
        {"body": LONG},
        {"body": "{}", "fields": {"said": "yesterday"}},
        {"body": "{}", "fields": {"merged_into": "taro"}, "historical": True},
    ],
)
def test_of_the_row_that_was_there_nothing_stays(rows: Rows, pk: str, changes: dict[str, Any]) -> None:
    first = a_row(pk, body=LONG, fields={"said": "today"})
    after = replace(a_row(pk, rev=4), **changes)
    rows.replace_each(new(first))
    rows.replace_each([Replace(first, after)])
    assert rows.partition(pk) == [after]
    rows.replace_each([Replace(after, replace(first, rev=5))])
    assert rows.partition(pk) == [replace(first, rev=5)]


@pytest.mark.parametrize(
    ("read", "stored"),
    [(None, 1), (1, None), (1, 2), (2, 1)],
    ids=["somebody made it", "somebody removed it", "somebody was first", "it is older than what was read"],
)
def test_what_is_not_as_it_was_read_is_a_conflict_and_the_others_stand(
    rows: Rows, pk: str, read: int | None, stored: int | None
) -> None:
    there = [a_row(pk, rev=stored, body="{}")] if stored else []
    rows.replace_each(new(*there))
    with pytest.raises(ConflictError):
        rows.replace_each([*new(a_row(pk, "0")), Replace(a_row(pk, rev=read) if read else None, a_row(pk, rev=9))])
    assert rows.partition(pk) == [a_row(pk, "0"), *there]


def test_the_stream_hears_of_every_row_written_and_of_no_other(client: Any, cloud: boto3.Session, pk: str) -> None:
    rows = DynamoRows(TABLE, client)
    one, other = a_row(pk), a_row(pk, "b", body=LONG)
    rows.replace_each(new(one, other))
    after = replace(one, rev=2, fields={"said": "today"})
    with pytest.raises(ConflictError):
        rows.replace_each([Replace(one, after), Replace(None, other)])
    heard = [
        (record["eventName"], *(record["dynamodb"].get(image) for image in ("OldImage", "NewImage")))
        for record in streamed(client, cloud)
        if record["dynamodb"]["Keys"]["pk"]["S"] == pk
    ]
    assert [(name, before and decode_item(before), decode_item(now)) for name, before, now in heard] == [
        ("INSERT", None, one),
        ("INSERT", None, other),
        ("MODIFY", one, after),
    ]


def streamed(client: Any, cloud: boto3.Session) -> Sequence[Any]:
    """Every record of the table's stream."""
    streams: Any = cloud.client("dynamodbstreams")
    arn = client.describe_table(TableName=TABLE)["Table"]["LatestStreamArn"]
    (shard,) = streams.describe_stream(StreamArn=arn)["StreamDescription"]["Shards"]
    iterator = streams.get_shard_iterator(StreamArn=arn, ShardId=shard["ShardId"], ShardIteratorType="TRIM_HORIZON")[
        "ShardIterator"
    ]
    found: list[Any] = []
    while page := streams.get_records(ShardIterator=iterator):
        found += page["Records"]
        iterator = page.get("NextShardIterator")
        if not page["Records"]:
            break
    return found


@pytest.mark.usefixtures("client")
def test_a_batch_costs_what_its_rows_would_one_by_one(cloud: boto3.Session, pk: str) -> None:
    client: Any = cloud.client("dynamodb")
    units: list[float] = []
    client.meta.events.register(
        "before-parameter-build.dynamodb.BatchExecuteStatement",
        lambda params, **_: params.update(ReturnConsumedCapacity="TOTAL"),
    )
    client.meta.events.register(
        "after-call.dynamodb.BatchExecuteStatement",
        lambda parsed, **_: units.extend(each["CapacityUnits"] for each in parsed["ConsumedCapacity"]),
    )
    noise = "".join(random.Random(1).choices("abcdefghijklmnopqrstuvwxyz0123456789", k=4000))
    rows, big = DynamoRows(TABLE, client), a_row(pk, "b", body=f'"{noise}"')
    rows.replace_each(new(a_row(pk), big))
    rows.replace_each([Replace(big, a_row(pk, "b", rev=2))])
    assert units == [1 + 3, 3]


class _Answering:
    """A table that answers as AWS would where the local cloud has no reason to."""

    def __init__(self, *codes: str) -> None:
        self._responses = [{"Error": {"Code": code, "Message": "no"}} if code else {} for code in codes]

    def batch_execute_statement(self, **_: Any) -> dict[str, Any]:
        return {"Responses": self._responses}


@pytest.mark.parametrize(
    ("codes", "kind"),
    [
        (["", "ThrottlingError"], UnavailableError),
        (["ProvisionedThroughputExceeded", ""], UnavailableError),
        (["InternalServerError", ""], UnavailableError),
        (["RequestLimitExceeded", ""], UnavailableError),
        (["AccessDenied", ""], MisconfiguredError),
        (["ThrottlingError", "DuplicateItem"], ConflictError),
        (["InternalServerError", "TransactionConflict"], ConflictError),
        (["ValidationError", ""], ClientError),
    ],
)
def test_what_went_wrong_with_a_statement_is_said(codes: list[str], kind: type[Exception], pk: str) -> None:
    with pytest.raises(kind) as raised:
        DynamoRows(TABLE, _Answering(*codes)).replace_each(new(a_row(pk), a_row(pk, "b")))
    assert raised.type is kind
