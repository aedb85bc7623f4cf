"""YAML that people write, with the line of everything in it: the document, or what is wrong and what to do about it.

Less than YAML: one document of lists, mappings and plain values, of a size that somebody can have written. No aliases
(a few lines would stand for millions) and no tags; `on`, `off`, `yes` and `no` are words, and so are 010 and 10:00; a
date is text until the model reads it.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import yaml

from shared.core.mistakes import InvalidFileError, Mistake

MAX_CHARACTERS = 200_000
MAX_DEPTH = 60

Path_ = tuple[str | int, ...]

_ELSE = "Look at the indentation and brackets; a text with `: ` or `#` in it needs quotes"
_HINTS = {
    r"'\t'": "Indent with spaces, not with tabs",
    "another document": "Write a file for each: one `---` is one too many",
    "expected ':'": "Write `name: value`, a space after the colon, in this line or the one above",
    "<block end>": "Begin what belongs together in the same column, and put a space after each `-`",
    "cannot start any token": "Put the text in quotes",
    "expected alphabetic": "Put the text in quotes",
    "expected URI": "Put the text in quotes",
    "aliases": "Write it out",
    "tags": "Write the value alone; a text that begins with `!` needs quotes",
    "nested": "Make it flatter",
}
"""Words of a parser's complaint → what to do."""
_FULL_WIDTH = re.compile("[：，、［］｛｝“”＂＃\u3000０-９]")
_TEXT_OR_COMMENT = re.compile(r"\"[^\"]*\"|'[^']*'|(?:^|\s)#.*")


class Lines:
    """Line of every value by its path."""

    def __init__(self, text: str) -> None:
        self._text = text.splitlines()
        self._found: dict[Path_, int] = {(): 1}

    def note(self, path: Path_, line: int) -> None:
        """Here it stands."""
        self._found[path] = line

    def at(self, path: Path_) -> int:
        """The line of a path, or of the nearest thing above it that exists."""
        while path not in self._found:
            path = path[:-1]
        return self._found[path]

    def known(self, path: Path_) -> bool:
        """Does it stand in the file?"""
        return path in self._found

    def full_width(self, *lines: int) -> str:
        """What to do where the first of these lines that has one has a sign in full width (全角記号)."""
        for line in lines:
            said = _TEXT_OR_COMMENT.sub("", self._text[line - 1]) if 0 < line <= len(self._text) else ""
            if found := _FULL_WIDTH.search(said):
                sign = "a space" if found[0].isspace() else repr(found[0])
                return f"{sign} in line {line} is full-width (全角): write it half-width"
        return ""


def read_utf8(path: Path) -> str:
    """The text of a file. Raises InvalidFileError for one in another encoding."""
    body = path.read_bytes()
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = body.count(b"\n", 0, error.start) + 1
        said = Mistake(path.name, line, "-", "is not UTF-8", "Save the file in UTF-8 (文字コード: UTF-8)")
        raise InvalidFileError([said]) from None


def read_lined(text: str, file: str) -> tuple[Lines, Any]:
    """The document of a text and its lines. Raises InvalidFileError."""
    if len(text) > MAX_CHARACTERS:
        said = f"is longer than {MAX_CHARACTERS:,} letters"
        raise InvalidFileError([Mistake(file, 1, "-", said, "Shorten it")])
    lines = Lines(text)
    try:
        loader = _Plain(text)
        node = loader.get_single_node()
        _note(node, (), lines, file)
        return lines, None if node is None else loader.construct_document(node)
    except yaml.MarkedYAMLError as error:
        line, problem = (error.problem_mark.line + 1 if error.problem_mark else 1), str(error.problem)
        hint = lines.full_width(line, line - 1) or next((_HINTS[word] for word in _HINTS if word in problem), _ELSE)
        raise InvalidFileError([Mistake(file, line, "-", f"not YAML: {problem}", hint)]) from None
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        reason = f"not YAML: no text has the character #x{error.character:04x}"
        raise InvalidFileError([Mistake(file, line, "-", reason, "Remove it, or write the line anew")]) from None


def dotted(path: Path_) -> str:
    """`steps.1.wait`."""
    return ".".join(map(str, path)) or "-"


_PLAIN_TAGS = ("null", "float", "str")


class _Plain(yaml.SafeLoader):
    """What is resolved to anything but a text is what YAML 1.2 does, and no more."""

    yaml_implicit_resolvers = {  # noqa: RUF012 - this is how PyYAML is told
        first: [(tag, pattern) for tag, pattern in resolvers if tag.endswith(_PLAIN_TAGS)]
        for first, resolvers in yaml.SafeLoader.yaml_implicit_resolvers.items()
    }
    _depth = 0

    def compose_node(self, parent: Any, index: Any) -> Any:
        """Refuses aliases, tags and what no person nests so deep."""
        event: Any = self.peek_event()  # type: ignore[no-untyped-call]
        if isinstance(event, yaml.AliasEvent):
            self._refuse(event, "aliases (*) are not read")
        if event.tag is not None:
            self._refuse(event, "tags (!) are not read")
        self._depth += 1
        if self._depth > MAX_DEPTH:
            self._refuse(event, f"nested more than {MAX_DEPTH} deep")
        node = super().compose_node(parent, index)
        self._depth -= 1
        return node

    def _refuse(self, event: Any, why: str) -> None:
        raise yaml.composer.ComposerError(None, None, why, event.start_mark)


_Plain.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"^(true|false)$"), list("tf"))
_Plain.add_implicit_resolver("tag:yaml.org,2002:int", re.compile(r"^[-+]?(0|[1-9][0-9]{0,14})$"), list("-+0123456789"))


def _note(node: yaml.Node | None, path: Path_, lines: Lines, file: str) -> None:
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            line, here = key.start_mark.line + 1, (*path, str(key.value))
            if not key.tag.endswith(":str"):
                said = Mistake(file, line, dotted(path), "has a name that is no word", "Put it in quotes, or remove it")
                raise InvalidFileError([said])
            if lines.known(here):
                raise InvalidFileError([Mistake(file, line, dotted(here), "is given twice", "Remove one of them")])
            lines.note(here, line)
            _note(value, here, lines, file)
    elif isinstance(node, yaml.SequenceNode):
        for number, value in enumerate(node.value):
            lines.note((*path, number), value.start_mark.line + 1)
            _note(value, (*path, number), lines, file)
