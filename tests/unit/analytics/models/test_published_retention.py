"""Fader & Hardie 2007, Table 1, and what sBG and BdW make of it."""

from __future__ import annotations

import numpy as np
import pytest

from shared.analytics.models.bdw import Bdw
from shared.analytics.models.retention import Cohorts
from shared.analytics.models.sbg import Sbg
from shared.core.errors import RejectedError
from tests.unit.analytics.models.published import HIGH_END, REGULAR


def mape(survivors: tuple[int, ...], model: Sbg | Bdw, years: int) -> float:
    """Mean absolute error, per cent, of the years held out."""
    actual = np.array(survivors[years + 1 :])
    forecast = survivors[0] * model.survival(np.arange(years + 1, 13.0))
    return float(np.mean(np.abs(forecast / actual - 1)) * 100)


@pytest.mark.parametrize(
    ("survivors", "years", "parameters", "log_likelihood", "error"),
    [
        (REGULAR, 7, (0.7041, 1.1820), -1680.27, 1.49),
        (HIGH_END, 7, (0.6681, 3.8061), -1611.16, 2.83),
        (REGULAR, 4, (0.7637, 1.2958), -1401.56, 5.40),
        (HIGH_END, 4, (1.2810, 7.7904), -1225.13, 13.21),
    ],
)
def test_sbg(
    survivors: tuple[int, ...], years: int, parameters: tuple[float, ...], log_likelihood: float, error: float
) -> None:
    found = Sbg.fit(Cohorts.of_survivors(survivors[: years + 1]))
    assert (found.model.alpha, found.model.beta) == pytest.approx(parameters, abs=5.1e-5)
    assert found.log_likelihood == pytest.approx(log_likelihood, abs=5.1e-3)
    assert mape(survivors, found.model, years) == pytest.approx(error, abs=5.1e-3)
    assert found.customers == 1000


@pytest.mark.parametrize(
    ("survivors", "years", "parameters", "log_likelihood", "error"),
    [
        (REGULAR, 7, (0.4556, 0.7793, 1.2835), -1679.60, 1.38),
        (HIGH_END, 7, (0.2143, 1.4266, 1.7236), -1605.31, 1.27),
        (REGULAR, 4, (0.5230, 0.8943, 1.1964), -1401.38, 1.31),
        (HIGH_END, 4, (0.2593, 1.7226, 1.5844), -1222.75, 1.68),
    ],
)
def test_bdw(
    survivors: tuple[int, ...], years: int, parameters: tuple[float, ...], log_likelihood: float, error: float
) -> None:
    found = Bdw.fit(Cohorts.of_survivors(survivors[: years + 1]))
    assert (found.model.a, found.model.b, found.model.c) == pytest.approx(parameters, abs=6e-5)
    assert found.log_likelihood == pytest.approx(log_likelihood, abs=5.1e-3)
    assert mape(survivors, found.model, years) == pytest.approx(error, abs=5.1e-3)


def test_sbg_projects_years_8_to_12() -> None:
    years = np.arange(8, 13.0)
    regular = 1000 * Sbg.fit(Cohorts.of_survivors(REGULAR[:8])).model.survival(years)
    high_end = 1000 * Sbg.fit(Cohorts.of_survivors(HIGH_END[:8])).model.survival(years)
    assert regular.round(1).tolist() == [220.1, 204.4, 191.2, 179.9, 170.0]
    assert high_end.round(1).tolist() == [460.4, 435.8, 414.2, 395.1, 378.0]


def test_discounted_expected_residual_lifetime() -> None:
    """High End, 7 renewals, 10 %: 7.530 with the printed parameters, 7.5296 with all digits."""
    assert Sbg(0.668, 3.806).derl(7, 0.1) == pytest.approx(7.530, abs=5e-4)
    assert Sbg.fit(Cohorts.of_survivors(HIGH_END[:8])).model.derl(7, 0.1) == pytest.approx(7.5296, abs=5e-5)


def test_bdw_with_c_1_is_sbg() -> None:
    years = np.arange(0, 30.0)
    bdw, sbg = Bdw(0.7, 1.2, 1.0), Sbg(0.7, 1.2)
    assert bdw.survival(years) == pytest.approx(sbg.survival(years), rel=1e-12)
    assert bdw.retention(years[1:]) == pytest.approx(sbg.retention(years[1:]), rel=1e-12)
    assert bdw.derl(3, 0.1) == pytest.approx(sbg.derl(3, 0.1), rel=1e-9)


@pytest.mark.parametrize("survivors", [[10], [], [0, 0], [10, 11], [10, -1], [10, float("nan")]])
def test_what_is_no_survivor_curve_is_refused(survivors: list[float]) -> None:
    with pytest.raises(RejectedError):
        Cohorts.of_survivors(survivors)


def test_a_cohort_that_nobody_left_is_reported_as_a_ridge() -> None:
    for model in (Sbg, Bdw):
        found = model.fit(Cohorts.of_survivors([100, 100, 100]))
        assert found.ridge
        assert not found.reliable
        assert np.all(found.model.survival(np.arange(5.0)) > 0.95)
