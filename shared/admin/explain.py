"""配信理由: why did (or didn't) this person get this? The records in order and in words; nothing is decided here."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from zoneinfo import ZoneInfo

from shared.admin import labels, outcomes
from shared.admin.labels import Label
from shared.core.ids import CustomerId
from shared.core.money import format_amount
from shared.customers.model import Cart, PersonState
from shared.delivery.model import LedgerRow, Reason, SendState
from shared.scenarios import rules
from shared.scenarios.enrolment import Enrolment, EnrolmentState, cart_occurrence
from shared.scenarios.language.entries import Trigger
from shared.scenarios.language.steps import FORKS, Exit, Send, Step, step_name, walk
from shared.scenarios.model import LiveStatus, Scenario


@dataclass(frozen=True, slots=True)
class Evidence:
    """Everything recorded about one person and one scenario."""

    customer_id: CustomerId
    scenario: Scenario
    person: PersonState | None
    enrolments: Sequence[Enrolment]
    rows: Sequence[LedgerRow]
    """Ledger rows of this scenario."""


@dataclass(frozen=True, slots=True)
class Line:
    """One thing that happened (or is still to come: no time)."""

    at: datetime | None
    mark: str
    """✓ sent, – held back, ? unknown, · for everything else."""
    text: str
    details: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Chapter:
    """What happened about one cart."""

    title: str
    lines: tuple[Line, ...]


@dataclass(frozen=True, slots=True)
class Story:
    """The answer: one sentence, then the steps."""

    title: str
    conclusion: str
    chapters: tuple[Chapter, ...] = field(default=())


@dataclass(frozen=True, slots=True)
class Voice:
    """In which language, and on which clock, the story is told."""

    language: str = "ja"
    timezone: str = "Asia/Tokyo"

    def say(self, ja: str, en: str) -> str:
        """The text in the voice's language."""
        return Label(ja, en).of(self.language)

    def time(self, at: datetime) -> str:
        """Shop-local time, to the minute."""
        return f"{at.astimezone(ZoneInfo(self.timezone)):%Y-%m-%d %H:%M}"

    def duration(self, span: timedelta) -> str:
        """`1時間30分`, `2日`, `1 h 30 min`."""
        minutes = int(span.total_seconds()) // 60
        parts = [(minutes // 1440, "日", " d"), (minutes % 1440 // 60, "時間", " h"), (minutes % 60, "分", " min")]
        said = [self.say(f"{number}{ja}", f"{number}{en}") for number, ja, en in parts if number]
        return self.say("", " ").join(said) or self.say("0分", "0 min")


def explain(evidence: Evidence, voice: Voice, now: datetime) -> Story:
    """Why this person did or did not get what the scenario sends."""
    scenario = evidence.scenario
    title = f"{scenario.title}（{scenario.id}）" if voice.language == "ja" else f"{scenario.title} ({scenario.id})"
    if not evidence.enrolments and not evidence.rows:
        return Story(title, _why_not_enrolled(evidence, voice, now))
    chapters = tuple(_chapter(evidence, occurrence, voice) for occurrence in _occurrences(evidence))
    return Story(title, _conclusion(evidence, voice), chapters)


def _occurrences(evidence: Evidence) -> list[str]:
    """Carts in the order they were last touched; ledger rows whose enrolment is gone come last."""
    enrolled = [each.occurrence for each in sorted(evidence.enrolments, key=lambda e: (e.touched_at, e.occurrence))]
    return list(dict.fromkeys([*enrolled, *sorted(row.occurrence for row in evidence.rows)]))


# --- not enrolled -----------------------------------------------------------------------------------------------------


def _why_not_enrolled(evidence: Evidence, voice: Voice, now: datetime) -> str:
    person, scenario = evidence.person, evidence.scenario
    if person is None:
        return voice.say("このお客さまの記録がありません。", "There is no record of this person.")
    if person.profile.erased:
        return voice.say(
            "個人情報の削除を希望されたため、対象になりません。", "Not enrolled: personal data was erased on request."
        )
    if scenario.status is LiveStatus.OFF:
        return voice.say("このシナリオは停止中で、誰も対象になりません。", "Not enrolled: the scenario is off.")
    if scenario.entry.event is not Trigger.CART_ABANDONED:
        what = outcomes.TRIGGERS[scenario.entry.event].of(voice.language)
        return voice.say(
            f"対象になっていません。きっかけ（{what}）がまだないか、このシナリオの条件に合いませんでした。",
            f"Not enrolled: there was nothing yet to let them in ({what}), or not as the scenario wants it.",
        )
    if not person.carts:
        return voice.say(
            "対象になっていません。カートの記録がないためです。", "Not enrolled: no cart of this person is known."
        )
    whys = list(dict.fromkeys(_why_not_this_cart(cart, scenario, voice, now) for cart in person.carts))
    return voice.say("対象になっていません。", "Not enrolled. ") + " ".join(whys)


def _why_not_this_cart(cart: Cart, scenario: Scenario, voice: Voice, now: datetime) -> str:
    """The answer of the rule that decides about entry, asked again."""
    rule = rules.EntryRule(scenario.id, scenario.status, scenario.entry, scenario.again_after)
    at = voice.time(cart.updated_at)
    answer = rules.entering(cart, rule, now, historical=cart.historical)
    if answer.due_at is not None:
        due = voice.time(answer.due_at)
        return voice.say(
            f"カート（{at} 最終操作）は {due} に対象になる見込みです。",
            f"The cart (touched {at}) becomes due at {due}.",
        )
    why = _NOT_ENTERED[answer.reason].of(voice.language)
    return voice.say(f"カート（{at} 最終操作）：{why}。", f"Cart touched {at}: {why}.")


_NOT_ENTERED = {
    rules.HISTORICAL: outcomes.OUTCOMES[rules.HISTORICAL],
    rules.EMPTY_CART: Label("空になっている", "it is empty"),
    Reason.ORDERED: Label("購入手続きが完了している", "it was completed"),
    Reason.TOO_LATE: Label(
        "シナリオの開始より前か、気づいたときには時機を逃していた", "older than the scenario, or noticed too late"
    ),
}


# --- enrolled ---------------------------------------------------------------------------------------------------------


def _conclusion(evidence: Evidence, voice: Voice) -> str:
    sent = [row for row in evidence.rows if row.state is SendState.SENT]
    unknown = [row for row in evidence.rows if row.state is SendState.UNKNOWN]
    held = [row for row in evidence.rows if row.state in (SendState.SUPPRESSED, SendState.EXPIRED, SendState.FAILED)]
    reasons = list(dict.fromkeys(labels.REASONS[row.reason].of(voice.language) for row in held))
    parts = []
    if sent:
        parts.append(voice.say(f"{len(sent)}通送信しました。", f"{len(sent)} sent."))
    if held:
        why = voice.say("・", ", ").join(reasons)
        parts.append(voice.say(f"{len(held)}通は送りませんでした（{why}）。", f"{len(held)} held back ({why})."))
    if unknown:
        parts.append(voice.say(f"{len(unknown)}通は送れたか確認中です。", f"{len(unknown)} not known yet."))
    if not parts:
        parts.append(_nothing_yet(evidence, voice))
    return voice.say("", " ").join(parts)


def _nothing_yet(evidence: Evidence, voice: Voice) -> str:
    latest = max(evidence.enrolments, key=lambda e: e.touched_at, default=None)
    if latest and latest.state is EnrolmentState.ARMED and latest.due_at:
        at = voice.time(latest.due_at)
        return voice.say(f"まだ何も送っていません。{at} に対象になる予定です。", f"Nothing sent yet; due at {at}.")
    if latest and latest.state is EnrolmentState.EXITED:
        why = outcome(latest.outcome, voice)
        return voice.say(f"何も送らずに終了しました（{why}）。", f"Left before anything was sent ({why}).")
    return voice.say("まだ何も送っていません。", "Nothing sent yet.")


def _chapter(evidence: Evidence, occurrence: str, voice: Voice) -> Chapter:
    enrolment = next((each for each in evidence.enrolments if each.occurrence == occurrence), None)
    rows = sorted((row for row in evidence.rows if row.occurrence == occurrence), key=lambda row: row.decided_at)
    lines = [*_entry_lines(evidence, enrolment, voice), *(_send_line(evidence, row, voice) for row in rows)]
    return Chapter(_cart_title(evidence, occurrence, voice), (*lines, *_end_lines(evidence, enrolment, rows, voice)))


def _cart_title(evidence: Evidence, occurrence: str, voice: Voice) -> str:
    carts = evidence.person.carts if evidence.person else ()
    cart = next((c for c in carts if cart_occurrence(c) == occurrence), None)
    if cart is None:
        what = outcomes.TRIGGERS[evidence.scenario.entry.event]
        return voice.say(f"きっかけ：{what.ja}", f"Let in by {what.en}")
    pieces = sum(line.quantity for line in cart.lines)
    amount = format_amount(cart.total, cart.currency) if cart.currency else f"{cart.total:,}"
    return voice.say(
        f"カート {cart.store}　{amount}（{pieces}点）", f"Cart at {cart.store}: {amount} ({pieces} pieces)"
    )


def _entry_lines(evidence: Evidence, enrolment: Enrolment | None, voice: Voice) -> list[Line]:
    if enrolment is None:
        return []
    event = evidence.scenario.entry.event
    what = outcomes.TRIGGERS[event]
    began, entered = Label(f"きっかけ：{what.ja}", what.en), Label("シナリオに入った", "entered")
    if event is Trigger.CART_ABANDONED:
        after = voice.duration(evidence.scenario.entry.after)
        began = Label("カートが最後に操作された", "cart last touched")
        entered = Label(
            f"シナリオに入った（カートが{after}そのままだったため）", f"entered: the cart was left alone for {after}"
        )
    lines = [Line(enrolment.touched_at, "·", began.of(voice.language))]
    if enrolment.entered_at:
        version = (voice.say("ルールの版 ", "rule version ") + enrolment.version,) if enrolment.version else ()
        lines.append(Line(enrolment.entered_at, "→", entered.of(voice.language), version))
    elif enrolment.due_at:
        lines.append(Line(enrolment.due_at, "…", voice.say("この時刻に対象になる予定", "becomes due")))
    return lines


def _send_line(evidence: Evidence, row: LedgerRow, voice: Voice) -> Line:
    name = step_title(evidence.scenario, row.step)
    medium = labels.channel(row.channel, voice.language)
    state = labels.SEND_STATES[row.state].of(voice.language)
    why = voice.say("：", ": ") + labels.REASONS[row.reason].of(voice.language) if row.reason else ""
    details = [voice.say("ルールの版 ", "rule version ") + row.scenario_version]
    details += [
        voice.say("分岐 ", "branch ") + f"{branch} → {arm}" for branch, arm in arms(evidence.scenario, row.step)
    ]
    if row.message_id:
        details.append(voice.say("メッセージID ", "message id ") + row.message_id)
    if row.template:
        details.append(voice.say("テンプレート ", "template ") + row.template)
    at = row.sent_at or row.decided_at
    return Line(
        at,
        _MARKS[row.state],
        voice.say(f"{name}（{medium}）　{state}{why}", f"{name} ({medium}): {state}{why}"),
        tuple(details),
    )


_MARKS = {
    SendState.SENT: "✓",
    SendState.SUPPRESSED: "–",
    SendState.EXPIRED: "–",
    SendState.FAILED: "✗",
    SendState.UNKNOWN: "?",
    SendState.RESERVED: "…",
    SendState.SENDING: "…",
}


def _end_lines(evidence: Evidence, enrolment: Enrolment | None, rows: Sequence[LedgerRow], voice: Voice) -> list[Line]:
    if enrolment is None:
        return []
    match enrolment.state:
        case EnrolmentState.FINISHED:
            return [Line(enrolment.moved_at, "■", voice.say("最後まで進んで終了", "came to the end"))]
        case EnrolmentState.EXITED:
            why = _exit_note(evidence.scenario, enrolment.outcome) or outcome(enrolment.outcome, voice)
            return [Line(enrolment.moved_at, "■", voice.say(f"途中で終了：{why}", f"left: {why}"))]
        case EnrolmentState.FAILED:
            text = voice.say("処理に失敗したため外した", "put aside: a step kept failing on this person")
            return [Line(enrolment.moved_at, "✗", text)]
        case EnrolmentState.ARMED:
            return []
        case EnrolmentState.ENTERED:
            done = {row.step for row in rows}
            ahead = [send for send in evidence.scenario.sends() if send.send not in done]
            note = voice.say("まだ（分岐によっては送らない）", "not yet (or not on this branch)")
            return [Line(None, "…", f"{step_title(evidence.scenario, send.send)}　{note}") for send in ahead]


def _exit_note(scenario: Scenario, word: str) -> str:
    """What the file says of an exit of its own."""
    return next((step.note for step in walk(scenario.steps) if isinstance(step, Exit) and step.exit == word), "")


def arms(scenario: Scenario, send: str) -> list[tuple[str, str]]:
    """The branches and arms on the way to a send: what the person must have been to come there."""

    def way(steps: tuple[Step, ...]) -> list[tuple[str, str]] | None:
        for step in steps:
            if isinstance(step, Send) and step.send == send:
                return []
            if isinstance(step, FORKS):
                for arm, path in step.paths():
                    if (rest := way(path)) is not None:
                        return [(step_name(step), arm), *rest]
        return None

    return way(scenario.steps) or []


def step_title(scenario: Scenario, step: str) -> str:
    """A send step by its note where it has one (`1通目`), with its name."""
    send = next((each for each in scenario.sends() if each.send == step), None)
    return _titled(send) if send else step


def _titled(send: Send) -> str:
    return f"{send.note} {send.send}" if send.note else send.send


def outcome(word: str, voice: Voice) -> str:
    """An enrolment's outcome in words."""
    return outcomes.outcome(word, voice.language) or voice.say("理由の記録なし", "no reason recorded")
