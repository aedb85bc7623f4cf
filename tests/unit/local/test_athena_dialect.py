"""Athena's SQL becomes DuckDB's with the same meaning, or is refused."""

from __future__ import annotations

import duckdb
import pytest

from infra.local.emulator.athena_dialect import UntranslatableError, joda_to_strftime, parse, to_duckdb


def value_of(sql: str, *parameters: str) -> object:
    """What the translated query answers."""
    with duckdb.connect(":memory:") as connection:
        row = connection.execute(to_duckdb(parse(sql, parameters).query)).fetchone()
    assert row is not None
    return row[0]


@pytest.mark.parametrize(
    ("expression", "expected"),
    [
        ("CAST(2.5e0 AS bigint)", 3),
        ("CAST(-2.5e0 AS bigint)", -3),
        ("CAST(round(2.45e0, 1) AS bigint)", 3),
        ("CAST(9007199254740993 AS bigint)", 9007199254740993),
        ("CAST('12' AS integer)", 12),
        ("date_diff('month', DATE '2026-01-15', DATE '2026-02-14')", 0),
        ("date_diff('day', DATE '2026-01-15', DATE '2026-02-14')", 30),
        ("concat('a', CAST(NULL AS varchar))", None),
        ("greatest(1, CAST(NULL AS integer))", None),
        ("format_datetime(TIMESTAMP '2026-03-01 10:05:00', 'yyyy-MM HH:mm')", "2026-03 10:05"),
        ("CAST(7 AS double) / 2", 3.5),
        ("element_at(map_agg(k, v), 'b')", 2),
        ("every(v > 0)", True),
        ("day_of_week(DATE '2026-03-01')", 7),
    ],
)
def test_an_expression_means_what_it_means_in_athena(expression: str, expected: object) -> None:
    assert value_of(" ".join(["SELECT", expression, "FROM (VALUES ('a', 1), ('b', 2)) AS t (k, v)"])) == expected


@pytest.mark.parametrize(
    ("sql", "reason"),
    [
        ("SELECT a / b FROM t", "double"),
        ("SELECT sum(a) / 100.0 FROM t", "double"),
        ("SELECT a AT TIME ZONE 'Asia/Tokyo' FROM t", "time zone"),
        ("SELECT with_timezone(a, 'UTC') FROM t", "time zone"),
        ("SELECT soundslike(a) FROM t", "not known"),
        ("INSERT INTO t SELECT 1", "one SELECT"),
        ("SELECT 1; SELECT 2", "one SELECT"),
        ("SELECT format_datetime(a, 'GG') FROM t", "pattern letters"),
        ("SELECT FROM WHERE", "mismatched input"),
    ],
)
def test_what_cannot_be_promised_is_refused(sql: str, reason: str) -> None:
    with pytest.raises(UntranslatableError, match=reason):
        to_duckdb(parse(sql).query)


def test_parameters_are_filled_in_the_order_of_the_text() -> None:
    sql = "WITH a AS (SELECT ? AS x) SELECT concat(x, ?) FROM a WHERE x = ? AND '?' = '?'"
    assert value_of(sql, "'a'", "'b'", "'a'") == "ab"


@pytest.mark.parametrize("parameters", [("'a'", "'b'"), ("a b",), ("(SELECT 1)",), ("now()",)])
def test_parameters_must_be_literals_and_as_many_as_the_marks(parameters: tuple[str, ...]) -> None:
    with pytest.raises(UntranslatableError):
        parse("SELECT * FROM t WHERE x = ?", parameters)


def test_unload_is_taken_apart() -> None:
    statement = parse(
        "-- nightly\nUNLOAD (SELECT a, b FROM t WHERE x = ')') TO 's3://lake/out/' "
        "WITH (format = 'PARQUET', compression = 'ZSTD', partitioned_by = ARRAY['a', 'b'])"
    )
    assert statement.unload is not None
    assert (statement.unload.location, statement.unload.compression) == ("s3://lake/out/", "zstd")
    assert statement.unload.partitioned_by == ("a", "b")


@pytest.mark.parametrize(
    "sql",
    [
        "UNLOAD (SELECT 1) TO 's3://lake/out/' WITH (format = 'JSON')",
        "UNLOAD (SELECT 1) TO '/tmp/out' WITH (format = 'PARQUET')",
        "UNLOAD (SELECT 1) TO 's3://lake/out/'",
        "UNLOAD SELECT 1",
        "UNLOAD (SELECT 1) TO 's3://lake/out/' WITH (format = 'PARQUET', field_delimiter = ',')",
    ],
)
def test_an_unload_it_cannot_do_is_refused(sql: str) -> None:
    with pytest.raises(UntranslatableError):
        parse(sql)


def test_joda_patterns_keep_their_literals() -> None:
    assert joda_to_strftime("yyyy'年'MM'月' 100%") == "%Y年%m月 100%%"
