"""Streams and imports into Parquet: one object per batch and partition, named so that a retry replaces it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from shared.analytics.lake import Objects, put_partition
from shared.analytics.parquet import encode_rows
from shared.analytics.rows import Row, event_row, partition_day, state_row
from shared.analytics.schema import EVENTS, ORDER_STATES, Table, month_of
from shared.core.errors import MatakiteError
from shared.core.ids import Ref, TenantId, digest
from shared.core.keys import KeyRing
from shared.core.shop import Shop
from shared.customers.identity import refs_of
from shared.customers.store import CustomerStore, read_row
from shared.ingest.model import Event
from shared.ingest.oversize import Oversize
from shared.ingest.registry import events_of
from shared.ingest.store import decode_image

Record = Mapping[str, Any]
"""One record of a DynamoDB stream, as Lambda gets it."""

ShopOf = Callable[[TenantId], Shop]

_PUTS_AT_ONCE = 8


@dataclass
class Pages:
    """Rows by tenant and partition, on their way to one object each."""

    table: Table
    rows: dict[tuple[TenantId, str], list[Row]] = field(default_factory=dict)

    def add(self, tenant: TenantId, row: Row) -> None:
        """File a row under its month."""
        self.rows.setdefault((tenant, month_of(partition_day(self.table, row))), []).append(row)

    def write(self, objects: Objects, name: str) -> list[str]:
        """One object per partition; returns their keys."""

        def write(page: tuple[tuple[TenantId, str], list[Row]]) -> str:
            (tenant, month), rows = page
            return put_partition(objects, self.table, tenant, month, name, encode_rows(self.table, rows))

        # A history spans years: its many small objects would wait for each other.
        with ThreadPoolExecutor(_PUTS_AT_ONCE) as pool:
            return list(pool.map(write, sorted(self.rows.items())))


@dataclass(frozen=True, slots=True)
class Archived:
    """What became of a batch: records written, and those that could not be read (the stream retries from the first)."""

    written: int
    failed: Mapping[str, str] = field(default_factory=dict)
    """Sequence number → why."""

    def log(self) -> dict[str, Any]:
        """What may be logged of it."""
        return {"records": self.written, "failed": dict(self.failed)}

    def response(self) -> dict[str, Any]:
        """The partial batch response."""
        return {"batchItemFailures": [{"itemIdentifier": number} for number in self.failed]}


def archive_events(
    records: Sequence[Record], objects: Objects, keys: KeyRing, shop_of: ShopOf, oversize: Oversize
) -> Archived:
    """The events stream into `events`."""

    def rows_of(record: Record) -> list[tuple[TenantId, Row]]:
        envelope = decode_image(record["dynamodb"]["NewImage"], oversize)
        return list(event_rows(events_of(envelope), keys, shop_of))

    return _archive(records, EVENTS, rows_of, objects)


def event_rows(events: Iterable[Event], keys: KeyRing, shop_of: ShopOf) -> Iterable[tuple[TenantId, Row]]:
    """Rows of `events`, with whose they are."""
    for event in events:
        yield event.tenant, event_row(event, refs_of(event, keys), shop_of(event.tenant))


def archive_states(records: Sequence[Record], objects: Objects, shop_of: ShopOf, customers: CustomerStore) -> Archived:
    """The order rows of the customers stream into `order_states`."""

    def rows_of(record: Record) -> list[tuple[TenantId, Row]]:
        return list(state_rows(record, shop_of, customers))

    return _archive(records, ORDER_STATES, rows_of, objects)


def state_rows(record: Record, shop_of: ShopOf, customers: CustomerStore) -> Iterable[tuple[TenantId, Row]]:
    """What one change of an order row means for the lake."""
    change = record["dynamodb"]
    removed = record["eventName"] == "REMOVE"
    found = read_row(change["OldImage" if removed else "NewImage"])
    if found is None or found.order is None:
        return
    shop = shop_of(found.tenant)
    written_at = datetime.fromtimestamp(float(change["ApproximateCreationDateTime"]), UTC)
    sequence = str(change["SequenceNumber"])

    state = state_row(found.customer_id, found.order, shop, written_at=written_at, sequence=sequence, removed=removed)
    yield found.tenant, state
    if removed and found.historical:
        # A merge (名寄せ) moves imported orders too, and their new rows are still marked historical, which the stream
        # filter keeps from this function: the survivor's row is written from here.
        survivor = customers.profile(found.tenant, found.customer_id)
        if survivor is not None and survivor.customer_id != found.customer_id:
            yield found.tenant, {**state, "customer_id": survivor.customer_id, "removed": False}


def _archive(
    records: Sequence[Record],
    table: Table,
    rows_of: Callable[[Record], list[tuple[TenantId, Row]]],
    objects: Objects,
) -> Archived:
    """Write every record that can be read, whatever stands between them: when the stream gives a record up after its
    retries, it may give up what stood behind it too. Coming again changes nothing, because queries count a key once.
    """
    pages = Pages(table)
    read: list[Record] = []
    failed: dict[str, str] = {}
    for record in records:
        try:
            rows = rows_of(record)
        except MatakiteError as error:
            failed[str(record["dynamodb"]["SequenceNumber"])] = type(error).__name__
            continue
        read.append(record)
        for tenant, row in rows:
            pages.add(tenant, row)
    if read:
        pages.write(objects, _batch_name(read))
    return Archived(len(read), failed)


def _batch_name(records: Sequence[Record]) -> str:
    """The same batch has the same name, whoever writes it and how often."""
    first, last = (str(record["dynamodb"]["SequenceNumber"]) for record in (records[0], records[-1]))
    return f"stream-{first.rjust(21, '0')}-{last.rjust(21, '0')}"


def archive_history(
    tenant: TenantId,
    import_id: str,
    events: Iterable[tuple[Event, Sequence[Ref]]],
    states: Iterable[Row],
    objects: Objects,
    shop: Shop,
) -> list[str]:
    """Imported events (with their refs) and the order states they led to, straight into the lake.

    The name says what is in the object: a repeated chunk replaces its own objects, and the rest of a chunk that was
    interrupted half-way is added to the first half.
    """
    event_pages, state_pages = Pages(EVENTS), Pages(ORDER_STATES)
    ids: list[str] = []
    for event, refs in events:
        event_pages.add(tenant, event_row(event, refs, shop))
        ids.append(event.event_id)
    for row in states:
        state_pages.add(tenant, row)
    name = f"import-{digest(import_id, *ids)}"
    return [*state_pages.write(objects, name), *event_pages.write(objects, name)]
