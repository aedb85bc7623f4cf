"""One suite over what workers share about sending, in memory and in DynamoDB."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from datetime import UTC, date, datetime, timedelta
from typing import Any

import boto3
import pytest

from shared.core.clock import FixedClock
from shared.core.ids import TenantId
from shared.delivery.pace.store import DynamoPaceStore, MemoryPaceStore
from shared.delivery.pacing import Lease
from shared.delivery.reputation import DAYS, Day

NOW = datetime(2026, 11, 20, 3, 0, 0, 123456, tzinfo=UTC)
TODAY = NOW.date()
SECOND = timedelta(seconds=1)
_names = itertools.count()


class CountedUpdates:
    """A DynamoDB client that counts what is asked of it, refused or not."""

    def __init__(self, client: Any) -> None:
        self._client, self.made = client, 0

    def __getattr__(self, name: str) -> Any:
        self.made += name == "update_item"
        return getattr(self._client, name)


@pytest.fixture(params=["memory", "dynamodb"])
def store(request: pytest.FixtureRequest) -> Iterator[Any]:
    if request.param == "memory":
        yield MemoryPaceStore()
    else:
        table = request.getfixturevalue("ledger_table")
        yield DynamoPaceStore(table, request.getfixturevalue("cloud").client("dynamodb"), FixedClock(NOW))


@pytest.fixture
def name() -> str:
    return f"n{next(_names)}"


def test_blocks_follow_one_another_and_start_anew_after_a_rest(store: Any, name: str) -> None:
    far = NOW + timedelta(minutes=1)
    assert store.lease(name, SECOND, NOW, far) == Lease(NOW, None)
    assert store.lease(name, SECOND, NOW, far) == Lease(NOW + SECOND, NOW + SECOND)
    assert store.lease(name, SECOND, NOW + SECOND / 2, far) == Lease(NOW + 2 * SECOND, NOW + 2 * SECOND)
    assert store.lease(name, SECOND, NOW + 10 * SECOND, far) == Lease(NOW + 10 * SECOND, NOW + 3 * SECOND)


def test_who_comes_after_another_worker_finds_where_that_one_left_it(store: Any, name: str) -> None:
    """What this worker knows of the queue may be old, whichever way it has changed."""
    if isinstance(store, DynamoPaceStore):
        other = DynamoPaceStore(store._table, store._client, FixedClock(NOW))
    else:
        other = store
    far = NOW + timedelta(minutes=1)
    store.lease(name, SECOND, NOW, far)
    other.lease(name, 3 * SECOND, NOW, far)
    assert store.lease(name, SECOND, NOW + 2 * SECOND, far) == Lease(NOW + 4 * SECOND, NOW + 4 * SECOND)
    assert other.lease(name, SECOND, NOW + 9 * SECOND, far) == Lease(NOW + 9 * SECOND, NOW + 5 * SECOND)


def test_a_queue_that_is_too_long_is_not_made_longer(store: Any, name: str) -> None:
    store.lease(name, 30 * SECOND, NOW, NOW)
    assert store.lease(name, SECOND, NOW, NOW + 29 * SECOND) is None
    assert store.lease(name, SECOND, NOW, NOW + 30 * SECOND) == Lease(NOW + 30 * SECOND, NOW + 30 * SECOND)


def test_of_a_queue_that_is_too_long_nothing_is_asked_again_before_it_can_be_shorter(
    cloud: boto3.Session, ledger_table: str, name: str
) -> None:
    """Hundreds of threads are sent home in a second, and a refused write costs as much as another."""
    client = CountedUpdates(cloud.client("dynamodb"))
    DynamoPaceStore(ledger_table, cloud.client("dynamodb"), FixedClock(NOW)).lease(name, 30 * SECOND, NOW, NOW)
    store = DynamoPaceStore(ledger_table, client, FixedClock(NOW))
    for late in range(10):
        assert store.lease(name, SECOND, NOW + late * SECOND, NOW + (20 + late) * SECOND) is None
    assert client.made == 1
    assert store.lease(name, SECOND, NOW + 10 * SECOND, NOW + 30 * SECOND) is not None
    assert client.made == 2


def test_workers_at_once_get_blocks_that_do_not_overlap(store: Any, name: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        leases = list(pool.map(lambda _: store.lease(name, 3 * SECOND, NOW, NOW + timedelta(hours=1)), range(24)))
    assert sorted(lease.start for lease in leases) == [NOW + 3 * n * SECOND for n in range(24)]


def test_a_day_holds_its_cap_and_not_one_more(store: Any, name: str) -> None:
    with ThreadPoolExecutor(8) as pool:
        granted = list(pool.map(lambda _: store.count_day(name, TODAY, 3, 50), range(30)))
    assert sum(granted) == 16
    assert store.count_day(name, TODAY, 2, 50)
    assert not store.count_day(name, TODAY, 1, 50)
    assert store.count_day(name, TODAY + timedelta(days=1), 1, 50)
    assert not store.count_day(f"{name}x", TODAY, 1, 0)


def test_a_shops_days_are_added_up_and_old_ones_forgotten(store: Any, name: str) -> None:
    tenant = TenantId(name)
    store.tally(tenant, TODAY - timedelta(days=DAYS), Day(900, 9, 9))
    store.tally(tenant, TODAY - timedelta(days=1), Day(10, 1, 0))
    store.tally(tenant, TODAY, Day(5, 0, 1))
    days = store.tally(tenant, TODAY, Day(7)).days
    assert {on: day for on, day in days.items() if on > TODAY - timedelta(days=DAYS)} == {
        TODAY - timedelta(days=1): Day(10, 1, 0),
        TODAY: Day(12, 0, 1),
    }
    assert store.reputation(tenant).days[TODAY] == Day(12, 0, 1)
    assert store.reputation(TenantId("other")).days == {}


def test_a_turn_of_the_year_mixes_no_days_up(store: Any, name: str) -> None:
    tenant = TenantId(name)
    store.tally(tenant, date(2026, 12, 31), Day(3))
    assert store.tally(tenant, date(2027, 1, 1), Day(4)).days == {
        date(2026, 12, 31): Day(3),
        date(2027, 1, 1): Day(4),
    }


def test_a_shop_is_stopped_once_and_resumed_with_clean_figures(store: Any, name: str) -> None:
    tenant = TenantId(name)
    store.tally(tenant, TODAY, Day(1000, 50, 0))
    assert store.stopped(tenant) == ""
    assert not store.resume(tenant, "admin", NOW)
    assert store.stop(tenant, "5% bounces", NOW)
    assert not store.stop(tenant, "another reason", NOW)
    assert store.stopped(tenant) == "5% bounces"
    assert store.reputation(tenant).stopped_at == NOW
    assert store.resume(tenant, "admin", NOW)
    assert store.stopped(tenant) == ""
    assert store.tally(tenant, TODAY, Day(1)).days == {TODAY: Day(1)}
