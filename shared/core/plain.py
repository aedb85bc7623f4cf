"""Records as plain JSON values: for documents that leave the house."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from datetime import date, datetime
from enum import Enum
from typing import Any

from shared.core.clock import to_iso


def as_json(value: Any) -> Any:
    """Nothing is left out, nothing is renamed; times are ISO 8601, sets are sorted."""
    match value:
        case Enum():
            return value.value
        case datetime():
            return to_iso(value)
        case date():
            return value.isoformat()
        case Mapping():
            return {str(name): as_json(each) for name, each in value.items()}
        case str() | int() | float() | bool() | None:
            return value
        case frozenset() | set():
            return sorted(as_json(each) for each in value)
    if is_dataclass(value):
        return {each.name: as_json(getattr(value, each.name)) for each in fields(value)}
    return [as_json(each) for each in value]
