"""Orders from rows: what online and shop sales share. One row per order, or one per line; never half an order."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime

from shared.ingest.files import cells, lines, people
from shared.ingest.files.model import Column, Context, Refused, Row
from shared.ingest.model import Line, OrderFacts, Person

ORDERED_AT = Column(
    "ordered_at",
    "注文日時",
    (
        "注文日",
        "受注日時",
        "受注日",
        "ご注文日",
        "購入日時",
        "購入日",
        "売上日時",
        "売上日",
        "取引日時",
        "販売日時",
        "日時",
        "createdat",
        "orderdate",
        "date",
        "日付",
    ),
)
ORDERED_TIME = Column(
    "ordered_time", "注文時刻", ("注文時間", "受注時間", "受注時刻", "取引時刻", "売上時刻", "時刻", "time")
)
AMOUNT = Column(
    "amount",
    "支払合計",
    (
        "お支払い合計",
        "お支払合計",
        "支払い合計",
        "請求金額",
        "請求合計",
        "合計金額",
        "総合計",
        "総合計金額",
        "注文合計",
        "注文金額",
        "受注金額",
        "購入金額",
        "売上金額",
        "取引金額",
        "合計",
        "金額",
        "total",
        "請求合計金額",
        "合計請求金額",
        "totalcollected",
    ),
)
MONEY = (
    Column("currency", "通貨", ("通貨コード",)),
    Column(
        "goods_total",
        "小計",
        ("商品合計", "商品代金", "商品小計", "subtotal", "商品合計金額", "商品の合計金額", "商品の合計金額(税込)"),
    ),
    Column(
        "discount",
        "値引き",
        (
            "割引",
            "値引額",
            "割引額",
            "クーポン割引",
            "discountamount",
            "クーポン値引",
            "割引金額",
            "クーポン利用総額",
            "割引合計金額(商品)",
            "小計値引き",
        ),
    ),
    Column("points_used", "使用ポイント", ("利用ポイント", "ポイント利用", "ポイント値引", "ポイント利用額")),
    Column("line_total", "明細金額", ("明細合計", "購入商品小計")),
    Column("shipping", "送料", ("送料合計", "配送料", "shipping")),
    Column("fee", "手数料", ("代引き手数料", "代引手数料", "決済手数料", "代引料合計")),
    Column("adjustment", "調整金額", ("調整額",)),
    Column("refunded", "返金額", ("返金合計", "合計返金額", "返金金額", "refundedamount")),
    Column("coupon", "クーポンコード", ("クーポン", "discountcode")),
    Column(
        "media", "広告媒体", ("媒体", "流入元", "広告コード", "広告媒体名", "広告url", "流入経路", "広告urlグループ名")
    ),
    Column("cancelled", "キャンセル", ("取消", "取り消し", "キャンセルフラグ", "canceled", "cancelledat", "取消区分")),
    Column(
        "status",
        "ステータス",
        (
            "対応状況",
            "対応状況(名称)",
            "注文ステータス",
            "受注ステータス",
            "注文状態",
            "状態",
            "処理状況",
            "発送状況",
            "発送状態",
            "financialstatus",
        ),
    ),
    Column("updated_at", "更新日時", ("更新日", "最終更新日", "最終更新日時")),
)
_CANCELLED = frozenset({"キャンセル", "キャンセル済", "取消", "取消済", "cancelled", "canceled"})
_CANCELLED_STATES = frozenset(
    {
        "キャンセル確定待ち",
        "返送",
        "返品",
        "返品済",
        "返品済み",
        "800",
        "900",
        "cancelled",
        "voided",
    }
)
"""800 and 900 are 楽天RMS's キャンセル確定待ち and キャンセル確定, `voided` is Shopify's, 返送 is MakeShop's."""
_CANCELLED_WORDS = re.compile(r"(?!.*(?:一部|待ち|依頼|申請|不可)).*(?:キャンセル|取消|取り消し).*")
"""A shop's own word for it; a part, or a wish, is not yet the order's end."""
_NOT_YET = frozenset({"購入処理中", "決済処理中", "カート", "仮注文", "仮受注"})
_ADDED = (("shipping", "送料"), ("fee", "手数料"))
_AGREED = (
    ("ordered_at", "注文日時", "ordered_at"),
    ("who", "顧客", "customer"),
    ("currency", "通貨", "currency"),
)


@dataclass(frozen=True, slots=True)
class _Said:
    """What one row says about its order as a whole."""

    ordered_at: datetime | None
    total: int | None
    currency: str
    person: Person
    cancelled_at: datetime | None
    cancelled: bool
    updated_at: datetime | None
    goods_total: int | None
    discount: int
    added: int
    """送料・手数料"""
    adjusted: int
    """調整金額 less points."""
    lines_total: int | None
    """明細金額 of the lines so far that were not taken back."""
    refunded: int
    coupon: str
    media: str

    @property
    def who(self) -> tuple[str | None, ...] | None:
        said = self.person.source_customer_id, self.person.email
        return said if any(said) else None


@dataclass(frozen=True, slots=True)
class Sale:
    """An order read from its rows."""

    facts: OrderFacts
    person: Person
    updated_at: datetime | None


def sale(order_id: str, number: str, rows: Sequence[Row], context: Context, *, offline: bool = False) -> Sale:
    """The order of these rows. Raises Refused, which refuses all of them."""
    order: _Said | None = None
    found: list[Line] = []
    for row in rows:
        try:
            said = _said(row, context)
            order = _agreed(order, said) if order else said
            if said.lines_total is not None and said.cancelled:
                continue
            found.extend(lines.lines_of(row, order.currency))
        except Refused as error:
            raise _of_line(error, row.line) from None
    assert order is not None  # noqa: S101 - a group has at least one row
    return Sale(_facts(order_id, number, order, found, offline=offline), order.person, order.updated_at)


def _of_line(error: Refused, line: int) -> Refused:
    error.line = line
    return error


def _said(row: Row, context: Context) -> _Said:
    code = cells.currency(row, context.options.currency)
    status = cells.nfkc(row.get("status")).lower()
    if status in _NOT_YET:
        raise Refused(
            f"まだ注文になっていません（{status}）。受注として数えません", "not an order yet by its own status"
        )
    cancelled_at, cancelled = _cancelled(row, context)
    cancelled = cancelled or status in _CANCELLED_STATES or _CANCELLED_WORDS.fullmatch(status) is not None
    line_total = cells.amount(row, "line_total", "明細金額", code)
    return _Said(
        ordered_at=_ordered_at(row, context),
        total=cells.amount(row, "amount", "金額", code),
        currency=code,
        person=people.anybody(row),
        cancelled_at=cancelled_at,
        cancelled=cancelled,
        updated_at=cells.time(row, "updated_at", "更新日時", context),
        goods_total=cells.amount(row, "goods_total", "小計", code),
        discount=cells.amount(row, "discount", "値引き", code, signed=True) or 0,
        added=sum(cells.amount(row, name, japanese, code) or 0 for name, japanese in _ADDED),
        adjusted=_adjusted(row, code),
        lines_total=0 if cancelled and line_total is not None else line_total,
        refunded=cells.amount(row, "refunded", "返金額", code, signed=True) or 0,
        coupon=cells.nfkc(row.get("coupon"))[:100],
        media=row.get("media")[:200],
    )


def _ordered_at(row: Row, context: Context) -> datetime | None:
    at = cells.time(row, "ordered_at", "注文日時", context)
    return at and cells.time_of_day(at, row, "ordered_time", "注文時刻", context)


def _adjusted(row: Row, code: str) -> int:
    points = cells.amount(row, "points_used", "使用ポイント", code, signed=True) or 0
    return (cells.balance(row, "adjustment", "調整金額", code) or 0) - points


def _cancelled(row: Row, context: Context) -> tuple[datetime | None, bool]:
    """A flag, or the time it was cancelled."""
    cell = cells.nfkc(row.get("cancelled"))
    if len(cell) >= len("20260101") and cell[:4].isdecimal():
        return cells.time(row, "cancelled", "キャンセル", context), True
    return None, bool(cells.flag(row, "cancelled", "キャンセル", _CANCELLED))


def _agreed(first: _Said, other: _Said) -> _Said:
    """The order with what a further line adds; a line may leave anything empty, but not contradict."""
    if None not in (other.total, first.total) and other.total != first.total:
        raise Refused(
            "同じ注文の中で金額（注文合計）が違います", "amount differs within the order (it is the order's total)"
        )
    for name, japanese, english in _AGREED:
        one, two = getattr(first, name), getattr(other, name)
        if one is not None and two is not None and one != two:
            raise Refused(f"同じ注文の中で{japanese}が違います", f"{english} differs within the order")
    return replace(
        first,
        ordered_at=first.ordered_at or other.ordered_at,
        total=other.total if first.total is None else first.total,
        person=first.person if first.who else other.person,
        cancelled=_both_cancelled(first, other),
        cancelled_at=first.cancelled_at or other.cancelled_at,
        updated_at=first.updated_at or other.updated_at,
        # 小計 that differs from line to line is the line's, not the order's.
        goods_total=None if other.goods_total not in (None, first.goods_total) else first.goods_total,
        added=first.added or other.added,
        adjusted=first.adjusted or other.adjusted,
        lines_total=None if first.lines_total is None else first.lines_total + (other.lines_total or 0),
        refunded=max(first.refunded, other.refunded),
    )


def _both_cancelled(first: _Said, other: _Said) -> bool:
    """Where each line has its own amount, one that was taken back leaves the others standing (BASE)."""
    said = (first.cancelled, other.cancelled)
    return any(said) if first.lines_total is None else all(said)


def _total(order: _Said, found: Sequence[Line], *, offline: bool) -> int:
    """What the order is worth. A refund without an id of its own lowers it: the cart may tell of the same one later."""
    total = order.total
    if total is None and order.lines_total is not None:
        total = order.lines_total + order.added + order.adjusted - order.discount
    if total is None and offline and found:
        total = sum(line.quantity * line.unit_amount for line in found) - order.discount
    if total is None:
        raise Refused("金額が空です", "amount is empty")
    return max(0, total - order.refunded)


def _goods_total(order: _Said, total: int) -> int | None:
    """商品代金 after discounts: some carts write 小計 before them, and never more than what is left of the total."""
    said = order.lines_total if order.goods_total is None else order.goods_total
    return None if said is None else max(0, min(said, total - order.added))


def _facts(order_id: str, number: str, order: _Said, found: Sequence[Line], *, offline: bool) -> OrderFacts:
    if order.ordered_at is None:
        raise Refused("注文日時は 2026-01-31 のように書いてください", "ordered_at is no date such as 2026-01-31")
    total = _total(order, found, offline=offline)
    return OrderFacts(
        order_id=order_id,
        number=number,
        ordered_at=order.ordered_at,
        currency=order.currency,
        total=total,
        paid=not order.cancelled,
        # When it was cancelled, most files do not say.
        cancelled_at=(order.cancelled_at or order.ordered_at) if order.cancelled else None,
        lines=lines.priced(found, total),
        goods_total=_goods_total(order, total),
        discount=order.discount,
        coupons=(order.coupon,) if order.coupon else (),
        media=order.media or None,
        offline=offline,
    )
