"""Beta-discrete-Weibull: how long subscribers stay, when each one's own chance to leave changes with time too.

Fader, Hardie, Liu, Davin & Steenburgh 2018, "'How to Project Customer Retention' Revisited: The Role of Duration
Dependence" (J. of Interactive Marketing 43, 1-16). sBG is its case c = 1. The better choice for short histories.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np
from scipy.special import digamma, gammaln

from shared.analytics.models.fitting import Fit, Problem, maximise
from shared.analytics.models.groups import FloatArray
from shared.analytics.models.retention import Cohorts, horizon

PARAMETERS = ("a", "b", "c")


@dataclass(frozen=True, slots=True)
class Bdw:
    """A subscriber is there after t periods with chance (1-θ)^(t^c), θ ~ Beta(a, b); c > 1: tired of it with time."""

    a: float
    b: float
    c: float

    @classmethod
    def fit(cls, cohorts: Cohorts) -> Fit[Bdw]:
        """By maximum likelihood."""
        problem = Problem(PARAMETERS, np.array([1.0, 2.0, 1.0]), Kernel(cohorts), cohorts.customers)
        found = maximise(problem)
        return Fit.at(cls(*map(float, found.parameters)), found, cohorts.customers)

    def log_likelihood(self, cohorts: Cohorts) -> float:
        """Of all subscribers together."""
        return Kernel(cohorts)(np.log(astuple(self)))[0]

    def survival(self, periods: FloatArray) -> FloatArray:
        """S(t) = B(a, b+t^c) / B(a, b): share of a cohort still there after t periods (継続率の累積)."""
        return np.asarray(np.exp(_log_survival(self.a, self.b, self.c, periods)))

    def retention(self, periods: FloatArray) -> FloatArray:
        """S(t)/S(t-1) for t ≥ 1."""
        now, before = (_log_survival(self.a, self.b, self.c, t) for t in (periods, periods - 1))
        return np.asarray(np.exp(now - before))

    def derl(self, renewals: int, discount: float) -> float:
        """Discounted expected residual lifetime, in periods, of somebody with so many renewals behind them."""
        length = horizon(discount)
        ahead = np.arange(renewals + 1, renewals + 1 + length, dtype=np.float64)
        kept = _log_survival(self.a, self.b, self.c, ahead)
        kept -= _log_survival(self.a, self.b, self.c, np.array([float(renewals)]))
        return float(np.exp(kept - np.log1p(discount) * np.arange(length)).sum())


@dataclass(frozen=True, slots=True)
class Kernel:
    """The likelihood: log-gamma functions of the periods, of which there are few."""

    cohorts: Cohorts

    def __call__(self, place: FloatArray) -> tuple[float, FloatArray]:
        """Log-likelihood and gradient, both in the logarithms of (a, b, c)."""
        a, b, c = parameters = np.exp(place)
        lost, active, t = self.cohorts.lost, self.cohorts.active, self.cohorts.periods
        before, after = _log_survival(a, b, c, t - 1), _log_survival(a, b, c, t)
        drop = np.maximum(-np.expm1(after - before), 1e-300)  # share of those before who leave now
        value = lost @ (before + np.log(drop)) + active @ after
        by_before, by_after = _slopes(a, b, c, t - 1), _slopes(a, b, c, t)
        kept = np.exp(after - before)
        slope = (by_before - (by_after - by_before) * (kept / drop)) @ lost + by_after @ active
        return float(value), slope * parameters


def _log_survival(a: float, b: float, c: float, t: FloatArray) -> FloatArray:
    power = t**c
    return np.asarray(gammaln(b + power) - gammaln(b) + gammaln(a + b) - gammaln(a + b + power))


def _slopes(a: float, b: float, c: float, t: FloatArray) -> FloatArray:
    """Of ln S(t) by a, b and c; shape (3, periods)."""
    power = t**c
    both = digamma(a + b) - digamma(a + b + power)
    alone = digamma(b + power) - digamma(a + b + power)
    by_c = alone * power * np.log(np.maximum(t, 1e-300))
    return np.stack([both, both + digamma(b + power) - digamma(b), by_c])
