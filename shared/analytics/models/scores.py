"""How good predictions were, once the future is known (hold-out)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from scipy.stats import rankdata

from shared.analytics.models.groups import FloatArray, Groups, Numbers
from shared.core.errors import RejectedError


@dataclass(frozen=True, slots=True)
class Scores:
    """Of predicted against actual counts (or revenue) of a hold-out; None where a figure is undefined."""

    mae: float
    rmse: float
    bias: float | None
    """Predicted total / actual total - 1."""
    normalised_gini: float | None
    """Of the ranking: 1 as good as knowing, 0 as good as chance (Wang, Liu & Miao 2019, arXiv 1912.07753)."""
    top_decile_share: float | None
    """Share of the actual total that the best-predicted 10 % bring."""
    decile_mape: float | None
    """Calibration: Σ |predicted - actual| over deciles of the prediction, as a share of the actual total."""
    auc: float | None
    """Chance that a buyer was ranked above a non-buyer."""
    calibration_slope: float | None
    """Of the straight line through actual over predicted: 1 where a prediction of 2 means 2."""


def score(predicted: Numbers, actual: Numbers) -> Scores:
    """Score predictions per customer. Raises RejectedError for no customers or unequal lengths."""
    guess, truth = np.asarray(predicted, np.float64), np.asarray(actual, np.float64)
    if guess.shape != truth.shape or not len(guess):
        raise RejectedError("scores need as many predictions as actual values, and at least one")
    error, total = guess - truth, float(truth.sum())
    order = np.argsort(-guess, kind="stable")
    bought = total > 0
    return Scores(
        mae=float(np.abs(error).mean()),
        rmse=float(np.sqrt((error**2).mean())),
        bias=float(guess.sum()) / total - 1 if bought else None,
        normalised_gini=normalised_gini(guess, truth),
        top_decile_share=float(truth[order[: max(1, len(order) // 10)]].sum()) / total if bought else None,
        decile_mape=_decile_mape(guess[order], truth[order]) / total if bought else None,
        auc=auc(guess, truth > 0),
        calibration_slope=_slope(guess, truth),
    )


def normalised_gini(predicted: FloatArray, actual: FloatArray) -> float | None:
    """Gini of the actual values in the order predicted, over that in their own order; None if they do not vary.

    Ties in the prediction share their values, so that the order of the rows does not matter.
    """
    best = _gini(actual, actual)
    return _gini(predicted, actual) / best if best > 1e-12 else None


def auc(score: FloatArray, positive: np.typing.NDArray[np.bool_]) -> float | None:
    """Area under the ROC curve, ties counted half (Mann & Whitney 1947); None with only one kind of customer."""
    yes = int(positive.sum())
    no = len(positive) - yes
    if yes == 0 or no == 0:
        return None
    return float((rankdata(score)[positive].sum() - yes * (yes + 1) / 2) / (yes * no))


def rate_rule(groups: Groups, time: float) -> FloatArray:
    """The naive forecast x/T · time, per group: everybody goes on as before."""
    return np.asarray(np.where(groups.t_cal > 0, groups.x / np.maximum(groups.t_cal, 1e-12), 0.0) * time)


def hiatus_rule(groups: Groups, time: float, hiatus: float) -> FloatArray:
    """As `rate_rule`, but nothing from whoever has been silent for longer than `hiatus` (Wuebben & v. Wangenheim
    2008, J. of Marketing 72, 82-93).
    """
    silent = groups.t_cal - groups.t_x > hiatus
    return np.where(silent, 0.0, rate_rule(groups, time))


def _gini(order_by: FloatArray, values: FloatArray) -> float:
    """Area between the gains curve and the diagonal, times 2."""
    total = float(values.sum())
    if total <= 0:
        return 0.0
    rank = rankdata(-order_by)  # ties share the middle of their ranks: their part of the curve is a straight line
    return float(1 - 2 * (values @ (rank - 0.5)) / (total * len(values)))


def _slope(guess: FloatArray, truth: FloatArray) -> float | None:
    """Least squares; None where the prediction does not vary."""
    away = guess - guess.mean()
    spread = float(away @ away)
    return float(away @ (truth - truth.mean())) / spread if spread > 1e-12 * len(guess) else None


def _decile_mape(guess: FloatArray, truth: FloatArray) -> float:
    parts = zip(np.array_split(guess, 10), np.array_split(truth, 10), strict=True)
    return float(sum(abs(predicted.sum() - actual.sum()) for predicted, actual in parts))
