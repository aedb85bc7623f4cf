"""Saved segments: the fake and the reports table keep the same promises."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import boto3
import pytest

from shared.analytics.segments.store import (
    MAX_CHARACTERS,
    MAX_SAVED,
    MemorySegmentStore,
    Saved,
    SavedSegments,
    SegmentStore,
    check_room,
    find,
)
from shared.core.errors import NotFoundError, RejectedError
from shared.core.ids import TenantId

SHOP, OTHER = TenantId("shop"), TenantId("shop-2")
VIP = Saved(
    "vip",
    "v1",
    "VIP（優良）",
    {"name": "vip", "members": {"tag": ["a'b"]}},
    "SELECT 1",
    ("a", "b"),
    "2026-01-01T00:00:00Z",
)


@pytest.fixture(params=["memory", "table"])
def segments(request: pytest.FixtureRequest) -> SavedSegments:
    """Both stores, empty."""
    if request.param == "memory":
        return MemorySegmentStore()
    cloud: boto3.Session = request.getfixturevalue("cloud")
    make_table: Callable[[str], str] = request.getfixturevalue("make_table")
    return SegmentStore(make_table(f"segments-{abs(hash(request.node.name)) % 10**9}"), cloud.client("dynamodb"))


def test_what_is_saved_is_read_back(segments: SavedSegments) -> None:
    segments.save(SHOP, VIP, None)
    assert segments.all(SHOP) == [VIP]
    assert find(segments, SHOP, "vip") == VIP


def test_segments_come_by_name_and_only_those_of_the_shop(segments: SavedSegments) -> None:
    segments.save(SHOP, VIP, None)
    segments.save(SHOP, replace(VIP, name="a"), None)
    segments.save(OTHER, replace(VIP, name="b"), None)
    assert [each.name for each in segments.all(SHOP)] == ["a", "vip"]
    assert [each.name for each in segments.all(OTHER)] == ["b"]


def test_a_new_version_replaces_the_one_that_was_read_and_both_are_remembered(segments: SavedSegments) -> None:
    newer = replace(VIP, version="v2", saved_at="2026-01-02T00:00:00Z")
    segments.save(SHOP, VIP, None)
    segments.save(SHOP, newer, "v1")
    assert segments.all(SHOP) == [newer]
    assert segments.history(SHOP, "vip") == [newer, VIP]
    assert segments.history(SHOP, "vi") == []


@pytest.mark.parametrize("replacing", [None, "v0"])
def test_whoever_saved_in_between_is_not_overwritten(segments: SavedSegments, replacing: str | None) -> None:
    segments.save(SHOP, VIP, None)
    with pytest.raises(RejectedError, match="a moment ago"):
        segments.save(SHOP, replace(VIP, version="v2", saved_at="2026-01-02T00:00:00Z"), replacing)
    assert segments.all(SHOP) == [VIP]


def test_what_was_removed_is_evaluated_no_more_and_remembered(segments: SavedSegments) -> None:
    segments.save(SHOP, VIP, None)
    segments.remove(SHOP, "vip")
    segments.remove(SHOP, "vip")
    assert segments.all(SHOP) == []
    assert segments.history(SHOP, "vip") == [VIP]
    with pytest.raises(NotFoundError, match="there are: none"):
        find(segments, SHOP, "vip")


def test_there_is_room_for_as_many_as_a_night_can_ask() -> None:
    every = [replace(VIP, name=f"s{number}") for number in range(MAX_SAVED)]
    check_room(every, every[0])
    with pytest.raises(RejectedError, match="remove one first"):
        check_room(every, VIP)
    check_room([VIP], replace(VIP, sql="x" * MAX_CHARACTERS))
    with pytest.raises(RejectedError, match="bytes of SQL"):
        check_room([replace(VIP, name="a", sql="日" * (MAX_CHARACTERS // 3))], VIP)


def test_a_definition_is_read_back_in_the_order_it_was_written(segments: SavedSegments) -> None:
    segments.save(SHOP, replace(VIP, document={"name": "vip", "members": {"z": 1, "a": 2}}), None)
    assert list(segments.all(SHOP)[0].document["members"]) == ["z", "a"]
