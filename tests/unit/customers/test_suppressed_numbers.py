"""A text that cannot arrive, and a mail that cannot: each blocks its own address, never the other's."""

from __future__ import annotations

from dataclasses import replace

import pytest

from shared.core.clock import FixedClock
from shared.core.ids import CustomerId
from shared.customers.fold import apply
from shared.customers.reference import fold_all
from shared.customers.store import CustomerStore, MemoryCustomerStore
from shared.ingest.model import Event, EventType, MessageFacts, Person
from tests.unit.customers.world import KEYS, SHOP, TENANT, a_consent, a_customer, an_event, feedback, minute

TARO = Person(source_customer_id="1", email="taro@example.com", phone="09000000001", last_name="見本")


def receipt(at: int, customer_id: str, permanent: bool = True) -> Event:
    """What AWS says of a text: no number in it, only whose send it was."""
    facts = MessageFacts(
        send_id=f"s{at}", customer_id=customer_id, channel="sms", message_id=f"m{at}", permanent=permanent
    )
    return an_event(EventType.MESSAGE_BOUNCED, facts, at, person=Person(source_customer_id=customer_id), source="sms")


def told(store: CustomerStore, *events: Event) -> CustomerId:
    done = [apply(event, store, KEYS, SHOP) for event in events]
    return next(each.customer_id for each in done if each.customer_id)


def suppressed(store: CustomerStore, customer_id: CustomerId) -> frozenset[str]:
    state = store.person(TENANT, customer_id)
    assert state is not None
    return state.suppressed


@pytest.mark.parametrize("person", [TARO, replace(TARO, email=None)], ids=["with a mail address", "with a number only"])
def test_a_number_that_cannot_be_one_is_texted_no_more_and_mail_goes_on(person: Person) -> None:
    store, texts = MemoryCustomerStore(), a_consent(True, 2, person, channel="sms")
    customer_id = told(store, a_customer(1, person), texts)
    assert suppressed(store, customer_id) == frozenset()
    assert apply(receipt(3, customer_id), store, KEYS, SHOP).changed == ("suppressed",)
    assert suppressed(store, customer_id) == {"sms"}
    reference = fold_all([a_customer(1, person), texts, receipt(3, customer_id)], KEYS, SHOP, minute(60))
    assert reference[customer_id].suppressed == {"sms"}


def test_a_bounce_of_mail_does_not_stop_texts() -> None:
    store = MemoryCustomerStore()
    customer_id = told(store, a_customer(1, TARO), a_consent(True, 2, TARO, channel="sms"))
    bounce = feedback(EventType.MESSAGE_BOUNCED, 3, customer_id, email=TARO.email, permanent=True)
    apply(bounce, store, KEYS, SHOP)
    assert suppressed(store, customer_id) == {"email"}


def test_three_times_out_of_reach_pauses_the_number_and_a_new_number_is_free() -> None:
    store = MemoryCustomerStore(FixedClock(minute(10)))
    customer_id = told(store, a_customer(1, TARO), a_consent(True, 2, TARO, channel="sms"))
    for at in (3, 4, 5):
        assert suppressed(store, customer_id) == frozenset()
        apply(receipt(at, customer_id, permanent=False), store, KEYS, SHOP)
    assert suppressed(store, customer_id) == {"sms"}
    apply(a_customer(9, replace(TARO, phone="09000000002")), store, KEYS, SHOP)
    assert suppressed(store, customer_id) == frozenset()


def test_who_never_said_a_word_about_texts_costs_no_look_at_their_number() -> None:
    store = MemoryCustomerStore()
    customer_id = told(store, a_customer(1, TARO))
    apply(receipt(3, customer_id), store, KEYS, SHOP)
    assert suppressed(store, customer_id) == frozenset(), "no text may be sent to them anyway"
