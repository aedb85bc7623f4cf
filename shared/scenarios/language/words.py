"""The words that parts of a scenario file are made of: durations, times of day, lists, names."""

from __future__ import annotations

import re
from datetime import time, timedelta
from typing import Annotated, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, PlainSerializer, StringConstraints

from shared.customers.model import LtvTier, Status
from shared.ingest.model import SubscriptionState

_DURATION = re.compile("".join(f"([0-9]{{1,6}}{unit})?" for unit in "wdhms"))
_UNITS = {"s": 1, "m": 60, "h": 3600, "d": 86_400, "w": 604_800}


def parse_duration(text: object) -> timedelta:
    """`90s`, `30m`, `1h`, `1h30m`, `2d`, `1w`: whole numbers with a unit, largest first."""
    if isinstance(text, timedelta):
        return text
    if not isinstance(text, str) or not text or not _DURATION.fullmatch(text):
        raise ValueError("a duration is a whole number with a unit: 30m, 1h, 1h30m, 2d or 1w")
    return timedelta(seconds=sum(int(n) * _UNITS[unit] for n, unit in re.findall(r"(\d+)([wdhms])", text)))


def format_duration(duration: timedelta) -> str:
    """The shortest text that `parse_duration` reads back."""
    left, text = int(duration.total_seconds()), ""
    for unit, seconds in sorted(_UNITS.items(), key=lambda item: -item[1]):
        count, left = divmod(left, seconds)
        text += f"{count}{unit}" if count else ""
    return text or "0s"


def one_or_more(value: object) -> object:
    """A text alone is a list of one."""
    return value if isinstance(value, list | tuple) else [value]


def _time_of_day(value: object) -> object:
    if isinstance(value, time):
        return value
    if not isinstance(value, str) or not re.fullmatch(r"([01][0-9]|2[0-3]):[0-5][0-9](:00)?", value):
        raise ValueError('a time of day in quotes is needed, such as "10:00"')
    return time.fromisoformat(value)


Duration = Annotated[
    timedelta, BeforeValidator(parse_duration), PlainSerializer(format_duration, return_type=str, when_used="json")
]
TimeOfDay = Annotated[time, BeforeValidator(_time_of_day)]
Words = Annotated[tuple[str, ...], BeforeValidator(one_or_more), Field(min_length=1)]
"""One text or a list of them: any of them will do."""
Tiers = Annotated[tuple[LtvTier, ...], BeforeValidator(one_or_more), Field(min_length=1)]
Statuses = Annotated[tuple[Status, ...], BeforeValidator(one_or_more), Field(min_length=1)]
States = Annotated[tuple[SubscriptionState, ...], BeforeValidator(one_or_more), Field(min_length=1)]
Segments = Annotated[
    tuple[Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,40}$")], ...],
    BeforeValidator(one_or_more),
    Field(min_length=1),
]
"""Names of saved segments."""
Some = Annotated[int, Field(strict=True, ge=1, le=1000)]
Name = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{1,30}$")]
"""Lower-case words joined by `_`; it becomes part of state and execution names."""
Arm = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,30}$")]


Template = Annotated[str, StringConstraints(pattern=r"^[a-z0-9_]+(/[a-z0-9_]+)+$")]
"""A folder of `shared/delivery/templates`."""
ChannelName = Literal["email", "line", "sms", "postal", "call"]
Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun", "weekday", "weekend", "business_day"]


class Part(BaseModel):
    """Anything a file consists of."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)
