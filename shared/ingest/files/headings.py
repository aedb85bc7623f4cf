"""From the headings of a real export to our columns: what was said explicitly first, then the usual words."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace

from shared.core.errors import RejectedError
from shared.ingest.files import exports
from shared.ingest.files.mapping import FileMapping
from shared.ingest.files.model import Kind, Layout

_BRACKETS = re.compile(r"[(（\[【][^)）\]】]*[)）\]】]")
_PREFIX = re.compile(r"^(ご?注文者様?|ご?購入者様?|お客様|顧客|会員|ユーザー|請求先|購入商品|billing)の?")


def layout(heading: Sequence[str], kind: Kind, mapping: FileMapping) -> Layout:
    """Where the columns stand. Raises RejectedError naming what is missing or impossible."""
    export = exports.recognised(heading, kind)
    if export:
        mapping = replace(mapping, columns={**export.columns, **mapping.columns})
    indexes = _said(heading, kind, mapping)
    taken = set(indexes.values()) | {at for at, cell in enumerate(heading) if mapping.columns.get(cell.strip()) == ""}
    for name, index in _guessed(heading, kind):
        if name not in indexes and index not in taken:
            indexes[name] = index
            taken.add(index)
    _name_beside_a_family_name(heading, indexes)
    _check_constants(kind, mapping.values)
    missing = [need for need in kind.needs if not set(need) & (indexes.keys() | mapping.values.keys())]
    if missing:
        shown = "、".join(" または ".join(_shown(kind, name) for name in need) for need in missing)
        raise RejectedError(
            f"見出し行に次の列がありません: {shown}。別の見出しなら --mapping '見出し=項目' で教えてください"
            f" / the heading lacks: {'; '.join(' or '.join(need) for need in missing)}"
        )
    used = set(indexes.values())
    unused = tuple(cell.strip() for at, cell in enumerate(heading) if at not in used and cell.strip())
    return Layout(indexes, mapping.values, tuple(heading), unused, export.title if export else "")


def _name_beside_a_family_name(heading: Sequence[str], indexes: dict[str, int]) -> None:
    """注文者名 is the whole name, but beside 注文者姓 it is the given one (楽天)."""
    whole = indexes.get("full_name")
    if whole is None or "last_name" not in indexes or "first_name" in indexes:
        return
    if _bare(heading[whole]) in {"名", "名前"}:
        indexes["first_name"] = indexes.pop("full_name")


def _shown(kind: Kind, name: str) -> str:
    column = kind.column(name)
    return f"{column.title}（{name}）" if column else name


def _said(heading: Sequence[str], kind: Kind, mapping: FileMapping) -> dict[str, int]:
    places = {plain(cell): at for at, cell in reversed(list(enumerate(heading)))}
    found: dict[str, int] = {}
    for said, name in mapping.columns.items():
        if not name:
            continue
        if not kind.column(name) and not name.startswith(kind.prefixes or ("\0",)):
            known = ", ".join(column.name for column in kind.columns)
            raise RejectedError(
                f"項目 {name!r} は{kind.title}にありません。使えるのは: {known} / no such column of {kind.name}"
            )
        if plain(said) in places:
            found[name] = places[plain(said)]
    return found


def _check_constants(kind: Kind, values: Mapping[str, str]) -> None:
    for name in values:
        if not kind.column(name):
            raise RejectedError(f"項目 {name!r} は{kind.title}にありません / no such column of {kind.name}")


def _guessed(heading: Sequence[str], kind: Kind) -> Iterator[tuple[str, int]]:
    """(column, place), the surest first: the exact heading, then without brackets, then without `注文者` too."""
    for said in (plain, _unbracketed, _bare):
        places: dict[str, int] = {}
        for at, cell in enumerate(heading):
            # The first of two equal headings is the buyer's in every export we know; the second is the recipient's.
            places.setdefault(said(cell), at)
        for column in kind.columns:
            for word in column.words():
                if (place := places.get(plain(word))) is not None:
                    yield column.name, place


def plain(cell: str) -> str:
    """A heading without case, width, spaces and underscores."""
    return re.sub(r"[\s_\u3000\ufeff]", "", unicodedata.normalize("NFKC", cell)).lower()


def _unbracketed(cell: str) -> str:
    return plain(_BRACKETS.sub("", cell))


def _bare(cell: str) -> str:
    text = _unbracketed(cell)
    return _PREFIX.sub("", text) or text
