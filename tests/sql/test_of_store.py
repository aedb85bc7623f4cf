"""Any analysis asked of one store: as if the shop had no other."""

from __future__ import annotations

from functools import cache

import pytest

from shared.analytics import catalog
from shared.analytics.customers_of import customers_query
from shared.analytics.meaning import every_analysis, meaning
from shared.analytics.of_store import TOLD_OF_STORES, of_store
from shared.core.errors import RejectedError
from shared.core.ids import TenantId
from tests.sql.lake_in_duckdb import TENANT, DuckLake, differences
from tests.sql.market import STORES
from tests.sql.test_market import LEFT_BY_NIGHTS, LIMITS, lake, market

STORE = STORES[0]
VALUES = catalog.parameters(TenantId(TENANT), market(0).as_of, LIMITS, "JPY")
NAMES = sorted(set(catalog.names()) - LEFT_BY_NIGHTS)


@cache
def alone() -> DuckLake:
    """The same shop without its other stores."""
    found = lake(0).copy()
    for table in TOLD_OF_STORES:
        found.fill(table, [])
        found.connection.execute(f"DELETE FROM {table} WHERE store <> ?", [STORE])  # noqa: S608 - our own names
    return found


@pytest.mark.parametrize("name", NAMES)
def test_an_analysis_of_one_store_is_that_of_a_shop_with_no_other(name: str) -> None:
    query = catalog.standalone_query(name, every_analysis(), VALUES)
    try:
        filtered = of_store(query, STORE)
    except RejectedError:
        assert {"media_costs", "coupon_codes"} & behind(name) or not TOLD_OF_STORES & behind(name)
        return
    assert differences(lake(0).rows(filtered), alone().rows(query)) == []


def behind(name: str) -> set[str]:
    """The base tables an analysis stands on."""
    if name not in catalog.names():
        return {name}
    return set().union(*(behind(each) for each in meaning(name).reads))


def test_stores_differ_and_so_do_their_customers() -> None:
    query = catalog.standalone_query("rfm_matrix_v1", every_analysis(), VALUES)
    rows = [lake(0).rows(of_store(query, store)) for store in STORES]
    assert differences(*rows)
    people = customers_query(
        "rfm_matrix_v1", {"r": str(rows[0][0]["r"]), "f": str(rows[0][0]["f"])}, every_analysis(), VALUES
    )
    assert len(lake(0).rows(of_store(people, STORE))) == rows[0][0]["customers"]


def test_a_store_nobody_has_is_empty_whatever_it_is_called() -> None:
    query = catalog.standalone_query("rfm_v1", every_analysis(), VALUES)
    for store in ("", "'", "' OR '1'='1", "\\", "--"):
        assert lake(0).rows(of_store(query, store)) == []
