"""What a file amounts to, in words a shop owner understands, and the refused rows as a file that Excel opens."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterator, Sequence
from typing import Any

from shared.core.money import format_amount
from shared.core.spreadsheet import safe_cell
from shared.ingest.files.headings import plain
from shared.ingest.files.model import BadRow
from shared.ingest.files.reading import Reading

SHOWN_REASONS = SHOWN_BAD_ROWS = 20
SHOWN_LINES = 5
_ELSEWHERE = (
    (
        re.compile(r"メルマガ|メール(?:マガジン|受信|配信|受取)|accepts\w*marketing"),
        "consents",
        "配信の許諾（同意した日と根拠が要ります）",
    ),
    (re.compile(r"ポイント残高|保有ポイント|^ポイント$|会員ランク"), "points", "ポイント・会員ランク"),
)
"""Headings that belong to another kind of file, which one, and what it takes."""
_ENCODINGS = {"utf-8-sig": "UTF-8", "cp932": "Shift_JIS (CP932)", "utf-16": "UTF-16", "euc_jp": "EUC-JP"}


def lines(reading: Reading) -> Iterator[str]:
    """The report, one line after another."""
    figures, kind = reading.figures, reading.kind
    encoding = _ENCODINGS.get(reading.encoding, reading.encoding)
    bad = f"{len(reading.bad):,}"
    yield (
        f"{figures.rows:,} 行（{encoding}）: {kind.title} {figures.events:,} 件、取り込めない行 {bad} "
        f"/ {figures.rows:,} rows: {figures.events:,} {kind.name}, {bad} rows refused"
    )
    if reading.layout.export:
        yield f"  {reading.layout.export}として読みます"
    if figures.first_on:
        yield f"  期間 {figures.first_on} 〜 {figures.last_on}"
    for currency, total in sorted(figures.amounts.items()):
        yield f"  合計 {format_amount(total, currency)}"
    if figures.words:
        yield "  内訳 " + "、".join(f"{word} {count:,}" for word, count in figures.words.most_common())
    yield "  読む列 " + "、".join(_used(reading))
    if reading.layout.unused:
        yield "  使わない列 " + "、".join(reading.layout.unused)
        yield from _hints(reading)
    yield from _refused(reading.bad)


def _refused(rows: Sequence[BadRow]) -> Iterator[str]:
    """Each reason once, with its rows: what costs most of them first."""
    refused: dict[str, list[int]] = {}
    for row in sorted(rows, key=lambda row: row.line):
        refused.setdefault(row.reason, []).append(row.line)
    said = sorted(refused.items(), key=lambda item: -len(item[1]))
    yield from (f"  {_which(found)}: {reason}" for reason, found in said[:SHOWN_REASONS])
    if left := sum(len(found) for _, found in said[SHOWN_REASONS:]):
        yield f"  … ほか {left:,} 行 / and more"


def _which(found: Sequence[int]) -> str:
    """`4 行目`, `3 行（4・5・9 行目）`, `1,203 行（4・5・6・7・8 行目ほか）`."""
    first = "・".join(str(line) for line in found[:SHOWN_LINES]) + " 行目"
    more = "ほか" if len(found) > SHOWN_LINES else ""
    return f"{len(found):,} 行（{first}{more}）" if len(found) > 1 else first


def _used(reading: Reading) -> Iterator[str]:
    """heading → what it is read as, in the file's order."""
    for name, index in sorted(reading.layout.indexes.items(), key=lambda item: item[1]):
        column = reading.kind.column(name)
        heading = reading.heading[index].strip()
        title = column.title if column else name
        yield heading if heading == title else f"{heading}→{title}"
    for name, value in sorted(reading.layout.constants.items()):
        column = reading.kind.column(name)
        yield f"（全行）{column.title if column else name}={value}"


def _hints(reading: Reading) -> Iterator[str]:
    """What to do with columns that another kind of file reads."""
    for words, kind, what in _ELSEWHERE:
        found = [heading for heading in reading.layout.unused if words.search(plain(heading))]
        if found and kind != reading.kind.name:
            yield f"  {'、'.join(found)} は{what}として別に取り込めます: matakite import {kind}"


def document(reading: Reading) -> dict[str, Any]:
    """The report as JSON. Reasons and headings only: no cell of the file is in it."""
    figures = reading.figures
    return {
        "kind": reading.kind.name,
        "encoding": reading.encoding,
        "digest": reading.digest,
        "source": reading.options.source,
        "store": reading.options.store,
        "rows": figures.rows,
        "events": figures.events,
        "refused": len(reading.bad),
        "first_on": figures.first_on.isoformat() if figures.first_on else None,
        "last_on": figures.last_on.isoformat() if figures.last_on else None,
        "amounts": dict(figures.amounts),
        "counts": dict(figures.words),
        "columns": list(_used(reading)),
        "unused_columns": list(reading.layout.unused),
        "refused_rows": [{"line": row.line, "reason": row.reason} for row in reading.bad[:SHOWN_BAD_ROWS]],
    }


def rejected_csv(reading: Reading) -> bytes:
    """The refused rows as a CSV file that Excel opens in Japanese, to correct and import again."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(("行 / line", "理由 / reason", *map(safe_cell, reading.heading)))
    for row in reading.bad:
        writer.writerow((row.line, row.reason, *map(safe_cell, row.cells)))
    return out.getvalue().encode("utf-8-sig")
