"""The models' step of the night: groups in, predictions stored, audited once a week, nothing else stopped by it."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from functools import cache
from typing import Any

import numpy as np
import pytest

from shared.analytics import meaning, stored_rows
from shared.analytics.lake import MemoryObjects
from shared.analytics.modelling import fit
from shared.analytics.models import night
from shared.analytics.parquet import arrow_schema
from shared.analytics.reports import MODEL_AUDIT, MemoryReportStore
from shared.customers.model import LtvTier
from shared.ingest.model import Event
from tests.sql.lake_in_duckdb import lake_of
from tests.unit.analytics.world import TENANT, World, an_order, customer_of, day

START = date(2026, 1, 1)
NOW = datetime(2026, 12, 20, 17, tzinfo=UTC)


def beside_the_models() -> frozenset[str]:
    """The analyses that neither feed the predictions nor use them."""
    catalog = {analysis.name: analysis for analysis in meaning.night_catalog()}
    needed, wanted = set[str](), ["score_changes_v1", "customer_predictions_v1"]
    while wanted:
        name = wanted.pop()
        if name in catalog and name not in needed:
            needed.add(name)
            wanted += [*catalog[name].reads, *catalog[name].uses]
    return frozenset(catalog.keys() - needed)


def a_night(world: World, on: str) -> dict[str, Any]:
    return world.run_night(on, without=beside_the_models())


def shop_of(customers: int) -> World:
    """Customers who buy at their own pace, drawn; the last is rich and has bought once."""
    random = np.random.default_rng(11)
    events: list[Event] = []
    for who in range(customers):
        on, pause = START + timedelta(days=int(random.integers(0, 200))), random.gamma(1.0, 40.0) + 3
        lost = random.beta(1, 4)
        while on <= date(2026, 12, 20):
            events.append(an_order(f"c{who}", f"o{len(events)}", on.isoformat(), int(random.gamma(4, 1000)) + 100))
            if random.random() < lost:
                break
            on += timedelta(days=1 + int(random.exponential(pause)))
    world = World()
    world.hear(*events)
    return world


@cache
def after_two_nights() -> tuple[World, dict[str, Any], dict[str, Any]]:
    """A Saturday (the first night ever) and the day after tomorrow."""
    world = shop_of(60)
    return world, a_night(world, "2026-12-19"), a_night(world, "2026-12-21")


def predictions(world: World, on: str) -> list[dict[str, Any]]:
    rows = lake_of(world.lake).rows("SELECT * FROM customer_predictions_v1 ORDER BY customer_id")
    return [row for row in rows if row["dt"] == day(on)]


def test_every_buyer_has_a_prediction_with_an_interval() -> None:
    world, first, _ = after_two_nights()
    assert first["failed"] == []
    rows = predictions(world, "2026-12-19")
    assert len(rows) == len({row["customer_id"] for row in rows}) == 60
    assert {row["source"] for row in rows} <= {"model", "naive"}
    assert all(0 <= row["p_order_30"] <= row["p_order_90"] <= 1 and row["ltv_365"] >= 0 for row in rows)
    if rows[0]["source"] == "model":
        assert all(row["ltv_365_low"] <= row["ltv_365_high"] for row in rows)


def test_the_first_night_is_audited_and_the_verdict_stays_until_sunday() -> None:
    world, _, _ = after_two_nights()
    saturday = world.reports.get(TENANT, MODEL_AUDIT, day("2026-12-19"))
    monday = world.reports.get(TENANT, MODEL_AUDIT, day("2026-12-21"))
    assert saturday is not None
    assert monday is not None
    assert saturday["audited_on"] == monday["audited_on"] == "2026-12-19"
    assert saturday["audit"] == monday["audit"]
    scores = saturday["audit"]["scores"]
    assert {"mbg_nbd", "pareto_nbd", "rate", "hiatus"} <= scores.keys()
    assert all({"mae", "calibration_slope", "normalised_gini"} <= each.keys() for each in scores.values())
    assert monday["fits"][monday["audit"]["use"]]["pooled"] is True


def test_potential_customers_reach_the_live_state() -> None:
    world, _, _ = after_two_nights()
    tiers = {row["customer_id"]: row["ltv_tier"] for row in predictions(world, "2026-12-21")}
    assert "potential" in tiers.values()
    for who in range(60):
        person = customer_of(world, f"c{who}")
        profile = world.customers.profile(TENANT, person)
        assert profile is not None
        assert profile.scores is not None
        assert profile.scores.ltv_tier is LtvTier(tiers[person])


def test_a_fit_that_fails_stops_nobody_elses_scores() -> None:
    world = World(breaks=frozenset({"model_predictions_v1"}))
    world.hear(an_order("c1", "o1", "2026-12-01"))
    run = a_night(world, "2026-12-19")
    assert run["failed"] == ["model_predictions_v1", "customer_predictions_v1"]
    assert run["written"] == 1


def test_a_shop_without_orders_has_no_predictions_and_no_failure() -> None:
    world = World()
    assert a_night(world, "2026-12-19")["failed"] == []
    assert predictions(world, "2026-12-19") == []


def test_the_naive_rule_stands_where_the_audit_preferred_it() -> None:
    groups = "x,t_x,t_cal,customers,log_gaps\n2,20,40,5,0\n0,0,300,5,0\n1,5,300,1,0\n"
    earlier = {"audit": {"use": "hiatus", "best": "mbg_nbd", "source": "naive", "verdict": "not_better"}}
    found = night.run(groups, "orders,customers,mean\n", "x,t_x,t_cal,later,days,customers\n", earlier)
    types = arrow_schema(meaning.result_table("model_predictions_v1"))
    rows = stored_rows.unpack(found.predictions, {field.name: field.type for field in types}).to_pylist()
    assert {row["source"] for row in rows} == {"naive"}
    by_x = {row["x"]: row for row in rows}
    assert by_x[2]["orders_365"] == pytest.approx(2 / 40 * 365)
    assert by_x[1]["orders_365"] == 0  # silent for 295 days
    assert by_x[2]["p_alive"] is by_x[2]["value_mean"] is None


def test_the_calls_are_audited_once_a_week_and_a_failure_of_that_stops_nothing() -> None:
    work, reports = MemoryObjects("results"), MemoryReportStore()
    for name, text in [
        ("model_groups_v1", "x,t_x,t_cal,customers,log_gaps\n2,20,40,5,0\n"),
        ("model_spend_v1", "orders,customers,mean\n"),
        ("model_holdout_v1", "x,t_x,t_cal,later,days,customers\n"),
        ("none", "days,contracts,cancelled,called,found,found_newest\n"),
        ("some", "days,contracts,cancelled,called,found,found_newest\n28,900,90,100,30,20\n"),
    ]:
        work.put(f"athena/{name}.csv", text.encode())

    def audited(on: str, calls: dict[str, Any]) -> Any:
        names = ("model_groups_v1", "model_spend_v1", "model_holdout_v1")
        inputs = [{"name": name, "location": f"s3://results/athena/{name}.csv"} for name in names]
        event = {"tenant": TENANT, "as_of": on, "name": "model_predictions_v1"}
        fit(event | {"inputs": [*inputs, {"name": "cancellation_holdout_v1"} | calls]}, work, reports, NOW)
        report = reports.get(TENANT, MODEL_AUDIT, day(on))
        assert report is not None
        return report["cancellation"]

    assert audited("2026-12-19", {"location": "s3://results/athena/none.csv"}) is None
    sunday = audited("2026-12-20", {"location": "s3://results/athena/some.csv"})
    assert (sunday["audited_on"], sunday["verdict"], sunday["contracts"]) == ("2026-12-20", "better", 900)
    assert (sunday["score"]["precision"], sunday["newest"]["precision"]) == (0.3, 0.2)
    assert audited("2026-12-21", {"location": "s3://results/athena/none.csv"}) == sunday
    assert audited("2026-12-22", {"error": {"State": "FAILED"}}) == sunday


def test_a_shop_that_calls_nobody_has_its_predictions_on_sundays_too() -> None:
    """call_capacity 0: contracts are ranked, and nobody of them could be called."""
    nobody = "days,contracts,cancelled,called,found,found_newest\n28,900,90,0,0,0\n"
    assert night.calls(nobody, date(2026, 12, 20), None) is None
    assert night.calls(nobody, date(2026, 12, 20), {"cancellation": {"verdict": "better"}}) is None
