"""Pareto/NBD: repeat purchases without a contract (Schmittlein, Morrison & Colombo 1987, Management Science 33(1)).

The likelihood is that of Fader & Hardie 2005 ("A Note on Deriving the Pareto/NBD Model"), written with the share g of
`lapse.py`, in which α ≥ β and α < β are the same formula and every term is positive:

    Γ(r+x)/Γ(r) · α^r β^s · (α+t_x)^-(r+x) (β+t_x)^-s · [ g(t_x) + (1 - g(T)) q ]
    q = ((α+t_x)/(α+T))^(r+x) · ((β+t_x)/(β+T))^s,   P(alive) = q / [ … ]
"""

from __future__ import annotations

from dataclasses import astuple, dataclass

import numpy as np
from scipy.special import digamma, exprel, gammaln

from shared.analytics.models.fitting import SAMPLE, Fit, Prior, Problem, maximise, starting_scale
from shared.analytics.models.groups import FloatArray, Groups, IntArray, tally, total
from shared.analytics.models.lapse import lapse

PARAMETERS = ("r", "alpha", "s", "beta")


@dataclass(frozen=True, slots=True)
class ParetoNbd:
    """Purchases ~ Poisson(λ), λ ~ Gamma(r, rate α); lost at rate μ ~ Gamma(s, rate β). α and β in the data's unit."""

    r: float
    alpha: float
    s: float
    beta: float

    @classmethod
    def fit(cls, groups: Groups, prior: Prior | None = None) -> Fit[ParetoNbd]:
        """By maximum likelihood; with a prior, the mode. Raises RejectedError when there is nobody to learn from."""
        scale = 0.0 if prior else starting_scale(groups)
        some = groups.thinned(SAMPLE)
        found = maximise(
            Problem(
                names=PARAMETERS,
                start=prior.center if prior else np.array([0.5, 0.5 * scale, 0.5, 0.5 * scale]),
                objective=Kernel(groups),
                customers=groups.customers,
                sample=Kernel(some) if some is not groups else None,
                sampled=some.customers,
                prior=prior,
            )
        )
        return Fit.at(cls(*map(float, found.parameters)), found, groups.customers)

    def log_likelihood(self, groups: Groups) -> float:
        """Of all customers together."""
        return Kernel(groups)(np.log(astuple(self)))[0]

    def expected_orders(self, groups: Groups, time: float) -> FloatArray:
        """E[orders within `time` from now], per group."""
        return self.expected_orders_by(groups, np.array([time]))[:, 0]

    def expected_orders_by(self, groups: Groups, times: FloatArray) -> FloatArray:
        """The same for several horizons; shape (groups, times)."""
        return self.weighted_orders(groups, times, np.eye(len(times)))

    def weighted_orders(self, groups: Groups, times: FloatArray, weights: FloatArray) -> FloatArray:
        """Combinations of them, `weights` (times, …) each, made before the groups are: there are fewer (x, T).

        P(alive) · (r+x)/(α+T) · (β+T) · (1 - u^(s-1)) / (s-1) with u = (β+T)/(β+T+time), also where s = 1.
        """
        pairs = groups.ends
        ends = pairs.t_levels[pairs.column, None]
        log_u = np.log(self.beta + ends) - np.log(self.beta + ends + times)
        lasting = (self.beta + ends) * -log_u * exprel((self.s - 1) * log_u)
        if_alive = ((self.r + pairs.x)[:, None] / (self.alpha + ends) * lasting) @ weights
        return np.asarray((if_alive[pairs.at_end].T * self.p_alive(groups)).T)

    def p_order_within(self, groups: Groups, time: float) -> FloatArray:
        """P(at least one order within `time` from now), per group."""
        pairs = groups.pairs
        log_q = self._log_power(groups, 0.0) - self._log_power(groups, time)
        silent = self._g(groups, 0.0) + (1 - self._g(groups, time)) * np.exp(-np.abs(log_q))
        return self.p_alive(groups) * np.clip(1 - silent[pairs.at_end], 0.0, 1.0)

    def orders_drawn(self, groups: Groups, time: float, draws: int, random: np.random.Generator) -> IntArray:
        """Orders within `time` from now of somebody alive, drawn; shape (groups, draws)."""
        size = (len(groups.x), draws)
        rate = random.standard_gamma((self.r + groups.x)[:, None], size) / (self.alpha + groups.t_cal)[:, None]
        loss = random.standard_gamma(self.s, size) / (self.beta + groups.t_cal)[:, None]
        stay = np.minimum(random.standard_exponential(size) / np.maximum(loss, 1e-300), time)
        return np.asarray(random.poisson(rate * stay))

    def p_alive(self, groups: Groups) -> FloatArray:
        """P(still a customer), per group: what 離脱 is judged by."""
        pairs = groups.pairs
        power, g = self._log_power(groups, 0.0), self._g(groups, 0.0)
        q = np.exp(power[pairs.at_last] - power[pairs.at_end])
        return np.asarray(np.clip(q / (g[pairs.at_last] + (1 - g[pairs.at_end]) * q), 0.0, 1.0))

    def _log_power(self, groups: Groups, later: float) -> FloatArray:
        """(r+x) ln(α+t) + s ln(β+t) per pair, `later` after its t."""
        pairs = groups.pairs
        times = pairs.t_levels + later
        rate, loss = np.log(self.alpha + times)[pairs.column], np.log(self.beta + times)[pairs.column]
        return np.asarray((self.r + pairs.x) * rate + self.s * loss)

    def _g(self, groups: Groups, later: float) -> FloatArray:
        pairs = groups.pairs
        place = np.array(astuple(self))
        return np.asarray(lapse(pairs.x_levels, pairs.t_levels + later, pairs.row, pairs.column, place)[0])


@dataclass(frozen=True, slots=True)
class Kernel:
    """The likelihood over groups."""

    groups: Groups

    def __call__(self, place: FloatArray) -> tuple[float, FloatArray]:
        """Log-likelihood and gradient, both in the logarithms of (r, α, s, β)."""
        r, alpha, s, beta = parameters = np.exp(place)
        pairs, count = self.groups.pairs, self.groups.count
        size, customers = len(pairs.row), float(self.groups.customers)
        g, g_by_r, g_by_s, g_by_z = lapse(pairs.x_levels, pairs.t_levels, pairs.row, pairs.column, parameters)
        log_rate = np.log(alpha + pairs.t_levels)[pairs.column]
        log_loss = np.log(beta + pairs.t_levels)[pairs.column]
        power = (r + pairs.x) * log_rate + s * log_loss

        q = np.exp(power[pairs.at_last] - power[pairs.at_end])
        alive = (1 - g)[pairs.at_end] * q
        bracket = g[pairs.at_last] + alive
        each = count / bracket
        at_last = self.groups.counted_by_last
        x, by_x = pairs.x_levels.astype(np.float64), self.groups.counted_by_x
        value = total(count, np.log(bracket)) - total(at_last, power)
        value += float(by_x @ (gammaln(r + x) - gammaln(r))) + customers * (r * np.log(alpha) + s * np.log(beta))

        alive *= each
        by_power = tally(pairs.at_last, alive, size) - at_last - tally(pairs.at_end, alive, size)
        by_g = tally(pairs.at_last, each, size) - tally(pairs.at_end, each * q, size)
        from_start = alpha + pairs.t_levels[pairs.column]
        remaining = beta + pairs.t_levels[pairs.column]
        by_z = by_g * g_by_z / from_start
        slope = np.array(
            [
                total(by_power, log_rate) + total(by_g, g_by_r) + by_x @ (digamma(r + x) - digamma(r) + np.log(alpha)),
                total(by_power, (r + pairs.x) / from_start)
                + total(by_z, remaining / from_start)
                + customers * r / alpha,
                total(by_power, log_loss) + total(by_g, g_by_s) + customers * np.log(beta),
                total(by_power, s / remaining) - by_z.sum() + customers * s / beta,
            ]
        )
        return value, slope * parameters
