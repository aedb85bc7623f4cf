"""解約見込み against what then happened: ranked on one day, known three months later (drawn contracts)."""

from __future__ import annotations

import random
from datetime import date, timedelta
from typing import Any

from shared.analytics import catalog
from shared.analytics.definitions import Definitions
from shared.analytics.models.cancellation import Precision
from shared.core.ids import TenantId
from tests.sql.lake_in_duckdb import TENANT, DuckLake

THEN = date(2026, 3, 31)
MONTH = timedelta(days=30)
CAPACITY = 60


def contracts(number: int) -> list[tuple[str, str, date, date]]:
    """Id, medium, first and last day: many leave early, and far more often those that one medium won."""
    drawn = random.Random(4)
    found = []
    for each in range(number):
        media = drawn.choice(["search", "affiliate"])
        start = date(2025, 6, 1) + timedelta(days=drawn.randrange(300))
        stay = 1
        while drawn.random() > (0.35 if stay <= 2 else 0.06) * (1.6 if media == "affiliate" else 0.7):
            stay += 1
        found.append((f"s{each:03}", media, start, start + stay * MONTH))
    return found


def rows_as_of(on: date) -> list[dict[str, Any]]:
    """`contracts_v1` as it stood on a day."""
    rows = []
    for name, media, start, left_on in contracts(900):
        if start > on:
            continue
        gone = left_on <= on
        deliveries = 1 + (min(on, left_on - timedelta(days=1)) - start).days // 30
        rows.append(
            {
                "customer_id": f"c{name}", "subscription_id": name, "source": "x", "store": "y", "media": media,
                "started_on": start, "deliveries": deliveries, "outcome": "cancelled" if gone else "undecided",
                "next_delivery_on": None if gone else start + deliveries * MONTH,
            }
        )  # fmt: skip
    return rows


def test_the_calls_find_more_cancellations_than_calling_at_random() -> None:
    lake = DuckLake()
    lake.fill("contracts_v1", rows_as_of(THEN), dt=THEN)
    values = catalog.parameters(TenantId(TENANT), THEN, Definitions(call_capacity=CAPACITY), "JPY")
    rows = sorted(lake.rows(catalog.bound_query("cancellation_risk_v1", values)), key=lambda row: row["place"])
    assert sum(row["to_call"] for row in rows) == CAPACITY
    later = {row["subscription_id"] for row in rows_as_of(THEN + 2 * MONTH) if row["outcome"] == "cancelled"}
    lost = [row["subscription_id"] in later for row in rows]
    found = Precision.of(len(rows), sum(lost), CAPACITY, sum(lost[:CAPACITY]))
    assert found.lift is not None
    assert found.lift > 1.5
    assert any("risky_delivery" in row["reasons"] for row in rows[:CAPACITY])
