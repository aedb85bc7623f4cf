"""The interval of a predicted LTV holds what it promises, on shops drawn from the models themselves."""

from __future__ import annotations

from functools import cache

import numpy as np
import numpy.typing as npt
import pytest

from shared.analytics.models.gamma_gamma import GammaGamma
from shared.analytics.models.groups import Groups, grouped
from shared.analytics.models.interval import LEVELS, Revenue, revenue
from shared.analytics.models.mbg_cnbd import MbgCnbd
from shared.analytics.models.mbg_nbd import MbgNbd
from shared.analytics.models.pareto_nbd import ParetoNbd

Array = npt.NDArray[np.float64]
SPEND = GammaGamma(6.25, 3.74, 1544.0)
MODELS: dict[str, MbgNbd | ParetoNbd | MbgCnbd] = {
    "mbg_nbd": MbgNbd(0.9, 6.0, 0.9, 2.6),
    "pareto_nbd": ParetoNbd(0.9, 8.0, 0.6, 11.7),
    "mbg_cnbd": MbgCnbd(2, 1.8, 6.0, 0.9, 2.6),
}
CUSTOMERS = 12_000
YEAR = 52.0


def purchase_times(model: MbgNbd | ParetoNbd | MbgCnbd, end: float, random: np.random.Generator) -> list[float]:
    """Of one customer after the first purchase, until `end`."""
    rate = random.gamma(model.r, 1 / model.alpha)
    pareto = isinstance(model, ParetoNbd)
    life = random.exponential(1 / random.gamma(model.s, 1 / model.beta)) if isinstance(model, ParetoNbd) else np.inf
    lost = 0.0 if isinstance(model, ParetoNbd) else random.beta(model.a, model.b)
    events = model.k if isinstance(model, MbgCnbd) else 1
    times: list[float] = []
    now = 0.0
    while pareto or random.random() >= lost:
        now += random.gamma(events, 1 / rate)
        if now > min(life, end):
            break
        times.append(now)
    return times


@cache
def covered(name: str) -> tuple[Groups, Array, Array, Revenue, npt.NDArray[np.int64]]:
    """A shop's histories, each customer's coming revenue and its scale, the groups' intervals, each one's group."""
    random = np.random.default_rng(7)
    model = MODELS[name]
    x, last, spent, coming = (np.zeros(CUSTOMERS) for _ in range(4))
    end = random.integers(20, 100, CUSTOMERS).astype(np.float64)
    own = random.gamma(SPEND.q, 1 / SPEND.gamma, CUSTOMERS)
    for who in range(CUSTOMERS):
        for time in purchase_times(model, end[who] + YEAR, random):
            value = random.gamma(SPEND.p, 1 / own[who])
            if time <= end[who]:
                x[who], last[who], spent[who] = x[who] + 1, time, spent[who] + value
            else:
                coming[who] += value
    groups, place = grouped(x, np.round(last * 7) / 7, end)
    found = revenue(model, SPEND, groups, YEAR)
    return groups, coming, Revenue.scale(SPEND, spent), found, place


@pytest.mark.parametrize("name", MODELS)
def test_the_mean_is_the_mean(name: str) -> None:
    _, coming, scale, found, place = covered(name)
    assert float((scale * found.expected[place]).sum()) == pytest.approx(float(coming.sum()), rel=0.06)


@pytest.mark.parametrize("name", MODELS)
def test_at_most_a_tenth_is_above_and_a_tenth_below(name: str) -> None:
    """Revenue has a lump at 0, so an interval from 0 holds more than promised; where it has no lump, as promised."""
    _, coming, scale, found, place = covered(name)
    low, high = scale * found.low[place], scale * found.high[place]
    inside = (coming >= low) & (coming <= high)
    assert LEVELS[1] - LEVELS[0] - 0.02 < inside.mean() < 0.97
    certain = high > 0
    assert (coming > high)[certain].mean() == pytest.approx(0.1, abs=0.02)
    lively = low > 0
    assert lively.sum() > 100
    assert (coming < low)[lively].mean() == pytest.approx(0.1, abs=0.04)


@pytest.mark.parametrize("name", MODELS)
def test_the_same_night_gives_the_same_interval(name: str) -> None:
    groups, _, _, found, _ = covered(name)
    again = revenue(MODELS[name], SPEND, groups, YEAR)
    assert np.array_equal(again.low, found.low)
    assert np.array_equal(again.high, found.high)
    assert np.all(found.low <= found.high)


def test_the_draws_have_the_mean_of_the_closed_form() -> None:
    few = Groups.of([0, 2, 9], [0, 20, 38], [30, 39, 39])
    for model in MODELS.values():
        drawn = model.orders_drawn(few, YEAR, 200_000, np.random.default_rng(3)).mean(axis=1) * model.p_alive(few)
        assert drawn == pytest.approx(model.expected_orders(few, YEAR), rel=0.02)
