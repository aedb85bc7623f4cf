"""What scenarios write down of people, in words: beside `labels.py`, because only `explain` and the command need it."""

from __future__ import annotations

from collections.abc import Mapping

from shared.admin.labels import REASONS, SEND_STATES, Label
from shared.delivery.model import Reason, SendState
from shared.scenarios import rules
from shared.scenarios.compile import END
from shared.scenarios.enrolment import EnrolmentState
from shared.scenarios.language.entries import Trigger
from shared.scenarios.language.steps import HOLDOUT
from shared.scenarios.step import EJECTED, FAILED, PROMISED, TAGGED, WAITING

OUTCOMES: Mapping[str, Label] = {
    rules.HISTORICAL: Label("過去データの取り込みで、新しい動きではない", "imported history, not a new action"),
    rules.EMPTY_CART: Label("カートが空になっている", "the cart is empty"),
    rules.NOT_ELIGIBLE: Label("シナリオの対象の条件に当てはまらない", "not who the scenario is for"),
    rules.ENTERED_BEFORE: Label("このシナリオにすでに入ったことがある", "was in this scenario before"),
    rules.OFF: Label("シナリオが停止中", "the scenario is off"),
    EJECTED: Label("手作業で外した", "taken out by hand"),
    HOLDOUT: REASONS[Reason.HOLDOUT],
    TAGGED: Label("タグを付けた", "tagged"),
    PROMISED: Label("クーポンの対象にした", "promised a coupon"),
    WAITING: Label("順番を待っている", "waiting for their turn"),
    FAILED: Label("処理に失敗した", "a step kept failing"),
    END: Label("最後まで進んだ", "came to the end"),
}
"""What else a scenario writes down of a person besides what became of a send."""

STATES: Mapping[EnrolmentState, Label] = {
    EnrolmentState.ARMED: Label("これから対象になる", "due later"),
    EnrolmentState.ENTERED: Label("進行中", "inside"),
    EnrolmentState.FINISHED: Label("最後まで進んだ", "came to the end"),
    EnrolmentState.EXITED: Label("途中で終了", "left"),
    EnrolmentState.FAILED: Label("処理に失敗して外した", "put aside"),
}
"""Where somebody stands in a scenario."""

TRIGGERS: Mapping[Trigger, Label] = {
    Trigger.CART_ABANDONED: Label("カート", "a cart"),
    Trigger.ORDER_PLACED: Label("注文", "an order"),
    Trigger.FRIEND_ORDERED: Label("ご紹介", "a friend's order"),
    Trigger.PAGE_VIEWED: Label("ページの閲覧", "a page view"),
    Trigger.LOGGED_IN: Label("ログイン", "a login"),
    Trigger.TRACKED: Label("サイトでの行動", "something done on the site"),
    Trigger.SURVEY_ANSWERED: Label("アンケートの回答", "a survey's answer"),
    Trigger.CONTRACT_CHANGED: Label("定期契約の変更", "a change of a contract"),
    Trigger.STATUS_CHANGED: Label("ステータスの変化", "a change of status"),
    Trigger.SEGMENT_ENTERED: Label("セグメントに入ったこと", "entering a segment"),
    Trigger.SEGMENT_LEFT: Label("セグメントから外れたこと", "leaving a segment"),
    Trigger.BACK_IN_STOCK: Label("入荷のお知らせの希望", "asking for a product that was sold out"),
    Trigger.DATE: Label("記念日・期日", "a date of theirs"),
    Trigger.BROADCAST: Label("一斉配信の名簿", "the list of a broadcast"),
}
"""What lets people into a scenario (開始のきっかけ)."""


def outcome(word: str, language: str) -> str:
    """What a scenario wrote down of a person, in words: a reason, a state, a mark, or the file's own word."""
    said: Label | None = None
    if word and word in set(Reason):
        said = REASONS[Reason(word)]
    elif word in set(SendState):
        said = SEND_STATES[SendState(word)]
    return (said or OUTCOMES.get(word) or Label(word, word)).of(language)
