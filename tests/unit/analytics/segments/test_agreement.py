"""The lake and the live state say the same of who belongs to a segment."""

from __future__ import annotations

from dataclasses import replace
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.analytics.definitions import Definitions
from shared.analytics.segments.compile import compile_segment
from shared.analytics.segments.live import decide
from shared.analytics.segments.read import read_document
from shared.analytics.sql import bind
from shared.core.shop import Shop
from tests.amount import amount
from tests.unit.analytics.segments.definitions import LIVE, documents
from tests.unit.analytics.segments.world import NOW, SHOP, World, random_world

QUICK = settings(deadline=None, suppress_health_check=list(HealthCheck), derandomize=True)


@cache
def world(seed: int) -> World:
    """A shop of sixty."""
    return random_world(seed)


def differences(document: dict[str, Any], shop: World, settled: Shop = SHOP) -> list[str]:
    """Who is in it by one reader and not by the other."""
    segment = read_document(document)
    assert segment.live_decidable
    found = {row["customer_id"] for row in shop.lake.rows(bind(compile_segment(segment).sql, shop.values))}
    live = {each: decide(segment, person, NOW, settled) for each, person in shop.people.items()}
    assert found <= live.keys()
    return [
        f"{each}: lake {each in found}, live {said}" for each, said in live.items() if said not in (None, each in found)
    ]


@pytest.mark.parametrize("word", sorted(LIVE))
def test_each_condition_means_the_same_to_both(word: str) -> None:
    @given(LIVE[word])
    @settings(QUICK, max_examples=amount(8, sample=5))
    def agree(value: Any) -> None:
        document = {"name": "one", "title": "一つ", "members": {word: value}}
        assert differences(document, world(1)) == []
        assert differences({**document, "members": {"not": {word: value}}}, world(2)) == []

    agree()


@given(documents(live=True), st.sampled_from([1, 2, 3]))
@settings(QUICK, max_examples=amount(80, sample=40))
def test_random_definitions_find_the_same_people(document: dict[str, Any], seed: int) -> None:
    assert differences(document, world(seed)) == []


@given(LIVE["bought"])
@settings(QUICK, max_examples=amount(25, sample=12))
def test_orders_of_one_day_are_one_to_both_where_the_shop_says_so(value: dict[str, Any]) -> None:
    document = {"name": "one", "title": "一つ", "members": {"bought": value}}
    merged = replace(SHOP, sections={"analytics": {"same_day_is_one": 1}})
    assert differences(document, same_day(), merged) == []


@cache
def same_day() -> World:
    """A shop that counts the orders of a day as one."""
    return random_world(6, people=80, settings=Definitions(same_day_is_one=1))
