"""The hypergeometric function of Pareto/NBD, as a share between 0 and 1.

For somebody with x purchases who is alive at t, and of whom nothing is heard after t, let

    g = s/(s+b) · 2F1(1, b; s+b+1; z),   b = r+x,  z = (α-β)/(α+t)

(2F1 of Fader & Hardie 2005, "A Note on Deriving the Pareto/NBD Model", after Euler's transform, which moves its power
out; there the power stays in logarithms). Then g is ∫ over drop-out times after t of "no purchase until drop-out"; it
lies in (0, 1) for all parameters, α < β included, and nothing overflows. It obeys

    (s+b) g(b) = s + b z g(b+1)

so all x follow from one, each at the price of a multiplication; that one comes from quadrature of
g = E[(1 + (1-z)(e^Y - 1))^-b], Y ~ Exp(s). Derivatives obey the derivative of the same line.
"""

from __future__ import annotations

import numpy as np

from shared.analytics.models.groups import FloatArray, IntArray

_NODES_APART = 0.08

_AT_ONCE = 2_048
"""Columns integrated together: of times to the second there may be as many as customers."""


def lapse(x_levels: IntArray, ends: FloatArray, row: IntArray, column: IntArray, parameters: FloatArray) -> FloatArray:
    """g and its derivatives by r, s and z for pairs (row, column) of levels, in that order; shape (4, pairs).

    `ends` ascend; `parameters` are r, α, s, β; pairs are sorted by row, then column.
    """
    if not len(row):
        return np.zeros((4, 0))
    r, alpha, s, beta = parameters
    z = (alpha - beta) / (alpha + ends)
    start = _starts(z, r, s, int(x_levels[-1]))
    at_start = _by_quadrature(r + start, (beta + ends) / (alpha + ends), s)
    limits = np.searchsorted(row, np.arange(len(x_levels) + 1))
    found = np.empty((4, len(row)))
    _downwards(found, x_levels, limits, column, start, at_start, z, r, s)
    if start[0] < x_levels[-1]:
        _upwards(found, x_levels, limits, column, start, at_start, z, r, s)
    return found


def _starts(z: FloatArray, r: float, s: float, top: int) -> IntArray:
    """From which x to go, per column: downwards is stable while b|z| ≤ s+b, upwards from there on."""
    steep = np.maximum(-z - 1, 0)
    turning = np.where(steep * (top + r) <= s, top, np.ceil(s / np.maximum(steep, 1e-300) - r))
    return np.asarray(np.clip(turning, 0, top).astype(np.int64))


def _downwards(
    found: FloatArray,
    x_levels: IntArray,
    limits: IntArray,
    column: IntArray,
    start: IntArray,
    at_start: FloatArray,
    z: FloatArray,
    r: float,
    s: float,
) -> None:
    """Fill the pairs at or below their column's start (columns with a higher start are to the right)."""
    values = at_start.copy()
    level = len(x_levels) - 1
    for x in range(int(x_levels[-1]), int(x_levels[0]) - 1, -1):
        first = int(np.searchsorted(start, x, side="right"))
        if first < len(z):
            _step_down(values[:, first:], z[first:], r + x, s)
        if x == x_levels[level]:
            low, high = limits[level], limits[level + 1]
            low += np.searchsorted(column[low:high], np.searchsorted(start, x, side="left"))
            found[:, low:high] = values[:, column[low:high]]
            level -= 1


def _upwards(
    found: FloatArray,
    x_levels: IntArray,
    limits: IntArray,
    column: IntArray,
    start: IntArray,
    at_start: FloatArray,
    z: FloatArray,
    r: float,
    s: float,
) -> None:
    """Fill the pairs above their column's start."""
    values = at_start.copy()
    level = int(np.searchsorted(x_levels, start[0] + 1))
    for x in range(int(start[0]) + 1, int(x_levels[-1]) + 1):
        last = int(np.searchsorted(start, x, side="left"))
        _step_up(values[:, :last], z[:last], r + x - 1, s)
        if x == x_levels[level]:
            low, high = limits[level], limits[level + 1]
            high = low + np.searchsorted(column[low:high], last)
            found[:, low:high] = values[:, column[low:high]]
            level += 1


def _step_down(values: FloatArray, z: FloatArray, b: float, s: float) -> None:
    """From b+1 to b, in place."""
    above = values[0].copy()
    values *= (b / (s + b)) * z
    values[0] += s / (s + b)
    values[1] += (z * above - values[0]) / (s + b)
    values[2] += (1 - values[0]) / (s + b)
    values[3] += (b / (s + b)) * above


def _step_up(values: FloatArray, z: FloatArray, b: float, s: float) -> None:
    """From b to b+1, in place."""
    g, by_r, by_s, by_z = values.copy()
    across = b * z
    values[0] = ((s + b) * g - s) / across
    values[1] = (g + (s + b) * by_r - z * values[0]) / across
    values[2] = (g + (s + b) * by_s - 1) / across
    values[3] = ((s + b) * by_z - b * values[0]) / across


def _by_quadrature(b: FloatArray, k: FloatArray, s: float) -> FloatArray:
    """g and its derivatives at (b, z = 1-k): the double exponential rule (Takahasi & Mori 1974) over y > 0.

    Every scale of the integrand (1/s, 1/b, 1/bk) is some way along ln y, on which the nodes lie evenly.
    """
    fastest = s + float(np.max(b * np.maximum(k, 1.0)))
    v = np.arange(-3.8, np.log(45 * fastest / s) + _NODES_APART, _NODES_APART)
    y = np.exp(v - np.exp(-v)) / fastest
    weight = _NODES_APART * (1 + np.exp(-v)) * y * s * np.exp(-s * y)
    found = np.empty((4, len(b)))
    for start in range(0, len(b), _AT_ONCE):
        some = slice(start, start + _AT_ONCE)
        found[:, some] = _integrals(b[some], k[some], s, y, weight)
    return found


def _integrals(b: FloatArray, k: FloatArray, s: float, y: FloatArray, weight: FloatArray) -> FloatArray:
    """g and its derivatives by r, s and z, from nodes and weights."""
    gone = -np.expm1(-y)
    rest = np.exp(-y) + k[:, None] * gone
    log_rise = y + np.log(rest)
    density = weight * np.exp(-b[:, None] * log_rise)
    g = density.sum(axis=1)
    by_r = -np.einsum("ij,ij->i", density, log_rise)
    by_s = g / s - np.einsum("ij,j->i", density, y)
    by_z = b * np.einsum("ij,ij->i", density, gone / rest)
    return np.stack([g, by_r, by_s, by_z])
