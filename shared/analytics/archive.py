"""Streams and imports into Parquet: one object per batch and partition, named so that a retry replaces it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from typing import Any

from shared.analytics.event_rows import rows_of_event
from shared.analytics.lake import Objects, put_partition
from shared.analytics.parquet import encode_rows
from shared.analytics.person_rows import (
    TableRow,
    Written,
    attribute_rows,
    consent_rows,
    id_rows,
    link_rows,
    order_rows,
    subscription_rows,
)
from shared.analytics.rows import Row, partition_day
from shared.analytics.schema import Table, month_of
from shared.core.errors import MatakiteError
from shared.core.ids import Ref, TenantId, digest
from shared.core.keys import KeyRing
from shared.core.shop import Shop
from shared.customers import nobodys
from shared.customers.identity import refs_of
from shared.customers.links import as_one, found_by, orders_of, read_as
from shared.customers.model import Attribute
from shared.customers.store import ChangedRow, CustomerStore, read_row
from shared.ingest.model import Event
from shared.ingest.oversize import Oversize
from shared.ingest.registry import events_of
from shared.ingest.store import decode_image

Record = Mapping[str, Any]
"""One record of a DynamoDB stream, as Lambda gets it."""

Filed = tuple[TenantId, Table, Row]
"""A row with whose it is and where it belongs."""

ShopOf = Callable[[TenantId], Shop]

_PUTS_AT_ONCE = 8


@dataclass
class Pages:
    """Rows by table, tenant and partition, on their way to one object each."""

    rows: dict[tuple[str, TenantId, str], tuple[Table, list[Row]]] = field(default_factory=dict)

    def add(self, tenant: TenantId, table: Table, row: Row) -> None:
        """File a row under its month."""
        page = table.name, tenant, month_of(partition_day(table, row))
        self.rows.setdefault(page, (table, []))[1].append(row)

    def write(self, objects: Objects, name: str) -> list[str]:
        """One object per partition; returns their keys."""

        def write(page: tuple[tuple[str, TenantId, str], tuple[Table, list[Row]]]) -> str:
            (_, tenant, month), (table, rows) = page
            return put_partition(objects, table, tenant, month, name, encode_rows(table, rows))

        # A history spans years: its many small objects would wait for each other.
        with ThreadPoolExecutor(_PUTS_AT_ONCE) as pool:
            return list(pool.map(write, sorted(self.rows.items(), key=lambda page: page[0])))


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
    """The events stream into `events`, and into the tables of messages, page views and products."""

    def rows_of(record: Record) -> list[Filed]:
        envelope = decode_image(record["dynamodb"]["NewImage"], oversize)
        return [
            (event.tenant, table, row)
            for said in events_of(envelope)
            for event in [nobodys.unsaid(said, shop_of(said.tenant), keys)]
            for table, row in rows_of_event(event, refs_of(event, keys), shop_of(event.tenant))
        ]

    return _archive(records, rows_of, objects)


def archive_states(records: Sequence[Record], objects: Objects, shop_of: ShopOf, customers: CustomerStore) -> Archived:
    """The customers stream into the tables of states: orders and their lines, contracts, attributes, consent, links."""

    def rows_of(record: Record) -> list[Filed]:
        return list(state_rows(record, shop_of, customers))

    return _archive(records, rows_of, objects)


def state_rows(record: Record, shop_of: ShopOf, customers: CustomerStore) -> Iterable[Filed]:
    """What one change of a person's row means for the lake."""
    change = record["dynamodb"]
    now = _as_read(read_row(change["NewImage"]), customers) if "NewImage" in change else None
    before = read_row(change["OldImage"]) if "OldImage" in change else None
    found = now or before
    if found is None:
        return
    written = Written(
        customer_id=found.customer_id,
        shop=shop_of(found.tenant),
        at=datetime.fromtimestamp(float(change["ApproximateCreationDateTime"]), UTC),
        sequence=str(change["SequenceNumber"]),
    )
    for table, row in _changed(found, before, now, written):
        yield found.tenant, table, row
    if found.reads_as_one:
        for table, row in _standing(found, written, customers):
            yield found.tenant, table, row
    if now is None and found.order is not None and found.historical:
        # A merge (名寄せ) moves imported orders too, and their new rows are still marked historical, which the stream
        # filter keeps from this function: the survivor's rows are written from here.
        survivor = customers.load(found.tenant, found.customer_id)
        if survivor is not None and survivor.customer_id != found.customer_id:
            for table, row in order_rows(found.order, replace(written, customer_id=survivor.customer_id)):
                yield found.tenant, table, row


def _as_read(row: ChangedRow | None, customers: CustomerStore) -> ChangedRow | None:
    """An order that two know of who are one person is what both know of it: of its rows the newest counts."""
    if row is None or row.order is None or not row.common:
        return row
    people = customers.parts(row.tenant, row.customer_id)
    mine = next((each for each in people if each.customer_id == row.customer_id), None)
    known = orders_of(mine, people) if mine else {}
    return replace(row, order=known.get(f"{row.order.source}/{row.order.store}/{row.order.order_id}", row.order))


def _changed(
    found: ChangedRow, before: ChangedRow | None, now: ChangedRow | None, written: Written
) -> Iterable[TableRow]:
    removed = now is None
    if found.order is not None:
        yield from order_rows(found.order, written, before=before.order if before else None, removed=removed)
    elif found.subscription is not None:
        yield from subscription_rows(found.subscription, written, removed=removed)
    elif found.consent is not None:
        yield from consent_rows(found.consent, written, removed=removed)
    elif found.kind == "profile":
        # An alias says nothing of its own any more: everything moved to the survivor.
        yield from attribute_rows(_attributes(before), _attributes(now), written)
        yield from link_rows(_refs(before), _refs(now), written)


def _standing(found: ChangedRow, written: Written, customers: CustomerStore) -> Iterable[TableRow]:
    """Whom refs name and ids are read as, now: of two rows that say it, the second finds what both amount to."""
    people = customers.parts(found.tenant, found.customer_id)
    if not people:
        return
    unowned = frozenset[Ref]().union(*(each.record.nobodys for each in people))
    as_read = replace(written, customer_id=as_one(people).customer_id)
    yield from link_rows(unowned, found_by(people) - unowned, as_read)
    # Who became another person by evidence left their rows to them.
    gone = {found.customer_id} - {person.customer_id for person in people}
    yield from id_rows({each: each for each in gone} | read_as(people), written)
    for person in people:
        if found.kind == "link" and person.customer_id == found.customer_id and person.record.evidence:
            for order in orders_of(person, people).values():
                yield from order_rows(order, written)


def _attributes(row: ChangedRow | None) -> Mapping[str, Attribute]:
    return row.attributes if row else {}


def _refs(row: ChangedRow | None) -> frozenset[Ref]:
    return row.profile.refs if row and row.profile else frozenset()


def _archive(
    records: Sequence[Record],
    rows_of: Callable[[Record], list[Filed]],
    objects: Objects,
) -> Archived:
    """Write every record that can be read, whatever stands between them: when the stream gives a record up after its
    retries, it may give up what stood behind it too. Coming again changes nothing, because queries count a key once.
    """
    pages = Pages()
    read: list[Record] = []
    failed: dict[str, str] = {}
    for record in records:
        try:
            rows = rows_of(record)
        except MatakiteError as error:
            failed[str(record["dynamodb"]["SequenceNumber"])] = type(error).__name__
            continue
        read.append(record)
        for tenant, table, row in rows:
            pages.add(tenant, table, row)
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
    states: Iterable[TableRow],
    objects: Objects,
    shop: Shop,
) -> list[str]:
    """Imported events (with their refs) and the states they led to, straight into the lake.

    The name says what is in the object: a repeated chunk replaces its own objects, and the rest of a chunk that was
    interrupted half-way is added to the first half.
    """
    pages = Pages()
    ids: list[str] = []
    for event, refs in events:
        for table, row in rows_of_event(event, refs, shop):
            pages.add(tenant, table, row)
        ids.append(event.event_id)
    for table, row in states:
        pages.add(tenant, table, row)
    return pages.write(objects, f"import-{digest(import_id, *ids)}")
