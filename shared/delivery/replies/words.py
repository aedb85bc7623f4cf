"""Does a text ask for no more texts (配信停止のキーワード)? Japanese and English, full and half width. Pure.

A word that says nothing else must be all of the text (`END`, `不要`); one that cannot mean anything else may begin a
sentence (`STOP please`, `配信停止をお願いします`). In doubt it is a no: who is texted against their will is worse off
than who misses a text.
"""

from __future__ import annotations

import re
import unicodedata

_ALONE = frozenset(
    {"stop", "stopall", "unsubscribe", "optout", "cancel", "end", "quit", "revoke", "remove"}
    | {"停止", "解除", "不要", "拒否", "退会", "やめて", "いらない", "ストップ", "すとっぷ"}
)
_BEGINS = re.compile(
    r"(stop|unsubscribe|optout)(?![a-z])"
    r"|(配信|送信|受信|メール|sms|ショートメール|メッセージ)[のを]?(停止|解除|不要|拒否|中止)"
    r"|(停止|解除)(希望|して|お願い|をお願い)"
)
_NOISE = re.compile(r"[\s\-‐–—_.,!?。、！？「」『』（）()\[\]<>\"'・:;]+")


def asks_to_stop(text: str) -> bool:
    """Is this an opt-out?"""
    plain = unicodedata.normalize("NFKC", text).casefold()
    words = _NOISE.sub(" ", plain).split()
    whole = "".join(words)
    return bool(words) and (whole in _ALONE or words[0] in {"stop", "unsubscribe"} or bool(_BEGINS.match(whole)))
