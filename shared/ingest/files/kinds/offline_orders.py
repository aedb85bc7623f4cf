"""実店舗・電話の売上 (POS): orders of a shop or by telephone, matched by member number, telephone or e-mail.

Member numbers are those of (source, store), so name the cart whose members these are. An order's id begins with `pos/`
and the branch, so a slip number never meets the cart's. A sale without any buyer is refused: it is nobody's history.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import replace

from shared.core.clock import to_iso
from shared.ingest.body import key_part
from shared.ingest.files import build, cells, lines, people, sales
from shared.ingest.files.model import Column, Context, Kind, Refused, Row
from shared.ingest.model import Event, EventType

_NUMBER = Column(
    "number",
    "伝票番号",
    ("取引id", "レシート番号", "取引番号", "売上番号", "売上id", "伝票no", "注文番号", "order_id", "transactionid"),
)
_BRANCH = Column("branch", "店舗名", ("店舗", "店名", "販売店", "店舗コード", "location", "ロケーション", "店舗id"))
_TRANSACTION_KIND = Column("transaction_kind", "取引区分")
_DISPOSAL = Column("disposal", "打消区分")
_NO_SALE = re.compile(r"[2-9]|1\d|入金|出金|預かり金|ポイント|マイル|チップ|領収|返品|返金|取消")
"""スマレジ keeps deposits, points, tips and receipts among the sales; 1 is a sale."""


def _key(row: Row) -> str:
    number = cells.identifier(row, "number", "伝票番号")
    branch = cells.code(row, "branch", "店舗名")
    if not branch:
        raise Refused(
            "店舗名が空です（1店舗だけなら --value branch=店舗名）",
            "branch is empty: name the shop, or --value branch=…",
        )
    return f"pos/{branch}/{number}"


def _voided(row: Row) -> bool:
    """Whether the sale was taken back later. Raises Refused for what is no sale: スマレジ writes taking back as one."""
    kind, disposal = cells.nfkc(row.get("transaction_kind")), cells.nfkc(row.get("disposal"))
    if _NO_SALE.match(kind):
        raise Refused(
            f"販売ではありません（取引区分 {kind}）。この列が別の意味なら --mapping '取引区分=' で外してください",
            "no sale by its 取引区分; --mapping '取引区分=' leaves the column out",
        )
    if disposal.startswith("2") or disposal == "打消レコード":
        raise Refused(
            "打消の記録です。打ち消された取引のほうを取り消しとして数えます（その日も含めて書き出してください）",
            "the record that takes a sale back: the sale itself is read as cancelled",
        )
    return disposal.startswith("1") or disposal == "打消元レコード"


def _events(rows: Sequence[Row], context: Context) -> Iterator[Event]:
    key, voided = _key(rows[0]), _voided(rows[0])
    read = sales.sale(key, cells.nfkc(rows[0].get("number")), rows, context, offline=True)
    if not (read.person.source_customer_id or read.person.email or read.person.phone):
        raise Refused(
            "会員番号・電話番号・メールアドレスがすべて空です（誰の購入か分からないため）",
            "member number, phone and email are all empty: nobody is named",
        )
    facts = replace(read.facts, branch=cells.nfkc(rows[0].get("branch")))
    if voided:
        facts = replace(facts, paid=False, cancelled_at=facts.cancelled_at or facts.ordered_at)
    yield build.thing_event(
        EventType.ORDER_PLACED,
        f"order/{key_part(key)}",
        facts,
        read.person,
        context,
        at=read.facts.ordered_at,
        version=to_iso(read.updated_at or read.facts.ordered_at),
    )


KIND = Kind(
    name="offline_orders",
    title="店舗売上",
    columns=(
        _NUMBER,
        _BRANCH,
        _TRANSACTION_KIND,
        _DISPOSAL,
        sales.ORDERED_AT,
        sales.ORDERED_TIME,
        sales.AMOUNT,
        *sales.MONEY,
        *lines.COLUMNS,
        *people.COLUMNS,
    ),
    needs=(("number",), ("branch",), ("ordered_at",), ("amount", "unit_price", "line_total"), people.NEEDED),
    events=_events,
    key=_key,
    aliases=("offline", "pos", "実店舗"),
)
