"""Recommending the shop: whose link brought the buyer is taken from what the cart says, and only if we signed it."""

from __future__ import annotations

from dataclasses import replace
from urllib.parse import parse_qs, urlsplit

import pytest

from shared.core.ids import CustomerId, SendId, TenantId
from shared.core.keys import derive_key_ring
from shared.customers.fold import apply
from shared.customers.reference import fold_all
from shared.customers.referrals import referrer_of, share_url
from shared.customers.store import MemoryCustomerStore
from shared.delivery.tokens import UnsubscribeToken, sign
from shared.ingest import media
from shared.ingest.model import OrderFacts, Person
from tests.unit.customers.world import KEYS, SHOP, TENANT, an_order

HANAKO = CustomerId("hanako")
LINK = share_url("https://shop.example.jp/", TENANT, HANAKO, KEYS)


def token(link: str = LINK) -> str:
    found = media.referral(link)
    assert found
    return found


def test_the_link_leads_to_the_shop_and_is_a_medium_of_its_own() -> None:
    assert LINK.startswith("https://shop.example.jp/?utm_source=referral&utm_medium=share&")
    assert media.from_landing_page(LINK) == "referral/share"
    assert referrer_of(token(), TENANT, KEYS) == HANAKO
    landing = LINK.removeprefix("https://shop.example.jp")
    assert referrer_of(media.referral(landing), TENANT, KEYS) == HANAKO, "carts say the path alone"
    assert len(landing) < 255, "longer ones are cut"


def test_what_the_shops_address_asks_already_stays() -> None:
    asked = parse_qs(urlsplit(share_url("https://shop.example.jp/top?lang=ja#new", TENANT, HANAKO, KEYS)).query)
    assert (asked["lang"], asked["utm_source"]) == (["ja"], ["referral"])


def test_an_old_link_works_when_the_keys_have_changed() -> None:
    old = share_url("https://shop.example.jp/", TENANT, HANAKO, derive_key_ring("m"))
    assert referrer_of(token(old), TENANT, derive_key_ring("m", link_generation=2)) == HANAKO


@pytest.mark.parametrize(
    "given",
    [
        None,
        "",
        "hanako",
        token()[:-1] + ("A" if token()[-1] != "A" else "B"),
        token(share_url("https://shop.example.jp/", TenantId("another"), HANAKO, KEYS)),
        token(share_url("https://shop.example.jp/", TENANT, HANAKO, derive_key_ring("somebody else"))),
        sign(UnsubscribeToken(TENANT, HANAKO, SendId("send"), "email", "*"), KEYS),
    ],
)
def test_a_token_that_this_shop_did_not_give_names_nobody(given: str | None) -> None:
    assert referrer_of(given, TENANT, KEYS) is None


def test_the_order_keeps_whose_link_it_was_and_the_lake_knows_the_same() -> None:
    store = MemoryCustomerStore()
    said = an_order("1", 1, person=Person(source_customer_id="2", email="b@example.com"))
    assert isinstance(said.facts, OrderFacts)
    event = replace(said, facts=replace(said.facts, referral=token()))
    friend = apply(event, store, KEYS, SHOP).customer_id
    assert friend
    person = store.person(TENANT, friend)
    assert person
    assert [order.referrer for order in person.orders] == [HANAKO]
    assert fold_all([event], KEYS, SHOP)[friend].orders == person.orders
