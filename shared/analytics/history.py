"""Imported history into live state and lake at once; it never passes through the streams."""

from __future__ import annotations

import gc
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from shared.analytics.archive import archive_history
from shared.analytics.lake import Objects
from shared.analytics.person_rows import TableRow, Written, order_rows
from shared.core.clock import Clock
from shared.core.errors import NotFoundError, RejectedError
from shared.core.ids import Ref, TenantId
from shared.core.keys import KeyRing
from shared.core.shop import Shop
from shared.core.telemetry import logger
from shared.customers import identity, nobodys, rules
from shared.customers.batch import BatchRows, OvertakenError
from shared.customers.items import is_nobodys, named_in
from shared.customers.load import load
from shared.customers.model import Order
from shared.customers.rows import ConflictError, Put, Row
from shared.customers.store import CustomerStore
from shared.ingest.history import loaded_mark, read_chunk
from shared.ingest.model import Event

OrderKey = tuple[str, str, str]
Refs = Mapping[str, tuple[Ref, ...]]
"""By event id: made once, for they cost more than the rest."""


@dataclass(frozen=True)
class HistoryDeps:
    """Where history comes from and goes to."""

    lake: Objects
    work: Objects
    customers: CustomerStore
    keys: KeyRing
    shop: Shop
    clock: Clock


class _RememberedRows(BatchRows):
    """What was read or written for a chunk is not read again; writes go out at once, as a history's always do."""

    def put(self, put: Put) -> None:
        """Write one row. Raises OvertakenError when somebody else was first."""
        try:
            self._rows.put(put)
        except ConflictError as error:
            raise OvertakenError from error
        self._forget(put)


def load_chunk(import_id: str, key: str, deps: HistoryDeps) -> dict[str, int]:
    """Fold a chunk into the live state and archive its events and order states.

    Safe to repeat and to kill anywhere: a finished chunk is marked, an unfinished one is done again to the same end.
    Returns how many orders it holds and how many of them were new or different.
    """
    with _uncollected():
        return _load(import_id, key, deps)


def _load(import_id: str, key: str, deps: HistoryDeps) -> dict[str, int]:
    events = [nobodys.unsaid(event, deps.shop, deps.keys) for event in read_chunk(deps.work.get(key))]
    if any(event.tenant != deps.shop.tenant for event in events):
        raise RejectedError(f"chunk {key!r} holds events of another shop")
    done = loaded_mark(key)
    if _exists(deps.work, done):
        return {"orders": len(events), "changed": 0}
    events = [event for event in events if _of_somebody(event, deps)]
    refs: Refs = {event.event_id: identity.refs_of(event, deps.keys) for event in events}
    remembered = replace(deps, customers=deps.customers.over(_RememberedRows(deps.customers.rows)))
    before = _known_orders(remembered.customers, deps.shop.tenant, refs.values())
    try:
        changed, states = _fold(events, refs, before, remembered)
    except OvertakenError:
        # Somebody of these bought or was joined meanwhile: everything is read as it is.
        changed, states = _fold(events, refs, before, deps)
    told = ((event, refs[event.event_id]) for event in events)
    archive_history(deps.shop.tenant, import_id, told, states, deps.lake, deps.shop)
    # Last: until it is there, the chunk counts as not done.
    deps.work.put(done, b"")
    return {"orders": len(events), "changed": changed}


def _of_somebody(event: Event, deps: HistoryDeps) -> bool:
    """Not about a customer id of ours that nobody has: a file of another shop must not stop the rest of it."""
    named = identity.named_person(event)
    if named is None or deps.customers.profile(event.tenant, named) is not None:
        return True
    logger("analytics").warning("imported about nobody we know", extra={"event_id": event.event_id})
    return False


@contextmanager
def _uncollected() -> Iterator[None]:
    """What a chunk is made into stays until the chunk is done: looking through it for cycles is a fifth of the time."""
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


def _fold(
    events: Sequence[Event], refs: Refs, before: Mapping[OrderKey, Order], deps: HistoryDeps
) -> tuple[int, list[TableRow]]:
    """Fold the events into the live state; how many orders changed, and the rows of all."""
    load(events, deps.customers, deps.keys, deps.shop, lambda event, _: refs[event.event_id])
    orders = _orders(events, refs, before)
    rows = deps.customers.pointers(deps.shop.tenant, {ref for some in refs.values() for ref in some})
    changed = sum(before.get(key) != order for key, (order, _) in orders.items())
    return changed, list(_states(orders, before, rows, deps))


def _exists(objects: Objects, key: str) -> bool:
    return any(stored.key == key for stored in objects.list(key))


def _known_orders(store: CustomerStore, tenant: TenantId, refs: Iterable[Sequence[Ref]]) -> dict[OrderKey, Order]:
    """The orders of the people already known among these refs: none, on a first import."""
    ids = {named_in(row) for row in store.pointers(tenant, {ref for some in refs for ref in some}).values()}
    people = (store.person(tenant, customer_id) for customer_id in sorted(ids))
    return {_order_key(order): order for person in people if person for order in person.orders}


def _order_key(order: Order) -> OrderKey:
    return order.source, order.store, order.order_id


def _orders(
    events: Sequence[Event],
    refs: Refs,
    before: Mapping[OrderKey, Order],
) -> dict[OrderKey, tuple[Order, Sequence[Ref]]]:
    """Every order of the chunk as it stands now, with the refs of its buyer."""
    found: dict[OrderKey, tuple[Order, Sequence[Ref]]] = {}
    for event in events:
        for order in identity.orders_of(event):
            key = _order_key(order)
            known = found[key][0] if key in found else before.get(key)
            found[key] = (rules.merge_orders(known, order) if known else order), refs[event.event_id]
    return found


def _states(
    orders: Mapping[OrderKey, tuple[Order, Sequence[Ref]]],
    before: Mapping[OrderKey, Order],
    rows: Mapping[Ref, Row],
    deps: HistoryDeps,
) -> Iterator[TableRow]:
    now, unowned = deps.clock.now(), {ref for ref, row in rows.items() if is_nobodys(row)}
    for key, (order, refs) in orders.items():
        row = next((rows[ref] for ref in rules.naming(refs, unowned) if ref in rows), None)
        if row is None:
            raise NotFoundError(f"order {order.order_id} was folded but names nobody; load the chunk again")
        yield from order_rows(order, Written(named_in(row), deps.shop, now), before=before.get(key))
