"""What `matakite model` reads: an order log, a summary or a survivor curve, as CSV or Parquet; bad rows are named."""

from __future__ import annotations

import csv
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from io import StringIO
from pathlib import Path
from typing import Any, Literal

import numpy as np

from shared.analytics.models.groups import Groups, Numbers
from shared.analytics.models.retention import Cohorts
from shared.analytics.models.summary import OrderLog
from shared.core.errors import RejectedError

SHOWN = 10
MOST_ORDERS = 10_000
"""Repeat purchases of one customer: more is a till or a test account, and no history of anybody."""
_YEARS = range(1900, 2200)
_BETWEEN = str.maketrans("/.年月", "----")
"""What stands between the numbers of a day."""
_UTF_16 = (b"\xff\xfe", b"\xfe\xff")
"""How Excel's "Unicode text" begins."""
_ENCODINGS = ("utf-8-sig", "cp932")

NAMES: Mapping[str, tuple[str, ...]] = {
    "customer": ("customer", "customer_id", "Customer ID", "CustomerID", "cust", "id", "顧客ID", "会員ID", "顧客番号"),
    "date": ("date", "ordered_at", "order_date", "ordered_on", "InvoiceDate", "注文日", "注文日時", "受注日"),
    "amount": ("amount", "total", "value", "dollar_value", "sales", "金額", "注文金額", "受注金額"),
    "x": ("x", "frequency"),
    "t_x": ("t_x", "t.x", "recency"),
    "T": ("T", "t_cal", "T.cal", "n_cal", "n.cal", "periods"),
    "mean_value": ("mean_value", "monetary_value", "zbar"),
    "count": ("count", "customers", "custs", "weights"),
    "period": ("period", "periods", "year", "month", "回数"),
    "survivors": ("survivors", "active", "残存数", "継続人数"),
}
"""What a column may be called, in whatever case, where it is not named by an option."""

Kind = Literal["order log", "summary", "survivors"]


class Unit(StrEnum):
    """The unit of time of t_x, T, α and β."""

    DAY = "day"
    WEEK = "week"


@dataclass(frozen=True, slots=True)
class Orders:
    """An order log."""

    log: OrderLog
    has_amount: bool


@dataclass(frozen=True, slots=True)
class Histories:
    """A summary: one row per customer, or per group where there is a count."""

    names: list[Any]
    groups: Groups
    mean_value: np.typing.NDArray[np.float64] | None


@dataclass(frozen=True, slots=True)
class Content:
    """A file's content, and the rows left out of it (line, reason)."""

    kind: Kind
    columns: Mapping[str, str]
    """What is known → the file's column it was read from."""
    data: Orders | Histories | Cohorts
    skipped: tuple[tuple[int, str], ...] = ()


def _fine(_: Mapping[str, Any]) -> None:
    """No further check."""


@dataclass(slots=True)
class _Rows:
    """A file's rows, by the columns needed."""

    header: Sequence[str]
    rows: Iterator[tuple[int, Sequence[Any]]]
    bad: list[tuple[int, str]] = field(default_factory=list)
    taken: dict[str, str] = field(default_factory=dict)
    """What was read → from which column."""

    def place(self, what: str, named: str | None = None) -> int | None:
        """Where a column is. Raises RejectedError for a name that is not there."""
        if named is not None:
            if named not in self.header:
                raise RejectedError(f"no column {named!r}; there are: {', '.join(self.header)}")
            return self.header.index(named)
        header = [name.casefold() for name in self.header]
        return next((header.index(name.casefold()) for name in NAMES[what] if name.casefold() in header), None)

    def read(
        self, places: Mapping[str, int], parse: Mapping[str, Any], check: Callable[[Mapping[str, Any]], None] = _fine
    ) -> dict[str, list[Any]]:
        """Columns of parsed values; rows that do not parse or pass the check go to `bad` whole."""
        self.taken = {name: self.header[place] for name, place in places.items()}
        columns: dict[str, list[Any]] = {name: [] for name in places}
        for line, row in self.rows:
            try:
                parsed = {name: parse[name](row[place]) for name, place in places.items()}
                check(parsed)
            except IndexError:
                self.bad.append((line, f"has {len(row)} columns, the header {len(self.header)}"))
            except ValueError as error:
                self.bad.append((line, str(error)))
            else:
                for name, value in parsed.items():
                    columns[name].append(value)
        return columns


def read(
    path: Path, customer: str | None, on: str | None, amount: str | None, *, skip_bad_rows: bool = False
) -> Content:
    """Read a file. Raises RejectedError naming the lines that are wrong, unless they may be skipped."""
    rows = _parquet(path) if path.suffix.lower() in {".parquet", ".pq"} else _csv(path)
    if rows.place("survivors") is not None and rows.place("period") is not None:
        data: Orders | Histories | Cohorts = _survivors(rows)
        kind: Kind = "survivors"
    elif all(rows.place(name) is not None for name in ("x", "t_x", "T")):
        data, kind = _summary(rows, customer, skip_bad_rows), "summary"
    else:
        data, kind = _orders(rows, customer, on, amount, skip_bad_rows), "order log"
    return Content(kind, rows.taken, data, tuple(rows.bad))


def _orders(rows: _Rows, customer: str | None, on: str | None, amount: str | None, skip: bool) -> Orders:
    places = {"customer": rows.place("customer", customer), "date": rows.place("date", on)}
    if places["customer"] is None or places["date"] is None:
        raise RejectedError(
            "found neither an order log (customer, date, amount), a summary (x, t_x, T) nor survivors (period, "
            f"survivors) in the heading {', '.join(rows.header)}: name columns with --customer, --date and --amount"
        )
    places["amount"] = rows.place("amount", amount)
    known = {name: place for name, place in places.items() if place is not None}
    columns = rows.read(known, {"customer": _text, "date": Days(), "amount": _money})
    _refuse(rows.bad, skip)
    amounts = columns.get("amount", [0.0] * len(columns["customer"]))
    return Orders(OrderLog.of(columns["customer"], columns["date"], amounts), "amount" in known)


def _summary(rows: _Rows, customer: str | None, skip: bool) -> Histories:
    places = {name: rows.place(name) for name in ("x", "t_x", "T", "mean_value", "count")}
    places["customer"] = rows.place("customer", customer)
    known = {name: place for name, place in places.items() if place is not None}
    numbers = dict.fromkeys(("x", "t_x", "T", "mean_value", "count"), _number)
    columns = rows.read(known, {**numbers, "customer": _text}, _possible)
    _refuse(rows.bad, skip)
    if not columns["x"]:
        raise RejectedError("there are no customers in the file")
    groups = Groups.of(columns["x"], columns["t_x"], columns["T"], columns.get("count"))
    mean: Numbers | None = columns.get("mean_value")
    names = columns.get("customer", list(range(1, len(columns["x"]) + 1)))
    return Histories(names, groups, None if mean is None else np.asarray(mean, np.float64))


def _possible(row: Mapping[str, Any]) -> None:
    """What `Groups.of` asks of a history, row by row. Raises ValueError."""
    x, t_x, t_cal, count = row["x"], row["t_x"], row["T"], row.get("count", 1.0)
    if x < 0 or x % 1 or x > MOST_ORDERS:
        raise ValueError(f"x={x:g} is not a number of repeat purchases: 0, 1, 2, … at most {MOST_ORDERS:,}")
    if not 0 <= t_x <= t_cal:
        raise ValueError(f"t_x={t_x:g} is not between 0 and T={t_cal:g}")
    if x == 0 and t_x:
        raise ValueError(f"t_x={t_x:g} without a repeat purchase: it is 0 then")
    if count < 1 or count % 1:
        raise ValueError(f"count={count:g} is not a number of customers: 1, 2, …")
    if row.get("mean_value", 0.0) < 0:
        raise ValueError(
            f"mean_value={row['mean_value']:g} is negative: it is what repeat orders were worth on average"
        )


def _survivors(rows: _Rows) -> Cohorts:
    places = {name: rows.place(name) for name in ("period", "survivors")}
    columns = rows.read({k: v for k, v in places.items() if v is not None}, dict.fromkeys(places, _number))
    _refuse(rows.bad, skip=False)
    if columns["period"] != list(range(len(columns["period"]))):
        raise RejectedError("periods must be 0, 1, 2, … in order, with everybody at 0")
    return Cohorts.of_survivors(columns["survivors"])


def _refuse(bad: Sequence[tuple[int, str]], skip: bool) -> None:
    if bad and not skip:
        shown = "".join(f"\n  line {line}: {reason}" for line, reason in bad[:SHOWN])
        more = f"\n  … and {len(bad) - SHOWN:,} more" if len(bad) > SHOWN else ""
        rows = "1 row" if len(bad) == 1 else f"{len(bad):,} rows"
        raise RejectedError(f"{rows} cannot be read (--skip-bad-rows leaves them out):{shown}{more}")


# --- cells -----------------------------------------------------------------------------------------------------------
class Days(dict[Any, int]):
    """Dates as day numbers, each text parsed once."""

    def __call__(self, value: Any) -> int:
        return self[value]

    def __missing__(self, value: Any) -> int:
        self[value] = day = parse_day(value).toordinal()
        return day


def parse_day(value: Any) -> date:
    """2026-11-21, 2026/11/21, 2026年11月21日, 20261121, each with or without a time of day. Raises ValueError."""
    if isinstance(value, datetime):
        return value.date()
    if isinstance(value, date):
        return value
    text = str(value).strip().replace("T", " ").split(" ")[0].partition("日")[0].translate(_BETWEEN)
    try:
        parts = [int(part) for part in text.split("-")]
        day = date(*parts) if len(parts) == 3 else date.fromisoformat(text)
    except (ValueError, TypeError):
        raise ValueError(f"date {value!r} is not a day such as 2026-11-21") from None
    if day.year not in _YEARS:
        raise ValueError(f"date {value!r} is in no year in which somebody ordered")
    return day


def _text(value: Any) -> str:
    if isinstance(value, float):  # numbers with gaps among them: 13085.0 is 13085, the gaps are NaN
        value = None if np.isnan(value) else f"{value:.0f}" if value.is_integer() else value
    text = "" if value is None else str(value).strip()
    if not text:
        raise ValueError("no customer")
    return text


def _number(value: Any) -> float:
    if value is None or not str(value).strip():
        raise ValueError("a number is missing")
    try:
        number = float(str(value).replace(",", ""))
    except ValueError:
        raise ValueError(f"{value!r} is not a number") from None
    if not np.isfinite(number):
        raise ValueError(f"{value!r} is not a number")
    return number


def _money(value: Any) -> float:
    amount = _number(str(value).strip().lstrip("¥￥$").removesuffix("円"))
    if amount < 0:
        raise ValueError(f"amount {value!r} is negative: a refund is not an order, take it off the order it belongs to")
    return amount


# --- files -----------------------------------------------------------------------------------------------------------
def _csv(path: Path) -> _Rows:
    """Separated by commas, semicolons, tabs or, failing these, by spaces."""
    text = _decoded(path)
    if not text.strip():
        raise RejectedError(f"{path} is empty")
    first = text.partition("\n")[0]
    separator = next((each for each in (",", "\t", ";") if each in first), None)
    if separator is None:
        cells = ((number, line.split()) for number, line in enumerate(text.split("\n"), start=1) if line.strip())
    else:
        reader = csv.reader(StringIO(text, newline=""), delimiter=separator)
        cells = ((reader.line_num, row) for row in reader if row)
    header = [name.strip() for name in next(cells)[1]]
    if twice := sorted({name for name in header if name and header.count(name) > 1}):
        raise RejectedError(f"{path} has more than one column {', '.join(twice)}: which of them counts?")
    return _Rows(header, cells)


def _decoded(path: Path) -> str:
    try:
        content = path.read_bytes()
    except OSError as error:
        raise RejectedError(f"{path} cannot be read: {error.strerror}") from None
    for encoding in ("utf-16",) if content.startswith(_UTF_16) else _ENCODINGS:
        try:
            return content.decode(encoding)
        except UnicodeDecodeError:
            continue
    raise RejectedError(f"{path} is neither UTF-8 nor CP932 (Shift_JIS) nor UTF-16")


def _parquet(path: Path) -> _Rows:
    from pyarrow import ArrowException
    from pyarrow.parquet import ParquetFile

    try:
        file = ParquetFile(path)
        header = list(file.schema_arrow.names)
    except (OSError, ArrowException) as error:
        raise RejectedError(f"{path} is not a Parquet file: {error}") from None

    def rows() -> Iterator[tuple[int, Sequence[Any]]]:
        line = 0
        for batch in file.iter_batches():
            for row in zip(*(column.to_pylist() for column in batch.columns), strict=True):
                line += 1
                yield line, row

    return _Rows(header, rows())
