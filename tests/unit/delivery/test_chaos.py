"""A share of every suite of `make chaos`, and the tests of those tests: a guard taken away must be noticed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from shared.core.errors import UnavailableError
from shared.customers.stream import fold_records
from shared.delivery import pacing, send, store, unsubscribe
from shared.delivery.links import clicks
from shared.delivery.model import Outcome, Reason, SendState
from shared.scenarios import rules
from shared.scenarios.store import MemoryEnrolmentStore
from tests.chaos import poison
from tests.chaos.__main__ import main
from tests.chaos.suite import Suite, run
from tests.chaos.suites import SUITES

BY_TEST = {suite.test: suite for suite in SUITES}


@pytest.mark.parametrize("suite", SUITES, ids=lambda suite: suite.test)
def test_nothing_is_violated(suite: Suite) -> None:
    result = run(suite, "suite", range(max(4, suite.cases // 400)), workers=1)
    assert not result.violations


def _trust_the_first_read(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(send, "FRESH_SECONDS", 1e9)


def _act_on_every_method(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(
        unsubscribe, "show", lambda text, deps: unsubscribe.act(text, ONE_CLICK, deps, deps.customers._clock.now())
    )


ONE_CLICK = unsubscribe.Submission("application/x-www-form-urlencoded", b"List-Unsubscribe=One-Click")


def _repeat_what_is_in_doubt(patch: pytest.MonkeyPatch) -> None:
    original = send._Delivery._record

    def record(self: send._Delivery, outcome: Outcome) -> Outcome:
        if outcome.state is not SendState.UNKNOWN:
            return original(self, outcome)
        self._let_go(Reason.NONE)
        raise UnavailableError("try again")

    patch.setattr(send._Delivery, "_record", record)


def _reserve_without_looking(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(store, "free", lambda row, attempt, now: True)


def _claim_for_everybody(patch: pytest.MonkeyPatch) -> None:
    original = MemoryEnrolmentStore.record

    def record(self: MemoryEnrolmentStore, enrolment: Any, *said: Any) -> bool:
        return original(self, enrolment, *said) and enrolment.occurrence[0] not in "abcd"

    patch.setattr(MemoryEnrolmentStore, "record", record)


def _mail_whoever_bought(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(rules, "exit_reason", lambda *given: None)


def _take_programs_for_people(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(clicks, "is_machine_agent", lambda agent: False)


def _receive_what_is_dead_again(patch: pytest.MonkeyPatch) -> None:
    """A stack whose queue gives up later."""
    known = poison.fed()
    patch.setattr(poison, "fed", lambda: replace(known, receives=known.receives + 1))


def _keep_the_due_under_one_key(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("shared.scenarios.store.SHARDS", 1)


def _take_each_coupon_alone(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("shared.delivery.coupons.issue.TOGETHER", 1)


def _count_each_text_alone(patch: pytest.MonkeyPatch) -> None:
    patch.setattr("shared.delivery.spend.budget.LOT", 1)


def _stand_in_one_queue(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(pacing, "PER_QUEUE", 1_000_000)


def _take_each_slot_alone(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(pacing.Pace, "_wanted", lambda *given: 1)


def _go_on_in_a_pause(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(MemoryEnrolmentStore, "paused", lambda *given: False)


def _take_nobody_out(patch: pytest.MonkeyPatch) -> None:
    patch.setattr(MemoryEnrolmentStore, "eject", lambda *given: True)


@pytest.mark.parametrize(
    ("without", "test"),
    [
        (_mail_whoever_bought, "T2"),
        (_repeat_what_is_in_doubt, "T3"),
        (_reserve_without_looking, "T4"),
        (_reserve_without_looking, "T11"),
        (_claim_for_everybody, "T6"),
        (_trust_the_first_read, "T15"),
        (_act_on_every_method, "T16"),
        (_take_programs_for_people, "T16"),
        (_receive_what_is_dead_again, "T12"),
        (_keep_the_due_under_one_key, "T13"),
        (_stand_in_one_queue, "T13"),
        (_take_each_slot_alone, "T13"),
        (_take_each_coupon_alone, "T13"),
        (_count_each_text_alone, "T13"),
        (_go_on_in_a_pause, "T20"),
        (_take_nobody_out, "T20"),
    ],
)
def test_a_guard_taken_away_is_noticed(
    monkeypatch: pytest.MonkeyPatch, without: Callable[[pytest.MonkeyPatch], None], test: str
) -> None:
    without(monkeypatch)
    for start in range(0, 1000, 4):
        if run(BY_TEST[test], "broken", range(start, start + 4), workers=1).violations:
            return
    pytest.fail("nothing noticed")


def test_poison_that_is_passed_over_in_silence_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def silent(*given: Any) -> tuple[()]:
        fold_records(*given)
        return ()

    monkeypatch.setattr("functions.customers.update_state.fold_records", silent)
    assert run(BY_TEST["T12"], "silence", range(4), workers=1).violations


def test_a_violation_is_told_with_the_command_that_plays_it_again(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    _act_on_every_method(monkeypatch)
    assert main(["--seed", "s", "--only", "T16", "--size", "0.002", "--workers", "1"]) == 1
    told = capsys.readouterr().out
    assert "again: make chaos SEED=s ONLY=T16 CASE=0" in told
    assert main(["--seed", "s", "--only", "T16", "--case", "0"]) == 1
    assert "1 cases, 1 violations" in capsys.readouterr().out
    assert main(["--only", "T99"]) == 2
