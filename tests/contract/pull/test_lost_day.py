"""A day of lost webhooks at every cart that pushes: the reconciling poll repairs it, and tells nothing twice."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from typing import Any

import pytest

from shared.core.clock import to_iso
from shared.ingest.pull.store import PullStore
from tests.contract.pull.conftest import START, Make, World, sample
from tests.contract.pull.servers import EcCube, Shopify, Square, Stripe, WooCommerce

HOUR = timedelta(hours=1)
ORDERS = range(1, 25)
"""One an hour; the webhooks of 7 to 18 were lost."""
TOLD = [number for number in ORDERS if not 7 <= number <= 18]


def at(number: int) -> datetime:
    return START - timedelta(hours=25) + number * HOUR


def iso(instant: datetime) -> str:
    return f"{to_iso(instant)[:19]}Z"


class Shopkeeper:
    """Makes a cart's orders and sends (or loses) their webhooks."""

    source = ""
    webhook_topic = ""

    def __init__(self, world: Make, store: PullStore | None = None) -> None:
        self.world = self.open(world, store)

    def open(self, world: Make, store: PullStore | None) -> World:
        raise NotImplementedError

    def order(self, number: int) -> Any:
        raise NotImplementedError

    def place(self, number: int, order: Any) -> None:
        raise NotImplementedError

    def send(self, order: Any) -> None:
        raise NotImplementedError

    def key(self, number: int) -> str:
        return str(number)

    def cancelled(self, order: Any, instant: datetime) -> Any:
        raise NotImplementedError


class OfShopify(Shopkeeper):
    def open(self, world: Make, store: PullStore | None) -> World:
        return world("shopify", Shopify(page=10), store, store_name="sample-shop.myshopify.com")

    def order(self, number: int) -> Any:
        when = iso(at(number))
        return {
            **sample("shopify", "orders-create"),
            "id": number,
            "admin_graphql_api_id": f"gid://shopify/Order/{number}",
            "created_at": when,
            "processed_at": when,
            "updated_at": when,
        }

    def place(self, number: int, order: Any) -> None:
        rows = self.world.api.lists["orders"]
        rows[:] = [row for row in rows if row["id"] != number] + [order]

    def send(self, order: Any) -> None:
        headers = {
            "x-shopify-topic": "orders/create",
            "x-shopify-shop-domain": self.world.connection.store,
            "x-shopify-webhook-id": f"00000000-0000-0000-0000-{order['id']:012d}",
            "x-shopify-triggered-at": order["updated_at"],
        }
        self.world.webhook(order, headers)

    def cancelled(self, order: Any, instant: datetime) -> Any:
        return {**order, "cancelled_at": iso(instant), "updated_at": iso(instant)}


class OfWooCommerce(Shopkeeper):
    def open(self, world: Make, store: PullStore | None) -> World:
        return world("woocommerce", WooCommerce(), store, token="ck_x:cs_x")

    def order(self, number: int) -> Any:
        when = to_iso(at(number))[:19]
        made = {"id": number, "number": str(number), "date_created_gmt": when, "date_modified_gmt": when}
        return {**sample("woocommerce", "order.created"), **made}

    def place(self, number: int, order: Any) -> None:
        rows = self.world.api.lists["orders"]
        rows[:] = [row for row in rows if row["id"] != number] + [order]

    def send(self, order: Any) -> None:
        self.world.webhook(order, {"x-wc-webhook-topic": "order.updated"})

    def cancelled(self, order: Any, instant: datetime) -> Any:
        return {**order, "status": "cancelled", "date_modified_gmt": to_iso(instant)[:19]}


class OfSquare(Shopkeeper):
    def open(self, world: Make, store: PullStore | None) -> World:
        return world(
            "square",
            Square(),
            store,
            store_name="msample00000a",
            locations="L1, " + ",".join(f"L{n}" for n in range(2, 13)),
        )

    def key(self, number: int) -> str:
        return f"ORDER{number:04d}"

    def order(self, number: int) -> Any:
        return {
            "id": self.key(number),
            "location_id": f"L{1 + number % 12}",
            "state": "COMPLETED",
            "version": 4,
            "created_at": iso(at(number)),
            "updated_at": iso(at(number)),
            "closed_at": iso(at(number)),
            "total_money": {"amount": 3300, "currency": "JPY"},
            "net_amounts": {"total_money": {"amount": 3300, "currency": "JPY"}},
            "line_items": [
                {
                    "uid": "u1",
                    "catalog_object_id": "ITEM1",
                    "name": "見本帽子",
                    "quantity": "1",
                    "base_price_money": {"amount": 3300, "currency": "JPY"},
                }
            ],
        }

    def place(self, number: int, order: Any) -> None:
        self.world.api.lists["orders"][order["id"]] = order

    def send(self, order: Any) -> None:
        """The webhook is thin; what it led to was read back and stored."""
        self.world.webhook(order, {"x-matakite-feed": "order"})

    def cancelled(self, order: Any, instant: datetime) -> Any:
        return {**order, "state": "CANCELED", "updated_at": iso(instant), "version": 5}


class OfEcCube(Shopkeeper):
    def open(self, world: Make, store: PullStore | None) -> World:
        return world("eccube", EcCube(), store)

    def order(self, number: int) -> Any:
        when = iso(at(number))
        return {**sample("eccube", "objects/order"), "id": str(number), "order_date": when, "update_date": when}

    def place(self, number: int, order: Any) -> None:
        self.world.api.objects["order"][str(number)] = order

    def send(self, order: Any) -> None:
        self.world.webhook(order, {"x-matakite-feed": "order"})

    def cancelled(self, order: Any, instant: datetime) -> Any:
        return {**order, "OrderStatus": {"id": "3", "name": "注文取消し"}, "update_date": iso(instant)}


SHOPKEEPERS = [OfShopify, OfWooCommerce, OfSquare, OfEcCube]
every_cart = pytest.mark.parametrize("keeper", SHOPKEEPERS, ids=lambda kind: kind.__name__)


def a_day(keeper: Shopkeeper, told: Any = TOLD) -> World:
    for number in ORDERS:
        order = keeper.order(number)
        keeper.place(number, order)
        if number in told:
            keeper.world.time.at = at(number)
            keeper.send(order)
    keeper.world.time.at = START
    return keeper.world


@every_cart
def test_a_day_of_lost_webhooks_is_repaired_once(world: Make, pull_store: PullStore, keeper: Any) -> None:
    shop = a_day(keeper(world, pull_store))
    assert len(shop.totals()) == len(TOLD)
    tally = shop.poll()
    assert (tally.finished, tally.problem) == (True, None)
    assert tally.repaired == len(ORDERS) - len(TOLD), "what webhooks told is not kept again"
    assert tally.known == len(TOLD)
    repaired = shop.totals()
    assert len(repaired) == len(ORDERS)
    assert len(set(repaired.values())) == 1
    for _ in range(3):
        assert shop.poll(after=HOUR).changes == 0
    assert shop.totals() == repaired
    assert shop.store.health(shop.connection).repaired == 12


@every_cart
def test_webhooks_that_come_late_after_the_repair_change_nothing(world: Make, keeper: Any) -> None:
    owner = keeper(world)
    shop = a_day(owner)
    shop.poll()
    repaired = shop.totals()
    for number in ORDERS:
        owner.send(owner.order(number))
    assert shop.totals() == repaired


@every_cart
def test_a_lost_cancellation_lowers_the_amount(world: Make, keeper: Any) -> None:
    owner = keeper(world)
    shop = a_day(owner, told=ORDERS)
    assert shop.poll().repaired == 0
    owner.place(9, owner.cancelled(owner.order(9), START))
    assert shop.poll(after=HOUR).repaired == 1
    worth = shop.totals()
    assert worth[owner.key(9)] == 0
    assert sum(value == 0 for value in worth.values()) == 1


def test_stripes_list_of_events_has_the_webhooks_own_ids(world: Make, pull_store: PullStore) -> None:
    shop = world("stripe", Stripe(), pull_store, store_name="acct_1sample0000000001")
    body = sample("stripe", "customer.created")
    for number in ORDERS:
        event = {**body, "id": f"evt_1Sample{number:06d}", "created": int(at(number).timestamp())}
        event["data"] = {"object": {**body["data"]["object"], "id": f"cus_{number:06d}"}}
        shop.api.events.append(event)
        if number in TOLD:
            shop.webhook(event, {})
    tally = shop.poll()
    assert (tally.finished, tally.repaired) == (True, 12)
    assert len(shop.events.rows) == len(ORDERS)
    assert shop.poll(after=HOUR).changes == 0


def test_stripes_pages_are_read_to_the_end(world: Make) -> None:
    shop = world("stripe", Stripe(), store_name="acct_1sample0000000001")
    body = sample("stripe", "customer.created")
    for number in range(250):
        event = {**body, "id": f"evt_1Sample{number:06d}", "created": int(START.timestamp()) - number * 60}
        event["data"] = {"object": {**body["data"]["object"], "id": f"cus_{number:06d}"}}
        shop.api.events.append(event)
    assert shop.poll(after=timedelta(0)).repaired == 250


# --- is the webhook still there?


def test_a_webhook_that_shopify_deleted_is_reported(world: Make) -> None:
    shop = world("shopify", Shopify(), store_name="sample-shop.myshopify.com")
    address = f"https://api.example.com/v1/hooks/{shop.connection.connection_id}"
    topics = ("orders/create", "orders/updated", "customers/update")
    hooks = [{"id": number, "topic": topic, "address": address} for number, topic in enumerate(topics, 1)]
    shop.api.lists["webhooks"] = hooks
    shop.poll()
    assert shop.store.health(shop.connection).webhook_problem is None
    shop.api.lists["webhooks"] = hooks[:1]
    shop.poll(after=timedelta(hours=7))
    assert "orders/updated" in (shop.store.health(shop.connection).webhook_problem or "")
    shop.api.lists["webhooks"] = []
    shop.poll(after=timedelta(hours=7))
    assert "deletes them after 8 failures" in (shop.store.health(shop.connection).webhook_problem or "")
    assert shop.counted["WebhooksOff"] == 2


def test_a_webhook_that_woocommerce_switched_off_is_reported(world: Make) -> None:
    shop = world("woocommerce", WooCommerce(), token="ck_x:cs_x")
    url = f"https://api.example.com/v1/hooks/{shop.connection.connection_id}"
    hook = {"id": 142, "topic": "order.updated", "status": "active", "delivery_url": url}
    shop.api.lists["webhooks"] = [hook, {**hook, "id": 9, "delivery_url": "https://other.example.com/"}]
    shop.poll()
    assert shop.store.health(shop.connection).webhook_problem is None
    shop.api.lists["webhooks"] = [{**hook, "status": "disabled"}]
    shop.poll(after=timedelta(hours=7))
    problem = shop.store.health(shop.connection).webhook_problem or ""
    assert "142 (order.updated)" in problem
    assert "有効" in problem


def test_the_link_of_a_page_is_never_followed_to_another_host(world: Make) -> None:
    owner = OfShopify(world)
    shop = a_day(owner, told=())
    assert shop.poll().repaired == len(ORDERS)
    assert all("elsewhere" not in json.dumps(asked.query) for asked in shop.api.asked)
    assert len([asked for asked in shop.api.asked if asked.path.endswith("orders.json")]) == 3
