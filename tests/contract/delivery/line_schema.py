"""LINE's published OpenAPI as JSON Schema: what a body must be, sub-types included."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

FILE = Path(__file__).parents[4] / "shared" / "payloads" / "schemas" / "line" / "messaging-api.yml"


@cache
def document() -> dict[str, Any]:
    """The OpenAPI document; skips, visibly, where it is not beside the repository."""
    if not FILE.exists():
        pytest.skip("LINE's OpenAPI is not beside the repository: the stand-in's shapes are not checked here")
    found: dict[str, Any] = yaml.safe_load(FILE.read_text("utf-8"))
    schemas = found["components"]["schemas"]
    for name, schema in list(schemas.items()):
        if mapping := schema.get("discriminator", {}).get("mapping"):
            _chosen_by_type(schemas, name, schema["discriminator"]["propertyName"], mapping)
    return found


def _chosen_by_type(schemas: dict[str, Any], name: str, by: str, mapping: dict[str, str]) -> None:
    """OpenAPI picks the sub-type by a word; JSON Schema does it with `if` and `then`. Each sub-type refers to the
    base, which therefore goes by another name.
    """
    base, whole = f"{name}.base", f"#/components/schemas/{name}"
    schemas[base] = schemas[name]
    for target in mapping.values():
        for part in schemas[target.rpartition("/")[2]].get("allOf", []):
            if part.get("$ref") == whole:
                part["$ref"] = f"#/components/schemas/{base}"
    chosen = [
        {"if": {"properties": {by: {"const": word}}, "required": [by]}, "then": {"$ref": target}}
        for word, target in mapping.items()
    ]
    known = {"properties": {by: {"enum": list(mapping)}}, "required": [by]}
    schemas[name] = {"allOf": [{"$ref": f"#/components/schemas/{base}"}, known, *chosen]}


def check(schema: str, body: object) -> None:
    """Raises jsonschema.ValidationError when `body` is none."""
    root = {"$ref": f"#/components/schemas/{schema}", "components": document()["components"]}
    jsonschema.Draft7Validator(root).validate(body)


def answers(method: str, path: str) -> dict[str, Any]:
    """Status → schema name of what LINE answers to a call; an example's schema where it gives one."""
    responses = document()["paths"][path][method]["responses"]
    found = {}
    for status, response in responses.items():
        schema = response.get("content", {}).get("application/json", {}).get("schema", {})
        if "$ref" in schema:
            found[status] = schema["$ref"].rpartition("/")[2]
    return found
