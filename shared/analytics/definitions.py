"""The numbers the analyses depend on (definitions.md), with the shop's own values where it set them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from datetime import date
from typing import Any

from shared.core.errors import MisconfiguredError
from shared.core.shop import Shop

SECTION = "analytics"

_RANGES: Mapping[str, tuple[int, int]] = {
    "cpm_months": (1, 60),
    "f2_days": (30, 360),
    "ltv_days": (1, 720),
    "churn_days": (1, 3_650),
    "cpm_churn_days": (1, 3_650),
    "followed_orders": (1, 100),
    "comparison_days": (1, 3_650),
    "margin_percent": (0, 100),
    "same_day_is_one": (0, 1),
    "base_any": (0, 1),
    "period_days": (1, 3_650),
    "retention_months": (1, 60),
    "baseline_weeks": (2, 52),
    "significance_percent": (1, 50),
    "subscription_late_days": (0, 365),
}

_CHOICES: Mapping[str, tuple[str, ...]] = {"amount_basis": ("order_total", "goods_total", "gross_margin")}
TEXT_LISTS = frozenset({"excluded_products", "base_products"})


@dataclass(frozen=True, slots=True)
class Definitions:
    """Limits and rules, by sections of definitions.md. A shop in another currency than yen sets its amounts."""

    r_limits: tuple[int, ...] = (30, 60, 90, 180, 365)
    """Days since the last order, inclusive: up to the first is bin 6, beyond the last bin 1."""
    f_limits: tuple[int, ...] = (2, 3, 4, 6, 10)
    """Orders, inclusive: from the first on bin 2, from the last on bin 6."""
    m_limits: tuple[int, ...] = (5_000, 10_000, 30_000, 50_000, 100_000)
    """Cumulative amount in minor units, inclusive: as for orders."""
    rfm_since: date = date(1990, 1, 1)
    """RFM: the first day whose orders F and M count; the whole history unless the shop names one."""
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
    cpm_settled_days: int = 90
    """CPM (§1): 在籍日数 from which somebody is no longer よちよち."""
    cpm_loyal_days: int = 210
    """CPM: 在籍日数 from which 流行 is 優良."""
    cpm_amount: int = 70_000
    """CPM: cumulative amount in minor units from which コツコツ is 流行 or 優良."""
    cpm_churn_days: int = 240
    """CPM: 離脱 from so many days without an order."""
    cpm_months: int = 13
    """Months the CPM series shows, the as-of month included."""
    f2_days: int = 90
    """F2転換 (§9): N, beside the series of 30 to 360."""
    ltv_days: int = 360
    """LTV推移 (§3): k, beside the series of 30 to 360."""
    churn_days: int = 240
    """継続・離脱 (§6): 離脱基準日."""
    followed_orders: int = 12
    """継続・離脱 and 転換日数: order counts followed one by one."""
    comparison_days: int = 90
    """RFM of two dates (§2): the earlier one is so many days before the as-of day."""
    amount_basis: str = "order_total"
    """What an amount of LTV推移 is (§0): order_total 受注金額, goods_total 商品代金, gross_margin 粗利."""
    margin_percent: int = 0
    """粗利率 in percent of 商品代金; 0 = not known, and profit is then counted in 受注金額 and labelled so."""
    same_day_is_one: int = 0
    """1: two orders of one day are one order (§0)."""
    excluded_products: tuple[str, ...] = ("送料", "プレゼント", "手数料", "代引手数料", "ギフト包装")
    """Lines that are never products (§0), by product id or exact title."""
    base_products: tuple[str, ...] = ()
    """クロス集計 and 併売 (§8, §7): product ids; none = each of the best-selling products in turn."""
    base_any: int = 0
    """1: base products are joined by OR (bought any), 0: by AND (bought all)."""
    period_days: int = 365
    """Days up to the as-of day that 商品別新規・リピート and カゴ落ち count."""
    retention_months: int = 24
    """Months that the monthly series of 残存 and 継続・離脱 show."""
    baseline_weeks: int = 8
    """Weeks of own history an alert compares the last seven days with."""
    significance_percent: int = 5
    """An alert or difference is shown when chance alone would do so in fewer than so many percent of cases."""
    minimum_people: int = 30
    """Below so many people (or weekly orders) nothing is called a difference."""
    subscription_late_days: int = 14
    """定期フロー (§6): a delivery so many days after its due day is not undecided any more but stopped."""
    call_capacity: int = 100
    """解約見込み: contracts the call centre can call before their cut-off."""
    cancel_cutoff_days: int = 7
    """解約見込み: a cancellation must reach the shop so many days before the next shipment (解約締切)."""

    def parameters(self) -> dict[str, int | str | date]:
        """As named parameters of the queries: `r6`…`r2`, `f2`…`f6`, `m2`…`m6` and the rest by name; lists of texts as
        one text, a line each.
        """
        bins: dict[str, int | str | date] = {f"r{6 - i}": limit for i, limit in enumerate(self.r_limits)}
        bins |= {f"f{i + 2}": limit for i, limit in enumerate(self.f_limits)}
        bins |= {f"m{i + 2}": limit for i, limit in enumerate(self.m_limits)}
        rest = {f.name: getattr(self, f.name) for f in fields(self) if not f.name.endswith("_limits")}
        if self.amount_basis == "gross_margin" and not self.margin_percent:  # a margin of nothing would be a loss
            rest["amount_basis"] = "order_total"
        return bins | {name: "\n".join(value) if name in TEXT_LISTS else value for name, value in rest.items()}


def definitions_of(shop: Shop) -> Definitions:
    """The shop's definitions: the defaults, changed where its settings say so. Raises MisconfiguredError."""
    return parse_definitions(shop.section(SECTION))


def parse_definitions(section: Mapping[str, Any]) -> Definitions:
    """From the `analytics` section of a shop's settings. Raises MisconfiguredError naming what is wrong."""
    known = {f.name for f in fields(Definitions)}
    if unknown := sorted(set(section) - known):
        raise MisconfiguredError(f"analytics settings: unknown {', '.join(unknown)}; known: {', '.join(sorted(known))}")
    found = Definitions(**{name: _checked(name, value) for name, value in section.items()})
    if not found.cpm_settled_days < found.cpm_loyal_days:
        raise MisconfiguredError(
            f"analytics settings: cpm_settled_days ({found.cpm_settled_days}) must be less than cpm_loyal_days"
            f" ({found.cpm_loyal_days})"
        )
    return found


def _checked(name: str, value: Any) -> Any:
    if name in _CHOICES:
        return _choice(name, value)
    if name in TEXT_LISTS:
        return _texts(name, value)
    if name == "rfm_since":
        return _date(name, value)
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
    least, most = _RANGES.get(name, (0, value))
    if not least <= value <= most:
        raise MisconfiguredError(f"analytics setting {name}: {least} to {most} is possible, got {value}")
    return value


def _date(name: str, value: Any) -> date:
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        raise MisconfiguredError(f"analytics setting {name}: a day like 2026-04-01 is needed, got {value!r}") from None


def _choice(name: str, value: Any) -> str:
    if value not in _CHOICES[name]:
        raise MisconfiguredError(
            f"analytics setting {name}: one of {', '.join(_CHOICES[name])} is needed, got {value!r}"
        )
    return str(value)


def _texts(name: str, value: Any) -> tuple[str, ...]:
    if not isinstance(value, list) or not all(isinstance(text, str) and text and "\n" not in text for text in value):
        raise MisconfiguredError(f"analytics setting {name}: a list of texts is needed, got {value!r}")
    return tuple(value)
