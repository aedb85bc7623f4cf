"""What a person asked for about their messages (配信設定): how often, a pause, and which topics.

Said on the preference centre, kept as attributes of the person (shared/customers/attributes.py), the latest saying of
each counting. Which channels they want is consent, kept in the consent ledger; none of this replaces it.

Section `delivery.topics` of the shop's settings names the topics people may choose from; a scenario belongs to the
first whose patterns match its id:

    [{"id": "cart", "label": "買い物かごのお知らせ", "scenarios": ["cart_*"]},
     {"id": "offers", "label": "おすすめ・キャンペーンのお知らせ", "scenarios": ["*"]}]
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from fnmatch import fnmatchcase

from shared.core.clock import from_iso
from shared.core.errors import MisconfiguredError
from shared.core.shop import Shop
from shared.customers.model import Attribute

FREQUENCY = "preference/frequency"
PAUSED_UNTIL = "preference/paused_until"
TOPIC = "preference/topic/"
PAUSE = timedelta(days=30)


class Frequency(StrEnum):
    """How often somebody wants to hear from the shop."""

    NORMAL = "normal"
    """ふつう: as the shop's own caps say"""
    MONTHLY = "monthly"
    """月1回まで: one marketing message in any 30 days, over all channels"""


@dataclass(frozen=True, slots=True)
class Topic:
    """One kind of message that people may choose (配信トピック), and the scenarios that belong to it."""

    topic_id: str
    label: str
    scenarios: tuple[str, ...]
    """Ids of scenarios; `*` and `?` as in file names."""


DEFAULT_TOPICS = (
    Topic("cart", "買い物かごや閲覧した商品のお知らせ", ("cart_*", "browse_*", "page_*", "viewed_*")),
    Topic("offers", "おすすめ・クーポン・キャンペーンのお知らせ", ("*",)),
)


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a person asked for, as it stands."""

    frequency: Frequency = Frequency.NORMAL
    paused_until: datetime | None = None
    topics_off: frozenset[str] = frozenset()

    def paused(self, now: datetime) -> bool:
        """Do they want a rest at this moment?"""
        return self.paused_until is not None and now < self.paused_until


def wishes_of(attributes: Mapping[str, Attribute]) -> Wishes:
    """The wishes among a person's attributes; what cannot be read is the shop's default."""
    said = {name: attribute.value for name, attribute in attributes.items() if name.startswith("preference/")}
    monthly = said.get(FREQUENCY) == Frequency.MONTHLY
    return Wishes(
        Frequency.MONTHLY if monthly else Frequency.NORMAL,
        _instant(said.get(PAUSED_UNTIL)),
        frozenset(name.removeprefix(TOPIC) for name, value in said.items() if name.startswith(TOPIC) and not value),
    )


def topics_of(shop_topics: object) -> tuple[Topic, ...]:
    """`delivery.topics` of a shop's settings. Raises MisconfiguredError saying how it must look."""
    if shop_topics is None:
        return DEFAULT_TOPICS
    if not isinstance(shop_topics, Sequence) or isinstance(shop_topics, str):
        raise MisconfiguredError(_WANTED)
    return tuple(_topic(each) for each in shop_topics)


def shop_topics(shop: Shop) -> tuple[Topic, ...]:
    """The topics a shop's customers may choose from."""
    return topics_of(shop.section("delivery").get("topics"))


def topic_of(scenario: str, topics: Sequence[Topic]) -> str:
    """The first topic that a scenario belongs to; empty where the shop named none for it."""
    matching = (each.topic_id for each in topics if any(fnmatchcase(scenario, one) for one in each.scenarios))
    return next(matching, "")


_WANTED = (
    'delivery.topics must be a list like [{"id": "offers", "label": "おすすめのお知らせ", "scenarios": ["*"]}];'
    " ids: 1 to 40 of a-z, 0-9, _ and -"
)


def _topic(document: object) -> Topic:
    try:
        topic = Topic(str(document["id"]), str(document["label"]), tuple(map(str, document["scenarios"])))  # type: ignore[index]
    except (KeyError, TypeError):
        raise MisconfiguredError(f"{_WANTED}: {document!r}") from None
    if not re.fullmatch(r"[a-z0-9_-]{1,40}", topic.topic_id) or not topic.label.strip():
        raise MisconfiguredError(f"{_WANTED}: {document!r}")
    return topic


def _instant(value: object) -> datetime | None:
    try:
        return from_iso(value) if isinstance(value, str) and value else None
    except ValueError:
        return None
