"""RFM and status against an independent computation in plain Python, customer by customer."""

from __future__ import annotations

import random
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from importlib.util import find_spec
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from shared.analytics import catalog
from shared.analytics.definitions import Definitions
from shared.analytics.meaning import every_analysis
from shared.core.ids import TenantId
from tests.sql.lake_in_duckdb import TENANT, DuckLake


@dataclass(frozen=True)
class Bought:
    """One order."""

    customer: str
    on: date
    amount: int
    valid: bool = True


def people(orders: Iterable[Bought], as_of: date) -> dict[str, list[Bought]]:
    """Valid orders up to the day, by customer."""
    found: dict[str, list[Bought]] = {}
    for order in orders:
        if order.valid and order.on <= as_of:
            found.setdefault(order.customer, []).append(order)
    return found


def up_to(value: int, limits: Sequence[int]) -> int:
    """Bin 6 up to the first limit, one less beyond each."""
    return 6 - sum(value > limit for limit in limits)


def from_on(value: int, limits: Sequence[int]) -> int:
    """Bin 1 below the first limit, one more from each on."""
    return 1 + sum(value >= limit for limit in limits)


RANKS = {  # rows R ≤ 60, 61–180, 181–365, more; columns F 1, 2–3, 4 and more
    (0, 0): "新規", (0, 1): "有望", (0, 2): "優良",
    (1, 0): "悩み", (1, 1): "悩み", (1, 2): "浮気予備軍",
    (2, 0): "離反", (2, 1): "浮気・不満", (2, 2): "浮気・不満",
    (3, 0): "離反", (3, 1): "離反", (3, 2): "離反",
}  # fmt: skip


def rfm(history: Sequence[Bought], as_of: date) -> tuple[int, int, int, str]:
    """The bins and rank of one person, from definitions.md."""
    recency = (as_of - max(order.on for order in history)).days
    count, amount = len(history), sum(order.amount for order in history)
    row = sum(recency > limit for limit in (60, 180, 365))
    column = sum(count >= limit for limit in (2, 4))
    return (
        up_to(recency, (30, 60, 90, 180, 365)),
        from_on(count, (2, 3, 4, 6, 10)),
        from_on(amount, (5_000, 10_000, 30_000, 50_000, 100_000)),
        RANKS[row, column],
    )


def gaps_of(history: Sequence[Bought]) -> list[int]:
    """Days between purchase days."""
    days = sorted({order.on for order in history})
    return [(later - earlier).days for earlier, later in pairwise(days)]


def kaplan_meier_median(histories: Iterable[Sequence[Bought]], as_of: date) -> int | None:
    """The shop's cycle, in exact fractions."""
    finished: dict[int, int] = {}
    lengths: list[int] = []
    for history in histories:
        gaps = gaps_of(history)
        lengths += [*gaps, (as_of - max(order.on for order in history)).days]
        for gap in gaps:
            finished[gap] = finished.get(gap, 0) + 1
    lengths.sort()
    survival, passed = Fraction(1), 0
    for gap in sorted(finished):
        while passed < len(lengths) and lengths[passed] < gap:
            passed += 1
        survival *= 1 - Fraction(finished[gap], len(lengths) - passed)
        if survival <= Fraction(1, 2):
            return gap
    return None


def statuses(orders: Iterable[Bought], as_of: date) -> dict[str, tuple[str, str]]:
    """Status and LTV tier of everybody, rule by rule."""
    known = people(orders, as_of)
    shop_cycle = kaplan_meier_median(known.values(), as_of)
    amounts = {customer: sum(order.amount for order in history) for customer, history in known.items()}
    ordered = sorted(amounts.values(), reverse=True)
    first_place = {amount: ordered.index(amount) for amount in set(ordered)}
    result = {}
    for customer, history in known.items():
        recency = (as_of - max(order.on for order in history)).days
        first = (as_of - min(order.on for order in history)).days
        gaps = sorted(gaps_of(history))
        middle = len(gaps) // 2
        own = Fraction(gaps[middle] + gaps[~middle], 2) if len(gaps) >= 2 else None
        cycle = own if own is not None else shop_cycle
        top = amounts[customer] > 0 and first_place[amounts[customer]] * 5 < len(known)
        if recency >= 240:
            status = "dormant"
        elif cycle is not None and recency >= Fraction(3, 2) * cycle:
            status = "at_risk"
        elif len(history) >= 4 and top:
            status = "loyal"
        elif len(history) <= 2 or first <= 90:
            status = "new"
        else:
            status = "promising"
        result[customer] = (status, "high" if top else "low")
    return result


def lake_with(orders: Sequence[Bought]) -> DuckLake:
    """Every order as one state."""
    lake = DuckLake()
    lake.fill(
        "order_states",
        (
            {"customer_id": o.customer, "order_id": str(n), "ordered_on": o.on, "amount": o.amount, "valid": o.valid}
            for n, o in enumerate(orders)
        ),
    )
    return lake


def asked(name: str, lake: DuckLake, as_of: date) -> dict[str, Mapping[str, Any]]:
    """The analysis' rows by customer."""
    values = catalog.parameters(TenantId(TENANT), as_of, Definitions(), "JPY")
    return {row["customer_id"]: row for row in lake.rows(catalog.standalone_query(name, every_analysis(), values))}


def compare(orders: Sequence[Bought], lake: DuckLake, as_of: date) -> None:
    """Both analyses agree with the oracle about everybody."""
    known = people(orders, as_of)
    found = {c: (r["r"], r["f"], r["m"], r["rank"]) for c, r in asked("rfm_v1", lake, as_of).items()}
    assert found == {customer: rfm(history, as_of) for customer, history in known.items()}
    judged = {c: (r["status"], r["ltv_tier"]) for c, r in asked("status_v1", lake, as_of).items()}
    assert judged == statuses(orders, as_of)


def random_shop(seed: int) -> tuple[list[Bought], date]:
    """Regulars, one-timers, several orders a day, cancelled ones, ties of amount, orders after the day asked for."""
    rng = random.Random(seed)
    as_of = date(2026, 3, 31)
    orders = []
    for number in range(rng.choice([1, 2, 7, 150])):
        on = as_of - timedelta(days=rng.randrange(-5, 500))
        for _ in range(rng.choice([1, 1, 1, 2, 3, 5, 12])):
            amount = rng.choice([0, 1000, 4999, 5000, 9999, 10_000, 30_000, rng.randrange(50_000)])
            orders.append(Bought(f"c{number}", on, amount, rng.random() > 0.1))
            on += timedelta(days=rng.choice([0, 1, rng.randrange(2, 30), rng.randrange(2, 200)]))
    return orders, as_of


@pytest.mark.parametrize("seed", range(12))
def test_random_shops_are_judged_as_the_definitions_say(seed: int) -> None:
    orders, as_of = random_shop(seed)
    compare(orders, lake_with(orders), as_of)


def cdnow() -> list[Bought]:
    """The CDNOW purchase log that ships with `lifetimes`: one line per order, amounts in cents."""
    package = find_spec("lifetimes")
    if package is None or not package.submodule_search_locations:
        pytest.skip("the lifetimes package, which carries the CDNOW log, is not installed")
    path = Path(package.submodule_search_locations[0]) / "datasets" / "CDNOW_master.txt"
    lines = [line.split() for line in path.read_text().splitlines()[1:] if line.strip()]
    return [
        Bought(customer, date(int(on[:4]), int(on[4:6]), int(on[6:])), round(float(dollars) * 100))
        for customer, on, _, dollars in lines
    ]


def test_cdnow_is_judged_as_the_definitions_say() -> None:
    orders = cdnow()
    assert len(orders) == 69_659
    assert len({order.customer for order in orders}) == 23_570
    lake = lake_with(orders)
    for as_of in (date(1997, 9, 30), date(1998, 6, 30)):
        compare(orders, lake, as_of)
