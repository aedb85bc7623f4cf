"""EC-CUBE, カラーミー, BASE, STORES: records of other shops and versions, as their APIs answer."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from shared.ingest.model import EventType as E
from shared.ingest.model import SubscriptionState
from tests.contract.carts.test_polled import POLLED
from tests.contract.carts.variants import Body, Variant, check

ORDERED, CHANGED = 1_793_581_530, 1_793_585_130
AT = datetime(2026, 11, 2, 1, 5, 30, tzinfo=UTC)

# --- EC-CUBE, read back over GraphQL


def status(number: str, name: str | None) -> Body:
    return {"OrderStatus": {"id": number, "name": name}}


def row(**said: Any) -> Body:
    usual: Body = {
        "product_name": "見本茶", "product_code": "tea-01", "class_category_name1": "100g",
        "class_category_name2": None,
        "price": 1800, "quantity": "1", "tax": 144, "tax_rate": 8, "Product": {"id": "2"}, "ProductClass": {"id": "10"},
        "OrderItemType": {"id": "1", "name": "商品"},
    }  # fmt: skip
    return {**usual, **said}


def order(**said: Any) -> Body:
    usual: Body = {
        "id": "5012", "order_no": "5012", "name01": "見本", "name02": "花", "kana01": "ミホン", "kana02": "ハナ",
        "email": "hana@example.jp", "phone_number": "0900000001", "postal_code": "1050001", "addr01": "港区",
        "addr02": "見本町1", "subtotal": 1944, "discount": 0, "delivery_fee_total": 600, "charge": 0, "tax": 144,
        "total": 2544, "payment_total": 2544, "payment_method": "クレジットカード", "currency_code": "JPY",
        "order_date": "2026-11-02T10:05:30+09:00", "payment_date": None, "create_date": "2026-11-02T10:01:00+09:00",
        "update_date": "2026-11-02T10:05:30+09:00", "Customer": {"id": "881"}, "Pref": {"id": "13", "name": "東京都"},
        "OrderItems": [row(), row(product_name="送料", product_code=None, price=600, tax=0, Product=None,
                                  ProductClass=None, OrderItemType={"id": "2", "name": "送料"})],
        **status("1", "新規受付"),
    }  # fmt: skip
    return {**usual, **said}


def member(**said: Any) -> Body:
    usual: Body = {
        "id": "881", "name01": "髙﨑", "name02": "花", "kana01": "ﾀｶｻｷ", "kana02": "ﾊﾅ", "email": "hana@example.jp",
        "phone_number": None, "postal_code": None, "addr01": None, "addr02": None, "birth": None, "point": 0,
        "create_date": "2025-01-10T09:00:00+09:00", "update_date": "2026-11-02T10:05:30+09:00",
        "Status": {"id": "2", "name": "本会員"}, "Sex": None, "Job": None, "Pref": None,
    }  # fmt: skip
    return {**usual, **said}


ECCUBE = [
    Variant("a guest of a shop whose database counts in decimals", "order", order(
        Customer=None, total="2544.00", payment_total=2544.0, subtotal="1944.00",
        OrderItems=[row(price="1800.00", quantity=1.0, tax="144", tax_rate="8")]),
        ((E.ORDER_UPDATED, {"total": 2544, "lines.0.unit_amount": 1944, "person.source_customer_id": None}),)),
    Variant("paid with points and a coupon", "order", order(
        discount=500, use_point=300, payment_total=1744, OrderItems=[
            row(), row(product_name="割引", price=-500, tax=0, OrderItemType={"id": "4", "name": "割引"}),
            row(product_name="ポイント", price=-300, tax=0, OrderItemType={"id": "6", "name": "ポイント"})]),
        ((E.ORDER_UPDATED, {"total": 1744, "discount": 500, "lines.len": 1}),)),
    Variant("決済処理中 is still a checkout", "order", order(**status("7", "決済処理中"), order_date=None),
        ((E.CHECKOUT_UPDATED, {"token": "5012", "total": 2544, "person.email": "hana@example.jp"}),)),
    Variant("a shop that renamed its statuses, and one it invented", "order", order(**status("12", "お取り置き中")),
        ((E.ORDER_UPDATED, {"paid": False, "cancelled_at": None}),)),
    Variant("入金済み by a bank transfer days later", "order", order(
        **status("6", "入金済み"), payment_date="2026-11-04T12:00:00+09:00", update_date="2026-11-04T12:00:00+09:00"),
        ((E.ORDER_UPDATED, {"paid": True, "ordered_at": AT}),)),
    Variant("キャンセル of a product that is gone", "order", order(
        **status("3", "注文取消し"), OrderItems=[row(Product=None, ProductClass=None)]),
        ((E.ORDER_CANCELLED, {"lines.0.product_id": "tea-01"}),)),
    Variant("a member with points and without an address", "customer", member(point=120,
    email="a..b@docomo.example.jp"),
        ((E.CUSTOMER_UPDATED, {"person.email": "a..b@docomo.example.jp", "person.last_name": "髙﨑",
                               "attributes": {"registered_on": "2025-01-10"}}),
         (E.POINTS_CHANGED, {"balance": 120}))),
    Variant("a provisional member whose points are written oddly", "customer", member(
        point="1,200", Status={"id": "1", "name": "仮会員"}, birth="1990-03-31T15:00:00+00:00"),
        ((E.CUSTOMER_UPDATED, {"attributes.birth_on": "1990-04-01"}),)),
    Variant("退会: the address is no address any more", "customer", member(
        email="x" * 60 + "@dummy.dummy", Status={"id": "3", "name": "退会"}),
        ((E.PERSON_ERASED, {"person.source_customer_id": "881", "person.email": None}),)),
]  # fmt: skip

# --- カラーミー


def sale(**said: Any) -> Body:
    usual: Body = {
        "account_id": "PA00000001", "id": 70_000_001, "make_date": ORDERED, "update_date": CHANGED, "memo": "",
        "payment_id": 1, "mobile": False, "paid": True, "delivered": False, "canceled": False,
        "accepted_mail_state": "sent",
        "product_total_price": 2200, "delivery_total_charge": 600, "fee": 0, "tax": 200, "noshi_total_charge": 0,
        "card_total_charge": 0, "wrapping_total_charge": 0, "point_discount": 0, "gmo_point_discount": 0,
        "other_discount": 0, "other_discount_name": "", "total_price": 2800, "granted_points": 22, "use_points": 0,
        "external_order_id": "", "segment": None, "totals": None, "sale_deliveries": [{"id": 1, "pref_id": 13}],
        "details": [{"id": 1, "product_id": 5001, "product_name": "見本茶 100g", "product_num": 1, "price": 2000,
                     "price_with_tax": 2200, "pristine_product_full_name": "見本茶", "product_model_number": "",
                     "subtotal_price": 2200, "product_image_url": None, "option1_value": None}],
        "customer": {"id": 301, "name": "見本 花", "furigana": "ミホン ハナ", "mail": "hana@example.jp",
        "tel": "0900000001",
                     "postal": "1050001", "pref_id": 13, "pref_name": "東京都", "address1": "港区見本町1",
                     "address2": "",
                     "member": True, "points": 5, "sex": None, "birthday": None, "receive_mail_magazine": True},
    }  # fmt: skip
    return {**usual, **said}


def buyer(**said: Any) -> Body:
    return {**sale()["customer"], "make_date": ORDERED - 86_400, "update_date": CHANGED, **said}


COLORME = [
    Variant("points of Yahoo's, which only the totals count", "sale", sale(total_price=2300, totals={
        "normal_tax_amount": 200, "discount_amount_for_normal_tax": 500, "discount_amount_for_reduced_tax": 0}),
        ((E.ORDER_UPDATED, {"total": 2300, "discount": 500, "goods_total": 1700, "ordered_at": AT}),)),
    Variant("wrapped, with a coupon, times as text", "sale", sale(
        make_date=str(ORDERED), update_date=str(CHANGED), wrapping_total_charge=300, other_discount=300, totals={}),
        ((E.ORDER_UPDATED, {"discount": 300, "ordered_at": AT}),)),
    Variant("cash on delivery, not paid, from a mobile", "sale", sale(paid=False, mobile=True, fee=330,
    total_price=3130),
        ((E.ORDER_UPDATED, {"paid": False, "total": 3130, "media": "mobile"}),)),
    Variant("cancelled, every amount gone", "sale", sale(canceled=True, total_price=0, product_total_price=0, details=[
        {**sale()["details"][0], "product_num": 0, "subtotal_price": 0}]),
        ((E.ORDER_CANCELLED, {"total": 0, "event.version": "0"}),)),
    Variant("a guest abroad", "sale", sale(customer={
        "id": 302, "name": "Jane Sample", "mail": "jane@example.com", "member": False, "pref_id": 48,
        "pref_name": "海外",
        "receive_mail_magazine": None}),
        ((E.ORDER_UPDATED, {"person.last_name": "Jane Sample", "person.first_name": None}),)),
    Variant("a member who takes the mail magazine, with points", "customer", buyer(),
        ((E.CUSTOMER_UPDATED, {"person.last_name_kana": "ミホン"}),
         (E.CONSENT_CHANGED, {"granted": True, "by_customer": False}), (E.POINTS_CHANGED, {"balance": 5}))),
    Variant("a member who refused, whose address is a carrier's old one", "customer", buyer(
        receive_mail_magazine=False, mail="a.@ezweb.example.jp", points=None, birthday="1990-04-01",
        sex="not_applicable"),
        ((E.CUSTOMER_UPDATED, {"attributes": {"birth_on": "1990-04-01", "registered_on": "2026-11-01"},
        "person.email": "a.@ezweb.example.jp"}),
         (E.CONSENT_CHANGED, {"granted": False, "by_customer": True}))),
]  # fmt: skip

# --- BASE


def thing(**said: Any) -> Body:
    usual: Body = {
        "order_item_id": 123, "item_id": 1000, "variation_id": 101, "title": "見本茶", "variation": "100g",
        "price": 2000,
        "amount": 1, "total": 2000, "status": "ordered", "shipping_method": None, "shipping_fee": 0,
        "modified": CHANGED,
        "options": [], "item_tax_type": 2, "barcode": None, "item_identifier": "tea",
    }  # fmt: skip
    return {**usual, **said}


def base(**said: Any) -> Body:
    usual: Body = {
        "unique_key": "154D88A39E454289", "ordered": ORDERED, "cancelled": None, "dispatched": None,
        "modified": CHANGED,
        "payment": "creditcard", "shipping_method": "ヤマト運輸", "shipping_fee": 600, "cod_fee": 0, "total": 2600,
        "first_name": "花", "last_name": "見本", "country": "Japan", "zip_code": "105-0001", "prefecture": "東京都",
        "address": "港区見本町", "address2": "", "mail_address": "hana@example.jp", "tel": "0900000001", "remark": "",
        "dispatch_status": "ordered", "terminated": False, "order_receiver": None, "order_discount": None,
        "order_amount_adjustment": {"adjusted_amount": None, "note": None}, "order_items": [thing()],
        "subscription": {"unique_key": None, "repeat_number": None, "repeat_times": None},
    }  # fmt: skip
    return {**usual, **said}


BASE = [
    Variant("times as text, an item of no variation", "order", base(
        ordered=str(ORDERED), modified=str(CHANGED), order_items=[thing(variation_id=0, variation=None, amount="1")]),
        ((E.ORDER_UPDATED, {"ordered_at": AT, "lines.0.title": "見本茶", "lines.0.variant_id": None}),)),
    Variant("cash on delivery with a coupon and a fee", "order", base(
        payment="cod", cod_fee=330, total=2430, order_discount={"discount": 500, "note": "初売りクーポン"}),
        ((E.ORDER_UPDATED, {"total": 2430, "discount": 500, "paid": True}),)),
    Variant("a gift to somebody else", "order", base(order_receiver={
        "first_name": "太郎", "last_name": "贈先", "zip_code": "150-0043", "prefecture": "大阪府",
        "tel": "0900000002"}),
        ((E.ORDER_UPDATED, {"person.last_name": "見本", "person.prefecture": "東京都"}),)),
    Variant("waiting for a convenience store's money, one adjusted", "order", base(
        payment="cvs", dispatch_status="unpaid", order_amount_adjustment={"adjusted_amount": -100, "note": "訂正"},
        total=2500, cvs_payment_transaction={"collected_fee": 300, "status": "unpaid"}),
        ((E.ORDER_UPDATED, {"total": 2500, "paid": False}),)),
    Variant("two kinds, one taken back, shipping by item", "order", base(
        shipping_fee=0, total=5200, order_items=[thing(shipping_fee=600), thing(order_item_id=124, status="cancelled",
                                                                               shipping_fee=600)]),
        ((E.ORDER_UPDATED, {"refunds.0.amount": 2000, "refunds.0.refund_id": "item-124", "goods_total": 2000}),)),
    Variant("cancelled as a whole", "order", base(
        dispatch_status="cancelled", cancelled=CHANGED, order_items=[thing(status="cancelled")]),
        ((E.ORDER_CANCELLED, {"cancelled_at": datetime.fromtimestamp(CHANGED, UTC), "paid": False}),)),
    Variant("the first of endless deliveries, sent", "order", base(dispatch_status="dispatched", dispatched=CHANGED,
        subscription={"unique_key": "S54D88A39E454289", "repeat_number": 1, "repeat_times": 0}),
        ((E.ORDER_UPDATED, {"delivery_number": 1, "lines.0.subscription": True}),
         (E.SUBSCRIPTION_UPDATED, {"state": SubscriptionState.ACTIVE, "deliveries": 1, "started_at": AT}))),
]  # fmt: skip

# --- STORES


def parcel(**said: Any) -> Body:
    usual: Body = {
        "id": "631ae6a96d37bf003d550002", "type": "shipping", "canceled_at": None, "shipped_at": None, "items": [{
            "id": "631ae6a96d37bf003d550003", "type": "regular", "name": "見本茶",
            "item_id": "62da5094a05cb96e83d20001",
            "variation_id": "62da5094a05cb96e83d20002", "variation_name": "100g", "code": None, "barcode": None,
            "tax_rate": 0.08, "regular_price": 2000, "quantity": 1, "option": []}],
        "shipping_fee": {"tax_class": "taxable", "tax_rate": 0.1, "amount": 600}, "tracking_number": None,
    }  # fmt: skip
    return {**usual, **said}


def bought(**said: Any) -> Body:
    usual: Body = {
        "id": "631ae6a96d37bf003d550001", "number": "5371610001", "email": "hana@example.jp", "sales_channel_id": "ec",
        "sales_amount": 2600, "sales_discount": 0, "cancel_amount": 0, "cancel_discount": 0, "sales_tax": 200,
        "tax_details": [], "payment_amount": 2600, "transactions": [{
            "id": "631ae6a96d37bf003d550004", "type": "credit_card_payment", "amount": 2600, "deposit": 2600,
            "paid_at": "2026-11-02T10:06:00+09:00", "system_fee": None, "payment_fee_rate": 0.036}],
        "deliveries": [parcel()], "option": [], "note": "", "ordered_at": "2026-11-02T10:05:30+09:00",
        "readied_at": None,
        "billing_address": {"first_name": "花", "last_name": "見本", "tel": "0900000001", "zip_code": "1050001",
                            "country": "JPN", "prefecture": "東京都", "address": "港区見本町1"},
    }  # fmt: skip
    return {**usual, **said}


REGISTER: Body = {"sales_channel_id": "62e3a2aca05cb9341aea0001", "email": None, "billing_address": None}
STORES = [
    Variant("two parcels, one of them taken back", "order", bought(
        sales_amount=5200, cancel_amount=2600, deliveries=[
            parcel(), parcel(id="b", canceled_at="2026-11-03T10:00:00+09:00")]),
        ((E.ORDER_UPDATED, {"total": 5200, "refunds.0.amount": 2600, "cancelled_at": None, "lines.len": 2}),)),
    Variant("a convenience store's order not paid yet, with a fee that is not the shop's", "order", bought(
        payment_amount=2900, transactions=[{"id": "a", "type": "convenience_store_payment", "amount": 2600,
                                            "paid_at": None, "system_fee": {"amount": 300, "tax_rate": 0.1}}]),
        ((E.ORDER_UPDATED, {"total": 2600, "paid": False, "goods_total": 2000}),)),
    Variant("with a coupon", "order", bought(sales_amount=2100, sales_discount=500),
        ((E.ORDER_UPDATED, {"total": 2100, "discount": 500, "goods_total": 1500}),)),
    Variant("given back at the register", "order", bought(
        **REGISTER, sales_amount=100, cancel_amount=100, payment_amount=0, transactions=[
            {"id": "a", "type": "custom", "amount": 100, "paid_at": "2026-11-02T10:05:40+09:00",
             "payment_method_name": "商品券"},
            {"id": "b", "type": "custom", "amount": -100, "paid_at": "2026-11-02T10:30:00+09:00"}],
        deliveries=[parcel(type="counter", shipping_fee=None, canceled_at="2026-11-02T10:30:00+09:00", items=[
            {**parcel()["items"][0], "type": "instant", "item_id": "", "variation_id": None, "variation_name": ""}])]),
        ((E.ORDER_CANCELLED, {"offline": True, "lines.0.product_id": "custom", "person.email": None,
                              "refunds.0.amount": 100}),)),
    Variant("a ticket and a download, nothing to send", "order", bought(deliveries=[
        parcel(type="ticket", shipping_fee=None), parcel(id="c", type="download", shipping_fee=None)]),
        ((E.ORDER_UPDATED, {"goods_total": 2600, "offline": False}),)),
    Variant("free of charge", "order", bought(sales_amount=0, payment_amount=0, transactions=[], deliveries=[
        parcel(shipping_fee={"amount": 0, "tax_rate": 0.1})]),
        ((E.ORDER_UPDATED, {"total": 0, "ordered_at": AT}),)),
]  # fmt: skip

EVERY = {"eccube": ECCUBE, "colorme": COLORME, "base": BASE, "stores": STORES}


@pytest.mark.parametrize(
    ("cart", "variant"), [pytest.param(cart, each, id=f"{cart}: {each}") for cart in EVERY for each in EVERY[cart]]
)
def test_a_record_of_another_shop_comes_to_what_it_says(cart: str, variant: Variant) -> None:
    check(POLLED[cart], variant)
