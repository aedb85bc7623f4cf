"""Small shops are never refused: few buyers are pooled with published parameters, and it is said."""

from __future__ import annotations

from dataclasses import astuple
from typing import Any

import numpy as np
import pytest

from shared.analytics.models import priors
from shared.analytics.models.bg_nbd import BgNbd
from shared.analytics.models.candidates import PURCHASES, learn, learn_all, learn_spend
from shared.analytics.models.gamma_gamma import Spend
from shared.analytics.models.groups import Groups
from shared.analytics.models.mbg_nbd import MbgNbd
from tests.unit.analytics.models.published import groups, summary

LITTLE = [
    Groups.of([], [], []),
    Groups.of([0], [0.0], [0.0]),
    Groups.of([0] * 30, [0.0] * 30, list(range(1, 31))),
    Groups.of([3] * 20, [12.0] * 20, [12.0] * 20),
    Groups.of([1, 4000], [2.0, 99.9], [50.0, 100.0]),
]


@pytest.mark.parametrize("name", ["bg_nbd", "mbg_nbd", "pareto_nbd"])
@pytest.mark.parametrize("few", LITTLE, ids=["nobody", "just here", "one-time buyers", "all alike", "a robot"])
def test_too_little_to_learn_from_is_pooled(name: str, few: Groups) -> None:
    found: Any = learn(name, few, 7.0)
    assert found.pooled
    assert found.reliable
    assert "pooled" in found.notes[0]
    assert np.isfinite(found.log_likelihood)
    assert all(error is not None for error in found.standard_errors.values())
    assert np.all(np.isfinite(found.model.expected_orders(few, 52)))


@pytest.mark.parametrize("name", ["bg_nbd", "mbg_nbd", "pareto_nbd"])
def test_nobody_at_all_gives_the_published_parameters(name: str) -> None:
    model = learn(name, LITTLE[0], 7.0).model
    expected = priors.of_purchases(name, 7.0).center
    assert astuple(model) == pytest.approx(expected, rel=1e-6)


def test_pooling_pulls_a_fit_towards_the_prior_and_less_with_more_buyers() -> None:
    prior = priors.of_purchases("mbg_nbd", 7.0)
    distances = []
    for customers in (20, 200):
        some = groups().thinned(customers)
        free, pooled = MbgNbd.fit(some).model, MbgNbd.fit(some, prior).model
        distances.append(abs(np.log(free.b / pooled.b)))
        assert abs(np.log(pooled.b / prior.center[3])) <= abs(np.log(free.b / prior.center[3]))
    assert distances[1] < distances[0]


def test_pooled_forecasts_of_small_shops_are_better_than_the_maximum_of_the_likelihood() -> None:
    """60 buyers of CDNOW at a time, in days: mean absolute log error of the shop's total of weeks 40-78."""
    data = summary("CDNOW_master.txt")
    assert data.holdout_x is not None
    off: dict[str, list[float]] = {"pooled": [], "free": []}
    for shop in range(40):
        some = slice(shop * 60, shop * 60 + 60)
        few = Groups.of(data.x[some], data.t_x[some] * 7, data.t_cal[some] * 7)
        actual = max(float(data.holdout_x[some].sum()), 1.0)
        for name, fit in (("pooled", learn("mbg_nbd", few, 1.0)), ("free", MbgNbd.fit(few))):
            off[name].append(abs(float(np.log(fit.model.expected_orders(few, 273.0).sum() / actual))))
    assert np.mean(off["pooled"]) < np.mean(off["free"])


def test_a_large_shop_is_not_pooled() -> None:
    found = learn("bg_nbd", groups(), 7.0)
    assert not found.pooled
    assert found.log_likelihood == BgNbd.fit(groups()).log_likelihood


def test_the_unit_of_time_does_not_matter() -> None:
    weeks = groups().thinned(100)
    days = Groups(weeks.x, weeks.t_x * 7, weeks.t_cal * 7, weeks.count)
    for name in ("bg_nbd", "mbg_nbd", "pareto_nbd"):
        by_week, by_day = learn(name, weeks, 7.0).model, learn(name, days, 1.0).model
        assert by_day.expected_orders(days, 364) == pytest.approx(by_week.expected_orders(weeks, 52), rel=1e-4)


def test_regularity_is_a_candidate_only_where_it_is_seen() -> None:
    assert set(learn_all(groups(), 7.0)) == set(PURCHASES) - {"mbg_cnbd"}


def test_spend_of_nobody_is_the_typical_order() -> None:
    found = learn_spend(Spend.of([], []), 0, typical=4200.0)
    assert found.pooled
    assert found.model.expected_value([0], [0.0])[0] == pytest.approx(4200.0)


def test_spend_of_equal_orders_is_pooled_without_a_ridge() -> None:
    found = learn_spend(Spend.of([2, 3, 4] * 10, [1000.0] * 30), 30, typical=1.0)
    assert found.reliable
    assert found.model.expected_value([0, 3], [0, 1000]) == pytest.approx([1000, 1000], rel=0.05)
