"""Every prediction audits itself: what was predicted some weeks ago against what has happened since (自己監査).

The models learn from the log as it stood then and are scored beside the rules that need no model. Where no model is
better than both, the naive rule is what is used, and everything shown says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

import numpy as np

from shared.analytics.models.candidates import PurchaseFit, learn_all
from shared.analytics.models.groups import FloatArray, Groups, IntArray, grouped, thinned_count
from shared.analytics.models.scores import Scores, hiatus_rule, rate_rule, score

NAIVE = ("rate", "hiatus")
HIATUS_DAYS = 182.0
"""After half a year without an order the naive rule expects nothing more."""

FEWEST_BUYERS = 20
"""Below so many buyers in the hold-out nothing can be told; the models are used and called untested."""

MOST_CUSTOMERS = 200_000
"""Of a larger shop so many are tested, taken at even distances: the figures do not change any more."""

Verdict = Literal["better", "not_better", "untested"]


@dataclass(frozen=True, eq=False)
class Held:
    """Histories at the end of a calibration, one row per (history, orders that followed), with counts."""

    groups: Groups
    orders: IntArray
    """Purchase days within `time` after the calibration."""
    time: float

    def thinned(self, customers: int) -> Held:
        """About so many of the customers, evenly over the rows."""
        rows = self.groups
        if rows.customers <= customers:
            return self
        kept = thinned_count(rows.count, customers)
        some = kept > 0
        return Held(Groups(rows.x[some], rows.t_x[some], rows.t_cal[some], kept[some]), self.orders[some], self.time)


@dataclass(frozen=True, slots=True)
class Audit:
    """What the hold-out said."""

    verdict: Verdict
    best: str
    """The model with the smallest RMSE of orders."""
    use: str
    """A model, or `rate` or `hiatus`."""
    time: float
    customers: int
    buyers: int
    scores: Mapping[str, Scores]
    brier: Mapping[str, float]
    """Mean squared error of P(order within the hold-out)."""
    won: Mapping[str, tuple[str, ...]]
    """Per naive rule, the figures in which the best model is ahead of it."""

    @property
    def source(self) -> Literal["model", "naive"]:
        """What predictions come from."""
        return "naive" if self.use in NAIVE else "model"

    def document(self) -> dict[str, Any]:
        """As stored and shown."""
        return asdict(self) | {"source": self.source}


def audit(held: Held, unit_days: float, regularity: int | None = None) -> Audit:
    """Learn every model from the hold-out's past and score it. Never refuses: too little data is `untested`."""
    rows = held.groups
    groups, place = grouped(rows.x, rows.t_x, rows.t_cal, rows.count)
    fits = learn_all(Groups(groups.x, groups.t_x, groups.t_cal, groups.count, rows.log_gaps), unit_days, regularity)
    return judge(held, groups, place, fits, HIATUS_DAYS / unit_days)


def judge(held: Held, groups: Groups, place: IntArray, fits: Mapping[str, PurchaseFit], hiatus: float) -> Audit:
    """Score fitted models; `place` is each row's group."""
    row = np.repeat(np.arange(len(held.orders)), held.groups.count)
    actual, of = held.orders[row].astype(np.float64), place[row]
    orders = {name: fit.model.expected_orders(groups, held.time) for name, fit in fits.items()}
    chance = {name: fit.model.p_order_within(groups, held.time) for name, fit in fits.items()}
    for name, rule in naive_orders(groups, held.time, hiatus).items():
        orders[name], chance[name] = rule, -np.expm1(-rule)
    scores = {name: score(each[of], actual) for name, each in orders.items()}
    best = min(fits, key=lambda name: scores[name].rmse)
    buyers = int((actual > 0).sum())
    won = {name: figures_won(scores[best], scores[name]) for name in NAIVE}
    verdict: Verdict = "untested" if buyers < FEWEST_BUYERS else "better" if _better(won) else "not_better"
    return Audit(
        verdict=verdict,
        best=best,
        use=best if verdict != "not_better" else min(NAIVE, key=lambda name: scores[name].mae),
        time=held.time,
        customers=len(actual),
        buyers=buyers,
        scores=scores,
        brier={name: float(np.mean((each[of] - (actual > 0)) ** 2)) for name, each in chance.items()},
        won=won,
    )


def naive_orders(groups: Groups, time: float, hiatus: float) -> dict[str, FloatArray]:
    """What the rules without a model expect, per group."""
    return {"rate": rate_rule(groups, time), "hiatus": hiatus_rule(groups, time, hiatus)}


def figures_won(model: Scores, naive: Scores) -> tuple[str, ...]:
    """In which of MAE, calibration (slope nearest to 1) and normalised Gini the model is ahead."""
    ahead = {
        "mae": model.mae < naive.mae,
        "calibration": _off(model.calibration_slope) < _off(naive.calibration_slope),
        "normalised_gini": (model.normalised_gini or 0.0) > (naive.normalised_gini or 0.0),
    }
    return tuple(name for name, yes in ahead.items() if yes)


def _better(won: Mapping[str, tuple[str, ...]]) -> bool:
    """Ahead of each naive rule in two of the three figures."""
    return all(len(figures) >= 2 for figures in won.values())


def _off(slope: float | None) -> float:
    return abs(slope - 1) if slope is not None else float("inf")
