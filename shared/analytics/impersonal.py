"""What of an event or a person may enter the lake: nothing that names, addresses or singles out anybody (個人情報).

The lake cannot forget, so what is doubtful stays in DynamoDB: free texts of the shop's own attributes, whole birthdays,
whatever has the shape of an address or a telephone number, and links that open something.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit, urlunsplit

from shared.core.ids import digest

Plain = str | int | float | bool | tuple[str, ...] | list[str]

BIRTHDAY = "birth_on"
BIRTH_MONTH = "birth_month"
"""`1980-04`: enough for an age and a birthday month; the day is not kept."""

_OWN = "custom/"
_PERSONAL = re.compile(r"[@＠]|(?:\d[-‐－ー ().]?){9,}")
"""A mail address, or nine digits and more as telephone and card numbers have them."""

_LEFT_OUT = frozenset({"recovery_url"})
"""A bearer secret of the buyer."""

_HIDDEN = ":personal"


def open_facts(facts: Mapping[str, Any]) -> dict[str, Any]:
    """An event's facts as the lake keeps them; what is left is still read back as the same kind of facts."""
    kept = {name: value for name, value in facts.items() if name not in _LEFT_OUT}
    match kept.get("kind"):
        case "profile":
            kept["attributes"] = open_attributes(kept.get("attributes", {}))
        case "tracked":
            kept["properties"] = {k: v for k, v in kept.get("properties", {}).items() if _open(k) and _open(v)}
        case "page":
            # Titles and campaigns may greet somebody; ids and hosts that look like an address do, too.
            kept = {name: value for name, value in kept.items() if name == "url" or _open(value)}
            kept["url"] = open_url(kept["url"])
        case "person_link":
            kept["actor"] = digest(kept["actor"])
        case "message" if kept.get("link"):
            # A clicked link may be a recovery link: its digest still tells which one was clicked.
            kept["link"] = digest(kept["link"])
    return kept


def open_attributes(attributes: Mapping[str, Plain]) -> dict[str, Plain]:
    """The attributes that may enter the lake, a birthday as its month."""
    found = {name: value for name, value in attributes.items() if is_open(name, value)}
    born = attributes.get(BIRTHDAY)
    return found | ({BIRTH_MONTH: born[:7]} if isinstance(born, str) and len(born) >= 7 else {})


def is_open(name: str, value: Plain) -> bool:
    """Whether an attribute may enter the lake as it is. A text of the shop's own may be a name: it may not."""
    if name == BIRTHDAY or not _open(name):
        return False
    return not (name.startswith(_OWN) and isinstance(value, str)) and _open(value)


def open_url(url: str) -> str:
    """A page without query, and without what in its path looks personal (`/account/taro@example.com`)."""
    parts = urlsplit(url)
    return urlunsplit((parts.scheme, parts.hostname or "", open_path(parts.path), "", ""))


def open_path(path: str) -> str:
    """A path whose personal-looking parts are hidden."""
    return "/".join(part if _open(part) and "%40" not in part else _HIDDEN for part in path.split("/"))


def open_text(text: str | None) -> str | None:
    """A text of the shop's, or nothing where it looks personal."""
    return text if text is not None and _open(text) else None


def _open(value: Plain) -> bool:
    if isinstance(value, list | tuple):
        return all(_open(each) for each in value)
    return not (isinstance(value, str) and _PERSONAL.search(value))
