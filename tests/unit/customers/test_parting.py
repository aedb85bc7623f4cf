"""Customer numbers that have an address in common are one person until somebody parts them, and again when joined.

What came without a customer number under that address stays with whoever had the address when it came: who said what
by which key is kept of nobody (`test_returning.py` says why). So the order of arrival is tested with numbers.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Iterable
from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.errors import NotFoundError, RejectedError
from shared.core.ids import CustomerId, EventId
from shared.customers.fold import apply
from shared.customers.identity import address_ref, customer_ref
from shared.customers.links import to_decide
from shared.customers.load import load
from shared.customers.model import ConsentStatus, PersonState
from shared.customers.reference import fold_all
from shared.customers.rules import canonical_id
from shared.customers.store import MemoryCustomerStore
from shared.ingest.model import Event, Person
from tests.amount import amount
from tests.unit.customers.test_fold import apply_all, everyone
from tests.unit.customers.test_links import a_link, decide, undecided
from tests.unit.customers.world import (
    KEYS,
    SHOP,
    STORE,
    TENANT,
    a_cart,
    a_consent,
    a_customer,
    a_merge,
    a_person,
    an_erasure,
    an_order,
    comparable,
    deliveries,
)

HOME = "home@example.com"
SHARED_REF = address_ref(TENANT, HOME, KEYS)
TARO, HANAKO = a_person("1", HOME, last_name="見本", first_name="太郎"), a_person("2", "hanako@example.com")
SHARED = an_order("o3", 5, person=a_person("2", HOME))


def of(number: str) -> CustomerId:
    """The id of a customer number by itself."""
    return canonical_id([customer_ref("shopify", STORE, number)])


def seen(number: str, store: MemoryCustomerStore) -> PersonState:
    found = store.person(TENANT, of(number))
    assert found is not None
    return undecided(comparable(found))


def family() -> tuple[MemoryCustomerStore, PersonState, PersonState]:
    """Two who became one because one ordered with the other's address; and both as they would have been by themselves,
    but for the address, which names neither any more.
    """
    store, alone = MemoryCustomerStore(), MemoryCustomerStore()
    orders = [an_order("o1", 1, person=TARO), an_order("o2", 2, person=HANAKO), SHARED]
    apply_all(orders, store)
    apply_all(orders[1:], alone)
    apply_all([replace(orders[0], person=replace(TARO, email="other@example.com"))], alone)
    taro, hanako = seen("1", alone), seen("2", alone)
    numbered = frozenset({customer_ref("shopify", STORE, "1")})
    taro = replace(taro, profile=replace(taro.profile, email=HOME, refs=numbered))
    hanako = replace(hanako, profile=replace(hanako.profile, refs=hanako.profile.refs - {SHARED_REF}))
    return store, taro, hanako


def test_a_join_by_evidence_can_be_parted_and_joined_again_exactly() -> None:
    store, taro, hanako = family()
    united = seen("1", store)
    assert united == seen("2", store)
    assert united.profile.summary.order_count == 3
    assert store.joined_by_evidence(TENANT, of("1")) == [of("2")]
    decide(store, of("1"), of("2"), 9, joined=False)
    assert (seen("1", store), seen("2", store)) == (taro, hanako)
    decide(store, of("1"), of("2"), 10, joined=True)
    assert seen("1", store) == seen("2", store) == united
    decide(store, of("2"), of("1"), 11, joined=False)
    assert (seen("1", store), seen("2", store)) == (taro, hanako)


def test_who_was_parted_stays_so_whatever_evidence_comes() -> None:
    store, taro, _ = family()
    decide(store, of("1"), of("2"), 9, joined=False)
    apply_all([an_order("o4", 20, person=a_person("2", HOME)), SHARED, a_customer(21, TARO)], store)
    assert seen("1", store).orders == taro.orders
    assert {order.order_id for order in seen("2", store).orders} == {"o2", "o3", "o4"}


def test_of_three_with_one_address_each_is_one_with_each_whoever_it_was_seen_with_first() -> None:
    for first in "123":
        store = MemoryCustomerStore()
        apply_all([an_order(f"o{n}", 1, person=a_person(n, HOME)) for n in (first, *{*"123"} - {first})], store)
        decide(store, of("1"), of("2"), 9, joined=False)
        decide(store, of("1"), of("3"), 9, joined=False)
        assert len(everyone(store)) == 2
        assert seen("2", store) == seen("3", store) != seen("1", store)


def test_what_one_refuses_at_the_shared_address_the_other_is_not_sent_there_either() -> None:
    store, *_ = family()
    apply(a_consent(True, 6, a_person("2", HOME)), store, KEYS, SHOP)
    decide(store, of("1"), of("2"), 9, joined=False)
    assert [each.status for each in seen("2", store).consents] == [ConsentStatus.OPT_IN]
    assert seen("1", store).consents == ()
    apply(a_consent(False, 10, TARO), store, KEYS, SHOP)
    assert [each.status for each in seen("2", store).consents] == [ConsentStatus.OPT_OUT]


def test_an_erasure_reaches_whom_evidence_joined_and_not_who_was_parted() -> None:
    store, *_ = family()
    done = apply(an_erasure(9, a_person("1", HOME)), store, KEYS, SHOP)
    assert {done.customer_id, *done.with_them} == {of("1"), of("2")}
    assert seen("2", store).profile.erased
    store, *_ = family()
    decide(store, of("1"), of("2"), 8, joined=False)
    done = apply(an_erasure(9, a_person("1", HOME)), store, KEYS, SHOP)
    assert (done.customer_id, done.with_them) == (of("1"), ())
    assert seen("1", store).profile.erased
    assert seen("2", store).profile.email == HOME


def test_what_the_store_itself_merged_is_one_for_good() -> None:
    store, *_ = family()
    apply(a_merge("1", "2", 6), store, KEYS, SHOP)
    one = store.load(TENANT, of("1"))
    assert one is not None
    assert one.customer_id == of("2") or of("2") in one.aliases
    assert store.joined_by_evidence(TENANT, of("1")) == []
    with pytest.raises(RejectedError, match="in the shop's own data"):
        to_decide(one, one, [one], joined=False)


def test_who_is_one_through_a_third_is_parted_from_the_third() -> None:
    store = MemoryCustomerStore()
    third = [an_order("o4", 4, person=a_person("3", each)) for each in (HOME, "hanako@example.com")]
    apply_all([an_order("o1", 1, person=TARO), an_order("o2", 2, person=HANAKO), *third], store)
    with pytest.raises(RejectedError, match="through others: undo one of"):
        decide(store, of("1"), of("2"), 9, joined=False)
    decide(store, of("1"), of("3"), 10, joined=False)
    assert len(everyone(store)) == 2


# --- any history -----------------------------------------------------------------------------------------------------
_WITH_NUMBER = st.builds(
    a_person,
    st.sampled_from("123456"),
    st.sampled_from([None, "a@example.com", "b@example.com", "c@example.com"]),
    last_name=st.sampled_from([None, "見本"]),
)
_AT = st.integers(0, 12)
_NUMBERED = st.one_of(
    st.builds(an_order, st.sampled_from(["o1", "o2", "o3"]), _AT, total=st.integers(0, 5000), person=_WITH_NUMBER),
    st.builds(a_cart, st.sampled_from(["t1", "t2"]), _AT, person=_WITH_NUMBER, completed=st.booleans()),
    st.builds(a_customer, _AT, _WITH_NUMBER),
    st.builds(a_consent, st.booleans(), _AT, _WITH_NUMBER),
    st.builds(a_merge, st.just("5"), st.just("6"), _AT),
)


def deliver(events: Iterable[Event], store: MemoryCustomerStore) -> None:
    """As the stream does: a decision about somebody not heard of yet comes again."""
    waiting = deque(events)
    for _ in range(1_000):
        if not waiting:
            return
        event = waiting.popleft()
        try:
            apply(event, store, KEYS, SHOP)
        except NotFoundError:
            waiting.append(event)
    raise AssertionError("a decision about nobody")


def defined(events: Iterable[Event]) -> dict[CustomerId, PersonState]:
    return {each: comparable(state) for each, state in fold_all(events, KEYS, SHOP).items()}


def numbers_in(events: Iterable[Event]) -> list[CustomerId]:
    """Of those that the store itself never merges."""
    people: list[Person] = [event.person for event in events]
    return sorted({of(number) for each in people if (number := each.source_customer_id) and number in "1234"})


@settings(max_examples=amount(400, sample=20), deadline=None)
@given(st.lists(_NUMBERED, min_size=2, max_size=12), st.randoms(use_true_random=False))
def test_partings_count_the_same_in_any_order_of_arrival_and_repetition(
    told: list[Event], chance: random.Random
) -> None:
    events = [replace(event, event_id=EventId(f"e{n}")) for n, event in enumerate(told)]
    pairs = [*combinations(numbers_in(events), 2)]
    decisions = [a_link(*chance.choice(pairs), 20 + n, joined=chance.random() < 0.3) for n in range(4) if pairs]
    arriving = chance.sample([*events, *decisions], len(events) + len(decisions))
    store, loaded = MemoryCustomerStore(), MemoryCustomerStore()
    deliver([*arriving, *arriving[::3]], store)
    expected = defined([*events, *decisions])
    assert everyone(store) == expected
    refs = [ref for state in expected.values() for ref in state.profile.refs]
    assert len(refs) == len(set(refs)), "two live people hold one strong key"
    for some in (events[::2], events[1::2]):
        load(some, loaded, KEYS, SHOP)
    apply_all(decisions, loaded)
    assert everyone(loaded) == expected


@settings(max_examples=amount(300, sample=60), deadline=None)
@given(deliveries(), st.randoms(use_true_random=False))
def test_parting_joining_and_parting_again_is_exact_on_any_history(
    story: tuple[list[Event], list[Event]], chance: random.Random
) -> None:
    store = MemoryCustomerStore()
    apply_all(story[1], store)
    united = everyone(store)
    shared = {each: store.joined_by_evidence(TENANT, each) for each in united}
    candidates = sorted(each for each, others in shared.items() if others)
    if not candidates:
        return
    one = chance.choice(candidates)

    def decided(at: int, *, joined: bool) -> dict[CustomerId, PersonState]:
        apply_all([a_link(one, other, at, joined=joined) for other in shared[one]], store)
        return {each: undecided(state) for each, state in everyone(store).items()}

    apart = decided(20, joined=False)
    assert len(apart) > len(united)
    assert store.joined_by_evidence(TENANT, one) == []
    assert decided(21, joined=True) == {each: undecided(state) for each, state in united.items()}
    assert decided(22, joined=False) == apart
    # What comes again changes nothing.
    apply_all(chance.sample(story[1], len(story[1])), store)
    assert {each: undecided(state) for each, state in everyone(store).items()} == apart
