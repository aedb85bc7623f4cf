"""A month of webhooks of a Shopify shop, at the size and in the mix that a shop has, and what each writes.

Per address 60 deliveries (the bill's assumption): five visits of which two end in an order. One address in ten is new.
What a shopper does is minutes apart; what Shopify says of one act (an order that is placed, paid and counted with its
customer; a parcel that leaves) arrives within two seconds.
"""

from __future__ import annotations

import json
import math
import random
import re
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import zip_longest
from pathlib import Path
from typing import Any

from shared.core.ids import ConnectionId, TenantId
from shared.core.keys import KeyRing
from shared.core.shop import Shop
from shared.customers.fold import apply
from shared.customers.remembered import Remembered
from shared.customers.rows import READ_AT_ONCE, MemoryRows, Put, Replace, Row, Write, encode_item
from shared.customers.statements import AT_ONCE
from shared.customers.store import MemoryCustomerStore
from shared.customers.stream import FoldDeps, fold_records
from shared.ingest.adapter import Connection, Request
from shared.ingest.model import Envelope
from shared.ingest.oversize import MemoryOversize
from shared.ingest.registry import adapter, events_of
from shared.ingest.store import encode_item as event_item
from shared.scenarios.model import Scenario
from shared.scenarios.read import read_presets
from shared.scenarios.store import MemoryEnrolmentStore
from shared.scenarios.trigger import Met, TriggerDeps, entry_rules, follow_change, read_ahead

BODIES = Path(__file__).parents[1] / "samples" / "sized" / "shopify"
STORE = "example-shop.myshopify.com"
START = datetime(2026, 11, 1, tzinfo=UTC)
CONNECTION = Connection(ConnectionId("abcdefghijklmnopqrstuvwxyz"), TenantId("mise"), "shopify", STORE, "secret")
KEYS = KeyRing(personal=b"a key of this test", links={"1": b"another"})
SHOP = Shop(TenantId("mise"), "見本商店")
MOST_AT_ONCE = 100
"""Records of a stream that a function is handed."""
ACT = timedelta(seconds=3)
"""What is said of one act arrives within."""
WARM = timedelta(minutes=5)
"""For so long without a call a worker is taken to stay: what it remembers is gone with it."""
FOLLOWED = frozenset({"cart", "order", "profile", "subscription", "visits"})
"""Rows that the trigger's event source lets through."""


def units(item: Mapping[str, Any]) -> int:
    """Write units of an item: each started KB of names and values."""
    return math.ceil(size(item) / 1024)


def size(item: Mapping[str, Any]) -> int:
    """Bytes of an item as DynamoDB counts them."""
    return sum(len(name) + len(_bytes(value)) for name, value in item.items())


def _read_units(rows: Sequence[Row]) -> int:
    size = sum(len(name) + len(_bytes(value)) for row in rows for name, value in encode_item(row).items())
    return math.ceil(size / 4096)


def _bytes(value: Mapping[str, Any]) -> bytes:
    ((kind, held),) = value.items()
    return held if kind == "B" else str(held).encode()


class CountedRows(MemoryRows):
    """The customers table, which counts what AWS would charge, and shows its stream."""

    def __init__(self) -> None:
        super().__init__()
        self.units = 0
        self.calls: Counter[str] = Counter()
        self.stream: list[Row] = []

    def get(self, keys: Any) -> Any:
        asked = list(keys)
        self.calls["read"] += math.ceil(len(asked) / READ_AT_ONCE)
        found = super().get(asked)
        # Strongly consistent: a unit per started 4 KB of each item, and one for each that is not there.
        self.calls["read units"] += sum(_read_units([row]) for row in found.values()) + len(asked) - len(found)
        return found

    def partition(self, pk: str) -> list[Row]:
        self.calls["read"] += 1
        found = super().partition(pk)
        self.calls["read units"] += max(1, _read_units(found))
        return found

    def put(self, put: Put) -> None:
        self.calls["write"] += 1
        self._write([put], price=1)

    def replace_each(self, changes: Sequence[Replace]) -> None:
        self.calls["write"] += math.ceil(len(changes) / AT_ONCE)
        for change in changes:
            self._write([change.as_put()], price=1)

    def transact(self, writes: Sequence[Write]) -> None:
        self.calls["write"] += 1
        self._write(writes, price=2)

    def _write(self, writes: Sequence[Write], price: int) -> None:
        before = {write.key: self._row(*write.key) for write in writes}
        super().transact(writes)
        for write in writes:
            old = before[write.key]
            sizes = [units(encode_item(row)) for row in (old, write.row if isinstance(write, Put) else None) if row]
            self.units += price * max(sizes, default=1)
            if isinstance(write, Put):
                self.stream.append(write.row)


class CountedEnrolments(MemoryEnrolmentStore):
    """The due index: a row with two index entries; a put-off or a leaving moves one of them."""

    def __init__(self) -> None:
        super().__init__()
        self.units = 0
        self.calls: Counter[str] = Counter()

    def arm(self, enrolment: Any) -> bool:
        known = super().get(enrolment.tenant, enrolment.scenario, enrolment.occurrence)
        done = super().arm(enrolment)
        self.units += 3 if done else 1
        self.calls["write"] += 1
        assert done or known
        return done

    def disarm(self, *which: Any) -> bool:
        done = super().disarm(*which)
        self.units += 2 if done else 1
        self.calls["write"] += 1
        return done

    def get(self, *which: Any) -> Any:
        self.calls["read"] += 1
        return super().get(*which)

    def get_each(self, wanted: Any) -> Any:
        asked = list(wanted)
        self.calls["read"] += math.ceil(len(asked) / READ_AT_ONCE)
        return super().get_each(asked)

    def of_customer(self, *which: Any) -> Any:
        found = super().of_customer(*which)
        # The index knows keys alone.
        self.calls["read"] += 2 if found else 1
        return found


def month(addresses: int, seed: int = 1) -> Iterator[tuple[bool, str, bytes, datetime]]:
    """(new address?, topic, body, when) of every delivery, in the order they happen."""
    rng = random.Random(seed)
    calls = [call for number in range(addresses) for call in _address(rng, number)]
    return iter(sorted(calls, key=lambda call: call[3]))


def crowd(addresses: int, seed: int = 1) -> Iterator[tuple[bool, str, bytes, datetime]]:
    """The same month where so many shop at once that one call of the fold meets each of them with one act only."""
    rng = random.Random(seed)
    people = [
        [
            [call for _, call in act]
            for act in _batches(list(enumerate(sorted(_address(rng, n), key=lambda c: c[3]))), MOST_AT_ONCE, ACT)
        ]
        for n in range(addresses)
    ]
    return (call for turn in zip_longest(*people) for act in turn for call in act or ())


def _address(rng: random.Random, number: int) -> Iterator[tuple[bool, str, bytes, datetime]]:
    new = number % 10 == 0
    who = {
        "9007199254741005": str(9_007_199_254_000_000 + number),
        "hanako.mihon@example.com": f"{rng.randbytes(5).hex()}@example.com",
    }
    for visit in range(5):
        at = START + timedelta(days=1 + visit * 5, minutes=rng.randint(0, 2000))
        tokens = {
            "hWN0000000000000000000cart1": f"hWN{rng.randbytes(12).hex()[:23]}",
            "000000000000000000000000checkout1": rng.randbytes(17).hex()[:33],
            "9007199254740993": str(9_007_200_000_000_000 + rng.randrange(10**12)),
            "00000000000000000000000000order1": rng.randbytes(16).hex(),
        }
        for acts_at, topics in _acts(at, ordered=visit in {1, 3}, refunded=visit == 3 and number % 5 == 0):
            for step, topic in enumerate(topics):
                when = acts_at + timedelta(seconds=0.5 * step)
                yield new, topic, _body(topic, {**who, **tokens}, when), when


def _acts(at: datetime, *, ordered: bool, refunded: bool) -> Iterator[tuple[datetime, tuple[str, ...]]]:
    """What a shopper and the shop do, and what Shopify says of each."""
    browsing = ("carts/create", *["carts/update"] * 2, "checkouts/create", *["checkouts/update"] * 3)
    for step, topic in enumerate(browsing):
        yield at + timedelta(minutes=2 * step), (topic,)
    paid_at = at + timedelta(minutes=14)
    if ordered:
        yield paid_at, ("orders/create", "orders/paid", "orders/updated", "customers/update")
        yield paid_at + timedelta(days=1), ("orders/fulfilled", "orders/updated")
    if refunded:
        yield paid_at + timedelta(days=2), ("refunds/create",)
    yield paid_at + timedelta(minutes=2), ("customers/update", "customers/update")


def _body(topic: str, changes: Mapping[str, str], at: datetime) -> bytes:
    kind = topic.partition("/")[0]
    file = {"carts": "carts_update", "checkouts": "checkouts_update", "customers": "customers_update"}.get(
        kind, "refunds_create" if kind == "refunds" else "orders_create"
    )
    text = (BODIES / f"{file}.json").read_text(encoding="utf-8")
    for old, fresh in changes.items():
        text = text.replace(old, fresh)
    document = json.loads(text)
    document["updated_at"] = at.isoformat()
    if kind == "checkouts":
        document["email"] = changes["hanako.mihon@example.com"]
        document["completed_at"] = None
    if kind == "carts":
        document["id"] = document["token"] = changes["hWN0000000000000000000cart1"]
    if kind == "customers":
        document["id"] = int(changes["9007199254741005"])
        document["email"] = changes["hanako.mihon@example.com"]
    if kind == "refunds":
        document["order_id"] = int(changes["9007199254740993"])
    return json.dumps(document, ensure_ascii=False, separators=(",", ":")).encode()


def play(
    addresses: int,
    batch: int = 1,
    window: timedelta | None = None,
    scenarios: Sequence[Scenario] = (),
    order: Iterator[tuple[bool, str, bytes, datetime]] | None = None,
    warm: timedelta = WARM,
) -> dict[str, float]:
    """Write units and calls per delivery of the month; who is not new was here a month before.

    The stream brings `batch` deliveries at a time, neighbours in time; with a `window`, only what follows the first of
    them within it. `scenarios` are those of the shop; without, all that come with the product. `order` is
    another order of the month. A worker that was not called for longer than `warm` remembers nothing.
    """
    store, enrolments, oversize = MemoryCustomerStore(), CountedEnrolments(), MemoryOversize()
    store.rows = rows = CountedRows()
    trigger = TriggerDeps(entry_rules(scenarios or read_presets()), enrolments)
    calls = list(order or month(addresses))
    for new, topic, body, at in calls:
        if not new and topic == "customers/update":
            _fold(_envelope(topic, re.sub(rb"2026-1[12]", b"2026-10", body), at - timedelta(days=32), -1), store)
    rows.units, rows.calls, rows.stream = 0, Counter(), []
    events = 0
    deps, last = FoldDeps(store, oversize, KEYS, lambda _tenant: SHOP), START
    for together in _batches(list(enumerate(calls)), batch, window):
        if together[0][1][3] - last > warm:
            deps, trigger = replace(deps, remembered=Remembered()), replace(trigger, met=Met())
        last = together[-1][1][3]
        records = []
        for number, (_, topic, body, at) in together:
            item = event_item(_envelope(topic, body, at, number), oversize, attempt="0" * 16)
            events += units(item)
            records.append({"dynamodb": {"SequenceNumber": str(number), "NewImage": item}})
        assert fold_records(records, deps) == []
        now = together[-1][1][3]
        for start in range(0, len(rows.stream), MOST_AT_ONCE):
            changes = [{"NewImage": encode_item(row)} for row in rows.stream[start : start + MOST_AT_ONCE]]
            changes = [change for change in changes if change["NewImage"]["kind"]["S"] in FOLLOWED]
            ahead = read_ahead(changes, trigger, now) if changes else trigger
            for change in changes:
                follow_change(change, ahead, now)
        rows.stream.clear()
    each = len(calls)
    return {
        "deliveries": each,
        "per address": each / addresses,
        "event": events / each,
        "state": rows.units / each,
        "due index": enrolments.units / each,
        "fold reads": rows.calls["read"] / each,
        "read units": rows.calls["read units"] / each,
        "fold writes": rows.calls["write"] / each,
        "trigger reads": enrolments.calls["read"] / each,
        "trigger writes": enrolments.calls["write"] / each,
    }


_Numbered = tuple[int, tuple[bool, str, bytes, datetime]]


def _batches(calls: Sequence[_Numbered], most: int, window: timedelta | None) -> Iterator[list[_Numbered]]:
    """As the stream hands them over."""
    together: list[_Numbered] = []
    for call in calls:
        late = window is not None and together and call[1][3] - together[0][1][3] > window
        if together and (late or len(together) == most):
            yield together
            together = []
        together.append(call)
    if together:
        yield together


def _fold(envelope: Envelope, store: MemoryCustomerStore) -> None:
    for event in events_of(envelope):
        apply(event, store, KEYS, SHOP)


def _envelope(topic: str, body: bytes, at: datetime, number: int) -> Envelope:
    headers = {
        "x-shopify-topic": topic,
        "x-shopify-shop-domain": STORE,
        "x-shopify-webhook-id": f"{number:08x}-0000-4000-8000-000000000000",
        "x-shopify-triggered-at": at.isoformat().replace("+00:00", "Z"),
        "x-shopify-api-version": "2026-04",
    }
    (envelope,) = adapter("shopify").envelopes(Request(headers, body), CONNECTION, at)
    return replace(envelope, received_at=at)
