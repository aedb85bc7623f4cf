"""定期契約: one row per contract, or one per product of it (定期番号・状態・お届け周期・回数・解約理由)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from typing import Literal, cast

from shared.core.clock import to_iso
from shared.ingest.body import key_part
from shared.ingest.files import build, cells, lines, people
from shared.ingest.files.model import Column, Context, Kind, Refused, Row
from shared.ingest.model import Event, EventType, SubscriptionFacts, SubscriptionState

_STATES = {
    "有効": SubscriptionState.ACTIVE,
    "継続": SubscriptionState.ACTIVE,
    "継続中": SubscriptionState.ACTIVE,
    "契約中": SubscriptionState.ACTIVE,
    "active": SubscriptionState.ACTIVE,
    "休止": SubscriptionState.PAUSED,
    "休止中": SubscriptionState.PAUSED,
    "停止": SubscriptionState.PAUSED,
    "停止中": SubscriptionState.PAUSED,
    "スキップ": SubscriptionState.PAUSED,
    "paused": SubscriptionState.PAUSED,
    "支払遅延": SubscriptionState.PAST_DUE,
    "決済エラー": SubscriptionState.PAST_DUE,
    "カードエラー": SubscriptionState.PAST_DUE,
    "past_due": SubscriptionState.PAST_DUE,
    "解約": SubscriptionState.CANCELLED,
    "解約済": SubscriptionState.CANCELLED,
    "解約済み": SubscriptionState.CANCELLED,
    "キャンセル": SubscriptionState.CANCELLED,
    "cancelled": SubscriptionState.CANCELLED,
    "canceled": SubscriptionState.CANCELLED,
    "終了": SubscriptionState.EXPIRED,
    "満了": SubscriptionState.EXPIRED,
    "回数満了": SubscriptionState.EXPIRED,
    "expired": SubscriptionState.EXPIRED,
}
_UNITS = {"日": "day", "週": "week", "週間": "week", "ヶ月": "month", "か月": "month", "カ月": "month", "月": "month",
          "年": "year", "day": "day", "week": "week", "month": "month", "year": "year"}  # fmt: skip
_INTERVAL = re.compile(
    r"(?P<count>\d{1,3})?(?P<unit>日|週間|週|[ヶかカケヵ箇]?月|年|day|week|month|year)s?(間)?(に1回|ごと|毎|おき)?",
    re.I,
)
_EVERY = {"毎月": (1, "month"), "毎週": (1, "week"), "隔週": (2, "week"), "隔月": (2, "month"), "毎年": (1, "year")}
_COLUMNS = (
    Column(
        "subscription_id", "定期番号", ("定期受注番号", "定期id", "定期注文番号", "定期購入番号", "契約番号", "契約id")
    ),
    Column("state", "状態", ("ステータス", "定期ステータス", "契約状態", "定期状態", "status")),
    Column("started_at", "定期開始日", ("申込日", "契約日", "開始日", "定期申込日", "登録日", "受注日")),
    Column("amount", "定期金額", ("金額", "合計金額", "1回あたり金額", "定期合計")),
    Column("currency", "通貨"),
    Column("interval", "お届け周期", ("お届け間隔", "配送周期", "配送間隔", "周期", "間隔", "サイクル")),
    Column("deliveries", "お届け回数", ("定期回数", "配送回数", "継続回数", "回数", "購入回数")),
    Column("next_delivery_on", "次回お届け日", ("次回配送日", "次回お届け予定日", "次回配送予定日", "次回発送日")),
    Column("cancelled_at", "解約日", ("解約日時", "停止日")),
    Column("cancel_reason", "解約理由", ("停止理由", "キャンセル理由")),
    Column("media", "広告媒体", ("媒体", "流入元", "広告コード", "広告媒体名")),
    Column("updated_at", "更新日時", ("更新日", "最終更新日")),
)


def _key(row: Row) -> str:
    return cells.identifier(row, "subscription_id", "定期番号")


def _events(rows: Sequence[Row], context: Context) -> Iterator[Event]:
    row, code = rows[0], cells.currency(rows[0], context.options.currency)
    person = people.person(row)
    at = cells.time(row, "updated_at", "更新日時", context) or context.as_of
    count, unit = _interval(row)
    cancelled_at = cells.time(row, "cancelled_at", "解約日", context)
    facts = SubscriptionFacts(
        subscription_id=_key(row),
        state=_state(row, cancelled=cancelled_at is not None),
        started_at=cells.time(row, "started_at", "定期開始日", context),
        lines=tuple(line for each in rows if (line := lines.line_of(each, code))),
        currency=code,
        amount=cells.amount(row, "amount", "定期金額", code),
        interval_unit=unit,
        interval_count=count,
        deliveries=cells.whole(row, "deliveries", "お届け回数"),
        next_delivery_on=cells.day(row, "next_delivery_on", "次回お届け日", context),
        cancelled_at=cancelled_at,
        cancel_reason=_reason(row),
        media=row.get("media")[:200] or None,
    )
    yield build.thing_event(
        EventType.SUBSCRIPTION_UPDATED,
        f"subscription/{key_part(facts.subscription_id)}",
        facts,
        person,
        context,
        at=at,
        version=to_iso(at),
    )


def _state(row: Row, *, cancelled: bool) -> SubscriptionState:
    """The shop's word, `unknown` for one we do not know; without a word, a contract that was not ended runs."""
    if not row.get("state"):
        return SubscriptionState.CANCELLED if cancelled else SubscriptionState.ACTIVE
    return SubscriptionState(cells.word(row, "state", "状態", _STATES, SubscriptionState.UNKNOWN))


def _interval(row: Row) -> tuple[int | None, Literal["day", "week", "month", "year"] | None]:
    text = re.sub(r"\s", "", cells.nfkc(row.get("interval")))
    if not text:
        return None, None
    if text.isdecimal():
        text = f"{text}日"
    match = _INTERVAL.fullmatch(text)
    count, unit = _EVERY.get(text) or (
        (int(match["count"] or 1), _UNITS.get(match["unit"].lower(), "month")) if match else (0, "")
    )
    if not count:
        raise Refused(
            "お届け周期は「30日」「1ヶ月」のように書いてください", "interval is no cycle such as 30日 or 1ヶ月"
        )
    return count, cast('Literal["day", "week", "month", "year"]', unit)


def _reason(row: Row) -> str | None:
    """A word of a list; what looks like a sentence or an address of a person is left in the file."""
    said = row.get("cancel_reason")
    return said if said and len(said) <= 60 and not cells.looks_personal(said) else None


KIND = Kind(
    name="subscriptions",
    title="定期",
    columns=(*_COLUMNS, *lines.COLUMNS, *people.COLUMNS),
    needs=(("subscription_id",), people.NEEDED),
    events=_events,
    key=_key,
    aliases=("subscription", "定期契約"),
)
