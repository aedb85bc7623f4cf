"""Saved segments in the nightly run: evaluated every night, entries and exits against the run before."""

from __future__ import annotations

from typing import Any

import pytest

from shared.analytics import meaning
from shared.analytics.nightly import result_prefix
from shared.analytics.parquet import decode
from shared.analytics.segments.compile import compile_segment
from shared.analytics.segments.read import read_document
from shared.analytics.segments.store import Saved
from shared.customers.model import Profile
from shared.customers.store import read_row
from tests.unit.analytics.world import TENANT, World, an_order, customer_of, day

BUYERS = {"name": "buyers", "title": "今月の購入者", "members": {"orders": {"within_days": 30}}}
SLEEPERS = {"name": "sleepers", "title": "休眠", "members": {"status": "dormant"}}
NEEDED = ("segment_", "score", "customer_scores", "status_v", "rfm_v", "buyers", "purchase_cycle")
MANY = frozenset(each.name for each in meaning.analyses() if not each.name.startswith(NEEDED))


def save(world: World, document: dict[str, Any], replacing: str | None = None) -> str:
    """As `matakite segment save` does; the version."""
    segment = read_document(document)
    compiled = compile_segment(segment, meaning.every_analysis())
    saved = Saved(
        segment.name, segment.version, segment.title, document, compiled.sql, compiled.reads, "2026-11-20T00:00:00Z"
    )
    world.segments.save(TENANT, saved, replacing)
    return segment.version


def rows(world: World, name: str, on: str) -> list[dict[str, Any]]:
    """What a night left."""
    found = world.lake.list(result_prefix(name, TENANT, day(on)))
    return [row for stored in found for row in decode(world.lake.get(stored.key)).to_pylist()]


def night(world: World, on: str) -> dict[str, Any]:
    """One night without what these tests have no use for."""
    return world.run_night(on, without=MANY)


@pytest.fixture
def world() -> World:
    """Two customers, of whom one buys later."""
    world = World()
    world.hear(an_order("a", "1", "2026-11-01"), an_order("b", "2", "2026-01-01"))
    return world


def changes(world: World, on: str) -> set[tuple[str, str, str]]:
    """Who entered or left what."""
    names = {customer_of(world, each): each for each in "ab"}
    return {(row["segment"], names[row["customer_id"]], row["change"]) for row in rows(world, "segment_changes_v1", on)}


def members(world: World, on: str) -> dict[str, str]:
    """Segment → customers."""
    names = {customer_of(world, each): each for each in "ab"}
    found: dict[str, str] = {}
    for row in rows(world, "segment_members_v1", on):
        found[row["segment"]] = "".join(sorted(found.get(row["segment"], "") + names[row["customer_id"]]))
    return found


def test_a_night_says_who_is_in_each_segment_and_who_entered_or_left(world: World) -> None:
    save(world, BUYERS)
    save(world, SLEEPERS)
    night(world, "2026-11-20")
    assert members(world, "2026-11-20") == {"buyers": "a", "sleepers": "b"}
    assert changes(world, "2026-11-20") == set()
    world.hear(an_order("b", "3", "2026-11-21"))
    night(world, "2026-11-21")
    assert changes(world, "2026-11-21") == {("buyers", "b", "entered"), ("sleepers", "b", "left")}
    night(world, "2026-12-10")
    assert changes(world, "2026-12-10") == {("buyers", "a", "left")}


def test_an_empty_segment_is_counted_and_reported(world: World) -> None:
    save(world, {**BUYERS, "members": {"orders": {"count": {"at_least": 100}}}})
    night(world, "2026-11-20")
    report = world.reports.get(TENANT, "segment_counts", day("2026-11-20"))
    assert report is not None
    assert [(row["segment"], row["title"], row["people"]) for row in report["rows"]] == [("buyers", "今月の購入者", 0)]


def test_a_new_definition_makes_nobody_enter(world: World) -> None:
    version = save(world, BUYERS)
    night(world, "2026-11-20")
    save(world, {**BUYERS, "members": {"orders": {"within_days": 365}}}, replacing=version)
    night(world, "2026-11-21")
    assert members(world, "2026-11-21") == {"buyers": "ab"}
    assert changes(world, "2026-11-21") == set()


def test_a_failed_step_changes_nobody(world: World) -> None:
    save(world, BUYERS)
    save(world, SLEEPERS)
    night(world, "2026-11-20")
    world.hear(an_order("b", "3", "2026-11-21"))
    world.breaks = frozenset({"status_v1"})
    assert night(world, "2026-11-21")["state"] == "incomplete"
    assert members(world, "2026-11-21") == {"buyers": "ab", "sleepers": "b"}
    assert changes(world, "2026-11-21") == {("buyers", "b", "entered")}
    world.breaks = frozenset()
    night(world, "2026-11-21")
    assert changes(world, "2026-11-21") == {("buyers", "b", "entered"), ("sleepers", "b", "left")}


def test_a_segment_that_breaks_stops_nothing_else(world: World) -> None:
    save(world, BUYERS)
    world.breaks = frozenset({"segment_members_v1"})
    assert set(night(world, "2026-11-20")["failed"]) == {
        "segment_members_v1",
        "segment_counts_v1",
        "segment_changes_v1",
    }
    assert rows(world, "customer_scores_v1", "2026-11-20")
    assert rows(world, "segment_changes_v1", "2026-11-20") == []


def test_without_saved_segments_the_night_is_complete(world: World) -> None:
    assert night(world, "2026-11-20")["state"] == "complete"
    assert members(world, "2026-11-20") == {}


def profile(world: World, customer: str) -> Profile:
    """A customer's live state."""
    found = world.customers.profile(TENANT, customer_of(world, customer))
    assert found is not None
    return found


def told(world: World, since: int) -> set[tuple[str, str, str]]:
    """Who entered or left what by the profiles' stream, as the deployed filter of the scenarios lets it through."""
    names = {customer_of(world, each): each for each in "ab"}
    found: set[tuple[str, str, str]] = set()
    for change in (record["dynamodb"] for record in world.rows.records[since:]):
        now, before = (read_row(change[image]) if image in change else None for image in ("NewImage", "OldImage"))
        if now and now.profile and before and before.profile and not now.historical:
            is_in, was_in = set(now.profile.segments), set(before.profile.segments)
            found |= {(name, names[now.customer_id], "entered") for name in is_in - was_in}
            found |= {(name, names[now.customer_id], "left") for name in was_in - is_in}
    return found


def test_the_live_state_says_who_is_in_which_segment_and_its_stream_who_entered_or_left(world: World) -> None:
    save(world, BUYERS)
    save(world, SLEEPERS)
    night(world, "2026-11-20")
    assert [(profile(world, each).segments, profile(world, each).segments_on) for each in "ab"] == [
        (("buyers",), day("2026-11-20")), (("sleepers",), day("2026-11-20")),
    ]  # fmt: skip
    assert told(world, 0) == set()
    for on, order, expected in (
        ("2026-11-21", ["3"], {("buyers", "b", "entered"), ("sleepers", "b", "left")}),
        ("2026-11-22", [], set()),
        ("2026-12-10", [], {("buyers", "a", "left")}),
    ):
        world.hear(*(an_order("b", each, on) for each in order))
        since = len(world.rows.records)
        night(world, on)
        assert told(world, since) == expected
    assert profile(world, "a").segments_on == day("2026-12-10")


def test_a_new_or_a_removed_definition_is_written_as_history(world: World) -> None:
    version = save(world, BUYERS)
    save(world, SLEEPERS)
    night(world, "2026-11-20")
    save(world, {**BUYERS, "members": {"orders": {"within_days": 365}}}, replacing=version)
    world.segments.remove(TENANT, "sleepers")
    since = len(world.rows.records)
    night(world, "2026-11-21")
    assert [profile(world, each).segments for each in "ab"] == [("buyers",)] * 2
    assert told(world, since) == set()


def test_a_night_whose_segments_failed_moves_nobody(world: World) -> None:
    save(world, BUYERS)
    night(world, "2026-11-20")
    world.hear(an_order("b", "3", "2026-11-21"))
    world.breaks = frozenset({"segment_members_v1"})
    night(world, "2026-11-21")
    assert [profile(world, each).segments for each in "ab"] == [("buyers",), ()]
    world.breaks, since = frozenset(), len(world.rows.records)
    night(world, "2026-11-22")
    assert told(world, since) == {("buyers", "b", "entered")}


def test_a_day_that_is_run_after_a_later_one_is_told_to_nobody(world: World) -> None:
    save(world, BUYERS)
    night(world, "2026-11-20")
    since = len(world.rows.records)
    assert night(world, "2026-10-01") == {
        "as_of": "2026-10-01", "state": "complete", "failed": [], "changed": 0, "written": 0,
    }  # fmt: skip
    assert world.rows.records[since:] == []
    assert rows(world, "customer_scores_v1", "2026-10-01")
