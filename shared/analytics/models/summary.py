"""From an order log to what the models see: x, t_x, T and mean value per customer, and what happened afterwards.

Orders of one customer on one day are one purchase (購入日単位), the rule of every BTYD paper and of our own analyses.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from shared.analytics.models.groups import FloatArray, Groups, IntArray, grouped, tally
from shared.core.errors import RejectedError

DAYS_PER = {"day": 1.0, "week": 7.0}


@dataclass(frozen=True, eq=False)
class OrderLog:
    """One entry per order; `customer` is a place in `names`, `day` a day number (any origin)."""

    names: npt.NDArray[Any]
    customer: IntArray
    day: IntArray
    amount: FloatArray

    @classmethod
    def of(cls, customers: npt.ArrayLike, days: npt.ArrayLike, amounts: npt.ArrayLike) -> OrderLog:
        """Columns of one length. Raises RejectedError when there is no order in them."""
        names, place = np.unique(np.asarray(customers), return_inverse=True)
        if not len(names):
            raise RejectedError("there are no orders")
        return cls(names, place.astype(np.int64), np.asarray(days, np.int64), np.asarray(amounts, np.float64))


@dataclass(frozen=True, eq=False)
class Summary:
    """One entry per customer who had bought by the end of the calibration, in the unit of time chosen."""

    names: npt.NDArray[Any]
    x: IntArray
    """Repeat purchase days."""
    t_x: FloatArray
    t_cal: FloatArray
    mean_value: FloatArray
    """Mean of the repeat days' totals; 0 where there is none."""
    first_value: FloatArray
    """Total of the first day."""
    log_gaps: float = 0.0
    """Σ ln(gap) over all gaps between purchase days: how regular purchases are."""
    holdout_x: IntArray | None = None
    """Purchase days after the calibration; None without a hold-out."""
    holdout_value: FloatArray | None = None
    holdout_time: float = 0.0

    def groups(self) -> tuple[Groups, IntArray]:
        """Equal histories together, and each customer's group."""
        groups, group = grouped(self.x, self.t_x, self.t_cal)
        return replace(groups, log_gaps=self.log_gaps), group


def summarise(log: OrderLog, unit: str, calibration_end: int, end: int | None = None) -> Summary:
    """The state at the end of day `calibration_end`, and the days after it up to `end` as hold-out.

    `unit` is "day" or "week". Raises RejectedError when nobody had bought by then.
    """
    per = DAYS_PER[unit]
    who, day, value = _purchase_days(log)
    known = day <= calibration_end
    if not known.any():
        raise RejectedError("nobody has an order on or before the calibration's end")
    buyers = np.unique(who[known])
    place = np.searchsorted(buyers, who)
    in_cal = np.flatnonzero(known)
    first = in_cal[np.searchsorted(who[in_cal], buyers)]
    visits = np.bincount(place[in_cal], minlength=len(buyers))
    last = in_cal[np.cumsum(visits) - 1]
    repeat_value = tally(place[in_cal], value[in_cal], len(buyers)) - value[first]
    x = visits - 1
    summary = Summary(
        names=log.names[buyers],
        x=x,
        t_x=(day[last] - day[first]) / per,
        t_cal=(calibration_end - day[first]) / per,
        mean_value=np.where(x > 0, repeat_value / np.maximum(x, 1), 0.0),
        first_value=value[first],
        log_gaps=_log_gaps(who[in_cal], day[in_cal], per),
    )
    if end is None or end <= calibration_end:
        return summary
    later = np.flatnonzero(~known & (day <= end) & np.isin(who, buyers))
    return replace(
        summary,
        holdout_x=np.bincount(place[later], minlength=len(buyers)),
        holdout_value=tally(place[later], value[later], len(buyers)),
        holdout_time=(end - calibration_end) / per,
    )


def _log_gaps(who: IntArray, day: IntArray, per: float) -> float:
    gaps = np.diff(day)[np.diff(who) == 0]
    return float(np.log(gaps / per).sum())


def _purchase_days(log: OrderLog) -> tuple[IntArray, IntArray, FloatArray]:
    """Customer, day and total of each purchase day, in that order."""
    origin = int(log.day.min())
    span = int(log.day.max()) - origin + 1
    codes, place = np.unique(log.customer * span + (log.day - origin), return_inverse=True)
    return codes // span, codes % span + origin, tally(place, log.amount, len(codes))
