"""How a change of a person is written: cheaply where nothing else is touched, in transactions where rows move.

Most events change rows of one known person, make a new one, or find out whose cart it was. Those are single
conditional puts, half the price of a transaction: first the refs, then the rest, the profile and at last the aliases
of visitors, each at the revision that was read; where the profile stays as it is, a look at the end whether it did
(`CustomerStore.commit`), unless the rows tell (`guards_itself`). A worker that dies in between leaves a part of what
the event says, and the stream brings the event again.

Where persons become one, or something is deleted, every write is part of a transaction that expects the profile at
the revision that was read. A person too big for one transaction (100 rows) is written in several: until the last,
`moving` names the partitions that still hold rows, and readers read those too.

A batch of events (`batch.py`) writes what the single puts of many persons would, in the same order for each person, in
calls they share (`turns`).
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from shared.core.ids import Ref
from shared.customers.items import (
    PROFILE,
    StoredPerson,
    alias_row,
    content_rows,
    is_visitor,
    leads_to,
    named_by,
    pointer_row,
    profile_row,
    shown_card,
)
from shared.customers.rows import MAX_WRITES, Delete, Key, Put, Replace, Row, Write
from shared.customers.rules import is_strong


@dataclass(frozen=True, slots=True)
class Change:
    """A person to be written, the persons that become this one, and refs to claim."""

    person: StoredPerson
    absorbed: tuple[StoredPerson, ...] = ()
    claimed: frozenset[Ref] = frozenset()
    """Refs that named nobody when they were read."""
    erases: bool = False
    """Is more of the person forgotten from now on?"""
    historical: bool = False


def single_puts(change: Change) -> list[Put] | None:
    """The writes of a change that needs no transaction, in their order; None where it does."""
    if change.erases or change.person.moving or not all(is_visitor(gone) for gone in change.absorbed):
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
    return [Put(pointer_row(change.person, ref, change.historical), expected=0) for ref in sorted(change.claimed)]


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


_REFS, _ROWS, _PROFILE, _ALIASES = range(4)
_Own = dict[int, list[Replace]]
"""What is to be written of one person, by its place in the order."""


def turns(changes: Iterable[Replace]) -> list[list[Replace]]:
    """The calls in which the writes of many persons go: each person's in order, side by side with everybody else's.

    Within a call there is no order, and any part of it may be all that happens before a worker dies. So what must not
    be there without something else comes a call later: a person not before the refs that lead there (or somebody
    else may make them again), a profile not before the rows (whoever moves the rows elsewhere at its new revision has
    seen them), the alias of a visitor not before what the visitor's one row said stands elsewhere.
    """
    changes = list(changes)
    former = {each.after.key: to for each in changes if each.after.sk == PROFILE and (to := leads_to(each.after))}
    people: dict[Key, _Own] = {}
    for each in changes:
        people.setdefault(_whose(each.after, former), {}).setdefault(_place(each.after), []).append(each)
    made: list[list[Replace]] = []
    for own in people.values():
        for turn, writes in enumerate(_in_order(own)):
            made += [[]] if turn == len(made) else []
            made[turn] += writes
    return made


def _whose(row: Row, former: Mapping[Key, Key]) -> Key:
    """The profile of whoever a row belongs to once all is written."""
    profile = leads_to(row) or (row.pk, PROFILE)
    while profile in former:
        profile = former[profile]
    return profile


def _place(row: Row) -> int:
    if row.sk == "ref":
        return _REFS
    if row.sk != PROFILE:
        return _ROWS
    return _ALIASES if leads_to(row) else _PROFILE


def _in_order(own: _Own) -> list[list[Replace]]:
    first, *rest = (own[place] for place in sorted(own))
    if rest and _REFS in own and _need_not_lead(own):
        return [first + rest[0], *rest[1:]]
    return [first, *rest]


def _need_not_lead(own: _Own) -> bool:
    """Refs of carts and orders of somebody who was here before: whoever repeats the event finds them without."""
    was_here = all(each.before for each in own.get(_PROFILE, ()))
    return was_here and not any(is_strong(named_by(each.after)) for each in own[_REFS])


def guards_itself(before: Row | None, after: Row) -> bool:
    """Is this a cart, order or contract that was there, shown with the card it was shown with?

    Whoever makes its person another one, or erases them, has to write or remove that row too, so its own revision
    says whether they did: nobody needs to look at the profile.
    """
    return after.sk.startswith(_THINGS) and before is not None and shown_card(before) == shown_card(after)


_THINGS = ("cart#", "order#", "subscription#")


def written(writes: Sequence[Write]) -> tuple[str, ...]:
    """The sort keys written."""
    return tuple(dict.fromkeys(write.key[1] for write in writes))
