"""Gamma-gamma: what a customer spends per order (Colombo & Jiang 1999; Fader & Hardie 2013, "The Gamma-Gamma Model of
Monetary Value").
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np
from scipy.special import digamma, gammaln

from shared.analytics.models.fitting import SAMPLE, Fit, Prior, Problem, maximise
from shared.analytics.models.groups import FloatArray, IntArray, Numbers, levels, tally, thinned_count
from shared.core.errors import RejectedError

PARAMETERS = ("p", "q", "gamma")
LEAST_Q = 1.01
"""Below, the mean over customers does not exist; a fit that ends here says so (`Fit.ridge` names q)."""


@dataclass(frozen=True, eq=False)
class Spend:
    """Mean values `mean` (> 0, any one currency unit) over `x` ≥ 1 orders, of `count` customers each."""

    x: IntArray
    mean: FloatArray
    count: IntArray

    @classmethod
    def of(cls, x: Numbers, mean: Numbers, count: Numbers | None = None) -> Spend:
        """Those with a positive mean over at least one order: the others say nothing about spend."""
        orders, value = np.asarray(x, np.float64), np.asarray(mean, np.float64)
        number = np.ones(len(orders), np.int64) if count is None else np.asarray(count, np.int64)
        usable = (orders >= 1) & (value > 0) & np.isfinite(value)
        return cls(orders[usable].astype(np.int64), value[usable], number[usable])

    @property
    def customers(self) -> int:
        """Customers in all groups."""
        return int(self.count.sum())

    def thinned(self, customers: int) -> Spend:
        """About so many of the customers, evenly over the groups as they stand."""
        if self.customers <= customers:
            return self
        kept = thinned_count(self.count, customers)
        some = kept > 0
        return Spend(self.x[some], self.mean[some], kept[some])

    def correlation(self) -> float:
        """Between number and value of orders: the model assumes 0. 0 where one of them does not vary."""
        weight = self.count / self.customers
        x, mean = self.x - weight @ self.x, self.mean - weight @ self.mean
        spread = float(np.sqrt((weight @ x**2) * (weight @ mean**2)))
        return float(weight @ (x * mean)) / spread if spread > 0 else 0.0


@dataclass(frozen=True, slots=True)
class GammaGamma:
    """An order's value ~ Gamma(p, rate ν), ν ~ Gamma(q, rate γ); independent of how often somebody orders."""

    p: float
    q: float
    gamma: float

    @classmethod
    def fit(cls, spend: Spend, prior: Prior | None = None) -> Fit[GammaGamma]:
        """By maximum likelihood; with a prior, the mode. Raises RejectedError without anybody whose spend is known."""
        if not len(spend.x) and prior is None:
            raise RejectedError("nobody has repeat orders with a positive value: there is no spend to learn from")
        some = spend.thinned(SAMPLE)
        average = float(spend.count @ spend.mean) / max(spend.customers, 1)
        found = maximise(
            Problem(
                names=PARAMETERS,
                start=prior.center if prior else np.array([2.0, 3.0, average]),
                objective=Kernel.over(spend),
                customers=spend.customers,
                sample=Kernel.over(some) if some is not spend else None,
                sampled=some.customers,
                lowest={"q": LEAST_Q},
                prior=prior,
            )
        )
        return Fit.at(cls(*map(float, found.parameters)), found, spend.customers)

    def log_likelihood(self, spend: Spend) -> float:
        """Of all customers together."""
        return Kernel.over(spend)(np.log(astuple(self)))[0]

    def expected_value(self, x: Numbers, mean: Numbers) -> FloatArray:
        """E[mean order value] of somebody with `mean` over `x` orders; the mean over customers where x = 0.

        (Fader & Hardie 2013, eq. 5.) Needs q > 1, as `fit` guarantees.
        """
        orders = np.asarray(x, np.float64)
        spent = np.where(orders > 0, orders * np.asarray(mean, np.float64), 0.0)
        return np.asarray((self.gamma + spent) * self.p / (self.p * orders + self.q - 1))


@dataclass(frozen=True, slots=True)
class Kernel:
    """The likelihood (Fader & Hardie 2013, eq. 1a): gamma functions by x, one logarithm per customer."""

    spend: Spend
    x: FloatArray
    """Levels of x."""
    row: IntArray
    by_x: FloatArray
    total: FloatArray
    """x · mean."""
    constants: tuple[float, float]
    """Σ x (ln x + ln mean) and Σ ln mean over customers."""

    @classmethod
    def over(cls, spend: Spend) -> Kernel:
        """With everything found out that does not depend on the parameters."""
        x, row = levels(spend.x)
        by_x = tally(row, spend.count, len(x))
        log_mean = np.log(spend.mean)
        total = spend.x * spend.mean
        times_x = float((spend.count * spend.x) @ (np.log(spend.x) + log_mean))
        return cls(spend, x.astype(np.float64), row, by_x, total, (times_x, float(spend.count @ log_mean)))

    def __call__(self, place: FloatArray) -> tuple[float, FloatArray]:
        """Log-likelihood and gradient, both in the logarithms of (p, q, γ)."""
        p, q, gamma = parameters = np.exp(place)
        customers = self.spend.customers
        summed = gamma + self.total
        weighted = tally(self.row, self.spend.count * np.log(summed), len(self.x))
        inverse = tally(self.row, self.spend.count / summed, len(self.x))
        shape = p * self.x + q
        times_x, log_mean = self.constants
        value = self.by_x @ (gammaln(shape) - gammaln(p * self.x)) + p * times_x - log_mean
        value += customers * (q * np.log(gamma) - gammaln(q)) - shape @ weighted
        by_p = self.by_x @ (self.x * (digamma(shape) - digamma(p * self.x))) + times_x - self.x @ weighted
        by_q = self.by_x @ digamma(shape) + customers * (np.log(gamma) - digamma(q)) - weighted.sum()
        by_gamma = customers * q / gamma - shape @ inverse
        return float(value), np.array([by_p, by_q, by_gamma]) * parameters
