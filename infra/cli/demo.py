"""`matakite demo`: the whole loop on this machine, from the cart's webhook to the delivered mail."""

from __future__ import annotations

import signal
import tempfile
import time
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import timedelta
from itertools import count
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from infra.cli.analysis import follow_night
from infra.cli.session import Deployment
from infra.demo import acts, cdnow, story, table, verify
from infra.demo.stage import Stage, import_history, set_up, today
from infra.local import lifecycle
from infra.local.lifecycle import LocalCloud
from infra.local.process import set_wait_scale
from shared.analytics.reports import ReportStore
from shared.core.clock import SystemClock, shop_day
from shared.core.ids import ScenarioId
from shared.measurement.funnel import funnel
from shared.scenarios.store import DynamoEnrolmentStore

app = typer.Typer(name="demo", help="Deploy, import, score and play a shop's day / デモ")
_console = Console(highlight=False)


@app.command()
def demo(
    keep_running: Annotated[
        bool, typer.Option("--keep-running", help="Leave the local cloud and its pages open until Ctrl-C.")
    ] = False,
    shoppers: Annotated[int, typer.Option(min=20, help="Visitors of the day.")] = 240,
    customers: Annotated[int | None, typer.Option(min=1, help="Import only the first ones of CDNOW.")] = None,
    lead: Annotated[int, typer.Option(min=10, help="Seconds until the day's carts become due.")] = 30,
) -> None:
    """Deploy into the local cloud, import CDNOW, score it, play a day, and check what came of it."""
    began = time.monotonic()
    lifecycle.down()
    try:
        ok = _play(shoppers, customers, timedelta(seconds=lead), page=keep_running)
        _console.print(f"took {time.monotonic() - began:.0f} s")
        if keep_running:
            _stay_open()
    finally:
        lifecycle.down()
    if not ok:
        raise typer.Exit(1)


def _play(shoppers: int, customers: int | None, lead: timedelta, *, page: bool) -> bool:
    with _progress() as progress:
        with _phase(progress, "deploy into the local cloud / デプロイ"):
            cloud = lifecycle.up(wait_scale=acts.WAIT_SCALE, page=page)
            deployment = Deployment(cloud.session, cloud.emulator.endpoint)
            stage = set_up(deployment)
        orders = _history(progress, stage, customers)
        day = story.play(SystemClock().now(), shoppers=shoppers, lead=lead, customers=customers or cdnow.CUSTOMERS)
        webhooks, surprises = _day(progress, stage, cloud, day)
    findings = verify.examine(stage, cloud.emulator, day, surprises, due(stage))
    reports = ReportStore(deployment.outputs["ReportsTable"], deployment.client("dynamodb"))
    latest = {name: reports.latest(stage.shop.tenant, name)[0][1]["rows"] for name in ("rfm_matrix", "status_counts")}
    table.show(
        _console,
        webhooks=webhooks,
        orders=orders,
        rfm_rows=latest["rfm_matrix"],
        status_rows=latest["status_counts"],
        findings=findings,
    )
    return not findings.contradictions


def _history(progress: Progress, stage: Stage, customers: int | None) -> int:
    with (
        _phase(progress, "import CDNOW's history / 受注履歴の取り込み") as advance,
        tempfile.TemporaryDirectory() as folder,
    ):
        file = Path(folder) / "orders.csv"
        return import_history(stage, file, customers, lambda _, done, total: advance(done, total)).events


def _day(progress: Progress, stage: Stage, cloud: LocalCloud, day: story.Day) -> tuple[Counter[str], list[str]]:
    with _phase(progress, "a shop's day: webhooks / カートのイベント") as advance:
        done = count(1)
        first = acts.morning(stage, cloud.emulator, day, lambda: advance(next(done), len(day.morning)))
    # While the carts grow old.
    with _phase(progress, "nightly scoring in Athena / 夜間集計"):
        follow_night(stage.deployment, stage.shop, cdnow.yesterday(today(stage.shop)))
    with _phase(progress, "carts become due, first mails leave / 1通目"):
        due_at = max(shopper.touched_at for shopper in day.shoppers) + story.TOUCHED_BEFORE_DUE
        acts.first_mails(stage, cloud.emulator, due_at)
    with _phase(progress, "some order, some unsubscribe / 注文・配信停止"):
        second = acts.evening(stage, cloud.emulator, day)
    with _phase(progress, "days pass, second and third mails / 2・3通目"):
        set_wait_scale(cloud.emulator, acts.HURRY)
        acts.all_mails(cloud.emulator)
    return first.answers + second.answers, [*first.surprises, *second.surprises]


def due(stage: Stage) -> int:
    """How many people the sends of the scenario had in hand, as the batches counted them before deciding."""
    store = DynamoEnrolmentStore(stage.deployment.outputs["ScenariosTable"], stage.deployment.client("dynamodb"))
    on = shop_day(SystemClock().now(), stage.shop.timezone)
    week = timedelta(days=7)
    rows = store.funnel(stage.shop.tenant, ScenarioId(acts.SCENARIO), on - week, on + week)
    return funnel(acts.SCENARIO, (), rows).total.due


class _Seconds(ProgressColumn):
    """How long a phase took: also what it did when its bar was full."""

    def render(self, task: Task) -> Text:
        """Of a phase that is over, until it was."""
        return Text(f"{task.elapsed or 0:.0f} s", style="progress.elapsed")


def _progress() -> Progress:
    columns = (TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Seconds())
    return Progress(*columns, console=_console, disable=not _console.is_terminal)


@contextmanager
def _phase(progress: Progress, what: str) -> Iterator[Callable[[int, int], None]]:
    """A line that is busy until somebody says how much of how many is done, and full when the phase is over.

    In a file or a pipe, where bars cannot move, two plain lines: when it begins and when it is over.
    """
    task = progress.add_task(what, total=None)
    if progress.disable:
        _console.print(f"{what} …")
    yield lambda done, total: progress.update(task, completed=done, total=total)
    total = progress.tasks[task].total or 1
    progress.update(task, completed=total, total=total)
    progress.stop_task(task)
    if progress.disable:
        done = f"{total:,.0f} done, " if total > 1 else ""
        _console.print(f"  {done}{progress.tasks[task].elapsed or 0:.0f} s")


def _stay_open() -> None:
    page = lifecycle.current().page_url
    _console.print(f"\ndashboard {page}/dashboard\nmails     {page}/outbox\nleft open; Ctrl-C ends it")
    try:
        signal.pause()
    except KeyboardInterrupt:
        _console.print("closing")
