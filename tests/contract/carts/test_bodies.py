"""Every cart: whatever a body is turned into, it is read, always to the same result, or refused without quoting it."""

from __future__ import annotations

import copy
import json
import logging
import random
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.core.errors import RejectedError
from shared.core.ids import TenantId
from shared.ingest.adapter import Request
from shared.ingest.codec import event_json, event_of
from shared.ingest.connections import MemoryConnections
from shared.ingest.model import Event, EventType
from shared.ingest.oversize import MemoryOversize
from shared.ingest.receive import ReceiveDeps, receive_http
from shared.ingest.registry import adapter
from shared.ingest.store import MemoryEventStore
from tests.amount import amount
from tests.contract.carts.carts import NOW, Cart, Sample, carts, readable

Path = tuple[str | int, ...]
MUTANTS_EACH = amount(40, sample=15)
PLACES_EACH = 40
MARK = "hanako.mihon@example.com"
HOSTILE: tuple[Any, ...] = (
    "", " ", "0", "-1", "1e400", "NaN", "x" * 5000, "\ud800", "\x00", "﷽" * 50, "gid://shopify/Order/1", "true",
    0, -1, 2**70, 10**400, 1.5, 1e300, 1e-300, True, False, None, [], {}, [None], [[]], {"": None},
    "2026-02-30T00:00:00Z", "0001-01-01T00:00:00+09:00", "9999-12-31T23:59:59-09:00", "2026-11-03", "19,800", "¥1",
    "0000-00-00T00:00:00", "2026-11-03T03:00:00", "0.0000000000000000000001", 10**14, "cus_x", "../..", "a/b#c",
)  # fmt: skip
EVERY = [(cart, sample) for cart in readable() for sample in cart.samples()]
every_cart = pytest.mark.parametrize("cart", readable(), ids=lambda cart: cart.name)
every_posting_cart = pytest.mark.parametrize("cart", carts(), ids=lambda cart: cart.name)
every_sample = pytest.mark.parametrize(
    ("cart", "sample"), EVERY, ids=lambda value: value.name if isinstance(value, Cart | Sample) else ""
)


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
    return rng.choice((None, other, copy.deepcopy(rng.choice(HOSTILE))))


def place_of(body: Any, path: Path) -> Any:
    """What holds the last step of a path."""
    for step in path[:-1]:
        body = body[step]
    return body


def mutant(body: dict[str, Any], rng: random.Random) -> dict[str, Any]:
    """The body with one to three places dropped or turned."""
    changed = copy.deepcopy(body)
    for _ in range(rng.randint(1, 3)):
        path = rng.choice(list(paths(changed)) or [("id",)])
        place, key = place_of(changed, path), path[-1]
        if rng.random() < 0.3 and isinstance(place, dict):
            place.pop(key, None)
        else:
            place[key] = turned(place.get(key) if isinstance(place, dict) else place[key], rng)
    return changed


def read(cart: Cart, topic: str, raw: bytes) -> list[Event] | None:
    """The events, or None when refused; anything else fails the test."""
    refusal: RejectedError | None = None
    try:
        envelopes = cart.adapter.envelopes(cart.ask(topic, raw), cart.connection, NOW)
        return [event for envelope in envelopes for event in cart.adapter.events(envelope)]
    except RejectedError as error:
        refusal = error
    assert refusal.__cause__ is None
    return None


@every_sample
def test_a_sample_is_read_whole_and_always_to_the_same_result(cart: Cart, sample: Sample) -> None:
    request = cart.ask(sample.topic, sample.raw)
    (envelope,) = cart.adapter.envelopes(request, cart.connection, NOW) or (None,)
    if envelope is None:
        assert "test" in sample.name
        return
    assert cart.adapter.envelopes(request, cart.connection, NOW) == (envelope,)
    assert envelope.raw == sample.raw or not cart.whole
    assert (envelope.tenant, envelope.source, envelope.store) == (TenantId("sample"), cart.name, cart.store)
    assert envelope.subject.startswith(f"{cart.name}/{cart.store}/")
    assert "@" not in envelope.subject + envelope.event_id
    assert envelope.received_at == NOW >= envelope.occurred_at
    events = cart.adapter.events(envelope)
    assert events
    assert cart.adapter.events(replace(envelope)) == events
    assert len({event.event_id for event in events}) == len(events)
    for event in events:
        assert event.event_id.startswith(envelope.event_id)
        assert event_of(event_json(event)) == event


@every_cart
def test_a_delivery_repeated_at_once_is_the_same_row(cart: Cart) -> None:
    for sample in cart.samples():
        request = cart.ask(sample.topic, sample.raw)
        first, again = (
            cart.adapter.envelopes(request, cart.connection, NOW + timedelta(seconds=late)) for late in (0, 20)
        )
        assert [(e.subject, e.event_id) for e in first] == [(e.subject, e.event_id) for e in again]


@every_cart
def test_what_is_stored_reads_like_what_arrived(cart: Cart) -> None:
    store = MemoryEventStore(MemoryOversize())
    arrived = []
    for sample in cart.samples():
        for envelope in cart.adapter.envelopes(cart.ask(sample.topic, sample.raw), cart.connection, NOW):
            assert store.put_once(envelope), sample.name
            arrived.append(list(cart.adapter.events(envelope)))
    assert [list(adapter(kept.source).events(kept)) for kept in store.envelopes()] == arrived


@every_sample
def test_a_mutated_body_is_read_or_refused(cart: Cart, sample: Sample) -> None:
    rng = random.Random(sample.name)
    outcomes = []
    for _ in range(MUTANTS_EACH):
        events = read(cart, sample.topic, json.dumps(mutant(sample.body, rng)).encode())
        outcomes.append(events)
        for event in events or ():
            assert event_of(event_json(event)) == event
    # A thin notice is three words, each of which it needs.
    assert not cart.acts or any(outcome is not None for outcome in outcomes), "every mutant was refused: too strict"


def shape(topic: str, path: Path) -> tuple[str, ...]:
    """A place of a topic's bodies, whichever of the list it is in."""
    return (topic, *("[]" if isinstance(step, int) else step for step in path))


@every_cart
def test_each_place_alone_may_be_missing_null_or_no_text_at_all(cart: Cart) -> None:
    tried: set[tuple[str, ...]] = set()
    for sample in cart.samples():
        places = {shape(sample.topic, path): path for path in paths(sample.body)}
        for path in (path for where, path in places.items() if where not in tried):
            missing = copy.deepcopy(sample.body)
            del place_of(missing, path)[path[-1]]
            read(cart, sample.topic, json.dumps(missing).encode())
            for value in (None, "\ud800"):
                body = copy.deepcopy(sample.body)
                place_of(body, path)[path[-1]] = value
                read(cart, sample.topic, json.dumps(body).encode())
        tried |= set(places)


@every_cart
def test_bytes_at_random_are_read_or_refused(cart: Cart) -> None:
    rng = random.Random(2)
    for sample in cart.samples():
        for _ in range(30):
            broken = bytearray(sample.raw)
            for _ in range(rng.randint(1, 4)):
                broken[rng.randrange(len(broken))] = rng.randrange(256)
            read(cart, sample.topic, bytes(broken))


@every_cart
def test_a_topic_nobody_has_heard_of_is_kept_unread(cart: Cart) -> None:
    unheard = cart.samples()[0]
    words = {"type": "something.new", "event": "something_new", "entity": "something", "NotificationType": "NEW"}
    named = {name: word for name, word in words.items() if name in unheard.body}
    body = {**unheard.body, **named}
    if not cart.whole:
        body["events"] = [{**each, "type": "somethingNew"} for each in body["events"]]
    events = read(cart, "something.new", json.dumps(body).encode())
    assert [event.event_type for event in events or ()] == [EventType.UNKNOWN]


@every_posting_cart
def test_no_body_shows_in_a_refusal_a_log_or_a_repr(
    cart: Cart, capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    deps = ReceiveDeps(MemoryConnections(cart.connection), MemoryEventStore(MemoryOversize()))
    rng = random.Random(3)
    statuses, quoted = set(), set()
    for sample in cart.samples():
        places = list(paths(sample.body))
        for path in rng.sample(places, min(len(places), PLACES_EACH)):
            body = copy.deepcopy(sample.body)
            place_of(body, path)[path[-1]] = MARK
            request = cart.ask(sample.topic, json.dumps(body).encode())
            answer = receive_http(http_event(request, cart.connection.connection_id), deps, NOW)
            statuses.add(answer["statusCode"])
            shown = answer["body"] + repr(request)
            try:
                for envelope in cart.adapter.envelopes(request, cart.connection, NOW):
                    shown += repr(envelope)
                    cart.adapter.events(envelope)
            except RejectedError as refusal:
                shown += str(refusal)
            if MARK in shown:
                quoted.add((sample.name, path))
    assert statuses == ({200, 400} if cart.acts else {400})
    assert not quoted, "an address put there shows in an answer, a refusal or the envelope's repr (its topic, its ids)"
    assert MARK not in caplog.text + "".join(capsys.readouterr())


def http_event(request: Request, connection_id: str) -> dict[str, Any]:
    """The request as API Gateway hands it over (payload 2.0)."""
    return {
        "headers": dict(request.headers),
        "pathParameters": {"connection": connection_id},
        "body": request.body.decode(),
        "isBase64Encoded": False,
    }
