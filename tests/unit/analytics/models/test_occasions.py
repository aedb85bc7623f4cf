"""BG/BB: purchases at fixed occasions (Fader, Hardie & Shang 2010), on the donors of that paper."""

from __future__ import annotations

import numpy as np
import pytest

from shared.analytics.models.bg_bb import BgBb
from shared.analytics.models.groups import Groups
from shared.core.errors import RejectedError
from tests.unit.analytics.models.published import donations, one

PRINTED = BgBb(1.2035, 0.7497, 0.6568, 2.7838)
"""The walkthrough of R's BTYD, which stops a little short of the maximum."""


def test_the_donors_of_the_paper() -> None:
    found = BgBb.fit(donations())
    model = found.model
    assert found.customers == 11_104
    assert (model.alpha, model.beta) == pytest.approx((1.2035, 0.7497), abs=5.1e-5)
    assert (model.gamma, model.delta) == pytest.approx((0.6568, 2.7838), rel=2e-4)
    assert found.log_likelihood == pytest.approx(-33225.58, abs=5.1e-3)
    assert found.log_likelihood >= PRINTED.log_likelihood(donations())
    assert found.reliable


def test_single_donors_of_the_btyd_walkthrough() -> None:
    """Gifts expected in ten more years: of who never gave again, and of who gave four times, last in the fifth year."""
    expected = PRINTED.expected_orders(Groups.of([0, 4], [0, 5], [6, 6]), 10)
    assert expected == pytest.approx([0.1302169, 3.627858], rel=1e-4)


def test_what_is_expected_agrees_with_a_simulation() -> None:
    """200,000 donors drawn from the model: per history, how many give again, and how often, in five more years."""
    random, people = np.random.default_rng(7), 200_000
    chance = random.beta(PRINTED.alpha, PRINTED.beta, people)
    lost_before = random.geometric(random.beta(PRINTED.gamma, PRINTED.delta, people))
    years = np.arange(1, 12)
    gave = (random.random((people, 11)) < chance[:, None]) & (years < lost_before[:, None])
    x, t_x = gave[:, :6].sum(axis=1), (gave[:, :6] * years[:6]).max(axis=1)
    later = gave[:, 6:].sum(axis=1)
    for history in ((0, 0), (1, 3), (3, 6), (6, 6), (2, 4)):
        same = (x == history[0]) & (t_x == history[1])
        asked = one(*history, 6)
        error = 4 * later[same].std() / np.sqrt(same.sum())
        assert PRINTED.expected_orders(asked, 5)[0] == pytest.approx(later[same].mean(), abs=error)
        again = (later[same] > 0).mean()
        assert PRINTED.p_order_within(asked, 5)[0] == pytest.approx(again, abs=2.1 / np.sqrt(same.sum()))
        alive = (lost_before[same] > 7).mean()
        assert PRINTED.p_alive(asked)[0] == pytest.approx(alive, abs=2.1 / np.sqrt(same.sum()))


def test_horizons_are_whole_occasions() -> None:
    several = PRINTED.expected_orders_by(donations(), np.array([0.0, 0.9, 1.0, 3.0]))
    assert several[:, :2].tolist() == [[0.0, 0.0]] * 22
    assert several[:, 2] == pytest.approx(PRINTED.p_order_within(donations(), 1), rel=1e-10)
    assert (several[:, 3] > several[:, 2]).all()


@pytest.mark.parametrize(("x", "t_x", "n"), [(1, 2.5, 6), (1, 2, 6.5), (3, 2, 6), (1, 2, 5_000)])
def test_a_history_that_is_not_made_of_occasions_is_refused(x: int, t_x: float, n: float) -> None:
    with pytest.raises(RejectedError, match="bg_bb counts occasions"):
        BgBb.fit(one(x, t_x, n))
