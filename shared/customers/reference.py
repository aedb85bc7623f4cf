"""The definition of what a set of events amounts to: one thread, no tables, the order in which things happened."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime

from shared.core.errors import NotFoundError
from shared.core.ids import CustomerId, Ref
from shared.core.keys import KeyRing
from shared.core.shop import Shop
from shared.customers import identity, nobodys, rules
from shared.customers.addresses import normalise_email
from shared.customers.components import root_of, unite
from shared.customers.evidence import divide, evidence_about, with_evidence
from shared.customers.items import StoredPerson, address_of, state_of, suppressible
from shared.customers.links import having, is_nobodys, joined_by_evidence, whole
from shared.customers.model import Claim, PersonState, Record, Suppression
from shared.ingest.model import Event, EventType, MessageFacts


def fold_all(
    events: Iterable[Event],
    keys: KeyRing,
    shop: Shop,
    now: datetime | None = None,
    refs_of: identity.RefsOf = identity.refs_of,
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
        return self.people.get(root_of(self.parents, self.named[customer_id]))

    def by_ref(self, ref: Ref) -> StoredPerson | None:
        """By a ref."""
        return self.people.get(root_of(self.parents, ref)) if ref not in self.nobodys else None


class _Reference:
    """Components of refs and the join of what their events say, in the order things happened."""

    def __init__(self, keys: KeyRing, shop: Shop, refs_of: identity.RefsOf) -> None:
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
        roots = {root_of(self._parents, Ref(ref)) for ref in record.claims}
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
        if event.event_type in identity.COMMANDS or event.event_type in identity.SAYS_NOTHING:
            return
        for named in identity.linked_people(event) or (identity.named_person(event),):
            self._add(event, named)

    def _add(self, event: Event, named: CustomerId | None) -> None:
        unsaid = nobodys.named(self._shop)
        told, browsers = identity.browsers(ref for ref in self._refs_of(event, self._keys) if ref not in unsaid)
        refs = identity.naming(event, told, self._nobodys)
        roots, shared = self._roots(event, named, refs)
        if event.event_type in identity.BLOCKS:
            self._suppress(event, roots)
        if event.event_type is EventType.MESSAGE_BOUNCED:
            return
        for browser in browsers:
            self._join({root_of(self._parents, browser)}, identity.seen_in(event, browser, refs))
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
            said = with_evidence(said, people, others, event, self._everybody())
        self._join(roots, said)
        root = root_of(self._parents, min(roots))
        for other in set(shared.values()):
            about = evidence_about(said, {rules.canonical_id(self._records[other].refs)})
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
            ends = {root_of(self._parents, self._named[other.customer_id]) for other in others} - reached
            for end in ends:
                self._join({end}, Record(erased_at=erased_at))
            pending, reached = [*pending, *ends], reached | ends

    def _everybody(self) -> _Everybody:
        alone = {root: self._person(record) for root, record in self._records.items()}
        return _Everybody(alone, self._parents, self._named, self._nobodys)

    def _join(self, roots: set[Ref], said: Record) -> None:
        for root in roots:
            unite(self._parents, min(roots), root)
        known = [self._records.pop(root) for root in roots if root in self._records]
        together = rules.join([*known, said])
        self._records[root_of(self._parents, min(roots))] = rules.settle(together)
        for ref in together.refs:
            self._named[rules.canonical_id([ref])] = ref

    def _roots(self, event: Event, named: CustomerId | None, refs: Sequence[Ref]) -> tuple[set[Ref], Mapping[Ref, Ref]]:
        """Of the components that are the person an event is about; and of those that have which refs in common."""
        if not named:
            roots = {ref: root_of(self._parents, ref) for ref in refs}
            owners = {ref: root for ref, root in roots.items() if root in self._records}
            apart = divide(refs, owners, self._records)
            return set(roots.values()) - apart, {ref: root for ref, root in owners.items() if root in apart}
        if named in self._named:
            return {root_of(self._parents, self._named[named])}, {}
        if event.event_type is EventType.MESSAGE_BOUNCED:
            return set(), {}
        raise NotFoundError(f"event {event.event_id} names person {named}, who is unknown here")

    def _suppress(self, event: Event, roots: set[Ref]) -> None:
        if not isinstance(event.facts, MessageFacts):
            return
        said = normalise_email(event.person.email)
        known = address_of(self._person(self._records[min(roots)]), event.facts.channel) if roots else ""
        address = event.facts.channel, identity.address_ref(event.tenant, said, self._keys) if said else known
        before = self._suppressions.get(address, Suppression())
        self._suppressions[address] = rules.merge_suppressions(before, identity.suppression_of(event))
