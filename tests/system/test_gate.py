"""What the webhook endpoint refuses: with a clear 4xx, never a 5xx, and nothing of it is kept."""

from __future__ import annotations

import base64
import json
import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import urllib3

from infra.demo import shopify
from infra.demo.settle import settle
from infra.demo.shopify import Buyer
from infra.demo.stage import Stage
from infra.demo.story import PRODUCTS, SHOP
from infra.local.lifecycle import LocalCloud
from shared.customers.identity import MAX_LINES
from shared.ingest.oversize import PREFIX
from tests.system.books import people_of, scan, table_of
from tests.system.conftest import OpenShop

AT = datetime.now(UTC) - timedelta(minutes=5)
BUYER = Buyer(9_001, "gate@example.jp", "見本", "門太郎")
HTTP = urllib3.PoolManager(retries=False, timeout=30)


@dataclass(frozen=True)
class Attempt:
    """One request, as someone might make it."""

    body: bytes
    headers: Mapping[str, str]
    url: str
    method: str = "POST"

    def answer(self) -> tuple[int, str]:
        """Status and message."""
        headers = {name: value for name, value in self.headers.items() if value}
        response = HTTP.request(self.method, self.url, body=self.body, headers=headers)
        return response.status, response.data.decode("utf-8", "replace")


@pytest.fixture(scope="module")
def shop(open_shop: OpenShop) -> Stage:
    return open_shop("gate")


def genuine(stage: Stage, body: bytes, webhook_id: str = "gate", topic: str = "checkouts/update") -> Attempt:
    """Signed with the connection's secret, over these very bytes."""
    headers = shopify.headers(topic, body, stage.endpoint.secret, shop=SHOP, webhook_id=webhook_id, at=AT)
    return Attempt(body, headers, stage.endpoint.url)


def checkout(token: str, **more: Any) -> bytes:
    return shopify.encode(shopify.checkout(token, BUYER, PRODUCTS[:1], AT, SHOP) | more)


def signed(body: bytes) -> Callable[[Stage], Attempt]:
    """These bytes with a genuine signature."""
    return lambda stage: genuine(stage, body)


def changed(**headers: str) -> Callable[[Stage], Attempt]:
    """A good request with other headers; an empty one is left out."""
    names = {name.replace("_", "-"): value for name, value in headers.items()}

    def make(stage: Stage) -> Attempt:
        good = genuine(stage, checkout("changed"))
        kept = {name: value for name, value in good.headers.items() if name.lower() not in names}
        return replace(good, headers=kept | names)

    return make


def elsewhere(path: str) -> Callable[[Stage], Attempt]:
    """A good request to another connection."""

    def make(stage: Stage) -> Attempt:
        good = genuine(stage, checkout("elsewhere"))
        return replace(good, url=good.url.rpartition("/")[0] + "/" + path)

    return make


def method(name: str) -> Callable[[Stage], Attempt]:
    return lambda stage: replace(genuine(stage, checkout("method")), method=name)


REFUSED: Mapping[str, tuple[Callable[[Stage], Attempt], set[int]]] = {
    "an empty body": (signed(b""), {400}),
    "a body cut off": (signed(checkout("cut")[:-40].decode(errors="ignore").encode()), {400}),
    "text that is no JSON": (signed("こんにちは".encode()), {400}),
    "a JSON list": (signed(b"[1, 2]"), {400}),
    "a JSON number": (signed(b"7"), {400}),
    "not a number": (signed(b'{"id": NaN}'), {400}),
    "a very deep JSON": (signed(b"[" * 200_000), {400}),
    "a number of half a million digits": (signed(b'{"id": ' + b"9" * 500_000 + b"}"), {400}),
    "a form instead of JSON": (signed(b"id=1&email=gate%40example.jp"), {400}),
    "an XML body": (signed(b"<?xml version='1.0'?><order/>"), {400}),
    "bytes that are no text": (signed(b"\xff\xfe\x00\x81" * 20), {400, 401}),
    "over 5 MB": (signed(checkout("large", note="x" * 5_200_000)), {413}),
    "over what the API takes": (signed(checkout("huge", note="x" * 10_600_000)), {413}),
    "no signature": (changed(x_shopify_hmac_sha256=""), {401}),
    "a signature of nonsense": (changed(x_shopify_hmac_sha256="日本語".encode().decode("latin-1")), {400, 401}),
    "a signature with another secret": (
        changed(x_shopify_hmac_sha256=base64.b64encode(b"0" * 32).decode()),
        {401},
    ),
    "another shop's name": (changed(x_shopify_shop_domain="someone-else.myshopify.com"), {401}),
    "no topic": (changed(x_shopify_topic=""), {400}),
    "a topic that is none": (changed(x_shopify_topic="orders create; drop table"), {400}),
    "an unknown connection": (elsewhere("a" * 26), {401}),
    "a connection id of nonsense": (elsewhere("..%2F..%2Fshops%2Fdefault"), {401, 404}),
    "a very long connection id": (elsewhere("a" * 4_000), {401, 404, 414}),
    "GET": (method("GET"), {404, 405}),
    "PUT": (method("PUT"), {404, 405}),
    "DELETE": (method("DELETE"), {404, 405}),
}


def kept(stage: Stage) -> dict[str, str]:
    """The shop's events. A row is written before the answer, so there is nothing to wait for."""
    return table_of(stage.deployment, "EventsTable", stage.shop.tenant)


@pytest.mark.parametrize("what", REFUSED)
def test_refused_with_a_clear_4xx_and_not_kept(shop: Stage, what: str) -> None:
    attempt, statuses = REFUSED[what]
    before = kept(shop)
    status, message = attempt(shop).answer()
    assert status in statuses, message
    if status in (400, 401, 413) and message.startswith("{"):
        assert json.loads(message)["message"]
    assert "Traceback" not in message
    assert kept(shop) == before


def test_the_same_request_without_the_fault_is_kept(shop: Stage) -> None:
    before = kept(shop)
    assert genuine(shop, checkout("good"), "good").answer()[0] == 200
    assert len(kept(shop)) == len(before) + 1


def test_a_body_sent_as_binary_is_read_as_it_was_signed(shop: Stage) -> None:
    """API Gateway hands bodies that are no text over in base64."""
    good = genuine(shop, checkout("binary", note="日本語"), "binary")
    sent = replace(good, headers={**good.headers, "Content-Type": "application/octet-stream"})
    assert sent.answer()[0] == 200


def test_an_unknown_topic_is_kept_for_later(shop: Stage) -> None:
    assert genuine(shop, b'{"id": 1}', "future", "products/exploded").answer()[0] == 200


def test_a_test_notification_is_answered_and_not_kept(shop: Stage) -> None:
    before = kept(shop)
    good = genuine(shop, checkout("test"), "test")
    assert replace(good, headers={**good.headers, "X-Shopify-Test": "true"}).answer()[0] == 200
    assert kept(shop) == before


def test_a_huge_header_is_no_error_of_ours(shop: Stage) -> None:
    """API Gateway refuses headers over 10 KB; the local one lets them through."""
    attempt = changed(x_padding="x" * 12_000)(shop)
    assert attempt.answer()[0] in (200, 400, 413, 431, 494)


def test_a_body_too_large_for_a_row_waits_in_the_bucket_and_is_folded_all_the_same(
    cloud: LocalCloud, shop: Stage
) -> None:
    noise = base64.b64encode(random.Random(5).randbytes(900_000)).decode()
    body = shopify.encode(
        shopify.checkout("oversize", replace(BUYER, number=9_002, email="oversize@example.jp"), PRODUCTS[:2], AT, SHOP)
        | {"note": noise}
    )
    assert genuine(shop, body, "oversize").answer()[0] == 200
    settle(cloud.emulator, executions=False)
    rows = [item for item in scan(shop.deployment, "EventsTable") if "pointer" in item]
    (row,) = [item for item in rows if item["pk"]["S"].startswith("gate#")]
    assert "raw" not in row
    key = row["pointer"]["S"]
    assert key.startswith(PREFIX)
    assert "oversize@" not in key
    head = shop.deployment.client("s3").head_object(Bucket=shop.deployment.outputs["WorkBucket"], Key=key)
    assert head["ContentLength"] > 350_000
    carts = {person.profile.email: person.carts for person in people_of(shop).values()}
    assert len(carts["oversize@example.jp"][0].lines) == 2


def test_a_cart_of_thousands_of_lines_is_known_all_the_same(cloud: LocalCloud, shop: Stage) -> None:
    items = [replace(PRODUCTS[0], number=n, title=f"{PRODUCTS[0].title} {n}" * 10) for n in range(4_000)]
    buyer = replace(BUYER, number=9_003, email="many-lines@example.jp")
    body = shopify.encode(shopify.checkout("lines", buyer, items, AT, SHOP))
    assert genuine(shop, body, "lines").answer()[0] == 200
    settle(cloud.emulator, executions=False)
    carts = {person.profile.email: person.carts for person in people_of(shop).values()}
    (cart,) = carts[buyer.email]
    assert cart.total == 4_000 * PRODUCTS[0].price
    assert len(cart.lines) == MAX_LINES
