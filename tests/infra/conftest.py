"""The synthesised templates, and the functions in them."""

from __future__ import annotations

import ast
from pathlib import Path
from typing import Any

import pytest

from tests import stack
from tests.stack import Templates

ROOT = Path(__file__).parents[2]


@pytest.fixture(scope="session")
def assembly() -> Path:
    """The cloud assembly."""
    return stack.assembly()


@pytest.fixture(scope="session")
def templates() -> Templates:
    """Both templates as dictionaries."""
    return stack.templates()


def our_functions(templates: Templates) -> dict[str, dict[str, Any]]:
    """Properties of our Lambdas by file name (`ingest/receive_webhook`)."""
    found = {}
    for _, properties in templates.properties("AWS::Lambda::Function"):
        handler = properties.get("Handler", "")
        if isinstance(handler, str) and handler.startswith("functions."):
            found["/".join(handler.split(".")[1:-1])] = properties
    return found


def function_files() -> dict[str, Path]:
    """Every Lambda file by name."""
    files = (ROOT / "functions").glob("*/*.py")
    return {f"{f.parent.name}/{f.stem}": f for f in files if f.stem != "__init__"}


def settings_fields(file: Path) -> set[str]:
    """Field names of the `Settings` dataclass at the top of a Lambda file."""
    for node in ast.parse(file.read_text()).body:
        if isinstance(node, ast.ClassDef) and node.name == "Settings":
            return {
                item.target.id
                for item in node.body
                if isinstance(item, ast.AnnAssign) and isinstance(item.target, ast.Name)
            }
    return set()
