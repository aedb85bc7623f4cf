"""The special functions against scipy's, and against the formulas as the papers print them."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt
import pytest
from scipy.special import hyp2f1

from shared.analytics.models.beta_geometric import beta_rule, orders_if_alive, rule_size
from shared.analytics.models.bg_nbd import BgNbd
from shared.analytics.models.groups import Groups
from shared.analytics.models.lapse import lapse
from shared.analytics.models.pareto_nbd import ParetoNbd

Array = npt.NDArray[np.float64]


def by_scipy(b: Array, s: float, z: Array) -> Array:
    """g where scipy is good at it: its argument between 0 and 1 (for z < 0 by Pfaff's transform)."""
    right = hyp2f1(1, b, s + b + 1, np.maximum(z, 0))
    left = hyp2f1(1, s + 1, s + b + 1, np.where(z < 0, z / (z - 1), 0)) / (1 - z)
    return np.asarray(s / (s + b) * np.where(z < 0, left, right))


def test_the_lapse_function_has_twelve_digits_in_every_regime() -> None:
    random = np.random.default_rng(20261121)
    times, x = np.sort(random.uniform(0, 100, 20)), np.arange(60)
    row, column = np.repeat(x, 20), np.tile(np.arange(20), 60)
    for _ in range(60):
        r, s = np.exp(random.uniform(-3, 3, 2))
        alpha, beta = np.exp(random.uniform(-2, 7, 2))
        found = lapse(x, times, row, column, np.array([r, alpha, s, beta]))[0]
        exact = by_scipy(r + x[row], s, (alpha - beta) / (alpha + times[column]))
        assert found == pytest.approx(exact, rel=1e-12)


def test_pareto_nbd_is_the_printed_formula() -> None:
    """Fader & Hardie 2005, with 2F1 as printed, where that does not overflow."""
    r, alpha, s, beta = 0.553, 10.578, 0.606, 11.669
    x, t_x, t_cal = np.array([0.0, 1, 3, 7]), np.array([0.0, 5, 20, 38]), np.array([30.0, 38, 38, 38.5])

    def part(t: Array) -> Array:
        z = (beta - alpha) / (beta + t)
        return np.asarray(hyp2f1(r + s + x, r + x, r + s + x + 1, z) / (beta + t) ** (r + s + x))

    alive = 1 / (1 + s / (r + s + x) * (alpha + t_cal) ** (r + x) * (beta + t_cal) ** s * (part(t_x) - part(t_cal)))
    orders = (r + x) * (beta + t_cal) / ((alpha + t_cal) * (s - 1))
    orders *= 1 - ((beta + t_cal) / (beta + t_cal + 39)) ** (s - 1)
    groups = Groups.of(x, t_x, t_cal)
    model = ParetoNbd(r, alpha, s, beta)
    assert model.p_alive(groups) == pytest.approx(alive, rel=1e-11)
    assert model.expected_orders(groups, 39) == pytest.approx(alive * orders, rel=1e-11)


def test_bg_nbd_is_the_printed_formula() -> None:
    """Fader, Hardie & Lee 2005, eq. 10."""
    r, alpha, a, b = 0.243, 4.414, 0.793, 2.426
    x, t_x, t_cal, t = np.array([1.0, 2, 7, 26]), np.array([5.0, 20, 38, 30.9]), np.array([38.0, 38, 38.5, 31]), 39.0
    series = hyp2f1(r + x, b + x, a + b + x - 1, t / (alpha + t_cal + t))
    top = (a + b + x - 1) / (a - 1) * (1 - ((alpha + t_cal) / (alpha + t_cal + t)) ** (r + x) * series)
    below = 1 + a / (b + x - 1) * ((alpha + t_cal) / (alpha + t_x)) ** (r + x)
    found = BgNbd(r, alpha, a, b).expected_orders(Groups.of(x, t_x, t_cal), t)
    assert found == pytest.approx(top / below, rel=1e-11)


@pytest.mark.parametrize("a", [1.0 - 1e-9, 1.0, 1.0 + 1e-9])
def test_bg_nbd_has_no_hole_where_the_printed_formula_divides_by_zero(a: float) -> None:
    groups = Groups.of([0, 3], [0, 20], [30, 30])
    near = BgNbd(0.2, 4.0, 1.001, 2.0).expected_orders(groups, 39)
    assert BgNbd(0.2, 4.0, a, 2.0).expected_orders(groups, 39) == pytest.approx(near, rel=2e-3)


def test_pareto_nbd_has_no_hole_at_s_1() -> None:
    groups = Groups.of([0, 3], [0, 20], [30, 30])
    near = ParetoNbd(0.5, 10.0, 1 + 1e-7, 11.0).expected_orders(groups, 39)
    assert ParetoNbd(0.5, 10.0, 1.0, 11.0).expected_orders(groups, 39) == pytest.approx(near, rel=1e-6)


@pytest.mark.parametrize("ratio", [0.01, 1.0, 12.0, 60.0])
def test_the_rule_is_large_enough_for_its_horizon(ratio: float) -> None:
    pairs = Groups.of([0, 4, 60], [0, 0.5, 1], [1, 1, 1]).pairs
    found = orders_if_alive(pairs, 0.3, 1.0, 0.8, 2.4, np.array([2 * ratio]))[:, 0]
    nodes, weights = beta_rule(0.8, 2.4 + pairs.x_levels.astype(np.float64), 400)
    p, x = nodes[pairs.row], pairs.x
    ends = 1.0 + pairs.t_levels[pairs.column]
    inside = (1 - (1 + p * (2 * ratio / ends)[:, None]) ** -(0.3 + x)[:, None]) / p
    assert found == pytest.approx((inside * weights[pairs.row]).sum(axis=1), rel=1e-11)
    assert rule_size(2 * ratio / ends, 0.3 + x) < 400


def test_beta_rules_have_the_moments_of_their_distribution() -> None:
    b = np.array([0.05, 2.4, 300.0])
    nodes, weights = beta_rule(0.8, b, 16)
    assert weights.sum(axis=1) == pytest.approx(np.ones(3), rel=1e-12)
    assert (weights * nodes).sum(axis=1) == pytest.approx(0.8 / (0.8 + b), rel=1e-10)
    assert (weights * nodes**2).sum(axis=1) == pytest.approx(0.8 * 1.8 / ((0.8 + b) * (1.8 + b)), rel=1e-10)
