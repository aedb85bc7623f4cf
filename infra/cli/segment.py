"""`matakite segment`: who is meant — tried, saved, shown, exported (セグメント)."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Literal, TextIO
from zoneinfo import ZoneInfo

import typer
import yaml
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from infra.cli import athena
from infra.cli.analysis import Known, row_keys
from infra.cli.as_of import read_as_of
from infra.cli.session import Deployment, connect
from infra.cli.which_shop import OfShop, which_shop
from shared.analytics import catalog
from shared.analytics.meaning import every_analysis
from shared.analytics.nightly import last_complete
from shared.analytics.reports import ReportStore
from shared.analytics.segments import ask
from shared.analytics.segments.ask import Asking
from shared.analytics.segments.compile import Compiled, compile_segment
from shared.analytics.segments.model import Segment, Where
from shared.analytics.segments.night import COUNTS
from shared.analytics.segments.read import PRESETS, read_document, read_file, read_presets
from shared.analytics.segments.store import Saved, SegmentStore, check_room, find, stamp
from shared.core.clock import SystemClock, from_iso, shop_day
from shared.core.errors import NotFoundError, RejectedError
from shared.core.ids import CustomerId
from shared.core.shop import Shop
from shared.core.spreadsheet import csv_lines
from shared.customers.store import CustomerStore

app = typer.Typer(name="segment", help="Who is meant: try, save, export / セグメント", no_args_is_help=True)
_console = Console(highlight=False)
_progress = Console(stderr=True, highlight=False)

READERS_AT_ONCE = 16
_WHERE = {
    Where.LIVE: "毎晩＋即時（customer show）",
    Where.RECENT: "毎晩＋即時（customer show、閲覧は直近50件まで）",
    Where.NIGHTLY: "夜間集計のみ",
}

Wanted = Annotated[str, typer.Argument(help="A definition's file, a saved segment, or a ready-made one.")]
AsOf = Annotated[str | None, typer.Option("--as-of", metavar="DATE", help="Day; without, the last night that was run.")]
KnownOption = Annotated[Known, typer.Option("--known", help="As known then (当時の認識) or now (現在の認識).")]


@dataclass(frozen=True)
class Desk:
    """What it takes to ask about one shop's segments."""

    deployment: Deployment
    shop: Shop
    segments: SegmentStore
    reports: ReportStore

    def segment(self, wanted: str) -> Segment:
        """The definition meant: a file, else a saved segment, else a ready-made one. Raises NotFoundError."""
        if Path(wanted).suffix in {".yaml", ".yml", ".json"} or Path(wanted).is_file():
            return read_file(_existing(Path(wanted)))
        saved = {each.name: each for each in self.segments.all(self.shop.tenant)}
        if wanted in saved:
            return read_document(saved[wanted].document, wanted)
        if (PRESETS / f"{wanted}.yaml").is_file():
            return read_file(PRESETS / f"{wanted}.yaml")
        known = sorted({*saved, *(path.stem for path in PRESETS.glob("*.yaml"))})
        raise NotFoundError(f"no file and no segment {wanted!r}; there are: {', '.join(known)}")

    def asking(self, segment: Segment, as_of: str | None, known: Known) -> Asking:
        """Of which day: the one typed, else the definition's own, else the last night's, else yesterday."""
        now = SystemClock().now()
        if day := read_as_of(as_of, self.shop, now):
            return Asking(day, known.value)
        if segment.as_of:
            return Asking(segment.as_of, "then" if segment.known_then else known.value)
        today = shop_day(now, self.shop.timezone)
        last = last_complete(self.reports, self.shop.tenant, before=today)
        return Asking(last or today - timedelta(days=1), known.value)

    def members(self, compiled: Compiled, asking: Asking) -> str:
        """The query for its people."""
        return ask.query(compiled, asking, self.shop, self.reports, every_analysis())


def open_desk(shop: str | None) -> Desk:
    """The desk of the shop named, or of the only one."""
    deployment = connect()
    table, dynamodb = deployment.outputs["ReportsTable"], deployment.client("dynamodb")
    return Desk(deployment, which_shop(deployment, shop), SegmentStore(table, dynamodb), ReportStore(table, dynamodb))


def _existing(path: Path) -> Path:
    if not path.is_file():
        raise NotFoundError(f"no file {path}")
    return path


# --- preview ----------------------------------------------------------------------------------------------------------
@app.command()
def preview(
    wanted: Wanted,
    as_of: AsOf = None,
    known: KnownOption = Known.NOW,
    shop: OfShop = None,
    sample: Annotated[int, typer.Option(min=1, max=100, help="Ids shown.")] = 5,
    sql: Annotated[bool, typer.Option("--sql", help="Print the query instead of asking it.")] = False,
) -> None:
    """How many people are in it, and some of their ids: nothing is saved (件数確認)."""
    desk = open_desk(shop)
    segment = desk.segment(wanted)
    compiled = compile_segment(segment, every_analysis())
    asking = desk.asking(segment, as_of, known)
    if sql:
        sys.stdout.write(desk.members(compiled, asking) + "\n")
        return
    _show_count(segment, asking, count(desk, compiled, asking, sample))


@dataclass(frozen=True)
class Count:
    """How many, some of them, and what it took to know."""

    people: int
    ids: tuple[str, ...]
    scanned_bytes: int
    seconds: float


def count(desk: Desk, compiled: Compiled, asking: Asking, sample: int = 5) -> Count:
    """The people of a compiled segment."""
    query = ask.counted(desk.members(compiled, asking), sample)
    with _progress.status("件数を確認しています …"):
        answer = athena.ask(desk.deployment, query)
        found = list(athena.rows(desk.deployment, answer))
    people = int(found[0][1] or 0) if found else 0
    return Count(people, tuple(str(row[0]) for row in found), answer.scanned_bytes, answer.seconds)


def _show_count(segment: Segment, asking: Asking, found: Count) -> None:
    then = "・当時の認識" if asking.known == "then" else ""
    _console.print(f"{segment.title}：[bold]{found.people:,} 人[/bold]（{asking.as_of} 時点{then}）")
    if segment.description:
        _console.print(segment.description, style="dim")
    for customer_id in found.ids:
        _console.print(f"  {customer_id}")
    if found.people > len(found.ids):
        _console.print(f"  … ほか {found.people - len(found.ids):,} 人（matakite segment export で全員）")
    _console.print(f"{_live(segment)} ・ スキャン {found.scanned_bytes:,} B ・ {found.seconds:.1f} 秒", style="dim")


def _live(segment: Segment) -> str:
    if segment.as_of is not None:
        return "日付固定の名簿"
    if segment.nightly_words:
        return f"{_WHERE[Where.NIGHTLY]}（{', '.join(segment.nightly_words)}）"
    recent = any(each.where is Where.RECENT for each in segment.conditions())
    return _WHERE[Where.RECENT if recent else Where.LIVE]


# --- list, show -------------------------------------------------------------------------------------------------------
@app.command("list")
def list_(shop: OfShop = None) -> None:
    """The saved segments with their last numbers, and the ready-made ones."""
    desk = open_desk(shop)
    saved = desk.segments.all(desk.shop.tenant)
    latest = desk.reports.latest(desk.shop.tenant, COUNTS.rpartition("_v")[0])
    on, report = latest[0] if latest else (None, {"rows": []})
    people = {row["segment"]: row["people"] for row in report["rows"]}
    table = Table(title=f"保存セグメント（{on} 時点）" if on else "保存セグメント")
    _columns(table, "名前", "タイトル", "人数", "判定", "版", "保存日時")
    for each in saved:
        segment = read_document(each.document, each.name)
        number = f"{people[each.name]:,}" if each.name in people else "次の夜間集計で"
        stale = "" if _is_current(each) else " *"
        table.add_row(each.name, each.title, number, _live(segment), each.version + stale, _local(each, desk.shop))
    _console.print(table)
    if not all(map(_is_current, saved)):
        _console.print("* 以前の版の Matakite で保存されています：matakite segment refresh")
    ready = Table(title="用意されているセグメント（matakite segment save 名前）")
    _columns(ready, "名前", "タイトル", "説明", "判定")
    names = {each.name for each in saved}
    for preset in read_presets():
        if preset.name not in names:
            ready.add_row(preset.name, preset.title, preset.description, _live(preset))
    _console.print(ready)


def _local(saved: Saved, shop: Shop) -> str:
    return f"{from_iso(saved.saved_at).astimezone(ZoneInfo(shop.timezone)):%Y-%m-%d %H:%M}"


def _columns(table: Table, *headings: str) -> None:
    """Names are never cut: they are typed again."""
    for heading in headings:
        side: Literal["left", "right"] = "right" if heading == "人数" else "left"
        table.add_column(heading, justify=side, no_wrap=heading in {"名前", "版"}, overflow="fold")


def _is_current(saved: Saved) -> bool:
    return compile_segment(read_document(saved.document, saved.name), every_analysis()).sql == saved.sql


@app.command()
def show(
    name: Annotated[str, typer.Argument(help="A saved or ready-made segment.")],
    shop: OfShop = None,
    history: Annotated[bool, typer.Option("--history", help="Every version that was saved (履歴).")] = False,
    sql: Annotated[bool, typer.Option("--sql", help="The SQL it is compiled to.")] = False,
) -> None:
    """A definition as it was written."""
    desk = open_desk(shop)
    if history:
        _show_history(desk, name)
        return
    segment = desk.segment(name)
    if sql:
        sys.stdout.write(compile_segment(segment, every_analysis()).sql + "\n")
        return
    _console.print(f"# {segment.title} ・ 版 {segment.version} ・ {_live(segment)}", style="dim", markup=False)
    sys.stdout.write(yaml.safe_dump(segment.document, allow_unicode=True, sort_keys=False))


def _show_history(desk: Desk, name: str) -> None:
    versions = desk.segments.history(desk.shop.tenant, name)
    if not versions:
        raise NotFoundError(f"no segment {name!r} was ever saved")
    for each in versions:
        _console.print(f"# {_local(each, desk.shop)} ・ 版 {each.version}", style="dim", markup=False)
        sys.stdout.write(yaml.safe_dump(dict(each.document), allow_unicode=True, sort_keys=False) + "\n")


# --- save, remove, refresh --------------------------------------------------------------------------------------------
@app.command()
def save(
    wanted: Annotated[str | None, typer.Argument(help="A definition's file or a ready-made segment.")] = None,
    from_analysis: Annotated[
        str | None, typer.Option("--from-analysis", metavar="NAME", help="The people behind a row of an analysis.")
    ] = None,
    row: Annotated[str, typer.Option("--row", metavar="KEY=VALUE,…", help="That row: r=6,f=1 (list=NAME too).")] = "",
    name: Annotated[str | None, typer.Option("--name", help="Save under this name.")] = None,
    title: Annotated[str | None, typer.Option("--title", help="What the shop calls it.")] = None,
    shop: OfShop = None,
) -> None:
    """Count, then save: from the next night on it is evaluated every night (毎晩判定)."""
    desk = open_desk(shop)
    segment = _renamed(_cell(from_analysis, row, name) if from_analysis else _given(desk, wanted), name, title)
    if segment.as_of is not None:
        raise RejectedError("a segment of a fixed day never changes: export it, or leave as_of out to save it")
    compiled = compile_segment(segment, every_analysis())
    _show_count(segment, asking := desk.asking(segment, None, Known.NOW), count(desk, compiled, asking))
    _keep(desk, segment, compiled)


def _given(desk: Desk, wanted: str | None) -> Segment:
    if wanted is None:
        raise RejectedError("say what to save: a file, a ready-made segment, or --from-analysis NAME --row KEY=VALUE")
    return desk.segment(wanted)


def _cell(analysis: str, row: str, name: str | None) -> Segment:
    full = max(
        (known for known in catalog.names() if analysis in (known, known.rpartition("_v")[0])),
        key=lambda known: int(known.rpartition("_v")[2]),
        default="",
    )
    if not full:
        raise NotFoundError(f"no analysis {analysis!r}; there are: {', '.join(catalog.names())}")
    if name is None:
        raise RejectedError("a segment from an analysis needs --name")
    members = {"analysis": {"name": full, "row": row_keys(row)}}
    return read_document({"name": name, "title": f"{full} {row}"[:100], "members": members}, name)


def _renamed(segment: Segment, name: str | None, title: str | None) -> Segment:
    changes = {key: value for key, value in (("name", name), ("title", title)) if value is not None}
    return read_document({**segment.document, **changes}, segment.name) if changes else segment


def _keep(desk: Desk, segment: Segment, compiled: Compiled) -> None:
    tenant = desk.shop.tenant
    every = {each.name: each for each in desk.segments.all(tenant)}
    was = every.get(segment.name)
    saved = Saved(
        segment.name,
        segment.version,
        segment.title,
        json.loads(json.dumps(segment.document, default=str)),
        compiled.sql,
        compiled.reads,
        stamp(SystemClock().now()),
    )
    check_room(every.values(), saved)
    if was is not None and (was.document, was.sql) == (saved.document, saved.sql):
        _console.print(f"{segment.name} は保存済みです（版 {segment.version}、変更なし）")
        return
    desk.segments.save(tenant, saved, was.version if was else None)
    _console.print(f"{segment.name} を保存しました（版 {segment.version}）。次の夜間集計から毎晩判定します。")


@app.command()
def remove(
    name: Annotated[str, typer.Argument(help="A saved segment.")],
    shop: OfShop = None,
) -> None:
    """Evaluate it no more; its definitions stay in the history."""
    desk = open_desk(shop)
    find(desk.segments, desk.shop.tenant, name)
    desk.segments.remove(desk.shop.tenant, name)
    _console.print(f"{name} を外しました（履歴は残ります：matakite segment show {name} --history）")


@app.command()
def refresh(shop: OfShop = None) -> None:
    """Compile every saved segment again, after an upgrade."""
    desk = open_desk(shop)
    for each in desk.segments.all(desk.shop.tenant):
        segment = read_document(each.document, each.name)
        _keep(desk, segment, compile_segment(segment, every_analysis()))


# --- export -----------------------------------------------------------------------------------------------------------
@app.command()
def export(
    wanted: Wanted,
    as_of: AsOf = None,
    known: KnownOption = Known.NOW,
    shop: OfShop = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="File; without, the terminal.")] = None,
    with_contact: Annotated[
        bool, typer.Option("--with-contact", help="Names and mail addresses too (個人情報).")
    ] = False,
) -> None:
    """Everybody in it as CSV for Excel: customer ids, with --with-contact names and addresses."""
    desk = open_desk(shop)
    segment = desk.segment(wanted)
    asking = desk.asking(segment, as_of, known)
    members = desk.members(compile_segment(segment, every_analysis()), asking)
    with _progress.status("対象のお客様を集計しています …"):
        answer = athena.ask(desk.deployment, f"{members}\nORDER BY customer_id")
    ids = (row[0] for row in athena.stored_rows(desk.deployment, answer))
    written = 0
    with _opened(output) as file, Progress(console=_progress, transient=True) as progress:
        task = progress.add_task("書き出し", total=None)
        for number, line in enumerate(export_lines(desk, ids, with_contact=with_contact)):
            file.write(line)
            written = max(0, number - 1)
            progress.update(task, completed=written)
    _progress.print(f"{segment.title}：{written:,} 人を書き出しました（{asking.as_of} 時点）")


def export_lines(desk: Desk, ids: Iterator[str], *, with_contact: bool) -> Iterator[str]:
    """The lines of the file; people are read a few hundred at a time."""
    if not with_contact:
        yield from csv_lines(["顧客ID"], ([each] for each in ids))
        return
    customers = CustomerStore(desk.deployment.outputs["CustomersTable"], desk.deployment.client("dynamodb"))
    yield from csv_lines(["顧客ID", "姓", "名", "メールアドレス"], _contacts(desk.shop, customers, ids))


def _contacts(shop: Shop, customers: CustomerStore, ids: Iterator[str]) -> Iterator[list[str]]:
    def contact(customer_id: str) -> list[str]:
        found = customers.profile(shop.tenant, CustomerId(customer_id))
        known: list[Any] = (
            [found.last_name, found.first_name, found.email] if found and not found.erased else [None] * 3
        )
        return [customer_id, *(value or "" for value in known)]

    with ThreadPoolExecutor(READERS_AT_ONCE) as readers:
        while batch := [each for _, each in zip(range(500), ids, strict=False)]:
            yield from readers.map(contact, batch)


@contextmanager
def _opened(output: Path | None) -> Iterator[TextIO]:
    if output is None:
        yield sys.stdout
        return
    # It may hold names and addresses: for the owner's eyes only.
    descriptor = os.open(output, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600)
    with os.fdopen(descriptor, "w", encoding="utf-8", newline="") as file:
        yield file
