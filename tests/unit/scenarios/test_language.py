"""Scenario files: what may be said, and what a mistake is told."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.mistakes import InvalidFileError, Mistake
from shared.scenarios.language.steps import Branch, Subject
from shared.scenarios.language.words import format_duration, parse_duration
from shared.scenarios.model import LiveStatus, Scenario
from shared.scenarios.read import PRESETS, read_text

TEXT = (PRESETS / "cart_abandoned.yaml").read_text("utf-8")


def mistakes(*changes: tuple[str, str]) -> list[Mistake]:
    """What is said about the preset after replacing some of its text."""
    text = TEXT
    for old, new in changes:
        assert old in text, old
        text = text.replace(old, new, 1)
    with pytest.raises(InvalidFileError) as caught:
        read_text(text, "cart.yaml")
    return caught.value.mistakes


def the_mistake(*changes: tuple[str, str]) -> Mistake:
    (only,) = mistakes(*changes)
    return only


def line_of(text: str, within: str = TEXT) -> int:
    return next(number for number, line in enumerate(within.splitlines(), 1) if text in line)


def test_the_preset_says_what_it_says() -> None:
    scenario = read_text(TEXT)
    assert scenario.title == "カゴ落ち（カート残り通知）"
    assert scenario.status is LiveStatus.LIVE
    assert scenario.entry.after == timedelta(hours=1)
    assert [send.send for send in scenario.sends()] == ["mail_1", "mail_2_high", "mail_2_potential", "mail_2", "mail_3"]
    branch = scenario.steps[2]
    assert isinstance(branch, Branch)
    assert branch.on is Subject.LTV_TIER


def test_off_is_a_word_and_not_false() -> None:
    assert read_text(TEXT.replace("status: live", "status: off")).status is LiveStatus.OFF


@pytest.mark.parametrize(
    ("old", "new", "line", "field", "says"),
    [
        ("status: live", "status: onn", "status: live", "status", "'onn' is not one of live, staged, off"),
        ("on: ltv_tier", "on: ltv_teir", "on: ltv_tier", "steps.2.on", "Did you mean 'ltv_tier'?"),
        ("  - wait: 2d", "  - wayt: 2d", "  - wait: 2d", "steps.3", "Did you mean 'wait'?"),
        ("  - wait: 2d", "  - wait: soon", "  - wait: 2d", "steps.3.wait", "a duration is a whole number with a unit"),
        ("  - wait: 2d", "  - wait: 0d", "  - wait: 2d", "steps.3.wait", "greater than 0"),
        ("  - wait: 2d", "  - {wait: 2d, send: x}", "  - wait: 2d", "steps.3", "exactly one of"),
        ("    expires_after: 14h", "    expire_after: 14h", "expires_after: 14h", "expire_after", "'expires_after'?"),
        ("channel: [email, line]", "channel: fax", "channel: [email", "steps.0.channel", "'fax' is not one of email"),
        ("      potential:", "      potentail:", "      potential:", "arms.potentail", "Did you mean 'potential'?"),
        ("{skip: entry, reason: ordered}", "{skip: entry, reason: orderd}", "reason: ordered", "reason", "'ordered'?"),
        ("{send: mail_1, at:", "{send: mail_9, at:", "{send: mail_1, at:", "expect.0", "no send step 'mail_9'"),
        ("id: cart_abandoned", "id: Cart-Abandoned", "id: cart_abandoned", "id", "must match"),
        ("sweep_every: 10m", "sweep_every: 1s", "sweep_every: 10m", "sweep_every", "greater than or equal"),
    ],
)  # fmt: skip
def test_a_mistake_names_its_line_its_field_and_a_way_out(old: str, new: str, line: str, field: str, says: str) -> None:
    mistake = the_mistake((old, new))
    assert mistake.line == line_of(line)
    assert field in mistake.field
    assert says in str(mistake)
    assert str(mistake).startswith(f"cart.yaml:{mistake.line}: ")


def test_every_mistake_is_reported_at_once_in_the_order_of_the_file() -> None:
    found = mistakes(("status: live", "status: onn"), ("on: ltv_tier", "on: colour"), ("  - wait: 2d", "  - wayt: 2d"))
    assert [mistake.field for mistake in found] == ["status", "steps.2.on", "steps.3"]


def test_two_sends_of_one_name_are_refused() -> None:
    found = mistakes(("  - send: mail_3", "  - send: mail_1"))
    assert str(found[0]).startswith(
        f"cart.yaml:{line_of('  - send: mail_3')}: steps.4: the step name 'mail_1' is taken"
    )


def test_a_branch_without_an_else_is_refused() -> None:
    found = mistakes(("    else:\n", "    elze:\n"))
    assert {(mistake.field, mistake.reason) for mistake in found} == {
        ("steps.2.else", "is missing"),
        ("steps.2.elze", "is not a word of the scenario language"),
    }


def test_a_step_behind_an_exit_is_never_reached() -> None:
    mistake = the_mistake(("  - wait: 2d\n", "  - exit: enough\n  - wait: 2d\n"))
    assert "never reached" in mistake.reason


def test_a_wait_at_the_end_is_for_nothing() -> None:
    mistake = the_mistake(("\nexamples:", "\n  - wait: 2d\nexamples:"))
    assert "nothing happens after this wait" in mistake.reason


def test_a_wait_at_the_end_of_an_arm_is_fine_when_something_follows_the_branch() -> None:
    text = TEXT.replace("          note: 優良のお客様へ。担当からのご案内とお取り置き\n", "        - wait: 1h\n", 1)
    assert read_text(text).version != read_text(TEXT).version


def test_a_key_given_twice_is_refused_instead_of_overwritten() -> None:
    assert "given twice" in the_mistake(("status: live", "status: live\nstatus: off")).reason


def test_examples_must_show_a_send_and_a_skip() -> None:
    head = TEXT[: TEXT.index("examples:")]
    only_skips = (
        head
        + "examples:\n"
        + "".join(
            f"  - {{title: {n}, cart: {{quantity: 0}}, expect: [{{skip: entry, reason: empty_cart}}]}}\n" for n in "ab"
        )
    )
    with pytest.raises(InvalidFileError, match="no example expects a send"):
        read_text(only_skips)


@pytest.mark.parametrize("text", ["", "- a", "id: [", "just words", "id: x"])
def test_what_is_no_scenario_at_all_is_refused_with_a_line(text: str) -> None:
    with pytest.raises(InvalidFileError) as caught:
        read_text(text)
    assert all(mistake.line >= 1 for mistake in caught.value.mistakes)


def test_words_do_not_change_the_version_and_deeds_do() -> None:
    version = read_text(TEXT).version
    assert read_text(TEXT.replace("note: 最後のお知らせ", "note: 別の言葉")).version == version
    assert read_text(TEXT.replace("status: live", "status: staged")).version == version
    assert read_text(TEXT.replace("  - wait: 2d", "  - wait: 3d").replace("03-05 11", "03-06 11")).version != version
    assert read_text(TEXT.replace("expires_after: 14h", "expires_after: 6h")).version != version


@given(st.integers(1, 10**7))
def test_a_duration_reads_back_as_it_was_written(seconds: int) -> None:
    duration = timedelta(seconds=seconds)
    assert parse_duration(format_duration(duration)) == duration


def test_a_scenario_survives_being_dumped_and_read() -> None:
    assert Scenario.model_validate(read_text(TEXT).model_dump(by_alias=True)) == read_text(TEXT)
