"""The watchdog: silent while sweeps run, loud when they stop, and its figure is the one the alarm watches."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from functions.scenarios import watch_due
from shared.core.clock import SystemClock
from shared.core.errors import RejectedError
from shared.core.ids import CustomerId, ScenarioId, TenantId
from shared.scenarios.enrolment import Enrolment, Instance
from shared.scenarios.store import MemoryEnrolmentStore
from shared.scenarios.watchdog import LONGEST, PATIENCE, RUN, WatchDeps, is_turn, overdue, parse_sweeps

TENANT, CART = TenantId("mihon"), ScenarioId("cart_abandoned")
EVERY = timedelta(minutes=15)
NOW = SystemClock().now()


@pytest.fixture
def store() -> MemoryEnrolmentStore:
    return MemoryEnrolmentStore()


@pytest.fixture
def deps(store: MemoryEnrolmentStore) -> WatchDeps:
    return WatchDeps(store, lambda: [TENANT, TenantId("other")], {CART: EVERY})


def due(store: MemoryEnrolmentStore, number: int, ago: timedelta) -> None:
    at = NOW - ago
    store.arm(Enrolment(TENANT, CART, f"o{number}", CustomerId(f"p{number}"), Instance(), at, due_at=at))


def test_who_waits_for_the_next_sweep_is_not_late(store: MemoryEnrolmentStore, deps: WatchDeps) -> None:
    due(store, 1, timedelta(0))
    due(store, 2, EVERY + PATIENCE - timedelta(seconds=1))
    assert overdue(deps, NOW) == {}


def test_who_nobody_collected_is_counted_until_somebody_does(store: MemoryEnrolmentStore, deps: WatchDeps) -> None:
    for number in range(3):
        due(store, number, EVERY + PATIENCE + timedelta(minutes=1))
    assert overdue(deps, NOW) == {"mihon cart_abandoned": 3}
    for number in range(3):
        store.claim(TENANT, CART, f"o{number}", "run", "v1", NOW)
    assert overdue(deps, NOW) == {}


def test_a_scenario_is_looked_at_as_often_as_it_is_swept_and_once_an_hour_at_least() -> None:
    """Looking at all of them in every run would cost three times what the sweeps do."""
    runs = [NOW + RUN * number for number in range(96)]

    def looks(minutes: int, name: str = "a") -> int:
        return sum(is_turn(ScenarioId(name), timedelta(minutes=minutes), at) for at in runs)

    assert {minutes: looks(minutes) for minutes in (1, 15, 30, 60, 1440)} == {1: 96, 15: 96, 30: 48, 60: 24, 1440: 24}
    turns = {tuple(is_turn(ScenarioId(f"s{n}"), LONGEST, at) for at in runs[:4]) for n in range(40)}
    assert len(turns) == 4, "not all of them in the same run"


def test_the_function_s_metric_makes_the_alarm_fire(
    store: MemoryEnrolmentStore, deps: WatchDeps, capsys: pytest.CaptureFixture[str]
) -> None:
    """The alarm's condition (infra/admin.py) is a maximum above 0 of exactly this name."""
    due(store, 1, timedelta(hours=2))
    assert watch_due.handler({}, None, deps) == {"mihon cart_abandoned": 1}
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines() if "_aws" in line]
    assert [(line["SendsOverdue"], line["service"]) for line in lines] == [([1.0], "delivery")]


def test_settings_that_cannot_be_read_say_so() -> None:
    assert parse_sweeps("a:1,b:15") == {ScenarioId("a"): timedelta(minutes=1), ScenarioId("b"): EVERY}
    with pytest.raises(RejectedError):
        parse_sweeps("a:soon")
