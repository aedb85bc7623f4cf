"""Settings of one Lambda: a frozen dataclass whose fields are exactly its environment variables."""

from __future__ import annotations

import os
from collections.abc import Mapping
from dataclasses import fields
from functools import cache
from typing import TYPE_CHECKING, TypeVar, get_type_hints

from shared.core.errors import MisconfiguredError

if TYPE_CHECKING:
    from _typeshed import DataclassInstance

S = TypeVar("S", bound="DataclassInstance")


def variable(field_name: str) -> str:
    """The environment variable of a settings field: `events_table` is `EVENTS_TABLE`."""
    return field_name.upper()


def load(settings: type[S], environ: Mapping[str, str] | None = None) -> S:
    """Build the settings from the environment; fields are `str` or `int`.

    Raises MisconfiguredError naming the variable that is missing or malformed.
    """
    source = os.environ if environ is None else environ
    hints = _types(settings)
    return settings(**{f.name: _read(source, variable(f.name), hints[f.name]) for f in fields(settings)})


_types = cache(get_type_hints)
"""Nearly all of the time of a load, which many functions do at every call."""


def _read(source: Mapping[str, str], name: str, kind: type) -> str | int:
    if name not in source:
        raise MisconfiguredError(f"environment variable {name} is missing")
    text = source[name]
    if kind is not int:
        return text
    try:
        return int(text)
    except ValueError:
        raise MisconfiguredError(f"environment variable {name} must be a whole number, got {text!r}") from None
