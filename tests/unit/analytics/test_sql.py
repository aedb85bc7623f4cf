"""Parameters become literals that nothing can leave."""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import duckdb
import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.analytics.sql import bind, literal, parameter_names, read, unload
from tests.sql.lake_in_duckdb import to_duckdb


def answer(athena_sql: str) -> list[Any]:
    """The rows of a query."""
    return duckdb.execute(to_duckdb(athena_sql)).fetchall()


@given(st.text(alphabet=st.characters(exclude_characters="\x00", exclude_categories=["Cs"])))
def test_any_text_comes_out_as_it_went_in(text: str) -> None:
    query = bind("SELECT :value AS found, ':value' AS kept", {"value": text})
    assert answer(query) == [(text, ":value")]


@pytest.mark.parametrize(
    "hostile", ["'", "''", "'; DROP TABLE x; --", "\\'", ":tenant", "/*", "--", "' OR 1=1 --", "’"]
)
def test_hostile_text_is_only_text(hostile: str) -> None:
    assert answer(bind("SELECT :value", {"value": hostile})) == [(hostile,)]


def test_days_and_numbers_are_typed_literals() -> None:
    assert bind("SELECT :a, :b", {"a": date(2026, 3, 31), "b": -5}) == "SELECT DATE '2026-03-31', -5"


def test_an_instant_is_written_in_utc() -> None:
    tokyo = datetime(2026, 4, 1, 0, 0, 0, 5000, tzinfo=timezone(timedelta(hours=9)))
    assert literal(tokyo) == "TIMESTAMP '2026-03-31 15:00:00.005'"


@pytest.mark.parametrize("value", [True, 1.5, None, datetime(2026, 1, 1), ["a"]])  # noqa: DTZ001 - no instant
def test_other_types_are_refused(value: object) -> None:
    with pytest.raises(TypeError):
        literal(value)  # type: ignore[arg-type]


def test_a_name_without_a_value_is_an_error() -> None:
    with pytest.raises(KeyError):
        bind("SELECT :missing", {})


def test_texts_comments_and_casts_are_left_alone() -> None:
    query = "SELECT ':a', \":b\", x::int -- :c\n/* :d */, :e"
    assert parameter_names(query) == {"e"}


def test_a_value_is_not_read_again() -> None:
    assert bind("SELECT :a, :b", {"a": ":b", "b": 1}) == "SELECT ':b', 1"


def test_unload_names_its_place() -> None:
    assert unload("SELECT 1", "s3://lake/x/").startswith("UNLOAD (\nSELECT 1\n) TO 's3://lake/x/' WITH (")


def test_a_line_stands_for_another_file_and_what_that_stands_for(tmp_path: Path) -> None:
    (tmp_path / "ones.sql").write_text("-- Ones.\nones AS (\n  SELECT 1 AS n\n)\n")
    (tmp_path / "a").mkdir()
    (tmp_path / "a" / "rows.sql").write_text("--> ../ones.sql,\ntwos AS (\n  SELECT n + n AS n FROM ones\n)\n")
    (tmp_path / "a" / "query.sql").write_text(
        "-- Fours --> of them.\nWITH\n--> rows.sql\nSELECT n + n AS n FROM twos\n"
    )
    assert answer(read(tmp_path / "a" / "query.sql")) == [(4,)]
