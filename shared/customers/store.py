"""The customers table: persons found, read and written. What a row holds is in `items.py`, how a change is written in
`plan.py`.
"""

from __future__ import annotations

from collections.abc import Collection, Generator, Iterable, Iterator, Mapping, Sequence
from contextlib import suppress
from copy import copy
from dataclasses import replace
from datetime import date, datetime

from shared.core.clock import Clock, SystemClock, to_iso
from shared.core.errors import NotFoundError
from shared.core.ids import CustomerId, Ref, TenantId
from shared.customers import rules
from shared.customers.items import (
    PROFILE,
    ChangedRow,
    StoredPerson,
    address_of,
    as_nobodys,
    cards_in,
    content_rows,
    dump,
    is_nobodys,
    leads_to,
    ledger_entry,
    match_of,
    named_by,
    named_in,
    nobodys_row,
    person_of,
    person_pk,
    profile_key,
    read_row,
    ref_key,
    review_row,
    shared_pk,
    shared_row,
    shown,
    state_of,
    suppressed_key,
    suppressible,
    suppression_of,
    with_card,
    with_findings,
)
from shared.customers.links import as_one, found_by, is_undecided, joined_by_evidence, read_with, whole
from shared.customers.matches import Match, matches, open_matches
from shared.customers.model import (
    ConsentEntry,
    Evidence,
    Findings,
    PersonState,
    Profile,
    Record,
    Suppressed,
    Suppression,
)
from shared.customers.plan import Change, guards_itself, pack, single_puts, transactions, written
from shared.customers.rows import MAX_WRITES, ConflictError, Delete, DynamoRows, Key, MemoryRows, Put, Row, Rows

__all__ = ["ChangedRow", "CustomerStore", "Lookup", "MemoryCustomerStore", "read_row"]

_MAX_HOPS = 50
_ROUGHLY_SHARING = 20
"""People who had a telephone number on some card: how many have it now is seen when they are read whole."""
_READERS = 8
"""Of the whole table while somebody waits: at AWS a page of a megabyte takes a tenth of a second."""
_ATTEMPTS = 20


class CustomerStore:
    """The persons of every tenant, in a DynamoDB table. Every read is strongly consistent."""

    def __init__(self, table: str, client: object = None, clock: Clock | None = None) -> None:
        self.rows: Rows = DynamoRows(table, client)
        self._clock = clock or SystemClock()

    def over(self, rows: Rows) -> CustomerStore:
        """The same persons, read and written through other rows (`batch.py`)."""
        other = copy(self)
        other.rows = rows
        return other

    # --- what other domains read ---
    def person(self, tenant: TenantId, customer_id: CustomerId) -> PersonState | None:
        """Everything that decides about a person, by their id or one they had before."""
        found = self.whole(tenant, customer_id)
        if found is None:
            return None
        return state_of(found, self._suppressed(tenant, suppressible(found)))

    def _suppressed(self, tenant: TenantId, addresses: Mapping[str, str]) -> frozenset[str]:
        keys = {channel: suppressed_key(tenant, channel, address) for channel, address in addresses.items()}
        rows, now = self.rows.get(keys.values()), self._clock.now()
        blocked = {
            channel: rules.suppressed(suppression_of(rows[key]), now) for channel, key in keys.items() if key in rows
        }
        return frozenset(channel for channel, reason in blocked.items() if reason)

    def profile(self, tenant: TenantId, customer_id: CustomerId) -> Profile | None:
        """The profile alone. What follows from orders and forms is derived, so it costs as much as `person`."""
        found = self.whole(tenant, customer_id)
        return shown(found) if found else None

    def whole(self, tenant: TenantId, customer_id: CustomerId) -> StoredPerson | None:
        """A person with everybody read as one with them: by decision (名寄せ), or by the browsers they used."""
        found = self.load(tenant, customer_id)
        return whole(found, Lookup(self, tenant, found)) if found else None

    def parts(self, tenant: TenantId, customer_id: CustomerId) -> list[StoredPerson]:
        """The same as they are stored, each by themselves; nobody where the id is unknown."""
        found = self.load(tenant, customer_id)
        return read_with(found, Lookup(self, tenant, found)) if found else []

    def joined_by_evidence(self, tenant: TenantId, customer_id: CustomerId) -> list[CustomerId]:
        """With whom a person is one because they have an address or cart in common: from whom they can be parted."""
        found = self.load(tenant, customer_id)
        return [each.customer_id for each in joined_by_evidence(found, Lookup(self, tenant, found))] if found else []

    def browsers(self, tenant: TenantId, customer_id: CustomerId) -> list[CustomerId]:
        """The ids of the browsers a person was seen in: an erasure forgets what was done in them (消去)."""
        found = self.load(tenant, customer_id)
        named = self.refs(tenant, [Ref(ref) for ref in found.record.visitors]) if found else {}
        return sorted(set(named.values()))

    def resolve_ref(self, tenant: TenantId, ref: Ref) -> CustomerId | None:
        """The person a ref names now; None when nobody, or when the address was erased and not used since."""
        named = self.refs(tenant, [ref]).get(ref)
        parts = self.parts(tenant, named) if named else []
        hidden = any(ref in part.record.refs for part in parts) and ref not in found_by(parts)
        return as_one(parts).customer_id if parts and not hidden else None

    def owner(self, tenant: TenantId, ref: Ref) -> CustomerId | None:
        """The same, and of several who are read as one (名寄せ) the one whose ref it is."""
        named = self.resolve_ref(tenant, ref)
        parts = self.parts(tenant, named) if named else []
        return next((part.customer_id for part in parts if ref in part.record.refs), named)

    def consent_log(self, tenant: TenantId, customer_id: CustomerId) -> tuple[ConsentEntry, ...]:
        """The whole consent ledger of a person, oldest first: the evidence."""
        log = rules.join(part.record for part in self.parts(tenant, customer_id)).consent_log
        return tuple(sorted(log.values(), key=lambda entry: (entry.at, entry.event_id)))

    def ledgers(self, tenant: TenantId) -> Iterator[tuple[CustomerId, ConsentEntry]]:
        """The consent ledger of everybody (同意記録), in the table's order: reads the whole table."""
        for row in self.rows.each_of_kind(f"{tenant}#", "consentlog"):
            yield CustomerId(row.pk.partition("#")[2]), ledger_entry(row)

    def address_of(self, tenant: TenantId, customer_id: CustomerId, channel: str) -> str:
        """Keyed digest of the address a channel reaches a person at now; empty when there is none."""
        found = self.whole(tenant, customer_id)
        return address_of(found, channel) if found else ""

    # --- what a night found ---
    def write_findings(
        self, tenant: TenantId, on: date, found: Mapping[CustomerId, Findings], comparable: Collection[str] = ()
    ) -> int:
        """Keep what the night of a day found of many persons, 100 at a time; the number of persons that changed.

        Scores that differ by their `as_of` alone are no change. `comparable`: the segments whose definition the night
        before evaluated too. An id that names nobody (any more) is skipped: the person was erased or never was here.
        """
        changed: set[CustomerId] = set()
        pending = dict(found)
        for _ in range(_ATTEMPTS):
            puts = self._finding_writes(tenant, on, pending, comparable)
            batches = [puts[start : start + MAX_WRITES] for start in range(0, len(puts), MAX_WRITES)]
            refused = set(self.rows.transact_each([[put for _, put in batch] for batch in batches]))
            changed |= {said for n, batch in enumerate(batches) if n not in refused for said, _ in batch}
            # After what is written as history comes what happened.
            left = [
                said for n, batch in enumerate(batches) for said, put in batch if n in refused or put.row.historical
            ]
            if not left:
                return len(changed)
            pending = {said: found[said] for said in left}
        raise ConflictError("the profiles keep changing; run the write-back again")

    def _finding_writes(
        self, tenant: TenantId, on: date, found: Mapping[CustomerId, Findings], comparable: Collection[str]
    ) -> list[tuple[CustomerId, Put]]:
        keys = {said: profile_key(tenant, said) for said in found}
        stored = self.rows.get(keys.values())
        writes: dict[Key, tuple[CustomerId, Put]] = {}
        for said, key in keys.items():
            mine, row = found[said], stored.get(key)
            # Who is found no more because they became another person takes nothing away from that one.
            if not (mine.scores or mine.segments) and row is not None and "merged_into" in row.fields:
                continue
            if (row := self._live(row)) and (after := with_findings(row, mine, on, comparable)):
                writes[row.key] = said, Put(after, expected=row.rev)
        return list(writes.values())

    def _live(self, row: Row | None) -> Row | None:
        for _ in range(_MAX_HOPS):
            if row is None or "merged_into" not in row.fields:
                return row
            tenant = TenantId(row.pk.partition("#")[0])
            row = self._one(profile_key(tenant, row.fields["merged_into"]))
        raise ConflictError("an alias leads nowhere")

    # --- suppression ---
    def suppression(self, tenant: TenantId, channel: str, address_ref: Ref) -> Suppression:
        """What happened to mail for an address (a keyed digest)."""
        row = self._one(suppressed_key(tenant, channel, address_ref))
        return suppression_of(row) if row else Suppression()

    def is_suppressed(self, tenant: TenantId, channel: str, address_ref: Ref) -> Suppressed | None:
        """Why this address gets nothing now, or None."""
        return rules.suppressed(self.suppression(tenant, channel, address_ref), self._clock.now())

    def suppress(self, tenant: TenantId, channel: str, address_ref: Ref, reason: Suppressed, at: datetime) -> bool:
        """Never send to this address again; True when that is news."""
        return self.add_suppression(tenant, channel, address_ref, Suppression({reason: at}))

    def add_suppression(self, tenant: TenantId, channel: str, address_ref: Ref, said: Suppression) -> bool:
        """Add what is known about an address; True when it changed anything."""
        key = suppressed_key(tenant, channel, address_ref)
        for _ in range(_ATTEMPTS):
            row = self._one(key)
            before = suppression_of(row) if row else Suppression()
            after = rules.merge_suppressions(before, said)
            if after == before:
                return False
            rev = row.rev if row else 0
            put = Put(Row(*key, "suppressed", dump(after), rev=rev + 1), expected=rev)
            if not self.rows.transact_each([[put]]):
                return True
        raise ConflictError("the suppression keeps changing; try again")

    # --- what waits for an admin ---
    def queue_command(self, tenant: TenantId, command: str, event_id: str, details: Mapping[str, str]) -> bool:
        """Record that something (`erase_shop`, `export_person`) was asked for; True when it is new."""
        row = Row(f"{tenant}#command", f"{command}#{event_id}", "command", rev=1, fields=details)
        return not self.rows.transact_each([[Put(row, expected=0)]])

    def commands(self, tenant: TenantId) -> list[Mapping[str, str]]:
        """What was asked for and waits, oldest event id first."""
        return [each for each in self.every_command(tenant) if "done_at" not in each]

    def every_command(self, tenant: TenantId) -> list[Mapping[str, str]]:
        """The same with what has been done, and when."""
        return [{"command": row.sk, **row.fields} for row in self.rows.partition(f"{tenant}#command")]

    def finish_command(self, tenant: TenantId, command: str, at: datetime) -> bool:
        """What was asked for (`export_person#…`) is done; False when nobody asked for it."""
        row = self._one((f"{tenant}#command", command))
        if row is None:
            return False
        done = replace(row, rev=row.rev + 1, fields={"done_at": to_iso(at), **row.fields})
        self.rows.put(Put(done, expected=row.rev))
        return True

    # --- who may be one person ---
    def find_matches(self, tenant: TenantId) -> list[Match]:
        """Look through everybody for pairs that nobody has decided about, and keep them as the review queue.

        One look at the profiles, in which all names and addresses are; only who is alike there is read whole. An index
        of what could be alike would be two write units more for each person, for a list that is read once a month.
        """
        rough = matches(self.everybody(tenant), most_sharing=_ROUGHLY_SHARING)
        alike = sorted({end for match in rough for end in (match.one, match.other)})
        people = (self.profile(tenant, each) for each in alike)
        found = open_matches({person.customer_id: person for person in people if person})
        wanted = {row.key: row for row in (review_row(tenant, match) for match in found)}
        kept = {row.key: row for row in self.rows.partition(f"{tenant}#review")}
        for row in wanted.values():
            if row.key not in kept:
                self.rows.put(Put(row))
        for key in kept.keys() - wanted.keys():
            self.rows.transact([Delete(key)])
        return found

    def ask_about(self, tenant: TenantId, evidence: Evidence) -> None:
        """Keep that two are one by what they have in common: staff may know better. Safe to repeat."""
        with suppress(ConflictError):
            self.rows.put(Put(shared_row(tenant, evidence), expected=0))

    def to_ask_about(self, tenant: TenantId) -> Iterator[tuple[Match, StoredPerson, StoredPerson]]:
        """Who is one because they have something in common, and nobody said whether they are (家族か同一人物か): the
        newest first, each pair by themselves. Costs two reads a pair that is asked for, and looks through nobody else.
        """
        seen: set[frozenset[CustomerId]] = set()
        for row in reversed(self.rows.partition(shared_pk(tenant))):
            match = match_of(row)
            one, other = self.load(tenant, match.one), self.load(tenant, match.other)
            if one and other and (pair := frozenset({one.customer_id, other.customer_id})) not in seen:
                seen.add(pair)
                if is_undecided(one, other, Lookup(self, tenant, one, other)):
                    yield match, one, other

    def everybody(self, tenant: TenantId) -> Generator[Profile]:
        """Everybody with each of their cards, one look through the whole table: names and addresses, nothing else.

        Which of somebody's cards counts is not said in the profile row. Somebody waits for the answer: several readers.
        """
        for row in self.rows.each_of_kind(f"{tenant}#", PROFILE, _READERS):
            if "merged_into" not in row.fields:
                somebody = Profile(tenant, CustomerId(row.pk.partition("#")[2]))
                yield from (with_card(somebody, card) for card in cards_in(row).values())

    # --- erasures ---
    def keep_erasure(self, tenant: TenantId, key: str, document: str) -> None:
        """Keep one part of what was deleted of a person, and where (消去の記録): ids, counts and times only."""
        self.rows.put(Put(Row(f"{tenant}#erasure", key, "erasure", document, rev=1)))

    def erasures(self, tenant: TenantId) -> dict[str, str]:
        """Every part by its key: `{customer_id}#…`."""
        return {row.sk: row.body for row in self.rows.partition(f"{tenant}#erasure")}

    def named(self, tenant: TenantId) -> Iterator[tuple[Ref, CustomerId]]:
        """Whom every ref of a shop names: reads the whole table."""
        for row in self.rows.each_of_kind(f"{tenant}#ref#", "ref"):
            yield named_by(row), named_in(row)

    # --- what the fold reads and writes ---
    def refs(self, tenant: TenantId, refs: Iterable[Ref]) -> dict[Ref, CustomerId]:
        """Whom these refs name; refs that name nobody are missing."""
        return {ref: named_in(row) for ref, row in self.pointers(tenant, refs).items() if not is_nobodys(row)}

    def pointers(self, tenant: TenantId, refs: Iterable[Ref]) -> dict[Ref, Row]:
        """The rows that say it, also of refs that name nobody any more."""
        return {named_by(row): row for row in self.rows.get(ref_key(tenant, ref) for ref in refs).values()}

    def disown(self, tenant: TenantId, ref: Ref, holders: Iterable[StoredPerson]) -> None:
        """A ref names nobody from now on: that stands with the ref and with everybody who has it in common, at once.

        Raises ConflictError when somebody else did it meanwhile.
        """
        row = self._one(ref_key(tenant, ref))
        if row is not None and not is_nobodys(row):
            marks = [Put(nobodys_row(each, ref)) for each in holders]
            self.rows.transact([Put(as_nobodys(row), expected=row.rev), *marks[: MAX_WRITES - 1]])

    def load(self, tenant: TenantId, customer_id: CustomerId) -> StoredPerson | None:
        """A person with all rows, by any id they ever had; None when there is none.

        Rows still behind a former id, of a worker that was overtaken by a merge, are theirs too.
        """
        behind: list[Row] = []
        found_by: dict[CustomerId, int] = {}
        for _ in range(_MAX_HOPS):
            rows = self.rows.partition(person_pk(tenant, customer_id))
            profile = next((row for row in rows if row.sk == PROFILE), None)
            if profile is None and not (rows or behind):
                return None
            # Where there are rows only, a worker died, or is about to write the profile.
            if profile is None or "merged_into" not in profile.fields:
                found = self._with_moving(person_of(tenant, customer_id, [*rows, *behind]))
                return replace(found, found_by=found_by)
            behind += [row for row in rows if row.sk != PROFILE]
            found_by[customer_id] = profile.rev
            customer_id = CustomerId(profile.fields["merged_into"])
        raise _endless(customer_id)

    def _with_moving(self, person: StoredPerson) -> StoredPerson:
        if not person.moving:
            return person
        behind = [
            row
            for gone in sorted(person.moving)
            for row in self.rows.partition(person_pk(person.tenant, gone))
            if row.sk != PROFILE
        ]
        return person_of(person.tenant, person.customer_id, [*person.rows.values(), *behind])

    def knows(self, tenant: TenantId, said: Mapping[CustomerId, Record]) -> set[CustomerId]:
        """The persons about whom these records say nothing new: read by key, without reading whole persons.

        `said` is keyed by current ids; a record that names an alias counts as news.
        """
        wanted = {
            customer_id: [
                profile_key(tenant, customer_id),
                *content_rows(StoredPerson(tenant, customer_id, record), historical=True),
            ]
            for customer_id, record in said.items()
        }
        found = self.rows.get(key for keys in wanted.values() for key in keys)
        return {
            customer_id
            for customer_id, keys in wanted.items()
            if _covers(tenant, customer_id, [found[key] for key in keys if key in found], said[customer_id])
        }

    def commit(self, change: Change, *, together: bool = False) -> tuple[str, ...]:
        """Write a change; returns the sort keys written. Raises ConflictError when somebody wrote first.

        Writing the same change again, or going on after a crash between two writes, ends in the same rows.
        `together`: many rows in transactions, fewer calls at twice the price.
        """
        puts = None if together else single_puts(change)
        if puts is None:
            made = transactions(change)
            for writes in made:
                self.rows.transact(writes)
            self._expect_nothing_behind(change)
            return written([write for writes in made for write in writes])
        # Whom a visitor leads to must still have been there after what the visitor's one row said stood with them.
        aliases = [put for put in puts if put.row.sk == PROFILE and leads_to(put.row)]
        for put in puts[: len(puts) - len(aliases)]:
            self.rows.put(put)
        key, before = profile_key(change.person.tenant, change.person.customer_id), change.person.rows
        if not all(guards_itself(before.get(put.row.key), put.row) for put in puts) and not any(
            put.row.key == key for put in puts
        ):
            self._expect_still_there(key, change.person.rev)
        for put in aliases:
            self.rows.put(put)
        return written(puts)

    def _expect_nothing_behind(self, change: Change) -> None:
        """Rows may have been put beside those that moved or were erased: then decide again, with them."""
        kept = content_rows(change.person, change.historical).keys()
        for each in (*change.absorbed, *((change.person,) if change.erases else ())):
            rows = self.rows.partition(person_pk(each.tenant, each.customer_id))
            if any(row.sk != PROFILE and row.key not in kept for row in rows):
                raise ConflictError("rows of a person came while they became another one, or were erased")

    def _expect_still_there(self, profile: Key, rev: int) -> None:
        """Somebody may have merged or erased the person while rows were put: then decide again, with those rows."""
        row = self._one(profile)
        if (row.rev if row else 0) != rev:
            raise ConflictError("the person changed while rows were written")

    def commit_each(self, changes: Sequence[Change]) -> tuple[int, list[int]]:
        """Write many persons, as many as fit into a transaction together.

        Returns the number of rows written and the positions of the changes that met a conflict (write those one by
        one after reading again).
        """
        packs, owners, big = pack([transactions(change) for change in changes])
        refused = [position for number in self.rows.transact_each(packs) for position in owners[number]]
        rows = sum(len(writes) for writes in packs)
        for position in big:
            try:
                rows += len(self.commit(changes[position], together=True))
            except ConflictError:
                refused.append(position)
        return rows, sorted(refused)

    def _one(self, key: Key) -> Row | None:
        return self.rows.get([key]).get(key)


class Lookup:
    """Persons looked up for one question, each read once."""

    def __init__(self, store: CustomerStore, tenant: TenantId, *known: StoredPerson) -> None:
        self._store, self._tenant = store, tenant
        self._people: dict[CustomerId, StoredPerson | None] = {person.customer_id: person for person in known}
        self._refs: dict[Ref, CustomerId | None] = {}

    def by_id(self, customer_id: CustomerId) -> StoredPerson | None:
        """By any id they ever had."""
        if customer_id not in self._people:
            found = self._store.load(self._tenant, customer_id)
            self._people[customer_id] = found
            if found:
                self._people.setdefault(found.customer_id, found)
        return self._people[customer_id]

    def by_ref(self, ref: Ref) -> StoredPerson | None:
        """By a ref."""
        if ref not in self._refs:
            self._refs[ref] = self._store.refs(self._tenant, [ref]).get(ref)
        customer_id = self._refs[ref]
        return self.by_id(customer_id) if customer_id else None


class MemoryCustomerStore(CustomerStore):
    """The same, in memory: for tests, replays and recomputing."""

    def __init__(self, clock: Clock | None = None) -> None:
        super().__init__("memory", clock=clock)
        self.rows: Rows = MemoryRows()


def _covers(tenant: TenantId, customer_id: CustomerId, rows: Sequence[Row], said: Record) -> bool:
    if not rows or any("merged_into" in row.fields for row in rows):
        return False
    known = person_of(tenant, customer_id, rows)
    return bool(known.rev) and not known.moving and rules.settle(rules.join([known.record, said])) == known.record


def _endless(customer_id: CustomerId) -> NotFoundError:
    return NotFoundError(f"the aliases of {customer_id} lead in a circle, which no merge makes: please report it")
