"""What a warm worker read and wrote in the calls before, so that somebody who goes on shopping is not read again.

Nothing is decided by it that the table does not confirm. A ref never names anybody else, and every write expects the
row, or the profile it goes with, at the revision that is remembered: where somebody else was there meanwhile, it is
refused like that of a worker who read it a long time ago. An event that would write nothing was in the table already,
and what is there does not go away but by an erasure, which forgets it too. Only what takes something away (persons who
become one, an erasure, a card that nothing is shown with any more) has to know every row: it is decided by what is
read then (`BatchRows`). Where what is remembered does not do, all of it is forgotten.
"""

from __future__ import annotations

from collections.abc import Mapping

from shared.core.newest import Newest
from shared.customers.items import leads_to
from shared.customers.rows import Key, Row

MOST_PARTITIONS = 2_000
MOST_ROWS = 40
"""Of one person: somebody with more is read anew, so that it stays at some 10 MB."""

Rows = Mapping[Key, Row]


class Remembered:
    """Refs, visitors and former ids (a row each), and persons with all their rows, by partition; the latest used."""

    def __init__(self) -> None:
        self._partitions: Newest[str, Rows] = Newest(MOST_PARTITIONS)

    def __len__(self) -> int:
        return len(self._partitions)

    def row(self, key: Key) -> Row | None:
        """A row, if it is remembered."""
        rows = self._partitions.get(key[0])
        if rows is None:
            return None
        self._partitions.move_to_end(key[0])
        return rows.get(key)

    def partition(self, pk: str) -> Rows | None:
        """Every row of a partition, if they are remembered."""
        return self._partitions.get(pk)

    def keep(self, pk: str, rows: Rows) -> None:
        """These are the rows of a partition now."""
        self.forget(pk)
        if len(rows) <= MOST_ROWS:
            self._partitions[pk] = rows

    def forget(self, pk: str) -> None:
        """Whatever is in a partition now, it is not what was remembered."""
        self._partitions.pop(pk, None)

    def forget_all(self) -> None:
        """Somebody else writes too."""
        self._partitions.clear()


def is_all(profile: Row) -> bool:
    """Is there no other row in its partition? A visitor is one row, and so is a former id."""
    return profile.kind == "visitor" or leads_to(profile) is not None
