"""Which partitions want compacting, and how they are shared out: decided without reading any of them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from shared.analytics.lake import StoredObject
from shared.core.ids import TenantId

WHOLE_BYTES = 64 * 1024 * 1024
"""An object this large is left as it is: rewriting it every night for a few new rows would cost more than it saves.
Nor is more than this taken at once: pyarrow needs about ten times as much memory.
"""

BATCH_BYTES = WHOLE_BYTES
BATCH_PARTITIONS = 12
"""How much one call of the function compacts."""


@dataclass(frozen=True, slots=True)
class Compaction:
    """One partition to compact."""

    table: str
    tenant: TenantId
    value: str

    def document(self) -> dict[str, str]:
        """As the nightly machine carries it."""
        return {"table": self.table, "tenant": self.tenant, "value": self.value}


def plan(partitions: Mapping[tuple[str, str], Iterable[StoredObject]], tenant: TenantId) -> list[list[Compaction]]:
    """The partitions worth compacting (those with more than one small object), in batches for one call each.

    `partitions` are a shop's, by (table, value).
    """
    batches: list[list[Compaction]] = []
    size = BATCH_BYTES
    for (table, value), stored in sorted(partitions.items()):
        objects = small(stored)
        if len(objects) < 2:
            continue
        bytes_here = sum(each.size for each in objects)
        if not batches or size + bytes_here > BATCH_BYTES or len(batches[-1]) >= BATCH_PARTITIONS:
            batches.append([])
            size = 0
        batches[-1].append(Compaction(table, tenant, value))
        size += bytes_here
    return batches


def small(stored: Iterable[StoredObject]) -> list[StoredObject]:
    """The objects that compaction would take: the smallest, as many as fit."""
    taken: list[StoredObject] = []
    room = WHOLE_BYTES
    for each in sorted(stored, key=lambda each: (each.size, each.key)):
        if each.size >= min(room, WHOLE_BYTES):
            break
        taken.append(each)
        room -= each.size
    return taken
