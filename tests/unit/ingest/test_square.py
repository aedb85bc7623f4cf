"""Square: the registered URL in the signature, whole customers, thin orders."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from shared.core.errors import RejectedError
from shared.ingest.adapter import Request
from shared.ingest.model import ConsentFacts, EventType, MergeFacts
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
    "order.updated": [EventType.UNKNOWN],
    "payment.updated": [EventType.UNKNOWN],
    "refund.updated": [EventType.UNKNOWN],
    "subscription.created": [EventType.UNKNOWN],
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
