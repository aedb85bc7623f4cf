"""Every limit of reading a body: one below, at it, one above."""

from __future__ import annotations

import json
from datetime import timedelta

import pytest

from shared.core.errors import RejectedError
from shared.ingest import body as read
from shared.ingest import media
from shared.ingest.adapter import Request
from shared.ingest.prefectures import NAMES, prefecture
from shared.ingest.sources import shopify, square, stripe
from tests.contract.carts.carts import CARTS, NOW

STEPS = pytest.mark.parametrize("over", [-1, 0, 1])


@STEPS
def test_text_is_cut_at_its_length(over: int) -> None:
    given = "注" * (read.MAX_TEXT + over)
    assert read.text({"a": given}, "a") == given[: read.MAX_TEXT]


@STEPS
def test_a_mail_address_is_one_up_to_320_characters(over: int) -> None:
    given = "a" * (320 + over - len("@example.com")) + "@example.com"
    assert (read.email({"email": given}) is not None) == (over <= 0)


@STEPS
def test_pieces_are_counted_up_to_a_million(over: int) -> None:
    if over > 0:
        with pytest.raises(RejectedError, match="pieces"):
            read.count({"n": read.MAX_COUNT + over}, "n")
    else:
        assert read.count({"n": read.MAX_COUNT + over}, "n") == read.MAX_COUNT + over


@STEPS
def test_money_has_fifteen_digits_at_most(over: int) -> None:
    digits = "9" * (15 + over)
    if over > 0:
        with pytest.raises(RejectedError, match="money"):
            read.amount({"total": digits}, "total", "JPY")
    else:
        assert read.amount({"total": digits}, "total", "JPY") == int(digits)


@STEPS
def test_an_id_has_twenty_digits_at_most(over: int) -> None:
    digits = "9" * (20 + over)
    if over > 0:
        with pytest.raises(RejectedError, match="id"):
            read.identifier({"id": digits})
    else:
        assert read.identifier({"id": digits}) == digits


@STEPS
def test_a_campaign_code_has_a_hundred_characters_at_most(over: int) -> None:
    assert (media.code("x" * (100 + over)) is not None) == (over <= 0)


@STEPS
@pytest.mark.parametrize("end", [8, 64])
def test_a_delivery_id_of_shopify_is_taken_between_8_and_64_characters(end: int, over: int) -> None:
    cart, length = CARTS["shopify"], end + over
    sample = cart.samples()[0]
    request = cart.ask(sample.topic, sample.raw)
    given = Request({**request.headers, "x-shopify-webhook-id": "a" * length}, request.body)
    (envelope,) = shopify.ADAPTER.envelopes(given, cart.connection, NOW)
    assert (envelope.event_id == "a" * length) == (8 <= length <= 64)


@STEPS
def test_a_topic_of_shopify_has_a_hundred_characters_at_most(over: int) -> None:
    cart = CARTS["shopify"]
    request = cart.ask("t" * (100 + over), b"{}")
    if over > 0:
        with pytest.raises(RejectedError, match="Topic"):
            shopify.ADAPTER.envelopes(request, cart.connection, NOW)
    else:
        assert shopify.ADAPTER.envelopes(request, cart.connection, NOW)


@STEPS
def test_what_lies_further_ahead_than_a_day_is_not_believed(over: int) -> None:
    cart = CARTS["square"]
    at = NOW + read.CLOCK_TOLERANCE + timedelta(seconds=over)
    body = {**cart.samples()[0].body, "created_at": at.isoformat()}
    (envelope,) = square.ADAPTER.envelopes(cart.ask("", json.dumps(body).encode()), cart.connection, NOW)
    assert envelope.occurred_at == (at if over <= 0 else NOW)


@STEPS
def test_of_a_stripe_header_so_many_signatures_are_tried(over: int) -> None:
    wrong = ["v1=" + "0" * 64] * (stripe.MAX_SIGNATURES - 1 + over)
    right = CARTS["stripe"].ask("", b"{}").headers["stripe-signature"]
    time, signature, _ = right.split(",")
    request = Request({"stripe-signature": ",".join((time, *wrong, signature))}, b"{}")
    assert stripe.ADAPTER.verify(request, CARTS["stripe"].connection, NOW) is (over <= 0)


@pytest.mark.parametrize(
    ("number", "name"), [("0", None), ("1", NAMES[0]), ("47", NAMES[-1]), ("48", None), ("46", NAMES[-2])]
)
def test_prefectures_are_numbered_1_to_47(number: str, name: str | None) -> None:
    assert prefecture(number) == name


@pytest.mark.parametrize("written", ["JP-23", "JP23", "23", "Aichi", "aichi", "Aichi-ken", "愛知", "愛知県"])
def test_a_prefecture_has_one_name_however_it_is_written(written: str) -> None:
    assert prefecture(written) == "愛知県"
