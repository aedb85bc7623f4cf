"""What goes into a mail besides its words: recommendations, the person's own order, contract and points."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.customers.model import Attribute, AttributeValue, Order, PersonState, Subscription, Visit
from shared.delivery.content.catalogue import EMPTY, Catalogue, Companion, Product
from shared.delivery.content.recommend import arrivals, recommend, viewed
from shared.delivery.context import LIVE, template_context
from shared.delivery.lint import GIVEN_LIVE, SENDER
from shared.ingest.model import Line, SubscriptionState
from tests.unit.delivery.world import a_person, a_shop

NOW = datetime(2026, 3, 2, 1, tzinfo=UTC)
DAY = timedelta(days=1)


def a_line(product_id: str) -> Line:
    return Line(product_id=product_id, title=f"品 {product_id}", quantity=1, unit_amount=1000)


def an_order(number: int, at: datetime, *products: str, cancelled: bool = False) -> Order:
    lines = tuple(map(a_line, products))
    return Order("shopify", "main", f"o{number}", at, "JPY", 1000 * len(lines), lines=lines, cancelled=cancelled)


def a_catalogue(
    *products: str, bought_with: Mapping[str, tuple[Companion, ...]] | None = None, best: tuple[str, ...] = ()
) -> Catalogue:
    known = {p: Product(p, f"品 {p}", 1000, url=f"https://shop.example.jp/{p}") for p in products}
    return Catalogue(known, bought_with or {}, best)


def ids(products: tuple[Product, ...]) -> list[str]:
    return [product.product_id for product in products]


def buyer(*orders: Order) -> PersonState:
    return replace(a_person(), orders=orders)


def test_what_others_bought_with_the_newest_purchase_comes_first() -> None:
    catalogue = a_catalogue(
        "tea", "pot", "cup", "tray", bought_with={"tea": (Companion("cup", 0.5),), "pot": (Companion("tray", 0.4),)}
    )
    person = buyer(an_order(1, NOW - 360 * DAY, "tea"), an_order(2, NOW, "pot"))
    assert ids(recommend(person, catalogue)) == ["tray", "cup"], "a year ago counts a quarter: 0.125 against 0.4"
    assert ids(recommend(buyer(an_order(1, NOW, "tea"), an_order(2, NOW, "pot")), catalogue)) == ["cup", "tray"]


def test_who_bought_nothing_sees_the_best_sellers() -> None:
    catalogue = a_catalogue("a", "b", "c", "d", best=("c", "a", "b", "d"))
    assert ids(recommend(a_person(), catalogue)) == ["c", "a", "b"]


def test_a_cancelled_order_recommends_nothing_and_owns_nothing() -> None:
    catalogue = a_catalogue("tea", "cup", bought_with={"tea": (Companion("cup", 1.0),)}, best=("tea",))
    assert ids(recommend(buyer(an_order(1, NOW, "tea", cancelled=True)), catalogue)) == ["tea"]


STOCK = st.dictionaries(st.sampled_from("abcdefgh"), st.none() | st.integers(-1, 3), max_size=8)


@given(
    stock=STOCK,
    owned=st.sets(st.sampled_from("abcdefgh")),
    rates=st.lists(st.tuples(st.sampled_from("abcdefgh"), st.sampled_from("abcdefgh"), st.floats(0, 1))),
    best=st.permutations("abcdefgh"),
)
def test_nobody_is_shown_what_they_own_or_what_cannot_be_bought(
    stock: dict[str, int | None], owned: set[str], rates: list[tuple[str, str, float]], best: list[str]
) -> None:
    bought_with: dict[str, tuple[Companion, ...]] = {}
    for base, other, rate in rates:
        bought_with[base] = (*bought_with.get(base, ()), Companion(other, rate))
    products = {p: Product(p, p, stock=left) for p, left in stock.items()}
    catalogue = Catalogue(products, bought_with, tuple(best))
    shown = ids(recommend(buyer(an_order(1, NOW, *sorted(owned))), catalogue))
    buyable = {p for p, left in stock.items() if left is None or left > 0}
    assert set(shown) <= buyable - owned
    assert len(shown) == len(set(shown)) == min(3, len(buyable - owned)), "the best sellers fill what is missing"


def test_news_is_what_came_last_and_is_not_owned() -> None:
    products = {p: Product(p, p, new_on=NOW.date() - n * DAY) for n, p in enumerate("abcd")}
    products["b"] = replace(products["b"], stock=0)
    products["old"] = Product("old", "old")
    assert ids(arrivals(buyer(an_order(1, NOW, "c")), Catalogue(products))) == ["a", "d"]


def test_what_was_looked_at_last_comes_first_once() -> None:
    visits = tuple(Visit(f"v{n}", NOW + n * DAY, "page", product_id=p) for n, p in enumerate(["a", "b", "a", "gone"]))
    assert ids(viewed(replace(a_person(), visits=visits), a_catalogue("a", "b"))) == ["a", "b"]


def test_a_template_is_given_the_persons_own_things() -> None:
    contract = Subscription(
        "shopify", "main", "s1", SubscriptionState.ACTIVE, lines=(a_line("tea"),), amount=2916, currency="JPY",
        interval_unit="month", interval_count=1, next_delivery_on=date(2026, 3, 20), deliveries=4,
    )  # fmt: skip
    said: dict[str, AttributeValue] = {
        "points/main/balance": 1200, "points/main/expiring": 300, "points/main/expires_on": "2026-03-31",
        "rank/main": "ゴールド", "rank/main/until": "2026-04-30",
    }  # fmt: skip
    person = replace(
        buyer(an_order(1, NOW - 9 * DAY, "cup"), an_order(2, NOW, "tea")),
        subscriptions=(contract, replace(contract, subscription_id="s0", state=SubscriptionState.CANCELLED)),
        attributes={name: Attribute(value, NOW, "e1") for name, value in said.items()},
    )
    given = template_context(person, a_shop(), SENDER, "https://x.example/u", {}, lambda: a_catalogue("tea"))
    assert given["order"]["ordered_on"] == "3月2日"
    assert given["order"]["lines"][0]["url"] == "https://shop.example.jp/tea"
    assert given["contract"]["interval"] == "1か月ごと"
    assert given["contract"]["next_delivery_on"] == "3月20日"
    assert given["points"] == {"balance": 1200, "expiring": 300, "expires_on": "3月31日"}
    assert given["rank"] == {"name": "ゴールド", "until": "4月30日"}
    assert set(GIVEN_LIVE) == set(LIVE)
    for name in LIVE:
        sample = GIVEN_LIVE[name]
        if isinstance(sample, dict):
            assert set(given[name]) == set(sample), f"the lint's sample of {name} is what a template is given"


def test_of_whom_nothing_is_known_everything_live_is_empty() -> None:
    given = template_context(replace(a_person(), attributes={}), a_shop(), SENDER, "https://x.example/u", {})
    assert {name: given[name] for name in LIVE} == {
        "order": None, "contract": None, "points": None, "rank": None,
        "viewed": [], "recommendations": [], "arrivals": [],
    }  # fmt: skip


def test_the_catalogue_is_not_read_for_a_template_that_shows_no_products() -> None:
    def read() -> Catalogue:
        pytest.fail("nobody asked for products")
        return EMPTY

    given = template_context(a_person(), a_shop(), SENDER, "https://x.example/u", {"cart": {"total": "¥1"}}, read)
    assert given["cart"] == {"total": "¥1"}
    assert given["points"] is None
    assert "recommendations" in given


def test_what_started_the_scenario_goes_before_the_last_order_and_hides_nothing_else() -> None:
    person = buyer(an_order(1, NOW, "tea"))
    given = template_context(person, a_shop(), SENDER, "https://x.example/u", {"order": "mine", "person": "not mine"})
    assert given["order"] == "mine"
    assert given["person"]["order_count"] == person.profile.summary.order_count
