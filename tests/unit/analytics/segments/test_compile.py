"""A compiled segment keeps the house rules of SQL, and reads nobody else's shop."""

from __future__ import annotations

import random
from datetime import date
from functools import cache
from typing import Any

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from shared.analytics import catalog, sqllint
from shared.analytics.definitions import Definitions
from shared.analytics.meaning import every_analysis
from shared.analytics.schema import BASE_TABLES
from shared.analytics.segments import night
from shared.analytics.segments.compile import SOURCES, compile_segment, selects_of
from shared.analytics.segments.model import CONDITIONS, Where
from shared.analytics.segments.read import read_document, read_presets
from shared.analytics.sql import bind, read
from shared.core.errors import RejectedError
from shared.core.ids import TenantId
from tests.amount import amount
from tests.sql.lake_in_duckdb import TABLES, TENANT, DuckLake
from tests.unit.analytics.segments.definitions import LIVE, NIGHTLY, documents
from tests.unit.analytics.segments.world import AS_OF, random_world

VALUES = catalog.parameters(TenantId(TENANT), AS_OF, Definitions(), "JPY")
ANALYSES = every_analysis()
PRESETS = {preset.name: preset for preset in read_presets()}
DEFINITIONS = amount(10_000, sample=1_500)


@cache
def complaints(select: str) -> tuple[str, ...]:
    """What the lint says of a query; the same text is read once."""
    return tuple(sqllint.lint(select, TABLES.keys(), VALUES.keys()))


@cache
def a_pool() -> tuple[dict[str, Any], ...]:
    """Conditions of every kind with random values."""
    return tuple(each for known in (LIVE, NIGHTLY) for word, values in known.items() for each in drawn(word, values))


def drawn(word: str, values: st.SearchStrategy[Any]) -> list[dict[str, Any]]:
    """A dozen of one kind."""
    found: list[dict[str, Any]] = []

    @given(values)
    @settings(max_examples=12, derandomize=True, database=None, suppress_health_check=list(HealthCheck))
    def draw(value: Any) -> None:
        found.append({word: value})

    draw()
    return found


def a_tree(rng: random.Random, pool: tuple[dict[str, Any], ...], depth: int = 0) -> dict[str, Any]:
    """Conditions joined at random."""
    if depth == 2 or rng.random() < 0.6:
        return rng.choice(pool)
    parts = [a_tree(rng, pool, depth + 1) for _ in range(rng.choice([1, 1, 2]))]
    return {rng.choice(["all", "any", "none"]): parts}


def test_random_definitions_never_read_without_their_tenant() -> None:
    """A sample; 10,000 definitions with `MATAKITE_FULL=1`."""
    rng, pool = random.Random(20260331), a_pool()
    assert {next(iter(each)) for each in pool} == set(CONDITIONS)
    for number in range(DEFINITIONS):
        segment = read_document({"name": "x", "title": "x", "members": a_tree(rng, pool)})
        for select in selects_of(segment, ANALYSES):
            assert complaints(select) == (), select
        if number % 100 == 0:
            assert complaints(compile_segment(segment, ANALYSES).sql) == ()


def test_the_proof_would_see_a_read_without_tenant_or_partition() -> None:
    for path in SOURCES.glob("*.sql"):
        text = read(path).replace(":since_month", "'2026-01'")
        assert sqllint.lint(text, TABLES.keys(), VALUES.keys()) == []
        open_ = text.replace("tenant = :tenant", "store = store")
        assert "no tenant" in " ".join(sqllint.lint(open_, TABLES.keys(), VALUES.keys()))
        unbound = text.replace("month ", "written_at ")
        assert "no bound on its partition" in " ".join(sqllint.lint(unbound, TABLES.keys(), VALUES.keys()))


@given(documents(live=False, most=4))
@settings(max_examples=25, deadline=None, derandomize=True, suppress_health_check=list(HealthCheck))
def test_another_shops_rows_are_never_found(document: dict[str, Any]) -> None:
    compiled = compile_segment(read_document(document), ANALYSES)
    query = catalog.over_base_tables(bind(compiled.sql, {**VALUES, "tenant": "other"}), compiled.reads, [], VALUES)
    assert shop().lake.rows(query) == []


@cache
def shop() -> Any:
    """A shop of random people, none of whom is of the shop `other`."""
    return random_world(4, people=20)


def test_tables_that_are_read_are_those_the_night_may_read() -> None:
    base = {table.name for table in BASE_TABLES}
    for document in a_pool():
        compiled = compile_segment(read_document({"name": "x", "title": "x", "members": document}), ANALYSES)
        assert set(compiled.reads) & base <= night.READS, document
        assert sqllint.tables_read(bind(compiled.sql, VALUES)) == set(compiled.reads), document


@pytest.mark.parametrize("name", sorted(PRESETS))
def test_a_ready_made_segment_can_be_asked_and_read(name: str) -> None:
    preset = PRESETS[name]
    assert any(ord(letter) > 0x3000 for letter in preset.title + preset.description)
    compiled = compile_segment(preset, ANALYSES)
    assert complaints(compiled.sql) == ()
    query = catalog.over_base_tables(bind(compiled.sql, VALUES), compiled.reads, ANALYSES, VALUES)
    if "customer_predictions_v1" not in compiled.reads:
        assert DuckLake().rows(query) == []


def test_every_kind_of_need_has_a_ready_made_segment() -> None:
    assert {"vip", "first_order_waiting", "at_risk_reachable", "dormant_high_ltv", "birthday_this_month",
            "points_expiring", "next_delivery_soon", "left_cart_7_days"} <= PRESETS.keys()  # fmt: skip
    assert [name for name, each in PRESETS.items() if not each.live_decidable] == [
        "due_soon",
        "likely_to_order",
        "no_response",
    ]


def test_only_what_is_asked_is_read() -> None:
    """Nobody without an order can be among buyers: no list of everybody is needed for them."""
    buyers = compile_segment(read_document({"name": "x", "members": {"orders": {"within_days": 30}}}))
    assert buyers.reads == ("valid_orders_v1",)
    others = compile_segment(read_document({"name": "x", "members": {"orders": {"count": 0, "within_days": 30}}}))
    assert others.reads == ("valid_orders_v1", "person_links", "person_ids")


def test_a_window_reads_only_its_months() -> None:
    members = {"messages": {"event": "clicked", "within_days": 30}}
    sql = bind(compile_segment(read_document({"name": "x", "members": members})).sql, VALUES)
    assert "month >= SUBSTR(CAST(CAST(DATE_ADD('day', -30, DATE '2026-03-31')" in sql
    since = {"visits": {"since": "2026-02-11"}}
    assert "month >= '2026-02'" in compile_segment(read_document({"name": "x", "members": since})).sql


def test_the_same_question_is_asked_once() -> None:
    twice = {"any": [{"tag": "vip"}, {"all": [{"tag": "vip"}, {"gender": "female"}]}]}
    assert compile_segment(read_document({"name": "x", "members": twice})).sql.count("AS asked") == 2


@pytest.mark.parametrize("name", ["nonsense", "segment_members_v1", "segment_counts_v1"])
def test_an_analysis_that_cannot_be_asked_is_refused(name: str) -> None:
    with pytest.raises(RejectedError, match="no analysis"):
        compile_segment(read_document({"name": "x", "members": {"analysis": {"name": name}}}), ANALYSES)


def test_a_row_an_analysis_does_not_have_is_refused() -> None:
    members = {"analysis": {"name": "rfm_matrix_v1", "row": {"r": "six"}}}
    with pytest.raises(RejectedError, match="r is a int"):
        compile_segment(read_document({"name": "x", "members": members}), ANALYSES)


def test_too_many_values_are_refused_before_athena_refuses_them() -> None:
    members = {"any": [{"tag": [f"{number:0300d}" for number in range(500)]}]}
    with pytest.raises(RejectedError, match="characters"):
        compile_segment(read_document({"name": "x", "members": members}))


def test_a_definition_knows_where_it_can_be_answered() -> None:
    kinds = {word: kind.reach for word, kind in CONDITIONS.items()}
    assert kinds["visits"] is Where.RECENT
    assert {word for word, reach in kinds.items() if reach is Where.NIGHTLY} == {
        "messages", "p_order_30", "p_order_90", "p_alive", "predicted_ltv", "predicted_orders", "next_order",
        "analysis",
    }  # fmt: skip
    by_category = read_document({"name": "x", "members": {"bought": {"category": "基礎"}}})
    assert (by_category.live_decidable, by_category.nightly_words) == (False, ("bought",))
    fixed = read_document({"name": "x", "as_of": "2026-01-31", "members": {"tag": "vip"}})
    assert fixed.as_of == date(2026, 1, 31)
    assert not fixed.live_decidable
