"""Is a shop's mail welcome? Bounces and complaints of its latest sends, and the breaker that stops it (配信停止判定).

SES reviews an account at 5 % bounces or 0.1 % complaints, and one shop's list can cost all shops of the account their
sending: a shop is warned early and stopped before that. Pure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from enum import StrEnum

ENOUGH = 1_000
"""Sends that a judgement needs: the latest days that hold at least so many."""

DAYS = 30
"""How far back is looked for them."""

WARN_BOUNCES, STOP_BOUNCES = 0.02, 0.04
WARN_COMPLAINTS, STOP_COMPLAINTS = 0.0005, 0.001


@dataclass(frozen=True, slots=True)
class Day:
    """What became of the mails of one day."""

    sent: int = 0
    bounced: int = 0
    """Permanently: a full mailbox is no fault of the list."""
    complained: int = 0

    def __add__(self, other: Day) -> Day:
        return Day(self.sent + other.sent, self.bounced + other.bounced, self.complained + other.complained)

    def __bool__(self) -> bool:
        return bool(self.sent or self.bounced or self.complained)


@dataclass(frozen=True, slots=True)
class Reputation:
    """A shop's latest days of mail, and whether it is stopped."""

    days: Mapping[date, Day] = field(default_factory=dict)
    stopped_at: datetime | None = None
    why: str = ""


class Verdict(StrEnum):
    """What the figures say."""

    FINE = "fine"
    WARN = "warn"
    STOP = "stop"


@dataclass(frozen=True, slots=True)
class Judgement:
    """A verdict, the figures it rests on, and the reason in a sentence."""

    verdict: Verdict
    of: Day
    why: str = ""


def judge(days: Mapping[date, Day], today: date) -> Judgement:
    """The verdict over the latest days that hold at least ENOUGH sends; too few sends say nothing."""
    total = Day()
    for day in (today - timedelta(days=back) for back in range(DAYS)):
        total += days.get(day, Day())
        if total.sent >= ENOUGH:
            break
    if total.sent < ENOUGH:
        return Judgement(Verdict.FINE, total)
    bounces, complaints = total.bounced / total.sent, total.complained / total.sent
    why = f"{bounces:.2%} bounces and {complaints:.3%} complaints in the latest {total.sent} mails"
    if bounces >= STOP_BOUNCES or complaints >= STOP_COMPLAINTS:
        return Judgement(Verdict.STOP, total, why)
    if bounces >= WARN_BOUNCES or complaints >= WARN_COMPLAINTS:
        return Judgement(Verdict.WARN, total, why)
    return Judgement(Verdict.FINE, total, why)
