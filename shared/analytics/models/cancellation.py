"""How good a list of calls was (解約見込みの検証): ranked then, known now, at the call centre's capacity."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any, Literal

from shared.core.errors import RejectedError

FEWEST_CANCELLED = 20
"""Below so many cancellations nothing can be told."""

Verdict = Literal["better", "not_better", "untested", "all_called"]


@dataclass(frozen=True, slots=True)
class Precision:
    """Of the contracts that could be called."""

    called: int
    cancelled: int
    """In all, called or not."""
    precision: float
    """Share of the called that cancelled."""
    recall: float | None
    """Share of the cancelled that would have been called; None where nobody cancelled."""
    base_rate: float
    """Share of all contracts that cancelled: what calling at random finds."""
    lift: float | None
    """Precision over base rate; None where nobody cancelled."""

    @classmethod
    def of(cls, contracts: int, cancelled: int, called: int, found: int) -> Precision:
        """From counts: `found` of the called have cancelled. Raises RejectedError when nobody could be called."""
        if contracts < 1 or called < 1:
            raise RejectedError("precision needs at least one ranked contract and one call")
        share, base = found / called, cancelled / contracts
        return cls(
            called,
            cancelled,
            share,
            found / cancelled if cancelled else None,
            base,
            share / base if cancelled else None,
        )


def audited(days: int, contracts: int, cancelled: int, called: int, found: int, found_newest: int) -> dict[str, Any]:
    """The week's verdict as stored and shown: the score beside the rule without one, fewest deliveries first.

    Counts as `cancellation_holdout_v1` gives them. Raises RejectedError when nobody could be called.
    """
    score = Precision.of(contracts, cancelled, called, found)
    naive = Precision.of(contracts, cancelled, called, found_newest)
    verdict = _verdict(score, naive, contracts)
    return {
        "verdict": verdict,
        "use": "newest" if verdict == "not_better" else "score",
        "days": days,
        "contracts": contracts,
        "score": asdict(score),
        "newest": asdict(naive),
    }


def _verdict(score: Precision, naive: Precision, contracts: int) -> Verdict:
    if score.called == contracts:
        return "all_called"
    if score.cancelled < FEWEST_CANCELLED:
        return "untested"
    return "better" if score.precision > max(naive.precision, score.base_rate) else "not_better"


def call_order(report: Mapping[str, Any] | None) -> str:
    """`score` or `newest`: in which order to call by the last verdict in a `model_audit` report."""
    return str(((report or {}).get("cancellation") or {}).get("use", "score"))
