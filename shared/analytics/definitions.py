"""The numbers the analyses depend on (definitions.md), with the shop's own values where it set them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any

from shared.core.errors import MisconfiguredError
from shared.core.shop import Shop

SECTION = "analytics"


@dataclass(frozen=True, slots=True)
class Definitions:
    """Limits and rules of RFM (§2) and status (§14). A shop in another currency than yen sets its amounts."""

    r_limits: tuple[int, ...] = (30, 60, 90, 180, 365)
    """Days since the last order, inclusive: up to the first is bin 6, beyond the last bin 1."""
    f_limits: tuple[int, ...] = (2, 3, 4, 6, 10)
    """Orders, inclusive: from the first on bin 2, from the last on bin 6."""
    m_limits: tuple[int, ...] = (5_000, 10_000, 30_000, 50_000, 100_000)
    """Cumulative amount in minor units, inclusive: as for orders."""
    dormant_days: int = 240
    """休眠: no order for so long."""
    overdue_percent: int = 150
    """離脱予備軍: the open gap in percent of the purchase cycle."""
    loyal_orders: int = 4
    """優良: at least so many orders, and in the top by amount."""
    top_percent: int = 20
    """The top share by realised amount: 優良 and the high LTV tier."""
    new_orders: int = 2
    """新規: at most so many orders …"""
    new_days: int = 90
    """… or the first order not longer ago."""

    def parameters(self) -> dict[str, int]:
        """As named parameters of the queries: `r6`…`r2`, `f2`…`f6`, `m2`…`m6` and the rest by name."""
        bins = {f"r{6 - i}": limit for i, limit in enumerate(self.r_limits)}
        bins |= {f"f{i + 2}": limit for i, limit in enumerate(self.f_limits)}
        bins |= {f"m{i + 2}": limit for i, limit in enumerate(self.m_limits)}
        rest = {f.name: getattr(self, f.name) for f in fields(self) if not f.name.endswith("_limits")}
        return bins | rest


def definitions_of(shop: Shop) -> Definitions:
    """The shop's definitions: the defaults, changed where its settings say so. Raises MisconfiguredError."""
    return parse_definitions(shop.section(SECTION))


def parse_definitions(section: Mapping[str, Any]) -> Definitions:
    """From the `analytics` section of a shop's settings. Raises MisconfiguredError naming what is wrong."""
    known = {f.name for f in fields(Definitions)}
    if unknown := sorted(set(section) - known):
        raise MisconfiguredError(f"analytics settings: unknown {', '.join(unknown)}; known: {', '.join(sorted(known))}")
    return Definitions(**{name: _checked(name, value) for name, value in section.items()})


def _checked(name: str, value: Any) -> Any:
    if not name.endswith("_limits"):
        return _whole(name, value)
    if not isinstance(value, list) or len(value) != 5:
        raise MisconfiguredError(f"analytics setting {name}: five limits are needed, for six bins")
    limits = tuple(_whole(name, limit) for limit in value)
    if list(limits) != sorted(set(limits)):
        raise MisconfiguredError(f"analytics setting {name}: limits must rise, got {value}")
    return limits


def _whole(name: str, value: Any) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or value < 0:
        raise MisconfiguredError(f"analytics setting {name}: a whole number of 0 or more is needed, got {value!r}")
    return value
