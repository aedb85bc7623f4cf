"""An event becomes what the shop knows of its customer.

However events arrive (one by one, as a history: `load.py`, in any order, twice, replayed), the result is the one of
`reference.py`, which is the definition.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from shared.core.errors import NotFoundError
from shared.core.ids import CustomerId, Ref, TenantId
from shared.core.keys import KeyRing
from shared.core.shop import Shop
from shared.core.telemetry import logger
from shared.customers import identity, items, nobodys, rules
from shared.customers.addresses import normalise_email
from shared.customers.evidence import divide, evidence_about, ids_of, with_evidence
from shared.customers.items import StoredPerson, address_of, is_visitor, named_in, refs_in
from shared.customers.links import having, is_nobodys, joined_by_evidence
from shared.customers.model import Claim, Join, Record
from shared.customers.plan import Change
from shared.customers.rows import ConflictError
from shared.customers.store import CustomerStore, Lookup
from shared.ingest.model import Event, EventType, MessageFacts

ATTEMPTS = 25
"""Of n workers on one person one wins each round, so this many may meet."""


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of an event: whom it is about, and the rows that changed (none: it was known already)."""

    customer_id: CustomerId | None
    changed: tuple[str, ...] = ()
    forgotten: bool = False
    """It was said up to the erasure of its person: its body must not be kept either."""
    with_them: tuple[CustomerId, ...] = ()
    """Who is one with the person by evidence, and was erased with them."""


def apply(event: Event, store: CustomerStore, keys: KeyRing, shop: Shop) -> Applied:
    """Let one event change what is known. Idempotent; in any order; safe beside other workers and after a crash.

    Raises UnavailableError when the table is busy, NotFoundError when an event of ours names an unknown person.
    """
    event = nobodys.unsaid(event, shop, keys)
    if event.event_type in identity.COMMANDS:
        return _queue(event, store)
    if event.event_type in identity.SAYS_NOTHING:
        return Applied(None)
    changed: tuple[str, ...] = ()
    if event.event_type in identity.BLOCKS:
        changed = _suppress(event, store, keys)
        if event.event_type is EventType.MESSAGE_BOUNCED:
            return Applied(identity.named_person(event), changed)
    if event.event_type in identity.LINKS:
        return _link(event, store, keys, shop)
    done = _commit(event, identity.named_person(event), store, keys, shop)
    return replace(done, changed=(*changed, *done.changed))


def _commit(event: Event, named: CustomerId | None, store: CustomerStore, keys: KeyRing, shop: Shop) -> Applied:
    """What an event says about its person, and then about the browser it happened in."""
    refs, browsers = identity.browsers(identity.refs_of(event, keys))
    for attempt in range(ATTEMPTS):
        found = look_up(store, event, refs, repeated=attempt > 0)
        change, shared = _decide(event, named, found, browsers, store, keys, shop)
        try:
            changed = store.commit(change) if change else ()
        except ConflictError:
            continue
        person = change.person if change else None
        with_them = spread(event, person, shared, store, shop) if person else []
        if person and not disown(person, shared, store):
            continue
        erased_at = person.record.erased_at if person else None
        seen = set(browsers)
        if person and erased_at:
            seen |= {Ref(ref) for each in (person, *with_them) for ref in each.record.visitors}
        for browser in sorted(seen):
            said = identity.seen_in(event, browser, found.refs) if browser in browsers else Record()
            changed += _note(event, browser, replace(said, erased_at=erased_at), store, shop)
        forgotten = erased_at is not None and event.occurred_at <= erased_at
        ids = tuple(each.customer_id for each in with_them)
        return Applied(person.customer_id if person else None, changed, forgotten, ids)
    raise ConflictError("too many workers on one person; the event is retried")


def _note(event: Event, browser: Ref, said: Record, store: CustomerStore, shop: Shop) -> tuple[str, ...]:
    """Keep what is said of a browser with the browser."""
    for attempt in range(ATTEMPTS):
        found = look_up(store, event, [browser], repeated=attempt > 0)
        people = _each(_people(store, event.tenant, found))
        change = change_of(event.tenant, people, replace(said, refs=found.refs), found.fresh, shop, event)
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
    found: Found,
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
        people, shared = sides(store, tenant, found)
    said = identity.record_of(event, found.refs - shared.keys(), keys)
    said = replace(
        said, nobodys=found.nobodys, visitors=dict.fromkeys(browsers, Claim(event.occurred_at, event.event_id))
    )
    if shared:
        said = with_evidence(said, people, shared, event, Lookup(store, tenant, *people))
    return change_of(tenant, people, said, found.fresh, shop, event), shared


def sides(store: CustomerStore, tenant: TenantId, found: Found) -> tuple[list[StoredPerson], dict[Ref, StoredPerson]]:
    """Who is one with the person of an event, and who only has refs in common with them."""
    people = _people(store, tenant, found)
    owners = {ref: people[said] for ref, said in found.claimed.items()}
    ids = {ref: owner.customer_id for ref, owner in owners.items()}
    apart = divide({*owners, *found.fresh}, ids, {each.customer_id: each.record for each in people.values()})
    return (
        [each for each in _each(people) if each.customer_id not in apart],
        {ref: owner for ref, owner in owners.items() if owner.customer_id in apart},
    )


def spread(
    event: Event, person: StoredPerson, shared: Mapping[Ref, StoredPerson], store: CustomerStore, shop: Shop
) -> list[StoredPerson]:
    """Evidence stands with both, and an erasure reaches everybody who is one by evidence: who that was."""
    for other in {each.customer_id: each for each in shared.values()}.values():
        about = evidence_about(person.record, ids_of(other))
        if about != evidence_about(other.record, ids_of(person)):
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


def disown(person: StoredPerson, shared: Iterable[Ref], store: CustomerStore) -> bool:
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


def _tell(event: Event, other: StoredPerson, said: Record, store: CustomerStore, shop: Shop) -> StoredPerson:
    """Keep with somebody what an event about another says of them."""
    for _ in range(ATTEMPTS):
        person = _loaded(store, event.tenant, other.customer_id, other.record.refs)
        change = change_of(event.tenant, [person], said, frozenset(), shop, event)
        try:
            if change:
                store.commit(change)
        except ConflictError:
            continue
        return change.person if change else person
    raise ConflictError("too many workers on one person; the event is retried")


@dataclass(frozen=True, slots=True)
class Found:
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
        """What names the person of the event."""
        return frozenset(self.claimed) | self.fresh


def look_up(store: CustomerStore, event: Event, refs: Sequence[Ref], *, repeated: bool) -> Found:
    """Read whom the refs of an event name. `repeated`: something was not as it was read a moment ago."""
    rows = store.pointers(event.tenant, refs)
    unowned = frozenset(ref for ref, row in rows.items() if items.is_nobodys(row))
    naming = identity.naming(event, refs, unowned)
    claimed = {ref: named_in(rows[ref]) for ref in naming if ref in rows}
    known: dict[CustomerId, frozenset[Ref]] = {}
    for ref, who in claimed.items():
        known[who] = known.get(who, frozenset()) | refs_in(rows[ref])
    return Found(claimed, frozenset(naming) - claimed.keys(), repeated, known, unowned)


def _loaded(store: CustomerStore, tenant: TenantId, customer_id: CustomerId, refs: frozenset[Ref]) -> StoredPerson:
    """Somebody as stored; with the refs that name them already where their worker died, or is about to write."""
    person = store.load(tenant, customer_id) or StoredPerson(tenant, customer_id, Record())
    return person if person.rev else replace(person, record=replace(person.record, refs=person.record.refs | refs))


def _people(store: CustomerStore, tenant: TenantId, looked_up: Found) -> dict[CustomerId, StoredPerson]:
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


def change_of(
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
    command = identity.COMMANDS[event.event_type]
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
    said = identity.suppression_of(event)
    return ("suppressed",) if store.add_suppression(event.tenant, facts.channel, Ref(address), said) else ()


def _address(event: Event, channel: str, store: CustomerStore, keys: KeyRing) -> str:
    """Digest of the address a report is about: SES repeats it, a receipt of a text does not."""
    said = normalise_email(event.person.email)
    if said:
        return identity.address_ref(event.tenant, said, keys)
    named = identity.named_person(event)
    person = store.load(event.tenant, named) if named else None
    return address_of(person, channel) if person else ""
