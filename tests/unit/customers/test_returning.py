"""Whoever is erased and comes back is the same, whatever is heard of first: an erasure forgets what was said up to it,
never who is who.

So an address said both before and after it, or by somebody else after it, need not be taken apart again by who said it
when: that is what an erasure must not leave behind.
"""

from __future__ import annotations

import itertools
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.ids import EventId
from shared.customers.fold import apply
from shared.customers.identity import address_ref
from shared.customers.load import load
from shared.customers.store import MemoryCustomerStore
from shared.ingest.model import Event, EventType, Person
from tests.amount import amount
from tests.unit.customers.test_fold import apply_all, everyone, fold
from tests.unit.customers.world import (
    EVENTS,
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
_BEFORE = st.integers(0, 3)
TARO = a_person("1", "a@example.com", phone="090-0000-0001", last_name="見本")
GUEST = a_person(None, "a@example.com")


def _of(number: str, who: list[Person]) -> st.SearchStrategy[Event]:
    person = st.sampled_from([*who, a_person(number)])
    return st.one_of(
        st.builds(an_order, st.just(f"o{number}"), _AT, total=st.integers(0, 5000), person=person),
        st.builds(a_refund, st.just(f"o{number}"), st.sampled_from(["r1", "r2"]), st.integers(1, 900), _AT),
        st.builds(_checkout, st.just(f"t{number}"), _AT, person=person, completed=st.booleans(), deleted=st.booleans()),
        st.builds(a_customer, _AT, person),
        st.builds(a_consent, st.booleans(), _AT, person, channel=st.sampled_from(["email", "sms"])),
    )


def _checkout(token: str, at: int, *, deleted: bool, person: Person, completed: bool) -> Event:
    cart = a_cart(token, at, person=person, completed=completed)
    return replace(cart, event_type=EventType.CHECKOUT_DELETED) if deleted else cart


@st.composite
def returning(draw: st.DrawFn) -> tuple[list[Event], list[Event]]:
    """What two customers do, one of whom is erased once or twice meanwhile, and the way it arrives."""
    each = st.one_of(_of("1", [TARO]), _of("2", [a_person("2", "b@example.com")]))
    events = draw(st.lists(each, min_size=1, max_size=8))
    erasures = st.builds(an_erasure, _AT, st.sampled_from([a_person("1"), TARO]))
    return _arriving(draw, [*events, *draw(st.lists(erasures, min_size=1, max_size=2))])


@st.composite
def unnumbered(draw: st.DrawFn) -> tuple[list[Event], list[Event]]:
    """What a customer and a guest with the same address do; then the address is erased; and the way it arrives."""
    guests = st.one_of(
        st.builds(an_order, st.sampled_from(["o1", "o2"]), _BEFORE, person=st.just(GUEST)),
        st.builds(a_consent, st.booleans(), _BEFORE, st.just(GUEST)),
        st.builds(a_customer, _BEFORE, st.just(GUEST)),
    )
    events = draw(st.lists(st.one_of(guests, _of("1", [a_person("1")])), min_size=1, max_size=8))
    numbered = draw(st.lists(st.builds(a_customer, _BEFORE, st.just(TARO)), max_size=1))
    erasure = draw(st.builds(an_erasure, st.integers(4, 9), st.just(GUEST)))
    return _arriving(draw, [*events, *numbered, erasure])


@st.composite
def anything(draw: st.DrawFn) -> tuple[list[Event], list[Event]]:
    """What anybody does in and out of a browser, and the erasures of anybody, by whatever names them."""
    whos = st.builds(
        a_person, st.sampled_from([None, "1", "2", "3"]), st.sampled_from([None, "a@example.com", "b@example.com"])
    )
    erasures = st.builds(an_erasure, _AT, whos.filter(lambda who: who != Person()))
    said = draw(st.lists(EVENTS, min_size=1, max_size=8))
    cookies = st.lists(st.sampled_from(["visitor/v1", "visitor/v2"]), max_size=1)
    said = [replace(each, person=replace(each.person, anonymous_ids=tuple(draw(cookies)))) for each in said]
    return _arriving(draw, [*said, *draw(st.lists(erasures, min_size=1, max_size=3))])


def _arriving(draw: st.DrawFn, events: list[Event]) -> tuple[list[Event], list[Event]]:
    numbered = [replace(event, event_id=EventId(f"e{n}")) for n, event in enumerate(events)]
    again = draw(st.lists(st.sampled_from(numbered), max_size=3))
    return numbered, draw(st.permutations([*numbered, *again]))


@settings(max_examples=amount(900, sample=60))
@given(st.one_of(returning(), unnumbered(), anything()))
def test_an_erasure_in_any_order_of_events_equals_the_reference(story: tuple[list[Event], list[Event]]) -> None:
    events, arriving = story
    store = MemoryCustomerStore()
    apply_all(arriving, store)
    assert everyone(store) == fold(events)
    at_once = MemoryCustomerStore()
    load(arriving, at_once, KEYS, SHOP)
    assert everyone(at_once) == fold(events)


def test_an_erasure_heard_of_late_leaves_the_address_to_whom_it_belongs_now() -> None:
    events = [a_customer(5, TARO), an_erasure(4, TARO), an_order("old", 3, person=GUEST)]
    store = MemoryCustomerStore()
    apply_all(events[:2], store)
    (state,) = everyone(store).values()
    assert state.profile.email == "a@example.com"
    assert store.resolve_ref(TENANT, address_ref(TENANT, "a@example.com", KEYS)) == state.profile.customer_id
    apply(events[2], store, KEYS, SHOP)
    assert everyone(store) == fold(events)


@pytest.mark.parametrize("ended", [EventType.CHECKOUT_DELETED, EventType.CHECKOUT_UPDATED])
def test_a_checkout_that_ended_before_the_erasure_does_not_end_the_one_touched_after_it(ended: EventType) -> None:
    completed = ended is EventType.CHECKOUT_UPDATED
    first = replace(a_cart("t1", 3, person=TARO, completed=completed), event_type=ended)
    story = [first, an_erasure(5, TARO), a_cart("t1", 7, person=a_person("1"))]
    for arriving in itertools.permutations(story):
        store = MemoryCustomerStore()
        apply_all(arriving, store)
        (state,) = everyone(store).values()
        assert [cart.open for cart in state.carts] == [True]


def test_what_is_said_late_with_an_erased_address_is_forgotten_with_its_customer_number() -> None:
    story = [an_erasure(5, GUEST), a_customer(3, TARO), a_cart("t1", 4, person=a_person("1"))]
    for arriving in itertools.permutations(story):
        store = MemoryCustomerStore()
        apply_all(arriving, store)
        (state,) = everyone(store).values()
        assert (state.profile.erased, state.carts, state.profile.last_name) == (True, (), None)


def test_a_guest_who_orders_before_and_after_an_erasure_is_one_with_what_was_said_after_it() -> None:
    before = an_order("o1", 3, person=replace(GUEST, last_name="見本"))
    story = [before, an_erasure(5, GUEST), an_order("o2", 7, person=GUEST)]
    for arriving in itertools.permutations(story):
        store = MemoryCustomerStore()
        apply_all(arriving, store)
        (state,) = everyone(store).values()
        assert (state.profile.email, state.profile.last_name) == ("a@example.com", None)


def test_two_who_had_one_address_are_one_with_what_was_said_after_the_erasure_of_one() -> None:
    late, erasure = a_customer(3, TARO), an_erasure(5, a_person("1"))
    other = a_customer(7, a_person("2", "a@example.com", last_name="例"))
    for arriving in itertools.permutations([late, erasure, other]):
        store = MemoryCustomerStore()
        apply_all(arriving, store)
        (state,) = everyone(store).values()
        assert (state.profile.last_name, state.profile.phone) == ("例", None)
