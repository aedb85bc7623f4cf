"""The webhook intake under mutated bodies and mutated signatures, over every cart that posts.

A sample on every run, 100,000 of each with `MATAKITE_FULL=1` (40 seconds).

No answer is a 5xx, nothing is believed that no live secret signed, no body is quoted in an answer or a log line, and no
request is slow. `MATAKITE_FUZZ_SEED` repeats a run; the seed is printed.
"""

from __future__ import annotations

import base64
import gzip
import json
import logging
import os
import random
import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import Any

import pytest

from shared.core.errors import RejectedError
from shared.core.telemetry import logger
from shared.ingest.adapter import Connection, Request
from shared.ingest.connections import MemoryConnections
from shared.ingest.model import Envelope
from shared.ingest.receive import MAX_BODY_BYTES, ReceiveDeps, receive_http
from tests.amount import FULL, amount
from tests.contract.carts.carts import CARTS, NOW, SECRET, Cart, carts

BODIES = SIGNATURES = amount(100_000, sample=7_000)
P99_SECONDS = 0.050
"""Of the thread's own time: nothing here waits, and who else works on this machine must not decide."""
READ_EVERY = 4
"""Of the deliveries that were kept, every n-th is also read."""
SEED = int(os.environ.get("MATAKITE_FUZZ_SEED", str(time.time_ns() % 2**32) if FULL else "20261121"))
MARKS = ("hanako.fuzz@example.com", "090-7777-0000", "フアズ花子")
"""Planted in every body: whoever quotes one of them quotes a body."""
PLANT = json.dumps({"planted": list(MARKS)}, ensure_ascii=False).encode()[1:-1]

TOKENS = (
    b"null", b"true", b"NaN", b"-Infinity", b"1e999999", b"-0", b"0.1", b"9" * 40, b'""', b"[]", b"{}", b'"\\ud800"',
    b'"2026-02-30T00:00:00Z"', b'"0"', b"[[[[", b'{"a":{"a":', b"\xff\xfe", b"\xef\xbb\xbf", b"\x00", b"// x", b"'x'",
    '"﷽﷽"'.encode(), '"注文"'.encode("cp932"), b'"id":1,"id":2', b'"' + b"x" * 2000 + b'"', b",", b"}", b"]", b'"',
)  # fmt: skip
"""What is put somewhere into a body."""
BOMB = gzip.compress(b"\x00" * 5_000_000)
WHOLE = (
    b"", b" ", b"null", b"[]", b'"text"', b"{}", b"[" * 3000, b'{"a":' * 3000, b'{"id":' + b"9" * 5000 + b"}",
    b'{"id":NaN}', BOMB, '{"id": "注"}'.encode("cp932"), '{"id":1}'.encode("utf-16"), b"webhook_id=1", b"webhook_id=x",
    b'{"id":1,"id":{"id":2}}', b"eyJzZXNzaW9uIjoxfQ==", b"{" + b'"k":1,' * 2000 + b'"k":1}',
)  # fmt: skip
"""Bodies that are none."""
GIVEN = (
    "", " ", "=", "AAAA", "x" * 9000, "日本語", "\udce9", "\x00", "t=1,v1=", "v1=,t=", "t=\u0663,v1=x", ",",
    "t=1,t=1,v1=x", "sha256=", "a,b", "0" * 64, "A" * 43 + "=",
)  # fmt: skip
"""Signatures that are none."""


class KeptIds:
    """Keeps ids only, so that a hundred thousand bodies need no memory; every n-th envelope is looked at."""

    def __init__(self) -> None:
        self.ids: set[tuple[str, str]] = set()
        self.last: list[Envelope] = []

    def put_once(self, envelope: Envelope) -> bool:
        """Keep a delivery; False when it is already there."""
        key = (envelope.subject, envelope.event_id)
        fresh = key not in self.ids
        self.ids.add(key)
        self.last.append(envelope)
        return fresh


@dataclass
class Intake:
    """The intake of one cart, and what came of every request."""

    cart: Cart
    connection: Connection
    store: KeptIds = field(default_factory=KeptIds)
    statuses: Counter[int] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    shown: set[str] = field(default_factory=set)
    read: int = 0

    def __post_init__(self) -> None:
        self._deps = ReceiveDeps(MemoryConnections(self.connection), self.store)

    def send(self, request: Request, encoded: bool) -> int:
        """Hand a request over as API Gateway does; answers the status."""
        event = http_event(request, self.connection.connection_id, encoded=encoded)
        began = time.thread_time()
        answer = receive_http(event, self._deps, NOW)
        self.seconds.append(time.thread_time() - began)
        status: int = answer["statusCode"]
        self.statuses[status] += 1
        self.shown.add(answer["body"])
        self._read()
        return status

    def _read(self) -> None:
        kept, self.store.last = self.store.last, []
        for envelope in kept:
            self.read += 1
            if self.read % READ_EVERY == 0:
                try:
                    self.cart.adapter.events(envelope)
                except RejectedError as refusal:
                    self.shown.add(str(refusal))


def http_event(request: Request, connection_id: str, *, encoded: bool = True) -> dict[str, Any]:
    """The request as API Gateway hands it over (payload 2.0): base64 where the body is no text."""
    text = None if encoded else _text(request.body)
    return {
        "headers": dict(request.headers),
        "pathParameters": {"connection": connection_id},
        "body": base64.b64encode(request.body).decode() if text is None else text,
        "isBase64Encoded": text is None,
    }


def _text(body: bytes) -> str | None:
    try:
        return body.decode()
    except UnicodeDecodeError:
        return None


@dataclass(frozen=True)
class Genuine:
    """A body with the marks in it, and the headers it was really sent with."""

    topic: str
    raw: bytes
    headers: Mapping[str, str]


def genuine(cart: Cart) -> list[Genuine]:
    """Every sample of a cart, signed as the cart signs it."""
    made = []
    for sample in cart.samples():
        raw = sample.raw.rstrip()
        planted = raw[:-1] + b"," + PLANT + b"}" if raw != b"{}" else b"{" + PLANT + b"}"
        made.append(Genuine(sample.topic, planted, dict(cart.ask(sample.topic, planted).headers)))
    return made


def mutated(raw: bytes, rng: random.Random) -> bytes:
    """The body changed in one to three places, or something that is no body at all."""
    if rng.random() < 0.02:
        return rng.choice(WHOLE)
    body = bytearray(raw)
    for _ in range(rng.randint(1, 3)):
        at = rng.randrange(len(body)) if body else 0
        match rng.randrange(6):
            case 0 if body:
                body[at] ^= 1 << rng.randrange(8)
            case 1:
                del body[at : at + rng.randint(1, 30)]
            case 2:
                body[at:at] = rng.choice(TOKENS)
            case 3:
                value = body.find(b": ", at)
                end = min((cut for cut in (body.find(b",", value), body.find(b"}", value)) if cut > 0), default=0)
                if 0 < value < end:
                    body[value + 2 : end] = rng.choice(TOKENS)
            case 4:
                body[at : at + 20] = body[rng.randrange(len(body) or 1) :][:20]
            case _:
                body = body[:at] if rng.random() < 0.3 else body
    return bytes(body)


def forged(given: str, rng: random.Random) -> str:
    """A signature header that is not the one given."""
    if not given or rng.random() < 0.2:
        return rng.choice(GIVEN)
    end = given.index(",v0=") if ",v0=" in given else len(given)
    at = rng.randrange(end)
    match rng.randrange(5):
        case 0:
            return given[:at] + chr(rng.choice((rng.randrange(33, 127), rng.randrange(128, 0x3000)))) + given[at:]
        case 1:
            return given[:at] + rng.choice(sorted(set("ABab01+/=-") - {given[at]})) + given[at + 1 :]
        case 2:
            return given[:at]
        case 3:
            return given[::-1] if given != given[::-1] else "x"
        case _:
            return given + rng.choice(("A", " ", ",", "=", "\u3000"))


def is_the_same(cart: Cart, forged_header: str, given: str) -> bool:
    """Does a changed header still hold the one genuine signature? Then it is no forgery (Stripe reads a list)."""
    if cart.name != "stripe":
        return forged_header == given
    parts = [part.strip() for part in forged_header.split(",")]
    time_and_signature = [part for part in given.split(",") if not part.startswith("v0=")]
    times = [part for part in parts if part.startswith("t=")]
    return times == time_and_signature[:1] and time_and_signature[1] in parts


@pytest.fixture
def logged() -> Iterator[Callable[[], str]]:
    """Everything that was logged, as text; kept small, for two hundred thousand refusals are many lines."""
    seen: set[str] = set()

    class Keep(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            extra = {name: value for name, value in vars(record).items() if name not in _STANDARD}
            seen.add(f"{record.getMessage()} {sorted(extra.items())} {record.exc_info}")

    # Made first: it brings a handler of its own, whose two hundred thousand lines nobody would read.
    logger("ingest")
    handler, log = Keep(), logging.getLogger("ingest")
    before = (log.handlers[:], log.propagate)
    log.handlers[:], log.propagate = [handler], False
    yield lambda: "\n".join(seen)
    log.handlers[:], log.propagate = before


_STANDARD = frozenset(vars(logging.makeLogRecord({}))) | {"message", "asctime", "taskName"}


def shares(total: int) -> list[tuple[Cart, int]]:
    """How many each cart gets."""
    every = carts()
    return [(cart, total // len(every) + (n < total % len(every))) for n, cart in enumerate(every)]


def report(what: str, intakes: list[Intake]) -> float:
    """Prints what came of a run; the 99th percentile in seconds."""
    seconds = sorted(second for intake in intakes for second in intake.seconds)
    p99 = seconds[len(seconds) * 99 // 100]
    print(
        f"\n{what}: seed {SEED}, {len(seconds):,} requests, p50 {seconds[len(seconds) // 2] * 1e6:.0f} µs, "
        f"p99 {p99 * 1e6:.0f} µs, most {seconds[-1] * 1e3:.1f} ms; "
        + ", ".join(f"{intake.cart.name} {dict(sorted(intake.statuses.items()))}" for intake in intakes)
    )
    return p99


def test_mutated_bodies(logged: Callable[[], str]) -> None:
    """Half with the signature of the genuine body (401), half signed anew, so that the reader has to cope."""
    rng, intakes = random.Random(SEED), []
    for cart, count in shares(BODIES):
        intake, known = Intake(cart, cart.connection), genuine(cart)
        for number in range(count):
            one = known[number % len(known)]
            raw = mutated(one.raw, rng)
            headers = one.headers
            resigned = number % 2 == 0
            if resigned:
                headers = cart.ask(one.topic, raw).headers
            status = intake.send(Request(headers, raw), encoded=number % 3 == 0)
            believed = resigned or raw == one.raw
            assert status in ((200, 400) if believed else (401,)), (SEED, cart.name, number, status)
        intakes.append(intake)
    assert sum(len(intake.seconds) for intake in intakes) == BODIES
    assert report("bodies", intakes) < P99_SECONDS
    assert all(intake.statuses[200] and intake.statuses[401] for intake in intakes)
    assert_no_body_is_shown(intakes, logged())


def test_mutated_signatures(logged: Callable[[], str]) -> None:
    """The body is genuine, the header is not: nothing of it is ever kept."""
    rng, intakes = random.Random(SEED + 1), []
    for cart, count in shares(SIGNATURES):
        intake, known = Intake(cart, cart.connection), genuine(cart)
        for number in range(count):
            one = known[number % len(known)]
            given = one.headers[cart.header]
            header = forged(given, rng)
            if is_the_same(cart, header, given):
                header = "x"
            status = intake.send(Request({**one.headers, cart.header: header}, one.raw), encoded=number % 3 == 0)
            assert status == 401, (SEED, cart.name, number, status)
        assert not intake.store.ids
        intakes.append(intake)
    assert sum(len(intake.seconds) for intake in intakes) == SIGNATURES
    assert report("signatures", intakes) < P99_SECONDS
    assert_no_body_is_shown(intakes, logged())


def assert_no_body_is_shown(intakes: list[Intake], log: str) -> None:
    shown = "\n".join(text for intake in intakes for text in intake.shown) + log
    assert log, "the log was not captured"
    assert not [mark for mark in (*MARKS, SECRET) if mark in shown]
    assert not [mark for mark in MARKS if json.dumps(mark)[1:-1] in shown]


every_cart = pytest.mark.parametrize("cart", carts(), ids=lambda cart: cart.name)


@every_cart
def test_a_base64_flag_that_lies_is_refused(cart: Cart) -> None:
    for one in genuine(cart)[:5]:
        intake = Intake(cart, cart.connection)
        event = http_event(Request(one.headers, one.raw), cart.connection.connection_id)
        deps = ReceiveDeps(MemoryConnections(cart.connection), intake.store)
        for body, flag in ((event["body"], False), (one.raw.decode(), True), ("\u6ce8", True), ("AAA", True)):
            answer = receive_http({**event, "body": body, "isBase64Encoded": flag}, deps, NOW)
            assert answer["statusCode"] in (400, 401)
        assert not intake.store.ids


@every_cart
def test_headers_given_twice_empty_long_or_in_capitals(cart: Cart) -> None:
    one = genuine(cart)[0]
    given = one.headers[cart.header]
    intake = Intake(cart, cart.connection)
    # HTTP API joins a header that was sent twice with a comma; Stripe's own list may hold a signature twice.
    for header in (f"{given},{given}x", f"x,{given}", f"{given}, {given}", "", " ", given + "\n", given * 200):
        if not is_the_same(cart, header, given):
            assert intake.send(Request({**one.headers, cart.header: header}, one.raw), encoded=False) == 401, header
    upper = {name.upper(): value for name, value in one.headers.items()}
    assert intake.send(Request(upper, one.raw), encoded=False) == 200


@every_cart
def test_a_rotation_takes_old_both_and_new(cart: Cart) -> None:
    one = genuine(cart)[0]
    fresh = replace(cart.connection, secret="fresh-secret-0000")
    live = replace(fresh, previous_secret=SECRET, previous_until=NOW + timedelta(hours=1))
    over = replace(live, previous_until=NOW)
    old, new = cart.ask(one.topic, one.raw), cart.ask(one.topic, one.raw, fresh)
    for connection, request, status in (
        (cart.connection, old, 200), (cart.connection, new, 401), (live, old, 200), (live, new, 200),
        (over, old, 401), (over, new, 200),
    ):  # fmt: skip
        assert Intake(cart, connection).send(request, encoded=False) == status


@every_cart
def test_the_cross_connection_replay_is_refused(cart: Cart) -> None:
    """A body captured at one connection, sent with its own signature to another one of the same cart."""
    for one in genuine(cart):
        captured = cart.ask(one.topic, one.raw, cart.other)
        assert Intake(cart, cart.other).send(captured, encoded=False) in (200, 400)
        intake = Intake(cart, cart.connection)
        assert intake.send(captured, encoded=False) == 401
        assert not intake.store.ids


def test_the_cookie_signature_replay_is_refused() -> None:
    """Shopify signs a browser's cookie with the same client secret: its value must not pass as a webhook."""
    cart = CARTS["shopify"]
    cookie = base64.b64encode(b'{"shop":"victim.myshopify.com"}')
    for topic in ("app/uninstalled", "shop/redact", "customers/redact", "orders/create"):
        intake = Intake(cart, cart.connection)
        assert intake.send(cart.ask(topic, cookie), encoded=False) == 400
        assert intake.send(cart.ask(topic, b'"' + cookie + b'"'), encoded=True) == 400
        assert not intake.store.ids


@every_cart
@pytest.mark.parametrize(("over", "status"), [(-1, 200), (0, 200), (1, 413)])
def test_a_body_of_the_largest_size_and_one_more(cart: Cart, over: int, status: int) -> None:
    one = genuine(cart)[0]
    room = MAX_BODY_BYTES + over - len(one.raw)
    raw = one.raw + b" " * room
    assert len(raw) == MAX_BODY_BYTES + over
    assert Intake(cart, cart.connection).send(cart.ask(one.topic, raw), encoded=True) == status
