"""Maximum likelihood in the logarithms of the parameters, with an honest answer about what the data could not say."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Generic, TypeVar

import numpy as np
from scipy.optimize import minimize

from shared.analytics.models.groups import FloatArray, Groups
from shared.core.errors import RejectedError

M = TypeVar("M")

Objective = Callable[[FloatArray], tuple[float, FloatArray]]
"""Logarithms of the parameters → log-likelihood of all customers and its gradient in those logarithms."""

LOG_RANGE = 14.0
"""A parameter may differ from its scale by a factor of e^14 either way: further is a ridge, not an estimate."""

VAGUE = 2.0
"""A direction known no better than by a factor of e^2 (one standard error) is called a ridge."""

SAMPLE = 20_000
"""Customers in the sample that larger fits start from."""

_SHARE = 0.3
"""From this part in a flat direction on, a parameter is named."""

_STEP = 1e-4
_GRADIENT = 1e-8
_FRACTION = 3e-4
"""Of a standard error: how near a large fit comes to the maximum."""


@dataclass(frozen=True, slots=True)
class Fit(Generic[M]):
    """A fitted model and whether to believe it."""

    model: M
    log_likelihood: float
    customers: int
    converged: bool
    """Whether the optimiser reached a stationary point; `message` is its own word."""
    message: str
    evaluations: int
    """Evaluations on all data (not those on the sample a large fit starts from)."""
    standard_errors: Mapping[str, float | None]
    """None where the data do not identify the parameter."""
    ridge: tuple[str, ...] = ()
    """Parameters that the data leave open (at a bound, or the likelihood is flat along them): predictions inside the
    observed range may still be good, the parameters mean nothing.
    """
    notes: tuple[str, ...] = field(default=())
    pooled: bool = False
    """Few customers: the parameters are drawn towards published ones (see `priors.py`)."""

    @classmethod
    def at(cls, model: M, maximum: Maximum, customers: int, notes: Sequence[str] = ()) -> Fit[M]:
        """The model that stands at a maximum."""
        return cls(
            model,
            maximum.log_likelihood,
            customers,
            maximum.converged,
            maximum.message,
            maximum.evaluations,
            maximum.standard_errors,
            maximum.ridge,
            (*notes, *maximum.notes),
            maximum.pooled,
        )

    @property
    def reliable(self) -> bool:
        """Converged, and every parameter is identified."""
        return self.converged and not self.ridge


@dataclass(frozen=True, slots=True)
class Prior:
    """What is known before any data: independent normal distributions of the logarithms of the parameters."""

    center: FloatArray
    """Parameters (not logarithms)."""
    spread: FloatArray
    """Standard deviations of the logarithms."""
    source: str

    def penalised(self, objective: Objective) -> Objective:
        """The posterior, but for a constant."""
        center = np.log(self.center)

        def posterior(place: FloatArray) -> tuple[float, FloatArray]:
            value, slope = objective(place)
            away = (place - center) / self.spread
            return value - 0.5 * float(away @ away), slope - away / self.spread

        return posterior


@dataclass(frozen=True, slots=True)
class Problem:
    """What is maximised: on all data, and on a sample of them where that pays."""

    names: tuple[str, ...]
    start: FloatArray
    """Parameters (not logarithms) to start from; also the scale that bounds are relative to."""
    objective: Objective
    customers: int
    sample: Objective | None = None
    sampled: int = 0
    lowest: Mapping[str, float] = field(default_factory=dict)
    """Lower bounds of single parameters."""
    prior: Prior | None = None
    """With it the mode of the posterior is found, not the maximum of the likelihood."""

    def bounds(self) -> list[tuple[float, float]]:
        """Of the logarithms."""
        ranges = [(value - LOG_RANGE, value + LOG_RANGE) for value in np.log(self.start)]
        return [
            (float(np.log(self.lowest[name])) if name in self.lowest else low, high)
            for name, (low, high) in zip(self.names, ranges, strict=True)
        ]


@dataclass(frozen=True, slots=True)
class Maximum:
    """Where the likelihood is greatest, and how it curves there."""

    parameters: FloatArray
    log_likelihood: float
    converged: bool
    message: str
    evaluations: int
    standard_errors: Mapping[str, float | None]
    ridge: tuple[str, ...]
    pooled: bool = False
    notes: tuple[str, ...] = ()


def starting_scale(groups: Groups) -> float:
    """A customer's mean time between purchases, in the data's unit: what α is of the order of.

    Raises RejectedError without customers or without any time.
    """
    time, orders = float(groups.count @ groups.t_cal), float(groups.count @ groups.x)
    if time <= 0:
        raise RejectedError("nobody has been observed for any time: there is nothing to learn from")
    return time / max(orders, 1.0)


def maximise(problem: Problem) -> Maximum:
    """Find the maximum. Large data start from a sample's answer, in coordinates in which that one is round.

    With the sample's curvature as the metric, the whole data need about five evaluations instead of twenty.
    """
    if problem.prior is not None:
        return _mode(problem, problem.prior)
    if problem.sample is None:
        at, value, converged, message, evaluations = _climb(problem.objective, problem, np.log(problem.start))
        curvature = _curvature(problem.objective, at)
        return _maximum(problem, at, value, converged, message, evaluations, curvature)
    near, *_ = _climb(problem.sample, problem, np.log(problem.start), problem.sampled)
    curvature = _curvature(problem.sample, near) * (problem.customers / problem.sampled)
    if _flat(problem, near, curvature):
        at, value, converged, message, evaluations = _climb(problem.objective, problem, near)
        curvature = _curvature(problem.objective, at)
    else:
        at, value, converged, message, evaluations = _climb_round(problem, near, curvature)
    return _maximum(problem, at, value, converged, message, evaluations, curvature)


def _mode(problem: Problem, prior: Prior) -> Maximum:
    """The mode of the posterior; the log-likelihood told is that of the data alone."""
    objective = prior.penalised(problem.objective)
    at, value, converged, message, evaluations = _climb(objective, problem, np.log(problem.start))
    found = _maximum(problem, at, value, converged, message, evaluations, _curvature(objective, at))
    said = f"pooled: {problem.customers} customers are few, the parameters are drawn towards {prior.source}"
    return replace(found, log_likelihood=problem.objective(at)[0], pooled=True, notes=(said,))


_Climbed = tuple[FloatArray, float, bool, str, int]


def _climb(objective: Objective, problem: Problem, start: FloatArray, customers: int | None = None) -> _Climbed:
    """L-BFGS-B (Byrd, Lu, Nocedal & Zhu 1995) on the likelihood per customer, inside the bounds."""
    number = customers or max(problem.customers, 1)
    bounds = problem.bounds()
    found = minimize(
        _negative(objective, number),
        np.clip(start, *np.transpose(bounds)),
        jac=True,
        method="L-BFGS-B",
        bounds=bounds,
        options={"maxiter": 500, "maxfun": 1000, "ftol": 1e-15, "gtol": _GRADIENT, "maxcor": 20},
    )
    return (
        found.x,
        -float(found.fun) * number,
        _stationary(found.x, found.jac, bounds),
        str(found.message),
        int(found.nfev),
    )


def _climb_round(problem: Problem, near: FloatArray, curvature: FloatArray) -> _Climbed:
    """The same, from a sample's answer, in its standard errors: there the likelihood is about a unit sphere."""
    stretch = np.linalg.inv(np.linalg.cholesky(curvature)).T
    low, high = np.transpose(problem.bounds())
    negative = _negative(problem.objective, 1)

    def rounded(place: FloatArray) -> tuple[float, FloatArray]:
        value, slope = negative(np.clip(near + stretch @ place, low, high))
        return value, stretch.T @ slope

    options = {"maxiter": 100, "maxfun": 200, "ftol": 1e-15, "gtol": _FRACTION}
    found = minimize(rounded, np.zeros(len(near)), jac=True, method="L-BFGS-B", options=options)
    at = np.clip(near + stretch @ found.x, low, high)
    slope = np.linalg.solve(stretch.T, found.jac) / problem.customers
    converged = _stationary(at, slope, problem.bounds())
    return at, -float(found.fun), converged, str(found.message), int(found.nfev)


def _negative(objective: Objective, customers: int) -> Objective:
    def negative(place: FloatArray) -> tuple[float, FloatArray]:
        value, slope = objective(place)
        return -value / customers, -slope / customers

    return negative


def _stationary(at: FloatArray, slope: FloatArray, bounds: Sequence[tuple[float, float]]) -> bool:
    """Whether nothing more is to be gained, whatever ended the search (rounding often ends it first)."""
    low, high = np.transpose(bounds)
    inward = np.where(at <= low, np.minimum(slope, 0), np.where(at >= high, np.maximum(slope, 0), slope))
    return bool(np.all(np.isfinite(at)) and np.max(np.abs(inward)) < 1e-6)


def _curvature(objective: Objective, at: FloatArray) -> FloatArray:
    """The observed information: minus the second derivatives, by central differences of the exact gradient."""
    rows = []
    for direction in np.eye(len(at)) * _STEP:
        rows.append((objective(at - direction)[1] - objective(at + direction)[1]) / (2 * _STEP))
    second = np.array(rows)
    return (second + second.T) / 2


def _flat(problem: Problem, at: FloatArray, curvature: FloatArray) -> tuple[str, ...]:
    """The parameters that stand at a bound or lie along a direction in which the likelihood hardly falls."""
    low, high = np.transpose(problem.bounds())
    bound = (at <= low + 1e-3) | (at >= high - 1e-3)
    open_ = bound.copy()
    inside = np.flatnonzero(~bound)
    if len(inside):
        falls, directions = np.linalg.eigh(curvature[np.ix_(inside, inside)])
        for fall, direction in zip(falls, directions.T, strict=True):
            if not fall > VAGUE**-2:
                open_[inside[np.abs(direction) > _SHARE]] = True
    return tuple(name for name, here in zip(problem.names, open_, strict=True) if here)


def _maximum(
    problem: Problem,
    at: FloatArray,
    value: float,
    converged: bool,
    message: str,
    evaluations: int,
    curvature: FloatArray,
) -> Maximum:
    ridge = _flat(problem, at, curvature)
    parameters = np.exp(at)
    if converged and "CONVERGENCE" not in message:
        message = f"stationary; the search ended with {message.strip(' :') or 'nothing'}, in the rounding of its sums"
    errors = _standard_errors(problem.names, parameters, curvature, ridge)
    return Maximum(parameters, value, converged, message, evaluations, errors, ridge)


def _standard_errors(
    names: Sequence[str], parameters: FloatArray, curvature: FloatArray, ridge: Sequence[str]
) -> dict[str, float | None]:
    """From the inverse information, by the delta method; the parameters of a ridge are taken as given."""
    known = [place for place, name in enumerate(names) if name not in ridge]
    errors: dict[str, float | None] = dict.fromkeys(names)
    if known:
        variances = np.diag(np.linalg.pinv(curvature[np.ix_(known, known)], hermitian=True))
        for place, variance in zip(known, variances, strict=True):
            if variance > 0:
                errors[names[place]] = float(parameters[place] * np.sqrt(variance))
    return errors
