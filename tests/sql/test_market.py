"""The analyses of products, media, contracts and months against plain Python over lists of sales, on random shops."""

from __future__ import annotations

import math
from collections import Counter, defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from fractions import Fraction
from functools import cache
from itertools import pairwise
from itertools import product as pairs_of
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from shared.analytics import catalog
from shared.analytics.definitions import Definitions
from shared.analytics.meaning import every_analysis
from shared.analytics.nightly import in_order
from shared.core.ids import TenantId
from tests.sql.lake_in_duckdb import TENANT, DuckLake, differences
from tests.sql.market import EXCLUDED, PRODUCTS, Market, Sale, fill, random_market
from tests.sql.portfolio import kaplan_meier_median
from tests.sql.test_oracle import cdnow

LIMITS = Definitions(ltv_days=100, f2_days=45, retention_months=9, minimum_people=5, followed_orders=4, churn_days=60)
SEEDS = range(3)
SUNDAY = 7
CDNOW = -1
"""Stands for the CDNOW log: orders alone, as after a shop's first import."""

Rows = list[dict[str, Any]]
Cells = dict[tuple[Any, ...], tuple[Any, ...]]


@cache
def market(seed: int) -> Market:
    """A shop, made once."""
    if seed != CDNOW:
        return random_market(seed)
    log = enumerate(cdnow())
    sales = [Sale(f"{n:05d}", b.customer, b.on, b.amount, lines=(), media="", store="a.myshopify.com") for n, b in log]
    return Market(date(1998, 6, 30), sales)


@cache
def lake(seed: int) -> DuckLake:
    """The same shop in the lake."""
    filled = DuckLake()
    fill(filled, market(seed))
    return filled


def asked(name: str, seed: int, limits: Definitions = LIMITS) -> Rows:
    """The rows of an analysis; none of its failing checks may find anything."""
    values = catalog.parameters(TenantId(TENANT), market(seed).as_of, limits, "JPY")
    return lake(seed).rows(catalog.standalone_query(name, every_analysis(), values))


def cells(rows: Rows, keys: Sequence[str], columns: Sequence[str]) -> Cells:
    """Rows by their keys; each stands once."""
    found = {tuple(row[key] for key in keys): tuple(row[column] for column in columns) for row in rows}
    assert len(found) == len(rows)
    return found


# --- all of them -----------------------------------------------------------------------------------------------------
SAVED = {"segment_members_v1", "segment_counts_v1", "segment_changes_v1"}
"""They are put together from the segments a shop saved (tests/unit/analytics/segments)."""

LEFT_BY_NIGHTS = {"score_changes_v1", "customer_predictions_v1"} | SAVED
"""They read what earlier nights, the models and the shop have left."""

AFTER_SUNDAYS = {"cancellation_then_v1", "cancellation_holdout_v1"}
"""Empty on other days, and these shops are looked at in the middle of a week."""


@pytest.mark.parametrize("seed", [*SEEDS, CDNOW])
def test_no_check_of_any_analysis_fails(seed: int) -> None:
    shop, stored = market(seed), lake(seed).copy()
    values = catalog.parameters(TenantId(TENANT), shop.as_of, LIMITS, "JPY")
    run = set[str]()
    for analysis in in_order(every_analysis()):
        if analysis.name in LEFT_BY_NIGHTS or analysis.name not in catalog.names():
            continue
        found = stored.ask(catalog.bound_query(analysis.name, values))
        keyed = found.append_column("tenant", pa.array([TENANT] * found.num_rows, pa.string()))
        keyed = keyed.append_column("dt", pa.array([shop.as_of] * found.num_rows, pa.date32()))
        stored.add(analysis.name, keyed)
        checked = stored.rows(catalog.checks_query(analysis.name, values))
        assert not [row for row in checked if row["severity"] == "fail" and row["violations"]], analysis.name
        if found.num_rows:
            run.add(analysis.name)
    assert shop.as_of.isoweekday() != SUNDAY
    empty = set(catalog.names()) - run - LEFT_BY_NIGHTS - AFTER_SUNDAYS
    if seed == CDNOW:
        assert "ltv_weeks_v1" in run
    else:
        assert not empty, f"nothing to see in {empty}"


def test_rows_that_are_there_twice_change_nothing() -> None:
    """Until a partition is compacted readers see a repeated delivery twice."""
    twice = lake(0).copy()
    fill(twice, market(0))
    values = catalog.parameters(TenantId(TENANT), market(0).as_of, LIMITS, "JPY")
    for name in sorted(set(catalog.names()) - LEFT_BY_NIGHTS):
        query = catalog.standalone_query(name, every_analysis(), values)
        assert differences(twice.rows(query), lake(0).rows(query)) == [], name


HOSTILE = ["'", "''", "x') OR ('1'='1", "'; DROP TABLE order_lines; --", "\\", ":tenant", "/*", "%", "{}", "p1'"]


def test_a_hostile_product_is_a_product_that_nobody_bought() -> None:
    for text in HOSTILE:
        assert asked("cross_sell_v1", 0, Definitions(base_products=(text,))) == []
        assert asked("copurchase_v1", 0, Definitions(base_products=(text,))) == []
    # … and next to a product that people did buy it changes nothing.
    alone = cells(
        asked("cross_sell_v1", 0, Definitions(base_products=("p1",), base_any=1)),
        ("product_id", "same_order"),
        ("customers",),
    )
    beside = Definitions(base_products=("p1", *HOSTILE), base_any=1)
    assert cells(asked("cross_sell_v1", 0, beside), ("product_id", "same_order"), ("customers",)) == alone


def test_every_analysis_has_a_row_test() -> None:
    folders = {folder.name for folder in Path(__file__).parent.iterdir() if any(folder.glob("*/expect.yaml"))}
    judged = {name for name in catalog.names() if not name.startswith(("model_", "customer_predictions"))}
    assert judged - SAVED <= folders


# --- what the shop's history says ------------------------------------------------------------------------------------
def media_of(sale: Sale) -> str:
    """広告媒体, or that nobody knows."""
    return sale.media or "不明"


def products_of(sale: Sale) -> set[str]:
    """Products of an order; 送料 and プレゼント are none."""
    return {product for product in sale.lines if PRODUCTS[product][0] not in EXCLUDED}


def category_of(product: str) -> str:
    """Its category, or that nobody knows."""
    return PRODUCTS[product][1] or "不明"


def with_products(history: Iterable[Sale]) -> list[Sale]:
    """The orders that hold a product."""
    return [sale for sale in history if products_of(sale)]


def month(day: date) -> str:
    """`2026-03`."""
    return f"{day:%Y-%m}"


def after(day: date, months: int) -> date:
    """First day of the month so many months later."""
    number = day.year * 12 + day.month - 1 + months
    return date(number // 12, number % 12 + 1, 1)


# --- LTV and F2 by way in --------------------------------------------------------------------------------------------
def values_of(sale: Sale) -> dict[str, set[str]]:
    """Dimension → what this order is of."""
    products = products_of(sale)
    return {
        "product": products,
        "category": {category_of(product) for product in products},
        "media": {media_of(sale)},
        "store": {sale.store},
        "week": {str(sale.on - timedelta(days=sale.on.weekday()))},
    }


def entries(shop: Market) -> list[tuple[str, str, str, list[Sale]]]:
    """(dimension, anchor, entry, the person's orders from day 0 on)."""
    found = []
    for history in shop.histories().values():
        for dimension, entered in values_of(history[0]).items():
            found += [(dimension, "first_order", entry, history) for entry in entered]
        seen = set[tuple[str, str]]()
        for place, sale in enumerate(history):
            for dimension in ("product", "category", "media"):
                for entry in values_of(sale)[dimension]:
                    if (dimension, entry) not in seen:
                        seen.add((dimension, entry))
                        found.append((dimension, "first_of_it", entry, history[place:]))
    return found


def ltv_cells(shop: Market, horizons: Iterable[int]) -> Cells:
    """(dimension, anchor, entry, k) → people, mature, amount, orders, repeaters."""
    grouped = defaultdict[tuple[str, str, str], list[list[Sale]]](list)
    for dimension, anchor, entry, history in entries(shop):
        grouped[dimension, anchor, entry].append(history)
    found: Cells = {}
    for key, people in grouped.items():
        for days in horizons:
            mature = [history for history in people if history[0].on + timedelta(days=days) <= shop.as_of]
            within = [[sale for sale in each if (sale.on - each[0].on).days <= days] for each in mature]
            sums = (
                sum(sale.amount for each in within for sale in each),
                sum(len(each) for each in within),
                sum(len(each) > 1 for each in within),
            )
            found[(*key, days)] = (len(people), len(mature), *(sums if mature else (None, None, None)))
    return found


@pytest.mark.parametrize("seed", [*SEEDS, CDNOW])
def test_ltv_and_f2_by_way_in(seed: int) -> None:
    columns = ("customers", "mature_customers", "amount", "orders", "repeat_customers")
    horizons = sorted({*range(30, 361, 30), LIMITS.ltv_days, LIMITS.f2_days})
    expected = ltv_cells(market(seed), horizons)
    assert cells(asked("ltv_by_first_v1", seed), ("dimension", "anchor", "entry", "within_days"), columns) == expected
    f2 = cells(
        asked("f2_by_first_v1", seed), ("dimension", "entry", "within_days"), ("mature_customers", "second_buyers")
    )
    assert f2 == {
        (key[0], key[2], key[3]): (value[1], value[4])
        for key, value in expected.items()
        if key[1] == "first_order" and key[0] != "week"
    }
    weeks = cells(asked("ltv_weeks_v1", seed), ("cohort_week", "within_days"), columns)
    assert weeks == {(key[2], key[3]): value for key, value in expected.items() if key[0] == "week"}
    for name, column, dimension in (
        ("ltv_by_product_v1", "product_id", "product"),
        ("ltv_by_category_v1", "category", "category"),
        ("ltv_by_media_v1", "media", "media"),
    ):
        part = cells(asked(name, seed), (column, "anchor", "within_days"), columns)
        assert part == {(k[2], k[1], k[3]): value for k, value in expected.items() if k[0] == dimension}


@pytest.mark.parametrize("seed", SEEDS)
def test_an_amount_is_what_the_shop_says_and_a_days_orders_may_be_one(seed: int) -> None:
    limits = Definitions(ltv_days=100, amount_basis="gross_margin", margin_percent=40, same_day_is_one=1)
    shop = market(seed)
    found: dict[tuple[str, int], list[int]] = {}
    for history in shop.histories().values():
        first = history[0].on
        for days in (*range(30, 361, 30), 100):
            cell = found.setdefault((month(first), days), [0, 0, 0, 0])
            if first + timedelta(days=days) <= shop.as_of:
                within = [sale for sale in history if (sale.on - first).days <= days]
                margins = [(sale.amount if sale.goods_total is None else sale.goods_total) * 40 for sale in within]
                dates = {sale.on for sale in within}
                cell[0] += 1
                cell[1] += sum(int(Fraction(margin, 100) + Fraction(1, 2)) for margin in margins)
                cell[2] += len(dates)
                cell[3] += len(dates) > 1
    expected = {key: tuple(cell) if cell[0] else (0, None, None, None) for key, cell in found.items()}
    columns = ("mature_customers", "amount", "orders", "repeat_customers")
    assert cells(asked("ltv_cohorts_v1", seed, limits), ("cohort_month", "within_days"), columns) == expected


@pytest.mark.parametrize("seed", SEEDS)
def test_f2_is_the_repeat_rate_of_the_ltv_table_also_where_a_days_orders_are_one(seed: int) -> None:
    limits = Definitions(ltv_days=60, f2_days=60, same_day_is_one=1)
    keys = ("cohort_month", "within_days")
    by_ltv = cells(asked("ltv_cohorts_v1", seed, limits), keys, ("mature_customers", "repeat_customers"))
    by_f2 = {(row["cohort_month"], row["within_days"]): row for row in asked("f2_conversion_v1", seed, limits)}
    assert {key: (row["mature_customers"], row["second_buyers"]) for key, row in by_f2.items()} == by_ltv
    shop, alone = market(seed), Counter[tuple[str, int]]()
    for history in shop.histories().values():
        for days in {days for _, days in by_ltv}:
            if len({sale.on for sale in history}) == 1 and (shop.as_of - history[0].on).days > days:
                alone[month(history[0].on), days] += 1
    assert alone == Counter({key: row["one_timers"] or 0 for key, row in by_f2.items()})


# --- months ----------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", [*SEEDS, CDNOW])
def test_cohorts_month_by_month(seed: int) -> None:
    shop = market(seed)
    expected: Cells = {}
    cohorts = defaultdict[date, list[list[Sale]]](list)
    for history in shop.histories().values():
        cohorts[after(history[0].on, 0)].append(history)
    for start, people in cohorts.items():
        for since in range(LIMITS.retention_months + 1):
            begins, ends = after(start, since), after(start, since + 1)
            if begins <= shop.as_of:
                bought = [[sale for sale in each if begins <= sale.on < ends] for each in people]
                expected[month(start), since] = (
                    len(people), sum(map(bool, bought)), sum(map(len, bought)),
                    sum(sale.amount for each in bought for sale in each), ends > shop.as_of + timedelta(days=1),
                )  # fmt: skip
    columns = ("customers", "active_customers", "orders", "amount", "partial")
    assert cells(asked("cohort_retention_v1", seed), ("cohort_month", "months_since"), columns) == expected


def active(history: Sequence[Sale], day: date, limit: int) -> bool:
    """現役 on a day."""
    return any(0 <= (day - sale.on).days < limit for sale in history)


@pytest.mark.parametrize(("seed", "churn_days"), [*pairs_of(SEEDS, (10, 60, 240)), (CDNOW, 60)])
def test_who_left_who_came_and_who_came_back(seed: int, churn_days: int) -> None:
    shop, expected = market(seed), {}
    for ago in range(LIMITS.retention_months):
        begins = after(shop.as_of, -ago)
        end = min(after(begins, 1) - timedelta(days=1), shop.as_of)
        counted = Counter[str]()
        for history in shop.histories().values():
            was, now = active(history, begins - timedelta(days=1), churn_days), active(history, end, churn_days)
            new = begins <= history[0].on <= end
            counted["before"] += was
            counted["entered"] += new
            counted["returned"] += now and not was and not new
            counted["churned"] += (was or new) and not now
            counted["after"] += now
        names = ("before", "entered", "returned", "churned", "after")
        expected[(month(begins),)] = tuple(counted[name] for name in names)
    columns = ("active_before", "entered", "returned", "churned", "active_after")
    limits = Definitions(retention_months=LIMITS.retention_months, churn_days=churn_days)
    assert cells(asked("churn_months_v1", seed, limits), ("churn_month",), columns) == expected


@pytest.mark.parametrize("seed", [*SEEDS, CDNOW])
def test_who_of_a_months_buyers_went_on(seed: int) -> None:
    shop = market(seed)
    expected: Cells = {}
    for ago in range(LIMITS.retention_months):
        begins = after(shop.as_of, -ago)
        ends = after(begins, 1)
        counted = Counter[str]()
        for history in shop.histories().values():
            bought = [sale for sale in history if begins <= sale.on < ends]
            if not bought:
                continue
            silent = (shop.as_of - history[-1].on).days
            later = any(sale.on >= ends for sale in history)
            counted["people"] += 1
            counted["new"] += bought[0] is history[0]
            counted["orders"] += len(bought)
            counted["amount"] += sum(sale.amount for sale in bought)
            counted["continued" if later else "churned" if silent >= LIMITS.churn_days else "undecided"] += 1
        if counted:
            names = ("people", "new", "orders", "amount", "continued", "churned", "undecided")
            expected[(month(begins),)] = tuple(counted[name] for name in names)
    columns = ("customers", "new_customers", "orders", "amount", "continued", "churned", "undecided")
    assert cells(asked("continuation_months_v1", seed), ("order_month",), columns) == expected


# --- products --------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", SEEDS)
def test_new_and_repeat_by_product(seed: int) -> None:
    shop = market(seed)
    orders, people = Counter[tuple[str, str]](), defaultdict[tuple[str, str], set[str]](set)
    known = set[str]()
    for customer, history in shop.histories().items():
        seen = set[str]()
        for place, sale in enumerate(with_products(history)):
            for product in products_of(sale):
                kind = "new_to_shop" if place == 0 else "new_to_product" if product not in seen else "repeat"
                if (shop.as_of - sale.on).days < LIMITS.period_days:
                    known.add(product)
                    orders[product, kind] += 1
                    people[product, kind].add(customer)
            seen |= products_of(sale)
    kinds = ("new_to_shop", "new_to_product", "repeat")
    expected = {(p, k): (len(people[p, k]), orders[p, k]) for p in known for k in kinds}
    found = cells(asked("product_new_repeat_v1", seed), ("product_id", "buyer_class"), ("customers", "orders"))
    assert found == expected


@pytest.mark.parametrize("seed", SEEDS)
def test_from_product_to_product(seed: int) -> None:
    went, had = defaultdict[tuple[int, str, str | None], set[str]](set), defaultdict[tuple[int, str], set[str]](set)
    for customer, history in market(seed).histories().items():
        bought = [products_of(sale) for sale in with_products(history)][:3]
        for step in range(min(2, len(bought))):
            further: Iterable[str | None] = bought[step + 1] if step + 1 < len(bought) else [None]
            for product in bought[step]:
                had[step + 1, product].add(customer)
                for target in further:
                    went[step + 1, product, target].add(customer)
    expected = {key: (len(people), len(had[key[:2]])) for key, people in went.items()}
    keys = ("from_order", "from_product", "to_product")
    assert cells(asked("product_flow_v1", seed), keys, ("customers", "from_customers")) == expected


def cross_sell(shop: Market, base: set[str], any_of: bool) -> Cells:
    """(product, same order counts) → people of the base, those who also bought, everybody who did, everybody."""
    baskets = {c: [products_of(s) for s in with_products(h)] for c, h in shop.histories().items()}
    baskets = {customer: orders for customer, orders in baskets.items() if orders}
    everything = {customer: set().union(*orders) for customer, orders in baskets.items()}
    people = [c for c, bought in everything.items() if (bought & base if any_of else base <= bought)]
    found: Cells = {}
    for product in set().union(*everything.values()) - base:
        also = [customer for customer in people if product in everything[customer]]
        elsewhere = [c for c in also if any(product in order and not order & base for order in baskets[c])]
        buyers = sum(product in bought for bought in everything.values())
        if also:
            found[product, True] = (len(people), len(also), buyers, len(baskets))
            found[product, False] = (len(people), len(elsewhere), buyers, len(baskets))
    return found


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("base", "any_of"), [(("p1",), 0), (("p1", "p2"), 0), (("p1", "p2"), 1), (("nothing",), 0)])
def test_who_also_bought(seed: int, base: tuple[str, ...], any_of: int) -> None:
    rows = asked("cross_sell_v1", seed, Definitions(base_products=base, base_any=any_of))
    columns = ("base_customers", "customers", "product_customers", "all_customers")
    assert cells(rows, ("product_id", "same_order"), columns) == cross_sell(market(seed), set(base), bool(any_of))
    for row in rows:
        confidence = Fraction(row["customers"], row["base_customers"])
        assert row["confidence"] == pytest.approx(float(confidence), rel=1e-12)
        assert row["support"] == pytest.approx(row["customers"] / row["all_customers"], rel=1e-12)
        lift = confidence / Fraction(row["product_customers"], row["all_customers"])
        assert row["lift"] == pytest.approx(float(lift), rel=1e-12)


@pytest.mark.parametrize("seed", SEEDS)
def test_without_a_base_each_best_seller_is_one(seed: int) -> None:
    rows = asked("cross_sell_v1", seed)
    for base in {row["base"] for row in rows}:
        part = [row for row in rows if row["base"] == base]
        columns = ("base_customers", "customers", "product_customers", "all_customers")
        assert cells(part, ("product_id", "same_order"), columns) == cross_sell(market(seed), {base}, any_of=False)


@pytest.mark.parametrize("seed", SEEDS)
def test_what_is_bought_together(seed: int) -> None:
    shop, base = market(seed), "p1"
    since = date(shop.as_of.year - 2, shop.as_of.month, shop.as_of.day)
    together, held = Counter[tuple[int, str]](), Counter[int]()
    for history in shop.histories().values():
        for place, sale in enumerate(with_products(history)[: LIMITS.followed_orders], 1):
            if history[0].on > since and base in products_of(sale):
                held[place] += 1
                together.update((place, product) for product in products_of(sale) - {base})
    expected: Cells = {}
    for place in held:
        ranked = sorted((-n, product) for (at, product), n in together.items() if at == place)[:5]
        expected |= {(place, rank): (product, -n, held[place]) for rank, (n, product) in enumerate(ranked, 1)}
    limits = Definitions(base_products=(base,), followed_orders=LIMITS.followed_orders)
    rows = asked("copurchase_v1", seed, limits)
    assert cells(rows, ("order_count", "place"), ("product_id", "customers", "base_customers")) == expected


@pytest.mark.parametrize("seed", [*SEEDS, CDNOW])
def test_the_cycle_of_each_item(seed: int) -> None:
    shop = market(seed)
    days = defaultdict[tuple[str, str, str], set[date]](set)
    for customer, history in shop.histories().items():
        for sale in history:
            if sale.contract is None:
                days["shop", "全体", customer].add(sale.on)
                for product in products_of(sale):
                    days["product", product, customer].add(sale.on)
                    days["category", category_of(product), customer].add(sale.on)
    finished, waiting = defaultdict[tuple[str, str], list[int]](list), defaultdict[tuple[str, str], list[int]](list)
    for (level, item, _), occasions in days.items():
        ordered = sorted(occasions)
        finished[level, item] += [(b - a).days for a, b in pairwise(ordered)]
        waiting[level, item].append((shop.as_of - ordered[-1]).days)
    expected = {
        key: (
            len(waiting[key]),
            len(finished[key]),
            sum(finished[key]),
            kaplan_meier_median(finished[key], waiting[key]),
        )
        for key in waiting
    }
    columns = ("customers", "finished", "finished_days", "median_days")
    assert cells(asked("item_cycle_v1", seed), ("level", "item"), columns) == expected


# --- media and money -------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", SEEDS)
def test_cost_of_an_order_and_the_day_it_comes_back(seed: int) -> None:
    shop, horizon = market(seed), LIMITS.ltv_days
    people = defaultdict[tuple[str, date], list[list[Sale]]](list)
    for history in shop.histories().values():
        people[media_of(history[0]), after(history[0].on, 0)].append(history)
    periods = {(media, month(start)): [(media, start)] for media, start in people.keys() | shop.costs.keys()}
    for media, start in shop.costs:
        periods.setdefault((media, "全期間"), []).append((media, start))
    expected: Cells = {}
    for key, months in periods.items():
        won = [history for each in months for history in people.get(each, [])]
        told = [shop.costs[each] for each in months if each in shop.costs]
        cost = sum(told) if told else None
        age = (shop.as_of - (after(max(start for _, start in months), 1) - timedelta(days=1))).days
        amounts = [(sale.on - each[0].on).days for each in won for sale in each]

        def by(day: int, won: list[list[Sale]] = won) -> int:
            return sum(sale.amount for each in won for sale in each if (sale.on - each[0].on).days <= day)

        days = [d for d in sorted(set(amounts)) if d <= age and cost is not None and by(d) >= cost]
        if cost is None:
            verdict = "費用不明"
        elif not won:
            verdict = "判定不可"
        elif age < horizon:
            verdict = "未到達"
        else:
            verdict = "採用" if Fraction(by(horizon), len(won)) > Fraction(cost, len(won)) else "不採用"
        amount = by(horizon) if won and age >= horizon else None
        expected[key] = (cost, len(won), amount, days[0] if days else None, verdict)
    columns = ("cost", "first_orders", "amount", "payback_day", "verdict")
    assert cells(asked("cpo_v1", seed), ("media", "cost_month"), columns) == expected


def test_a_margin_that_nobody_told_makes_no_medium_a_loss() -> None:
    """Profit is then counted in 受注金額 and labelled so; as a margin of 0 it would say 不採用 of every medium."""
    rows = asked("cpo_v1", 0, Definitions(amount_basis="gross_margin"))
    assert rows == asked("cpo_v1", 0, Definitions())
    assert {row["basis"] for row in rows} == {"order_total"}
    assert {
        row["basis"] for row in asked("cpo_v1", 0, Definitions(amount_basis="gross_margin", margin_percent=40))
    } == {"gross_margin"}


def test_every_verdict_about_a_medium_was_put_to_the_test() -> None:
    verdicts = {row["verdict"] for seed in SEEDS for row in asked("cpo_v1", seed)}
    assert verdicts == {"費用不明", "判定不可", "未到達", "採用", "不採用"}


@pytest.mark.parametrize("seed", SEEDS)
def test_advertising_ltv_both_ways(seed: int) -> None:
    shop = market(seed)
    paths: list[tuple[str, str, list[Sale]]] = []
    for history in shop.histories().values():
        paths.append(("first_medium", media_of(history[0]), history))
        for media in {media_of(sale) for sale in history}:
            paths.append(("each_medium", media, [sale for sale in history if media_of(sale) == media]))
    expected: Cells = {}
    for days in (*range(10, 91, 10), 120, 180, 240, 300, 360, 540, 720, 999):
        sums = defaultdict[tuple[str, str], Counter[str]](Counter)
        for variant, media, history in paths:
            start = after(history[0].on, 0)
            if (shop.as_of - (after(start, 1) - timedelta(days=1))).days < days:
                continue
            amount = sum(sale.amount for sale in history if (sale.on - history[0].on).days <= days)
            sums[variant, media].update(people=1, amount=amount)
            if (media, start) in shop.costs:
                sums[variant, media]["costed"] += amount
        for (media, start), cost in shop.costs.items():
            if (shop.as_of - (after(start, 1) - timedelta(days=1))).days >= days:
                for variant in ("first_medium", "each_medium"):
                    sums[variant, media].update(cost=cost, costs=1)
        for key, each in sums.items():
            told = (each["cost"], each["costed"]) if each["costs"] else (None, None)
            expected[(*key, days)] = (each["people"], each["amount"], *told)
    columns = ("new_customers", "amount", "cost", "costed_amount")
    assert cells(asked("media_ltv_v1", seed), ("variant", "media", "within_days"), columns) == expected


# --- contracts -------------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", SEEDS)
def test_from_delivery_to_delivery(seed: int) -> None:
    shop = market(seed)
    boxes = defaultdict[tuple[str, str], list[tuple[int, str]]](list)
    for contract in shop.contracts:
        orders = [s for s in shop.known() if s.contract == contract.subscription_id and s.store == contract.store]
        numbers = [sale.delivery or 0 for sale in orders]
        made = max([contract.deliveries or 0, len(orders), *numbers])
        late = contract.next_on is not None and (shop.as_of - contract.next_on).days > LIMITS.subscription_late_days
        outcome = {"cancelled": "cancelled", "paused": "paused", "expired": "expired", "past_due": "held"}.get(
            contract.state, "held" if late else "undecided"
        )
        for box in (
            ("all", "全体"), ("product", contract.product), ("month", month(contract.started_on)),
            ("media", contract.media or "不明"),
        ):  # fmt: skip
            boxes[box].append((made, outcome))
        if outcome == "cancelled":
            boxes["reason", contract.reason or "理由不明"].append((made, outcome))
    expected: Cells = {}
    names = ("cancelled", "paused", "held", "expired", "undecided")
    for box, contracts in boxes.items():
        for n in range(1, LIMITS.followed_orders + 1):
            stopped = Counter(outcome for made, outcome in contracts if made == n)
            reached = sum(made >= n for made, _ in contracts)
            if reached:
                further = sum(made > n for made, _ in contracts)
                expected[(*box, n)] = (len(contracts), reached, further, *(stopped[name] for name in names))
    columns = ("contracts", "reached", "continued", *names)
    assert cells(asked("subscription_flow_v1", seed), ("dimension", "box", "delivery_number"), columns) == expected


# --- the shop's cycle ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", SEEDS)
def test_the_shops_cycle_is_of_single_purchases_wherever_it_stands(seed: int) -> None:
    (shop,) = [row for row in asked("item_cycle_v1", seed) if row["level"] == "shop"]
    curve = asked("purchase_cycle_v1", seed)
    assert [row["gap_days"] for row in curve if row["median"]] == [shop["median_days"]]
    assert sum(row["finished"] for row in curve) == shop["finished"]
    days = [sorted({sale.on for sale in history}) for history in market(seed).histories().values()]
    gaps = Counter((later - earlier).days for each in days for earlier, later in pairwise(each))
    assert {row["gap_days"]: row["with_deliveries"] for row in curve if row["with_deliveries"]} == gaps


def test_who_buys_now_and_then_is_not_at_risk_by_the_rhythm_of_subscribers() -> None:
    """Thirty deliveries a month apart, and purchases every hundred days: fifty days of silence are nothing."""
    filled, ends = DuckLake(), date(2026, 3, 31)
    ago = {"s": range(0, 330, 30), "e": (350, 250, 150, 50), "f": (50,)}
    contract = {"s": "monthly"}
    filled.fill("order_states", [
        {"customer_id": f"{kind}{n}", "order_id": f"{kind}{n}-{days}", "ordered_on": ends - timedelta(days=days),
         "amount": 1_000, "subscription_id": contract.get(kind)}
        for kind, each in ago.items() for n in range(3) for days in each
    ])  # fmt: skip
    values = catalog.parameters(TenantId(TENANT), ends, Definitions(), "JPY")
    rows = filled.rows(catalog.standalone_query("status_v1", every_analysis(), values))
    found = {row["customer_id"]: (row["status"], row["cycle_days"], row["cycle_level"]) for row in rows}
    assert {found[f"f{n}"] for n in range(3)} == {("new", 100.0, "shop")}


# --- differences and alerts ------------------------------------------------------------------------------------------
def two_proportions(a: int, n: int, b: int, m: int) -> float | None:
    """z of the pooled two-proportion test."""
    pooled = (a + b) / (n + m) if n + m else 0.0
    error = math.sqrt(pooled * (1 - pooled) * (1 / n + 1 / m)) if n and m else 0.0
    return (a / n - b / m) / error if error else None


@pytest.mark.parametrize("seed", SEEDS)
def test_a_difference_of_churn_has_the_p_value_of_the_textbook(seed: int) -> None:
    rows = asked("churn_causes_v1", seed)
    shop = market(seed)
    old = {c: h for c, h in shop.histories().items() if (shop.as_of - h[0].on).days >= LIMITS.churn_days}
    left = {c for c, h in old.items() if (shop.as_of - h[-1].on).days >= LIMITS.churn_days}
    by_media = Counter(media_of(history[0]) for history in old.values())
    gone = Counter(media_of(old[customer][0]) for customer in left)
    found = cells([r for r in rows if r["factor"] == "media"], ("factor_value",), ("customers", "churned"))
    assert found == {(media,): (by_media[media], gone[media]) for media in by_media}
    for row in rows:
        a, n, b, m = row["churned"], row["customers"], row["other_churned"], row["other_customers"]
        z = two_proportions(a, n, b, m)
        if z is None:
            assert row["p_value"] is None
            assert row["verdict"] == "少数"
        else:
            corrected = min(1.0, row["comparisons"] * math.erfc(abs(z) / math.sqrt(2)))
            assert row["p_value"] == pytest.approx(corrected, rel=2e-7, abs=2e-7)
        pooled = (a + b) / (n + m)
        few = min(n, m) < LIMITS.minimum_people or min(n, m) * min(pooled, 1 - pooled) < 5
        assert (row["verdict"] == "少数") == (few or z is None)
    assert {row["factor"] for row in rows} >= {"media", "store", "category", "gender", "age", "prefecture", "discount"}


def judged_together(rows: Rows, enough: Iterable[bool]) -> int:
    """By how many every p of these rows is multiplied (Bonferroni)."""
    return max(
        1, sum(row["p_value"] is not None and enough_of_it for row, enough_of_it in zip(rows, enough, strict=True))
    )


@pytest.mark.parametrize("seed", SEEDS)
def test_a_warning_is_about_the_active_and_knows_how_much_weeks_differ(seed: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    shop = market(seed)
    weeks = [(shop.as_of - timedelta(days=7 * (w + 1)), shop.as_of - timedelta(days=7 * w)) for w in range(9)]
    asked_of = defaultdict[tuple[str, str], Counter[int]](Counter)
    answered = defaultdict[tuple[str, str], Counter[int]](Counter)
    for history in shop.histories().values():
        segments = [("shop", "全体"), ("media", media_of(history[0])), ("store", history[0].store)]
        for number, (before, end) in enumerate(weeks):
            if active(history, before, LIMITS.churn_days):
                for segment in segments:
                    asked_of[segment][number] += 1
                    answered[segment][number] += any(before < sale.on <= end for sale in history)
    rows = asked("early_warning_v1", seed)
    for dimension in ("shop", "media", "store"):
        alike = [row for row in rows if (row["metric"], row["dimension"]) == ("order", dimension)]
        assert {(dimension, row["segment"]) for row in alike} == {each for each in asked_of if each[0] == dimension}
        enough = [
            row["members"] >= LIMITS.minimum_people
            and row["weeks"] >= 4
            and row["members"] * (row["baseline_rate"] or 0) >= 5
            for row in alike
        ]
        together = judged_together(alike, enough)
        for row, judged in zip(alike, enough, strict=True):
            people, did = asked_of[dimension, row["segment"]], answered[dimension, row["segment"]]
            base = [week for week in people if week]
            n, m, a, b = people[0], sum(people[w] for w in base), did[0], sum(did[w] for w in base)
            assert (row["members"], row["responders"], row["weeks"]) == (n, a, len(base))
            assert (row["baseline_members"], row["baseline_responders"]) == (m, b)
            z = two_proportions(a, n, b, m)
            if z is None or len(base) < 2:
                assert row["p_value"] is None
                continue
            rate = b / m
            chi_square = (
                sum((did[w] - people[w] * rate) ** 2 / (people[w] * rate * (1 - rate)) for w in base) if b else 0.0
            )
            t = z / math.sqrt(max(1.0, chi_square / (len(base) - 1)))
            chance = together * float(stats.t.cdf(t, len(base) - 1))
            assert row["p_value"] == pytest.approx(min(1.0, chance), abs=4e-3 * together)
            assert (row["verdict"] == "判定不可") == (not judged)
    assert {row["metric"] for row in rows} == {"order", "click"}


@pytest.mark.parametrize("seed", SEEDS)
def test_a_category_is_low_by_the_t_of_its_own_weeks(seed: int) -> None:
    stats = pytest.importorskip("scipy.stats")
    shop = market(seed)
    weekly = defaultdict[str, Counter[int]](Counter)
    for history in shop.histories().values():
        for sale in history:
            for product in sale.lines:
                ago = (shop.as_of - sale.on).days // 7
                if PRODUCTS[product][0] not in EXCLUDED and ago <= LIMITS.baseline_weeks:
                    weekly[category_of(product)][ago] += PRODUCTS[product][2]
    found = asked("category_drop_v1", seed)
    rows = {row["category"]: row for row in found}
    assert rows.keys() == weekly.keys()
    enough = [row["weeks"] >= 4 and row["baseline_orders"] >= LIMITS.minimum_people for row in found]
    together = judged_together(found, enough)
    for category, sums in weekly.items():
        row, base = rows[category], [sums[w] for w in range(1, rows[category]["weeks"] + 1)]
        assert (row["last_amount"], row["baseline_amount"]) == (sums[0], sum(base))
        mean = sum(base) / len(base)
        deviation = math.sqrt(sum((amount - mean) ** 2 for amount in base) / (len(base) - 1))
        if deviation:
            t = (sums[0] - mean) / (deviation * math.sqrt(1 + 1 / len(base)))
            chance = together * float(stats.t.cdf(t, len(base) - 1))
            assert row["p_value"] == pytest.approx(min(1.0, chance), abs=4e-3 * together)


# --- RFM of two dates ------------------------------------------------------------------------------------------------
@pytest.mark.parametrize("seed", [*SEEDS, CDNOW])
def test_ranks_of_two_dates_are_the_ranks_of_each(seed: int) -> None:
    shop = market(seed)
    then = shop.as_of - timedelta(days=LIMITS.comparison_days)

    def ranks(day: date) -> Mapping[str, str]:
        values = catalog.parameters(TenantId(TENANT), day, LIMITS, "JPY")
        rows = lake(seed).rows(catalog.standalone_query("rfm_v1", every_analysis(), values))
        return {row["customer_id"]: row["rank"] for row in rows}

    before, now = ranks(then), ranks(shop.as_of)
    moved = Counter((before.get(c, "新規購入"), now.get(c, "対象外")) for c in before.keys() | now.keys())
    rows = asked("rfm_change_v1", seed)
    assert len(rows) == 63
    assert {(r["from_rank"], r["to_rank"]): r["customers"] for r in rows if r["customers"]} == moved
    assert moved["新規購入", "新規"] > 0 or seed == CDNOW
