"""What BG/NBD and MBG/NBD share: purchases at a gamma-distributed rate, drop-out at purchases with a beta-distributed
probability. They differ in one thing: whether a customer can be lost at the first purchase already (MBG) or not (BG).

Likelihood of a history, with k = 0 (BG, Fader, Hardie & Lee 2005, eq. 6) or k = 1 (MBG, Batislam, Denizel & Filiztekin
2007, eq. 1; Hoppe & Wagner 2007):

    Γ(r+x) α^r / Γ(r) · Γ(a+b) Γ(b+x+k) / (Γ(b) Γ(a+b+x+k)) · (α+t_x)^-(r+x) · [ q + c ]
    q = ((α+t_x) / (α+T))^(r+x),   c = a / (b+x+k-1)   (none for x = 0 in BG)

Both terms in the bracket are kept as logarithms, so nothing overflows or cancels.

With regularity k > 1 (MBG/CNBD-k, Platzer & Reutterer 2016; Reutterer, Platzer & Schroeder 2021, Int. J. of Research in
Marketing 38(1)) only every k-th event of the Poisson process is a purchase: x becomes kx where it goes with r, and q is
multiplied by Σ_{j<k} Γ(r+kx+j) / (Γ(r+kx) j!) ((T-t_x)/(α+T))^j, the events since the last purchase.
"""

from __future__ import annotations

from dataclasses import astuple, dataclass
from typing import ClassVar, Self

import numpy as np
import numpy.typing as npt
from scipy.linalg import eigh_tridiagonal
from scipy.special import digamma, gammaln

from shared.analytics.models.fitting import SAMPLE, Fit, Maximum, Prior, Problem, maximise, starting_scale
from shared.analytics.models.groups import FloatArray, Groups, IntArray, Pairs, tally, total

PARAMETERS = ("r", "alpha", "a", "b")
_RULES = (12, 16, 24, 32, 48, 64, 96, 128, 256)


@dataclass(frozen=True, slots=True)
class Kernel:
    """The likelihood over groups; `lost_at_first` is k."""

    groups: Groups
    lost_at_first: bool
    regularity: int = 1

    def __call__(self, place: FloatArray) -> tuple[float, FloatArray]:
        """Log-likelihood and gradient, both in the logarithms of (r, α, a, b)."""
        r, alpha, a, b = parameters = np.exp(place)
        pairs, count = self.groups.pairs, self.groups.count
        x, by_x = pairs.x_levels.astype(np.float64), self.groups.counted_by_x
        log_c, has_c = log_lost(x, a, b, self.lost_at_first)
        size = len(pairs.row)

        log_time = np.log(alpha + pairs.t_levels)[pairs.column]
        shape = r + self.regularity * x[pairs.row]
        power = shape * log_time
        level = pairs.row[pairs.at_last]
        log_q = power[pairs.at_last] - power[pairs.at_end]
        waited = waiting(self.groups, r, alpha, self.regularity)
        if waited is not None:
            log_q += waited.log_total
        log_bracket = np.logaddexp(log_q, log_c[level])
        alive = count * np.exp(log_q - log_bracket)

        value = total(count, log_bracket) - total(self.groups.counted_by_last, power)
        value += float(by_x @ self._coefficient(x, r, alpha, a, b))

        by_power = tally(pairs.at_last, alive - count, size) - tally(pairs.at_end, alive, size)
        by_c = np.where(has_c, tally(level, count - alive, len(x)), 0.0)
        slope = self._slope_of_coefficient(x, by_x, r, alpha, a, b)
        slope[0] += total(by_power, log_time)
        slope[1] += total(by_power, shape / (alpha + pairs.t_levels)[pairs.column])
        if waited is not None:
            slope[:2] += total(alive, waited.by_r), total(alive, waited.by_alpha)
        slope[2] += by_c.sum() / a
        slope[3] -= float((by_c / np.where(has_c, b + x + self.lost_at_first - 1, 1.0)).sum())
        return value, slope * parameters

    def _coefficient(self, x: FloatArray, r: float, alpha: float, a: float, b: float) -> FloatArray:
        """The part that depends on x alone."""
        y = x + self.lost_at_first
        rate = gammaln(r + self.regularity * x) - gammaln(r) + r * np.log(alpha)
        chance = gammaln(a + b) - gammaln(b) + gammaln(b + y) - gammaln(a + b + y)
        return np.asarray(rate + chance)

    def _slope_of_coefficient(
        self, x: FloatArray, by_x: FloatArray, r: float, alpha: float, a: float, b: float
    ) -> FloatArray:
        y = x + self.lost_at_first
        both = digamma(a + b) - digamma(a + b + y)
        return np.array(
            [
                by_x @ (digamma(r + self.regularity * x) - digamma(r) + np.log(alpha)),
                by_x.sum() * r / alpha,
                by_x @ both,
                by_x @ (both - digamma(b) + digamma(b + y)),
            ]
        )


@dataclass(frozen=True, slots=True)
class Waiting:
    """The sum over the events since the last purchase, per group: its logarithm and that one's derivatives."""

    terms: FloatArray
    """By event (0 to k-1) and group."""
    log_total: FloatArray
    by_r: FloatArray
    by_alpha: FloatArray


def waiting(groups: Groups, r: float, alpha: float, regularity: int) -> Waiting | None:
    """None for k = 1, where the sum is 1."""
    if regularity == 1:
        return None
    shape = r + regularity * groups.x
    share = (groups.t_cal - groups.t_x) / (alpha + groups.t_cal)
    terms, by_r, by_alpha = [np.ones(len(shape))], [np.zeros(len(shape))], [np.zeros(len(shape))]
    for j in range(1, regularity):
        terms.append(terms[-1] * (shape + j - 1) * share / j)
        by_r.append(by_r[-1] + 1 / (shape + j - 1))
        by_alpha.append(by_alpha[-1] - 1 / (alpha + groups.t_cal))
    each = np.array(terms)
    summed = each.sum(axis=0)
    return Waiting(
        each,
        np.log(summed),
        (each * np.array(by_r)).sum(axis=0) / summed,
        (each * np.array(by_alpha)).sum(axis=0) / summed,
    )


def estimate(groups: Groups, *, lost_at_first: bool, regularity: int = 1, prior: Prior | None = None) -> Maximum:
    """Maximum likelihood of (r, α, a, b). Raises RejectedError when there is nobody to learn from (never with a
    prior, which is what is known of nobody).
    """
    some = groups.thinned(SAMPLE)
    start = prior.center if prior else np.array([0.5, 0.5 * starting_scale(groups), 1.0, 2.5])
    return maximise(
        Problem(
            names=PARAMETERS,
            start=start,
            objective=Kernel(groups, lost_at_first, regularity),
            customers=groups.customers,
            sample=Kernel(some, lost_at_first, regularity) if some is not groups else None,
            sampled=some.customers,
            prior=prior,
        )
    )


def log_lost(x: FloatArray, a: float, b: float, lost_at_first: bool) -> tuple[FloatArray, npt.NDArray[np.bool_]]:
    """ln c per level of x (-∞ where the customer cannot have been lost), and where there is one."""
    has_c = np.full(len(x), True) if lost_at_first else x > 0
    below = np.where(has_c, b + x + lost_at_first - 1, 1.0)
    return np.where(has_c, np.log(a) - np.log(below), -np.inf), has_c


def p_alive(
    groups: Groups, r: float, alpha: float, a: float, b: float, *, lost_at_first: bool, regularity: int = 1
) -> FloatArray:
    """q / (q + c) per group, in [0, 1]."""
    pairs = groups.pairs
    x = pairs.x_levels.astype(np.float64)
    power = (r + regularity * pairs.x) * np.log(alpha + pairs.t_levels)[pairs.column]
    log_c, _ = log_lost(x, a, b, lost_at_first)
    log_odds_lost = log_c[pairs.row[pairs.at_last]] - power[pairs.at_last] + power[pairs.at_end]
    waited = waiting(groups, r, alpha, regularity)
    if waited is not None:
        log_odds_lost -= waited.log_total
    return np.asarray(np.exp(-np.logaddexp(0.0, log_odds_lost)))


def p_order_if_alive(groups: Groups, r: float, alpha: float, time: float) -> FloatArray:
    """Chance that somebody who is still a customer orders within `time`: they drop out only after an order."""
    pairs = groups.pairs
    ends = pairs.t_levels[pairs.column]
    chance = -np.expm1((r + pairs.x) * (np.log(alpha + ends) - np.log(alpha + ends + time)))
    return np.asarray(chance[pairs.at_end])


def orders_drawn(
    groups: Groups, r: float, alpha: float, a: float, b: float, time: float, draws: int, random: np.random.Generator
) -> IntArray:
    """Orders within `time` from now of somebody alive, drawn per group; shape (groups, draws). `b` is b+1 for MBG.

    Of their Poisson orders as many come as it takes to be lost.
    """
    size = (len(groups.x), draws)
    rate = random.standard_gamma((r + groups.x)[:, None], size) / (alpha + groups.t_cal)[:, None]
    return np.minimum(random.poisson(rate * time), draw_last(groups, a, b, size, random))


def draw_last(groups: Groups, a: float, b: float, size: tuple[int, int], random: np.random.Generator) -> IntArray:
    """The number of the order after which somebody will be lost, drawn per group."""
    chance = random.beta(a, np.broadcast_to((b + groups.x)[:, None], size))
    return np.asarray(random.geometric(np.clip(chance, 1e-12, 1.0)))


def orders_if_alive(pairs: Pairs, r: float, alpha: float, a: float, b: float, times: FloatArray) -> FloatArray:
    """Orders expected within each of `times` from somebody alive at the pair's t; shape (pairs, times).

    Over the posterior p ~ Beta(a, b+x), λ ~ Gamma(r+x, α+T) the expectation is E[(1 - e^(-λpt)) / p]; λ integrates in
    closed form, p by the Gauss rule of its own beta weight. The published form (Fader, Hardie & Lee 2005, eq. 10) needs
    2F1 and divides by a-1; this one has no singular parameter and only positive terms. `b` is b+1 for MBG.
    """
    ends = alpha + pairs.t_levels[pairs.column]
    size = rule_size(float(np.max(times, initial=0)) / ends, r + pairs.x)
    nodes, weights = beta_rule(a, b + pairs.x_levels.astype(np.float64), size)
    expected = np.empty((len(pairs.row), len(times)))
    shape = (r + pairs.x)[:, None]
    step = max(1, (1 << 21) // nodes.shape[1])
    for first in range(0, len(pairs.row), step):
        part = slice(first, first + step)
        chances = nodes[pairs.row[part]]
        share = weights[pairs.row[part]] / chances
        for place, time in enumerate(times):
            within = -np.expm1(-shape[part] * np.log1p(chances * (time / ends[part])[:, None]))
            expected[part, place] = np.einsum("ij,ij->i", within, share)
    return expected


def rule_size(ratio: FloatArray, shape: FloatArray) -> int:
    """Nodes for 14 digits at every ratio time/(α+T) and shape r+x; 256 (fewer digits) where that is not enough.

    The integrand is singular at p = -1/ratio. In an ellipse of sum ρ around [0, 1] that leaves it out, the error falls
    as ρ^-2n, but the integrand grows as its distance to the power -shape; where that is large, p is so small that the
    rule is Laguerre's, whose error falls as (1 + 2/ratio)^-2n. The better bound counts.
    """
    largest = np.maximum(ratio, 1e-9)
    distance = 1 + 2 / largest
    rho = distance + np.sqrt(distance * distance - 1)
    laguerre = 16 / np.log1p(2 / largest)
    wanted = laguerre
    for part in (0.3, 0.5, 0.7, 0.85, 0.95):
        inner = 1 + (rho - 1) * part
        left = 1 + largest * (1 - (inner + 1 / inner) / 2) / 2
        wanted = np.minimum(wanted, (32 - shape * np.log(np.maximum(left, 1e-300))) / (2 * np.log(inner)))
    most = float(np.max(wanted, initial=0))
    return next((size for size in _RULES if size >= most), _RULES[-1])


def beta_rule(a: float, b: FloatArray, size: int) -> tuple[FloatArray, FloatArray]:
    """Gauss rules for Beta(a, b) for each b: nodes in (0, 1) and weights that sum to 1, both (len(b), size).

    By the eigenvalues of the Jacobi matrix (Golub & Welsch 1969), which cannot overflow.
    """
    left, right = b[:, None] - 1.0, a - 1.0
    k = np.arange(1, size, dtype=np.float64)
    both = left + right
    first = (right - left) / (both + 2)
    diagonal = np.hstack([first, (right**2 - left**2) / ((2 * k + both) * (2 * k + both + 2))])
    ratio = (k + both) / (2 * k + both - 1)
    ratio[:, 0] = 1.0  # k = 1: the two factors are the same, and may both be 0
    beside = np.sqrt(4 * k * (k + left) * (k + right) * ratio / ((2 * k + both) ** 2 * (2 * k + both + 1)))
    nodes, weights = np.empty_like(diagonal), np.empty_like(diagonal)
    for place in range(len(b)):
        values, vectors = eigh_tridiagonal(diagonal[place], beside[place])
        nodes[place], weights[place] = values, vectors[0] ** 2
    return np.clip((1 + nodes) / 2, 1e-300, 1.0), weights


@dataclass(frozen=True, slots=True)
class BetaGeometric:
    """What both models can say: purchases ~ Poisson(λ), λ ~ Gamma(r, rate α); lost with chance p ~ Beta(a, b).

    α is in the unit of time of the data.
    """

    r: float
    alpha: float
    a: float
    b: float

    lost_at_first: ClassVar[bool]
    """Whether the first purchase can be the last (k of the likelihood)."""

    @classmethod
    def fit(cls, groups: Groups, prior: Prior | None = None) -> Fit[Self]:
        """By maximum likelihood; with a prior, the mode. Raises RejectedError when there is nobody to learn from."""
        found = estimate(groups, lost_at_first=cls.lost_at_first, prior=prior)
        return Fit.at(cls(*map(float, found.parameters)), found, groups.customers)

    def log_likelihood(self, groups: Groups) -> float:
        """Of all customers together."""
        return Kernel(groups, self.lost_at_first)(np.log(astuple(self)))[0]

    def expected_orders(self, groups: Groups, time: float) -> FloatArray:
        """E[orders within `time` from now], per group (Fader, Hardie & Lee 2005, eq. 10, for BG/NBD)."""
        return self.expected_orders_by(groups, np.array([time]))[:, 0]

    def expected_orders_by(self, groups: Groups, times: FloatArray) -> FloatArray:
        """The same for several horizons; shape (groups, times)."""
        return self.weighted_orders(groups, times, np.eye(len(times)))

    def weighted_orders(self, groups: Groups, times: FloatArray, weights: FloatArray) -> FloatArray:
        """Combinations of them, `weights` (times, …) each, made before the groups are: there are fewer (x, T)."""
        ends = groups.ends
        if_alive = orders_if_alive(ends, *self._if_alive, times) @ weights
        return np.asarray((if_alive[ends.at_end].T * self._alive(groups)).T)

    def p_order_within(self, groups: Groups, time: float) -> FloatArray:
        """P(at least one order within `time` from now), per group."""
        return self._alive(groups) * p_order_if_alive(groups, self.r, self.alpha, time)

    def orders_drawn(self, groups: Groups, time: float, draws: int, random: np.random.Generator) -> IntArray:
        """Orders within `time` from now of somebody alive, drawn; shape (groups, draws)."""
        return orders_drawn(groups, *self._if_alive, time, draws, random)

    @property
    def _if_alive(self) -> tuple[float, float, float, float]:
        """Whoever is alive also survived the first purchase, where that could be lost."""
        return self.r, self.alpha, self.a, self.b + self.lost_at_first

    def _alive(self, groups: Groups) -> FloatArray:
        return p_alive(groups, *astuple(self), lost_at_first=self.lost_at_first)
