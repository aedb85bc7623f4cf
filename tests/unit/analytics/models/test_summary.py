"""From orders to histories."""

from __future__ import annotations

from collections import defaultdict
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.analytics.models.summary import OrderLog, Summary, summarise
from shared.core.errors import RejectedError


def of(rows: list[tuple[str, int, float]], end: int, until: int | None = None, unit: str = "day") -> Summary:
    return summarise(OrderLog.of(*zip(*rows, strict=True)), unit, end, until)


def test_orders_of_one_day_are_one_purchase() -> None:
    found = of([("a", 10, 100.0), ("a", 10, 50.0), ("a", 17, 30.0), ("a", 17, 40.0), ("a", 24, 10.0)], 31, unit="week")
    assert found.x.tolist() == [2]
    assert found.t_x.tolist() == [2.0]
    assert found.t_cal.tolist() == [3.0]
    assert found.mean_value.tolist() == [40.0]
    assert found.first_value.tolist() == [150.0]


def test_the_calibration_ends_with_its_last_day() -> None:
    rows = [("a", 1, 5.0), ("a", 10, 6.0), ("a", 11, 7.0), ("a", 11, 1.0), ("b", 11, 9.0), ("a", 21, 1.0)]
    found = of(rows, 10, 20)
    assert found.names.tolist() == ["a"]  # b had not bought yet
    assert found.x.tolist() == [1]
    assert found.holdout_x is not None
    assert found.holdout_value is not None
    assert found.holdout_x.tolist() == [1]
    assert found.holdout_value.tolist() == [8.0]
    assert found.holdout_time == 10.0


def test_nobody_yet_is_refused() -> None:
    with pytest.raises(RejectedError, match="nobody has an order"):
        of([("a", 5, 1.0)], 4)
    with pytest.raises(RejectedError, match="no orders"):
        OrderLog.of([], [], [])


orders = st.lists(
    st.tuples(st.sampled_from("abcde"), st.integers(0, 30), st.integers(0, 9).map(float)), min_size=1, max_size=50
)


@settings(max_examples=80, deadline=None)
@given(orders, st.integers(0, 30), st.randoms())
def test_it_is_what_a_dictionary_would_count(rows: list[tuple[str, int, float]], end: int, random: Any) -> None:
    days: dict[str, dict[int, float]] = defaultdict(lambda: defaultdict(float))
    for who, day, amount in rows:
        days[who][day] += amount
    known = {who: bought for who, bought in days.items() if min(bought) <= end}
    random.shuffle(rows)
    if not known:
        return
    found = of(rows, end, 30)
    assert found.names.tolist() == sorted(known)
    for place, who in enumerate(sorted(known)):
        past = sorted(day for day in known[who] if day <= end)
        later = [day for day in known[who] if day > end]
        assert found.x[place] == len(past) - 1
        assert found.t_x[place] == past[-1] - past[0]
        assert found.t_cal[place] == end - past[0]
        assert found.mean_value[place] == pytest.approx(np.mean([known[who][d] for d in past[1:]]) if past[1:] else 0)
        if found.holdout_x is not None:
            assert found.holdout_x[place] == len(later)
