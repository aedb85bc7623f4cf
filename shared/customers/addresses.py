"""How mail addresses and telephone numbers are written, so that one address is one, and what stands where none is."""

from __future__ import annotations

import re
import unicodedata

from shared.ingest.model import is_withdrawn_address

_FULL_WIDTH = re.compile("[\uff01-\uff5e\u3000]")
_DOMAIN = re.compile(r"[^\s@.]+(\.[^\s@.]+)+")
_MAX_EMAIL = 254  # RFC 5321: a longer one cannot be delivered to
_MASKED_DOMAINS = ("marketplace.amazon.co.jp", "marketplace.amazon.com", "fw.rakuten.ne.jp", "rakuten.ne.jp")
"""Malls forward these to the buyer; one address is one order there, not one person."""


_NOTHING = frozenset({
    "", "-1", "none", "null", "nil", "nan", "undefined", "n/a", "anonymous", "guest",
    "なし", "無し", "不明", "未登録", "ゲスト", "非会員",
})  # fmt: skip
"""What forms, exports and scripts write where there is nothing."""
_LONG = 20


def normalise_email(text: str | None) -> str | None:
    """The address as it is written to, or None when nobody can be reached there (empty, `@dummy.dummy`, `.invalid`).

    Only the domain is lower-cased: old docomo and au addresses (`a..b@docomo.ne.jp`) break RFC 5321 and are real.
    """
    if not text:
        return None
    plain = (unicodedata.normalize("NFKC", text) if _FULL_WIDTH.search(text) else text).strip()
    local, _, domain = plain.rpartition("@")
    domain = domain.lower()
    if not local or not _DOMAIN.fullmatch(domain) or domain.endswith(".invalid") or is_withdrawn_address(plain):
        return None
    if len(local) + len(domain) >= _MAX_EMAIL or " " in local or not local.isprintable():
        return None
    return f"{local}@{domain}"


def names_one_person(email: str) -> bool:
    """May two records be joined because they share this address? Not by a mall's masked one (definitions.md §12)."""
    domain = email.rpartition("@")[2]
    return not any(domain == masked or domain.endswith(f".{masked}") for masked in _MASKED_DOMAINS)


def normalise_phone(text: str | None) -> str | None:
    """E.164, read as Japanese where no country is said: `０９０-1234-5678` is `+819012345678`. None when it is none."""
    if not text or len(text) > 40:
        return None
    plain = unicodedata.normalize("NFKC", text).strip()
    digits = re.sub(r"[^0-9]", "", plain)
    if not digits.isascii():
        return None
    if plain.startswith("+"):
        return _international(digits)
    if digits.startswith("010"):
        return _international(digits[3:])
    if digits.startswith("0"):
        return _japanese(digits[1:])
    # A spreadsheet ate the leading 0 of a mobile number.
    return _japanese(digits) if re.fullmatch(r"[789]0\d{8}", digits) else None


def _international(digits: str) -> str | None:
    if digits.startswith("81"):
        return _japanese(digits[2:].removeprefix("0"))
    return f"+{digits}" if 8 <= len(digits) <= 15 and not digits.startswith("0") and len(set(digits)) > 1 else None


def _japanese(national: str) -> str | None:
    if len(national) not in {9, 10} or national.startswith("0"):
        return None
    # 0999999999 is typed where there is no number.
    return f"+81{national}" if len(set(national)) > 1 else None


def says_nothing(text: str) -> bool:
    """Is this what stands where there is nothing (`null`, `000`, `なし`)? As a key it would join everybody."""
    if len(text) >= _LONG:
        return False
    plain = unicodedata.normalize("NFKC", text).strip().casefold()
    return plain in _NOTHING or not plain.strip("0-")
