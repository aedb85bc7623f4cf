"""Reads segment definitions: YAML or JSON in, a `Segment` out, or every mistake with line, reason and suggestion."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from datetime import date
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ValidationError

from shared.analytics.segments.model import (
    CONDITIONS,
    MAX_CONDITIONS,
    MAX_DEPTH,
    Condition,
    Day,
    Group,
    Join,
    Node,
    Numbers,
    Segment,
)
from shared.core.lined_yaml import Lines, Path_, dotted, read_lined, read_utf8
from shared.core.mistakes import InvalidFileError, Mistake, nearest

PRESETS = Path(__file__).parent / "presets"

_NAME = re.compile(r"[a-z][a-z0-9_]{0,40}")
_FIELDS = ("name", "title", "description", "as_of", "known", "members")


def read_presets(folder: Path = PRESETS) -> list[Segment]:
    """The ready-made segments, by name."""
    return [read_file(path) for path in sorted(folder.glob("*.yaml"))]


def read_file(path: Path) -> Segment:
    """The segment of one file. Raises InvalidFileError."""
    return read_text(read_utf8(path), path.name)


def read_text(text: str, file: str = "segment.yaml") -> Segment:
    """The segment a text describes (JSON is YAML). Raises InvalidFileError."""
    lines, document = read_lined(text, file)
    return _read(document, file, lines)


def read_document(document: Mapping[str, Any], file: str = "segment") -> Segment:
    """The segment of a document as it was kept. Raises InvalidFileError; every mistake is on line 1."""
    return _read(dict(document), file, Lines(""))


def _read(document: Any, file: str, lines: Lines) -> Segment:
    found: list[tuple[Path_, str, str]] = []
    segment = _segment(document, found)
    if found or segment is None:
        raise InvalidFileError(Mistake(file, lines.at(path), dotted(path), *said) for path, *said in found)
    return segment


# --- what a definition says -------------------------------------------------------------------------------------------
Found = list[tuple[Path_, str, str]]


def _segment(document: Any, found: Found) -> Segment | None:
    if not isinstance(document, dict):
        found.append(((), "a segment is a mapping: name, title, members", ""))
        return None
    for key in document:
        if key not in _FIELDS:
            found.append(((str(key),), "is not a word of the segment language", nearest(str(key), _FIELDS)))
    name, title = document.get("name"), document.get("title", document.get("name"))
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        found.append((("name",), f"lower-case letters, digits and _ are needed, got {name!r}", ""))
    if not isinstance(title, str) or not 0 < len(title) <= 100:
        found.append((("title",), "a title of at most 100 letters is needed", ""))
    description = document.get("description", "")
    if not isinstance(description, str):
        found.append((("description",), "is no text", ""))
    if document.get("known", "now") not in ("then", "now"):
        found.append((("known",), f"{document['known']!r} is not one of then, now", ""))
    as_of = _as_of(document, found)
    if "members" not in document:
        found.append((("members",), "is missing: who belongs to it", ""))
        return None
    members = _node(document["members"], ("members",), 1, found)
    if members is None or found:
        return None
    segment = Segment(
        name=str(name),
        title=str(title),
        members=members,
        document=document,
        description=str(description),
        as_of=as_of,
        known_then=document.get("known") == "then",
    )
    if (asked := sum(1 for _ in segment.conditions())) > MAX_CONDITIONS:
        found.append((("members",), f"{asked} conditions; at most {MAX_CONDITIONS} are possible", "Split it"))
    return segment


class _AsOf(BaseModel):
    as_of: Day | None = None


def _as_of(document: Mapping[str, Any], found: Found) -> date | None:
    try:
        return _AsOf(as_of=document.get("as_of")).as_of
    except ValidationError as error:
        found.append((("as_of",), _say(error.errors()[0])[0], ""))
        return None


def _node(raw: Any, path: Path_, depth: int, found: Found) -> Node | None:
    if depth > MAX_DEPTH:
        found.append((path, f"is nested more than {MAX_DEPTH} deep", ""))
        return None
    if isinstance(raw, list):
        found.append((path, "a list says not how its conditions are joined", "Write all:, any: or none: before it"))
        return None
    if not isinstance(raw, dict) or len(raw) != 1:
        got = f"{len(raw)} words ({', '.join(map(str, raw))})" if isinstance(raw, dict) else repr(raw)
        found.append((path, f"one condition (or all, any, none) is needed here, got {got}", ""))
        return None
    ((word, value),) = raw.items()
    if word in tuple(Join):
        return _group(Join(word), value, (*path, word), depth, found)
    if word == "not":
        part = _node(value, (*path, word), depth + 1, found)
        return Group(Join.NONE, (part,)) if part is not None else None
    if word not in CONDITIONS:
        known = [*CONDITIONS, *Join, "not"]
        found.append(
            ((*path, str(word)), "is no condition", nearest(str(word), known) or f"There are {', '.join(known)}")
        )
        return None
    return _condition(CONDITIONS[word], value, (*path, word), found)


def _group(join: Join, value: Any, path: Path_, depth: int, found: Found) -> Group | None:
    if not isinstance(value, list) or not value:
        found.append((path, "a list of conditions is needed", ""))
        return None
    parts = [_node(each, (*path, number), depth + 1, found) for number, each in enumerate(value)]
    known = [part for part in parts if part is not None]
    return Group(join, tuple(known)) if len(known) == len(parts) else None


def _condition(kind: type[Condition], value: Any, path: Path_, found: Found) -> Condition | None:
    fields = [info.alias or name for name, info in kind.model_fields.items()]
    short = bool(kind.bare) and not (isinstance(value, dict) and set(value) & set(fields))
    said = {kind.bare: value} if short else {} if value is None else value
    try:
        return kind.model_validate(said)
    except ValidationError as error:
        for each in error.errors():
            inner = each["loc"][1:] if short and each["loc"][:1] in {(kind.bare,), ("is",)} else each["loc"]
            found.append(((*path, *inner), *_say(each, fields)))
        return None


def _say(error: Any, fields: Iterable[str] = ()) -> tuple[str, str]:
    match error["type"]:
        case "missing":
            return "is missing", ""
        case "extra_forbidden":
            inside = [*fields] if len(error["loc"]) == 1 else [i.alias or n for n, i in Numbers.model_fields.items()]
            return f"is not known here: there are {', '.join(inside)}", nearest(str(error["loc"][-1]), inside)
        case "enum" | "literal_error":
            allowed = [word.strip(" '") for word in str(error["ctx"]["expected"]).replace(" or ", ", ").split(",")]
            return f"{error['input']!r} is not one of {', '.join(allowed)}", nearest(str(error["input"]), allowed)
        case "value_error":
            return str(error["ctx"]["error"]), ""
        case "string_type":
            return f"a text is needed, got {error['input']!r}", "Put it in quotes"
        case "model_type" | "model_attributes_type" | "dict_type":
            return f"a mapping is needed, got {error['input']!r}", ""
        case _:
            return f"{error['msg']}, got {error['input']!r}"[:300], ""
