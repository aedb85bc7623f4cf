"""Imported history on its way in: chunks of events in the work bucket, each folded by one call of `load_history`.

A chunk is gzip-compressed JSON Lines, one `Event` a line (UTF-8, fields of `shared.ingest.model.Event`, nulls left
out), at `imports/{tenant}/{import_id}/chunk-00001.jsonl.gz`. All events of a person are in one chunk, so that chunks
can be folded side by side. Chunks hold personal data: the bucket encrypts them and expires them.

The state machine gives each chunk to `load_history` as {"tenant", "import_id", "bucket", "key"} and gets
{"orders": events in the chunk, "changed": orders that were new or different} back.
"""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Iterable, Iterator, Sequence

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

_COMPRESSION = 5
"""Level 9 takes twice the time for 2 % less."""


def import_id(content: bytes, *options: str) -> str:
    """The same file with the same options is the same import, so doing it twice is doing it once."""
    return digest(content.hex(), *options)


def chunk_key(tenant: TenantId, import_name: str, number: int) -> str:
    """Where a chunk lies in the work bucket; numbers start at 1."""
    return f"{PREFIX}{tenant}/{import_name}/chunk-{number:05d}.jsonl.gz"


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


def by_person(events: Sequence[Event]) -> list[list[Event]]:
    """The events of one person together: whoever shares a customer id or a mail address is one."""
    parent: dict[str, str] = {}

    def root(key: str) -> str:
        parent.setdefault(key, key)
        while parent[key] != key:
            parent[key] = parent[parent[key]]
            key = parent[key]
        return key

    keys = [_person_keys(event) for event in events]
    for first, *others in keys:
        for other in others:
            parent[root(other)] = root(first)
    groups: dict[str, list[Event]] = {}
    for event, (first, *_) in zip(events, keys, strict=True):
        groups.setdefault(root(first), []).append(event)
    return list(groups.values())


def _person_keys(event: Event) -> list[str]:
    person = event.person
    named = (("customer", person.source_customer_id), ("email", (person.email or "").lower() or None))
    return [f"{kind}:{value}" for kind, value in named if value]


def chunks(events: Sequence[Event], size: int) -> Iterator[list[Event]]:
    """Lists of about `size` events; nobody is in two, so chunks can be folded side by side."""
    chunk: list[Event] = []
    for group in by_person(events):
        if chunk and len(chunk) + len(group) > size:
            yield chunk
            chunk = []
        chunk.extend(group)
    if chunk:
        yield chunk
