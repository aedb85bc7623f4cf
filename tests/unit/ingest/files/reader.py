"""A file of a few rows, read as the command and the inbox read it."""

from __future__ import annotations

import io
from dataclasses import dataclass
from datetime import UTC, datetime

from shared.core.ids import TenantId
from shared.ingest.files.mapping import FileMapping
from shared.ingest.files.model import BadRow, FileOptions
from shared.ingest.files.reading import Reading
from shared.ingest.files.registry import kind as kind_named
from shared.ingest.model import Event

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
OPTIONS = FileOptions(TenantId("sample"), personal_key=b"a key of the tests")


@dataclass(frozen=True)
class Read:
    """A file read to its end."""

    reading: Reading
    events: tuple[Event, ...]

    @property
    def bad(self) -> list[BadRow]:
        return self.reading.bad

    @property
    def rows(self) -> int:
        return self.reading.figures.rows

    @property
    def encoding(self) -> str:
        return self.reading.encoding

    @property
    def heading(self) -> tuple[str, ...]:
        return self.reading.heading


def read_bytes(
    kind: str, content: bytes, options: FileOptions = OPTIONS, mapping: FileMapping | None = None, now: datetime = NOW
) -> Read:
    """The events of these bytes."""
    reading = Reading(io.BytesIO(content), kind_named(kind), options, now, mapping)
    return Read(reading, tuple(reading.events()))


def read(kind: str, text: str, encoding: str = "utf-8", mapping: FileMapping | None = None) -> Read:
    """The events of this text."""
    return read_bytes(kind, text.encode(encoding), mapping=mapping)
