"""People who were there before a date scenario was (既存のお客様の登録): armed once, as if their row had just changed.

The trigger arms a birthday or a renewal when the row that says it changes; whoever came with an import, or before the
scenario, has no such change. Repeating it arms nobody twice (an enrolment is one for ever); dates gone by are passed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from itertools import islice

from shared.core.errors import RejectedError
from shared.core.ids import CustomerId, TenantId
from shared.customers.model import PersonState
from shared.scenarios.entries import arrivals
from shared.scenarios.rules import EntryRule
from shared.scenarios.trigger import DueIndex, enrol

AT_ONCE = 500
_WORKERS = 16


@dataclass(frozen=True, slots=True)
class Seeded:
    """How far it is."""

    people: int
    armed: int


def seed(
    rule: EntryRule,
    tenant: TenantId,
    people: Iterable[CustomerId],
    person: Callable[[TenantId, CustomerId], PersonState | None],
    store: DueIndex,
    timezone: str,
    now: datetime,
) -> Iterator[Seeded]:
    """Arm them, telling the progress every AT_ONCE people. Raises RejectedError for an entry that is no date."""
    if rule.entry.date is None:
        raise RejectedError(f"{rule.scenario} lets people in by {rule.entry.event.value}, not by a date they have")

    def one(customer_id: CustomerId) -> int:
        found = person(tenant, customer_id)
        due = arrivals(rule.entry, found, timezone, now) if found and not found.profile.erased else []
        return sum(enrol(tenant, customer_id, arrival, rule, store) for arrival in due)

    waiting, seen, armed = iter(people), 0, 0
    with ThreadPoolExecutor(_WORKERS) as pool:
        while chunk := list(islice(waiting, AT_ONCE)):
            armed += sum(pool.map(one, chunk))
            seen += len(chunk)
            yield Seeded(seen, armed)
