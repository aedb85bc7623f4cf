"""A history at once (一括取込): the same as its events one by one, in a fraction of the calls."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from shared.core.ids import CustomerId, Ref, TenantId
from shared.core.keys import KeyRing
from shared.core.shop import Shop
from shared.customers import fold, identity, items, nobodys, rules
from shared.customers.components import components
from shared.customers.evidence import with_evidence
from shared.customers.items import named_in
from shared.customers.model import Record
from shared.customers.plan import Change
from shared.customers.rows import ConflictError
from shared.customers.store import CustomerStore, Lookup
from shared.ingest.model import Event, EventType

_SPECIAL = frozenset(
    {*identity.COMMANDS, *identity.SAYS_NOTHING, *identity.BLOCKS, *identity.LINKS, EventType.PERSON_ERASED}
)
"""What is about more than one person's record, or about none."""


@dataclass(frozen=True, slots=True)
class Loaded:
    """What became of a history: persons named, rows written, persons about whom nothing was new."""

    people: int
    rows_written: int
    unchanged: int


def load(
    events: Iterable[Event],
    store: CustomerStore,
    keys: KeyRing,
    shop: Shop,
    refs_of: identity.RefsOf = identity.refs_of,
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
        rows += len(fold.apply(event, store, keys, shop).changed)
    return Loaded(people, rows, unchanged)


def _is_plain(event: Event) -> bool:
    return (
        event.event_type not in _SPECIAL
        and identity.named_person(event) is None
        and not any(key.startswith("visitor/") for key in event.person.anonymous_ids)
    )


def _by_tenant(events: Iterable[Event]) -> dict[TenantId, list[Event]]:
    groups: dict[TenantId, list[Event]] = {}
    for event in events:
        groups.setdefault(event.tenant, []).append(event)
    return groups


def _load_tenant(
    tenant: TenantId, events: Sequence[Event], store: CustomerStore, keys: KeyRing, shop: Shop, refs_of: identity.RefsOf
) -> Loaded:
    told = [refs_of(event, keys) for event in events]
    rows_of = store.pointers(tenant, {ref for some in told for ref in some})
    known = {ref: named_in(row) for ref, row in rows_of.items()}
    unowned = {ref for ref, row in rows_of.items() if items.is_nobodys(row)}
    refs = [identity.naming(event, some, unowned) for event, some in zip(events, told, strict=True)]
    groups = components(refs)
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
            change = fold.change_of(tenant, (), said, frozenset(names), shop, group[0], historical=historical)
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
    for attempt in range(fold.ATTEMPTS):
        found = fold.look_up(store, events[0], sorted(names), repeated=attempt > 0)
        people, shared = fold.sides(store, tenant, found)
        if _accounts(names) > 1 or found.nobodys or (shared and not all(_accounts(some) for some in refs)):
            return sum(len(fold.apply(event, store, keys, shop).changed) for event in events)
        mine = replace(said, refs=found.refs - shared.keys())
        mine = with_evidence(mine, people, shared, events[0], Lookup(store, tenant, *people)) if shared else mine
        change = fold.change_of(tenant, people, mine, found.fresh, shop, events[0], historical=historical)
        try:
            rows = len(store.commit(change, together=True)) if change else 0
        except ConflictError:
            continue
        if change:
            fold.spread(events[0], change.person, shared, store, shop)
            if not fold.disown(change.person, shared, store):
                continue
        return rows
    raise ConflictError("too many workers on one person; load the history again")


def _accounts(refs: Iterable[Ref]) -> int:
    return sum(rules.has_account([ref]) for ref in refs)
