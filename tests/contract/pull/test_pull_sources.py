"""Carts without webhooks: what a merchant changes arrives, once, and at its new worth."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import suppress
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest

from shared.customers.model import ConsentStatus
from shared.ingest.pull import rules
from shared.ingest.pull.live import MachineTime
from shared.ingest.pull.model import Vendor
from shared.ingest.pull.poll import poll
from shared.ingest.pull.registry import vendor
from shared.ingest.pull.store import PullStore
from tests.contract.pull.conftest import START, FastTime, Make, World, sample
from tests.contract.pull.servers import Asked, Base, ColorMe, Said, Stores

MINUTE = timedelta(minutes=1)


def epoch(at: datetime) -> int:
    return int(at.timestamp())


def a_sale(number: int, at: datetime, **changes: Any) -> dict[str, Any]:
    made = {"id": number, "make_date": epoch(at), "update_date": epoch(at)}
    return {**sample("colorme", "sale"), **made, **changes}


def colorme(world: Make, store: PullStore | None = None, sales: int = 3) -> World:
    api = ColorMe()
    for number in range(1, sales + 1):
        api.sales[number] = a_sale(number, START - timedelta(days=2) + number * MINUTE)
    return world("colorme", api, store, path="/v1")


def an_order(key: str, at: datetime, **changes: Any) -> dict[str, Any]:
    made = {"unique_key": key, "ordered": epoch(at), "modified": epoch(at), "dispatch_status": "ordered"}
    return {**sample("base", "order@konbini-unpaid"), **made, **changes}


def base(world: Make, store: PullStore | None = None, *, grace: bool = True, orders: int = 3) -> World:
    clock = FastTime()
    api = Base(clock.now, grace=grace)
    for number in range(1, orders + 1):
        api.orders[f"KEY{number:04d}"] = an_order(f"KEY{number:04d}", START - timedelta(days=3) + number * MINUTE)
    made = world(
        "base",
        api,
        store,
        token=None,
        refresh_token="refresh-0",
        client_id="client",
        client_secret="secret",
        redirect_url="https://example.jp/",
    )
    made.time = clock
    return made


def stores(world: Make, store: PullStore | None = None) -> World:
    api = Stores()
    for number in (1, 2, 3):
        key = f"65000000000000000000000{number}"
        api.orders[key] = {**sample("stores", "order@web"), "id": key, "number": str(number)}
    return world("stores", api, store, path="/retail/202211")


EVERY = [colorme, base, stores]
every_source = pytest.mark.parametrize("source", EVERY, ids=lambda make: make.__name__)


@every_source
def test_orders_arrive_once_and_a_second_poll_changes_nothing(world: Make, pull_store: PullStore, source: Any) -> None:
    shop = source(world, pull_store)
    first = shop.poll()
    assert (first.finished, first.problem, first.changes) == (True, None, 3)
    before = dict(shop.totals())
    assert len(before) == 3
    assert all(worth > 0 for worth in before.values())
    for _ in range(3):
        again = shop.poll()
        assert (again.finished, again.changes) == (True, 0)
    assert shop.totals() == before
    assert len(shop.events.rows) == 3
    polled_at = shop.store.health(shop.connection).polled_at
    assert polled_at
    assert shop.time.now() - polled_at < timedelta(minutes=1)


@every_source
def test_two_polls_at_once_are_one(world: Make, pull_store: PullStore, source: Any) -> None:
    shop = source(world, pull_store)
    during = []
    shop.api.between = lambda _asked: during.append(
        poll(shop.connection, shop.deps(), shop.time.now(), timedelta(minutes=1)).skipped
    )
    assert shop.poll().finished
    assert during
    assert all(during)


def test_a_cancelled_sale_keeps_the_amounts_that_were_seen_and_is_worth_nothing(world: Make) -> None:
    shop = colorme(world)
    shop.poll()
    assert shop.totals()["2"] == 5000
    now = epoch(shop.time.now())
    shop.api.sales[2] = {**sample("colorme", "sale@cancelled"), "id": 2, "make_date": now - 60, "update_date": now}
    assert shop.poll().changes == 1
    assert shop.totals() == {"1": 5000, "2": 0, "3": 5000}
    (order,) = [order for person in shop.people() for order in person.orders if order.order_id == "2"]
    assert (order.cancelled, order.total) == (True, 5000)


def test_a_sale_whose_total_fell_is_worth_less(world: Make) -> None:
    shop = colorme(world)
    shop.poll()
    shop.api.sales[1] = {**shop.api.sales[1], "total_price": 3200, "update_date": epoch(shop.time.now())}
    shop.poll()
    assert shop.totals()["1"] == 3200


def test_a_change_taken_back_and_made_again_is_three_events(world: Make) -> None:
    shop = stores(world)
    key = next(iter(shop.api.orders))
    whole = shop.api.orders[key]
    part = {**whole, "note": "x"}
    shop.poll()
    for state in (part, whole, part, whole):
        shop.api.orders[key] = state
        assert shop.poll().changes == 1
    assert len(shop.events.rows) == 3 + 4


def test_what_is_taken_back_of_an_order_lowers_it(world: Make) -> None:
    shop = stores(world)
    shop.poll()
    first, second, _ = shop.api.orders
    shop.api.orders[first] = {**shop.api.orders[first], "cancel_amount": 1000, "payment_amount": 2300}
    shop.api.orders[second] = {**sample("stores", "order@cancelled"), "id": second}
    shop.poll()
    worth = shop.totals()
    assert (worth[first], worth[second]) == (2300, 0)


def test_an_item_and_then_a_whole_order_of_base_are_cancelled(world: Make) -> None:
    shop = base(world)
    two = sample("base", "order@one-item-cancelled-still-in-the-total")
    shop.api.orders["KEY0001"] = {**two, "unique_key": "KEY0001", "ordered": epoch(START - timedelta(days=1))}
    shop.poll()
    assert shop.totals()["KEY0001"] == 6600 - 1000
    gone = {"dispatch_status": "cancelled", "cancelled": epoch(START), "modified": epoch(START)}
    shop.api.orders["KEY0002"].update(gone)
    shop.poll()
    assert shop.totals()["KEY0002"] == 0


def test_an_order_of_two_months_ago_that_changes_is_found_by_the_deep_walk(world: Make) -> None:
    shop = base(world)
    shop.api.orders["OLD"] = an_order("OLD", START - timedelta(days=60))
    shop.poll()
    shop.api.orders["OLD"].update(dispatch_status="cancelled", modified=epoch(START))
    assert shop.poll().changes == 0, "too old for the walk of every quarter hour"
    assert shop.poll(after=timedelta(hours=1)).changes == 1
    assert shop.totals()["OLD"] == 0


def test_details_are_read_for_changed_orders_only(world: Make) -> None:
    shop = base(world, orders=30)
    shop.poll()
    shop.api.asked.clear()
    shop.api.orders["KEY0007"].update(dispatch_status="dispatched", modified=epoch(START))
    shop.poll()
    details = [asked.path for asked in shop.api.asked if "/detail/" in asked.path]
    assert details == ["/1/orders/detail/KEY0007"]


def consents(shop: World) -> dict[str | None, ConsentStatus]:
    return {person.profile.email: each.status for person in shop.people() for each in person.consents}


def test_consent_comes_from_the_customer_list_and_reverses_no_opt_out(world: Make) -> None:
    shop = colorme(world)
    people = shop.api.lists["customers"]
    people[770001] = sample("colorme", "customer")
    people[770002] = sample("colorme", "customer@opted-out")
    shop.poll()
    consent = consents(shop)
    assert consent["ichiyo.higuchi@example.jp"] is ConsentStatus.OPT_IN
    assert consent["ogai.mori@example.jp"] is ConsentStatus.OPT_OUT
    people[770002] = {**people[770002], "receive_mail_magazine": True, "update_date": epoch(shop.time.now())}
    shop.poll()
    consent = consents(shop)
    assert consent["ogai.mori@example.jp"] is ConsentStatus.OPT_OUT


# --- pages


@every_source
def test_many_pages_are_read_to_the_end(world: Make, source: Any) -> None:
    shop = source(world)
    rows = shop.api.sales if source is colorme else shop.api.orders
    (first,) = list(rows.values())[:1]
    for number in range(1000, 1230):
        if source is colorme:
            rows[number] = a_sale(number, START - timedelta(hours=9) + number * MINUTE / 10)
        elif source is base:
            rows[f"K{number}"] = an_order(f"K{number}", START - timedelta(hours=9) + number * MINUTE / 10)
        else:
            rows[f"{number}"] = {**first, "id": f"{number}", "number": str(number)}
    tally = shop.poll(budget=timedelta(hours=1))
    assert tally.finished
    assert len(shop.totals()) == 233


def test_a_list_that_changes_under_the_pages_loses_no_row(world: Make) -> None:
    """Sales at the front are touched between two pages: each moves to the back and pulls the others forward."""
    shop = colorme(world, sales=260)
    touched = iter(range(1, 61))

    def touch(asked: Asked) -> None:
        if asked.path.endswith("sales") and asked.query["offset"] != "0" and len(shop.api.asked) < 8:
            for _ in range(20):
                number = next(touched)
                shop.api.sales[number] = {**shop.api.sales[number], "update_date": epoch(shop.time.now())}

    shop.api.between = touch
    assert shop.poll().finished
    assert set(shop.totals()) == {str(number) for number in range(1, 261)}


def test_rows_taken_away_between_pages_are_noticed_and_the_walk_starts_again(world: Make) -> None:
    shop = colorme(world, sales=260)

    def take_away(asked: Asked) -> None:
        shop.api.between = None
        for number in range(1, 41):
            del shop.api.sales[number]

    shop.api.between = take_away
    shop.poll()
    assert {str(number) for number in range(41, 261)} <= set(shop.totals())


def test_a_poll_out_of_time_goes_on_where_it_stopped(world: Make, pull_store: PullStore) -> None:
    shop = colorme(world, pull_store, sales=450)
    first = shop.poll(budget=timedelta(seconds=2.5))
    assert not first.finished
    assert 0 < first.changes < 450
    asked = len(shop.api.asked)
    second = shop.poll(after=timedelta(minutes=5))
    assert second.finished
    assert first.changes + second.changes == 450
    assert shop.api.asked[asked].query["offset"] != "0"


# --- faults


def tripped(*faults: Said) -> Any:
    return lambda api: api.faults.extend(faults)


FAULTS = {
    "429 with Retry-After": tripped(Said(429, {}, {"retry-after": "7"})),
    "429 with a date": tripped(Said(429, {}, {"retry-after": "Sat, 21 Nov 2026 03:15:09 GMT"})),
    "5xx twice": tripped(Said(500, b"<html>"), Said(503, b"")),
    "cut off": tripped(Said(200, {"sales": [], "orders": [], "meta": {}}, cut=True)),
    "half a JSON": tripped(Said(200, b'{"sales": [{"id": 1')),
    "hung up": tripped(Said(200, {}, drop=True)),
    "dripping": tripped(Said(200, {"sales": [], "orders": []}, drip=0.2)),
    "no list in it": tripped(),
}


@every_source
@pytest.mark.parametrize("fault", FAULTS)
def test_a_passing_fault_is_survived_within_the_poll(world: Make, source: Any, fault: str) -> None:
    shop = source(world)
    FAULTS[fault](shop.api)
    tally = shop.poll()
    assert (tally.finished, tally.problem) == (True, None)
    assert len(shop.totals()) == 3
    if fault.startswith("429 with R") and source is not base:
        assert 7.0 in shop.time.slept


@every_source
def test_a_vendor_that_wants_a_long_pause_is_left_alone(world: Make, source: Any) -> None:
    shop = source(world)
    shop.poll()
    shop.api.faults.append(Said(429, {}, {"retry-after": "1800"}))
    asked = len(shop.api.asked)
    tally = shop.poll()
    assert not tally.finished
    assert len(shop.api.asked) <= asked + 2, "not asked again"
    health = shop.store.health(shop.connection)
    api: Vendor = vendor(shop.connection.source)
    assert "1800 s" in (health.problem or "")
    assert not rules.is_poll_due(api, health, shop.time.now() + timedelta(minutes=29))
    assert rules.is_poll_due(api, health, shop.time.now() + timedelta(minutes=31))
    assert shop.poll(after=timedelta(minutes=31)).finished


@every_source
def test_a_vendor_that_is_down_is_reported_and_asked_more_and_more_rarely(world: Make, source: Any) -> None:
    shop = source(world)
    shop.poll()
    fresh = shop.store.health(shop.connection).polled_at
    pauses = []
    for _ in range(6):
        shop.api.faults.extend(Said(503, b"") for _ in range(30))
        assert not shop.poll().finished
        shop.api.faults.clear()
        pauses.append(rules.backoff(shop.store.health(shop.connection).failures))
    assert pauses == sorted(pauses)
    assert pauses[-1] > pauses[0]
    health = shop.store.health(shop.connection)
    assert health.polled_at == fresh, "freshness is when it last worked"
    assert health.problem
    assert shop.poll().finished
    assert shop.store.health(shop.connection).problem is None


@pytest.mark.parametrize("source", [colorme, stores])
def test_a_token_that_was_withdrawn_is_reported_with_what_to_do(world: Make, source: Any) -> None:
    shop = source(world)
    shop.api.token = "another"
    tally = shop.poll()
    assert not tally.finished
    assert "matakite connection authorize" in (tally.problem or "")
    assert len(shop.api.asked) == 1


def test_one_record_that_cannot_be_read_stops_no_other(world: Make) -> None:
    shop = colorme(world)
    shop.api.sales[2] = {**shop.api.sales[2], "id": "髙﨑"}
    tally = shop.poll()
    assert (tally.finished, tally.unreadable, tally.changes) == (True, 1, 2)
    shop.api.sales[2] = a_sale(2, START)
    assert shop.poll().changes == 1


def test_the_hour_limit_of_base_is_a_pause(world: Make) -> None:
    shop = base(world)
    said = {"error": "hour_api_limit", "error_description": "1時間のAPIの利用上限を超えました。"}
    shop.poll()
    shop.api.faults.append(Said(400, said))
    assert not shop.poll().finished
    blocked = shop.store.health(shop.connection).blocked_until
    assert blocked
    assert blocked > shop.time.now() + timedelta(minutes=10)


def test_never_more_calls_in_a_second_than_the_vendor_allows(world: Make) -> None:
    """In real time: the begins of all calls, counted in every window of a second."""
    shop = base(world, orders=6)
    shop.time = MachineTime()  # type: ignore[assignment]
    shop.api.now = shop.time.now
    started = time.monotonic()
    poll(shop.connection, shop.deps(), shop.time.now(), timedelta(minutes=1))
    calls = sorted(asked.at for asked in shop.api.asked if "oauth" not in asked.path)
    assert len(calls) == 7
    assert min(later - earlier for earlier, later in pairwise(calls)) > 0.95
    assert time.monotonic() - started < 12


# --- crashes


class KilledError(Exception):
    """The worker dies."""


class DyingStore:
    """A store whose worker dies at its n-th write, before or after it."""

    def __init__(self, inner: PullStore, at: int, *, after: bool) -> None:
        self._inner = inner
        self._left = at
        self._after = after

    def __getattr__(self, name: str) -> Any:
        method = getattr(self._inner, name)
        if name not in ("save_cursor", "remember", "save_health", "save_chain"):
            return method

        def dying(*arguments: Any) -> Any:
            self._left -= 1
            if self._left == 0 and not self._after:
                raise KilledError
            answer = method(*arguments)
            if self._left == 0:
                raise KilledError
            return answer

        return dying


@every_source
@pytest.mark.parametrize("after", [False, True])
def test_whatever_write_a_worker_dies_at_nothing_is_lost_or_told_twice(world: Make, source: Any, after: bool) -> None:
    for at in range(1, 9):
        shop = source(world)
        inner = shop.store
        shop.store = DyingStore(inner, at, after=after)
        with suppress(KilledError):
            shop.poll()
        shop.store = inner
        assert shop.poll(after=timedelta(minutes=30)).finished
        assert len(shop.totals()) == 3
        assert len(shop.events.rows) == 3, f"died at write {at}"


def test_counting_a_poll_for_the_dashboard(world: Make) -> None:
    shop = colorme(world)
    shop.poll()
    assert shop.counted == Counter({"PollsDone": 1, "PollChanges": 3})
