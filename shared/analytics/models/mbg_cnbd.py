"""MBG/CNBD-k: as MBG/NBD, for customers who come back at regular times (規則性).

Platzer & Reutterer 2016 ("Ticking Away the Moments", Marketing Science 35(5)); Reutterer, Platzer & Schroeder 2021
(Int. J. of Research in Marketing 38(1)). Gaps are Erlang-k: only every k-th event of a customer's Poisson process is a
purchase. k = 1 is MBG/NBD. Everything here is exact, forecasts included (the published ones are approximate).
"""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from scipy.special import betainc, gammaln

from shared.analytics.models import beta_geometric
from shared.analytics.models.fitting import Fit, Prior
from shared.analytics.models.groups import FloatArray, Groups, IntArray, levels
from shared.core.errors import RejectedError

MOST_REGULAR = 4
"""k is sought among 1 … this: Erlang-4 gaps already vary by half of their mean."""

FEWEST_GAPS = 20
"""Of fewer gaps nobody can say how regular they are: k is 1."""

_NEGLIGIBLE = 1e-13
_MOST_ORDERS = 20_000


@dataclass(frozen=True, slots=True)
class MbgCnbd:
    """Events at rate λ ~ Gamma(r, rate α), every k-th a purchase; lost after one with chance p ~ Beta(a, b)."""

    k: int
    r: float
    alpha: float
    a: float
    b: float

    @classmethod
    def fit(cls, groups: Groups, prior: Prior | None = None) -> Fit[MbgCnbd]:
        """By maximum likelihood, k included. Raises RejectedError when the gaps between purchases are not known."""
        if groups.log_gaps is None:
            raise RejectedError("how regular purchases are is in the gaps between them: an order log is needed")
        best = cls.of_regularity(1, groups, prior)
        most = MOST_REGULAR if groups.count @ groups.x >= FEWEST_GAPS else 1
        for k in range(2, most + 1):
            found = cls.of_regularity(k, groups, prior)
            if found.log_likelihood <= best.log_likelihood:
                break
            best = found
        return best

    @classmethod
    def of_regularity(cls, k: int, groups: Groups, prior: Prior | None = None) -> Fit[MbgCnbd]:
        """The same with k given. Without the gaps the likelihood lacks what they add, which no parameter changes."""
        found = beta_geometric.estimate(groups, lost_at_first=True, regularity=k, prior=prior)
        model = cls(k, *map(float, found.parameters))
        fit = Fit.at(model, found, groups.customers)
        return replace(fit, log_likelihood=found.log_likelihood + model._of_gaps(groups))

    def log_likelihood(self, groups: Groups) -> float:
        """Of all customers together."""
        place = np.log([self.r, self.alpha, self.a, self.b])
        return beta_geometric.Kernel(groups, lost_at_first=True, regularity=self.k)(place)[0] + self._of_gaps(groups)

    def _of_gaps(self, groups: Groups) -> float:
        """What the gaps themselves add: (k-1) Σ ln gap - Σx ln (k-1)!"""
        if self.k == 1 or groups.log_gaps is None:
            return 0.0
        return float((self.k - 1) * groups.log_gaps - (groups.count @ groups.x) * gammaln(self.k))

    def p_alive(self, groups: Groups) -> FloatArray:
        """P(still a customer), per group: what 離脱 is judged by."""
        parameters = (self.r, self.alpha, self.a, self.b)
        return beta_geometric.p_alive(groups, *parameters, lost_at_first=True, regularity=self.k)

    def expected_orders(self, groups: Groups, time: float) -> FloatArray:
        """E[orders within `time` from now], per group."""
        return self.expected_orders_by(groups, np.array([time]))[:, 0]

    def expected_orders_by(self, groups: Groups, times: FloatArray) -> FloatArray:
        """The same for several horizons; shape (groups, times)."""
        if_alive = np.zeros((len(groups.x), len(times)))
        for phase, share in enumerate(self.phases(groups)):
            for place, time in enumerate(times):
                if_alive[:, place] += share * self._orders_from(groups, phase, float(time))
        return if_alive * self.p_alive(groups)[:, None]

    def weighted_orders(self, groups: Groups, times: FloatArray, weights: FloatArray) -> FloatArray:
        """Combinations of them, `weights` (times, …) each."""
        return np.asarray(self.expected_orders_by(groups, times) @ weights)

    def p_order_within(self, groups: Groups, time: float) -> FloatArray:
        """P(at least one order within `time` from now), per group."""
        events = time / (self.alpha + groups.t_cal + time)
        chance = np.zeros(len(groups.x))
        for phase, share in enumerate(self.phases(groups)):
            chance += share * betainc(self.k - phase, self.r + self.k * groups.x + phase, events)
        return self.p_alive(groups) * chance

    def orders_drawn(self, groups: Groups, time: float, draws: int, random: np.random.Generator) -> IntArray:
        """Orders within `time` from now of somebody alive, drawn; shape (groups, draws)."""
        size = (len(groups.x), draws)
        upto = np.cumsum(self.phases(groups), axis=0)[:-1]
        spot = random.random(size)
        phase = np.zeros(size, np.int64)
        for share in upto:
            phase += spot > share[:, None]
        shape = (self.r + self.k * groups.x)[:, None] + phase
        rate = random.standard_gamma(shape) / (self.alpha + groups.t_cal)[:, None]
        orders = (phase + random.poisson(rate * time)) // self.k
        return np.asarray(np.minimum(orders, beta_geometric.draw_last(groups, self.a, self.b + 1, size, random)))

    def phases(self, groups: Groups) -> FloatArray:
        """Share of those alive who have had so many events since their last purchase; shape (k, groups)."""
        waited = beta_geometric.waiting(groups, self.r, self.alpha, self.k)
        return np.ones((1, len(groups.x))) if waited is None else waited.terms * np.exp(-waited.log_total)

    def _orders_from(self, groups: Groups, phase: int, time: float) -> FloatArray:
        """Σ_m P(m-th purchase comes in time) · P(not lost at the m-1 before), at a phase, once per (x, T)."""
        ends, end = levels(groups.t_cal)
        codes, place = levels(groups.x * len(ends) + end)
        x, t_cal = codes // len(ends), ends[codes % len(ends)]
        shape, events = self.r + self.k * x + phase, time / (self.alpha + t_cal + time)
        staying = np.ones(len(x))
        b = self.b + x + 1
        found, active = np.zeros(len(x)), np.arange(len(x))
        for order in range(1, _MOST_ORDERS):
            part = staying[active] * betainc(self.k * order - phase, shape[active], events[active])
            found[active] += part
            active = active[part > _NEGLIGIBLE]
            if not len(active):
                break
            staying[active] *= (b[active] + order - 1) / (self.a + b[active] + order - 1)
        return np.asarray(found[place])
