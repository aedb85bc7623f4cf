"""What one person's live state can tell, and where it says that it cannot."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.analytics.segments.live import decide
from shared.analytics.segments.model import Join, joined
from shared.analytics.segments.read import read_document, read_presets
from shared.core.ids import CustomerId
from shared.customers.model import PersonState, Profile, Visit
from tests.unit.analytics.segments.definitions import LIVE
from tests.unit.analytics.segments.test_agreement import world
from tests.unit.analytics.segments.test_compile import drawn
from tests.unit.analytics.segments.world import NOW, SHOP

NOBODY = PersonState(profile=Profile(tenant=SHOP.tenant, customer_id=CustomerId("nobody")))


def said(members: dict[str, Any], person: PersonState) -> bool | None:
    """Is this person in it?"""
    return decide(read_document({"name": "x", "members": members}), person, NOW, SHOP)


def visitor(visits: int, every_days: float) -> PersonState:
    """Somebody with so many visits kept, the latest now."""
    kept = [Visit(str(number), NOW - timedelta(days=number * every_days), "page") for number in range(visits)]
    return replace(NOBODY, visits=tuple(reversed(kept)))


@pytest.mark.parametrize(
    ("visits", "every_days", "asked", "answer"),
    [
        (49, 1, {"count": {"at_least": 50}}, False),
        (49, 1, {"count": 49}, True),
        # Fifty are kept: there may have been more before the oldest.
        (50, 1, {"count": {"at_least": 50}}, True),
        (50, 1, {"count": {"at_least": 51}}, None),
        (50, 1, {"count": {"at_most": 49}}, False),
        (50, 1, {"count": {"at_most": 50}}, None),
        (50, 1, {"count": 50}, None),
        (50, 1, {"count": 49}, False),
        (50, 1, {"count": {"less_than": 50}}, False),
        # … but not within a window that ends after it.
        (50, 1, {"count": {"at_least": 51}, "within_days": 49}, False),
        (50, 1, {"count": 30, "within_days": 30}, True),
        (50, 1, {"count": {"at_least": 51}, "within_days": 50}, None),
        (50, 0, {"count": {"at_least": 51}, "within_days": 1}, None),
        (50, 0, {"kind": "login"}, None),
    ],
)
def test_visits_are_told_as_far_as_they_are_kept(
    visits: int, every_days: float, asked: dict[str, Any], answer: bool | None
) -> None:
    assert said({"visits": asked}, visitor(visits, every_days)) is answer


def test_what_the_lake_alone_knows_is_not_guessed() -> None:
    assert said({"p_order_30": {"at_least": 0.5}}, NOBODY) is None
    assert said({"any": [{"p_order_30": {"at_least": 0.5}}, {"orders": {"count": 0}}]}, NOBODY) is True
    assert said({"all": [{"p_order_30": {"at_least": 0.5}}, {"orders": {}}]}, NOBODY) is False
    fixed = read_document({"name": "x", "as_of": "2026-01-01", "members": {"orders": {}}})
    assert decide(fixed, NOBODY, NOW, SHOP) is None


@pytest.mark.parametrize(
    ("join", "truths", "answer"),
    [
        (Join.ALL, [True, None], None), (Join.ALL, [False, None], False), (Join.ALL, [True, True], True),
        (Join.ANY, [True, None], True), (Join.ANY, [False, None], None), (Join.ANY, [False, False], False),
        (Join.NONE, [True, None], False), (Join.NONE, [False, None], None), (Join.NONE, [False, False], True),
    ],
)  # fmt: skip
def test_the_unknown_decides_only_where_the_rest_does_not(
    join: Join, truths: list[bool | None], answer: bool | None
) -> None:
    assert joined(join, iter(truths)) is answer


def test_of_nobody_nothing_is_true_but_what_is_zero_or_not() -> None:
    for preset in read_presets():
        assert decide(preset, NOBODY, NOW, SHOP) in (False, None), preset.name
    assert said({"orders": {"count": {"less_than": 1}}}, NOBODY) is True
    assert said({"contracts": {"count": 0}}, NOBODY) is True
    assert said({"none": [{"gender": "female"}]}, NOBODY) is True
    assert said({"points": {"balance": 0}}, NOBODY) is False


@pytest.mark.parametrize("word", sorted(LIVE))
def test_random_people_are_on_both_sides_of_each_condition(word: str) -> None:
    """Else the agreement of the two readers would prove nothing."""
    answers: Counter[bool | None] = Counter()
    for document in drawn(word, LIVE[word]):
        answers.update(said(document, person) for seed in (1, 2) for person in world(seed).people.values())
    assert answers[False] > 0
    assert answers[True] > 0 or word == "prefecture"


def test_the_sample_is_as_large_as_it_says_and_the_same_tomorrow() -> None:
    people = [replace(NOBODY, profile=replace(NOBODY.profile, customer_id=CustomerId(f"c{n}"))) for n in range(4_000)]
    tenth = [said({"sample": {"percent": 10, "seed": "春"}}, person) for person in people]
    assert 330 < sum(map(bool, tenth)) < 470
    assert tenth == [said({"sample": {"percent": 10, "seed": "春"}}, person) for person in people]
    third = [said({"sample": {"percent": 30, "seed": "春"}}, person) for person in people]
    assert all(more for some, more in zip(tenth, third, strict=True) if some)
    assert tenth != [said({"sample": {"percent": 10, "seed": "夏"}}, person) for person in people]
    assert not any(said({"sample": {"percent": 0, "seed": "春"}}, person) for person in people[:200])
    assert all(said({"sample": {"percent": 100, "seed": "春"}}, person) for person in people[:200])
