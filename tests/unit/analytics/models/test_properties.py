"""What must hold for all parameters and histories, however extreme."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.analytics.models.bdw import Bdw
from shared.analytics.models.bg_nbd import BgNbd
from shared.analytics.models.clv import discounted_orders
from shared.analytics.models.gamma_gamma import GammaGamma
from shared.analytics.models.groups import Groups, grouped
from shared.analytics.models.mbg_nbd import MbgNbd
from shared.analytics.models.pareto_nbd import ParetoNbd
from shared.analytics.models.sbg import Sbg
from shared.core.errors import RejectedError
from tests.unit.analytics.models.published import groups, summary

shape = st.floats(-6, 6).map(lambda power: float(np.exp(power)))
scale = st.floats(-4, 9).map(lambda power: float(np.exp(power)))
purchases = st.one_of(
    st.builds(BgNbd, shape, scale, shape, shape),
    st.builds(MbgNbd, shape, scale, shape, shape),
    st.builds(ParetoNbd, shape, scale, shape, scale),
)


@st.composite
def histories(draw: st.DrawFn) -> Groups:
    """Up to a handful of customers, from those of today to those of many orders and years."""
    rows = draw(st.lists(st.tuples(st.integers(0, 200), st.floats(0, 1), st.floats(0, 4000)), min_size=1, max_size=6))
    x = [each[0] for each in rows]
    t_cal = [each[2] for each in rows]
    t_x = [0.0 if row[0] == 0 else row[1] * row[2] for row in rows]
    return Groups.of(x, t_x, t_cal)


def p_alive(model: Any, found: Groups) -> Any:
    return model.p_alive_optimistic(found) if isinstance(model, BgNbd) else model.p_alive(found)


@settings(max_examples=80, deadline=None)
@given(purchases, histories(), st.floats(0, 520))
def test_predictions_are_finite_and_in_range(model: Any, found: Groups, time: float) -> None:
    alive, chance = p_alive(model, found), model.p_order_within(found, time)
    orders = model.expected_orders(found, time)
    assert np.isfinite(model.log_likelihood(found))
    assert np.all((alive >= 0) & (alive <= 1))
    assert np.all((chance >= 0) & (chance <= alive + 1e-12))
    assert np.all(np.isfinite(orders) & (orders >= 0))
    # Nobody is expected to order more than at their own rate while alive all the time, nor less than P(one order).
    rate = (model.r + found.x) / (model.alpha + found.t_cal)
    assert np.all(orders <= alive * rate * time * (1 + 1e-9) + 1e-12)
    assert np.all(orders >= chance * (1 - 1e-6) - 1e-9)


@settings(max_examples=40, deadline=None)
@given(purchases, histories(), st.floats(0.1, 200), st.floats(1.01, 3))
def test_a_longer_horizon_brings_no_less(model: Any, found: Groups, time: float, times: float) -> None:
    both = model.expected_orders_by(found, np.array([time, time * times]))
    assert np.all(both[:, 1] >= both[:, 0] * (1 - 1e-9))
    nearer, further = model.p_order_within(found, time), model.p_order_within(found, time * times)
    assert np.all(further >= nearer - 1e-9)


@settings(max_examples=40, deadline=None)
@given(purchases, st.integers(0, 60), st.floats(0, 200), st.floats(0.1, 200), st.floats(0.1, 200))
def test_silence_makes_nobody_more_alive(model: Any, x: int, t_x: float, wait: float, more: float) -> None:
    last = t_x if x else 0.0
    sooner = p_alive(model, Groups.of([x], [last], [last + wait]))[0]
    later = p_alive(model, Groups.of([x], [last], [last + wait + more]))[0]
    assert later <= sooner * (1 + 1e-9)


@settings(max_examples=40, deadline=None)
@given(purchases, histories(), st.floats(0, 0.5))
def test_discounting_lowers_what_the_months_bring(model: Any, found: Groups, discount: float) -> None:
    year = model.expected_orders_by(found, np.array([365.0 / 7]))[:, 0]
    worth = discounted_orders(model, found, 7.0, discount)
    assert np.all(worth <= year * (1 + 1e-9))
    assert np.all(worth >= year / (1 + discount) * (1 - 1e-9))


@settings(max_examples=40, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 5), st.integers(0, 5)), min_size=1, max_size=60), purchases)
def test_groups_say_what_their_customers_say(rows: list[tuple[int, int, int]], model: Any) -> None:
    x = [row[0] for row in rows]
    t_cal = [float(row[1] + row[2]) for row in rows]
    t_x = [float(row[1]) if row[0] else 0.0 for row in rows]
    each = Groups.of(x, t_x, t_cal)
    together, place = grouped(x, t_x, t_cal)
    assert together.customers == len(rows)
    assert len({*zip(together.x, together.t_x, together.t_cal, strict=True)}) == len(together.x)
    assert together.x[place].tolist() == x
    assert together.t_x[place].tolist() == t_x
    assert together.t_cal[place].tolist() == t_cal
    assert model.log_likelihood(together) == pytest.approx(model.log_likelihood(each), rel=1e-12)
    assert model.expected_orders(together, 9.0)[place] == pytest.approx(model.expected_orders(each, 9.0), rel=1e-9)


@pytest.mark.parametrize("model", [BgNbd, MbgNbd, ParetoNbd])
def test_grouping_does_not_change_a_fit(model: Any) -> None:
    data = summary()
    each = model.fit(Groups.of(data.x, data.t_x, data.t_cal))
    assert each.log_likelihood == pytest.approx(model.fit(groups()).log_likelihood, rel=1e-12)


@pytest.mark.parametrize("model", [BgNbd, MbgNbd, ParetoNbd])
def test_the_unit_of_time_does_not_change_a_forecast(model: Any) -> None:
    days = Groups.of(groups().x, np.rint(groups().t_x * 7), np.rint(groups().t_cal * 7), groups().count)
    by_week = model.fit(groups()).model.expected_orders(groups(), 39)
    by_day = model.fit(days).model.expected_orders(days, 39 * 7)
    assert by_day == pytest.approx(by_week, rel=1e-4)


@pytest.mark.parametrize("model", [BgNbd, MbgNbd, ParetoNbd])
def test_a_large_fit_finds_the_same_from_its_sample(model: Any) -> None:
    """Twenty times the sample's customers: above the size from which a fit starts on a part of them."""
    many = Groups.of(groups().x, groups().t_x, groups().t_cal, groups().count * 20)
    found, small = model.fit(many), model.fit(groups())
    assert found.log_likelihood == pytest.approx(20 * small.log_likelihood, rel=1e-9)
    assert found.evaluations < 10
    errors = [error or 0.0 for error in found.standard_errors.values()]
    for name, error in zip(found.standard_errors, errors, strict=True):
        assert abs(getattr(found.model, name) - getattr(small.model, name)) < 1e-2 * error
        assert error == pytest.approx((small.standard_errors[name] or 0.0) / 20**0.5, rel=0.05)


spends = st.lists(st.tuples(st.integers(0, 200), st.floats(0.01, 1e7)), min_size=1, max_size=8)


@settings(max_examples=40, deadline=None)
@given(st.builds(GammaGamma, shape, shape.map(lambda q: q + 1.01), scale), spends)
def test_expected_values_lie_between_the_own_and_everybodys(model: GammaGamma, rows: list[tuple[int, float]]) -> None:
    x, mean = [row[0] for row in rows], [row[1] for row in rows]
    everybody = model.expected_value([0], [0])[0]
    found = model.expected_value(x, mean)
    for value, orders, own in zip(found, x, mean, strict=True):
        low, high = sorted([everybody, own if orders else everybody])
        assert low * (1 - 1e-9) <= value <= high * (1 + 1e-9)


@settings(max_examples=40, deadline=None)
@given(st.one_of(st.builds(Sbg, shape, shape), st.builds(Bdw, shape, shape, st.floats(0.1, 4))))
def test_survivors_only_become_fewer(model: Sbg | Bdw) -> None:
    curve = model.survival(np.arange(0, 60.0))
    assert curve[0] == pytest.approx(1)
    assert np.all((curve >= 0) & (curve <= 1 + 1e-12))
    assert np.all(np.diff(curve) <= 1e-12)
    assert 0 <= model.derl(3, 0.1) <= 11.0 * (1 + 1e-9)


@pytest.mark.parametrize(
    ("x", "t_x", "t_cal", "reason"),
    [
        ([1.5], [1], [2], "whole number"),
        ([-1], [0], [2], "whole number"),
        ([1], [3], [2], "between 0 and T"),
        ([1], [-1], [2], "between 0 and T"),
        ([0], [1], [2], "t_x is 0"),
        ([1], [float("nan")], [2], "must be numbers"),
        ([1, 2], [1], [2], "same length"),
    ],
)
def test_impossible_histories_are_refused(x: list[float], t_x: list[float], t_cal: list[float], reason: str) -> None:
    with pytest.raises(RejectedError, match=reason):
        Groups.of(x, t_x, t_cal)
