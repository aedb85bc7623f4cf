"""One person and every saved segment (保存セグメント): what the last night found, and what holds now."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from shared.analytics.segments.live import decide
from shared.analytics.segments.model import Truth
from shared.analytics.segments.read import read_document
from shared.analytics.segments.store import Saved
from shared.core.mistakes import InvalidFileError
from shared.core.shop import Shop
from shared.customers.model import PersonState


@dataclass(frozen=True, slots=True)
class Standing:
    """Is the person in a segment?"""

    name: str
    title: str
    at_night: bool
    """By the last night that was run."""
    now: Truth
    """By their live state; None: only the night can tell."""
    readable: bool = True
    """Its definition, kept as a document, is still understood."""


def standings(saved: Iterable[Saved], person: PersonState, now: datetime, shop: Shop) -> tuple[Standing, ...]:
    """Where the person stands in each."""
    return tuple(_standing(each, person, now, shop) for each in saved)


def _standing(saved: Saved, person: PersonState, now: datetime, shop: Shop) -> Standing:
    at_night = saved.name in person.profile.segments
    try:
        segment = read_document(saved.document, saved.name)
    except InvalidFileError:
        return Standing(saved.name, saved.title, at_night, None, readable=False)
    return Standing(saved.name, saved.title, at_night, decide(segment, person, now, shop))
