"""The shop's contact policy (接触ポリシー): how often and at what hours a person may be sent marketing.

Section `delivery` of the shop's settings:

    {"cap_per_day": 1, "cap_per_week": 4, "quiet_hours": {"email": ["22:00", "08:00"], "line": null}}

A cap is a whole number of at least 1, or `null` for no limit. 0 is refused, because people read it both ways: to send
nothing, pause the scenario. `null` quiet hours, or the same time twice, mean none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time

from shared.core.errors import MisconfiguredError
from shared.core.shop import Shop

SECTION = "delivery"


@dataclass(frozen=True, slots=True)
class QuietHours:
    """When a channel stays silent, in the shop's local time: from `start` until just before `end`."""

    start: time
    end: time

    def covers(self, at: time) -> bool:
        """Is this time of day quiet? `start == end` means never."""
        if self.start <= self.end:
            return self.start <= at < self.end
        return at >= self.start or at < self.end


MAIL_NIGHT = QuietHours(time(22), time(8))
PHONE_NIGHT = QuietHours(time(21), time(9))
"""For channels that ring: LINE, SMS."""
_NIGHTS = {"email": MAIL_NIGHT, "line": PHONE_NIGHT, "sms": PHONE_NIGHT}
"""Letters are printed by day and calls made by people: they have no night of their own."""


@dataclass(frozen=True, slots=True)
class ContactPolicy:
    """What the gate holds every marketing message to; caps count over all scenarios and channels together."""

    timezone: str = "Asia/Tokyo"
    per_day: int | None = 1
    """Per shop-local calendar day; None: no limit."""
    per_week: int | None = 4
    """In any 7 × 24 hours; None: no limit."""
    quiet: Mapping[str, QuietHours | None] = field(default_factory=dict)
    """Channel → hours, where the shop set its own."""

    def quiet_hours(self, channel: str) -> QuietHours | None:
        """The hours during which a channel stays silent."""
        return self.quiet.get(channel, _NIGHTS.get(channel))


def contact_policy(shop: Shop) -> ContactPolicy:
    """The shop's contact policy. Raises MisconfiguredError naming the setting that is wrong."""
    section = shop.section(SECTION)
    return ContactPolicy(
        timezone=shop.timezone,
        per_day=_cap(section, "cap_per_day", 1),
        per_week=_cap(section, "cap_per_week", 4),
        quiet=_quiet(section.get("quiet_hours", {})),
    )


def _cap(section: Mapping[str, object], name: str, default: int) -> int | None:
    value = section.get(name, default)
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and value >= 1):
        return value
    raise MisconfiguredError(f"{SECTION}.{name} must be a whole number of at least 1, or null for no limit: {value!r}")


def _quiet(setting: object) -> dict[str, QuietHours | None]:
    if not isinstance(setting, Mapping):
        raise MisconfiguredError(f'{SECTION}.quiet_hours must be an object like {{"email": ["22:00", "08:00"]}}')
    return {str(channel): _hours(str(channel), hours) for channel, hours in setting.items()}


def _hours(channel: str, hours: object) -> QuietHours | None:
    if hours is None:
        return None
    try:
        start, end = hours  # type: ignore[misc]
        return QuietHours(time.fromisoformat(start), time.fromisoformat(end))  # type: ignore[has-type]
    except (TypeError, ValueError):
        raise MisconfiguredError(
            f'{SECTION}.quiet_hours.{channel} must be two times like ["22:00", "08:00"], or null: {hours!r}'
        ) from None
