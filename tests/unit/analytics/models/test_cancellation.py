"""Precision of the calls, at what the call centre can do."""

from __future__ import annotations

import pytest

from shared.analytics.models.cancellation import Precision, audited, call_order
from shared.core.errors import RejectedError


def test_precision_recall_and_lift_at_capacity() -> None:
    found = Precision.of(contracts=8, cancelled=3, called=4, found=2)
    assert (found.called, found.cancelled) == (4, 3)
    assert (found.precision, found.base_rate) == (0.5, 0.375)
    assert found.recall == pytest.approx(2 / 3)
    assert found.lift == pytest.approx(4 / 3)


def test_nobody_cancelled() -> None:
    found = Precision.of(contracts=2, cancelled=0, called=2, found=0)
    assert (found.precision, found.recall, found.lift) == (0.0, None, None)


@pytest.mark.parametrize(("contracts", "called"), [(0, 0), (1, 0)])
def test_nothing_to_call_is_refused(contracts: int, called: int) -> None:
    with pytest.raises(RejectedError):
        Precision.of(contracts, 0, called, 0)


@pytest.mark.parametrize(
    ("counts", "verdict", "use"),
    [
        ((900, 90, 100, 30, 20), "better", "score"),
        ((900, 90, 100, 20, 20), "not_better", "newest"),
        ((900, 90, 100, 9, 5), "not_better", "newest"),  # ahead of the rule, behind calling at random
        ((900, 19, 100, 12, 2), "untested", "score"),
        ((90, 30, 90, 30, 30), "all_called", "score"),
    ],
)
def test_the_calls_are_ordered_by_what_found_more(
    counts: tuple[int, int, int, int, int], verdict: str, use: str
) -> None:
    found = audited(28, *counts)
    assert (found["verdict"], found["use"]) == (verdict, use)
    assert call_order({"cancellation": found}) == use
    assert found["score"]["base_rate"] == counts[1] / counts[0]
    assert found["newest"]["precision"] == counts[4] / counts[2]


def test_what_was_never_audited_is_ordered_by_the_score() -> None:
    assert call_order(None) == call_order({"audit": {}}) == call_order({"cancellation": None}) == "score"
