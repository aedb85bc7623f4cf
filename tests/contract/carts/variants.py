"""Bodies as other shops and other API versions send them: each with what it must come to. Every person is invented."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import reduce
from typing import Any

from shared.ingest.codec import event_json, event_of
from shared.ingest.model import Event, EventType
from tests.contract.carts.carts import NOW, Cart

Body = dict[str, Any]
Says = tuple[EventType, Mapping[str, Any]]
"""An event: its type, and what must be where (`total`, `lines.0.title`, `person.email`, `event.occurred_at`)."""


@dataclass(frozen=True)
class Variant:
    """One body, the topic it comes with, and every event it must come to."""

    what: str
    topic: str
    body: Body | list[Any]
    says: tuple[Says, ...]

    def __str__(self) -> str:
        return self.what


def at(event: Event, path: str) -> Any:
    """What is at a path of the event's facts (or of the `person`, or the `event`)."""
    first, _, rest = path.partition(".")
    root: Any = {"person": event.person, "event": event}.get(first)
    steps = (rest if root is not None else path).split(".")
    return reduce(_step, steps, event.facts if root is None else root)


def _step(value: Any, step: str) -> Any:
    if step == "len":
        return len(value)
    if step.isdigit():
        return value[int(step)]
    return value.get(step) if isinstance(value, Mapping) else getattr(value, step)


def check(cart: Cart, variant: Variant) -> None:
    """The body is read to exactly these events, always the same, and survives being stored as JSON."""
    raw = json.dumps(variant.body, ensure_ascii=False).encode()
    envelopes = cart.adapter.envelopes(cart.ask(variant.topic, raw), cart.connection, NOW)
    events = [event for envelope in envelopes for event in cart.adapter.events(envelope)]
    assert [event.event_type for event in events] == [said for said, _ in variant.says]
    for event, (_, expected) in zip(events, variant.says, strict=True):
        assert {path: at(event, path) for path in expected} == expected
        assert event_of(event_json(event)) == event
