"""MBG/NBD: repeat purchases without a contract, and customers who never come back after the first one.

Batislam, Denizel & Filiztekin 2007 (Int. J. of Research in Marketing 24(3), 201-209); Hoppe & Wagner 2007 (Marketing
ZFP 29(2), 75-90).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from shared.analytics.models.beta_geometric import BetaGeometric
from shared.analytics.models.groups import FloatArray, Groups


@dataclass(frozen=True, slots=True)
class MbgNbd(BetaGeometric):
    """As BG/NBD, but a customer may be lost at the first purchase too."""

    lost_at_first: ClassVar[bool] = True

    def p_alive(self, groups: Groups) -> FloatArray:
        """P(still a customer), per group: what 離脱 is judged by."""
        return self._alive(groups)
