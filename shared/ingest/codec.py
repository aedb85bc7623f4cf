"""Events and facts as JSON and back, exact: for imports, the lake and tests. Not needed to receive a webhook."""

from __future__ import annotations

import json
from functools import cache
from typing import Annotated, Any

from pydantic import Field, TypeAdapter

from shared.core.exact import exact
from shared.ingest.model import Event, Facts


@cache
def _events() -> TypeAdapter[Event]:
    return exact(Event)


@cache
def _facts() -> TypeAdapter[Facts]:
    return exact(Annotated[Facts, Field(discriminator="kind")])


def event_json(event: Event) -> str:
    """One line of JSON that `event_of` reads back to an equal event."""
    return _events().dump_json(event, exclude_none=True).decode()


def event_of(line: str | bytes) -> Event:
    """The event of a line. Raises ValueError when it is none."""
    return _events().validate_json(line)


def facts_document(facts: Facts) -> dict[str, Any]:
    """Facts as plain JSON values, without empty fields."""
    document: dict[str, Any] = _facts().dump_python(facts, mode="json", exclude_none=True)
    return document


def facts_json(facts: Facts) -> str:
    """Facts as one line of JSON."""
    return json.dumps(facts_document(facts), ensure_ascii=False, separators=(",", ":"))


def facts_of(document: str | bytes) -> Facts:
    """The facts of a JSON document. Raises ValueError when it is none."""
    return _facts().validate_json(document)
