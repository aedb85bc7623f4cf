"""The demo's last words: what came in, who is known, what was sent, who was held back and why."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any

from rich.console import Console, Group
from rich.panel import Panel
from rich.table import Table

from infra.demo.verify import Findings
from shared.admin.labels import REASONS, STATUSES
from shared.customers.model import Status
from shared.delivery.model import Reason

Rows = list[dict[str, Any]]


def numbers(title: str, rows: Mapping[str, int], total: str | None = None) -> Table:
    """A table of counts, with their sum when asked."""
    table = Table(title=title, title_justify="left", box=None, show_header=False, pad_edge=False)
    table.add_column(min_width=34)
    table.add_column(justify="right", min_width=9)
    for name, count in rows.items():
        table.add_row(name, f"{count:,}")
    if total is not None:
        table.add_row(f"[bold]{total}[/]", f"[bold]{sum(rows.values()):,}[/]")
    return table


def rfm(rows: Rows) -> Table:
    """Customers by recency (rows) and frequency (columns), best first."""
    table = Table(title="RFM（人数：R 最終購買 × F 購入回数）", title_justify="left", box=None, pad_edge=False)
    table.add_column("")
    for name in ("F6", "F5", "F4", "F3", "F2", "F1"):
        table.add_column(name, justify="right", min_width=6)
    cells = {(row["r"], row["f"]): row["customers"] for row in rows}
    for r in range(6, 0, -1):
        table.add_row(f"R{r}", *(f"{cells.get((r, f), 0):,}" for f in range(6, 0, -1)))
    return table


def statuses(rows: Rows) -> Table:
    """Customers by status."""
    found = {row["status"]: row["customers"] for row in rows}
    named = {STATUSES[status].ja: found.get(status.value, 0) for status in Status}
    return numbers("顧客ステータス", named, "購入者")


def held_back(findings: Findings) -> Table:
    """Everyone due: sent, or the reason why not."""
    rows = {"送信 sent": findings.sent}
    rows |= {f"見送り：{_reason(reason)}": count for reason, count in findings.held.items()}
    rows |= {"確認中 unknown": findings.unknown} if findings.unknown else {}
    return numbers("配信判定（対象 = 送信 + 見送り）", rows, f"対象 due {findings.due:,} ＝")


def _reason(word: str) -> str:
    return f"{REASONS[Reason(word)].ja} {word}" if word in set(Reason) else word


def show(
    console: Console, *, webhooks: Counter[str], orders: int, rfm_rows: Rows, status_rows: Rows, findings: Findings
) -> None:
    """Print it all, and the verdict."""
    counted = {word: webhooks[word] for word in ("accepted", "duplicate", "refused")}
    customers = sum(row["customers"] for row in rfm_rows)
    known = {"注文履歴 orders imported": orders, "購入者 customers": customers}
    tables = [
        numbers("Webhook", counted, "posted"),
        numbers("取り込み", known),
        rfm(rfm_rows),
        statuses(status_rows),
        held_back(findings),
    ]
    spaced: list[Any] = []
    for table in tables:
        spaced += [table, ""]
    console.print(Group(*spaced))
    console.print(_verdict(findings))


def _verdict(findings: Findings) -> Panel:
    if findings.contradictions:
        lines = "\n".join(f"✗ {line}" for line in findings.contradictions[:12])
        return Panel(lines, title="something is wrong", border_style="red")
    return Panel(
        f"✓ {findings.mails:,} mails left, each once, each with its record\n"
        "✓ nobody who ordered, refused, never agreed, bounced or complained was mailed after that\n"
        f"✓ due {findings.due:,} = sent {findings.sent:,} + held back {sum(findings.held.values()):,}"
        + (f" + unknown {findings.unknown:,}" if findings.unknown else ""),
        title="checked against the outbox, the ledger and the funnel",
        border_style="green",
    )
