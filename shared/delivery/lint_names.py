"""Whom a template speaks of, and where it says more of them than may be read there (個人情報).

A note to the staff and what is mailed of a call task stay in mailboxes that no erasure reaches; a card is read by
whoever holds it. An address or a number written into a text is somebody's, and stays there for everybody.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

from liquid.exceptions import LiquidError

from shared.core.mistakes import Mistake
from shared.delivery.channels.call import PART as CALL
from shared.delivery.channels.handover import TEXT as NOTICE
from shared.delivery.channels.postal import TEXT as POSTAL
from shared.delivery.render import PARTIALS

if TYPE_CHECKING:
    from liquid.static_analysis import Variable

Words = Mapping[str, frozenset[str]]
_KIND = frozenset({"order_count", "total_amount", "ltv_tier", "status"})
FOR_STAFF: Words = {
    "person": _KIND,
    "cart": frozenset({"lines", "total"}),
    "unsubscribe_url": frozenset(),
}
"""Variables that say who somebody is, or with which one acts in their name → what a note to the staff may say of them.
"""
ON_A_CARD: Words = {**FOR_STAFF, "person": _KIND | {"name", "last_name", "first_name", "full_name"}}
"""The name stands above it, with the address."""

_MAILED = "with the customer's id and how to look them up; a mail stays in mailboxes after an erasure"
MAY_SAY: Mapping[str, tuple[Words, str]] = {
    NOTICE: (FOR_STAFF, f"is mailed to the staff, {_MAILED}"),
    CALL: (FOR_STAFF, f"is mailed to the staff outside of name, script and ltv, {_MAILED}"),
    POSTAL: (ON_A_CARD, "stands on a card, which is read by whoever holds it"),
}
"""Part → what it may say, and why no more."""

_FOR_THE_CALL = frozenset({"name", "script", "ltv"})
"""Fields of a call task that only who calls reads."""
_FIELD = re.compile(r'"(\w+)"\s*:')

_TAG = re.compile(r"\{\{.*?\}\}|\{%.*?%\}", re.DOTALL)
_SOMEBODYS = re.compile(
    r"(?<![\w.+-])[\w.+-]{1,64}@[\w-]{1,63}(?:\.[\w-]{1,63}){0,4}\.(?!(?:png|jpe?g|gif|svg|webp)\b)[a-z]{2,}"
    r"|(?<!\d)0[789]0(?:[-‐－ー ]?\d{4}){2}(?!\d)",
    re.ASCII | re.IGNORECASE,
)
"""A mail address (no `logo@2x.png`), or the number of a mobile telephone."""


def names_customer(part: Path) -> Iterator[Mistake]:
    """Where a part says who it is about although more people read it than may know."""
    if part.name not in MAY_SAY:
        return
    words, why = MAY_SAY[part.name]
    for name, found in spoken_of(part).items():
        for each in found:
            if name in words and not set(each.segments[1:2]) & words[name] and not _for_the_call(part, each):
                yield _mistake(part, each, words, why)


def names_anybody(part: Path) -> Iterator[Mistake]:
    """Where a text has somebody's address or number written into it."""
    text = _TAG.sub(lambda tag: "\n" * tag[0].count("\n"), part.read_text("utf-8"))
    for found in _SOMEBODYS.finditer(text):
        line = text.count("\n", 0, found.start()) + 1
        reason = "is an address or a number written into the text: everybody would get it"
        hint = "Leave it out; the shop's own is {{ sender.contact }}"
        yield Mistake(_file(part), line, found[0], reason, hint)


def spoken_of(part: Path) -> Mapping[str, list[Variable]]:
    """The variables one file of a template speaks of, its partials included, and where."""
    from liquid import Environment, FileSystemLoader

    environment = Environment(loader=FileSystemLoader(part.parents[2] / PARTIALS))
    try:
        return environment.from_string(part.read_text("utf-8")).analyze().globals
    except LiquidError:
        return {}  # rendering says it better


def _for_the_call(part: Path, variable: Variable) -> bool:
    if part.name != CALL or variable.span.template_name:
        return False
    fields = _FIELD.findall(part.read_text("utf-8"), 0, variable.span.index)
    return bool(fields) and fields[-1] in _FOR_THE_CALL


def _mistake(part: Path, variable: Variable, words: Words, why: str) -> Mistake:
    partial = variable.span.template_name
    file = part.parents[2] / PARTIALS / partial if partial else part
    line = file.read_text("utf-8").count("\n", 0, variable.span.index) + 1
    known = ", ".join(f"{name}.{word}" for name, allowed in words.items() for word in sorted(allowed))
    return Mistake(_file(file), line, str(variable), why, f"Leave it out: {part.name} may say {known}")


def _file(file: Path) -> str:
    return "/".join(file.parts[-3:])
