"""ステータス判定: how many people stand in each of the five statuses, how that moved, and what to do next."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date
from typing import Any

from markupsafe import Markup

from shared.admin.frame import Frame, bar, caption, dot, empty, percent, sheet
from shared.admin.labels import STATUSES, Label
from shared.admin.markup import Child, join, tag
from shared.admin.sources import Size, Sources, Titles
from shared.analytics.definitions import Definitions, definitions_of
from shared.customers.model import Status

TITLE = Label("顧客ステータス", "Customer status")
SIZE = Size(width=12, height=9, place=30)
ABOUT = Label(
    "購入者全員を5つのステータス（優良・リピート見込み・新規・少回数・離脱予備軍・休眠）のどれか1つに分けた人数と、"
    "前回の夜間集計からの増減、今月のステータスの移動です。",
    "Every buyer in exactly one of five statuses, with the change since the run before and the month's moves.",
)
HINT = Label("夜間集計（毎日2時）が終わると表示されます。", "It appears after the nightly run (02:00).")
REPORT = "status_counts"
MOVES = "status_moves"
APPROACHES = "next_approach"
FIRST = "none"
SHOWN_MOVES = 6

COLOURS: Mapping[Status, str] = {
    Status.LOYAL: "#1e8e4e",
    Status.PROMISING: "#1f86d1",
    Status.NEW: "#7a5cd6",
    Status.AT_RISK: "#e5702a",
    Status.DORMANT: "#78838f",
}


def meanings(limits: Definitions) -> Mapping[Status, Label]:
    """Who is in a status, by the limits the shop set (definitions.md §14)."""
    times = f"{limits.overdue_percent / 100:g}"
    return {
        Status.LOYAL: Label(
            f"{limits.loyal_orders}回以上・購入金額の上位{limits.top_percent}%",
            f"{limits.loyal_orders}+ orders, top {limits.top_percent}% by sales",
        ),
        Status.PROMISING: Label("続けて購入中", "buying again"),
        Status.NEW: Label(
            f"{limits.new_orders}回以下、または初回から{limits.new_days}日以内",
            f"at most {limits.new_orders} orders, or within {limits.new_days} days of the first",
        ),
        Status.AT_RISK: Label(
            f"いつもの購入間隔の{times}倍を過ぎた", f"{times} × their usual interval without an order"
        ),
        Status.DORMANT: Label(
            f"最終購入から{limits.dormant_days}日以上", f"{limits.dormant_days} days or more since the last order"
        ),
    }


@dataclass(frozen=True, slots=True)
class Move:
    """So many people from one status to another."""

    origin: Status | None
    """None: judged for the first time."""
    target: Status
    last_night: int
    this_month: int


@dataclass(frozen=True, slots=True)
class Approach:
    """What to do next for a status (次の一手)."""

    title: str
    """Of the scenario recommended."""
    response_rate: float | None
    """Who bought within 14 days of such a send (参考値); None: never sent."""


@dataclass(frozen=True, slots=True)
class Breakdown:
    """Counts per status as of a day; `before` is the previous run, None after the first."""

    as_of: date
    counts: Mapping[Status, int]
    amounts: Mapping[Status, int]
    currency: str
    limits: Definitions
    before_on: date | None = None
    before: Mapping[Status, int] | None = None
    entered: Mapping[Status, int] | None = None
    """People who came into the status in this run (new buyers included), where the run counted them."""
    moves: tuple[Move, ...] = ()
    """Most of this month first."""
    approaches: Mapping[Status, Approach] = field(default_factory=dict)


def load(sources: Sources) -> Breakdown | None:
    """The newest counts, and those of the run before."""
    found = sources.reports.latest(sources.shop.tenant, REPORT, 2)
    if not found:
        return None
    (on, now), before = found[0], found[1] if len(found) > 1 else None
    return Breakdown(
        as_of=on,
        currency=sources.shop.currency,
        limits=definitions_of(sources.shop),
        counts=_column(now, "customers"),
        amounts=_column(now, "amount"),
        entered=_column(now, "entered"),
        before_on=before[0] if before else None,
        before=_column(before[1], "customers") if before else None,
        moves=_moves(_of_the_day(sources, MOVES, on)),
        approaches=_approaches(_of_the_day(sources, APPROACHES, on), sources.scenarios),
    )


def _of_the_day(sources: Sources, report: str, on: date) -> list[Mapping[str, Any]]:
    """The rows of another report of the same night; none where it failed."""
    rows: list[Mapping[str, Any]] = (
        dict(sources.reports.latest(sources.shop.tenant, report)).get(on, {}).get("rows", [])
    )
    return rows


def _approaches(rows: Iterable[Mapping[str, Any]], scenarios: Iterable[Titles]) -> dict[Status, Approach]:
    titles = {each.scenario: each.title for each in scenarios}
    return {
        Status(row["status"]): Approach(titles.get(row["scenario"], row["approach"]), row["response_rate"])
        for row in rows
    }


def _moves(rows: Iterable[Mapping[str, Any]]) -> tuple[Move, ...]:
    found = [
        Move(
            None if row["from_status"] == FIRST else Status(row["from_status"]),
            Status(row["to_status"]),
            int(row["customers"]),
            int(row["month_moves"]),
        )
        for row in rows
        if row["month_moves"]
    ]
    return tuple(sorted(found, key=lambda move: (-move.this_month, move.target, move.origin or "")))


def _column(document: Mapping[str, Any], name: str) -> dict[Status, int]:
    return {Status(row["status"]): int(row[name]) for row in document["rows"]}


def render(breakdown: Breakdown | None, frame: Frame) -> Markup:
    """Five bars with count, share, change and newcomers."""
    if breakdown is None or not sum(breakdown.counts.values()):
        return empty(frame, HINT)
    rows = [_row(breakdown, status, frame) for status in STATUSES]
    return sheet(
        frame,
        _caption(breakdown, frame),
        tag("table", tag("thead", _head(breakdown, frame)), tag("tbody", join(rows)), class_="mtk-status"),
        _moved(breakdown.moves[:SHOWN_MOVES], frame) if breakdown.moves else None,
        css=_CSS,
    )


def _moved(moves: Sequence[Move], frame: Frame) -> Markup:
    """Who moved this month, and how many of them last night."""
    head = tag(
        "tr",
        tag("th", frame.say("ステータスの移動", "Moves")),
        tag("th", frame.say("今月", "This month"), class_="mtk-num"),
        tag("th", frame.say("昨夜", "Last night"), class_="mtk-num"),
    )
    rows = [
        tag(
            "tr",
            tag("td", _name(move.origin, frame), " → ", dot(COLOURS[move.target]), _name(move.target, frame)),
            tag("td", frame.count(move.this_month), class_="mtk-num"),
            tag("td", frame.count(move.last_night), class_="mtk-num"),
        )
        for move in moves
    ]
    return tag("table", tag("thead", head), tag("tbody", join(rows)), class_="mtk-moves")


def _name(status: Status | None, frame: Frame) -> str:
    return frame.label(STATUSES[status]) if status else frame.say("初回の判定", "first judged")


def _caption(breakdown: Breakdown, frame: Frame) -> Markup:
    day = frame.day(breakdown.as_of)
    before = breakdown.before_on
    return caption(
        tag("span", frame.say(f"{day} 時点", f"as of {day}")),
        tag("span", frame.say("購入者 ", "Buyers "), tag("strong", frame.count(sum(breakdown.counts.values())))),
        tag("span", frame.say(f"増減は {frame.day(before)} との比較", f"change since {frame.day(before)}"))
        if before
        else tag("span", frame.say("増減は次回の集計から", "changes from the next run on")),
    )


def _head(breakdown: Breakdown, frame: Frame) -> Markup:
    cells: list[Child] = [
        tag("th", frame.say("ステータス", "Status")),
        tag("th", "", class_="mtk-wide"),
        tag("th", frame.say("人数", "People"), class_="mtk-num"),
    ]
    if breakdown.before is not None:
        cells.append(tag("th", frame.say("増減", "Change"), class_="mtk-num"))
    cells.append(tag("th", frame.say("累計購入金額", "Sales"), class_="mtk-num"))
    return tag("tr", *cells)


def _row(breakdown: Breakdown, status: Status, frame: Frame) -> Markup:
    count, whole = breakdown.counts.get(status, 0), sum(breakdown.counts.values())
    widest = max(breakdown.counts.values())
    cells: list[Child] = [
        tag(
            "td",
            dot(COLOURS[status]),
            tag("b", frame.label(STATUSES[status])),
            tag("div", frame.label(meanings(breakdown.limits)[status]), class_="mtk-muted"),
            _next(breakdown.approaches.get(status), frame),
            class_="mtk-who",
        ),
        tag("td", bar([(count / widest, COLOURS[status])], frame.colours.track, height=16), class_="mtk-wide"),
        tag(
            "td", tag("b", frame.count(count)), tag("div", percent(count, whole), class_="mtk-muted"), class_="mtk-num"
        ),
    ]
    if breakdown.before is not None:
        cells.append(_change(breakdown, status, frame))
    cells.append(tag("td", frame.amount(breakdown.amounts.get(status, 0), breakdown.currency), class_="mtk-num"))
    return tag("tr", *cells)


def _next(approach: Approach | None, frame: Frame) -> Markup | None:
    if approach is None:
        return None
    rate = approach.response_rate
    said = frame.say("未計測", "not measured yet")
    if rate is not None:
        said = frame.say(
            f"配信後14日以内の購入 {rate:.1%}・参考値", f"bought within 14 days of a send: {rate:.1%}, no control"
        )
    return tag("div", frame.say("次の一手：", "Next: "), approach.title, f"（{said}）", class_="mtk-muted")


def _change(breakdown: Breakdown, status: Status, frame: Frame) -> Markup:
    # Not coloured: more people in 新規 is good, in 休眠 bad, and a red number would claim to know which.
    difference = breakdown.counts.get(status, 0) - (breakdown.before or {}).get(status, 0)
    sign = "▲" if difference > 0 else "▼" if difference < 0 else "±"
    entered = None
    if breakdown.entered is not None:
        came = breakdown.entered.get(status, 0)
        entered = tag("div", frame.say(f"新たに {came:,}人", f"{came:,} entered"), class_="mtk-muted")
    return tag("td", f"{sign}{abs(difference):,}", entered, class_="mtk-num")


_CSS = (
    ".mtk-status .mtk-muted{font-size:11px;line-height:1.3}.mtk-status td{padding:6px}"
    ".mtk-wide{width:40%;min-width:60px}.mtk-who{min-width:150px}.mtk-who b{white-space:nowrap}"
)
