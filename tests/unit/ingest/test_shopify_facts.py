"""Shopify: what an order is worth and where it came from, parcels, products, contracts and tags."""

from __future__ import annotations

import itertools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from shared.core.ids import TenantId
from shared.core.keys import KeyRing
from shared.core.shop import Shop
from shared.customers.reference import fold_all
from shared.ingest.adapter import Connection, Request
from shared.ingest.model import (
    Event,
    EventType,
    OrderFacts,
    OrderStatusFacts,
    ProductFacts,
    ProfileFacts,
    SubscriptionFacts,
    SubscriptionState,
)
from tests.contract.carts.carts import CARTS, NOW, Sample

CART = CARTS["shopify"]
SAMPLES = {sample.name: sample for sample in CART.samples()}
BASE = 9_007_199_254_740_993
CONTRACT = str(BASE + 9001)
S = SubscriptionState


def only(name: str, **changes: Any) -> Event:
    """The first event of a sample, with some fields changed."""
    sample = SAMPLES[name]
    return CART.read(Sample(sample.name, sample.topic, {**sample.body, **changes}))[0]


@dataclass(frozen=True)
class Told:
    """One delivery."""

    topic: str
    webhook_id: str
    triggered_at: str
    body: Mapping[str, Any]

    def read(self, connection: Connection) -> Sequence[Event]:
        headers = {
            "x-shopify-topic": self.topic,
            "x-shopify-shop-domain": connection.store,
            "x-shopify-webhook-id": self.webhook_id,
            "x-shopify-triggered-at": self.triggered_at,
        }
        request = Request(headers, json.dumps(self.body).encode())
        return [e for found in CART.adapter.envelopes(request, connection, NOW) for e in CART.adapter.events(found)]


def order(name: str, **changes: Any) -> OrderFacts:
    facts = only(name, **changes).facts
    assert isinstance(facts, OrderFacts)
    return facts


def product(name: str, **changes: Any) -> ProductFacts:
    facts = only(name, **changes).facts
    assert isinstance(facts, ProductFacts)
    return facts


def subscription(name: str, **changes: Any) -> SubscriptionFacts:
    facts = only(name, **changes).facts
    assert isinstance(facts, SubscriptionFacts)
    return facts


def step(name: str, **changes: Any) -> tuple[Event, OrderStatusFacts]:
    event = only(name, **changes)
    assert isinstance(event.facts, OrderStatusFacts)
    return event, event.facts


# --- orders


@pytest.mark.parametrize("ids", [("00000001", "00000002"), ("00000002", "00000001")])
@pytest.mark.parametrize("polled", [False, True])
def test_an_order_placed_and_paid_within_one_second_is_paid(ids: tuple[str, str], polled: bool) -> None:
    """Both bodies have one `updated_at`: of the two the one that was triggered, or read, later counts."""
    body = SAMPLES["orders-create"].body
    changed = body["updated_at"]
    told = [
        Told("orders/create", ids[0], "2026-11-03T03:00:01.200000Z", {**body, "financial_status": "pending"}),
        Told("orders/paid", ids[1], changed if polled else "2026-11-03T03:00:01.900000Z", body),
    ]
    events = [event for each in told for event in each.read(CART.connection)]
    shop = Shop(CART.connection.tenant, "見本商店")
    (person,) = fold_all(events, KeyRing(personal=b"a key of this test", links={"1": b"another"}), shop).values()
    assert [found.paid for found in person.orders] == [True]


def test_goods_and_discount_apart_from_shipping() -> None:
    codes = [{"code": "WELCOME500", "amount": "500", "type": "fixed_amount"}]
    facts = order("orders-create", total_discounts_set=None, total_discounts="500", discount_codes=codes)
    assert (facts.goods_total, facts.discount, facts.coupons) == (19_200, 500, ("WELCOME500",))


def test_a_code_may_stand_among_the_applications_only_and_an_automatic_discount_has_none() -> None:
    applied = [{"type": "discount_code", "code": "VIP"}, {"type": "automatic", "title": "秋の感謝"}]
    assert order("orders-create", discount_codes=[], discount_applications=applied).coupons == ("VIP",)
    assert order("orders-create@first-of-a-subscription").coupons == ()


@pytest.mark.parametrize(
    ("landing", "media"),
    [
        ("/?utm_source=line&utm_medium=push&utm_campaign=autumn", "line/push/autumn"),
        ("/products/a?utm_source=line", "line"),
        ("/?utm_source=mail&utm_campaign=hanako%40example.com", "mail"),
        ("/?utm_campaign=090-0000-0000", None),
        ("/?utm_source=", None),
        ("http://[broken", None),
        (None, None),
        ("", None),
    ],
)
def test_the_campaign_is_read_from_the_landing_page_without_anybodys_address(landing: object, media: object) -> None:
    assert order("orders-create", landing_site=landing).media == media


@pytest.mark.parametrize(
    ("landing", "token"),
    [("/?utm_source=referral&mk_ref=v1.1.abc.def", "v1.1.abc.def"), ("/?mk_ref=", None), ("http://[x?mk_ref=a", None)],
)
def test_whose_link_the_buyer_came_by_is_read_from_the_landing_page(landing: str, token: object) -> None:
    assert order("orders-create", landing_site=landing).referral == token


def test_a_theme_may_note_the_campaign_in_the_order() -> None:
    assert order("orders-create@first-of-a-subscription").media == "mail"


def test_an_order_of_a_foreign_subscription_app_is_known_by_its_mark_only() -> None:
    facts = order("orders-create@foreign-subscription")
    assert all(line.subscription for line in facts.lines)
    assert facts.subscription_id is None, "no topic tells the contract"
    first = order("orders-create@first-of-a-subscription")
    assert first.delivery_number == 1
    assert all(line.subscription for line in first.lines)
    for name in ("orders-create", "orders-create@guest-at-the-register"):
        assert not any(line.subscription for line in order(name).lines)


def test_a_line_with_a_selling_plan_is_a_subscription_and_its_neighbours_are_not() -> None:
    one, two = SAMPLES["orders-create"].body["line_items"]
    plan = {**one, "selling_plan_allocation": {"selling_plan": {"id": 1, "name": "毎月"}}}
    facts = order("orders-create", line_items=[plan, two], tags="Subscription")
    assert [line.subscription for line in facts.lines] == [True, False]


def test_a_sale_at_the_register_is_offline() -> None:
    assert order("orders-create", source_name="pos").offline
    assert not order("orders-create").offline


def test_the_buyers_own_address_and_never_the_receivers() -> None:
    person = only("orders-create").person
    assert (person.postal_code, person.prefecture) == ("460-0000", "愛知県")
    assert person.address == "名古屋市中区 見本町1-2-3"
    gift = only("orders-create", billing_address=None, customer=None)
    assert (gift.person.postal_code, gift.person.address) == (None, None)


# --- what happens to an order


@pytest.mark.parametrize(
    ("name", "status", "at"),
    [
        ("fulfillments-create", "shipped", datetime(2026, 11, 3, 1, 0, 1, tzinfo=UTC)),
        ("fulfillments-update", "delivered", datetime(2026, 11, 3, 2, 20, tzinfo=UTC)),
        ("fulfillments-update@cancelled", "other", datetime(2026, 11, 3, 1, 30, tzinfo=UTC)),
        ("fulfillment_events-create", "delivered", datetime(2026, 11, 3, 2, 20, tzinfo=UTC)),
        ("fulfillment_events-create@absent", "failed", datetime(2026, 11, 3, 0, 20, tzinfo=UTC)),
        ("fulfillment_events-create@printed", "other", datetime(2026, 11, 3, 2, 21, tzinfo=UTC)),
    ],
)
def test_a_parcel_is_a_step_of_its_order_at_its_own_time(name: str, status: str, at: datetime) -> None:
    event, facts = step(name)
    assert (facts.order_id, facts.status, event.occurred_at) == (str(BASE), status, at)
    assert event.person.anonymous_ids == (f"order/{BASE}",), "the person is found by the order"
    assert event.person.last_name is None, "the destination is the receiver's"


def test_money_that_came_in_is_a_step_and_not_yet_paid() -> None:
    for name in ("order_transactions-create", "tender_transactions-create"):
        assert step(name)[1].status == "payment"
    assert only("tender_transactions-create", test=True).event_type is EventType.UNKNOWN


# --- products


def test_a_product_with_its_lowest_price_and_what_is_in_stock() -> None:
    facts = product("products-update")
    assert (facts.product_id, facts.title, facts.category) == (str(BASE + 2001), "見本美容液", "スキンケア")
    assert (facts.price, facts.stock, facts.deleted) == (5_800, 38, False), "one variant is oversold, one not counted"
    assert facts.url == "https://sample-shop.myshopify.com/products/%E8%A6%8B%E6%9C%AC%E7%BE%8E%E5%AE%B9%E6%B6%B2"
    assert facts.image_url == "https://cdn.shopify.com/s/files/1/sample/serum.jpg"


def test_a_draft_is_not_in_the_shop_and_its_price_keeps_its_decimals() -> None:
    facts = product("products-create")
    assert (facts.deleted, facts.price, facts.category) == (True, 40_495, "Health & Beauty > Personal Care > Skin Care")
    assert product("products-delete").deleted
    assert product("products-update@thin").stock is None


def test_a_variant_back_in_stock_says_which_product() -> None:
    back, gone = product("variants-in_stock"), product("variants-out_of_stock")
    assert (back.product_id, back.variant_id, back.stock) == (str(BASE + 2001), str(BASE + 3001), 40)
    assert gone.stock == 0


# --- subscriptions


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("subscription_contracts-create", S.ACTIVE),
        ("subscription_contracts-update", S.UNKNOWN),
        ("subscription_contracts-activate", S.ACTIVE),
        ("subscription_contracts-pause", S.PAUSED),
        ("subscription_contracts-cancel", S.CANCELLED),
        ("subscription_contracts-expire", S.EXPIRED),
        ("subscription_contracts-fail", S.PAST_DUE),
        ("subscription_billing_attempts-success", S.ACTIVE),
        ("subscription_billing_attempts-failure", S.PAST_DUE),
        ("subscription_billing_attempts-challenged", S.PAST_DUE),
        ("subscription_billing_cycles-skip", S.PAUSED),
        ("subscription_billing_cycles-unskip", S.ACTIVE),
    ],
)
def test_every_topic_of_a_contract_says_its_state(name: str, state: SubscriptionState) -> None:
    event = only(name)
    assert isinstance(event.facts, SubscriptionFacts)
    assert (event.facts.subscription_id, event.facts.state) == (CONTRACT, state)
    assert event.person.anonymous_ids == (f"subscription/{CONTRACT}",)
    assert (event.facts.cancelled_at is not None) == (state is S.CANCELLED)


def test_a_contract_says_its_rhythm_and_neither_lines_nor_a_price() -> None:
    facts = subscription("subscription_contracts-create")
    assert (facts.interval_unit, facts.interval_count, facts.currency) == ("month", 2, "JPY")
    assert (facts.lines, facts.amount, facts.next_delivery_on, facts.deliveries) == ((), None, None, None)
    assert only("subscription_contracts-create").person.source_customer_id == str(BASE + 12)
    assert subscription("subscription_contracts-update").interval_unit is None, "a rhythm we do not know"


@pytest.mark.parametrize(("status", "state"), [("active", S.ACTIVE), ("ACTIVE", S.ACTIVE), ("failed", S.PAST_DUE)])
def test_an_updated_contract_says_its_state_in_its_status(status: str, state: SubscriptionState) -> None:
    assert subscription("subscription_contracts-update", status=status).state is state


def test_a_skipped_cycle_has_no_next_date_and_an_unskipped_one_has() -> None:
    assert subscription("subscription_billing_cycles-skip").next_delivery_on is None
    assert subscription("subscription_billing_cycles-unskip").next_delivery_on == date(2026, 12, 2)


def test_the_contract_of_a_cycle_is_a_number_or_a_text() -> None:
    for written in (BASE + 9001, CONTRACT):
        facts = subscription("subscription_billing_cycles-skip", subscription_contract_id=written)
        assert facts.subscription_id == CONTRACT


def test_a_failed_payment_changes_the_state_of_a_contract_and_not_its_terms() -> None:
    """In any order, told once or twice: a notice names the contract and its state only."""
    told = [only("subscription_contracts-create"), only("subscription_billing_attempts-failure")]
    late = replace(told[1], version="2026-11-04T00:00:00.000000Z")
    keys, shop = KeyRing(personal=b"k", links={"1": b"l"}), Shop(TenantId("sample"), "見本商店")
    for events in itertools.permutations([told[0], late, late]):
        (person,) = fold_all(events, keys, shop).values()
        (contract,) = person.subscriptions
        assert (contract.state, contract.interval_unit, contract.interval_count) == (S.PAST_DUE, "month", 2)


# --- customers


def attributes(name: str, **changes: Any) -> dict[str, object]:
    facts = only(name, **changes).facts
    assert isinstance(facts, ProfileFacts)
    return dict(facts.attributes)


def test_tags_given_and_taken_are_the_difference_only_and_never_an_address() -> None:
    assert attributes("customer.tags_added") == {"tags/VIP": True, "tags/定期": True}
    assert attributes("customer.tags_removed") == {"tags/VIP": False}
    assert only("customer.tags_added").occurred_at == datetime(2026, 11, 3, 2, 30, tzinfo=UTC)


def test_tags_of_a_customer_before_2025_and_the_day_they_registered() -> None:
    said = attributes("customers-create@2024", tags="VIP, 定期")
    assert said == {"registered_on": "2024-02-01", "tags/VIP": True, "tags/定期": True}


def test_a_segment_is_joined_and_left() -> None:
    name = f"custom/shopify_segment_{BASE + 900}"
    assert attributes("customer.joined_segment") == {name: True}
    assert attributes("customer.left_segment") == {name: False}


@pytest.mark.parametrize(("month", "year", "day"), [(12, 2027, "2027-12-31"), (2, 2028, "2028-02-29")])
def test_a_saved_card_says_the_last_day_it_works(month: int, year: int, day: str) -> None:
    card = {"month": month, "year": year}
    assert attributes("customer_payment_methods-create", payment_instrument=card) == {"custom/card_expires_on": day}


# --- who is believed


def test_both_styles_of_headers_are_believed_and_the_events_preview_is_answered_and_not_kept() -> None:
    request = CART.ask("orders/create", SAMPLES["orders-create"].raw)
    lower = {name.removeprefix("x-"): value for name, value in request.headers.items()}
    preview = replace(request, headers={**lower, "shopify-topic": "Order", "shopify-action": "update"})
    assert CART.adapter.verify(preview, CART.connection, datetime(2026, 11, 21, tzinfo=UTC))
    assert CART.adapter.envelopes(preview, CART.connection, datetime(2026, 11, 21, tzinfo=UTC)) == ()


def test_a_cookie_signed_with_the_client_secret_is_no_webhook() -> None:
    """`test_the_cookie_signature_replay_is_refused` of the contract suite goes through the whole intake."""
    cookie = b"eyJzaG9wIjoidmljdGltLm15c2hvcGlmeS5jb20ifQ=="
    request = CART.ask("app/uninstalled", cookie)
    assert CART.adapter.verify(request, CART.connection, datetime(2026, 11, 21, tzinfo=UTC))
    with pytest.raises(Exception, match="JSON"):
        CART.adapter.envelopes(request, CART.connection, datetime(2026, 11, 21, tzinfo=UTC))
