"""The events stream into the state of customers, a batch at once: a poison record is set aside, the others count."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from shared.core.errors import MatakiteError, UnavailableError
from shared.core.ids import CustomerId, TenantId
from shared.core.keys import KeyRing
from shared.core.shop import Shop
from shared.core.telemetry import logger
from shared.customers.batch import FEW, BatchRows, OvertakenError
from shared.customers.fold import Applied, apply
from shared.customers.remembered import Remembered
from shared.customers.store import CustomerStore
from shared.ingest.model import Envelope, Event, EventType
from shared.ingest.oversize import Oversize
from shared.ingest.registry import events_of
from shared.ingest.sources.admin import NAME as ADMIN
from shared.ingest.store import Key, decode_image


@dataclass(frozen=True, slots=True)
class FoldDeps:
    """What the fold of the stream works with."""

    store: CustomerStore
    oversize: Oversize
    keys: KeyRing
    shop_of: Callable[[TenantId], Shop]
    erased: Callable[[TenantId, CustomerId], None] = lambda _tenant, _customer: None
    """Somebody was erased: the rest of the product forgets them too. Safe to repeat."""
    forget: Callable[[Key, datetime], None] = lambda _key, _at: None
    """Delete the body of a delivery about somebody erased since it was said."""
    remembered: Remembered = field(default_factory=Remembered)
    """Of the calls before."""


@dataclass(frozen=True, slots=True)
class _Delivery:
    """A record of the stream, read."""

    number: str
    image: Mapping[str, Any]
    envelope: Envelope
    events: Sequence[Event]


Failed = dict[str, MatakiteError]
"""Sequence number of a record → why it could not be applied."""


def fold_records(records: Iterable[Mapping[str, Any]], deps: FoldDeps) -> Sequence[str]:
    """Apply a batch of the events stream; returns the sequence numbers of the records that failed.

    All of it at once, with each row read and written once; where somebody else wrote meanwhile, record by record. The
    rest of the batch is applied all the same, and again when the stream retries: that changes nothing.
    """
    # Rows only ever come and, after their time, go.
    images = {each["dynamodb"]["SequenceNumber"]: each["dynamodb"].get("NewImage") for each in records}
    deliveries, failed = _read({number: image for number, image in images.items() if image is not None}, deps)
    failed |= _together(deliveries, deps)
    for number, error in failed.items():
        logger("customers").warning(
            "an event could not be applied",
            extra={"event_id": images[number].get("sk", {}).get("S"), "reason": type(error).__name__},
        )
    return [number for number in images if number in failed]


def _read(images: Mapping[str, Mapping[str, Any]], deps: FoldDeps) -> tuple[list[_Delivery], Failed]:
    deliveries: list[_Delivery] = []
    failed: Failed = {}
    for number, image in images.items():
        try:
            envelope = decode_image(image, deps.oversize)
            deliveries.append(_Delivery(number, image, envelope, tuple(events_of(envelope))))
        except MatakiteError as error:
            failed[number] = error
    return deliveries, failed


def _together(deliveries: Sequence[_Delivery], deps: FoldDeps) -> Failed:
    if len(deliveries) >= FEW:
        # Of a crowd somebody was met by another worker too, and what is read is shared by many anyway.
        deps.remembered.forget_all()
    old = len(deps.remembered) > 0
    try:
        return _at_once(deliveries, deps)
    except OvertakenError:
        deps.remembered.forget_all()
        return _together(deliveries, deps) if old else _each(deliveries, deps, deps.store, _finish)
    except UnavailableError:
        deps.remembered.forget_all()
        return _each(deliveries, deps, deps.store, _finish)


def _at_once(deliveries: Sequence[_Delivery], deps: FoldDeps) -> Failed:
    rows = BatchRows(deps.store.rows, deps.remembered)
    rows.prefetch([event for delivery in deliveries for event in delivery.events], deps.keys)
    done: list[tuple[_Delivery, Sequence[Applied]]] = []
    failed = _each(
        deliveries, deps, deps.store.over(rows), lambda delivery, applied, _: done.append((delivery, applied))
    )
    rows.flush()
    rows.remember()
    for delivery, applied in done:
        try:
            _finish(delivery, applied, deps)
        except MatakiteError as error:
            failed[delivery.number] = error
    return failed


def _each(deliveries: Sequence[_Delivery], deps: FoldDeps, store: CustomerStore, then: _Then) -> Failed:
    failed: Failed = {}
    for delivery in deliveries:
        try:
            applied = [apply(event, store, deps.keys, deps.shop_of(event.tenant)) for event in delivery.events]
            then(delivery, applied, deps)
        except MatakiteError as error:
            failed[delivery.number] = error
    return failed


def _finish(delivery: _Delivery, applied: Sequence[Applied], deps: FoldDeps) -> None:
    """What follows once it is written: the rest of the product hears of an erasure."""
    for event, done in zip(delivery.events, applied, strict=True):
        if event.event_type is EventType.PERSON_ERASED and done.customer_id:
            for customer_id in (done.customer_id, *done.with_them):
                deps.erased(event.tenant, customer_id)
    image, envelope = delivery.image, delivery.envelope
    # An oversized body is left to the sweep: the archive may not have read it yet. Who asked for an erasure stays.
    if any(done.forgotten for done in applied) and "raw" in image and envelope.source != ADMIN:
        deps.forget((image["pk"]["S"], image["sk"]["S"]), envelope.received_at)


_Then = Callable[[_Delivery, Sequence[Applied], FoldDeps], None]
