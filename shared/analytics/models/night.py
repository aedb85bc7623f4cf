"""The models' part of a night: groups of customers in, predictions per group out (夜間の予測).

What comes in is CSV with a heading, as Athena leaves a query's result; what goes out is packed columns (`pack`): the
bundle that holds scipy has no room for a Parquet library. Times are days. Nobody is refused: few buyers are pooled.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from datetime import date
from io import StringIO
from typing import Any

import numpy as np

from shared.analytics.models import audit as auditing
from shared.analytics.models.audit import Held
from shared.analytics.models.bg_nbd import BgNbd
from shared.analytics.models.cancellation import audited
from shared.analytics.models.candidates import PurchaseFit, learn, learn_spend
from shared.analytics.models.fitting import Fit
from shared.analytics.models.gamma_gamma import GammaGamma, Spend
from shared.analytics.models.groups import FloatArray, Groups, IntArray, grouped
from shared.analytics.models.interval import revenue
from shared.analytics.models.mbg_cnbd import MbgCnbd

DAY = 1.0
YEAR_DAYS = 365.0
WITHIN_DAYS = (30.0, 90.0)

GROUPS = ("x", "t_x", "t_cal", "customers", "log_gaps")
SPEND = ("orders", "customers", "mean")
HOLDOUT = ("x", "t_x", "t_cal", "later", "days", "customers")
CALLS = ("days", "contracts", "cancelled", "called", "found", "found_newest")
PREDICTIONS = (
    "x", "t_x", "t_cal", "p_alive", "p_order_30", "p_order_90", "orders_365", "value_scale", "value_mean",
    "value_low", "value_high", "model", "source",
)  # fmt: skip
"""Of a group. Money = (value_scale + what the customer has spent) · value_…; empty where a naive rule is used."""

UNTESTED = {"verdict": "untested", "use": "mbg_nbd", "best": "mbg_nbd", "source": "model"}
"""What holds until the first hold-out: the model that may be asked for 離脱 too."""


Columns = Mapping[str, "FloatArray | IntArray | str | float | None"]
"""A column is an array, or one value for all rows."""


@dataclass(frozen=True, slots=True)
class Night:
    """What a night found out about a shop's customers."""

    predictions: bytes
    """One row per group, packed."""
    rows: int
    report: dict[str, Any]
    """`model_audit`: which model is used and why, its parameters, what the hold-out said."""
    audited: bool
    """Whether the hold-out was scored tonight, rather than carried over."""


def calls(text: str, on: date, earlier: Mapping[str, Any] | None) -> dict[str, Any] | None:
    """解約見込み: the verdict of this week's hold-out; without one, that of the last report (None: never audited, or a
    shop that calls nobody).
    """
    column = _columns(text, CALLS)
    if not len(column["days"]):
        return (earlier or {}).get("cancellation")
    counted = {name: int(each[0]) for name, each in column.items()}
    return audited(**counted) | {"audited_on": on.isoformat()} if counted["called"] else None


def run(groups_csv: str, spend_csv: str, holdout_csv: str, earlier: Mapping[str, Any] | None) -> Night:
    """Learn from the groups and predict for them; `earlier` is the last report, kept where there is no hold-out."""
    known = _groups(groups_csv)
    held, days = _held(holdout_csv)
    if held is not None:
        tested = auditing.audit(held.thinned(auditing.MOST_CUSTOMERS), DAY, _regularity(known))
        verdict = tested.document() | {"holdout_days": days}
    else:
        verdict = dict(earlier["audit"]) if earlier else dict(UNTESTED)
    used = verdict["use"]
    spend = _learn_spend(spend_csv)
    churn = used if used in ("mbg_nbd", "pareto_nbd", "mbg_cnbd") else "mbg_nbd"
    wanted = {name for name in (used, churn) if name not in auditing.NAIVE}
    fits = {name: learn(name, known, DAY) for name in sorted(wanted)}
    columns = _predict(known, used, fits, churn, spend)
    described: dict[str, Any] = {name: _described(fit) for name, fit in {**fits, "gamma_gamma": spend}.items()}
    report = {"audit": verdict, "fits": described, "customers": known.customers, "groups": len(known.x)}
    return Night(pack(columns), len(known.x), report, held is not None)


def _predict(groups: Groups, used: str, fits: Mapping[str, PurchaseFit], churn: str, spend: Fit[GammaGamma]) -> Columns:
    columns: dict[str, Any] = dict.fromkeys(PREDICTIONS)
    columns |= {name: getattr(groups, name).astype(np.int32) for name in ("x", "t_x", "t_cal")}
    columns["model"] = used
    if used in auditing.NAIVE:
        rule = {time: auditing.naive_orders(groups, time, auditing.HIATUS_DAYS)[used] for time in _times()}
        columns |= {"orders_365": rule[YEAR_DAYS], "source": "naive"}
        return columns | {f"p_order_{time:.0f}": -np.expm1(-rule[time]) for time in WITHIN_DAYS}
    model, alive = fits[used].model, fits[churn].model
    worth = revenue(model, spend.model, groups, YEAR_DAYS, first_counts=True)
    columns |= {f"p_order_{time:.0f}": model.p_order_within(groups, time) for time in WITHIN_DAYS}
    columns |= {
        # Never BG/NBD's own figure, which is 1 for everybody who bought once.
        "p_alive": None if isinstance(alive, BgNbd) else alive.p_alive(groups),
        "orders_365": model.expected_orders(groups, YEAR_DAYS),
        "value_scale": float(spend.model.gamma),
        "value_mean": worth.expected,
        "value_low": worth.low,
        "value_high": worth.high,
        "source": "model",
    }
    return columns


def _times() -> tuple[float, ...]:
    return (*WITHIN_DAYS, YEAR_DAYS)


def _regularity(groups: Groups) -> int:
    regular = learn("mbg_cnbd", groups, DAY).model if groups.customers else None
    return regular.k if isinstance(regular, MbgCnbd) else 1


def _learn_spend(text: str) -> Fit[GammaGamma]:
    column = _columns(text, SPEND)
    spend = Spend.of(column["orders"], column["mean"], column["customers"])
    return learn_spend(spend, spend.customers, typical=1.0)


def _described(fit: Fit[Any]) -> dict[str, Any]:
    found = asdict(replace(fit, model=None))
    del found["model"]
    return {"parameters": asdict(fit.model), "reliable": fit.reliable} | found


# --- texts -----------------------------------------------------------------------------------------------------------
def _groups(text: str) -> Groups:
    column = _columns(text, GROUPS)
    found, _ = grouped(column["x"], column["t_x"], column["t_cal"], column["customers"])
    return replace(found, log_gaps=float(column["log_gaps"].sum()))


def _held(text: str) -> tuple[Held | None, float]:
    column = _columns(text, HOLDOUT)
    if not len(column["x"]) or column["days"][0] <= 0:
        return None, 0.0
    rows = Groups.of(column["x"], column["t_x"], column["t_cal"], column["customers"])
    days = float(column["days"][0])
    return Held(rows, column["later"].astype(np.int64), days), days


def _columns(text: str, names: Sequence[str]) -> dict[str, FloatArray]:
    """Columns by name, whatever their order; all numbers."""
    heading, _, body = text.partition("\n")
    header = [name.strip().strip('"') for name in heading.split(",")]
    if not body.strip():
        return {name: np.zeros(0) for name in names}
    table = np.loadtxt(StringIO(body), delimiter=",", quotechar='"', ndmin=2)
    return {name: table[:, header.index(name)] for name in names}


def pack(columns: Columns) -> bytes:
    """A line of JSON that names the columns (type, or the one value of all rows), then the arrays, little-endian."""
    arrays = {name: each for name, each in columns.items() if isinstance(each, np.ndarray)}
    rows = len(next(iter(arrays.values())))
    head = [
        {"name": name, "type": each.dtype.str} if isinstance(each, np.ndarray) else {"name": name, "value": each}
        for name, each in columns.items()
    ]
    body = b"".join(np.ascontiguousarray(each).tobytes() for each in arrays.values())
    return json.dumps({"rows": rows, "columns": head}).encode() + b"\n" + body
