"""Rows of the events table, written by one program and read back from a stream by another."""

from __future__ import annotations

import base64
import json
import random
import zlib
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.core.errors import MisconfiguredError, NotFoundError, RejectedError
from shared.core.ids import ConnectionId, EventId, TenantId
from shared.ingest.model import Envelope
from shared.ingest.oversize import MemoryOversize
from shared.ingest.registry import adapter, events_of, sources
from shared.ingest.store import (
    MAX_BODY_BYTES,
    MAX_ROW_BYTES,
    OVERSIZE_RETENTION,
    RETENTION,
    decode_image,
    encode_item,
)
from tests.unit.ingest.conftest import NOW, sample


def envelope(raw: bytes = b"{}", **changed: Any) -> Envelope:
    given: dict[str, Any] = {
        "tenant": TenantId("sample"),
        "subject": "shopify/sample-shop.myshopify.com/order/9007199254740993",
        "event_id": EventId("00000000-0000-4000-8000-0000000000aa"),
        "source": "shopify",
        "connection": ConnectionId("abcdefghijklmnopqrstuvwxyz"),
        "store": "sample-shop.myshopify.com",
        "topic": "orders/create",
        "occurred_at": datetime(2026, 11, 3, 3, 0, 1, 123456, tzinfo=UTC),
        "received_at": NOW,
        "raw": raw,
    }
    return Envelope(**(given | changed))


def as_stream(item: dict[str, Any]) -> dict[str, Any]:
    """The row as a Lambda event shows it: bytes in base64."""
    return {
        name: {"B": base64.b64encode(value["B"]).decode()} if "B" in value else value for name, value in item.items()
    }


def test_a_row_comes_back_from_boto3_and_from_a_stream() -> None:
    kept = envelope("見本".encode() * 100)
    item = encode_item(kept, MemoryOversize(), "attempt")
    assert decode_image(item) == decode_image(as_stream(item)) == kept


def test_a_row_begins_with_its_tenant_and_goes_after_ninety_days() -> None:
    item = encode_item(envelope(), MemoryOversize(), "attempt")
    assert item["pk"]["S"] == "sample#shopify/sample-shop.myshopify.com/order/9007199254740993"
    assert int(item["expires_at"]["N"]) == int((NOW + RETENTION).timestamp())


def noise(packed_bytes: int) -> bytes:
    """A body that packs to about so many bytes: noise does not compress."""
    return random.Random(5).randbytes(packed_bytes)


@pytest.mark.parametrize(("size", "beside"), [(MAX_ROW_BYTES - 1_000, False), (MAX_ROW_BYTES + 1, True)])
def test_a_body_goes_beside_the_row_when_it_no_longer_fits(size: int, beside: bool) -> None:
    oversize = MemoryOversize()
    kept = envelope(noise(size))
    item = encode_item(kept, oversize, "attempt")
    assert ("pointer" in item, "raw" in item) == (beside, not beside)
    assert decode_image(item, oversize) == kept
    if beside:
        (key,) = oversize.objects
        assert key.startswith("oversize/sample/")
        assert "9007199254740993" not in key
        assert int(item["expires_at"]["N"]) == int((NOW + OVERSIZE_RETENTION).timestamp())


def test_a_repeat_overwrites_its_own_object_and_another_body_does_not() -> None:
    oversize = MemoryOversize()
    for raw in (noise(400_000), noise(400_000), noise(400_001)):
        encode_item(envelope(raw), oversize, "attempt")
    assert len(oversize.objects) == 2


def test_an_oversized_body_that_is_gone_says_so() -> None:
    item = encode_item(envelope(noise(400_000)), MemoryOversize(), "attempt")
    with pytest.raises(NotFoundError):
        decode_image(item, MemoryOversize())
    with pytest.raises(MisconfiguredError):
        decode_image(item)


@pytest.mark.parametrize("name", ["pk", "sk", "source", "connection", "store", "topic", "occurred_at", "raw"])
@pytest.mark.parametrize("value", [None, {}, {"S": 1}, {"N": "1"}, {"S": "nonsense"}, {"B": "!"}, "MISSING"])
def test_a_row_that_is_no_event_is_refused(name: str, value: Any) -> None:
    item = as_stream(encode_item(envelope(), MemoryOversize(), "attempt"))
    broken = {key: item[key] for key in item if key != name} | ({} if value == "MISSING" else {name: value})
    try:
        decode_image(broken, MemoryOversize())
    except RejectedError:
        return
    assert value == {"S": "nonsense"}, "text may stand in a text field"
    assert name not in {"occurred_at", "raw"}


def test_a_bomb_is_not_unpacked() -> None:
    item = encode_item(envelope(), MemoryOversize(), "attempt")
    bomb = {**item, "raw": {"B": zlib.compress(b"0" * (MAX_BODY_BYTES + 1))}}
    with pytest.raises(RejectedError, match="larger"):
        decode_image(bomb)
    largest = {**item, "raw": {"B": zlib.compress(b"0" * (MAX_BODY_BYTES - 1))}}
    assert len(decode_image(largest).raw) == MAX_BODY_BYTES - 1


def test_a_truncated_body_is_refused() -> None:
    item = encode_item(envelope(b"x" * 1000), MemoryOversize(), "attempt")
    with pytest.raises(RejectedError):
        decode_image({**item, "raw": {"B": item["raw"]["B"][:-3]}})


# --- the registry


def test_a_source_is_a_file() -> None:
    assert "shopify" in sources()
    assert all(adapter(source).name == source for source in sources())


@pytest.mark.parametrize("source", ["", "nobody", "../shopify", "shopify.ADAPTER"])
def test_a_source_that_is_no_file_is_our_fault(source: str) -> None:
    with pytest.raises(MisconfiguredError):
        adapter(source)


def test_readers_go_from_row_to_events() -> None:
    found = sample("orders-create")
    kept = envelope(json.dumps(found.body).encode())
    (event,) = events_of(decode_image(encode_item(kept, MemoryOversize(), "a")))
    assert event.event_type == "order_placed"
    assert event.received_at - NOW == timedelta(0)
