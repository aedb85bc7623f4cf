"""The reconciling poll of every cart that pushes, where its API stumbles: nothing is lost, nothing told twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from shared.ingest.pull import rules
from shared.ingest.pull.store import PullStore
from tests.contract.pull.conftest import START, Make, World, sample
from tests.contract.pull.servers import Asked, EcCube, Said, Shopify, Stripe, WooCommerce
from tests.contract.pull.test_lost_day import ORDERS, SHOPKEEPERS, TOLD, OfShopify, OfWooCommerce, Shopkeeper, a_day

MANY = 120
"""More than a page of every cart."""
MOVED = 15
"""Orders that change while the pages are read."""


class OfStripe(Shopkeeper):
    """Its orders are paid invoices, and its list is one of events: newest first, none ever changes."""

    def open(self, world: Make, store: PullStore | None) -> World:
        return world("stripe", Stripe(), store, store_name="acct_1sample0000000001")

    def key(self, number: int) -> str:
        return f"in_{number:06d}"

    def order(self, number: int) -> Any:
        event = sample("stripe", "invoice.paid")
        when = int((START - timedelta(hours=25) + number * timedelta(minutes=6)).timestamp())
        thing = {**event["data"]["object"], "id": self.key(number), "created": when}
        return {**event, "id": f"evt_1Order{number:06d}", "created": when, "data": {"object": thing}}

    def place(self, number: int, order: Any) -> None:
        self.world.api.events.append(order)

    def send(self, order: Any) -> None:
        self.world.webhook(order, {})


every_cart = pytest.mark.parametrize("keeper", [*SHOPKEEPERS, OfStripe], ids=lambda kind: kind.__name__)


def everything(owner: Shopkeeper, numbers: range = ORDERS) -> set[str]:
    return {owner.key(number) for number in numbers}


@every_cart
@pytest.mark.parametrize(
    "faults",
    [
        (Said(429, {}, {"retry-after": "7"}),),
        (Said(500, b"<html>"), Said(503, b"")),
        (Said(200, b'{"orders": [{"id": 1'), Said(200, {}, drop=True)),
    ],
    ids=["429", "5xx", "half an answer, then none"],
)
def test_a_passing_fault_is_survived_within_the_poll(world: Make, keeper: Any, faults: tuple[Said, ...]) -> None:
    owner = keeper(world)
    shop = a_day(owner)
    shop.api.faults.extend(faults)
    tally = shop.poll()
    assert (tally.finished, tally.problem, tally.repaired) == (True, None, len(ORDERS) - len(TOLD))
    assert set(shop.totals()) == everything(owner)


class Noisy(WooCommerce):
    """A shop whose plugins print warnings of PHP before what its API says."""

    def serve(self, asked: Asked) -> Said:
        said = super().serve(asked)
        warning = b'<br />\n<b>Warning</b>:  Undefined key ["x"] in <b>/wp/a.php</b> on line <b>12</b><br />\n'
        return replace(said, document=warning + json.dumps(said.document).encode())


class OfNoisyWooCommerce(OfWooCommerce):
    def open(self, world: Make, store: PullStore | None) -> World:
        return world("woocommerce", Noisy(), store, token="ck_x:cs_x")


def test_warnings_of_plugins_before_an_answer_are_passed_over(world: Make) -> None:
    shop = a_day(OfNoisyWooCommerce(world))
    tally = shop.poll()
    assert (tally.finished, tally.problem, tally.repaired) == (True, None, len(ORDERS) - len(TOLD))


@every_cart
def test_a_cart_that_is_down_is_repaired_once_it_is_back_and_told_of_once(world: Make, keeper: Any) -> None:
    owner = keeper(world)
    shop = a_day(owner)
    for down in range(1, rules.FAILURES_TOLERATED + 1):
        shop.api.faults.extend(Said(503, b"") for _ in range(40))
        assert not shop.poll().finished
        shop.api.faults.clear()
        assert shop.counted["CartsInTrouble"] == (down == rules.FAILURES_TOLERATED)
    assert shop.poll(after=timedelta(hours=6)).repaired == len(ORDERS) - len(TOLD)
    assert shop.poll().changes == 0
    assert set(shop.totals()) == everything(owner)
    assert shop.store.health(shop.connection).failures == 0


@every_cart
def test_a_token_that_ran_out_is_said_with_what_to_do_and_nothing_is_lost_by_it(world: Make, keeper: Any) -> None:
    owner = keeper(world)
    shop = a_day(owner)
    refused = {"error": "invalid_token", "code": "woocommerce_rest_authentication_error"}
    shop.api.faults.append(Said(401, refused))
    assert "matakite connection authorize" in (shop.poll().problem or "")
    assert len(shop.api.asked) == 1, "a refused token is not tried again and again"
    assert shop.poll().finished
    assert set(shop.totals()) == everything(owner)


def test_the_token_of_eccube_is_renewed_within_the_poll(world: Make) -> None:
    shop = world("eccube", EcCube(), token=None, refresh_token="first-refresh-token", client_id="c", client_secret="s")
    shop.api.faults.extend([lambda: None, Said(401, {"error": "access_denied"})])
    assert shop.poll().finished
    assert shop.api.refresh_tokens == ["first-refresh-token++"]


def touch(owner: Shopkeeper, numbers: range, now: Callable[[], datetime]) -> Callable[[Asked], None]:
    """After the first page, orders are changed: they move within the list, or new ones push the others on."""

    def between(_asked: Asked) -> None:
        owner.world.api.between = None
        for number in numbers:
            owner.place(number, owner.cancelled(owner.order(number), now()))

    return between


@pytest.mark.parametrize("keeper", SHOPKEEPERS, ids=lambda kind: kind.__name__)
def test_a_list_that_changes_under_its_pages_loses_no_order(world: Make, keeper: Any) -> None:
    owner = keeper(world)
    shop = owner.world
    if keeper is OfShopify:
        shop.api.page = 50
    numbers = range(1, MANY + 1)
    for number in numbers:
        owner.place(number, {**owner.order(number % 24 + 1), **_named(owner, number)})
    shop.api.between = touch(owner, range(1, MOVED + 1), shop.time.now)
    assert shop.poll().finished
    shop.poll(after=timedelta(hours=1))
    worth = shop.totals()
    assert set(worth) == everything(owner, numbers)
    assert sum(value == 0 for value in worth.values()) == MOVED, "and knows what changed"


def _named(owner: Shopkeeper, number: int) -> dict[str, Any]:
    """The fields that name an order, of a body made for another."""
    order = owner.order(number)
    return {name: order[name] for name in ("id", "admin_graphql_api_id", "number") if name in order}


def test_events_that_come_while_stripes_pages_are_read_are_read_next_time(world: Make) -> None:
    owner = OfStripe(world)
    shop = owner.world
    for number in range(1, MANY + 1):
        owner.place(number, owner.order(number))
    newest = {**owner.order(MANY + 1), "created": int((START + timedelta(minutes=10)).timestamp())}

    def between(_asked: Asked) -> None:
        shop.api.between = None
        owner.place(MANY + 1, newest)

    shop.api.between = between
    assert shop.poll().finished
    shop.poll()
    assert set(shop.totals()) == everything(owner, range(1, MANY + 2))


class Forgetful(Shopify):
    """One of its cursors lived for minutes only."""

    def __init__(self) -> None:
        super().__init__(page=10)
        self.forgotten: str | None = None

    def serve(self, asked: Asked) -> Said:
        cursor = asked.query.get("page_info")
        if cursor and cursor == self.forgotten:
            return Said(400, {"errors": {"page_info": "Invalid value."}})
        # Whoever begins again is given new ones.
        self.forgotten = None if "updated_at_min" in asked.query else self.forgotten
        return super().serve(asked)


class OfForgetfulShopify(OfShopify):
    def open(self, world: Make, store: PullStore | None) -> World:
        return world("shopify", Forgetful(), store, store_name="sample-shop.myshopify.com")


def test_a_cursor_the_cart_has_forgotten_since_the_last_run_does_not_stop_the_polls_for_good(world: Make) -> None:
    owner = OfForgetfulShopify(world)
    shop = a_day(owner)
    shop.api.faults.extend([lambda: None, *(Said(503, b"") for _ in range(10))])
    assert not shop.poll().finished
    shop.api.faults.clear()
    shop.api.forgotten = shop.store.cursor(shop.connection, "orders").position
    assert shop.api.forgotten
    again = shop.poll(after=timedelta(hours=1))
    assert (again.finished, again.problem) == (True, None)
    assert set(shop.totals()) == everything(owner)


def test_a_first_page_that_is_refused_is_asked_for_once(world: Make) -> None:
    shop = a_day(OfShopify(world))
    shop.api.faults.append(Said(400, {"errors": "no"}))
    assert not shop.poll().finished
    assert len(shop.api.asked) == 1
