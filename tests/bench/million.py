"""A synthetic shop of any size, drawn from CDNOW's BG/NBD parameters by the day, and a fresh process that models it."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench.peak import peak_mb

R, ALPHA, A, B = 0.243, 4.414, 0.793, 2.426
DAYS = 728


def draw(customers: int, seed: int = 20261121) -> tuple[Any, Any, Any]:
    """x, t_x and T in days: first purchases over two years, two purchases of a day count once."""
    random = np.random.default_rng(seed)
    pause = 7 / np.maximum(random.gamma(R, 1 / ALPHA, customers), 1e-12)
    lost = random.beta(A, B, customers)
    end = random.integers(1, DAYS + 1, customers)
    x, last, clock = np.zeros(customers, np.int16), np.zeros(customers, np.int16), np.zeros(customers)
    alive = np.arange(customers)
    while len(alive):
        clock[alive] += random.exponential(pause[alive])
        alive = alive[clock[alive] < end[alive]]
        day = np.floor(clock[alive]).astype(np.int16)
        new = day > last[alive]
        x[alive[new]] += 1
        last[alive[new]] = day[new]
        alive = alive[random.random(len(alive)) >= lost[alive]]
    return x, last, end.astype(np.int16)


def write(path: Path, customers: int) -> None:
    """Draw a shop into a file, with a value of repeat orders from CDNOW's gamma-gamma parameters."""
    x, t_x, t_cal = draw(customers)
    random = np.random.default_rng(1)
    rate = random.gamma(3.74, 1 / 15.44, customers)
    mean = random.gamma(np.maximum(6.25 * x, 1e-9), 1 / (rate * np.maximum(x, 1))).astype(np.float32)
    np.savez(path, x=x, t_x=t_x, t_cal=t_cal, mean=mean)


def measure(path: Path, name: str, customers: int) -> dict[str, Any]:
    """Every step of one model on the file's first customers, in seconds, with the results to check."""
    from shared.analytics.models.bg_nbd import BgNbd
    from shared.analytics.models.clv import customer_lifetime_value, discounted_orders
    from shared.analytics.models.gamma_gamma import GammaGamma, Spend
    from shared.analytics.models.groups import grouped
    from shared.analytics.models.mbg_nbd import MbgNbd
    from shared.analytics.models.pareto_nbd import ParetoNbd

    seconds: dict[str, float] = {}

    def timed(step: str, work: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        result = work()
        seconds[step] = time.perf_counter() - start
        return result

    with np.load(path) as file:
        data = {column: file[column][:customers] for column in file.files}
    x, t_x, t_cal, mean = data["x"], data["t_x"] / 7.0, data["t_cal"] / 7.0, data["mean"].astype(np.float64)
    model: Any = {"bg_nbd": BgNbd, "mbg_nbd": MbgNbd, "pareto_nbd": ParetoNbd}[name]

    def fit() -> Any:
        groups, group = grouped(x, t_x, t_cal)
        return groups, group, model.fit(groups)

    # From rows to parameters, as the peers are timed: counting the groups is part of the fit.
    groups, group, found = timed("fit", fit)
    orders = timed("predict", lambda: found.model.expected_orders(groups, 26.0)[group])
    timed("p_order", lambda: found.model.p_order_within(groups, 30 / 7)[group])
    spend = timed("spend", lambda: GammaGamma.fit(Spend.of(x, mean))).model

    def worth() -> Any:
        months = discounted_orders(found.model, groups, 7.0, 0.1)
        return customer_lifetime_value(months, group, spend.expected_value(x, mean))

    value = timed("clv", worth)
    return {
        "seconds": seconds,
        "groups": len(groups.x),
        "evaluations": found.evaluations,
        "reliable": found.reliable,
        "parameters": [getattr(found.model, each) for each in found.standard_errors],
        "mean_orders": float(orders.mean()),
        "log_likelihood": found.log_likelihood,
        "mean_value": float(value.mean()),
        "peak_mb": peak_mb(),
    }


if __name__ == "__main__":
    sys.stdout.write(json.dumps(measure(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))))
