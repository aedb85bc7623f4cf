"""A world to poll in: a clock that waits without waiting, one connection, memory or the local cloud's table."""

from __future__ import annotations

import itertools
import json
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import boto3
import pytest

from shared.core.ids import ConnectionId, TenantId
from shared.core.keys import KeyRing
from shared.core.shop import Shop
from shared.customers.model import PersonState
from shared.customers.reference import fold_all
from shared.ingest.adapter import Connection
from shared.ingest.model import Event
from shared.ingest.oversize import MemoryOversize
from shared.ingest.pull.http import StandardHttp
from shared.ingest.pull.poll import PollDeps, Tally, poll
from shared.ingest.pull.store import DynamoPullStore, MemoryPullStore, PullStore
from shared.ingest.registry import adapter
from shared.ingest.store import MemoryEventStore
from tests.contract.pull.servers import Api, serving

SAMPLES = Path(__file__).parents[2] / "samples"
START = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
KEYS = KeyRing(personal=b"a key of this test", links={"1": b"another"})
SHOP = Shop(TenantId("sample"), "見本商店")
BUDGET = timedelta(minutes=10)
_numbers = itertools.count()


def sample(source: str, name: str) -> dict[str, Any]:
    """A sample body."""
    found: dict[str, Any] = json.loads((SAMPLES / source / f"{name}.json").read_text())
    return found


class FastTime:
    """Waits by moving its own clock."""

    def __init__(self, at: datetime = START) -> None:
        self.at = at
        self.slept: list[float] = []

    def now(self) -> datetime:
        return self.at

    def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self.at += timedelta(seconds=seconds)


@dataclass
class World:
    """One connection and everything around it."""

    connection: Connection
    api: Any
    store: PullStore
    time: FastTime = field(default_factory=FastTime)
    events: MemoryEventStore = field(default_factory=lambda: MemoryEventStore(MemoryOversize()))
    counted: Counter[str] = field(default_factory=Counter)
    http: Any = field(default_factory=lambda: StandardHttp(connect_seconds=2, silent_seconds=1, total_seconds=2))

    def deps(self) -> PollDeps:
        def count(name: str, value: int) -> None:
            self.counted[name] += value

        return PollDeps(
            store=self.store,
            events=self.events,
            http=self.http,
            time=self.time,
            owner=f"run-{next(_numbers)}",
            count=count,
        )

    def poll(self, after: timedelta = timedelta(minutes=15), budget: timedelta = BUDGET) -> Tally:
        """One poll, some time after what happened before."""
        self.time.at += after
        return poll(self.connection, self.deps(), self.time.now(), budget)

    def webhook(self, body: Any, headers: dict[str, str]) -> None:
        """A webhook that did arrive (verified elsewhere)."""
        from shared.ingest.adapter import Request

        raw = json.dumps(body).encode()
        found = adapter(self.connection.source).envelopes(Request(headers, raw), self.connection, self.time.now())
        for envelope in found:
            self.events.put_once(envelope)

    def told(self) -> list[Event]:
        """Everything the events table says."""
        kept = self.events.envelopes()
        return [event for envelope in kept for event in adapter(envelope.source).events(envelope)]

    def people(self) -> list[PersonState]:
        """Who that amounts to."""
        return list(fold_all(self.told(), KEYS, SHOP).values())

    def totals(self) -> dict[str, int]:
        """Order → what it is worth now (net, 0 when it does not count)."""
        orders = [order for person in self.people() for order in person.orders]
        return {o.order_id: o.total - sum(o.refunds.values()) if o.valid else 0 for o in orders}


Make = Callable[..., World]


@pytest.fixture(params=["memory", "dynamodb"])
def pull_store(request: pytest.FixtureRequest) -> PullStore:
    """Where polls remember: the dicts, and the table they stand for."""
    if request.param == "memory":
        return MemoryPullStore()
    cloud: boto3.Session = request.getfixturevalue("cloud")
    make_table: Callable[[str], str] = request.getfixturevalue("make_table")
    return DynamoPullStore(cloud.client("dynamodb"), make_table(f"pulls-{next(_numbers)}"))


@pytest.fixture
def world() -> Iterator[Make]:
    """Makes worlds whose API really answers on loopback."""
    with ExitStack() as stack:

        def make(source: str, api: Api, store: PullStore | None = None, **known: Any) -> World:
            url = stack.enter_context(serving(api))
            connection = Connection(
                ConnectionId("abcdefghijklmnopqrstuvwxyz"),
                TenantId("sample"),
                source,
                known.pop("store_name", "shop.example.jp"),
                "sample-secret",
                api_url=url + known.pop("path", ""),
                token=known.pop("token", api.token),
            )
            return World(replace(connection, **known), api, store or MemoryPullStore())

        yield make
