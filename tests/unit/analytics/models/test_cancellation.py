"""Precision of the calls, at what the call centre can do."""

from __future__ import annotations

import pytest

from shared.analytics.models.cancellation import precision_at
from shared.core.errors import RejectedError


def test_precision_recall_and_lift_at_capacity() -> None:
    found = precision_at(["a", "b", "c", "d", "e", "f", "g", "h"], {"a", "c", "g", "elsewhere"}, 4)
    assert (found.called, found.cancelled) == (4, 3)
    assert (found.precision, found.base_rate) == (0.5, 0.375)
    assert found.recall == pytest.approx(2 / 3)
    assert found.lift == pytest.approx(4 / 3)


def test_nobody_cancelled() -> None:
    found = precision_at(["a", "b"], set(), 5)
    assert (found.precision, found.recall, found.lift) == (0.0, None, None)


@pytest.mark.parametrize(("ranked", "capacity"), [([], 3), (["a"], 0)])
def test_nothing_to_call_is_refused(ranked: list[str], capacity: int) -> None:
    with pytest.raises(RejectedError):
        precision_at(ranked, set(), capacity)
