"""Reads scenario files: YAML in, a `Scenario` out, or every mistake with its line, its reason and a suggestion.

Used where scenarios are written, checked and compiled; no Lambda reads YAML.
"""

from __future__ import annotations

import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from shared.core.mistakes import InvalidFileError, Mistake
from shared.scenarios.language.steps import (
    KINDS,
)
from shared.scenarios.language.words import Part, format_duration
from shared.scenarios.model import Scenario
from shared.scenarios.sense import Path_, nearest, sense

PRESETS = Path(__file__).parent / "presets"


class InvalidScenarioError(InvalidFileError):
    """A scenario file that is refused."""


def read_presets(folder: Path = PRESETS) -> list[Scenario]:
    """Every scenario file of a folder, in the order of their names. Raises InvalidScenarioError for all of them."""
    scenarios, mistakes = [], []
    for path in sorted(folder.glob("*.yaml")):
        try:
            scenarios.append(read_file(path))
        except InvalidScenarioError as error:
            mistakes += error.mistakes
    if mistakes:
        raise InvalidScenarioError(mistakes)
    return scenarios


def read_file(path: Path) -> Scenario:
    """The scenario of one file, which is named after its id."""
    scenario = read_text(path.read_text("utf-8"), str(path.name))
    if scenario.id != path.stem:
        reason = f"the file is called {path.name}, the scenario {scenario.id}"
        raise InvalidScenarioError([Mistake(path.name, 1, "id", reason, "Give both the same name")])
    return scenario


def read_text(text: str, file: str = "scenario.yaml") -> Scenario:
    """The scenario a text describes. Raises InvalidScenarioError."""
    lines, document = _load(text, file)
    try:
        scenario = Scenario.model_validate(document)
    except ValidationError as error:
        raise InvalidScenarioError(_mistake(file, lines, item) for item in error.errors()) from None
    if mistakes := [Mistake(file, lines.at(path), _dotted(path), *said) for path, *said in sense(scenario)]:
        raise InvalidScenarioError(mistakes)
    return scenario


# --- YAML, with the line of everything ----------------------------------------------------------------------------


class _Words(yaml.SafeLoader):
    """YAML 1.2's idea of plain words: `on` and `off` are words here, and a date is text until the model reads it."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - this is how PyYAML is told
        first: [(tag, pattern) for tag, pattern in resolvers if not tag.endswith((":bool", ":timestamp"))]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }


_Words.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(true|false)$"), list("tf"))


class _Lines:
    """Line of every value by its path."""

    def __init__(self) -> None:
        self._found: dict[Path_, int] = {(): 1}

    def note(self, path: Path_, line: int) -> None:
        self._found[path] = line

    def at(self, path: Path_) -> int:
        """The line of a path, or of the nearest thing above it that exists."""
        while path not in self._found:
            path = path[:-1]
        return self._found[path]

    def known(self, path: Path_) -> bool:
        return path in self._found


_PUNCTUATION = "Look at the indentation and brackets; a text with `: ` or `#` in it needs quotes"


def _load(text: str, file: str) -> tuple[_Lines, Any]:
    lines = _Lines()
    try:
        node = yaml.compose(text, Loader=_Words)
        _note(node, (), lines, file)
        document = yaml.load(text, Loader=_Words)  # noqa: S506 - a subclass of SafeLoader
    except yaml.MarkedYAMLError as error:
        line = error.problem_mark.line + 1 if error.problem_mark else 1
        raise InvalidScenarioError([Mistake(file, line, "-", f"not YAML: {error.problem}", _PUNCTUATION)]) from None
    except yaml.YAMLError as error:
        raise InvalidScenarioError([Mistake(file, 1, "-", f"not YAML: {error}", _PUNCTUATION)]) from None
    if not isinstance(document, dict):
        raise InvalidScenarioError(
            [Mistake(file, 1, "-", "a scenario is a mapping", "Begin with `id:`, `title:`, `entry:`, `steps:`")]
        )
    return lines, document


def _note(node: yaml.Node | None, path: Path_, lines: _Lines, file: str) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            name = str(key.value)
            if lines.known((*path, name)):
                said = Mistake(
                    file, key.start_mark.line + 1, _dotted((*path, name)), "is given twice", "Remove one of them"
                )
                raise InvalidScenarioError([said])
            lines.note((*path, name), key.start_mark.line + 1)
            _note(value, (*path, name), lines, file)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            lines.note((*path, number), value.start_mark.line + 1)
            _note(value, (*path, number), lines, file)


# --- what pydantic found --------------------------------------------------------------------------------------------


def _mistake(file: str, lines: _Lines, error: Any) -> Mistake:
    path = _clean(error["loc"], lines)
    reason, suggestion = _say(error)
    return Mistake(file, lines.at(path), _dotted(path), reason, suggestion)


def _clean(loc: Path_, lines: _Lines) -> Path_:
    """The path in the file: without the tags pydantic puts in for unions."""
    path: Path_ = ()
    for position, part in enumerate(loc):
        last = position == len(loc) - 1
        after_number = position > 0 and isinstance(loc[position - 1], int)
        if after_number and (part in KINDS or part in {"ExpectSend", "ExpectSkip"}):
            continue
        if part in _TAGS and not lines.known((*path, part)):
            continue
        if lines.known((*path, part)) or last:
            path = (*path, part)
    return path


_TAGS = frozenset({"duration", "until", "moment", "rule", "condition"})
"""Names pydantic's unions go by; no words of a file unless they stand there."""


def _say(error: Any) -> tuple[str, str]:
    match error["type"]:
        case "missing":
            return "is missing", f"Add `{error['loc'][-1]}`"
        case "extra_forbidden":
            word = str(error["loc"][-1])
            return "is not a word of the scenario language", nearest(word, _fields()) or f"Remove `{word}`"
        case "enum" | "literal_error":
            allowed = [word.strip(" '") for word in str(error["ctx"]["expected"]).replace(" or ", ", ").split(",")]
            hint = nearest(str(error["input"]), allowed) or "Choose one of them"
            return f"{error['input']!r} is not one of {', '.join(allowed)}", hint
        case "step":
            keys = list(error["input"]) if isinstance(error["input"], dict) else []
            hints = [hint for key in keys if (hint := nearest(str(key), KINDS))]
            return error["msg"], hints[0] if hints and not set(keys) & set(KINDS) else "Begin each with one of them"
        case "value_error":
            return str(error["ctx"]["error"]), "Write it like that"
        case "string_pattern_mismatch":
            return f"{error['input']!r} must match {error['ctx']['pattern']}", "Use small letters, digits and `_`"
        case _:
            said = _TIMEDELTA.sub(lambda found: _span(found[1] or "days", int(found[2])), str(error["msg"]))
            return said, "The words and their limits: `shared/scenarios/model.py`"


_TIMEDELTA = re.compile(r"datetime\.timedelta\((?:(days|seconds)=)?(\d+)\)")


def _span(unit: str, number: int) -> str:
    return format_duration(timedelta(**{unit: number}))


def _fields() -> set[str]:
    return {field.alias or name for part in Part.__subclasses__() for name, field in part.model_fields.items()}


def _dotted(path: Path_) -> str:
    return ".".join(map(str, path)) or "-"
