"""A shop's order history from a CSV file (受注データの取り込み): one row per order, or one per order line.

| column | |
|---|---|
| order_id 注文番号 | required; several rows with one order_id are the lines (明細) of one order |
| ordered_at 注文日 | required; a date is noon of the shop's day, so that no time zone moves it to another day; a date and time is the shop's clock, or RFC 3339 with an offset |
| amount 合計金額 | required; the order's total: tax and shipping included, discounts deducted. Further lines repeat it or leave it empty |
| customer_id 顧客番号, email メールアドレス | one of them is required: an order of nobody cannot be anybody's history |
| currency 通貨 | the shop's currency when missing |
| product_id 商品番号, product_title 商品名, quantity 数量, unit_price 単価 | the line |
| last_name 姓, first_name 名, phone 電話番号 | the person |
| cancelled キャンセル | 1, true, yes, はい, キャンセル…: kept, but not counted |
| updated_at 更新日時 | when the order last changed; decides between two versions of it |

UTF-8 (with or without BOM), Shift_JIS as Excel writes it (CP932) or UTF-16; comma or tab. Refused is the whole order, never half
of one, and every refused row is listed with its reason; everything else goes in.
"""  # noqa: E501 - a table

from __future__ import annotations

import csv
import io
import re
import unicodedata
from codecs import BOM_UTF16_BE, BOM_UTF16_LE
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

from shared.core.clock import from_iso, to_iso
from shared.core.errors import RejectedError
from shared.core.ids import EventId, TenantId, digest
from shared.core.money import parse_amount
from shared.ingest.body import key_part
from shared.ingest.codec import facts_json
from shared.ingest.model import Event, EventType, Line, OrderFacts, Person

SOURCE = "import"

COLUMNS: Mapping[str, tuple[str, ...]] = {
    "order_id": ("注文番号", "注文id", "受注番号", "受注id", "オーダー番号", "ordernumber"),
    "customer_id": ("顧客番号", "顧客id", "会員番号", "会員id", "顧客コード", "customernumber"),
    "email": ("メールアドレス", "eメール", "メール", "mail", "mailaddress", "emailaddress", "e-mail"),
    "ordered_at": ("注文日", "注文日時", "受注日", "受注日時", "購入日", "購入日時", "orderdate", "date"),
    "amount": ("金額", "合計", "合計金額", "注文金額", "受注金額", "購入金額", "支払合計", "総合計", "total"),
    "currency": ("通貨", "通貨コード"),
    "product_id": ("商品番号", "商品id", "商品コード", "sku"),
    "product_title": ("商品名", "商品", "producttitle", "productname"),
    "quantity": ("数量", "個数"),
    "unit_price": ("単価", "商品単価", "price"),
    "last_name": ("姓", "苗字", "名字", "注文者姓"),
    "first_name": ("名", "名前", "注文者名"),
    "phone": ("電話番号", "電話", "tel"),
    "cancelled": ("キャンセル", "取消", "取り消し", "canceled"),
    "updated_at": ("更新日", "更新日時"),
}
"""Our column → other headings it is known by (compared without case, spaces and underscores)."""

REQUIRED = ("order_id", "ordered_at", "amount")
ENCODINGS = ("utf-8-sig", "cp932")
MAX_CELL = 1000

_YES = frozenset(
    {"1", "true", "yes", "y", "はい", "有", "○", "済", "キャンセル", "キャンセル済", "取消", "cancelled", "canceled"}
)
_NO = frozenset({"", "0", "false", "no", "n", "いいえ", "無", "×", "-"})
_EMAIL = re.compile(r"[^\s@<>,;\x00-\x1f]{1,64}@[^\s@<>,;\x00-\x1f]{1,255}")
_DAY = r"(?P<year>\d{4})(?:[-/.年](?P<month>\d{1,2})[-/.月](?P<day>\d{1,2})日?|(?P<month2>\d{2})(?P<day2>\d{2}))"
_TIME = r"(?:[T ]+(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:\.\d+)?)?)?"
_LOCAL = re.compile(_DAY + _TIME, re.ASCII)
_OFFSET = re.compile(r".*\d\d:\d\d.*(?:Z|[+-]\d{2}:?\d{2})", re.ASCII)
_NUMBER = re.compile(r"[+-]?\d{1,15}(\.\d{1,8})?", re.ASCII)
_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]")
_FORMULA = ("=", "+", "-", "@", "\t", "\r", "＝", "＋", "－", "＠")
_EARLIEST = 1980
_NOON = timedelta(hours=12)


@dataclass(frozen=True, slots=True)
class FileOptions:
    """How to read a file: whose orders they are, and what its dates and amounts mean."""

    tenant: TenantId
    timezone: str = "Asia/Tokyo"
    currency: str = "JPY"
    source: str = SOURCE
    store: str = "history"
    """Orders and customer ids are unique within (source, store)."""
    revision: int = 1
    """A corrected file of the same orders wins with a higher number."""


@dataclass(frozen=True, slots=True)
class BadRow:
    """A row that did not go in."""

    line: int
    """Line of the file its row begins on; the heading is line 1."""
    reason: str
    """English / 日本語."""
    cells: tuple[str, ...] = field(default=(), repr=False)


@dataclass(frozen=True, slots=True)
class OrderFile:
    """What a file holds: orders as events, and what was refused."""

    events: tuple[Event, ...]
    bad: tuple[BadRow, ...]
    rows: int
    heading: tuple[str, ...]
    encoding: str


class _Bad(Exception):  # noqa: N818 - not an error of the program
    """A reason to refuse a row, in both languages."""

    def __init__(self, english: str, japanese: str) -> None:
        super().__init__(f"{english} / {japanese}")


@dataclass(frozen=True, slots=True)
class _Row:
    line: int
    cells: tuple[str, ...]
    values: Mapping[str, str]


def parse_order_file(content: bytes, options: FileOptions, now: datetime) -> OrderFile:
    """Read a whole file. Raises RejectedError when it is no such file at all; bad rows are returned, not raised."""
    text, encoding = _decode(content)
    rows = _rows(text)
    heading = next(rows, (1, ()))[1]
    columns = _columns(heading)
    bad: list[BadRow] = []
    orders: dict[str, list[_Row]] = {}
    number = 0
    for line, cells in rows:
        number += 1
        try:
            row = _Row(line, cells, _values(cells, columns, len(heading)))
            orders.setdefault(_order_id(row), []).append(row)
        except _Bad as error:
            bad.append(BadRow(line, str(error), cells))
    events = []
    for order_id, lines in orders.items():
        try:
            events.append(_event(order_id, lines, options, now))
        except _BadLine as error:
            bad.extend(error.rows)
    return OrderFile(tuple(events), tuple(sorted(bad, key=lambda row: row.line)), number, heading, encoding)


# --- the file ---------------------------------------------------------------------------------------------------------


def _decode(content: bytes) -> tuple[str, str]:
    """UTF-8 first: CP932 would accept most of it, as other words. Excel's "Unicode text" begins with a mark."""
    for encoding in ("utf-16",) if content.startswith((BOM_UTF16_LE, BOM_UTF16_BE)) else ENCODINGS:
        try:
            return content.decode(encoding), encoding
        except UnicodeDecodeError:
            continue
    raise RejectedError(
        "the file is neither UTF-8 nor Shift_JIS (CP932): save it as 'CSV UTF-8' "
        "/ 文字コードが UTF-8 でも Shift_JIS でもありません。「CSV UTF-8」で保存してください"
    )


def _rows(text: str) -> Iterator[tuple[int, tuple[str, ...]]]:
    """(first line, cells) of every row that is not empty."""
    heading = text.partition("\n")[0]
    tabs = "\t" in heading and "," not in heading
    reader = csv.reader(io.StringIO(text, newline=""), delimiter="\t" if tabs else ",")
    start = 1
    try:
        for cells in reader:
            if any(cell.strip() for cell in cells):
                yield start, tuple(cells)
            start = reader.line_num + 1
    except csv.Error:
        raise RejectedError(
            f"line {start}: not CSV (is a quotation mark left open?) "
            f"/ {start} 行目: CSV として読めません（引用符の閉じ忘れがないかご確認ください）"
        ) from None


def _columns(heading: Sequence[str]) -> Mapping[str, int]:
    found: dict[str, int] = {}
    for index, cell in enumerate(heading):
        name = _HEADINGS.get(_plain_heading(cell))
        if name in found:
            raise RejectedError(
                f"two columns mean {name}: {heading[found[name]]!r} and {cell!r} / {name} にあたる列が2つあります"
            )
        if name:
            found[name] = index
    missing = [name for name in REQUIRED if name not in found]
    if "customer_id" not in found and "email" not in found:
        missing.append("customer_id or email")
    if missing:
        shown = ", ".join(f"{name}（{COLUMNS[name][0]}）" if name in COLUMNS else name for name in missing)
        raise RejectedError(f"the heading lacks: {shown} / 見出し行に次の列がありません: {shown}")
    return found


def _plain_heading(cell: str) -> str:
    return re.sub(r"[\s_]", "", unicodedata.normalize("NFKC", cell)).lower()


_HEADINGS = {_plain_heading(word): name for name, words in COLUMNS.items() for word in (name, *words)}


def _values(cells: Sequence[str], columns: Mapping[str, int], width: int) -> Mapping[str, str]:
    if len(cells) != width:
        raise _Bad(f"has {len(cells)} columns, the heading has {width}", f"列数が{len(cells)}です（見出しは{width}列）")
    return {name: _clean(cells[index]) for name, index in columns.items()}


def _clean(cell: str) -> str:
    return (cell if cell.isprintable() else _CONTROL.sub("", cell)).strip()[:MAX_CELL]


# --- an order ---------------------------------------------------------------------------------------------------------


class _BadLine(Exception):  # noqa: N818 - not an error of the program
    """One line of an order is bad, so none of the order goes in."""

    def __init__(self, lines: Sequence[_Row], bad: _Row, reason: str) -> None:
        super().__init__(reason)
        other = f"line {bad.line} of the same order is bad / 同じ注文の {bad.line} 行目に誤りがあります"
        self.rows = [BadRow(row.line, reason if row is bad else other, row.cells) for row in lines]


@dataclass(frozen=True, slots=True)
class _Order:
    """What every line of an order must agree on."""

    ordered_at: datetime
    total: int | None
    currency: str
    person: Person
    cancelled: bool
    updated_at: datetime | None


def _order_id(row: _Row) -> str:
    found = unicodedata.normalize("NFKC", row.values["order_id"])
    if not found:
        raise _Bad("order_id is empty", "注文番号が空です")
    return found


def _event(order_id: str, rows: Sequence[_Row], options: FileOptions, now: datetime) -> Event:
    order: _Order | None = None
    lines: list[Line] = []
    for row in rows:
        try:
            read = _order(row.values, options, now)
            order = _agreed(order, read) if order else read
            lines.extend(_line(row.values, order.currency))
        except _Bad as error:
            raise _BadLine(rows, row, str(error)) from None
    assert order is not None  # noqa: S101 - a group has at least one row
    if order.total is None:
        raise _BadLine(rows, rows[0], "amount is empty / 金額が空です")
    return _as_event(order_id, order, order.total, _priced(lines, order.total), options, now)


def _order(values: Mapping[str, str], options: FileOptions, now: datetime) -> _Order:
    currency = values.get("currency", "").upper() or options.currency
    if not re.fullmatch(r"[A-Z]{3}", currency):
        raise _Bad("currency is no ISO code such as JPY", "通貨は JPY のような3文字で書いてください")
    updated = values.get("updated_at", "")
    return _Order(
        ordered_at=_time(values["ordered_at"], "ordered_at", "注文日", options.timezone, now),
        total=_amount(values["amount"], "amount", "金額", currency) if values["amount"] else None,
        currency=currency,
        person=_person(values),
        cancelled=_flag(values.get("cancelled", "")),
        updated_at=_time(updated, "updated_at", "更新日時", options.timezone, now) if updated else None,
    )


def _agreed(first: _Order, other: _Order) -> _Order:
    """The order with what a further line adds; a line may leave the total empty, but not contradict it."""
    if other.total not in (None, first.total) and first.total is not None:
        raise _Bad(
            "amount differs within the order (it is the order's total)", "同じ注文の中で金額（注文合計）が違います"
        )
    if other.ordered_at != first.ordered_at:
        raise _Bad("ordered_at differs within the order", "同じ注文の中で注文日が違います")
    if (other.person.source_customer_id, other.person.email) != (first.person.source_customer_id, first.person.email):
        raise _Bad("customer differs within the order", "同じ注文の中で顧客が違います")
    if other.currency != first.currency:
        raise _Bad("currency differs within the order", "同じ注文の中で通貨が違います")
    total = first.total if first.total is not None else other.total
    cancelled = first.cancelled or other.cancelled
    return _Order(first.ordered_at, total, first.currency, first.person, cancelled, first.updated_at)


def _line(values: Mapping[str, str], currency: str) -> Iterator[Line]:
    product, title = values.get("product_id", ""), values.get("product_title", "")
    price = values.get("unit_price", "")
    quantity = _quantity(values.get("quantity", ""))
    unit_amount = _amount(price, "unit_price", "単価", currency) if price else 0
    if product or title:
        yield Line(product_id=product or "custom", title=title, quantity=quantity, unit_amount=unit_amount)


def _priced(lines: Sequence[Line], total: int) -> tuple[Line, ...]:
    """A single line without a price is worth the order's total; of several, nobody knows."""
    if len(lines) == 1 and not lines[0].unit_amount and lines[0].quantity:
        return (replace(lines[0], unit_amount=total // lines[0].quantity),)
    return tuple(lines)


def _as_event(
    order_id: str, order: _Order, total: int, lines: tuple[Line, ...], options: FileOptions, now: datetime
) -> Event:
    facts = OrderFacts(
        order_id=order_id,
        number=order_id,
        ordered_at=order.ordered_at,
        currency=order.currency,
        total=total,
        paid=not order.cancelled,
        # When it was cancelled, the file does not say.
        cancelled_at=order.ordered_at if order.cancelled else None,
        lines=lines,
    )
    # Made of the order only, without the person: an event id reaches the lake and must give nobody away.
    content = digest(options.tenant, options.source, options.store, facts_json(facts))
    return Event(
        tenant=options.tenant,
        event_id=EventId(f"import-{options.revision:04d}-{content}"),
        event_type=EventType.ORDER_PLACED,
        source=options.source,
        store=options.store,
        subject=f"{options.source}/{options.store}/order/{key_part(order_id)}",
        occurred_at=order.ordered_at,
        received_at=now,
        version=to_iso(order.updated_at or order.ordered_at),
        person=order.person,
        facts=facts,
        historical=True,
    )


# --- cells ------------------------------------------------------------------------------------------------------------


def _person(values: Mapping[str, str]) -> Person:
    customer_id, email = values.get("customer_id", ""), unicodedata.normalize("NFKC", values.get("email", ""))
    if not customer_id and not email:
        raise _Bad("customer_id and email are both empty", "顧客番号とメールアドレスがどちらも空です")
    if email and not _EMAIL.fullmatch(email):
        raise _Bad("email is no mail address", "メールアドレスの形が正しくありません")
    return Person(
        source_customer_id=customer_id or None,
        email=email or None,
        phone=values.get("phone") or None,
        last_name=values.get("last_name") or None,
        first_name=values.get("first_name") or None,
    )


def _time(cell: str, name: str, japanese: str, timezone: str, now: datetime) -> datetime:
    text = unicodedata.normalize("NFKC", cell)
    try:
        at = from_iso(text) if _OFFSET.fullmatch(text) else _local_time(text, timezone)
    except (ValueError, OverflowError):
        raise _Bad(f"{name} is no date such as 2026-01-31", f"{japanese}は 2026-01-31 のように書いてください") from None
    if at.year < _EARLIEST:
        raise _Bad(f"{name} lies before {_EARLIEST}", f"{japanese}が{_EARLIEST}年より前です")
    if at > now + timedelta(days=1):
        raise _Bad(f"{name} lies in the future", f"{japanese}が未来の日付です")
    return at


@lru_cache(maxsize=4096)  # dates repeat
def _local_time(text: str, timezone: str) -> datetime:
    match = _LOCAL.fullmatch(text)
    if match is None:
        raise ValueError("no date")
    part = match.groupdict()
    month, day = part["month"] or part["month2"], part["day"] or part["day2"]
    midnight = datetime(int(part["year"]), int(month), int(day), tzinfo=ZoneInfo(timezone))
    if part["hour"] is None:
        return _utc(midnight + _NOON)
    return _utc(midnight.replace(hour=int(part["hour"]), minute=int(part["minute"]), second=int(part["second"] or 0)))


def _utc(at: datetime) -> datetime:
    return from_iso(at.isoformat())


def _amount(cell: str, name: str, japanese: str, currency: str) -> int:
    text = re.sub(r"[¥\\円$,\s]", "", unicodedata.normalize("NFKC", cell))
    try:
        minor = parse_amount(text if _NUMBER.fullmatch(text) else "", currency)
    except RejectedError:
        raise _Bad(f"{name} is no amount of {currency}", f"{japanese}が {currency} の金額として読めません") from None
    if minor < 0:
        raise _Bad(
            f"{name} is negative: mark the order as cancelled instead",
            f"{japanese}がマイナスです。返品・取消はキャンセル列で示してください",
        )
    return minor


def _quantity(cell: str) -> int:
    text = re.sub(r"[,\s個点]", "", unicodedata.normalize("NFKC", cell)) or "1"
    if not re.fullmatch(r"\d{1,6}", text, re.ASCII):
        raise _Bad("quantity is no whole number", "数量は整数で書いてください")
    return int(text)


def _flag(cell: str) -> bool:
    word = unicodedata.normalize("NFKC", cell).strip().lower()
    if word not in _YES and word not in _NO:
        raise _Bad("cancelled is neither yes nor no", "キャンセル列は 1 か 0 で書いてください")
    return word in _YES


# --- what was refused -------------------------------------------------------------------------------------------------


def rejected_csv(file: OrderFile) -> bytes:
    """The refused rows as a CSV file that Excel opens in Japanese, to correct and import again."""
    out = io.StringIO(newline="")
    writer = csv.writer(out)
    writer.writerow(("line / 行", "reason / 理由", *file.heading))
    for row in file.bad:
        writer.writerow((row.line, row.reason, *(_no_formula(cell) for cell in row.cells)))
    return out.getvalue().encode("utf-8-sig")


def _no_formula(cell: str) -> str:
    """A cell that a spreadsheet would run is shown as text instead."""
    return f"'{cell}" if cell.startswith(_FORMULA) else cell
