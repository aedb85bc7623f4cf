"""The shop's contact policy (接触ポリシー): how often and at what hours a person may be sent marketing.

Section `delivery` of the shop's settings:

    {"cap_per_day": 1, "cap_per_week": 4, "quiet_hours": {"email": ["22:00", "08:00"], "line": null},
     "caps": [{"days": 30, "at_most": 8}, {"days": 14, "at_most": 2, "channels": ["line"]},
              {"days": 7, "at_most": 1, "topics": ["offers"]}],
     "topics": [...] (preferences.py), "warm_up": {...} (warm_up.py), "worth": {...} (worth.py)}

`caps` are rolling windows of 1 to 31 × 24 hours beside the two, each over all channels and topics unless it names some.
Where several scenarios want the same person, the one of higher `priority` has the slot: a message is held back
(`outranked`) when it would take the last slots that scenarios of higher priority, due to this person on the same shop
day, need. What was sent before they became due stays sent: it is counted like any other.
A cap is a whole number of at least 1, or `null` for no limit. 0 is refused, because people read it both ways: to send
nothing, pause the scenario. `null` quiet hours, or the same time twice, mean none.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import time

from shared.core.errors import MisconfiguredError
from shared.core.shop import Shop
from shared.delivery.preferences import Topic, topic_of, topics_of
from shared.delivery.warm_up import WarmUp, warm_up_of
from shared.delivery.worth import Worth, worth_of

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
class Cap:
    """At most so many marketing messages in any `days` × 24 hours (接触上限)."""

    days: int
    at_most: int
    channels: frozenset[str] = frozenset()
    """Only these channels are counted and held; empty: all together."""
    topics: frozenset[str] = frozenset()

    def counts(self, channel: str, topic: str) -> bool:
        """Is a message of this channel and topic one that this cap is about?"""
        return (not self.channels or channel in self.channels) and (not self.topics or topic in self.topics)


MAX_DAYS = 31
MONTHLY = Cap(30, 1)
"""月1回まで, as a person asks for it on the preference centre."""


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
    caps: tuple[Cap, ...] = ()
    """Rolling windows beside the two."""
    topics: tuple[Topic, ...] = ()
    warm_up: WarmUp | None = None
    worth: Worth | None = None
    """What a contact is expected to earn; None: nobody asks."""

    def topic(self, scenario: str) -> str:
        """The topic a scenario's messages are of; empty where the shop named none."""
        return topic_of(scenario, self.topics)

    @property
    def remembers_days(self) -> int:
        """How far back a person's contacts are looked at; a contact row keeps no more (a write unit per KB)."""
        return max([7, *(cap.days for cap in self.caps)])

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
        caps=_caps(section.get("caps", ())),
        topics=topics_of(section.get("topics")),
        warm_up=warm_up_of(section.get("warm_up")),
        worth=worth_of(section.get("worth")),
    )


def _caps(setting: object) -> tuple[Cap, ...]:
    if not isinstance(setting, (list, tuple)):
        raise MisconfiguredError(f"{SECTION}.caps must be a list: {_CAP}")
    return tuple(_window(each) for each in setting)


_CAP = '{"days": 1 to 31, "at_most": 1 or more, "channels": ["line"], "topics": ["offers"]}, the last two optional'


def _window(document: object) -> Cap:
    if not isinstance(document, Mapping) or not set(document) <= {"days", "at_most", "channels", "topics"}:
        raise MisconfiguredError(f"{SECTION}.caps: {document!r} must be like {_CAP}")
    days, at_most = document.get("days"), document.get("at_most")
    if type(days) is not int or type(at_most) is not int or not 1 <= days <= MAX_DAYS or at_most < 1:
        raise MisconfiguredError(f"{SECTION}.caps: {document!r} must be like {_CAP}")
    return Cap(days, at_most, _words(document.get("channels", ())), _words(document.get("topics", ())))


def _words(setting: object) -> frozenset[str]:
    if not isinstance(setting, (list, tuple)) or not all(isinstance(each, str) for each in setting):
        raise MisconfiguredError(f"{SECTION}.caps: channels and topics are lists of words, not {setting!r}")
    return frozenset(setting)


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
