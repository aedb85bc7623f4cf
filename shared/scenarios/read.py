"""Reads scenario files: YAML in, a `Scenario` out, or every mistake with its line, its reason and a suggestion.

Used where scenarios are written, checked and compiled; no Lambda reads YAML.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from shared.core.lined_yaml import Lines, Path_, dotted, read_lined, read_utf8
from shared.core.mistakes import InvalidFileError, Mistake, nearest
from shared.scenarios.language.steps import KINDS, Moment
from shared.scenarios.language.words import Part, format_duration
from shared.scenarios.model import Scenario
from shared.scenarios.sense import sense

PRESETS = Path(__file__).parent / "presets"


def read_presets(folder: Path = PRESETS) -> list[Scenario]:
    """Every scenario file of a folder, in the order of their names. Raises InvalidFileError for all of them."""
    scenarios, mistakes = [], []
    for path in sorted(folder.glob("*.yaml")):
        try:
            scenarios.append(read_file(path))
        except InvalidFileError as error:
            mistakes += error.mistakes
    if mistakes:
        raise InvalidFileError(mistakes)
    return scenarios


def read_file(path: Path) -> Scenario:
    """The scenario of one file, which is named after its id."""
    scenario = read_text(read_utf8(path), path.name)
    if scenario.id != path.stem:
        reason = f"the file is called {path.name}, the scenario {scenario.id}"
        raise InvalidFileError([Mistake(path.name, 1, "id", reason, "Give both the same name")])
    return scenario


def read_text(text: str, file: str = "scenario.yaml") -> Scenario:
    """The scenario a text describes. Raises InvalidFileError."""
    lines, document = read_lined(text, file)
    if not isinstance(document, dict):
        said = Mistake(file, 1, "-", "a scenario is a mapping", "Begin with `id:`, `title:`, `entry:`, `steps:`")
        raise InvalidFileError([said])
    try:
        scenario = Scenario.model_validate(document)
    except ValidationError as error:
        raise InvalidFileError(_mistake(file, lines, item) for item in _causes(error.errors())) from None
    if mistakes := [Mistake(file, lines.at(path), dotted(path), *said) for path, *said in sense(scenario)]:
        raise InvalidFileError(mistakes)
    return scenario


# --- what pydantic found --------------------------------------------------------------------------------------------


def _causes(errors: Sequence[Any]) -> Iterator[Any]:
    """Without the lists that are too short because of a mistake in one of their items."""
    wrong = [error["loc"] for error in errors]
    for error in errors:
        own = error["loc"]
        if error["type"] != "too_short" or not any(loc[: len(own)] == own and loc != own for loc in wrong):
            yield error


def _mistake(file: str, lines: Lines, error: Any) -> Mistake:
    path = _clean(error["loc"], lines)
    reason, suggestion = _say(error)
    hint = "" if path[-1:] and path[-1] in _FREE else lines.full_width(lines.at(path))
    return Mistake(file, lines.at(path), dotted(path), reason, f"{suggestion}. {hint}" if hint else suggestion)


_FREE = ("title", "notes", "note")
"""Where any sign may stand."""


def _clean(loc: Path_, lines: Lines) -> Path_:
    """The path in the file: without the tags pydantic puts in for unions."""
    path: Path_ = ()
    for position, part in enumerate(loc):
        last = position == len(loc) - 1
        after_number = position > 0 and isinstance(loc[position - 1], int)
        if after_number and (part in KINDS or part == "skip"):
            continue
        if part in _TAGS and not lines.known((*path, part)):
            continue
        if lines.known((*path, part)) or last:
            path = (*path, part)
    return path


_TAGS = frozenset({"duration", "until", "moment", "rule", "condition"})
"""Names pydantic's unions go by; no words of a file unless they stand there."""


def _say(error: Any) -> tuple[str, str]:
    got = repr(error["input"])[:_SHOWN]
    match error["type"]:
        case "missing":
            return "is missing", f"Add `{error['loc'][-1]}`"
        case "extra_forbidden":
            word = str(error["loc"][-1])
            hint = nearest(word, _fields() - {word})
            return "is not a word of the scenario language", hint or f"Remove `{word}`"
        case "enum" | "literal_error":
            allowed = [word.strip(" '") for word in str(error["ctx"]["expected"]).replace(" or ", ", ").split(",")]
            hint = nearest(str(error["input"]), allowed) or "Choose one of them"
            return f"{got} is not one of {', '.join(allowed)}", hint
        case "step":
            keys = list(error["input"]) if isinstance(error["input"], dict) else []
            hints = [hint for key in keys if (hint := nearest(str(key), KINDS))]
            return error["msg"], hints[0] if hints and not set(keys) & set(KINDS) else "Begin each with one of them"
        case "value_error":
            return str(error["ctx"]["error"]), nearest(str(error["input"]), Moment) or "Write it like that"
        case "string_pattern_mismatch":
            return f"{got} must match {error['ctx']['pattern']}", "Use small letters, digits and `_`"
        case "too_short":
            least, has = error["ctx"]["min_length"], error["ctx"]["actual_length"]
            return f"needs at least {least} item{'s' * (least > 1)}, has {has}", "Add what belongs here, or remove it"
        case kind if wanted := next((each for begin, each in _KINDS.items() if kind.startswith(begin)), None):
            return f"must be {wanted[0]}, got {got}", wanted[1]
        case _:
            said = _TIMEDELTA.sub(lambda found: _span(found[1] or "days", int(found[2])), str(error["msg"]))
            return said, "The words and their limits: `shared/scenarios/model.py`"


_SHOWN = 60
_WORDS = ("words with values", "Write it such as `ordered: {}`")
_KINDS = {
    "tuple_type": ("a list", "Write `[a, b]`, or a line that begins with `- ` for each"),
    "string_type": ("a text", "Put it in quotes"),
    "int_": ("a whole number", "Write digits, without quotes and without a unit"),
    "float_": ("a number", "Write digits, without quotes and without a unit"),
    "bool_": ("true or false", "Write `true` or `false`"),
    "date_from": ("a day that exists", "Write it such as 2026-12-24"),
    "datetime_": ("a time that exists", 'Write it such as "2026-12-24 10:00"'),
    "dict_type": _WORDS,
    "model_": _WORDS,
}
"""How pydantic calls what was not one → what it must be, and how that is written."""

_TIMEDELTA = re.compile(r"datetime\.timedelta\((?:(days|seconds)=)?(\d+)\)")


def _span(unit: str, number: int) -> str:
    return format_duration(timedelta(**{unit: number}))


def _fields() -> set[str]:
    return {field.alias or name for part in Part.__subclasses__() for name, field in part.model_fields.items()}
