"""Events become what the shop knows of its customers: one at a time as they arrive, or a history at once.

However they arrive (any order, twice, replayed), the result is the one of `fold_all`, which is the definition.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import TypeVar

from shared.core.errors import NotFoundError
from shared.core.ids import CustomerId, Ref, TenantId
from shared.core.keys import KeyRing
from shared.core.shop import Shop
from shared.core.telemetry import logger
from shared.customers import identity, items, nobodys, rules
from shared.customers.items import StoredPerson, address_of, is_visitor, named_in, refs_in, state_of, suppressible
from shared.customers.links import People, are_parted, having, is_nobodys, joined_by_evidence, whole
from shared.customers.model import Claim, Evidence, Join, PersonState, Record, Suppressed, Suppression
from shared.customers.plan import Change
from shared.customers.rows import ConflictError
from shared.customers.store import CustomerStore, Lookup
from shared.ingest.model import Event, EventType, MessageFacts

RefsOf = Callable[[Event, KeyRing], tuple[Ref, ...]]
"""How the refs of an event are found: the lake keeps refs and not what they were made from, and making them costs."""

_ATTEMPTS = 25
"""Of n workers on one person one wins each round, so this many may meet."""

_COMMANDS = {EventType.SHOP_ERASED: "erase_shop", EventType.PERSON_EXPORT_REQUESTED: "export_person"}
_SAYS_NOTHING = frozenset(
    {
        EventType.UNKNOWN,
        EventType.MESSAGE_SENT,
        EventType.MESSAGE_DELIVERED,
        EventType.MESSAGE_OPENED,
        EventType.MESSAGE_CLICKED,
        EventType.MESSAGE_REJECTED,
        EventType.PRODUCT_UPDATED,
    }
)
_LINKS = frozenset({EventType.PERSONS_LINKED, EventType.PERSONS_UNLINKED})
_BLOCKS = frozenset({EventType.MESSAGE_BOUNCED, EventType.MESSAGE_COMPLAINED})


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of an event: whom it is about, and the rows that changed (none: it was known already)."""

    customer_id: CustomerId | None
    changed: tuple[str, ...] = ()
    forgotten: bool = False
    """It was said up to the erasure of its person: its body must not be kept either."""
    with_them: tuple[CustomerId, ...] = ()
    """Who is one with the person by evidence, and was erased with them."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What became of a history: persons named, rows written, persons about whom nothing was new."""

    people: int
    rows_written: int
    unchanged: int


# --- one event -------------------------------------------------------------------------------------------------------
def apply(event: Event, store: CustomerStore, keys: KeyRing, shop: Shop) -> Applied:
    """Let one event change what is known. Idempotent; in any order; safe beside other workers and after a crash.

    Raises UnavailableError when the table is busy, NotFoundError when an event of ours names an unknown person.
    """
    event = nobodys.unsaid(event, shop, keys)
    if event.event_type in _COMMANDS:
        return _queue(event, store)
    if event.event_type in _SAYS_NOTHING:
        return Applied(None)
    changed: tuple[str, ...] = ()
    if event.event_type in _BLOCKS:
        changed = _suppress(event, store, keys)
        if event.event_type is EventType.MESSAGE_BOUNCED:
            return Applied(identity.named_person(event), changed)
    if event.event_type in _LINKS:
        return _link(event, store, keys, shop)
    done = _commit(event, identity.named_person(event), store, keys, shop)
    return replace(done, changed=(*changed, *done.changed))


def _commit(event: Event, named: CustomerId | None, store: CustomerStore, keys: KeyRing, shop: Shop) -> Applied:
    """What an event says about its person, and then about the browser it happened in."""
    refs, browsers = identity.browsers(identity.refs_of(event, keys))
    for attempt in range(_ATTEMPTS):
        found = _look_up(store, event, refs, repeated=attempt > 0)
        change, shared = _decide(event, named, found, browsers, store, keys, shop)
        try:
            changed = store.commit(change) if change else ()
        except ConflictError:
            continue
        person = change.person if change else None
        with_them = _spread(event, person, shared, store, shop) if person else []
        if person and not _disown(person, shared, store):
            continue
        erased_at = person.record.erased_at if person else None
        seen = set(browsers)
        if person and erased_at:
            seen |= {Ref(ref) for each in (person, *with_them) for ref in each.record.visitors}
        for browser in sorted(seen):
            said = _seen(event, browser, found.refs) if browser in browsers else Record()
            changed += _note(event, browser, replace(said, erased_at=erased_at), store, shop)
        forgotten = erased_at is not None and event.occurred_at <= erased_at
        ids = tuple(each.customer_id for each in with_them)
        return Applied(person.customer_id if person else None, changed, forgotten, ids)
    raise ConflictError("too many workers on one person; the event is retried")


def _seen(event: Event, browser: Ref, refs: Iterable[Ref]) -> Record:
    """What an event about somebody says of the browser it happened in: that they were seen there."""
    first = sorted(refs, key=rules.ref_rank)[:1]
    claim = Claim(event.occurred_at, event.event_id)
    return Record(refs=frozenset({browser}), claims=dict.fromkeys(first, claim))


def _note(event: Event, browser: Ref, said: Record, store: CustomerStore, shop: Shop) -> tuple[str, ...]:
    """Keep what is said of a browser with the browser."""
    for attempt in range(_ATTEMPTS):
        found = _look_up(store, event, [browser], repeated=attempt > 0)
        people = _each(_people(store, event.tenant, found))
        change = _change(event.tenant, people, replace(said, refs=found.refs), found.fresh, shop, event)
        try:
            return store.commit(change) if change else ()
        except ConflictError:
            continue
    raise ConflictError("too many workers on one browser; the event is retried")


def _link(event: Event, store: CustomerStore, keys: KeyRing, shop: Shop) -> Applied:
    """A decision about two persons stands with both."""
    ends = identity.linked_people(event)
    for end in ends:
        if store.load(event.tenant, end) is None:
            raise NotFoundError(f"event {event.event_id} names person {end}, who is unknown here")
    done = [_commit(event, end, store, keys, shop) for end in ends]
    return Applied(done[0].customer_id, tuple(key for each in done for key in each.changed))


def _decide(
    event: Event,
    named: CustomerId | None,
    found: _Found,
    browsers: Iterable[Ref],
    store: CustomerStore,
    keys: KeyRing,
    shop: Shop,
) -> tuple[Change | None, Mapping[Ref, StoredPerson]]:
    """What to write about the person of an event, None where it names nobody; and with whom the person has which refs
    in common.
    """
    tenant = event.tenant
    if named:
        person = store.load(tenant, named)
        if person is None:
            raise NotFoundError(f"event {event.event_id} names person {named}, who is unknown here")
        people, shared = [person], dict[Ref, StoredPerson]()
    else:
        people, shared = _sides(store, tenant, found)
    said = identity.record_of(event, found.refs - shared.keys(), keys)
    said = replace(
        said, nobodys=found.nobodys, visitors=dict.fromkeys(browsers, Claim(event.occurred_at, event.event_id))
    )
    if shared:
        said = _sharing(said, people, shared, event, Lookup(store, tenant, *people))
    return _change(tenant, people, said, found.fresh, shop, event), shared


def _sides(store: CustomerStore, tenant: TenantId, found: _Found) -> tuple[list[StoredPerson], dict[Ref, StoredPerson]]:
    """Who is one with the person of an event, and who only has refs in common with them."""
    people = _people(store, tenant, found)
    owners = {ref: people[said] for ref, said in found.claimed.items()}
    ids = {ref: owner.customer_id for ref, owner in owners.items()}
    apart = divide({*owners, *found.fresh}, ids, {each.customer_id: each.record for each in people.values()})
    return (
        [each for each in _each(people) if each.customer_id not in apart],
        {ref: owner for ref, owner in owners.items() if owner.customer_id in apart},
    )


Who = TypeVar("Who", CustomerId, Ref)


def divide(refs: Iterable[Ref], owners: Mapping[Ref, Who], records: Mapping[Who, Record]) -> set[Who]:
    """Who of the owners of an event's refs does not become one with its person, but has something in common with them:
    they have a customer number of their own. An event without a number is about the owner of its strongest ref.
    """
    accounts = {who for who in owners.values() if rules.has_account(records[who].refs)}
    numbers = {ref for ref in refs if rules.has_account([ref])}
    ranked = sorted((ref for ref, who in owners.items() if who in accounts), key=rules.ref_rank)
    # Where a worker died, a number may be somebody's whom it does not lead to yet.
    theirs = {who for who in accounts if numbers & records[who].refs}
    return accounts - theirs - {owners[ref] for ref in numbers or ranked[:1] if ref in owners}


def _sharing(
    said: Record, people: Sequence[StoredPerson], shared: Mapping[Ref, StoredPerson], event: Event, everybody: People
) -> Record:
    """What an event says, with the evidence in it. Who is one with somebody erased is erased with them."""
    mine = rules.canonical_id({*said.refs, *(ref for person in people for ref in person.record.refs)})
    others = {other.customer_id: other for other in shared.values()}
    joined = [each for each in others.values() if not any(are_parted(one, each, everybody) for one in people)]
    times = (each.erased_at for each in (said, *(other.record for other in joined)))
    evidence = [_evidence(mine, people, others[other], shared, event) for other in sorted(others)]
    return replace(
        said,
        evidence={f"{each.one}+{each.other}": each for each in evidence},
        erased_at=max((at for at in times if at), default=None),
    )


def _evidence(
    mine: CustomerId,
    people: Sequence[StoredPerson],
    other: StoredPerson,
    shared: Mapping[Ref, StoredPerson],
    event: Event,
) -> Evidence:
    """What two have in common, under the ids they had when it was first seen: what comes again says nothing new."""
    ends = _ids(other)
    known = [(each.one, each.other) for person in people for each in person.record.evidence.values()]
    one, two = min((pair for pair in known if ends & set(pair)), default=sorted((mine, other.customer_id)))
    refs = sorted(ref for ref, owner in shared.items() if owner.customer_id == other.customer_id)
    return Evidence(one, two, tuple(refs), event.occurred_at, event.event_id)


def _ids(person: StoredPerson) -> set[CustomerId]:
    return {person.customer_id, *person.aliases}


def _spread(
    event: Event, person: StoredPerson, shared: Mapping[Ref, StoredPerson], store: CustomerStore, shop: Shop
) -> list[StoredPerson]:
    """Evidence stands with both, and an erasure reaches everybody who is one by evidence: who that was."""
    for other in {each.customer_id: each for each in shared.values()}.values():
        about = _about(person.record, _ids(other))
        if about != _about(other.record, _ids(person)):
            for evidence in about.values():
                store.ask_about(event.tenant, evidence)
            _tell(event, other, Record(evidence=about), store, shop)
    erased_at = person.record.erased_at
    if erased_at is None or not person.record.evidence:
        return []
    reached, pending = {person.customer_id: person}, [person]
    while pending:
        each = pending.pop()
        for one in joined_by_evidence(each, Lookup(store, event.tenant, each)):
            if one.customer_id not in reached:
                told = _tell(event, one, Record(erased_at=erased_at), store, shop)
                reached[told.customer_id] = told
                pending.append(told)
    return list(reached.values())[1:]


def _disown(person: StoredPerson, shared: Iterable[Ref], store: CustomerStore) -> bool:
    """What too many have in common is nobody's from now on; False when somebody else said so meanwhile."""
    people = Lookup(store, person.tenant, person)
    for ref in sorted(shared):
        together = having(ref, person, people)
        if is_nobodys(ref, together):
            try:
                store.disown(person.tenant, ref, together)
            except ConflictError:
                return False
    return True


def _about(record: Record, other: set[CustomerId]) -> dict[str, Evidence]:
    return {key: each for key, each in record.evidence.items() if other & {each.one, each.other}}


def _tell(event: Event, other: StoredPerson, said: Record, store: CustomerStore, shop: Shop) -> StoredPerson:
    """Keep with somebody what an event about another says of them."""
    for _ in range(_ATTEMPTS):
        person = _loaded(store, event.tenant, other.customer_id, other.record.refs)
        change = _change(event.tenant, [person], said, frozenset(), shop, event)
        try:
            if change:
                store.commit(change)
        except ConflictError:
            continue
        return change.person if change else person
    raise ConflictError("too many workers on one person; the event is retried")


@dataclass(frozen=True, slots=True)
class _Found:
    """What the refs of an event lead to."""

    claimed: Mapping[Ref, CustomerId]
    fresh: frozenset[Ref]
    repeated: bool
    """Was something not as it was read? Then whom the refs would make may be there, left by a worker that died."""
    known: Mapping[CustomerId, frozenset[Ref]]
    """What the rows of the refs say of whoever they lead to."""
    nobodys: frozenset[Ref]
    """Refs that name nobody."""

    @property
    def ids(self) -> set[CustomerId]:
        """Who they may be."""
        return {*self.claimed.values(), *({rules.canonical_id(self.refs)} if self.repeated and self.refs else ())}

    @property
    def refs(self) -> frozenset[Ref]:
        return frozenset(self.claimed) | self.fresh


def _look_up(store: CustomerStore, event: Event, refs: Sequence[Ref], *, repeated: bool) -> _Found:
    rows = store.pointers(event.tenant, refs)
    unowned = frozenset(ref for ref, row in rows.items() if items.is_nobodys(row))
    naming = identity.naming(event, refs, unowned)
    claimed = {ref: named_in(rows[ref]) for ref in naming if ref in rows}
    known: dict[CustomerId, frozenset[Ref]] = {}
    for ref, who in claimed.items():
        known[who] = known.get(who, frozenset()) | refs_in(rows[ref])
    return _Found(claimed, frozenset(naming) - claimed.keys(), repeated, known, unowned)


def _change(
    tenant: TenantId,
    people: Sequence[StoredPerson],
    said: Record,
    fresh: frozenset[Ref],
    shop: Shop,
    because: Event,
    *,
    historical: bool | None = None,
) -> Change | None:
    """The persons found and what was said are one person: who that is, and what has to be written."""
    together = rules.join([*(person.record for person in people), said])
    if not together.refs:
        return None
    record = rules.settle(together)
    customer_id = rules.canonical_id(record.refs)
    survivor = next((person for person in people if person.customer_id == customer_id), None)
    absorbed = tuple(person for person in people if person is not survivor)
    # Where a worker died between the refs and the profile, somebody with fewer refs may have been put in their place.
    led = {gone: rev for person in absorbed for gone, rev in person.found_by.items()}
    base = survivor or StoredPerson(tenant, customer_id, Record(), rev=led.get(customer_id, 0))
    # A visitor never had a mail or a place in a scenario: their id leads on, and nobody asks for it.
    known = [gone for gone in absorbed if not is_visitor(gone)]
    after = replace(
        base,
        record=record,
        currency=shop.currency,
        aliases=frozenset().union(base.aliases, *(gone.aliases for gone in known), {gone.customer_id for gone in known})
        - {customer_id},
        joins=_joins(base, known, said, because),
        scores=base.scores
        or max((gone.scores for gone in absorbed if gone.scores), key=lambda s: s.as_of, default=None),
    )
    erases = record.erased_at != base.record.erased_at
    return Change(after, absorbed, fresh, erases, because.historical if historical is None else historical)


def _joins(
    base: StoredPerson, absorbed: Sequence[StoredPerson], said: Record, because: Event
) -> dict[CustomerId, Join]:
    """Why each former id is this person now: for whoever asks (`matakite customer show`)."""
    how = {gone: join for person in absorbed for gone, join in person.joins.items()}
    refs = tuple(sorted(ref for ref in said.refs if rules.is_strong(ref)))
    new = {gone.customer_id: Join(because.occurred_at, because.event_id, refs) for gone in absorbed}
    return {**how, **new, **base.joins}


# --- events that are not about a person's record ----------------------------------------------------------------------
def _queue(event: Event, store: CustomerStore) -> Applied:
    command = _COMMANDS[event.event_type]
    details = {"source": event.source, "store": event.store, "subject": event.subject}
    if store.queue_command(event.tenant, command, event.event_id, details):
        # Deleting a shop on a webhook's word alone would be the worst thing a forged or mistaken one could do.
        logger("customers").warning(
            "a command waits for an admin",
            extra={"tenant": event.tenant, "command": command, "event_id": event.event_id},
        )
        return Applied(None, (f"{command}#{event.event_id}",))
    return Applied(None)


def _suppress(event: Event, store: CustomerStore, keys: KeyRing) -> tuple[str, ...]:
    """A bounce or complaint blocks the address it happened at."""
    facts = event.facts
    if not isinstance(facts, MessageFacts):
        return ()
    address = _address(event, facts.channel, store, keys)
    if not address:
        return ()
    said = suppression_of(event)
    return ("suppressed",) if store.add_suppression(event.tenant, facts.channel, Ref(address), said) else ()


def suppression_of(event: Event) -> Suppression:
    """What a bounce or complaint says about the address."""
    if event.event_type is EventType.MESSAGE_COMPLAINED:
        return Suppression({Suppressed.COMPLAINED: event.occurred_at})
    if isinstance(event.facts, MessageFacts) and event.facts.permanent:
        return Suppression({Suppressed.BOUNCED: event.occurred_at})
    return Suppression(soft_bounces={event.event_id: event.occurred_at})


def _address(event: Event, channel: str, store: CustomerStore, keys: KeyRing) -> str:
    """Digest of the address a report is about: SES repeats it, a receipt of a text does not."""
    said = rules.normalise_email(event.person.email)
    if said:
        return identity.address_ref(event.tenant, said, keys)
    named = identity.named_person(event)
    person = store.load(event.tenant, named) if named else None
    return address_of(person, channel) if person else ""


# --- a history at once -----------------------------------------------------------------------------------------------
def load(
    events: Iterable[Event], store: CustomerStore, keys: KeyRing, shop: Shop, refs_of: RefsOf = identity.refs_of
) -> Loaded:
    """Fold a history (一括取込): the same as applying its events one by one, in a fraction of the calls.

    Events of one person should come in one call: then each new person is one write. A second load writes nothing.
    `refs_of` is for whoever made the refs of these events already.
    """
    plain: list[Event] = []
    special: list[Event] = []
    for event in (nobodys.unsaid(each, shop, keys) for each in events):
        (plain if _is_plain(event) else special).append(event)
    people, rows, unchanged = 0, 0, 0
    for tenant, group in _by_tenant(plain).items():
        done = _load_tenant(tenant, group, store, keys, shop, refs_of)
        people, rows, unchanged = people + done.people, rows + done.rows_written, unchanged + done.unchanged
    for event in special:
        rows += len(apply(event, store, keys, shop).changed)
    return Loaded(people, rows, unchanged)


def _is_plain(event: Event) -> bool:
    return (
        event.event_type not in _COMMANDS.keys() | _SAYS_NOTHING | _BLOCKS | _LINKS | {EventType.PERSON_ERASED}
        and identity.named_person(event) is None
        and not any(key.startswith("visitor/") for key in event.person.anonymous_ids)
    )


def _by_tenant(events: Iterable[Event]) -> dict[TenantId, list[Event]]:
    groups: dict[TenantId, list[Event]] = {}
    for event in events:
        groups.setdefault(event.tenant, []).append(event)
    return groups


def _load_tenant(
    tenant: TenantId, events: Sequence[Event], store: CustomerStore, keys: KeyRing, shop: Shop, refs_of: RefsOf
) -> Loaded:
    told = [refs_of(event, keys) for event in events]
    rows_of = store.pointers(tenant, {ref for some in told for ref in some})
    known = {ref: named_in(row) for ref, row in rows_of.items()}
    unowned = {ref for ref, row in rows_of.items() if items.is_nobodys(row)}
    refs = [identity.naming(event, some, unowned) for event, some in zip(events, told, strict=True)]
    groups = _components(refs)
    changes: list[Change] = []
    members: list[list[Event]] = []
    meet: dict[CustomerId, tuple[Record, list[Event]]] = {}
    alone: list[list[Event]] = []
    for positions in groups:
        group = [events[position] for position in positions]
        names = {ref for position in positions for ref in refs[position]}
        ids = {known[ref] for ref in names if ref in known}
        if _accounts(names) > 1 or names & unowned:
            alone.append(group)
            continue
        said = rules.join(identity.record_of(events[at], refs[at], keys) for at in positions)
        said = replace(said, nobodys=frozenset(ref for at in positions for ref in told[at] if ref in unowned))
        if not ids:
            historical = all(event.historical for event in group)
            change = _change(tenant, (), said, frozenset(names), shop, group[0], historical=historical)
            if change:
                changes.append(change)
                members.append(group)
        elif len(ids) == 1 and names <= known.keys() and not ids & meet.keys():
            meet[ids.pop()] = said, group
        else:
            alone.append(group)
    unchanged = store.knows(tenant, {customer_id: said for customer_id, (said, _) in meet.items()})
    alone += [group for customer_id, (_, group) in meet.items() if customer_id not in unchanged]
    rows, refused = store.commit_each(changes)
    alone += [members[position] for position in refused]
    for group in alone:
        rows += _load_group(tenant, group, store, keys, shop)
    return Loaded(len(groups), rows, len(unchanged))


def _load_group(tenant: TenantId, events: Sequence[Event], store: CustomerStore, keys: KeyRing, shop: Shop) -> int:
    """Persons who are (partly) known already: all their events in one change, where nobody must be told apart."""
    refs = [identity.refs_of(event, keys) for event in events]
    names = {ref for some in refs for ref in some}
    said = rules.join(identity.record_of(event, some, keys) for event, some in zip(events, refs, strict=True))
    historical = all(event.historical for event in events)
    for attempt in range(_ATTEMPTS):
        found = _look_up(store, events[0], sorted(names), repeated=attempt > 0)
        people, shared = _sides(store, tenant, found)
        if _accounts(names) > 1 or found.nobodys or (shared and not all(_accounts(some) for some in refs)):
            return sum(len(apply(event, store, keys, shop).changed) for event in events)
        mine = replace(said, refs=found.refs - shared.keys())
        mine = _sharing(mine, people, shared, events[0], Lookup(store, tenant, *people)) if shared else mine
        change = _change(tenant, people, mine, found.fresh, shop, events[0], historical=historical)
        try:
            rows = len(store.commit(change, together=True)) if change else 0
        except ConflictError:
            continue
        if change:
            _spread(events[0], change.person, shared, store, shop)
            if not _disown(change.person, shared, store):
                continue
        return rows
    raise ConflictError("too many workers on one person; load the history again")


def _accounts(refs: Iterable[Ref]) -> int:
    return sum(rules.has_account([ref]) for ref in refs)


def _loaded(store: CustomerStore, tenant: TenantId, customer_id: CustomerId, refs: frozenset[Ref]) -> StoredPerson:
    """Somebody as stored; with the refs that name them already where their worker died, or is about to write."""
    person = store.load(tenant, customer_id) or StoredPerson(tenant, customer_id, Record())
    return person if person.rev else replace(person, record=replace(person.record, refs=person.record.refs | refs))


def _people(store: CustomerStore, tenant: TenantId, looked_up: _Found) -> dict[CustomerId, StoredPerson]:
    """The persons that refs lead to, by each of these ids, whatever ids they had before."""
    ids, known = sorted(looked_up.ids), looked_up.known
    found = {said: _loaded(store, tenant, said, known.get(said, frozenset())) for said in ids}
    led: dict[CustomerId, dict[CustomerId, int]] = {}
    for person in found.values():
        led.setdefault(person.customer_id, {}).update(person.found_by)
    return {said: replace(person, found_by=led[person.customer_id]) for said, person in found.items()}


def _each(people: Mapping[CustomerId, StoredPerson]) -> list[StoredPerson]:
    """Each of them once."""
    return list({person.customer_id: person for person in people.values()}.values())


def _components(refs: Sequence[Sequence[Ref]]) -> list[list[int]]:
    """Positions of the events of each person, in order of first appearance; events without refs are left out."""
    parents: dict[Ref, Ref] = {}
    for some in refs:
        for ref in some:
            _unite(parents, some[0], ref)
    groups: dict[Ref, list[int]] = {}
    for position, some in enumerate(refs):
        if some:
            groups.setdefault(_root(parents, some[0]), []).append(position)
    return list(groups.values())


def _root(parents: dict[Ref, Ref], ref: Ref) -> Ref:
    parents.setdefault(ref, ref)
    while parents[ref] != ref:
        parents[ref] = parents[parents[ref]]
        ref = parents[ref]
    return ref


def _unite(parents: dict[Ref, Ref], one: Ref, other: Ref) -> None:
    parents[_root(parents, other)] = _root(parents, one)


# --- the definition --------------------------------------------------------------------------------------------------
def fold_all(
    events: Iterable[Event],
    keys: KeyRing,
    shop: Shop,
    now: datetime | None = None,
    refs_of: RefsOf = identity.refs_of,
) -> dict[CustomerId, PersonState]:
    """The state that a set of events amounts to, from nothing, in memory (one tenant).

    Aliases and revisions, which tell how a table came to its state, are empty. `now` decides about pauses after soft
    bounces; without it they count as over. `refs_of` is for events that come without personal data.
    """
    reference = _Reference(keys, shop, refs_of)
    for event in sorted(events, key=lambda e: (e.occurred_at, e.received_at, e.event_id)):
        reference.add(nobodys.unsaid(event, shop, keys))
    return reference.people(now or datetime.max.replace(tzinfo=UTC))


@dataclass(frozen=True, slots=True)
class _Everybody:
    """The persons of the reference, looked up as in a store."""

    people: Mapping[Ref, StoredPerson]
    parents: dict[Ref, Ref]
    named: Mapping[CustomerId, Ref]
    nobodys: Collection[Ref]

    def by_id(self, customer_id: CustomerId) -> StoredPerson | None:
        """By any id they ever had."""
        return self.people.get(_root(self.parents, self.named[customer_id]))

    def by_ref(self, ref: Ref) -> StoredPerson | None:
        """By a ref."""
        return self.people.get(_root(self.parents, ref)) if ref not in self.nobodys else None


class _Reference:
    """Components of refs and the join of what their events say, in the order things happened."""

    def __init__(self, keys: KeyRing, shop: Shop, refs_of: RefsOf) -> None:
        self._keys, self._shop, self._refs_of = keys, shop, refs_of
        self._parents: dict[Ref, Ref] = {}
        self._records: dict[Ref, Record] = {}
        self._named: dict[CustomerId, Ref] = {}
        self._suppressions: dict[tuple[str, str], Suppression] = {}
        """(channel, address) → what was said of it."""
        self._nobodys: frozenset[Ref] = frozenset()

    def people(self, now: datetime) -> dict[CustomerId, PersonState]:
        """Everybody, as known now."""
        alone = {root: self._person(self._with_erasures(record)) for root, record in self._records.items()}
        people = _Everybody(alone, self._parents, self._named, self._nobodys)
        states = (self._state(whole(person, people), now) for person in alone.values())
        return {state.profile.customer_id: state for state in states}

    def _with_erasures(self, record: Record) -> Record:
        """A browser forgets what happened in it before anybody seen there was erased."""
        roots = {_root(self._parents, Ref(ref)) for ref in record.claims}
        times = [since for root in roots if root in self._records and (since := self._records[root].erased_at)]
        return rules.settle(rules.join([record, Record(erased_at=max(times))])) if times else record

    def _person(self, record: Record) -> StoredPerson:
        return StoredPerson(self._shop.tenant, rules.canonical_id(record.refs), record, self._shop.currency)

    def _state(self, person: StoredPerson, now: datetime) -> PersonState:
        said = {each: self._suppressions.get(each, Suppression()) for each in suppressible(person).items()}
        blocked = frozenset(channel for (channel, _), known in said.items() if rules.suppressed(known, now))
        return state_of(replace(person, aliases=frozenset(), joins={}), blocked)

    def add(self, event: Event) -> None:
        """One event more."""
        if event.event_type in _COMMANDS or event.event_type in _SAYS_NOTHING:
            return
        for named in identity.linked_people(event) or (identity.named_person(event),):
            self._add(event, named)

    def _add(self, event: Event, named: CustomerId | None) -> None:
        unsaid = nobodys.named(self._shop)
        told, browsers = identity.browsers(ref for ref in self._refs_of(event, self._keys) if ref not in unsaid)
        refs = identity.naming(event, told, self._nobodys)
        roots, shared = self._roots(event, named, refs)
        if event.event_type in _BLOCKS:
            self._suppress(event, roots)
        if event.event_type is EventType.MESSAGE_BOUNCED:
            return
        for browser in browsers:
            self._join({_root(self._parents, browser)}, _seen(event, browser, refs))
        if not roots:
            return
        said = identity.record_of(event, set(refs) - shared.keys(), self._keys)
        claim = Claim(event.occurred_at, event.event_id)
        said = replace(said, nobodys=self._nobodys.intersection(told), visitors=dict.fromkeys(browsers, claim))
        self._tell(roots, said, shared, event)

    def _tell(self, roots: set[Ref], said: Record, shared: Mapping[Ref, Ref], event: Event) -> None:
        """What is said of somebody, and of those with whom they have something in common."""
        if shared:
            people = [self._person(self._records[root]) for root in roots if root in self._records]
            others = {ref: self._person(self._records[root]) for ref, root in shared.items()}
            said = _sharing(said, people, others, event, self._everybody())
        self._join(roots, said)
        root = _root(self._parents, min(roots))
        for other in set(shared.values()):
            about = _about(said, {rules.canonical_id(self._records[other].refs)})
            self._join({other}, Record(evidence=about))
        if shared:
            self._disown(root, shared)
        self._erase_with(root)

    def _disown(self, root: Ref, shared: Iterable[Ref]) -> None:
        """What too many have in common is nobody's."""
        everybody = self._everybody()
        person = self._person(self._records[root])
        self._nobodys |= {ref for ref in shared if is_nobodys(ref, having(ref, person, everybody))}

    def _erase_with(self, root: Ref) -> None:
        """An erasure reaches everybody who is one by evidence."""
        erased_at, pending, reached = self._records[root].erased_at, [root], {root}
        while erased_at and pending:
            person = self._person(self._records[pending.pop()])
            others = joined_by_evidence(person, self._everybody()) if person.record.evidence else []
            ends = {_root(self._parents, self._named[other.customer_id]) for other in others} - reached
            for end in ends:
                self._join({end}, Record(erased_at=erased_at))
            pending, reached = [*pending, *ends], reached | ends

    def _everybody(self) -> _Everybody:
        alone = {root: self._person(record) for root, record in self._records.items()}
        return _Everybody(alone, self._parents, self._named, self._nobodys)

    def _join(self, roots: set[Ref], said: Record) -> None:
        for root in roots:
            _unite(self._parents, min(roots), root)
        known = [self._records.pop(root) for root in roots if root in self._records]
        together = rules.join([*known, said])
        self._records[_root(self._parents, min(roots))] = rules.settle(together)
        for ref in together.refs:
            self._named[rules.canonical_id([ref])] = ref

    def _roots(self, event: Event, named: CustomerId | None, refs: Sequence[Ref]) -> tuple[set[Ref], Mapping[Ref, Ref]]:
        """Of the components that are the person an event is about; and of those that have which refs in common."""
        if not named:
            roots = {ref: _root(self._parents, ref) for ref in refs}
            owners = {ref: root for ref, root in roots.items() if root in self._records}
            apart = divide(refs, owners, self._records)
            return set(roots.values()) - apart, {ref: root for ref, root in owners.items() if root in apart}
        if named in self._named:
            return {_root(self._parents, self._named[named])}, {}
        if event.event_type is EventType.MESSAGE_BOUNCED:
            return set(), {}
        raise NotFoundError(f"event {event.event_id} names person {named}, who is unknown here")

    def _suppress(self, event: Event, roots: set[Ref]) -> None:
        if not isinstance(event.facts, MessageFacts):
            return
        said = rules.normalise_email(event.person.email)
        known = address_of(self._person(self._records[min(roots)]), event.facts.channel) if roots else ""
        address = event.facts.channel, identity.address_ref(event.tenant, said, self._keys) if said else known
        before = self._suppressions.get(address, Suppression())
        self._suppressions[address] = rules.merge_suppressions(before, suppression_of(event))
