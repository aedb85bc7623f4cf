"""Which sources exist: a file or folder in `sources/` is a source, and nothing else has to know."""

from __future__ import annotations

import pkgutil
from collections.abc import Callable, Sequence
from functools import cache
from importlib import import_module

from shared.core.declared import declared
from shared.core.errors import MisconfiguredError
from shared.ingest import sources as _sources
from shared.ingest.adapter import About, Adapter
from shared.ingest.model import Envelope, Event


@cache
def sources() -> tuple[str, ...]:
    """The names of every source, alphabetical."""
    return tuple(sorted(module.name for module in pkgutil.iter_modules(_sources.__path__)))


@cache
def adapter(source: str) -> Adapter:
    """The adapter of a source; only that one file is imported."""
    if source not in sources():
        raise MisconfiguredError(f"no adapter for source {source!r}; known: {', '.join(sources())}")
    found: Adapter = declared(f"{_sources.__name__}.{source}", "ADAPTER", "its class of shared.ingest.adapter, made")
    return found


def about(source: str) -> About:
    """What a source gives and does not give, in its own words."""
    adapter(source)
    found: About = declared(f"{_sources.__name__}.{source}", "ABOUT", "About(…), its row of the connector matrix")
    return found


def is_thin(envelope: Envelope) -> bool:
    """Does a delivery only name a thing, which must be read at its source? A source with such says `is_thin`."""
    adapter(envelope.source)
    says: Callable[[Envelope], bool] | None = getattr(
        import_module(f"{_sources.__name__}.{envelope.source}"), "is_thin", None
    )
    return says is not None and says(envelope)


def events_of(envelope: Envelope) -> Sequence[Event]:
    """What an envelope says, in our words, as its source's adapter reads it today.

    Raises RejectedError for a body that cannot be read (yet): it stays in the events table.
    """
    return adapter(envelope.source).events(envelope)
