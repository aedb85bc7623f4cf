"""Broken scenario files: each is refused with its line, a reason and what to do, and nothing of it is deployed."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from infra.cli import scenario as command
from infra.cli.known_names import KnownNames, unknown_names
from shared.core.errors import RejectedError
from shared.core.mistakes import InvalidFileError
from shared.scenarios.read import PRESETS, read_file, read_presets, read_text

WHOLE = """id: sample
title: 見本
status: staged
entry: {event: page_viewed, after: 1h, page_type: price}
reentry: 30d
priority: 5
exit_when: [order_placed, unsubscribed]
steps:
  - send: one
    channel: email
    template: t/one
  - wait: 1d
  - branch: who
    on: ltv_tier
    arms:
      high: [{tag: seen}]
    else: []
  - wait_for: back
    when: {ordered: {}}
    timeout: 4d
    then: [{exit: bought}]
    else: []
  - split: half
    shares: {a: 50, b: 50}
    arms: {a: [], b: [{coupon: spring}]}
  - send: two
    channel: [line, email]
    template: t/one
examples:
  - {title: a, expect: [{send: one}]}
  - {title: b, expect: [{skip: one, reason: opted_out}]}
"""

BROKEN = {
    "an unknown field": ("status: staged", "state: staged", 3, "not a word", "Did you mean"),
    "a field nobody knows": ("reentry: 30d", "zzzz: 30d", 5, "not a word", "Remove `zzzz`"),
    "an unknown field of a step": (
        "    template: t/one\n  - wait: 1d",
        "    tamplate: t/one\n  - wait: 1d",
        11,
        "not a word",
        "'template'",
    ),
    "an unknown word in a condition": ("{ordered: {}}", "{orderd: {}}", 19, "not a word", "'order"),
    "no title": ("title: 見本\n", "", 1, "is missing", "Add `title`"),
    "no steps": (
        WHOLE[WHOLE.index("steps:") : WHOLE.index("examples:")],
        "steps: []\n",
        8,
        "at least 1 item",
        "Add what belongs here",
    ),
    "an unknown event": ("page_viewed", "page_seen", 4, "is not one of", "'page_viewed'"),
    "an event nobody knows": ("page_viewed", "xyz", 4, "is not one of", "Choose one"),
    "an unknown channel": ("channel: email", "channel: fax", 10, "is not one of", "Choose one"),
    "an unknown status": ("status: staged", "status: on", 3, "is not one of", "Choose one"),
    "a duration in words": ("wait: 1d", "wait: a day", 12, "a whole number with a unit", "Write it"),
    "no duration at all": ("wait: 1d", "wait: 0d", 12, "greater than 0", "model.py"),
    "a priority out of reach": ("priority: 5", "priority: 11", 6, "less than or equal to 9", "model.py"),
    "a name with capitals": ("send: two", "send: Mail 2", 26, "must match", "small letters"),
    "two steps in one": ("  - wait: 1d", "  - {wait: 1d, tag: x}", 12, "exactly one of", "Begin each"),
    "a step of another name": ("  - wait: 1d", "  - wiat: 1d", 12, "exactly one of", "'wait'"),
    "an unreachable step": ("  - wait: 1d", "  - exit: enough\n  - wait: 1d", 13, "is never reached", "Remove it"),
    "a branch without an else": (
        "      high: [{tag: seen}]\n    else: []",
        "      high: [{tag: seen}]",
        13,
        "is missing",
        "Add `else`",
    ),
    "a branch on a value nobody has": ("high:", "hihg:", 16, "is never 'hihg'", "'high'"),
    "a wait that never ends": ("    timeout: 4d\n", "", 18, "is missing", "Add `timeout`"),
    "a wait for what can never happen": (
        "{ordered: {}}",
        "{clicked: two}",
        19,
        "is not sent before this",
        "Ask after the send",
    ),
    "a wait for a send nobody knows": ("{ordered: {}}", "{opened: three}", 19, "no send step 'three'", "There are one"),
    "a wait too long": ("timeout: 4d", "timeout: 400d", 20, "less than or equal to 180 days", "model.py"),
    "a wait for nothing after it": ("examples:", "  - wait: 1d\nexamples:", 29, "nothing happens after", "Remove it"),
    "a wait for nothing": ("wait: 1d", "wait: {}", 12, "waits for nothing", "Give it"),
    "shares that are not a whole": ("b: 50}", "b: 40}", 24, "add up to 90", "percent"),
    "a share without an arm": ("shares: {a: 50, b: 50}", "shares: {a: 50, c: 50}", 24, "no arm 'c'", "There are a, b"),
    "a name used twice": ("send: two", "send: one", 26, "is taken", "a name of its own"),
    "an entry's field of another": (
        "page_type: price",
        "survey: s1",
        4,
        "says nothing about page_viewed",
        "belongs to",
    ),
    "an entry that lacks what it needs": (
        "page_viewed, after: 1h, page_type: price",
        "segment_entered",
        4,
        "'segment' is missing",
        "Add `segment`",
    ),
    "a rule that can never apply": ("[order_placed,", "[cart_emptied,", 7, "can never apply", "Remove it"),
    "an example of a send nobody knows": ("{send: one}]", "{send: on}]", 30, "no send step 'on'", "'one'"),
    "an example with no reason": ("opted_out}", "opted}", 31, "is no reason", "'opted_out'"),
    "a key given twice": ("priority: 5", "priority: 5\npriority: 6", 7, "given twice", "Remove one"),
    "a bracket that does not close": ("[order_placed, unsubscribed]", "[order_placed", 8, "not YAML", "brackets"),
    "a list": (WHOLE, "- a\n- b\n", 1, "is a mapping", "Begin with"),
    "digits in full width": (
        "wait: 1d",
        "wait: １d",
        12,
        "a whole number with a unit",
        "'１' in line 12 is full-width",
    ),
    "a colon in full width": ("title: 見本", "title：見本", 3, "not YAML", "'：' in line 2 is full-width (全角)"),
    "more days than there are": ("wait: 1d", f"wait: {'9' * 20}d", 12, "a whole number with a unit", "Write it"),
    "a day that does not exist": ("priority: 5", "period: {from: 2026-02-30}", 6, "a day that exists", "2026-12-24"),
    "an alias of itself": ("priority: 5", "priority: &a [*a]", 6, "aliases (*) are not read", "Write it out"),
    "aliases of aliases": ("id: sample", "a: &a [x, x]\nb: [*a, *a]\nid: sample", 2, "aliases", "Write it out"),
    "a tag": ("priority: 5", "priority: !!timestamp 2026-13-45", 6, "tags (!) are not read", "Write the value alone"),
    "brackets without end": ("priority: 5", f"priority: {'[' * 3000}", 6, "nested more than 60 deep", "flatter"),
    "more than anybody writes": ("title: 見本", f"title: {'見' * 200_000}", 1, "is longer than 200,000", "Shorten it"),
    "a condition that cannot hold": (
        "{ordered: {}}",
        "{orders: {at_least: 5, at_most: 2}}",
        19,
        "can never hold",
        "Exchange",
    ),
    "who is collected too late": ("after: 1h", "expires_after: 1m", 4, "is shorter than `sweep_every` (15m)", "longer"),
    "an example's time": ("[{send: one}]", "[{send: one, at: 明日}]", 30, "a time that exists", '10:00"'),
}


def broken(name: str) -> str:
    old, new, *_ = BROKEN[name]
    assert old in WHOLE, old
    return WHOLE.replace(old, new, 1)


def test_the_whole_file_is_in_order() -> None:
    assert read_text(WHOLE).id == "sample"


@pytest.mark.parametrize("name", BROKEN)
def test_a_broken_file_is_told_its_line_a_reason_and_what_to_do(name: str) -> None:
    _, _, line, reason, suggestion = BROKEN[name]
    with pytest.raises(InvalidFileError) as caught:
        read_text(broken(name), "sample.yaml")
    found = caught.value.mistakes
    assert all(mistake.line >= 1 and mistake.reason and mistake.suggestion for mistake in found)
    assert any(m.line == line and reason in m.reason and suggestion in m.suggestion for m in found), str(caught.value)


def test_one_mistake_is_told_once_and_five_hundred_fit_the_screen() -> None:
    """What is wrong within an example does not make the list of examples too short."""
    with pytest.raises(InvalidFileError) as caught:
        read_text(broken("an example's time"), "sample.yaml")
    assert len(caught.value.mistakes) == 1
    with pytest.raises(InvalidFileError) as caught:
        read_text(WHOLE.replace("  - wait: 1d\n", "  - wiat: 1d\n" * 500), "sample.yaml")
    assert str(caught.value).endswith("… and 480 more: mend these first")


def test_a_file_of_another_encoding_is_refused_with_its_line(tmp_path: Path) -> None:
    file = tmp_path / "sample.yaml"
    file.write_bytes(WHOLE.encode("cp932"))
    with pytest.raises(InvalidFileError, match=r"sample.yaml:2: -: is not UTF-8. Save the file in UTF-8"):
        read_file(file)


def test_a_segment_or_coupon_that_the_shop_does_not_have_is_told(tmp_path: Path) -> None:
    file = tmp_path / "sample.yaml"
    text = WHOLE.replace("exit_when: [", "exit_when: [{segment: [vip, gone]}, ")
    file.write_text(text.replace("on: ltv_tier", "on: segment"), "utf-8")
    scenario = read_file(file)
    assert scenario.segments == {"vip", "gone", "high"}
    known = KnownNames(frozenset({"vip", "highs"}), frozenset({"summer"}))
    assert [str(each) for each in unknown_names(scenario, file, known)] == [
        "sample.yaml:7: segment gone: the shop has no segment of this name. Make it first: `matakite segment save`",
        "sample.yaml:16: segment high: the shop has no segment of this name. Did you mean 'highs'?",
        "sample.yaml:25: coupon spring: the shop has no coupon of this name."
        " Make it first: `matakite mail coupon load` or `make`",
    ]


def test_nothing_is_deployed_while_one_file_is_broken(tmp_path: Path) -> None:
    """The machines are made of `read_presets`: all of them, or none."""
    shutil.copy(PRESETS / "newsletter.yaml", tmp_path)
    (tmp_path / "sample.yaml").write_text(broken("a wait that never ends"), "utf-8")
    with pytest.raises(InvalidFileError, match=r"sample.yaml:18: steps.3.timeout: is missing. Add `timeout`"):
        read_presets(tmp_path)


def test_a_broken_draft_is_not_published(tmp_path: Path) -> None:
    draft = tmp_path / "sample.yaml"
    draft.write_text(broken("an unreachable step"), "utf-8")
    with pytest.raises(RejectedError, match="nothing was changed"):
        command.publish(draft)
    assert not (PRESETS / "sample.yaml").exists()
