"""同意記録: who agreed to what, when, how and on what legal basis, as a table for whoever asks for proof.

特定電子メール法 wants the record of consent kept while mail goes out, 特定商取引法 for three years after the last one.
The ledger is append-only and survives an erasure: it names people by our own id and addresses by their keyed digest.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from shared.core.clock import to_iso
from shared.core.ids import CustomerId
from shared.core.spreadsheet import csv_lines
from shared.customers.model import ConsentEntry

COLUMNS = (
    "顧客ID",
    "宛先（ダイジェスト）",
    "日時",
    "チャネル",
    "店舗",
    "区分",
    "許諾",
    "方法",
    "法的根拠",
    "操作者",
    "フォームと版",
    "同意文言（ダイジェスト）",
    "同意文言",
    "取込ファイル（ダイジェスト）",
    "IPアドレス（ダイジェスト）",
    "イベントID",
)
_BASES = {
    "explicit": "本人の同意",
    "business_relation": "取引関係",
    "written_notice": "書面による通知",
    "published_address": "公表されたアドレス",
}
_IMPORT = "import:"


@dataclass(frozen=True, slots=True)
class Proof:
    """One line of the ledger, and whose it is."""

    customer_id: CustomerId
    entry: ConsentEntry


def proofs(ledger: Iterable[tuple[CustomerId, ConsentEntry]], channel: str | None = None) -> list[Proof]:
    """The lines in the order they were said, whatever order they were read in."""
    found = (Proof(customer_id, entry) for customer_id, entry in ledger if channel in {None, entry.channel})
    return sorted(found, key=lambda proof: (proof.entry.at, proof.entry.event_id, proof.customer_id, repr(proof.entry)))


def evidence_csv(found: Sequence[Proof]) -> str:
    """The evidence as CSV: UTF-8 with BOM, CRLF, no cell that a spreadsheet would run."""
    return "".join(csv_lines(COLUMNS, map(cells, found)))


def cells(proof: Proof) -> tuple[str, ...]:
    """One row of the table, column by column."""
    entry = proof.entry
    return (
        proof.customer_id,
        entry.address.partition(":")[2],
        to_iso(entry.at),
        entry.channel,
        "全店舗" if entry.store == "*" else entry.store,
        action(entry),
        "許諾" if entry.granted else "拒否",
        entry.method,
        _BASES.get(entry.basis, entry.basis),
        actor(entry),
        entry.form,
        entry.wording,
        entry.wording_text,
        file_digest(entry),
        entry.network,
        entry.event_id,
    )


def action(entry: ConsentEntry) -> str:
    """What happened: `opt_in`, `opt_out`, `import` or `complaint`."""
    if entry.method == "complaint":
        return "complaint"
    if file_digest(entry):
        return "import"
    return "opt_in" if entry.granted else "opt_out"


def actor(entry: ConsentEntry) -> str:
    """Who said it: a file and a clerk can never take back what the customer refused."""
    if entry.by_customer:
        return "本人"
    return "取込" if file_digest(entry) else "店舗"


def file_digest(entry: ConsentEntry) -> str:
    """Digest of the file a line was imported from; empty for what was said elsewhere."""
    return entry.method.removeprefix(_IMPORT) if entry.method.startswith(_IMPORT) else ""
