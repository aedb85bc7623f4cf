"""What of a visitor's data may be said outside DynamoDB: plain words and numbers, no address, number or name."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Mapping
from decimal import Decimal
from typing import Any

Plain = str | int | float | bool

MAX_PROPERTIES = 40
MAX_NAME = 100
MAX_VALUE = 200

_PERSONAL_NAME = re.compile(
    r"e-?mail|mail_?address|phone|mobile|(^|[^a-z])tel([^a-z]|$)|fax|(first|last|full|family|given|user|nick|customer|"
    r"recipient|contact|billing|shipping)_?name|^name$|kana|address|street|postal|zip|birth|passw|secret|token|"
    r"auth|credit|card_?(no|num)|cvv|iban|メール|電話|携帯|氏名|名前|住所|郵便|フリガナ|ふりがな|カナ|生年月日|誕生日|パスワード",
    re.IGNORECASE,
)
_EMAIL = re.compile(r"[^\s@/]+(@|%40)[^\s@/]+\.[^\s@/]+", re.IGNORECASE)
_DIGITS_ONLY = re.compile(r"[\s().+-]")
_HONORIFIC = re.compile(r"\S(様|さま|さん|殿)")
_CAMEL = re.compile(r"(?<=[a-z0-9])(?=[A-Z])")
_TOKEN = re.compile(r"(?=[^/]*[0-9])(?=[^/]*[A-Za-z])[A-Za-z0-9_=.~-]{20,}")


def looks_like_email(text: str) -> bool:
    """Is there a mail address in it?"""
    return bool(_EMAIL.search(unicodedata.normalize("NFKC", text)))


def looks_like_phone(text: str) -> bool:
    """Is it a phone number: 10 to 13 digits that begin like one, however they are grouped?"""
    digits = _DIGITS_ONLY.sub("", unicodedata.normalize("NFKC", text))
    return digits.isascii() and digits.isdigit() and 10 <= len(digits) <= 13 and digits.startswith(("0", "81"))


def looks_personal(text: str) -> bool:
    """May this text name or reach a person?"""
    return looks_like_email(text) or looks_like_phone(text) or bool(_HONORIFIC.search(text))


def looks_secret(segment: str) -> bool:
    """Is this part of a path a token rather than a word? (`/account/reset/1a2B…`)"""
    readable = segment.count("-") >= 2 and not re.search(r"[0-9a-f]{8}-[0-9a-f]{4}", segment, re.IGNORECASE)
    return bool(_TOKEN.fullmatch(segment)) and not readable


def names_a_person(name: str) -> bool:
    """Is a property of this name about who somebody is?"""
    return bool(_PERSONAL_NAME.search(_CAMEL.sub("_", name)))


def plain_properties(said: Mapping[str, Any]) -> dict[str, Plain]:
    """The plain, impersonal values of a call's properties, at most MAX_PROPERTIES of them."""
    kept: dict[str, Plain] = {}
    for name in sorted(said):
        value = plain_value(said[name])
        if value is None or len(name) > MAX_NAME or names_a_person(name) or looks_personal(name):
            continue
        kept[storable(name)] = value
        if len(kept) == MAX_PROPERTIES:
            break
    return kept


def plain_value(value: Any) -> Plain | None:
    """The value when it is plain and nobody's: None for lists, objects, empty and personal text."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if abs(value) < 10**15 and not looks_like_phone(str(value)) else None
    if isinstance(value, float | Decimal):
        number = float(value)
        return number if abs(number) < 1e15 else None
    if isinstance(value, str):
        text = storable(value).strip()
        return text[:MAX_VALUE] if text and not looks_personal(text) else None
    return None


def storable(written: str) -> str:
    """Text that can be stored: no lone surrogate, no control character."""
    whole = written.encode("utf-8", "replace").decode()
    return "".join(letter for letter in whole if letter.isprintable())
