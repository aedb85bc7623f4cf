"""Time is passed in: one `now` per run, UTC and aware; days are the shop's."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Protocol
from zoneinfo import ZoneInfo


class Clock(Protocol):
    """Where `now` comes from."""

    def now(self) -> datetime:
        """The present instant, UTC and aware."""
        ...


class SystemClock:
    """The machine's clock."""

    def now(self) -> datetime:
        """The present instant, UTC and aware."""
        return datetime.now(UTC)


class FixedClock:
    """A clock that stands still until it is set: for tests and replay."""

    def __init__(self, at: datetime) -> None:
        self.at = at

    def now(self) -> datetime:
        """The instant it was set to."""
        return self.at


def shop_day(at: datetime, timezone: str) -> date:
    """The shop-local calendar day (`…_on`) of an instant (`…_at`)."""
    return at.astimezone(ZoneInfo(timezone)).date()


def to_iso(at: datetime) -> str:
    """`2026-11-21T03:04:05.678901Z`: fixed width, so that text order is time order."""
    return at.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")


def from_iso(text: str) -> datetime:
    """The aware instant written by `to_iso` or by a vendor (RFC 3339); naive text is refused."""
    at = datetime.fromisoformat(text)
    if at.tzinfo is None:
        raise ValueError(f"a time needs an offset or Z, got {text!r}")
    return at.astimezone(UTC)
