"""A shop in memory for the analytics tests: events in, nights run, with DuckDB in Athena's place."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, date, datetime
from typing import Any

from shared.analytics import compact, compaction, meaning, modelling, nights, stored_rows
from shared.analytics.archive import archive_events, archive_states
from shared.analytics.lake import MemoryObjects
from shared.analytics.nightly import Night, parse_night, result_prefix
from shared.analytics.parquet import decode, encode
from shared.analytics.publish import publish
from shared.analytics.reports import MemoryReportStore
from shared.analytics.scores import Slice, apply, write_back
from shared.analytics.segments.store import MemorySegmentStore
from shared.core.clock import FixedClock, from_iso
from shared.core.errors import RejectedError
from shared.core.ids import ConnectionId, CustomerId, EventId, TenantId
from shared.core.keys import derive_key_ring
from shared.core.shop import Shop
from shared.customers import fold
from shared.customers.identity import customer_ref
from shared.customers.rows import Delete, MemoryRows, Put, Row, Write, encode_item
from shared.customers.store import MemoryCustomerStore
from shared.ingest.model import Event, EventType, OrderFacts, Person, PersonLinkFacts
from tests.sql.lake_in_duckdb import TABLES, DuckLake, attach, lake_of

TENANT = TenantId("shop")
SHOP = Shop(TENANT, "お店", "Asia/Tokyo", "JPY")
KEYS = derive_key_ring("a test secret of some length")
CONNECTION = ConnectionId("c" * 26)


def day(text: str) -> date:
    """`2026-03-31`."""
    return date.fromisoformat(text)


def noon(on: date) -> datetime:
    """Noon of a day in Japan."""
    return datetime(on.year, on.month, on.day, 3, tzinfo=UTC)


def an_order(
    customer: str,
    order_id: str,
    on: str,
    amount: int = 1000,
    *,
    version: str = "",
    email: str | None = None,
    **facts: Any,
) -> Event:
    """One order event as short as a test wants it."""
    at = noon(day(on))
    return Event(
        tenant=TENANT,
        event_id=EventId(f"{order_id}-{version or on}"),
        event_type=EventType.ORDER_PLACED,
        source="shopify",
        store="a.myshopify.com",
        subject=f"shopify/a.myshopify.com/order/{order_id}",
        occurred_at=from_iso(version) if version else at,
        received_at=at,
        version=version or at.isoformat().replace("+00:00", "Z"),
        person=Person(source_customer_id=customer, email=email or f"{customer}@example.com", last_name="山田"),
        facts=replace(OrderFacts(order_id=order_id, ordered_at=at, currency="JPY", total=amount, paid=True), **facts),
    )


class StreamedRows(MemoryRows):
    """The customers table with its stream."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[dict[str, Any]] = []
        self.written_at: float = 1_790_000_000

    def transact(self, writes: Sequence[Write]) -> None:
        """Write, and note what a stream would show."""
        before = self.get(self._key(write) for write in writes)
        super().transact(writes)
        for write in writes:
            self._note(before.get(self._key(write)), write)

    @staticmethod
    def _key(write: Write) -> tuple[str, str]:
        return write.key if isinstance(write, Delete) else write.row.key

    def _note(self, old: Row | None, write: Write) -> None:
        new = write.row if isinstance(write, Put) else None
        if old is None and new is None:
            return
        images = {"OldImage": encode_item(old)} if old else {}
        images |= {"NewImage": encode_item(new)} if new else {}
        name = "REMOVE" if new is None else "MODIFY" if old else "INSERT"
        change: dict[str, Any] = {**images, "SequenceNumber": str(len(self.records) + 1)}
        change["ApproximateCreationDateTime"] = self.written_at
        self.records.append({"eventName": name, "dynamodb": change})


def passes_filter(record: Mapping[str, Any]) -> bool:
    """What the deployed stream filter lets through to `archive_states`."""
    image = record["dynamodb"].get("NewImage") or record["dynamodb"]["OldImage"]
    if image["kind"]["S"] in {"profile", "subscription", "consent", "link", "claims"}:
        return True
    if image["kind"]["S"] != "order":
        return False
    return record["eventName"] == "REMOVE" or not image["historical"]["BOOL"]


@dataclass
class World:
    """One shop, its live state, its lake and its reports."""

    shop: Shop = SHOP
    lake: MemoryObjects = field(default_factory=lambda: MemoryObjects("lake"))
    work: MemoryObjects = field(default_factory=lambda: MemoryObjects("work"))
    reports: MemoryReportStore = field(default_factory=MemoryReportStore)
    segments: MemorySegmentStore = field(default_factory=MemorySegmentStore)
    customers: MemoryCustomerStore = field(default_factory=MemoryCustomerStore)
    clock: FixedClock = field(default_factory=lambda: FixedClock(datetime(2026, 11, 21, 17, tzinfo=UTC)))
    rows: StreamedRows = field(default_factory=StreamedRows)
    archived: int = 0
    breaks: frozenset[str] = frozenset()
    """Analyses whose query Athena refuses."""

    def __post_init__(self) -> None:
        self.customers.rows = self.rows

    def hear(self, *events: Event) -> None:
        """Events arrive: folded into live state, order states archived from the stream."""
        for event in events:
            fold.apply(event, self.customers, KEYS, self.shop)
        self.archive()

    def archive(self) -> None:
        """The customers stream reaches the lake."""
        records = [record for record in self.rows.records[self.archived :] if passes_filter(record)]
        self.archived = len(self.rows.records)
        if records:
            assert archive_states(records, self.lake, lambda _: self.shop, self.customers).failed == {}

    def compact(self) -> None:
        """As the nightly machine does first."""
        plan = nights.plan_nights(self.shop, "2026-01-01", self.lake, self.reports, self.clock.now())
        for item in plan["compactions"]:
            for partition in item["partitions"]:
                compact.compact(compaction.Compaction(**partition), self.lake)

    def run_night(
        self, as_of: str, *, write_back: bool = True, without: frozenset[str] = frozenset()
    ) -> dict[str, Any]:
        """The nightly machine, state by state; `without` some analyses a test has no use for."""
        catalog = [analysis.document() for analysis in meaning.night_catalog() if analysis.name not in without]
        event: dict[str, Any] = {"night": {"tenant": TENANT, "as_of": as_of}, "results": [], "catalog": catalog}
        lake = lake_of(self.lake)
        while True:
            event["night"] = nights.plan_stage(
                event, self.shop, self.lake, self.reports, self.clock.now(), self.segments
            )
            if not event["night"]["queries"]:
                break
            event["results"] = [self._ask(query, lake, as_of) for query in event["night"]["queries"]]
        night = parse_night(event["night"])
        applied: Any = {"error": {"Error": "killed"}}
        if write_back:
            applied = self._apply(night)
        return publish({**event, "applied": applied}, self.lake, self.reports, self.clock.now())

    def _apply(self, night: Night) -> Any:
        try:
            plan = write_back(self.lake, night, least=7)
        except RejectedError as error:
            return {"error": {"Error": "RejectedError", "Cause": str(error)}}
        slices = [Slice(**each) for each in plan["slices"]]
        return [apply(self.lake, TENANT, night.as_of, each, self.customers, plan["comparable"]) for each in slices]

    def _ask(self, query: Mapping[str, Any], lake: DuckLake, as_of: str) -> dict[str, Any]:
        name = query["name"]
        if name in self.breaks:
            return {"name": name, "error": {"State": "FAILED", "StateChangeReason": "SYNTAX_ERROR: no such thing"}}
        prefix = result_prefix(name, TENANT, day(as_of))
        if "made_by" in query:
            self._make(query, lake)
        else:
            inner, location = _unloaded(query["query"])
            assert location == prefix
            self.lake.put(f"{location}part-0", encode(lake.ask(inner)))
        # The place was emptied when the stage was planned: what an earlier run of this day left is gone.
        lake.forget(name, day(as_of))
        for stored in self.lake.list(prefix):
            attach(lake, TABLES[name], decode(self.lake.get(stored.key)), stored.key)
        rows = lake.rows(query["checks"])
        heading = {"Data": [{"VarCharValue": column} for column in ("severity", "name", "violations")]}
        found = [
            {"Data": [{"VarCharValue": str(value)} if value is not None else {} for value in row.values()]}
            for row in rows
        ]
        return {"name": name, "checks": [heading, *found], "scanned_bytes": 10, "milliseconds": 1500}

    def _make(self, query: Mapping[str, Any], lake: DuckLake) -> None:
        """As the nightly machine does with what SQL cannot make: queries to CSV, fit, store."""
        inputs = []
        for each in query["inputs"]:
            answer = lake.ask(each["query"])
            text = csv_of(answer.column_names, list(zip(*answer.to_pydict().values(), strict=True)))
            self.work.put(f"athena/{each['name']}.csv", text)
            inputs.append({"name": each["name"], "location": f"s3://{self.work.bucket}/athena/{each['name']}.csv"})
        fitted = modelling.fit({**query, "inputs": inputs}, self.work, self.reports, self.clock.now())
        stored_rows.store({**query, "key": fitted["key"]}, self.work, self.lake)


def csv_of(columns: Sequence[str], rows: Sequence[Sequence[Any]]) -> bytes:
    """A result file as Athena writes it: every value in quotes, nothing at all for NULL."""
    lines = (",".join("" if value is None else f'"{value}"' for value in row) + "\n" for row in [columns, *rows])
    return "".join(lines).encode()


def _unloaded(statement: str) -> tuple[str, str]:
    found = re.fullmatch(r"UNLOAD \(\n(.*)\n\) TO 's3://lake/([^']*)' WITH \(.*\)", statement, re.DOTALL)
    assert found, statement
    return found[1], found[2]


def customer_of(world: World, customer: str) -> CustomerId:
    """The person a source's customer id names."""
    found = world.customers.resolve_ref(TENANT, customer_ref("shopify", "a.myshopify.com", customer))
    assert found is not None
    return found


def stored_id(world: World, customer: str) -> CustomerId:
    """The id that a customer of the store is kept under, whoever they are read as."""
    ref = customer_ref("shopify", "a.myshopify.com", customer)
    found = world.customers.load(TENANT, world.customers.refs(TENANT, [ref])[ref])
    assert found is not None
    return found.customer_id


def decide(world: World, one: str, other: str, on: str, *, joined: bool) -> None:
    """Somebody decides that two customers are one person, or are not (名寄せ・取り消し)."""
    kind = EventType.PERSONS_LINKED if joined else EventType.PERSONS_UNLINKED
    event = an_order(stored_id(world, one), f"{kind}-{one}-{other}", on)
    facts = PersonLinkFacts(other_customer_id=stored_id(world, other), joined=joined, actor="店長")
    world.hear(replace(event, source="admin", event_type=kind, facts=facts))


def envelope_record(image: Mapping[str, Any], sequence: int) -> dict[str, Any]:
    """A record of the events stream."""
    return {
        "eventName": "INSERT",
        "dynamodb": {"NewImage": image, "SequenceNumber": str(sequence), "ApproximateCreationDateTime": 1_790_000_000},
    }


def archived_events(records: Iterable[Mapping[str, Any]], world: World, oversize: Any) -> Any:
    """Those records through the archive."""
    return archive_events(list(records), world.lake, KEYS, lambda _: world.shop, oversize)
