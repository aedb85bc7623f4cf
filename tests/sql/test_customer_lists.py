"""Every cell opens its list: the people behind a number are as many as the number says, for every analysis."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest

from shared.analytics import catalog, sqllint
from shared.analytics.customers_of import PERSON, customers_query, members_text
from shared.analytics.definitions import Definitions
from shared.analytics.meaning import CustomerLists, every_analysis, meaning, result_table
from shared.analytics.sql import bind
from shared.core.errors import RejectedError
from shared.core.ids import TenantId
from tests.sql.lake_in_duckdb import TABLES, TENANT, DuckLake
from tests.sql.market import AS_OF, fill, random_market

LIMITS = Definitions(cpm_months=3, ltv_days=500, f2_days=37, retention_months=15, minimum_people=5, followed_orders=4)
VALUES = catalog.parameters(TenantId(TENANT), AS_OF, LIMITS, "JPY")
NAMES = catalog.names()
WITH_LISTS = [name for name in NAMES if meaning(name).customers]
THINGS = {"subscription_flow_v1", "purchase_cycle_v1"}
"""They count contracts and gaps; a list names each person once."""


@pytest.fixture(scope="module")
def lake() -> DuckLake:
    """A shop with everything in it."""
    filled = DuckLake()
    fill(filled, random_market(seed=7))
    return filled


@pytest.mark.parametrize("name", NAMES)
def test_an_analysis_lists_its_people_or_is_a_list_itself(name: str) -> None:
    columns = {column.name for column in result_table(name).columns}
    if name.startswith("model_"):
        pytest.skip("input of a model, shown to nobody")
    if meaning(name).customers is None and PERSON not in columns:
        assert "customers" not in columns, f"{name} counts customers that nobody can open"


@pytest.mark.parametrize("name", WITH_LISTS)
def test_the_query_of_a_list_keeps_the_house_rules(name: str) -> None:
    lists = meaning(name).customers
    assert lists is not None
    assert sqllint.lint(members_text(name), TABLES.keys(), VALUES.keys()) == []
    assert sqllint.tables_read(every_table(name)) == set(lists.reads)
    columns = {column.name for column in result_table(name).columns}
    assert {*lists.keys, *lists.lists} <= columns


def every_table(name: str) -> str:
    """The bound query of an analysis' members."""
    return bind(members_text(name), VALUES)


def every_list(name: str, lists: CustomerLists) -> str:
    """The query for how long each list of an analysis is."""
    keys = ", ".join(("counted", *lists.keys))
    query = (
        f"SELECT {keys}, COUNT(DISTINCT {PERSON}) AS people\nFROM (\n{every_table(name)}\n) AS members\nGROUP BY {keys}"
    )
    return catalog.over_base_tables(query, lists.reads, every_analysis(), VALUES)


@pytest.mark.parametrize("name", WITH_LISTS)
def test_a_list_is_as_long_as_the_number_it_explains(name: str, lake: DuckLake) -> None:
    lists = meaning(name).customers
    assert lists is not None
    found = lake.rows(every_list(name, lists))
    lengths = {(row["counted"], *_keys(row, lists.keys)): row["people"] for row in found}
    rows = lake.rows(catalog.standalone_query(name, every_analysis(), VALUES))
    assert rows
    opened = set()
    for row in rows:
        for counted in lists.lists:
            key = (counted, *_keys(row, lists.keys))
            opened.add(key)
            number, people = row[counted] or 0, lengths.get(key, 0)
            if name in THINGS:
                assert (people > 0) == (number > 0)
                assert people <= number
            else:
                assert people == number, key
    assert lengths.keys() <= opened, "a list that no row opens"


def _keys(row: Mapping[str, Any], keys: tuple[str, ...]) -> tuple[Any, ...]:
    return tuple(row[key] for key in keys)


@pytest.mark.parametrize("name", WITH_LISTS)
def test_one_row_opens_by_the_keys_a_person_types(name: str, lake: DuckLake) -> None:
    lists = meaning(name).customers
    assert lists is not None
    rows = lake.rows(catalog.standalone_query(name, every_analysis(), VALUES))
    row = max(rows, key=lambda each: each[lists.lists[0]] or 0)
    typed = {key: "" if row[key] is None else str(row[key]) for key in lists.keys}
    people = lake.rows(customers_query(name, typed, every_analysis(), VALUES))
    ids = [each[PERSON] for each in people]
    assert ids == sorted(set(ids))
    assert ids if name in THINGS else len(ids) == row[lists.lists[0]]


def test_rows_that_are_people_are_their_own_list(lake: DuckLake) -> None:
    rows = lake.rows(catalog.standalone_query("rfm_v1", every_analysis(), VALUES))
    wanted = sorted(row["customer_id"] for row in rows if (row["r"], row["f"]) == (1, 1))
    found = lake.rows(customers_query("rfm_v1", {"r": "1", "f": "1"}, every_analysis(), VALUES))
    assert [row["customer_id"] for row in found] == wanted
    assert wanted


@pytest.mark.parametrize(
    ("name", "row", "complaint"),
    [
        ("rfm_matrix_v1", {"r": "six"}, "r is a int"),
        ("rfm_matrix_v1", {"m": "6"}, "has no key m"),
        ("rfm_matrix_v1", {"r": "6", "list": "amount"}, "has no list 'amount'"),
        ("rfm_matrix_v1", {"r = 6 OR 1": "1"}, "has no key"),
        ("cross_sell_v1", {"same_order": "maybe"}, "same_order is a boolean"),
    ],
)
def test_what_a_row_does_not_have_is_refused(name: str, row: dict[str, str], complaint: str) -> None:
    with pytest.raises(RejectedError, match=complaint):
        customers_query(name, row, every_analysis(), VALUES)


HOSTILE = [
    "'",
    "''",
    "x' OR '1'='1",
    "'; DROP TABLE events; --",
    "\\",
    "a\nb",
    ":tenant",
    "/* */",
    "\u2019",
    "%",
    "NULL",
]


@pytest.mark.parametrize("text", HOSTILE)
def test_a_hostile_key_is_a_text_that_nobody_has(text: str, lake: DuckLake) -> None:
    assert lake.rows(customers_query("segment_values_v1", {"segment": text}, every_analysis(), VALUES)) == []
