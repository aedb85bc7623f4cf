"""Two persons whom somebody decided to be one (名寄せ), and the way back (取り消し).

A decision joins what is read, not what is stored: each person keeps their own rows, so taking the decision back
restores exactly what was, whatever has happened to either of them since. Of the decisions about one pair the latest
counts; evidence in events (a shared mail address) joins for good.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime

from shared.core.ids import CustomerId
from shared.customers import rules
from shared.customers.items import StoredPerson
from shared.customers.model import Record


def linked_ids(people: Iterable[StoredPerson]) -> set[CustomerId]:
    """The ids that decisions join these persons with, their own among them."""
    decisions = (each for person in people for each in person.record.decisions.values() if each.joined)
    return {end for each in decisions for end in (each.one, each.other)}


def as_one(people: Sequence[StoredPerson]) -> StoredPerson:
    """What is known of them together, under the id of the strongest of their keys."""
    if len(people) == 1:
        return people[0]
    whole = rules.join(replace(person.record, erased_at=None) for person in people)
    customer_id = rules.canonical_id(ref for person in people for ref in person.record.refs)
    kept = next(person for person in people if person.customer_id == customer_id)
    return replace(
        kept,
        record=replace(whole, erased_at=_erased(person.record for person in people)),
        aliases=frozenset().union(*(p.aliases | {p.customer_id} for p in people)) - {customer_id},
        joins={gone: how for person in people for gone, how in person.joins.items()},
        scores=kept.scores or max((p.scores for p in people if p.scores), key=lambda s: s.as_of, default=None),
    )


def _erased(records: Iterable[Record]) -> datetime | None:
    """Forgotten only when all of them are."""
    times = [record.erased_at for record in records]
    return max((at for at in times if at), default=None) if all(times) else None
