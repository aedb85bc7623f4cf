"""Published parameters, likelihoods and forecasts, to the digits printed."""

from __future__ import annotations

from dataclasses import astuple
from functools import cache
from typing import Any

import numpy as np
import pytest

from infra.demo.cdnow import master_file
from shared.analytics.models.bg_nbd import BgNbd
from shared.analytics.models.fitting import Fit
from shared.analytics.models.gamma_gamma import GammaGamma, Spend
from shared.analytics.models.groups import Groups
from shared.analytics.models.mbg_nbd import MbgNbd
from shared.analytics.models.pareto_nbd import ParetoNbd
from shared.analytics.models.scores import auc
from shared.analytics.models.summary import Summary
from tests.unit.analytics.models.published import NEW, groups, one, summary

Model = type[BgNbd] | type[MbgNbd] | type[ParetoNbd]

# Where R's BTYD stopped on its way up (its printed forecasts follow from these; t_x of customer 1516 is 216 days).
BTYD_BG = BgNbd(0.242598, 4.41367, 0.792984, 2.426099)
BTYD_PARETO = ParetoNbd(0.5533805, 10.5795888, 0.6058959, 11.6573704)
CUSTOMER_1516 = one(26, 216 / 7, 31.0)
OFTEN_THEN_SILENT = Groups.of([10, 15, 20, 25], [20.0] * 4, [39.0] * 4)


@cache
def fits() -> dict[str, Fit[Any]]:
    return {model.__name__: model.fit(groups()) for model in (BgNbd, MbgNbd, ParetoNbd)}


def fitted(model: Model) -> Fit[Any]:
    return fits()[model.__name__]


def digits(value: float, places: int) -> float:
    return float(f"{value:.{places}f}")


def test_the_sample_is_the_one_of_the_papers() -> None:
    assert groups().customers == 2357
    assert int(groups().count[groups().x > 0].sum()) == 946


@pytest.mark.parametrize(
    ("model", "printed", "log_likelihood"),
    [
        (BgNbd, (0.243, 4.414, 0.793, 2.426), -9582.4),  # Fader, Hardie & Lee 2005
        (ParetoNbd, (0.553, 10.578, 0.606, 11.669), -9595.0),  # the same, Table 2
    ],
)
def test_parameters_as_printed(model: Model, printed: tuple[float, ...], log_likelihood: float) -> None:
    found = fitted(model)
    assert [digits(value, 3) for value in astuple(found.model)] == list(printed)
    assert digits(found.log_likelihood, 1) == log_likelihood
    assert found.reliable


@pytest.mark.parametrize(
    ("model", "exact", "log_likelihood"),
    [
        (BgNbd, (0.2425945, 4.4136019, 0.7929199, 2.4258881), -9582.4292),  # the test suite of CLVTools
        (MbgNbd, (0.5248, 6.1830, 0.8914, 1.6140), -9582.14),  # lifetimes 0.11.3 and clvkit 0.2.1
        (ParetoNbd, (0.55328, 10.57766, 0.60621, 11.66787), -9594.9762),
    ],
)
def test_parameters_as_other_libraries_find_them(model: Model, exact: tuple[float, ...], log_likelihood: float) -> None:
    found = fitted(model)
    assert astuple(found.model) == pytest.approx(exact, rel=1e-4)
    assert found.log_likelihood == pytest.approx(log_likelihood, abs=5e-3 if model is MbgNbd else 5e-5)


def test_standard_errors_of_pareto_nbd() -> None:
    """Fader, Hardie & Lee 2005, Table 2."""
    assert list(fitted(ParetoNbd).standard_errors.values()) == pytest.approx([0.0476, 0.843, 0.187, 6.21], rel=2e-3)


def test_the_rounded_summary_gives_the_digits_recomputed_from_it() -> None:
    """`lifetimes` ships the sample's summary with times rounded to 1/100 week."""
    file = master_file().with_name("cdnow_customers_summary_with_transactions.csv")
    rows = np.loadtxt(file, delimiter=",", skiprows=1)
    rounded = Groups.of(rows[:, 1], rows[:, 2], rows[:, 3])
    pareto = ParetoNbd.fit(rounded).model
    assert astuple(pareto) == pytest.approx([0.55328, 10.57766, 0.60621, 11.66787], rel=1e-5)
    spend = GammaGamma.fit(Spend.of(rows[:, 1], rows[:, 4]))
    assert [digits(value, 4) for value in astuple(spend.model)] == [6.2488, 3.7446, 15.4477]
    assert digits(spend.log_likelihood, 3) == -4055.923


@pytest.mark.parametrize(
    ("model", "orders", "alive", "new", "paradox"),
    [
        (BTYD_BG, 25.7566, 0.968852, 1.4440, (0.34746, 0.042834, 0.004159, 0.000358)),
        (BTYD_PARETO, 25.45647, 0.997874, 1.473434, (0.70623, 0.14424, 0.022507, 0.0030927)),
    ],
)
def test_single_customers_of_the_btyd_walkthrough(
    model: BgNbd | ParetoNbd, orders: float, alive: float, new: float, paradox: tuple[float, ...]
) -> None:
    assert model.expected_orders(CUSTOMER_1516, 52)[0] == pytest.approx(orders, abs=5e-5)
    p_alive = model.p_alive(CUSTOMER_1516) if isinstance(model, ParetoNbd) else model.p_alive_optimistic(CUSTOMER_1516)
    assert digits(p_alive[0], 6) == alive
    assert model.expected_orders(NEW, 52)[0] == pytest.approx(new, abs=5e-7 if new > 1.45 else 5e-5)
    assert model.expected_orders(OFTEN_THEN_SILENT, 52) == pytest.approx(paradox, rel=1e-4, abs=5e-7)
    assert fitted(type(model)).log_likelihood - model.log_likelihood(groups()) == pytest.approx(0, abs=1e-5)


def test_many_orders_do_not_overflow() -> None:
    """The stress vector of CLVTools' tests."""
    model = ParetoNbd(0.5143, 2.8845, 0.2856, 14.1087)
    heavy = Groups.of(
        [221, 254, 161, 204],
        [103.42857, 97.14286, 94.71429, 98.57143],
        [103.57143, 97.28571, 98.0, 99.42857],
    )
    assert np.isfinite(model.log_likelihood(heavy))
    assert np.all(np.isfinite(model.expected_orders(heavy, 52)))
    assert np.all((model.p_alive(heavy) > 0.5) & (model.p_alive(heavy) <= 1))


ACTUAL = (0.237, 0.697, 1.393, 1.560, 2.532, 2.947, 3.862, 6.359)


@pytest.mark.parametrize(
    ("model", "expected"),
    [
        (BgNbd, (0.225, 0.523, 1.044, 1.520, 2.164, 2.654, 3.504, 6.157)),
        (MbgNbd, (0.185, 0.551, 1.049, 1.493, 2.104, 2.564, 3.361, 5.849)),
        (ParetoNbd, (0.138, 0.599, 1.196, 1.714, 2.398, 2.907, 3.819, 6.403)),
    ],
)
def test_conditional_expectations_by_past_purchases(model: Model, expected: tuple[float, ...]) -> None:
    """Weeks 40-78 of the sample, by purchases in the first 39 (BTYD walkthrough)."""
    data = summary()
    _, group = data.groups()
    forecast = fitted(model).model.expected_orders(groups(), 39)[group]
    assert data.holdout_x is not None
    by = np.minimum(data.x, 7)
    size = np.bincount(by)
    assert size.tolist() == [1411, 439, 214, 100, 62, 38, 29, 64]
    assert (np.bincount(by, data.holdout_x) / size).round(3).tolist() == list(ACTUAL)
    assert np.bincount(by, forecast) / size == pytest.approx(expected, abs=6e-4)


@pytest.mark.parametrize(
    ("model", "cumulative"),
    [
        (BgNbd, (1312.5, 1387.3, 1460.4, 1531.7, 1601.4, 1669.6)),
        (ParetoNbd, (1308.9, 1385.3, 1459.9, 1532.9, 1604.3, 1674.3)),
    ],
)
def test_the_cumulative_curve_of_weeks_20_to_25(model: Model, cumulative: tuple[float, ...]) -> None:
    """Tracking plot of the BTYD walkthrough: repeat purchases of everybody, from their own first day."""
    born = summary().t_cal.max() - summary().t_cal
    since = np.maximum(np.arange(20, 26)[:, None] - born, 0)
    times, place = np.unique(since, return_inverse=True)
    new = fitted(model).model.expected_orders_by(NEW, times)[0]
    assert new[place].reshape(since.shape).sum(axis=1) == pytest.approx(cumulative, abs=0.11)


def test_who_bought_once_is_alive_only_for_bg_nbd() -> None:
    """The trap: as a predictor of buying again BG/NBD's P(alive) is worse than a coin."""
    data: Summary = summary()
    assert data.holdout_x is not None
    _, group = data.groups()
    bought = data.holdout_x > 0
    alive = {
        "bg": fitted(BgNbd).model.p_alive_optimistic(groups())[group],
        "mbg": fitted(MbgNbd).model.p_alive(groups())[group],
        "pareto": fitted(ParetoNbd).model.p_alive(groups())[group],
    }
    areas = {name: auc(values, bought) or 0.0 for name, values in alive.items()}
    assert areas["bg"] == pytest.approx(0.318, abs=0.003)
    assert areas["mbg"] == pytest.approx(0.6935, abs=0.007)
    assert areas["pareto"] == pytest.approx(0.724, abs=0.003)
    assert not hasattr(BgNbd, "p_alive")
    assert np.all(alive["bg"][data.x == 0] == 1)


def test_gamma_gamma_of_the_repeat_buyers() -> None:
    """Fader & Hardie 2013: 946 of them, p 6.25, q 3.74, γ 15.44."""
    found = GammaGamma.fit(Spend.of(summary().x, summary().mean_value))
    assert found.customers == 946
    assert [digits(value, 2) for value in astuple(found.model)] == [6.25, 3.74, 15.44]
    assert [digits(value, 3) for value in astuple(found.model)] == pytest.approx([6.250, 3.744, 15.444], abs=1.1e-3)
    assert found.log_likelihood == pytest.approx(-4055.9177, abs=5e-5)
    assert found.reliable


def test_gamma_gamma_conditional_means() -> None:
    """With the printed parameters; x = 0 is the mean over customers."""
    means = GammaGamma(6.25, 3.74, 15.44).expected_value([0, 1, 1, 5, 5, 10], [0, 20, 50, 20, 50, 35])
    assert means == pytest.approx([35.22, 24.638, 45.495, 21.227, 48.808, 35.009], abs=1.1e-3)
