"""Until when a cohort waits (待機): the next moment that fits, in the shop's time. Pure."""

from __future__ import annotations

from collections import Counter
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from shared.core.errors import MisconfiguredError
from shared.core.shop import Shop
from shared.customers.model import PersonState
from shared.delivery.policy import SECTION as DELIVERY
from shared.scenarios.holidays import is_business_day
from shared.scenarios.language.steps import LONGEST_MOMENT, Moment, WaitUntil

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


ENOUGH = 3
"""Orders and visits from which an hour of one's own is told."""
EVENING = 20
"""The hour of a shop that sets none (`delivery.best_hour`): people are home, and it is not night yet."""


def usual_hour(shop: Shop) -> int:
    """The shop's `delivery.best_hour`. Raises MisconfiguredError."""
    hour = shop.section(DELIVERY).get("best_hour", EVENING)
    if isinstance(hour, bool) or not isinstance(hour, int) or not 0 <= hour <= 23:
        raise MisconfiguredError(f"{DELIVERY}.best_hour must be an hour from 0 to 23: {hour!r}")
    return hour


def best_hour(person: PersonState, timezone: str, otherwise: int = EVENING) -> int:
    """The hour of day (0 to 23, shop time) at which they mostly order and look around; the later of equals."""
    zone = ZoneInfo(timezone)
    seen = [order.ordered_at for order in person.orders if order.valid and order.ordered_at]
    hours = Counter(at.astimezone(zone).hour for at in [*seen, *(visit.at for visit in person.visits)])
    if hours.total() < ENOUGH:
        return otherwise
    return max(hours, key=lambda hour: (hours[hour], hour))


def moment_of(moment: Moment, person: PersonState, since: datetime, timezone: str, otherwise: int) -> datetime:
    """When this person's time comes, of those who came here at `since`; at once where nothing is known."""
    if moment is Moment.BEST_HOUR:
        hour = best_hour(person, timezone, otherwise)
        return next_moment(WaitUntil(until=time(hour)), since, timezone)
    on = person.profile.scores.next_order_on if person.profile.scores else None
    if on is None:
        return since
    zone = ZoneInfo(timezone)
    then = datetime.combine(on, since.astimezone(zone).time(), zone).astimezone(UTC)
    return min(max(then, since), since + LONGEST_MOMENT[moment])


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
