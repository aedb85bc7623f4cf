"""夜間集計: did last night's run work, what did each of its steps do, and what did it cost."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from markupsafe import Markup

from shared.admin.frame import Frame, bar, caption, empty, sheet
from shared.admin.labels import LANGUAGES, Label
from shared.admin.markup import Child, join, tag
from shared.admin.sources import Size, Sources
from shared.analytics.nightly import RUN, STEPS
from shared.core.clock import from_iso
from shared.core.shop import Shop

TITLE = Label("夜間集計", "Nightly run")
SIZE = Size(width=12, height=9, place=40)
ABOUT = Label(
    "直近の夜間集計の結果です。データの整理・各分析・顧客データへの反映について、時間・件数・読み取ったデータ量"
    "（分析ではAthenaの課金対象）と、失敗したものを表示します。",
    "The last nightly run: seconds, rows and bytes read (by analyses: what Athena charges for) of each step, from"
    " compaction over the analyses to the write-back, and failures.",
)
BESIDE_ANALYSES = {
    "compact": Label("データの整理", "Compaction"),
    "write_back": Label("顧客データへの反映", "Write-back"),
}
HINT = Label("最初の夜間集計（毎日2時）のあとに表示されます。", "It appears after the first nightly run (02:00).")


@dataclass(frozen=True, slots=True)
class Step:
    """An analysis of the run, or what goes before or after them. `failure`: what went wrong, empty when it worked."""

    title: Label
    seconds: float
    rows: int
    scanned_bytes: int
    failure: str = ""
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Run:
    """One nightly run."""

    as_of: date
    state: str
    """running, complete, incomplete"""
    started_at: datetime | None = None
    ended_at: datetime | None = None
    failed: tuple[str, ...] = ()
    changed: int = 0
    """People whose status, tier or RFM changed."""
    steps: tuple[Step, ...] = ()
    timezone: str = "Asia/Tokyo"


def load(sources: Sources) -> Run | None:
    """The newest run's record, and what was noted of its steps."""
    found = sources.reports.latest(sources.shop.tenant, RUN)
    if not found:
        return None
    on, document = found[0]
    noted = dict(sources.reports.latest(sources.shop.tenant, STEPS)).get(on, {})
    return parse(on, document, noted, sources.shop)


def parse(on: date, document: Mapping[str, Any], noted: Mapping[str, Any], shop: Shop) -> Run:
    """The run from its record; one that is still running has no steps yet."""
    beside = {each["step"]: _parse_beside(each) for each in noted.get("steps", ()) if each["step"] in BESIDE_ANALYSES}
    analyses = [_parse_step(each) for each in document.get("analyses", ())]
    steps = [beside.get("compact"), *analyses, beside.get("write_back")]
    return Run(
        as_of=on,
        state=str(document["state"]),
        started_at=_instant(document.get("started_at")),
        ended_at=_instant(document.get("ended_at")),
        failed=tuple(document.get("failed", ())),
        changed=int(document.get("changed", 0)),
        steps=tuple(step for step in steps if step and document["state"] != "running"),
        timezone=shop.timezone,
    )


def _parse_step(document: Mapping[str, Any]) -> Step:
    failure = "" if document["state"] == "done" else (document["reason"] or document["state"])
    return Step(
        title=Label(*(document.get("title", {}).get(language, document["name"]) for language in LANGUAGES)),
        seconds=float(document["seconds"]),
        rows=int(document["rows"]),
        scanned_bytes=int(document["scanned_bytes"]),
        failure=str(failure),
        warnings=tuple(document["warnings"]),
    )


def _parse_beside(document: Mapping[str, Any]) -> Step:
    return Step(
        title=BESIDE_ANALYSES[document["step"]],
        seconds=float(document["seconds"]),
        rows=int(document["rows"]),
        scanned_bytes=int(document["scanned_bytes"]),
        failure=str(document["note"]) if document["state"] == "failed" else "",
    )


def _instant(text: str | None) -> datetime | None:
    return from_iso(text) if text else None


def render(run: Run | None, frame: Frame) -> Markup:
    """The verdict, then one line per step."""
    if run is None:
        return empty(frame, HINT)
    longest = max((step.seconds for step in run.steps), default=0) or 1
    head = tag(
        "tr",
        tag("th", frame.say("処理", "Step")),
        tag("th", frame.say("時間", "Time"), colspan="2"),
        tag("th", frame.say("件数", "Rows"), class_="mtk-num"),
        tag("th", frame.say("読み取り", "Scanned"), class_="mtk-num"),
    )
    rows = [_row(step, longest, frame) for step in run.steps]
    table = tag("table", tag("thead", head), tag("tbody", join(rows)), class_="mtk-night") if rows else None
    return sheet(frame, _caption(run, frame), table, css=_CSS)


def _caption(run: Run, frame: Frame) -> Markup:
    day = frame.day(run.as_of)
    parts: list[Child] = [_verdict(run, frame), tag("span", frame.say(f"{day} 時点の集計", f"as of {day}"))]
    if run.started_at and run.ended_at:
        at, took = frame.moment(run.ended_at, run.timezone), (run.ended_at - run.started_at).total_seconds()
        parts.append(tag("span", frame.say(f"{at} 終了（{took:,.0f}秒）", f"ended {at} ({took:,.0f} s)")))
    elif run.started_at:
        at = frame.moment(run.started_at, run.timezone)
        parts.append(tag("span", frame.say(f"{at} 開始", f"started {at}")))
    if run.steps:
        parts.append(tag("span", frame.say("変化した顧客 ", "changed "), tag("strong", frame.count(run.changed))))
        parts.append(
            tag("span", frame.say("読み取り計 ", "scanned "), size(sum(step.scanned_bytes for step in run.steps)))
        )
    return caption(*parts)


def _verdict(run: Run, frame: Frame) -> Markup:
    if run.state == "complete":
        return tag("strong", frame.say("✓ 正常に終了", "✓ complete"), class_="mtk-good")
    if run.state == "running":
        return tag("strong", frame.say("… 実行中", "… running"), class_="mtk-warn")
    count = len(run.failed)
    return tag("strong", frame.say(f"✗ {count}件が失敗", f"✗ {count} failed"), class_="mtk-bad")


def _row(step: Step, longest: float, frame: Frame) -> Markup:
    colour = frame.colours.bad if step.failure else frame.colours.accent
    return tag(
        "tr",
        tag(
            "td",
            frame.label(step.title),
            tag("div", "✗ ", step.failure, class_="mtk-bad") if step.failure else None,
            tag("div", "! ", ", ".join(step.warnings), class_="mtk-warn") if step.warnings else None,
        ),
        tag("td", bar([(step.seconds / longest, colour)], frame.colours.track, height=8), style="width:22%"),
        tag("td", f"{step.seconds:,.1f}" + frame.say("秒", " s"), class_="mtk-num"),
        tag("td", f"{step.rows:,}", class_="mtk-num"),
        tag("td", size(step.scanned_bytes), class_="mtk-num"),
    )


def size(count: int) -> str:
    """`12 B`, `3.4 MB`."""
    number = float(count)
    for unit in ("B", "KB", "MB", "GB"):
        if number < 1000:
            return f"{number:.0f} {unit}" if unit == "B" else f"{number:.1f} {unit}"
        number /= 1000
    return f"{number:,.1f} TB"


_CSS = ".mtk .mtk-night td{padding:3px 6px}.mtk-night .mtk-bad{overflow-wrap:anywhere}"
