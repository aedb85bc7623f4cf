"""BG/NBD: repeat purchases without a contract (Fader, Hardie & Lee 2005, Marketing Science 24(2), 275-284)."""

from __future__ import annotations

from dataclasses import dataclass
from typing import ClassVar

from shared.analytics.models.beta_geometric import BetaGeometric
from shared.analytics.models.groups import FloatArray, Groups


@dataclass(frozen=True, slots=True)
class BgNbd(BetaGeometric):
    """A customer can be lost after a repeat purchase only.

    Forecasts counts well; it says nothing about who is lost (see `p_alive_optimistic`), so it has no `p_alive`, and
    離脱 asks MBG/NBD or Pareto/NBD.
    """

    lost_at_first: ClassVar[bool] = False

    def p_alive_optimistic(self, groups: Groups) -> FloatArray:
        """The model's P(alive), per group: a factor of its forecasts, **not** a sign of 離脱.

        It is 1 for everybody who bought once, however long ago: as a predictor of buying again it does worse than a
        coin (AUC .32 on CDNOW, where MBG/NBD has .69).
        """
        return self._alive(groups)
