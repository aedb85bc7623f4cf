"""The sheet a widget is drawn on: language, theme and size, and the few pieces all widgets share."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any
from zoneinfo import ZoneInfo

from markupsafe import Markup

from shared.admin.labels import LANGUAGES, Label
from shared.admin.markup import Child, style_sheet, tag
from shared.core.money import exponent, format_amount


@dataclass(frozen=True, slots=True)
class Theme:
    """Colours that are readable on CloudWatch's light or dark background (contrast at least 4.5 for text)."""

    ink: str
    muted: str
    line: str
    track: str
    good: str
    warn: str
    bad: str
    accent: str
    held: str
    heat: float
    """Strongest tint of a heat-map cell, so that `ink` stays readable on it."""


THEMES: Mapping[str, Theme] = {
    "light": Theme(
        "#16191f", "#545b64", "#d5dbdb", "#e9edf0", "#187a2f", "#8a5a00", "#c22a12", "#0a6ebd", "#b9c2ca", 0.5
    ),
    "dark": Theme(
        "#eef1f4", "#a9b5c2", "#3a4756", "#263342", "#67cf7f", "#f0b849", "#ff8a70", "#4cb1f5", "#6b7a8a", 0.55
    ),
}

_FONT = (
    '"Amazon Ember","Helvetica Neue","Hiragino Kaku Gothic ProN","Yu Gothic",'
    '"Noto Sans CJK JP","Noto Sans JP",sans-serif'
)


@dataclass(frozen=True, slots=True)
class Frame:
    """How to draw: as CloudWatch describes it in `widgetContext`, plus the language."""

    language: str = "ja"
    theme: str = "light"
    width: int = 588
    height: int = 400

    @property
    def colours(self) -> Theme:
        """The colours of the theme."""
        return THEMES[self.theme]

    def say(self, ja: str, en: str) -> str:
        """The text in the frame's language."""
        return Label(ja, en).of(self.language)

    def label(self, label: Label) -> str:
        """A label in the frame's language."""
        return label.of(self.language)

    def count(self, number: int) -> str:
        """`1,234人`, `1,234`."""
        return self.say(f"{number:,}人", f"{number:,}")

    def amount(self, minor: int, currency: str) -> str:
        """Money short enough for a table cell: `¥9,800`, `123.4万円`, `1.2億円`; `¥1.2M`."""
        return _short_ja(minor, currency) if self.language == "ja" else _short_en(minor, currency)

    def day(self, on: date) -> str:
        """`2026年11月20日`, `20 Nov 2026`."""
        return self.say(f"{on.year}年{on.month}月{on.day}日", f"{on:%-d %b %Y}")

    def moment(self, at: datetime, timezone: str = "Asia/Tokyo") -> str:
        """Shop-local date and time."""
        local = at.astimezone(ZoneInfo(timezone))
        return f"{self.day(local.date())} {local:%H:%M}"


def frame_of(parameters: Mapping[str, Any], context: Mapping[str, Any]) -> Frame:
    """From a widget's parameters and CloudWatch's `widgetContext`; anything odd falls back to the default."""
    language = parameters.get("language")
    return Frame(
        language=language if language in LANGUAGES else "ja",
        theme="dark" if context.get("theme") == "dark" else "light",
        width=_size(context.get("width"), 588, 280, 2400),
        height=_size(context.get("height"), 400, 120, 2400),
    )


def sheet(frame: Frame, *body: Child, css: str = "") -> Markup:
    """The whole widget: own style (`css` adds the view's rules), transparent background, nothing that scripts."""
    style = style_sheet(_css(frame.colours) + css)
    return tag("div", tag("div", class_="cwdb-no-default-styles"), style, *body, class_="mtk")


def empty(frame: Frame, hint: Label) -> Markup:
    """データなし: what is missing and what makes it appear."""
    return sheet(
        frame,
        tag(
            "div",
            tag("div", frame.say("データなし", "No data yet"), class_="mtk-empty-title"),
            tag("div", frame.label(hint), class_="mtk-muted"),
            class_="mtk-empty",
        ),
    )


def problem(frame: Frame, message: str) -> Markup:
    """An error the admin can act on."""
    return sheet(
        frame,
        tag(
            "div",
            tag("strong", frame.say("表示できません", "Cannot be shown"), class_="mtk-bad"),
            tag("div", message),
            class_="mtk-empty",
        ),
    )


def caption(*parts: Child) -> Markup:
    """The small line above a widget: as of when, over what."""
    return tag("div", *parts, class_="mtk-caption")


def dot(colour: str) -> Markup:
    """A colour key."""
    return tag("span", class_="mtk-dot", style=f"background:{colour}")


def bar(parts: list[tuple[float, str]], track: str, *, height: int = 14, label: str = "") -> Markup:
    """One horizontal bar as SVG: `parts` are (share of the full width 0..1, colour), left to right."""
    rects = [tag("rect", x="0", y="0", width="100%", height=height, rx="3", fill=track)]
    start = 0.0
    for share, colour in parts:
        if share > 0:
            width = max(share, 0.004)  # what exists is visible
            rects.append(
                tag(
                    "rect",
                    x=f"{100 * start:.2f}%",
                    y="0",
                    width=f"{100 * width:.2f}%",
                    height=height,
                    rx="2",
                    fill=colour,
                )
            )
        start += share
    return tag(
        "svg", *rects, xmlns="http://www.w3.org/2000/svg", width="100%", height=height, role="img", aria_label=label
    )


def percent(part: int, whole: int) -> str:
    """`12.3%`; `–` when there is nothing to divide by."""
    return f"{100 * part / whole:.1f}%" if whole else "–"


def tint(colour: str, strength: float) -> str:
    """`#rrggbb` as rgba."""
    red, green, blue = (int(colour[i : i + 2], 16) for i in (1, 3, 5))
    return f"rgba({red},{green},{blue},{strength:.2f})"


def _size(value: object, default: int, low: int, high: int) -> int:
    if not isinstance(value, int | float) or math.isnan(value):
        return default
    return int(min(max(value, low), high))


def _short_ja(minor: int, currency: str) -> str:
    major = abs(minor) / 10 ** exponent(currency)
    if major < 10_000:
        return format_amount(minor, currency)
    sign = "-" if minor < 0 else ""
    unit = "円" if currency == "JPY" else f" {currency}"
    for size, word in ((1_0000_0000_0000, "兆"), (1_0000_0000, "億"), (1_0000, "万")):
        if major >= size:
            return f"{sign}{_three_figures(major / size)}{word}{unit}"
    raise AssertionError("unreachable: major is at least 10,000")


def _short_en(minor: int, currency: str) -> str:
    major = abs(minor) / 10 ** exponent(currency)
    if major < 10_000:
        return format_amount(minor, currency)
    sign = "-" if minor < 0 else ""
    for size, word in ((1e12, "T"), (1e9, "B"), (1e6, "M"), (1e3, "K")):
        if major >= size:
            short = f"{_three_figures(major / size)}{word}"
            return f"{sign}¥{short}" if currency == "JPY" else f"{sign}{short} {currency}"
    raise AssertionError("unreachable: major is at least 10,000")


def _three_figures(number: float) -> str:
    return f"{number:,.0f}" if number >= 100 else f"{number:.1f}"


def _css(c: Theme) -> str:
    return (
        f".mtk{{font:13px/1.5 {_FONT};color:{c.ink};box-sizing:border-box;padding:2px 4px 6px}}"
        ".mtk *{box-sizing:border-box}"
        ".mtk svg{display:block}"
        f".mtk-muted,.mtk-caption{{color:{c.muted};font-size:12px}}"
        ".mtk-caption{display:flex;flex-wrap:wrap;gap:2px 16px;margin:0 0 8px}"
        f".mtk-caption strong{{color:{c.ink};font-size:13px}}"
        f".mtk .mtk-good{{color:{c.good}}}.mtk .mtk-warn{{color:{c.warn}}}.mtk .mtk-bad{{color:{c.bad}}}"
        ".mtk .mtk-num{text-align:right;font-variant-numeric:tabular-nums;white-space:nowrap}"
        ".mtk-dot{display:inline-block;width:10px;height:10px;border-radius:2px;margin-right:6px;vertical-align:-0.5px}"
        ".mtk-empty{padding:28px 12px;text-align:center}.mtk-empty-title{font-size:16px;font-weight:700}"
        ".mtk-row{display:flex;flex-wrap:wrap;gap:12px 20px;align-items:flex-start}"
        ".mtk table{border-collapse:collapse;width:100%;font-variant-numeric:tabular-nums}"
        f".mtk th{{font-weight:600;color:{c.muted};font-size:12px;text-align:left;padding:4px 6px}}"
        f".mtk td{{padding:5px 6px;border-top:1px solid {c.line};vertical-align:middle}}"
    )
