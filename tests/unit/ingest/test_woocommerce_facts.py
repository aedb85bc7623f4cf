"""WooCommerce: contracts and renewals, products, furigana, coupons and where an order came from."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from shared.ingest.model import Event, OrderFacts, ProductFacts, ProfileFacts, SubscriptionFacts, SubscriptionState
from tests.contract.carts.carts import CARTS

CART = CARTS["woocommerce"]
SAMPLES = {sample.name: sample for sample in CART.samples()}
S = SubscriptionState


def only(name: str, **changes: Any) -> Event:
    (event,) = CART.read(replace(SAMPLES[name], body={**SAMPLES[name].body, **changes}))
    return event


def order(name: str, **changes: Any) -> OrderFacts:
    facts = only(name, **changes).facts
    assert isinstance(facts, OrderFacts)
    return facts


def subscription(name: str, **changes: Any) -> SubscriptionFacts:
    facts = only(name, **changes).facts
    assert isinstance(facts, SubscriptionFacts)
    return facts


def product(name: str, **changes: Any) -> ProductFacts:
    facts = only(name, **changes).facts
    assert isinstance(facts, ProductFacts)
    return facts


# --- subscriptions


def test_a_contract_in_full() -> None:
    event = only("subscription.updated")
    facts = subscription("subscription.updated")
    assert (facts.subscription_id, facts.state, facts.amount, facts.currency) == ("7100", S.ACTIVE, 5_040, "JPY")
    assert (facts.interval_unit, facts.interval_count) == ("month", 1)
    assert facts.started_at == datetime(2026, 8, 3, 3, 0, 1, tzinfo=UTC)
    assert facts.next_delivery_on == date(2026, 12, 3)
    assert (facts.cancelled_at, facts.deliveries, facts.media) == (None, None, "line")
    assert [(line.product_id, line.quantity, line.subscription) for line in facts.lines] == [("301", 2, True)]
    assert event.person.source_customer_id == "41"
    assert event.person.anonymous_ids == ("subscription/7100",)


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("subscription.created", S.UNKNOWN),
        ("subscription.updated@paused", S.PAUSED),
        ("subscription.updated@payment-failed", S.PAST_DUE),
        ("subscription.updated@pending-cancel", S.ACTIVE),
        ("subscription.updated@cancelled", S.CANCELLED),
        ("subscription.switched", S.ACTIVE),
        ("subscription.restored", S.EXPIRED),
        ("subscription.deleted", S.CANCELLED),
    ],
)
def test_every_status_of_a_contract(name: str, state: SubscriptionState) -> None:
    assert subscription(name).state is state


def test_an_announced_cancellation_says_when_it_was_asked_for_and_that_nothing_more_comes() -> None:
    facts = subscription("subscription.updated@pending-cancel")
    assert (facts.cancelled_at, facts.next_delivery_on) == (datetime(2026, 11, 3, 1, 0, tzinfo=UTC), None)
    zero_date = subscription("subscription.updated@cancelled")
    assert zero_date.cancelled_at == datetime(2026, 11, 3, 3, 0, 5, tzinfo=UTC), "when it was changed, then"


def test_the_next_payment_is_a_day_of_the_shop() -> None:
    assert subscription("subscription.updated", next_payment_date_gmt="2026-12-03T16:00:00").next_delivery_on == date(
        2026, 12, 4
    )


def test_a_contract_of_rest_v1_which_v2_webhooks_send_too() -> None:
    body = {name: value for name, value in SAMPLES["subscription.updated"].body.items() if not name.endswith("_gmt")}
    v1 = {**body, "start_date": "2026-08-03T03:00:01", "next_payment_date": "2026-12-02T15:30:00", "end_date": None}
    (event,) = CART.read(replace(SAMPLES["subscription.updated"], body=v1))
    assert isinstance(event.facts, SubscriptionFacts)
    assert event.facts.started_at == datetime(2026, 8, 3, 3, 0, 1, tzinfo=UTC)
    assert event.facts.next_delivery_on == date(2026, 12, 3)


def test_a_payment_that_is_tried_again_is_past_due() -> None:
    retried = {"needs_payment": False, "payment_retry_date_gmt": "2026-11-04T03:00:00"}
    assert subscription("subscription.updated@paused", **retried).state is S.PAST_DUE
    assert subscription("subscription.updated@paused", payment_retry_date_gmt="").state is S.PAUSED


@pytest.mark.parametrize(("unit", "every"), [("day", 30), ("week", "2"), ("year", 1.0)])
def test_the_interval_is_a_text_or_a_number(unit: str, every: object) -> None:
    facts = subscription("subscription.updated", billing_period=unit, billing_interval=every)
    assert (facts.interval_unit, facts.interval_count) == (unit, int(float(str(every))))


def test_a_renewal_names_its_contract_and_its_lines_are_deliveries() -> None:
    facts = order("order.created@renewal")
    assert facts.subscription_id == "7100"
    assert all(line.subscription for line in facts.lines)
    assert order("order.created").subscription_id is None


@pytest.mark.parametrize("value", [7100, "7100", [7100], {"id": 1}, "", None, "x", 0])
def test_the_contract_in_the_meta_may_be_of_any_type(value: object) -> None:
    facts = order("order.created", meta_data=[{"id": 1, "key": "_subscription_renewal", "value": value}])
    assert facts.subscription_id == ("7100" if value in (7100, "7100") else None)


# --- orders and people


def test_goods_discount_coupons_and_the_campaign() -> None:
    facts = order("order.created@coupon-and-kana")
    assert (facts.goods_total, facts.discount, facts.coupons) == (4_439, 550, ("AKI500",))
    assert facts.media == "line/push"


def test_whose_link_the_buyer_came_by_is_read_from_where_the_visit_began() -> None:
    entry = {"key": "_wc_order_attribution_session_entry", "value": "https://shop.example.jp/?mk_ref=v1.1.abc.def"}
    assert order("order.created@coupon-and-kana", meta_data=[entry]).referral == "v1.1.abc.def"
    assert order("order.created@coupon-and-kana").referral is None


@pytest.mark.parametrize(
    ("meta", "kana"),
    [
        ([("billing_yomigana", "ヒグチイチヨウ")], ("ヒグチイチヨウ", None)),
        ([("billing_yomigana", "ヒグチ　イチヨウ")], ("ヒグチ", "イチヨウ")),
        ([("_billing_last_name_kana", "ｽｽﾞｷ"), ("_billing_first_name_kana", "はなこ")], ("ｽｽﾞｷ", "はなこ")),
        ([("billing_furigana", "Higuchi")], (None, None)),
        ([("shipping_kana", "イズミ")], (None, None)),
        ([("billing_kana", ["x"])], (None, None)),
    ],
)
def test_furigana_is_wherever_a_plugin_keeps_it(meta: list[tuple[str, object]], kana: tuple[object, object]) -> None:
    person = only("order.created", meta_data=[{"id": 1, "key": key, "value": value} for key, value in meta]).person
    assert (person.last_name_kana, person.first_name_kana) == kana


def test_the_address_is_the_bills() -> None:
    person = only("order.created").person
    assert (person.postal_code, person.prefecture, person.address) == ("1130033", "東京都", "文京区 本郷0-0-0")


def test_a_customer_registered_on_the_shops_own_day() -> None:
    facts = only("customer.updated", date_created="2026-05-01T00:30:00", date_created_gmt="2026-04-30T15:30:00").facts
    assert isinstance(facts, ProfileFacts)
    assert facts.attributes == {"registered_on": "2026-05-01"}


# --- products


def test_a_product_without_a_price_for_its_currency_is_unknown() -> None:
    facts = product("product.updated")
    assert (facts.product_id, facts.title, facts.category, facts.stock) == ("301", "ほうじ茶 100g", "お茶", 12)
    assert (facts.price, facts.currency, facts.deleted) == (None, None, False)
    assert facts.url == "https://mise.example.jp/product/hojicha/"


def test_sold_out_draft_and_deleted() -> None:
    assert product("product.updated@sold-out").stock == 0
    assert product("product.updated@sold-out").url is None, "only https goes into a mail"
    assert (product("product.created").deleted, product("product.created").stock) == (True, None)
    assert product("product.deleted").deleted
    assert product("product.restored").stock == 3


def test_a_variation_is_told_as_a_product_and_is_stock_of_its_parent() -> None:
    facts = product("product.updated", id=302, type="variation", parent_id=301, stock_quantity=4)
    assert (facts.product_id, facts.variant_id, facts.title, facts.stock) == ("301", "302", "", 4)
    assert not facts.deleted


def test_sold_out_is_another_word_before_v3() -> None:
    assert product("product.updated", stock_status=None, in_stock=False, stock_quantity=None).stock == 0
    assert product("product.updated", stock_status=None, in_stock=True, stock_quantity=None).stock is None


def test_a_company_without_a_persons_name_is_called_by_its_own() -> None:
    bill = {**SAMPLES["order.created"].body["billing"], "last_name": "", "first_name": "", "company": "見本商店"}
    person = only("order.created", billing=bill).person
    assert (person.last_name, person.first_name) == ("見本商店", None)
    assert only("order.created", billing={**bill, "first_name": "一葉"}).person.last_name is None


def test_an_order_of_rest_v1_is_paid_where_its_only_date_says_so() -> None:
    body = {**SAMPLES["order.created"].body, "date_paid": "2026-11-03T12:00:05"}
    v1 = {name: value for name, value in body.items() if name != "date_paid_gmt"}
    paid = [CART.read(replace(SAMPLES["order.created"], body=each))[0].facts for each in (v1, {**v1, "date_paid": ""})]
    assert [facts.paid for facts in paid if isinstance(facts, OrderFacts)] == [True, False]
