"""Hostile strings as values of segments change nothing but the result: a sample, 10,000 with `MATAKITE_FULL=1`."""

from __future__ import annotations

import random
from typing import Any

import pytest

from shared.analytics import catalog, sqllint
from shared.analytics.definitions import Definitions
from shared.analytics.meaning import every_analysis
from shared.analytics.segments.compile import compile_segment
from shared.analytics.segments.night import COUNTS, MEMBERS, NightSegments
from shared.analytics.segments.read import read_document, read_text
from shared.analytics.segments.store import Saved
from shared.analytics.sql import bind
from shared.core.ids import TenantId
from shared.core.mistakes import InvalidFileError
from tests.amount import amount
from tests.sql.lake_in_duckdb import TABLES, TENANT, DuckLake
from tests.unit.analytics.segments.world import AS_OF

VALUES = catalog.parameters(TenantId(TENANT), AS_OF, Definitions(), "JPY")
STRINGS = amount(10_000, sample=2_000)
AT_ONCE = 500

PIECES = (
    "'", "''", '"', "`", "\\", "\\'", "\\\\", "--", "/*", "*/", ";", "#", "%", "_", "?", "$1", ":tenant", ":as_of",
    "::",
    "{}", "{{x}}", "${x}", "\n", "\r\n", "\t", "\x00", "\x1a", "\u2028", "\u200b", "\u202e", "\ufeff", "＇", "’", "ʼ",
    "日本",
    "😀", "é", "e\u0301", " OR 1=1", "' OR '1'='1", "'; DROP TABLE attribute_states; --",
    ") UNION SELECT customer_id FROM",
    " order_states WHERE tenant = 'other'", "CHR(39)", "||", "U&'\\0027'", "E'\\x27'", "x'27'", "NULL",
    "DATE '2026-01-01'",
    "%' ESCAPE '", "=1+1", "@SUM(A1)", " ", "\u3000", "0", "a",
)  # fmt: skip


def hostile(count: int, seed: int = 1) -> list[str]:
    """Different strings made of what breaks quoting somewhere."""
    rng = random.Random(seed)
    found: dict[str, None] = dict.fromkeys(PIECES)
    while len(found) < count:
        found["".join(rng.choices(PIECES, k=rng.randrange(1, 6)))[:300]] = None
    return list(found)[:count]


@pytest.fixture(scope="module")
def lake() -> DuckLake:
    """One person for each string, who says it everywhere."""
    filled = DuckLake()
    rows: list[dict[str, Any]] = []
    for number, text in enumerate(hostile(STRINGS)):
        base = {"customer_id": f"c{number}", "said_on": AS_OF}
        rows.append({**base, "name": "occupation", "value": text})
        rows.append({**base, "name": f"tags/{text}", "value": "true"})
        rows.append({**base, "name": "survey/s/q", "choices": [text]})
        rows.append({**base, "name": f"rank/{text}", "value": "gold"})
    filled.fill("attribute_states", rows)
    return filled


def people(lake: DuckLake, members: dict[str, Any]) -> list[str]:
    """Who is found."""
    compiled = compile_segment(read_document({"name": "x", "title": "x", "members": members}))
    found = lake.rows(bind(compiled.sql, VALUES))
    assert all(list(row) == ["customer_id"] for row in found)
    return sorted(row["customer_id"] for row in found)


@pytest.mark.parametrize("word", ["occupation", "tag", "survey"])
def test_each_string_finds_who_says_it_and_nobody_else(word: str, lake: DuckLake) -> None:
    texts = hostile(STRINGS)
    for start in range(0, STRINGS, AT_ONCE):
        batch = texts[start : start + AT_ONCE : 1 if word == "occupation" else 5]
        value: Any = {"survey": "s", "question": "q", "choice": batch} if word == "survey" else batch
        expected = sorted(f"c{start + place * (1 if word == 'occupation' else 5)}" for place in range(len(batch)))
        assert people(lake, {word: value}) == expected
    assert lake.rows("SELECT COUNT(*) AS n FROM attribute_states")[0]["n"] == 4 * STRINGS


def test_one_at_a_time_in_every_place_a_text_can_stand(lake: DuckLake) -> None:
    for number, text in enumerate(hostile(15)):
        assert people(lake, {"rank": {"is": "gold", "store": text}}) == [f"c{number}"]
        assert people(lake, {"none": [{"none": [{"occupation": text}]}]}) == [f"c{number}"]
        everywhere = {
            "any": [
                {"survey": {"survey": text, "question": text}},
                {"custom": {"name": text, "number": 1}},
                {"points": {"balance": 1, "store": text}},
                {"consent": {"channel": "email", "store": text}},
                {"contracts": {"product": text, "store": text, "cancel_reason": text}},
                {"visits": {"name": text, "page_type": text, "product": text}},
                {"messages": {"event": "opened", "scenario": text, "step": text, "channel": text}},
                {"orders": {"source": text, "store": text, "media": text, "coupon": text}},
                {"bought": {"product": text, "category": text}},
                {"all": [{"tag": "nobody"}, {"sample": {"percent": 50, "seed": text}}]},
            ]
        }
        compiled = compile_segment(read_document({"name": "x", "title": "x", "members": everywhere}))
        assert sqllint.lint(compiled.sql, TABLES.keys(), VALUES.keys()) == []
        assert people(lake, everywhere) == []


def test_in_a_row_of_an_analysis_and_in_a_title_they_stay_texts(lake: DuckLake) -> None:
    analyses = every_analysis()
    for text in hostile(40):
        members = {"analysis": {"name": "points_rank_v1", "row": {"store": text, "member_rank": "gold"}}}
        compiled = compile_segment(read_document({"name": "x", "title": "x", "members": members}), analyses)
        saved = Saved("x", "v", text, {}, compiled.sql, compiled.reads, "")
        views = [analysis for analysis in analyses if analysis.name in {"valid_orders_v1"}]
        lake.rows(catalog.over_base_tables(bind(compiled.sql, VALUES), compiled.reads, views, VALUES))
        counts = NightSegments((saved,)).query(COUNTS, (), [], VALUES)
        assert counts is not None
        assert [row["title"] for row in lake.rows(counts)] == [text]
        assert NightSegments((saved,)).query(MEMBERS, (), [], VALUES)


def test_half_a_letter_is_refused() -> None:
    with pytest.raises(InvalidFileError, match="unicode"):
        read_document({"name": "x", "title": "x", "members": {"tag": "\ud800"}})


@pytest.mark.parametrize("text", [*hostile(100), "x: &a [*a]", "- " * 5_000, "{" * 300])
def test_a_hostile_file_is_refused_with_a_line(text: str) -> None:
    with pytest.raises(InvalidFileError, match=r"segment\.yaml:\d+"):
        read_text(f"name: x\nmembers: {text}\n")
