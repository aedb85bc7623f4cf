"""Two with a customer number each have something in common: no reason to be one for good, and kept with both."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import TypeVar

from shared.core.ids import CustomerId, Ref
from shared.customers import rules
from shared.customers.items import StoredPerson
from shared.customers.links import People, are_parted
from shared.customers.model import Evidence, Record
from shared.ingest.model import Event

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


def with_evidence(
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
    ends = ids_of(other)
    known = [(each.one, each.other) for person in people for each in person.record.evidence.values()]
    one, two = min((pair for pair in known if ends & set(pair)), default=sorted((mine, other.customer_id)))
    refs = sorted(ref for ref, owner in shared.items() if owner.customer_id == other.customer_id)
    return Evidence(one, two, tuple(refs), event.occurred_at, event.event_id)


def ids_of(person: StoredPerson) -> set[CustomerId]:
    """Every id somebody has or had."""
    return {person.customer_id, *person.aliases}


def evidence_about(record: Record, other: set[CustomerId]) -> dict[str, Evidence]:
    """What a record says of somebody else with these ids."""
    return {key: each for key, each in record.evidence.items() if other & {each.one, each.other}}
