"""受注: one row per order, or one per line (明細). A date is noon of the shop's day, so no time zone moves it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from shared.core.clock import to_iso
from shared.ingest.body import key_part
from shared.ingest.files import build, cells, lines, people, sales
from shared.ingest.files.model import Column, Context, Kind, Refused, Row
from shared.ingest.model import Event, EventType, OrderFacts

_ID = Column("order_id", "注文ID", ("受注id", "id", "オーダーid", "売上id"))
_NUMBER = Column(
    "number", "注文番号", ("受注番号", "オーダー番号", "受注コード", "ご注文番号", "ordernumber", "name", "注文no")
)
_SUBSCRIPTION = (
    Column("subscription_id", "定期番号", ("定期受注番号", "定期id", "定期注文番号", "定期購入番号")),
    Column("delivery_number", "定期回数", ("お届け回数", "お届け回", "配送回数", "回数", "定期内受注(n番目)")),
)

_SUMS = frozenset({"合計", "総合計", "総計", "小計", "計", "total", "totals"})


def _key(row: Row) -> str:
    """The number people know, else the cart's own id: exports leave the id out of an order's further lines."""
    found = cells.code(row, "number", "注文番号") or cells.code(row, "order_id", "注文ID")
    if not found:
        raise Refused("注文番号が空です", "order_id is empty")
    if found.lower() in _SUMS:
        raise Refused("合計の行です（注文ではないので取り込みません）", "a row of totals is no order")
    return found


def _events(rows: Sequence[Row], context: Context) -> Iterator[Event]:
    key = _key(rows[0])
    # The cart's webhooks name the order by its id, where the export has one.
    order_id = next((found for row in rows if (found := cells.code(row, "order_id", "注文ID"))), key)
    read = sales.sale(order_id, key, rows, context)
    if not (read.person.source_customer_id or read.person.email or read.person.phone):
        raise Refused(
            "会員ID・メールアドレス・電話番号がすべて空です",
            "customer_id, email and phone are all empty: an order of nobody is nobody's history",
        )
    yield build.thing_event(
        EventType.ORDER_PLACED,
        f"order/{key_part(order_id)}",
        _with_subscription(read.facts, rows[0]),
        read.person,
        context,
        at=read.facts.ordered_at,
        version=to_iso(read.updated_at or read.facts.ordered_at),
    )


def _with_subscription(facts: OrderFacts, row: Row) -> OrderFacts:
    subscription, nth = row.get("subscription_id"), cells.whole(row, "delivery_number", "定期回数")
    if not subscription and nth is None:
        return facts
    return replace(facts, subscription_id=subscription or None, delivery_number=nth or None)


KIND = Kind(
    name="orders",
    title="受注",
    columns=(
        _ID,
        _NUMBER,
        sales.ORDERED_AT,
        sales.ORDERED_TIME,
        sales.AMOUNT,
        *sales.MONEY,
        *_SUBSCRIPTION,
        *lines.COLUMNS,
        *people.COLUMNS,
    ),
    needs=(("number", "order_id"), ("ordered_at",), ("amount", "line_total"), people.NEEDED),
    events=_events,
    key=_key,
    aliases=("order", "注文"),
)
