"""What media cost (広告費): a small file the shop keeps, one line per medium and month, into the lake.

    media,month,cost
    google/cpc/spring,2026-03,120000

The medium is written as the orders say it. A line told again replaces the earlier one; an empty cost takes it back.
"""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any

from shared.analytics.lake import Objects, put_partition
from shared.analytics.parquet import encode_rows
from shared.analytics.schema import MEDIA_COSTS, month_of
from shared.core.errors import RejectedError
from shared.core.ids import TenantId, digest

_HEADINGS: Mapping[str, tuple[str, ...]] = {
    "media": ("media", "媒体", "広告媒体"),
    "month": ("month", "月", "対象月"),
    "cost": ("cost", "費用", "広告費"),
}
_MONTH = re.compile(r"(\d{4})[-/年](\d{1,2})月?")


@dataclass(frozen=True, slots=True)
class Cost:
    """One line: what a medium cost in a month, in minor units; None takes back what was said."""

    media: str
    month: date
    amount: int | None


def read_costs(body: bytes) -> list[Cost]:
    """The lines of a CSV (UTF-8 or Shift_JIS). Raises RejectedError naming every line that cannot be read."""
    reader = csv.DictReader(io.StringIO(_text(body)))
    columns = _columns(reader.fieldnames or [])
    found: dict[tuple[str, date], tuple[int, Cost]] = {}
    wrong: list[str] = []
    for number, row in enumerate(reader, 2):
        try:
            cost = _cost({name: (row[heading] or "").strip() for name, heading in columns.items()})
        except ValueError as error:
            wrong.append(f"line {number}: {error}")
            continue
        before, _ = found.setdefault((cost.media, cost.month), (number, cost))
        if before != number:
            # Were it the newer word on the month, a medium of two campaigns would seem to have cost one of them.
            wrong.append(f"line {number}: {cost.media} {cost.month:%Y-%m} is in line {before} too: add them up")
    if wrong:
        raise RejectedError("; ".join(wrong))
    return [cost for _, cost in found.values()]


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError:
        pass
    try:
        return body.decode("cp932")
    except UnicodeDecodeError:
        raise RejectedError("a file of media costs must be UTF-8 or Shift_JIS") from None


def _columns(headings: Sequence[str]) -> dict[str, str]:
    found = {name: heading for heading in headings for name, known in _HEADINGS.items() if heading.strip() in known}
    if missing := [known[0] for name, known in _HEADINGS.items() if name not in found]:
        raise RejectedError(
            f"a file of media costs needs the columns media, month, cost; missing: {', '.join(missing)}"
        )
    return found


def _cost(row: Mapping[str, str]) -> Cost:
    if not row["media"]:
        raise ValueError("no medium")
    month = _MONTH.fullmatch(row["month"])
    if month is None or not 1 <= int(month[2]) <= 12:
        raise ValueError(f"{row['month']!r} is no month such as 2026-03")
    text = row["cost"].replace(",", "").lstrip("¥￥").removesuffix("円")
    if not re.fullmatch(r"[0-9]*", text):
        raise ValueError(f"{row['cost']!r} is no amount in whole minor units")
    return Cost(row["media"], date(int(month[1]), int(month[2]), 1), int(text) if text else None)


def write_costs(costs: Sequence[Cost], lake: Objects, tenant: TenantId, currency: str, now: datetime) -> int:
    """Put lines into `media_costs`; how many objects that took. Told twice, the later time counts."""
    months: dict[str, list[dict[str, Any]]] = {}
    for row in _rows(costs, currency, now):
        months.setdefault(month_of(row["spent_on"]), []).append(row)
    for month, rows in months.items():
        name = f"told-{digest(tenant, month, now.isoformat())}"
        put_partition(lake, MEDIA_COSTS, tenant, month, name, encode_rows(MEDIA_COSTS, rows))
    return len(months)


def _rows(costs: Sequence[Cost], currency: str, now: datetime) -> Iterator[dict[str, Any]]:
    # Of two lines about the same month the last of the file counts.
    for cost in {(cost.media, cost.month): cost for cost in costs}.values():
        yield {
            "media": cost.media,
            "spent_on": cost.month,
            "amount": cost.amount or 0,
            "currency": currency,
            "written_at": now,
            "removed": cost.amount is None,
        }
