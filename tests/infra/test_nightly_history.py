"""An execution's history holds 25,000 events, and one execution catches up on all the nights that were missed."""

from __future__ import annotations

import re
from datetime import date
from typing import Any

import pytest

from infra.nightly import NightlyParts, nightly_machine
from shared.analytics.meaning import night_catalog
from shared.analytics.nightly import CATCH_UP_NIGHTS

EVENTS = {"Task": 5, "Choice": 2, "Pass": 2, "Wait": 2}
"""What a state writes into the history; an item of a Map is 2 besides."""
TASK_SECONDS = 0.2
LONGER = re.compile(r"\{% \$exists\((\S+)\) \? \$min\(\[\1 \* (\d+), (\d+)\]\) : (\d+) %\}")


def analysis_states() -> dict[str, Any]:
    names = {name: name for name in NightlyParts.__dataclass_fields__}
    night = nightly_machine(NightlyParts(**names), [])["States"]["Nights"]["ItemProcessor"]["States"]
    states: dict[str, Any] = night["Stage"]["ItemProcessor"]["States"]
    return states


def waited(state: dict[str, Any], before: float) -> float:
    """Seconds of this wait; `before` is what it was the last time."""
    said = LONGER.fullmatch(str(state["Seconds"]))
    if said is None:
        return float(state["Seconds"])
    factor, most, first = map(int, said.groups()[1:])
    return min(before * factor, most) if before else first


def written(seconds: float) -> int:
    """Events of one analysis whose queries each take so long."""
    states, name, count, clock, ends_at, wait = analysis_states(), "MadeBy", 2, 0.0, 0.0, 0.0
    while True:
        state = states[name]
        count += EVENTS[state["Type"]]
        clock += TASK_SECONDS if state["Type"] == "Task" else 0
        if "startQueryExecution" in state.get("Resource", ""):
            ends_at, wait = clock + seconds, 0.0
        if state["Type"] == "Wait":
            wait = waited(state, wait)
            clock += wait
        if state.get("End"):
            return count
        following = {rule.get("StringEquals"): rule["Next"] for rule in state.get("Choices", ())}
        name = (
            following["SUCCEEDED"]
            if "SUCCEEDED" in following and clock >= ends_at
            else state.get("Next") or state["Default"]
        )


@pytest.mark.parametrize(("seconds", "nights"), [(3, CATCH_UP_NIGHTS), (30, CATCH_UP_NIGHTS), (600, 1)])
def test_a_shop_whose_queries_take_long_can_end_its_night_and_catch_up_on_a_week(seconds: int, nights: int) -> None:
    """Looked at every second, half a minute each was 100,000 events: every night from then on failed where it was."""
    tonight = sum(analysis.tonight(date(2026, 3, 1)) for analysis in night_catalog())
    assert tonight > 20
    assert nights * tonight * written(seconds) < 25_000 * 0.9


def test_a_short_query_is_not_waited_for_longer_than_before() -> None:
    assert written(0) < written(3) == written(2.5)
