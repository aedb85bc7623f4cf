"""Scores of forecasts, and the hold-out that a sceptic would run."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.analytics.models.bg_nbd import BgNbd
from shared.analytics.models.gamma_gamma import GammaGamma, Spend
from shared.analytics.models.groups import Groups
from shared.analytics.models.holdout import check
from shared.analytics.models.mbg_nbd import MbgNbd
from shared.analytics.models.pareto_nbd import ParetoNbd
from shared.analytics.models.scores import auc, hiatus_rule, normalised_gini, rate_rule, score
from shared.analytics.models.summary import summarise
from shared.core.errors import RejectedError
from tests.unit.analytics.models.published import CALIBRATION_END, cdnow, summary

MASTER = "CDNOW_master.txt"
MODELS: dict[str, Any] = {"bg_nbd": BgNbd, "mbg_nbd": MbgNbd, "pareto_nbd": ParetoNbd}


def test_scores_by_hand() -> None:
    found = score([4, 3, 2, 1, 0, 0, 0, 0, 0, 0], [5, 0, 3, 0, 0, 0, 0, 0, 0, 0])
    assert found.mae == pytest.approx(0.6)
    assert found.rmse == pytest.approx((12 / 10) ** 0.5)
    assert found.bias == pytest.approx(0.25)
    assert found.top_decile_share == pytest.approx(5 / 8)
    assert found.decile_mape == pytest.approx(6 / 8)
    assert found.auc == pytest.approx(15 / 16)


def test_a_perfect_and_a_reversed_ranking() -> None:
    actual = np.array([5.0, 3, 1, 0])
    assert normalised_gini(actual * 7, actual) == pytest.approx(1)
    assert normalised_gini(-actual, actual) == pytest.approx(-1)
    assert normalised_gini(np.ones(4), actual) == pytest.approx(0)


def test_what_is_undefined_is_none() -> None:
    found = score([1, 2], [0, 0])
    assert (found.bias, found.normalised_gini, found.top_decile_share, found.auc) == (None, None, None, None)
    assert auc(np.array([1.0, 2.0]), np.array([True, True])) is None
    with pytest.raises(RejectedError):
        score([], [])


@settings(max_examples=80, deadline=None)
@given(st.lists(st.tuples(st.integers(0, 5), st.booleans()), min_size=2, max_size=30))
def test_auc_is_the_share_of_pairs_ranked_rightly(rows: list[tuple[int, bool]]) -> None:
    yes, no = [s for s, bought in rows if bought], [s for s, bought in rows if not bought]
    found = auc(np.array([float(s) for s, _ in rows]), np.array([bought for _, bought in rows]))
    if yes and no:
        right = sum((a > b) + 0.5 * (a == b) for a in yes for b in no)
        assert found == pytest.approx(right / (len(yes) * len(no)))
    else:
        assert found is None


def test_naive_rules() -> None:
    groups = Groups.of([0, 2, 2], [0, 20, 2], [30, 30, 30])
    assert rate_rule(groups, 15).tolist() == pytest.approx([0, 1, 1])
    assert hiatus_rule(groups, 15, 26).tolist() == pytest.approx([0, 1, 0])


def test_cdnow_hold_out() -> None:
    """All 23,570 customers, 39 weeks learnt, 39 predicted: the figures of an independent implementation."""
    data = summary(MASTER)
    groups, _ = data.groups()
    models = {name: model.fit(groups).model for name, model in MODELS.items()}
    spend = GammaGamma.fit(Spend.of(data.x, data.mean_value)).model
    found = check(data, models, spend, 26.0)
    rows = {
        name: [each.mae, each.rmse, each.bias, each.top_decile_share, each.decile_mape, each.auc]
        for name, each in found.purchases.items()
    }
    assert (found.customers, found.buyers) == (23_570, 7_058)
    assert rows["bg_nbd"] == pytest.approx([0.819, 1.733, -0.143, 0.456, 0.143, 0.763], abs=6e-4)
    assert rows["mbg_nbd"] == pytest.approx([0.795, 1.740, -0.191, 0.459, 0.191, 0.765], abs=6e-4)
    assert rows["pareto_nbd"] == pytest.approx([0.794, 1.726, -0.129, 0.460, 0.163, 0.769], abs=6e-4)
    assert rows["rate"] == pytest.approx([1.038, 2.158, 0.474, 0.444, 0.833, 0.754], abs=6e-4)
    assert rows["hiatus"] == pytest.approx([0.967, 2.139, 0.316, 0.447, 0.797, 0.742], abs=6e-4)
    gini = [found.purchases[name].normalised_gini for name in MODELS]
    assert gini == pytest.approx([0.663, 0.666, 0.673], abs=6e-4)
    assert found.best == "pareto_nbd"
    assert found.beats_naive
    revenue = {name: [found.revenue[name].mae, found.revenue[name].normalised_gini] for name in MODELS}
    assert revenue["bg_nbd"] == pytest.approx([32.68, 0.672], abs=6e-3)
    assert revenue["mbg_nbd"] == pytest.approx([31.84, 0.676], abs=6e-3)
    assert revenue["pareto_nbd"] == pytest.approx([31.99, 0.685], abs=6e-3)


def test_no_hold_out_is_refused() -> None:
    data = summarise(cdnow(), "week", CALIBRATION_END)
    with pytest.raises(RejectedError, match="nothing to check against"):
        check(data, {"bg_nbd": BgNbd(0.2, 4.0, 0.8, 2.4)}, None, 26.0)
