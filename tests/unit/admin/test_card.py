"""The customer card shows everything known, and finds the person by id, mail address or store number."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.admin import labels
from shared.admin.card import Section, card
from shared.admin.explain import Voice
from shared.admin.find import find_customer, find_stored, search
from shared.admin.timeline import timeline
from shared.core.clock import FixedClock
from shared.core.errors import NotFoundError, RejectedError
from shared.core.ids import CustomerId, EventId, TenantId
from shared.core.keys import derive_key_ring
from shared.core.shop import Shop
from shared.customers.fold import apply
from shared.customers.items import with_card
from shared.customers.model import (
    Attribute,
    Card,
    Cart,
    Consent,
    ConsentEntry,
    ConsentStatus,
    LtvTier,
    Order,
    PersonState,
    Profile,
    Scores,
    Status,
    Subscription,
    Summary,
    Visit,
)
from shared.customers.store import MemoryCustomerStore
from shared.ingest.model import Event, EventType, Person, PersonLinkFacts, ProfileFacts

TENANT = TenantId("shop")
KEYS = derive_key_ring("a test key")
AT = datetime(2026, 11, 1, 3, 0, tzinfo=UTC)
STORES = [("shopify", "a.example.jp"), ("shopify", "b.example.jp")]


def a_profile_event(store: str, number: str, email: str | None) -> Event:
    return Event(
        tenant=TENANT,
        event_id=EventId(f"{store}-{number}"),
        event_type=EventType.CUSTOMER_UPDATED,
        source="shopify",
        store=store,
        subject=f"shopify/{store}/customer/{number}",
        occurred_at=AT,
        received_at=AT,
        version="1",
        person=Person(source_customer_id=number, email=email, last_name="見本", first_name="花子"),
        facts=ProfileFacts(),
    )


@pytest.fixture
def customers() -> MemoryCustomerStore:
    """Two people with number 7 in two stores, and one with number 8."""
    store = MemoryCustomerStore(FixedClock(AT))
    for event in (
        a_profile_event("a.example.jp", "7", "hanako@example.com"),
        a_profile_event("b.example.jp", "7", "taro@example.com"),
        a_profile_event("a.example.jp", "8", None),
    ):
        apply(event, store, KEYS, Shop(TENANT, "店"))
    return store


def found(text: str, customers: MemoryCustomerStore) -> CustomerId:
    return find_customer(text, TENANT, customers, KEYS, STORES)


def test_a_person_is_found_by_mail_number_and_id_alike(customers: MemoryCustomerStore) -> None:
    by_number = found("8", customers)
    assert found(by_number, customers) == by_number
    hanako = found(" hanako@EXAMPLE.com ", customers)
    profile = customers.profile(TENANT, hanako)
    assert profile
    assert profile.email == "hanako@example.com"


def test_a_number_that_two_stores_gave_is_not_guessed(customers: MemoryCustomerStore) -> None:
    with pytest.raises(NotFoundError, match="several stores"):
        found("7", customers)
    assert found("a.example.jp/7", customers) != found("b.example.jp/7", customers)


@pytest.mark.parametrize("text", ["nobody@example.com", "@", "", "999", "a@b"])
def test_nobody_is_found_and_the_message_repeats_no_address(text: str, customers: MemoryCustomerStore) -> None:
    with pytest.raises(NotFoundError) as caught:
        found(text, customers)
    assert not text or text not in str(caught.value) or text in {"@"}


@given(st.text(max_size=40))
def test_any_text_is_answered_with_a_person_or_a_sentence(text: str) -> None:
    with pytest.raises(NotFoundError):
        found(text, MemoryCustomerStore(FixedClock(AT)))


# --- the card ---------------------------------------------------------------------------------------------------------


def a_regular() -> PersonState:
    order = Order("shopify", "a.example.jp", "1001", AT, "JPY", 5_000, refunds={"r": 1_000})
    scores = Scores(date(2026, 11, 20), Status.LOYAL, date(2026, 10, 1), LtvTier.HIGH, 6, 4, 5, "優良")
    profile = Profile(
        TENANT,
        CustomerId("c1"),
        email="hanako@example.com",
        last_name="見本",
        first_name="花子",
        summary=Summary(1, 4_000, "JPY", AT, AT),
        scores=scores,
        segments=("birthday", "vip"),
        aliases=frozenset({CustomerId("c0")}),
    )
    consents = (Consent("email", "a.example.jp", ConsentStatus.OPT_IN, AT, "shopify:single_opt_in"),)
    return PersonState(profile, (order, replace(order, order_id="1002", cancelled=True)), (), consents)


def said(sections: tuple[Section, ...]) -> str:
    return "\n".join(" | ".join(row) for section in sections for row in (section.columns, *section.rows))


def test_the_card_says_who_what_and_since_when() -> None:
    entry = ConsentEntry("email", "a.example.jp", True, AT, "shopify:single_opt_in", "explicit", True, "e1")
    text = said(card(a_regular(), [entry], [], Voice("ja")))
    for word in (
        "見本 花子",
        "hanako@example.com",
        "1回",
        "¥4,000",
        "2026-11-01 12:00",
        "優良（2026-10-01 から）",
        "高LTV",
        "R6 F4 M5",
        "セグメント | birthday, vip",
        "c0",
        "許諾あり",
        "shopify:single_opt_in",
        "返金あり",
        "キャンセル",
        "本人",
    ):
        assert word in text


def test_a_person_of_whom_little_is_known_has_a_card_too() -> None:
    for language in ("ja", "en"):
        sections = card(PersonState(Profile(TENANT, CustomerId("c9"))), [], [], Voice(language))
        assert len(sections) == 10
        assert all(section.rows or section.nothing for section in sections)


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("birth_on", "生年月日"),
        ("points/a.example.jp/balance", "ポイント残高 a.example.jp"),
        ("rank/a.example.jp", "会員ランク a.example.jp"),
        ("rank/a.example.jp/until", "会員ランクの期限 a.example.jp"),
        ("custom/靴のサイズ", "custom/靴のサイズ"),
    ],
)
def test_an_attribute_is_called_as_the_shop_calls_it(name: str, said: str) -> None:
    assert labels.attribute(name, "ja") == said


def test_every_row_has_as_many_cells_as_its_table_has_columns() -> None:
    entry = ConsentEntry("sms", "*", False, AT, "page", "explicit", True, "e1")
    for section in card(a_regular(), [entry], [], Voice("en")):
        assert {len(row) for row in section.rows} <= {len(section.columns) or 2}


def test_what_was_typed_in_full_width_is_the_same(customers: MemoryCustomerStore) -> None:
    known = find_customer("hanako@example.com", TENANT, customers, KEYS, STORES)
    assert find_customer("ｈａｎａｋｏ＠ｅｘａｍｐｌｅ．ｃｏｍ", TENANT, customers, KEYS, STORES) == known
    assert find_customer("a.example.jp／７", TENANT, customers, KEYS, STORES) == known


def test_of_two_who_are_read_as_one_each_is_found_by_what_is_theirs(customers: MemoryCustomerStore) -> None:
    typed = ("hanako@example.com", "taro@example.com")
    hanako, taro = (find_customer(each, TENANT, customers, KEYS, STORES) for each in typed)
    apply(a_link(hanako, taro), customers, KEYS, Shop(TENANT, "店"))
    whole = {find_customer(each, TENANT, customers, KEYS, STORES) for each in (*typed, hanako, taro)}
    assert len(whole) == 1
    for each in (hanako, "hanako@example.com", "a.example.jp/7"):
        assert find_stored(each, TENANT, customers, KEYS, STORES) == hanako
    for each in (taro, "taro@example.com", "b.example.jp/7"):
        assert find_stored(each, TENANT, customers, KEYS, STORES) == taro


def a_link(one: CustomerId, other: CustomerId) -> Event:
    """Somebody decides that two are one person."""
    facts = PersonLinkFacts(other_customer_id=other, joined=True, actor="店長")
    event = a_profile_event("a.example.jp", one, None)
    return replace(event, source="admin", event_type=EventType.PERSONS_LINKED, facts=facts, event_id=EventId("link"))


def test_connections_are_not_needed_to_find_by_mail(customers: MemoryCustomerStore) -> None:
    assert find_customer("hanako@example.com", TENANT, customers, KEYS, [])


# --- search by a part of anything -------------------------------------------------------------------------------------
def of(number: int, **said: str) -> Profile:
    return with_card(Profile(TENANT, CustomerId(str(number))), Card(**said))


EVERYBODY = (
    of(1, last_name="髙橋", first_name="花子", email="hanako@example.com", phone="+819000005678"),
    of(2, last_name="高橋", first_name="太郎", last_name_kana="タカハシ", first_name_kana="タロウ"),
    of(
        3,
        last_name="Mihon",
        first_name="Taro",
        email="Taro.M@example.jp",
        address="千代田区見本1-2-3",
        postal_code="1000001",
    ),
)


@pytest.mark.parametrize(
    ("text", "who"),
    [
        ("高橋", "12"),
        ("高橋 花子", "1"),
        ("花子高橋", "1"),
        ("ﾀｶﾊｼ", "2"),
        ("たかはし", "2"),
        ("hanako@EXAMPLE", "1"),
        ("taro.m", "3"),
        ("mihon", "3"),
        ("０９０-0000-5678", "1"),
        ("+81 90 0000", "1"),
        ("5678", "1"),
        ("千代田区", "3"),
        ("〒100-0001", "3"),
        ("林", ""),
    ],
)
def test_anybody_is_found_by_a_part_of_what_is_known_of_them(text: str, who: str) -> None:
    assert "".join(each.customer_id for each in search(text, EVERYBODY)) == who


@pytest.mark.parametrize("text", ["", " ", "a", "1"])
def test_a_text_that_means_anybody_is_refused(text: str) -> None:
    with pytest.raises(RejectedError, match="two letters"):
        list(search(text, EVERYBODY))


def test_everybody_of_a_shop_is_searched_and_nobody_else(customers: MemoryCustomerStore) -> None:
    assert len(list(search("見本花子", customers.everybody(TENANT)))) == 3
    assert not list(search("見本花子", customers.everybody(TenantId("other"))))


# --- everything in one list -------------------------------------------------------------------------------------------
def test_the_timeline_holds_every_kind_of_thing_newest_first() -> None:
    day = [AT + timedelta(days=number) for number in range(9)]
    person = PersonState(
        a_regular().profile,
        orders=(Order("shopify", "a", "1001", day[0], "JPY", 3_000),),
        carts=(Cart("shopify", "a", "t", day[1], "JPY", 3_000, ()),),
        subscriptions=(Subscription("s", "a", "k", started_at=day[2], cancelled_at=day[7], cancel_reason="高い"),),
        attributes={"call/outcome": Attribute("承諾", day[3], "e"), "gender": Attribute("female", day[8], "e")},
        visits=(Visit("v", day[4], "page", path="/p"), Visit("w", day[5], "login")),
    )
    told = timeline(person, (), (), Voice("en"))
    assert [kind for _, kind, _ in told] == [
        "contract",
        "login",
        "page viewed",
        "call",
        "contract",
        "cart",
        "order",
        "status",
    ]
    assert [at for at, _, _ in told] == sorted((at for at, _, _ in told), reverse=True)
    assert "高い" in told[0][2]
