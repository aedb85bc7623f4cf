"""Coupons in memory and in DynamoDB: everybody their own code, the same one for ever, and none that is not there."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import suppress
from datetime import date, timedelta
from typing import Any

import boto3
import pytest

from shared.core.errors import MisconfiguredError, UnavailableError
from shared.core.ids import CustomerId, TenantId
from shared.delivery.coupons.codes import make_codes, read_codes
from shared.delivery.coupons.issue import Coupon, Coupons, CouponStore, NoCouponError, Terms, coupon_context
from shared.delivery.coupons.store import CODES_A_ROW, DynamoCoupons, MemoryCoupons
from shared.delivery.lint import COUPON
from tests.unit.delivery.world import HANAKO, KEYS, NOON, TENANT

_numbers = itertools.count()
TERMS = Terms("10%引き", "5,000円以上のお買い物")


@pytest.fixture(params=["memory", "dynamodb"])
def store(request: pytest.FixtureRequest) -> CouponStore:
    if request.param == "memory":
        return MemoryCoupons()
    make: Callable[[str], str] = request.getfixturevalue("make_table")
    cloud: boto3.Session = request.getfixturevalue("cloud")
    client: Any = cloud.client("dynamodb")
    return DynamoCoupons(make(f"coupons-{next(_numbers)}"), client)


@pytest.fixture
def coupons(store: CouponStore) -> Coupons:
    return Coupons(store, lambda _tenant: "Asia/Tokyo")


def without(coupons: Coupons, method: str) -> Coupons:
    """The same coupons where one call finds DynamoDB busy."""

    class Busy:
        def __getattr__(self, name: str) -> Any:
            if name == method:
                raise UnavailableError("busy")
            return getattr(coupons.store, name)

    return Coupons(Busy(), coupons.timezone_of)


class Takes:
    """A store that counts how often numbers are taken from its books."""

    def __init__(self, store: CouponStore) -> None:
        self._store, self.made = store, 0

    def __getattr__(self, name: str) -> Any:
        self.made += name == "take"
        return getattr(self._store, name)


def codes(count: int, start: int = 0) -> list[str]:
    return [f"AKI-{number:05d}" for number in range(start, start + count)]


def test_asked_again_a_person_has_the_same_coupon(coupons: Coupons) -> None:
    coupons.store.add(TENANT, "autumn", TERMS, codes(5))
    first = coupons.issue(TENANT, "autumn", HANAKO, "order-1", NOON)
    assert first == Coupon("autumn", "AKI-00000", "10%引き", "5,000円以上のお買い物", None, NOON)
    assert coupons.issue(TENANT, "autumn", HANAKO, "order-1", NOON + timedelta(days=3)) == first
    assert coupons.held(TENANT, "autumn", HANAKO, "order-1") == first
    assert coupons.issue(TENANT, "autumn", HANAKO, "order-2", NOON).code == "AKI-00001"
    book = coupons.store.book(TENANT, "autumn")
    assert book
    assert (book.size, book.taken, book.left) == (5, 2, 3)


def test_everything_somebody_was_given_is_read_and_nobody_elses(coupons: Coupons) -> None:
    for campaign in ("autumn", "winter"):
        coupons.store.add(TENANT, campaign, TERMS, codes(5))
    mine = [coupons.issue(TENANT, campaign, HANAKO, "once", NOON) for campaign in ("autumn", "winter")]
    coupons.issue(TENANT, "autumn", CustomerId("taro"), "once", NOON)
    assert coupons.store.of_customer(TENANT, HANAKO) == mine
    assert coupons.store.of_customer(TENANT, CustomerId("nobody")) == []


def test_everybody_at_once_gets_a_code_of_their_own(coupons: Coupons) -> None:
    people = [CustomerId(f"person-{number % 40}") for number in range(120)]
    coupons.store.add(TENANT, "autumn", TERMS, codes(200))
    with ThreadPoolExecutor(16) as pool:
        given = list(pool.map(lambda who: coupons.issue(TENANT, "autumn", who, "once", NOON).code, people))
    of = {who: {code for each, code in zip(people, given, strict=True) if each == who} for who in people}
    assert all(len(codes) == 1 for codes in of.values())
    assert len({code for codes in of.values() for code in codes}) == 40


def test_of_a_large_book_numbers_are_taken_together_and_every_code_is_given_once(
    store: CouponStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A campaign does not write the book once a mail; two workers, to the last code."""
    monkeypatch.setattr("shared.delivery.coupons.issue.OF_EACH", 2)
    takes = Takes(store)
    workers = [Coupons(takes, lambda _tenant: "Asia/Tokyo") for _ in range(2)]
    store.add(TENANT, "autumn", TERMS, codes(60))
    given = [workers[n % 2].issue(TENANT, "autumn", CustomerId(f"p{n}"), "once", NOON).code for n in range(56)]
    assert len(set(given)) == 56
    assert takes.made <= 20
    rest = []
    for n in range(60, 80):
        with suppress(NoCouponError):
            rest.append(workers[n % 2].issue(TENANT, "autumn", CustomerId(f"p{n}"), "once", NOON).code)
    assert sorted(given + rest) == codes(60)


def test_an_attempt_that_dies_wastes_a_code_and_gives_nobody_two(coupons: Coupons) -> None:
    coupons.store.add(TENANT, "autumn", TERMS, codes(5))
    with pytest.raises(UnavailableError):
        without(coupons, "give").issue(TENANT, "autumn", HANAKO, "order-1", NOON)
    assert coupons.issue(TENANT, "autumn", HANAKO, "order-1", NOON).code == "AKI-00001"
    assert coupons.issue(TENANT, "autumn", CustomerId("taro"), "order-1", NOON).code == "AKI-00002"


def test_who_comes_late_to_the_same_occasion_takes_what_was_given(store: CouponStore) -> None:
    store.add(TENANT, "autumn", TERMS, codes(5))
    mine, theirs = (Coupon("autumn", code, "10%引き", "", None, NOON) for code in ("AKI-00000", "AKI-00001"))
    assert store.give(TENANT, HANAKO, "once", mine) == mine
    assert store.give(TENANT, HANAKO, "once", theirs) == mine


def test_a_used_up_book_gives_nothing_until_more_codes_are_loaded(coupons: Coupons) -> None:
    coupons.store.add(TENANT, "autumn", TERMS, codes(1))
    first = coupons.issue(TENANT, "autumn", HANAKO, "once", NOON)
    with pytest.raises(NoCouponError, match="used up"):
        coupons.issue(TENANT, "autumn", CustomerId("taro"), "once", NOON)
    coupons.store.add(TENANT, "autumn", TERMS, codes(1, start=1))
    assert coupons.issue(TENANT, "autumn", CustomerId("taro"), "once", NOON).code == "AKI-00001"
    assert coupons.issue(TENANT, "autumn", HANAKO, "once", NOON) == first


def test_a_promise_uses_up_nothing_and_is_not_made_for_what_is_not_there(coupons: Coupons) -> None:
    coupons.store.add(TENANT, "autumn", Terms("送料無料", last_on=date(2026, 11, 20)), codes(1))
    for _ in range(2):
        coupons.promise(TENANT, "autumn", HANAKO, "once", NOON)
    coupons.issue(TENANT, "autumn", HANAKO, "once", NOON)
    coupons.promise(TENANT, "autumn", HANAKO, "once", NOON + timedelta(days=2))
    with pytest.raises(NoCouponError, match="used up"):
        coupons.promise(TENANT, "autumn", CustomerId("taro"), "once", NOON)
    coupons.store.add(TENANT, "autumn", Terms("送料無料", last_on=date(2026, 11, 20)), codes(1, start=1))
    with pytest.raises(NoCouponError, match="ended"):
        coupons.promise(TENANT, "autumn", CustomerId("taro"), "once", NOON + timedelta(days=2))
    with pytest.raises(MisconfiguredError, match="matakite mail coupon load"):
        coupons.promise(TENANT, "winter", HANAKO, "once", NOON)


def test_a_campaign_nobody_loaded_is_a_wrong_setting(coupons: Coupons) -> None:
    with pytest.raises(MisconfiguredError, match="matakite mail coupon load"):
        coupons.issue(TENANT, "autumn", HANAKO, "once", NOON)


def test_a_shop_has_its_own_books(coupons: Coupons) -> None:
    coupons.store.add(TENANT, "autumn", TERMS, codes(1))
    other = TenantId("yoso")
    with pytest.raises(MisconfiguredError):
        coupons.issue(other, "autumn", HANAKO, "once", NOON)
    assert [book.campaign for book in coupons.store.books(TENANT)] == ["autumn"]
    assert not coupons.store.books(other)


def test_nothing_is_given_after_the_last_day_of_a_campaign(coupons: Coupons) -> None:
    coupons.store.add(TENANT, "autumn", Terms("送料無料", last_on=date(2026, 11, 20)), codes(3))
    held = coupons.issue(TENANT, "autumn", HANAKO, "once", NOON)
    assert held.expires_on == date(2026, 11, 20)
    with pytest.raises(NoCouponError, match="2026-11-20"):
        coupons.issue(TENANT, "autumn", CustomerId("taro"), "once", NOON + timedelta(days=1))
    assert coupons.issue(TENANT, "autumn", HANAKO, "once", NOON + timedelta(days=1)) == held


def test_a_coupon_lasts_from_the_day_it_is_given(coupons: Coupons) -> None:
    coupons.store.add(TENANT, "autumn", Terms("送料無料", valid_days=14, last_on=date(2026, 12, 31)), codes(3))
    given = coupons.issue(TENANT, "autumn", HANAKO, "once", NOON)
    assert coupon_context(given) == {
        "code": "AKI-00000",
        "benefit": "送料無料",
        "condition": None,
        "expires_on": "12月3日",
    }
    assert set(coupon_context(given)) == set(COUPON), "the lint's sample is what a template is given"
    late = coupons.issue(TENANT, "autumn", CustomerId("taro"), "once", NOON + timedelta(days=40))
    assert late.expires_on == date(2026, 12, 31)


def test_new_terms_are_for_those_who_come_later(coupons: Coupons) -> None:
    coupons.store.add(TENANT, "autumn", Terms("10%引き", last_on=date(2026, 12, 31)), codes(3))
    before = coupons.issue(TENANT, "autumn", HANAKO, "once", NOON)
    coupons.store.add(TENANT, "autumn", Terms("20%引き"), [])
    after = coupons.issue(TENANT, "autumn", CustomerId("taro"), "once", NOON)
    assert (before.benefit, after.benefit, after.expires_on) == ("10%引き", "20%引き", None)
    assert coupons.issue(TENANT, "autumn", HANAKO, "once", NOON) == before


def test_a_book_keeps_its_numbers_when_it_grows(store: CouponStore) -> None:
    first, more = codes(CODES_A_ROW + 5), codes(CODES_A_ROW, start=CODES_A_ROW + 5)
    store.add(TENANT, "autumn", TERMS, first)
    store.add(TENANT, "autumn", TERMS, more)
    assert list(store.codes(TENANT, "autumn")) == [*first, *more]
    for number in (0, CODES_A_ROW - 1, CODES_A_ROW, CODES_A_ROW + 5, 2 * CODES_A_ROW + 4):
        assert store.code(TENANT, "autumn", number) == f"AKI-{number:05d}"


def test_made_codes_are_read_back_as_they_were_made(store: CouponStore) -> None:
    made = make_codes(TENANT, "autumn", "AKI", range(1000), KEYS)
    assert len(set(made)) == 1000
    assert read_codes("\ufeffクーポンコード\r\n".encode() + "\r\n".join(made).encode()) == made
    store.add(TENANT, "autumn", TERMS, made)
    assert list(store.codes(TENANT, "autumn")) == made


@pytest.mark.parametrize("fault", ["given", "take", "code", "give"])
def test_what_cannot_be_read_or_written_now_is_asked_again_later(coupons: Coupons, fault: str) -> None:
    coupons.store.add(TENANT, "autumn", TERMS, codes(5))

    with pytest.raises(UnavailableError):
        without(coupons, fault).issue(TENANT, "autumn", HANAKO, "once", NOON)
    given = coupons.issue(TENANT, "autumn", HANAKO, "once", NOON)
    assert coupons.issue(TENANT, "autumn", HANAKO, "once", NOON) == given
