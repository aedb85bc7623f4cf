"""What only one polled cart does: its pitfalls, read from its samples."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shared.core.ids import ConnectionId, TenantId
from shared.core.keys import KeyRing
from shared.core.shop import Shop
from shared.customers.fold import apply
from shared.customers.identity import address_ref
from shared.customers.store import MemoryCustomerStore
from shared.ingest.adapter import Connection, Request
from shared.ingest.model import (
    CartFacts,
    ConsentFacts,
    Event,
    EventType,
    OrderFacts,
    ProductFacts,
    ProfileFacts,
    SubscriptionFacts,
    SubscriptionState,
)
from shared.ingest.polled import polled_request
from shared.ingest.registry import adapter
from shared.ingest.sources.colorme import LOWEST_VERSION
from shared.ingest.sources.eccube import is_withdrawn, meaning

SAMPLES = Path(__file__).parents[2] / "samples"
TENANT = TenantId("sample")
KEYS = KeyRing(personal=b"a key of this test", links={"1": b"another"})
SHOP = Shop(TENANT, "見本商店")
NOW = datetime(2026, 11, 21, 3, 0, 30, tzinfo=UTC)


def body(source: str, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((SAMPLES / source / f"{name}.json").read_text())
    return found


def read(source: str, feed: str, record: dict[str, Any]) -> list[Event]:
    connection = Connection(ConnectionId("c"), TENANT, source, "shop.example.jp", "s")
    found = adapter(source)
    (envelope,) = found.envelopes(polled_request(feed, record), connection, NOW)
    return list(found.events(envelope))


def order(source: str, name: str, feed: str = "order", **changes: Any) -> OrderFacts:
    facts = read(source, feed, {**body(source, name), **changes})[0].facts
    assert isinstance(facts, OrderFacts)
    return facts


# --- カラーミー


def test_a_cancelled_sale_says_only_that_it_was_cancelled() -> None:
    (event,) = read("colorme", "sale", body("colorme", "sale@cancelled"))
    assert (event.event_type, event.version) == (EventType.ORDER_CANCELLED, LOWEST_VERSION)
    kept = {**body("colorme", "sale@cancelled"), "total_price": 5000}
    (event,) = read("colorme", "sale", kept)
    assert event.version.startswith("2026-"), "one that kept its amounts is a version like any other"


def test_a_sale_reads_whole() -> None:
    facts = order("colorme", "sale", "sale")
    assert (facts.total, facts.currency, facts.paid, facts.discount, facts.goods_total) == (5000, "JPY", True, 0, 4400)
    (line,) = facts.lines
    assert (line.product_id, line.quantity, line.unit_amount) == ("5001", 2, 2200)
    assert facts.ordered_at == datetime(2026, 11, 2, 1, 5, 30, tzinfo=UTC)
    assert order("colorme", "sale@discounts-and-half-width-kana", "sale").discount == 500


def test_goods_are_what_is_left_of_the_total_also_where_prices_are_shown_without_tax() -> None:
    extra = {"product_total_price": 1000, "tax": 80, "delivery_total_charge": 350, "fee": 300, "card_total_charge": 200}
    facts = order("colorme", "sale", "sale", **extra, total_price=1930, totals=None)
    assert (facts.total, facts.goods_total) == (1930, 1080)


def test_a_name_in_one_field_is_split_only_where_it_says_how() -> None:
    (event,) = read("colorme", "sale", body("colorme", "sale"))
    assert (event.person.last_name, event.person.first_name) == ("樋口", "一葉")
    (event,) = read("colorme", "sale", body("colorme", "sale@guest-of-one-name"))
    assert (event.person.last_name, event.person.first_name) == ("Soseki Natsume", None)


@pytest.mark.parametrize(("said", "granted", "by_customer"), [(True, True, False), (False, False, True)])
def test_the_mail_magazine_flag_is_consent_that_cannot_reverse_an_opt_out(
    said: bool, granted: bool, by_customer: bool
) -> None:
    events = read("colorme", "customer", {**body("colorme", "customer"), "receive_mail_magazine": said})
    facts = events[1].facts
    assert isinstance(facts, ConsentFacts)
    assert (facts.granted, facts.by_customer) == (granted, by_customer)


def test_a_guest_who_buys_a_dozen_times_stays_somebody() -> None:
    """Each sale of a guest has a customer number of its own, and what a dozen numbers share is nobody's."""
    sale, store = body("colorme", "sale@guest-of-one-name"), MemoryCustomerStore()
    for number in range(1, 13):
        guest = {**sale["customer"], "id": 770_000 + number, "mail": "guest@example.jp"}
        for event in (
            *read("colorme", "sale", {**sale, "id": 88_000 + number, "customer": guest}),
            *read("colorme", "customer", guest),
        ):
            apply(event, store, KEYS, SHOP)
    known = store.resolve_ref(TENANT, address_ref(TENANT, "guest@example.jp", KEYS))
    person = store.person(TENANT, known) if known else None
    assert person, "the address names somebody"
    assert (person.profile.email, len(person.orders)) == ("guest@example.jp", 12)


def test_a_guest_without_an_address_is_known_by_the_number() -> None:
    sale = body("colorme", "sale@guest-of-one-name")
    (event,) = read("colorme", "sale", {**sale, "customer": {**sale["customer"], "mail": None}})
    assert event.person.source_customer_id == str(sale["customer"]["id"])


def test_nobody_said_anything_is_no_consent_and_a_sale_never_is() -> None:
    assert [e.event_type for e in read("colorme", "customer", body("colorme", "customer@nothing-said"))] == [
        EventType.CUSTOMER_UPDATED,
        EventType.POINTS_CHANGED,
    ]
    assert [e.event_type for e in read("colorme", "sale", body("colorme", "sale"))] == [EventType.ORDER_UPDATED]


def test_a_customers_attributes_and_a_products_stock() -> None:
    facts = read("colorme", "customer", body("colorme", "customer"))[0].facts
    assert isinstance(facts, ProfileFacts)
    assert facts.attributes == {"birth_on": "1990-04-01", "gender": "female"}
    product = read("colorme", "product", body("colorme", "product"))[0].facts
    assert isinstance(product, ProductFacts)
    assert (product.price, product.stock, product.deleted) == (2200, 12, False)
    hidden = read("colorme", "product", body("colorme", "product@hidden-and-not-counted"))[0].facts
    assert isinstance(hidden, ProductFacts)
    assert (hidden.stock, hidden.deleted) == (None, True)


def test_a_hook_of_the_app_store_is_believed_by_its_signature_and_kept_unread() -> None:
    raw = json.dumps(body("colorme", "install@app-store")).encode()
    connection = Connection(ConnectionId("c"), TenantId("sample"), "colorme", "pa00000001", "webhook-secret")
    made = base64.b64encode(hmac.new(b"webhook-secret", raw, hashlib.sha256).digest()).decode()
    found = adapter("colorme")
    assert found.verify(Request({"x-appstore-signature": made}, raw), connection, NOW)
    assert not found.verify(Request({"x-appstore-signature": made}, raw + b" "), connection, NOW)
    assert not found.verify(Request({}, raw), connection, NOW)
    assert not found.verify(Request({"x-appstore-signature": made}, raw), replace(connection, secret=""), NOW)
    (envelope,) = found.envelopes(Request({}, raw), connection, NOW)
    assert [event.event_type for event in found.events(envelope)] == [EventType.UNKNOWN]


# --- BASE


def test_a_konbini_order_is_not_paid_yet() -> None:
    facts = order("base", "order@konbini-unpaid")
    assert (facts.total, facts.paid, facts.goods_total) == (5600, False, 5000)
    assert order("base", "order@subscription").paid
    assert order("base", "order@coupon-and-text-amounts").discount == 500


def test_coupon_and_coin_lower_the_goods() -> None:
    less: dict[str, Any] = {"order_discount": {"discount": 500}, "order_header_coin": {"discount": 300}}
    facts = order("base", "order@konbini-unpaid", **less)
    assert (facts.discount, facts.goods_total) == (800, 4200)


@pytest.mark.parametrize(("said", "cancelled"), [({}, True), ({"dispatch_status": "dispatched"}, False)])
def test_an_order_of_before_the_dispatch_status_is_cancelled_by_its_time(said: dict[str, str], cancelled: bool) -> None:
    old = {k: v for k, v in body("base", "order@konbini-unpaid").items() if k != "dispatch_status"}
    (event,) = read("base", "order", {**old, "cancelled": 1_793_600_000, **said})
    assert (event.event_type is EventType.ORDER_CANCELLED) is cancelled


def test_an_item_cancelled_alone_is_subtracted_once() -> None:
    still = order("base", "order@one-item-cancelled-still-in-the-total")
    assert (still.total, [refund.amount for refund in still.refunds], still.cancelled_at) == (6600, [1000], None)
    out = order("base", "order@one-item-cancelled-already-out")
    assert (out.total, out.refunds) == (5600, ())


def test_a_delivery_of_a_subscription_tells_of_its_contract() -> None:
    events = read("base", "order", body("base", "order@subscription"))
    assert [event.event_type for event in events] == [EventType.ORDER_UPDATED, EventType.SUBSCRIPTION_UPDATED]
    facts = events[1].facts
    assert isinstance(facts, SubscriptionFacts)
    assert (facts.subscription_id, facts.deliveries, facts.state) == ("SEXAMPLE0000001", 3, SubscriptionState.ACTIVE)
    ended = read("base", "order", body("base", "order@subscription-ends"))[1].facts
    assert isinstance(ended, SubscriptionFacts)
    assert ended.state is SubscriptionState.EXPIRED
    first = order("base", "order@subscription")
    assert (first.subscription_id, first.delivery_number) == ("SEXAMPLE0000001", 3)


def test_a_late_change_of_an_old_delivery_does_not_turn_the_contract_back() -> None:
    third = read("base", "order", body("base", "order@subscription"))[1]
    again = {**body("base", "order@subscription"), "modified": 1_794_000_000}
    second = read("base", "order", {**again, "subscription": {**again["subscription"], "repeat_number": 2}})[1]
    assert second.version < third.version


# --- STORES


def test_a_web_order_and_a_register_sale() -> None:
    web, register = order("stores", "order@web"), order("stores", "order@register")
    assert (web.total, web.paid, web.offline, web.goods_total) == (3300, True, False, 2700)
    assert (register.offline, register.lines[0].product_id) == (True, "custom")
    nobody = read("stores", "order", body("stores", "order@register"))[0].person
    assert (nobody.email, nobody.phone, nobody.last_name) == (None, None, None)


def test_what_was_taken_back_grows_in_one_refund() -> None:
    part = order("stores", "order@part-taken-back")
    assert ([(r.refund_id, r.amount) for r in part.refunds], part.cancelled_at) == ([("cancel", 1000)], None)
    whole = order("stores", "order@cancelled")
    assert (whole.refunds[0].amount, whole.cancelled_at) == (3300, datetime(2026, 11, 3, 1, 0, tzinfo=UTC))
    assert not order("stores", "order@cash-on-delivery-unpaid").paid


def test_goods_are_without_shipping_and_the_fee_of_cash_on_delivery() -> None:
    paid_at_the_door = [{"type": "cash_on_delivery", "amount": 3300, "fee": {"amount": 300}, "system_fee": None}]
    assert order("stores", "order@web", transactions=paid_at_the_door).goods_total == 2400


# --- EC-CUBE


def test_an_order_reads_whole_and_only_products_are_lines() -> None:
    facts = order("eccube", "objects/order")
    assert (facts.total, facts.number, facts.discount, facts.goods_total) == (4700, "5012", 300, 4100)
    (line,) = facts.lines
    assert (line.product_id, line.title, line.quantity, line.unit_amount) == ("SOAP-1", "見本せっけん 無香料", 2, 2200)
    assert order("eccube", "objects/order@guest-with-float-money").total == 4700


@pytest.mark.parametrize(
    ("name", "says"),
    [
        ("order@in-checkout", EventType.CHECKOUT_UPDATED),
        ("order@paying", EventType.CHECKOUT_UPDATED),
        ("order@cancelled", EventType.ORDER_CANCELLED),
        ("order@returned", EventType.ORDER_UPDATED),
        ("order@paid-by-bank", EventType.ORDER_UPDATED),
        ("order@status-of-the-shop", EventType.ORDER_UPDATED),
        ("order@without-status", EventType.UNKNOWN),
    ],
)
def test_a_status_says_what_an_order_is(name: str, says: EventType) -> None:
    assert [event.event_type for event in read("eccube", "order", body("eccube", f"objects/{name}"))] == [says]


def test_a_name_of_a_status_beats_its_number_which_nobody_confirmed() -> None:
    assert meaning({"OrderStatus": {"id": "1", "name": "購入処理中"}}).value == "checkout"
    assert meaning({"OrderStatus": {"id": "8", "name": "受付前（改名）"}}).value == "checkout"


def test_a_return_gives_everything_back_and_a_bank_transfer_pays() -> None:
    returned = order("eccube", "objects/order@returned")
    assert [refund.amount for refund in returned.refunds] == [4700]
    assert order("eccube", "objects/order@paid-by-bank").paid
    assert not order("eccube", "objects/order").paid


def test_the_order_keeps_the_id_of_its_checkout() -> None:
    (event,) = read("eccube", "order", body("eccube", "objects/order@in-checkout"))
    assert isinstance(event.facts, CartFacts)
    assert event.facts.token == "5013"
    assert order("eccube", "objects/order", id="5013").checkout_token == "5013"


@pytest.mark.parametrize(
    ("said", "withdrawn"),
    [
        ({"Status": {"id": "3", "name": "退会"}}, True),
        ({"Status": {"id": "3"}}, True),
        ({"email": "x@DUMMY.dummy"}, True),
        ({"Status": {"id": "2", "name": "本会員"}, "email": "a@example.jp"}, False),
        ({}, False),
    ],
)
def test_withdrawal_shows_in_the_status_or_the_address(said: dict[str, Any], withdrawn: bool) -> None:
    assert is_withdrawn(said) is withdrawn


def test_a_withdrawn_member_is_named_by_the_number_only() -> None:
    (event,) = read("eccube", "customer", body("eccube", "objects/customer@withdrawn"))
    assert (event.event_type, event.person.source_customer_id) == (EventType.PERSON_ERASED, "882")
    assert (event.person.email, event.person.last_name) == (None, None)


def test_an_english_shop_names_its_master_data_in_english() -> None:
    rows = body("eccube", "objects/order")["OrderItems"]
    said = {1: "Products", 2: "Shipping Charge"}
    english = [{**row, "OrderItemType": {"id": str(n), "name": said[n]}} for n, row in enumerate(rows, 1)]
    facts = order("eccube", "objects/order", OrderItems=english, OrderStatus={"id": "6", "name": "Paid"})
    assert ([line.product_id for line in facts.lines], facts.paid) == (["SOAP-1"], True)
    changed = {"Sex": {"id": "1", "name": "Male"}}
    profile = read("eccube", "customer", {**body("eccube", "objects/customer"), **changed})[0].facts
    assert isinstance(profile, ProfileFacts)
    assert profile.attributes["gender"] == "male"
    hidden = {**body("eccube", "objects/product"), "Status": {"id": "2", "name": "Hidden"}}
    product = read("eccube", "product", hidden)[0].facts
    assert isinstance(product, ProductFacts)
    assert product.deleted
    assert is_withdrawn({"Status": {"id": "3", "name": "Terminated Member"}})


def test_stock_that_is_not_counted_is_unknown() -> None:
    counted = read("eccube", "product", body("eccube", "objects/product"))[0].facts
    endless = read("eccube", "product", body("eccube", "objects/product@unlimited-and-hidden"))[0].facts
    assert isinstance(counted, ProductFacts)
    assert isinstance(endless, ProductFacts)
    assert (counted.stock, counted.price, counted.deleted) == (12, 2000, False)
    assert (endless.stock, endless.price, endless.deleted) == (None, 1500, True)
