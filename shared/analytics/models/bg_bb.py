"""BG/BB: repeat purchases at fixed occasions, such as a yearly campaign (Fader, Hardie & Shang 2010, "Customer-Base
Analysis in a Discrete-Time Noncontractual Setting", Marketing Science 29(6), 1086-1108).

Likelihood of x purchases at n occasions, the last at t_x: still a customer after all n, or lost after occasion m ≥ t_x:

    B(α+x, β+n-x) B(γ, δ+n) + Σ_{m=t_x}^{n-1} B(α+x, β+m-x) B(γ+1, δ+m),   over B(α, β) B(γ, δ)
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np
from scipy.special import betaln, digamma

from shared.analytics.models.fitting import Fit, Problem, maximise
from shared.analytics.models.groups import FloatArray, Groups, IntArray
from shared.core.errors import RejectedError

PARAMETERS = ("alpha", "beta", "gamma", "delta")
MOST_OCCASIONS = 1_000
"""Beyond these nobody's history is one of occasions: MBG/NBD and Pareto/NBD are for time that flows."""


@dataclass(frozen=True, slots=True)
class BgBb:
    """Buys at each occasion with chance p ~ Beta(α, β), is lost before each with chance θ ~ Beta(γ, δ).

    The unit of time is the occasion: x, t_x and T count them, and x ≤ t_x.
    """

    alpha: float
    beta: float
    gamma: float
    delta: float

    @classmethod
    def fit(cls, groups: Groups) -> Fit[BgBb]:
        """By maximum likelihood. Raises RejectedError for histories that are not made of occasions."""
        problem = Problem(PARAMETERS, np.array([1.0, 1.0, 0.5, 2.5]), Kernel.over(groups), groups.customers)
        found = maximise(problem)
        return Fit.at(cls(*map(float, found.parameters)), found, groups.customers)

    def log_likelihood(self, groups: Groups) -> float:
        """Of all customers together."""
        return Kernel.over(groups)(np.log(astuple(self)))[0]

    def p_alive(self, groups: Groups) -> FloatArray:
        """P(still a customer at the next occasion), per group."""
        ahead = betaln(self.gamma, self.delta + groups.t_cal + 1) - betaln(self.gamma, self.delta)
        return np.asarray(np.exp(self._log_chances(groups) + ahead - self._log_each(groups)))

    def expected_orders(self, groups: Groups, time: float) -> FloatArray:
        """E[purchases at the next `time` occasions], per group (eq. 14 as its sum, which has no pole at γ = 1)."""
        return self.expected_orders_by(groups, np.array([time]))[:, 0]

    def expected_orders_by(self, groups: Groups, times: FloatArray) -> FloatArray:
        """The same for several horizons; shape (groups, times). A begun occasion does not count."""
        ahead = np.arange(1, int(np.max(times, initial=0)) + 1, dtype=np.float64)
        alive = betaln(self.gamma, self.delta + groups.t_cal[:, None] + ahead) - betaln(self.gamma, self.delta)
        known = self._log_chances(groups) - self._log_each(groups)
        rate = (self.alpha + groups.x) / (self.alpha + self.beta + groups.t_cal)
        summed = np.cumsum(np.exp(alive + known[:, None]), axis=1) * rate[:, None]
        return np.pad(summed, ((0, 0), (1, 0)))[:, np.floor(times).astype(np.int64)]

    def weighted_orders(self, groups: Groups, times: FloatArray, weights: FloatArray) -> FloatArray:
        """Combinations of them, `weights` (times, …) each."""
        return np.asarray(self.expected_orders_by(groups, times) @ weights)

    def p_order_within(self, groups: Groups, time: float) -> FloatArray:
        """P(at least one purchase at the next `time` occasions): without any, the history just grows longer."""
        longer = Groups(groups.x, groups.t_x, groups.t_cal + np.floor(time), groups.count)
        return np.asarray(-np.expm1(self._log_each(longer) - self._log_each(groups)))

    def _log_each(self, groups: Groups) -> FloatArray:
        return Kernel.over(groups).each(np.array(astuple(self)))[0]

    def _log_chances(self, groups: Groups) -> FloatArray:
        """ln of the chance of the purchases of somebody who is not lost."""
        return np.asarray(
            betaln(self.alpha + groups.x, self.beta + groups.t_cal - groups.x) - betaln(self.alpha, self.beta)
        )


@dataclass(frozen=True, slots=True)
class Kernel:
    """The likelihood over groups: one term for each occasion at which somebody may have been there last."""

    count: FloatArray
    group: IntArray
    """Per term, its group; a group's terms follow each other, that of who is not lost last."""
    x: FloatArray
    last: FloatArray
    """m, or n for who is not lost."""
    lost: FloatArray
    """1, or 0 for who is not."""

    @classmethod
    def over(cls, groups: Groups) -> Kernel:
        """Raises RejectedError for histories that are not made of occasions."""
        x, t_x, n = groups.x.astype(np.float64), groups.t_x, groups.t_cal
        if np.any((t_x % 1 != 0) | (n % 1 != 0) | (x > t_x) | (n > MOST_OCCASIONS)):
            raise RejectedError(
                "bg_bb counts occasions: t_x and T must be whole numbers (at most 1,000) and x at most t_x"
            )
        terms = (n - t_x).astype(np.int64) + 1
        group = np.repeat(np.arange(len(x), dtype=np.int64), terms)
        ahead = np.arange(len(group)) - np.repeat(np.cumsum(terms) - terms, terms)
        last = t_x[group] + ahead
        return cls(groups.count.astype(np.float64), group, x[group], last, (last < n[group]).astype(np.float64))

    def each(self, parameters: FloatArray) -> tuple[FloatArray, FloatArray]:
        """Log-likelihood of a customer of each group, and what each term has of it (they sum to 1 per group)."""
        alpha, beta, gamma, delta = parameters
        term = betaln(alpha + self.x, beta + self.last - self.x) + betaln(gamma + self.lost, delta + self.last)
        starts = np.flatnonzero(np.diff(self.group, prepend=-1))
        largest = np.maximum.reduceat(term, starts)
        share = np.exp(term - largest[self.group])
        whole = np.add.reduceat(share, starts)
        return largest + np.log(whole) - betaln(alpha, beta) - betaln(gamma, delta), share / whole[self.group]

    def __call__(self, place: FloatArray) -> tuple[float, FloatArray]:
        """Log-likelihood and gradient, both in the logarithms of (α, β, γ, δ)."""
        alpha, beta, gamma, delta = parameters = np.exp(place)
        each, share = self.each(parameters)
        weight = share * self.count[self.group]
        bought, stayed = digamma(alpha + beta + self.last), digamma(gamma + self.lost + delta + self.last)
        slope = np.array(
            [
                weight @ (digamma(alpha + self.x) - bought),
                weight @ (digamma(beta + self.last - self.x) - bought),
                weight @ (digamma(gamma + self.lost) - stayed),
                weight @ (digamma(delta + self.last) - stayed),
            ]
        )
        before = np.repeat([digamma(alpha + beta), digamma(gamma + delta)], 2) - digamma(parameters)
        return float(self.count @ each), (slope + self.count.sum() * before) * parameters
