"""Every word of the scenario language does what it says: small files whose examples are played."""

from __future__ import annotations

import tempfile
from functools import cache
from pathlib import Path

import pytest

from infra.cli.scenario import naming, unprovided
from shared.core.mistakes import InvalidFileError
from shared.delivery.render import TemplateStore
from shared.scenarios.compile import compile_scenario
from shared.scenarios.describe import describe
from shared.scenarios.examples import run_examples
from shared.scenarios.read import read_text
from tests.unit.scenarios.world import ARN

SEND = "{send: one, channel: email, template: t/one}"
TWO = "{send: two, channel: email, template: t/one}"
NOBODY = "  - {title: n, person: {consent: opt_out}, expect: [{skip: one, reason: opted_out}]}\n"


@cache
def templates() -> TemplateStore:
    """One template with a part for every channel."""
    root = Path(tempfile.mkdtemp())
    (root / "t" / "one").mkdir(parents=True)
    for part in ("subject.txt", "mail.html", "mail.txt", "sms.txt"):
        (root / "t" / "one" / part).write_text("{{ person.name }}")
    for name, text in (("mail.txt", "{{ coupon.code }}"), ("subject.txt", "c"), ("mail.html", "c")):
        (root / "t" / "coupon").mkdir(exist_ok=True)
        (root / "t" / "coupon" / name).write_text(text)
    (root / "t" / "one" / "webhook.json").write_text('{"name": {{ person.name | json }}}')
    (root / "t" / "one" / "notify.txt").write_text("見本")
    (root / "t" / "one" / "line.json").write_text('{"type": "text", "text": "x"}')
    return TemplateStore(root)


def scenario_of(entry: str, steps: str, examples: str, more: str = "") -> str:
    """A scenario file."""
    return (
        f"id: sample\ntitle: 見本\nentry: {entry}\nexit_when: [order_placed, unsubscribed]\n{more}\n"
        f"steps:\n{steps}\nexamples:\n{examples}"
    )


def play(text: str) -> None:
    """Every example holds."""
    scenario = read_text(text)
    assert compile_scenario(scenario, ARN)
    assert list(describe(scenario))
    for result in run_examples(scenario, templates()):
        happened, expected = "; ".join(map(str, result.happened)), "; ".join(map(str, result.expected))
        assert result.passed, f"{result.title}\n expected {expected}\n happened {happened}"


ENTRIES = {
    "an order": (
        "{event: order_placed, after: 3d, number: 1}",
        "  - {title: a, expect: [{send: one, at: '2026-03-05 10:00'}]}\n"
        "  - {title: b, person: {orders: 2}, expect: [{skip: entry, reason: not_eligible}]}\n"
        "  - {title: c, then: [{after: 1d, event: order_placed}], expect: [{skip: one, reason: ordered}]}\n",
    ),
    "an order of a product": (
        "{event: order_placed, after: 1h, product: [A-1], subscription: true}",
        "  - {title: a, expect: [{send: one, at: '2026-03-02 11:00'}]}\n" + NOBODY,
    ),
    "an order that was imported": (
        "{event: order_placed, after: 1h}",
        "  - {title: a, expect: [{send: one}]}\n"
        "  - {title: b, cart: {historical: true}, expect: [{skip: entry, reason: not_eligible}]}\n",
    ),
    "pages": (
        "{event: page_viewed, after: 1h, page_type: price, path: /plan*, at_least: 3, within: 7d}",
        "  - {title: a, expect: [{send: one, at: '2026-03-02 11:00'}]}\n" + NOBODY,
    ),
    "a login": ("{event: logged_in, after: 30m}", "  - {title: a, expect: [{send: one}]}\n" + NOBODY),
    "a tracked event": ("{event: tracked, name: trial}", "  - {title: a, expect: [{send: one}]}\n" + NOBODY),
    "an answer": (
        "{event: survey_answered, survey: s1, question: q1, choice: [bad]}",
        "  - {title: a, expect: [{send: one}]}\n"
        "  - {title: b, person: {attributes: {survey/s1/q1: [good]}}, expect: [{skip: entry, reason: not_eligible}]}\n",
    ),
    "a contract": (
        "{event: contract_changed, state: cancelled, after: 2h}",
        "  - {title: a, expect: [{send: one, at: '2026-03-02 12:00'}]}\n" + NOBODY,
    ),
    "a status": (
        "{event: status_changed, to: dormant, from: [at_risk, loyal]}",
        "  - {title: a, expect: [{send: one}]}\n" + NOBODY,
    ),
    "a segment entered": (
        "{event: segment_entered, segment: [vip, regulars], after: 11h}",
        "  - {title: a, expect: [{send: one, at: '2026-03-02 11:00'}]}\n" + NOBODY,
    ),
    "a segment left": (
        "{event: segment_left, segment: vip, after: 10h}",
        "  - {title: a, person: {segments: [regulars]}, expect: [{send: one, at: '2026-03-02 10:00'}]}\n" + NOBODY,
    ),
    "a product back in stock": (
        "{event: back_in_stock, product: [A-1], after: 1h}",
        "  - {title: a, expect: [{send: one, at: '2026-03-02 11:00'}]}\n" + NOBODY,
    ),
    "a birthday": (
        '{event: date, date: birthday, days: -7, at: "11:00"}',
        "  - {title: a, expect: [{send: one, at: '2026-03-02 11:00'}]}\n"
        "  - {title: b, person: {attributes: {birth_on: '1990-05-01'}},"
        " expect: [{send: one, at: '2026-04-24 11:00'}]}\n" + NOBODY,
    ),
    **{
        date: (
            f"{{event: date, date: {date}, days: {days}}}",
            "  - {title: a, expect: [{send: one, at: '2026-03-02 10:00'}]}\n" + NOBODY,
        )
        for date, days in (
            ("registered", 30),
            ("first_order", 14),
            ("last_order", 90),
            ("last_login", 30),
            ("last_seen", 30),
            ("next_delivery", -3),
            ("contract_started", 60),
            ("points_expire", -14),
            ("rank_until", -30),
            ("next_order", -3),
        )
    },
    "a date that has moved": (
        "{event: date, date: last_login, days: 30, at: '18:00'}",
        "  - {title: a, then: [{after: 1h, event: logged_in}], expect: [{skip: entry, reason: not_eligible}]}\n"
        "  - {title: b, expect: [{send: one, at: '2026-03-02 18:00'}]}\n",
    ),
    "a broadcast": ("{event: broadcast}", "  - {title: a, expect: [{send: one}]}\n" + NOBODY),
    "a condition at the door": (
        "{event: logged_in, where: {none: [{tier: [low]}]}}",
        "  - {title: a, person: {tier: high}, expect: [{send: one}]}\n"
        "  - {title: b, person: {tier: low}, expect: [{skip: entry, reason: not_eligible}]}\n",
    ),
}


@pytest.mark.parametrize("name", ENTRIES)
def test_an_entry_lets_in_whom_it_says(name: str) -> None:
    entry, examples = ENTRIES[name]
    text = scenario_of(entry, f"  - {SEND}", examples)
    # What lets them in by an order must not take them out by it.
    play(text)


STEPS = {
    "until a time of day on a business day": (
        f"  - wait: {{for: 1d, until: '09:30', on: business_day}}\n  - {SEND}",
        # 2 May 2026 is a Saturday, 3 to 6 are holidays.
        "  - {title: a, expect: [{send: one, at: '2026-03-04 09:30'}]}\n"
        "  - {title: b, cart: {touched_at: '2026-05-01 10:00'}, expect: [{send: one, at: '2026-05-07 09:30'}]}\n"
        + NOBODY,
    ),
    "until a weekday": (
        f"  - wait: {{on: fri}}\n  - {SEND}",
        "  - {title: a, expect: [{send: one, at: '2026-03-06 10:00'}]}\n" + NOBODY,
    ),
    "until something happened, or not": (
        "  - wait_for: back\n    when: {viewed: {path: /plan}}\n    timeout: 4d\n    check_every: 1d\n"
        f"    then: [{SEND}]\n    else: [{TWO}]",
        "  - {title: a, then: [{after: 30h, event: viewed, path: /plan}],"
        " expect: [{send: one, at: '2026-03-04 10:00'}]}\n"
        "  - {title: b, expect: [{send: two, at: '2026-03-06 10:00'}]}\n"
        "  - {title: c, then: [{after: 30h, event: opted_out}], expect: [{skip: two, reason: opted_out}]}\n",
    ),
    "by reaction": (
        f"  - {SEND}\n  - wait: 2d\n  - branch: reacted\n    when:\n      clicked: {{clicked: one}}\n"
        "      opened: {opened: one}\n    arms:\n"
        "      clicked: [{exit: enough}]\n      opened: []\n"
        f"    else: [{{wait: 1d}}]\n  - {TWO}",
        "  - {title: a, then: [{after: 1h, event: opened, send: one}],"
        " expect: [{send: one}, {send: two, at: '2026-03-04 10:00'}]}\n"
        "  - {title: b, then: [{after: 1h, event: clicked, send: one}], expect: [{send: one}]}\n"
        "  - {title: c, expect: [{send: one}, {send: two, at: '2026-03-05 10:00'}]}\n" + NOBODY,
    ),
    "by attribute": (
        "  - branch: who\n    when:\n      young: {attribute: {name: age, at_most: 29}}\n"
        "      known: {attribute: {name: gender, known: true}, buyer: first}\n"
        f"    arms: {{young: [{SEND}], known: [{TWO}]}}\n    else: []",
        "  - {title: a, person: {attributes: {age: 20}}, expect: [{send: one}]}\n"
        "  - {title: b, person: {attributes: {age: 30, gender: female}}, expect: [{send: two}]}\n"
        "  - {title: c, person: {attributes: {age: 20}, consent: opt_out}, expect: [{skip: one, reason: opted_out}]}\n",
    ),
    "by segment": (
        "  - branch: who\n    on: segment\n"
        f"    arms: {{vip: [{SEND}], regulars: [{TWO}]}}\n    else: [{{exit: nobody}}]",
        "  - {title: a, person: {segments: [regulars, vip]}, expect: [{send: one}]}\n"
        "  - {title: b, person: {segments: [regulars]}, expect: [{send: two}]}\n"
        "  - {title: c, person: {segments: [vip], consent: opt_out}, expect: [{skip: one, reason: opted_out}]}\n",
    ),
    "by being in a segment": (
        "  - branch: who\n    when: {in: {segment: [vip, regulars]}}\n"
        f"    arms: {{in: [{SEND}]}}\n    else: [{TWO}]",
        "  - {title: a, person: {segments: [regulars]}, expect: [{send: one}]}\n"
        "  - {title: b, person: {segments: [others], consent: opt_out}, expect: [{skip: two, reason: opted_out}]}\n",
    ),
    "by the first channel that reaches them": (
        "  - {send: one, channel: [line, sms, email], template: t/one}",
        "  - {title: a, person: {line_user_id: U1, line_consent: opt_in}, expect: [{send: one, channel: line}]}\n"
        "  - {title: b, person: {line_user_id: U1}, expect: [{send: one, channel: email}]}\n"
        "  - {title: c, person: {phone: '+819000000000', sms_consent: opt_in}, expect: [{send: one, channel: sms}]}\n"
        "  - {title: d, person: {consent: unknown}, expect: [{skip: one, reason: no_address}]}\n",
    ),
    "by chance, with a hold-out": (
        f"  - split: test\n    shares: {{a: 45, b: 45, holdout: 10}}\n    arms: {{a: [{SEND}], b: [{TWO}]}}",
        "  - {title: a, person: {id: p0}, expect: [{send: one}]}\n"
        "  - {title: b, person: {id: p3}, expect: [{send: two}]}\n"
        "  - {title: h, person: {id: p11}, expect: [{skip: holdout, reason: holdout}]}\n",
    ),
    "with a coupon, from the step that gives it": (
        "  - branch: who\n    on: buyer\n    arms: {repeat: [{coupon: spring}]}\n    else: []\n"
        "  - {send: one, channel: email, template: t/coupon}",
        "  - {title: a, person: {orders: 1}, expect: [{send: one}]}\n"
        "  - {title: b, expect: [{skip: one, reason: template}]}\n",
    ),
    "handed to the shop, whatever they consented to": (
        "  - {webhook: crm, template: t/one}\n  - {notify: staff, template: t/one}\n  - {export: posters}\n"
        f"  - {SEND}",
        "  - {title: a, expect: [{send: crm, channel: webhook}, {send: staff, channel: notify},"
        " {send: posters, channel: export}, {send: one, channel: email}]}\n"
        "  - {title: b, person: {consent: opt_out},"
        " expect: [{send: crm}, {send: staff}, {send: posters}, {skip: one, reason: opted_out}]}\n",
    ),
    "at their own hour": (
        f"  - wait: 1h\n  - wait: best_hour\n  - {SEND}",
        "  - {title: a, then: [{after: 2m, event: viewed}, {after: 3m, event: viewed}],"
        " expect: [{send: one, at: '2026-03-03 10:00'}]}\n"
        "  - {title: b, expect: [{send: one, at: '2026-03-02 20:00'}]}\n"
        "  - {title: c, then: [{after: 2h, event: order_placed}], expect: [{skip: one, reason: ordered}]}\n",
    ),
    "marked by a tag": (
        f"  - tag: offered\n  - branch: who\n    when: {{marked: {{attribute: {{name: tags/offered, is: 'true'}}}}}}\n"
        f"    arms: {{marked: [{SEND}]}}\n    else: []",
        "  - {title: a, expect: [{send: one}]}\n" + NOBODY,
    ),
}


@pytest.mark.parametrize("name", STEPS)
def test_a_step_does_what_it_says(name: str) -> None:
    steps, examples = STEPS[name]
    play(scenario_of("{event: logged_in}", steps, examples))


def test_whoever_reaches_the_goal_leaves_with_that_reason() -> None:
    steps = f"  - {SEND}\n  - wait: 1d\n  - {TWO}"
    examples = (
        "  - {title: a, then: [{after: 1h, event: viewed, page_type: thanks}],"
        " expect: [{send: one}, {skip: two, reason: goal}]}\n" + NOBODY
    )
    play(scenario_of("{event: logged_in}", steps, examples, "goal: {viewed: {page_type: thanks}}"))


def test_a_condition_takes_people_out_like_a_rule() -> None:
    text = scenario_of(
        "{event: contract_changed, state: active}",
        f"  - {SEND}\n  - wait: 1d\n  - {TWO}",
        "  - {title: a, then: [{after: 1h, event: contract_cancelled}],"
        " expect: [{send: one}, {skip: two, reason: exited}]}\n" + NOBODY,
    )
    play(text.replace("[order_placed, unsubscribed]", "[{contract: cancelled}, unsubscribed]"))


def test_outside_its_operating_period_nobody_enters_and_nothing_is_sent() -> None:
    steps = f"  - {SEND}\n  - wait: 3d\n  - {TWO}"
    examples = (
        "  - {title: a, expect: [{send: one}, {skip: two, reason: closed}]}\n"
        "  - {title: b, cart: {touched_at: '2026-03-05 10:00'}, expect: [{skip: entry, reason: closed}]}\n"
    )
    play(scenario_of("{event: logged_in}", steps, examples, "period: {from: 2026-03-01, until: 2026-03-04}"))


# --- mistakes: refused with line, reason and suggestion ---

LOGIN = "{event: logged_in}"
AN_EXAMPLE = "  - {title: a, expect: [{send: one}]}\n" + NOBODY
MISTAKES = {
    "a field of another entry": (
        "{event: logged_in, choice: [x]}",
        f"  - {SEND}",
        3,
        "entry.choice: says nothing about logged_in",
        "survey",
    ),
    "an entry without what it needs": ("{event: date}", f"  - {SEND}", 3, "'date' is missing", "Add `date`"),
    "a rule that can never apply": (LOGIN, f"  - {SEND}", 4, "cart_emptied can never apply", "Remove it"),
    "an arm without a condition": (
        LOGIN,
        f"  - branch: who\n    when: {{young: {{buyer: first}}}}\n    arms: {{yung: [{SEND}]}}\n    else: []",
        9,
        "no condition leads to the arm 'yung'",
        "Did you mean 'young'?",
    ),
    "a branch by value and by condition": (
        LOGIN,
        f"  - branch: who\n    on: buyer\n    when: {{first: {{buyer: first}}}}\n"
        f"    arms: {{first: [{SEND}]}}\n    else: []",
        7,
        "either `on` or `when`",
        "Keep the one",
    ),
    "shares that do not add up": (
        LOGIN,
        f"  - split: test\n    shares: {{a: 50, b: 40}}\n    arms: {{a: [{SEND}], b: []}}",
        8,
        "add up to 90, not to 100",
        "percent",
    ),
    "an arm nobody comes to": (
        LOGIN,
        f"  - split: test\n    shares: {{a: 50, b: 50}}\n    arms: {{a: [{SEND}], b: [], c: []}}",
        9,
        "nobody ever comes to the arm 'c'",
        "Give it a share",
    ),
    "an opening before the send": (
        LOGIN,
        f"  - branch: who\n    when: {{seen: {{opened: one}}}}\n    arms: {{seen: []}}\n    else: [{TWO}]\n  - {SEND}",
        8,
        "'one' is not sent before this",
        "Ask after the send",
    ),
    "a wait that can never end otherwise than by its timeout": (
        LOGIN,
        f"  - wait_for: seen\n    when: {{opened: oen}}\n    timeout: 1d\n    then: []\n    else: []\n  - {SEND}",
        8,
        "there is no send step 'oen'",
        "Did you mean 'one'?",
    ),
    "a wait that is looked at too often": (
        LOGIN,
        f"  - wait_for: back\n    when: {{ordered: {{}}}}\n    timeout: 4d\n    check_every: 1h\n    then: []\n"
        f"    else: []\n  - {SEND}",
        10,
        "looked at 96 times, more than 8",
        "Make it 12h or more",
    ),
    "a wait for nothing": (LOGIN, f"  - wait: {{}}\n  - {SEND}", 7, "waits for nothing", "`until`"),
    "a moment without a send": (
        LOGIN,
        f"  - wait: best_hour\n  - tag: x\n  - {SEND}",
        7,
        "best_hour is a time to send at",
        "Put a `send` right after it",
    ),
    "a moment that everybody after it would wait for": (
        LOGIN,
        f"  - wait: next_order\n  - {SEND}\n  - {TWO}",
        7,
        "wait for the last one's next order",
        "Let nothing follow",
    ),
    "a condition that says nothing": (
        LOGIN,
        f"  - branch: who\n    when: {{any: {{}}}}\n    arms: {{any: [{SEND}]}}\n    else: []",
        8,
        "says nothing",
        "Name what it looks at",
    ),
    "a step behind a fork that everybody leaves": (
        LOGIN,
        "  - branch: who\n    on: buyer\n    arms: {first: [{exit: enough}]}\n    else: [{exit: too}]\n"
        f"  - {SEND}",
        11,
        "never reached: everyone has left",
        "Remove it or the exit",
    ),
    "a period that ends before it begins": (LOGIN, f"  - {SEND}", 5, "ends before it begins", "Exchange"),
    "an unknown word in a condition": (
        LOGIN,
        "  - branch: who\n    when: {young: {atribute: {name: age}}}\n"
        f"    arms: {{young: [{SEND}]}}\n    else: []",
        8,
        "is not a word of the scenario language",
        "Did you mean 'attribute'?",
    ),
}


@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_is_refused_with_line_reason_and_suggestion(name: str) -> None:
    entry, steps, line, reason, suggestion = MISTAKES[name]
    text = scenario_of(entry, steps, AN_EXAMPLE)
    if name == "a rule that can never apply":
        text = text.replace("[order_placed,", "[cart_emptied,")
    if name == "a period that ends before it begins":
        text = text.replace("\n\nsteps", "\nperiod: {from: 2026-03-09, until: 2026-03-01}\nsteps")
    with pytest.raises(InvalidFileError) as caught:
        read_text(text, "sample.yaml")
    assert any(
        mistake.line == line and reason in str(mistake) and suggestion in mistake.suggestion
        for mistake in caught.value.mistakes
    ), str(caught.value)


def test_a_template_variable_that_no_event_brings_is_refused_with_the_line_of_its_send(tmp_path: Path) -> None:
    folder = tmp_path / "t" / "one"
    folder.mkdir(parents=True)
    (folder / "mail.txt").write_text("{{ person.name }} {{ cart.total }} {{ coupon.code }}")
    file = tmp_path / "sample.yaml"
    file.write_text(scenario_of(LOGIN, f"  - {SEND}", AN_EXAMPLE), "utf-8")
    mistakes = unprovided(read_text(file.read_text("utf-8")), file, tmp_path)
    assert [(mistake.line, mistake.reason) for mistake in mistakes] == [
        (7, "uses 'cart', which logged_in does not bring"),
        (7, "uses 'coupon', which logged_in does not bring"),
    ]
    given = read_text(scenario_of(LOGIN, f"  - coupon: spring\n  - {SEND}", AN_EXAMPLE))
    assert [mistake.reason for mistake in unprovided(given, file, tmp_path)] == [mistakes[0].reason]
    assert "person" in mistakes[0].suggestion


def test_a_scenario_whose_note_to_the_staff_names_the_customer_is_refused(tmp_path: Path) -> None:
    folder = tmp_path / "t" / "one"
    folder.mkdir(parents=True)
    (folder / "notify.txt").write_text("お知らせ\n{{ person.name }} 様", "utf-8")
    told = read_text(scenario_of(LOGIN, f"  - {{notify: staff, template: t/one}}\n  - {SEND}", AN_EXAMPLE))
    assert [(each.file, each.line, each.field) for each in naming(told, tmp_path)] == [
        ("t/one/notify.txt", 2, "person.name")
    ]
    silent = read_text(scenario_of(LOGIN, f"  - {SEND}", AN_EXAMPLE))
    assert naming(silent, tmp_path) == [], "a mail to the customer may say their name"
