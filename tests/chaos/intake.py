"""Chaos of the intake (T5): the reply of the put or of the fold is lost, and the cart or the stream comes again."""

from __future__ import annotations

import random
from collections.abc import Sequence
from datetime import datetime

from shared.core.errors import UnavailableError
from shared.customers.fold import apply
from shared.customers.reference import fold_all
from shared.customers.rows import MemoryRows
from shared.customers.store import MemoryCustomerStore
from shared.ingest.model import Envelope, Event
from shared.ingest.registry import events_of
from tests.bench import month
from tests.chaos.saying_no import FaultyEvents, FaultyRows

DELIVERIES = 5
ATTEMPTS = 60


def lost_webhook_reply(case: int, rng: random.Random) -> None:
    """T5: every webhook is one event, and the person is what the events say, whatever reply was lost."""
    calls = sorted(month.month(1, seed=rng.randrange(2**31)), key=lambda call: call[3])
    start = rng.randrange(len(calls) - DELIVERIES)
    chosen = calls[start : start + DELIVERIES]
    envelopes = [_envelope(topic, body, at, n) for n, (_, topic, body, at) in enumerate(chosen)]
    events, store = FaultyEvents(rng, lost=0.4), MemoryCustomerStore()
    store.rows = rows = FaultyRows(rng, lost=0.4)
    for envelope in envelopes:
        _until(lambda envelope=envelope: events.put_once(envelope))
    assert sorted(e.event_id for e in events.envelopes()) == sorted({e.event_id for e in envelopes}), "lost or twice"
    said = [event for envelope in envelopes for event in events_of(envelope)]
    for event in said:
        _until(lambda event=event: apply(event, store, month.KEYS, month.SHOP))
    rows.lost = 0.0
    _same_as_at_once(rows, said)


def _until(call: object) -> None:
    for _ in range(ATTEMPTS):
        try:
            call()  # type: ignore[operator]
        except UnavailableError:
            continue
        return
    raise AssertionError("it never came through")


def _same_as_at_once(rows: MemoryRows, said: Sequence[Event]) -> None:
    calm = MemoryCustomerStore()
    for event in said:
        apply(event, calm, month.KEYS, month.SHOP)
    expected = fold_all(said, month.KEYS, month.SHOP)
    for customer in expected:
        lossy = MemoryCustomerStore()
        lossy.rows = rows
        found, once = lossy.person(month.SHOP.tenant, customer), calm.person(month.SHOP.tenant, customer)
        assert found is not None, "a person is lost"
        assert once is not None
        assert (found.orders, found.carts, found.consents) == (once.orders, once.carts, once.consents), "not converged"


def _envelope(topic: str, body: bytes, at: datetime, number: int) -> Envelope:
    return month._envelope(topic, body, at, number)
