"""A request is believed when, and only when, a live secret of this very store signed its raw bytes."""

from __future__ import annotations

import random
from dataclasses import replace
from datetime import timedelta

import pytest

from shared.ingest.adapter import Connection, Request
from shared.ingest.sources.shopify import ADAPTER, signature
from tests.amount import amount
from tests.unit.ingest.conftest import NOW, SECRET, STORE, Asks, sample, sign

HMAC = "x-shopify-hmac-sha256"


def test_the_vector_shopify_publishes() -> None:
    assert signature("test_secret_key", b'{"foo": "bar"}') == b"B23tXN681gZ0qIWNRrgtzBE9XSDo5yaUu6wfmhu3a7g="


def test_a_signed_body_is_genuine(connection: Connection, ask: Asks) -> None:
    assert ADAPTER.verify(ask("orders/create", sample("orders-create").body), connection, NOW)


@pytest.mark.parametrize(
    "given", ["", "x" * 10_000, "日本語", "AAAA,BBBB", "\udce9", " ", "B23tXN681gZ0qIWNRrgtzBE9XSDo5yaUu6wfmhu3a7g="]
)
def test_another_signature_is_refused(connection: Connection, ask: Asks, given: str) -> None:
    assert not ADAPTER.verify(ask("orders/create", b"{}", headers={HMAC: given}), connection, NOW)


def test_a_missing_signature_is_refused(connection: Connection) -> None:
    assert not ADAPTER.verify(Request({"x-shopify-shop-domain": STORE}, b"{}"), connection, NOW)


def test_an_empty_body_can_be_genuine(connection: Connection, ask: Asks) -> None:
    assert ADAPTER.verify(ask("orders/create", b""), connection, NOW)


def test_a_connection_without_a_secret_believes_nobody(connection: Connection, ask: Asks) -> None:
    request = ask("orders/create", b"{}", secret="")
    assert not ADAPTER.verify(request, replace(connection, secret=""), NOW)


def test_during_a_rotation_both_secrets_are_live_and_afterwards_one(connection: Connection, ask: Asks) -> None:
    rotating = replace(connection, secret="new", previous_secret=SECRET, previous_until=NOW)
    old, new = ask("orders/create", b"{}"), ask("orders/create", b"{}", secret="new")
    before, after = NOW - timedelta(seconds=1), NOW
    assert ADAPTER.verify(old, rotating, before)
    assert ADAPTER.verify(new, rotating, before)
    assert ADAPTER.verify(new, rotating, after)
    assert not ADAPTER.verify(old, rotating, after)
    assert not ADAPTER.verify(old, replace(rotating, previous_until=None), before)


def test_a_body_of_another_store_of_the_same_app_is_refused(connection: Connection, ask: Asks) -> None:
    replayed = ask("orders/create", b"{}", headers={"x-shopify-shop-domain": "other.myshopify.com"})
    unnamed = Request({HMAC: sign(SECRET, b"{}")}, b"{}")
    assert not ADAPTER.verify(replayed, connection, NOW)
    assert not ADAPTER.verify(unnamed, connection, NOW)


def test_the_store_is_compared_without_case(connection: Connection, ask: Asks) -> None:
    assert ADAPTER.verify(
        ask("orders/create", b"{}", headers={"x-shopify-shop-domain": STORE.upper()}), connection, NOW
    )


def test_the_events_preview_is_verified_by_its_own_header_names(connection: Connection) -> None:
    body = b'{"topic":"Order","action":"update","data":{"order":null}}'
    headers = {"shopify-hmac-sha256": sign(SECRET, body), "shopify-shop-domain": STORE, "shopify-topic": "Order"}
    assert ADAPTER.verify(Request(headers, body), connection, NOW)
    assert not ADAPTER.verify(Request({**headers, "shopify-hmac-sha256": "no"}, body), connection, NOW)
    assert ADAPTER.envelopes(Request(headers, body), connection, NOW) == ()


def test_no_mutant_is_believed(connection: Connection, ask: Asks) -> None:
    """A sample; 10,000 with `MATAKITE_FULL=1`."""
    rng = random.Random(1)
    good = ask("orders/create", sample("customers_email_marketing_consent-update").body)
    assert ADAPTER.verify(good, connection, NOW)
    for _ in range(amount(10_000, sample=2_000)):
        mutant = _mutant(good, rng)
        assert not ADAPTER.verify(mutant, connection, NOW), mutant


def _mutant(good: Request, rng: random.Random) -> Request:
    body, given = bytearray(good.body), good.headers[HMAC]
    match rng.randrange(6):
        case 0:
            body[rng.randrange(len(body))] ^= 1 << rng.randrange(8)
        case 1:
            del body[rng.randrange(len(body))]
        case 2:
            body.insert(rng.randrange(len(body) + 1), rng.randrange(256))
        case 3:
            at = rng.randrange(len(given))
            given = given[:at] + rng.choice(sorted(set("ABCDabcd0123+/= ") - {given[at]})) + given[at + 1 :]
        case 4:
            given = given[: rng.randrange(len(given))]
        case _:
            given = sign(SECRET + rng.choice("abc "), bytes(body))
    return Request({**good.headers, HMAC: given}, bytes(body))
