"""Alerts (早期警戒, カテゴリ売上低下) on shops where nothing has changed: how many of them are alarmed all the same."""

from __future__ import annotations

import random
from collections.abc import Iterator
from datetime import date, timedelta
from typing import Any

from shared.analytics import catalog
from shared.analytics.definitions import Definitions
from shared.core.ids import TenantId
from tests.sql.lake_in_duckdb import DuckLake, to_duckdb

SUNDAY = date(2026, 3, 29)
SHOPS = [f"shop{number}" for number in range(10)]
MOST_ALARMED = 2
"""At 5 % every other such ten shops have one alarmed by chance, and one trial of 87 has more than two."""

Row = dict[str, Any]


def weeks() -> Iterator[tuple[int, date]]:
    """The last seven days (0) and the eight weeks of the baseline, with a day in each."""
    return ((ago, SUNDAY - timedelta(days=7 * ago + 3)) for ago in range(9))


def alarmed(name: str, lake: DuckLake, limits: Definitions) -> set[str]:
    """The shops that are told of anything; something is judged in each of them."""
    found = set[str]()
    query = catalog.bound_query(name, catalog.parameters(TenantId(SHOPS[0]), SUNDAY, limits, "JPY"))
    lake.tell(query)
    translated = to_duckdb(query)
    for shop in SHOPS:
        rows = lake.connection.sql(translated.replace(f"'{SHOPS[0]}'", f"'{shop}'")).to_arrow_table().to_pylist()
        verdicts = {row["verdict"] for row in rows}
        assert verdicts & {"通常", "低下"}
        if "低下" in verdicts:
            found.add(shop)
    return found


def test_a_shop_of_twenty_steady_categories_is_seldom_told_that_one_fell() -> None:
    rng, lake = random.Random(1), DuckLake()
    sold = [
        {"tenant": shop, "customer_id": f"c{ago}", "order_id": f"{ago}", "ordered_on": on, "product_id": "p",
         "category": f"分類{category}", "amount": round(rng.gauss(100_000, 10_000))}
        for shop in SHOPS for ago, on in weeks() for category in range(20)
    ]  # fmt: skip
    lake.fill("lines_v1", sold, dt=SUNDAY)
    assert len(alarmed("category_drop_v1", lake, Definitions(minimum_people=8))) <= MOST_ALARMED


def test_a_shop_whose_weeks_differ_is_seldom_told_that_a_segment_fell() -> None:
    """All of its customers order more in one week and less in another, as after a mail or before payday."""
    rng, lake = random.Random(1), DuckLake()
    for shop in SHOPS:
        orders, entries = responding(rng)
        lake.fill("purchases_v1", orders, tenant=shop, dt=SUNDAY)
        lake.fill("entries_v1", entries, tenant=shop, dt=SUNDAY)
    assert len(alarmed("early_warning_v1", lake, Definitions())) <= MOST_ALARMED


def responding(rng: random.Random) -> tuple[list[Row], list[Row]]:
    """Two hundred customers of four media, all active; about a quarter of them order in a week."""
    people = [f"c{number}" for number in range(200)]
    orders = [{"customer_id": each, "ordered_on": SUNDAY - timedelta(days=100)} for each in people]
    for _, on in weeks():
        chance = rng.gauss(0.25, 0.05)
        orders += [{"customer_id": each, "ordered_on": on} for each in people if rng.random() < chance]
    entries = [
        {"dimension": "media", "anchor": "first_order", "entry": f"m{number % 4}", "customer_id": each}
        for number, each in enumerate(people)
    ]
    return orders, entries
