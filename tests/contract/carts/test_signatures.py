"""Every cart: a request is believed when, and only when, a live secret of this very connection signed its bytes."""

from __future__ import annotations

import base64
import random
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.core.errors import RejectedError
from shared.ingest.adapter import Request
from shared.ingest.receive import request_of
from shared.ingest.registry import sources
from tests.amount import amount
from tests.contract.carts.carts import CARTS, NOW, SECRET, Cart, carts, pushing, readable

MUTANTS = amount(2_000, sample=500)
every_cart = pytest.mark.parametrize("cart", carts(), ids=lambda cart: cart.name)


def asked(cart: Cart) -> Request:
    """A genuine request."""
    sample = cart.samples()[0]
    return cart.ask(sample.topic, sample.raw)


def believed(cart: Cart, request: Request) -> bool:
    return cart.adapter.verify(request, cart.connection, NOW)


def test_every_cart_of_the_registry_is_in_this_suite_and_has_samples() -> None:
    missing = set(pushing()) - set(CARTS)
    assert not missing, f"say in tests/contract/carts/carts.py how {missing} signs: one Cart(…) in CARTS"
    gone = set(CARTS) - set(sources())
    assert not gone, f"CARTS describes {gone}, and no file in shared/ingest/sources is called so"
    bare = {f"tests/samples/{cart.folder or cart.name}" for cart in readable() if len(cart.samples()) <= 5}
    assert not bare, f"six bodies at least, odd ones among them, <topic>[@what is special].json, in {bare}"


def test_what_comes_through_a_queue_is_never_believed_over_http() -> None:
    for cart in readable():
        if cart.name not in pushing():
            sample = cart.samples()[0]
            assert not cart.adapter.verify(cart.ask(sample.topic, sample.raw), cart.connection, NOW)


@every_cart
def test_what_the_cart_signed_is_genuine(cart: Cart) -> None:
    for sample in cart.samples():
        assert believed(cart, cart.ask(sample.topic, sample.raw)), sample.name


@every_cart
def test_another_secret_is_refused(cart: Cart) -> None:
    for secret in (SECRET + "x", SECRET[:-1], SECRET.upper(), "x"):
        sample = cart.samples()[0]
        assert not believed(cart, cart.ask(sample.topic, sample.raw, replace(cart.connection, secret=secret)))


@every_cart
def test_a_missing_signature_is_refused(cart: Cart) -> None:
    request = asked(cart)
    rest = {name: value for name, value in request.headers.items() if name != cart.header}
    assert not believed(cart, Request(rest, request.body))
    assert not believed(cart, Request({}, request.body))


@every_cart
@pytest.mark.parametrize("given", ["", " ", "x" * 10_000, "日本語", "\udce9", "AAAA,BBBB", "t=1,v1=", "=", "t=٣,v1=x"])
def test_nonsense_for_a_signature_is_refused(cart: Cart, given: str) -> None:
    request = asked(cart)
    assert not believed(cart, Request({**request.headers, cart.header: given}, request.body))


@every_cart
def test_thousands_of_mutants_and_none_is_believed(cart: Cart) -> None:
    rng = random.Random(1)
    request = asked(cart)
    for _ in range(MUTANTS):
        body, given = bytearray(request.body), request.headers[cart.header]
        match rng.randrange(5):
            case 0:
                body[rng.randrange(len(body))] ^= 1 << rng.randrange(8)
            case 1:
                del body[rng.randrange(len(body))]
            case 2:
                body.insert(rng.randrange(len(body) + 1), rng.randrange(256))
            case 3:
                given = _changed(given, rng, cart)
            case _:
                given = given[: rng.randrange(given.index("v1=") + 60 if "v1=" in given else len(given))]
        mutant = Request({**request.headers, cart.header: given}, bytes(body))
        assert not believed(cart, mutant), mutant


def _changed(given: str, rng: random.Random, cart: Cart) -> str:
    """The signature with one character replaced: where it counts, for Stripe sends one of an old scheme too."""
    end = given.index(",v0=") if ",v0=" in given else len(given)
    at = rng.randrange(end)
    return given[:at] + rng.choice(sorted(set("ABCDabcd0123+/=") - {given[at]})) + given[at + 1 :]


@every_cart
def test_the_body_of_another_connection_is_refused(cart: Cart) -> None:
    sample = cart.samples()[0]
    replayed = cart.ask(sample.topic, sample.raw, cart.other)
    assert cart.adapter.verify(replayed, cart.other, NOW)
    assert not believed(cart, replayed)
    assert not cart.adapter.verify(asked(cart), cart.other, NOW)


@every_cart
def test_an_empty_secret_believes_nobody(cart: Cart) -> None:
    nothing = replace(cart.connection, secret="")
    sample = cart.samples()[0]
    assert not cart.adapter.verify(cart.ask(sample.topic, sample.raw, nothing), nothing, NOW)
    late = replace(nothing, previous_secret="", previous_until=NOW + timedelta(days=1))
    assert not cart.adapter.verify(cart.ask(sample.topic, sample.raw, nothing), late, NOW)


@every_cart
def test_during_a_rotation_both_secrets_are_live_and_afterwards_one(cart: Cart) -> None:
    sample = cart.samples()[0]
    fresh = replace(cart.connection, secret="new-secret")
    rotating = replace(fresh, previous_secret=SECRET, previous_until=NOW)
    for at, old_is_live in ((NOW - timedelta(seconds=1), True), (NOW, False)):
        old = cart.ask(sample.topic, sample.raw, now=at)
        new = cart.ask(sample.topic, sample.raw, fresh, now=at)
        assert cart.adapter.verify(new, rotating, at)
        assert cart.adapter.verify(old, rotating, at) is old_is_live
        assert not cart.adapter.verify(old, replace(rotating, previous_until=None), at)


@every_cart
@pytest.mark.parametrize("encoded", [False, True])
def test_header_names_in_capitals_and_base64_are_what_the_gateway_may_make_of_it(cart: Cart, encoded: bool) -> None:
    request = asked(cart)
    event = {
        "headers": {name.upper(): value for name, value in request.headers.items()},
        "body": base64.b64encode(request.body).decode() if encoded else request.body.decode(),
        "isBase64Encoded": encoded,
    }
    assert believed(cart, request_of(event))


@every_cart
def test_an_empty_body_can_be_genuine_and_is_refused_with_the_reason(cart: Cart) -> None:
    request = cart.ask(cart.samples()[0].topic, b"")
    assert believed(cart, request)
    with pytest.raises(RejectedError, match="JSON"):
        cart.adapter.envelopes(request, cart.connection, NOW)


@every_cart
def test_bodies_that_are_no_text_are_signed_all_the_same(cart: Cart) -> None:
    for raw in (bytes(range(256)), "注文 髙﨑 ｶﾅ 𠮷".encode(), "注文".encode("cp932"), b'{"id":">id<"}'):
        assert believed(cart, cart.ask("order.created", raw))
