"""MBG/CNBD-k: MBG/NBD where k = 1, and better where customers come back at regular times."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cache

import numpy as np
import numpy.typing as npt
import pytest

from shared.analytics.models import beta_geometric, priors
from shared.analytics.models.groups import Groups
from shared.analytics.models.mbg_cnbd import MbgCnbd
from shared.analytics.models.mbg_nbd import MbgNbd
from shared.core.errors import RejectedError
from tests.unit.analytics.models.published import groups, summary

TRUE = MbgCnbd(3, 2.4, 10.0, 0.8, 2.5)
AHEAD = 26.0


@dataclass(frozen=True, eq=False)
class Drawn:
    """A shop of regular customers, and what they bought afterwards."""

    groups: Groups
    orders: npt.NDArray[np.int64]


@cache
def regular_shop(customers: int = 4000) -> Drawn:
    random = np.random.default_rng(1)
    rate, lost = random.gamma(TRUE.r, 1 / TRUE.alpha, customers), random.beta(TRUE.a, TRUE.b, customers)
    end = random.uniform(20, 60, customers)
    x, later = np.zeros(customers, np.int64), np.zeros(customers, np.int64)
    last, log_gaps = np.zeros(customers), 0.0
    for who in range(customers):
        now = 0.0
        while random.random() >= lost[who]:
            gap = random.gamma(TRUE.k, 1 / rate[who])
            now += gap
            if now > end[who] + AHEAD:
                break
            if now > end[who]:
                later[who] += 1
            else:
                x[who], last[who], log_gaps = x[who] + 1, now, log_gaps + np.log(gap)
    return Drawn(replace(Groups.of(x, last, end), log_gaps=log_gaps), later)


def test_regularity_1_is_mbg_nbd() -> None:
    mbg = MbgNbd.fit(groups()).model
    same = MbgCnbd(1, mbg.r, mbg.alpha, mbg.a, mbg.b)
    assert same.log_likelihood(groups()) == pytest.approx(mbg.log_likelihood(groups()), rel=1e-14)
    assert same.p_alive(groups()) == pytest.approx(mbg.p_alive(groups()), rel=1e-13)
    assert same.expected_orders(groups(), 39) == pytest.approx(mbg.expected_orders(groups(), 39), rel=1e-11)
    assert same.p_order_within(groups(), 5) == pytest.approx(mbg.p_order_within(groups(), 5), rel=1e-12)


def test_cdnow_is_not_regular() -> None:
    found = MbgCnbd.fit(groups())
    assert found.model.k == 1
    assert found.log_likelihood == pytest.approx(-9582.1357, abs=1e-3)


def test_a_regular_shop_is_recognised_and_recovered() -> None:
    drawn = regular_shop()
    found = MbgCnbd.fit(drawn.groups)
    assert found.model.k == TRUE.k
    for name in ("r", "alpha", "a", "b"):
        error = found.standard_errors[name]
        assert error is not None
        assert abs(getattr(found.model, name) - getattr(TRUE, name)) < 3 * error
    assert found.log_likelihood > MbgNbd.fit(drawn.groups).log_likelihood + 1000


def test_it_forecasts_a_regular_shop_better_than_mbg_nbd() -> None:
    drawn = regular_shop()
    expected = TRUE.expected_orders(drawn.groups, AHEAD)
    without = MbgNbd.fit(drawn.groups).model.expected_orders(drawn.groups, AHEAD)
    assert expected.sum() == pytest.approx(drawn.orders.sum(), rel=0.04)
    assert TRUE.p_order_within(drawn.groups, AHEAD).sum() == pytest.approx((drawn.orders > 0).sum(), rel=0.04)
    assert np.abs(expected - drawn.orders).mean() < 0.9 * np.abs(without - drawn.orders).mean()


@pytest.mark.parametrize("regularity", [2, 3, 4])
def test_the_gradient_is_the_likelihoods(regularity: int) -> None:
    kernel = beta_geometric.Kernel(groups(), lost_at_first=True, regularity=regularity)
    at = np.log([0.6, 7.0, 0.9, 1.6])
    steps = np.eye(4) * 1e-5
    numeric = [(kernel(at + step)[0] - kernel(at - step)[0]) / 2e-5 for step in steps]
    assert kernel(at)[1] == pytest.approx(numeric, rel=1e-6)


def test_forecasts_are_the_mean_of_what_is_drawn() -> None:
    few = Groups.of([0, 2, 9], [0, 20, 38], [30, 39, 39])
    drawn = TRUE.orders_drawn(few, AHEAD, 200_000, np.random.default_rng(2)).mean(axis=1)
    assert drawn * TRUE.p_alive(few) == pytest.approx(TRUE.expected_orders(few, AHEAD), rel=0.01)


def test_gaps_are_needed() -> None:
    with pytest.raises(RejectedError, match="order log"):
        MbgCnbd.fit(Groups.of([1], [2.0], [3.0]))


def test_a_log_knows_its_gaps() -> None:
    assert summary().log_gaps == pytest.approx(groups().log_gaps)
    assert groups().log_gaps is not None


def test_of_a_few_gaps_nobody_says_how_regular_they_are() -> None:
    clockwork = replace(Groups.of([4] * 4, [28.0] * 4, [30.0] * 4), log_gaps=16 * np.log(7.0))
    assert MbgCnbd.fit(clockwork).model.k == 1
    nobody = replace(Groups.of([0] * 40, [0.0] * 40, [30.0] * 40), log_gaps=0.0)
    assert MbgCnbd.fit(nobody, priors.of_purchases("mbg_cnbd", 7.0)).model.k == 1
