"""Carts' APIs read by the deployed functions, from vendors' servers on this machine."""

from __future__ import annotations

import hashlib
import hmac
import json
import secrets
import time
from collections.abc import Iterator
from typing import Any

import pytest
import urllib3

from infra.cli import cart_api
from infra.demo.settle import settle, wait_until
from infra.demo.stage import Stage
from infra.local.lifecycle import LocalCloud
from infra.local.process import internal
from shared.core.clock import SystemClock, to_iso
from shared.ingest.adapter import Connection
from shared.ingest.connections import ConnectionBook, new_connection
from shared.ingest.pull.model import Health
from tests.contract.pull.conftest import sample
from tests.contract.pull.servers import ColorMe, EcCube, serving
from tests.system.conftest import OpenShop, fire_schedule

HTTP = urllib3.PoolManager(retries=False, timeout=30)
LARGE = secrets.token_hex(400_000)
"""A shop's own note that does not compress below what a row holds."""
PATIENCE = 60
"""Seconds, until it is a failure."""


@pytest.fixture(scope="module")
def shop(open_shop: OpenShop) -> Iterator[Stage]:
    """Its carts leave with the module, as their servers do: a tick would ask them for the rest of the suite."""
    stage = open_shop("polls")
    before = {each.connection_id for each in book_of(stage).all()}
    yield stage
    for each in book_of(stage).all():
        if each.tenant == stage.shop.tenant and each.connection_id not in before:
            book_of(stage).remove(each.connection_id)


def book_of(stage: Stage) -> ConnectionBook:
    return ConnectionBook(stage.deployment.client("ssm"), stage.deployment.prefix)


@pytest.fixture(scope="module")
def colorme() -> Iterator[tuple[ColorMe, str]]:
    api = ColorMe()
    with serving(api) as url:
        yield api, f"{url}/v1"


@pytest.fixture(scope="module")
def eccube() -> Iterator[tuple[EcCube, str]]:
    api = EcCube()
    with serving(api) as url:
        yield api, url


def connected(shop: Stage, source: str, store: str, key: cart_api.Key) -> Connection:
    """A connection with the key of the vendor's API."""
    made = cart_api.with_key(new_connection(shop.shop.tenant, source, store), key)
    book_of(shop).save(made)
    return made


def orders(shop: Stage, source: str) -> dict[str, dict[str, Any]]:
    """The order rows of the shop in the customers table: order → its body."""
    pages = (
        shop.deployment.client("dynamodb")
        .get_paginator("scan")
        .paginate(
            TableName=shop.deployment.outputs["CustomersTable"],
            FilterExpression="begins_with(pk, :pk) AND begins_with(sk, :sk)",
            ExpressionAttributeValues={":pk": {"S": f"{shop.shop.tenant}#"}, ":sk": {"S": f"order#{source}/"}},
        )
    )
    return {item["sk"]["S"].rpartition("/")[2]: item for page in pages for item in page["Items"]}


def wait_for_orders(shop: Stage, source: str, count: int) -> dict[str, dict[str, Any]]:
    """The rows once there are so many."""
    ends_at = time.monotonic() + PATIENCE
    while len(found := orders(shop, source)) < count:
        assert time.monotonic() < ends_at, f"{len(found)} of {count} orders of {source}"
        time.sleep(0.5)
    return found


def test_the_schedule_polls_a_cart_and_its_orders_become_customers(
    cloud: LocalCloud, shop: Stage, colorme: tuple[ColorMe, str]
) -> None:
    api, url = colorme
    now = int(time.time())
    for number in (1, 2, 3):
        made = {"id": number, "make_date": now - 86_400, "update_date": now - 86_400}
        api.sales[number] = {**sample("colorme", "sale"), **made, "memo": LARGE if number == 3 else None}
    connection = connected(shop, "colorme", "pa00000001", cart_api.Key(api.token, api_url=url))
    fire_schedule(cloud, "Polling")
    assert set(wait_for_orders(shop, "colorme", 3)) == {"1", "2", "3"}
    # The orders are there before the poll has written down that it is done.
    wait_until(lambda: cart_api.health_of(shop.deployment, connection).polled_at is not None, "the poll's end", 60)
    health = cart_api.health_of(shop.deployment, connection)
    assert cart_api.freshness(connection, health, SystemClock().now()) in ("0 min ago", "1 min ago")


def test_a_second_poll_brings_what_changed_and_nothing_else(shop: Stage, colorme: tuple[ColorMe, str]) -> None:
    api, url = colorme
    (connection,) = [each for each in book_of(shop).all() if each.api_url == url]
    now = int(time.time())
    api.sales[2] = {**sample("colorme", "sale@cancelled"), "id": 2, "make_date": now - 86_400, "update_date": now}
    said = cart_api.said_of(cart_api.poll_now(shop.deployment, connection, SystemClock().now()))
    assert said == "1 changes on 2 pages"
    assert cart_api.poll_now(shop.deployment, connection, SystemClock().now()).changes == 0


def test_a_thin_webhook_is_read_back_and_the_poll_beside_it_finds_nothing_more(
    cloud: LocalCloud, shop: Stage, eccube: tuple[EcCube, str]
) -> None:
    api, url = eccube
    key = cart_api.Key(None, "first-refresh-token", "client", "secret", api_url=url)
    connection = connected(shop, "eccube", "ec.example.jp", key)
    raw = json.dumps([{"entity": "order", "id": 5012, "action": "created"}]).encode()
    signature = hmac.new(connection.secret.encode(), raw, hashlib.sha256).hexdigest()
    hook = f"{shop.deployment.outputs['ApiUrl']}/v1/hooks/{connection.connection_id}"
    answer = HTTP.request("POST", hook, body=raw, headers={"X-ECCUBE-Signature": signature})
    assert answer.status == 200, answer.data
    assert api.asked == [], "nothing is read while the shopper waits"
    when = to_iso(SystemClock().now())
    # The shop commits; its order is too large for a row of the events table.
    api.objects["order"]["5012"] = {**sample("eccube", "objects/order"), "update_date": when, "note": LARGE}
    assert internal(cloud.emulator, "POST", "/_matakite/delays/end", {})["ended"] == 2, "30 seconds and 5 minutes"
    assert set(wait_for_orders(shop, "eccube", 1)) == {"5012"}
    settle(cloud.emulator, executions=False)  # the second read as well: its server leaves with this module
    assert api.refresh_tokens == ["first-refresh-token+"]
    assert reconciled(cloud, shop, connection).repaired == 0


def reconciled(cloud: LocalCloud, shop: Stage, connection: Connection) -> Health:
    """After the scheduled poll of a connection that was never polled."""
    fire_schedule(cloud, "Polling")
    ends_at = time.monotonic() + PATIENCE
    while (health := cart_api.health_of(shop.deployment, connection)).polled_at is None:
        assert time.monotonic() < ends_at, health
        time.sleep(0.5)
    assert health.problem is None
    return health
