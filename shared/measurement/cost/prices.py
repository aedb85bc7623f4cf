"""Unit prices as data (`prices.yaml`): by region, with their date, and which of them nobody has confirmed yet."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import date
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from shared.core.errors import RejectedError

TOKYO, US_EAST_1 = "tokyo", "us_east_1"
FILE = Path(__file__).with_name("prices.yaml")


@dataclass(frozen=True, slots=True)
class LinePlan:
    """A plan of a LINE official account; None sells no message beyond its own."""

    name: str
    yen: int
    messages: int
    more_yen: int | None = None


@dataclass(frozen=True, slots=True)
class Other:
    """What another product publishes, in USD a month by addresses."""

    name: str
    month: Mapping[int, float]


@dataclass(frozen=True)
class Prices:
    """One region's prices."""

    region: str
    as_of: date
    yen_per_dollar: float
    usd: Mapping[str, float]
    unconfirmed: frozenset[str]
    line_plans: tuple[LinePlan, ...]
    postal_yen: int
    others: tuple[Other, ...]
    free: Mapping[str, float]
    """Units an account has for nothing in a month."""

    def of(self, usage: Mapping[str, float]) -> float:
        """USD of so many of each unit. Raises RejectedError for a unit that has no price."""
        if unknown := set(usage) - set(self.usd):
            raise RejectedError(f"no price of {', '.join(sorted(unknown))} in {FILE.name}")
        return sum(self.usd[unit] * quantity for unit, quantity in usage.items())

    def yen(self, usd: float) -> float:
        """USD in yen, at the rate of the table."""
        return usd * self.yen_per_dollar


@cache
def read_prices(region: str = TOKYO) -> Prices:
    """The table of this region. Raises RejectedError for one we have no prices of."""
    document: dict[str, Any] = yaml.safe_load(FILE.read_text("utf-8"))
    if region not in (TOKYO, US_EAST_1):
        raise RejectedError(f"there are prices of {TOKYO} and {US_EAST_1}, not of {region!r}")
    return Prices(
        region=region,
        as_of=document["as_of"],
        yen_per_dollar=document["yen_per_dollar"],
        usd={name: float(unit[region]) for name, unit in document["units"].items()},
        unconfirmed=frozenset(name for name, unit in document["units"].items() if not unit.get("confirmed", True)),
        line_plans=tuple(LinePlan(**plan) for plan in document["line_plans"]),
        postal_yen=document["postal_yen"],
        others=tuple(Other(other["name"], other["month"]) for other in document["others"]),
        free=document["free"],
    )
