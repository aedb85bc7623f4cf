"""Japanese public holidays (国民の祝日) and business days, computed from the law as it stands since 2022.

Fixed days, Happy Mondays, the equinoxes by the usual approximation (right for 1980 to 2099), the substitute holiday
(振替休日) after a Sunday, and the day between two holidays (国民の休日).
"""

from __future__ import annotations

from datetime import date, timedelta
from functools import cache

_FIXED = ((1, 1), (2, 11), (2, 23), (4, 29), (5, 3), (5, 4), (5, 5), (8, 11), (11, 3), (11, 23))
_MONDAYS = ((1, 2), (7, 3), (9, 3), (10, 2))
"""Month, and which Monday of it: 成人の日, 海の日, 敬老の日, スポーツの日."""
_DAY = timedelta(days=1)


def is_business_day(day: date) -> bool:
    """営業日: Monday to Friday, no holiday, and not between 29 December and 3 January (年末年始)."""
    new_year = (day.month, day.day) >= (12, 29) or (day.month, day.day) <= (1, 3)
    return day.weekday() < 5 and not new_year and day not in holidays(day.year)


@cache
def holidays(year: int) -> frozenset[date]:
    """Every public holiday of a year."""
    named = {date(year, month, day) for month, day in _FIXED}
    named |= {_monday(year, month, which) for month, which in _MONDAYS}
    named |= {date(year, 3, _equinox(year, 20.8431)), date(year, 9, _equinox(year, 23.2488))}
    between = {
        day + _DAY
        for day in named
        if day + 2 * _DAY in named and day + _DAY not in named and (day + _DAY).weekday() != 6
    }
    return frozenset(named | between | {_substitute(day, named) for day in named if day.weekday() == 6})


def _substitute(sunday: date, named: set[date]) -> date:
    """The next day that is no holiday itself."""
    day = sunday + _DAY
    while day in named:
        day += _DAY
    return day


def _monday(year: int, month: int, which: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(7 - first.weekday()) % 7 + 7 * (which - 1))


def _equinox(year: int, base: float) -> int:
    return int(base + 0.242194 * (year - 1980)) - (year - 1980) // 4
