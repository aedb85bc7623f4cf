"""The demo's order history: CDNOW, 69,659 orders of 23,570 real, anonymous customers; in the PyPI package `lifetimes`.

Fader & Hardie's data set of everybody who first bought from CDNOW in the first quarter of 1997, followed to June 1998.
Dollars and cents are read as yen ($11.77 → ¥1,177), and all dates are moved forward by the same number of days so that
the last one is yesterday: everything else is as it was. Names and addresses are synthetic.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from importlib.util import find_spec
from pathlib import Path

from shared.core.errors import MisconfiguredError

LAST_DAY = date(1998, 6, 30)
CUSTOMERS = 23_570
HEADER = ("order_id", "customer_id", "email", "last_name", "first_name", "ordered_at", "amount", "currency")
_LAST_NAMES = ("見本", "例題", "試験", "仮名", "模擬", "標本", "雛形", "範例")
_FIRST_NAMES = ("花子", "太郎", "一葉", "次郎", "三奈", "四季", "五月", "六花", "七海", "八重")


@dataclass(frozen=True, slots=True)
class Purchase:
    """One line of the master file: a customer's transaction."""

    line: int
    customer: str
    on: date
    amount: int
    """Cents, read as yen."""


def master_file() -> Path:
    """Where the installed package keeps the data set. The package itself is never imported."""
    spec = find_spec("lifetimes")
    if spec is None or not spec.submodule_search_locations:
        raise MisconfiguredError("the demo needs the data set of the package 'lifetimes': run `make setup`")
    return Path(spec.submodule_search_locations[0]) / "datasets" / "CDNOW_master.txt"


def purchases(last_day: date, limit: int | None = None) -> Iterator[Purchase]:
    """Every transaction, moved so that the latest is on `last_day`; `limit` keeps the first customers only."""
    shift = last_day - LAST_DAY
    with master_file().open(encoding="ascii") as lines:
        next(lines)
        for number, text in enumerate(lines, start=1):
            customer, day, _, dollars = text.split()
            if limit is not None and int(customer) > limit:
                return
            on = date(int(day[:4]), int(day[4:6]), int(day[6:])) + shift
            yield Purchase(number, customer, on, int(Decimal(dollars) * 100))


def email(customer: str) -> str:
    """A synthetic address."""
    return f"cdnow-{customer}@example.com"


def name(customer: str) -> tuple[str, str]:
    """A synthetic name, last and first."""
    number = int(customer)
    return _LAST_NAMES[number % len(_LAST_NAMES)], _FIRST_NAMES[number % len(_FIRST_NAMES)]


def write_csv(path: Path, last_day: date, limit: int | None = None) -> int:
    """Write the history as the file a shop would export; returns the number of orders."""
    count = 0
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file)
        writer.writerow(HEADER)
        for purchase in purchases(last_day, limit):
            row = (purchase.customer, email(purchase.customer), *name(purchase.customer))
            writer.writerow((f"CDNOW-{purchase.line}", *row, purchase.on.isoformat(), purchase.amount, "JPY"))
            count += 1
    return count


def yesterday(today: date) -> date:
    """The day before."""
    return today - timedelta(days=1)
