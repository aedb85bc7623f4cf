"""Draw metric widgets as SVG: lines, bars, a big number. Sizes are in pixels, values as CloudWatch returned them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from html import escape

_COLOURS = ("#2f7d6b", "#d98032", "#5b6fb5", "#b8577a", "#7a8f3c", "#8a6bb0", "#3f93b8", "#a8763e")
_LEFT, _RIGHT, _TOP, _BOTTOM = 52, 14, 12, 26


@dataclass(frozen=True)
class Series:
    """One line of a chart: a label and its points in time order."""

    label: str
    points: Sequence[tuple[datetime, float]]
    colour: str = ""


@dataclass(frozen=True)
class Frame:
    """What a chart shows: from when to when, how large, in which time zone."""

    start: datetime
    end: datetime
    width: int
    height: int
    zone: tzinfo


def colour_of(index: int, series: Series) -> str:
    """The series' own colour, or the next of the palette."""
    return series.colour or _COLOURS[index % len(_COLOURS)]


def nice_ceiling(value: float) -> float:
    """The next round number at or above the value (1, 2, 2.5 or 5 times a power of ten)."""
    if value <= 0:
        return 1.0
    power = 10.0 ** math.floor(math.log10(value))
    return next(step * power for step in (1, 2, 2.5, 5, 10) if value <= step * power * 1.0000001)


def short(value: float) -> str:
    """A number as briefly as an axis needs it."""
    for limit, unit in ((1e9, "G"), (1e6, "M"), (1e4, "K")):
        if abs(value) >= limit:
            return f"{value / (1e3 if unit == 'K' else limit):,.1f}".rstrip("0").rstrip(".") + unit
    return f"{value:,.2f}".rstrip("0").rstrip(".") if value % 1 else f"{value:,.0f}"


class _Scale:
    def __init__(self, frame: Frame, highest: float) -> None:
        self.frame, self.highest = frame, highest
        self._seconds = max(1.0, (frame.end - frame.start).total_seconds())

    def x(self, moment: datetime) -> float:
        share = (moment - self.frame.start).total_seconds() / self._seconds
        return _LEFT + share * (self.frame.width - _LEFT - _RIGHT)

    def y(self, value: float) -> float:
        return self.frame.height - _BOTTOM - value / self.highest * (self.frame.height - _TOP - _BOTTOM)


def line_chart(series: Sequence[Series], frame: Frame, *, stacked: bool = False, bars: bool = False) -> str:
    """A time series chart with axes, a legend and a tooltip on every point."""
    drawn = _stacked(series) if stacked else list(series)
    highest = nice_ceiling(max((value for one in drawn for _, value in one.points), default=0))
    scale = _Scale(frame, highest)
    parts = [_axes(scale)]
    for index, one in enumerate(drawn):
        parts.append(_bars(one, index, scale) if bars else _line(one, index, scale, filled=stacked))
    if not any(one.points for one in series):
        parts.append(
            f'<text class="empty" x="{frame.width / 2}" y="{frame.height / 2}">この期間のデータはありません</text>'
        )
    return (
        f'<svg class="chart" viewBox="0 0 {frame.width} {frame.height}" role="img" preserveAspectRatio="none">'
        f"{''.join(parts)}</svg>{legend(series)}"
    )


def _stacked(series: Sequence[Series]) -> list[Series]:
    below: dict[datetime, float] = {}
    stacked = []
    for index, one in enumerate(series):
        points = []
        for moment, value in one.points:
            below[moment] = below.get(moment, 0.0) + value
            points.append((moment, below[moment]))
        stacked.append(Series(one.label, points, colour_of(index, one)))
    return stacked[::-1]


def _axes(scale: _Scale) -> str:
    frame = scale.frame
    parts = []
    for step in range(5):
        value = scale.highest * step / 4
        y = scale.y(value)
        parts.append(f'<line class="grid" x1="{_LEFT}" y1="{y:.1f}" x2="{frame.width - _RIGHT}" y2="{y:.1f}"/>')
        parts.append(f'<text class="tick" x="{_LEFT - 6}" y="{y + 3.5:.1f}" text-anchor="end">{short(value)}</text>')
    span = frame.end - frame.start
    pattern = "%H:%M" if span.total_seconds() <= 2 * 86400 else "%m/%d"
    for step in range(5):
        moment = frame.start + span * step / 4
        anchor = "start" if step == 0 else "end" if step == 4 else "middle"
        text = moment.astimezone(frame.zone).strftime(pattern)
        parts.append(
            f'<text class="tick" x="{scale.x(moment):.1f}" y="{frame.height - 8}" text-anchor="{anchor}">{text}</text>'
        )
    return "".join(parts)


def _tooltip(one: Series, moment: datetime, value: float, frame: Frame) -> str:
    when = moment.astimezone(frame.zone).strftime("%m/%d %H:%M")
    return f"<title>{escape(one.label)}: {value:,.10g}\n{when}</title>"


def _line(one: Series, index: int, scale: _Scale, *, filled: bool) -> str:
    colour = colour_of(index, one)
    where = [(scale.x(moment), scale.y(value)) for moment, value in one.points]
    path = " ".join(f"{'M' if n == 0 else 'L'}{x:.1f} {y:.1f}" for n, (x, y) in enumerate(where))
    parts = []
    if filled and where:
        floor = scale.y(0)
        parts.append(
            f'<path d="{path} L{where[-1][0]:.1f} {floor:.1f} L{where[0][0]:.1f} {floor:.1f} Z" '
            f'fill="{colour}" opacity=".35"/>'
        )
    parts.append(f'<path d="{path}" fill="none" stroke="{colour}" stroke-width="1.8"/>' if where else "")
    for (x, y), (moment, value) in zip(where, one.points, strict=True):
        parts.append(
            f'<circle cx="{x:.1f}" cy="{y:.1f}" r="{2.6 if len(where) <= 60 else 1.4}" fill="{colour}">'
            f"{_tooltip(one, moment, value, scale.frame)}</circle>"
        )
    return "".join(parts)


def _bars(one: Series, index: int, scale: _Scale) -> str:
    width = max(2.0, (scale.frame.width - _LEFT - _RIGHT) / max(30, 2 * len(one.points)))
    floor = scale.y(0)
    return "".join(
        f'<rect x="{scale.x(moment) - width / 2:.1f}" y="{scale.y(value):.1f}" width="{width:.1f}" '
        f'height="{max(0.0, floor - scale.y(value)):.1f}" fill="{colour_of(index, one)}">'
        f"{_tooltip(one, moment, value, scale.frame)}</rect>"
        for moment, value in one.points
    )


def legend(series: Sequence[Series]) -> str:
    """Colour and name of every series."""
    entries = "".join(
        f'<li><i style="background:{colour_of(index, one)}"></i>{escape(one.label)}</li>'
        for index, one in enumerate(series)
    )
    return f'<ul class="legend">{entries}</ul>'


def single_values(series: Sequence[Series]) -> str:
    """The newest value of every series, large."""
    cells = "".join(
        f'<div class="single"><b>{short(one.points[-1][1]) if one.points else "–"}</b>'
        f"<span>{escape(one.label)}</span></div>"
        for one in series
    )
    return f'<div class="singles">{cells}</div>'
