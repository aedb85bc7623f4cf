"""Who gets in, by what (開始条件)."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import time, timedelta
from enum import StrEnum
from typing import Annotated, Any

from pydantic import Field

from shared.scenarios.language.conditions import Condition
from shared.scenarios.language.words import Duration, Part, Segments, Some, States, Statuses, TimeOfDay, Words


class Trigger(StrEnum):
    """What makes someone due for a scenario."""

    CART_ABANDONED = "cart_abandoned"
    """カゴ落ち: a cart that is open and was not touched for `after`."""
    ORDER_PLACED = "order_placed"
    PAGE_VIEWED = "page_viewed"
    LOGGED_IN = "logged_in"
    TRACKED = "tracked"
    SURVEY_ANSWERED = "survey_answered"
    CONTRACT_CHANGED = "contract_changed"
    """定期契約: it came into one of these states."""
    STATUS_CHANGED = "status_changed"
    """ステータス: a night found the person in another one."""
    SEGMENT_ENTERED = "segment_entered"
    """セグメント: a night found the person in it, who was not."""
    SEGMENT_LEFT = "segment_left"
    FRIEND_ORDERED = "friend_ordered"
    """紹介: somebody who came by their link placed a first order."""
    BACK_IN_STOCK = "back_in_stock"
    """入荷通知: a product they asked for can be bought again, as the last night's product feed has it."""
    DATE = "date"
    BROADCAST = "broadcast"
    """一斉配信: whom the command names."""


class DateOf(StrEnum):
    """A day in a person's life with the shop that a scenario may count from (起点日)."""

    BIRTHDAY = "birthday"
    """Every year; on 28 February for those born on the 29th."""
    REGISTERED = "registered"
    FIRST_ORDER = "first_order"
    LAST_ORDER = "last_order"
    LAST_LOGIN = "last_login"
    LAST_SEEN = "last_seen"
    NEXT_DELIVERY = "next_delivery"
    """次回お届け日 of each running contract."""
    CONTRACT_STARTED = "contract_started"
    NEXT_ORDER = "next_order"
    """次回購入予定日, as the last night predicts it; it moves with every order."""
    POINTS_EXPIRE = "points_expire"
    RANK_UNTIL = "rank_until"


class Entry(Part):
    """Who gets in (開始条件)."""

    event: Trigger
    after: Duration = Field(default=timedelta(0), ge=timedelta(0), le=timedelta(days=360))
    """How long after the event (of a cart: how long it must have been left alone)."""
    expires_after: Duration = Field(default=timedelta(days=1), gt=timedelta(0))
    """Due for longer than this when noticed (an outage, a late import): too late, nobody enters."""
    where: Condition | None = None
    """Asked when they are collected."""
    number: Some | None = None
    product: Words | None = None
    subscription: bool | None = None
    page_type: Words | None = None
    path: Words | None = None
    at_least: Some = 1
    within: Duration | None = None
    name: Words | None = None
    survey: str | None = None
    question: str | None = None
    choice: Words | None = None
    state: States | None = None
    to: Statuses | None = None
    from_: Statuses | None = Field(default=None, alias="from")
    segment: Segments | None = None
    date: DateOf | None = None
    days: Annotated[int, Field(strict=True, ge=-365, le=365)] = 0
    at: TimeOfDay = time(10)

    def told(self) -> dict[str, Any]:
        """As the trigger and the machine carry it: only what the file says."""
        return self.model_dump(mode="json", by_alias=True, exclude_defaults=True)


STOCK_REQUEST = "back_in_stock_requested"
"""The tracked event by which somebody asks to be told (with its `product_id`)."""

BELONGS: Mapping[Trigger, tuple[str, ...]] = {
    Trigger.CART_ABANDONED: (),
    Trigger.ORDER_PLACED: ("number", "product", "subscription"),
    Trigger.PAGE_VIEWED: ("page_type", "path", "product", "at_least", "within"),
    Trigger.LOGGED_IN: (),
    Trigger.TRACKED: ("name", "at_least", "within"),
    Trigger.SURVEY_ANSWERED: ("survey", "question", "choice"),
    Trigger.CONTRACT_CHANGED: ("state", "product"),
    Trigger.STATUS_CHANGED: ("to", "from"),
    Trigger.SEGMENT_ENTERED: ("segment",),
    Trigger.SEGMENT_LEFT: ("segment",),
    Trigger.FRIEND_ORDERED: (),
    Trigger.BACK_IN_STOCK: ("product", "within"),
    Trigger.DATE: ("date", "days", "at"),
    Trigger.BROADCAST: (),
}
"""Which fields an entry may have besides those of every entry."""

NEEDS: Mapping[Trigger, tuple[str, ...]] = {
    Trigger.CART_ABANDONED: ("after",),
    Trigger.TRACKED: ("name",),
    Trigger.SURVEY_ANSWERED: ("survey",),
    Trigger.CONTRACT_CHANGED: ("state",),
    Trigger.STATUS_CHANGED: ("to",),
    Trigger.SEGMENT_ENTERED: ("segment",),
    Trigger.SEGMENT_LEFT: ("segment",),
    Trigger.DATE: ("date",),
}
KEYED = frozenset(
    {
        Trigger.CART_ABANDONED,
        Trigger.ORDER_PLACED,
        Trigger.CONTRACT_CHANGED,
        Trigger.FRIEND_ORDERED,
        Trigger.BACK_IN_STOCK,
        Trigger.BROADCAST,
    }
)
"""Entered once for each cart, order, contract, friend or broadcast; the others once per person unless `reentry` says
more.
"""
