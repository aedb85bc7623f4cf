"""The gradients that the fits climb by are those of the likelihoods."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest

from shared.analytics.models import bdw, beta_geometric, bg_bb, gamma_gamma, pareto_nbd, sbg
from shared.analytics.models.gamma_gamma import Spend
from shared.analytics.models.retention import Cohorts
from tests.unit.analytics.models.published import HIGH_END, donations, groups, summary

Objective = Callable[[npt.NDArray[np.float64]], tuple[float, npt.NDArray[np.float64]]]


def by_differences(objective: Objective, place: npt.NDArray[np.float64], step: float) -> list[float]:
    steps = np.eye(len(place)) * step
    return [(objective(place + each)[0] - objective(place - each)[0]) / (2 * step) for each in steps]


def check(objective: Any, parameters: tuple[float, ...]) -> None:
    place = np.log(np.array(parameters))
    exact = objective(place)[1]
    assert exact == pytest.approx(by_differences(objective, place, 1e-5), rel=1e-6, abs=2e-5 * max(1, abs(exact).max()))


@pytest.mark.parametrize("lost_at_first", [False, True])
@pytest.mark.parametrize("parameters", [(0.24, 4.4, 0.79, 2.4), (5.0, 0.3, 20.0, 0.1), (0.01, 300.0, 0.02, 90.0)])
def test_beta_geometric(parameters: tuple[float, ...], lost_at_first: bool) -> None:
    check(beta_geometric.Kernel(groups(), lost_at_first), parameters)


@pytest.mark.parametrize(
    "parameters",
    [
        (0.55, 10.6, 0.61, 11.7),
        (0.5, 10.0, 0.6, 10.0),  # α = β
        (0.5, 10.0, 3.0, 4000.0),  # α far below β: from the middle upwards and downwards
        (2.0, 0.5, 40.0, 0.3),
        (5.0, 100.0, 0.01, 0.5),  # α far above β
        (0.9, 10.3, 196.0, 3.9e6),  # the ridge of Online Retail II
    ],
)
def test_pareto_nbd(parameters: tuple[float, ...]) -> None:
    check(pareto_nbd.Kernel(groups()), parameters)


@pytest.mark.parametrize("parameters", [(1.2, 0.75, 0.66, 2.8), (20.0, 0.1, 5.0, 0.2), (0.01, 50.0, 0.02, 300.0)])
def test_bg_bb(parameters: tuple[float, ...]) -> None:
    check(bg_bb.Kernel.over(donations()), parameters)


@pytest.mark.parametrize("parameters", [(6.25, 3.74, 15.44), (0.3, 1.1, 200.0), (40.0, 30.0, 1.0)])
def test_gamma_gamma(parameters: tuple[float, ...]) -> None:
    check(gamma_gamma.Kernel.over(Spend.of(summary().x, summary().mean_value)), parameters)


@pytest.mark.parametrize("parameters", [(0.67, 3.8), (20.0, 0.1), (0.01, 50.0)])
def test_sbg(parameters: tuple[float, ...]) -> None:
    check(sbg.Kernel(Cohorts.of_survivors(HIGH_END)), parameters)


@pytest.mark.parametrize("parameters", [(0.2, 1.4, 1.7), (2.0, 0.1, 0.3), (0.05, 9.0, 2.5)])
def test_bdw(parameters: tuple[float, ...]) -> None:
    check(bdw.Kernel(Cohorts.of_survivors(HIGH_END)), parameters)
