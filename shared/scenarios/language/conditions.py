"""What may be asked of a person (条件)."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Literal

from pydantic import Field

from shared.scenarios.language.words import ChannelName, Duration, Part, Segments, Some, States, Statuses, Tiers, Words


class Numbers(Part):
    """A comparison with a number: both limits that are given must hold."""

    at_least: float | None = None
    at_most: float | None = None


class Ordered(Part):
    """Valid orders: since they entered, or within so long."""

    within: Duration | None = None
    product: Words | None = None
    at_least: Some = 1


class Viewed(Part):
    """Pages looked at, as far back as the latest 50 visits reach; without `within`: since they entered."""

    page_type: Words | None = None
    path: Words | None = None
    """Of the address; a `*` at the end stands for anything."""
    product: Words | None = None
    within: Duration | None = None
    at_least: Some = 1


class LoggedIn(Part):
    """A login: since they entered, or within so long."""

    within: Duration | None = None


class AttributeIs(Part):
    """Something known about a person (顧客属性): names as in `shared/customers/attributes.py`."""

    name: str
    is_: Words | None = Field(default=None, alias="is")
    at_least: float | None = None
    at_most: float | None = None
    known: bool | None = None


class Condition(Part):
    """What may be asked of a person at a step (条件): everything that is given must hold."""

    tier: Tiers | None = None
    status: Statuses | None = None
    buyer: Literal["first", "repeat"] | None = None
    segment: Segments | None = None
    """In one of these saved segments, as the last night found."""
    orders: Numbers | None = None
    ordered: Ordered | None = None
    opened: str | None = None
    """A person (no machine) opened what this send of the scenario brought them."""
    clicked: str | None = None
    viewed: Viewed | None = None
    logged_in: LoggedIn | None = None
    attribute: AttributeIs | None = None
    contract: States | None = None
    """A contract in one of these states."""
    reachable: ChannelName | None = None
    all_: tuple[Condition, ...] = Field(default=(), alias="all")
    any_: tuple[Condition, ...] = Field(default=(), alias="any")
    none_: tuple[Condition, ...] = Field(default=(), alias="none")

    def parts(self) -> Iterator[Condition]:
        """This condition and all within it."""
        yield self
        for inner in (*self.all_, *self.any_, *self.none_):
            yield from inner.parts()
