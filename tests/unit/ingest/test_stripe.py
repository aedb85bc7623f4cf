"""Stripe: signatures of the moment, live mode only, and which events say something to us."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import pytest

from shared.core.errors import RejectedError
from shared.core.keys import KeyRing
from shared.core.shop import Shop
from shared.customers.reference import fold_all
from shared.ingest.adapter import Request
from shared.ingest.model import (
    CartFacts,
    Event,
    EventType,
    OrderFacts,
    RefundFacts,
    SubscriptionFacts,
    SubscriptionState,
)
from shared.ingest.names import split_name
from shared.ingest.sources.stripe import ADAPTER, MAX_SIGNATURES, TOLERANCE, TYPES, parse_header, signature
from tests.contract.carts.carts import CARTS, NOW, SECRET, Sample

CART = CARTS["stripe"]
SAMPLES = {sample.name: sample for sample in CART.samples()}
BODY = b'{"id":"evt_test","object":"event"}'

SAID = {
    "account.application.deauthorized@own-account": EventType.UNKNOWN,
    "charge.refunded": EventType.UNKNOWN,
    "checkout.session.completed": EventType.CHECKOUT_UPDATED,
    "checkout.session.completed@customer-expanded": EventType.CHECKOUT_UPDATED,
    "checkout.session.expired@guest": EventType.CHECKOUT_UPDATED,
    "customer.created": EventType.CUSTOMER_UPDATED,
    "customer.deleted": EventType.CUSTOMER_DELETED,
    "charge.refunded@of-an-invoice": EventType.ORDER_REFUNDED,
    "customer.subscription.created": EventType.SUBSCRIPTION_UPDATED,
    "customer.subscription.deleted": EventType.SUBSCRIPTION_UPDATED,
    "customer.subscription.deleted@shape-before-2025": EventType.SUBSCRIPTION_UPDATED,
    "customer.subscription.paused": EventType.SUBSCRIPTION_UPDATED,
    "customer.subscription.resumed": EventType.SUBSCRIPTION_UPDATED,
    "customer.subscription.trial_will_end": EventType.SUBSCRIPTION_UPDATED,
    "customer.subscription.updated": EventType.SUBSCRIPTION_UPDATED,
    "customer.subscription.updated@collection-paused": EventType.SUBSCRIPTION_UPDATED,
    "customer.subscription.updated@ends": EventType.SUBSCRIPTION_UPDATED,
    "customer.subscription.updated@in-full": EventType.SUBSCRIPTION_UPDATED,
    "customer.subscription.updated@past-due": EventType.SUBSCRIPTION_UPDATED,
    "customer.updated@latin-name": EventType.CUSTOMER_UPDATED,
    "customer.updated@nothing-known": EventType.CUSTOMER_UPDATED,
    "invoice.paid": EventType.ORDER_UPDATED,
    "invoice.paid@in-full": EventType.ORDER_UPDATED,
    "invoice.paid@shape-before-2025": EventType.ORDER_UPDATED,
    "invoice.paid@trial": EventType.UNKNOWN,
    "invoice.payment_succeeded@shape-before-2025": EventType.ORDER_UPDATED,
    "credit_note.created": EventType.ORDER_REFUNDED,
    "invoice.payment_failed": EventType.SUBSCRIPTION_UPDATED,
    "invoice.payment_failed@manual": EventType.UNKNOWN,
}


def only(sample: Sample) -> Event:
    """The one event of a sample."""
    (event,) = CART.read(sample)
    return event


def changed(name: str, **changes: Any) -> Sample:
    """A sample with some fields changed."""
    return replace(SAMPLES[name], body={**SAMPLES[name].body, **changes})


def test_every_sample_says_what_it_should_and_every_type_has_one() -> None:
    assert {name: only(sample).event_type for name, sample in SAMPLES.items()} == SAID
    assert {sample.topic for sample in SAMPLES.values()} >= set(TYPES)


def header(*parts: str, at: datetime = NOW) -> str:
    return ",".join((f"t={int(at.timestamp())}", *parts))


def v1(secret: str = SECRET, at: datetime = NOW, body: bytes = BODY) -> str:
    return "v1=" + signature(secret, str(int(at.timestamp())), body).decode()


def believed(given: str, now: datetime = NOW, body: bytes = BODY) -> bool:
    return ADAPTER.verify(Request({"stripe-signature": given}, body), CART.connection, now)


def test_the_vector_of_the_vendors_algorithm() -> None:
    made = signature("whsec_test_secret", "1700000000", BODY).decode()
    assert made == "8042376f6ca064adbe037642a718227dfd59047137eb49497a54c49eb0cfb724"


@pytest.mark.parametrize(
    ("seconds", "is_believed"), [(0, True), (300, True), (301, False), (-300, True), (-301, False)]
)
def test_a_signature_is_believed_for_five_minutes_either_way(seconds: int, is_believed: bool) -> None:
    signed_at = NOW - timedelta(seconds=seconds)
    assert timedelta(seconds=300) == TOLERANCE
    assert believed(header(v1(at=signed_at), at=signed_at)) is is_believed


def test_an_old_request_with_a_new_time_is_refused() -> None:
    old = NOW - timedelta(hours=1)
    assert not believed(header(v1(at=old)))


def test_any_v1_may_match_and_no_other_scheme_counts() -> None:
    assert believed(header("v1=" + "0" * 64, v1()))
    assert believed(header("v0=" + "0" * 64, v1()))
    assert not believed(header(v1().replace("v1=", "v0=")))
    assert not believed(header(*["v1=" + "0" * 64] * MAX_SIGNATURES, v1())), "more than anybody has secrets"


@pytest.mark.parametrize("given", ["", "t=", "v1=x", "t=1", "t=1,t=1,v1=x", "t=-1,v1=x", "t=1e9,v1=x", "t=١,v1=x"])
def test_a_header_without_time_or_signature_is_none(given: str) -> None:
    assert parse_header(given) is None
    assert not believed(given)


def envelopes(sample: Sample) -> object:
    return ADAPTER.envelopes(CART.ask(sample.topic, sample.raw), CART.connection, NOW)


def test_test_mode_is_answered_and_never_kept() -> None:
    for name in SAMPLES:
        assert envelopes(changed(name, livemode=False)) == ()


@pytest.mark.parametrize("livemode", [None, "true", 1, "false", {}])
def test_who_does_not_say_whether_it_is_live_is_refused(livemode: object) -> None:
    with pytest.raises(RejectedError, match="livemode"):
        envelopes(changed("customer.created", livemode=livemode))


def test_a_thin_event_is_answered_and_not_kept() -> None:
    thin = {"id": "evt_test_65", "object": "v2.core.event", "type": "v1.billing.meter.error", "livemode": True}
    assert envelopes(Sample("thin", "", thin)) == ()


def test_an_event_of_another_account_is_refused() -> None:
    with pytest.raises(RejectedError, match="account"):
        envelopes(changed("customer.created", account="acct_1Other"))


def test_the_events_own_id_is_the_deliverys() -> None:
    sample = SAMPLES["customer.created"]
    (envelope,) = ADAPTER.envelopes(CART.ask(sample.topic, sample.raw), CART.connection, NOW)
    assert envelope.event_id == sample.body["id"]
    assert envelope.subject == f"stripe/{CART.store}/customer/cus_Sample00000001"
    assert envelope.occurred_at == datetime.fromtimestamp(sample.body["created"], UTC)


def test_a_customer() -> None:
    person = only(SAMPLES["customer.created"]).person
    assert (person.source_customer_id, person.email) == ("cus_Sample00000001", "ichiyo.higuchi@example.jp")
    assert (person.last_name, person.first_name, person.phone) == ("樋口", "一葉", "+819000000001")


@pytest.mark.parametrize(
    ("name", "parts"),
    [
        ("樋口 一葉", ("樋口", "一葉")),
        ("樋口\u3000一葉", ("樋口", "一葉")),
        ("樋口一葉", ("樋口一葉", None)),
        ("Jane Doe", ("Jane Doe", None)),
        (None, (None, None)),
    ],
)
def test_only_a_japanese_name_in_two_parts_says_which_is_which(name: str | None, parts: tuple[object, object]) -> None:
    assert split_name(name) == parts


def test_a_completed_checkout_is_closed_and_an_expired_one_has_its_link_back() -> None:
    completed, expired = (only(SAMPLES[f"checkout.session.{name}"]) for name in ("completed", "expired@guest"))
    assert isinstance(completed.facts, CartFacts)
    assert isinstance(expired.facts, CartFacts)
    assert completed.facts.completed_at == completed.occurred_at
    assert (completed.facts.currency, completed.facts.total) == ("JPY", 5040)
    assert completed.person.source_customer_id == "cus_Sample00000001"
    assert (expired.facts.completed_at, expired.facts.recovery_url) == (None, "https://buy.stripe.com/r/live_sample")
    assert expired.person.email == "shiki.masaoka@example.jp"
    expanded = only(SAMPLES["checkout.session.completed@customer-expanded"])
    assert expanded.person.source_customer_id == "cus_Sample00000001"


# --- subscriptions and invoices


def subscription(name: str, **changes: Any) -> SubscriptionFacts:
    sample = SAMPLES[f"customer.subscription.{name}"]
    data = {**sample.body["data"], "object": {**sample.body["data"]["object"], **changes}}
    facts = only(replace(sample, body={**sample.body, "data": data})).facts
    assert isinstance(facts, SubscriptionFacts)
    return facts


def order(name: str) -> OrderFacts:
    facts = only(SAMPLES[name]).facts
    assert isinstance(facts, OrderFacts)
    return facts


def test_a_subscription_in_full() -> None:
    facts = subscription("updated@in-full")
    assert (facts.state, facts.amount, facts.currency) == (SubscriptionState.ACTIVE, 6_000, "JPY")
    assert (facts.interval_unit, facts.interval_count) == ("month", 1)
    assert facts.next_delivery_on == date(2026, 12, 3)
    assert [(line.product_id, line.title, line.quantity) for line in facts.lines] == [("prod_Sample", "毎月コース", 2)]
    person = only(SAMPLES["customer.subscription.updated@in-full"]).person
    assert person.source_customer_id == "cus_Sample00000001"


@pytest.mark.parametrize(
    ("name", "state"),
    [
        ("created", SubscriptionState.UNKNOWN),
        ("updated@past-due", SubscriptionState.PAST_DUE),
        ("updated@ends", SubscriptionState.ACTIVE),
        ("updated@collection-paused", SubscriptionState.PAUSED),
        ("deleted", SubscriptionState.CANCELLED),
        ("deleted@shape-before-2025", SubscriptionState.CANCELLED),
        ("paused", SubscriptionState.PAUSED),
        ("resumed", SubscriptionState.ACTIVE),
        ("trial_will_end", SubscriptionState.ACTIVE),
    ],
)
def test_every_state_of_a_subscription(name: str, state: SubscriptionState) -> None:
    assert subscription(name).state is state


@pytest.mark.parametrize("ids", [("evt_1First", "evt_2Second"), ("evt_2First", "evt_1Second")])
def test_a_contract_made_and_paid_within_one_second_is_active(ids: tuple[str, str]) -> None:
    """Stripe counts in seconds, and `incomplete` becomes `active` in the one the contract was made in."""
    made, paid = SAMPLES["customer.subscription.created"], SAMPLES["customer.subscription.updated"]
    thing = {**paid.body["data"]["object"], "id": made.body["data"]["object"]["id"], "status": "active"}
    events = (
        only(replace(made, body={**made.body, "id": ids[0]})),
        only(
            replace(paid, body={**paid.body, "id": ids[1], "created": made.body["created"], "data": {"object": thing}})
        ),
    )
    keys, shop = KeyRing(personal=b"a key of this test", links={"1": b"another"}), Shop(events[0].tenant, "見本商店")
    (person,) = fold_all(events, keys, shop).values()
    assert [contract.state for contract in person.subscriptions] == [SubscriptionState.ACTIVE]


def test_a_cancelled_one_says_when_and_why_and_never_what_was_typed() -> None:
    ends, gone = subscription("updated@ends"), subscription("deleted")
    assert (ends.cancel_reason, ends.next_delivery_on) == ("too_expensive", None)
    assert ends.cancelled_at == datetime.fromtimestamp(1_793_600_000, UTC)
    assert (gone.cancel_reason, gone.cancelled_at) == ("payment_failed", datetime.fromtimestamp(1_793_674_700, UTC))
    typed = {"comment": "花子です", "feedback": None, "reason": "Hanako said so"}
    assert subscription("deleted", cancellation_details=typed).cancel_reason is None


def test_the_period_stands_on_the_contract_in_the_old_shape_and_on_its_items_in_the_new() -> None:
    assert subscription("updated").next_delivery_on == date(2026, 12, 3)
    old = subscription("updated", items={"data": []}, current_period_end=1_796_266_800)
    assert old.next_delivery_on == date(2026, 12, 3)
    assert old.amount is None
    oldest = {"start_date": None, "created": None, "items": None, "start": 1_793_588_400, "quantity": 2}
    named = {"id": "Gold plan", "name": "ゴールド", "amount": 1_500, "currency": "jpy", "interval": "month"}
    facts = subscription("updated", **oldest, plan=named)
    assert facts.started_at == datetime.fromtimestamp(1_793_588_400, UTC)
    assert [(line.product_id, line.title, line.unit_amount) for line in facts.lines] == [
        ("Gold plan", "ゴールド", 1_500)
    ]
    assert facts.amount == 3_000


@pytest.mark.parametrize(
    ("currency", "written", "minor"),
    [("jpy", 1_500, 1_500), ("usd", 1_500, 1_500), ("isk", 1_500, 15), ("ugx", 1_500, 15), ("mga", 15, 1_500)],
)
def test_the_smallest_unit_is_stripes_and_ours_is_of_iso_4217(currency: str, written: int, minor: int) -> None:
    sample = SAMPLES["checkout.session.completed"]
    session = {**sample.body["data"]["object"], "currency": currency, "amount_total": written}
    facts = only(changed(sample.name, data={"object": session})).facts
    assert isinstance(facts, CartFacts)
    assert (facts.currency, facts.total) == (currency.upper(), minor)


@pytest.mark.parametrize(
    ("name", "number", "total"), [("invoice.paid@in-full", 1, 6_100), ("invoice.paid@shape-before-2025", None, 6_100)]
)
def test_a_paid_invoice_of_a_subscription_is_a_delivery_of_it(name: str, number: int | None, total: int) -> None:
    facts = order(name)
    assert (facts.subscription_id, facts.delivery_number, facts.total) == ("sub_Sample0002", number, total)
    assert facts.paid
    assert (facts.goods_total, facts.discount) == (5_500, 500)
    assert [(line.product_id, line.unit_amount, line.subscription) for line in facts.lines] == [
        ("prod_Sample", 3_000, True)
    ]
    person = only(SAMPLES[name]).person
    assert (person.email, person.last_name, person.prefecture) == ("ichiyo.higuchi@example.jp", "樋口", "東京都")


def test_a_failed_payment_is_past_due_and_stays_in_order_with_its_subscription() -> None:
    event = only(SAMPLES["invoice.payment_failed"])
    assert isinstance(event.facts, SubscriptionFacts)
    assert event.facts.state is SubscriptionState.PAST_DUE
    assert event.subject == f"stripe/{CART.store}/subscription/sub_Sample0002"


def test_a_refund_grows_and_is_the_charges_own() -> None:
    facts = only(SAMPLES["charge.refunded@of-an-invoice"]).facts
    assert isinstance(facts, RefundFacts)
    assert (facts.order_id, facts.refunds[0].refund_id, facts.refunds[0].amount) == (
        "in_Sample0003", "ch_Sample0002", 2_000,
    )  # fmt: skip
