"""商品: title, category, price and stock as the shop sells them today."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from shared.core.clock import to_iso
from shared.ingest.body import key_part
from shared.ingest.files import build, cells
from shared.ingest.files.model import Column, Context, Kind, Refused, Row
from shared.ingest.model import Event, EventType, Person, ProductFacts

_COLUMNS = (
    Column("product_id", "商品ID", ("商品コード", "商品番号", "品番", "型番", "sku", "variantsku", "handle")),
    Column("title", "商品名", ("商品", "品名", "productname")),
    Column(
        "category",
        "カテゴリ",
        ("商品カテゴリ(名称)", "商品カテゴリ", "カテゴリー", "カテゴリ名", "分類", "type", "productcategory"),
    ),
    Column("price", "販売価格", ("価格", "単価", "売価", "通常価格", "variantprice")),
    Column("currency", "通貨"),
    Column("stock", "在庫数", ("在庫", "variantinventoryqty")),
    Column("url", "商品URL", ("商品ページurl", "link")),
    Column("image_url", "画像URL", ("商品画像url", "imagesrc", "メイン画像url")),
    Column("deleted", "削除", ("廃番", "販売終了", "商品削除フラグ")),
    Column(
        "state", "公開ステータス", ("公開ステータス(名称)", "公開状態", "掲載設定", "表示設定", "販売状態", "status")
    ),
    Column("updated_at", "更新日時", ("更新日",)),
)
_HIDDEN = frozenset(
    {"非公開", "廃止", "非掲載", "掲載しない", "非表示", "販売停止", "hidden", "discontinued", "draft", "archived"}
)
"""Not for sale: such a product is not put into a mail."""


def _key(row: Row) -> str:
    return cells.identifier(row, "product_id", "商品ID")


def _events(rows: Sequence[Row], context: Context) -> Iterator[Event]:
    """Several rows of one product are its variants: the lowest price, the stock of all."""
    first, code = rows[0], cells.currency(rows[0], context.options.currency)
    title = next((found for row in rows if (found := row.get("title"))), "")
    if not title:
        raise Refused("商品名が空です", "title is empty")
    prices = [price for row in rows if (price := cells.amount(row, "price", "販売価格", code)) is not None]
    stocks = [stock for row in rows if (stock := cells.whole(row, "stock", "在庫数")) is not None]
    at = cells.time(first, "updated_at", "更新日時", context) or context.as_of
    facts = ProductFacts(
        product_id=_key(first),
        title=title,
        category=_category(first.get("category")),
        price=min(prices) if prices else None,
        currency=code if prices else None,
        stock=sum(stocks) if stocks else None,
        url=_link(first, "url"),
        image_url=_link(first, "image_url"),
        deleted=_is_gone(first),
    )
    yield build.thing_event(
        EventType.PRODUCT_UPDATED,
        f"product/{key_part(facts.product_id)}",
        facts,
        Person(),
        context,
        at=at,
        version=to_iso(at),
    )


def _is_gone(row: Row) -> bool:
    said = cells.flag(row, "deleted", "削除", frozenset({"廃番", "販売終了", "削除"}))
    return bool(said) or cells.nfkc(row.get("state")).lower() in _HIDDEN


def _category(cell: str) -> str | None:
    parts = [part.strip() for part in cell.replace("＞", ">").replace("/", ">").split(">")]
    return " > ".join(part for part in parts if part) or None


def _link(row: Row, name: str) -> str | None:
    cell = row.get(name)
    return cell if cell.startswith(("https://", "http://")) else None


KIND = Kind(
    name="products",
    title="商品",
    columns=_COLUMNS,
    needs=(("product_id",), ("title",)),
    events=_events,
    key=_key,
    aliases=("product",),
)
