"""Subscribers of one cohort (定期) as they leave: what sBG and BdW are fitted to."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from shared.analytics.models.groups import FloatArray, Numbers
from shared.core.errors import RejectedError


@dataclass(frozen=True, eq=False)
class Cohorts:
    """Subscribers by how long they stayed: `lost[t-1]` left in period t, `active[t-1]` are there after t periods
    with nothing known of later ones. Cohorts of different ages add up.
    """

    lost: FloatArray
    active: FloatArray

    @classmethod
    def of_survivors(cls, survivors: Numbers) -> Cohorts:
        """One cohort: subscribers at period 0, 1, 2, … Raises RejectedError for a curve that rises."""
        alive = np.asarray(survivors, np.float64)
        if alive.ndim != 1 or len(alive) < 2 or not np.all(np.isfinite(alive)) or alive[0] <= 0:
            raise RejectedError("survivors need a positive number at period 0 and at least one period after it")
        if np.any(np.diff(alive) > 0) or alive[-1] < 0:
            raise RejectedError("survivors can only become fewer, and not fewer than 0")
        active = np.zeros(len(alive) - 1)
        active[-1] = alive[-1]
        return cls(-np.diff(alive), active)

    @property
    def periods(self) -> FloatArray:
        """1, 2, … to the oldest."""
        return np.arange(1, len(self.lost) + 1, dtype=np.float64)

    @property
    def customers(self) -> int:
        """All subscribers."""
        return round(float(self.lost.sum() + self.active.sum()))


def horizon(discount: float) -> int:
    """Periods after which nothing counts any more (at most 20,000: without discounting a lifetime may be infinite)."""
    return min(20_000, int(np.ceil(40 / np.log1p(discount)))) if discount > 0 else 20_000
