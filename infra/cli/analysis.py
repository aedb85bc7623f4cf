"""`matakite analysis` asks one analysis; `matakite nightly` runs the night now."""

from __future__ import annotations

import csv
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import date, timedelta
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

import typer
from rich.console import Console
from rich.measure import Measurement
from rich.table import Table

from infra.cli import athena
from infra.cli.as_of import read_as_of
from infra.cli.session import Deployment, connect
from infra.cli.which_shop import OfShop, which_shop
from infra.names import NIGHTLY_MACHINE
from shared.analytics import catalog
from shared.analytics.costs import read_costs, write_costs
from shared.analytics.customers_of import customers_query
from shared.analytics.definitions import SECTION, TEXT_LISTS, definitions_of
from shared.analytics.lake import S3Objects
from shared.analytics.meaning import Meaning, every_analysis, meaning, result_table
from shared.analytics.models.cancellation import call_order
from shared.analytics.nightly import RUN, STEPS
from shared.analytics.of_store import of_store
from shared.analytics.reports import MODEL_AUDIT, ReportStore
from shared.analytics.schema import Kind
from shared.analytics.sql import Value, parameter_names
from shared.core.clock import SystemClock, shop_day
from shared.core.errors import NotFoundError, RejectedError, UnavailableError
from shared.core.shop import Shop
from shared.core.spreadsheet import safe_cell
from shared.ingest.connections import ConnectionBook
from shared.ingest.files.model import STORE

app = typer.Typer(name="analysis", help="Run one analysis / 分析", no_args_is_help=True)
nightly = typer.Typer(name="nightly", help="Run the nightly scoring now / 夜間集計", no_args_is_help=True)
_console = Console(highlight=False)

Rows = Sequence[Mapping[str, Any]]


class Known(StrEnum):
    """What an answer about a past day may use."""

    THEN = "then"
    """Only what had reached us by the end of that day."""
    NOW = "now"
    """All we know by now of how things stood on that day."""


class Format(StrEnum):
    """How rows are printed."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"


AsOf = Annotated[str | None, typer.Option("--as-of", metavar="DATE", help="Day, 2026-11-21; without, yesterday.")]


# --- analysis --------------------------------------------------------------------------------------------------------
@app.command("list")
def list_() -> None:
    """Every analysis and the question it answers."""
    table = Table("name", "分析", "問い", "question")
    for name in catalog.names():
        said = meaning(name)
        table.add_row(name.rpartition("_v")[0], said.title["ja"], said.question["ja"], said.question["en"])
    _console.print(table)


@app.command("run")
def run_analysis(
    name: Annotated[str, typer.Argument(help="Such as rfm or rfm_v1.")],
    as_of: AsOf = None,
    known: Annotated[
        Known, typer.Option("--known", help="As known then (当時の認識) or as known now (現在の認識).")
    ] = Known.NOW,
    shop: OfShop = None,
    output: Annotated[Format, typer.Option("--format", help="table, csv or json.")] = Format.TABLE,
    limit: Annotated[int, typer.Option(min=1, help="Rows shown in a table.")] = 50,
    customers: Annotated[
        str | None,
        typer.Option(
            "--customers",
            metavar="KEY=VALUE,…",
            help="The ids behind one row: r=6,f=1; list=NAME for another of its numbers (顧客リスト).",
        ),
    ] = None,
    store: Annotated[
        str | None, typer.Option("--store", help="One store's orders, carts and visits alone (店舗で絞り込み).")
    ] = None,
    changes: Annotated[
        list[str] | None,
        typer.Option("--set", metavar="NAME=VALUE", help="A setting for this run only: ltv_days=180, base_products=A."),
    ] = None,
) -> None:
    """Ask one analysis as of any day, from the orders themselves: no nightly run is needed."""
    deployment = connect()
    settings = with_settings(which_shop(deployment, shop), changes or [])
    said = meaning(_full_name(name))
    now = SystemClock().now()
    day = read_as_of(as_of, settings, now) or shop_day(now, settings.timezone) - timedelta(days=1)
    if store is not None and store not in (known_stores := stores_of(deployment, settings)):
        typer.echo(f"注意: 接続のない店です: {store}（あるのは {', '.join(known_stores)}）", err=True)
    if customers is not None:
        found = customers_behind(deployment, settings, said.name, day, row_keys(customers), known, store)
        sys.stdout.writelines(f"{customer_id}\n" for customer_id in found)
        typer.echo(f"{len(found):,} 人（{day} 時点）", err=True)
        return
    rows = ask(deployment, settings, said.name, day, known, store)
    _print(said, rows, output, limit)
    if not rows:
        typer.echo(nothing_found(said, day), err=True)


def stores_of(deployment: Deployment, shop: Shop) -> list[str]:
    """The stores that are connected, and the one of files that name none."""
    connections = ConnectionBook(deployment.client("ssm"), deployment.prefix).all()
    return sorted({STORE, *(each.store for each in connections if each.tenant == shop.tenant)})


def nothing_found(said: Meaning, day: date) -> str:
    """What stands beside an empty answer."""
    text = f"{day} 時点で該当する行はありません"
    if not {*said.reads} & {*catalog.made_by_functions()}:
        return text
    return f"{text}。予測はその日の夜間集計で作られます：matakite nightly run --as-of {day}"


def with_settings(shop: Shop, changes: Sequence[str]) -> Shop:
    """The shop as if its analytics settings were changed so (`ltv_days=180`); a list is joined by commas."""
    section = dict(shop.section(SECTION))
    for name, text in (_pair(change) for change in changes):
        if name in TEXT_LISTS or name.endswith("_limits"):
            section[name] = [_plain(part) if name.endswith("_limits") else part for part in text.split(",")]
        else:
            section[name] = _plain(text)
    return replace(shop, sections={**shop.sections, SECTION: section})


def _plain(text: str) -> int | str:
    return int(text) if text.isascii() and text.isdigit() else text


def row_keys(text: str) -> dict[str, str]:
    """`r=6,f=1` as keys; a value may hold a comma where no `key=` follows it."""
    parts: list[str] = []
    for part in text.split(",") if text else []:
        if parts and "=" not in part:
            parts[-1] += f",{part}"
        else:
            parts.append(part)
    return dict(_pair(part) for part in parts)


def _pair(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not equals or not name.strip():
        raise RejectedError(f"NAME=VALUE is needed, got {text!r}")
    return name.strip(), value


def customers_behind(
    deployment: Deployment,
    shop: Shop,
    name: str,
    as_of: date,
    row: Mapping[str, str],
    known: Known = Known.NOW,
    store: str | None = None,
) -> list[str]:
    """The ids of the people behind one row of an analysis, sorted: a segment's members."""
    query = customers_query(name, row, every_analysis(), _values(shop, as_of, known))
    return [str(cells[0]) for cells in _asked(deployment, of_store(query, store) if store else query)]


@app.command("costs")
def tell_costs(
    file: Annotated[
        Path, typer.Argument(help="CSV: media,month,cost (媒体・対象月・広告費)", exists=True, dir_okay=False)
    ],
    shop: OfShop = None,
) -> None:
    """Tell what media cost (広告費), for CPO, CAC and ROAS: media as the orders say it, a line per month."""
    deployment = connect()
    settings = which_shop(deployment, shop)
    told = read_costs(file.read_bytes())
    lake = S3Objects(deployment.outputs["LakeBucket"], deployment.client("s3"))
    write_costs(told, lake, settings.tenant, settings.currency, SystemClock().now())
    _console.print(f"{len(told)} 件の広告費を登録しました / {len(told)} costs told: `matakite analysis run cpo`")


def _full_name(name: str) -> str:
    """`rfm` is its newest version."""
    versions = [known for known in catalog.names() if name in (known, known.rpartition("_v")[0])]
    if not versions:
        raise NotFoundError(f"no analysis {name!r}; there are: {', '.join(catalog.names())}")
    return max(versions, key=lambda known: int(known.rpartition("_v")[2]))


def ask(
    deployment: Deployment, shop: Shop, name: str, as_of: date, known: Known = Known.NOW, store: str | None = None
) -> Rows:
    """The rows of an analysis, over the base tables alone (of one store, if named), in the order of its schema."""
    values = _values(shop, as_of, known)
    if "call_order" in parameter_names(catalog.query_text(name)):
        values |= {"call_order": _call_order(deployment, shop)}
    query = catalog.standalone_query(name, every_analysis(), values)
    rows = _typed(_asked(deployment, of_store(query, store) if store else query), name)
    order = result_table(name).sort
    return sorted(rows, key=lambda row: [(row[column] is not None, row[column]) for column in order])


def _values(shop: Shop, as_of: date, known: Known) -> dict[str, Value]:
    before = catalog.end_of_day(as_of, shop.timezone) if known is Known.THEN else None
    return catalog.parameters(
        shop.tenant, as_of, definitions_of(shop), shop.currency, known_before=before, timezone=shop.timezone
    )


def _call_order(deployment: Deployment, shop: Shop) -> str:
    """By what 解約見込み is ordered: what its last weekly audit says."""
    store = ReportStore(deployment.outputs["ReportsTable"], deployment.client("dynamodb"))
    return call_order(next((report for _, report in store.latest(shop.tenant, MODEL_AUDIT)), None))


def _asked(deployment: Deployment, query: str) -> Iterator[list[str | None]]:
    return athena.rows(deployment, athena.ask(deployment, query))


_READ: Mapping[Kind, Any] = {
    Kind.BIGINT: int,
    Kind.INTEGER: int,
    Kind.DOUBLE: float,
    Kind.BOOLEAN: lambda text: text.lower() == "true",
}


def _typed(rows: Iterator[list[str | None]], name: str) -> Iterator[dict[str, Any]]:
    columns = result_table(name).columns
    for row in rows:
        yield {
            column.name: None if text is None else _READ.get(column.kind, str)(text)
            for column, text in zip(columns, row, strict=True)
        }


def _print(said: Meaning, rows: Rows, output: Format, limit: int) -> None:
    match output:
        case Format.JSON:
            sys.stdout.write(json.dumps(list(rows), ensure_ascii=False, indent=1) + "\n")
        case Format.CSV:
            _print_csv(said, rows)
        case Format.TABLE:
            _print_table(said, rows, limit)


def _print_csv(said: Meaning, rows: Rows) -> None:
    names = [column.name for column in result_table(said.name).columns]
    writer = csv.writer(sys.stdout)
    writer.writerow(names)
    writer.writerows([safe_cell(row[name]) for name in names] for row in rows)


def _print_table(said: Meaning, rows: Rows, limit: int) -> None:
    table = Table(title=f"{said.title['ja']} / {said.title['en']}", caption=said.question["ja"])
    for column in result_table(said.name).columns:
        number = column.kind in {Kind.BIGINT, Kind.INTEGER, Kind.DOUBLE}
        table.add_column(column.name, justify="right" if number else "left")
    for row in rows[:limit]:
        table.add_row(*map(_shown, row.values()))
    # A line that is too long is better than a column without its name.
    wide = Measurement.get(_console, _console.options.update(max_width=1000), table).maximum
    Console(highlight=False, width=max(wide, _console.width)).print(table)
    if len(rows) > limit:
        _console.print(f"… {len(rows) - limit} more rows of {len(rows)}: --limit, --format csv")


def _shown(value: Any) -> str:
    if value is None:
        return ""
    return f"{value:.4f}" if isinstance(value, float) else str(value)


# --- nightly ---------------------------------------------------------------------------------------------------------
@nightly.callback()
def _nightly() -> None:
    """One subcommand for each thing to do with a night."""


@nightly.command("run")
def run_nightly(
    as_of: Annotated[
        str | None, typer.Option("--as-of", metavar="DATE", help="Day, 2026-11-21; without, every night that is due.")
    ] = None,
    shop: OfShop = None,
) -> None:
    """Start the nightly machine for one shop and follow it: the day given, else every night that is due."""
    deployment = connect()
    settings = which_shop(deployment, shop)
    day = read_as_of(as_of, settings, SystemClock().now())
    with _console.status("夜間集計を実行中 / running the night …"):
        nights = follow_night(deployment, settings, day)
    if nights:
        print_run(deployment, settings, day)
    else:
        _console.print("every night up to yesterday has been run; name a day with --as-of to run it again")


@nightly.command("show")
def show_nightly(
    as_of: Annotated[
        str | None, typer.Option("--as-of", metavar="DATE", help="Day, 2026-11-21; without, the newest.")
    ] = None,
    shop: OfShop = None,
) -> None:
    """What the night of a day (else the newest) did: rows, seconds and bytes scanned of each step."""
    deployment = connect()
    settings = which_shop(deployment, shop)
    print_run(deployment, settings, read_as_of(as_of, settings, SystemClock().now()))


def follow_night(deployment: Deployment, shop: Shop, as_of: date | None) -> int:
    """Run the machine to its end; the nights it ran. Raises UnavailableError when one stays incomplete."""
    machines = deployment.client("stepfunctions")
    described = {"tenant": shop.tenant} | ({"as_of": as_of.isoformat()} if as_of else {})
    started = machines.start_execution(
        stateMachineArn=deployment.machine(NIGHTLY_MACHINE),
        name=f"{shop.tenant}-{SystemClock().now():%Y%m%dT%H%M%S%f}",
        input=json.dumps(described),
    )
    while True:
        found = machines.describe_execution(executionArn=started["executionArn"])
        if found["status"] != "RUNNING":
            break
        time.sleep(0.3)
    if found["status"] != "SUCCEEDED":
        raise UnavailableError(f"the nightly run {found['status'].lower()}: {found.get('cause') or found.get('error')}")
    return len(json.loads(found["output"])["runs"])


def print_run(deployment: Deployment, shop: Shop, as_of: date | None) -> None:
    """The record of the day's run, else of the newest, step by step."""
    reports = ReportStore(deployment.outputs["ReportsTable"], deployment.client("dynamodb"))
    before = as_of + timedelta(days=1) if as_of else None
    found = reports.latest(shop.tenant, RUN, before=before)
    if not found:
        _console.print("no night has been run yet: matakite nightly run")
    for on, record in found:
        _print_steps(on, reports.get(shop.tenant, STEPS, on) or {"steps": ()})
        _console.print(
            f"{record['state']}: {record.get('changed', 0):,} people differ, {record.get('written', 0):,} written,"
            f" {record.get('scanned_bytes', 0):,} B scanned"
        )


def _print_steps(on: date, document: Mapping[str, Any]) -> None:
    table = Table("step", "state", "rows", "seconds", "scanned", "", title=f"{on} 時点 / as of {on}")
    for each in document["steps"]:
        table.add_row(
            each["step"],
            each["state"],
            f"{each['rows']:,}",
            f"{each['seconds']:.2f}",
            f"{each['scanned_bytes']:,} B",
            each["note"],
        )
    _console.print(table)
