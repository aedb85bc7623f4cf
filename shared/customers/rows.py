"""Rows of one DynamoDB table, read strongly and written on condition; and the same in memory.

Nothing here knows what a row means: that is `store.py`.
"""

from __future__ import annotations

import base64
import threading
import zlib
from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
from concurrent.futures import FIRST_COMPLETED, ThreadPoolExecutor, wait
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Protocol, cast

from shared.core.aws import client as aws_client
from shared.core.aws import domain_errors
from shared.core.errors import UnavailableError
from shared.customers import statements

Key = tuple[str, str]
"""Partition key and sort key."""

MAX_WRITES = 100
"""Items in one DynamoDB transaction."""

READ_AT_ONCE = 100
"""Keys in one BatchGetItem."""
_ROUNDS = 8
_WORKERS = 4


class ConflictError(UnavailableError):
    """Somebody else wrote first: read again, decide again."""


@dataclass(frozen=True, slots=True)
class Row:
    """One item. `fields` are text attributes that filters and conditions can see; `body` is JSON."""

    pk: str
    sk: str
    kind: str
    body: str = "{}"
    historical: bool = False
    rev: int = 0
    fields: Mapping[str, str] = field(default_factory=dict)

    @property
    def key(self) -> Key:
        """Where the row is."""
        return self.pk, self.sk

    def same(self, other: Row | None) -> bool:
        """Does it say the same? Who wrote it, and how often, does not count."""
        return other is not None and (self.body, dict(self.fields)) == (other.body, dict(other.fields))


@dataclass(frozen=True, slots=True)
class Put:
    """Write a row, if it is still at revision `expected` (0: if there is none; None: in any case)."""

    row: Row
    expected: int | None = None

    @property
    def key(self) -> Key:
        """Of the row."""
        return self.row.key


@dataclass(frozen=True, slots=True)
class Delete:
    """Remove a row, if it is still at revision `expected` (None: in any case)."""

    key: Key
    expected: int | None = None


Write = Put | Delete


@dataclass(frozen=True, slots=True)
class Replace:
    """Write a row where `before` was read, if that is still at its revision (None: if there is none)."""

    before: Row | None
    after: Row

    def as_put(self) -> Put:
        """The same as a write of its own."""
        return Put(self.after, expected=self.before.rev if self.before else 0)


class Rows(Protocol):
    """Where rows are kept."""

    def get(self, keys: Iterable[Key]) -> dict[Key, Row]:
        """The rows of these keys that exist."""
        ...

    def partition(self, pk: str) -> list[Row]:
        """Every row of a partition."""
        ...

    def of_kind(self, prefix: str, kind: str) -> list[Row]:
        """Every row of a kind whose partition begins like this: reads the whole table."""
        ...

    def each_of_kind(self, prefix: str, kind: str, readers: int = 1) -> Generator[Row]:
        """The same one after the other: for what would not fit into memory. Several readers are as many times as fast
        and cost the same; whoever stops asking stops them.
        """
        ...

    def put(self, put: Put) -> None:
        """One write, half the price of a transaction. Raises ConflictError when its expectation is not met."""
        ...

    def replace_each(self, changes: Sequence[Replace]) -> None:
        """Many writes of different rows in few calls, each for itself and in no order, at the price of single ones.

        Raises ConflictError when the expectation of any is not met: the others may have been written.
        """
        ...

    def transact(self, writes: Sequence[Write]) -> None:
        """All of at most 100 writes, or none. Raises ConflictError when an expectation is not met."""
        ...

    def transact_each(self, transactions: Sequence[Sequence[Write]]) -> list[int]:
        """Many transactions side by side; returns the positions of those refused by a conflict."""
        ...


class MemoryRows:
    """Rows in a dict, for tests and replays."""

    def __init__(self) -> None:
        self.partitions: dict[str, dict[str, Row]] = {}
        self._lock = threading.Lock()

    def get(self, keys: Iterable[Key]) -> dict[Key, Row]:
        """The rows of these keys that exist."""
        with self._lock:
            return {(pk, sk): row for pk, sk in keys if (row := self._row(pk, sk))}

    def _row(self, pk: str, sk: str) -> Row | None:
        return self.partitions.get(pk, {}).get(sk)

    def partition(self, pk: str) -> list[Row]:
        """Every row of a partition."""
        with self._lock:
            return [row for _, row in sorted(self.partitions.get(pk, {}).items())]

    def of_kind(self, prefix: str, kind: str) -> list[Row]:
        """Every row of a kind whose partition begins like this."""
        with self._lock:
            rows = [row for held in self.partitions.values() for row in held.values()]
        return [row for row in rows if row.pk.startswith(prefix) and row.kind == kind]

    def each_of_kind(self, prefix: str, kind: str, readers: int = 1) -> Generator[Row]:
        """The same one after the other."""
        yield from self.of_kind(prefix, kind)

    def put(self, put: Put) -> None:
        """One write."""
        self.transact([put])

    def replace_each(self, changes: Sequence[Replace]) -> None:
        """One after the other."""
        for change in changes:
            self.put(change.as_put())

    def transact(self, writes: Sequence[Write]) -> None:
        """All of the writes, or none."""
        if len(writes) > MAX_WRITES or len({write.key for write in writes}) < len(writes):
            raise ValueError("a transaction is at most 100 writes of different rows")
        with self._lock:
            if not all(self._met(write) for write in writes):
                raise ConflictError("a row changed since it was read")
            for write in writes:
                pk, sk = write.key
                if isinstance(write, Put):
                    self.partitions.setdefault(pk, {})[sk] = write.row
                else:
                    self.partitions.get(pk, {}).pop(sk, None)

    def _met(self, write: Write) -> bool:
        if write.expected is None:
            return True
        row = self._row(*write.key)
        return (row.rev if row else 0) == write.expected

    def transact_each(self, transactions: Sequence[Sequence[Write]]) -> list[int]:
        """One after the other."""
        refused = []
        for position, writes in enumerate(transactions):
            try:
                self.transact(writes)
            except ConflictError:
                refused.append(position)
        return refused


class DynamoRows:
    """Rows in a DynamoDB table (`pk`, `sk`)."""

    def __init__(self, table: str, client: Any = None) -> None:
        self._table = table
        self._given = client

    @property
    def _client(self) -> Any:
        return self._given or aws_client("dynamodb")

    def get(self, keys: Iterable[Key]) -> dict[Key, Row]:
        """The rows of these keys that exist, strongly consistent; batches of 100, asked again until complete."""
        wanted = list(dict.fromkeys(keys))
        batches = [wanted[start : start + READ_AT_ONCE] for start in range(0, len(wanted), READ_AT_ONCE)]
        return {row.key: row for rows in self._each(self._get_batch, batches) for row in rows}

    def _get_batch(self, keys: Sequence[Key]) -> list[Row]:
        found: list[Row] = []
        request: Any = {self._table: {"Keys": [_dynamo_key(key) for key in keys], "ConsistentRead": True}}
        for _ in range(_ROUNDS):
            answer = self._call("batch_get_item", RequestItems=request)
            found += [decode_item(item) for item in answer["Responses"].get(self._table, [])]
            request = answer.get("UnprocessedKeys")
            if not request:
                return found
        raise UnavailableError(f"table {self._table} is too busy to read")

    def partition(self, pk: str) -> list[Row]:
        """Every row of a partition, strongly consistent."""
        rows: list[Row] = []
        query: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": {"S": pk}},
            "ConsistentRead": True,
        }
        while True:
            answer = self._call("query", **query)
            rows += [decode_item(item) for item in answer["Items"]]
            if "LastEvaluatedKey" not in answer:
                return rows
            query["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def of_kind(self, prefix: str, kind: str) -> list[Row]:
        """Every row of a kind whose partition begins like this: reads the whole table."""
        return list(self.each_of_kind(prefix, kind))

    def each_of_kind(self, prefix: str, kind: str, readers: int = 1) -> Generator[Row]:
        """The same one after the other; several readers each have a segment of the table and a page under way."""
        segments = [self._pages(prefix, kind, number, readers) for number in range(readers)]
        with ThreadPoolExecutor(readers) as pool:
            under_way = {pool.submit(next, segment, None): segment for segment in segments}
            while under_way:
                done, _ = wait(under_way, return_when=FIRST_COMPLETED)
                for future in done:
                    segment = under_way.pop(future)
                    if (page := future.result()) is not None:
                        under_way[pool.submit(next, segment, None)] = segment
                        yield from page

    def _pages(self, prefix: str, kind: str, segment: int, segments: int) -> Iterator[list[Row]]:
        scan: dict[str, Any] = {
            "TableName": self._table,
            "FilterExpression": "begins_with(pk, :prefix) AND kind = :kind",
            "ExpressionAttributeValues": {":prefix": {"S": prefix}, ":kind": {"S": kind}},
            "Segment": segment,
            "TotalSegments": segments,
        }
        while True:
            answer = self._call("scan", **scan)
            yield [decode_item(item) for item in answer["Items"]]
            if "LastEvaluatedKey" not in answer:
                return
            scan["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def put(self, put: Put) -> None:
        """One write."""
        self._call("put_item", **self._item(put)["Put"])

    def replace_each(self, changes: Sequence[Replace]) -> None:
        """A call for each 25."""
        said = [statements.replacing(self._table, _item_of(each.before), encode_item(each.after)) for each in changes]
        at_once = statements.AT_ONCE
        self._each(self._execute, [said[start : start + at_once] for start in range(0, len(said), at_once)])

    def _execute(self, batch: Sequence[Mapping[str, Any]]) -> None:
        # A statement refused for being one too many is not tried again here: whoever folds one by one has the SDK's
        # patience.
        with self._errors("batch_execute_statement"):
            _raise_failed(self._client.batch_execute_statement(Statements=batch)["Responses"])

    def transact(self, writes: Sequence[Write]) -> None:
        """All of the writes, or none. The SDK's request token makes its own retries harmless."""
        if writes:
            self._call("transact_write_items", TransactItems=[self._item(write) for write in writes])

    def _item(self, write: Write) -> dict[str, Any]:
        condition: dict[str, Any] = {}
        if write.expected == 0:
            condition["ConditionExpression"] = "attribute_not_exists(pk)"
        elif write.expected is not None:
            condition["ConditionExpression"] = "rev = :rev"
            condition["ExpressionAttributeValues"] = {":rev": {"N": str(write.expected)}}
        if isinstance(write, Delete):
            return {"Delete": {"TableName": self._table, "Key": _dynamo_key(write.key), **condition}}
        return {"Put": {"TableName": self._table, "Item": encode_item(write.row), **condition}}

    def transact_each(self, transactions: Sequence[Sequence[Write]]) -> list[int]:
        """Four at a time."""

        def refused(writes: Sequence[Write]) -> bool:
            try:
                self.transact(writes)
            except ConflictError:
                return True
            return False

        return [position for position, no in enumerate(self._each(refused, transactions)) if no]

    def _each(self, call: Any, batches: Sequence[Any]) -> list[Any]:
        if len(batches) <= 1:
            return [call(batch) for batch in batches]
        with ThreadPoolExecutor(_WORKERS) as pool:
            return list(pool.map(call, batches))

    def _call(self, operation: str, **arguments: Any) -> Any:
        with self._errors(operation):
            return getattr(self._client, operation)(**arguments)

    @contextmanager
    def _errors(self, operation: str) -> Iterator[None]:
        with domain_errors(f"{operation} on table {self._table}"), _conflicts():
            yield


_CONFLICT = frozenset(
    {
        "ConditionalCheckFailed",
        "ConditionalCheckFailedException",
        "DuplicateItem",
        "TransactionConflict",
        "TransactionConflictException",
    }
)
_BUSY = frozenset({"ProvisionedThroughputExceeded", "ThrottlingError", "TransactionInProgressException"})


@contextmanager
def _conflicts() -> Iterator[None]:
    """A transaction says per write why it was cancelled; those reasons as this product's errors."""
    from botocore.exceptions import ClientError  # boto3 is slow to import

    try:
        yield
    except ClientError as error:
        reasons = cast("Sequence[Mapping[str, str]]", error.response.get("CancellationReasons", ()))
        codes = {*(reason.get("Code") for reason in reasons), error.response.get("Error", {}).get("Code")}
        if codes & _CONFLICT:
            raise ConflictError("a row changed since it was read") from error
        if codes & _BUSY:
            raise UnavailableError("the table is too busy for this transaction") from error
        raise


def _raise_failed(responses: Sequence[Mapping[str, Any]]) -> None:
    """The statements of a batch that failed, as one error of the kind a transaction raises."""
    from botocore.exceptions import ClientError

    errors = [each["Error"] for each in responses if "Error" in each]
    if errors:
        response: Any = {"Error": errors[0], "CancellationReasons": errors}
        raise ClientError(response, "BatchExecuteStatement")


def _item_of(row: Row | None) -> dict[str, Any] | None:
    return encode_item(row) if row else None


def _dynamo_key(key: Key) -> dict[str, Any]:
    return {"pk": {"S": key[0]}, "sk": {"S": key[1]}}


def encode_item(row: Row) -> dict[str, Any]:
    """The DynamoDB item of a row."""
    return {
        **_dynamo_key(row.key),
        "kind": {"S": row.kind},
        **_packed(row.body),
        "historical": {"BOOL": row.historical},
        "rev": {"N": str(row.rev)},
        **{name: {"S": value} for name, value in row.fields.items()},
    }


def _packed(body: str) -> dict[str, Any]:
    """Long bodies are compressed: a write is paid by the KB."""
    if len(body) < _WORTH_PACKING:
        return {"body": {"S": body}}
    return {"packed": {"B": zlib.compress(body.encode(), 9)}}


def _unpacked(item: Mapping[str, Any]) -> str:
    if "body" in item:
        return str(item["body"]["S"])
    # Bytes from boto3, base64 in a stream's record.
    packed: bytes | str = item["packed"]["B"]
    return zlib.decompress(base64.b64decode(packed) if isinstance(packed, str) else bytes(packed)).decode()


_WORTH_PACKING = 600
_OWN = frozenset({"pk", "sk", "kind", "body", "packed", "historical", "rev"})


def decode_item(item: Mapping[str, Any]) -> Row:
    """The row of a DynamoDB item or stream image."""
    return Row(
        pk=item["pk"]["S"],
        sk=item["sk"]["S"],
        kind=item["kind"]["S"],
        body=_unpacked(item),
        historical=item["historical"]["BOOL"],
        rev=int(item["rev"]["N"]),
        fields={name: value["S"] for name, value in item.items() if name not in _OWN},
    )
