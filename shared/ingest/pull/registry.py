"""Which carts have an API we read: a file in `vendors/` is one, and nothing else has to know."""

from __future__ import annotations

import pkgutil
from functools import cache

from shared.core.declared import declared
from shared.core.errors import MisconfiguredError
from shared.ingest.pull import vendors as _vendors
from shared.ingest.pull.model import Vendor


@cache
def vendors() -> tuple[str, ...]:
    """The sources that are polled, alphabetical."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(_vendors.__path__)))


@cache
def vendor(source: str) -> Vendor:
    """The API of a source."""
    if source not in vendors():
        raise MisconfiguredError(f"source {source!r} is not polled; those that are: {', '.join(vendors())}")
    found: Vendor = declared(f"{_vendors.__name__}.{source}", "VENDOR", "its class of shared.ingest.pull.model, made")
    return found
