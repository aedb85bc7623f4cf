"""The peers' side of the race: the same shop, the same questions, in the environment `.venv-peers`.

Run by its interpreter in a fresh process: `python -m tests.bench.peers FILE LIBRARY MODEL CUSTOMERS`, where so many of
the file's customers are learnt from and all are predicted for. Imports nothing of the product's.
"""

from __future__ import annotations

import json
import sys
import time
import warnings
from collections.abc import Callable
from importlib import import_module
from pathlib import Path
from typing import Any

import numpy as np

from tests.bench.peak import peak_mb

Timed = Callable[[str, Callable[[], Any]], Any]
HORIZON = 26.0
MONTHS = 12
MONTHLY_DISCOUNT = 1.1 ** (1 / 12) - 1


def lifetimes(data: Any, model: str, customers: int, timed: Timed) -> dict[str, float]:
    """As its documentation says, on the summary table."""
    library: Any = import_module("lifetimes")
    import pandas as pd

    table = pd.DataFrame({"x": data["x"].astype(float), "t_x": data["t_x"] / 7.0, "T": data["t_cal"] / 7.0})
    table["mean"] = data["mean"].astype(float)
    fitter = {"bg_nbd": library.BetaGeoFitter, "pareto_nbd": library.ParetoNBDFitter}[model]()
    known = table[:customers]
    timed("fit", lambda: fitter.fit(known["x"], known["t_x"], known["T"]))
    orders = timed(
        "predict",
        lambda: fitter.conditional_expected_number_of_purchases_up_to_time(
            HORIZON, table["x"], table["t_x"], table["T"]
        ),
    )
    spend = library.GammaGammaFitter()
    back = table[(table["x"] > 0) & (table["mean"] > 0)]
    spend.fit(back["x"], back["mean"])
    arguments = (fitter, table["x"], table["t_x"], table["T"], table["mean"])
    value = timed("clv", lambda: spend.customer_lifetime_value(*arguments, MONTHS, MONTHLY_DISCOUNT, "W"))
    return {
        "mean_orders": float(np.nanmean(orders)),
        "mean_value": float(np.nanmean(value)),
        "log_likelihood": -float(fitter._negative_log_likelihood_),
    }


def pymc_marketing(data: Any, model: str, customers: int, timed: Timed) -> dict[str, float]:
    """Its fastest way: the mode of the posterior (MAP)."""
    import pandas as pd

    library: Any = import_module("pymc_marketing.clv")

    table = pd.DataFrame({"customer_id": np.arange(len(data["x"])), "frequency": data["x"].astype(float)})
    table["recency"], table["T"] = data["t_x"] / 7.0, data["t_cal"] / 7.0
    table["monetary_value"] = data["mean"].astype(float)
    columns = ["customer_id", "frequency", "recency", "T"]
    fitter = {"bg_nbd": library.BetaGeoModel, "pareto_nbd": library.ParetoNBDModel}[model](
        data=table[columns][:customers]
    )
    fitter.build_model()
    timed("fit", lambda: fitter.fit(method="map", progressbar=False))
    orders = timed("predict", lambda: fitter.expected_purchases(table[columns], future_t=HORIZON))
    back = table[(table["frequency"] > 0) & (table["monetary_value"] > 0)]
    spend = library.GammaGammaModel(data=back)
    spend.fit(method="map", progressbar=False)
    arguments: dict[str, Any] = {"transaction_model": fitter, "data": table, "future_t": MONTHS}
    arguments |= {"discount_rate": MONTHLY_DISCOUNT, "time_unit": "W"}
    value = timed("clv", lambda: spend.expected_customer_lifetime_value(**arguments))
    return {"mean_orders": float(np.nanmean(np.asarray(orders))), "mean_value": float(np.nanmean(np.asarray(value)))}


LIBRARIES = {"lifetimes": lifetimes, "pymc-marketing": pymc_marketing}


def main(path: Path, library: str, model: str, customers: int) -> None:
    """Print seconds, results and peak memory as JSON."""
    warnings.simplefilter("ignore")
    # lifetimes starts its searches from the global generator; some starts take ten times as long.
    np.random.seed(1)
    seconds: dict[str, float] = {}

    def timed(step: str, work: Callable[[], Any]) -> Any:
        start = time.perf_counter()
        result = work()
        seconds[step] = time.perf_counter() - start
        return result

    found = LIBRARIES[library](np.load(path), model, customers, timed)
    sys.stdout.write("\n" + json.dumps({"seconds": seconds, "peak_mb": peak_mb()} | found))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2], sys.argv[3], int(sys.argv[4]))
