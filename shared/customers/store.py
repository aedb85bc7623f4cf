"""The customers table: what a person is as rows, and the only place that knows its keys.

    pk `{tenant}#{customer_id}`               sk `profile` (or an alias: `merged_into`), `order#…`, `cart#…`,
                                                 `consent#…` (current), `consentlog#…` (append only)
    pk `{tenant}#ref#{ref}`                   sk `ref` → `customer_id`, or `erased_at`
    pk `{tenant}#suppressed#{channel}:{digest}` sk `suppressed`
    pk `{tenant}#command`                     sk `{command}#{event_id}`: what waits for an admin

Every change of a person is one transaction that expects the profile at the revision that was read (`rev`), so a
worker that was overtaken, or died, changes nothing. A person too big for one transaction (100 rows) is written
in several: until the last, `moving` names the partitions that still hold rows, and readers read those too.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import cache
from typing import Any

from pydantic import TypeAdapter

from shared.core.clock import Clock, SystemClock, from_iso, to_iso
from shared.core.errors import NotFoundError
from shared.core.ids import CustomerId, Ref, TenantId
from shared.customers import rules
from shared.customers.model import (
    Attribute,
    Cart,
    Consent,
    ConsentEntry,
    Known,
    Order,
    PersonState,
    Profile,
    Record,
    Scores,
    Subscription,
    Summary,
    Suppressed,
    Suppression,
)
from shared.customers.rows import (
    MAX_WRITES,
    ConflictError,
    Delete,
    DynamoRows,
    Key,
    MemoryRows,
    Put,
    Row,
    Rows,
    Write,
    decode_item,
)

_MAX_HOPS = 50
_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class StoredPerson:
    """A person as read: the record, what was derived from it, and the rows it was read from."""

    tenant: TenantId
    customer_id: CustomerId
    record: Record
    summary: Summary = field(default_factory=Summary)
    aliases: frozenset[CustomerId] = frozenset()
    scores: Scores | None = None
    rev: int = 0
    moving: frozenset[CustomerId] = frozenset()
    rows: Mapping[Key, Row] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class RefRow:
    """Whom a ref names, or since when it is forgotten."""

    customer_id: CustomerId | None
    erased_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class Change:
    """A person to be written, the persons that become this one, and refs to claim or forget."""

    person: StoredPerson
    absorbed: tuple[StoredPerson, ...] = ()
    claimed: frozenset[Ref] = frozenset()
    """Refs that named nobody when they were read."""
    forgotten: frozenset[Ref] = frozenset()
    historical: bool = False


@dataclass(frozen=True, slots=True)
class ChangedRow:
    """A row of the customers stream, read: one of the payloads is set, by `kind`."""

    tenant: TenantId
    customer_id: CustomerId
    kind: str
    historical: bool
    order: Order | None = None
    cart: Cart | None = None
    profile: Profile | None = None
    consent: Consent | None = None
    entry: ConsentEntry | None = None
    subscription: Subscription | None = None
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    """Of a profile."""
    merged_into: CustomerId | None = None
    """Set where this is a person that was found to be another one."""


@dataclass(frozen=True, slots=True)
class _ProfileBody:
    refs: list[str]
    contact: dict[str, Known]
    summary: Summary
    aliases: list[str] = field(default_factory=list)
    erased_at: datetime | None = None
    scores: Scores | None = None
    moving: list[str] = field(default_factory=list)


@cache
def _codec(kind: Any) -> TypeAdapter[Any]:
    return TypeAdapter(kind)


def _dump(value: Any) -> str:
    return _codec(value.__class__).dump_json(value, exclude_defaults=True).decode()


# --- keys ------------------------------------------------------------------------------------------------------------
def _person_pk(tenant: TenantId, customer_id: str) -> str:
    return f"{tenant}#{customer_id}"


def _ref_key(tenant: TenantId, ref: str) -> Key:
    return f"{tenant}#ref#{ref}", "ref"


def _suppressed_key(tenant: TenantId, channel: str, address_ref: str) -> Key:
    return f"{tenant}#suppressed#{channel}:{address_ref.partition(':')[2]}", "suppressed"


_PROFILE = "profile"


# --- rows of a person ------------------------------------------------------------------------------------------------
def _rows(person: StoredPerson, historical: bool) -> dict[Key, Row]:
    """Everything about a person but the profile, as rows."""
    pk, record = _person_pk(person.tenant, person.customer_id), person.record
    rows = [
        *(Row(pk, f"order#{key}", "order", _dump(o), o.historical) for key, o in record.orders.items()),
        *(Row(pk, f"cart#{key}", "cart", _dump(c), c.historical) for key, c in record.carts.items()),
        *(Row(pk, f"consentlog#{key}", "consentlog", _dump(e), historical) for key, e in record.consent_log.items()),
        *(
            Row(pk, f"consent#{consent.channel}#{consent.store}", "consent", _dump(consent), historical)
            for consent in rules.consents(record.consent_log.values())
        ),
    ]
    return {row.key: row for row in rows}


def _profile_row(person: StoredPerson, historical: bool) -> Row:
    record = person.record
    body = _ProfileBody(
        refs=sorted(record.refs),
        contact=dict(sorted(record.contact.items())),
        summary=person.summary,
        aliases=sorted(person.aliases),
        erased_at=record.erased_at,
        scores=person.scores,
        moving=sorted(person.moving),
    )
    pk = _person_pk(person.tenant, person.customer_id)
    return Row(pk, _PROFILE, "profile", _dump(body), historical, person.rev)


def _alias_row(gone: StoredPerson, survivor: CustomerId, historical: bool) -> Row:
    pk = _person_pk(gone.tenant, gone.customer_id)
    return Row(pk, _PROFILE, "profile", "{}", historical, gone.rev + 1, {"merged_into": survivor})


def _profile(tenant: TenantId, customer_id: CustomerId, row: Row) -> Profile:
    return _shown(_person(tenant, customer_id, [row]))


def _person(tenant: TenantId, customer_id: CustomerId, rows: Iterable[Row]) -> StoredPerson:
    """A person from their rows; partitions that are still moving in may repeat some."""
    body: _ProfileBody | None = None
    rev = 0
    records: list[Record] = []
    kept: dict[Key, Row] = {}
    for row in rows:
        kept[row.key] = row
        family, _, key = row.sk.partition("#")
        if row.key == (_person_pk(tenant, customer_id), _PROFILE):
            body, rev = _codec(_ProfileBody).validate_json(row.body), row.rev
        elif family == "order":
            records.append(Record(orders={key: _codec(Order).validate_json(row.body)}))
        elif family == "cart":
            records.append(Record(carts={key: _codec(Cart).validate_json(row.body)}))
        elif family == "consentlog":
            records.append(Record(consent_log={key: _codec(ConsentEntry).validate_json(row.body)}))
    if body is None:
        return StoredPerson(tenant, customer_id, rules.join(records), rows=kept)
    known = Record(refs=frozenset(Ref(ref) for ref in body.refs), contact=body.contact, erased_at=body.erased_at)
    return StoredPerson(
        tenant=tenant,
        customer_id=customer_id,
        record=rules.join([known, *records]),
        summary=body.summary,
        aliases=frozenset(CustomerId(alias) for alias in body.aliases),
        scores=body.scores,
        rev=rev,
        moving=frozenset(CustomerId(gone) for gone in body.moving),
        rows=kept,
    )


def _shown(person: StoredPerson) -> Profile:
    known = {
        name: rules.best_known(person.record.contact, name) for name in ("email", "phone", "last_name", "first_name")
    }
    values = {name: found.value if found else None for name, found in known.items()}
    return Profile(
        tenant=person.tenant,
        customer_id=person.customer_id,
        refs=person.record.refs,
        **values,
        summary=person.summary,
        scores=person.scores,
        aliases=person.aliases,
        erased=person.record.erased_at is not None and not any(values.values()),
        rev=person.rev,
    )


def state_of(person: StoredPerson, suppressed: frozenset[str] = frozenset()) -> PersonState:
    """A person as everything else in the product sees them."""
    record = person.record
    return PersonState(
        profile=_shown(person),
        orders=tuple(record.orders[key] for key in sorted(record.orders)),
        carts=tuple(record.carts[key] for key in sorted(record.carts)),
        consents=rules.consents(record.consent_log.values()),
        suppressed=suppressed,
    )


def email_ref(person: StoredPerson) -> str | None:
    """Keyed digest of the person's current mail address."""
    known = rules.best_known(person.record.contact, "email")
    return known.ref if known else None


class CustomerStore:
    """The persons of every tenant, in a DynamoDB table. Every read is strongly consistent."""

    def __init__(self, table: str, client: Any = None, clock: Clock | None = None) -> None:
        self.rows: Rows = DynamoRows(table, client)
        self._clock = clock or SystemClock()

    # --- what other domains read ---
    def person(self, tenant: TenantId, customer_id: CustomerId) -> PersonState | None:
        """Everything that decides about a person, by their id or one they had before."""
        found = self.load(tenant, customer_id)
        if found is None:
            return None
        address = email_ref(found)
        blocked = self.is_suppressed(tenant, "email", Ref(address)) if address else None
        return state_of(found, frozenset({"email"} if blocked else ()))

    def profile(self, tenant: TenantId, customer_id: CustomerId) -> Profile | None:
        """The profile alone: one read instead of all orders."""
        for _ in range(_MAX_HOPS):
            row = self._one((_person_pk(tenant, customer_id), _PROFILE))
            if row is None:
                return None
            if "merged_into" not in row.fields:
                return _profile(tenant, customer_id, row)
            customer_id = CustomerId(row.fields["merged_into"])
        raise _endless(customer_id)

    def resolve_ref(self, tenant: TenantId, ref: Ref) -> CustomerId | None:
        """The person a ref names now; None when nobody, or when the address was erased and not used since."""
        row = self.refs(tenant, [ref]).get(ref)
        if row is None:
            return None
        if row.erased_at:
            return self.resolve_ref(tenant, rules.successor(ref, row.erased_at))
        found = self.profile(tenant, row.customer_id) if row.customer_id else None
        return found.customer_id if found else None

    def consent_log(self, tenant: TenantId, customer_id: CustomerId) -> tuple[ConsentEntry, ...]:
        """The whole consent ledger of a person, oldest first: the evidence."""
        found = self.load(tenant, customer_id)
        entries = found.record.consent_log.values() if found else ()
        return tuple(sorted(entries, key=lambda entry: (entry.at, entry.event_id)))

    # --- scores ---
    def write_scores(self, tenant: TenantId, customer_id: CustomerId, scores: Scores) -> bool:
        """Keep what the nightly run found; True when it differs (apart from `as_of`) from what was kept."""
        return self.write_all_scores(tenant, {customer_id: scores}) == 1

    def write_all_scores(self, tenant: TenantId, scores: Mapping[CustomerId, Scores | None]) -> int:
        """`write_scores` for many persons, 100 at a time; the number of persons that changed.

        None takes the scores away: no buyer any more. An id that names nobody (any more) is skipped: the person was
        erased or never existed here.
        """
        changed = 0
        pending = dict(scores)
        for _ in range(_ATTEMPTS):
            puts = self._score_writes(tenant, pending)
            batches = [puts[start : start + MAX_WRITES] for start in range(0, len(puts), MAX_WRITES)]
            refused = set(self.rows.transact_each([[put for _, put in batch] for batch in batches]))
            changed += sum(len(batch) for position, batch in enumerate(batches) if position not in refused)
            if not refused:
                return changed
            pending = {said: scores[said] for position in refused for said, _ in batches[position]}
        raise ConflictError("the profiles keep changing; run the write-back again")

    def _score_writes(
        self, tenant: TenantId, scores: Mapping[CustomerId, Scores | None]
    ) -> list[tuple[CustomerId, Put]]:
        keys = {said: (_person_pk(tenant, said), _PROFILE) for said in scores}
        found = self.rows.get(keys.values())
        writes: dict[Key, tuple[CustomerId, Put]] = {}
        for said, key in keys.items():
            new, stored = scores[said], found.get(key)
            # Who is no buyer because they became another person takes nothing away from that one.
            row = self._live(stored) if new or (stored and "merged_into" not in stored.fields) else None
            if row is None:
                continue
            body = _codec(_ProfileBody).validate_json(row.body)
            if _differ(body.scores, new):
                after = replace(row, body=_dump(replace(body, scores=new)), rev=row.rev + 1, historical=False)
                writes[row.key] = said, Put(after, expected=row.rev)
        return list(writes.values())

    def _live(self, row: Row | None) -> Row | None:
        for _ in range(_MAX_HOPS):
            if row is None or "merged_into" not in row.fields:
                return row
            tenant = TenantId(row.pk.partition("#")[0])
            row = self._one((_person_pk(tenant, row.fields["merged_into"]), _PROFILE))
        raise ConflictError("an alias leads nowhere")

    # --- suppression ---
    def suppression(self, tenant: TenantId, channel: str, address_ref: Ref) -> Suppression:
        """What happened to mail for an address (a keyed digest)."""
        row = self._one(_suppressed_key(tenant, channel, address_ref))
        return _codec(Suppression).validate_json(row.body) if row else Suppression()

    def is_suppressed(self, tenant: TenantId, channel: str, address_ref: Ref) -> Suppressed | None:
        """Why this address gets nothing now, or None."""
        return rules.suppressed(self.suppression(tenant, channel, address_ref), self._clock.now())

    def suppress(self, tenant: TenantId, channel: str, address_ref: Ref, reason: Suppressed, at: datetime) -> bool:
        """Never send to this address again; True when that is news."""
        return self.add_suppression(tenant, channel, address_ref, Suppression({reason: at}))

    def add_suppression(self, tenant: TenantId, channel: str, address_ref: Ref, said: Suppression) -> bool:
        """Add what is known about an address; True when it changed anything."""
        key = _suppressed_key(tenant, channel, address_ref)
        for _ in range(_ATTEMPTS):
            row = self._one(key)
            before = _codec(Suppression).validate_json(row.body) if row else Suppression()
            after = rules.merge_suppressions(before, said)
            if after == before:
                return False
            rev = row.rev if row else 0
            put = Put(Row(*key, "suppressed", _dump(after), rev=rev + 1), expected=rev)
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
        return [{"command": row.sk, **row.fields} for row in self.rows.partition(f"{tenant}#command")]

    # --- what the fold reads and writes ---
    def refs(self, tenant: TenantId, refs: Iterable[Ref]) -> dict[Ref, RefRow]:
        """Whom these refs name; refs that name nobody are missing."""
        keys = {_ref_key(tenant, ref): ref for ref in refs}
        return {keys[key]: _ref_row(row) for key, row in self.rows.get(keys).items()}

    def load(self, tenant: TenantId, customer_id: CustomerId) -> StoredPerson | None:
        """A person with all rows, by any id they ever had; None when there is none."""
        for _ in range(_MAX_HOPS):
            rows = self.rows.partition(_person_pk(tenant, customer_id))
            profile = next((row for row in rows if row.sk == _PROFILE), None)
            if profile is None:
                return None
            if "merged_into" not in profile.fields:
                return self._with_moving(_person(tenant, customer_id, rows))
            customer_id = CustomerId(profile.fields["merged_into"])
        raise _endless(customer_id)

    def _with_moving(self, person: StoredPerson) -> StoredPerson:
        if not person.moving:
            return person
        behind = [
            row
            for gone in sorted(person.moving)
            for row in self.rows.partition(_person_pk(person.tenant, gone))
            if row.sk != _PROFILE
        ]
        return _person(person.tenant, person.customer_id, [*person.rows.values(), *behind])

    def knows(self, tenant: TenantId, said: Mapping[CustomerId, Record]) -> set[CustomerId]:
        """The persons about whom these records say nothing new: read by key, without reading whole persons.

        `said` is keyed by current ids; a record that names an alias counts as news.
        """
        wanted = {
            customer_id: [
                (_person_pk(tenant, customer_id), _PROFILE),
                *_rows(StoredPerson(tenant, customer_id, record), historical=True),
            ]
            for customer_id, record in said.items()
        }
        found = self.rows.get(key for keys in wanted.values() for key in keys)
        return {
            customer_id
            for customer_id, keys in wanted.items()
            if _covers(tenant, customer_id, [found[key] for key in keys if key in found], said[customer_id])
        }

    def commit(self, change: Change) -> tuple[str, ...]:
        """Write a change; returns the sort keys written. Raises ConflictError when somebody wrote first.

        Writing the same change again, or going on after a crash between two transactions, ends in the same rows.
        """
        transactions = plan(change)
        for writes in transactions:
            self.rows.transact(writes)
        return _written(transactions)

    def commit_each(self, changes: Sequence[Change]) -> tuple[int, list[int]]:
        """Write many persons, as many as fit into a transaction together.

        Returns the number of rows written and the positions of the changes that met a conflict (write those one by
        one after reading again).
        """
        packs, owners, big = _pack([plan(change) for change in changes])
        refused = [position for pack in self.rows.transact_each(packs) for position in owners[pack]]
        rows = sum(len(pack) for pack in packs)
        for position in big:
            try:
                rows += len(self.commit(changes[position]))
            except ConflictError:
                refused.append(position)
        return rows, sorted(refused)

    def _one(self, key: Key) -> Row | None:
        return self.rows.get([key]).get(key)


class MemoryCustomerStore(CustomerStore):
    """The same, in memory: for tests, replays and recomputing."""

    def __init__(self, clock: Clock | None = None) -> None:
        super().__init__("memory", clock=clock)
        self.rows: Rows = MemoryRows()


def plan(change: Change) -> list[list[Write]]:
    """The transactions that make a change: none when nothing changes, usually one."""
    person, expected = change.person, change.person.rev
    stored = dict(person.rows)
    for gone in change.absorbed:
        stored |= gone.rows
    desired = _rows(person, change.historical)
    profile = _profile_row(replace(person, moving=frozenset()), change.historical)
    tail: list[Write] = [Put(row) for key, row in desired.items() if not row.same(stored.get(key))]
    tail += [Delete(key) for key in stored if key not in desired and key[1] != _PROFILE]
    tail = _ref_writes(change) + tail
    if not (tail or change.absorbed) and profile.same(stored.get(profile.key)):
        return []
    head: list[Write] = [
        Put(_alias_row(gone, person.customer_id, change.historical), expected=gone.rev) for gone in change.absorbed
    ]
    moving = person.moving | {gone.customer_id for gone in change.absorbed}
    moving |= frozenset(still for gone in change.absorbed for still in gone.moving)
    transactions: list[list[Write]] = []
    while True:
        room = MAX_WRITES - 1 - len(head)
        now, tail = tail[:room], tail[room:]
        rev = expected + len(transactions) + 1
        left = _profile_row(replace(person, rev=rev, moving=moving if tail else frozenset()), change.historical)
        transactions.append([Put(left, expected=rev - 1), *head, *now])
        head = []
        if not tail:
            return transactions


def _ref_writes(change: Change) -> list[Write]:
    tenant, person = change.person.tenant, change.person
    erased_at = person.record.erased_at
    writes: list[Write] = []
    for ref in sorted(change.claimed | change.forgotten):
        expected = 0 if ref in change.claimed else None
        if ref in change.forgotten and erased_at:
            row = Row(
                *_ref_key(tenant, ref),
                "ref",
                historical=change.historical,
                rev=1,
                fields={"erased_at": to_iso(erased_at)},
            )
        else:
            row = _pointer(tenant, ref, person.customer_id, change.historical)
        writes.append(Put(row, expected))
    # The names of those who become this person; past 50, the alias shows the way.
    named = sorted({ref for gone in change.absorbed for ref in gone.record.refs if rules.is_strong(ref)})
    writes += [
        Put(_pointer(tenant, ref, person.customer_id, change.historical))
        for ref in named[:50]
        if ref not in change.claimed | change.forgotten
    ]
    return writes


def _pointer(tenant: TenantId, ref: Ref, customer_id: CustomerId, historical: bool) -> Row:
    return Row(*_ref_key(tenant, ref), "ref", historical=historical, rev=1, fields={"customer_id": customer_id})


def _differ(before: Scores | None, after: Scores | None) -> bool:
    """Apart from the day they were found on."""
    if before is None or after is None:
        return before is not after
    return replace(before, as_of=after.as_of) != after


def _ref_row(row: Row) -> RefRow:
    erased_at = row.fields.get("erased_at")
    customer_id = row.fields.get("customer_id")
    return RefRow(CustomerId(customer_id) if customer_id else None, from_iso(erased_at) if erased_at else None)


def _covers(tenant: TenantId, customer_id: CustomerId, rows: Sequence[Row], said: Record) -> bool:
    if not rows or any("merged_into" in row.fields for row in rows):
        return False
    known = _person(tenant, customer_id, rows)
    return bool(known.rev) and not known.moving and rules.settle(rules.join([known.record, said])) == known.record


def _pack(plans: Sequence[list[list[Write]]]) -> tuple[list[list[Write]], list[list[int]], list[int]]:
    """Transactions of several persons each, whose they are, and the persons too big for one."""
    packs: list[list[Write]] = []
    owners: list[list[int]] = []
    big: list[int] = []
    for position, transactions in enumerate(plans):
        if len(transactions) > 1:
            big.append(position)
        elif transactions:
            writes = transactions[0]
            if not packs or len(packs[-1]) + len(writes) > MAX_WRITES:
                packs.append([])
                owners.append([])
            packs[-1] += writes
            owners[-1].append(position)
    return packs, owners, big


def _written(transactions: Sequence[Sequence[Write]]) -> tuple[str, ...]:
    keys = (write.row.key if isinstance(write, Put) else write.key for writes in transactions for write in writes)
    return tuple(dict.fromkeys(sk for _, sk in keys))


def _endless(customer_id: CustomerId) -> NotFoundError:
    return NotFoundError(f"the aliases of {customer_id} do not end; run `matakite doctor`")


def read_row(image: Mapping[str, Any]) -> ChangedRow | None:
    """A row of the customers stream (NewImage or OldImage); None for rows that are not about a person."""
    row = decode_item(image)
    tenant, _, customer_id = row.pk.partition("#")
    base = ChangedRow(TenantId(tenant), CustomerId(customer_id), row.kind, row.historical)
    if row.kind == "order":
        return replace(base, order=_codec(Order).validate_json(row.body))
    if row.kind == "cart":
        return replace(base, cart=_codec(Cart).validate_json(row.body))
    if row.kind == "consent":
        return replace(base, consent=_codec(Consent).validate_json(row.body))
    if row.kind == "consentlog":
        return replace(base, entry=_codec(ConsentEntry).validate_json(row.body))
    if row.kind == "profile" and "merged_into" in row.fields:
        return replace(base, merged_into=CustomerId(row.fields["merged_into"]))
    if row.kind == "profile":
        return replace(base, profile=_profile(base.tenant, base.customer_id, row))
    return None
