"""`matakite model`: fit and check the purchase models on anyone's file. No deployment is needed, nothing is kept."""

from __future__ import annotations

import csv
import json
import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass, replace
from datetime import date
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer

from infra.cli.model_files import Content, Histories, Orders, Unit, parse_day, read
from shared.analytics.models import audit as auditing
from shared.analytics.models import holdout
from shared.analytics.models.bdw import Bdw
from shared.analytics.models.bg_bb import BgBb
from shared.analytics.models.bg_nbd import BgNbd
from shared.analytics.models.candidates import PURCHASES, PurchaseFit, learn, learn_all, learn_spend
from shared.analytics.models.clv import customer_lifetime_value, discounted_orders
from shared.analytics.models.fitting import Fit
from shared.analytics.models.gamma_gamma import GammaGamma, Spend
from shared.analytics.models.groups import FloatArray, Groups, IntArray, grouped
from shared.analytics.models.retention import Cohorts
from shared.analytics.models.sbg import Sbg
from shared.analytics.models.summary import DAYS_PER, Summary, summarise
from shared.core.errors import RejectedError
from shared.core.spreadsheet import safe_cell

app = typer.Typer(name="model", help="Fit and check purchase models / 購買モデル", no_args_is_help=True)

SHORT_CURVE = 3
"""Up to so many periods of a survivor curve, sBG is preferred to BdW."""
LEARN_SHARE = 2 / 3
"""Of a log's days, what `auto` learns from when no calibration end is given."""


class Name(StrEnum):
    """A model, or the best of those that fit the file."""

    BG_NBD = "bg_nbd"
    MBG_NBD = "mbg_nbd"
    PARETO_NBD = "pareto_nbd"
    MBG_CNBD = "mbg_cnbd"
    BG_BB = "bg_bb"
    GAMMA_GAMMA = "gamma_gamma"
    SBG = "sbg"
    BDW = "bdw"
    AUTO = "auto"


RETENTION: Mapping[str, type[Sbg] | type[Bdw]] = {"sbg": Sbg, "bdw": Bdw}


class Format(StrEnum):
    """How predictions are printed."""

    JSON = "json"
    CSV = "csv"


File = Annotated[
    Path,
    typer.Argument(help="CSV or Parquet: (customer, date, amount), (x, t_x, T, mean_value) or (period, survivors)."),
]
ModelOption = Annotated[
    Name,
    typer.Option(
        "--model",
        help="auto: the best on a hold-out of the file's own orders. bg_bb: each unit of time is an occasion.",
    ),
]
UnitOption = Annotated[Unit, typer.Option(help="Unit of t_x, T, alpha, beta and --horizon.")]
EndOption = Annotated[str | None, typer.Option("--calibration-end", metavar="DATE", help="Learn up to this day only.")]
CustomerOption = Annotated[str | None, typer.Option("--customer", metavar="COLUMN", help="Column of the customer.")]
DateOption = Annotated[str | None, typer.Option("--date", metavar="COLUMN", help="Column of the order's day.")]
AmountOption = Annotated[str | None, typer.Option("--amount", metavar="COLUMN", help="Column of the amount.")]
SkipOption = Annotated[bool, typer.Option("--skip-bad-rows", help="Leave bad rows out instead of stopping.")]
PoolingOption = Annotated[
    bool, typer.Option(help="Draw fits of fewer than 500 buyers towards published parameters (they say `pooled`).")
]


@dataclass(frozen=True, eq=False)
class People:
    """Whom a model learns from: a name for each row of the file, its group, and its mean value where known."""

    names: list[str]
    groups: Groups
    group: IntArray
    count: IntArray
    mean_value: FloatArray | None

    @property
    def x(self) -> IntArray:
        """Repeat purchases of each row."""
        return self.groups.x[self.group]

    def spend(self) -> Spend | None:
        """What repeat buyers spent, if that is known of any."""
        if self.mean_value is None:
            return None
        found = Spend.of(self.x, self.mean_value, self.count)
        return found if len(found.x) else None


@dataclass(frozen=True)
class Fits:
    """What was learnt from a file."""

    purchases: Mapping[str, PurchaseFit | Fit[BgBb]]
    spend: Fit[GammaGamma] | None

    def likeliest(self) -> str:
        """The model under which the data are most probable: all have as many parameters (but for k)."""
        return max(self.purchases, key=lambda name: self.purchases[name].log_likelihood)

    def document(self, people: People) -> dict[str, Any]:
        """As printed."""
        described = {name: _described(each) for name, each in self.purchases.items()}
        spend = people.spend()
        if self.spend and spend:
            described["gamma_gamma"] = _described(self.spend) | {"correlation_with_x": spend.correlation()}
        return described


# --- fit -------------------------------------------------------------------------------------------------------------
@app.command()
def fit(
    file: File,
    model: ModelOption = Name.AUTO,
    unit: UnitOption = Unit.WEEK,
    calibration_end: EndOption = None,
    horizon: Annotated[float | None, typer.Option(min=0, help="Length of the hold-out; without, to the end.")] = None,
    customer: CustomerOption = None,
    on: DateOption = None,
    amount: AmountOption = None,
    skip_bad_rows: SkipOption = False,
    pooling: PoolingOption = True,
) -> None:
    """Parameters, standard errors, log-likelihood and hold-out scores beside those of the naive rules, as JSON."""
    content = read(file, customer, on, amount, skip_bad_rows=skip_bad_rows)
    end = _day(calibration_end)
    if isinstance(content.data, Orders):
        document = _fit_orders(content.data, model, unit, end, horizon, pooling)
    elif end is not None or horizon is not None:
        raise RejectedError(f"--calibration-end and --horizon need an order log; {file.name} has {content.kind}")
    elif isinstance(content.data, Histories):
        people = _of_histories(content.data)
        fits = _learn(people, model, unit, pooling)
        document = _about(people, unit) | {"fits": fits.document(people)} | _likeliest(fits, "a summary")
    else:
        retention = _learn_retention(content.data, model)
        document = {"fits": {name: _described(each) for name, each in retention.items()}}
    _print_json(_source(file, content) | document)


def _fit_orders(
    orders: Orders, model: Name, unit: Unit, end: int | None, horizon: float | None, pooling: bool
) -> dict[str, Any]:
    """A calibration end checks what was learnt by then; `auto` without one checks on the log's last third, then
    learns from all of it.
    """
    first, last = int(orders.log.day.min()), int(orders.log.day.max())
    learn_until = end if end is not None else last
    people = _of_summary(summarise(orders.log, unit, learn_until), orders)
    fits = _learn(people, model, unit, pooling)
    document = _about(people, unit) | {"learnt_until": _iso(learn_until), "fits": fits.document(people)}
    check_from = end if end is not None or model is not Name.AUTO else first + int((last - first) * LEARN_SHARE)
    if check_from is None or check_from >= last or not fits.purchases:
        return document | _likeliest(fits, "no orders after the calibration's end")
    until = last if horizon is None else min(last, check_from + round(horizon * DAYS_PER[unit]))
    summary = summarise(orders.log, unit, check_from, until)
    if end is None:
        fits = _learn(_of_summary(summary, orders), model, unit, pooling)
    return document | {"holdout": _checked(summary, fits, unit, check_from, until)}


def _checked(summary: Summary, fits: Fits, unit: Unit, start: int, until: int) -> dict[str, Any]:
    models = {name: each.model for name, each in fits.purchases.items()}
    spend = fits.spend.model if fits.spend else None
    found = asdict(holdout.check(summary, models, spend, auditing.HIATUS_DAYS / DAYS_PER[unit]))
    return {"calibration_end": _iso(start), "until": _iso(until)} | found


def _likeliest(fits: Fits, why: str) -> dict[str, Any]:
    if len(fits.purchases) < 2:
        return {}
    return {"best": fits.likeliest(), "best_by": f"log-likelihood ({why}: no hold-out)"}


def _learn(people: People, model: Name, unit: Unit, pooling: bool) -> Fits:
    """Fit the model asked for (`auto`: all), and the spend where there are amounts."""
    if model in RETENTION:
        raise RejectedError(f"{model} describes subscribers: it needs columns period and survivors")
    spend = people.spend()
    if model is Name.GAMMA_GAMMA and spend is None:
        raise RejectedError("gamma_gamma needs the amounts of repeat buyers: name their column with --amount")
    days = DAYS_PER[unit]
    fitted: dict[str, PurchaseFit | Fit[BgBb]] = {}
    if model is Name.AUTO:
        fitted |= learn_all(people.groups, days, pooling=pooling)
    elif model in PURCHASES:
        fitted[model] = learn(model, people.groups, days, pooling=pooling)
    elif model is Name.BG_BB:
        fitted[model] = BgBb.fit(people.groups)
    if spend is None:
        return Fits(fitted, None)
    return Fits(fitted, learn_spend(spend, people.groups.customers, 1.0) if pooling else GammaGamma.fit(spend))


def _learn_retention(cohorts: Cohorts, model: Name) -> dict[str, Fit[Sbg] | Fit[Bdw]]:
    if model is not Name.AUTO and model not in RETENTION:
        raise RejectedError(f"{model} describes orders; a survivor curve is for sbg or bdw")
    return {name: RETENTION[name].fit(cohorts) for name in RETENTION if model in (name, Name.AUTO)}


# --- predict ---------------------------------------------------------------------------------------------------------
@app.command()
def predict(
    file: File,
    model: ModelOption = Name.AUTO,
    unit: UnitOption = Unit.WEEK,
    calibration_end: EndOption = None,
    horizon: Annotated[float, typer.Option(min=0, help="How far to look ahead (survivors: periods).")] = 52,
    within: Annotated[float, typer.Option(min=0, help="Days for p_order_within.")] = 30,
    discount: Annotated[float, typer.Option(min=0, help="Per year (survivors: per period), for CLV and DERL.")] = 0.1,
    output: Annotated[Format, typer.Option("--format", help="json or csv.")] = Format.JSON,
    customer: CustomerOption = None,
    on: DateOption = None,
    amount: AmountOption = None,
    skip_bad_rows: SkipOption = False,
    pooling: PoolingOption = True,
) -> None:
    """Per customer: P(alive), orders and chance of one, value of an order, 12-month discounted CLV. Learns first."""
    content = read(file, customer, on, amount, skip_bad_rows=skip_bad_rows)
    if isinstance(content.data, Cohorts):
        document, rows = _predict_retention(content.data, model, round(horizon), discount)
    else:
        people, name = _whom_and_how(content.data, model, unit, _day(calibration_end), pooling)
        fits = _learn(people, name, unit, pooling)
        document = _about(people, unit) | {"model": name, "fits": fits.document(people)}
        columns = _predictions(people, fits, name, unit, horizon, within, discount)
        rows = [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]
    if output is Format.CSV:
        writer = csv.DictWriter(sys.stdout, list(rows[0]))
        writer.writeheader()
        writer.writerows({name: safe_cell(value) for name, value in row.items()} for row in rows)
    else:
        _print_json(_source(file, content) | document | {"predictions": rows})


def _whom_and_how(
    data: Orders | Histories, model: Name, unit: Unit, end: int | None, pooling: bool
) -> tuple[People, Name]:
    """Everybody in the file, and the model: `auto` is what does best on the log's last third."""
    if isinstance(data, Histories):
        if end is not None:
            raise RejectedError("--calibration-end needs an order log")
        people = _of_histories(data)
        return people, Name(_learn(people, model, unit, pooling).likeliest()) if model is Name.AUTO else model
    last = end if end is not None else int(data.log.day.max())
    people = _of_summary(summarise(data.log, unit, last), data)
    if model is not Name.AUTO:
        return people, model
    first = int(data.log.day.min())
    start = first + int((last - first) * LEARN_SHARE)
    if start >= last:
        return people, Name(_learn(people, model, unit, pooling).likeliest())
    summary = summarise(data.log, unit, start, last)
    learnt = _learn(_of_summary(summary, data), model, unit, pooling)
    models = {name: each.model for name, each in learnt.purchases.items()}
    return people, Name(holdout.check(summary, models, None, auditing.HIATUS_DAYS / DAYS_PER[unit]).best)


def _predictions(
    people: People, fits: Fits, name: Name, unit: Unit, horizon: float, within: float, discount: float
) -> dict[str, list[Any]]:
    """Columns, one entry per row of the file."""
    groups, group = people.groups, people.group
    columns: dict[str, list[Any]] = {"customer": people.names, "x": people.x.tolist()}
    columns |= {"t_x": groups.t_x[group].tolist(), "T": groups.t_cal[group].tolist()}
    worth = None
    if fits.spend is not None and people.mean_value is not None:
        worth = fits.spend.model.expected_value(people.x, people.mean_value)
    if name in fits.purchases:
        model = fits.purchases[name].model
        # BG/NBD's own figure is 1 for everybody who bought once: not printed under that name.
        alive = None if isinstance(model, BgNbd) else model.p_alive(groups)
        columns["p_alive"] = [None] * len(group) if alive is None else alive[group].tolist()
        columns["expected_orders"] = model.expected_orders(groups, horizon)[group].tolist()
        columns["p_order_within"] = model.p_order_within(groups, within / DAYS_PER[unit])[group].tolist()
        if worth is not None:
            orders = discounted_orders(model, groups, DAYS_PER[unit], discount)
            columns["clv_12_months"] = customer_lifetime_value(orders, group, worth).tolist()
    if worth is not None:
        columns["order_value"] = worth.tolist()
    return columns


def _predict_retention(
    cohorts: Cohorts, model: Name, periods: int, discount: float
) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    """The survivor curve onwards, and what somebody still there is worth in periods."""
    fits = _learn_retention(cohorts, model)
    known = len(cohorts.lost)
    name = next(iter(fits)) if len(fits) == 1 else ("sbg" if known <= SHORT_CURVE else "bdw")
    curve = fits[name].model
    ahead = np.arange(1, known + periods + 1, dtype=np.float64)
    start = float(cohorts.lost.sum() + cohorts.active.sum())
    rows = [
        {"period": int(period), "survivors": start * share, "retention": kept}
        for period, share, kept in zip(
            ahead, curve.survival(ahead).tolist(), curve.retention(ahead).tolist(), strict=True
        )
    ]
    derl = curve.derl(known, discount) if discount > 0 else None
    document = {"model": name, "fits": {name: _described(fits[name])}, "derl": derl, "derl_after_renewals": known}
    return document, rows


# --- audit -----------------------------------------------------------------------------------------------------------
@app.command()
def audit(
    file: Annotated[Path | None, typer.Argument(help="An order log, CSV or Parquet: audited here and now.")] = None,
    shop: Annotated[str | None, typer.Option("--shop", metavar="TENANT", help="What its nights have found.")] = None,
    windows: Annotated[int, typer.Option(min=1, max=52, help="So many hold-outs, a week apart.")] = 4,
    unit: UnitOption = Unit.WEEK,
    customer: CustomerOption = None,
    on: DateOption = None,
    amount: AmountOption = None,
    skip_bad_rows: SkipOption = False,
) -> None:
    """Predictions against what happened, beside the naive rules: MAE, calibration, normalised Gini, and the verdict."""
    if (file is None) == (shop is None):
        raise RejectedError("name a file to audit, or a shop whose nights have audited themselves (--shop)")
    if file is None:
        _print_json({"shop": shop, "audits": _kept_audits(str(shop), windows)})
        return
    content = read(file, customer, on, amount, skip_bad_rows=skip_bad_rows)
    if not isinstance(content.data, Orders):
        raise RejectedError(f"an audit needs an order log; {file.name} has {content.kind}")
    _print_json(_source(file, content) | {"unit": unit.value, "audits": _audits(content.data, unit, windows)})


def _audits(orders: Orders, unit: Unit, windows: int) -> list[dict[str, Any]]:
    """Newest first: the last third of what was known then is held out, half a year at most, as every night does."""
    first, last = int(orders.log.day.min()), int(orders.log.day.max())
    found = []
    for until in range(last, max(first, last - 7 * windows), -7):
        start = until - min(182, (until - first) // 3)
        if start >= until:
            break
        summary = summarise(orders.log, unit, start, until)
        ones = np.ones(len(summary.x), np.int64)
        rows = Groups(summary.x, summary.t_x, summary.t_cal, ones, summary.log_gaps)
        later = summary.holdout_x if summary.holdout_x is not None else ones * 0
        held = auditing.Held(rows, later, summary.holdout_time).thinned(auditing.MOST_CUSTOMERS)
        dates = {"learnt_until": _iso(start), "until": _iso(until)}
        found.append(dates | auditing.audit(held, DAYS_PER[unit]).document())
    if not found:
        raise RejectedError("the log is too short to hold anything out: it needs at least three days")
    return found


def _kept_audits(shop: str, windows: int) -> list[dict[str, Any]]:
    from infra.cli.session import connect
    from shared.analytics.reports import MODEL_AUDIT, ReportStore
    from shared.core.ids import TenantId

    deployment = connect()
    store = ReportStore(deployment.outputs["ReportsTable"], deployment.client("dynamodb"))
    kept = store.latest(TenantId(shop), MODEL_AUDIT, 7 * windows)
    audited = [report for _, report in kept if report["audited_on"] == report["as_of"]]
    shown = audited or [report for _, report in kept[:1]]
    if not shown:
        raise RejectedError(f"no night of shop {shop!r} has fitted its models yet: matakite nightly run {shop}")
    return shown[:windows]


# --- people ----------------------------------------------------------------------------------------------------------
def _of_summary(summary: Summary, orders: Orders) -> People:
    groups, group = summary.groups()
    mean = summary.mean_value if orders.has_amount else None
    return People([str(name) for name in summary.names], groups, group, np.ones(len(group), np.int64), mean)


def _of_histories(data: Histories) -> People:
    rows = data.groups
    groups, group = grouped(rows.x, rows.t_x, rows.t_cal, rows.count)
    return People([str(name) for name in data.names], groups, group, rows.count, data.mean_value)


# --- what is printed -------------------------------------------------------------------------------------------------
def _source(file: Path, content: Content) -> dict[str, Any]:
    read_as = {"kind": content.kind, "columns": content.columns}
    return {"file": file.name, **read_as, "skipped_rows": len(content.skipped)}


def _about(people: People, unit: Unit) -> dict[str, Any]:
    groups = people.groups
    return {
        "unit": unit.value,
        "customers": groups.customers,
        "repeat_customers": int(groups.count[groups.x > 0].sum()),
        "repeat_purchases": int(groups.count @ groups.x),
        "groups": len(groups.x),
    }


def _described(fitted: Fit[Any]) -> dict[str, Any]:
    found = asdict(replace(fitted, model=None))
    del found["model"]
    if fitted.pooled:
        found["notes"] += ("--no-pooling finds the maximum of the likelihood of these data alone",)
    return {"parameters": asdict(fitted.model), "reliable": fitted.reliable} | found


def _day(text: str | None) -> int | None:
    try:
        return None if text is None else parse_day(text).toordinal()
    except ValueError as error:
        raise RejectedError(f"--calibration-end: {error}") from None


def _iso(day: int) -> str:
    return date.fromordinal(day).isoformat()


def _print_json(document: Mapping[str, Any]) -> None:
    sys.stdout.write(json.dumps(document, ensure_ascii=False, indent=1, allow_nan=False) + "\n")
