"""What a file must say of itself to be found: a registry reads it, and whoever left it out is told what to write."""

from __future__ import annotations

from importlib import import_module
from typing import Any

from shared.core.errors import MisconfiguredError


def declared(module: str, name: str, shape: str) -> Any:
    """What a module calls `name`. Raises MisconfiguredError with the line that is missing, in the given shape."""
    found = getattr(import_module(module), name, None)
    if found is None:
        raise MisconfiguredError(f"{module} is found by its folder and must say what it is: {name} = {shape}")
    return found
