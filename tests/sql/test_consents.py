"""Nobody is listed by the lake as agreed whom the sender's gate would hold back."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date

from shared.analytics.catalog import ALWAYS
from shared.analytics.person_rows import Written, consent_rows
from shared.analytics.segments.compile import SOURCES
from shared.analytics.sql import Value, bind, read
from shared.core.ids import CustomerId
from shared.customers import rules
from shared.customers.model import ConsentEntry, ConsentStatus
from tests.sql.lake_in_duckdb import TENANT, DuckLake
from tests.unit.customers.world import SHOP, minute

PEOPLE = 120
AS_OF = date(2026, 12, 31)
Said = dict[tuple[str, str, str], str]
"""(person, channel, store) → what counts."""


def ledgers(rng: random.Random) -> Iterator[tuple[str, list[ConsentEntry]]]:
    """What was said under each id: every second person had two."""
    for number in range(PEOPLE):
        for stored_id in (f"p{number}", f"p{number}-too")[: 1 + number % 2]:
            yield stored_id, [an_entry(rng, f"{stored_id}-{n}") for n in range(rng.randint(1, 3))]


def an_entry(rng: random.Random, event_id: str) -> ConsentEntry:
    return ConsentEntry(
        channel="email",
        store=rng.choice(["a.example.com", "b.example.com", "*"]),
        granted=rng.random() < 0.6,
        at=minute(rng.randint(0, 9)),
        method="page",
        basis="explicit",
        by_customer=rng.random() < 0.6,
        event_id=event_id,
    )


def listed(said: dict[str, list[ConsentEntry]]) -> Said:
    """As the night reads it."""
    lake = DuckLake()
    states = [
        row
        for stored_id, log in said.items()
        for each in rules.consents(log)
        for _, row in consent_rows(each, Written(CustomerId(stored_id), SHOP, minute(10)))
    ]
    lake.fill("consent_states", states)
    pairs = [stored_id for stored_id in said if stored_id.endswith("-too")]
    ids = [{"stored_id": each, "customer_id": each.removesuffix("-too"), "written_on": AS_OF} for each in pairs]
    lake.fill("person_ids", ids)
    values: dict[str, Value] = {"tenant": TENANT, "as_of": AS_OF, "known_before": ALWAYS}
    rows = lake.rows(bind(read(SOURCES / "consents.sql"), values))
    return {(row["customer_id"], row["channel"], row["store"]): row["status"] for row in rows}


def gated(said: dict[str, list[ConsentEntry]]) -> Said:
    """As the sender's gate reads it, of all that was said under any of their ids."""
    together: dict[str, list[ConsentEntry]] = {}
    for stored_id, log in said.items():
        together.setdefault(stored_id.removesuffix("-too"), []).extend(log)
    return {
        (person, each.channel, each.store): each.status.value
        for person, log in together.items()
        for each in rules.consents(log)
    }


def test_whom_the_lake_lists_as_agreed_the_gate_lets_through() -> None:
    said = dict(ledgers(random.Random(3)))
    found, live = listed(said), gated(said)
    assert found.keys() == live.keys()
    agreed = [who for who, status in found.items() if status == ConsentStatus.OPT_IN]
    assert len(agreed) > PEOPLE / 3
    assert {live[who] for who in agreed} == {ConsentStatus.OPT_IN}
    alone = {who for who in live if f"{who[0]}-too" not in said}
    assert {who: found[who] for who in alone} == {who: live[who] for who in alone}
