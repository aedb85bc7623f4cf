"""RFM, status, CPM, deciles, F2, LTV and the rest on *Online Retail II* against plain Python, on its own boundaries.

The data set (UCI, CC BY 4.0) lies beside the project, not in it: without it these tests are skipped, and say so.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import date
from functools import cache
from math import isnan
from pathlib import Path

import pyarrow.parquet as pq
import pytest

from shared.analytics import catalog
from shared.analytics.definitions import Definitions
from shared.analytics.meaning import every_analysis
from shared.core.ids import TenantId
from tests.sql import portfolio, test_oracle, test_portfolio
from tests.sql.lake_in_duckdb import TENANT, DuckLake
from tests.sql.portfolio import Order

FILE = Path(__file__).parents[3] / "shared" / "data" / "online_retail_ii_2009_2010.parquet"
AS_OF = date(2010, 12, 9)

pytestmark = pytest.mark.skipif(not FILE.exists(), reason=f"{FILE.name} is not beside the project")

Line = tuple[str, str, date, str, str, int]
"""invoice, customer, day, product, title, pence"""


@cache
def lines() -> Sequence[Line]:
    """Every line of an invoice with a customer; cancellations (C…) are no orders."""
    columns = ["Invoice", "StockCode", "Description", "Quantity", "InvoiceDate", "Price", "Customer ID"]
    table = pq.read_table(FILE, columns=columns).to_pydict()
    rows = zip(*(table[column] for column in columns), strict=True)
    return [
        (invoice, f"{customer:.0f}", date.fromisoformat(at[:10]), code, title or "", round(quantity * price * 100))
        for invoice, code, title, quantity, at, price, customer in rows
        if customer is not None and not isnan(customer) and not invoice.startswith("C") and quantity > 0
    ]


@cache
def orders() -> Sequence[Order]:
    """One order per invoice."""
    amounts = Counter[tuple[str, str, date]]()
    for invoice, customer, on, _, _, pence in lines():
        amounts[invoice, customer, on] += pence
    # In the order of their numbers, which decides between those of one day.
    return [Order(customer, on, pence) for (_, customer, on), pence in sorted(amounts.items())]


def test_the_file_is_the_one_we_mean() -> None:
    assert len(orders()) == 19_215
    assert len({order.customer for order in orders()}) == 4_314


def test_rfm_and_status_are_judged_as_the_definitions_say() -> None:
    bought = [test_oracle.Bought(order.customer, order.on, order.amount) for order in orders()]
    lake = test_oracle.lake_with(bought)
    for as_of in (date(2010, 9, 30), AS_OF):
        test_oracle.compare(bought, lake, as_of)


def test_everything_else_is_counted_as_the_definitions_say_on_every_boundary() -> None:
    known = portfolio.buyers(orders(), AS_OF)
    # An amount that somebody with a long tenure spent exactly, so that "from … on" is put to the test.
    amounts = sorted(sum(buyer.amounts) for buyer in known.values() if buyer.tenure >= 210)
    limits = Definitions(cpm_amount=amounts[len(amounts) // 2], cpm_months=3)
    tenures = Counter(buyer.tenure for buyer in known.values() if len(buyer.days) > 1)
    silences = Counter((AS_OF - buyer.days[-1]).days for buyer in known.values())
    assert all(tenures[days] for days in (89, 90, 209, 210))
    assert all(silences[days] for days in (239, 240))
    test_portfolio.compare(orders(), test_portfolio.lake_with(orders()), AS_OF, limits)


def test_who_also_bought_is_counted_as_the_definition_says() -> None:
    """クロス集計 (§8) of two bought products joined by AND and by OR, with sets of people."""
    lake = DuckLake()
    invoices = sorted({(invoice, customer, on) for invoice, customer, on, *_ in lines()})
    lake.fill("order_states", ({"customer_id": c, "order_id": i, "ordered_on": on} for i, c, on in invoices))
    numbered = Counter[str]()
    rows = []
    for invoice, customer, on, product, title, pence in lines():
        numbered[invoice] += 1
        rows.append(
            {"customer_id": customer, "order_id": invoice, "ordered_on": on, "line_no": numbered[invoice],
             "product_id": product, "title": title, "quantity": 1, "amount": pence}
        )  # fmt: skip
    lake.fill("order_lines", rows)
    (first, _), (second, _) = Counter(product for _, _, _, product, *_ in set_of_buyers()).most_common(2)
    for any_of in (0, 1):
        limits = Definitions(base_products=(first, second), base_any=any_of, excluded_products=("POST",))
        values = catalog.parameters(TenantId(TENANT), AS_OF, limits, "JPY")
        found = lake.rows(catalog.standalone_query("cross_sell_v1", every_analysis(), values))
        people = {(row["product_id"], row["same_order"]): row["customers"] for row in found}
        assert people == expected((first, second), bool(any_of))


def set_of_buyers() -> set[tuple[str, str, str, str]]:
    """Who bought what, once each."""
    return {("", "", customer, product) for _, customer, _, product, _, _ in lines()}


def expected(base: tuple[str, str], any_of: bool) -> dict[tuple[str, bool], int]:
    """(product, same order counts) → people of the base who also bought it."""
    baskets: dict[str, dict[str, set[str]]] = {}
    for invoice, customer, _, product, _, _ in lines():
        if product != "POST":
            baskets.setdefault(customer, {}).setdefault(invoice, set()).add(product)
    wanted = set(base)
    counted = Counter[tuple[str, bool]]()
    for invoices in baskets.values():
        everything = set().union(*invoices.values())
        if not (everything & wanted if any_of else wanted <= everything):
            continue
        elsewhere = set().union(*(products for products in invoices.values() if not products & wanted))
        for product in everything - wanted:
            counted[product, True] += 1
            counted[product, False] += product in elsewhere
    return dict(counted)
