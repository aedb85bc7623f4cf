"""What the data do not say is reported, never hidden and never NaN."""

from __future__ import annotations

from datetime import date
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from shared.analytics.models.bg_nbd import BgNbd
from shared.analytics.models.gamma_gamma import GammaGamma, Spend
from shared.analytics.models.groups import Groups
from shared.analytics.models.mbg_nbd import MbgNbd
from shared.analytics.models.pareto_nbd import ParetoNbd
from shared.analytics.models.summary import OrderLog, summarise
from shared.core.errors import RejectedError

ONLINE_RETAIL = Path(__file__).parents[5] / "shared" / "data" / "online_retail_ii_2009_2010.parquet"


@pytest.mark.skipif(not ONLINE_RETAIL.exists(), reason=f"Online Retail II is not at {ONLINE_RETAIL}")
def test_online_retail_is_a_ridge_of_pareto_nbd() -> None:
    """Its customers do not differ in how they are lost: s and β run off together, and it is said so."""
    from pyarrow.parquet import read_table

    names = ["Invoice", "Quantity", "InvoiceDate", "Price", "Customer ID"]
    columns = read_table(ONLINE_RETAIL, columns=names).to_pydict()
    rows = [
        (str(int(customer)), date.fromisoformat(day[:10]).toordinal(), quantity * price)
        for invoice, quantity, day, price, customer in zip(*(columns[name] for name in names), strict=True)
        if customer is not None and not invoice.startswith("C") and quantity > 0 and price > 0
    ]
    summary = summarise(OrderLog.of(*zip(*rows, strict=True)), "week", date(2010, 12, 9).toordinal())
    groups, _ = summary.groups()
    found = ParetoNbd.fit(groups)
    assert groups.customers == 4312
    assert found.ridge == ("s", "beta")
    assert not found.reliable
    assert found.standard_errors["s"] is None
    assert found.log_likelihood == pytest.approx(-38390.676, abs=0.01)
    best = np.argsort(-groups.x)[:5]
    assert np.all(np.isfinite(found.model.expected_orders(groups, 26)))
    assert np.all(found.model.expected_orders(groups, 26)[best] > 20)


@pytest.mark.parametrize("model", [BgNbd, MbgNbd, ParetoNbd])
@pytest.mark.parametrize(
    "groups",
    [
        Groups.of([0] * 30, [0.0] * 30, list(range(1, 31))),  # nobody came back
        Groups.of([0], [0.0], [5.0]),
        Groups.of([3] * 20, [12.0] * 20, [12.0] * 20),  # all the same, all just here
        Groups.of([1, 4000], [2.0, 99.9], [50.0, 100.0]),
    ],
    ids=["one-time buyers", "one customer", "all alike", "a robot"],
)
def test_too_little_to_learn_from_is_said(model: Any, groups: Groups) -> None:
    found = model.fit(groups)
    assert found.ridge
    assert not found.reliable
    assert np.isfinite(found.log_likelihood)
    assert np.all(np.isfinite(found.model.expected_orders(groups, 52)))
    assert all(error is None or np.isfinite(error) for error in found.standard_errors.values())


@pytest.mark.parametrize("model", [BgNbd, MbgNbd, ParetoNbd])
def test_no_time_at_all_is_refused(model: Any) -> None:
    with pytest.raises(RejectedError, match="nothing to learn from"):
        model.fit(Groups.of([0, 0], [0.0, 0.0], [0.0, 0.0]))


def test_spend_without_a_mean_over_customers_is_a_ridge_of_q() -> None:
    random = np.random.default_rng(5)
    rate = random.gamma(0.6, 1.0, 4000)
    spend = Spend.of(np.full(4000, 3), random.gamma(6.0, 1 / rate) / 3)
    found = GammaGamma.fit(spend)
    assert found.ridge == ("q",)
    assert np.all(np.isfinite(found.model.expected_value([0, 1, 5], [0, 10, 20])))


def test_equal_spend_of_everybody_is_reported() -> None:
    found = GammaGamma.fit(Spend.of([2, 3, 4] * 10, [1000.0] * 30))
    assert found.ridge
    assert found.model.expected_value([0, 3], [0, 1000]) == pytest.approx([1000, 1000], rel=0.05)


def test_no_spend_is_refused() -> None:
    with pytest.raises(RejectedError, match="no spend to learn from"):
        GammaGamma.fit(Spend.of([0, 2], [10.0, 0.0]))
