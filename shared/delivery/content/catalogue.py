"""The products a shop sells now, and what is bought together: what mails show (商品フィード).

Made whole and read whole, as one JSON document a shop: a step that sends to a million people reads it once a worker.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any

from shared.core.clock import from_iso, to_iso


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
    first_seen_at: datetime | None = None
    """When we first heard of it; None: with the shop's first import, so it is no news."""

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


def to_document(catalogue: Catalogue) -> dict[str, Any]:
    """As it is kept."""
    return {
        "products": [_product_document(product) for product in catalogue.products.values()],
        "bought_with": {
            base: [[companion.product_id, companion.rate] for companion in companions]
            for base, companions in catalogue.bought_with.items()
        },
        "best_sellers": list(catalogue.best_sellers),
    }


def from_document(document: Mapping[str, Any]) -> Catalogue:
    """What `to_document` wrote."""
    products = [_product(fields) for fields in document["products"]]
    return Catalogue(
        products={product.product_id: product for product in products},
        bought_with={
            base: tuple(Companion(product_id, rate) for product_id, rate in companions)
            for base, companions in document["bought_with"].items()
        },
        best_sellers=tuple(document["best_sellers"]),
    )


def _product_document(product: Product) -> dict[str, Any]:
    known = {name: value for name, value in asdict(product).items() if value is not None}
    if product.first_seen_at:
        known["first_seen_at"] = to_iso(product.first_seen_at)
    return known


def _product(fields: Mapping[str, Any]) -> Product:
    at = fields.get("first_seen_at")
    return Product(**{**fields, "first_seen_at": from_iso(at) if at else None})
