"""The funnel balances to the unit, and shows it when it does not."""

from __future__ import annotations

from datetime import date

from hypothesis import given
from hypothesis import strategies as st

from shared.core.ids import ScenarioId, TenantId
from shared.delivery.model import Outcome, Reason, SendState
from shared.measurement.funnel import FAILED, WAITING, StepFunnel, funnel, of_batch
from shared.scenarios import step as scenario_step
from shared.scenarios.enrolment import FunnelRow

ON = date(2026, 11, 20)

OUTCOMES = [
    Outcome(SendState.SENT, Reason.NONE, "m"),
    Outcome(SendState.UNKNOWN, Reason.AMBIGUOUS),
    *(
        Outcome(state, reason)
        for state in (SendState.SUPPRESSED, SendState.EXPIRED, SendState.FAILED)
        for reason in Reason
        if reason not in (Reason.NONE, Reason.AMBIGUOUS)
    ),
]
WORDS = [*(scenario_step.label(outcome) for outcome in OUTCOMES), scenario_step.WAITING, scenario_step.FAILED]

people = st.lists(st.sampled_from(WORDS), max_size=60)
batches = st.lists(st.tuples(st.sampled_from(["mail_1", "mail_2", "gone"]), people), max_size=12)


def a_row(step: str, words: list[str], *, lost: int = 0, batch: str = "0") -> FunnelRow:
    counts = {word: words.count(word) for word in set(words)}
    return FunnelRow(TenantId("shop"), ScenarioId("s"), ON, "x", step, batch, counts, len(words) + lost)


def test_the_words_are_those_the_step_counts() -> None:
    assert (WAITING, FAILED) == (scenario_step.WAITING, scenario_step.FAILED)


@given(batches)
def test_due_is_sent_plus_held_back_plus_what_is_open_to_the_unit(found: list[tuple[str, list[str]]]) -> None:
    rows = [a_row(step, words, batch=str(n)) for n, (step, words) in enumerate(found)]
    result = funnel("s", ["mail_1", "mail_2"], rows)
    total = result.total
    assert total.balanced
    assert all(step.balanced for step in result.steps.values())
    assert total.due == sum(len(words) for _, words in found)
    assert total.sent == sum(words.count("sent") for _, words in found)
    assert total.due == total.sent + total.held_back + total.unknown + total.put_aside + total.in_flight


@given(people, st.integers(1, 50))
def test_a_person_without_an_outcome_is_seen(words: list[str], lost: int) -> None:
    result = funnel("s", ["mail_1"], [a_row("mail_1", words, lost=lost)])
    assert result.total.missing == lost
    assert not result.steps["mail_1"].balanced


@given(batches, st.randoms())
def test_the_order_of_batches_does_not_matter(found: list[tuple[str, list[str]]], dice: object) -> None:
    rows = [a_row(step, words, batch=str(n)) for n, (step, words) in enumerate(found)]
    shuffled = list(rows)
    dice.shuffle(shuffled)  # type: ignore[attr-defined]
    one, other = funnel("s", ["mail_1", "mail_2"], rows), funnel("s", ["mail_1", "mail_2"], shuffled)
    assert dict(one.steps) == dict(other.steps)


@given(st.sampled_from([reason for reason in Reason if reason not in (Reason.NONE, Reason.AMBIGUOUS)]))
def test_everyone_held_back_has_the_reason_that_was_recorded(reason: Reason) -> None:
    assert of_batch(a_row("mail_1", [str(reason)] * 3)).held == {reason: 3}


def test_an_unknown_outcome_is_shown_apart_and_not_as_held_back() -> None:
    step = of_batch(a_row("mail_1", ["ambiguous", "unknown", "sent"]))
    assert (step.unknown, step.sent, step.held_back) == (2, 1, 0)


def test_a_word_of_a_later_version_is_held_back_without_a_reason_and_never_lost() -> None:
    step = funnel("s", ["mail_1"], [a_row("mail_1", ["sent", "brand_new"])]).steps["mail_1"]
    assert step.held == {Reason.NONE: 1}
    assert step.balanced


def test_entry_branches_and_exits_are_no_sends() -> None:
    rows = [a_row("entered", ["entered"] * 4), a_row("tier", ["high", "else"]), a_row("mail_1", ["sent"])]
    assert list(funnel("s", ["mail_1"], rows).steps) == ["mail_1"]


def test_steps_come_in_the_order_of_the_file_and_old_ones_last() -> None:
    rows = [a_row("gone", ["sent"]), a_row("b", ["sent"]), a_row("a", ["sent"])]
    assert list(funnel("s", ["a", "b", "c"], rows).steps) == ["a", "b", "gone"]


def test_held_back_is_listed_most_frequent_first() -> None:
    words = ["ordered"] * 2 + ["no_consent"] * 5
    assert list(of_batch(a_row("a", words)).held) == [Reason.NO_CONSENT, Reason.ORDERED]


def test_nothing_adds_up_to_nothing() -> None:
    assert funnel("s", ["a"], []).total == StepFunnel()
