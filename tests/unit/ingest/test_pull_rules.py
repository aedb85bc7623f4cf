"""Decisions of a poll: windows, pages, ids, when to try again."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.errors import UnavailableError
from shared.core.ids import ConnectionId
from shared.ingest.adapter import Connection, Request
from shared.ingest.pull import rules
from shared.ingest.pull.lists import offset_page
from shared.ingest.pull.model import Answer, Call, Cursor, Feed, Health, Page, Record, Seen
from shared.ingest.pull.plan import due, is_polled
from shared.ingest.pull.registry import vendor, vendors
from shared.ingest.pull.store import MemoryPullStore, read_cursor, write_cursor
from shared.ingest.registry import about, sources
from tests.unit.customers.world import TENANT, a_person, an_order

NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
HOUR = timedelta(hours=1)
FEED = Feed(
    name="orders",
    call=lambda _connection, _window, _position: Call(path="/"),
    page=lambda _answer, _position: Page(()),
    request=lambda _record, _connection: Request({}, b""),
    overlap=timedelta(minutes=15),
    shared_rows=True,
)


def page(*keys: int, following: str | None = "next", total: int | None = None) -> Page:
    return Page(tuple(Record(str(key), {}) for key in keys), following, total)


def walked(at: datetime, cursor: Cursor | None = None) -> Cursor:
    return rules.advanced(rules.begun(FEED, cursor or Cursor(), at), page(1, following=None))


def test_the_first_walk_goes_back_and_the_next_overlaps_it() -> None:
    first = rules.begun(FEED, Cursor(), NOW)
    assert first.walk is not None
    assert first.walk.since == NOW - FEED.initial
    done = walked(NOW)
    assert (done.done_until, done.walk, done.position) == (NOW, None, None)
    second = rules.begun(FEED, done, NOW + HOUR)
    assert second.walk is not None
    assert second.walk.since == NOW - FEED.overlap, "what changed while the first was reading is read again"


def test_once_a_day_a_walk_goes_deep() -> None:
    done = walked(NOW)
    later = rules.begun(FEED, done, NOW + timedelta(hours=25))
    assert later.walk_deep
    assert later.walk is not None
    assert later.walk.since == NOW + timedelta(hours=25) - FEED.deep
    assert rules.advanced(later, page(1, following=None)).deep_at == NOW + timedelta(hours=25)
    hot = rules.begun(FEED, done, NOW + HOUR)
    assert rules.advanced(hot, page(1, following=None)).deep_at == NOW


def test_an_interrupted_walk_keeps_its_window() -> None:
    cursor = rules.advanced(rules.begun(FEED, Cursor(), NOW), page(1, 2, following="2"))
    again = rules.begun(FEED, read_cursor(write_cursor(cursor)), NOW + HOUR)
    assert again == cursor
    assert again.position == "2"


def test_pages_that_share_no_row_start_the_walk_again_three_times_at_most() -> None:
    cursor = rules.advanced(rules.begun(FEED, Cursor(), NOW), page(1, 2, 3, following="x"))
    assert not rules.is_shifted(FEED, cursor, page(3, 4, 5))
    assert rules.is_shifted(FEED, cursor, page(7, 8))
    assert rules.is_shifted(replace(FEED, shared_rows=False), replace(cursor, total=9), page(3, 4, total=8))
    assert not rules.is_shifted(FEED, cursor, page())
    for _ in range(rules.MAX_RESTARTS):
        cursor = rules.restarted(cursor)
        assert cursor.position is None
        cursor = rules.advanced(cursor, page(1, 2, 3, following="x"))
    assert not rules.is_shifted(FEED, cursor, page(7, 8)), "left to the next walk's overlap"


@given(size=st.integers(0, 400), taken=st.lists(st.integers(0, 400), max_size=40), limit=st.integers(6, 100))
def test_no_row_slips_through_offset_pages_of_a_list_that_loses_rows(size: int, taken: list[int], limit: int) -> None:
    """A model of the walk: after each page one batch of rows leaves the list."""
    rows, read, leaving = list(range(size)), set(), iter([taken[at : at + 13] for at in range(0, len(taken), 13)])
    cursor = rules.begun(FEED, Cursor(), NOW)
    while cursor.walk is not None:
        start = int(cursor.position or 0)
        answer = Answer(200, {}, {"items": [{"id": row} for row in rows[start : start + limit]]})
        found = offset_page(answer, cursor.position, "items", limit)
        if rules.is_shifted(FEED, cursor, found):
            cursor = rules.restarted(cursor)
            continue
        read |= {int(record.key) for record in found.records}
        cursor = rules.advanced(cursor, found)
        gone = set(next(leaving, []))
        rows = [row for row in rows if row not in gone]
    assert set(rows) <= read


def test_an_answer_without_its_list_is_no_answer() -> None:
    documents: list[dict[str, Any]] = [{}, {"items": None}, {"items": {"1": {}}}]
    for document in documents:
        with pytest.raises(UnavailableError):
            offset_page(Answer(200, {}, document), None, "items", 10)
    assert offset_page(Answer(200, {}, {"items": [1, {"id": None}, {"id": 7}]}), None, "items", 10).records == (
        Record("7", {"id": 7}),
    )


# --- ids


@given(st.lists(st.sampled_from("abc"), min_size=1, max_size=12))
def test_every_change_has_an_id_of_its_own_and_a_repeated_poll_none(states: list[str]) -> None:
    seen: Seen | None = None
    ids = []
    for state in states:
        looks = rules.fingerprint({"state": state})
        if not rules.changed(seen, looks):
            continue
        name = rules.event_id(ConnectionId("c"), "orders", "1", seen, looks, state.encode())
        assert rules.event_id(ConnectionId("c"), "orders", "1", seen, looks, state.encode()) == name
        ids.append(name)
        seen = Seen(looks, seen.times + 1 if seen else 1)
    assert len(set(ids)) == len(ids)


def test_only_what_was_told_at_this_version_or_later_is_told() -> None:
    told = an_order("1", 10, person=a_person(customer="7"))
    assert rules.is_told([an_order("1", 10, person=a_person(customer="7"), event_id="poll")], [told])
    assert rules.is_told([an_order("1", 9, person=a_person(customer="7"))], [told])
    assert not rules.is_told([an_order("1", 11, person=a_person(customer="7"))], [told]), "between may come late"
    assert not rules.is_told([an_order("1", 10, total=5, person=a_person(customer="7"))], [told])
    assert not rules.is_told([an_order("1", 10, person=a_person(customer="8"))], [told])
    assert not rules.is_told([told], [])


# --- when


@pytest.mark.parametrize(
    ("value", "seconds"),
    [
        ("7", 7.0),
        ("0", 0.0),
        ("-3", 0.0),
        ("1.5", 1.5),
        ("Sat, 21 Nov 2026 03:01:00 GMT", 60.0),
        ("Sat, 21 Nov 2026 02:00:00 GMT", 0.0),
        ("soon", None),
        ("", None),
        (None, None),
    ],
)
def test_retry_after_is_seconds_or_a_date(value: str | None, seconds: float | None) -> None:
    assert rules.retry_after(value, NOW) == seconds


def test_when_a_connection_is_polled() -> None:
    api = vendor("colorme")
    fresh = Health(polled_at=NOW, tried_at=NOW)
    assert rules.is_poll_due(api, Health(), NOW)
    assert not rules.is_poll_due(api, fresh, NOW + timedelta(minutes=14))
    assert rules.is_poll_due(api, fresh, NOW + timedelta(minutes=15))
    assert not rules.is_poll_due(api, fresh, NOW + timedelta(minutes=15), every=HOUR)
    broken = rules.failed(fresh, NOW, "down", None, 0)
    assert not rules.is_poll_due(api, broken, NOW + timedelta(seconds=20))
    assert rules.is_poll_due(api, broken, NOW + timedelta(minutes=1))
    blocked = rules.failed(fresh, NOW, "429", 1800, 0)
    assert not rules.is_poll_due(api, blocked, NOW + timedelta(minutes=29))
    assert rules.succeeded(blocked, NOW, 2).repaired == 2
    assert rules.succeeded(blocked, NOW, 2).problem is None
    assert rules.backoff(50) == rules.LONGEST_BACKOFF


def test_only_connections_with_a_key_are_polled() -> None:
    known: dict[str, Any] = {"tenant": TENANT, "store": "s", "secret": "x"}
    without = Connection(ConnectionId("a"), source="shopify", **known)
    tracking = Connection(ConnectionId("b"), source="track", token="t", **known)
    polled = Connection(ConnectionId("d"), source="shopify", token="t", **known)
    assert [is_polled(each) for each in (without, tracking, polled)] == [False, False, True]
    assert due([without, tracking, polled], MemoryPullStore(), NOW) == [polled]


def test_every_vendor_says_what_it_needs() -> None:
    assert set(vendors()) <= set(sources())
    for name in vendors():
        api = vendor(name)
        assert api.name == name
        assert api.feeds
        assert 0 < api.requests_per_second <= 10
        assert timedelta(minutes=5) <= api.every <= HOUR
        # A cart with webhooks keeps only what they did not tell.
        assert all(feed.known_from_webhooks == about(name).webhook for feed in api.feeds), name
        assert len({feed.name for feed in api.feeds}) == len(api.feeds)


@pytest.mark.parametrize(
    ("source", "given", "base"),
    [
        ("colorme", None, "https://api.shop-pro.jp/v1"),
        ("colorme", "http://127.0.0.1:8080", "http://127.0.0.1:8080/v1"),
        ("colorme", "http://127.0.0.1:8080/v1/", "http://127.0.0.1:8080/v1"),
        ("base", "https://api.example.com", "https://api.example.com/1"),
        ("stores", None, "https://api.stores.dev/retail/202211"),
        ("eccube", None, "https://shop.example.jp"),
        ("eccube", "https://shop.example.jp/eccube/api", "https://shop.example.jp/eccube"),
        ("woocommerce", "https://shop.example.jp/blog", "https://shop.example.jp/blog/wp-json/wc/v3"),
        ("shopify", None, "https://shop.example.jp/admin/api/2026-04"),
    ],
)
def test_an_address_may_be_given_with_its_root_or_without(source: str, given: str | None, base: str) -> None:
    connection = Connection(ConnectionId("c"), TENANT, source, "shop.example.jp", "s", api_url=given)
    assert vendor(source).address(connection) == base


@pytest.mark.parametrize(
    ("health", "needs"),
    [
        (Health(), False),
        (Health(failures=rules.FAILURES_TOLERATED - 1, problem="503"), False),
        (Health(failures=rules.FAILURES_TOLERATED, problem="503"), True),
        (Health(webhook_problem="switched off"), True),
        (Health(repaired=12), False),
    ],
)
def test_somebody_is_called_when_a_cart_does_not_come_round_by_itself(health: Health, needs: bool) -> None:
    assert rules.needs_somebody(health) is needs


@pytest.mark.parametrize("asked", [1_794_000_000.0, float("inf")])
def test_a_retry_after_that_is_a_point_in_time_does_not_silence_a_cart_for_decades(asked: float) -> None:
    health = rules.failed(Health(), NOW, "429", asked, 0)
    assert rules.is_poll_due(vendor("shopify"), health, NOW + rules.LONGEST_BLOCK)
    assert not rules.is_poll_due(vendor("shopify"), health, NOW + HOUR)
