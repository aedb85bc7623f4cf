"""Every cart: however its deliveries are repeated and shuffled, the same people come of them."""

from __future__ import annotations

import random
from collections.abc import Sequence
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.ids import CustomerId, TenantId
from shared.core.keys import KeyRing
from shared.core.shop import Shop
from shared.customers.fold import apply
from shared.customers.model import PersonState
from shared.customers.reference import fold_all
from shared.customers.rows import MemoryRows
from shared.customers.store import MemoryCustomerStore
from shared.ingest.model import Event
from tests.contract.carts.carts import CARTS, Cart, readable
from tests.unit.customers.world import comparable

TENANT = TenantId("sample")
KEYS = KeyRing(personal=b"a key of this test", links={"1": b"another"})
SHOP = Shop(TENANT, "見本商店")


@cache
def told(cart: str) -> tuple[Event, ...]:
    """Everything the samples of a cart say."""
    return tuple(event for sample in CARTS[cart].samples() for event in CARTS[cart].read(sample))


def people(events: Sequence[Event]) -> dict[CustomerId, PersonState]:
    """Who these events, applied in this order, amount to."""
    store = MemoryCustomerStore()
    for event in events:
        apply(event, store, KEYS, SHOP)
    assert isinstance(store.rows, MemoryRows)
    profiles = [rows["profile"] for rows in store.rows.partitions.values() if "profile" in rows]
    live = [CustomerId(row.pk.partition("#")[2]) for row in profiles if "merged_into" not in row.fields]
    found = (store.person(TENANT, customer_id) for customer_id in live)
    return {state.profile.customer_id: comparable(state) for state in found if state}


def shuffled(events: Sequence[Event], rng: random.Random) -> list[Event]:
    """Every event once to three times, in any order."""
    arriving = [event for event in events for _ in range(rng.randint(1, 3))]
    rng.shuffle(arriving)
    return arriving


@pytest.mark.parametrize("cart", readable(), ids=lambda cart: cart.name)
@settings(max_examples=25, deadline=None)
@given(data=st.data(), rng=st.randoms(use_true_random=False))
def test_any_order_and_repetition_gives_the_state_of_the_set(
    cart: Cart, data: st.DataObject, rng: random.Random
) -> None:
    events = data.draw(st.lists(st.sampled_from(told(cart.name)), min_size=1, max_size=10, unique_by=id))
    assert people(shuffled(events, rng)) == fold_all(events, KEYS, SHOP)


@pytest.mark.parametrize("seed", range(4))
def test_all_carts_of_a_shop_together_give_one_state(seed: int) -> None:
    events = [event for cart in readable() for event in told(cart.name)]
    assert people(shuffled(events, random.Random(seed))) == fold_all(events, KEYS, SHOP)


def test_one_person_of_several_carts_is_one() -> None:
    events = [event for cart in readable() for event in told(cart.name)]
    known = [person for person in fold_all(events, KEYS, SHOP).values() if person.profile.email]
    addresses = [person.profile.email for person in known]
    assert len(addresses) == len(set(addresses)) > 3
    ichiyo = next(person for person in known if person.profile.email == "ichiyo.higuchi@example.jp")
    assert {order.source for order in ichiyo.orders} >= {"woocommerce"}
    assert any(cart.source == "stripe" for cart in ichiyo.carts)
