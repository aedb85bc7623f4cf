"""The events stream into the state of customers, record by record: a poison record is set aside, the others count."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from shared.core.errors import MatakiteError
from shared.core.ids import TenantId
from shared.core.keys import KeyRing
from shared.core.shop import Shop
from shared.core.telemetry import logger
from shared.customers.fold import apply
from shared.customers.store import CustomerStore
from shared.ingest.oversize import Oversize
from shared.ingest.registry import events_of
from shared.ingest.store import decode_image


@dataclass(frozen=True, slots=True)
class FoldDeps:
    """What the fold of the stream works with."""

    store: CustomerStore
    oversize: Oversize
    keys: KeyRing
    shop_of: Callable[[TenantId], Shop]


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
    for event in events_of(envelope):
        apply(event, deps.store, deps.keys, deps.shop_of(event.tenant))
