"""Shopify: orders, checkouts, consents and refunds of other shops, versions and apps."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from shared.ingest.model import EventType as E
from shared.ingest.model import SubscriptionState
from tests.contract.carts.carts import CARTS, NOW
from tests.contract.carts.variants import Body, Variant, check

CART = CARTS["shopify"]


def money(amount: str, currency: str, shown: str | None = None, shown_in: str = "EUR") -> Body:
    shop = {"amount": amount, "currency_code": currency}
    return {"shop_money": shop, "presentment_money": {"amount": shown or amount, "currency_code": shown_in}}


def line(**said: Any) -> Body:
    usual: Body = {
        "id": 16_100_000_000_001, "admin_graphql_api_id": "gid://shopify/LineItem/16100000000001",
        "product_id": 9_000_000_000_001, "variant_id": 46_000_000_000_001, "title": "見本茶", "variant_title": "100g",
        "name": "見本茶 - 100g", "quantity": 1, "current_quantity": 1, "price": "1980", "gift_card": False,
        "price_set": money("1980", "JPY", shown_in="JPY"), "properties": [], "sales_line_item_group_id": None,
        "fulfillment_status": None, "grams": 100, "sku": None, "taxable": True, "vendor": None,
    }  # fmt: skip
    return {**usual, **said}


def order(**said: Any) -> Body:
    usual: Body = {
        "id": 6_100_000_000_001, "admin_graphql_api_id": "gid://shopify/Order/6100000000001", "app_id": 580_111,
        "cancelled_at": None, "cart_token": "c1-aaaa", "checkout_token": "bbbb0001", "company": None,
        "confirmation_number": "XPAV284CT", "confirmed": True, "contact_email": "hana@example.jp",
        "created_at": "2026-11-02T10:15:30+09:00", "currency": "JPY", "current_total_price": "2580",
        "current_subtotal_price": "1980", "customer_locale": "ja-JP", "discount_codes": [], "discount_applications": [],
        "email": "hana@example.jp", "estimated_taxes": False, "financial_status": "paid", "landing_site": "/",
        "line_items": [line()], "line_item_groups": [], "merchant_business_entity_id": "MTAwMDAwMDAw",
        "merchant_of_record_app_id": None, "name": "#1042", "note": None, "note_attributes": [],
        "payment_gateway_names": ["shopify_payments"], "phone": None, "po_number": None, "presentment_currency": "JPY",
        "processed_at": "2026-11-02T10:15:28+09:00", "refunds": [], "returns": [], "shipping_lines": [],
        "source_name": "web", "subtotal_price": "1980", "tags": "", "tax_exempt": False, "taxes_included": True,
        "test": False, "total_discounts": "0", "total_outstanding": "0", "total_price": "2580",
        "total_price_set": money("2580", "JPY", shown_in="JPY"), "total_tip_received": "0",
        "updated_at": "2026-11-02T10:16:00+09:00",
        "customer": {
            "id": 7_000_000_000_001, "admin_graphql_api_id": "gid://shopify/Customer/7000000000001",
            "email": "hana@example.jp", "first_name": "花", "last_name": "見本", "phone": "+819000000001",
            "state": "disabled", "verified_email": True, "currency": "JPY", "multipass_identifier": None,
            "tax_exemptions": [], "default_address": None,
        },
        "billing_address": None, "shipping_address": None, "client_details": None, "original_total_duties_set": None,
    }  # fmt: skip
    return {**usual, **said}


def checkout(**said: Any) -> Body:
    usual: Body = {
        "token": "bbbb0002", "cart_token": "c1-aaaa", "email": "", "currency": "JPY", "presentment_currency": "JPY",
        "total_price": "1980", "line_items": [{**line(), "key": "k", "presentment_title": "見本茶"}], "phone": None,
        "created_at": "2026-11-02T10:00:00+09:00", "updated_at": "2026-11-02T10:05:00+09:00", "completed_at": None,
        "abandoned_checkout_url": "https://sample-shop.myshopify.com/1/checkouts/ac/bbbb0002/recover?key=k",
        "buyer_accepts_marketing": True, "buyer_accepts_sms_marketing": False, "sms_marketing_phone": None,
        "customer_locale": "ja", "source_name": "web", "gateway": None, "note_attributes": [], "discount_codes": [],
    }  # fmt: skip
    return {**usual, **said}


def customer(**said: Any) -> Body:
    usual: Body = {
        "id": 7_000_000_000_002, "admin_graphql_api_id": "gid://shopify/Customer/7000000000002",
        "email": "taro@example.jp", "first_name": "太郎", "last_name": "見本", "phone": None, "note": None,
        "created_at": "2026-01-05T09:00:00+09:00", "updated_at": "2026-11-02T10:00:00+09:00", "state": "enabled",
        "currency": "JPY", "addresses": [], "default_address": None, "verified_email": True, "tax_exempt": False,
    }  # fmt: skip
    return {**usual, **said}


def refund(**said: Any) -> Body:
    usual: Body = {
        "id": 960_000_000_001, "admin_graphql_api_id": "gid://shopify/Refund/960000000001", "note": None,
        "order_id": 6_100_000_000_001, "created_at": "2026-11-05T10:00:00+09:00", "user_id": 1, "restock": True,
        "processed_at": "2026-11-05T10:00:00+09:00", "refund_line_items": [], "transactions": [], "return": None,
        "order_adjustments": [], "refund_shipping_lines": [], "duties": [], "total_duties_set": money("0", "JPY"),
    }  # fmt: skip
    return {**usual, **said}


def consent(state: str, level: str | None = "single_opt_in", when: str | None = "2026-11-01T09:00:00+09:00") -> Body:
    return {"state": state, "opt_in_level": level, "consent_updated_at": when}


def sent_back(amount: str, currency: str, **said: Any) -> Body:
    return {"id": 1, "kind": "refund", "status": "success", "amount": amount, "currency": currency, **said}


SHIPPING_BACK = {"id": 1, "shipping_line_id": 2, "subtotal_amount_set": money("600", "JPY", "3.60")}
TAKEN_BACK = {"id": 3, "line_item_id": 16_100_000_000_001, "quantity": 1, "subtotal": 1980.0, "total_tax": 146.0,
              "subtotal_set": money("1980", "JPY", "11.90")}  # fmt: skip
NOTHING: dict[str, Any] = {}
ORDERS = [
    Variant("dinars of three decimals", "orders/create", order(
        currency="KWD", total_price="12.345", subtotal_price="12.345", total_price_set=money("12.345", "KWD"),
        line_items=[line(price="12.345", price_set=money("12.345", "KWD"))]),
        ((E.ORDER_PLACED, {"currency": "KWD", "total": 12_345, "lines.0.unit_amount": 12_345}),)),
    Variant("nothing but what an order cannot do without", "orders/updated", {
        name: order()[name] for name in ("id", "created_at", "currency", "total_price", "line_items")},
        ((E.ORDER_UPDATED, {"total": 2580, "person.email": None, "person.anonymous_ids": ()}),)),
    Variant("edited before it was paid: one of two pieces taken away", "orders/updated", order(
        total_price="4560", current_total_price="2580", total_price_set=money("4560", "JPY"),
        line_items=[line(quantity=2, current_quantity=1)], refunds=[refund(refund_line_items=[TAKEN_BACK])]),
        ((E.ORDER_UPDATED, {"total": 4560, "refunds.0.amount": 1980, "lines.0.quantity": 2}),)),
    Variant("bought with a gift card", "orders/create", order(
        payment_gateway_names=["gift_card"], line_items=[line(title="ギフトカード", gift_card=True, taxable=False)]),
        ((E.ORDER_PLACED, {"total": 2580, "paid": True, "lines.0.title": "ギフトカード", "person.first_name": "花"}),)),
    Variant("a tip on top", "orders/create", order(
        total_tip_received="200", total_price="2780", total_price_set=money("2780", "JPY", shown_in="JPY"),
        line_items=[line(), line(product_id=None, variant_id=None, title="Tip", price="200",
                                 price_set=money("200", "JPY"))]),
        ((E.ORDER_PLACED, {"total": 2780, "goods_total": 1980, "lines.1.product_id": "custom"}),)),
    Variant("a shop in yen, a buyer in euro, converted finer than a yen", "orders/create", order(
        presentment_currency="EUR", total_price="2580.45", total_price_set=money("2580.45", "JPY", "15.49"),
        subtotal_price_set=money("1980.27", "JPY", "11.89"),
        line_items=[line(price="11.89", price_set=money("1980.27", "JPY", "11.89"))]),
        ((E.ORDER_PLACED, {"currency": "JPY", "total": 2580, "goods_total": 1980, "lines.0.unit_amount": 1980}),)),
    Variant("a dollar shop", "orders/paid", order(
        currency="USD", total_price="25.8", total_price_set=money("25.80", "USD"), subtotal_price="19.80",
        subtotal_price_set=None, line_items=[line(price="19.80", price_set=money("19.80", "USD"))]),
        ((E.ORDER_UPDATED, {"currency": "USD", "total": 2580, "goods_total": 1980}),)),
    Variant("a customer redacted to nothing", "orders/updated", order(
        email="", contact_email=None, customer={"id": 7_000_000_000_001, "email": None, "first_name": None,
                                                "last_name": None, "phone": None, "default_address": None}),
        ((E.ORDER_UPDATED, {"person.source_customer_id": "7000000000001", "person.email": None,
                            "person.last_name": None}),)),
    Variant("without protected-customer-data approval", "orders/create", order(
        customer=None, email=None, contact_email=None, billing_address={"first_name": None, "last_name": None,
                                                                        "province_code": "JP-13", "zip": None}),
        ((E.ORDER_PLACED, {"total": 2580, "person.email": None, "person.prefecture": "東京都",
                           "person.anonymous_ids": ("checkout/bbbb0001", "cart/c1-aaaa")}),)),
    Variant("from a draft order, by hand", "orders/create", order(
        source_name="shopify_draft_order", checkout_token=None, cart_token=None, landing_site=None, processed_at=None,
        financial_status="pending", payment_terms={"payment_terms_name": "Net 30"},
        line_items=[line(product_id=None, variant_id=None, title="特注", price="1980")]),
        ((E.ORDER_PLACED, {"paid": False, "ordered_at": datetime(2026, 11, 2, 1, 15, 30, tzinfo=UTC),
                           "lines.0.product_id": "custom", "person.anonymous_ids": ()}),)),
    Variant("tags as a list", "orders/updated", order(tags=["Subscription", "Subscription Recurring Order"]),
        ((E.ORDER_UPDATED, {"lines.0.subscription": True, "delivery_number": None}),)),
    Variant("a cart whose token has a key", "orders/create", order(cart_token="c1-aaaa?key=0011"),
        ((E.ORDER_PLACED, {"cart_token": "c1-aaaa",
                           "person.anonymous_ids": ("checkout/bbbb0001", "cart/c1-aaaa")}),)),
    Variant("an exchange at the register", "orders/updated", order(
        source_name="pos", location_id=1, returns=[{"id": 1, "status": "closed", "exchange_line_items": [{"id": 2}]}],
        line_items=[line(quantity=2, current_quantity=0)], device_id=7, user_id=4),
        ((E.ORDER_UPDATED, {"offline": True, "lines.0.quantity": 2}),)),
    Variant("a company's order with attributes", "orders/create", order(
        company={"id": 1, "location_id": 2}, po_number="PO-7", note_attributes=[
            {"name": "utm_source", "value": "line"}, {"name": "gift", "value": None}, {"name": "n", "value": 3}]),
        ((E.ORDER_PLACED, {"media": "line"}),)),
]  # fmt: skip

REFUNDS = [
    Variant("money of another currency moved", "refunds/create", refund(
        refund_line_items=[TAKEN_BACK], transactions=[sent_back("11.90", "EUR")]),
        ((E.ORDER_REFUNDED, {"refunds.0.amount": 1980}),)),
    Variant("shipping given back, told since 2024-10", "refunds/create", refund(
        refund_line_items=[TAKEN_BACK], refund_shipping_lines=[SHIPPING_BACK],
        transactions=[sent_back("15.50", "EUR")]),
        ((E.ORDER_REFUNDED, {"refunds.0.amount": 2580}),)),
    Variant("shipping only", "refunds/create", refund(refund_shipping_lines=[SHIPPING_BACK], total_duties_set=None),
        ((E.ORDER_REFUNDED, {"refunds.0.amount": 600}),)),
    Variant("shipping told in both places", "refunds/create", refund(
        refund_line_items=[TAKEN_BACK], refund_shipping_lines=[SHIPPING_BACK],
        order_adjustments=[{"id": 1, "kind": "shipping_refund", "amount": "-600",
                            "amount_set": money("-600", "JPY")}]),
        ((E.ORDER_REFUNDED, {"refunds.0.amount": 2580}),)),
    Variant("an edit took a line away and moved no money yet", "refunds/create", refund(
        refund_line_items=[TAKEN_BACK],
        order_adjustments=[{"id": 1, "kind": "refund_discrepancy", "amount": "1980",
                            "amount_set": money("1980", "JPY")}]),
        ((E.ORDER_REFUNDED, {"refunds.0.amount": 0}),)),
    Variant("a refund on its way beside one that failed", "refunds/create", refund(transactions=[
        sent_back("500", "JPY", status="pending"), sent_back("1480", "JPY", status="failure"),
        sent_back("100", "JPY", kind="void")]),
        ((E.ORDER_REFUNDED, {"refunds.0.amount": 500}),)),
]  # fmt: skip

VISITS = [
    Variant("a checkout as the documentation wraps its currency", "checkouts/create", checkout(
        currency={"currency": "USD"}, total_price="398.00", customer=None),
        ((E.CHECKOUT_UPDATED, {"currency": "USD", "total": 39_800, "person.email": None}),)),
    Variant("a checkout of a known customer", "checkouts/update", checkout(
        cart_token="c1-aaaa?key=9", email="hana@example.jp", phone="+819000000001", sms_marketing_phone="+819000000001",
        customer={"id": 7_000_000_000_001, "email": "hana@example.jp", "orders_count": 0, "accepts_marketing": False,
                  "email_marketing_consent": consent("subscribed"), "tags": "a, b"}),
        ((E.CHECKOUT_UPDATED, {"cart_token": "c1-aaaa", "person.source_customer_id": "7000000000001"}),)),
    Variant("a checkout that is completed, without its cart", "checkouts/update", checkout(
        cart_token=None, completed_at="2026-11-02T10:09:00+09:00", abandoned_checkout_url=None, line_items=None),
        ((E.CHECKOUT_UPDATED, {"completed_at": datetime(2026, 11, 2, 1, 9, tzinfo=UTC), "recovery_url": None}),)),
    Variant("a cart whose token has a key", "carts/update", {
        "id": "c1-aaaa?key=0011", "token": "c1-aaaa?key=0011", "note": None, "updated_at": "2026-11-02T01:00:00.000Z",
        "created_at": "2026-11-02T00:59:00.000Z", "line_items": [{
            "id": 46_000_000_000_001, "properties": None, "quantity": 2, "variant_id": 46_000_000_000_001,
            "key": "46000000000001:aa", "discounted_price": "1980", "discounts": [], "gift_card": False, "grams": 100,
            "line_price": "3960", "original_line_price": "3960", "original_price": "1980", "price": "1980",
            "product_id": 9_000_000_000_001, "sku": "", "taxable": True, "title": "見本茶", "total_discount": "0",
            "price_set": money("1980.0", "JPY", shown_in="JPY"), "line_price_set": money("3960.0", "JPY"), "vendor": "",
        }]},
        ((E.CART_UPDATED, {"token": "c1-aaaa", "total": 3960, "person.anonymous_ids": ("cart/c1-aaaa",)}),)),
]  # fmt: skip

PEOPLE = [
    Variant("both consents in the record (2022 to 2024)", "customers/update", customer(
        email_marketing_consent=consent("subscribed", "confirmed_opt_in"), accepts_marketing=True,
        sms_marketing_consent={**consent("unsubscribed", None), "consent_collected_from": "SHOPIFY"}, tags="VIP, 春"),
        ((E.CUSTOMER_UPDATED, {"attributes.tags/VIP": True, "attributes.tags/春": True}),
         (E.CONSENT_CHANGED, {"channel": "email", "granted": True, "method": "shopify:confirmed_opt_in",
                              "event.occurred_at": datetime(2026, 11, 1, tzinfo=UTC)}),
         (E.CONSENT_CHANGED, {"channel": "sms", "granted": False, "by_customer": True}))),
    Variant("accepts_marketing, before 2022", "customers/create", customer(
        accepts_marketing=True, accepts_marketing_updated_at="2026-11-02T09:00:00+09:00", marketing_opt_in_level=None),
        ((E.CUSTOMER_UPDATED, {}),
         (E.CONSENT_CHANGED, {"granted": True, "by_customer": False, "method": "shopify:accepts_marketing",
                              "event.occurred_at": datetime(2026, 11, 2, tzinfo=UTC)}))),
    Variant("accepts_marketing never touched", "customers/create", customer(
        accepts_marketing=False, accepts_marketing_updated_at=None, email_marketing_consent=None),
        ((E.CUSTOMER_UPDATED, {}),)),
    Variant("accepts_marketing taken back", "customers/update", customer(
        accepts_marketing=False, accepts_marketing_updated_at="2026-11-02T09:00:00+09:00"),
        ((E.CUSTOMER_UPDATED, {}), (E.CONSENT_CHANGED, {"granted": False}))),
    Variant("no name, a macron in the prefecture, tags as a list", "customers/update", customer(
        first_name=None, last_name="", tags=["VIP", "a@example.jp"], default_address={
            "province": "Ōsaka", "province_code": None, "zip": "530-0001", "city": "大阪市北区", "address1": "見本1",
            "address2": "", "country_code": "JP", "company": None}),
        ((E.CUSTOMER_UPDATED, {"attributes": {"registered_on": "2026-01-05", "tags/VIP": True},
                               "person.prefecture": "大阪府", "person.address": "大阪市北区 見本1"}),)),
    Variant("a consent nobody dated", "customers_email_marketing_consent/update", {
        "customer_id": 7_000_000_000_002, "email_address": "taro@example.jp",
        "email_marketing_consent": consent("subscribed", "unknown", None)},
        ((E.CONSENT_CHANGED, {"granted": True, "method": "shopify:unknown", "person.email": "taro@example.jp"}),)),
    Variant("a consent in a word of tomorrow", "customers_marketing_consent/update", {
        "id": 7_000_000_000_002, "phone": "+819000000002", "sms_marketing_consent": consent("frozen")},
        ((E.UNKNOWN, {}),)),
    Variant("a customer deleted", "customers/delete", {
        "id": 7_000_000_000_002, "phone": None, "addresses": [], "tax_exemptions": [], "email_marketing_consent": None,
        "admin_graphql_api_id": "gid://shopify/Customer/7000000000002"},
        ((E.CUSTOMER_DELETED, {"person.source_customer_id": "7000000000002"}),)),
    Variant("an erasure without orders and without a number", "customers/redact", {
        "shop_id": 1, "shop_domain": CART.store, "customer": {"id": None, "email": "taro@example.jp", "phone": "0900"},
        "orders_to_redact": None},
        ((E.PERSON_ERASED, {"person.email": "taro@example.jp", "person.phone": "0900",
                            "person.source_customer_id": None}),)),
    Variant("a request for disclosure that counts orders", "customers/data_request", {
        "shop_id": 1, "shop_domain": CART.store.upper(), "orders_requested": [299_938, 280_263],
        "customer": {"id": 7_000_000_000_002, "email": "taro@example.jp", "phone": ""}, "data_request": {"id": 9_999}},
        ((E.PERSON_EXPORT_REQUESTED, {"person.source_customer_id": "7000000000002", "person.phone": None}),)),
]  # fmt: skip

THE_REST = [
    Variant("a product of variants without stock keeping", "products/update", {
        "id": 9_000_000_000_001, "title": "見本茶", "handle": "mihon-茶", "status": "active", "product_type": "",
        "category": {"full_name": "Food > Tea"}, "images": [], "image": None, "updated_at": "2026-11-02T10:00:00+09:00",
        "variant_gids": [], "variants": [{"id": 1, "price": "1980", "inventory_management": None,
                                          "inventory_quantity": -3}, {"id": 2, "price": "980.00"}]},
        ((E.PRODUCT_UPDATED, {"category": "Food > Tea", "stock": None, "image_url": None, "deleted": False}),)),
    Variant("a parcel that is in the hands of its carrier", "fulfillments/update", {
        "id": 1, "order_id": 6_100_000_000_001, "status": "success", "shipment_status": "out_for_delivery",
        "tracking_numbers": ["1"], "updated_at": "2026-11-03T09:00:00+09:00", "line_items": [], "receipt": NOTHING},
        ((E.ORDER_UPDATED, {"status": "out_for_delivery",
                            "event.occurred_at": datetime(2026, 11, 3, tzinfo=UTC)}),)),
    Variant("a weekly contract, its customer by gid only", "subscription_contracts/create", {
        "id": 50_001, "admin_graphql_api_id": "gid://shopify/SubscriptionContract/50001", "status": "active",
        "billing_policy": {"interval": "week", "interval_count": 2, "min_cycles": None, "max_cycles": None},
        "delivery_policy": {"interval": "week", "interval_count": 2}, "currency_code": "JPY", "origin_order_id": None,
        "customer_id": None, "admin_graphql_api_customer_id": "gid://shopify/Customer/7000000000002",
        "revision_id": "1"},
        ((E.SUBSCRIPTION_UPDATED, {"state": SubscriptionState.ACTIVE, "interval_unit": "week", "interval_count": 2,
                                   "person.source_customer_id": "7000000000002"}),)),
    Variant("a cycle that is back in the plan", "subscription_billing_cycles/unskip", {
        "subscription_contract_id": 50_001, "cycle_index": 3, "skipped": False, "edited": True,
        "billing_attempt_expected_date": "2026-12-01T15:00:00Z", "cycle_start_at": None, "cycle_end_at": None},
        ((E.SUBSCRIPTION_UPDATED, {"next_delivery_on": date(2026, 12, 2), "subscription_id": "50001"}),)),
]  # fmt: skip


@pytest.mark.parametrize("variant", [*ORDERS, *REFUNDS, *VISITS, *PEOPLE, *THE_REST], ids=str)
def test_a_body_of_another_shop_comes_to_what_it_says(variant: Variant) -> None:
    check(CART, variant)


def test_a_webhook_whose_headers_lost_their_x_is_kept_like_any_other() -> None:
    """Shopify's own libraries accept both; only the Events preview (one word, an action) is answered and not kept."""
    raw = b'{"id": 6100000000001}'
    request = CART.ask("orders/delete", raw)
    bare = replace(request, headers={name.removeprefix("x-"): value for name, value in request.headers.items()})
    assert CART.adapter.verify(bare, CART.connection, NOW)
    (envelope,) = CART.adapter.envelopes(bare, CART.connection, NOW)
    assert envelope == CART.adapter.envelopes(request, CART.connection, NOW)[0]
