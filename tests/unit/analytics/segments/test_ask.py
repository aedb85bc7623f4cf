"""A segment asked of any day: over what that day's night left, else over the orders themselves."""

from __future__ import annotations

from typing import Any, Literal

import pytest

from shared.analytics.meaning import every_analysis
from shared.analytics.segments.ask import Asking, counted, query
from shared.analytics.segments.compile import compile_segment
from shared.analytics.segments.read import read_document
from shared.core.errors import RejectedError
from tests.sql.lake_in_duckdb import lake_of
from tests.unit.analytics.segments.test_night import MANY
from tests.unit.analytics.world import SHOP, World, an_order, customer_of, day

SLEEPERS = {"status": "dormant"}
LIKELY = {"p_order_30": {"at_least": 0}}


@pytest.fixture(scope="module")
def world() -> World:
    """Two customers and one night; an order of its day was heard of a day late."""
    world = World()
    world.hear(an_order("a", "1", "2026-11-01"), an_order("b", "2", "2026-01-01"))
    world.run_night("2026-11-20", without=MANY - {"customer_predictions_v1", "model_predictions_v1"})
    return world


def asked(world: World, members: dict[str, Any], on: str, known: Literal["then", "now"] = "now") -> str:
    """The query."""
    compiled = compile_segment(read_document({"name": "x", "members": members}), every_analysis())
    return query(compiled, Asking(day(on), known), SHOP, world.reports, every_analysis())


def people(world: World, sql: str) -> str:
    """Who answers it."""
    names = {customer_of(world, each): each for each in "ab"}
    return "".join(sorted(names[row["customer_id"]] for row in lake_of(world.lake).rows(sql)))


def test_after_its_night_a_days_statuses_are_read_not_worked_out(world: World) -> None:
    sql = asked(world, SLEEPERS, "2026-11-20")
    assert "order_states" not in sql
    assert people(world, sql) == "b"


@pytest.mark.parametrize(("on", "found"), [("2026-02-01", ""), ("2026-08-29", "b"), ("2026-08-28", "")])
def test_a_day_without_a_night_is_worked_out_from_the_orders(world: World, on: str, found: str) -> None:
    sql = asked(world, SLEEPERS, on)
    assert "order_states" in sql
    assert people(world, sql) == found


def test_as_known_then_leaves_out_what_was_heard_later(world: World) -> None:
    buyers: dict[str, Any] = {"orders": {}}
    assert people(world, asked(world, buyers, "2026-11-20")) == "ab"
    # The states were written to the live table on a later day than that of the orders.
    assert people(world, asked(world, buyers, "2026-01-05", "then")) == ""
    assert people(world, asked(world, buyers, "2026-01-05", "now")) == "b"


def test_predictions_are_of_days_that_were_run(world: World) -> None:
    assert people(world, asked(world, LIKELY, "2026-11-20")) == "ab"
    with pytest.raises(RejectedError, match="nightly run --as-of 2026-11-19"):
        asked(world, LIKELY, "2026-11-19")
    with pytest.raises(RejectedError, match="as known now"):
        asked(world, LIKELY, "2026-11-20", "then")


def test_the_count_comes_with_the_first_ids(world: World) -> None:
    sql = counted(asked(world, {"orders": {}}, "2026-11-20"), 1)
    (row,) = lake_of(world.lake).rows(sql)
    assert row == {"customer_id": min(customer_of(world, "a"), customer_of(world, "b")), "people": 2}
    assert lake_of(world.lake).rows(counted(asked(world, {"tag": "x"}, "2026-11-20"), 1)) == []
