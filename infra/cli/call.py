"""`matakite call`: tasks for the call centre that wait to be fetched as a file (架電リスト)."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from infra.cli.tray import check_encoding, listed, new_batch, open_tray, write
from infra.cli.which_shop import OfShop
from shared.delivery.channels.call import KIND
from shared.delivery.printing import CALL_COLUMNS, csv_of

app = typer.Typer(name="call", help="Tasks for the call centre / 架電タスク", no_args_is_help=True)
_console = Console(soft_wrap=True, highlight=False)


@app.command("list")
def list_(shop: OfShop = None) -> None:
    """What waits to be called, without telephone numbers."""
    fields = ("task_id", "customer_id", "reason", "deadline", "scenario")
    _console.print(listed(open_tray(shop).documents(KIND, None), fields, CALL_COLUMNS))


@app.command()
def export(
    out: Annotated[Path, typer.Option("--out", help="Folder for the file.")],
    encoding: Annotated[str, typer.Option("--encoding", help="utf-8 (with BOM) or cp932.")] = "utf-8",
    again: Annotated[str | None, typer.Option("--again", help="A batch that was exported before.")] = None,
    shop: OfShop = None,
) -> None:
    """Write the tasks as CSV. Results come back with `matakite import calls`, by customer."""
    desk, batch = open_tray(shop), again or new_batch()
    tasks = desk.documents(KIND, again)
    if not tasks:
        _console.print("新しい架電タスクはありません。")
        return
    path = write(out, f"calls-{batch}.csv", csv_of(tasks, CALL_COLUMNS, check_encoding(encoding)))
    desk.fetched(KIND, batch, tasks)
    _console.print(f"{path}: {len(tasks):,} 件（もう一度作るには --again {batch}）")
