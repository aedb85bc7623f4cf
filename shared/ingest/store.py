"""The events table: one row per delivery, put once. The only file that knows its keys.

| attribute | |
|---|---|
| pk | `{tenant}#{subject}`: the stream keeps the order of one thing's events |
| sk | event id |
| source, connection, store, topic, occurred_at, received_at | of the envelope |
| raw | the body, zlib; absent when `pointer` names an object that holds it |
| words | number of the dictionary it was packed with (`packing.py`); absent: none |
| attempt | which call wrote the row |
| erased_at | when the body was forgotten with its person: the row stays, so that a repeat still meets it |
| expires_at | raw bodies are personal data: kept RETENTION, then gone (TTL, epoch seconds) |
"""

from __future__ import annotations

import base64
import secrets
import zlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Protocol

from shared.core.aws import domain_errors
from shared.core.clock import from_iso, to_iso
from shared.core.errors import MisconfiguredError, NotFoundError, RejectedError
from shared.core.ids import ConnectionId, EventId, TenantId
from shared.ingest import packing
from shared.ingest.model import Envelope
from shared.ingest.oversize import Oversize, object_key

RETENTION = timedelta(days=30)
"""As long as any source repeats itself (webhooks.md §18), so a late repeat still meets its first delivery; a tenth of
the bill at 90. What it said is in the state and in the lake.
"""

OVERSIZE_RETENTION = timedelta(days=30)
"""An oversized body lies in the work bucket, which expires it then: its row must not outlive it."""

MAX_ROW_BYTES = 350_000
"""Compressed body kept in the row; an item may hold 400 KB with everything else in it."""

MAX_BODY_BYTES = 6_000_000
"""Nothing larger was ever accepted, so nothing larger is ever unpacked."""


ERASED = "erased_at"

SLICE_ROWS = 1_000
"""Read at once when the whole table is looked through: at most 1 MB, DynamoDB's limit."""

Key = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Body:
    """A delivery whose body is still kept, and where."""

    key: Key
    envelope: Envelope


@dataclass(frozen=True, slots=True)
class Slice:
    """A part of everything kept."""

    bodies: tuple[Body, ...]
    rows: int
    """Looked at, those without a body included."""
    unread: int
    """Bodies that could not be read: expired objects, rows of another kind."""
    after: Key | None
    """Where to go on; None at the end."""


class EventStore(Protocol):
    """Where deliveries are kept, once each."""

    def put_once(self, envelope: Envelope) -> bool:
        """Keep a delivery; False when it is already there. Safe to call again with the same envelope."""
        ...


class DynamoEventStore:
    """The events table."""

    def __init__(self, client: Any, table: str, oversize: Oversize) -> None:
        self._client = client
        self._table = table
        self._oversize = oversize

    def put_once(self, envelope: Envelope) -> bool:
        """Keep a delivery; False when it is already there.

        When the answer to a put that did commit is lost, the SDK repeats it and meets its own row: the attempt id,
        drawn once per call, tells that from a duplicate (without it the first delivery would count as a repeat).
        """
        item = encode_item(envelope, self._oversize, attempt=secrets.token_hex(8))
        with domain_errors("put an event"):
            try:
                self._client.put_item(
                    TableName=self._table,
                    Item=item,
                    ConditionExpression="attribute_not_exists(pk) OR attempt = :attempt",
                    ExpressionAttributeValues={":attempt": item["attempt"]},
                )
            except self._client.exceptions.ConditionalCheckFailedException:
                return False
        return True

    def of_subject(self, tenant: TenantId, subject: str) -> list[Envelope]:
        """Every delivery kept about one thing: what a reconciling poll compares with."""
        asked: dict[str, Any] = {
            "TableName": self._table,
            "KeyConditionExpression": "pk = :pk",
            "ExpressionAttributeValues": {":pk": {"S": f"{tenant}#{subject}"}},
            "ConsistentRead": True,
        }
        found: list[Envelope] = []
        while True:
            with domain_errors("read the deliveries about one thing"):
                answer = self._client.query(**asked)
            found += [decode_image(item, self._oversize) for item in answer["Items"] if ERASED not in item]
            if "LastEvaluatedKey" not in answer:
                return found
            asked["ExclusiveStartKey"] = answer["LastEvaluatedKey"]

    def slice(self, number: int, of: int, after: Key | None = None, *, rows: int = SLICE_ROWS) -> Slice:
        """Some of the bodies kept, of one of `of` parts of the table, after a key: for what must look at all of them.

        Bodies that were erased, or cannot be read, are left out: nobody can be found in them.
        """
        asked: dict[str, Any] = {"TableName": self._table, "Segment": number, "TotalSegments": of, "Limit": rows}
        if after:
            asked["ExclusiveStartKey"] = _dynamo_key(after)
        with domain_errors("read a part of the events table"):
            answer = self._client.scan(**asked)
        last = answer.get("LastEvaluatedKey")
        return _slice(answer["Items"], self._oversize, (last["pk"]["S"], last["sk"]["S"]) if last else None)

    def forget(self, key: Key, at: datetime) -> None:
        """Delete the body of a delivery and keep its row. Again and again is the same as once."""
        with domain_errors("forget the body of a delivery"):
            answer = self._client.update_item(
                TableName=self._table,
                Key=_dynamo_key(key),
                # The pointer stays until its object is gone.
                UpdateExpression="SET erased_at = if_not_exists(erased_at, :at) REMOVE #raw, #words",
                ConditionExpression="attribute_exists(pk)",
                ExpressionAttributeNames={"#raw": "raw", "#words": "words"},
                ExpressionAttributeValues={":at": {"S": to_iso(at)}},
                ReturnValues="ALL_NEW",
            )
        if pointer := answer["Attributes"].get("pointer"):
            self._oversize.delete(pointer["S"])


class MemoryEventStore:
    """The events table in a dict: rows as a stream would show them, in order of arrival."""

    def __init__(self, oversize: Oversize) -> None:
        self.rows: dict[tuple[str, str], dict[str, Any]] = {}
        self._oversize = oversize

    def put_once(self, envelope: Envelope) -> bool:
        """Keep a delivery; False when it is already there."""
        item = encode_item(envelope, self._oversize, attempt=secrets.token_hex(8))
        key = (item["pk"]["S"], item["sk"]["S"])
        return self.rows.setdefault(key, item) is item

    def of_subject(self, tenant: TenantId, subject: str) -> list[Envelope]:
        """Every delivery kept about one thing."""
        return [envelope for envelope in self.envelopes() if (envelope.tenant, envelope.subject) == (tenant, subject)]

    def envelopes(self) -> list[Envelope]:
        """Everything kept, in order of arrival."""
        return [decode_image(row, self._oversize) for row in self.rows.values() if ERASED not in row]

    def slice(self, number: int, of: int, after: Key | None = None, *, rows: int = SLICE_ROWS) -> Slice:
        """Some of the bodies kept, of one part of the table, after a key."""
        mine = sorted(key for key in self.rows if zlib.crc32(key[0].encode()) % of == number)
        found = [key for key in mine if after is None or key > after]
        return _slice(
            [self.rows[key] for key in found[:rows]], self._oversize, found[rows - 1] if len(found) > rows else None
        )

    def forget(self, key: Key, at: datetime) -> None:
        """Delete the body of a delivery and keep its row."""
        row = {name: value for name, value in self.rows[key].items() if name not in {"raw", "words"}}
        self.rows[key] = {ERASED: {"S": to_iso(at)}, **row}
        if "pointer" in row:
            self._oversize.delete(row["pointer"]["S"])


def _slice(items: Sequence[Mapping[str, Any]], oversize: Oversize, after: Key | None) -> Slice:
    found: list[Body] = []
    unread = 0
    for item in items:
        if ERASED in item:
            continue
        try:
            found.append(Body((item["pk"]["S"], item["sk"]["S"]), decode_image(item, oversize)))
        except (RejectedError, NotFoundError):
            unread += 1
    return Slice(tuple(found), len(items), unread, after)


def _dynamo_key(key: Key) -> dict[str, Any]:
    return {"pk": {"S": key[0]}, "sk": {"S": key[1]}}


def encode_item(envelope: Envelope, oversize: Oversize, attempt: str) -> dict[str, Any]:
    """The row of an envelope, in DynamoDB's JSON; a body too large for it goes to `oversize` first."""
    packed = packing.pack(envelope.raw)
    item: dict[str, Any] = {
        "pk": {"S": f"{envelope.tenant}#{envelope.subject}"},
        "sk": {"S": envelope.event_id},
        "source": {"S": envelope.source},
        "connection": {"S": envelope.connection},
        "store": {"S": envelope.store},
        "topic": {"S": envelope.topic},
        "occurred_at": {"S": to_iso(envelope.occurred_at)},
        "received_at": {"S": to_iso(envelope.received_at)},
        "attempt": {"S": attempt},
        "words": {"N": str(packing.NEWEST)},
    }
    if len(packed) <= MAX_ROW_BYTES:
        return {**item, "raw": {"B": packed}, "expires_at": _epoch(envelope, RETENTION)}
    # The object first: a row must never point at nothing. An object without a row expires.
    key = object_key(envelope)
    oversize.put(key, packed)
    return {**item, "pointer": {"S": key}, "expires_at": _epoch(envelope, OVERSIZE_RETENTION)}


def _epoch(envelope: Envelope, retention: timedelta) -> dict[str, str]:
    return {"N": str(int((envelope.received_at + retention).timestamp()))}


def decode_image(image: Mapping[str, Any], oversize: Oversize | None = None) -> Envelope:
    """The envelope of a row: from a stream record's `NewImage` (base64 text) or from boto3 (bytes).

    `oversize` is needed for rows whose body lies in the work bucket. Raises RejectedError for a row that is no event.
    """
    try:
        tenant, _, subject = _text(image, "pk").partition("#")
        return Envelope(
            tenant=TenantId(tenant),
            subject=subject,
            event_id=EventId(_text(image, "sk")),
            source=_text(image, "source"),
            connection=ConnectionId(_text(image, "connection")),
            store=_text(image, "store"),
            topic=_text(image, "topic"),
            occurred_at=from_iso(_text(image, "occurred_at")),
            received_at=from_iso(_text(image, "received_at")),
            raw=packing.unpack(_packed(image, oversize), int(image.get("words", {"N": "0"})["N"]), MAX_BODY_BYTES),
        )
    except (AttributeError, KeyError, TypeError, ValueError, zlib.error) as error:
        raise RejectedError(f"not a row of the events table: {type(error).__name__}") from None


def _text(image: Mapping[str, Any], name: str) -> str:
    said = image[name]["S"]
    if not isinstance(said, str):
        raise TypeError(name)
    return said


def _packed(image: Mapping[str, Any], oversize: Oversize | None) -> bytes:
    if "raw" in image:
        raw: bytes | str = image["raw"]["B"]
        return base64.b64decode(raw) if isinstance(raw, str) else bytes(raw)
    if oversize is None:
        raise MisconfiguredError("this reader meets an oversized body but was given no bucket to read it from")
    return oversize.get(image["pointer"]["S"])
