"""Hundreds of guests who order with one address: their names fit into one row, and the latest of them counts."""

from __future__ import annotations

import random

import pytest
from hypothesis import HealthCheck, given, settings

from shared.customers import rules
from shared.customers.fold import apply
from shared.customers.identity import address_ref
from shared.customers.items import profile_key
from shared.customers.store import MemoryCustomerStore
from shared.ingest.model import Event
from tests.amount import amount
from tests.unit.customers.test_batch import STORIES
from tests.unit.customers.test_fold import apply_all, everyone, fold
from tests.unit.customers.world import KEYS, SHOP, TENANT, a_customer, a_person, an_order

SHARED = "shared@example.com"


def test_the_names_of_many_guests_with_one_address_fit_into_a_row() -> None:
    store = MemoryCustomerStore()
    own = a_customer(0, a_person(None, SHARED, last_name="主"))
    guests = [
        an_order(f"o{n}", n, person=a_person(None, SHARED, last_name=f"例{n}", address=f"見本町{n}"))
        for n in range(1, 2 * rules.CARDS_KEPT)
    ]
    apply_all([own, *random.Random(1).sample(guests, len(guests))], store)
    customer_id = rules.canonical_id([address_ref(TENANT, SHARED, KEYS)])
    key = profile_key(TENANT, customer_id)
    assert len(store.rows.get([key])[key].body) < 250 * rules.CARDS_KEPT
    state = everyone(store)[customer_id]
    assert (state.profile.last_name, state.profile.address) == ("主", f"見本町{len(guests)}")
    assert everyone(store) == fold([own, *guests])
    assert all(apply(event, store, KEYS, SHOP).changed == () for event in (own, *guests[:5]))


@pytest.mark.parametrize("kept", [1, 2])
@settings(max_examples=amount(200, sample=30), suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(story=STORIES)
def test_what_is_left_out_is_the_same_in_any_order(
    monkeypatch: pytest.MonkeyPatch, kept: int, story: tuple[list[Event], list[Event]]
) -> None:
    monkeypatch.setattr(rules, "CARDS_KEPT", kept)
    events, arriving = story
    store = MemoryCustomerStore()
    apply_all(arriving, store)
    assert everyone(store) == fold(events)
