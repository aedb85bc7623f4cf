"""Stripe: signatures of the moment, live mode only, and which events say something to us."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from shared.core.errors import RejectedError
from shared.ingest.adapter import Request
from shared.ingest.model import CartFacts, Event, EventType
from shared.ingest.sources.stripe import ADAPTER, MAX_SIGNATURES, TOLERANCE, TYPES, parse_header, signature, split_name
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
    "customer.subscription.deleted@shape-before-2025": EventType.UNKNOWN,
    "customer.subscription.updated": EventType.UNKNOWN,
    "customer.updated@latin-name": EventType.CUSTOMER_UPDATED,
    "customer.updated@nothing-known": EventType.CUSTOMER_UPDATED,
    "invoice.paid": EventType.UNKNOWN,
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
