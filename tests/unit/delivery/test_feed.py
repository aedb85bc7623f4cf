"""From what a cart says of its products, over a night, to what a mail shows."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.analytics import feeds, meaning
from shared.analytics.event_rows import rows_of_event
from shared.analytics.feeds import read_feed, write_feed
from shared.analytics.lake import put_partition
from shared.analytics.parquet import encode_rows
from shared.analytics.schema import PRODUCTS, month_of
from shared.core.clock import from_iso, shop_day, to_iso
from shared.core.errors import NotFoundError, UnavailableError
from shared.core.ids import EventId
from shared.customers.model import Order, PersonState
from shared.delivery.content.catalogue import EMPTY, Catalogue, from_feed
from shared.delivery.content.feed import MAX_AGE_SECONDS, Catalogues
from shared.delivery.content.recommend import arrivals, recommend
from shared.ingest.model import Event, EventType, Line, ProductFacts
from tests.unit.analytics.world import SHOP, TENANT, World, an_order
from tests.unit.delivery.world import a_person

BEGAN = from_iso("2026-11-01T03:00:00Z")
NOBODY_ASKS = frozenset(each.name for each in meaning.analyses()) - {feeds.CATALOGUE}


def a_line(product_id: str) -> Line:
    return Line(product_id=product_id, title=product_id, quantity=1, unit_amount=1000)


class Shop(World):
    """A shop whose cart tells of its products."""

    def sells(self, product_id: str, *, days: int = 0, **facts: Any) -> None:
        at = BEGAN + timedelta(days=days)
        url = f"https://shop.example.jp/{product_id}"
        said = ProductFacts(product_id=product_id, title=f"品 {product_id}", price=1500, currency="JPY", url=url)
        event = Event(
            tenant=TENANT,
            event_id=EventId(f"{product_id}-{days}"),
            event_type=EventType.PRODUCT_UPDATED,
            source="shopify",
            store="a.myshopify.com",
            subject=f"shopify/a.myshopify.com/product/{product_id}",
            occurred_at=at,
            received_at=at,
            version=to_iso(at),
            facts=replace(said, **facts),
        )
        (_, (table, row)) = rows_of_event(event, (), SHOP)
        assert table is PRODUCTS
        month = month_of(shop_day(at, SHOP.timezone))
        put_partition(self.lake, PRODUCTS, TENANT, month, event.event_id, encode_rows(PRODUCTS, [row]))

    def bought(self, customer: str, *products: str) -> None:
        order = f"{customer}-{'-'.join(products)}"
        self.hear(an_order(customer, order, "2026-11-10", 1000, lines=tuple(map(a_line, products))))

    def night(self, as_of: str) -> bool:
        """A night of the catalogue alone, that scores nobody: was it made?"""
        return feeds.CATALOGUE not in self.run_night(as_of, write_back=False, without=NOBODY_ASKS)["failed"]

    def catalogue(self) -> Catalogue:
        return Catalogues(self.lake.get).of(TENANT)


def owner_of(*products: str) -> PersonState:
    order = Order("shopify", "main", "o1", BEGAN, "JPY", 1000, lines=tuple(map(a_line, products)))
    return replace(a_person(), orders=(order,))


def shown(products: tuple[Any, ...]) -> list[str]:
    return [product.product_id for product in products]


def test_a_night_makes_what_a_mail_shows() -> None:
    shop = Shop()
    for product in ("tea", "pot", "cup", "old"):
        shop.sells(product)
    shop.sells("cup", days=5, stock=0)
    shop.sells("old", days=5, deleted=True)
    shop.sells("new", days=9, image_url="https://shop.example.jp/new.png")
    for customer in ("a", "b"):
        shop.bought(customer, "tea", "pot", "cup", "old")
    shop.bought("c", "tea", "new")
    assert shop.night("2026-11-20")
    catalogue = shop.catalogue()
    assert set(catalogue.products) == {"tea", "pot", "cup", "new"}
    assert catalogue.products["new"].image_url == "https://shop.example.jp/new.png"
    assert shown(recommend(owner_of("tea"), catalogue)) == ["pot", "new"], "the cup is sold out, the old one is gone"
    assert shown(recommend(owner_of("old"), catalogue)) == ["pot", "tea", "new"], "owners of what is gone count too"
    assert shown(recommend(a_person(), catalogue)) == ["tea", "pot", "new"]
    assert shown(arrivals(a_person(), catalogue)) == ["new"]


def test_a_shop_that_told_nothing_shows_nothing_and_breaks_nothing() -> None:
    shop = Shop()
    assert shop.catalogue() == EMPTY, "before its first night"
    shop.bought("a", "tea")
    assert shop.night("2026-11-20")
    assert recommend(owner_of("tea"), shop.catalogue()) == ()
    assert arrivals(a_person(), shop.catalogue()) == ()


def test_a_night_whose_catalogue_failed_leaves_the_one_before() -> None:
    shop = Shop()
    shop.sells("tea")
    shop.bought("a", "tea")
    assert shop.night("2026-11-20")
    shop.breaks = frozenset({feeds.CATALOGUE})
    assert not shop.night("2026-11-21")
    assert set(shop.catalogue().products) == {"tea"}


def test_a_worker_reads_a_catalogue_once_in_five_minutes() -> None:
    read: list[str] = []
    clock = [0.0]
    row = {"product_id": "tea", "sold": True, "title": "煎茶", "place": 1}

    def lake(key: str) -> bytes:
        read.append(key)
        return write_feed([row])

    catalogues = Catalogues(lake, lambda: clock[0])
    for clock[0] in (0.0, 1.0, MAX_AGE_SECONDS - 1, MAX_AGE_SECONDS, MAX_AGE_SECONDS + 1):
        assert set(catalogues.of(TENANT).products) == {"tea"}
    assert read == [f"feeds/tenant={TENANT}/catalogue_v1.json.gz"] * 2


def test_what_cannot_be_read_now_is_no_empty_catalogue() -> None:
    def busy(_key: str) -> bytes:
        raise UnavailableError("S3 is busy")

    def missing(_key: str) -> bytes:
        raise NotFoundError("never written")

    with pytest.raises(UnavailableError):
        Catalogues(busy).of(TENANT)
    assert Catalogues(missing).of(TENANT) == EMPTY


def test_five_thousand_products_are_read_quickly_and_stay_small() -> None:
    rows = [
        {
            "product_id": f"{9_000_000_000_000 + n}",
            "sold": True,
            "title": f"静岡県産 深蒸し煎茶 {n} 100g 化粧箱入り",
            "price": 1000 + n,
            "currency": "JPY",
            "stock": n % 7,
            "url": f"https://shop.example.jp/products/sencha-{n}",
            "image_url": f"https://cdn.example.com/s/files/1/{n}/products/sencha.png?v=1",
            "place": n + 1,
            "companions": [f"{9_000_000_000_000 + (n * 31 + k) % 5000}" for k in range(10)],
            "rates": [10_000 - n % 997 for _ in range(10)],
        }
        for n in range(5000)
    ]
    body = write_feed(rows)
    assert len(body) < 1_000_000
    catalogue = from_feed(read_feed(body))
    assert len(catalogue.products) == len(catalogue.bought_with) == 5000
    assert write_feed(rows) == body
