"""What the next contact is expected to earn (接触予算): a message that costs more than it brings is not sent. Pure.

Section `delivery.worth` of the shop's settings; without it every contact is worth its cost:

    {"margin_rate": 0.35, "order_rate": {"high": 0.03, "potential": 0.015, "low": 0.004, "new": 0.004},
     "average_order": 6000, "costs": {"line": 3, "sms": 12, "postal": 110, "call": 250}, "fatigue": 2}

    expected margin = order rate × average order × margin rate − cost of the message − fatigue × contacts of 7 days

`order_rate` is the share of contacts that bring an order, by LTV tier (`new`: no tier yet), as the shop's own scenarios
measured it. The average order is the person's own; `average_order` is for who has not ordered yet. Amounts are in the
minor unit of the shop's currency (yen). `fatigue` is what a contact too many is thought to cost: unsubscribing,
reporting, not reading the next. Asked where a message costs money (`paid`), and of every channel for the last contact
that a person's week holds: it should go to what is worth most.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from shared.core.errors import MisconfiguredError
from shared.customers.model import PersonState

COSTS: Mapping[str, float] = MappingProxyType({"email": 0.015, "line": 3.0, "sms": 11.2, "postal": 85.0, "call": 200.0})
"""Yen a message; a shop's own prices replace them. A call is ten minutes of somebody's time."""
PAID = frozenset({"line", "sms", "postal", "call"})
NEW = "new"


@dataclass(frozen=True, slots=True)
class Worth:
    """What a shop knows about its contacts."""

    margin_rate: float
    order_rate: Mapping[str, float]
    average_order: float = 0.0
    costs: Mapping[str, float] = field(default_factory=lambda: COSTS)
    fatigue: float = 0.0

    def expected_margin(self, person: PersonState, channel: str, contacts: int) -> float:
        """Of one more message on this channel to somebody who had so many in 7 days; below 0 it costs more."""
        scores = person.profile.scores
        tier = str(scores.ltv_tier) if scores else NEW
        bought = person.profile.summary
        order = bought.total_amount / bought.order_count if bought.order_count else self.average_order
        earned = self.order_rate.get(tier, 0.0) * order * self.margin_rate
        return earned - self.costs.get(channel, 0.0) - self.fatigue * contacts

    def pays(self, person: PersonState, channel: str, contacts: int) -> bool:
        """Is it expected to earn anything?"""
        return self.expected_margin(person, channel, contacts) > 0


def worth_of(setting: object) -> Worth | None:
    """`delivery.worth` of a shop's settings. Raises MisconfiguredError saying how it must look."""
    if setting is None:
        return None
    try:
        document = dict(setting)  # type: ignore[call-overload]
        worth = Worth(
            margin_rate=float(document.pop("margin_rate")),
            order_rate={str(tier): float(rate) for tier, rate in document.pop("order_rate").items()},
            average_order=float(document.pop("average_order", 0)),
            costs={**COSTS, **{str(name): float(yen) for name, yen in document.pop("costs", {}).items()}},
            fatigue=float(document.pop("fatigue", 0)),
        )
    except (AttributeError, KeyError, TypeError, ValueError):
        raise _refusal(setting) from None
    rates = (worth.margin_rate, *worth.order_rate.values())
    amounts = (worth.average_order, worth.fatigue, *worth.costs.values())
    if document or not all(0 <= rate <= 1 for rate in rates) or not all(0 <= amount < 10**9 for amount in amounts):
        raise _refusal(setting)
    return worth


def _refusal(setting: object) -> MisconfiguredError:
    return MisconfiguredError(
        'delivery.worth must be like {"margin_rate": 0.35, "order_rate": {"high": 0.03, "new": 0.004}, '
        '"average_order": 6000, "costs": {"line": 3}, "fatigue": 2}, with rates from 0 to 1 and amounts in yen, '
        f"not {setting!r}"
    )
