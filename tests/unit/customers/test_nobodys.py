"""An address that a shop types where it knows none (ダミーの宛先) is nobody's: it joins nobody, names nobody, nobody is
written to there, and it costs the same for the five thousandth customer number as for the twelfth.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.errors import RejectedError, UnavailableError
from shared.core.ids import EventId
from shared.customers.fold import apply
from shared.customers.identity import address_ref
from shared.customers.load import load
from shared.customers.nobodys import digest_of
from shared.customers.reference import fold_all
from shared.customers.remembered import Remembered
from shared.customers.rows import Key, MemoryRows, Row
from shared.customers.rules import SHARED_BY_MOST
from shared.customers.store import MemoryCustomerStore
from shared.ingest.model import Event, EventType
from tests.amount import amount
from tests.unit.customers.test_batch import fold_batch
from tests.unit.customers.test_fold import DyingRows, InterleavingRows, apply_all, everyone
from tests.unit.customers.test_links import a_link
from tests.unit.customers.test_parting import defined, deliver, numbers_in, of, seen
from tests.unit.customers.world import (
    KEYS,
    SHOP,
    TENANT,
    a_cart,
    a_consent,
    a_customer,
    a_merge,
    a_person,
    an_order,
    comparable,
    feedback,
)

DUMMY = "dummy@shop.example"
DUMMY_REF = address_ref(TENANT, DUMMY, KEYS)
FAMILY = [str(number) for number in range(1, SHARED_BY_MOST + 1)]


def keyed(number: str, at: int = 1) -> Event:
    """An order by telephone, as a clerk keys it."""
    return an_order(f"o{number}", at, person=a_person(number, DUMMY, last_name=f"見本{number}"))


def told_by(numbers: Iterable[str]) -> MemoryCustomerStore:
    store = MemoryCustomerStore()
    apply_all([keyed(each) for each in numbers], store)
    return store


def test_what_ten_numbers_have_in_common_is_a_familys_and_what_eleven_have_is_nobodys() -> None:
    store = told_by(FAMILY)
    (one,) = everyone(store).values()
    assert (one.profile.email, len(one.orders)) == (DUMMY, SHARED_BY_MOST)
    assert store.resolve_ref(TENANT, DUMMY_REF) == one.profile.customer_id
    apply(keyed("x"), store, KEYS, SHOP)
    assert len(everyone(store)) == SHARED_BY_MOST + 1
    for number in (*FAMILY, "x"):
        state = seen(number, store)
        assert (state.profile.email, state.profile.last_name) == (None, f"見本{number}")
        assert [order.order_id for order in state.orders] == [f"o{number}"]
        assert DUMMY_REF not in state.profile.refs
    assert store.resolve_ref(TENANT, DUMMY_REF) is None
    assert all(apply(keyed(number), store, KEYS, SHOP).changed == () for number in (*FAMILY, "x"))


def test_who_has_an_address_of_their_own_too_is_reached_there() -> None:
    store = told_by([*FAMILY, "x"])
    own = a_customer(0, a_person("3", "hanako@example.com"))
    apply_all([own, an_order("o99", 30, person=a_person("3", DUMMY))], store)
    state = seen("3", store)
    assert state.profile.email == "hanako@example.com"
    assert {order.order_id for order in state.orders} == {"o3", "o99"}


def test_a_guest_with_an_address_that_is_nobodys_is_known_by_the_order() -> None:
    store = told_by([*FAMILY, "x"])
    before = everyone(store)
    guest = an_order("o77", 40, person=a_person(None, DUMMY, last_name="例"))
    done = apply(guest, store, KEYS, SHOP)
    assert done.customer_id is not None
    state = store.person(TENANT, done.customer_id)
    assert state is not None
    assert (state.profile.email, state.profile.last_name, len(state.orders)) == (None, "例", 1)
    assert {each: everyone(store)[each] for each in before} == before
    assert apply(a_consent(True, 41, a_person(None, DUMMY)), store, KEYS, SHOP).customer_id is None


def test_a_guests_imported_order_that_says_nothing_else_is_kept_once() -> None:
    store = told_by([*FAMILY, "x"])
    guest = replace(an_order("o78", 40, person=a_person(None, DUMMY)), source="import")
    apply_all([guest, guest], store)
    assert load([guest], store, KEYS, SHOP).rows_written == 0
    assert [each.order_id for state in everyone(store).values() for each in state.orders].count("o78") == 1


def test_people_whom_staff_joined_stay_one_when_their_address_turns_out_to_be_nobodys() -> None:
    store = told_by(FAMILY[:3])
    apply(a_link(of("1"), of("2"), 6), store, KEYS, SHOP)
    apply_all([keyed(each) for each in (*FAMILY[3:], "x")], store)
    assert seen("1", store) == seen("2", store)
    assert len(everyone(store)) == SHARED_BY_MOST


# --- named by the shop -----------------------------------------------------------------------------------------------
PHONE = "090-1234-5678"
NAMING = replace(SHOP, sections={"customers": {"nobody": [digest_of(each, TENANT, KEYS) for each in (DUMMY, PHONE)]}})


def test_what_the_shop_says_is_nobodys_joins_nobody_from_the_first_on() -> None:
    store, loaded = MemoryCustomerStore(), MemoryCustomerStore()
    known = {"email": DUMMY, "phone": PHONE, "last_name": "見本"}
    events = [
        an_order("o1", 1, person=a_person("1", **known)),
        an_order("o2", 2, person=a_person("2", **known)),
        an_order("o3", 3, person=a_person(None, **known)),
        an_order("o4", 4, person=a_person(None, **known)),
        a_consent(True, 5, a_person(None, **known)),
    ]
    for event in events:
        apply(event, store, KEYS, NAMING)
    load(events, loaded, KEYS, NAMING)
    people = everyone(store)
    assert len(people) == 4
    assert {(state.profile.email, state.profile.phone, state.profile.last_name) for state in people.values()} == {
        (None, None, "見本")
    }
    assert people == everyone(loaded)
    assert people == {each: comparable(state) for each, state in fold_all(events, KEYS, NAMING).items()}


def test_a_bounce_at_such_an_address_blocks_that_address_and_no_other() -> None:
    store = MemoryCustomerStore()
    apply(a_customer(1, a_person("1", "hanako@example.com")), store, KEYS, NAMING)
    bounced = feedback(EventType.MESSAGE_BOUNCED, 2, of("1"), email=DUMMY, permanent=True)
    apply(bounced, store, KEYS, NAMING)
    assert store.is_suppressed(TENANT, "email", DUMMY_REF)
    assert seen("1", store).suppressed == frozenset()


@pytest.mark.parametrize("text", ["", "なし", "dummy", "0000"])
def test_only_an_address_can_be_nobodys(text: str) -> None:
    with pytest.raises(RejectedError, match="--nobody takes a mail address"):
        digest_of(text, TENANT, KEYS)


class CountedRows(MemoryRows):
    """Rows that count what is read."""

    def __init__(self) -> None:
        super().__init__()
        self.read: Counter[str] = Counter()

    def get(self, keys: Iterable[Key]) -> dict[Key, Row]:
        self.read["calls"] += 1
        found = super().get(keys)
        self.read["rows"] += len(found)
        return found

    def partition(self, pk: str) -> list[Row]:
        self.read["calls"] += 1
        found = super().partition(pk)
        self.read["rows"] += len(found)
        return found


def test_the_fortieth_number_costs_what_the_thirtieth_did_and_no_partition_grows() -> None:
    store, rows = MemoryCustomerStore(), CountedRows()
    store.rows = rows
    costs = []
    for number in range(1, 41):
        rows.read.clear()
        apply(keyed(str(number)), store, KEYS, SHOP)
        costs.append(dict(rows.read))
    assert costs[39] == costs[29] == {"calls": 1, "rows": 1}
    assert max(len(held) for held in rows.partitions.values()) <= SHARED_BY_MOST + 5
    for one in ("1", "5", "40"):
        rows.read.clear()
        store.person(TENANT, of(one))
        assert rows.read["calls"] <= 2


def test_a_history_of_people_with_nobodys_address_is_still_loaded_at_once() -> None:
    store, rows = MemoryCustomerStore(), CountedRows()
    store.rows = rows
    first, rest = [keyed(each) for each in (*FAMILY, "x")], [keyed(f"p{n}") for n in range(50)]
    load(first, store, KEYS, SHOP)
    rows.read.clear()
    assert load(rest, store, KEYS, SHOP).people == len(rest)
    assert rows.read["calls"] <= 2
    assert load(rest, store, KEYS, SHOP).unchanged == len(rest)
    assert everyone(store) == defined([*first, *rest])


@pytest.mark.parametrize("done", [True, False], ids=["written", "not written"])
@pytest.mark.parametrize("dies_at", range(10))
def test_whoever_dies_while_an_address_becomes_nobodys_is_finished_by_the_retry(dies_at: int, done: bool) -> None:
    store, rows = MemoryCustomerStore(), DyingRows()
    store.rows = rows
    events = [keyed(each) for each in (*FAMILY, "x", "y")]
    apply_all(events[:SHARED_BY_MOST], store)
    rows.dies_at, rows.done = dies_at, done
    with suppress(UnavailableError):
        apply(events[SHARED_BY_MOST], store, KEYS, SHOP)
    rows.dies_at = None
    apply_all(events[:SHARED_BY_MOST:-1], store)
    apply_all(events[SHARED_BY_MOST:], store)
    assert everyone(store) == defined(events)
    assert len(everyone(store)) == len(events)


# --- any history -----------------------------------------------------------------------------------------------------
_NUMBERS = [*FAMILY, "a", "b", "c"]
_ADDRESSES = [DUMMY, DUMMY, DUMMY, "a@example.com", None]
_NUMBERED = st.builds(a_person, st.sampled_from(_NUMBERS), st.sampled_from(_ADDRESSES))
_AT = st.integers(0, 12)
_TOLD = st.one_of(
    st.builds(an_order, st.sampled_from([f"p{n}" for n in range(20)]), _AT, person=_NUMBERED),
    st.builds(a_cart, st.sampled_from(["t1", "t2"]), _AT, person=_NUMBERED),
    st.builds(a_customer, _AT, _NUMBERED),
    st.builds(a_consent, st.booleans(), _AT, _NUMBERED),
    st.builds(a_merge, st.just("b"), st.just("c"), _AT),
)


@st.composite
def crowds(draw: st.DrawFn) -> tuple[list[Event], random.Random]:
    """Nearly as many numbers at one address as are a family, or a few more, and what else happens to them."""
    first = draw(st.integers(0, 4))
    some = [keyed(each) for each in _NUMBERS[first:]]
    events = [*some, *draw(st.lists(_TOLD, max_size=10))]
    return [replace(event, event_id=EventId(f"e{n}")) for n, event in enumerate(events)], draw(
        st.randoms(use_true_random=False)
    )


def decisions_about(events: Sequence[Event], chance: random.Random) -> list[Event]:
    pairs = [*combinations(numbers_in(events), 2)]
    return [a_link(*chance.choice(pairs), 20 + n, joined=chance.random() < 0.5) for n in range(3) if pairs]


@settings(max_examples=amount(400, sample=4), deadline=None)
@given(crowds())
def test_nobodys_address_is_nobodys_in_any_order_of_arrival_and_repetition(
    story: tuple[list[Event], random.Random],
) -> None:
    events, chance = story
    decisions = decisions_about(events, chance)
    arriving = chance.sample([*events, *decisions], len(events) + len(decisions))
    expected = defined([*events, *decisions])
    store, loaded, batched = MemoryCustomerStore(), MemoryCustomerStore(), MemoryCustomerStore()
    deliver([*arriving, *arriving[::3]], store)
    assert everyone(store) == expected
    for part in (events[::2], events[1::2]):
        load(chance.sample(part, len(part)), loaded, KEYS, SHOP)
    apply_all(decisions, loaded)
    assert everyone(loaded) == expected
    remembered = [Remembered(), Remembered()]
    shuffled = chance.sample(events, len(events))
    while shuffled:
        size = chance.randint(1, len(shuffled))
        fold_batch(shuffled[:size], batched, chance.choice(remembered))
        shuffled = shuffled[size:]
    apply_all(decisions, batched)
    assert everyone(batched) == expected
    refs = [ref for state in expected.values() for ref in state.profile.refs]
    assert len(refs) == len(set(refs)), "two live people hold one strong key"


@settings(max_examples=amount(200, sample=5), deadline=None)
@given(crowds())
def test_workers_who_overtake_each_other_find_out_together(story: tuple[list[Event], random.Random]) -> None:
    events, chance = story
    for together in (False, True):
        store, rows = MemoryCustomerStore(), InterleavingRows()
        store.rows, rows.store = rows, MemoryCustomerStore()
        rows.store.rows = rows
        waiting = chance.sample(events, len(events))
        while waiting:
            rows.meanwhile = [waiting.pop() for _ in range(min(len(waiting), chance.randrange(4)))]
            some = [waiting.pop() for _ in range(min(len(waiting), chance.randrange(1, 3)))]
            if together:
                fold_batch(some, store)
            else:
                apply_all(some, store)
            apply_all(rows.meanwhile, store)
        assert everyone(store) == defined(events)
