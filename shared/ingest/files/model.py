"""What a file of a shop is made of: kinds, columns, rows, and the reasons for which a row is refused."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from shared.core.ids import TenantId
from shared.ingest.model import Event

SOURCE = "import"
STORE = "history"
MAX_CELL = 1000
"""Characters kept of a cell: longer than every real name, address or title."""


@dataclass(frozen=True, slots=True)
class FileOptions:
    """How to read a file: whose rows they are, and what its dates and amounts mean."""

    tenant: TenantId
    timezone: str = "Asia/Tokyo"
    currency: str = "JPY"
    source: str = SOURCE
    store: str = STORE
    """Orders, contracts and customer numbers are unique within (source, store)."""
    revision: int = 1
    """A corrected file of the same rows wins with a higher number."""
    as_of: datetime | None = None
    """When the file was exported: the time of rows that name none. Missing: the start of the shop's day."""
    personal_key: bytes = field(default=b"", repr=False)
    """The shop's key (`KeyRing.personal`): rows that name a person by address only get an id nobody can guess from."""


@dataclass(frozen=True, slots=True)
class Column:
    """One thing a kind of file can say."""

    name: str
    title: str
    """As a shop owner says it; also the heading we suggest."""
    headings: tuple[str, ...] = ()
    """Other headings it is known by, best first (compared without case, spaces, underscores and brackets)."""

    def words(self) -> tuple[str, ...]:
        """Every heading that means this column, best first."""
        return self.name, self.title, *self.headings


@dataclass(frozen=True, slots=True)
class Layout:
    """Where each column of a kind stands in this file."""

    indexes: Mapping[str, int]
    constants: Mapping[str, str]
    """Columns that are the same for the whole file, said with the mapping."""
    heading: tuple[str, ...]
    unused: tuple[str, ...] = ()
    """Headings nobody reads."""
    export: str = ""
    """Whose export it is, where its headings mean something of their own (`exports.py`)."""

    def names(self) -> set[str]:
        """Columns this file says something about."""
        return self.indexes.keys() | self.constants.keys()

    def named(self, prefix: str) -> Iterator[str]:
        """Columns such as `custom/<name>`."""
        return (name for name in sorted(self.names()) if name.startswith(prefix))


@dataclass(frozen=True, slots=True)
class Row:
    """One row of a file."""

    line: int
    """Line of the file its row begins on; the heading is line 1."""
    cells: tuple[str, ...] = field(repr=False)
    layout: Layout = field(repr=False)

    def get(self, name: str) -> str:
        """A cell without control characters and outer spaces; the file's constant, or "", where there is none."""
        index = self.layout.indexes.get(name)
        if index is None:
            return self.layout.constants.get(name, "")
        cell = self.cells[index]
        if cell.startswith('="') and cell.endswith('"'):
            # How systems keep Excel from eating the zeros of ="0012".
            cell = cell[2:-1]
        if not cell.isprintable():
            cell = "".join(letter for letter in cell if letter.isprintable() or letter in "\t\n\r\u3000")
        return cell.strip()[:MAX_CELL] or self.layout.constants.get(name, "")


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that did not go in."""

    line: int
    reason: str
    """日本語 / English."""
    cells: tuple[str, ...] = field(default=(), repr=False)


class Refused(Exception):  # noqa: N818 - not an error of the program
    """A reason to refuse a row, in both languages; `line` is the guilty one of several that belong together."""

    def __init__(self, japanese: str, english: str, line: int | None = None) -> None:
        super().__init__(f"{japanese} / {english}")
        self.line = line


@dataclass(frozen=True, slots=True)
class Context:
    """What every row of a file shares."""

    options: FileOptions
    now: datetime
    digest: str
    """Of the file's bytes: the evidence of what a row says (`import:<digest>`)."""
    as_of: datetime


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of file: the columns it knows, and how its rows become events."""

    name: str
    title: str
    """受注, 顧客, …"""
    columns: tuple[Column, ...]
    needs: tuple[tuple[str, ...], ...]
    """Of each tuple at least one column must be there."""
    events: Callable[[Sequence[Row], Context], Iterable[Event]]
    """The events of rows that belong together. Raises Refused for all of them."""
    key: Callable[[Row], str] | None = None
    """What rows of one thing share (the order number); None when each row stands alone."""
    prefixes: tuple[str, ...] = ()
    """Columns that a mapping may name freely: `custom/<name>`."""
    aliases: tuple[str, ...] = ()
    """Other names of the kind on the command line and in the inbox."""

    def column(self, name: str) -> Column | None:
        """A column by its name."""
        return next((column for column in self.columns if column.name == name), None)
