"""What Shopify's words mean in ours: every topic, and every oddity seen in real bodies."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.core.errors import RejectedError
from shared.core.ids import EventId
from shared.core.keys import KeyRing
from shared.core.shop import Shop
from shared.customers.model import ConsentStatus
from shared.customers.reference import fold_all
from shared.ingest.adapter import Connection, Request
from shared.ingest.codec import event_json
from shared.ingest.model import (
    CartFacts,
    ConsentFacts,
    Envelope,
    Event,
    EventType,
    MergeFacts,
    OrderDeletedFacts,
    OrderFacts,
    RefundFacts,
)
from shared.ingest.sources.shopify import ADAPTER, TOPICS
from shared.ingest.sources.shopify.customers import CONSENT
from shared.ingest.sources.shopify.topics import MAY_NAME_NOTHING
from tests.unit.ingest.conftest import NOW, STORE, Asks, Sample, sample, samples

BASE = 9_007_199_254_740_993
E = EventType

EXPECTED: dict[str, tuple[str, list[EventType]]] = {
    "carts-create@empty": ("cart/sampleCartToken0002", [E.CART_UPDATED]),
    "carts-update": ("cart/sampleCartToken0001", [E.CART_UPDATED]),
    "checkouts-create@no-mail-yet": ("checkout/samplecheckout0002", [E.CHECKOUT_UPDATED]),
    "checkouts-delete": (f"checkout/{BASE + 7001}", [E.UNKNOWN]),
    "checkouts-delete@token": ("checkout/samplecheckout0001", [E.CHECKOUT_DELETED]),
    "checkouts-update": ("checkout/samplecheckout0001", [E.CHECKOUT_UPDATED]),
    "checkouts-update@completed": ("checkout/samplecheckout0001", [E.CHECKOUT_UPDATED]),
    "customers-create@2024": (f"customer/{BASE + 12}", [E.CUSTOMER_UPDATED, E.CONSENT_CHANGED]),
    "customers-data_request": (f"customer/{BASE + 12}", [E.PERSON_EXPORT_REQUESTED]),
    "customers-delete": (f"customer/{BASE + 12}", [E.CUSTOMER_DELETED]),
    "customers-disable": (f"customer/{BASE + 12}", [E.CUSTOMER_UPDATED]),
    "customers-enable": (f"customer/{BASE + 12}", [E.CUSTOMER_UPDATED]),
    "customers-merge": (f"customer/{BASE + 12}", [E.CUSTOMERS_MERGED]),
    "customers-merge@failed": (f"customer/{BASE + 12}", [E.UNKNOWN]),
    "customers-redact": (f"customer/{BASE + 12}", [E.PERSON_ERASED]),
    "customers-redact@mail-only": ("customer/00000000-0000-4000-8000-0000000000aa", [E.PERSON_ERASED]),
    "customers-update": (f"customer/{BASE + 12}", [E.CUSTOMER_UPDATED]),
    "customers-update@no-names": (f"customer/{BASE + 12}", [E.CUSTOMER_UPDATED]),
    "customers_email_marketing_consent-update": (f"customer/{BASE + 12}", [E.CONSENT_CHANGED]),
    "customers_email_marketing_consent-update@pending": (f"customer/{BASE + 12}", [E.CONSENT_CHANGED]),
    "customers_email_marketing_consent-update@withdrawn": (f"customer/{BASE + 12}", [E.CONSENT_CHANGED]),
    "customers_marketing_consent-update": (f"customer/{BASE + 12}", [E.CONSENT_CHANGED]),
    "orders-cancelled": (f"order/{BASE}", [E.ORDER_CANCELLED]),
    "orders-create": (f"order/{BASE}", [E.ORDER_PLACED]),
    "orders-create@contradictory": (f"order/{BASE}", [E.ORDER_PLACED]),
    "orders-create@guest-at-the-register": (f"order/{BASE + 20}", [E.ORDER_PLACED]),
    "orders-create@konbini-pending": (f"order/{BASE + 40}", [E.ORDER_PLACED]),
    "orders-create@rounded-id": (f"order/{BASE}", [E.ORDER_PLACED]),
    "orders-create@test": (f"order/{BASE + 50}", [E.ORDER_PLACED]),
    "orders-create@three-currencies": (f"order/{BASE + 30}", [E.ORDER_PLACED]),
    "orders-delete": (f"order/{BASE}", [E.ORDER_DELETED]),
    "orders-edited": (f"order/{BASE}", [E.UNKNOWN]),
    "orders-fulfilled": (f"order/{BASE}", [E.ORDER_UPDATED]),
    "orders-paid": (f"order/{BASE + 40}", [E.ORDER_UPDATED]),
    "orders-partially_fulfilled": (f"order/{BASE}", [E.ORDER_UPDATED]),
    "orders-updated@refunded": (f"order/{BASE}", [E.ORDER_UPDATED]),
    "refunds-create": (f"order/{BASE}", [E.ORDER_REFUNDED]),
    "refunds-create@nothing-moved": (f"order/{BASE}", [E.ORDER_REFUNDED]),
    "shop-redact": ("shop/shop", [E.SHOP_ERASED]),
    "app-scopes_update": ("app/app", [E.UNKNOWN]),
    "app-uninstalled": ("app/app", [E.UNKNOWN]),
    "customer.joined_segment": (f"customer/{BASE + 12}", [E.CUSTOMER_UPDATED]),
    "customer.left_segment": (f"customer/{BASE + 12}", [E.CUSTOMER_UPDATED]),
    "customer.tags_added": (f"customer/{BASE + 12}", [E.CUSTOMER_UPDATED]),
    "customer.tags_removed": (f"customer/{BASE + 12}", [E.CUSTOMER_UPDATED]),
    "customer_payment_methods-create": (f"customer/{BASE + 12}", [E.CUSTOMER_UPDATED]),
    "customer_payment_methods-revoke": (f"customer/{BASE + 12}", [E.UNKNOWN]),
    "customer_payment_methods-update": (f"customer/{BASE + 12}", [E.CUSTOMER_UPDATED]),
    "customer_payment_methods-update@no-card": (f"customer/{BASE + 12}", [E.UNKNOWN]),
    "customers-purchasing_summary": (f"customer/{BASE + 12}", [E.UNKNOWN]),
    "fulfillment_events-create": (f"order/{BASE}", [E.ORDER_UPDATED]),
    "fulfillment_events-create@absent": (f"order/{BASE}", [E.ORDER_UPDATED]),
    "fulfillment_events-create@printed": (f"order/{BASE}", [E.ORDER_UPDATED]),
    "fulfillments-create": (f"order/{BASE}", [E.ORDER_UPDATED]),
    "fulfillments-update": (f"order/{BASE}", [E.ORDER_UPDATED]),
    "fulfillments-update@cancelled": (f"order/{BASE}", [E.ORDER_UPDATED]),
    "order_transactions-create": (f"order/{BASE + 40}", [E.ORDER_UPDATED]),
    "order_transactions-create@failed": (f"order/{BASE + 40}", [E.UNKNOWN]),
    "order_transactions-create@refund": (f"order/{BASE + 40}", [E.UNKNOWN]),
    "orders-create@first-of-a-subscription": (f"order/{BASE + 61}", [E.ORDER_PLACED]),
    "orders-create@foreign-subscription": (f"order/{BASE + 60}", [E.ORDER_PLACED]),
    "products-create": (f"product/{BASE + 2001}", [E.PRODUCT_UPDATED]),
    "products-delete": (f"product/{BASE + 2001}", [E.PRODUCT_UPDATED]),
    "products-update": (f"product/{BASE + 2001}", [E.PRODUCT_UPDATED]),
    "products-update@thin": (f"product/{BASE + 2002}", [E.PRODUCT_UPDATED]),
    "subscription_billing_attempts-challenged": (f"subscription/{BASE + 9001}", [E.SUBSCRIPTION_UPDATED]),
    "subscription_billing_attempts-failure": (f"subscription/{BASE + 9001}", [E.SUBSCRIPTION_UPDATED]),
    "subscription_billing_attempts-success": (f"subscription/{BASE + 9001}", [E.SUBSCRIPTION_UPDATED]),
    "subscription_billing_attempts-success@as-documented": (
        "subscription/00000000-0000-4000-8000-0000000000aa",
        [E.UNKNOWN],
    ),
    "subscription_billing_cycles-skip": (f"subscription/{BASE + 9001}", [E.SUBSCRIPTION_UPDATED]),
    "subscription_billing_cycles-unskip": (f"subscription/{BASE + 9001}", [E.SUBSCRIPTION_UPDATED]),
    "subscription_contracts-activate": (f"subscription/{BASE + 9001}", [E.SUBSCRIPTION_UPDATED]),
    "subscription_contracts-cancel": (f"subscription/{BASE + 9001}", [E.SUBSCRIPTION_UPDATED]),
    "subscription_contracts-create": (f"subscription/{BASE + 9001}", [E.SUBSCRIPTION_UPDATED]),
    "subscription_contracts-expire": (f"subscription/{BASE + 9001}", [E.SUBSCRIPTION_UPDATED]),
    "subscription_contracts-fail": (f"subscription/{BASE + 9001}", [E.SUBSCRIPTION_UPDATED]),
    "subscription_contracts-pause": (f"subscription/{BASE + 9001}", [E.SUBSCRIPTION_UPDATED]),
    "subscription_contracts-update": (f"subscription/{BASE + 9001}", [E.SUBSCRIPTION_UPDATED]),
    "tender_transactions-create": (f"order/{BASE + 40}", [E.ORDER_UPDATED]),
    "tender_transactions-create@money-back": (f"order/{BASE + 40}", [E.UNKNOWN]),
    "variants-in_stock": (f"product/{BASE + 2001}", [E.PRODUCT_UPDATED]),
    "variants-out_of_stock": (f"product/{BASE + 2001}", [E.PRODUCT_UPDATED]),
}
"""Sample → (what it is about, what it says)."""


@pytest.fixture
def read(connection: Connection, ask: Asks) -> Any:
    """Reads a body through the whole adapter."""

    def events(found: Sample, **changed: Any) -> list[Event]:
        return list(ADAPTER.events(envelope(ask(found.topic, {**found.body, **changed}), connection)))

    return events


def envelope(request: Request, connection: Connection) -> Envelope:
    (found,) = ADAPTER.envelopes(request, connection, NOW)
    return found


def order(events: list[Event]) -> OrderFacts:
    facts = events[0].facts
    assert isinstance(facts, OrderFacts)
    return facts


def test_every_sample_is_expected_and_every_topic_has_a_sample() -> None:
    assert {found.name for found in samples()} == set(EXPECTED)
    assert set(TOPICS) <= {found.topic for found in samples()}


@pytest.mark.parametrize("found", samples(), ids=lambda found: found.name)
def test_a_body_is_about_one_thing_and_says(found: Sample, read: Any) -> None:
    events = read(found)
    about, says = EXPECTED[found.name]
    assert [event.event_type for event in events] == says
    assert {event.subject for event in events} == {f"shopify/{STORE}/{about}"}
    assert len({event.event_id for event in events}) == len(events)
    assert all(event.occurred_at.tzinfo is not None and not event.historical for event in events)


@pytest.mark.parametrize("found", samples(), ids=lambda found: found.name)
def test_reading_again_says_the_same(found: Sample, connection: Connection, ask: Asks) -> None:
    kept = envelope(ask(found.topic, found.body), connection)
    assert ADAPTER.events(kept) == ADAPTER.events(kept)


def test_no_key_of_a_row_holds_personal_data(connection: Connection, ask: Asks) -> None:
    personal = ("ichiyo", "@", "例題", "9000000000", "08012341234")
    for found in samples():
        subject = envelope(ask(found.topic, found.body), connection).subject
        assert not any(word in subject for word in personal), found.name


# --- orders


def test_an_order_in_yen(read: Any) -> None:
    (event,) = read(sample("orders-create"))
    facts = order([event])
    assert (facts.order_id, facts.number, facts.currency, facts.total, facts.paid) == (
        str(BASE), "#3001", "JPY", 19_800, True,
    )  # fmt: skip
    assert facts.ordered_at == datetime(2026, 11, 3, 3, 0, tzinfo=UTC)
    assert [(line.product_id, line.quantity, line.unit_amount) for line in facts.lines] == [
        (str(BASE + 2001), 1, 15_600),
        (str(BASE + 2002), 2, 1_800),
    ]
    assert event.version == "2026-11-03T03:00:01.000000Z/2026-11-03T03:00:01.123456Z"
    assert event.person.source_customer_id == str(BASE + 12)
    assert (event.person.last_name, event.person.first_name) == ("例題", "一葉")
    assert event.person.anonymous_ids == ("checkout/samplecheckout0001", "cart/sampleCartToken0001")


def test_the_digits_of_the_gid_beat_an_id_rounded_by_javascript(read: Any) -> None:
    found = sample("orders-create@rounded-id")
    assert found.body["id"] != BASE
    assert order(read(found)).order_id == str(BASE)


@pytest.mark.parametrize("written", ["19800", 19800, "19800.00", 19800.0, " 19800 "])
def test_yen_is_yen_however_it_is_written(read: Any, written: object) -> None:
    assert order(read(sample("orders-create"), total_price=written, total_price_set=None)).total == 19_800


def test_of_three_currencies_only_the_shops_is_revenue(read: Any) -> None:
    facts = order(read(sample("orders-create@three-currencies")))
    assert (facts.currency, facts.total, facts.lines[0].unit_amount) == ("CAD", 56_012, 56_012)


def test_without_shop_money_the_orders_currency_counts(read: Any) -> None:
    facts = order(read(sample("orders-create@three-currencies"), total_price_set=None, line_items=[]))
    assert (facts.currency, facts.total) == ("USD", 40_495)


def test_a_guest_at_the_register_is_nobody_we_know(read: Any) -> None:
    (event,) = read(sample("orders-create@guest-at-the-register"))
    assert event.person.source_customer_id is None
    assert event.person.email is None
    assert event.person.last_name is None
    assert order([event]).total == 1_800


@pytest.mark.parametrize("customer", [None, {}, {"id": 0}, {"id": None, "email": ""}])
def test_no_customer_is_written_in_many_ways(read: Any, customer: object) -> None:
    (event,) = read(sample("orders-create"), customer=customer)
    assert event.person.source_customer_id is None
    assert event.person.email == "ichiyo.reidai@example.com"


@pytest.mark.parametrize(
    ("currency", "written", "minor"), [("XPF", "1980", 1_980), ("PYG", "1980.00", 1_980), ("OMR", "1.980", 1_980)]
)
def test_every_currency_has_its_own_smallest_coin(read: Any, currency: str, written: str, minor: int) -> None:
    facts = order(read(sample("orders-create"), total_price_set=None, currency=currency, total_price=written))
    assert (facts.currency, facts.total) == (currency, minor)


def test_a_customers_telephone_may_be_the_addresss_and_the_name_a_companys(read: Any) -> None:
    place = {"phone": "090-0000-0001", "company": "見本商店"}
    (event, *_) = read(sample("customers-update"), phone=None, last_name=None, first_name="", default_address=place)
    assert (event.person.phone, event.person.last_name) == ("090-0000-0001", "見本商店")
    bill = {"last_name": None, "first_name": None, "company": "見本商店"}
    (event,) = read(sample("orders-create"), customer=None, billing_address=bill)
    assert (event.person.last_name, event.person.first_name) == ("見本商店", None)


def test_a_name_comes_from_the_bill_and_never_from_the_delivery(read: Any) -> None:
    (event,) = read(sample("orders-create"), customer=None)
    assert event.person.last_name == "例題"
    (gift,) = read(sample("orders-create"), customer=None, billing_address=None)
    assert gift.person.last_name is None


@pytest.mark.parametrize("written", ["", None, "no mail", "a@b@c", "@", "a b@example.com"])
def test_what_is_no_mail_address_is_none(read: Any, written: object) -> None:
    (event,) = read(sample("customers-update"), email=written)
    assert event.person.email is None


def test_an_order_waiting_for_its_money_is_an_order_not_paid(read: Any) -> None:
    placed, paid = order(read(sample("orders-create@konbini-pending"))), order(read(sample("orders-paid")))
    assert (placed.paid, paid.paid) == (False, True)
    assert placed.order_id == paid.order_id
    assert placed.total == paid.total == 19_800


def test_a_test_order_says_so(read: Any) -> None:
    assert order(read(sample("orders-create@test"))).test


def test_the_topic_says_cancelled_even_where_the_body_does_not(read: Any) -> None:
    assert order(read(sample("orders-cancelled"), cancelled_at=None)).cancelled_at is not None
    assert order(read(sample("orders-cancelled"))).cancelled_at == datetime(2026, 11, 4, 0, 0, tzinfo=UTC)


def test_the_body_says_what_is_even_on_orders_create(read: Any) -> None:
    assert order(read(sample("orders-create@contradictory"))).cancelled_at is not None


@pytest.mark.parametrize("properties", [None, {}, [], [{"name": "n", "value": 1}], {"a": "b"}, "text"])
def test_line_properties_of_any_shape_are_left_alone(read: Any, properties: object) -> None:
    body = sample("orders-create").body
    lines = [{**body["line_items"][0], "properties": properties}]
    assert len(order(read(sample("orders-create"), line_items=lines)).lines) == 1


def test_a_line_typed_in_by_the_shop_has_no_product(read: Any) -> None:
    lines = [{"title": "特注品", "quantity": 1, "price": "500", "product_id": None, "variant_id": None}]
    assert order(read(sample("orders-create"), line_items=lines)).lines[0].product_id == "custom"


# --- refunds


def test_a_refund_is_the_same_in_the_order_and_on_its_own(read: Any) -> None:
    (alone,) = read(sample("refunds-create"))
    assert isinstance(alone.facts, RefundFacts)
    inside = order(read(sample("orders-updated@refunded")))
    assert alone.facts.refunds == inside.refunds
    assert (alone.facts.order_id, alone.facts.refunds[0].amount) == (str(BASE), 1_800)


def test_a_refund_that_moved_no_money_is_worth_what_was_taken_back(read: Any) -> None:
    (event,) = read(sample("refunds-create@nothing-moved"))
    assert isinstance(event.facts, RefundFacts)
    assert event.facts.refunds[0].amount == 1_800 + 600


def test_a_failed_refund_transaction_moved_nothing(read: Any) -> None:
    body = sample("refunds-create").body
    failed = [{**body["transactions"][0], "status": "failure"}]
    (event,) = read(sample("refunds-create"), transactions=failed, refund_line_items=[])
    assert event.facts.refunds[0].amount == 0


def test_a_refund_paid_in_the_buyers_currency_is_worth_what_it_is_in_the_shops(read: Any) -> None:
    def told(shops: str, buyers: str) -> dict[str, Any]:
        pair = {"shop_money": (shops, "JPY"), "presentment_money": (buyers, "USD")}
        return {name: {"amount": amount, "currency_code": code} for name, (amount, code) in pair.items()}

    line = {**sample("refunds-create").body["refund_line_items"][0], "subtotal_set": told("15000", "100.00")}
    moved = {"kind": "refund", "status": "pending", "amount": "110.00", "currency": "USD"}
    # Not yet settled: the whole of it, with its tax, is said to be missing.
    missing = {"kind": "refund_discrepancy", "amount": "16500", "amount_set": told("16500", "110.00")}
    (event,) = read(
        sample("refunds-create"), refund_line_items=[line], transactions=[moved], order_adjustments=[missing]
    )
    assert event.facts.refunds[0].amount == 16_500
    elsewhere = {**moved, "currency": "EUR"}
    (event,) = read(sample("refunds-create"), refund_line_items=[line], transactions=[elsewhere])
    assert event.facts.refunds[0].amount == 15_000, "without a rate, what was taken back"


def test_a_number_among_strings_is_read_like_its_neighbours(read: Any) -> None:
    body = sample("refunds-create").body
    line = {**body["refund_line_items"][0], "subtotal_set": None, "subtotal": 1800}
    (event,) = read(sample("refunds-create"), transactions=[], refund_line_items=[line], total_duties_set=None)
    assert event.facts.refunds[0].amount == 0, "without any currency no amount can be said"
    line["subtotal_set"] = {"shop_money": {"amount": 1800.0, "currency_code": "JPY"}}
    (event,) = read(sample("refunds-create"), transactions=[], refund_line_items=[line])
    assert event.facts.refunds[0].amount == 1_800


# --- people and consent


def test_only_a_completed_merge_is_a_fact(read: Any) -> None:
    (event,) = read(sample("customers-merge"))
    assert event.facts == MergeFacts(kept_customer_id=str(BASE + 12), deleted_customer_id=str(BASE + 13))
    for status in ("requested", "failed", None, 1, "COMPLETED?"):
        assert [e.event_type for e in read(sample("customers-merge"), status=status)] == [E.UNKNOWN]


@pytest.mark.parametrize("state", [*CONSENT, "something_new", "", None, 3])
def test_every_consent_state_has_a_meaning_and_a_new_one_is_no_consent(read: Any, state: object) -> None:
    said = {"state": state, "opt_in_level": "single_opt_in", "consent_updated_at": "2026-11-03T12:00:30+09:00"}
    (event,) = read(sample("customers_email_marketing_consent-update"), email_marketing_consent=said)
    if state not in CONSENT:
        assert event.event_type is E.UNKNOWN
        return
    assert isinstance(event.facts, ConsentFacts)
    assert event.facts.granted is (state == "subscribed")
    assert event.facts.by_customer is (state in {"subscribed", "unsubscribed"})
    assert event.facts.method == ("shopify:single_opt_in" if state == "subscribed" else f"shopify:{state}")


def test_consent_is_dated_when_it_was_said(read: Any) -> None:
    (event,) = read(sample("customers_email_marketing_consent-update"))
    assert event.occurred_at == datetime(2026, 11, 3, 3, 0, 30, tzinfo=UTC)
    assert event.version == "2026-11-03T03:00:30.000000Z"


def test_marketing_consent_without_a_word_is_sms_and_its_key_is_id(read: Any) -> None:
    (event,) = read(sample("customers_marketing_consent-update"))
    assert isinstance(event.facts, ConsentFacts)
    assert (event.facts.channel, event.facts.granted) == ("sms", False)
    assert (event.person.source_customer_id, event.person.phone) == (str(BASE + 12), "+819000000000")


def test_an_order_or_a_checkout_never_gives_consent(read: Any) -> None:
    for name in ("orders-create", "checkouts-update"):
        events = read(sample(name), buyer_accepts_marketing=True)
        assert E.CONSENT_CHANGED not in {event.event_type for event in events}


def test_bodies_before_2025_carry_consent_with_the_customer(read: Any) -> None:
    at = "2024-02-01T09:00:00+09:00"
    asked = {**sample("customers-create@2024").body["sms_marketing_consent"], "consent_updated_at": at}
    _, mail, sms = read(sample("customers-create@2024"), sms_marketing_consent=asked)
    assert (mail.facts.channel, mail.facts.granted) == ("email", True)
    assert (sms.facts.channel, sms.facts.granted, sms.facts.by_customer) == ("sms", False, False)
    assert mail.occurred_at == datetime(2024, 1, 31, 0, 0, tzinfo=UTC)


@pytest.mark.parametrize(("granted", "state"), [(True, "not_subscribed"), (True, "pending"), (False, "subscribed")])
def test_a_record_that_was_touched_does_not_undo_what_was_said_on_our_page(
    read: Any, granted: bool, state: str
) -> None:
    """Who was never asked, or came by a file, has no time of consent; every purchase sends the record again."""
    undated = {"state": state, "opt_in_level": "single_opt_in", "consent_updated_at": None}
    touched = read(sample("customers-create@2024"), email_marketing_consent=undated)
    said = replace(
        touched[0],
        event_id=EventId("said"),
        event_type=E.CONSENT_CHANGED,
        occurred_at=touched[0].occurred_at - timedelta(days=30),
        facts=ConsentFacts(channel="email", granted=granted, method="page"),
    )
    keys, shop = KeyRing(personal=b"a key of this test", links={"1": b"another"}), Shop(said.tenant, "見本商店")
    (person,) = fold_all([said, *touched], keys, shop).values()
    now = ConsentStatus.OPT_IN if granted else ConsentStatus.OPT_OUT
    assert {each.channel: each.status for each in person.consents} == {"email": now}


# --- carts


def test_a_cart_is_known_by_its_token_only(read: Any) -> None:
    (event,) = read(sample("carts-update"))
    assert event.facts == CartFacts(
        token="sampleCartToken0001",
        cart_token="sampleCartToken0001",
        currency="JPY",
        total=11_600,
        lines=event.facts.lines,
    )
    assert event.person.anonymous_ids == ("cart/sampleCartToken0001",)


def test_a_checkout_joins_a_mail_address_to_a_cart(read: Any) -> None:
    (event,) = read(sample("checkouts-update"))
    assert isinstance(event.facts, CartFacts)
    assert event.person.email == "ichiyo.reidai@example.com"
    assert event.person.anonymous_ids == ("checkout/samplecheckout0001", "cart/sampleCartToken0001")
    assert (event.facts.total, event.facts.completed_at) == (11_600, None)
    assert event.facts.recovery_url is not None


@pytest.mark.parametrize("url", ["javascript:alert(1)", "http://example.com/", "https://a b", "", None, 'https://x/"'])
def test_only_a_clean_https_link_leads_back_into_a_checkout(read: Any, url: object) -> None:
    (event,) = read(sample("checkouts-update"), abandoned_checkout_url=url)
    assert event.facts.recovery_url is None


def test_a_completed_checkout_says_when(read: Any) -> None:
    (event,) = read(sample("checkouts-update@completed"))
    assert event.facts.completed_at == datetime(2026, 11, 3, 3, 0, tzinfo=UTC)


# --- the envelope


def test_a_test_notification_is_kept_nowhere(connection: Connection, ask: Asks) -> None:
    request = ask("orders/create", sample("orders-create").body, headers={"x-shopify-test": "true"})
    assert ADAPTER.envelopes(request, connection, NOW) == ()


def test_the_delivery_id_is_the_event_id(connection: Connection, ask: Asks) -> None:
    assert envelope(ask("orders/create", sample("orders-create").body), connection).event_id == (
        "00000000-0000-4000-8000-0000000000aa"
    )


def test_without_a_delivery_id_the_same_bytes_are_the_same_event(connection: Connection, ask: Asks) -> None:
    def id_of(body: dict[str, Any], topic: str = "orders/create") -> str:
        return envelope(ask(topic, body, headers={"x-shopify-webhook-id": ""}), connection).event_id

    body = sample("orders-create").body
    assert id_of(body) == id_of(body)
    assert len({id_of(body), id_of({**body, "note": "x"}), id_of(body, "orders/paid")}) == 3


def test_it_happened_when_it_was_triggered_unless_that_lies_ahead(connection: Connection, ask: Asks) -> None:
    body = sample("orders-create").body

    def at(triggered: str, **changed: Any) -> datetime:
        request = ask("orders/create", {**body, **changed}, headers={"x-shopify-triggered-at": triggered})
        return envelope(request, connection).occurred_at

    updated = datetime(2026, 11, 3, 3, 0, 1, tzinfo=UTC)
    assert at("2026-11-03T03:00:01.123456Z") == updated.replace(microsecond=123456)
    assert at((NOW + timedelta(days=2)).isoformat()) == updated
    assert at("nonsense") == updated
    assert at("", updated_at=7, created_at=None) == NOW


@pytest.mark.parametrize("topic", ["", "a b", "orders/créate", "x" * 101, "orders\n/create"])
def test_a_topic_that_is_none_is_refused(connection: Connection, ask: Asks, topic: str) -> None:
    with pytest.raises(RejectedError, match="Topic"):
        ADAPTER.envelopes(ask(topic, b"{}"), connection, NOW)


@pytest.mark.parametrize(
    "body",
    [
        b"", b"null", b"[]", b'"text"', b"1", b"{", b'{"id": NaN}', b"\xff\xfe", b"eyJzZXNzaW9uIjoxfQ==",
        b'{"id":' + b"9" * 5000 + b"}", b"[" * 100_000, b'{"a":' * 50_000,
    ],
    ids=range(12),
)  # fmt: skip
def test_what_is_no_json_object_is_refused(connection: Connection, ask: Asks, body: bytes) -> None:
    with pytest.raises(RejectedError):
        ADAPTER.envelopes(ask("orders/create", body), connection, NOW)


@pytest.mark.parametrize(
    "topic", sorted(MAY_NAME_NOTHING - {"shop/redact", "customers/redact", "customers/data_request"})
)
def test_a_body_that_may_be_empty_is_kept_unread(connection: Connection, ask: Asks, topic: str) -> None:
    kept = envelope(ask(topic, b"{}"), connection)
    assert [event.event_type for event in ADAPTER.events(kept)] == [E.UNKNOWN]


@pytest.mark.parametrize("topic", sorted(set(TOPICS) - MAY_NAME_NOTHING))
def test_a_body_without_the_id_of_its_thing_is_refused(connection: Connection, ask: Asks, topic: str) -> None:
    with pytest.raises(RejectedError, match="no id"):
        ADAPTER.envelopes(ask(topic, b'{"foo": "bar"}'), connection, NOW)


@pytest.mark.parametrize("topic", ["shop/redact", "customers/redact", "customers/data_request"])
@pytest.mark.parametrize("domain", ["other.myshopify.com", None, 1, "", "MISSING"])
def test_erasing_needs_this_shop_named_in_the_signed_body(
    connection: Connection, ask: Asks, topic: str, domain: object
) -> None:
    body = {"customer": {"id": 1}} | ({} if domain == "MISSING" else {"shop_domain": domain})
    with pytest.raises(RejectedError, match="shop_domain"):
        ADAPTER.envelopes(ask(topic, body), connection, NOW)


def test_strange_tokens_do_not_reach_a_key(connection: Connection, ask: Asks) -> None:
    for token in ("a#b", "a/b", "x" * 900, "タグ", "a?key=b"):
        body = {**sample("carts-update").body, "token": token, "id": token}
        kept = envelope(ask("carts/update", body), connection)
        assert kept.subject.count("/") == 3
        assert "#" not in kept.subject
        assert len(kept.subject) < 120
        (event,) = ADAPTER.events(kept)
        assert isinstance(event.facts, CartFacts)
        assert event.facts.token == token.partition("?")[0]


def test_a_deleted_order_is_a_tombstone(read: Any) -> None:
    (event,) = read(sample("orders-delete"))
    assert event.facts == OrderDeletedFacts(order_id=str(BASE))


def test_the_order_of_arrival_changes_no_event(connection: Connection, ask: Asks) -> None:
    story = ["checkouts-update", "carts-update", "orders-create", "refunds-create", "checkouts-update@completed"]
    kept = [envelope(ask(found.topic, found.body), connection) for found in map(sample, story)]
    told = set()
    for arrival in itertools.permutations(kept):
        events = [event for one in arrival for event in ADAPTER.events(one)]
        told.add(tuple(sorted(event_json(event) for event in events)))
    assert len(told) == 1
