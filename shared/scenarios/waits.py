"""Until when a cohort waits (待機): the next moment that fits, in the shop's time. Pure."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

from shared.scenarios.holidays import is_business_day
from shared.scenarios.language.steps import WaitUntil

_NAMES = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_LOOK_AHEAD = 30
"""Days; between two business days lie ten at most."""


def next_moment(until: WaitUntil, now: datetime, timezone: str) -> datetime:
    """The first moment, not before `for` from now, on a day and at a time of day that fit.

    Without a time of day it is the same time on the day that fits: the moment itself where today does.
    """
    zone = ZoneInfo(timezone)
    first = (now + until.for_).astimezone(zone)
    for days in range(_LOOK_AHEAD):
        day = first.date() + timedelta(days=days)
        moment = datetime.combine(day, until.until or first.time(), zone).astimezone(UTC)
        if moment >= first and (not until.on or any(_fits(day, word) for word in until.on)):
            return moment
    raise AssertionError("a month holds every kind of day")


def _fits(day: date, word: str) -> bool:
    match word:
        case "weekday":
            return day.weekday() < 5
        case "weekend":
            return day.weekday() >= 5
        case "business_day":
            return is_business_day(day)
        case _:
            return _NAMES[day.weekday()] == word
