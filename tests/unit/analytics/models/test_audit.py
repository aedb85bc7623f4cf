"""A prediction audits itself: better than the naive rules, no better, or not to be told."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from shared.analytics.models.audit import Audit, Held, audit, figures_won
from shared.analytics.models.groups import Groups
from shared.analytics.models.scores import score
from tests.unit.analytics.models.published import summary


def cdnow_held(**changed: object) -> Held:
    data = summary()
    assert data.holdout_x is not None
    rows = Groups(data.x, data.t_x, data.t_cal, np.ones(len(data.x), np.int64), data.log_gaps)
    return replace(Held(rows, data.holdout_x, data.holdout_time), **changed)  # type: ignore[arg-type]


def test_the_models_are_better_on_cdnow_by_all_three_figures() -> None:
    """MAE .785 / .765 / .755 and nGini .662 / .664 / .673 are those of the published comparison; x/T has 1.02."""
    found: Audit = audit(cdnow_held(), 7.0)
    assert found.verdict == "better"
    assert (found.best, found.use, found.source) == ("pareto_nbd", "pareto_nbd", "model")
    assert [round(found.scores[name].mae, 3) for name in ("bg_nbd", "mbg_nbd", "pareto_nbd")] == [0.785, 0.765, 0.755]
    ginis = [found.scores[name].normalised_gini or 0 for name in ("bg_nbd", "mbg_nbd", "pareto_nbd")]
    assert ginis == pytest.approx([0.662, 0.664, 0.673], abs=6e-4)
    assert found.won["rate"] == found.won["hiatus"] == ("mae", "calibration", "normalised_gini")
    assert found.brier["pareto_nbd"] < found.brier["hiatus"] < found.brier["rate"]


def test_where_everybody_goes_on_as_before_the_naive_rule_is_used_and_said() -> None:
    """Purchases like clockwork: x/T is exact, no model can be better."""
    random = np.random.default_rng(3)
    x = random.integers(1, 12, 800)
    rows = Groups.of(x, np.full(800, 24.0), np.full(800, 24.0))
    found = audit(Held(rows, x, 24.0), 7.0)
    assert found.verdict == "not_better"
    assert found.source == "naive"
    assert found.use in {"rate", "hiatus"}
    assert found.scores[found.use].mae == 0


def test_without_buyers_in_the_hold_out_nothing_can_be_told() -> None:
    nobody = cdnow_held(orders=np.zeros(2357, np.int64))
    found = audit(nobody, 7.0)
    assert found.verdict == "untested"
    assert found.source == "model"


def test_counted_rows_are_as_good_as_customers() -> None:
    held = cdnow_held()
    rows = np.stack([held.groups.x, held.groups.t_x, held.groups.t_cal, held.orders])
    distinct, count = np.unique(rows, axis=1, return_counts=True)
    few = Held(
        replace(Groups.of(distinct[0], distinct[1], distinct[2], count), log_gaps=held.groups.log_gaps),
        distinct[3].astype(np.int64),
        39,
    )
    one, other = audit(held, 7.0), audit(few, 7.0)
    assert other.customers == one.customers == 2357
    assert other.scores["mbg_nbd"].mae == pytest.approx(one.scores["mbg_nbd"].mae, rel=1e-6)
    assert other.scores["mbg_nbd"].normalised_gini == pytest.approx(one.scores["mbg_nbd"].normalised_gini, rel=1e-6)


def test_a_sample_of_a_large_shop_says_the_same() -> None:
    thinned = cdnow_held().thinned(1200)
    assert thinned.groups.customers == pytest.approx(1200, abs=2)
    assert audit(thinned, 7.0).verdict == "better"


def test_figures_are_won_one_by_one() -> None:
    actual = [0, 0, 1, 3]
    good, poor = score([0.1, 0.1, 1, 3], actual), score([3, 1, 0, 0], actual)
    assert figures_won(good, poor) == ("mae", "calibration", "normalised_gini")
    assert figures_won(good, good) == ()
    assert good.calibration_slope == pytest.approx(1.03, abs=0.03)
