"""The way out of a mail that was really sent: what shows, what acts, and what is refused."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

import pytest
import urllib3

from infra.demo import verify
from infra.demo.settle import settle
from infra.demo.story import Role
from shared.core.ids import CustomerId
from shared.customers.model import ConsentStatus
from shared.customers.store import CustomerStore
from tests.system.books import Books, books_of
from tests.system.conftest import Played

HTTP = urllib3.PoolManager(retries=False, timeout=30)
FORM = {"List-Unsubscribe": "One-Click"}
JAPANESE = re.compile(r"[぀-ヿ一-鿿]")


@dataclass(frozen=True)
class Reader:
    """Somebody who got mails and has not unsubscribed."""

    customer: CustomerId
    link: str


@pytest.fixture(scope="module")
def readers(played: Played) -> Iterator[Reader]:
    """Those who only abandoned their carts, each once."""
    tenant = played.stage.shop.tenant
    mails = {verify.recipient(mail): mail for mail in verify.outbox(played.cloud.emulator, tenant)}

    def everyone() -> Iterator[Reader]:
        for shopper in played.day.by_role(Role.ABANDONS):
            mail = mails[shopper.buyer.email or ""]
            headers = {header["name"].lower(): header["value"] for header in mail["headers"]}
            link = re.search(r"<(https?://[^>]+)>", headers["list-unsubscribe"])
            assert link
            yield Reader(CustomerId(mail["tags"]["customer"]), link[1])

    return everyone()


@pytest.fixture
def reader(readers: Iterator[Reader]) -> Reader:
    return next(readers)


def status(played: Played, reader: Reader) -> ConsentStatus:
    """What the gate would read now: strongly consistent, and without waiting for any stream."""
    deployment = played.stage.deployment
    store = CustomerStore(deployment.outputs["CustomersTable"], deployment.client("dynamodb"))
    person = store.person(played.stage.shop.tenant, reader.customer)
    assert person
    (consent,) = [each for each in person.consents if each.channel == "email"]
    return consent.status


def books(played: Played) -> Books:
    return books_of(played.stage, played.cloud.emulator)


@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_looking_changes_nothing(played: Played, reader: Reader, method: str) -> None:
    before = books(played)
    answer = HTTP.request(method, reader.link)
    assert answer.status == 200
    assert answer.headers["cache-control"] == "no-store"
    assert bool(JAPANESE.search(answer.data.decode())) == (method == "GET")
    assert books(played) == before
    assert status(played, reader) is ConsentStatus.OPT_IN


@pytest.mark.parametrize("multipart", [False, True])
def test_one_post_opts_out_before_it_is_answered(played: Played, reader: Reader, multipart: bool) -> None:
    assert status(played, reader) is ConsentStatus.OPT_IN
    answer = HTTP.request_encode_body("POST", reader.link, fields=FORM, encode_multipart=multipart)
    assert answer.status == 200
    assert status(played, reader) is ConsentStatus.OPT_OUT
    settle(played.cloud.emulator, executions=False)
    after = books(played)
    again = HTTP.request_encode_body("POST", reader.link, fields=FORM, encode_multipart=multipart)
    assert again.status == 200
    settle(played.cloud.emulator, executions=False)
    assert books(played) == after, "the second time is the same as the first"


def test_the_button_of_the_page_opts_out_too(played: Played, reader: Reader) -> None:
    page = HTTP.request("GET", reader.link).data.decode()
    fields = dict(re.findall(r'<input[^>]*name="([^"]+)"[^>]*value="([^"]+)"', page))
    assert re.search(r'<form[^>]*method="post"', page, re.IGNORECASE)
    answer = HTTP.request_encode_body("POST", reader.link, fields=fields, encode_multipart=False)
    assert answer.status == 200
    assert status(played, reader) is ConsentStatus.OPT_OUT


@pytest.mark.parametrize("what", ["last letter", "payload", "no token at all", "a webhook's signature"])
def test_a_forged_link_is_refused_and_changes_nothing(played: Played, reader: Reader, what: str) -> None:
    base, _, token = reader.link.rpartition("/")
    version, kid, payload, mac = token.split(".")
    forged = {
        "last letter": f"{version}.{kid}.{payload}.{'A' if mac[0] != 'A' else 'B'}{mac[1:]}",
        "payload": f"{version}.{kid}.{payload[:-4]}AAAA.{mac}",
        "no token at all": "x",
        "a webhook's signature": f"{version}.{kid}.{payload}.{'0' * 22}",
    }[what]
    before = books(played)
    for method in ("GET", "POST"):
        answer = HTTP.request_encode_body(method, f"{base}/{forged}", fields=FORM, encode_multipart=False)
        assert answer.status == 400
        assert JAPANESE.search(answer.data.decode())
    assert books(played) == before
    assert status(played, reader) is ConsentStatus.OPT_IN


def test_a_post_that_does_not_ask_to_stop_changes_nothing(played: Played, reader: Reader) -> None:
    before = books(played)
    for body in (b"", b"List-Unsubscribe=Two-Clicks", b"\xff\xfe", b"x" * 20_000):
        answer = HTTP.request(
            "POST", reader.link, body=body, headers={"Content-Type": "application/x-www-form-urlencoded"}
        )
        assert answer.status == 400
    assert books(played) == before
    assert status(played, reader) is ConsentStatus.OPT_IN


def test_whoever_unsubscribed_during_the_day_got_nothing_after(played: Played) -> None:
    got = [verify.recipient(m) for m in verify.outbox(played.cloud.emulator, played.stage.shop.tenant)]
    left = played.day.by_role(Role.UNSUBSCRIBES_AFTER_FIRST_MAIL)
    assert left
    assert [got.count(shopper.buyer.email or "") for shopper in left] == [1] * len(left)
