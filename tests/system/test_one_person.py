"""Two customers become one person, by hand or by an address that they share, and two again: what the analyses say of
them follows (名寄せ・取り消し).
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from functools import partial

import urllib3

from infra.cli.analysis import ask
from infra.cli.connection import add_connection
from infra.demo import shopify
from infra.demo.post import post_all
from infra.demo.settle import settle, wait_until
from infra.demo.shopify import Buyer
from infra.demo.stage import Stage
from infra.demo.story import PRODUCTS, SHOP, Call
from infra.local.lifecycle import LocalCloud
from infra.local.process import LocalPaths
from shared.core.clock import shop_day
from shared.core.ids import CustomerId
from tests.system.books import people_of
from tests.system.conftest import OpenShop
from tests.system.screen import matakite

AT = datetime.now(UTC) - timedelta(minutes=5)
OLD, NEW = Buyer(9_601, "mukashi@example.jp", "同一", "人子"), Buyer(9_602, "ima@example.jp", "同一", "人子")
HUSBAND, WIFE = Buyer(9_603, "ie@example.jp", "家族", "太郎"), Buyer(9_604, "ie@example.jp", "家族", "花子")


def reads(stage: Stage, orders: Sequence[int], store: str | None = None) -> bool:
    """Did each buyer order so often, by the lake?"""
    day = shop_day(datetime.now(UTC), stage.shop.timezone)
    found = ask(stage.deployment, stage.shop, "buyers_v1", day, store=store)
    return sorted(row["orders"] for row in found) == orders


def buyers(stage: Stage) -> list[CustomerId]:
    """Who ordered, by the live state."""
    return sorted(each for each, person in people_of(stage).items() if person.orders)


def browse(stage: Stage, buyer: Buyer) -> None:
    """They say in a browser who they are."""
    site = add_connection(stage.deployment, stage.shop.tenant, "track", "www.example.jp")
    call = {"writeKey": site.connection_id, "anonymousId": "one-visitor", "traits": {"email": buyer.email}}
    url = f"{stage.deployment.outputs['ApiUrl']}/v1/identify"
    answer = urllib3.PoolManager().request("POST", url, json={**call, "messageId": "one-identify"})
    assert answer.status == 200, answer.data


def order_once(stage: Stage, *buyers: Buyer) -> None:
    """Each places an order."""
    orders = [shopify.order(20_000 + buyer.number, f"one-{buyer.number}", buyer, PRODUCTS[:1], AT) for buyer in buyers]
    calls = [Call("orders/create", shopify.encode(order), f"one-{order['id']}", AT) for order in orders]
    assert post_all(stage.endpoint, calls).surprises == []


def test_two_are_one_buyer_by_hand_or_by_an_address_until_that_is_taken_back(
    open_shop: OpenShop, cloud: LocalCloud, cloud_paths: LocalPaths
) -> None:
    stage = open_shop("people")

    def decide(command: str, who: Sequence[str], orders: Sequence[int]) -> None:
        shown = matakite(cloud_paths, "customer", command, *who, "--shop", "people", "--actor", "店長")
        assert shown.status == 0, shown.err
        settle(cloud.emulator)
        wait_until(partial(reads, stage, orders), f"{orders} orders a buyer", 60)
        assert len(buyers(stage)) == len(orders)

    order_once(stage, OLD, NEW)
    browse(stage, NEW)
    settle(cloud.emulator)
    wait_until(partial(reads, stage, [1, 1]), "two buyers", 60)
    alike = buyers(stage)
    decide("merge", alike, [2])
    decide("undo", alike, [1, 1])
    assert reads(stage, [1, 1], store=SHOP)
    assert reads(stage, [], store="another.example.jp")
    order_once(stage, HUSBAND, WIFE)
    settle(cloud.emulator)
    wait_until(partial(reads, stage, [1, 1, 2]), "a family that shares an address", 60)
    family = [f"{SHOP}/{each.customer_id}" for each in (HUSBAND, WIFE)]
    decide("part", family[:1], [1, 1, 1, 1])
    decide("merge", family, [1, 1, 2])
    decide("undo", family, [1, 1, 1, 1])
