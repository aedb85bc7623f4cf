"""Square: the registered URL in the signature, whole customers, thin orders and what their payments say."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from typing import Any

import pytest

from shared.core.errors import RejectedError
from shared.ingest.adapter import Request
from shared.ingest.model import (
    ConsentFacts,
    Event,
    EventType,
    MergeFacts,
    OrderFacts,
    OrderStatusFacts,
    ProductFacts,
    ProfileFacts,
    RefundFacts,
    SubscriptionFacts,
    SubscriptionState,
)
from shared.ingest.polled import polled_request
from shared.ingest.sources.square import ADAPTER, MAX_MERGED, TYPES, signature
from tests.contract.carts.carts import CARTS, NOW, Sample

CART = CARTS["square"]
SAMPLES = {sample.name: sample for sample in CART.samples()}
MERGED = [EventType.CUSTOMERS_MERGED] * 2

SAID = {
    "customer.created": [EventType.CUSTOMER_UPDATED],
    "customer.created@merged": [EventType.CUSTOMER_UPDATED, *MERGED],
    "customer.deleted": [EventType.CUSTOMER_DELETED],
    "customer.deleted@merged": MERGED,
    "customer.updated@register-sale": [EventType.CUSTOMER_UPDATED],
    "customer.updated@unsubscribed": [EventType.CUSTOMER_UPDATED, EventType.CONSENT_CHANGED],
    "oauth.authorization.revoked": [EventType.UNKNOWN],
    "inventory.count.updated": [EventType.PRODUCT_UPDATED],
    "invoice.scheduled_charge_failed": [EventType.SUBSCRIPTION_UPDATED],
    "order.created": [EventType.ORDER_PLACED],
    "order.fulfillment.updated": [EventType.ORDER_UPDATED],
    "order.updated": [EventType.ORDER_UPDATED],
    "order.updated@canceled": [EventType.ORDER_CANCELLED],
    "order.updated@draft": [EventType.UNKNOWN],
    "order.updated@return": [EventType.UNKNOWN],
    "order.updated@whole": [EventType.ORDER_UPDATED],
    "payment.created": [EventType.UNKNOWN],
    "payment.updated": [EventType.ORDER_UPDATED],
    "payment.updated@at-the-counter": [EventType.ORDER_UPDATED],
    "payment.updated@guest-dollars": [EventType.ORDER_UPDATED],
    "refund.created": [EventType.UNKNOWN],
    "refund.updated": [EventType.ORDER_REFUNDED],
    "refund.updated@without-order": [EventType.UNKNOWN],
    "subscription.created": [EventType.SUBSCRIPTION_UPDATED],
    "subscription.updated": [EventType.SUBSCRIPTION_UPDATED],
    "subscription.updated@canceled": [EventType.SUBSCRIPTION_UPDATED],
    "subscription.updated@ends": [EventType.SUBSCRIPTION_UPDATED],
}


def changed(name: str, **changes: Any) -> Sample:
    """A sample with some fields changed."""
    return replace(SAMPLES[name], body={**SAMPLES[name].body, **changes})


def envelopes(sample: Sample, headers: dict[str, str] | None = None) -> object:
    request = CART.ask(sample.topic, sample.raw)
    return ADAPTER.envelopes(Request({**request.headers, **(headers or {})}, request.body), CART.connection, NOW)


def test_every_sample_says_what_it_should_and_every_type_has_one() -> None:
    assert {name: [event.event_type for event in CART.read(sample)] for name, sample in SAMPLES.items()} == SAID
    assert {sample.topic for sample in SAMPLES.values()} >= set(TYPES)


def test_a_vector_square_publishes() -> None:
    body = b'{"data":{"type":"webhooks","id":">id<"}}'
    made = signature("signature-key", "https://webhook.site/webhooks", body)
    assert made == b"Cxt7+aTi4rKgcA0bC4g9EHdVtLSDWdqccmL5MvihU4U="


@pytest.mark.parametrize(
    "url",
    [
        None,
        "",
        "https://api.example.com/v1/hooks/abcdefghijklmnopqrstuvwxyz/",
        "https://api.example.com/prod/v1/hooks/abcdefghijklmnopqrstuvwxyz",
        "http://api.example.com/v1/hooks/abcdefghijklmnopqrstuvwxyz",
        "https://api.example.com/v1/hooks/abcdefghijklmnopqrstuvwxyz?x=1",
    ],
)
def test_the_url_is_the_registered_one_to_the_byte(url: str | None) -> None:
    sample = SAMPLES["customer.created"]
    assert not ADAPTER.verify(CART.ask(sample.topic, sample.raw), replace(CART.connection, url=url), NOW)
    if not url:
        unnamed = replace(CART.connection, url=url)
        assert not ADAPTER.verify(CART.ask(sample.topic, sample.raw, unnamed), unnamed, NOW)


def test_a_test_notification_and_the_sandbox_are_answered_and_not_kept() -> None:
    test = {"merchant_id": "MSAMPLE00000A", "type": "webhooks.test_notification", "event_id": "x" * 36, "data": {}}
    assert envelopes(Sample("test", "", test)) == ()
    assert envelopes(SAMPLES["customer.created"], {"square-environment": "Sandbox"}) == ()


@pytest.mark.parametrize("merchant", ["MOTHER", "", None, 5, "MSAMPLE00000A "])
def test_another_merchant_of_the_same_application_is_refused(merchant: object) -> None:
    with pytest.raises(RejectedError, match="merchant_id"):
        envelopes(changed("customer.created", merchant_id=merchant))


def test_an_event_without_its_id_is_refused() -> None:
    for event_id in (None, "", 7, "short", "x" * 65):
        with pytest.raises(RejectedError, match="event_id"):
            envelopes(changed("customer.created", event_id=event_id))


def test_a_customer_and_when_it_happened_to_the_microsecond() -> None:
    (event,) = CART.read(SAMPLES["customer.created"])
    person = event.person
    assert (person.source_customer_id, person.email) == ("SQSAMPLECUSTOMER0001", "ichiyo.higuchi@example.jp")
    assert (person.last_name, person.first_name, person.phone) == ("樋口", "一葉", "+819000000001")
    assert event.occurred_at == datetime(2026, 11, 3, 3, 0, 1, 123456, tzinfo=UTC), "it sends nanoseconds"
    data = SAMPLES["customer.created"].body["data"]
    place = {"locality": "文京区", "sublocality": "本郷", "address_line_1": "0-0-0"}
    company = {"id": "SQSAMPLECUSTOMER0009", "company_name": "見本商店", "address": place}
    shop = CART.read(changed("customer.created", data={**data, "object": {"customer": company}}))[0].person
    assert (shop.last_name, shop.first_name, shop.address) == ("見本商店", None, "文京区 本郷 0-0-0")


def test_having_unsubscribed_is_an_opt_out_and_not_having_done_so_is_no_consent() -> None:
    said = CART.read(SAMPLES["customer.updated@unsubscribed"])[1].facts
    assert isinstance(said, ConsentFacts)
    assert (said.channel, said.granted, said.by_customer) == ("email", False, True)
    for sample in SAMPLES.values():
        for event in CART.read(sample):
            assert not (isinstance(event.facts, ConsentFacts) and event.facts.granted)


def test_both_notices_of_a_merge_say_the_same() -> None:
    said = [
        [event.facts for event in CART.read(SAMPLES[f"customer.{name}@merged"]) if isinstance(event.facts, MergeFacts)]
        for name in ("created", "deleted")
    ]
    assert said[0] == said[1]
    assert {(fact.deleted_customer_id, fact.kept_customer_id) for fact in said[0]} == {
        ("SQSAMPLECUSTOMER0003", "SQSAMPLECUSTOMER0005"),
        ("SQSAMPLECUSTOMER0004", "SQSAMPLECUSTOMER0005"),
    }


@pytest.mark.parametrize("merged", ["SQSAMPLE", [7], [None], {"a": "b"}, ["x"] * (MAX_MERGED + 1)])
def test_a_merge_of_nonsense_is_refused(merged: object) -> None:
    body = SAMPLES["customer.deleted@merged"].body
    merge = {"merge": {"from_customer_ids": merged, "to_customer_id": "SQSAMPLECUSTOMER0005"}}
    data = {**body["data"], "object": {**body["data"]["object"], "event_context": merge}}
    with pytest.raises(RejectedError):
        CART.read(changed("customer.deleted@merged", data=data))


# --- orders, payments, refunds


def order(name: str) -> OrderFacts:
    facts = CART.read(SAMPLES[name])[0].facts
    assert isinstance(facts, OrderFacts)
    return facts


@pytest.mark.parametrize(
    ("name", "status"),
    [
        ("order.created", "placed"),
        ("order.updated", "other"),
        ("order.updated@canceled", "cancelled"),
        ("order.fulfillment.updated", "shipped"),
    ],
)
def test_a_thin_order_is_a_step_and_never_an_order_worth_nothing(name: str, status: str) -> None:
    (event,) = CART.read(SAMPLES[name])
    assert isinstance(event.facts, OrderStatusFacts)
    assert event.facts.status == status
    assert event.person.anonymous_ids == (f"order/{event.facts.order_id}",)


def test_a_completed_payment_is_a_paid_order_of_its_buyer() -> None:
    (event,) = CART.read(SAMPLES["payment.updated@at-the-counter"])
    facts = order("payment.updated@at-the-counter")
    assert (facts.order_id, facts.total, facts.goods_total, facts.paid) == ("sqSampleOrder04", 2_000, 1_800, True)
    assert facts.offline, "the card was held to the reader"
    assert event.subject.endswith("/order/sqSampleOrder04")
    assert (event.person.source_customer_id, event.person.email) == (
        "SQSAMPLECUSTOMER0001",
        "ichiyo.higuchi@example.jp",
    )
    assert (event.person.last_name, event.person.prefecture) == ("樋口", "東京都"), "the bill's, not the receiver's"
    dollars = order("payment.updated@guest-dollars")
    assert (dollars.order_id, dollars.currency, dollars.total, dollars.offline) == (
        "sqSamplePayment03", "USD", 40_495, False,
    )  # fmt: skip


def test_the_whole_order_has_lines_and_beats_every_payment() -> None:
    facts = order("order.updated@whole")
    assert [(line.product_id, line.quantity, line.unit_amount) for line in facts.lines] == [
        ("SQVARIATION01", 2, 2_220),
        ("custom", 1, 100),
    ]
    assert (facts.total, facts.goods_total, facts.discount, facts.paid) == (5_040, 4_440, 100, True)
    assert [(refund.refund_id, refund.amount) for refund in facts.refunds] == [("sqSampleRefund01", 2_220)]
    whole, paid = CART.read(SAMPLES["order.updated@whole"])[0], CART.read(SAMPLES["payment.updated"])[0]
    assert whole.version > paid.version


def test_an_order_read_back_says_the_same_as_the_same_order_in_a_webhook() -> None:
    record = SAMPLES["order.updated@whole"].body["data"]["object"]["order"]
    (envelope,) = ADAPTER.envelopes(polled_request("order", record), CART.connection, NOW)
    (event,) = ADAPTER.events(envelope)
    assert event.facts == order("order.updated@whole")
    assert envelope.subject == f"square/{CART.store}/order/sqSampleOrder01"


def test_a_refund_lowers_its_order_once_it_is_completed() -> None:
    facts = CART.read(SAMPLES["refund.updated"])[0].facts
    assert isinstance(facts, RefundFacts)
    assert (facts.order_id, facts.refunds[0].amount) == ("sqSampleOrder01", 2_220)


def test_a_fulfilment_is_told_as_itself_too_and_the_order_is_the_one_named_inside() -> None:
    sample = SAMPLES["order.fulfillment.updated"]
    itself = {"uid": "f1", "type": "PICKUP", "state": "COMPLETED"}
    notice = {"order_id": "sqSampleOrder01", "fulfillment_update": itself}
    data = {"id": sample.body["event_id"], "object": {"order_fulfillment_updated": notice}}
    (event,) = CART.read(changed("order.fulfillment.updated", data=data))
    assert event == CART.read(sample)[0]


@pytest.mark.parametrize(
    ("product", "offline"),
    [("SQUARE_POS", True), ("VIRTUAL_TERMINAL", True), ("ECOMMERCE_API", False), ("INVOICES", False), (None, False)],
)
def test_a_code_shown_at_the_register_is_bought_there(product: str | None, offline: bool) -> None:
    sample = SAMPLES["payment.updated@guest-dollars"]
    paid = {**sample.body["data"]["object"]["payment"], "source_type": "WALLET"}
    paid = {**paid, "card_details": None, "application_details": {"square_product": product}}
    (event,) = CART.read(changed(sample.name, data={"id": paid["id"], "object": {"payment": paid}}))
    assert isinstance(event.facts, OrderFacts)
    assert event.facts.offline is offline


def whole(**changes: Any) -> Event:
    order = {**SAMPLES["order.updated@whole"].body["data"]["object"]["order"], **changes}
    (event,) = CART.read(changed("order.updated@whole", data={"id": order["id"], "object": {"order": order}}))
    return event


def test_a_price_holds_its_options_and_a_weight_is_sold_once() -> None:
    def line(quantity: str, base: int, gross: int) -> dict[str, Any]:
        money = {"base_price_money": base, "gross_sales_money": gross}
        return {"quantity": quantity, **{name: {"amount": amount, "currency": "JPY"} for name, amount in money.items()}}

    facts = whole(line_items=[line("2", 500, 1_200), line("0.75", 1_000, 750)]).facts
    assert isinstance(facts, OrderFacts)
    assert [(each.quantity, each.unit_amount) for each in facts.lines] == [(2, 600), (1, 750)]


@pytest.mark.parametrize(
    ("tender", "offline"),
    [
        ({"type": "CASH"}, True),
        ({"type": "CARD", "card_details": {"entry_method": "CONTACTLESS"}}, True),
        ({"type": "CARD", "card_details": {"entry_method": "KEYED"}}, False),
    ],
)
def test_how_an_order_was_paid_says_where_it_was_bought(tender: dict[str, Any], offline: bool) -> None:
    facts = whole(source={"name": "レジ"}, tenders=[tender]).facts
    assert isinstance(facts, OrderFacts)
    assert facts.offline is offline


def test_who_fetches_a_guests_order_ordered_it_and_who_a_parcel_goes_to_need_not() -> None:
    who = {"display_name": "樋口 一葉", "email_address": "ichiyo.higuchi@example.jp", "phone_number": "+819000000001"}
    fetched = whole(customer_id=None, fulfillments=[{"type": "PICKUP", "pickup_details": {"recipient": who}}]).person
    assert (fetched.last_name, fetched.email, fetched.phone) == ("樋口", "ichiyo.higuchi@example.jp", "+819000000001")
    sent = whole(customer_id=None, fulfillments=[{"type": "SHIPMENT", "shipment_details": {"recipient": who}}]).person
    assert (sent.last_name, sent.email) == (None, None)


# --- subscriptions, stock, customers


def test_a_subscription_its_price_and_the_day_it_is_charged_next() -> None:
    facts = CART.read(SAMPLES["subscription.updated"])[0].facts
    assert isinstance(facts, SubscriptionFacts)
    assert (facts.state, facts.amount, facts.currency) == (SubscriptionState.ACTIVE, 3_000, "JPY")
    assert (facts.next_delivery_on, facts.lines[0].product_id) == (date(2026, 12, 3), "SQPLANVARIATION01")
    assert CART.read(SAMPLES["subscription.updated"])[0].version == "2026-11-03T03:00:01.123000Z"
    data = SAMPLES["subscription.updated"].body["data"]
    older = {
        **data["object"]["subscription"],
        "charged_through_date": None,
        "paid_until_date": "2026-12-03",
        "version": 3,
    }
    (event,) = CART.read(changed("subscription.updated", data={**data, "object": {"subscription": older}}))
    assert event.facts == facts


@pytest.mark.parametrize(
    ("name", "state"), [("ends", SubscriptionState.ACTIVE), ("canceled", SubscriptionState.CANCELLED)]
)
def test_a_cancelled_subscription_runs_to_its_end(name: str, state: SubscriptionState) -> None:
    (event,) = CART.read(SAMPLES[f"subscription.updated@{name}"])
    assert isinstance(event.facts, SubscriptionFacts)
    assert (event.facts.state, event.facts.next_delivery_on) == (state, None)
    assert event.facts.cancelled_at == event.occurred_at


def test_a_charge_that_failed_is_past_due_and_an_invoice_of_no_subscription_is_kept_unread() -> None:
    sample = SAMPLES["invoice.scheduled_charge_failed"]
    (event,) = CART.read(sample)
    assert isinstance(event.facts, SubscriptionFacts)
    assert event.facts.state is SubscriptionState.PAST_DUE
    invoice = {**sample.body["data"]["object"]["invoice"], "subscription_id": None}
    (other,) = CART.read(replace(sample, body={**sample.body, "data": {"id": "inv:1", "object": {"invoice": invoice}}}))
    assert other.event_type is EventType.UNKNOWN


def test_only_what_can_be_sold_is_stock() -> None:
    (event,) = CART.read(SAMPLES["inventory.count.updated"])
    assert isinstance(event.facts, ProductFacts)
    assert (event.facts.variant_id, event.facts.stock) == ("SQVARIATION01", 10)


def test_a_birthday_without_its_year_is_none() -> None:
    sample = SAMPLES["customer.created"]
    (event,) = CART.read(sample)
    assert isinstance(event.facts, ProfileFacts)
    assert event.facts.attributes == {"birth_on": "1990-05-02", "registered_on": "2026-10-01"}
    assert (event.person.postal_code, event.person.address) == ("1130033", "文京区 本郷0-0-0")
    customer = {**sample.body["data"]["object"]["customer"], "birthday": "0000-05-02"}
    (event,) = CART.read(
        replace(sample, body={**sample.body, "data": {**sample.body["data"], "object": {"customer": customer}}})
    )
    assert isinstance(event.facts, ProfileFacts)
    assert "birth_on" not in event.facts.attributes
