"""The product lines (明細) of an order, a sale or a contract, and the columns they are read from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from shared.ingest.files import cells
from shared.ingest.files.model import Column, Row
from shared.ingest.model import Line

COLUMNS = (
    Column(
        "product_id",
        "商品ID",
        (
            "商品コード",
            "商品番号",
            "商品管理番号",
            "品番",
            "型番",
            "sku",
            "lineitemsku",
            "jan",
            "janコード",
            "購入商品(商品コード)",
        ),
    ),
    Column("variant_id", "商品規格ID", ("規格id", "バリエーションid", "variantid", "オプションコード", "種類id")),
    Column("product_title", "商品名", ("商品", "購入商品名", "producttitle", "productname", "lineitemname", "品名")),
    Column(
        "category",
        "カテゴリ",
        ("商品カテゴリ", "商品カテゴリ(名称)", "カテゴリー", "分類", "部門", "部門名", "producttype"),
    ),
    Column("quantity", "数量", ("個数", "点数", "購入数", "購入数量", "販売個数", "lineitemquantity", "qty")),
    Column("unit_price", "単価", ("販売単価", "商品単価", "価格", "販売価格", "商品価格", "price", "lineitemprice")),
    Column("line_type", "明細区分", ("明細区分(名称)", "取引明細区分")),
    Column("line_subscription", "定期購入", ("定期フラグ", "定期商品")),
)
_PRODUCT = frozenset({"", "商品", "1", "product"})
"""EC-CUBE lists shipping, fees and discounts as lines too; they are no products."""
_OPTION = "商品オプション"
"""How BASE names what was added to the product of the row before."""


def line_of(row: Row, currency: str) -> Line | None:
    """The product of a row; None when it names none."""
    product, title = row.get("product_id"), row.get("product_title")
    if not (product or title) or cells.nfkc(row.get("line_type")) not in _PRODUCT:
        return None
    if not product and title.startswith(_OPTION):
        return None
    quantity = cells.whole(row, "quantity", "数量")
    return Line(
        product_id=product or "custom",
        variant_id=row.get("variant_id") or None,
        title=title,
        quantity=1 if quantity is None else quantity,
        unit_amount=cells.amount(row, "unit_price", "単価", currency) or 0,
        category=row.get("category") or None,
        subscription=bool(cells.flag(row, "line_subscription", "定期購入", frozenset({"定期", "定期購入"}))),
    )


def lines_of(row: Row, currency: str) -> Iterator[Line]:
    """The products of an order's row: ecforce writes the codes of all of them into one cell."""
    line = line_of(row, currency)
    if line is None:
        return
    codes = line.product_id.split(",") if not line.title else ()
    if len(codes) > 1:
        yield from (replace(line, product_id=code.strip()) for code in codes if code.strip())
    else:
        yield line


def priced(lines: Sequence[Line], total: int) -> tuple[Line, ...]:
    """A single line without a price is worth the order's total; of several, nobody knows."""
    if len(lines) == 1 and not lines[0].unit_amount and lines[0].quantity:
        return (replace(lines[0], unit_amount=total // lines[0].quantity),)
    return tuple(lines)
