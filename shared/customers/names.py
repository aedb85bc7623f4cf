"""Japanese names as two systems write them: compared without what only the writing differs in."""

from __future__ import annotations

import unicodedata

_VARIANTS = str.maketrans(
    "髙﨑濵濱邊邉邉齋齊斎澤廣國櫻眞德惠瀨嶋嶌塚圡栁晧凜𠮷冨渕﨔榮假",
    "高崎浜浜辺辺辺斉斉斉沢広国桜真徳恵瀬島島塚土柳皓凛吉富淵欅栄仮",
)
"""異体字 and old forms that address books mix."""

_KATAKANA = range(0x30A1, 0x30F7)
_TO_HIRAGANA = 0x60


def full_width(text: str | None) -> str | None:
    """Half-width kana (ﾔﾏﾀﾞ) as full-width; names keep their own characters otherwise."""
    return unicodedata.normalize("NFKC", text) if text else text


def plain(text: str | None) -> str:
    """NFKC, no spaces or case, hiragana for katakana, one form of each variant character."""
    whole = "".join(unicodedata.normalize("NFKC", text or "").split()).casefold().translate(_VARIANTS)
    return "".join(chr(ord(c) - _TO_HIRAGANA) if ord(c) in _KATAKANA else c for c in whole)


def name_key(last_name: str | None, first_name: str | None) -> str:
    """The same for 髙橋 太郎, 高橋太郎 and 太郎 高橋; empty without a name."""
    return "+".join(sorted(part for part in (plain(last_name), plain(first_name)) if part))


def same_name(one: tuple[str | None, str | None], other: tuple[str | None, str | None]) -> bool:
    """Family and given name, in either order, or both written into one field. A family name alone is not enough."""
    if not all(any(plain(part) for part in name) for name in (one, other)):
        return False
    if name_key(*one) == name_key(*other):
        return all(plain(part) for part in one) or len(_whole(one)) > 2
    return _whole(one) in _orders(other) or _whole(other) in _orders(one)


def _whole(name: tuple[str | None, str | None]) -> str:
    return plain(name[0]) + plain(name[1])


def _orders(name: tuple[str | None, str | None]) -> set[str]:
    last, first = plain(name[0]), plain(name[1])
    return {last + first, first + last} if last and first else set()
