"""A batch folded at once is the same as its events one by one, for fewer calls."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Iterable, Sequence

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.errors import UnavailableError
from shared.core.ids import CustomerId
from shared.customers.batch import BatchRows, OvertakenError
from shared.customers.fold import apply
from shared.customers.items import leads_to, person_of
from shared.customers.remembered import Remembered
from shared.customers.rows import Key, MemoryRows, Put, Replace, Row, Write
from shared.customers.rules import is_strong
from shared.customers.store import MemoryCustomerStore
from shared.ingest.model import Event
from tests.amount import amount
from tests.unit.customers.test_browsers import browsing, erasing
from tests.unit.customers.test_fold import apply_all, everyone, fold
from tests.unit.customers.test_returning import anything, returning
from tests.unit.customers.world import (
    KEYS,
    SHOP,
    TENANT,
    a_cart,
    a_customer,
    a_deleted_order,
    a_merge,
    a_person,
    an_erasure,
    an_order,
)

STORIES = st.one_of(browsing(), erasing(), returning(), anything())


class CountedRows(MemoryRows):
    """Counts calls, and lets somebody else write in between."""

    def __init__(self) -> None:
        super().__init__()
        self.calls: Counter[str] = Counter()
        self.meanwhile: list[Event] = []

    def get(self, keys: Iterable[Key]) -> dict[Key, Row]:
        self.calls["get"] += 1
        return super().get(keys)

    def partition(self, pk: str) -> list[Row]:
        self.calls["partition"] += 1
        return super().partition(pk)

    def replace_each(self, changes: Sequence[Replace]) -> None:
        self._somebody_else()
        self.calls["replace"] += 1
        super().replace_each(changes)

    def transact(self, writes: Sequence[Write]) -> None:
        self._somebody_else()
        super().transact(writes)

    def _somebody_else(self) -> None:
        events, self.meanwhile = self.meanwhile, []
        store = MemoryCustomerStore()
        store.rows = self
        apply_all(events, store)


def fold_batch(events: Sequence[Event], store: MemoryCustomerStore, remembered: Remembered | None = None) -> bool:
    """As the stream does it; was somebody else in between?"""
    remembered = Remembered() if remembered is None else remembered
    old = len(remembered) > 0
    rows = BatchRows(store.rows, remembered)
    try:
        rows.prefetch(events, KEYS)
        for event in events:
            apply(event, store.over(rows), KEYS, SHOP)
        rows.flush()
        rows.remember()
    except OvertakenError:
        remembered.forget_all()
        if old:
            return fold_batch(events, store, remembered)
        apply_all(events, store)
        return True
    return False


@settings(max_examples=amount(150, sample=60))
@given(STORIES, st.randoms(use_true_random=False))
def test_batches_of_any_size_give_the_state_of_the_set(
    story: tuple[list[Event], list[Event]], chance: random.Random
) -> None:
    events, arriving = story
    store, remembered = MemoryCustomerStore(), Remembered()
    while arriving:
        size = chance.randint(1, len(arriving))
        assert fold_batch(arriving[:size], store, remembered) is False
        arriving = arriving[size:]
    assert everyone(store) == fold(events)


@settings(max_examples=amount(600, sample=30))
@given(STORIES, st.randoms(use_true_random=False))
def test_workers_who_remember_what_was_before_the_others_wrote_lose_nothing(
    story: tuple[list[Event], list[Event]], chance: random.Random
) -> None:
    events, arriving = story
    store, workers = MemoryCustomerStore(), [Remembered(), Remembered()]
    while arriving:
        size = chance.randint(1, min(2, len(arriving)))
        if chance.random() < 0.8:
            fold_batch(arriving[:size], store, chance.choice(workers))
        else:
            apply_all(arriving[:size], store)
        arriving = arriving[size:]
    assert everyone(store) == fold(events)


def test_what_a_visitor_brought_is_not_left_behind_somebody_who_was_merged_away_unnoticed() -> None:
    store, remembered = MemoryCustomerStore(), Remembered()
    erased = an_erasure(1, a_person(None, "a@example.com"))
    both = an_erasure(2, a_person("1", "a@example.com"))
    deleted, order = a_deleted_order("o1", 0), an_order("o1", 0, person=a_person(None, "a@example.com"))
    fold_batch([erased], store, remembered)
    apply_all([deleted, both], store)
    fold_batch([order], store, remembered)
    assert everyone(store) == fold([erased, deleted, both, order])


@settings(max_examples=amount(100, sample=40))
@given(STORIES, st.randoms(use_true_random=False))
def test_whoever_writes_in_between_is_not_overwritten(
    story: tuple[list[Event], list[Event]], chance: random.Random
) -> None:
    events, arriving = story
    store, rows = MemoryCustomerStore(), CountedRows()
    store.rows = rows
    cut = chance.randint(0, len(arriving))
    rows.meanwhile = arriving[cut:]
    fold_batch(arriving[:cut], store)
    apply_all(rows.meanwhile, store)
    assert everyone(store) == fold(events)


def overtaken(event: Event, store: MemoryCustomerStore, *, together: bool) -> None:
    if together:
        fold_batch([event], store)
    else:
        apply_all([event], store)


@pytest.fixture
def watched() -> tuple[MemoryCustomerStore, CountedRows]:
    store, rows = MemoryCustomerStore(), CountedRows()
    store.rows = rows
    return store, rows


@pytest.mark.parametrize("together", [False, True], ids=["alone", "in a batch"])
def test_what_is_written_of_two_people_while_they_become_one_comes_with_them(
    watched: tuple[MemoryCustomerStore, CountedRows], together: bool
) -> None:
    store, rows = watched
    taro, hanako = a_person("1", "a@example.com"), a_person("2", "b@example.com")
    known = [a_customer(0, taro), a_cart("t1", 1, person=taro), a_customer(0, hanako), a_cart("t2", 1, person=hanako)]
    apply_all(known, store)
    meanwhile = [an_order("o1", 3, person=taro), an_order("o2", 3, person=hanako)]
    rows.meanwhile = list(meanwhile)
    merge = a_merge("1", "2", 4)
    overtaken(merge, store, together=together)
    assert everyone(store) == fold([*known, *meanwhile, merge])


@pytest.mark.parametrize("together", [False, True], ids=["alone", "in a batch"])
def test_a_cart_that_is_written_while_its_person_is_erased_is_gone_with_them(
    watched: tuple[MemoryCustomerStore, CountedRows], together: bool
) -> None:
    store, rows = watched
    taro = a_person("1", "a@example.com")
    known, cart, erasure = (
        [a_customer(0, taro), a_cart("t1", 1, person=taro)],
        a_cart("t9", 3, person=taro),
        an_erasure(9, taro),
    )
    apply_all(known, store)
    rows.meanwhile = [cart]
    overtaken(erasure, store, together=together)
    assert everyone(store) == fold([*known, cart, erasure])
    assert rows.of_kind("", "cart") == []


class DyingRows(MemoryRows):
    """Of some call any part is written, in any order, and then the worker is no more."""

    def __init__(self, chance: random.Random) -> None:
        super().__init__()
        self._chance = chance
        self.calls_to_live: int | None = None

    def replace_each(self, changes: Sequence[Replace]) -> None:
        if self.calls_to_live is None:
            return super().replace_each(changes)
        if self.calls_to_live:
            self.calls_to_live -= 1
            return super().replace_each(self._chance.sample(changes, len(changes)))
        super().replace_each(self._chance.sample(changes, self._chance.randint(0, len(changes))))
        raise UnavailableError("the worker died")

    def strong_keys(self) -> list[str]:
        """Of everybody who is not known to be somebody else."""
        live = [row for row in self.of_kind("", "profile") if not leads_to(row)]
        people = [person_of(TENANT, CustomerId(row.pk.partition("#")[2]), [row]) for row in live]
        return [ref for person in people for ref in person.record.refs if is_strong(ref)]


@settings(max_examples=amount(300, sample=30))
@given(STORIES, st.randoms(use_true_random=False))
def test_whatever_part_a_worker_wrote_before_it_died_is_made_up_for(
    story: tuple[list[Event], list[Event]], chance: random.Random
) -> None:
    events, arriving = story
    store, rows = MemoryCustomerStore(), DyingRows(chance)
    store.rows = rows
    remembered = Remembered()
    while arriving:
        size = chance.randint(1, len(arriving))
        batch, arriving = arriving[:size], arriving[size:]
        rows.calls_to_live = chance.randint(0, 3)
        try:
            fold_batch(batch, store, remembered)
        except UnavailableError:
            remembered.forget_all()
            keys = rows.strong_keys()
            assert len(keys) == len(set(keys)), "a person was there twice, and both could be written to"
            rows.calls_to_live = None
            elsewhere = batch + arriving
            apply_all(chance.sample(elsewhere, chance.randint(0, min(2, len(elsewhere)))), store)
            fold_batch(batch, store, Remembered())
    assert everyone(store) == fold(events)


def test_whoever_goes_on_shopping_is_not_read_again() -> None:
    store, rows, remembered = MemoryCustomerStore(), CountedRows(), Remembered()
    store.rows = rows
    taro = a_person("1", "a@example.com")
    story = [a_cart("t1", at, person=who) for at, who in enumerate([a_person(), taro, taro, taro])]
    for event in story[:-1]:
        assert fold_batch([event], store, remembered) is False
    before = Counter(rows.calls)
    assert fold_batch(story[-1:], store, remembered) is False
    assert rows.calls - before == {"replace": 1}
    assert everyone(store) == fold(story)


@pytest.mark.parametrize("meanwhile", [an_erasure(5, a_person("1")), a_merge("1", "2", 5)], ids=["erased", "merged"])
def test_what_is_remembered_of_somebody_who_is_not_there_any_more_decides_nothing(meanwhile: Event) -> None:
    store, remembered = MemoryCustomerStore(), Remembered()
    taro, hanako = a_person("1", "a@example.com", last_name="見本"), a_person("2", "b@example.com")
    known = [a_customer(0, hanako), a_customer(0, taro), an_order("o1", 1, person=taro), a_cart("t1", 2, person=taro)]
    assert fold_batch(known, store, remembered) is False
    apply_all([meanwhile], store)
    said = [a_cart("t1", 4, person=taro), an_order("o1", 7, total=900, person=taro), a_cart("t2", 8, person=taro)]
    for event in said:
        fold_batch([event], store, remembered)
    assert everyone(store) == fold([*known, meanwhile, *said])


@pytest.mark.parametrize(
    "then",
    [an_erasure(1, a_person("1")), a_cart("t1", 3, person=a_person("1", "a@example.com", last_name="例"))],
    ids=["erased", "another name"],
)
def test_a_card_that_is_shown_with_a_row_nobody_remembers_stays(then: Event) -> None:
    store, remembered = MemoryCustomerStore(), Remembered()
    taro = a_person("1", "a@example.com", last_name="見本", phone="090-0000-0001")
    cart, order = a_cart("t1", 0, person=taro), an_order("o1", 2, person=taro)
    fold_batch([cart], store, remembered)
    apply_all([order], store)
    fold_batch([then], store, remembered)
    (state,) = everyone(store).values()
    assert state.profile.phone == "+819000000001"
    assert everyone(store) == fold([cart, order, then])


def test_no_more_is_remembered_than_fits(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.customers.remembered.MOST_PARTITIONS", 4)
    monkeypatch.setattr("shared.customers.remembered.MOST_ROWS", 3)
    store, remembered = MemoryCustomerStore(), Remembered()
    story = [an_order(f"o{n}", n, person=a_person(str(n % 3))) for n in range(12)]
    for event in story:
        fold_batch([event], store, remembered)
        assert len(remembered) <= 4
    assert everyone(store) == fold(story)


def test_the_updates_of_one_checkout_are_one_write() -> None:
    store, rows = MemoryCustomerStore(), CountedRows()
    store.rows = rows
    who = a_person("1", "a@example.com")
    apply(a_customer(0, who), store, KEYS, SHOP)
    rows.calls.clear()
    events = [*(a_cart("t1", at, person=who) for at in range(1, 20)), an_order("o1", 20, person=who, checkout="t1")]
    assert not fold_batch(events, store)
    assert rows.calls == {"get": 2, "partition": 1, "replace": 1}
    assert everyone(store) == fold([a_customer(0, who), *events])


def test_a_merge_in_a_batch_is_still_one_transaction() -> None:
    store = MemoryCustomerStore()
    apart = [an_order("o1", 1, person=a_person("1")), an_order("o2", 2, person=a_person("2"))]
    one = a_customer(3, a_person("1", "a@example.com")), a_customer(4, a_person("2", "a@example.com"))
    assert not fold_batch([*apart, *one], store)
    assert everyone(store) == fold([*apart, *one])
    assert len(everyone(store)) == 1


def test_a_batch_that_was_overtaken_says_so() -> None:
    store, rows = MemoryCustomerStore(), CountedRows()
    store.rows = rows
    rows.meanwhile = [a_customer(1, a_person("1", "a@example.com"))]
    assert fold_batch([a_customer(2, a_person("1", "b@example.com"))], store) is True
    held = BatchRows(rows)
    held.put(Put(Row("p", "s", "order", rev=1), expected=0))
    rows.put(Put(Row("p", "s", "order", rev=1), expected=0))
    with pytest.raises(OvertakenError):
        held.flush()


def test_events_that_say_nothing_read_nothing() -> None:
    store, rows = MemoryCustomerStore(), CountedRows()
    store.rows = rows
    assert not fold_batch([], store)
    assert not rows.calls
