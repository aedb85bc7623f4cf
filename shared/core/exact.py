"""JSON and back for dataclasses (pydantic), exact to the type: an instant comes back as the UTC one it was."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from pydantic import TypeAdapter
from pydantic_core import SchemaValidator


def exact(kind: Any) -> TypeAdapter[Any]:
    """Reads and writes values of a type; every instant it reads is aware and in `datetime.UTC`."""
    adapter: TypeAdapter[Any] = TypeAdapter(kind)
    adapter.validator = SchemaValidator(_in_utc(adapter.core_schema))
    return adapter


def _in_utc(schema: Any) -> Any:
    # pydantic's own zone for "Z" is equal to UTC but prints otherwise, and what is ordered by its text must not differ.
    if isinstance(schema, list | tuple):
        return type(schema)(map(_in_utc, schema))
    if not isinstance(schema, dict):
        return schema
    if schema.get("type") == "datetime":
        return {"type": "function-after", "function": {"type": "no-info", "function": _utc}, "schema": schema}
    return {name: _in_utc(value) for name, value in schema.items()}


def _utc(at: datetime) -> datetime:
    if at.tzinfo is None:
        raise ValueError("a time needs an offset or Z")
    return at.astimezone(UTC)
