"""Compaction: the same rows, once each, in one object; killed anywhere, nothing is missing."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.analytics import compact, compaction
from shared.analytics.compaction import Compaction
from shared.analytics.lake import MemoryObjects, StoredObject, put_partition
from shared.analytics.parquet import decode, encode_rows
from shared.analytics.schema import EVENTS, ORDER_STATES, Table, partition_path
from shared.core.ids import TenantId

SHOP = TenantId("shop")
WORK = Compaction("order_states", SHOP, "2026-03")
PREFIX = partition_path(ORDER_STATES, SHOP, "2026-03")
START = datetime(2026, 3, 1, tzinfo=UTC)


def a_state(order: str, minute: int = 0, **more: Any) -> dict[str, Any]:
    """One order state."""
    row = {
        "customer_id": "c",
        "source": "shopify",
        "store": "s",
        "order_id": order,
        "ordered_on": date(2026, 3, 1),
        "amount": 100,
        "removed": False,
        "written_at": START + timedelta(minutes=minute),
        "sequence": "",
    }
    return row | more


def stored(objects: MemoryObjects, table: Table = ORDER_STATES) -> list[dict[str, Any]]:
    """Every row of the bucket."""
    rows = [row for body in objects.bodies.values() for row in decode(body).to_pylist()]
    return sorted(rows, key=lambda row: [str(row[name]) for name in table.sort])


def put(objects: MemoryObjects, name: str, rows: Iterable[dict[str, Any]]) -> None:
    """One small object."""
    put_partition(objects, ORDER_STATES, SHOP, "2026-03", name, encode_rows(ORDER_STATES, rows))


def test_many_objects_become_one_sorted_object() -> None:
    objects = MemoryObjects()
    for order in "cab":
        put(objects, order, [a_state(order)])
    assert compact.compact(WORK, objects)["rows"] == 3
    (key,) = objects.bodies
    assert key.startswith(f"{PREFIX}compact-")
    assert decode(objects.get(key))["order_id"].to_pylist() == ["a", "b", "c"]


def test_one_object_is_left_alone() -> None:
    objects = MemoryObjects()
    put(objects, "a", [a_state("a")])
    before = dict(objects.bodies)
    compact.compact(WORK, objects)
    assert objects.bodies == before


def test_a_repeated_state_is_kept_once_with_the_time_it_was_first_known() -> None:
    objects = MemoryObjects()
    put(objects, "a", [a_state("1", 0), a_state("1", 5)])
    put(objects, "b", [a_state("1", 9), a_state("2", 1, ordered_at=None)])
    compact.compact(WORK, objects)
    assert [(row["order_id"], row["written_at"].minute) for row in stored(objects)] == [("1", 0), ("2", 1)]


def test_a_state_that_comes_back_is_kept() -> None:
    objects = MemoryObjects()
    put(objects, "a", [a_state("1", 0), a_state("1", 1, removed=True)])
    put(objects, "b", [a_state("1", 2)])
    compact.compact(WORK, objects)
    assert [row["removed"] for row in stored(objects)] == [False, True, False]


def test_null_differs_from_a_value() -> None:
    objects = MemoryObjects()
    put(objects, "a", [a_state("1", 0, amount=None), a_state("1", 1), a_state("1", 2, amount=None)])
    put(objects, "b", [a_state("1", 3, amount=None)])
    compact.compact(WORK, objects)
    assert [row["amount"] for row in stored(objects)] == [None, 100, None]


def test_events_are_kept_once_by_id() -> None:
    objects = MemoryObjects()
    row = {"event_id": "e1", "occurred_at": START, "facts": "{}"}
    for name in ("a", "b"):
        body = encode_rows(EVENTS, [row, {**row, "event_id": f"own-{name}"}])
        put_partition(objects, EVENTS, SHOP, "2026-03", name, body)
    compact.compact(Compaction("events", SHOP, "2026-03"), objects)
    assert [found["event_id"] for found in stored(objects, EVENTS)] == ["e1", "own-a", "own-b"]


class KilledError(Exception):
    """The worker died."""


class DyingObjects(MemoryObjects):
    """Dies at the n-th call that changes something, before or after doing it."""

    def __init__(self, source: MemoryObjects, at: int, *, after: bool) -> None:
        super().__init__(source.bucket, dict(source.bodies))
        self.left = at
        self.after = after

    def put(self, key: str, body: bytes) -> None:
        self._step(lambda: super(DyingObjects, self).put(key, body))

    def delete(self, keys: Iterable[str]) -> None:
        for key in list(keys):
            self._step(lambda key=key: super(DyingObjects, self).delete([key]))

    def _step(self, act: Any) -> None:
        self.left -= 1
        if self.left == 0 and not self.after:
            raise KilledError
        act()
        if self.left == 0:
            raise KilledError


@pytest.mark.parametrize("after", [False, True])
@pytest.mark.parametrize("at", range(1, 6))
def test_killed_anywhere_nothing_is_missing_and_the_next_night_finishes(at: int, *, after: bool) -> None:
    objects = MemoryObjects()
    for order in "abcd":
        put(objects, order, [a_state(order), a_state("shared")])
    dying = DyingObjects(objects, at, after=after)
    with pytest.raises(KilledError):
        compact.compact(WORK, dying)
    assert {row["order_id"] for row in stored(dying)} == {*"abcd", "shared"}
    survivor = MemoryObjects("lake", dying.bodies)
    compact.compact(WORK, survivor)
    assert [row["order_id"] for row in stored(survivor)] == [*"abcd", "shared"]
    assert len(survivor.bodies) == 1


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.lists(st.tuples(st.sampled_from("xyz"), st.integers(0, 9), st.booleans()), min_size=1, max_size=5),
        min_size=2,
        max_size=6,
    )
)
def test_the_newest_state_of_every_order_survives(batches: list[list[tuple[str, int, bool]]]) -> None:
    objects = MemoryObjects()
    for number, batch in enumerate(batches):
        put(objects, str(number), [a_state(o, minute=m, removed=r, sequence=f"{m}{int(r)}") for o, m, r in batch])
    before = _newest(stored(objects))
    compact.compact(WORK, objects)
    assert _newest(stored(objects)) == before
    assert len(objects.bodies) == 1


def _newest(rows: list[dict[str, Any]]) -> dict[str, Any]:
    ordered = sorted(rows, key=lambda row: (row["written_at"], row["sequence"]))
    return {row["order_id"]: row["removed"] for row in ordered}


def test_no_more_is_taken_at_once_than_fits_into_memory() -> None:
    objects = [StoredObject(f"o{number}", compaction.WHOLE_BYTES // 3) for number in range(7)]
    assert len(compaction.small(objects)) == 3
    assert compaction.small([StoredObject("whole", compaction.WHOLE_BYTES)]) == []


def test_only_partitions_with_something_new_are_compacted_a_few_per_call() -> None:
    small, large = 10, compaction.WHOLE_BYTES
    partitions = {
        ("order_states", "2026-01"): [StoredObject("compact-1", small)],
        ("order_states", "2026-02"): [StoredObject("compact-1", small), StoredObject("stream-1", small)],
        ("order_states", "2026-03"): [StoredObject("compact-1", large), StoredObject("stream-1", small)],
        **{
            ("events", f"2025-{month:02d}"): [StoredObject("a", small), StoredObject("b", small)]
            for month in range(1, 13)
        },
    }
    batches = compaction.plan(partitions, SHOP)
    assert [len(batch) for batch in batches] == [compaction.BATCH_PARTITIONS, 1]
    assert batches[1] == [Compaction("order_states", SHOP, "2026-02")]
