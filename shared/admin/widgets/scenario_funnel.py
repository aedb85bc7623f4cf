"""シナリオファネル: of everyone a step considered, who was sent to, who was held back, and the single reason why."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, timedelta

from markupsafe import Markup

from shared.admin.frame import Frame, bar, caption, dot, empty, percent, sheet
from shared.admin.labels import REASONS, Label
from shared.admin.markup import join, tag
from shared.admin.sources import Size, Sources, Titles
from shared.core.clock import shop_day
from shared.core.ids import ScenarioId
from shared.delivery.model import Reason
from shared.measurement.funnel import Funnel, StepFunnel, funnel

TITLE = Label("シナリオの配信状況", "Scenario funnel")
SIZE = Size(width=24, height=7, place=10)
DAYS = 30
"""How far back the counts go."""
ABOUT = Label(
    "シナリオの各配信で、対象になった人・送信した人・送らなかった人（理由別）の数です。"
    "対象＝送信＋送らなかった人数＋確認中 が1人単位で一致しているかを毎回検算しています。",
    "For each send of each scenario: people due, sent, and held back by reason. "
    "Due = sent + held back + unknown is checked to the unit every time.",
)
HINT = Label(
    "シナリオが最初の対象者を見つけると表示されます。",
    "It appears when a scenario has found its first person.",
)

REASON_COLOURS: Mapping[Reason, str] = {
    Reason.ORDERED: "#1f86d1",
    Reason.EXITED: "#6fa8dc",
    Reason.NO_CONSENT: "#d99a00",
    Reason.OPTED_OUT: "#b26a00",
    Reason.NO_ADDRESS: "#a1887f",
    Reason.BOUNCED: "#8d6e63",
    Reason.COMPLAINED: "#d63a55",
    Reason.ERASED: "#78838f",
    Reason.FREQUENCY_CAP: "#7a5cd6",
    Reason.PAUSED: "#8e7cc3",
    Reason.OUTRANKED: "#a98f5f",
    Reason.NOT_WORTH: "#6b8e9e",
    Reason.TOPIC_OFF: "#b39b6c",
    Reason.WARM_UP: "#c98a55",
    Reason.QUIET_HOURS: "#5566c9",
    Reason.TOO_LATE: "#00897b",
    Reason.GOAL: "#43a047",
    Reason.HOLDOUT: "#b0bec5",
    Reason.CLOSED: "#a7b3bf",
    Reason.STAGED: "#9aa5b1",
    Reason.NO_COUPON: "#bf9b30",
    Reason.TEMPLATE: "#c2185b",
    Reason.REJECTED: "#ad1457",
    Reason.STOPPED: "#90a4ae",
    Reason.AMBIGUOUS: "#ff5a3c",
    Reason.NONE: "#9aa5b1",
}
SENT_COLOUR = "#1e8e4e"


@dataclass(frozen=True, slots=True)
class Report:
    """The funnels of a shop since a day, with what scenarios and steps are called."""

    since: date
    funnels: tuple[Funnel, ...]
    titles: Mapping[str, Titles]


def load(sources: Sources) -> Report:
    """The last 30 days of every scenario."""
    today = shop_day(sources.now, sources.shop.timezone)
    since = today - timedelta(days=DAYS)
    # A day later too: an accelerated machine files a step behind a wait under the day it was planned for.
    until = today + timedelta(days=366)
    found = tuple(
        funnel(
            each.scenario,
            list(each.steps),
            sources.funnels.funnel(sources.shop.tenant, ScenarioId(each.scenario), since, until),
        )
        for each in sources.scenarios
    )
    return Report(
        since, tuple(each for each in found if each.steps), {each.scenario: each for each in sources.scenarios}
    )


def render(report: Report | None, frame: Frame) -> Markup:
    """One block per scenario: the balance, then one bar per step with its reasons."""
    if report is None or not report.funnels:
        return empty(frame, HINT)
    since = frame.day(report.since)
    return sheet(
        frame,
        caption(
            tag("span", frame.say(f"{since} から現在まで", f"since {since}")),
            tag("span", dot(SENT_COLOUR), frame.say("送信した人", "sent")),
            tag("span", frame.say("それ以外の色は送らなかった理由", "other colours: why held back")),
        ),
        join([_scenario(report, funnel, frame) for funnel in report.funnels]),
        css=_CSS.format(line=frame.colours.line, name=130 if frame.width < 800 else 230),
    )


def _scenario(report: Report, funnel: Funnel, frame: Frame) -> Markup:
    titles = report.titles.get(funnel.scenario)
    widest = max((step.due for step in funnel.steps.values()), default=0) or 1
    return tag(
        "div",
        tag(
            "div",
            tag("b", titles.title if titles else funnel.scenario),
            tag("span", funnel.scenario, class_="mtk-muted") if titles else None,
            class_="mtk-scn-title",
        ),
        _balance(funnel, frame),
        *[
            _step(name, titles.steps.get(name, "") if titles else "", step, widest, frame)
            for name, step in funnel.steps.items()
        ],
        class_="mtk-scn",
    )


def _balance(funnel: Funnel, frame: Frame) -> Markup:
    total = funnel.total
    parts = [
        frame.say(f"送信 {total.sent:,}", f"sent {total.sent:,}"),
        frame.say(f"送らなかった {total.held_back:,}", f"held back {total.held_back:,}"),
        *(f"{label.of(frame.language)} {count:,}" for label, count, _ in _open(total, frame)),
    ]
    due = frame.say(f"対象 {total.due:,}", f"due {total.due:,}")
    lost = sum(abs(step.missing) for step in funnel.steps.values())
    verdict = (
        tag("strong", frame.say(f"✗ {lost:,}人分の記録が合いません", f"✗ off by {lost:,}"), class_="mtk-bad")
        if lost
        else tag("strong", frame.say("✓ 1人単位で一致", "✓ balances to the unit"), class_="mtk-good")
    )
    return tag("div", tag("span", f"{due} = {' + '.join(parts)}"), verdict, class_="mtk-scn-balance")


def _open(step: StepFunnel, frame: Frame) -> list[tuple[Label, int, str]]:
    """What is neither sent nor held back for a reason, where there is any."""
    colours = frame.colours
    found = [
        (REASONS[Reason.AMBIGUOUS], step.unknown, REASON_COLOURS[Reason.AMBIGUOUS]),
        (Label("処理に失敗し除外", "put aside"), step.put_aside, colours.bad),
        (Label("送信待ち", "waiting"), step.in_flight, colours.accent),
    ]
    return [each for each in found if each[1]]


def _step(name: str, note: str, step: StepFunnel, widest: int, frame: Frame) -> Markup:
    held = [(REASONS[reason], count, REASON_COLOURS[reason]) for reason, count in step.held.items()]
    others = [*held, *_open(step, frame)]
    parts = [(step.sent / widest, SENT_COLOUR), *((count / widest, colour) for _, count, colour in others)]
    return tag(
        "div",
        tag(
            "div",
            tag("div", note or name),
            tag("div", name, class_="mtk-muted") if note else None,
            class_="mtk-scn-name",
        ),
        tag(
            "div",
            bar(parts, frame.colours.track, height=20, label=f"{name}: {step.sent} / {step.due}"),
            tag(
                "div", *[_chip(label, count, colour, frame) for label, count, colour in others], class_="mtk-scn-chips"
            ),
            class_="mtk-scn-bar",
        ),
        tag(
            "div",
            tag("b", f"{step.sent:,}", class_="mtk-good"),
            tag("span", f" / {step.due:,}"),
            tag("div", frame.say("送信率 ", "sent "), percent(step.sent, step.due), class_="mtk-muted"),
            class_="mtk-scn-num mtk-num",
        ),
        class_="mtk-scn-step",
    )


def _chip(label: Label, count: int, colour: str, frame: Frame) -> Markup:
    return tag("span", dot(colour), label.of(frame.language), " ", tag("b", f"{count:,}"))


_CSS = (
    ".mtk-scn{{border-top:1px solid {line};padding:8px 0 4px}}"
    ".mtk-scn-title b{{font-size:15px;margin-right:8px}}"
    ".mtk-scn-balance{{display:flex;flex-wrap:wrap;gap:0 14px;margin:0 0 6px}}"
    ".mtk-scn-step{{display:flex;gap:12px;align-items:flex-start;padding:5px 0}}"
    ".mtk-scn-name{{flex:0 0 {name}px;font-weight:600;line-height:1.35;overflow-wrap:anywhere}}"
    ".mtk-scn-name .mtk-muted{{font-weight:400;font-size:11px}}"
    ".mtk-scn-bar{{flex:1 1 auto;min-width:0}}"
    ".mtk-scn-num{{flex:0 0 104px;font-size:14px;line-height:20px}}"
    ".mtk-scn-chips{{display:flex;flex-wrap:wrap;gap:1px 14px;padding:4px 0 0;font-size:12px}}"
)
