"""Customers with the same purchase history, counted (design: models see groups, not people)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.core.errors import RejectedError

FloatArray = npt.NDArray[np.float64]
IntArray = npt.NDArray[np.int64]
Numbers = Sequence[float] | Sequence[int] | FloatArray | IntArray

_DENSE = 1 << 25
"""Up to this many cells, which of them occur is looked up in a table rather than by sorting."""


@dataclass(frozen=True, slots=True)
class Pairs:
    """The distinct (x, t) among the groups, where t is a last purchase or an end of observation."""

    x_levels: IntArray
    t_levels: FloatArray
    row: IntArray
    """Per pair, its place in `x_levels`; pairs are in the order of row, then column."""
    column: IntArray
    at_last: IntArray
    """Per group, the pair (x, t_x)."""
    at_end: IntArray
    """Per group, the pair (x, T)."""

    @property
    def x(self) -> FloatArray:
        """Repeat purchases of each pair."""
        return self.x_levels[self.row].astype(np.float64)


@dataclass(frozen=True, eq=False)
class Groups:
    """Columns of equal length, one entry per group; make them with `Groups.of`."""

    x: IntArray
    t_x: FloatArray
    t_cal: FloatArray
    count: IntArray
    log_gaps: float | None = None
    """Σ ln(gap) over all gaps between purchases of all customers; None: unknown, so how regular they are is too."""

    @classmethod
    def of(cls, x: Numbers, t_x: Numbers, t_cal: Numbers, count: Numbers | None = None) -> Groups:
        """Check and take over columns as they are. Raises RejectedError naming the first impossible row."""
        repeats, last, end = (np.asarray(column, np.float64) for column in (x, t_x, t_cal))
        number = np.ones(len(repeats)) if count is None else np.asarray(count, np.float64)
        if not repeats.shape == last.shape == end.shape == number.shape:
            raise RejectedError("x, t_x, T and count must be columns of the same length")
        for wrong, why in _impossible(repeats, last, end, number):
            if wrong.any():
                row = int(np.flatnonzero(wrong)[0])
                raise RejectedError(f"row {row + 1}: {why} (x={repeats[row]:g}, t_x={last[row]:g}, T={end[row]:g})")
        return cls(repeats.astype(np.int64), last, end, number.astype(np.int64))

    @property
    def customers(self) -> int:
        """Customers in all groups."""
        return int(self.count.sum())

    @cached_property
    def pairs(self) -> Pairs:
        """The distinct (x, t), found once and used by every evaluation of fit and prediction."""
        x_levels, row = levels(self.x)
        times, column = levels(np.concatenate([self.t_x, self.t_cal]))
        codes, place = levels(np.concatenate([row, row]) * len(times) + column, len(x_levels) * len(times))
        size = len(self.x)
        return Pairs(x_levels, times, codes // len(times), codes % len(times), place[:size], place[size:])

    @cached_property
    def ends(self) -> Pairs:
        """The distinct (x, T) alone: what the future of somebody alive depends on. Only `at_end` has a meaning."""
        pairs = self.pairs
        used = np.zeros(len(pairs.row), np.bool_)
        used[pairs.at_end] = True
        place = np.cumsum(used) - 1
        at_end = place[pairs.at_end]
        return Pairs(pairs.x_levels, pairs.t_levels, pairs.row[used], pairs.column[used], at_end, at_end)

    @cached_property
    def counted_by_x(self) -> FloatArray:
        """Customers at each level of x."""
        return tally(self.pairs.row[self.pairs.at_last], self.count, len(self.pairs.x_levels))

    @cached_property
    def counted_by_last(self) -> FloatArray:
        """Customers at each pair (x, t_x)."""
        return tally(self.pairs.at_last, self.count, len(self.pairs.row))

    def thinned(self, customers: int) -> Groups:
        """About so many of the customers, evenly over the groups as they stand: the start of a large fit."""
        if self.customers <= customers:
            return self
        kept = thinned_count(self.count, customers)
        some = kept > 0
        return Groups(self.x[some], self.t_x[some], self.t_cal[some], kept[some])


def total(left: FloatArray | IntArray, right: FloatArray) -> float:
    """Σ left · right over long columns, on one core: BLAS would wake the others for what takes microseconds."""
    return float(np.einsum("i,i->", left, right))


def thinned_count(count: IntArray, customers: int) -> IntArray:
    """So many of all customers, taken at even distances: the same sample every time."""
    upto = np.cumsum(count) * (customers / count.sum())
    return np.asarray(np.diff(np.floor(upto + 0.5).astype(np.int64), prepend=0), np.int64)


def tally(places: IntArray, weights: FloatArray | IntArray, size: int) -> FloatArray:
    """The sum of the weights at each place from 0 below `size`."""
    return np.asarray(np.bincount(places, weights, size), np.float64)


def grouped(x: Numbers, t_x: Numbers, t_cal: Numbers, count: Numbers | None = None) -> tuple[Groups, IntArray]:
    """Put equal histories together; also returns each row's group, to carry predictions back."""
    rows = Groups.of(x, t_x, t_cal, count)
    x_levels, row = levels(rows.x)
    lasts, last = levels(rows.t_x)
    ends, end = levels(rows.t_cal)
    pair_codes, pair = levels(row * len(ends) + end, len(x_levels) * len(ends))
    codes, group = levels(pair * len(lasts) + last, len(pair_codes) * len(lasts))
    number = tally(group, rows.count, len(codes)).astype(np.int64)
    pair_of = pair_codes[codes // len(lasts)]
    return Groups(x_levels[pair_of // len(ends)], lasts[codes % len(lasts)], ends[pair_of % len(ends)], number), group


def levels(values: npt.NDArray[Any], size: int | None = None) -> tuple[npt.NDArray[Any], IntArray]:
    """The distinct values in order, and the place of each value among them.

    `size`: values are whole numbers from 0 below it, and few enough cells are looked up instead of sorted.
    """
    if len(values) == 0:
        return values, np.zeros(0, np.int64)
    if values.dtype.kind == "f":
        for grain in (1.0, 7.0):  # days, and weeks made of days
            whole = np.rint(values * grain)
            if whole[0] / grain == values[0] and np.array_equal(whole / grain, values):
                distinct, place = levels(whole.astype(np.int64))
                return distinct / grain, place
    elif size is None and values.min() >= 0:
        size = int(values.max()) + 1
    if size is None or size > _DENSE:
        distinct = np.unique(values)
        return distinct, np.searchsorted(distinct, values)
    seen = np.zeros(size, np.bool_)
    seen[values] = True
    distinct = np.flatnonzero(seen)
    place = np.empty(size, np.int64)
    place[distinct] = np.arange(len(distinct))
    return distinct, place[values]


def _impossible(
    x: FloatArray, t_x: FloatArray, t_cal: FloatArray, count: FloatArray
) -> list[tuple[npt.NDArray[np.bool_], str]]:
    """What a history cannot be, with the reason."""
    finite = np.isfinite(x) & np.isfinite(t_x) & np.isfinite(t_cal) & np.isfinite(count)
    return [
        (~finite, "x, t_x, T and count must be numbers"),
        ((x < 0) | (x != np.floor(x)), "x counts repeat purchases: a whole number from 0"),
        ((t_x < 0) | (t_x > t_cal), "t_x lies between 0 and T"),
        ((x == 0) & (t_x != 0), "without repeat purchases t_x is 0"),
        ((count <= 0) | (count != np.floor(count)), "count is a whole number from 1"),
    ]
