"""Imported history on its way in: chunks of events in the work bucket, each folded by one call of `load_history`.

A chunk is gzip-compressed JSON Lines, one `Event` a line (UTF-8, fields of `shared.ingest.model.Event`, nulls left
out), at `imports/{tenant}/{import_id}/chunk-00001.jsonl.gz`. All events of a person are in one chunk, so that chunks
can be folded side by side. Chunks hold personal data: the bucket encrypts them and expires them.

The state machine gives each chunk to `load_history` as {"tenant", "import_id", "bucket", "key"} and gets
{"orders": events in the chunk, "changed": orders that were new or different} back.
"""

from __future__ import annotations

import gzip
import tempfile
import zlib
from array import array
from collections.abc import Iterable, Iterator

from shared.core.errors import RejectedError
from shared.core.ids import TenantId, digest
from shared.ingest.codec import event_json, event_of
from shared.ingest.model import Event

PREFIX = "imports/"

CHUNK_EVENTS = 5_000
"""About 2.5 MB of JSON: seconds of work for one call, 14 calls for 70,000 orders; fewer would crowd its memory, more
leave the lake many small objects."""

MAX_CHUNKS = 2_500
"""What one execution carries as input (256 KiB) and history (25,000 events)."""

_LOADED = ".done"
_COMPRESSION = 5
"""Level 9 takes twice the time for 2 % less."""


def import_id(content: str, *options: str) -> str:
    """The same file (by its digest) with the same options is the same import, so doing it twice is doing it once."""
    return digest(content, *options)


def chunk_key(tenant: TenantId, import_name: str, number: int) -> str:
    """Where a chunk lies in the work bucket; numbers start at 1."""
    return f"{PREFIX}{tenant}/{import_name}/chunk-{number:05d}.jsonl.gz"


def loaded_mark(key: str) -> str:
    """What lies beside a chunk once everything in it counts."""
    return f"{key}{_LOADED}"


def is_chunk(key: str) -> bool:
    """Not a mark."""
    return not key.endswith(_LOADED)


def write_chunk(events: Iterable[Event]) -> bytes:
    """Events as a chunk; the same events are the same bytes."""
    lines = "".join(event_json(event) + "\n" for event in events)
    return gzip.compress(lines.encode(), _COMPRESSION, mtime=0)


def read_chunk(chunk: bytes) -> list[Event]:
    """The events of a chunk. Raises RejectedError when it is none."""
    if not chunk:
        raise RejectedError("not a chunk of imported history: it is empty")
    try:
        # Not splitlines(): only \n ends a line of JSON Lines.
        return [event_of(line) for line in gzip.decompress(chunk).split(b"\n") if line]
    except (OSError, EOFError, zlib.error, ValueError):
        raise RejectedError("not a chunk of imported history") from None


class Pack:
    """Events on their way into chunks. They wait on disk as JSON: a long file never stands in memory."""

    def __init__(self) -> None:
        self._spool = tempfile.TemporaryFile()  # noqa: SIM115 - closed by `close`
        self._ends = array("Q", [0])
        self._homes: list[int] = []
        self._groups = _Groups()

    def __len__(self) -> int:
        return len(self._homes)

    def add(self, event: Event) -> None:
        """One event more."""
        line = event_json(event).encode() + b"\n"
        self._spool.write(line)
        self._ends.append(self._ends[-1] + len(line))
        self._homes.append(self._groups.unite(_person_keys(event)))

    def chunks(self, size: int = CHUNK_EVENTS) -> Iterator[bytes]:
        """Chunks of about `size` events, as `write_chunk` writes them; nobody is in two, so they fold side by side."""
        chunk: list[int] = []
        for group in self._people():
            if chunk and len(chunk) + len(group) > size:
                yield self._chunk(chunk)
                chunk = []
            chunk.extend(group)
        if chunk:
            yield self._chunk(chunk)

    def _people(self) -> Iterator[array[int]]:
        """Positions of the events of each person, in order of first appearance."""
        groups: dict[int, array[int]] = {}
        for position, home in enumerate(self._homes):
            groups.setdefault(self._groups.root(home), array("L")).append(position)
        yield from groups.values()

    def _chunk(self, positions: Iterable[int]) -> bytes:
        return gzip.compress(b"".join(map(self._line, positions)), _COMPRESSION, mtime=0)

    def _line(self, position: int) -> bytes:
        self._spool.seek(self._ends[position])
        return self._spool.read(self._ends[position + 1] - self._ends[position])

    def close(self) -> None:
        """Let go of the disk."""
        self._spool.close()

    def __enter__(self) -> Pack:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


class _Groups:
    """Which keys are one person: whoever shares a customer number, an address, a telephone or a thing."""

    def __init__(self) -> None:
        self._numbers: dict[int, int] = {}
        self._parents = array("L")

    def unite(self, keys: Iterable[tuple[str, str]]) -> int:
        """The group of these keys, which are one person's from now on."""
        first: int | None = None
        for key in keys:
            # 64 bits stand for a key: two that met would only share a chunk.
            number = self._numbers.setdefault(hash(key), len(self._parents))
            if number == len(self._parents):
                self._parents.append(number)
            if first is None:
                first = self.root(number)
            else:
                self._parents[self.root(number)] = first
        if first is None:
            raise ValueError("an event without a subject")
        return first

    def root(self, number: int) -> int:
        """Who stands for a group."""
        parents = self._parents
        while parents[number] != number:
            parents[number] = parents[parents[number]]
            number = parents[number]
        return number


def _person_keys(event: Event) -> Iterator[tuple[str, str]]:
    person = event.person
    yield "subject", event.subject
    if person.source_customer_id:
        yield "customer", person.source_customer_id
    if person.email:
        yield "email", person.email.lower()
    if person.phone and (digits := "".join(filter(str.isdecimal, person.phone))):
        # +81 90… and 090… are one telephone.
        yield "phone", digits[-9:]
    if person.line_user_id:
        yield "line", person.line_user_id
