"""The SQL of a file, and its named parameters, bound as typed literals.

Common table expressions that several queries stand on are written once, in a file of their own; a line `--> rows.sql`
(`--> ../horizons.sql,` where others follow) stands for them.

Athena's own parameters are positional and allowed in WHERE only, so an as-of day in a CASE could not be one. A value
here is a day, an instant, a whole number or a text; anything else is refused, and a text cannot leave its quotes.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, date, datetime
from functools import cache
from pathlib import Path

Value = date | datetime | int | str

_TOKENS = re.compile(
    r"""
    (?P<keep> '(?:[^']|'')*' | "(?:[^"]|"")*" | --[^\n]* | /\*.*?\*/ )   # text, quoted names, comments: untouched
  | (?<![:\w]) : (?P<name>[a-z][a-z0-9_]*)
    """,
    re.VERBOSE | re.DOTALL,
)

_STANDS_FOR = re.compile(r"^--> ([\w./]+)(,?)$", re.MULTILINE)


@cache
def read(path: Path) -> str:
    """The unbound SQL of a file, with what its `-->` lines stand for."""
    return _STANDS_FOR.sub(lambda found: read(path.parent / found[1]) + found[2], path.read_text("utf-8").strip())


def literal(value: Value) -> str:
    """A value as an Athena literal. Raises TypeError for anything but a day, an instant, a whole number or a text."""
    if isinstance(value, bool):
        raise TypeError(f"not a parameter type: {type(value).__name__}")
    if isinstance(value, datetime):
        if value.tzinfo is None:
            raise TypeError("a time without its zone is no instant")
        return f"TIMESTAMP '{value.astimezone(UTC):%Y-%m-%d %H:%M:%S}.{value.microsecond // 1000:03d}'"
    if isinstance(value, date):
        return f"DATE '{value.isoformat()}'"
    if isinstance(value, int):
        return str(value)
    if isinstance(value, str):
        return "'" + value.replace("'", "''") + "'"
    raise TypeError(f"not a parameter type: {type(value).__name__}")


def parameter_names(sql: str) -> set[str]:
    """The named parameters a query uses."""
    return {found["name"] for found in _TOKENS.finditer(sql) if found["name"]}


def bind(sql: str, parameters: Mapping[str, Value]) -> str:
    """The query with every `:name` replaced by its literal. Raises KeyError for a name without a value."""

    def replaced(found: re.Match[str]) -> str:
        return literal(parameters[found["name"]]) if found["name"] else found[0]

    return _TOKENS.sub(replaced, sql)


def unload(query: str, location: str) -> str:
    """Write a query's rows as zstd Parquet below an (empty) S3 location. The location is ours, never a user's text."""
    return f"UNLOAD (\n{query}\n) TO {literal(location)} WITH (format = 'PARQUET', compression = 'ZSTD')"
