"""Whatever a body is turned into, it is read or refused: nothing else is ever raised."""

from __future__ import annotations

import copy
import json
import random
from collections.abc import Iterator
from typing import Any

import pytest

from shared.core.errors import RejectedError
from shared.ingest.adapter import Connection
from shared.ingest.model import Event
from shared.ingest.sources.shopify import ADAPTER
from tests.unit.ingest.conftest import NOW, Asks, Sample, samples

Path = tuple[str | int, ...]
MUTANTS_EACH = 150
HOSTILE: tuple[Any, ...] = (
    "", " ", "0", "-1", "1e400", "NaN", "x" * 5000, "\ud800", "\x00", "﷽" * 50, "gid://shopify/Order/1", "true",
    0, -1, 2**70, 10**400, 1.5, 1e300, True, False, None, [], {}, [None], [[]], {"": None},
    "2026-02-30T00:00:00Z", "0001-01-01T00:00:00+09:00", "9999-12-31T23:59:59-09:00", "2026-11-03", "19,800", "¥1",
)  # fmt: skip


def paths(value: Any, at: Path = ()) -> Iterator[Path]:
    """Every place in a body."""
    children: Any = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for key, child in children:
        yield (*at, key)
        yield from paths(child, (*at, key))


def turned(value: Any, rng: random.Random) -> Any:
    """The value as another JSON type would have it, or something hostile."""
    match value:
        case bool():
            other: Any = str(value).lower()
        case str():
            other = float(value) if value.replace(".", "", 1).isdigit() and len(value) < 300 else [value]
        case int() | float():
            other = str(value)
        case list():
            other = dict(enumerate(map(str, value)))
        case dict():
            other = list(value.values())
        case _:
            other = "null"
    return rng.choice((None, other, rng.choice(HOSTILE)))


def mutant(body: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """The body with one to three places dropped or turned."""
    changed = copy.deepcopy(body)
    for _ in range(rng.randint(1, 3)):
        *parents, key = rng.choice(list(paths(changed)) or [("id",)])
        place: Any = changed
        for parent in parents:
            place = place[parent]
        if rng.random() < 0.3 and isinstance(place, dict):
            place.pop(key, None)
        else:
            place[key] = turned(place.get(key) if isinstance(place, dict) else place[key], rng)
    return changed


def read(body: bytes, found: Sample, connection: Connection, ask: Asks) -> list[Event] | None:
    """The events, or None when refused; anything else fails the test."""
    try:
        envelopes = ADAPTER.envelopes(ask(found.topic, body), connection, NOW)
        return [event for envelope in envelopes for event in ADAPTER.events(envelope)]
    except RejectedError:
        return None


@pytest.mark.parametrize("found", samples(), ids=lambda found: found.name)
def test_a_mutated_body_is_read_or_refused(found: Sample, connection: Connection, ask: Asks) -> None:
    rng = random.Random(found.name)
    outcomes = []
    for _ in range(MUTANTS_EACH):
        events = read(json.dumps(mutant(found.body, rng)).encode(), found, connection, ask)
        outcomes.append(events)
        for event in events or ():
            assert Event.model_validate_json(event.model_dump_json()) == event
    assert any(events is not None for events in outcomes), "every mutant was refused: the reader is too strict"


@pytest.mark.parametrize("found", samples(), ids=lambda found: found.name)
def test_each_key_alone_may_be_missing_or_null(found: Sample, connection: Connection, ask: Asks) -> None:
    for key in found.body:
        rest = {name: value for name, value in found.body.items() if name != key}
        read(json.dumps(rest).encode(), found, connection, ask)
        read(json.dumps({**rest, key: None}).encode(), found, connection, ask)


def test_bytes_at_random_are_read_or_refused(connection: Connection, ask: Asks) -> None:
    rng = random.Random(2)
    for found in samples():
        raw = json.dumps(found.body, ensure_ascii=False).encode()
        for _ in range(40):
            broken = bytearray(raw)
            for _ in range(rng.randint(1, 4)):
                broken[rng.randrange(len(broken))] = rng.randrange(256)
            read(bytes(broken), found, connection, ask)


def test_a_refusal_never_quotes_the_body(connection: Connection, ask: Asks) -> None:
    found = next(sample for sample in samples() if sample.name == "orders-create")
    for key in ("total_price", "processed_at", "line_items", "customer", "currency", "id"):
        body = {**found.body, key: "hanako@example.com", "total_price_set": None, "admin_graphql_api_id": None}
        request = ask(found.topic, body)
        with pytest.raises(RejectedError) as refusal:
            [ADAPTER.events(envelope) for envelope in ADAPTER.envelopes(request, connection, NOW)]
        assert "hanako" not in str(refusal.value)
        assert refusal.value.__cause__ is None
