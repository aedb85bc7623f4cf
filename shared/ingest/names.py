"""What a buyer is called: a name kept in one field, or only a company's."""

from __future__ import annotations

import re

_JAPANESE = re.compile("[\u3040-\u30ff\u3400-\u9fff\uf900-\ufaff\uff66-\uff9f]")


def is_japanese(name: str) -> bool:
    """Is it written in Japanese letters, so that the family's name comes first?"""
    return _JAPANESE.search(name) is not None


def split_name(name: str | None) -> tuple[str | None, str | None]:
    """(姓, 名): only a Japanese name of two parts says which is which; else all of it is the last name."""
    parts = (name or "").split()
    if len(parts) == 2 and is_japanese(name or ""):
        return parts[0], parts[1]
    return name, None


def last_or_company(last: str | None, first: str | None, company: str | None) -> str | None:
    """The 姓, or what to call a buyer who gave a company's name and no person's (法人)."""
    return last or (None if first else company)
