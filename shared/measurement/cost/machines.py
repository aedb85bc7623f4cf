"""State transitions of the scenarios' machines (状態遷移), read from their definitions: each costs $0.000025."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from shared.measurement.cost.preview import ways_of
from shared.scenarios.compile import compile_scenario
from shared.scenarios.model import Scenario


def transitions_per_step(scenarios: Iterable[Scenario]) -> float:
    """Of a cohort that fits into one batch, for each message on its longest way: choices, waits and ends included."""
    known = list(scenarios)
    passed = sum(transitions(compile_scenario(each, "step")) for each in known)
    return passed / sum(max(way.total() for way in ways_of(each.steps)) for each in known)


def transitions(machine: Mapping[str, Any]) -> int:
    """States entered by one batch on the longest way: of a Parallel, everybody takes one arm and finds nobody in the
    others; nothing is put off.
    """
    states, name, entered = machine["States"], machine["StartAt"], 0
    while name:
        state = states[name]
        entered += 1
        if state["Type"] == "Parallel":
            ways = sorted(transitions(branch) for branch in state["Branches"])
            return entered + ways[-1] + 2 * (len(ways) - 1)
        name = _next(state)
    return entered


def _next(state: Mapping[str, Any]) -> str | None:
    """An arm that somebody takes, a cohort of one batch, a send that was done."""
    if state["Type"] != "Choice":
        return state.get("Next")
    first = state["Choices"][0]
    goes_on = first.get("Variable") == "$.cohort.batches" or "Condition" in first
    return str(first["Next"] if goes_on else state["Default"])
