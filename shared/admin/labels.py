"""The words an admin reads, in Japanese and English: the one place where a reason, state or rank gets its name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from shared.customers.model import ConsentStatus, LtvTier, Status
from shared.delivery.model import Reason, SendState
from shared.ingest.model import SubscriptionState

LANGUAGES = ("ja", "en")


class Label(NamedTuple):
    """One word or sentence in each language."""

    ja: str
    en: str

    def of(self, language: str) -> str:
        """The text in `language`; Japanese unless English is asked for."""
        return self.en if language == "en" else self.ja


REASONS: Mapping[Reason, Label] = {
    Reason.NONE: Label("理由なし", "no reason"),
    Reason.ORDERED: Label("すでに購入された", "already ordered"),
    Reason.EXITED: Label("シナリオの終了条件に当てはまった", "an exit rule of the scenario applied"),
    Reason.NO_ADDRESS: Label("宛先がない", "no address"),
    Reason.NO_CONSENT: Label("配信の許諾がない", "no consent"),
    Reason.OPTED_OUT: Label("配信停止を希望された", "opted out"),
    Reason.BOUNCED: Label("宛先に届かない（バウンス）", "address bounced"),
    Reason.COMPLAINED: Label("迷惑メールとして報告された", "reported as spam"),
    Reason.ERASED: Label("個人情報を削除済み", "personal data erased"),
    Reason.FREQUENCY_CAP: Label("配信回数の上限に達した", "contact cap reached"),
    Reason.PAUSED: Label("本人の希望でお休み中", "paused at the person's wish"),
    Reason.OUTRANKED: Label("優先する配信に譲った", "gave way to a scenario of higher priority"),
    Reason.NOT_WORTH: Label("見込み利益が送る費用に満たない", "expected to cost more than it earns"),
    Reason.TOPIC_OFF: Label("この内容は希望されていない", "this topic is not wanted"),
    Reason.WARM_UP: Label("送信元のウォームアップ中", "sending domain is warming up"),
    Reason.QUIET_HOURS: Label("夜間は送らない", "quiet hours"),
    Reason.TOO_LATE: Label("時機を逃した", "too late to be welcome"),
    Reason.GOAL: Label("目的を達成した", "reached the goal"),
    Reason.HOLDOUT: Label("効果測定のため送らない組（ホールドアウト）", "held out to measure the effect"),
    Reason.CLOSED: Label("運用期間の外", "outside the operating period"),
    Reason.STAGED: Label("試運転中（判定だけで送らない）", "staged: decides, does not send"),
    Reason.NO_COUPON: Label("渡せるクーポンがない", "no coupon left to give"),
    Reason.TEMPLATE: Label("本文を作れなかった", "message could not be rendered"),
    Reason.REJECTED: Label("送信サービスに拒否された", "refused by the provider"),
    Reason.STOPPED: Label("配信を一時停止中", "sending is paused"),
    Reason.AMBIGUOUS: Label("送れたか確認中", "outcome not known yet"),
}

SEND_STATES: Mapping[SendState, Label] = {
    SendState.RESERVED: Label("送信準備中", "reserved"),
    SendState.SENDING: Label("送信中", "sending"),
    SendState.SENT: Label("送信済み", "sent"),
    SendState.SUPPRESSED: Label("送らなかった", "held back"),
    SendState.EXPIRED: Label("期限切れで送らなかった", "expired"),
    SendState.FAILED: Label("送信失敗", "failed"),
    SendState.UNKNOWN: Label("確認中", "unknown"),
}

REACTIONS: Mapping[str, Label] = {
    "opened": Label("開封", "opened"),
    "clicked": Label("クリック", "clicked"),
}
"""Machines are never counted; an open decides nothing."""

STATUSES: Mapping[Status, Label] = {
    Status.LOYAL: Label("優良", "Loyal"),
    Status.PROMISING: Label("リピート見込み", "Promising"),
    Status.NEW: Label("新規・少回数", "New"),
    Status.AT_RISK: Label("離脱予備軍", "At risk"),
    Status.DORMANT: Label("休眠", "Dormant"),
}
"""In the order a shop reads them: best first."""

CONTRACTS: Mapping[SubscriptionState, Label] = {
    SubscriptionState.ACTIVE: Label("継続中", "active"),
    SubscriptionState.PAUSED: Label("休止中", "paused"),
    SubscriptionState.PAST_DUE: Label("決済待ち", "payment due"),
    SubscriptionState.CANCELLED: Label("解約", "cancelled"),
    SubscriptionState.EXPIRED: Label("満了", "ended as agreed"),
    SubscriptionState.UNKNOWN: Label("不明", "not known"),
}

LTV_TIERS: Mapping[LtvTier, Label] = {
    LtvTier.HIGH: Label("高LTV", "high LTV"),
    LtvTier.POTENTIAL: Label("潜在（これから伸びる）", "potential"),
    LtvTier.LOW: Label("低LTV", "low LTV"),
}

CONSENTS: Mapping[ConsentStatus, Label] = {
    ConsentStatus.OPT_IN: Label("許諾あり", "opted in"),
    ConsentStatus.OPT_OUT: Label("配信停止", "opted out"),
    ConsentStatus.UNKNOWN: Label("許諾なし", "no consent"),
}

RFM_RANKS: Mapping[str, Label] = {
    "優良": Label("優良", "Best"),
    "有望": Label("有望", "Promising"),
    "新規": Label("新規", "New"),
    "浮気予備軍": Label("浮気予備軍", "Drifting"),
    "悩み": Label("悩み", "Wavering"),
    "浮気・不満": Label("浮気・不満", "Lapsing"),
    "離反": Label("離反", "Lost"),
}
"""The seven ranks, best first. The key is the rank as it is stored."""

CHANNELS: Mapping[str, Label] = {
    "email": Label("メール", "e-mail"),
    "sms": Label("SMS", "SMS"),
    "line": Label("LINE", "LINE"),
    "postal": Label("郵送DM", "letter"),
    "call": Label("電話", "call"),
    "webhook": Label("外部システムへの通知", "webhook"),
    "notify": Label("社内通知", "note to the staff"),
    "export": Label("リスト出力", "list"),
    "none": Label("送らない", "nothing sent"),
}


def channel(name: str, language: str) -> str:
    """The name of a channel; one we do not know keeps its own."""
    return CHANNELS[name].of(language) if name in CHANNELS else name


ATTRIBUTES: Mapping[str, Label] = {
    "birth_on": Label("生年月日", "born on"),
    "gender": Label("性別", "gender"),
    "occupation": Label("職業", "occupation"),
    "prefecture": Label("都道府県", "prefecture"),
    "registered_on": Label("会員登録日", "registered on"),
    "media": Label("広告媒体", "media"),
    "tags": Label("タグ", "tag"),
    "rank": Label("会員ランク", "rank"),
    "rank/until": Label("会員ランクの期限", "rank until"),
    "points/balance": Label("ポイント残高", "points"),
    "points/expires_on": Label("ポイント有効期限", "points expire on"),
    "points/expiring": Label("失効予定ポイント", "points that expire"),
}
"""By name; between its kind and its field may stand the store it is of."""


def attribute(name: str, language: str) -> str:
    """What a person's attribute is called, with the store it is of; one we do not know keeps its name."""
    kind, *rest = name.split("/")
    field = f"{kind}/{rest[-1]}" if rest else kind
    if field in ATTRIBUTES:
        return " ".join((ATTRIBUTES[field].of(language), *rest[:-1]))
    return " ".join((ATTRIBUTES[kind].of(language), *rest)) if kind in ATTRIBUTES else name
