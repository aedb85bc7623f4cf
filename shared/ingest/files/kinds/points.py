"""ポイント・会員ランク: balance, the next expiry and the rank of each member, as the member system knows them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from shared.ingest.files import build, cells, people
from shared.ingest.files.model import Column, Context, Kind, Refused, Row
from shared.ingest.model import Event, EventType, PointsFacts

_COLUMNS = (
    Column(
        "balance",
        "ポイント残高",
        ("保有ポイント", "ポイント", "所持ポイント", "現在ポイント", "残高", "points", "保持ポイント"),
    ),
    Column("expires_on", "ポイント有効期限", ("有効期限", "失効日", "失効予定日", "ポイント失効日", "ポイント期限")),
    Column("expiring", "失効予定ポイント", ("失効ポイント", "期限切れ予定ポイント")),
    Column(
        "rank",
        "会員ランク",
        ("ランク", "会員ステージ", "ステージ", "会員グレード", "会員ランク名", "会員ランク(名称)", "会員ステージ名"),
    ),
    Column("rank_until", "ランク有効期限", ("ランク期限", "ステージ有効期限")),
    Column("updated_at", "更新日時", ("更新日", "基準日", "集計日")),
)


def _events(rows: Sequence[Row], context: Context) -> Iterator[Event]:
    (row,) = rows
    facts = PointsFacts(
        balance=cells.whole(row, "balance", "ポイント残高"),
        expires_on=cells.day(row, "expires_on", "ポイント有効期限", context),
        expiring=cells.whole(row, "expiring", "失効予定ポイント"),
        rank=row.get("rank")[:60] or None,
        rank_until=cells.day(row, "rank_until", "ランク有効期限", context),
    )
    if facts == PointsFacts():
        raise Refused("ポイントも会員ランクも空です", "neither points nor a rank in this row")
    yield build.person_event(
        EventType.POINTS_CHANGED,
        facts,
        people.person(row),
        context,
        at=cells.time(row, "updated_at", "更新日時", context) or context.as_of,
    )


KIND = Kind(
    name="points",
    title="ポイント",
    columns=(*_COLUMNS, people.NUMBER, people.EMAIL, people.PHONE, people.MOBILE),
    needs=(("balance", "rank"), people.NEEDED),
    events=_events,
    aliases=("point", "会員ランク"),
)
