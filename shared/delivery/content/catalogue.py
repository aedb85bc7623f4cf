"""The products a shop sells now, and what is bought together: what mails show (商品フィード).

Made every night (analysis `catalogue_v1`) and read whole, one object a shop: a step that sends to a million people
reads it once a worker and five minutes. Prices and stock are those of the last night.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from datetime import date
from typing import Any

BEST_SELLERS = 50
"""More than anybody owns of them."""

_FIELDS = ("product_id", "title", "price", "currency", "stock", "url", "image_url", "category")


@dataclass(frozen=True, slots=True)
class Product:
    """A product as it is now (商品の現在値)."""

    product_id: str
    title: str
    price: int | None = None
    """Minor units, the lowest of its variants."""
    currency: str = "JPY"
    stock: int | None = None
    """Pieces; None where the source does not count."""
    url: str | None = None
    image_url: str | None = None
    category: str | None = None
    new_on: date | None = None
    """The shop's day on which we first heard of it; None: with the shop's first products, so it is no news."""

    @property
    def sold_out(self) -> bool:
        """在庫切れ."""
        return self.stock is not None and self.stock <= 0


@dataclass(frozen=True, slots=True)
class Companion:
    """A product bought by people who bought another one (併売)."""

    product_id: str
    rate: float
    """併買率: share of the buyers of the one who bought the other."""


@dataclass(frozen=True, slots=True)
class Catalogue:
    """Everything a shop sells now."""

    products: Mapping[str, Product] = field(default_factory=dict)
    bought_with: Mapping[str, tuple[Companion, ...]] = field(default_factory=dict)
    best_sellers: tuple[str, ...] = ()
    """Most bought first: what is shown to whom nothing is known of."""

    def on_sale(self, product_id: str) -> Product | None:
        """The product, where it can be bought now."""
        product = self.products.get(product_id)
        return None if product is None or product.sold_out else product


EMPTY = Catalogue()


def from_feed(rows: Iterable[Mapping[str, Any]]) -> Catalogue:
    """From the rows of the night (analysis `catalogue_v1`)."""
    known = list(rows)
    best = sorted((row for row in known if "place" in row), key=lambda row: int(row["place"]))
    return Catalogue(
        products={row["product_id"]: _product(row) for row in known if row["sold"]},
        bought_with={row["product_id"]: _companions(row) for row in known if "companions" in row},
        best_sellers=tuple(row["product_id"] for row in best[:BEST_SELLERS]),
    )


def _product(row: Mapping[str, Any]) -> Product:
    fields = {name: row[name] for name in _FIELDS if name in row}
    return Product(**fields, new_on=date.fromisoformat(row["new_on"]) if "new_on" in row else None)


def _companions(row: Mapping[str, Any]) -> tuple[Companion, ...]:
    pairs = zip(row["companions"], row["rates"], strict=True)
    return tuple(Companion(product_id, rate / 10_000) for product_id, rate in pairs)
