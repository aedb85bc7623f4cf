"""WooCommerce, Square, Stripe, Amazon, ecforce, LINE: bodies of other shops, plugins and API versions."""

from __future__ import annotations

from datetime import UTC, date, datetime
from typing import Any

import pytest

from shared.ingest.model import EventType as E
from shared.ingest.model import SubscriptionState
from tests.contract.carts.carts import CARTS
from tests.contract.carts.variants import Body, Variant, check

S = SubscriptionState

# --- WooCommerce


def bill(**said: Any) -> Body:
    usual: Body = {
        "first_name": "花", "last_name": "見本", "company": "", "address_1": "見本町1-2", "address_2": "",
        "city": "港区",
        "state": "JP13", "postcode": "105-0001", "country": "JP", "email": "hana@example.jp", "phone": "0900000001",
    }  # fmt: skip
    return {**usual, **said}


def order(**said: Any) -> Body:
    usual: Body = {
        "id": 727, "parent_id": 0, "status": "processing", "currency": "JPY", "version": "10.3.0", "number": "727",
        "prices_include_tax": True, "date_created": "2026-11-02T10:15:30", "date_modified": "2026-11-02T10:15:40",
        "date_created_gmt": "2026-11-02T01:15:30", "date_modified_gmt": "2026-11-02T01:15:40", "discount_total": "0",
        "discount_tax": "0", "shipping_total": "546", "shipping_tax": "54", "cart_tax": "147", "total": "2580",
        "total_tax": "201", "customer_id": 12, "order_key": "wc_order_x", "billing": bill(), "shipping": {},
        "payment_method": "stripe", "transaction_id": "", "created_via": "checkout", "customer_note": "",
        "date_completed_gmt": None, "date_paid_gmt": "2026-11-02T01:15:38", "meta_data": [], "tax_lines": [],
        "line_items": [{
            "id": 315, "name": "見本茶", "product_id": 93, "variation_id": 0, "quantity": 1, "tax_class": "",
            "subtotal": "1833", "subtotal_tax": "147", "total": "1833", "total_tax": "147", "taxes": [], "sku": "",
            "meta_data": [{"id": 1, "key": "pa_size", "value": {"a": [1]}, "display_value": "大"}], "price": 1833,
            "image": {"id": "", "src": ""}, "parent_name": None}],
        "shipping_lines": [], "fee_lines": [], "coupon_lines": [], "refunds": [], "payment_url": "",
        "is_editable": False,
        "needs_payment": False, "needs_processing": True, "currency_symbol": "¥", "_links": {"self": [{"href": ""}]},
    }  # fmt: skip
    return {**usual, **said}


def contract(**said: Any) -> Body:
    usual: Body = {
        **order(id=900, status="active"), "billing_period": "month", "billing_interval": "1", "trial_period": "",
        "start_date_gmt": "2026-09-02T01:15:30", "trial_end_date_gmt": "",
        "next_payment_date_gmt": "2026-12-01T16:00:00",
        "last_payment_date_gmt": "2026-11-02T01:15:30", "cancelled_date_gmt": "", "end_date_gmt": "",
        "resubscribed_from": "", "resubscribed_subscription": "", "removed_line_items": [], "suspension_count": 0,
        "requires_manual_renewal": False,
    }  # fmt: skip
    return {**usual, **said}


TAKEN_BACK = {"id": 728, "reason": "", "total": "-1980.00"}
WOOCOMMERCE = [
    Variant("what PHP writes for nothing", "order.updated", order(
        billing="", refunds={}, coupon_lines="", line_items={"1": {**order()["line_items"][0]}}),
        ((E.ORDER_UPDATED, {"total": 2580, "lines.len": 1, "refunds": (), "person.email": None}),)),
    Variant("dinars of three decimals, half of them given back", "order.updated", order(
        currency="KWD", total="12.345", refunds=[{**TAKEN_BACK, "total": "-6.172"}]),
        ((E.ORDER_UPDATED, {"currency": "KWD", "total": 12_345, "refunds.0.amount": 6_172}),)),
    Variant("REST v1: local times only", "order.created", {
        name: value for name, value in order().items() if not name.endswith("_gmt")},
        ((E.ORDER_PLACED, {"ordered_at": datetime(2026, 11, 2, 1, 15, 30, tzinfo=UTC), "total": 2580}),)),
    Variant("a contract without a next date of an old plugin, which wrote 0", "subscription.updated", contract(
        next_payment_date_gmt="0", trial_end_date_gmt=0, cancelled_date_gmt="0"),
        ((E.SUBSCRIPTION_UPDATED, {"next_delivery_on": None, "cancelled_at": None}),)),
    Variant("a guest's order with meta of every type", "order.created", order(
        customer_id=0, meta_data=[{"id": 1, "key": "_a", "value": None}, {"id": 2, "key": "b", "value": [1,
        {"c": 2.5}]},
                                  {"id": 3, "key": "_billing_yomigana_last_name", "value": "ミホン"},
                                  {"id": 4, "key": "_wc_order_attribution_utm_source", "value": "google"}, "nonsense"]),
        ((E.ORDER_PLACED, {"total": 2580, "paid": True, "media": "google", "person.source_customer_id": None,
                           "person.last_name_kana": "ミホン", "person.prefecture": "東京都"}),)),
    Variant("yen of a shop that kept two decimals and prices without tax", "order.created", order(
        prices_include_tax=False, total="2580.36", line_items=[{
            "id": 1, "name": "x", "product_id": 93, "variation_id": 94, "quantity": 3, "subtotal": "1833.3333",
            "subtotal_tax": "146.67", "total": "1650.00", "total_tax": "132", "price": 550.0}]),
        ((E.ORDER_PLACED, {"total": 2580, "goods_total": 1650, "lines.0.unit_amount": 611,
                           "lines.0.variant_id": "94"}),)),
    Variant("lists from which a plugin took an entry", "order.updated", order(
        line_items={"0": order()["line_items"][0], "2": {**order()["line_items"][0], "id": 317, "product_id": 95}},
        refunds={"1": TAKEN_BACK}, meta_data={"0": {"key": "_billing_yomigana_last_name", "value": "ミホン"}}),
        ((E.ORDER_UPDATED, {"lines.len": 2, "lines.1.product_id": "95", "refunds.0.amount": 1980,
                            "person.last_name_kana": "ミホン"}),)),
    Variant("an order whose product is gone and whose address is empty", "order.updated", order(
        status="wc-completed", billing=[], date_paid_gmt=None, line_items=[{
            "id": 1, "name": "なくなった品", "product_id": 0, "variation_id": 0, "quantity": 1, "subtotal": "10",
            "subtotal_tax": "1", "total": "10", "total_tax": "1", "price": "10", "image": None}]),
        ((E.ORDER_UPDATED, {"paid": True, "lines.0.product_id": "custom", "person.email": None}),)),
    Variant("two refunds", "order.updated", order(status="refunded", refunds=[TAKEN_BACK, {**TAKEN_BACK, "id": "729",
                                                                               "total": -600}]),
        ((E.ORDER_UPDATED, {"refunds.0.amount": 1980, "refunds.1.amount": 600, "refunds.1.refund_id": "729"}),)),
    Variant("an order that lost its UTC time and more", "order.updated", {
        "id": "727", "status": "on-hold", "currency": "JPY", "total": 2580, "date_created": "2026-11-02T10:15:30",
        "line_items": [], "billing": None},
        ((E.ORDER_UPDATED, {"ordered_at": datetime(2026, 11, 2, 1, 15, 30, tzinfo=UTC), "total": 2580,
                            "paid": False}),)),
    Variant("a customer the shop made by hand", "customer.created", {
        "id": 13, "date_created": "2026-11-02T08:00:00", "date_created_gmt": "2026-11-01T23:00:00", "email": "",
        "date_modified_gmt": None, "first_name": "", "last_name": "", "role": "customer", "username": "t",
        "billing": bill(email="taro@example.jp", state=""), "shipping": [], "is_paying_customer": False,
        "avatar_url": "", "meta_data": [{"id": 1, "key": "k", "value": False}]},
        ((E.CUSTOMER_UPDATED, {"person.email": "taro@example.jp", "person.last_name": "見本",
                               "person.prefecture": None, "attributes": {"registered_on": "2026-11-02"}}),)),
    Variant("a contract every two weeks", "subscription.updated", contract(
        billing_period="week", billing_interval="2", meta_data=[{"id": 1, "key": "_schedule_x", "value": 7}]),
        ((E.SUBSCRIPTION_UPDATED, {"interval_unit": "week", "interval_count": 2, "amount": 2580,
                                   "next_delivery_on": date(2026, 12, 2), "state": S.ACTIVE}),)),
    Variant("a contract without dates of an old plugin", "subscription.created", contract(
        status="pending", next_payment_date_gmt="0000-00-00 00:00:00", start_date_gmt="", billing_interval=1),
        ((E.SUBSCRIPTION_UPDATED, {"state": S.UNKNOWN, "next_delivery_on": None,
                                   "started_at": datetime(2026, 11, 2, 1, 15, 30, tzinfo=UTC)}),)),
    Variant("a resubscription's order", "order.created", order(meta_data=[
        {"id": 1, "key": "_subscription_renewal", "value": 900}]),
        ((E.ORDER_PLACED, {"subscription_id": "900", "lines.0.subscription": True}),)),
]  # fmt: skip

# --- Square

square = CARTS["square"]


def told(kind: str, data: Body, name: str = "") -> Body:
    return {
        "merchant_id": square.store.upper(), "location_id": "L1", "type": kind, "created_at": "2026-11-02T01:15:31.5Z",
        "event_id": "13b867cf-db3d-4b1c-90b6-2f32a9d78124", "data": {"type": name or kind.partition(".")[0], **data},
    }  # fmt: skip


def yen(amount: int) -> Body:
    return {"amount": amount, "currency": "JPY"}


def whole(**said: Any) -> Body:
    usual: Body = {
        "id": "CAISENgvlJ6jLWAzERDzjyHVybY", "location_id": "L1", "created_at": "2026-11-02T01:15:28.123Z",
        "version": 4,
        "updated_at": "2026-11-02T01:15:30.000Z", "state": "COMPLETED", "total_money": yen(2580), "line_items": [
            {"uid": "u", "quantity": "1", "name": "見本茶", "catalog_object_id": "W62UWFY35CWMYGVWK6TWJDNI",
             "base_price_money": yen(1980), "item_type": "ITEM", "variation_name": "100g"}],
        "total_tax_money": yen(147), "total_discount_money": yen(0), "total_tip_money": yen(0),
        "source": {"name": "Web"},
        "total_service_charge_money": yen(600), "net_amount_due_money": yen(0), "tenders": [], "fulfillments": [],
    }  # fmt: skip
    return {"id": "CAISENgvlJ6jLWAzERDzjyHVybY", "object": {"order": {**usual, **said}}}


def payment(**said: Any) -> Body:
    usual: Body = {
        "id": "hYy9pRFVxpDsO1FB05SunFWUe9JZY", "created_at": "2026-11-02T01:15:28.000Z", "status": "COMPLETED",
        "updated_at": "2026-11-02T01:15:30.000Z", "amount_money": yen(2580), "total_money": yen(2580), "version": 3,
        "order_id": "CAISENgvlJ6jLWAzERDzjyHVybY", "location_id": "L1", "source_type": "CARD", "receipt_number": "hYy9",
        "card_details": {"status": "CAPTURED", "entry_method": "KEYED", "card": {"last_4": "1111"}},
    }  # fmt: skip
    return {"id": "hYy9pRFVxpDsO1FB05SunFWUe9JZY", "object": {"payment": {**usual, **said}}}


def subscriber(**said: Any) -> Body:
    usual: Body = {
        "id": "0efb0d1a-0001", "status": "ACTIVE", "customer_id": "CUST0000000001", "start_date": "2026-09-01",
        "charged_through_date": "2026-12-01", "version": 1_793_581_531_000, "timezone": "Asia/Tokyo",
        "location_id": "L1",
        "created_at": "2026-09-01T00:00:00Z",
    }  # fmt: skip
    return {"id": "0efb0d1a-0001", "object": {"subscription": {**usual, **said}}}


SQUARE = [
    Variant("sold by weight", "order.updated", told("order.updated", whole(line_items=[
        {"uid": "u", "quantity": "0.75", "name": "見本茶", "base_price_money": yen(2640), "quantity_unit": {
            "measurement_unit": {"weight_unit": "METRIC_KILOGRAM"}, "precision": 2}}])),
        ((E.ORDER_UPDATED, {"lines.0.quantity": 1, "lines.0.product_id": "custom", "total": 2580}),)),
    Variant("an exchange: what was returned is set off", "order.updated", told("order.updated", whole(
        returns=[{"uid": "r", "source_order_id": "CAISENgvlJ6jLWAzERDzjyHVybX", "return_line_items": [
            {"uid": "z", "quantity": "1", "name": "見本茶", "base_price_money": yen(1980)}]}],
        return_amounts={"total_money": yen(1980)}, net_amounts={"total_money": yen(600)})),
        ((E.ORDER_UPDATED, {"total": 600, "lines.len": 1}),)),
    Variant("money that went back in two parts: the refunds have orders of their own", "payment.updated", told(
        "payment.updated", payment(refunded_money=yen(800), refund_ids=["p_R1", "p_R2"], version=7)),
        ((E.ORDER_UPDATED, {"total": 2580, "refunds.len": 1, "refunds.0.amount": 800,
                            "order_id": "CAISENgvlJ6jLWAzERDzjyHVybY"}),)),
    Variant("the order Square writes for a refund", "order.updated", told("order.updated", whole(
        line_items=None, total_money=yen(0), returns=[{"uid": "r", "source_order_id": "CAISENgvlJ6jLWAzERDzjyHVybX"}],
        refunds=[{"id": "a", "tender_id": "hYy9", "status": "APPROVED", "amount_money": yen(500)},
                 {"id": "b", "tender_id": "hYy9", "status": "APPROVED", "amount_money": yen(300)},
                 {"id": "c", "tender_id": "hYy9", "status": "FAILED", "amount_money": yen(900)}])),
        ((E.ORDER_REFUNDED, {"order_id": "CAISENgvlJ6jLWAzERDzjyHVybX", "refunds.len": 1, "refunds.0.amount": 800,
                             "refunds.0.refund_id": "hYy9"}),)),
    Variant("a return that names no order", "order.updated", told("order.updated", whole(
        line_items=None, total_money=None, returns=[{"uid": "r"}])), ((E.UNKNOWN, {}),)),
    Variant("a payment of which nothing went back yet", "payment.updated", told("payment.updated", payment(
        refunded_money=yen(0), refund_ids=None, application_details={"square_product": "ECOMMERCE_API"})),
        ((E.ORDER_UPDATED, {"refunds": ()}),)),
    Variant("the whole order of a guest who paid with a card on file", "order.updated", told("order.updated", whole(
        tenders=[{"id": "t", "type": "CARD", "customer_id": "CUST0000000001", "amount_money": yen(2580)}])),
        ((E.ORDER_UPDATED, {"total": 2580, "goods_total": 1980, "paid": True,
                            "person.source_customer_id": "CUST0000000001"}),)),
    Variant("cash at the register, rounded, of several locations", "payment.updated", told("payment.updated", payment(
        source_type="CASH", card_details=None, order_id=None, tip_money=yen(80),
        cash_details={"buyer_supplied_money": yen(3000), "change_back_money": yen(420)})),
        ((E.ORDER_UPDATED, {"order_id": "hYy9pRFVxpDsO1FB05SunFWUe9JZY", "offline": True, "goods_total": 2500}),)),
    Variant("a payment that waits, and one that failed", "payment.created", told("payment.created", payment(
        status="APPROVED")), ((E.UNKNOWN, {}),)),
    Variant("an online payment with the buyer's bill", "payment.created", told("payment.created", payment(
        customer_id="CUST0000000001", buyer_email_address="hana@example.jp", billing_address={
            "address_line_1": "見本町1-2", "locality": "港区", "administrative_district_level_1": "Tokyo",
            "postal_code": "105-0001", "country": "JP", "first_name": "花", "last_name": "見本"})),
        ((E.ORDER_UPDATED, {"person.email": "hana@example.jp", "person.prefecture": "東京都",
                            "person.address": "港区 見本町1-2"}),)),
    Variant("a refund of a part", "refund.updated", told("refund.updated", {"id": "R_x", "object": {"refund": {
        "id": "hYy9pRFVxpDsO1FB05SunFWUe9JZY_R9", "status": "COMPLETED", "amount_money": yen(500), "reason": "破損",
        "order_id": "CAISENgvlJ6jLWAzERDzjyHVybY", "payment_id": "p", "created_at": "2026-11-03T00:00:00Z",
        "updated_at": "2026-11-03T00:00:02Z", "processing_fee": [{"amount_money": yen(-3), "type": "INITIAL"}]}}}),
        ((E.ORDER_REFUNDED, {"refunds.0.amount": 500}),)),
    Variant("a subscription of the API before 2023", "subscription.created", told("subscription.created", subscriber(
        plan_id="6JHXF3B2CW3YKHDV4XEM674H", tax_percentage="5", version=1, price_override_money=yen(2980))),
        ((E.SUBSCRIPTION_UPDATED, {"lines.0.product_id": "6JHXF3B2CW3YKHDV4XEM674H", "amount": 2980,
                                   "next_delivery_on": date(2026, 12, 1)}),)),
    Variant("a subscription in phases that ends", "subscription.updated", told("subscription.updated", subscriber(
        plan_variation_id="6JHXF3B2CW3YKHDV4XEM674H", canceled_date="2026-12-01", status="ACTIVE",
        phases=[{"uid": "p", "ordinal": 0, "order_template_id": "o"}], actions=[{"id": "a", "type": "CANCEL"}])),
        ((E.SUBSCRIPTION_UPDATED, {"state": S.ACTIVE, "next_delivery_on": None, "amount": None}),)),
    Variant("a customer who signed up at night, in UTC", "customer.created", told("customer.created", {
        "id": "CUST0000000002", "object": {"customer": {
            "id": "CUST0000000002", "created_at": "2026-11-01T20:00:00.5Z", "updated_at": "2026-11-01T20:00:00Z",
            "given_name": "太郎", "email_address": "taro@example.jp", "phone_number": "+819000000002", "version": 0,
            "birthday": "1990-04-01", "preferences": {"email_unsubscribed": False}, "creation_source": "DIRECTORY",
            "group_ids": ["g"], "segment_ids": [], "tax_ids": {}, "address": {}}}}),
        ((E.CUSTOMER_UPDATED, {"attributes": {"birth_on": "1990-04-01", "registered_on": "2026-11-02"},
                               "person.last_name": None, "person.first_name": "太郎"}),)),
]  # fmt: skip

# --- Stripe


def event(kind: str, thing: Body, version: str | None = "2025-09-30.clover") -> Body:
    return {
        "id": "evt_1Variant", "object": "event", "api_version": version, "created": 1_793_581_531, "livemode": True,
        "data": {"object": thing, "previous_attributes": {}}, "pending_webhooks": 1, "type": kind, "context": None,
        "request": {"id": None, "idempotency_key": None},
    }  # fmt: skip


ENDS, BEGAN = 1_796_173_531, 1_788_397_531
PRICE: Body = {
    "id": "price_1", "object": "price", "product": "prod_1", "unit_amount": 2980, "unit_amount_decimal": "2980",
    "currency": "jpy", "recurring": {"interval": "month", "interval_count": 1, "usage_type": "licensed"},
    "nickname": None, "billing_scheme": "per_unit", "type": "recurring", "active": True,
}  # fmt: skip


def item(price: Body = PRICE, **said: Any) -> Body:
    return {"id": "si_1", "object": "subscription_item", "price": price, "quantity": 1, "current_period_end": ENDS,
            "current_period_start": BEGAN, "plan": None, **said}  # fmt: skip


def subscription(**said: Any) -> Body:
    usual: Body = {
        "id": "sub_1Variant", "object": "subscription", "status": "active", "customer": "cus_1", "currency": "jpy",
        "created": BEGAN, "start_date": BEGAN, "cancel_at": None, "cancel_at_period_end": False, "canceled_at": None,
        "ended_at": None, "trial_end": None, "pause_collection": None, "items": {"object": "list", "data": [item()]},
        "billing_mode": {"type": "flexible"}, "cancellation_details": {"comment": None, "feedback": None,
        "reason": None},
        "latest_invoice": "in_1", "metadata": {}, "discounts": [], "collection_method": "charge_automatically",
    }  # fmt: skip
    return {**usual, **said}


def invoice(**said: Any) -> Body:
    usual: Body = {
        "id": "in_1Variant", "object": "invoice", "number": "F-0001", "currency": "jpy", "total": 2980,
        "created": BEGAN,
        "amount_paid": 2980, "amount_due": 2980, "billing_reason": "subscription_cycle", "customer": "cus_1",
        "customer_email": "hana@example.jp", "customer_name": "見本 花", "customer_phone": None,
        "customer_address": None,
        "status": "paid", "total_discount_amounts": [], "lines": {"object": "list", "data": [{
            "id": "il_1", "amount": 2980, "quantity": 1, "description": "1 × 見本茶 (at ¥2,980 / month)", "pricing": {
                "type": "price_details", "price_details": {"price": "price_1", "product": "prod_1"}}}]},
        "parent": {"type": "subscription_details", "subscription_details": {"subscription": "sub_1Variant"}},
    }  # fmt: skip
    return {**usual, **said}


def note(**said: Any) -> Body:
    return {"id": "cn_1", "object": "credit_note", "invoice": "in_1Variant", "amount": 980, "total": 980, "refunds": [],
            "currency": "jpy", "customer": "cus_1", "status": "issued", "type": "post_payment", **said}  # fmt: skip


OLD_PLAN = {"id": "plan_tea", "object": "plan", "amount": 1980, "currency": "jpy", "interval": "year",
            "interval_count": 1, "name": "茶", "livemode": True}  # fmt: skip
STRIPE = [
    Variant("the older name of a paid invoice", "", event("invoice.payment_succeeded", invoice(), "2020-08-27"),
        ((E.ORDER_UPDATED, {"order_id": "in_1Variant", "total": 2980, "paid": True}),)),
    Variant("2025: a charge that names no invoice", "", event("charge.refunded", {
        "id": "ch_1", "object": "charge", "amount": 2980, "amount_refunded": 980, "currency": "jpy",
        "payment_intent": "pi_1", "customer": "cus_1", "refunded": False}), ((E.UNKNOWN, {}),)),
    Variant("2025: a credit note for a part of an invoice", "", event("credit_note.created", note()),
        ((E.ORDER_REFUNDED, {"order_id": "in_1Variant", "refunds.0.amount": 980}),)),
    Variant("2022: the refunded charge says the same as the credit note", "", event(
        "credit_note.created", note(refund="re_1"), "2022-11-15"), ((E.UNKNOWN, {}),)),
    Variant("dinars of three decimals", "", event("invoice.paid", invoice(currency="kwd", total=12_345)),
        ((E.ORDER_UPDATED, {"currency": "KWD", "total": 12_345}),)),
    Variant("a checkout without an amount and without anybody", "", event("checkout.session.completed", {
        "id": "cs_live_1", "object": "checkout.session", "amount_total": None, "currency": None, "customer": None,
        "customer_details": None, "after_expiration": None, "mode": "setup"}),
        ((E.CHECKOUT_UPDATED, {"total": 0, "currency": None, "person.email": None}),)),
    Variant("2015: one plan, on the contract itself", "", event("customer.subscription.updated", {
        "id": "sub_1Variant", "object": "subscription", "plan": OLD_PLAN, "quantity": 2, "customer": "cus_1",
        "status": "active", "start": BEGAN, "current_period_end": ENDS, "cancel_at_period_end": False}, "2015-10-16"),
        ((E.SUBSCRIPTION_UPDATED, {"amount": 3960, "currency": "JPY", "interval_unit": "year",
                                   "lines.0.product_id": "plan_tea", "lines.0.quantity": 2}),)),
    Variant("2020: the period on the contract, the item without its own", "", event(
        "customer.subscription.created", subscription(current_period_end=ENDS, items={"data": [
            item(current_period_end=None, plan={**OLD_PLAN, "product": "prod_1"})]}), "2020-08-27"),
        ((E.SUBSCRIPTION_UPDATED, {"next_delivery_on": date(2026, 12, 2), "amount": 2980}),)),
    Variant("2025: the end of the period booked as a date", "", event("customer.subscription.updated", subscription(
        cancel_at=ENDS, canceled_at=1_793_000_000, cancellation_details={
            "comment": "高い", "feedback": "too_expensive", "reason": "cancellation_requested"})),
        ((E.SUBSCRIPTION_UPDATED, {"state": S.ACTIVE, "next_delivery_on": None, "cancel_reason": "too_expensive",
                                   "cancelled_at": datetime.fromtimestamp(1_793_000_000, UTC)}),)),
    Variant("2025: booked to end some periods later", "", event("customer.subscription.updated", subscription(
        cancel_at=ENDS + 90 * 86_400)),
        ((E.SUBSCRIPTION_UPDATED, {"next_delivery_on": date(2026, 12, 2), "cancelled_at": None}),)),
    Variant("prices finer than a coin, by consumption and by steps", "", event(
        "customer.subscription.updated", subscription(items={"data": [
            item({**PRICE, "unit_amount": None, "unit_amount_decimal": "0.5"}),
            item({**PRICE, "recurring": {**PRICE["recurring"], "usage_type": "metered"}}, quantity=None),
            item({**PRICE, "unit_amount": None, "unit_amount_decimal": None, "billing_scheme": "tiered"})]})),
        ((E.SUBSCRIPTION_UPDATED, {"amount": None, "lines.0.unit_amount": 1, "lines.len": 3}),)),
    Variant("an expanded customer and product, paused", "", event("customer.subscription.paused", subscription(
        status="paused", customer={"id": "cus_1", "object": "customer"}, items={"data": [
            item({**PRICE, "product": {"id": "prod_1", "name": "見本茶"}})]})),
        ((E.SUBSCRIPTION_UPDATED, {"state": S.PAUSED, "lines.0.title": "見本茶",
                                   "person.source_customer_id": "cus_1"}),)),
    Variant("2025: an invoice names its contract in its parent", "", event("invoice.paid", invoice()),
        ((E.ORDER_UPDATED, {"subscription_id": "sub_1Variant", "total": 2980, "lines.0.variant_id": "price_1",
                            "person.last_name": "見本"}),)),
    Variant("2022: an expanded contract, a line of old shape, a change in mid-period", "", event("invoice.paid",
    invoice(
        parent=None, subscription={"id": "sub_1Variant"}, total=1000, lines={"data": [
            {"id": "il_1", "amount": -1980, "quantity": 1, "description": None, "proration": True, "price": PRICE},
            {"id": "il_2", "amount": 2980, "quantity": None, "plan": OLD_PLAN, "description": "x"}]}), "2022-11-15"),
        ((E.ORDER_UPDATED, {"subscription_id": "sub_1Variant", "total": 1000, "lines.0.unit_amount": 0,
                            "lines.0.product_id": "prod_1"}),)),
    Variant("a charge of 2019 names its invoice", "", event("charge.refunded", {
        "id": "ch_1", "object": "charge", "amount": 2980, "amount_refunded": 980, "currency": "jpy", "invoice": "in_1",
        "refunded": False, "refunds": {"object": "list", "data": []}}, "2019-02-19"),
        ((E.ORDER_REFUNDED, {"order_id": "in_1", "refunds.0.amount": 980}),)),
    Variant("a customer with nothing but a number", "", event("customer.updated", {
        "id": "cus_1", "object": "customer", "address": None, "email": None, "name": None, "phone": None,
        "created": 1_793_570_000, "deleted": False, "shipping": None, "preferred_locales": []}, None),
        ((E.CUSTOMER_UPDATED, {"person.email": None, "attributes": {"registered_on": "2026-11-02"}}),)),
]  # fmt: skip

# --- Amazon


def change(**said: Any) -> Body:
    usual: Body = {
        "NotificationLevel": "OrderLevel", "SellerId": CARTS["amazon"].store.upper(),
        "AmazonOrderId": "250-0000000-0000001", "OrderChangeType": "OrderStatusChange", "OrderChangeTrigger": {
            "TimeOfOrderChange": "2026-11-02T01:15:30Z", "ChangeReason": "None"},
        "Summary": {"MarketplaceId": "A1VC38T7YXB528", "OrderStatus": "Unshipped", "FulfillmentType": "MFN",
                    "PurchaseDate": "2026-11-02T01:00:00Z", "DestinationPostalCode": "1050001", "OrderItems": []},
    }  # fmt: skip
    return {
        "NotificationVersion": "1.0", "NotificationType": "ORDER_CHANGE", "PayloadVersion": "1.0",
        "EventTime": "2026-11-02T01:15:31.000Z", "Payload": {"OrderChangeNotification": {**usual, **said}},
        "NotificationMetadata": {"ApplicationId": "amzn1.x", "SubscriptionId": "s",
        "PublishTime": "2026-11-02T01:15:32Z",
                                 "NotificationId": "d0e9e693-0000-4000-8000-000000000001"},
    }  # fmt: skip


def summary(**said: Any) -> Body:
    return {
        "OrderStatus": "Shipped",
        "FulfillmentType": "AFN",
        "OrderType": "StandardOrder",
        "OrderItems": None,
        **said,
    }


AMAZON = [
    Variant("payment taken", "ORDER_CHANGE", change(), ((E.ORDER_UPDATED, {"status": "payment"}),)),
    Variant("sent by Amazon, parts of the summary missing", "ORDER_CHANGE", change(Summary=summary()),
        ((E.ORDER_UPDATED, {"status": "shipped",
        "event.subject": "amazon/asample0000001/order/250-0000000-0000001"}),)),
    Variant("the buyer asked to cancel", "ORDER_CHANGE", change(
        OrderChangeType="BuyerRequestedChange", NotificationLevel="OrderItemLevel", OrderChangeTrigger={
            "TimeOfOrderChange": None, "ChangeReason": "BuyerCancelRequest"}),
        ((E.ORDER_UPDATED, {"status": "payment",
                            "event.occurred_at": datetime(2026, 11, 2, 1, 15, 31, tzinfo=UTC)}),)),
    Variant("cancelled while easy-shipped", "ORDER_CHANGE", change(Summary=summary(
        OrderStatus="Canceled", EasyShipShipmentStatus="OutForDelivery")),
        ((E.ORDER_CANCELLED, {"status": "cancelled"}),)),
    Variant("lost on its way", "ORDER_CHANGE", change(Summary=summary(EasyShipShipmentStatus="Lost")),
        ((E.ORDER_UPDATED, {"status": "failed"}),)),
    Variant("a pre-order that is not out yet", "ORDER_CHANGE",
    change(Summary=summary(OrderStatus="PendingAvailability")),
        ((E.ORDER_PLACED, {"status": "placed"}),)),
    Variant("a type in camel case", "ORDER_CHANGE", {
        "notificationVersion": "2023-12-01", "notificationType": "ACCOUNT_STATUS_CHANGED", "eventTime": "x",
        "payload": {"accountStatusChanged": {"sellerId": CARTS["amazon"].store, "status": "NORMAL"}},
        "notificationMetadata": {"notificationId": "d0e9e693-0000-4000-8000-000000000002"}}, ((E.UNKNOWN, {}),)),
]  # fmt: skip

# --- ecforce (what a shop's template renders to)


def rendered(name: str, **said: str) -> Body:
    usual: Body = {
        "event": name, "template": "1", "id": "5012", "number": "A-5012", "times": "1", "state": "complete",
        "total": "4980", "payment_state": "captured", "customer_id": "881", "email": "hana@example.jp",
        "name01": "髙﨑", "name02": "花", "kana01": "ﾀｶｻｷ", "kana02": "ﾊﾅ", "prefecture_id": "13", "zip01": "105",
        "zip02": "0001", "addr01": "港区", "addr02": "見本1", "addr03": "", "tel01": "090", "tel02": "0000",
        "tel03": "0001",
    }  # fmt: skip
    return {**usual, **said}


ECFORCE = [
    Variant("an amount with its unit", "", rendered("order_completed", total="￥12,980円"),
        ((E.ORDER_PLACED, {"total": 12_980, "paid": True, "delivery_number": 1}),)),
    Variant("an amount of a decimal column", "", rendered("order_complete", total="4980.0", times=""),
        ((E.ORDER_PLACED, {"total": 4980, "delivery_number": None}),)),
    Variant("the third delivery, not paid yet", "", rendered("order_created", times="3", payment_state="authorized"),
        ((E.ORDER_PLACED, {"delivery_number": 3, "paid": False}),)),
    Variant("a guest who left half of it empty", "", rendered("order_completed", customer_id="", email="", kana01="",
                                                              tel01="", tel02="", tel03="", zip02="", addr02=""),
        ((E.ORDER_PLACED, {"person.source_customer_id": None, "person.phone": None, "person.postal_code": "105",
                           "person.address": "港区"}),)),
    Variant("a telephone in one field", "", rendered("order_completed", tel01="09000000001", tel02="", tel03=""),
        ((E.ORDER_PLACED, {"person.phone": "09000000001", "person.last_name": "髙﨑",
                           "person.prefecture": "東京都"}),)),
    Variant("cancelled", "", rendered("order_canceled", total=""), ((E.ORDER_CANCELLED, {"status": "cancelled"}),)),
    Variant("a contract given up, which our template cannot name", "", rendered("subs_order_canceled"),
        ((E.UNKNOWN, {}),)),
]  # fmt: skip

# --- LINE

USER = "U4af4980629000000000000000000000a"


def line(*events: Body) -> Body:
    return {"destination": "U" + CARTS["line"].store[1:], "events": list(events)}


def happened(kind: str, **said: Any) -> Body:
    usual: Body = {
        "type": kind, "mode": "active", "timestamp": 1_793_581_531_000, "source": {"type": "user", "userId": USER},
        "webhookEventId": "01FZ74A0TDDPYRVKNK77XKC3ZR", "deliveryContext": {"isRedelivery": False},
        "replyToken": "nHuyWiB7yP5Zw52FIkcQobQuGDXCTA",
    }  # fmt: skip
    return {**usual, **said}


def words(text: str) -> Body:
    return {"id": "1", "type": "text", "text": text, "quoteToken": "q", "markAsReadToken": "m"}


GROUP = {"type": "group", "groupId": "C" + "0" * 32, "userId": USER}
LINE = [
    Variant("an old sample: a small u, no event id", "", line({
        "replyToken": "x", "type": "follow", "timestamp": 1_462_629_479_859,
        "source": {"type": "user", "userId": "u206d25c2ea0000000000000000000000"}}),
        ((E.CONSENT_CHANGED, {"granted": True, "person.line_user_id": "u206d25c2ea0000000000000000000000",
                              "event.occurred_at": datetime(2016, 5, 7, 13, 57, 59, 859_000, tzinfo=UTC)}),)),
    Variant("back after blocking, told again by LINE", "", line(happened(
        "follow", follow={"isUnblocked": True}, deliveryContext={"isRedelivery": True})),
        ((E.CONSENT_CHANGED, {"granted": True, "method": "line:unblocked"}),)),
    Variant("配信停止 with a space around it", "", line(happened("message", message=words("　配信停止\n"))),
        ((E.CONSENT_CHANGED, {"granted": False, "method": "line:keyword"}),)),
    Variant("配信停止 said in a group is about the group", "", line(happened(
        "message", source=GROUP, message=words("配信停止"))), ((E.UNKNOWN, {}),)),
    Variant("a module's channel on standby", "", line(happened("message", mode="standby", replyToken=None,
                                                                message={"id": "2", "type": "audio",
                                                                "duration": 6000})),
        ((E.TRACKED, {"name": "line_message", "properties": {"kind": "audio"}}),)),
    Variant("a rich menu changed by a postback with an empty answer", "", line(happened(
        "postback", postback={"data": "a=1", "params": {}})), ((E.TRACKED, {"name": "line_postback"}),)),
    Variant("events of recent years and of nobody", "", line(
        happened("membership", membership={"type": "joined", "membershipId": 3}),
        happened("delivery", source=None, delivery={"data": "15034552939884E2"}, webhookEventId="0" * 26),
        happened("accountLink", source=None, link={"result": "failed", "nonce": "n" * 20}, webhookEventId="1" * 26)),
        ((E.UNKNOWN, {}), (E.UNKNOWN, {}), (E.UNKNOWN, {}))),
]  # fmt: skip

EVERY = {"woocommerce": WOOCOMMERCE, "square": SQUARE, "stripe": STRIPE, "amazon": AMAZON, "ecforce": ECFORCE,
         "line": LINE}  # fmt: skip


@pytest.mark.parametrize(
    ("cart", "variant"), [pytest.param(cart, each, id=f"{cart}: {each}") for cart in EVERY for each in EVERY[cart]]
)
def test_a_body_of_another_shop_comes_to_what_it_says(cart: str, variant: Variant) -> None:
    check(CARTS[cart], variant)
