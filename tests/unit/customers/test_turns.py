"""What a batch writes goes in few calls, and nothing before what it needs."""

from __future__ import annotations

from shared.core.ids import CustomerId, Ref, TenantId
from shared.customers.items import PROFILE, StoredPerson, person_pk, pointer_row, profile_key
from shared.customers.model import Record
from shared.customers.plan import turns
from shared.customers.rows import Replace, Row

SHOP = TenantId("kissa")
TARO, HANAKO, VISITOR, CART = (CustomerId(name) for name in ("taro", "hanako", "visitor", "cart"))
STRONG, WEAK = Ref("email:m"), Ref("anon:c")


def a_ref(ref: Ref, who: CustomerId) -> Replace:
    return Replace(None, pointer_row(StoredPerson(SHOP, who, Record()), ref, historical=False))


def an_order(who: CustomerId, key: str = "o1") -> Replace:
    return Replace(None, Row(person_pk(SHOP, who), f"order#{key}", "order", rev=1))


def a_profile(who: CustomerId, rev: int) -> Replace:
    row = Row(*profile_key(SHOP, who), PROFILE, rev=rev)
    return Replace(Row(*row.key, PROFILE, rev=rev - 1) if rev > 1 else None, row)


def an_alias(gone: CustomerId, now: CustomerId) -> Replace:
    return Replace(None, Row(*profile_key(SHOP, gone), PROFILE, rev=1, fields={"merged_into": now}))


def test_nothing_takes_no_call() -> None:
    assert turns([]) == []


def test_somebody_new_is_there_after_every_ref_and_row() -> None:
    refs = [a_ref(STRONG, TARO), a_ref(WEAK, TARO)]
    assert turns([a_profile(TARO, 1), an_order(TARO), *refs]) == [refs, [an_order(TARO)], [a_profile(TARO, 1)]]


def test_a_new_visitor_is_there_after_their_ref() -> None:
    assert turns([a_profile(VISITOR, 1), a_ref(WEAK, VISITOR)]) == [[a_ref(WEAK, VISITOR)], [a_profile(VISITOR, 1)]]


def test_the_cart_of_somebody_known_goes_with_their_rows() -> None:
    both = [a_ref(WEAK, TARO), an_order(TARO)]
    assert turns([an_order(TARO), a_ref(WEAK, TARO), a_profile(TARO, 2)]) == [both, [a_profile(TARO, 2)]]
    assert turns([a_ref(WEAK, TARO), an_order(TARO)]) == [both]
    assert turns([a_profile(TARO, 2), a_ref(WEAK, TARO)]) == [[a_ref(WEAK, TARO), a_profile(TARO, 2)]]


def test_an_address_is_theirs_before_anything_says_so() -> None:
    changes = [a_profile(TARO, 2), a_ref(STRONG, TARO), a_ref(WEAK, TARO)]
    assert turns(changes) == [changes[1:], changes[:1]]


def test_a_visitor_leads_on_when_all_they_were_stands_elsewhere() -> None:
    leads = [an_alias(VISITOR, TARO), an_alias(CART, VISITOR)]
    changes = [*leads, a_ref(WEAK, CART), a_profile(TARO, 2), an_order(TARO)]
    assert turns(changes) == [[a_ref(WEAK, CART), an_order(TARO)], [a_profile(TARO, 2)], leads]


def test_people_share_the_calls() -> None:
    changes = [an_order(TARO), a_profile(TARO, 2), a_profile(HANAKO, 5), an_order(TARO, "o2")]
    assert turns(changes) == [[an_order(TARO), an_order(TARO, "o2"), a_profile(HANAKO, 5)], [a_profile(TARO, 2)]]
