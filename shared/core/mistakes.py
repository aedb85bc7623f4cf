"""What is wrong in a file that somebody wrote: where, why, and what they may have meant."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path

from shared.core.errors import RejectedError

SHOWN = 20
"""Mistakes of a file that are told at once: a screen."""


@dataclass(frozen=True, slots=True)
class Mistake:
    """One thing wrong in a file."""

    file: str
    line: int
    field: str
    reason: str
    suggestion: str = ""

    def __str__(self) -> str:
        """`cart.yaml:12: steps.1.wait: …. Did you mean …?`"""
        hint = f". {self.suggestion}" if self.suggestion else ""
        return f"{self.file}:{self.line}: {self.field}: {self.reason}{hint}"


class InvalidFileError(RejectedError):
    """A file that is refused; `mistakes` lists everything wrong with it, each once, from the top."""

    def __init__(self, mistakes: Iterable[Mistake]) -> None:
        self.mistakes = sorted(set(mistakes), key=lambda each: (each.file, each.line, each.field))
        more = len(self.mistakes) - SHOWN
        rest = [f"… and {more} more: mend these first"] if more > 0 else []
        super().__init__("\n".join([*map(str, self.mistakes[:SHOWN]), *rest]))


def nearest(word: str, words: Iterable[str]) -> str:
    """A suggestion for a misspelt word; empty where none is near."""
    found = get_close_matches(word, list(words), n=1)
    return f"Did you mean {str(found[0])!r}?" if found else ""


def line_of(word: str, file: Path) -> int:
    """The line on which a word first stands in a file; the first where it does not."""
    lines = file.read_text("utf-8").splitlines()
    return next((number for number, text in enumerate(lines, 1) if word in text), 1)
