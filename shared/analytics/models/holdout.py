"""A sceptic's test: learn from the past of a log, predict its rest, and compare with rules that need no model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from shared.analytics.models.clv import PurchaseModel
from shared.analytics.models.gamma_gamma import GammaGamma
from shared.analytics.models.groups import FloatArray
from shared.analytics.models.scores import Scores, hiatus_rule, rate_rule, score
from shared.analytics.models.summary import Summary
from shared.core.errors import RejectedError

NAIVE = ("rate", "hiatus")
"""x/T goes on for everybody; … for everybody but those silent for long."""


@dataclass(frozen=True, slots=True)
class HoldOut:
    """Scores by forecaster, models and naive rules alike."""

    time: float
    customers: int
    buyers: int
    purchases: Mapping[str, Scores]
    revenue: Mapping[str, Scores]
    """Empty where amounts or repeat buyers are missing. Models use gamma-gamma, naive rules a customer's own mean."""
    best: str
    """The model with the smallest RMSE of purchases: the score that the mean minimises (MAE prefers forecasts of 0)."""
    beats_naive: bool
    """Whether that model's RMSE is below that of both naive rules; otherwise the naive rule is what to use."""


def check(summary: Summary, models: Mapping[str, PurchaseModel], spend: GammaGamma | None, hiatus: float) -> HoldOut:
    """Score models that were fitted on `summary` against its hold-out; `hiatus` is in its unit of time.

    Raises RejectedError without a hold-out or without a model.
    """
    if summary.holdout_x is None or summary.holdout_value is None or not models:
        raise RejectedError("there are no days after the calibration's end: nothing to check against")
    groups, group = summary.groups()
    time = summary.holdout_time
    expected = {name: model.expected_orders(groups, time)[group] for name, model in models.items()}
    naive = {"rate": rate_rule(groups, time)[group], "hiatus": hiatus_rule(groups, time, hiatus)[group]}
    purchases = {name: score(guess, summary.holdout_x) for name, guess in {**expected, **naive}.items()}
    best = min(models, key=lambda name: purchases[name].rmse)
    return HoldOut(
        time=time,
        customers=len(group),
        buyers=int((summary.holdout_x > 0).sum()),
        purchases=purchases,
        revenue=_revenue(summary, expected, naive, spend),
        best=best,
        beats_naive=purchases[best].rmse < min(purchases[name].rmse for name in NAIVE),
    )


def _revenue(
    summary: Summary,
    expected: Mapping[str, FloatArray],
    naive: Mapping[str, FloatArray],
    spend: GammaGamma | None,
) -> dict[str, Scores]:
    if spend is None or summary.holdout_value is None:
        return {}
    worth = spend.expected_value(summary.x, summary.mean_value)
    own = np.where(summary.x > 0, summary.mean_value, summary.first_value)
    guesses = {name: orders * worth for name, orders in expected.items()}
    guesses |= {name: orders * own for name, orders in naive.items()}
    return {name: score(guess, summary.holdout_value) for name, guess in guesses.items()}
