"""Many events folded at once: what they touch is read once, changed in memory, and each changed row written once.

A hundred events that arrive together share the reads of refs and profiles, and the five updates of one checkout are
one write. The writes keep the conditions that single events have, and for each person their order (`plan.turns`): so a
worker that dies in between leaves what a worker on single events might have left; and where somebody else wrote first,
the events of the batch are applied again one by one, which changes nothing that was written.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable, Mapping, Sequence

from shared.core.ids import CustomerId, Ref
from shared.core.keys import KeyRing
from shared.customers.identity import refs_of
from shared.customers.items import PROFILE, leads_to, loses_a_card, profile_key, ref_key
from shared.customers.plan import guards_itself, turns
from shared.customers.remembered import Remembered, is_all
from shared.customers.rows import ConflictError, Key, Put, Replace, Row, Rows, Write
from shared.customers.rules import canonical_id
from shared.ingest.model import Event

FEW = 15
"""Events in one call from which reads are shared by so many that nobody is guessed."""


class OvertakenError(Exception):
    """Somebody else wrote first, or may have: nothing that was read counts any more."""


class BatchRows:
    """Rows read through a memory of what was read, with the writes held back until `flush`."""

    def __init__(self, rows: Rows, remembered: Remembered | None = None) -> None:
        self._rows = rows
        self._remembered = Remembered() if remembered is None else remembered
        self._read: dict[Key, Row | None] = {}
        self._held: dict[Key, Row] = {}
        self._whole: dict[str, set[Key]] = {}
        """Partitions of which every row was read."""
        self._trusted: set[str] = set()
        """Those of them that were read some calls ago."""

    def prefetch(self, events: Sequence[Event], keys: KeyRing) -> None:
        """Read the refs in these events and whom they name, a hundred rows at a time.

        Whom refs alone would make is most often whom they name, or has to be seen not to be there. Where few events
        share the calls, that is read with the refs: a call less, for half a read unit more an event.
        """
        named = [(event.tenant, refs) for event in events if (refs := refs_of(event, keys))]
        keys_of = [[ref_key(tenant, ref) for ref in refs] for tenant, refs in named]
        unknown = [who for who, each in zip(named, keys_of, strict=True) if not all(map(self._remembered.row, each))]
        guessed = unknown if len(named) < FEW else []
        made = [profile_key(tenant, each) for tenant, refs in guessed for each in _made_by(refs)]
        found = self.get([*(key for each in keys_of for key in each), *made])
        wanted = self._named_in(found.values())
        # Of one person all rows are read at once, the profile among them.
        while len(wanted) > 1:
            wanted = self._named_in(self.get(wanted).values())

    def _named_in(self, rows: Iterable[Row]) -> set[Key]:
        """The profiles not read yet to which these refs and former ids lead."""
        return {key for row in rows if (key := leads_to(row))} - self._read.keys()

    def get(self, keys: Iterable[Key]) -> dict[Key, Row]:
        """The rows of these keys that exist, as they will be."""
        wanted = list(dict.fromkeys(keys))
        self._read |= {
            key: row for key in wanted if key not in self._read and (row := self._remembered.row(key)) is not None
        }
        unread = [key for key in wanted if key not in self._read and key[0] not in self._whole]
        if unread:
            found = self._rows.get(unread)
            self._read |= {key: found.get(key) for key in unread}
        return {key: row for key in wanted if (row := self._now(key))}

    def _now(self, key: Key) -> Row | None:
        return self._held.get(key) or self._read.get(key)

    def partition(self, pk: str) -> list[Row]:
        """Every row of a partition, as it will be.

        A visitor is one row, and so is a former id: where that is known, nothing is read. What a worker that died may
        have left beside it is met when it is written, or read the next time.
        """
        profile = self._now((pk, PROFILE))
        if pk not in self._whole and not (profile and is_all(profile)):
            self._read_partition(pk)
        keys = {*self._whole.get(pk, ()), *(key for key in (*self._read, *self._held) if key[0] == pk)}
        return [row for key in sorted(keys) if (row := self._now(key))]

    def _read_partition(self, pk: str) -> None:
        rows = self._remembered.partition(pk)
        if rows is None:
            rows = {row.key: row for row in self._rows.partition(pk)}
        elif not is_all(rows[pk, PROFILE]):
            self._trusted.add(pk)
        self._whole[pk] = set(rows)
        self._read |= {key: row for key, row in rows.items() if key not in self._read}

    def of_kind(self, prefix: str, kind: str) -> list[Row]:
        """The whole table: never asked for by an event."""
        return self._rows.of_kind(prefix, kind)

    def each_of_kind(self, prefix: str, kind: str, readers: int = 1) -> Generator[Row]:
        """The same one after the other."""
        return self._rows.each_of_kind(prefix, kind, readers)

    def put(self, put: Put) -> None:
        """Hold a write back, if its expectation is met by what was read."""
        key = put.row.key
        before = self.get([key]).get(key)
        if put.expected is not None and (before.rev if before else 0) != put.expected:
            raise ConflictError("a row changed since it was read")
        if put.expected is None:
            self.transact([put])
            return
        if key[1] == PROFILE and key[0] in self._trusted and before and loses_a_card(before, put.row):
            raise OvertakenError
        if before is None and key[1] == PROFILE:
            self._whole.setdefault(key[0], set())
        self._held[key] = put.row

    def transact(self, writes: Sequence[Write]) -> None:
        """What must happen together happens at once, after what was held back."""
        if writes:
            self._expect_news(writes)
            self.flush()
            try:
                self._rows.transact(writes)
            except ConflictError as error:
                raise OvertakenError from error
            for write in writes:
                self._forget(write)
                self._look_again(write)

    def _expect_news(self, writes: Iterable[Write]) -> None:
        """What is taken away is decided by what was read just now: a row that came since would be overlooked."""
        if any(write.key[0] in self._trusted for write in writes):
            raise OvertakenError

    def _forget(self, write: Write) -> None:
        self._read[write.key] = write.row if isinstance(write, Put) else None
        self._remembered.forget(write.key[0])

    def _look_again(self, write: Write) -> None:
        """Somebody may have put rows of a person who is another one now, or was erased (`CustomerStore.commit`)."""
        if isinstance(write, Put) and write.row.sk == PROFILE:
            self._whole.pop(write.row.pk, None)
            if leads_to(write.row):
                del self._read[write.key]

    def transact_each(self, transactions: Sequence[Sequence[Write]]) -> list[int]:
        """Many of those side by side."""
        self._expect_news(write for writes in transactions for write in writes)
        self.flush()
        if self._rows.transact_each(transactions):
            raise OvertakenError
        for write in (write for writes in transactions for write in writes):
            self._forget(write)
        return []

    def replace_each(self, changes: Sequence[Replace]) -> None:
        """Hold them all back."""
        for change in changes:
            self.put(change.as_put())

    def flush(self) -> None:
        """Write each changed row once. Raises OvertakenError when somebody else was first.

        A visitor leads to somebody else only when that one was still there after what the visitor's one row said stood
        with them: else it would stand behind somebody merged away, where nobody looks.
        """
        held, self._held = self._held, {}
        left = self._left_as_they_are(held)
        last = {key: row for key, row in held.items() if left and key[1] == PROFILE and leads_to(row)}
        self._write({key: row for key, row in held.items() if key not in last})
        self._expect_still_there(left)
        self._write(last)
        self._read |= held

    def _write(self, held: Mapping[Key, Row]) -> None:
        try:
            for turn in turns([Replace(self._read.get(key), row) for key, row in held.items()]):
                self._rows.replace_each(turn)
        except ConflictError as error:
            raise OvertakenError from error

    def remember(self) -> None:
        """What is in the table now goes into the next call. Only after `flush`."""
        for pk in dict.fromkeys(pk for pk, _ in self._read):
            profile = self._read.get((pk, PROFILE))
            if pk in self._whole and profile:
                self._remembered.keep(pk, {row.key: row for row in self.partition(pk)})
            elif profile and is_all(profile):
                self._remembered.keep(pk, {profile.key: profile})
            elif named := self._read.get((pk, "ref")):
                self._remembered.keep(pk, {named.key: named})
            else:
                self._remembered.forget(pk)

    def _left_as_they_are(self, held: Mapping[Key, Row]) -> set[Key]:
        """The profiles of persons who get rows that do not tell by themselves whether they are still there."""
        unguarded = [key for key, row in held.items() if not guards_itself(self._read.get(key), row)]
        return {(pk, PROFILE) for pk, sk in unguarded if sk != "ref"} - held.keys()

    def _expect_still_there(self, left: Collection[Key]) -> None:
        """A person whose profile was left as it is may have been merged or erased meanwhile."""
        now = self._rows.get(sorted(left)) if left else {}
        for key in left:
            before, after = self._read.get(key), now.get(key)
            if (before.rev if before else 0) != (after.rev if after else 0):
                raise OvertakenError


def _made_by(refs: Iterable[Ref]) -> set[CustomerId]:
    """Whom these refs would make together, and the visitor that each cart alone may have been before."""
    alone = {canonical_id([ref]) for ref in refs if ref.startswith("anon:")}
    return {canonical_id(refs), *alone}
