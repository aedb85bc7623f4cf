"""Persons whom somebody decided to be one, and the way back."""

from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.errors import NotFoundError, RejectedError
from shared.core.ids import CustomerId, EventId
from shared.customers.fold import apply
from shared.customers.links import to_decide
from shared.customers.model import PersonState
from shared.customers.reference import fold_all
from shared.customers.rows import MemoryRows, Row
from shared.customers.store import MemoryCustomerStore
from shared.ingest.model import Event, EventType, Person, PersonLinkFacts
from shared.ingest.registry import events_of
from shared.ingest.sources.admin import link_envelope
from tests.amount import amount
from tests.unit.customers.test_fold import apply_all, everyone
from tests.unit.customers.world import (
    KEYS,
    SHOP,
    TENANT,
    a_consent,
    a_customer,
    a_merge,
    a_person,
    an_event,
    an_order,
    comparable,
    deliveries,
    minute,
)


def a_link(one: CustomerId, other: CustomerId, at: int, *, joined: bool = True) -> Event:
    """Somebody decides."""
    kind = EventType.PERSONS_LINKED if joined else EventType.PERSONS_UNLINKED
    facts = PersonLinkFacts(other_customer_id=other, joined=joined, actor="店長")
    name = EventId(f"{kind}-{at}-{one}-{other}")
    return an_event(kind, facts, at, person=a_person(one), source="admin", event_id=name)


def undecided(state: PersonState) -> PersonState:
    """A person without the record of what was decided."""
    return replace(state, profile=replace(state.profile, decisions=()))


def people(events: list[Event]) -> dict[CustomerId, PersonState]:
    return {each: undecided(comparable(state)) for each, state in fold_all(events, KEYS, SHOP).items()}


@settings(max_examples=amount(200, sample=80))
@given(deliveries(), deliveries(most=5), st.randoms(use_true_random=False))
def test_unify_undo_unify_is_exact_on_any_history(
    story: tuple[list[Event], list[Event]], later: tuple[list[Event], list[Event]], chance: random.Random
) -> None:
    events = story[0]
    ids = sorted(fold_all(events, KEYS, SHOP))
    if len(ids) < 2:
        return
    one, other = chance.sample(ids, 2)
    after = [replace(event, event_id=EventId(f"later-{event.event_id}")) for event in later[0]]
    steps = [a_link(one, other, 20), a_link(one, other, 21, joined=False), a_link(one, other, 22)]
    store = MemoryCustomerStore()
    apply_all(story[1], store)
    apply(steps[0], store, KEYS, SHOP)
    united = everyone(store)
    assert united == {i: comparable(s) for i, s in fold_all([*events, steps[0]], KEYS, SHOP).items()}
    assert len(united) == len(ids) - 1
    apply(steps[1], store, KEYS, SHOP)
    assert {i: undecided(s) for i, s in everyone(store).items()} == people(events)
    apply(steps[2], store, KEYS, SHOP)
    assert {i: undecided(s) for i, s in everyone(store).items()} == {i: undecided(s) for i, s in united.items()}
    # What comes late, or again, finds the decision.
    arriving = [*after, *steps, *story[1]]
    chance.shuffle(arriving)
    apply_all(arriving, store)
    assert everyone(store) == {i: comparable(s) for i, s in fold_all([*events, *after, *steps], KEYS, SHOP).items()}


@settings(max_examples=amount(150, sample=60))
@given(deliveries(), st.randoms(use_true_random=False))
def test_merging_is_associative(story: tuple[list[Event], list[Event]], chance: random.Random) -> None:
    events = story[0]
    ids = sorted(fold_all(events, KEYS, SHOP))
    if len(ids) < 3:
        return
    a, b, c = chance.sample(ids, 3)
    left = people([*events, a_link(a, b, 20), a_link(b, c, 21)])
    right = people([*events, a_link(b, c, 20), a_link(a, c, 21)])
    assert left == right


@settings(max_examples=amount(200, sample=80))
@given(deliveries())
def test_no_two_live_persons_have_a_strong_key_in_common(story: tuple[list[Event], list[Event]]) -> None:
    store = MemoryCustomerStore()
    apply_all(story[1], store)
    refs = [ref for state in everyone(store).values() for ref in state.profile.refs]
    assert len(refs) == len(set(refs))


def test_what_is_united_counts_together_and_remembers_who_decided() -> None:
    store = MemoryCustomerStore()
    taro, hanako = a_person("1", "a@example.com"), a_person("2", "b@example.com")
    apply_all([an_order("o1", 1, person=taro), an_order("o2", 2, person=hanako), a_consent(False, 3, hanako)], store)
    one, other = sorted(everyone(store))
    apply(a_link(one, other, 9), store, KEYS, SHOP)
    first, second = store.person(TENANT, one), store.person(TENANT, other)
    assert first is not None
    assert first == second
    assert first.profile.summary.order_count == 2
    assert [consent.status.value for consent in first.consents] == ["opt_out"]
    assert [(each.actor, each.joined, each.at) for each in first.profile.decisions] == [("店長", True, minute(9))]


def test_a_decision_about_somebody_unknown_is_an_error() -> None:
    store = MemoryCustomerStore()
    known = apply(a_customer(1, a_person("1")), store, KEYS, SHOP).customer_id
    assert known is not None
    with pytest.raises(NotFoundError, match="unknown here"):
        apply(a_link(known, CustomerId("nobody"), 2), store, KEYS, SHOP)


def test_a_decision_goes_through_the_events_table_like_any_event() -> None:
    envelope = link_envelope(TENANT, CustomerId("b"), CustomerId("a"), joined=False, actor="店長", at=minute(5))
    again = link_envelope(TENANT, CustomerId("a"), CustomerId("b"), joined=False, actor="店長", at=minute(5))
    assert envelope == again
    (event,) = events_of(envelope)
    assert event.event_type is EventType.PERSONS_UNLINKED
    assert (event.person.source_customer_id, event.facts) == (
        "a",
        PersonLinkFacts(other_customer_id="b", joined=False, actor="店長"),
    )


def test_the_review_finds_guests_by_their_orders_and_reads_only_who_is_alike() -> None:
    store = MemoryCustomerStore()
    for number in range(30):
        who = a_person(
            None, f"p{number}@example.com", last_name="見本", first_name=f"{number}号", phone=f"090-0000-{number:04}"
        )
        apply(an_order(f"o{number}", number, person=who), store, KEYS, SHOP)
    twin = a_person("77", "twin@example.com", last_name="見本", first_name="3号", phone="090-0000-0003")
    apply(a_customer(40, twin), store, KEYS, SHOP)
    rows = store.rows
    read: list[str] = []

    class Counted(MemoryRows):
        def partition(self, pk: str) -> list[Row]:
            read.append(pk)
            return rows.partition(pk)

    counted = Counted()
    counted.partitions = rows.partitions  # type: ignore[attr-defined]
    (match,) = store.over(counted).find_matches(TENANT)
    assert match.because == "phone_and_name"
    assert len(read) == 3, "the two, and the queue"


def test_the_review_queue_forgets_whom_somebody_decided_about() -> None:
    store = MemoryCustomerStore()
    names = (("髙橋", "a@example.com"), ("高橋", "b@example.com"))
    for number, (last, email) in enumerate(names):
        who = a_person(str(number + 1), email, last_name=last, first_name="太郎", phone="090-0000-0001")
        apply(a_customer(number, who), store, KEYS, SHOP)
    (match,) = store.find_matches(TENANT)
    assert match.because == "phone_and_name"
    assert [row.kind for row in store.rows.partition(f"{TENANT}#review")] == ["review"]
    apply(a_link(match.one, match.other, 9, joined=False), store, KEYS, SHOP)
    assert store.find_matches(TENANT) == []
    assert store.rows.partition(f"{TENANT}#review") == []
    apply(a_link(match.one, match.other, 10), store, KEYS, SHOP)
    assert store.find_matches(TENANT) == []


def buyers(*names: str) -> tuple[MemoryCustomerStore, list[CustomerId]]:
    """A store that knows them, each by a number and an address, and their ids."""
    store = MemoryCustomerStore()
    said = [apply(an_order(f"o{n}", n, person=of(name)), store, KEYS, SHOP) for n, name in enumerate(names)]
    return store, [each.customer_id for each in said if each.customer_id]


def of(name: str) -> Person:
    return a_person(name, f"{name}@example.com")


def decide(store: MemoryCustomerStore, one: CustomerId, other: CustomerId, at: int, *, joined: bool) -> None:
    """As the command does."""
    first, second = store.load(TENANT, one), store.load(TENANT, other)
    assert first is not None
    assert second is not None
    for a, b in to_decide(first, second, store.parts(TENANT, one), joined=joined):
        apply(a_link(a, b, at, joined=joined), store, KEYS, SHOP)


def test_a_decision_is_about_the_two_who_were_named_whoever_they_are_read_as() -> None:
    store, (a, b, c) = buyers("a", "b", "c")
    decide(store, a, b, 10, joined=True)
    before = everyone(store)
    decide(store, b, c, 11, joined=True)
    assert len(everyone(store)) == 1
    decide(store, c, b, 12, joined=False)
    assert {i: undecided(s) for i, s in everyone(store).items()} == {i: undecided(s) for i, s in before.items()}


def test_a_decision_is_taken_back_though_one_of_them_has_another_id_since() -> None:
    store, (a, b, c) = buyers("a", "b", "c")
    decide(store, a, c, 12, joined=True)
    decide(store, b, c, 13, joined=True)
    # The shop says that they are one customer: now they are, under one of the two ids.
    apply(a_merge("a", "b", 14), store, KEYS, SHOP)
    kept = store.load(TENANT, a)
    assert kept is not None
    decide(store, kept.customer_id, c, 15, joined=False)
    assert len(everyone(store)) == 2
    assert store.parts(TENANT, c)[0].customer_id == c


def test_what_no_decision_can_change_is_said() -> None:
    store, (a, b, c) = buyers("a", "b", "c")
    decide(store, a, b, 10, joined=True)
    decide(store, b, c, 11, joined=True)
    with pytest.raises(RejectedError, match="one person already"):
        decide(store, a, c, 12, joined=True)
    with pytest.raises(RejectedError, match="through others: undo one of"):
        decide(store, a, c, 12, joined=False)
    apply(a_merge("a", "b", 13), store, KEYS, SHOP)
    with pytest.raises(RejectedError, match="in the shop's own data"):
        decide(store, a, b, 14, joined=False)
