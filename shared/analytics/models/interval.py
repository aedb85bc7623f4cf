"""The coming revenue of a customer with an interval (予測LTVと予測区間), per group, in units of the customer's spend.

With N orders to come, of value V₁ … V_N, a customer's posterior of gamma-gamma after n orders of `spent` in all (ν ~
Gamma(q+pn, rate γ+spent)) gives

    Σ V = (γ + spent) · Gamma(pN) / Gamma(q+pn)

so what a group has to know is the distribution of the last factor, which depends on (x, t_x, T) alone; the first one is
the customer's own and closed-form. Nothing about single customers is needed here (design: models see groups).

N is drawn (seeded: the same night gives the same interval); who is lost has none. The parameters are taken as known.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shared.analytics.models.bg_nbd import BgNbd
from shared.analytics.models.clv import DrawableModel
from shared.analytics.models.gamma_gamma import GammaGamma
from shared.analytics.models.groups import FloatArray, Groups, IntArray, levels
from shared.analytics.models.mbg_cnbd import MbgCnbd

LEVELS = (0.1, 0.9)
"""The interval holds 80 % of what can happen."""

DRAWS = 200
SEED = 20261121
_AT_ONCE = 1 << 21


@dataclass(frozen=True, eq=False)
class Revenue:
    """Per group, in units of γ + spent (`scale`)."""

    expected: FloatArray
    low: FloatArray
    high: FloatArray

    @staticmethod
    def scale(spend: GammaGamma, spent: FloatArray) -> FloatArray:
        """Of each customer: what the factors are multiplied by to be money. `spent`: on the orders that count."""
        return np.asarray(spend.gamma + spent)


def revenue(
    model: DrawableModel,
    spend: GammaGamma,
    groups: Groups,
    time: float,
    *,
    first_counts: bool = False,
    seed: int = SEED,
) -> Revenue:
    """Undiscounted revenue within `time` from now: its mean (closed form) and the ends of its interval (drawn).

    `first_counts`: the value of the first order is known too, so that n = x+1; else n = x.
    """
    known = spend.q + spend.p * (groups.x + first_counts)
    expected = model.expected_orders(groups, time) * spend.p / (known - 1)
    alive = _p_alive(model, groups)
    distinct, place = _distinct(model, groups)
    low, high = np.zeros(len(groups.x)), np.zeros(len(groups.x))
    random = np.random.default_rng(seed)
    step = max(1, _AT_ONCE // DRAWS)
    order = np.argsort(place, kind="stable")
    limits = np.searchsorted(place[order], np.arange(0, len(distinct.x) + step, step))
    for part, first in enumerate(range(0, len(distinct.x), step)):
        some = _slice(distinct, first, first + step)
        drawn = np.sort(_factors(model, spend, some, time, random, first_counts), axis=1)
        mine = order[limits[part] : limits[part + 1]]
        for level, found in zip(LEVELS, (low, high), strict=True):
            found[mine] = _quantile(drawn, place[mine] - first, alive[mine], level)
    return Revenue(expected, low, high)


def _p_alive(model: DrawableModel, groups: Groups) -> FloatArray:
    if isinstance(model, BgNbd):
        return model.p_alive_optimistic(groups)
    found: FloatArray = model.p_alive(groups)  # type: ignore[attr-defined]
    return found


def _distinct(model: DrawableModel, groups: Groups) -> tuple[Groups, IntArray]:
    """What the future of somebody alive depends on: (x, T), or everything where purchases are regular."""
    if isinstance(model, MbgCnbd) and model.k > 1:
        return groups, np.arange(len(groups.x))
    ends, end = levels(groups.t_cal)
    codes, place = levels(groups.x * len(ends) + end)
    x = codes // len(ends)
    return Groups(x, np.zeros(len(x)), ends[codes % len(ends)], np.ones(len(x), np.int64)), place


def _slice(groups: Groups, first: int, end: int) -> Groups:
    part = slice(first, end)
    return Groups(groups.x[part], groups.t_x[part], groups.t_cal[part], groups.count[part])


def _factors(
    model: DrawableModel,
    spend: GammaGamma,
    groups: Groups,
    time: float,
    random: np.random.Generator,
    first_counts: bool,
) -> FloatArray:
    orders = model.orders_drawn(groups, time, DRAWS, random)
    own = random.standard_gamma((spend.q + spend.p * (groups.x + first_counts))[:, None], orders.shape)
    return np.asarray(random.standard_gamma(spend.p * orders) / np.maximum(own, 1e-300))


def _quantile(drawn: FloatArray, row: IntArray, alive: FloatArray, level: float) -> FloatArray:
    """Of the mixture: nothing from those lost, the sorted draws from those alive."""
    among = (level - (1 - alive)) / np.maximum(alive, 1e-300)
    spot = np.clip(np.floor(among * DRAWS), 0, DRAWS - 1).astype(np.int64)
    return np.where(among > 0, drawn[row, spot], 0.0)
