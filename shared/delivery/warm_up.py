"""Warming up a new sending domain (ウォームアップ): how many mails a day, and to whom first. Pure.

Section `delivery.warm_up` of the shop's settings; without it there is no limit:

    {"from": "2026-12-01"}                                    the usual curve
    {"from": "2026-12-01", "weeks": [[50, 100], [200, 500]]}  mails a day at a week's first and last day

Mailbox providers judge a domain by its first weeks: few mails, to people who answer. Who was active lately is first.
After the last week there is no limit. Transactional mail is never held by it.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from shared.core.errors import MisconfiguredError

USUAL = ((50, 100), (200, 500), (1_000, 2_000), (5_000, 10_000))
"""Mails a day in weeks 1 to 4."""

ACTIVE_DAYS = (30, 60, 90, 180)
"""Who is written to in each week: those active within so many days."""


@dataclass(frozen=True, slots=True)
class WarmUp:
    """When a domain's warm-up began, and its weeks."""

    begins_on: date
    weeks: tuple[tuple[int, int], ...] = USUAL

    def cap(self, on: date) -> int | None:
        """Mails that may leave on a day; None: no limit (any more). Before the first day: none at all."""
        if on < self.begins_on:
            return 0
        week, day = divmod((on - self.begins_on).days, 7)
        if week >= len(self.weeks):
            return None
        first, last = self.weeks[week]
        return first + (last - first) * day // 6

    def active_within(self, on: date) -> timedelta | None:
        """How lately somebody must have been active to be written to on a day; None: everybody."""
        week = max(0, (on - self.begins_on).days // 7)
        if week >= len(self.weeks):
            return None
        return timedelta(days=ACTIVE_DAYS[min(week, len(ACTIVE_DAYS) - 1)])


def may_warm(warm_up: WarmUp, last_active_at: datetime | None, today: date) -> bool:
    """May somebody who was last active then be written to while the domain is new?"""
    within = warm_up.active_within(today)
    return within is None or (last_active_at is not None and last_active_at.date() >= today - within)


def warm_up_of(setting: object) -> WarmUp | None:
    """`delivery.warm_up` of a shop's settings. Raises MisconfiguredError saying how it must look."""
    if setting is None:
        return None
    try:
        weeks = tuple((int(first), int(last)) for first, last in setting.get("weeks", USUAL))  # type: ignore[attr-defined]
        warm_up = WarmUp(date.fromisoformat(setting["from"]), weeks)  # type: ignore[index]
    except (AttributeError, KeyError, TypeError, ValueError):
        raise _refusal(setting) from None
    if not weeks or not all(0 < first <= last for first, last in weeks):
        raise _refusal(setting)
    return warm_up


def _refusal(setting: object) -> MisconfiguredError:
    return MisconfiguredError(
        'delivery.warm_up must be like {"from": "2026-12-01", "weeks": [[50, 100], [200, 500]]}:'
        f" mails a day at each week's first and last day, not {setting!r}"
    )
