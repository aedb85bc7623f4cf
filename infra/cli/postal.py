"""`matakite postal`: letters that wait for the printer (郵送DM): CSV, print-ready PDF, and who cannot be reached."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from infra.cli.postcards import postcards
from infra.cli.tray import Desk, check_encoding, listed, new_batch, open_tray, write
from infra.cli.which_shop import OfShop
from shared.delivery.channels.postal import KIND, UNDELIVERABLE
from shared.delivery.printing import LETTER_COLUMNS, RETURNED_COLUMNS, csv_of

app = typer.Typer(name="postal", help="Letters to be printed / 郵送DM", no_args_is_help=True)
_console = Console(soft_wrap=True, highlight=False)


@app.command("list")
def list_(shop: OfShop = None) -> None:
    """What waits to be printed, and who cannot be reached and why; no addresses are shown."""
    desk = open_tray(shop)
    headings = LETTER_COLUMNS | RETURNED_COLUMNS
    waiting = ("code", "customer_id", "scenario", "prefecture", "note")
    _console.print(listed(desk.documents(KIND, None), waiting, headings))
    if returned := desk.documents(UNDELIVERABLE, None):
        _console.print(listed(returned, ("customer_id", "scenario", "reason"), headings))


@app.command()
def export(
    out: Annotated[Path, typer.Option("--out", help="Folder for the files.")],
    encoding: Annotated[str, typer.Option("--encoding", help="utf-8 (with BOM) or cp932.")] = "utf-8",
    again: Annotated[str | None, typer.Option("--again", help="A batch that was exported before.")] = None,
    font: Annotated[Path | None, typer.Option("--font", help="TrueType font to embed; else IPAexゴシック.")] = None,
    shop: OfShop = None,
) -> None:
    """Write letters-….csv for the printer, postcards-….pdf to print, and undeliverable-….csv."""
    desk, batch = open_tray(shop), again or new_batch()
    if not export_to(desk, batch, out, check_encoding(encoding), again=again, font=font):
        _console.print("新しい郵送DMはありません。")


def export_to(
    desk: Desk, batch: str, out: Path, encoding: str, *, again: str | None = None, font: Path | None = None
) -> list[Path]:
    """The files; marked as fetched only when all are written."""
    letters = desk.documents(KIND, again)
    returned = [] if again else desk.documents(UNDELIVERABLE, None)
    files = []
    if letters:
        files.append(write(out, f"letters-{batch}.csv", csv_of(letters, LETTER_COLUMNS, encoding)))
        files.append(write(out, f"postcards-{batch}.pdf", postcards(letters, font)))
    if returned:
        files.append(write(out, f"undeliverable-{batch}.csv", csv_of(returned, RETURNED_COLUMNS, "utf-8")))
    if letters and not again:
        desk.fetched(KIND, batch, letters)
    if returned:
        desk.fetched(UNDELIVERABLE, batch, returned)
    for path in files:
        _console.print(str(path))
    if files:
        _console.print(f"{len(letters):,} 通、送れない宛先 {len(returned):,} 件（もう一度作るには --again {batch}）")
    return files
