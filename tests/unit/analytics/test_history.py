"""Imported history: state and lake agree, once, whatever dies in between."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

import pytest

from shared.analytics.history import HistoryDeps, load_chunk
from shared.analytics.lake import MemoryObjects
from shared.analytics.parquet import decode
from shared.core.errors import NotFoundError, RejectedError
from shared.core.ids import EventId, TenantId
from shared.customers.fold import apply
from shared.customers.rows import MemoryRows, Write
from shared.ingest.history import chunk_key, write_chunk
from shared.ingest.model import ConsentFacts, Event, EventType, Person
from tests.unit.analytics.world import KEYS, SHOP, TENANT, World, an_order, customer_of
from tests.unit.customers.test_batch import CountedRows


def deps(world: World, **more: Any) -> HistoryDeps:
    """The import, on a world."""
    parts = {"lake": world.lake, "work": world.work, "customers": world.customers, "keys": KEYS, "shop": SHOP}
    return HistoryDeps(**{**parts, "clock": world.clock, **more})


def imported(customer: str, order_id: str, on: str, amount: int = 1000, **more: Any) -> Event:
    """An order from a file."""
    return replace(an_order(customer, order_id, on, amount, **more), historical=True)


def put(world: World, *events: Event, name: str = "i1") -> str:
    """A chunk in the work bucket."""
    key = chunk_key(TENANT, name, 1)
    world.work.put(key, write_chunk(events))
    return key


HISTORY = (imported("a", "1", "2026-03-01"), imported("a", "2", "2026-03-05"), imported("b", "3", "2026-02-01", 500))


def lake_rows(world: World, table: str) -> list[dict[str, Any]]:
    """Rows of a table."""
    return [
        row
        for key in world.lake.bodies
        if key.startswith(f"{table}/")
        for row in decode(world.lake.get(key)).to_pylist()
    ]


def test_a_chunk_fills_state_and_lake() -> None:
    world = World()
    assert load_chunk("i1", put(world, *HISTORY), deps(world)) == {"orders": 3, "changed": 3}
    assert {row["event_id"] for row in lake_rows(world, "events")} == {event.event_id for event in HISTORY}
    states = {(row["customer_id"], row["order_id"], row["amount"]) for row in lake_rows(world, "order_states")}
    a, b = customer_of(world, "a"), customer_of(world, "b")
    assert states == {(a, "1", 1000), (a, "2", 1000), (b, "3", 500)}


def test_a_second_import_of_the_same_file_changes_nothing() -> None:
    world = World()
    key = put(world, *HISTORY)
    load_chunk("i1", key, deps(world))
    before, rows = dict(world.lake.bodies), len(world.rows.records)
    assert load_chunk("i1", key, deps(world)) == {"orders": 3, "changed": 0}
    assert (world.lake.bodies, len(world.rows.records)) == (before, rows)


def test_what_names_our_own_id_is_theirs_and_what_names_nobody_of_ours_stops_nothing() -> None:
    world = World()
    load_chunk("i1", put(world, *HISTORY), deps(world))
    known = customer_of(world, "a")
    refusal = ConsentFacts(channel="call", granted=False, method="import:x", by_customer=False)
    told = [
        replace(HISTORY[0], event_id=EventId(f"call-{n}"), event_type=EventType.CONSENT_CHANGED, source="callcentre",
                facts=refusal, person=Person(source_customer_id=customer))
        for n, customer in enumerate([known, "z9" * 13])
    ]  # fmt: skip
    assert load_chunk("i2", put(world, *told, name="i2"), deps(world)) == {"orders": 1, "changed": 0}
    person = world.customers.person(TENANT, known)
    assert person
    assert [consent.channel for consent in person.consents] == ["call"]


class DyingLake(MemoryObjects):
    """Dies at the n-th write."""

    left = 0

    def put(self, key: str, body: bytes) -> None:
        self.left -= 1
        if self.left < 0:
            raise InterruptedError
        super().put(key, body)


@pytest.mark.parametrize("writes", range(4))
def test_a_chunk_that_died_on_its_way_to_the_lake_is_finished(writes: int) -> None:
    world = World()
    key = put(world, *HISTORY)
    dying = DyingLake("lake", world.lake.bodies)
    dying.left = writes
    with pytest.raises(InterruptedError):
        load_chunk("i1", key, deps(world, lake=dying))
    load_chunk("i1", key, deps(world))
    assert sorted(row["order_id"] for row in lake_rows(world, "order_states")) == ["1", "2", "3"]
    assert len(lake_rows(world, "events")) == 3


def test_a_corrected_file_brings_the_corrected_order() -> None:
    world = World()
    load_chunk("i1", put(world, *HISTORY), deps(world))
    corrected = imported("a", "1", "2026-03-01", 1500, version="2026-03-02T00:00:00Z")
    same = HISTORY[1]
    assert load_chunk("i2", put(world, corrected, same, name="i2"), deps(world)) == {"orders": 2, "changed": 1}
    person = world.customers.person(TENANT, customer_of(world, "a"))
    assert person is not None
    assert {order.order_id: order.amount for order in person.orders} == {"1": 1500, "2": 1000}
    newest = max(
        (row for row in lake_rows(world, "order_states") if row["order_id"] == "1"), key=lambda r: r["changed_on"]
    )
    assert newest["amount"] == 1500


class BusyRows(MemoryRows):
    """Lets somebody else write before the first write."""

    def __init__(self, meanwhile: Callable[[], object]) -> None:
        super().__init__()
        self._meanwhile: list[Callable[[], object]] = [meanwhile]

    def transact(self, writes: Sequence[Write]) -> None:
        while self._meanwhile:
            self._meanwhile.pop()()
        super().transact(writes)


def test_a_first_import_reads_whom_its_refs_name_once() -> None:
    world, rows = World(), CountedRows()
    load_chunk("i1", put(world, *HISTORY), deps(world, customers=world.customers.over(rows)))
    assert (rows.calls["get"], rows.calls["partition"]) == (1, 0)


def test_somebody_who_buys_while_their_history_is_loaded_keeps_both() -> None:
    world = World()
    bought = an_order("a", "9", "2026-03-20")
    rows = BusyRows(lambda: apply(bought, world.customers, KEYS, SHOP))
    world.customers.rows = rows
    assert load_chunk("i1", put(world, *HISTORY), deps(world)) == {"orders": 3, "changed": 3}
    person = world.customers.person(TENANT, customer_of(world, "a"))
    assert person is not None
    assert sorted(order.order_id for order in person.orders) == ["1", "2", "9"]
    assert sorted(row["order_id"] for row in lake_rows(world, "order_states")) == ["1", "2", "3"]


def test_what_a_history_cannot_fold_at_once_is_written_one_by_one() -> None:
    world = World()
    viewed = replace(HISTORY[0].person, anonymous_ids=("visitor/v1",))
    history = (*HISTORY, replace(imported("a", "4", "2026-03-06"), person=viewed))
    assert load_chunk("i1", put(world, *history), deps(world)) == {"orders": 4, "changed": 4}
    person = world.customers.person(TENANT, customer_of(world, "a"))
    assert person is not None
    assert sorted(order.order_id for order in person.orders) == ["1", "2", "4"]


def test_another_shops_events_are_refused() -> None:
    world = World()
    foreign = replace(HISTORY[0], tenant=TenantId("other"))
    with pytest.raises(RejectedError, match="another shop"):
        load_chunk("i1", put(world, foreign), deps(world))
    assert not world.lake.bodies


def test_a_chunk_that_is_gone_is_named() -> None:
    with pytest.raises(NotFoundError, match="no object"):
        load_chunk("i1", "imports/shop/i1/chunk-00001.jsonl.gz", deps(World()))


def test_an_import_and_a_night_score_everybody() -> None:
    world = World()
    load_chunk("i1", put(world, *HISTORY), deps(world))
    world.archive()
    assert world.run_night("2026-03-31")["written"] == 2
