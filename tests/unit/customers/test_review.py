"""Who became one because they share an address is shown to the shop until it has said whether they are."""

from __future__ import annotations

from infra.cli.customer import alike, sharing
from shared.customers.fold import apply
from shared.customers.load import load
from shared.customers.matches import ADDRESS, PHONE, Match
from shared.customers.rows import MemoryRows, Row
from shared.customers.rules import SHARED_BY_MOST
from shared.customers.store import MemoryCustomerStore
from tests.unit.customers.test_fold import apply_all
from tests.unit.customers.test_links import decide
from tests.unit.customers.test_parting import HANAKO, HOME, SHARED, TARO, of
from tests.unit.customers.world import KEYS, SHOP, TENANT, a_customer, a_merge, a_person, an_erasure, an_order

FAMILY = [a_customer(1, TARO), a_customer(2, HANAKO), SHARED]


def asked(store: MemoryCustomerStore) -> list[set[str]]:
    return [{one.customer_id, other.customer_id} for _, one, other in store.to_ask_about(TENANT)]


def told() -> MemoryCustomerStore:
    store = MemoryCustomerStore()
    apply_all(FAMILY, store)
    return store


def test_those_who_share_an_address_are_shown_by_their_own_names() -> None:
    store = told()
    ((_, taro, _, hanako, why),) = sharing(store.to_ask_about(TENANT)).rows
    assert ({taro, hanako}, why) == ({"見本 太郎", "–"}, "メールアドレス")


def test_who_looks_alike_is_shown_by_name_and_no_more_at_once_than_one_can_read() -> None:
    store = told()
    found = [Match(of("1"), of("2"), ADDRESS), Match(of("1"), of("3"), PHONE)]
    shown = alike(found, 1, lambda customer_id: store.load(TENANT, customer_id))
    ((_, taro, _, _, why),) = shown.rows
    assert (taro, why) == ("見本 太郎", "名前と住所")
    assert "2 組、うち 1 組" in shown.title


def test_who_was_kept_or_parted_is_not_asked_about_again_whatever_comes() -> None:
    for joined in (True, False):
        store = told()
        decide(store, of("1"), of("2"), 9, joined=joined)
        apply_all([*FAMILY, an_order("o9", 20, person=a_person("2", HOME))], store)
        assert asked(store) == []
        assert (store.joined_by_evidence(TENANT, of("1")) != []) is joined


def test_who_was_kept_can_still_be_told_apart() -> None:
    store = told()
    decide(store, of("1"), of("2"), 9, joined=True)
    decide(store, of("2"), of("1"), 10, joined=False)
    assert store.joined_by_evidence(TENANT, of("1")) == []


def test_the_newest_come_first_and_only_they_are_read() -> None:
    store = MemoryCustomerStore()
    for n in range(0, 20, 2):
        load(
            [an_order(f"o{m}", m, person=a_person(f"b{m}", f"{n}@example.com")) for m in (n, n + 1)], store, KEYS, SHOP
        )
    read: list[str] = []
    rows = store.rows

    class Counted(MemoryRows):
        def partition(self, pk: str) -> list[Row]:
            read.append(pk)
            return rows.partition(pk)

    store.rows = Counted()
    newest = next(iter(store.to_ask_about(TENANT)))
    assert {newest[1].customer_id, newest[2].customer_id} == {of("b18"), of("b19")}
    assert len(read) == 3, "the list, and the two"
    store.rows = rows
    assert len(asked(store)) == 10


def test_who_is_one_for_another_reason_or_no_more_is_not_asked_about() -> None:
    for end in (a_merge("1", "2", 8), an_erasure(8, TARO)):
        store = told()
        apply(end, store, KEYS, SHOP)
        assert asked(store) == []
    store = told()
    apply_all([an_order(f"p{n}", 9, person=a_person(f"p{n}", HOME)) for n in range(SHARED_BY_MOST)], store)
    assert asked(store) == []
