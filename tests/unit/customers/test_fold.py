"""The state of customers is a function of the set of their events."""

from __future__ import annotations

import itertools
import random
import threading
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.errors import NotFoundError, UnavailableError
from shared.core.ids import CustomerId, EventId, TenantId
from shared.customers.fold import apply
from shared.customers.identity import address_ref, refs_of
from shared.customers.load import load
from shared.customers.model import ConsentStatus, PersonState
from shared.customers.reference import fold_all
from shared.customers.rows import MemoryRows, Write
from shared.customers.store import CustomerStore, MemoryCustomerStore
from shared.ingest.model import Event, EventType, UnknownFacts
from tests.amount import amount
from tests.unit.customers.world import (
    EVENTS,
    KEYS,
    SHOP,
    STORE,
    TENANT,
    a_cart,
    a_consent,
    a_customer,
    a_merge,
    a_person,
    a_refund,
    an_erasure,
    an_event,
    an_order,
    comparable,
    deliveries,
    feedback,
    minute,
)


def everyone(store: CustomerStore) -> dict[CustomerId, PersonState]:
    """Every live person in a memory store."""
    assert isinstance(store.rows, MemoryRows)
    profiles = [rows["profile"] for rows in store.rows.partitions.values() if "profile" in rows]
    live = [CustomerId(row.pk.partition("#")[2]) for row in profiles if "merged_into" not in row.fields]
    found = (store.person(TENANT, customer_id) for customer_id in live)
    return {state.profile.customer_id: comparable(state) for state in found if state}


def apply_all(events: Sequence[Event], store: CustomerStore) -> None:
    for event in events:
        apply(event, store, KEYS, SHOP)


def fold(events: Sequence[Event]) -> dict[CustomerId, PersonState]:
    return fold_all(events, KEYS, SHOP)


def folded(*events: Event) -> PersonState:
    """The one person these events are about."""
    store = MemoryCustomerStore()
    apply_all(events, store)
    (state,) = everyone(store).values()
    return state


@settings(max_examples=amount(1_000, sample=200))
@given(deliveries())
def test_any_order_and_repetition_of_events_gives_the_state_of_the_set(
    story: tuple[list[Event], list[Event]],
) -> None:
    events, arriving = story
    store = MemoryCustomerStore()
    apply_all(arriving, store)
    assert everyone(store) == fold(events)


@settings(max_examples=amount(150, sample=80))
@given(deliveries())
def test_a_replay_writes_nothing(story: tuple[list[Event], list[Event]]) -> None:
    events, arriving = story
    store = MemoryCustomerStore()
    apply_all(arriving, store)
    assert all(apply(event, store, KEYS, SHOP).changed == () for event in events)
    assert load(events, store, KEYS, SHOP).rows_written == 0


@settings(max_examples=amount(200, sample=80))
@given(deliveries(), st.integers(0, 12))
def test_loading_a_history_equals_applying_its_events(story: tuple[list[Event], list[Event]], cut: int) -> None:
    events, arriving = story
    store = MemoryCustomerStore()
    apply_all(arriving[:cut], store)
    load(arriving, store, KEYS, SHOP)
    assert everyone(store) == fold(events)


class DyingRows(MemoryRows):
    """Rows whose worker dies at the nth write: before it, or after it with the answer lost."""

    def __init__(self) -> None:
        super().__init__()
        self.dies_at: int | None = None
        self.done = False

    def transact(self, writes: Sequence[Write]) -> None:
        if self.dies_at is None:
            super().transact(writes)
            return
        self.dies_at -= 1
        if self.dies_at < 0:
            if self.done:
                super().transact(writes)
            raise UnavailableError("the worker died")
        super().transact(writes)


@settings(max_examples=amount(200, sample=80))
@given(deliveries(), st.randoms(use_true_random=False))
def test_a_worker_may_die_at_any_write_and_the_retry_finishes(
    story: tuple[list[Event], list[Event]], chance: random.Random
) -> None:
    events, arriving = story
    store = MemoryCustomerStore()
    store.rows = rows = DyingRows()
    for event in arriving:
        rows.dies_at, rows.done = chance.choice([None, 0, 1]), chance.random() < 0.5
        try:
            apply(event, store, KEYS, SHOP)
        except UnavailableError:
            rows.dies_at = None
            apply(event, store, KEYS, SHOP)
    rows.dies_at = None
    assert everyone(store) == fold(events)


class InterleavingRows(MemoryRows):
    """Rows that let another worker go first, between a worker's reads and its write."""

    def __init__(self) -> None:
        super().__init__()
        self.meanwhile: list[Event] = []
        self.store: CustomerStore | None = None

    def transact(self, writes: Sequence[Write]) -> None:
        if self.meanwhile and self.store:
            apply(self.meanwhile.pop(), self.store, KEYS, SHOP)
        super().transact(writes)


@settings(max_examples=amount(200, sample=80))
@given(deliveries())
def test_workers_that_overtake_each_other_converge(story: tuple[list[Event], list[Event]]) -> None:
    events, arriving = story
    store = MemoryCustomerStore()
    store.rows = rows = InterleavingRows()
    rows.store = store
    # Known people first: two workers who both create somebody already meet at the refs.
    known, moving = arriving[: len(arriving) // 3], arriving[len(arriving) // 3 :]
    apply_all(known, store)
    for slow, *fast in zip(moving[::2], moving[1::2], strict=False):
        rows.meanwhile = fast
        apply(slow, store, KEYS, SHOP)
        apply_all(fast, store)
    apply_all(moving[len(moving) // 2 * 2 :], store)
    assert everyone(store) == fold(events)


def test_an_update_that_was_overtaken_is_decided_again() -> None:
    store = MemoryCustomerStore()
    store.rows = rows = InterleavingRows()
    rows.store = store
    taro = a_person("1")
    events = [a_customer(1, taro), an_order("o1", 2, person=taro), an_order("o2", 3, person=taro)]
    apply(events[0], store, KEYS, SHOP)
    rows.meanwhile = [events[2]]
    apply(events[1], store, KEYS, SHOP)
    assert everyone(store) == fold(events)


@pytest.mark.parametrize("changing", ["1", "2"])
def test_a_person_who_changes_while_being_joined_loses_nothing(changing: str) -> None:
    store = MemoryCustomerStore()
    store.rows = rows = InterleavingRows()
    rows.store = store
    events = [
        an_order("o1", 1, person=a_person("1")),
        an_order("o2", 2, person=a_person("2")),
        a_merge("1", "2", 3),
        an_order("o3", 4, person=a_person(changing, last_name="見本")),
    ]
    apply_all(events[:2], store)
    rows.meanwhile = events[3:]
    apply(events[2], store, KEYS, SHOP)
    assert everyone(store) == fold(events)


def test_what_was_said_in_the_moment_of_erasure_is_forgotten() -> None:
    state = folded(a_customer(5, a_person("1", "taro@example.com")), an_erasure(5, a_person("1")))
    assert (state.profile.email, state.profile.erased) == (None, True)


def test_an_order_history_names_refs_that_later_refunds_find() -> None:
    store = MemoryCustomerStore()
    apply(a_customer(0, a_person("1")), store, KEYS, SHOP)
    orders = [an_order(f"o{n}", n, person=a_person("1"), event_id=f"e{n}") for n in range(1, 4)]
    load(orders, store, KEYS, SHOP)
    apply(a_refund("o2", "r1", 500, 9), store, KEYS, SHOP)
    assert len(everyone(store)) == 1
    assert next(iter(everyone(store).values())).profile.summary.total_amount == 3 * 1200 - 500


def test_eight_threads_on_the_same_people_converge() -> None:
    events = [
        an_order(f"o{n}", n % 30, person=a_person(str(n % 3), f"{'abc'[n % 2]}@example.com"), event_id=f"e{n}")
        for n in range(60)
    ]
    store = MemoryCustomerStore()
    ready = threading.Barrier(8)

    def work(offset: int) -> None:
        ready.wait()
        for event in events[offset::8]:
            apply(event, store, KEYS, SHOP)

    with ThreadPoolExecutor(8) as pool:
        list(pool.map(work, range(8)))
    assert everyone(store) == fold(events)


@settings(max_examples=amount(200, sample=80))
@given(st.lists(EVENTS, min_size=1, max_size=10), st.integers(0, 12), st.randoms(use_true_random=False))
def test_an_erasure_in_the_order_of_events_equals_the_reference_and_survives_replays(
    events: list[Event], at: int, chance: random.Random
) -> None:
    erasure = an_erasure(at, a_person("1", "a@example.com"), event_id="zz")
    story = sorted(
        [*(replace(e, event_id=EventId(f"e{n}")) for n, e in enumerate(events)), erasure],
        key=lambda e: (e.occurred_at, e.received_at, e.event_id),
    )
    store = MemoryCustomerStore()
    apply_all(story, store)
    expected = fold(story)
    assert everyone(store) == expected
    chance.shuffle(story)
    apply_all(story, store)
    assert everyone(store) == expected


def test_an_address_said_after_an_erasure_is_theirs_though_a_later_body_of_the_order_leaves_it_out() -> None:
    story = [
        an_order("o1", 0, event_id="e0"),
        an_erasure(0, a_person("1", "a@example.com"), event_id="e1"),
        an_order("o1", 1, person=a_person(None, "a@example.com"), event_id="e2"),
        an_order("o1", 1, person=a_person("1"), event_id="e3"),
        an_order("o2", 1, person=a_person(None, "a@example.com"), event_id="e4"),
    ]
    for again in itertools.permutations(story):
        store = MemoryCustomerStore()
        apply_all([*story, *again], store)
        assert everyone(store) == fold(story)


def test_a_guest_who_is_told_of_by_a_cart_of_before_the_erasure_is_one_in_both() -> None:
    story = [
        an_order("o1", 0, person=a_person(None, "a@example.com"), checkout="t1", event_id="e1"),
        an_erasure(0, a_person("1", "a@example.com"), event_id="e2"),
        a_cart("t1", 1, person=a_person(None, "b@example.com"), event_id="e3"),
        a_customer(2, a_person(None, "b@example.com"), event_id="e4"),
    ]
    store = MemoryCustomerStore()
    apply_all(story, store)
    assert everyone(store) == fold(story)


@settings(max_examples=amount(200, sample=80))
@given(st.lists(EVENTS, min_size=1, max_size=10), st.randoms(use_true_random=False))
def test_nothing_personal_from_before_an_erasure_survives_in_any_order(
    events: list[Event], chance: random.Random
) -> None:
    erased = a_person("1", "a@example.com")
    story = [*events, a_customer(3, erased), an_erasure(20, erased)]
    chance.shuffle(story)
    store = MemoryCustomerStore()
    apply_all(story, store)
    for state in everyone(store).values():
        if state.profile.refs & set(refs_of(a_customer(0, erased), KEYS)):
            assert state.profile.erased
            assert not state.carts
        assert state.profile.email != "a@example.com"


def test_an_order_before_its_customer_and_a_refund_before_its_order_count() -> None:
    state = folded(
        a_refund("o1", "r1", 200, 9),
        an_order("o1", 5, person=a_person("1")),
        a_customer(1, a_person("1", "taro@example.com", last_name="見本")),
    )
    assert (state.profile.summary.order_count, state.profile.summary.total_amount) == (1, 1000)
    assert (state.profile.email, state.profile.last_name) == ("taro@example.com", "見本")


def test_an_anonymous_checkout_becomes_the_buyers() -> None:
    state = folded(
        a_cart("t1", 1),
        a_cart("t1", 2, person=a_person(email="taro@example.com")),
        an_order("o1", 3, person=a_person("1"), checkout="t1"),
    )
    assert len(state.carts) == 1
    assert state.profile.summary.order_count == 1
    assert state.profile.email == "taro@example.com"


def test_every_id_a_person_ever_had_keeps_resolving() -> None:
    store = MemoryCustomerStore()
    ids = [
        apply(event, store, KEYS, SHOP).customer_id
        for event in (
            a_cart("t1", 1),
            a_cart("t1", 2, person=a_person(email="taro@example.com")),
            an_order("o1", 3, person=a_person("2"), checkout="t1"),
            a_merge("1", "2", 4),
        )
    ]
    assert len(set(ids)) >= 3
    for customer_id in ids:
        assert customer_id is not None
        state = store.person(TENANT, customer_id)
        assert state is not None
        assert state.profile.customer_id == ids[-1]
        assert {*state.profile.aliases, ids[0], ids[-1]} == set(ids), "all but the visitor, who was nobody yet"


def test_a_merge_joins_orders_consents_and_carts_of_two_customers() -> None:
    state = folded(
        an_order("o1", 1, person=a_person("1")),
        an_order("o2", 2, person=a_person("2")),
        a_consent(True, 3, a_person("1")),
        a_consent(False, 4, a_person("2")),
        a_merge("1", "2", 5),
    )
    assert state.profile.summary.order_count == 2
    assert [consent.status for consent in state.consents] == [ConsentStatus.OPT_OUT]


def test_no_two_live_persons_share_a_strong_ref() -> None:
    store = MemoryCustomerStore()
    apply_all([an_order("o1", 1, person=a_person(str(n), "a@example.com")) for n in range(1, 6)], store)
    refs = [ref for state in everyone(store).values() for ref in state.profile.refs]
    assert len(refs) == len(set(refs)) == 6


def test_a_buyer_with_hundreds_of_orders_joins_another_in_several_writes() -> None:
    store = MemoryCustomerStore()
    first = [an_order(f"a{n}", n % 50, person=a_person("1"), event_id=f"a{n}") for n in range(150)]
    second = [an_order(f"b{n}", n % 50, person=a_person("2"), event_id=f"b{n}") for n in range(150)]
    load([*first, *second], store, KEYS, SHOP)
    events = [*first, *second, a_merge("1", "2", 90)]
    apply(events[-1], store, KEYS, SHOP)
    assert everyone(store) == fold(events)


@pytest.mark.parametrize("dies_at", range(4))
@pytest.mark.parametrize("done", [True, False])
def test_a_big_join_that_died_halfway_reads_complete_and_is_finished_by_whatever_comes_next(
    dies_at: int, done: bool
) -> None:
    store = MemoryCustomerStore()
    orders = [an_order(f"{c}{n}", 1, person=a_person(c), event_id=f"{c}{n}") for c in "12" for n in range(150)]
    load(orders, store, KEYS, SHOP)
    partitions = store.rows.partitions if isinstance(store.rows, MemoryRows) else {}
    store.rows = rows = DyingRows()
    rows.partitions, rows.dies_at, rows.done = partitions, dies_at, done
    merge, later = a_merge("1", "2", 5), a_customer(6, a_person("2", last_name="見本"))
    try:
        apply(merge, store, KEYS, SHOP)
    except UnavailableError:
        rows.dies_at = None
        if dies_at > 0 or done:
            assert everyone(store) == fold([*orders, merge])
    rows.dies_at = None
    apply_all([later, merge], store)
    assert everyone(store) == fold([*orders, merge, later])
    behind = [sk for held in rows.partitions.values() for sk, row in held.items() if sk.startswith("order")]
    assert len(behind) == 300


def test_erasing_keeps_amounts_and_consent_and_forgets_the_person() -> None:
    store = MemoryCustomerStore()
    taro = a_person("1", "taro@example.com", last_name="見本", phone="090-0000-0001")
    apply_all(
        [
            a_customer(1, taro),
            an_order("o1", 2, person=taro),
            a_consent(False, 3, taro),
            a_cart("t1", 4, person=taro),
            an_erasure(10, a_person("1", "taro@example.com")),
        ],
        store,
    )
    (state,) = everyone(store).values()
    assert state.profile.erased
    assert (state.profile.email, state.profile.phone, state.profile.last_name) == (None, None, None)
    assert state.carts == ()
    assert state.profile.summary.total_amount == 1200
    assert [consent.status for consent in state.consents] == [ConsentStatus.OPT_OUT]
    assert store.resolve_ref(TENANT, address_ref(TENANT, "taro@example.com", KEYS)) is None
    assert isinstance(store.rows, MemoryRows)
    assert "taro@example.com" not in repr(store.rows.partitions)


def test_whoever_comes_back_after_an_erasure_is_known_by_what_they_said_since() -> None:
    store = MemoryCustomerStore()
    taro = a_person(email="taro@example.com")
    named = a_customer(1, replace(taro, last_name="見本"))
    before = apply(named, store, KEYS, SHOP).customer_id
    apply_all([a_consent(True, 2, taro), a_cart("t1", 3, person=taro), an_erasure(10, taro)], store)
    assert store.resolve_ref(TENANT, address_ref(TENANT, "taro@example.com", KEYS)) is None
    after = apply(an_order("o2", 20, person=taro), store, KEYS, SHOP).customer_id
    assert before == after == store.resolve_ref(TENANT, address_ref(TENANT, "taro@example.com", KEYS))
    (state,) = everyone(store).values()
    assert (state.profile.email, state.profile.last_name, state.carts) == ("taro@example.com", None, ())


def test_a_yes_of_before_an_erasure_counts_no_more_and_a_no_does() -> None:
    taro = a_person("1", "taro@example.com")
    said = [a_consent(True, 1, taro), a_consent(False, 2, taro, channel="sms"), an_erasure(5, taro)]
    for arriving in itertools.permutations([*said, a_customer(9, taro)]):
        store = MemoryCustomerStore()
        apply_all(arriving, store)
        (state,) = everyone(store).values()
        assert [(each.channel, each.status) for each in state.consents] == [("sms", ConsentStatus.OPT_OUT)]
        assert len(store.consent_log(TENANT, state.profile.customer_id)) == 2, "the evidence stays"


def test_importing_an_old_list_again_brings_nobody_back() -> None:
    store = MemoryCustomerStore()
    taro = a_person("1", "taro@example.com", last_name="見本")
    history = [an_order(f"o{n}", n, person=taro, event_id=f"e{n}", source="import", historical=True) for n in range(3)]
    load(history, store, KEYS, SHOP)
    apply(an_erasure(20, taro, source="import"), store, KEYS, SHOP)
    load(history, store, KEYS, SHOP)
    assert load(history, store, KEYS, SHOP).rows_written == 0
    (state,) = everyone(store).values()
    assert (state.profile.erased, state.profile.email, state.profile.summary.order_count) == (True, None, 3)
    assert isinstance(store.rows, MemoryRows)
    assert "taro" not in repr(store.rows.partitions)


def test_a_history_of_known_buyers_is_one_write_each() -> None:
    store = MemoryCustomerStore()
    taro = a_person("1", "taro@example.com")
    apply(an_order("o0", 0, person=taro), store, KEYS, SHOP)
    history = [an_order(f"o{n}", n, person=taro, event_id=f"e{n}") for n in range(1, 20)]
    load(history, store, KEYS, SHOP)
    (state,) = everyone(store).values()
    profile = store.profile(TENANT, state.profile.customer_id)
    assert profile is not None
    assert (profile.rev, profile.summary.order_count) == (2, 20)


def test_a_deleted_customer_record_is_no_erasure() -> None:
    taro = a_person("1", "taro@example.com")
    deleted = an_event(EventType.CUSTOMER_DELETED, UnknownFacts(), 5, person=a_person("1"))
    state = folded(a_customer(1, taro), an_order("o1", 2, person=taro), deleted)
    assert state.profile.email == "taro@example.com"
    assert not state.profile.erased


@pytest.mark.parametrize(
    ("kind", "command"),
    [(EventType.SHOP_ERASED, "erase_shop"), (EventType.PERSON_EXPORT_REQUESTED, "export_person")],
)
def test_erasing_a_shop_and_exporting_a_person_wait_for_an_admin(kind: EventType, command: str) -> None:
    store = MemoryCustomerStore()
    order = an_order("o1", 1, person=a_person("1"))
    event = an_event(kind, UnknownFacts(), 2, event_id="x")
    apply_all([order, event, event], store)
    assert [row["command"] for row in store.commands(TENANT)] == [f"{command}#x"]
    assert everyone(store) == fold([order])


def test_a_complaint_stops_mail_from_every_store_until_the_customer_opts_in_again() -> None:
    store = MemoryCustomerStore()
    taro = a_person("1", "taro@example.com")
    customer_id = apply(a_consent(True, 1, taro), store, KEYS, SHOP).customer_id
    apply(a_consent(True, 2, taro, store="two.example.com"), store, KEYS, SHOP)
    assert customer_id is not None
    apply(feedback(EventType.MESSAGE_COMPLAINED, 5, customer_id), store, KEYS, SHOP)
    state = store.person(TENANT, customer_id)
    assert state is not None
    assert {consent.status for consent in state.consents} == {ConsentStatus.OPT_OUT}
    assert state.suppressed == {"email"}
    apply(a_consent(True, 9, taro), store, KEYS, SHOP)
    again = store.person(TENANT, customer_id)
    assert again is not None
    assert {consent.store for consent in again.consents if consent.status is ConsentStatus.OPT_IN} == {STORE}


def test_a_bounce_blocks_the_address_it_happened_at_not_the_next_one() -> None:
    store = MemoryCustomerStore()
    customer_id = apply(a_customer(1, a_person("1", "old@example.com")), store, KEYS, SHOP).customer_id
    assert customer_id is not None
    bounce = feedback(EventType.MESSAGE_BOUNCED, 3, customer_id, email="old@example.com", permanent=True)
    assert apply(bounce, store, KEYS, SHOP).changed == ("suppressed",)
    assert apply(bounce, store, KEYS, SHOP).changed == ()
    state = store.person(TENANT, customer_id)
    assert state is not None
    assert state.suppressed == {"email"}
    apply(a_customer(5, a_person("1", "new@example.com")), store, KEYS, SHOP)
    mended = store.person(TENANT, customer_id)
    assert mended is not None
    assert mended.suppressed == frozenset()


@settings(max_examples=amount(100, sample=60))
@given(st.lists(st.tuples(st.booleans(), st.integers(0, 40)), max_size=6), st.randoms(use_true_random=False))
def test_bounces_in_any_order_block_alike(bounces: list[tuple[bool, int]], chance: random.Random) -> None:
    store = MemoryCustomerStore()
    known = a_customer(-1, a_person("1", "a@example.com"))
    customer_id = apply(known, store, KEYS, SHOP).customer_id
    assert customer_id is not None
    events = [
        feedback(EventType.MESSAGE_BOUNCED, at, customer_id, permanent=hard, event_id=f"b{n}")
        for n, (hard, at) in enumerate(bounces)
    ]
    arriving = [*events, *events[:2]]
    chance.shuffle(arriving)
    apply_all(arriving, store)
    ref = address_ref(TENANT, "a@example.com", KEYS)
    now = minute(60)
    found = store.suppression(TENANT, "email", ref)
    blocked = fold_all([known, *events], KEYS, SHOP, now)[customer_id].suppressed
    expected = any(hard for hard, _ in bounces) or len(bounces) >= 3
    assert bool(blocked) is expected
    assert len(found.soft_bounces) == sum(not hard for hard, _ in bounces)


def test_an_event_of_ours_about_nobody_is_an_error_and_not_lost_in_silence() -> None:
    unsubscribe = a_consent(False, 1, a_person("nobody"), source="page")
    with pytest.raises(NotFoundError, match="unknown here"):
        apply(unsubscribe, MemoryCustomerStore(), KEYS, SHOP)


def test_an_unsubscribe_page_names_the_person_by_our_id_even_an_old_one() -> None:
    store = MemoryCustomerStore()
    old = apply(a_consent(True, 1, a_person(email="taro@example.com")), store, KEYS, SHOP).customer_id
    apply(a_customer(2, a_person("1", "taro@example.com")), store, KEYS, SHOP)
    assert old is not None
    apply(a_consent(False, 3, a_person(old), source="page"), store, KEYS, SHOP)
    state = store.person(TENANT, old)
    assert state is not None
    assert [consent.status for consent in state.consents] == [ConsentStatus.OPT_OUT]


def test_topics_nobody_reads_yet_change_nothing() -> None:
    store = MemoryCustomerStore()
    assert apply(an_event(EventType.UNKNOWN, UnknownFacts(), 1), store, KEYS, SHOP).customer_id is None
    assert everyone(store) == {}


def test_two_shops_with_the_same_customer_number_share_nothing() -> None:
    store = MemoryCustomerStore()
    event = an_order("o1", 1, person=a_person("1", "a@example.com"))
    other = replace(event, tenant=TenantId("yaoya"))
    apply_all([event, other], store)
    ids = [apply(e, store, KEYS, SHOP).customer_id for e in (event, other)]
    first, second = (refs_of(e, KEYS) for e in (event, other))
    assert ids[0] is not None
    assert set(first) & set(second) == {ref for ref in first if not ref.startswith("email:")}
    state = store.person(TENANT, ids[0])
    assert state is not None
    assert state.profile.summary.order_count == 1
