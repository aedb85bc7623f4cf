"""Shifted-beta-geometric: how long subscribers stay (Fader & Hardie 2007, "How to Project Customer Retention", J. of
Interactive Marketing 21(1), 76-90).
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np
from scipy.special import digamma, gammaln

from shared.analytics.models.fitting import Fit, Problem, maximise
from shared.analytics.models.groups import FloatArray
from shared.analytics.models.retention import Cohorts, horizon

PARAMETERS = ("alpha", "beta")


@dataclass(frozen=True, slots=True)
class Sbg:
    """Each period a subscriber leaves with chance θ ~ Beta(α, β) of their own."""

    alpha: float
    beta: float

    @classmethod
    def fit(cls, cohorts: Cohorts) -> Fit[Sbg]:
        """By maximum likelihood."""
        problem = Problem(PARAMETERS, np.array([1.0, 2.0]), Kernel(cohorts), cohorts.customers)
        found = maximise(problem)
        return Fit.at(cls(*map(float, found.parameters)), found, cohorts.customers)

    def log_likelihood(self, cohorts: Cohorts) -> float:
        """Of all subscribers together."""
        return Kernel(cohorts)(np.log(astuple(self)))[0]

    def survival(self, periods: FloatArray) -> FloatArray:
        """S(t): share of a cohort still there after t periods (継続率の累積)."""
        return np.asarray(np.exp(_log_survival(self.alpha, self.beta, periods)))

    def retention(self, periods: FloatArray) -> FloatArray:
        """S(t)/S(t-1) for t ≥ 1: it rises as those who are easily lost have left (eq. 8)."""
        return np.asarray((self.beta + periods - 1) / (self.alpha + self.beta + periods - 1))

    def derl(self, renewals: int, discount: float) -> float:
        """Discounted expected residual lifetime, in periods, of somebody with so many renewals behind them.

        (Fader & Hardie 2010, Marketing Science 29(1), eq. 6, by its series.) `discount` > 0 per period.
        """
        ahead = np.arange(renewals + 1, renewals + 1 + horizon(discount), dtype=np.float64)
        kept = np.cumsum(np.log(self.retention(ahead)))
        return float(np.exp(kept - np.log1p(discount) * np.arange(len(ahead))).sum())


@dataclass(frozen=True, slots=True)
class Kernel:
    """The likelihood: log-gamma functions of the periods, of which there are few."""

    cohorts: Cohorts

    def __call__(self, place: FloatArray) -> tuple[float, FloatArray]:
        """Log-likelihood and gradient, both in the logarithms of (α, β)."""
        alpha, beta = parameters = np.exp(place)
        lost, active, t = self.cohorts.lost, self.cohorts.active, self.cohorts.periods
        # P(T = t) = S(t-1) · α / (α+β+t-1)
        leaving = np.log(alpha) - np.log(alpha + beta + t - 1)
        value = lost @ (_log_survival(alpha, beta, t - 1) + leaving) + active @ _log_survival(alpha, beta, t)
        before, after = _slopes(alpha, beta, t - 1), _slopes(alpha, beta, t)
        by_sum = -1 / (alpha + beta + t - 1)
        slope = before @ lost + after @ active + lost @ by_sum
        slope[0] += lost.sum() / alpha
        return float(value), slope * parameters


def _log_survival(alpha: float, beta: float, t: FloatArray) -> FloatArray:
    """ln B(α, β+t) / B(α, β)."""
    return np.asarray(gammaln(beta + t) - gammaln(beta) + gammaln(alpha + beta) - gammaln(alpha + beta + t))


def _slopes(alpha: float, beta: float, t: FloatArray) -> FloatArray:
    """Of ln S(t) by α and β; shape (2, periods)."""
    both = digamma(alpha + beta) - digamma(alpha + beta + t)
    return np.stack([both, both + digamma(beta + t) - digamma(beta)])
