"""`matakite connection` and carts' APIs: keys are stored, checked and never shown."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import cast

import pytest

from infra.cli import cart_api
from infra.cli.cart_api import Key, freshness, problems, said_of, with_key
from infra.cli.session import Deployment
from shared.core.errors import RejectedError
from shared.ingest.connections import ConnectionBook, new_connection
from shared.ingest.pull.model import Health
from shared.ingest.pull.poll import Tally
from tests.unit.ingest.test_connection_command import Deployed, deployed, run

__all__ = ["deployed"]
NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)


@pytest.mark.parametrize("cart", ["colorme", "stores"])
def test_a_polled_cart_keeps_its_token_and_shows_none(deployed: Deployed, cart: str) -> None:
    shown = run(
        "add", cart, "--store", "PA00000001", "--token", "key-of-the-api", "--api-url", "http://127.0.0.1:9/v1/"
    )
    made = deployed.only()
    assert (made.source, made.token, made.api_url) == (cart, "key-of-the-api", "http://127.0.0.1:9/v1")
    assert made.connection_id in shown
    assert "key-of-the-api" not in shown + run("list")


def test_base_needs_what_a_renewal_needs(deployed: Deployed) -> None:
    with pytest.raises(RejectedError, match="--client-id and --client-secret"):
        run("add", "base", "--store", "mihon.base.example.jp", "--refresh-token", "r")
    assert deployed.ssm.values == {}
    run("add", "base", "--store", "mihon", "--refresh-token", "r", "--client-id", "c", "--client-secret", "s")
    made = deployed.only()
    assert (made.refresh_token, made.client_id, made.client_secret) == ("r", "c", "s")
    assert "r'" not in repr(made)


def test_eccube_gets_a_url_and_a_secret_and_may_get_its_key_later(deployed: Deployed) -> None:
    shown = run("add", "eccube", "--store", "ec.example.jp")
    made = deployed.only()
    assert f"https://api.example.com/v1/hooks/{made.connection_id}" in shown
    assert made.secret in shown
    assert "no API key yet" in shown
    assert "key" in run("list")
    run("authorize", made.connection_id, "--token", "t", "--every", "60")
    assert (deployed.only().token, deployed.only().poll_minutes, deployed.only().secret) == ("t", 60, made.secret)


def test_a_cart_with_webhooks_is_given_a_key_for_its_reconciling_poll(deployed: Deployed) -> None:
    run("add", "square", "--store", "MSAMPLE00000A", "--secret", "given")
    run("authorize", deployed.only().connection_id, "--token", "t", "--locations", "L1,L2")
    assert (deployed.only().token, deployed.only().locations) == ("t", "L1,L2")
    run("authorize", deployed.only().connection_id, "--every", "30")
    assert (deployed.only().token, deployed.only().poll_minutes) == ("t", 30), "what is not given stays"


@pytest.mark.parametrize("address", ["api.example.com", "ftp://api.example.com", "http://api.example.com", "https://"])
def test_an_address_that_would_send_the_key_in_clear_is_refused(address: str) -> None:
    with pytest.raises(RejectedError, match="https://"):
        with_key(new_connection("sample", "colorme", "pa1"), Key(token="t", api_url=address))


def test_what_could_not_work_is_refused() -> None:
    with pytest.raises(RejectedError, match="no API that is polled"):
        with_key(new_connection("sample", "page", "store.example.jp"), Key(token="t"))
    with pytest.raises(RejectedError, match="5 minutes to a day"):
        with_key(new_connection("sample", "colorme", "pa1"), Key(token="t", every=1))
    with pytest.raises(RejectedError, match="authorize"):
        cart_api.poll_now(cast("Deployment", Deployed()), new_connection("sample", "colorme", "pa1"), NOW)


def test_freshness_in_words() -> None:
    colorme = new_connection("sample", "colorme", "pa1")
    known = replace(colorme, token="t")
    assert freshness(new_connection("sample", "page", "x1"), Health(), NOW) == "–"
    assert freshness(colorme, Health(), NOW) == "no API key"
    assert freshness(known, Health(), NOW) == "never"
    for age, words in ((timedelta(minutes=3), "3 min"), (timedelta(hours=5), "5 h"), (timedelta(days=4), "4 days")):
        assert freshness(known, Health(polled_at=NOW - age), NOW) == f"{words} ago"
    assert problems(Health(problem="down", webhook_problem="switched off")) == "switched off / down"


def test_what_a_poll_did_in_a_line() -> None:
    assert said_of(Tally(skipped=True)) == "another poll of this connection is under way"
    line = said_of(Tally(changes=3, pages=2, repaired=1, unreadable=1, problem="429"))
    assert line == "3 changes on 2 pages, 1 of them never told by a webhook, 1 could not be read; stopped: 429"


def test_the_book_keeps_every_field_of_a_key(deployed: Deployed) -> None:
    key = Key("t", "r", "c", "s", "https://example.jp/back", "https://api.example.com", "L1", 45)
    made = with_key(new_connection("sample", "base", "mihon"), key)
    book = ConnectionBook(deployed.ssm, deployed.prefix)
    book.save(made)
    assert book.load(made.connection_id) == made
