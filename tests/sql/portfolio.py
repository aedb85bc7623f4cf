"""CPM, deciles, F2, LTV, continuation and 転換日数 in plain Python, person by person, from definitions.md.

Independent of the SQL: lists and exact fractions, no windows, no sets of days counted ahead.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from fractions import Fraction
from itertools import pairwise
from statistics import median
from typing import Any

from shared.analytics.definitions import Definitions

STAGES = ("初回", "よちよち", "コツコツ", "流行", "優良")
GROUPS = tuple(f"{stage}{state}" for state in ("現役", "離脱") for stage in STAGES)
NEW, LOST = "新規", "対象外"


@dataclass(frozen=True)
class Order:
    """One order, and what became of it later."""

    customer: str
    on: date
    amount: int
    cancelled_on: date | None = None
    refunded_on: date | None = None
    refund: int = 0

    def amount_at(self, day: date) -> int:
        """受注金額 less what was refunded by then."""
        return self.amount - (self.refund if self.refunded_on and self.refunded_on <= day else 0)


@dataclass(frozen=True)
class Buyer:
    """A person's purchases as a day knew them: days ascending, with amounts."""

    days: tuple[date, ...]
    amounts: tuple[int, ...]

    @property
    def first(self) -> date:
        """First order."""
        return self.days[0]

    @property
    def tenure(self) -> int:
        """在籍日数."""
        return (self.days[-1] - self.days[0]).days

    def offsets(self) -> list[int]:
        """Days of the orders, from the first on."""
        return [(day - self.first).days for day in self.days]


Buyers = Mapping[str, Buyer]


def buyers(orders: Sequence[Order], day: date) -> dict[str, Buyer]:
    """Everybody with a valid order, as that day knew it."""
    known: dict[str, list[tuple[date, int]]] = {}
    for order in orders:
        if order.on <= day and not (order.cancelled_on and order.cancelled_on <= day):
            known.setdefault(order.customer, []).append((order.on, order.amount_at(day)))
    return {
        customer: Buyer(*zip(*sorted(bought, key=lambda each: each[0]), strict=True))
        for customer, bought in known.items()
    }


def cpm_group(buyer: Buyer, day: date, limits: Definitions) -> str:
    """§1, the table read row by row."""
    amount, state = sum(buyer.amounts), "現役" if (day - buyer.days[-1]).days < limits.cpm_churn_days else "離脱"
    if len(buyer.days) == 1:
        return f"初回{state}"
    settled, loyal = buyer.tenure >= limits.cpm_settled_days, buyer.tenure >= limits.cpm_loyal_days
    (stage,) = [
        name
        for name, holds in {
            "よちよち": not settled,
            "コツコツ": settled and amount < limits.cpm_amount,
            "流行": settled and not loyal and amount >= limits.cpm_amount,
            "優良": loyal and amount >= limits.cpm_amount,
        }.items()
        if holds
    ]
    return f"{stage}{state}"


def month_ends(day: date, count: int) -> list[date]:
    """The day itself and the ends of the months before it, newest first."""
    ends = [day]
    while len(ends) < count:
        ends.append(ends[-1].replace(day=1) - timedelta(days=1))
    return ends


def portfolio(orders: Sequence[Order], day: date, limits: Definitions) -> list[tuple[date, dict[str, str]]]:
    """Everybody's group at each month end, one month more than is shown, newest first."""
    return [
        (end, {customer: cpm_group(buyer, end, limits) for customer, buyer in buyers(orders, end).items()})
        for end in month_ends(day, limits.cpm_months + 1)
    ]


def transitions(series: Sequence[tuple[date, Mapping[str, str]]]) -> Counter[tuple[str, str, str]]:
    """(month, from, to) → people, for all who were in a group at either end."""
    counted: Counter[tuple[str, str, str]] = Counter()
    for (end, now), (_, before) in pairwise(series):
        for customer in now.keys() | before.keys():
            counted[f"{end:%Y-%m}", before.get(customer, NEW), now.get(customer, LOST)] += 1
    return counted


def deciles(known: Buyers) -> dict[int, tuple[int, int]]:
    """Decile → (people, amount): by amount, then id; the upper ones get what does not divide."""
    ranked = sorted((-sum(buyer.amounts), customer) for customer, buyer in known.items())
    size, more = divmod(len(ranked), 10)
    found, start = {}, 0
    for decile in range(1, 11):
        end = start + size + (decile <= more)
        found[decile] = (end - start, -sum(amount for amount, _ in ranked[start:end]))
        start = end
    return found


def cohorts(known: Buyers) -> dict[str, list[Buyer]]:
    """People by month of the first order."""
    found: dict[str, list[Buyer]] = {}
    for buyer in known.values():
        found.setdefault(f"{buyer.first:%Y-%m}", []).append(buyer)
    return found


def horizons(own: int) -> list[int]:
    """30, 60 … 360 and the shop's."""
    return sorted({*range(30, 361, 30), own})


def f2(known: Buyers, day: date, limits: Definitions) -> dict[tuple[str, int], tuple[Any, ...]]:
    """(month, N) → people, mature ones, F2 … F5 counts and one-timers; None where nobody is mature."""
    found: dict[tuple[str, int], tuple[Any, ...]] = {}
    for month, people in cohorts(known).items():
        for days in horizons(limits.f2_days):
            mature = [buyer for buyer in people if buyer.first + timedelta(days=days) <= day]
            within = [sum(offset <= days for offset in buyer.offsets()) for buyer in mature]
            reached = [sum(count >= n for count in within) for n in range(2, 6)]
            once = sum(len(b.days) == 1 and (day - b.days[0]).days > days for b in people)
            cells = [*reached, once] if mature else [None] * 5
            found[month, days] = (len(people), len(mature), *cells)
    return found


def ltv(known: Buyers, day: date, limits: Definitions) -> dict[tuple[str, int], tuple[Any, ...]]:
    """(month, k) → people, mature ones, amount, orders, repeaters by day k; None where nobody is mature."""
    found: dict[tuple[str, int], tuple[Any, ...]] = {}
    for month, people in cohorts(known).items():
        for days in horizons(limits.ltv_days):
            mature = [buyer for buyer in people if buyer.first + timedelta(days=days) <= day]
            amount = orders = repeaters = 0
            for buyer in mature:
                within = [paid for offset, paid in zip(buyer.offsets(), buyer.amounts, strict=True) if offset <= days]
                amount, orders, repeaters = amount + sum(within), orders + len(within), repeaters + (len(within) > 1)
            cells = [amount, orders, repeaters] if mature else [None] * 3
            found[month, days] = (len(people), len(mature), *cells)
    return found


def formulas(known: Buyers) -> dict[str, Fraction | None]:
    """§4, exactly."""
    orders = [amount for buyer in known.values() for amount in buyer.amounts]
    if not orders:
        return {"two_term": None, "geometric": None}
    mean = Fraction(sum(orders), len(orders))
    rate = Fraction(sum(len(buyer.days) >= 2 for buyer in known.values()), len(known))
    return {"two_term": mean + mean * rate, "geometric": mean / (1 - rate) if rate < 1 else None}


def continuation(known: Buyers, day: date, limits: Definitions) -> dict[int, tuple[int, int, int, int]]:
    """k → reached, continued, churned, undecided."""
    found = {}
    for k in range(1, limits.followed_orders + 1):
        reached = [buyer for buyer in known.values() if len(buyer.days) >= k]
        stopped = [buyer for buyer in reached if len(buyer.days) == k]
        churned = [buyer for buyer in stopped if (day - buyer.days[-1]).days >= limits.churn_days]
        found[k] = (len(reached), len(reached) - len(stopped), len(churned), len(stopped) - len(churned))
    return found


def gaps(
    known: Buyers, day: date, limits: Definitions
) -> dict[int, tuple[int, Counter[int], float | None, int | None]]:
    """n → people, finished gaps, their naive median, the Kaplan–Meier median."""
    found = {}
    for n in range(1, limits.followed_orders + 1):
        finished: list[int] = []
        waiting: list[int] = []
        for buyer in known.values():
            occasions = sorted(set(buyer.days))
            if len(occasions) > n:
                finished.append((occasions[n] - occasions[n - 1]).days)
            elif len(occasions) == n:
                waiting.append((day - occasions[-1]).days)
        if finished or waiting:
            naive = float(median(finished)) if finished else None
            found[n] = (
                len(finished) + len(waiting),
                Counter(finished),
                naive,
                kaplan_meier_median(finished, waiting),
            )
    return found


def kaplan_meier_median(finished: Sequence[int], waiting: Sequence[int]) -> int | None:
    """The first day by which half had ended, in exact fractions."""
    survival, lengths = Fraction(1), sorted([*finished, *waiting])
    passed = 0
    for gap, ended in sorted(Counter(finished).items()):
        while lengths[passed] < gap:
            passed += 1
        survival *= 1 - Fraction(ended, len(lengths) - passed)
        if survival <= Fraction(1, 2):
            return gap
    return None
