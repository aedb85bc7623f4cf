"""CPM, deciles, F2, LTV, continuation and 転換日数 against plain Python, on random shops and on CDNOW."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Mapping, Sequence
from datetime import UTC, date, datetime, time, timedelta
from fractions import Fraction
from typing import Any

import pyarrow as pa
import pytest

from shared.analytics import catalog
from shared.analytics.definitions import Definitions
from shared.analytics.meaning import every_analysis
from shared.analytics.nightly import in_order
from shared.core.ids import TenantId
from tests.amount import amount
from tests.sql import portfolio
from tests.sql.lake_in_duckdb import TENANT, DuckLake
from tests.sql.portfolio import GROUPS, LOST, NEW, Order
from tests.sql.test_oracle import cdnow

ASKED = {
    "valid_orders_v1", "buyers_v1", "orders_v1", "purchases_v1",
    "cpm_v1", "cpm_counts_v1", "cpm_history_v1", "cpm_months_v1", "cpm_transitions_v1",
    "decile_v1", "f2_conversion_v1", "ltv_cohorts_v1", "ltv_formula_v1", "continuation_v1", "purchase_gaps_v1",
}  # fmt: skip

Rows = list[dict[str, Any]]


# --- a shop in the lake ----------------------------------------------------------------------------------------------
def lake_with(orders: Sequence[Order]) -> DuckLake:
    """Every state every order was ever in."""
    lake = DuckLake()
    lake.fill("order_states", [state for number, order in enumerate(orders) for state in _states(order, number)])
    return lake


def _states(order: Order, number: int) -> Rows:
    placed: dict[str, Any] = {
        "customer_id": order.customer, "order_id": str(number), "ordered_on": order.on,
        "total": order.amount, "amount": order.amount,
    }  # fmt: skip
    rows = [placed]
    # What is refunded after the cancellation changes nothing any more.
    if order.refunded_on and not (order.cancelled_on and order.cancelled_on < order.refunded_on):
        rows.append(placed | {"amount": order.amount - order.refund} | _changed(order.refunded_on, 1))
    if order.cancelled_on:
        rows.append(placed | {"amount": 0, "valid": False, "cancelled": True} | _changed(order.cancelled_on, 2))
    return rows


def _changed(day: date, sequence: int) -> dict[str, Any]:
    return {
        "changed_on": day,
        "written_at": datetime.combine(day, time(5), UTC),
        "sequence": f"{sequence:04d}",
    }


def run(lake: DuckLake, as_of: date, limits: Definitions) -> dict[str, Rows]:
    """Each analysis on the results of those before it; no check of any may fail."""
    values = catalog.parameters(TenantId(TENANT), as_of, limits, "JPY")
    results = {}
    for analysis in in_order([each for each in every_analysis() if each.name in ASKED]):
        found = lake.ask(catalog.bound_query(analysis.name, values))
        keyed = found.append_column("tenant", pa.array([TENANT] * found.num_rows, pa.string()))
        keyed = keyed.append_column("dt", pa.array([as_of] * found.num_rows, pa.date32()))
        lake.add(analysis.name, keyed)
        checked = lake.rows(catalog.checks_query(analysis.name, values))
        assert not [row for row in checked if row["severity"] == "fail" and row["violations"]], analysis.name
        results[analysis.name] = found.to_pylist()
    return results


# --- comparisons -----------------------------------------------------------------------------------------------------
def compare(orders: Sequence[Order], lake: DuckLake, as_of: date, limits: Definitions) -> None:
    """Every analysis agrees with the definitions about everybody."""
    results = run(lake, as_of, limits)
    known = portfolio.buyers(orders, as_of)
    _compare_cpm(results, orders, known, as_of, limits)
    _compare_deciles(results["decile_v1"], known)
    _compare_f2(results["f2_conversion_v1"], known, as_of, limits)
    _compare_ltv(results["ltv_cohorts_v1"], known, as_of, limits)
    _compare_formulas(results["ltv_formula_v1"], known)
    _compare_continuation(results["continuation_v1"], known, as_of, limits)
    _compare_gaps(results["purchase_gaps_v1"], known, as_of, limits)


def _compare_cpm(
    results: Mapping[str, Rows],
    orders: Sequence[Order],
    known: portfolio.Buyers,
    as_of: date,
    limits: Definitions,
) -> None:
    groups = {customer: portfolio.cpm_group(buyer, as_of, limits) for customer, buyer in known.items()}
    assert {row["customer_id"]: row["cpm_group"] for row in results["cpm_v1"]} == groups
    sizes = Counter(groups.values())
    assert [
        (row["place"], row["cpm_group"], row["customers"]) for row in _sorted(results["cpm_counts_v1"], "place")
    ] == [(place, name, sizes[name]) for place, name in enumerate(GROUPS, 1)]
    series = portfolio.portfolio(orders, as_of, limits)
    shown = series[: limits.cpm_months]
    counted = {(row["evaluated_on"], row["cpm_group"]): row["customers"] for row in results["cpm_months_v1"]}
    expected = {(end, name): Counter(now.values())[name] for end, now in shown for name in GROUPS}
    assert counted == expected
    amounts = Counter[date]()
    for row in results["cpm_months_v1"]:
        amounts[row["evaluated_on"]] += row["amount"]
    for end, _ in shown:
        assert amounts[end] == sum(sum(buyer.amounts) for buyer in portfolio.buyers(orders, end).values())
    moves = {
        (row["cpm_month"], row["from_group"], row["to_group"]): row["customers"]
        for row in results["cpm_transitions_v1"]
    }
    pairs = [(a, b) for a in (NEW, *GROUPS) for b in (*GROUPS, LOST) if (a, b) != (NEW, LOST)]
    wanted = portfolio.transitions(series)
    assert moves == {(f"{end:%Y-%m}", a, b): wanted[f"{end:%Y-%m}", a, b] for end, _ in shown for a, b in pairs}
    assert sum(moves.values()) == wanted.total()


def _compare_deciles(rows: Rows, known: portfolio.Buyers) -> None:
    expected = portfolio.deciles(known)
    assert {row["decile"]: (row["customers"], row["amount"]) for row in rows} == expected
    total, so_far = sum(amount for _, amount in expected.values()), 0
    for row in _sorted(rows, "decile"):
        so_far += row["amount"]
        assert (row["cumulative_amount"], row["total_amount"]) == (so_far, total)
        assert row["amount_share"] == _share(row["amount"], total)
        assert row["cumulative_share"] == _share(so_far, total)
        assert row["amount_per_customer"] == _share(row["amount"], row["customers"])


def _compare_f2(rows: Rows, known: portfolio.Buyers, as_of: date, limits: Definitions) -> None:
    reached = ("second_buyers", "third_buyers", "fourth_buyers", "fifth_buyers")
    columns = ("customers", "mature_customers", *reached, "one_timers")
    assert _cells(rows, columns) == portfolio.f2(known, as_of, limits)
    assert len(_cells(rows, columns)) == len(rows)
    for row in rows:
        for column, rate in zip(reached, ("f2_rate", "f3_rate", "f4_rate", "f5_rate"), strict=True):
            assert row[rate] == _share(row[column], row["mature_customers"])
        assert row["chosen"] == (row["within_days"] == limits.f2_days)
        assert row["complete"] == (row["customers"] == row["mature_customers"])


def _compare_ltv(rows: Rows, known: portfolio.Buyers, as_of: date, limits: Definitions) -> None:
    columns = ("customers", "mature_customers", "amount", "orders", "repeat_customers")
    assert _cells(rows, columns) == portfolio.ltv(known, as_of, limits)
    for row in rows:
        assert row["ltv"] == _share(row["amount"], row["mature_customers"])
        assert row["repeat_rate"] == _share(row["repeat_customers"], row["mature_customers"])
        assert row["average_order_amount"] == _share(row["amount"], row["orders"])
        assert row["latest_month"] == (row["cohort_month"] == f"{as_of:%Y-%m}")


def _compare_formulas(rows: Rows, known: portfolio.Buyers) -> None:
    expected = portfolio.formulas(known)
    assert {row["variant"] for row in rows} == expected.keys()
    for row in rows:
        exact = expected[row["variant"]]
        assert row["ltv"] == (None if exact is None else pytest.approx(float(exact), rel=1e-12))


def _compare_continuation(rows: Rows, known: portfolio.Buyers, as_of: date, limits: Definitions) -> None:
    columns = ("reached", "continued", "churned", "undecided")
    expected = portfolio.continuation(known, as_of, limits)
    assert {row["order_count"]: tuple(row[column] for column in columns) for row in rows} == expected
    for row in rows:
        for column in columns[1:]:
            assert row[f"{column}_share"] == _share(row[column], row["reached"])
        assert row["continuation_rate"] == _share(row["continued"], row["continued"] + row["churned"])
        assert row["residual_rate"] == _share(row["reached"], len(known))


def _compare_gaps(rows: Rows, known: portfolio.Buyers, as_of: date, limits: Definitions) -> None:
    found: dict[int, tuple[int, Counter[int], float | None, int | None]] = {}
    for row in rows:
        distribution = found[row["from_order"]][1] if row["from_order"] in found else Counter[int]()
        if row["gap_days"] is not None:
            distribution[row["gap_days"]] += row["finished"]
        found[row["from_order"]] = (row["customers"], distribution, row["naive_median_days"], row["median_days"])
        assert row["verdict"] == ("算出不可" if row["median_days"] is None else "")
        assert row["came_again"] == sum(each["finished"] for each in rows if each["from_order"] == row["from_order"])
        assert row["mean_days"] == _share(row["finished_days"], row["came_again"])
    expected = portfolio.gaps(known, as_of, limits)
    assert found == expected
    assert {row["from_order"]: row["finished_days"] for row in rows} == {
        n: sum(gap * count for gap, count in each[1].items()) for n, each in expected.items()
    }


def _cells(rows: Rows, columns: Sequence[str]) -> dict[tuple[str, int], tuple[Any, ...]]:
    return {(row["cohort_month"], row["within_days"]): tuple(row[column] for column in columns) for row in rows}


def _share(part: int | None, whole: int) -> float | None:
    """The double nearest to the exact ratio; null of nothing."""
    return None if part is None or not whole else float(Fraction(part, whole))


def _sorted(rows: Rows, column: str) -> Rows:
    return sorted(rows, key=lambda row: row[column])


# --- random shops ----------------------------------------------------------------------------------------------------
SMALL = Definitions(
    cpm_settled_days=10, cpm_loyal_days=30, cpm_amount=10_000, cpm_churn_days=45, cpm_months=4,
    f2_days=37, ltv_days=500, churn_days=60, followed_orders=3,
)  # fmt: skip


def random_shop(seed: int) -> list[Order]:
    """Regulars, one-timers, several orders a day, days on the limits, cancelled and refunded at any time after."""
    rng = random.Random(seed)
    orders = []
    for number in range(rng.choice([0, 1, 9, 13, 60, 120])):
        on = date(2026, 3, 31) - timedelta(days=rng.choice([0, 30, 90, 239, 240, 241, rng.randrange(-10, 600)]))
        for _ in range(rng.choice([1, 1, 1, 2, 3, 5, 12])):
            amount = rng.choice([0, 5_000, 10_000, 35_000, 70_000, rng.randrange(50_000)])
            later = [on + timedelta(days=rng.choice([0, rng.randrange(120)])) for _ in range(2)]
            orders.append(
                Order(
                    customer=f"c{number:03d}",
                    on=on,
                    amount=amount,
                    cancelled_on=later[0] if rng.random() < 0.15 else None,
                    refunded_on=later[1] if rng.random() < 0.15 else None,
                    refund=rng.choice([1, amount]) if amount else 0,
                )
            )
            on += timedelta(days=rng.choice([0, 1, 30, 60, 90, 209, 210, rng.randrange(2, 200)]))
    return orders


@pytest.mark.parametrize("seed", range(amount(10, sample=5)))
def test_random_shops_are_counted_as_the_definitions_say(seed: int) -> None:
    orders = random_shop(seed)
    lake = lake_with(orders)
    for as_of, limits in ((date(2026, 3, 31), Definitions(cpm_months=5)), (date(2026, 2, 14), SMALL)):
        compare(orders, lake, as_of, limits)


# --- CDNOW -----------------------------------------------------------------------------------------------------------
def test_cdnow_is_counted_as_the_definitions_say_on_every_boundary() -> None:
    orders = [Order(bought.customer, bought.on, bought.amount) for bought in cdnow()]
    as_of = date(1998, 6, 30)
    known = portfolio.buyers(orders, as_of)
    # An amount that somebody with a long tenure spent exactly, so that "from … on" is put to the test.
    amounts = sorted(sum(buyer.amounts) for buyer in known.values() if buyer.tenure >= 210)
    limits = Definitions(cpm_amount=amounts[len(amounts) // 2], cpm_months=3)
    tenures = Counter(buyer.tenure for buyer in known.values() if len(buyer.days) > 1)
    silences = Counter((as_of - buyer.days[-1]).days for buyer in known.values())
    second = Counter(buyer.offsets()[1] for buyer in known.values() if len(buyer.days) > 1)
    assert all(tenures[days] for days in (89, 90, 209, 210))
    assert all(silences[days] for days in (239, 240))
    assert all(second[days] for days in (0, 90, 91, 360))
    compare(orders, lake_with(orders), as_of, limits)


# --- worked examples -------------------------------------------------------------------------------------------------
def test_deciles_of_a_thousand_people_give_the_printed_shares() -> None:
    totals = (1_000_000, 850_000, 720_000, 600_000, 480_000, 250_000, 180_000, 120_000, 100_000, 95_000)
    people = [(f"c{n:04d}", totals[n % 10] // 100) for n in range(1000)]
    lake = DuckLake()
    lake.fill("buyers_v1", ({"customer_id": c, "orders": 1, "amount": a} for c, a in people), dt=date(2026, 3, 31))
    values = catalog.parameters(TenantId(TENANT), date(2026, 3, 31), Definitions(), "JPY")
    rows = _sorted(lake.rows(catalog.bound_query("decile_v1", values)), "decile")
    assert [(row["customers"], row["amount"]) for row in rows] == [(100, total) for total in totals]
    printed = [22.8, 19.3, 16.4, 13.7, 10.9, 5.7, 4.1, 2.7, 2.3, 2.2]
    assert [round(row["amount_share"] * 100, 1) for row in rows] == printed
    printed = [22.8, 42.1, 58.5, 72.1, 83.0, 88.7, 92.8, 95.6, 97.8, 100.0]
    assert [round(row["cumulative_share"] * 100, 1) for row in rows] == printed


def test_one_place_decides_which_state_of_an_order_counts() -> None:
    deciding = {name for name in catalog.names() if "FIRST_VALUE(removed)" in catalog.query_text(name)}
    # The CPM series and the RFM of two dates ask several days at once; contracts and lines have states of their own.
    of_orders = {name for name in deciding if "order_states" in catalog.query_text(name)}
    assert of_orders == {"valid_orders_v1", "cpm_history_v1", "rfm_dates_v1"}


def test_the_formulas_are_never_the_default() -> None:
    read = {name for analysis in every_analysis() for name in analysis.reads}
    assert "ltv_formula_v1" not in read
