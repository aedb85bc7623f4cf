"""A file being read: its rows one after another into events, what was refused, and the figures of the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import date, datetime
from itertools import islice
from typing import BinaryIO
from zoneinfo import ZoneInfo

from shared.core.clock import from_iso, shop_day
from shared.core.errors import RejectedError
from shared.ingest.files.headings import layout
from shared.ingest.files.mapping import FileMapping
from shared.ingest.files.model import BadRow, Context, FileOptions, Kind, Layout, Refused, Row
from shared.ingest.files.sheet import Sheet
from shared.ingest.model import ConsentFacts, Event, OrderFacts, SubscriptionFacts

ABOVE_THE_HEADINGS = 10
"""Rows that may stand above them."""


@dataclass(slots=True)
class Figures:
    """What a file amounts to, for the report before and after."""

    rows: int = 0
    events: int = 0
    first_on: date | None = None
    last_on: date | None = None
    amounts: Counter[str] = field(default_factory=Counter)
    """Currency → minor units: orders' totals, cancelled ones left out."""
    words: Counter[str] = field(default_factory=Counter)
    """許諾 / 拒否, 継続 / 解約 …: how many of each."""

    def count(self, event: Event, timezone: str) -> None:
        """One event more."""
        self.events += 1
        on = shop_day(event.occurred_at, timezone)
        self.first_on = min(self.first_on or on, on)
        self.last_on = max(self.last_on or on, on)
        facts = event.facts
        if isinstance(facts, OrderFacts):
            self.words["キャンセル" if facts.cancelled_at else "有効"] += 1
            self.amounts[facts.currency] += 0 if facts.cancelled_at else facts.total
        elif isinstance(facts, ConsentFacts):
            self.words["許諾" if facts.granted else "拒否"] += 1
        elif isinstance(facts, SubscriptionFacts):
            self.words[facts.state.value] += 1


class Reading:
    """One pass over a file. Raises RejectedError at once when it is no such file; bad rows are kept, not raised."""

    def __init__(
        self,
        stream: BinaryIO,
        kind: Kind,
        options: FileOptions,
        now: datetime,
        mapping: FileMapping | None = None,
        encoding: str | None = None,
    ) -> None:
        self.kind, self.options = kind, options
        self._sheet = Sheet(stream, encoding)
        self.encoding, self.heading, self.digest = self._sheet.encoding, self._sheet.heading, self._sheet.digest
        self.layout = self._headed(mapping or FileMapping())
        as_of = options.as_of or _start_of_day(now, options.timezone)
        self._context = Context(options, now, self.digest, as_of)
        self.figures = Figures()
        self.bad: list[BadRow] = []

    def _headed(self, mapping: FileMapping) -> Layout:
        """Where the columns stand. Some exports write a title and a date above their headings."""
        try:
            return layout(self.heading, self.kind, mapping)
        except RejectedError:
            for _, cells in islice(self._sheet, ABOVE_THE_HEADINGS):
                with suppress(RejectedError):
                    found = layout(cells, self.kind, mapping)
                    self.heading = cells
                    return found
            raise

    def events(self) -> Iterator[Event]:
        """Every event of the file, once; afterwards `bad` and `figures` are complete."""
        for rows in self._groups():
            try:
                made = list(self.kind.events(rows, self._context))
            except Refused as error:
                self._refuse(rows, error)
                continue
            for event in made:
                self.figures.count(event, self.options.timezone)
                yield event
        self.bad.sort(key=lambda row: row.line)

    def _groups(self) -> Iterator[Sequence[Row]]:
        """Rows that belong together: one by one where they do not, else when the file ends."""
        waiting: dict[str, list[Row]] = {}
        for line, cells in self._sheet:
            self.figures.rows += 1
            row = self._row(line, cells)
            if row is None:
                continue
            if self.kind.key is None:
                yield (row,)
                continue
            try:
                waiting.setdefault(self.kind.key(row), []).append(row)
            except Refused as error:
                self._refuse((row,), error)
        for key in list(waiting):
            yield waiting.pop(key)

    def _row(self, line: int, cells: tuple[str, ...]) -> Row | None:
        width = len(self.heading)
        if len(cells) > width and not any(cell.strip() for cell in cells[width:]):
            cells = cells[:width]
        if len(cells) != width:
            reason = f"列数が{len(cells)}です（見出しは{width}列） / has {len(cells)} columns, the heading has {width}"
            self.bad.append(BadRow(line, reason, cells))
            return None
        return Row(line, cells, self.layout)

    def _refuse(self, rows: Sequence[Row], error: Refused) -> None:
        other = (
            f"同じ番号の {error.line} 行目に誤りがあります / line {error.line} of the same number is bad"
            if error.line
            else str(error)
        )
        for row in rows:
            reason = str(error) if error.line in (None, row.line) else other
            self.bad.append(BadRow(row.line, reason, row.cells))


def _start_of_day(now: datetime, timezone: str) -> datetime:
    local = now.astimezone(ZoneInfo(timezone))
    return from_iso(local.replace(hour=0, minute=0, second=0, microsecond=0).isoformat())
