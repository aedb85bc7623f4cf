"""`matakite import`: bring in a shop's files. Nothing imported starts a scenario."""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from datetime import time as clock_time
from pathlib import Path
from typing import Annotated, Any, BinaryIO
from zoneinfo import ZoneInfo

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TextColumn, TimeElapsedColumn

from infra.cli.as_of import read_as_of
from infra.cli.session import Deployment, connect
from infra.cli.which_shop import which_shop
from infra.names import IMPORT_MACHINE
from shared.core.clock import SystemClock
from shared.core.errors import RejectedError, UnavailableError
from shared.core.shop import Shop
from shared.ingest import history
from shared.ingest.connections import ConnectionBook
from shared.ingest.files import report
from shared.ingest.files.importing import (
    Advance,
    Home,
    ImportPorts,
    Wanted,
    carts,
    home,
    import_name,
    read_into,
    start_import,
)
from shared.ingest.files.mapping import FileMapping, MappingBook
from shared.ingest.files.model import SOURCE, STORE, FileOptions, Kind
from shared.ingest.files.reading import Reading
from shared.ingest.files.registry import kind as kind_named
from shared.ingest.files.registry import kinds

app = typer.Typer(name="import", help="Bring in a shop's files / データ取り込み", add_completion=False)
_console = Console(soft_wrap=True, highlight=False)

POLL_SECONDS = 0.5
_LOADED = frozenset({"LambdaFunctionSucceeded", "TaskSucceeded"})
_KINDS = " ・ ".join(f"{each.name}（{each.title}）" for each in kinds())


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did."""

    events: int
    changed: int
    """Orders that were new or different."""
    again: bool
    """This very file had been imported before."""


@app.command(no_args_is_help=True)
def import_(
    kind: Annotated[str, typer.Argument(help=f"種類 / kind: {_KINDS}")],
    file: Annotated[Path, typer.Argument(help="CSV（UTF-8 または Shift_JIS）")],
    shop: Annotated[str | None, typer.Option("--shop", help="店（複数あるときに必要） / shop (tenant)")] = None,
    source: Annotated[str | None, typer.Option(help="番号の持ち主のカート / cart the numbers belong to")] = None,
    store: Annotated[str | None, typer.Option(help="そのカートの店 / its store, as in `connection add`")] = None,
    mapping: Annotated[list[str] | None, typer.Option(help="'見出し=項目'（何度でも） / HEADING=COLUMN")] = None,
    value: Annotated[list[str] | None, typer.Option(help="全行に同じ値 '項目=値' / COLUMN=VALUE for every row")] = None,
    save_mapping: Annotated[bool, typer.Option("--save-mapping", help="次回からこの対応を使う")] = False,
    encoding: Annotated[str | None, typer.Option(help="文字コード utf-8 / cp932（通常は自動）")] = None,
    as_of: Annotated[str | None, typer.Option(help="いつ時点のデータか 2026-01-31（既定: 今日）")] = None,
    revision: Annotated[int, typer.Option(min=1, max=9999, help="訂正版は大きい番号が勝つ")] = 1,
    rejected: Annotated[Path | None, typer.Option(help="取り込めない行の書き出し先 OUT.csv")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="読んで報告するだけ（何も変えない）")] = False,
) -> None:
    """ファイルを取り込む: good rows go in, bad rows are listed and written to FILE.rejected.csv."""
    deployment, wanted = connect(), kind_named(kind)
    found = which_shop(deployment, shop)
    book = MappingBook(deployment.client("ssm"), deployment.prefix)
    said = book.load(found.tenant, wanted.name).with_pairs(mapping or (), value or ())
    whose = _home(deployment, found, said, source, store)
    now = SystemClock().now()
    day = read_as_of(as_of, found, now)
    options = FileOptions(
        found.tenant,
        found.timezone,
        found.currency,
        whose.source,
        whose.store,
        revision,
        datetime.combine(day, clock_time(), ZoneInfo(found.timezone)).astimezone(UTC) if day else None,
        deployment.keys().personal,
    )
    with _open(file) as stream, history.Pack() as pack, _progress() as progress:
        advance = _advance(progress)
        reading = Wanted(stream, wanted, options, said, encoding).open(now)
        read_into(reading, pack, advance)
        _report(reading, rejected or file.with_name(f"{file.name}.rejected.csv"))
        if dry_run:
            _console.print("確認だけしました。何も取り込んでいません / dry run: nothing was imported")
        if dry_run or not len(pack):
            raise typer.Exit(1 if reading.bad else 0)
        if save_mapping:
            book.save(found.tenant, wanted.name, replace(said, source=whose.source, store=whose.store))
            _console.print("列の対応を保存しました。次回から自動で使います / mapping saved")
        done = import_pack(deployment, found, pack, import_name(reading, said), advance)
    _tell(done, wanted)


def import_file(
    deployment: Deployment, shop: Shop, file: Path, kind: str, options: FileOptions, advance: Advance
) -> Imported:
    """Import a file with nothing but its usual headings; rows that cannot be read are left out."""
    mapping = FileMapping()
    with _open(file) as stream, history.Pack() as pack:
        reading = Wanted(stream, kind_named(kind), options, mapping).open(SystemClock().now())
        read_into(reading, pack, advance)
        return import_pack(deployment, shop, pack, import_name(reading, mapping), advance)


def import_pack(deployment: Deployment, shop: Shop, pack: history.Pack, name: str, advance: Advance) -> Imported:
    """Let the machine load the events, and wait for it."""
    machine = Machine(deployment)
    ports = ImportPorts(
        deployment.client("s3"), deployment.client("stepfunctions"), deployment.outputs["WorkBucket"], machine.arn
    )
    started = start_import(shop.tenant, name, pack, ports, advance)
    chunks = json.loads(machine.follow(started.arn, advance))
    changed = 0 if started.again else sum(chunk["changed"] for chunk in chunks)
    return Imported(sum(chunk["orders"] for chunk in chunks), changed, started.again)


class Machine:
    """The import state machine of a deployment."""

    def __init__(self, deployment: Deployment) -> None:
        self._client = deployment.client("stepfunctions")
        self.arn = deployment.machine(IMPORT_MACHINE)

    def follow(self, arn: str, advance: Advance) -> str:
        """Wait for an execution; returns its output. Raises UnavailableError when it failed."""
        while True:
            found = self._client.describe_execution(executionArn=arn)
            total = len(json.loads(found["input"])["keys"])
            advance("取り込み", self._loaded(arn), total)
            if found["status"] == "SUCCEEDED":
                output: str = found["output"]
                return output
            if found["status"] != "RUNNING":
                cause = f"{found.get('error', '')} {found.get('cause', '')}".strip()[:500]
                raise UnavailableError(
                    "取り込みが止まりました。同じコマンドをもう一度実行してください "
                    f"/ the import {found['status'].lower()}, run the same command again: {cause}"
                )
            time.sleep(POLL_SECONDS)

    def _loaded(self, arn: str) -> int:
        """Chunks loaded so far: AWS names the event after the function, the local cloud after the task."""
        pages = self._client.get_paginator("get_execution_history").paginate(
            executionArn=arn, includeExecutionData=False, PaginationConfig={"PageSize": 1000}
        )
        return sum(event["type"] in _LOADED for page in pages for event in page["events"])


# --- what was asked for -----------------------------------------------------------------------------------------------


def _home(deployment: Deployment, shop: Shop, mapping: FileMapping, source: str | None, store: str | None) -> Home:
    """Whose numbers the file holds; asks when nobody can know and somebody is there to answer."""
    book = ConnectionBook(deployment.client("ssm"), deployment.prefix)
    mine = [each for each in book.all() if each.tenant == shop.tenant]
    found = home(mine, mapping, source, store)
    if not found.sure and sys.stdin.isatty():
        found = _asked(carts(mine), found)
    elif not found.sure:
        raise RejectedError(
            f"{found.because}、どのカートの番号か分かりません。--source と --store で指定してください"
            f"（どれでもなければ --source {SOURCE} --store {STORE}） / name the cart with --source and --store"
        )
    _console.print(f"{found.because}、{found.source} / {found.store} の番号として読みます", markup=False)
    if not found.sure:
        _console.print(
            "注意: カートの受注と番号がつながらず、二重に数えるおそれがあります"
            " / warning: orders that a cart tells of too are counted twice",
            style="yellow",
        )
    return found


def _asked(stores: Sequence[tuple[str, str]], otherwise: Home) -> Home:
    for number, (source, store) in enumerate(stores, 1):
        _console.print(f"  {number}: {source} / {store}", markup=False)
    chosen = typer.prompt("どのカートの番号ですか（0: どれでもない）", type=int, default=0)
    if not 0 < chosen <= len(stores):
        return otherwise
    source, store = stores[chosen - 1]
    return Home(source, store, "選ばれたとおり")


def _open(file: Path) -> BinaryIO:
    try:
        return file.open("rb")
    except OSError as error:
        raise RejectedError(f"{file} を開けません: {error.strerror} / cannot read it") from None


# --- the screen -------------------------------------------------------------------------------------------------------


def _report(reading: Reading, rejected: Path) -> None:
    for line in report.lines(reading):
        _console.print(line, markup=False)
    if reading.bad:
        rejected.write_bytes(report.rejected_csv(reading))
        _console.print(f"取り込めない行を書き出しました: {rejected} / refused rows", markup=False)


def _tell(done: Imported, kind: Kind) -> None:
    if done.again:
        _console.print("取り込み済みのファイルです。変更はありません / imported before: nothing changed")
    changed = f"（うち新規・変更 {done.changed:,} 件）" if kind.name.endswith("orders") else ""
    english = f", {done.changed:,} of them new or changed" if changed else ""
    _console.print(f"{kind.title} {done.events:,} 件{changed}を取り込みました / {done.events:,} {kind.name}{english}")


def _progress() -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TimeElapsedColumn(),
        console=_console,
        transient=True,
    )


def _advance(progress: Progress) -> Advance:
    tasks: dict[str, Any] = {}

    def advance(what: str, done: int, total: int) -> None:
        if what not in tasks:
            tasks[what] = progress.add_task(what, total=total or None)
        progress.update(tasks[what], completed=done, total=total or None)

    return advance
