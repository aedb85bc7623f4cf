"""CSV for spreadsheets (表計算): opens with the right letters, and nothing in it is run as a formula."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

BOM = "\ufeff"
"""Excel takes a CSV without it for Shift_JIS."""

_RUN = frozenset("=+-@＝＋－＠\t\r\n\v\f\x00")
_SKIPPED = " \u3000\u00a0\u200b\ufeff"
"""What a spreadsheet may pass over before it looks at the first letter."""


def safe_cell(value: Any) -> Any:
    """A text that a spreadsheet might run as a formula, as a text (OWASP: CSV injection); numbers as they are."""
    if not isinstance(value, str):
        return value
    first = value.lstrip(_SKIPPED)[:1]
    return f"'{value}" if first in _RUN else value


def csv_lines(heading: Sequence[str], rows: Iterable[Sequence[Any]]) -> Iterator[str]:
    """The lines of a CSV file, the mark for Excel first; rows are read as they are written."""
    yield BOM
    yield _line(heading)
    for row in rows:
        yield _line(row)


def _line(row: Sequence[Any]) -> str:
    out = io.StringIO()
    csv.writer(out, lineterminator="\r\n").writerow([safe_cell(value) for value in row])
    return out.getvalue()
