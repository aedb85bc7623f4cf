"""How good a list of calls was (解約見込みの検証): ranked then, known now, at the call centre's capacity."""

from __future__ import annotations

from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass

from shared.core.errors import RejectedError


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


def precision_at(ranked: Sequence[str], cancelled: AbstractSet[str], capacity: int) -> Precision:
    """`ranked`: contracts by their place, as the analysis gave them on an earlier day; `cancelled`: those that have
    since. Raises RejectedError when nothing was ranked or nobody can be called.
    """
    if not ranked or capacity < 1:
        raise RejectedError("precision needs at least one ranked contract and one call")
    called = ranked[:capacity]
    found = sum(contract in cancelled for contract in called)
    lost = sum(contract in cancelled for contract in ranked)
    share, base = found / len(called), lost / len(ranked)
    return Precision(len(called), lost, share, found / lost if lost else None, base, share / base if lost else None)
