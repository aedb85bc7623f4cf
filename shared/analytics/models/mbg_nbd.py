"""MBG/NBD: repeat purchases without a contract, and customers who never come back after the first one.

Batislam, Denizel & Filiztekin 2007 (Int. J. of Research in Marketing 24(3), 201-209); Hoppe & Wagner 2007 (Marketing
ZFP 29(2), 75-90).
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np

from shared.analytics.models import beta_geometric
from shared.analytics.models.fitting import Fit, Prior
from shared.analytics.models.groups import FloatArray, Groups, IntArray


@dataclass(frozen=True, slots=True)
class MbgNbd:
    """As BG/NBD, but a customer may be lost at the first purchase too: λ ~ Gamma(r, rate α), p ~ Beta(a, b)."""

    r: float
    alpha: float
    a: float
    b: float

    @classmethod
    def fit(cls, groups: Groups, prior: Prior | None = None) -> Fit[MbgNbd]:
        """By maximum likelihood; with a prior, the mode. Raises RejectedError when there is nobody to learn from."""
        found = beta_geometric.estimate(groups, lost_at_first=True, prior=prior)
        return Fit.at(cls(*map(float, found.parameters)), found, groups.customers)

    def log_likelihood(self, groups: Groups) -> float:
        """Of all customers together."""
        return beta_geometric.Kernel(groups, lost_at_first=True)(np.log(astuple(self)))[0]

    def expected_orders(self, groups: Groups, time: float) -> FloatArray:
        """E[orders within `time` from now], per group."""
        return self.expected_orders_by(groups, np.array([time]))[:, 0]

    def expected_orders_by(self, groups: Groups, times: FloatArray) -> FloatArray:
        """The same for several horizons; shape (groups, times)."""
        return self.weighted_orders(groups, times, np.eye(len(times)))

    def weighted_orders(self, groups: Groups, times: FloatArray, weights: FloatArray) -> FloatArray:
        """Combinations of them, `weights` (times, …) each, made before the groups are: there are fewer (x, T)."""
        ends = groups.ends
        if_alive = beta_geometric.orders_if_alive(ends, self.r, self.alpha, self.a, self.b + 1, times) @ weights
        return np.asarray((if_alive[ends.at_end].T * self.p_alive(groups)).T)

    def p_order_within(self, groups: Groups, time: float) -> FloatArray:
        """P(at least one order within `time` from now), per group."""
        return self.p_alive(groups) * beta_geometric.p_order_if_alive(groups, self.r, self.alpha, time)

    def orders_drawn(self, groups: Groups, time: float, draws: int, random: np.random.Generator) -> IntArray:
        """Orders within `time` from now of somebody alive, drawn; shape (groups, draws)."""
        parameters = (self.r, self.alpha, self.a, self.b + 1)
        return beta_geometric.orders_drawn(groups, *parameters, time, draws, random)

    def p_alive(self, groups: Groups) -> FloatArray:
        """P(still a customer), per group: what 離脱 is judged by."""
        return beta_geometric.p_alive(groups, *astuple(self), lost_at_first=True)
