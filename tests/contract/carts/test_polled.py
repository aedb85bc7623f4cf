"""Polled carts: their records keep every promise of the carts that push (mutants, repetition, convergence)."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from dataclasses import replace
from functools import cache

import pytest

from shared.core.errors import RejectedError
from shared.customers.reference import fold_all
from shared.ingest.adapter import Connection, Request
from shared.ingest.model import Event
from shared.ingest.polled import FEED
from shared.ingest.pull.registry import vendors
from tests.contract.carts import test_bodies as bodies
from tests.contract.carts import test_convergence as convergence
from tests.contract.carts.carts import CARTS, NOW, SAMPLES, Cart, Headers, Sample


def _feed(_connection: Connection, topic: str, _raw: bytes, _now: object) -> Headers:
    return {FEED: topic}


class Objects(Cart):
    """What is read back from a cart whose webhooks only name things."""

    def samples(self) -> list[Sample]:
        """Every sample object of this cart."""
        files = sorted((SAMPLES / self.name / "objects").glob("*.json"))
        return [Sample(file.stem, file.stem.partition("@")[0], json.loads(file.read_text())) for file in files]


POLLED = {
    cart.name: cart
    for cart in (
        Cart("colorme", "pa00000001", "x-appstore-signature", _feed, {"store": "pa00000002"}),
        Cart("base", "mihon.base.example.jp", "", _feed, {"store": "other.base.example.jp"}),
        Cart("stores", "mihon.stores.example.jp", "", _feed, {"store": "other.stores.example.jp"}),
        Objects("eccube", "ec.example.jp", "x-eccube-signature", _feed, {"store": "other.example.jp"}),
    )
}
EVERY = [(cart, sample) for cart in POLLED.values() for sample in cart.samples()]
every_cart = pytest.mark.parametrize("cart", POLLED.values(), ids=lambda cart: cart.name)
every_sample = pytest.mark.parametrize(
    ("cart", "sample"), EVERY, ids=lambda value: value.name if isinstance(value, Cart | Sample) else ""
)


def test_every_vendor_that_is_polled_is_in_one_of_the_suites() -> None:
    assert set(vendors()) <= set(POLLED) | set(CARTS)
    assert all(len(cart.samples()) > 5 for cart in POLLED.values())


@every_sample
def test_a_record_is_read_whole_and_always_to_the_same_result(cart: Cart, sample: Sample) -> None:
    bodies.test_a_sample_is_read_whole_and_always_to_the_same_result(cart, sample)


@every_cart
def test_a_record_read_again_is_the_same_row_and_reads_as_it_arrived(cart: Cart) -> None:
    bodies.test_a_delivery_repeated_at_once_is_the_same_row(cart)
    bodies.test_what_is_stored_reads_like_what_arrived(cart)


@every_sample
def test_a_mutated_record_is_read_or_refused(cart: Cart, sample: Sample) -> None:
    # What is gone is told by its id alone, so every mutant of it is refused.
    bodies.test_a_mutated_body_is_read_or_refused(replace(cart, acts=len(sample.body) > 1), sample)
    for path in bodies.paths(sample.body):
        for value in (None, "\ud800"):
            changed = json.loads(sample.raw)
            bodies.place_of(changed, path)[path[-1]] = value
            bodies.read(cart, sample.topic, json.dumps(changed).encode())


@every_cart
def test_bytes_at_random_are_read_or_refused(cart: Cart) -> None:
    bodies.test_bytes_at_random_are_read_or_refused(cart)


@every_cart
def test_nothing_posted_from_outside_is_believed(cart: Cart) -> None:
    for sample in cart.samples():
        assert not cart.adapter.verify(cart.ask(sample.topic, sample.raw), cart.connection, NOW)
        assert not cart.adapter.verify(Request({}, sample.raw), replace(cart.connection, secret=""), NOW)


@cache
def told(cart: str) -> tuple[Event, ...]:
    """Everything the samples of a cart say."""
    return tuple(event for sample in POLLED[cart].samples() for event in POLLED[cart].read(sample))


def shuffled(events: Sequence[Event], seed: int) -> list[Event]:
    rng = random.Random(seed)
    return convergence.shuffled(rng.sample(events, min(len(events), 12)), rng)


@every_cart
@pytest.mark.parametrize("seed", range(20))
def test_any_order_and_repetition_gives_the_state_of_the_set(cart: Cart, seed: int) -> None:
    arriving = shuffled(told(cart.name), seed)
    once = list({event.event_id: event for event in arriving}.values())
    assert convergence.people(arriving) == fold_all(once, convergence.KEYS, convergence.SHOP)


@every_cart
def test_no_record_shows_in_a_refusal(cart: Cart) -> None:
    for sample in cart.samples():
        for path in list(bodies.paths(sample.body))[:40]:
            marked = json.loads(sample.raw)
            bodies.place_of(marked, path)[path[-1]] = [bodies.MARK]
            assert bodies.MARK not in refusal(cart, sample.topic, json.dumps(marked).encode())


def refusal(cart: Cart, topic: str, raw: bytes) -> str:
    """What is said when a record is refused; "" when it is read."""
    try:
        for envelope in cart.adapter.envelopes(cart.ask(topic, raw), cart.connection, NOW):
            cart.adapter.events(envelope)
    except RejectedError as error:
        return str(error) + repr(error)
    return ""
