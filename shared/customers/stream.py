"""The events stream into the state of customers, record by record: a poison record is set aside, the others count."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from shared.core.errors import MatakiteError
from shared.core.ids import CustomerId, TenantId
from shared.core.keys import KeyRing
from shared.core.shop import Shop
from shared.core.telemetry import logger
from shared.customers.fold import apply
from shared.customers.store import CustomerStore
from shared.ingest.model import EventType
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


def fold_records(records: Iterable[Mapping[str, Any]], deps: FoldDeps) -> Sequence[str]:
    """Apply a batch of the events stream; returns the sequence numbers of the records that failed.

    The rest of the batch is applied all the same, and again when the stream retries: that changes nothing.
    """
    failed = []
    for record in records:
        change = record["dynamodb"]
        # Rows only ever come and, after their time, go.
        if "NewImage" not in change:
            continue
        try:
            _fold(change["NewImage"], deps)
        except MatakiteError as error:
            failed.append(change["SequenceNumber"])
            logger("customers").warning(
                "an event could not be applied",
                extra={"event_id": change["NewImage"].get("sk", {}).get("S"), "reason": type(error).__name__},
            )
    return failed


def _fold(image: Mapping[str, Any], deps: FoldDeps) -> None:
    envelope = decode_image(image, deps.oversize)
    late = False
    for event in events_of(envelope):
        applied = apply(event, deps.store, deps.keys, deps.shop_of(event.tenant))
        late |= applied.forgotten
        if event.event_type is EventType.PERSON_ERASED and applied.customer_id:
            deps.erased(event.tenant, applied.customer_id)
    # An oversized body is left to the sweep: the archive may not have read it yet. Who asked for an erasure stays.
    if late and "raw" in image and envelope.source != ADMIN:
        deps.forget((image["pk"]["S"], image["sk"]["S"]), envelope.received_at)
