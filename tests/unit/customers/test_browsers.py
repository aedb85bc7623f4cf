"""One browser, several people: a cookie joins nobody; what nobody did in it is read with the first who was known."""

from __future__ import annotations

import itertools
from dataclasses import replace

from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.ids import EventId, Ref
from shared.customers import rules
from shared.customers.identity import customer_ref
from shared.customers.load import load
from shared.customers.model import PersonState
from shared.customers.reference import fold_all
from shared.customers.store import MemoryCustomerStore
from shared.ingest.model import Event, EventType, LoginFacts, PageFacts, Person
from tests.amount import amount
from tests.unit.customers.test_fold import apply_all, everyone, fold, folded
from tests.unit.customers.world import (
    EVENTS,
    KEYS,
    SHOP,
    STORE,
    TENANT,
    a_cart,
    a_person,
    an_erasure,
    an_event,
    an_order,
    minute,
)


def in_browser(person: Person, *cookies: str) -> Person:
    """Somebody at a screen."""
    return replace(person, anonymous_ids=tuple(f"visitor/{each}" for each in cookies))


def a_view(at: int, person: Person, **changes: object) -> Event:
    return an_event(EventType.PAGE_VIEWED, PageFacts(url=f"https://{STORE}/{at}"), at, person=person, **changes)


def a_login(at: int, customer: str, cookie: str, **changes: object) -> Event:
    return an_event(EventType.LOGGED_IN, LoginFacts(), at, person=in_browser(a_person(customer), cookie), **changes)


def states_in(arriving: list[Event]) -> list[PersonState]:
    store = MemoryCustomerStore()
    apply_all(arriving, store)
    assert everyone(store) == fold(arriving)
    return list(everyone(store).values())


def of(customer: str, states: list[PersonState]) -> PersonState:
    ref = customer_ref("shopify", STORE, customer)
    (found,) = [state for state in states if ref in state.profile.refs]
    return found


def seen(state: PersonState) -> list[int]:
    return [int((visit.at - minute(0)).total_seconds() // 60) for visit in state.visits]


_COOKIES = st.lists(st.sampled_from(["v1", "v2"]), min_size=0, max_size=2, unique=True)


@st.composite
def browsing(draw: st.DrawFn) -> tuple[list[Event], list[Event]]:
    """Events of which many happen in one of two browsers, and the way they arrive."""
    views = st.builds(a_view, st.integers(0, 12), st.builds(a_person, st.sampled_from([None, None, "1", "2", "3"])))
    events = draw(st.lists(st.one_of(EVENTS, views, views), min_size=1, max_size=10))
    events = [
        replace(event, event_id=EventId(f"e{n}"), person=in_browser(event.person, *draw(_COOKIES)))
        for n, event in enumerate(events)
    ]
    again = draw(st.lists(st.sampled_from(events), max_size=4))
    return events, list(draw(st.permutations([*events, *again])))


@st.composite
def erasing(draw: st.DrawFn) -> tuple[list[Event], list[Event]]:
    """Customers who look around, log in and are erased, in one of two browsers."""
    who = st.builds(a_person, st.sampled_from([None, None, "1", "2"]))
    kinds = st.one_of(
        st.builds(a_view, st.integers(0, 12), who),
        st.builds(a_view, st.integers(0, 12), who),
        st.builds(a_cart, st.sampled_from(["t1", "t2"]), st.integers(0, 12), person=who),
        st.builds(an_erasure, st.integers(3, 9), st.builds(a_person, st.sampled_from(["1", "2"]))),
    )
    drawn = draw(st.lists(kinds, min_size=1, max_size=9))
    events = [
        replace(event, event_id=EventId(f"e{n}"), person=in_browser(event.person, *draw(_COOKIES)))
        for n, event in enumerate(drawn)
    ]
    again = draw(st.lists(st.sampled_from(events), max_size=3))
    return events, list(draw(st.permutations([*events, *again])))


@settings(max_examples=amount(100, sample=50))
@given(browsing())
def test_any_order_and_repetition_with_browsers_gives_the_state_of_the_set(
    story: tuple[list[Event], list[Event]],
) -> None:
    events, arriving = story
    store = MemoryCustomerStore()
    apply_all(arriving, store)
    assert everyone(store) == fold(events)
    at_once = MemoryCustomerStore()
    load(arriving, at_once, KEYS, SHOP)
    assert everyone(at_once) == fold(events)


@settings(max_examples=amount(100, sample=50))
@given(erasing())
def test_any_order_with_erasures_gives_the_state_of_the_set(story: tuple[list[Event], list[Event]]) -> None:
    store = MemoryCustomerStore()
    apply_all(story[1], store)
    assert everyone(store) == fold(story[0])


@settings(max_examples=amount(100, sample=50))
@given(browsing())
def test_a_cookie_joins_nobody(story: tuple[list[Event], list[Event]]) -> None:
    events = story[0]
    bare = [replace(event, person=replace(event.person, anonymous_ids=())) for event in events]

    def known(said: list[Event]) -> set[frozenset[Ref]]:
        refs = (state.profile.refs for state in fold_all(said, KEYS, SHOP).values())
        return {strong for each in refs if (strong := frozenset(filter(rules.is_strong, each)))}

    assert known(events) == known(bare)


@settings(max_examples=amount(60, sample=30))
@given(browsing())
def test_every_visit_is_read_with_exactly_one_person(story: tuple[list[Event], list[Event]]) -> None:
    events = story[0]
    visits = [visit.event_id for state in fold(events).values() for visit in state.visits]
    viewed = [e.event_id for e in events if e.event_type is EventType.PAGE_VIEWED and e.person != Person()]
    assert sorted(visits) == sorted(viewed)


def test_two_customers_of_one_screen_stay_two_and_the_first_has_what_nobody_did() -> None:
    story = [
        a_view(1, in_browser(Person(), "v1")),
        a_login(2, "1", "v1"),
        a_view(3, in_browser(Person(), "v1")),
        a_login(4, "2", "v1"),
        an_order("o2", 5, person=in_browser(a_person("2"), "v1")),
    ]
    for arriving in itertools.permutations(story):
        states = states_in([*arriving, arriving[0]])
        assert len(states) == 2
        assert (seen(of("1", states)), seen(of("2", states))) == ([1, 2, 3], [4])
        assert of("2", states).profile.summary.order_count == 1
        assert of("1", states).profile.aliases == frozenset()


def test_whoever_claims_a_cookie_later_gets_nothing_of_its_history() -> None:
    mine = [a_view(1, in_browser(Person(), "v1")), a_login(2, "1", "v1")]
    assert seen(of("9", states_in([*mine, a_login(3, "9", "v1")]))) == [3]
    assert seen(of("1", states_in([a_login(3, "9", "v1"), *mine]))) == [1, 2]


def test_a_cart_seen_in_a_browser_goes_where_the_browser_goes_until_it_is_somebodys() -> None:
    at_screen = replace(Person(), anonymous_ids=("checkout/c1", "visitor/v1"))
    story = [a_cart("c1", 1), a_view(2, at_screen), a_login(3, "1", "v1")]
    for arriving in itertools.permutations(story):
        (state,) = states_in(list(arriving))
        assert [cart.token for cart in state.carts] == ["c1"]
    bought = an_order("o1", 5, person=a_person("2"), checkout="c1")
    for arriving in itertools.permutations([*story, bought]):
        states = states_in(list(arriving))
        assert [cart.token for cart in of("2", states).carts] == ["c1"]
        assert of("1", states).carts == ()


def test_the_server_says_who_a_visitor_was_by_the_checkout_both_name() -> None:
    at_screen = replace(Person(), anonymous_ids=("checkout/c1", "visitor/v1"))
    story = [a_view(1, in_browser(Person(), "v1")), a_view(2, at_screen)]
    state = folded(*story, an_order("o1", 5, person=a_person("2"), checkout="c1"))
    assert seen(state) == [1, 2]


def test_an_erasure_forgets_the_browser_too() -> None:
    story = [
        a_view(1, in_browser(Person(), "v1")),
        a_login(2, "1", "v1"),
        an_erasure(5, a_person("1")),
        a_view(7, in_browser(Person(), "v1")),
    ]
    for arriving in itertools.permutations(story):
        store = MemoryCustomerStore()
        apply_all(arriving, store)
        (state,) = everyone(store).values()
        assert seen(state) == [7]
        rows = [row for held in store.rows.partitions.values() for row in held.values()]  # type: ignore[attr-defined]
        assert not any("/1" in row.body for row in rows)
        assert len(store.browsers(TENANT, state.profile.customer_id)) == 1
