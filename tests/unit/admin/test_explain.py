"""Why did (or didn't) this person get this? The answer in words, from the records alone."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest

from shared.admin import labels
from shared.admin.explain import Evidence, Story, Voice, explain
from shared.admin.outcomes import TRIGGERS, outcome
from shared.core.ids import CustomerId, ScenarioId, SendId, TenantId
from shared.customers.model import Cart, PersonState, Profile
from shared.delivery.model import LedgerRow, Reason, SendState
from shared.ingest.model import Line
from shared.scenarios import rules, step
from shared.scenarios.compile import END
from shared.scenarios.enrolment import Enrolment, EnrolmentState, Instance, cart_occurrence
from shared.scenarios.language.entries import Trigger
from shared.scenarios.language.steps import HOLDOUT
from shared.scenarios.model import REASONS, LiveStatus
from shared.scenarios.read import read_presets

TENANT, HANAKO = TenantId("shop"), CustomerId("hanako")
SCENARIO = next(each for each in read_presets() if each.id == "cart_abandoned")
TOUCHED = datetime(2026, 3, 2, 1, 0, tzinfo=UTC)  # 10:00 in Tokyo
NOW = TOUCHED + timedelta(days=10)
JAPANESE, ENGLISH = Voice("ja"), Voice("en")

CART = Cart(
    source="shopify",
    store="a.example.jp",
    token="t1",
    updated_at=TOUCHED,
    currency="JPY",
    total=12_800,
    lines=(Line(product_id="1", title="コーヒー豆", quantity=2, unit_amount=6_400),),
)


def a_person(*carts: Cart, erased: bool = False) -> PersonState:
    return PersonState(Profile(TENANT, HANAKO, email="hanako@example.com", erased=erased), carts=carts)


def an_enrolment(state: EnrolmentState = EnrolmentState.ENTERED, **given: object) -> Enrolment:
    entered = state is not EnrolmentState.ARMED
    enrolment = Enrolment(
        TENANT,
        ScenarioId(SCENARIO.id),
        cart_occurrence(CART),
        HANAKO,
        Instance("shopify", "a.example.jp", "t1"),
        TOUCHED,
        state,
        due_at=None if entered else TOUCHED + timedelta(hours=1),
        version="v1" if entered else "",
        entered_at=TOUCHED + timedelta(hours=1) if entered else None,
    )
    return replace(enrolment, **given)  # type: ignore[arg-type]


def a_row(step: str, state: SendState, reason: Reason = Reason.NONE, hours: int = 1) -> LedgerRow:
    at = TOUCHED + timedelta(hours=hours)
    sent = state is SendState.SENT
    return LedgerRow(
        send_id=SendId(step),
        tenant=TENANT,
        customer_id=HANAKO,
        scenario=ScenarioId(SCENARIO.id),
        scenario_version="v1",
        step=step,
        occurrence=cart_occurrence(CART),
        channel="email",
        state=state,
        reason=reason,
        owner="",
        lease_until=None,
        decided_at=at,
        sent_at=at if sent else None,
        message_id=f"id-{step}" if sent else "",
    )


def told(
    *rows: LedgerRow,
    person: PersonState | None = None,
    enrolments: tuple[Enrolment, ...] | None = None,
    voice: Voice = JAPANESE,
    now: datetime = NOW,
    off: bool = False,
) -> Story:
    scenario = SCENARIO.model_copy(update={"status": LiveStatus.OFF}) if off else SCENARIO
    known = (an_enrolment(),) if enrolments is None else enrolments
    return explain(Evidence(HANAKO, scenario, person or a_person(CART), known, rows), voice, now)


def lines(story: Story) -> str:
    return "\n".join(
        f"{line.mark} {line.text} {' '.join(line.details)}" for chapter in story.chapters for line in chapter.lines
    )


def test_who_got_two_mails_and_then_ordered_is_told_step_by_step() -> None:
    ended = an_enrolment(EnrolmentState.EXITED, step="mail_3", outcome="ordered", moved_at=NOW)
    story = told(
        a_row("mail_3", SendState.SUPPRESSED, Reason.ORDERED, hours=73),
        a_row("mail_1", SendState.SENT),
        a_row("mail_2", SendState.SENT, hours=25),
        enrolments=(ended,),
    )
    assert story.conclusion == "2通送信しました。1通は送りませんでした（すでに購入された）。"
    assert story.chapters[0].title == "カート a.example.jp　¥12,800（2点）"
    steps = lines(story)
    order = [
        "カートが最後に操作された",
        "シナリオに入った（カートが1時間そのままだったため）",
        "mail_1",
        "mail_2",
        "mail_3",
        "途中で終了",
    ]
    assert [steps.index(word) for word in order] == sorted(steps.index(word) for word in order)
    for word in ("メッセージID id-mail_1", "ルールの版 v1", "送らなかった：すでに購入された"):
        assert word in steps


@pytest.mark.parametrize("reason", [each for each in Reason if each not in (Reason.NONE, Reason.AMBIGUOUS)])
@pytest.mark.parametrize("voice", [JAPANESE, ENGLISH])
def test_every_single_reason_is_said_in_words(reason: Reason, voice: Voice) -> None:
    story = told(a_row("mail_1", SendState.SUPPRESSED, reason), voice=voice)
    assert labels.REASONS[reason].of(voice.language) in story.conclusion
    assert labels.REASONS[reason].of(voice.language) in lines(story)


def test_an_unknown_outcome_is_said_to_be_unknown() -> None:
    assert told(a_row("mail_1", SendState.UNKNOWN, Reason.AMBIGUOUS)).conclusion == "1通は送れたか確認中です。"


def test_what_is_still_to_come_is_listed_without_a_time() -> None:
    last = told(a_row("mail_1", SendState.SENT)).chapters[0].lines[-1]
    assert last.at is None
    assert "mail_3" in last.text


def test_who_is_waiting_is_told_when_they_become_due() -> None:
    story = told(enrolments=(an_enrolment(EnrolmentState.ARMED),))
    assert story.conclusion == "まだ何も送っていません。2026-03-02 11:00 に対象になる予定です。"


def test_who_left_before_anything_was_sent_is_told_why() -> None:
    left = an_enrolment(EnrolmentState.EXITED, outcome="ordered", moved_at=NOW)
    assert told(enrolments=(left,)).conclusion == "何も送らずに終了しました（すでに購入された）。"


@pytest.mark.parametrize(
    ("cart", "said"),
    [
        (replace(CART, historical=True), "過去データの取り込み"),
        (replace(CART, lines=()), "空になっている"),
        (replace(CART, completed_at=TOUCHED), "購入手続きが完了"),
        (CART, "時機を逃していた"),
        (replace(CART, updated_at=NOW - timedelta(minutes=10)), "に対象になる見込み"),
    ],
)
def test_who_is_not_enrolled_is_told_why_of_each_cart(cart: Cart, said: str) -> None:
    story = told(person=a_person(cart), enrolments=())
    assert said in story.conclusion
    assert not story.chapters


def test_who_has_no_cart_is_told_so() -> None:
    assert "カートの記録がない" in told(person=a_person(), enrolments=()).conclusion
    assert "no cart" in told(person=a_person(), enrolments=(), voice=ENGLISH).conclusion


def test_an_erased_person_and_a_scenario_that_is_off_come_before_the_cart() -> None:
    assert "削除" in told(person=a_person(CART, erased=True), enrolments=()).conclusion
    assert "停止中" in told(enrolments=(), off=True).conclusion


def test_the_story_holds_no_personal_data() -> None:
    story = told(a_row("mail_1", SendState.SENT))
    assert "hanako@example.com" not in story.title + story.conclusion + lines(story) + story.chapters[0].title


def test_times_are_the_shops() -> None:
    assert Voice("ja", "Asia/Tokyo").time(TOUCHED) == "2026-03-02 10:00"
    assert Voice("en", "UTC").time(TOUCHED) == "2026-03-02 01:00"


@pytest.mark.parametrize(
    ("span", "ja", "en"),
    [
        (timedelta(minutes=90), "1時間30分", "1 h 30 min"),
        (timedelta(days=2), "2日", "2 d"),
        (timedelta(seconds=5), "0分", "0 min"),
    ],
)
def test_durations_are_said_as_people_say_them(span: timedelta, ja: str, en: str) -> None:
    assert (JAPANESE.duration(span), ENGLISH.duration(span)) == (ja, en)


def test_the_arm_that_was_taken_is_named_with_its_branch() -> None:
    assert "分岐 tier → high" in lines(told(a_row("mail_2_high", SendState.SENT)))
    assert "分岐 tier → else" in lines(told(a_row("mail_2", SendState.SENT)))
    assert "分岐" not in lines(told(a_row("mail_1", SendState.SENT))).split("mail_1")[1].split("…")[0]


def words_written_down() -> set[str]:
    """Every word that an enrolment, a skipped example or a replay may give as its outcome."""
    marks = {step.EJECTED, step.TAGGED, step.PROMISED, step.WAITING, step.FAILED, HOLDOUT, END, rules.OFF}
    return {str(word) for word in (*Reason, *SendState, *REASONS, *marks) if word}


@pytest.mark.parametrize("word", sorted(words_written_down()))
def test_every_word_a_scenario_writes_down_is_said_in_japanese(word: str) -> None:
    assert not outcome(word, "ja").isascii(), word
    left = (an_enrolment(EnrolmentState.EXITED, outcome=word),)
    assert word not in told(enrolments=left).conclusion


@pytest.mark.parametrize("event", Trigger)
def test_what_let_somebody_in_is_said_of_every_scenario(event: Trigger) -> None:
    scenario = SCENARIO.model_copy(update={"entry": SCENARIO.entry.model_copy(update={"event": event})})
    another = an_enrolment(occurrence="another")
    for voice in (JAPANESE, ENGLISH):
        story = explain(Evidence(HANAKO, scenario, a_person(), [another], []), voice, NOW)
        assert TRIGGERS[event].of(voice.language) in story.chapters[0].title
        lines = "".join(line.text for line in story.chapters[0].lines)
        assert (event is Trigger.CART_ABANDONED) == ("カートが" in lines or "cart" in lines)
