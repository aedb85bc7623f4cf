"""What an event store promises, held to the one in memory and the one in DynamoDB alike."""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import boto3
import pytest
from botocore.exceptions import ReadTimeoutError

from shared.core.errors import MisconfiguredError, NotFoundError
from shared.core.ids import ConnectionId, EventId, TenantId
from shared.ingest.model import Envelope
from shared.ingest.oversize import MemoryOversize, Oversize, S3Oversize
from shared.ingest.store import MAX_ROW_BYTES, DynamoEventStore, EventStore, MemoryEventStore, Slice, decode_image

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
TABLE, BUCKET = "ingest-events", "ingest-work"


def envelope(
    event_id: str = "e-1", subject: str = "shopify/s/order/1", raw: bytes = b'{"id":1}', tenant: str = "t"
) -> Envelope:
    return Envelope(
        tenant=TenantId(tenant),
        subject=subject,
        event_id=EventId(event_id),
        source="shopify",
        connection=ConnectionId("c"),
        store="s",
        topic="orders/create",
        occurred_at=NOW,
        received_at=NOW,
        raw=raw,
    )


@dataclass
class Kept:
    """A store, and what is in it."""

    store: EventStore
    rows: Callable[[], list[dict[str, Any]]]
    oversize: Oversize

    def envelopes(self) -> list[Envelope]:
        return sorted((decode_image(row, self.oversize) for row in self.rows()), key=lambda e: (e.subject, e.event_id))


@pytest.fixture(scope="module")
def dynamodb(cloud: boto3.Session, make_table: Callable[[str], str]) -> Any:
    make_table(TABLE)
    s3: Any = cloud.client("s3")
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "ap-northeast-1"})
    return cloud.client("dynamodb")


@pytest.fixture(params=["memory", "dynamodb"])
def kept(request: pytest.FixtureRequest) -> Kept:
    if request.param == "memory":
        oversize = MemoryOversize()
        memory = MemoryEventStore(oversize)
        return Kept(memory, lambda: list(memory.rows.values()), oversize)
    client, session = request.getfixturevalue("dynamodb"), request.getfixturevalue("cloud")
    beside = S3Oversize(session.client("s3"), BUCKET)
    for row in scan(client):
        client.delete_item(TableName=TABLE, Key={"pk": row["pk"], "sk": row["sk"]})
    return Kept(DynamoEventStore(client, TABLE, beside), lambda: scan(client), beside)


def scan(client: Any) -> list[dict[str, Any]]:
    return [row for page in client.get_paginator("scan").paginate(TableName=TABLE) for row in page["Items"]]


def test_the_first_put_counts_and_every_other_does_not(kept: Kept) -> None:
    assert [kept.store.put_once(envelope()) for _ in range(3)] == [True, False, False]
    assert kept.envelopes() == [envelope()]


def test_the_first_body_stays(kept: Kept) -> None:
    kept.store.put_once(envelope(raw=b'{"first":1}'))
    assert not kept.store.put_once(envelope(raw=b'{"second":1}'))
    assert [e.raw for e in kept.envelopes()] == [b'{"first":1}']


def test_another_event_subject_or_tenant_is_another_row(kept: Kept) -> None:
    several = [envelope(), envelope("e-2"), envelope(subject="shopify/s/order/2"), envelope(tenant="u")]
    assert all(kept.store.put_once(one) for one in several)
    assert len(kept.rows()) == 4


def test_every_byte_of_a_body_comes_back(kept: Kept) -> None:
    raw = bytes(range(256)) + "見本 9007199254740993 ﾃｽﾄ 𠮷".encode()
    kept.store.put_once(envelope(raw=raw))
    assert kept.envelopes()[0].raw == raw


def test_an_oversized_body_is_kept_beside_its_row(kept: Kept) -> None:
    raw = random.Random(6).randbytes(500_000)
    assert kept.store.put_once(envelope(raw=raw))
    assert not kept.store.put_once(envelope(raw=raw))
    (row,) = kept.rows()
    assert "raw" not in row
    assert kept.envelopes()[0].raw == raw


def test_an_object_that_is_gone_is_not_found(kept: Kept) -> None:
    with pytest.raises(NotFoundError):
        kept.oversize.get("oversize/t/gone")


def test_of_many_at_the_same_moment_one_is_first(kept: Kept) -> None:
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda _: kept.store.put_once(envelope()), range(40)))
    assert answers.count(True) == 1
    assert len(kept.rows()) == 1


def test_shuffled_duplicates_leave_each_event_once(kept: Kept) -> None:
    rng = random.Random(7)
    unique = [envelope(f"e-{n}", f"shopify/s/order/{n % 20}") for n in range(100)]
    deliveries = [one for one in unique for _ in range(rng.randint(1, 4))]
    rng.shuffle(deliveries)
    assert sum(kept.store.put_once(one) for one in deliveries) == 100
    assert {e.event_id for e in kept.envelopes()} == {one.event_id for one in unique}


# --- what only a network can do


def losing_the_first_reply(cloud: boto3.Session, operation: str) -> Any:
    """A client whose first request reaches the service, while its answer does not come back."""
    client: Any = cloud.client("dynamodb")
    sent: list[int] = []

    def send_and_lose(request: Any, **_: Any) -> None:
        if not sent:
            sent.append(client._endpoint.http_session.send(request).status_code)
            raise ReadTimeoutError(endpoint_url=request.url)

    client.meta.events.register(f"before-send.dynamodb.{operation}", send_and_lose)
    client.sent = sent
    return client


def test_a_put_whose_reply_was_lost_still_counts_as_the_first(cloud: boto3.Session, dynamodb: Any) -> None:
    client = losing_the_first_reply(cloud, "PutItem")
    store = DynamoEventStore(client, TABLE, MemoryOversize())
    lost = envelope("e-lost")
    assert store.put_once(lost)
    assert client.sent == [200]
    assert not store.put_once(lost)


def test_a_duplicate_whose_reply_was_lost_is_still_a_duplicate(cloud: boto3.Session, dynamodb: Any) -> None:
    DynamoEventStore(dynamodb, TABLE, MemoryOversize()).put_once(envelope("e-twice"))
    client = losing_the_first_reply(cloud, "PutItem")
    assert not DynamoEventStore(client, TABLE, MemoryOversize()).put_once(envelope("e-twice"))
    assert client.sent == [400]


def test_a_missing_table_is_our_fault(dynamodb: Any) -> None:
    with pytest.raises(MisconfiguredError, match="put an event"):
        DynamoEventStore(dynamodb, "no-such-table", MemoryOversize()).put_once(envelope())


# --- erasure ---------------------------------------------------------------------------------------------------------
def looked_through(store: DynamoEventStore | MemoryEventStore, of: int, rows: int) -> list[Slice]:
    """Every part, slice by slice."""
    found = []
    for number in range(of):
        after = None
        while True:
            found.append(store.slice(number, of, after, rows=rows))
            after = found[-1].after
            if after is None:
                break
    return found


@pytest.mark.parametrize(("of", "rows"), [(1, 1000), (3, 2), (4, 1)])
def test_slices_together_are_everything_once(kept: Kept, of: int, rows: int) -> None:
    store = kept.store
    assert isinstance(store, DynamoEventStore | MemoryEventStore)
    put = [envelope(f"e-{number}", f"shopify/s/order/{number % 5}") for number in range(11)]
    assert all(store.put_once(each) for each in put)
    slices = looked_through(store, of, rows)
    found = sorted(body.envelope.event_id for part in slices for body in part.bodies)
    assert found == sorted(each.event_id for each in put)
    assert sum(part.rows for part in slices) == len(put)


def test_a_forgotten_body_is_gone_and_its_row_still_meets_a_repeat(kept: Kept) -> None:
    store = kept.store
    assert isinstance(store, DynamoEventStore | MemoryEventStore)
    large = envelope("e-large", raw=random.Random(7).randbytes(MAX_ROW_BYTES + 1000))
    small = envelope("e-small", raw=b'{"email":"kesu@example.com"}')
    stays = envelope("e-stays")
    assert all(store.put_once(each) for each in (large, small, stays))
    (pointer,) = [row["pointer"]["S"] for row in kept.rows() if "pointer" in row]
    for _ in range(2):
        store.forget((f"t#{large.subject}", large.event_id), NOW)
        store.forget((f"t#{small.subject}", small.event_id), NOW)
    assert [body.envelope.event_id for part in looked_through(store, 1, 1000) for body in part.bodies] == ["e-stays"]
    assert len(kept.rows()) == 3
    assert not any(b"kesu" in repr(row).encode() for row in kept.rows())
    with pytest.raises(NotFoundError):
        kept.oversize.get(pointer)
    assert not store.put_once(small)
    assert [each.event_id for each in store.of_subject(TenantId("t"), stays.subject)] == ["e-stays"]
