"""How a change of a person is written: cheaply where nothing else is touched, in transactions where rows move.

Most events change rows of one known person, make a new one, or find out whose cart it was. Those are single
conditional puts, half the price of a transaction: first the refs, then the rest, the profile and at last the aliases
of visitors, each at the revision that was read; where the profile stays as it is, a look at the end whether it did
(`CustomerStore.commit`). A worker that dies in between leaves a part of what the event says, and the stream brings
the event again.

Where persons become one, or something is deleted, every write is part of a transaction that expects the profile at
the revision that was read. A person too big for one transaction (100 rows) is written in several: until the last,
`moving` names the partitions that still hold rows, and readers read those too.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from shared.core.ids import Ref
from shared.customers.items import (
    PROFILE,
    StoredPerson,
    alias_row,
    content_rows,
    forgotten_row,
    is_visitor,
    pointer_row,
    profile_row,
)
from shared.customers.rows import MAX_WRITES, Delete, Key, Put, Row, Write


@dataclass(frozen=True, slots=True)
class Change:
    """A person to be written, the persons that become this one, and refs to claim or forget."""

    person: StoredPerson
    absorbed: tuple[StoredPerson, ...] = ()
    claimed: frozenset[Ref] = frozenset()
    """Refs that named nobody when they were read."""
    forgotten: frozenset[Ref] = frozenset()
    historical: bool = False


def single_puts(change: Change) -> list[Put] | None:
    """The writes of a change that needs no transaction, in their order; None where it does."""
    if change.forgotten or change.person.moving or not all(is_visitor(gone) for gone in change.absorbed):
        return None
    tail = _content(change)
    if any(isinstance(write, Delete) for write in tail):
        return None
    person = change.person
    puts = [*_refs(change), *(write for write in tail if isinstance(write, Put))]
    profile = profile_row(replace(person, rev=person.rev + 1), change.historical)
    if not profile.same(person.rows.get(profile.key)):
        puts.append(Put(profile, expected=person.rev))
    aliases = [alias_row(gone, person.customer_id, change.historical) for gone in change.absorbed]
    return [*puts, *(Put(alias, expected=alias.rev - 1) for alias in aliases)]


def transactions(change: Change) -> list[list[Write]]:
    """The transactions that make a change: none when nothing changes, usually one."""
    person, expected = change.person, change.person.rev
    profile = profile_row(replace(person, moving=frozenset()), change.historical)
    tail: list[Write] = [*_refs(change), *_content(change)]
    if not (tail or change.absorbed) and profile.same(person.rows.get(profile.key)):
        return []
    head: list[Write] = [
        Put(alias_row(gone, person.customer_id, change.historical), expected=gone.rev) for gone in change.absorbed
    ]
    moving = person.moving | {gone.customer_id for gone in change.absorbed}
    moving |= frozenset(still for gone in change.absorbed for still in gone.moving)
    made: list[list[Write]] = []
    while True:
        room = MAX_WRITES - 1 - len(head)
        now, tail = tail[:room], tail[room:]
        rev = expected + len(made) + 1
        left = profile_row(replace(person, rev=rev, moving=moving if tail else frozenset()), change.historical)
        made.append([Put(left, expected=rev - 1), *head, *now])
        head = []
        if not tail:
            return made


def _content(change: Change) -> list[Write]:
    """Rows that differ, each at the revision it was read at, and rows that are (or lie) elsewhere from now on."""
    stored = dict(change.person.rows)
    for gone in change.absorbed:
        stored |= gone.rows
    desired = content_rows(change.person, change.historical)
    return [
        *(_put(row, stored.get(key)) for key, row in desired.items() if not row.same(stored.get(key))),
        *(Delete(key, row.rev) for key, row in stored.items() if key not in desired and key[1] != PROFILE),
    ]


def _put(row: Row, before: Row | None) -> Put:
    rev = before.rev if before else 0
    return Put(replace(row, rev=rev + 1), expected=rev)


def _refs(change: Change) -> list[Put]:
    tenant, person = change.person.tenant, change.person
    erased_at = person.record.erased_at
    return [
        Put(forgotten_row(tenant, ref, person.customer_id, erased_at, change.historical))
        if ref in change.forgotten and erased_at
        else Put(pointer_row(tenant, ref, person.customer_id, change.historical), expected=0)
        for ref in sorted(change.claimed | change.forgotten)
    ]


def pack(changes: Sequence[list[list[Write]]]) -> tuple[list[list[Write]], list[list[int]], list[int]]:
    """Transactions of several persons each, whose they are, and the persons too big for one."""
    packs: list[list[Write]] = []
    owners: list[list[int]] = []
    big: list[int] = []
    for position, made in enumerate(changes):
        if len(made) > 1:
            big.append(position)
        elif made:
            writes = made[0]
            if not packs or len(packs[-1]) + len(writes) > MAX_WRITES:
                packs.append([])
                owners.append([])
            packs[-1] += writes
            owners[-1].append(position)
    return packs, owners, big


def written(writes: Sequence[Write]) -> tuple[str, ...]:
    """The sort keys written."""
    return tuple(dict.fromkeys(_key(write)[1] for write in writes))


def _key(write: Write) -> Key:
    return write.row.key if isinstance(write, Put) else write.key
