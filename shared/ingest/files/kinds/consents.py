"""配信許諾: who may be written to, since when and on what legal basis (特定電子メール法).

A file can never take back an opt-out the customer made themselves (`by_customer=False`), and a permission without its
basis is refused. A refusal needs no basis: it always goes in. The evidence is the file: `import:<digest of its bytes>`.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Literal, cast

from shared.ingest.files import build, cells, people
from shared.ingest.files.model import Column, Context, Kind, Refused, Row
from shared.ingest.model import ConsentFacts, Event, EventType

_CHANNELS = {"メール": "email", "eメール": "email", "メルマガ": "email", "email": "email", "mail": "email",
             "sms": "sms", "ショートメッセージ": "sms", "line": "line", "ライン": "line",
             "郵送": "postal", "dm": "postal", "郵送dm": "postal", "はがき": "postal", "postal": "postal",
             "電話": "call", "架電": "call", "call": "call"}  # fmt: skip
_BASES = {
    "同意": "explicit",
    "本人同意": "explicit",
    "明示": "explicit",
    "オプトイン": "explicit",
    "explicit": "explicit",
    "取引関係": "business_relation",
    "購入": "business_relation",
    "business_relation": "business_relation",
    "書面": "written_notice",
    "名刺": "written_notice",
    "written_notice": "written_notice",
    "公表": "published_address",
    "公表アドレス": "published_address",
    "published_address": "published_address",
}
_GRANTED = frozenset(
    {
        "許諾",
        "許可",
        "同意",
        "同意する",
        "購読",
        "購読中",
        "購読する",
        "配信",
        "配信する",
        "受信",
        "受信する",
        "受け取る",
        "希望",
        "希望する",
        "登録",
        "optin",
        "opt_in",
    }
)
_REFUSED = frozenset(
    {
        "拒否",
        "停止",
        "配信停止",
        "解除",
        "退会",
        "配信しない",
        "受信しない",
        "受け取らない",
        "希望しない",
        "購読しない",
        "同意しない",
        "購読解除",
        "optout",
        "opt_out",
    }
)
_WORDS = {**dict.fromkeys(sorted(_GRANTED | cells.YES), "yes"), **dict.fromkeys(sorted(_REFUSED | cells.NO), "no")}
_COLUMNS = (
    Column("channel", "チャネル", ("配信チャネル", "媒体種別", "channel")),
    Column(
        "granted",
        "配信可否",
        (
            "許諾",
            "配信許諾",
            "メルマガ",
            "メルマガ購読",
            "メルマガ配信",
            "メルマガ受信",
            "メール配信",
            "メールマガジン",
            "メール受信",
            "案内メール受取許可フラグ",
            "同意",
            "購読",
            "acceptsemailmarketing",
        ),
    ),
    Column("basis", "根拠", ("法的根拠", "同意の根拠", "許諾根拠", "legalbasis")),
    Column(
        "said_at",
        "同意日時",
        ("同意日", "許諾日", "登録日", "登録日時", "停止日", "停止日時", "変更日", "日時", "日付"),
    ),
)


def _events(rows: Sequence[Row], context: Context) -> Iterator[Event]:
    (row,) = rows
    person = people.person(row)
    granted = cells.word(row, "granted", "配信可否", _WORDS) == "yes"
    channel = cells.word(row, "channel", "チャネル", _CHANNELS) if row.get("channel") else "email"
    _check_address(channel, person.email, person.phone, row)
    basis = _basis(row, granted=granted)
    yield build.person_event(
        EventType.CONSENT_CHANGED,
        ConsentFacts(
            channel=cast('Literal["email", "sms", "line", "postal", "call"]', channel),
            granted=granted,
            method=f"import:{context.digest}",
            basis=cast('Literal["explicit", "business_relation", "written_notice", "published_address"]', basis),
            by_customer=False,
        ),
        person,
        context,
        at=cells.needed_time(row, "said_at", "同意日時（または停止日時）", context),
    )


def _check_address(channel: str, email: str | None, phone: str | None, row: Row) -> None:
    """Permission is for an address: whoever names only a customer number has not said which one."""
    if row.get("customer_id"):
        return
    if (channel == "email" and not email) or (channel == "sms" and not phone):
        raise Refused("そのチャネルの宛先（メールアドレスか電話番号）が空です", "the address of that channel is empty")


def _basis(row: Row, *, granted: bool) -> str:
    if not row.get("basis"):
        if not granted:
            return "explicit"
        raise Refused(
            "許諾の根拠が空です。同意・取引関係・書面・公表のどれかが必要です（全行同じなら --value basis=同意）",
            "basis is empty: a permission needs explicit, business_relation, written_notice or published_address",
        )
    return cells.word(row, "basis", "根拠", _BASES, None if granted else "explicit")


KIND = Kind(
    name="consents",
    title="配信許諾",
    columns=(*_COLUMNS, people.NUMBER, people.EMAIL, people.PHONE, people.MOBILE, people.LINE_ID),
    needs=(("granted",), ("said_at",), people.NEEDED),
    events=_events,
    aliases=("consent", "許諾"),
)
