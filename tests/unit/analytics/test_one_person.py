"""Whose orders are whose: the lake says it as the live state does, whatever events and people have joined or parted."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from datetime import date

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.analytics import catalog
from shared.analytics.archive import archive_states
from shared.analytics.definitions import Definitions
from shared.analytics.lake import MemoryObjects
from shared.analytics.meaning import every_analysis
from shared.analytics.schema import ORDER_STATES, PERSON_IDS, PERSON_LINKS
from shared.core.ids import CustomerId
from shared.customers.fold import apply
from shared.customers.rules import SHARED_BY_MOST
from shared.customers.store import MemoryCustomerStore
from shared.ingest.model import Event
from tests.amount import amount
from tests.sql.lake_in_duckdb import to_duckdb
from tests.unit.analytics.test_as_known import athena, held
from tests.unit.analytics.world import StreamedRows, passes_filter
from tests.unit.customers.test_fold import everyone
from tests.unit.customers.test_links import a_link
from tests.unit.customers.world import KEYS, SHOP, TENANT, a_person, a_refund, an_order, deliveries

Owned = dict[CustomerId, dict[str, int | None]]
"""Person → order → amount."""


class Archive:
    """A customers table whose stream reaches the lake now and then."""

    def __init__(self) -> None:
        self.rows, self.lake, self.read = StreamedRows(), MemoryObjects("lake"), 0
        self.customers = MemoryCustomerStore()
        self.customers.rows = self.rows

    def hear(self, events: Sequence[Event], chance: random.Random) -> None:
        """One after the other; the stream lags behind."""
        for event in events:
            self.rows.written_at += 1
            apply(event, self.customers, KEYS, SHOP)
            if chance.random() < 0.5:
                self.catch_up()

    def catch_up(self) -> None:
        """Everything the stream shows by now."""
        records = [record for record in self.rows.records[self.read :] if passes_filter(record)]
        self.read = len(self.rows.records)
        if records:
            assert archive_states(records, self.lake, lambda _: SHOP, self.customers).failed == {}

    def live(self) -> Owned:
        """By the live state. An amount in another currency than the shop's is none."""
        found = {
            customer_id: {
                each.order_id: each.amount if each.currency == SHOP.currency else None
                for each in state.orders
                if each.valid and each.ordered_at
            }
            for customer_id, state in everyone(self.customers).items()
        }
        return {customer_id: orders for customer_id, orders in found.items() if orders}

    def told(self) -> Owned:
        """By the lake."""
        values = catalog.parameters(TENANT, date(2026, 12, 31), Definitions(), SHOP.currency)
        query = catalog.standalone_query("valid_orders_v1", every_analysis(), values)
        connection = athena()
        for table in (ORDER_STATES, PERSON_IDS):
            connection.register(table.name, held(self.lake, table, TENANT))
        rows = connection.sql(to_duckdb(query)).to_arrow_table().to_pylist()
        found: Owned = {}
        for row in rows:
            assert row["order_id"] not in found.setdefault(row["customer_id"], {})
            found[row["customer_id"]][row["order_id"]] = row["amount"]
        return found


@settings(max_examples=amount(200, sample=8), deadline=None)
@given(deliveries(), st.randoms(use_true_random=False))
def test_the_lake_reads_orders_with_whom_the_live_state_reads_them(
    story: tuple[list[Event], list[Event]], chance: random.Random
) -> None:
    archive = Archive()
    bought = [
        an_order(f"{name}{n}", n, person=a_person(f"b{name}", f"{name}@example.com")) for n, name in enumerate("xyz")
    ]
    # What is imported comes with rows of its own.
    heard = [*bought, *(replace(event, historical=False) for event in story[1])]
    arriving = chance.sample(heard, len(heard))
    half = chance.randrange(len(arriving))
    archive.hear(arriving[:half], chance)
    for minute in range(chance.randrange(5)):
        ids = sorted(archive.live())
        if len(ids) > 1:
            one, other = chance.sample(ids, 2)
            archive.hear([a_link(one, other, 100 + minute, joined=chance.random() < 0.8)], chance)
    for minute, one in enumerate(sorted(archive.live())):
        for other in archive.customers.joined_by_evidence(TENANT, one):
            archive.hear([a_link(one, other, 200 + minute, joined=chance.random() < 0.3)], chance)
    archive.hear(arriving[half:], chance)
    archive.catch_up()
    assert archive.told() == archive.live()


def test_an_order_that_went_from_one_number_to_another_is_one_order_until_they_are_parted() -> None:
    """Its latest state counts, whichever number's came last; and of two persons each keeps what was said of theirs."""
    archive, chance = Archive(), random.Random(1)
    later = an_order("o1", 5, total=5000, person=a_person("2", "b@example.com"))
    earlier = an_order("o1", 3, total=3000, person=a_person("1", "a@example.com"))
    archive.hear([later, earlier, a_refund("o1", "r1", 500, 6)], chance)
    archive.catch_up()
    assert list(archive.told().values()) == [{"o1": 4500}]
    (one,) = archive.live()
    (other,) = archive.customers.joined_by_evidence(TENANT, one)
    for minute, joined in ((10, False), (11, True), (12, False)):
        archive.hear([a_link(one, other, minute, joined=joined)], chance)
        archive.catch_up()
        assert archive.told() == archive.live()
        assert len(archive.live()) == (1 if joined else 2)


def test_whoever_was_one_by_an_address_that_turns_out_to_be_nobodys_is_told_apart_in_the_lake_too() -> None:
    archive, chance = Archive(), random.Random(2)
    keyed = [an_order(f"o{n}", n, person=a_person(f"b{n}", "dummy@shop.example")) for n in range(SHARED_BY_MOST + 2)]
    archive.hear(keyed[:SHARED_BY_MOST], chance)
    archive.catch_up()
    assert len(archive.told()) == 1
    archive.hear(keyed[SHARED_BY_MOST:], chance)
    archive.catch_up()
    assert archive.told() == archive.live()
    assert len(archive.told()) == len(keyed)
    links = [each for each in held(archive.lake, PERSON_LINKS, TENANT).to_pylist() if each["ref"].startswith("email:")]
    assert max(links, key=lambda each: (each["written_at"], each["sequence"]))["removed"]
