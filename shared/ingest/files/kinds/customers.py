"""顧客: who they are and what the shop knows of them (性別・生年月日・職業…). Consent is a file of its own."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from shared.ingest.files import build, cells, people
from shared.ingest.files.model import Column, Context, Kind, Refused, Row
from shared.ingest.model import Event, EventType, ProfileFacts

_GENDERS = {
    "男": "male",
    "男性": "male",
    "male": "male",
    "m": "male",
    "1": "male",
    "女": "female",
    "女性": "female",
    "female": "female",
    "f": "female",
    "2": "female",
    "その他": "other",
    "other": "other",
    "無回答": "",
    "回答しない": "",
    "不明": "",
    "0": "",
    "9": "",
}
_COLUMNS = (
    Column("birth_on", "生年月日", ("誕生日", "birthday", "birthdate", "dateofbirth")),
    Column("gender", "性別", ("性別(名称)", "sex")),
    Column("occupation", "職業", ("職業(名称)", "job")),
    Column("registered_on", "登録日", ("会員登録日", "登録日時", "入会日", "作成日", "createdat")),
    Column("media", "広告媒体", ("媒体", "流入元", "登録経路", "きっかけ")),
    Column("tags", "タグ", ("顧客タグ", "会員タグ", "ラベル")),
    Column("state", "会員ステータス", ("会員ステータス(名称)", "会員状態", "顧客ステータス", "会員状態区分")),
    Column("left_on", "退会日", ("退会日時",)),
    Column("updated_at", "更新日時", ("更新日", "最終更新日")),
)
_MAX_TAGS = 50
_LEFT = frozenset({"退会", "退会済", "退会済み", "退会会員", "terminated member", "withdrawn", "3"})
"""3 is the number of it in EC-CUBE and in スマレジ."""


def _events(rows: Sequence[Row], context: Context) -> Iterator[Event]:
    (row,) = rows
    if cells.nfkc(row.get("state")).lower() in _LEFT or cells.day(row, "left_on", "退会日", context):
        raise Refused("退会した会員です（取り込みません）", "a member who left is not taken in")
    yield build.person_event(
        EventType.CUSTOMER_UPDATED,
        ProfileFacts(attributes=_attributes(row, context)),
        people.person(row),
        context,
        at=cells.time(row, "updated_at", "更新日時", context) or context.as_of,
    )


def _attributes(row: Row, context: Context) -> dict[str, str | int | float | bool]:
    found: dict[str, str | int | float | bool] = {}
    for name, japanese in (("birth_on", "生年月日"), ("registered_on", "登録日")):
        if on := cells.day(row, name, japanese, context):
            if not context.as_of.year - 130 < on.year <= context.now.year + 1:
                raise Refused(f"{japanese}があり得ない日付です", f"{name} is no date of a living person")
            found[name] = on.isoformat()
    if row.get("gender") and (gender := cells.word(row, "gender", "性別", _GENDERS)):
        found["gender"] = gender
    for name in ("occupation", "media"):
        if (word := row.get(name)[:100]) and not cells.looks_personal(word):
            found[name] = word
    for tag in _tags(row.get("tags")):
        found[f"tags/{tag}"] = True
    for name in row.layout.named("custom/"):
        if (word := row.get(name)[:200]) and not cells.looks_personal(word):
            found[name] = word
    return found


def _tags(cell: str) -> list[str]:
    words = (word.strip() for word in cell.replace(";", ",").replace("、", ",").replace("|", ",").split(","))
    return sorted({word[:60] for word in words if word and not cells.looks_personal(word)})[:_MAX_TAGS]


KIND = Kind(
    name="customers",
    title="顧客",
    columns=(*people.COLUMNS, people.LINE_ID, *_COLUMNS),
    needs=(people.NEEDED,),
    events=_events,
    prefixes=("custom/",),
    aliases=("customer", "会員"),
)
