"""Whoever is erased and comes back under their customer number is the same, whatever is heard of first.

What the state cannot tell apart any more once it is joined, and what therefore depends on the order of arrival: an
address that somebody else uses after the erasure and that only a late event shows to have been the erased person's; a
checkout that was completed before the erasure and touched after it.
"""

from __future__ import annotations

from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.ids import EventId
from shared.customers.fold import apply
from shared.customers.identity import address_ref
from shared.customers.store import MemoryCustomerStore
from shared.ingest.model import Event, Person
from tests.amount import amount
from tests.unit.customers.test_fold import apply_all, everyone, fold
from tests.unit.customers.world import (
    KEYS,
    SHOP,
    TENANT,
    a_cart,
    a_consent,
    a_customer,
    a_person,
    a_refund,
    an_erasure,
    an_order,
)

_AT = st.integers(0, 12)
TARO = a_person("1", "a@example.com", phone="090-0000-0001", last_name="見本")


def _of(number: str, who: list[Person]) -> st.SearchStrategy[Event]:
    person = st.sampled_from([*who, a_person(number)])
    return st.one_of(
        st.builds(an_order, st.just(f"o{number}"), _AT, total=st.integers(0, 5000), person=person),
        st.builds(a_refund, st.just(f"o{number}"), st.sampled_from(["r1", "r2"]), st.integers(1, 900), _AT),
        st.builds(a_cart, st.just(f"t{number}"), _AT, person=person),
        st.builds(a_customer, _AT, person),
        st.builds(a_consent, st.booleans(), _AT, person, channel=st.sampled_from(["email", "sms"])),
    )


@st.composite
def returning(draw: st.DrawFn) -> tuple[list[Event], list[Event]]:
    """What two customers do, one of whom is erased meanwhile, and the way it arrives."""
    each = st.one_of(_of("1", [TARO]), _of("2", [a_person("2", "b@example.com")]))
    events = draw(st.lists(each, min_size=1, max_size=8))
    events.append(draw(st.builds(an_erasure, _AT, st.sampled_from([a_person("1"), TARO]))))
    numbered = [replace(event, event_id=EventId(f"e{n}")) for n, event in enumerate(events)]
    again = draw(st.lists(st.sampled_from(numbered), max_size=3))
    return numbered, draw(st.permutations([*numbered, *again]))


@settings(max_examples=amount(300, sample=60))
@given(returning())
def test_an_erasure_in_any_order_of_events_equals_the_reference(story: tuple[list[Event], list[Event]]) -> None:
    events, arriving = story
    store = MemoryCustomerStore()
    apply_all(arriving, store)
    assert everyone(store) == fold(events)


def test_an_erasure_heard_of_late_leaves_the_address_to_whom_it_belongs_now() -> None:
    store = MemoryCustomerStore()
    apply_all([a_customer(5, TARO), an_erasure(4, TARO)], store)
    (state,) = everyone(store).values()
    assert state.profile.email == "a@example.com"
    assert store.resolve_ref(TENANT, address_ref(TENANT, "a@example.com", KEYS)) == state.profile.customer_id
    apply(an_order("old", 3, person=a_person(None, "a@example.com")), store, KEYS, SHOP)
    assert everyone(store)[state.profile.customer_id] == state
