"""As known then and as known now (当時の認識・現在の認識): a question about a past day has two right answers.

What the live state said on the evening of a day is what the lake answers for that day, as known then, for ever. What
a recompute of all events up to a day says is what the lake answers for that day, as known now.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cache

import duckdb
import pyarrow as pa
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.analytics import catalog
from shared.analytics.definitions import Definitions
from shared.analytics.lake import MemoryObjects
from shared.analytics.meaning import every_analysis
from shared.analytics.parquet import decode, to_arrow
from shared.analytics.schema import ORDER_STATES, PERSON_IDS, Table
from shared.core.clock import shop_day
from shared.core.ids import CustomerId, TenantId
from shared.customers.identity import customer_ref, linked_people
from shared.customers.model import PersonState
from shared.customers.reference import fold_all
from shared.customers.rules import canonical_id
from shared.ingest.model import Event, EventType, Person, PersonLinkFacts, Refund
from tests.amount import amount
from tests.sql.lake_in_duckdb import to_duckdb
from tests.unit.analytics.world import KEYS, SHOP, TENANT, World, an_order

FIRST = date(2026, 3, 1)
Bought = tuple[int, int, date, date]
"""Orders, amount, first and last day."""


@dataclass(frozen=True)
class Told:
    """Something a shop's cart tells, and the day we hear of it."""

    event: Event
    heard_on: date


@st.composite
def lives_of_orders(draw: st.DrawFn, *, in_order: bool) -> list[Told]:
    """A few people's orders: placed, changed, refunded, cancelled; heard late, twice and (maybe) in the wrong order."""
    told: list[Told] = []
    for number in range(draw(st.integers(1, 5))):
        customer = f"c{draw(st.integers(0, 2))}"
        on = FIRST + timedelta(days=draw(st.integers(0, 40)))
        at, heard, amount = on, on, draw(st.integers(100, 9_999))
        for version in range(draw(st.integers(1, 4))):
            at = at + timedelta(days=draw(st.integers(0, 9))) if version else on
            late = at + timedelta(days=draw(st.integers(0, 12)))
            heard = max(heard, late) if in_order else late
            refunds = (Refund(refund_id="r", amount=draw(st.integers(1, amount))),) if draw(st.booleans()) else ()
            cancelled = datetime.combine(at, time(2), UTC) if version and draw(st.booleans()) else None
            event = an_order(
                customer, f"o{number}", on.isoformat(), amount, version=f"{at}T0{version + 1}:00:00.000000Z",
                refunds=refunds if version else (), cancelled_at=cancelled,
            )  # fmt: skip
            told += [Told(event, heard)] * draw(st.integers(1, 2))
    return sorted(told, key=lambda each: each.heard_on)


@st.composite
def lives_of_people(draw: st.DrawFn, *, in_order: bool) -> list[Told]:
    """The same, and what somebody decides about two of them: that they are one, or are not (名寄せ・取り消し)."""
    told = draw(lives_of_orders(in_order=in_order))
    known = {each.event.person.source_customer_id or "": each.heard_on for each in reversed(told)}
    for number in range(draw(st.integers(0, 4)) if len(known) > 1 else 0):
        one, other = draw(st.permutations(sorted(known)))[:2]
        on = max(known[one], known[other]) + timedelta(days=draw(st.integers(0, 20)))
        told.append(Told(decision(one, other, number, on, joined=draw(st.booleans())), on))
    return sorted(told, key=lambda each: each.heard_on)


def decision(one: str, other: str, number: int, on: date, *, joined: bool) -> Event:
    """Somebody's decision about two customer numbers, on the evening of a day."""
    order = an_order(one, f"decision{number}", on.isoformat())
    first, second = (canonical_id([customer_ref(order.source, order.store, each)]) for each in (one, other))
    return replace(
        order,
        source="admin",
        event_type=EventType.PERSONS_LINKED if joined else EventType.PERSONS_UNLINKED,
        occurred_at=datetime.combine(on, time(9, number), UTC),
        person=Person(source_customer_id=first),
        facts=PersonLinkFacts(other_customer_id=second, joined=joined, actor="店長"),
    )


def summary(states: Iterable[tuple[CustomerId, PersonState]], by: date) -> dict[CustomerId, Bought]:
    """What each person has bought by a day, in plain Python."""
    found: dict[CustomerId, Bought] = {}
    for customer_id, state in states:
        orders = [
            (shop_day(order.ordered_at, SHOP.timezone), order.amount)
            for order in state.orders
            if order.valid and order.ordered_at and shop_day(order.ordered_at, SHOP.timezone) <= by
        ]
        if orders:
            days = sorted(on for on, _ in orders)
            found[customer_id] = len(orders), sum(amount for _, amount in orders), days[0], days[-1]
    return found


def live(world: World, events: Sequence[Event], by: date) -> dict[CustomerId, Bought]:
    """The incremental state as it stands."""
    known = fold_all(events, KEYS, SHOP)
    states = {customer_id: world.customers.person(TENANT, customer_id) for customer_id in known}
    return summary(((customer_id, state) for customer_id, state in states.items() if state), by)


@cache
def athena() -> duckdb.DuckDBPyConnection:
    """Opened once: each question brings its rows along."""
    connection = duckdb.connect(":memory:")
    connection.execute("SET TimeZone = 'UTC'")
    return connection


def asked(lake: MemoryObjects, as_of: date, *, then: bool) -> dict[CustomerId, Bought]:
    """`buyers_v1` over everything the lake holds by now."""
    known = catalog.end_of_day(as_of, SHOP.timezone) if then else None
    values = catalog.parameters(TENANT, as_of, Definitions(), "JPY", known_before=known)
    query = to_duckdb(catalog.standalone_query("buyers_v1", every_analysis(), values))
    connection = athena()
    for table in (ORDER_STATES, PERSON_IDS):
        connection.register(table.name, held(lake, table))
    rows = connection.sql(query).to_arrow_table().to_pylist()
    return {row["customer_id"]: (row["orders"], row["amount"], row["first_on"], row["last_on"]) for row in rows}


def held(lake: MemoryObjects, table: Table, tenant: TenantId = TENANT) -> pa.Table:
    """A table as Athena sees it."""
    parts = [with_partition(to_arrow(table, []), tenant, "")]
    for stored in lake.list(f"{table.name}/"):
        parts.append(with_partition(decode(lake.get(stored.key)), tenant, stored.key.split("/")[2].partition("=")[2]))
    return pa.concat_tables(parts)


def with_partition(arrow: pa.Table, tenant: TenantId, month: str) -> pa.Table:
    """Rows with the columns that stand in their path."""
    arrow = arrow.append_column("tenant", pa.array([tenant] * arrow.num_rows, pa.string()))
    return arrow.append_column("month", pa.array([month] * arrow.num_rows, pa.string()))


def hear(world: World, told: Told) -> None:
    """Noon of the day we hear of it, shop time."""
    world.rows.written_at = datetime.combine(told.heard_on, time(3), UTC).timestamp()
    world.hear(told.event)


@settings(max_examples=amount(100, sample=12))
@given(told=lives_of_people(in_order=False), compacted=st.booleans())
def test_the_evening_of_any_day_is_remembered_as_known_then(told: list[Told], compacted: bool) -> None:
    world = World()
    evenings: dict[date, dict[CustomerId, Bought]] = {}
    for number, each in enumerate(told):
        hear(world, each)
        so_far = [earlier.event for earlier in told[: number + 1]]
        evenings[each.heard_on] = live(world, so_far, each.heard_on)
        # The state is what a recompute of everything heard so far gives.
        assert evenings[each.heard_on] == summary(fold_all(so_far, KEYS, SHOP).items(), each.heard_on)
    if compacted:
        world.compact()
    for evening, bought in evenings.items():
        assert asked(world.lake, evening, then=True) == bought
    assert asked(world.lake, told[0].heard_on - timedelta(days=1), then=True) == {}
    last = max(evenings)
    assert asked(world.lake, last, then=False) == evenings[last]


@settings(max_examples=amount(100, sample=12))
@given(told=lives_of_people(in_order=True), days=st.integers(0, 70), compacted=st.booleans())
def test_any_day_as_known_now_is_a_recompute_of_what_had_happened_by_then(
    told: list[Told], days: int, compacted: bool
) -> None:
    world = World()
    for each in told:
        hear(world, each)
    if compacted:
        world.compact()
    as_of = FIRST + timedelta(days=days)
    happened = [each.event for each in told if shop_day(each.event.occurred_at, SHOP.timezone) <= as_of]
    orders = [event for event in happened if not linked_people(event)]
    # Who is read as one person is one for all days past.
    people: dict[CustomerId, list[PersonState]] = {}
    for customer_id, state in fold_all(orders, KEYS, SHOP).items():
        whole = world.customers.whole(TENANT, customer_id)
        assert whole is not None
        people.setdefault(whole.customer_id, []).append(state)
    states = (
        (each, replace(of[0], orders=tuple(o for state in of for o in state.orders))) for each, of in people.items()
    )
    assert asked(world.lake, as_of, then=False) == summary(states, as_of)
