"""Products, and variants that come in or run out."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from urllib.parse import quote

from shared.ingest import body as read
from shared.ingest.body import Body
from shared.ingest.derive import event
from shared.ingest.model import Envelope, Event, EventType, ProductFacts
from shared.ingest.sources.shopify.fields import GID


def product_changed(envelope: Envelope, body: Body) -> Sequence[Event]:
    """A product with the lowest price and the stock of its variants; a draft or archived one is not for sale."""
    facts = ProductFacts(
        product_id=read.required(read.identifier(body, gid=GID), "id"),
        title=read.text(body, "title") or "",
        category=read.text(body, "product_type") or _category(body),
        price=min(
            (price for each in read.items(body, "variants") if (price := _price(each)) is not None), default=None
        ),
        stock=_stock(read.items(body, "variants")),
        url=_product_url(envelope.store, body),
        image_url=_image(body),
        deleted=read.word(body, "status") in {"archived", "draft"},
    )
    return (event(envelope, EventType.PRODUCT_UPDATED, facts, version=read.time(body, "updated_at")),)


def _category(body: Body) -> str | None:
    """Shopify's own taxonomy, where the shop gave no type of its own."""
    category = body.get("category")
    return read.text(category, "full_name") if isinstance(category, dict) else None


def _price(variant: Body) -> int | None:
    """Minor units by the decimals as written: the body says no currency, and JPY is written without any."""
    price = read.number(variant, "price")
    if price is None:
        return None
    return max(0, int(price) if price == price.to_integral_value() and "." not in str(price) else int(price * 100))


def _stock(variants: Sequence[Body]) -> int | None:
    """Pieces over all variants that Shopify counts; it sells on below zero where the shop allows it."""
    counted = [
        read.number(each, "inventory_quantity") or Decimal(0)
        for each in variants
        if each.get("inventory_quantity") is not None and each.get("inventory_management", "shopify") is not None
    ]
    return max(0, int(sum(counted))) if counted else None


def _product_url(store: str, body: Body) -> str | None:
    handle = read.text(body, "handle")
    return f"https://{store}/products/{quote(handle)}" if handle else None


def _image(body: Body) -> str | None:
    image = body.get("image")
    pictures = [image] if isinstance(image, dict) else read.items(body, "images")
    return next((found for each in pictures if (found := read.web_address(each, "src"))), None)


def product_deleted(envelope: Envelope, body: Body) -> Sequence[Event]:
    """A product is gone from the shop."""
    product_id = read.required(read.identifier(body, gid=GID), "id")
    return (event(envelope, EventType.PRODUCT_UPDATED, ProductFacts(product_id=product_id, title="", deleted=True)),)


def variant_changed(envelope: Envelope, body: Body) -> Sequence[Event]:
    """One variant is back in stock (再入荷) or sold out."""
    facts = ProductFacts(
        product_id=read.required(read.identifier(body, "product_id"), "product_id"),
        variant_id=read.required(read.identifier(body, gid=GID), "id"),
        title="",
        price=_price(body),
        stock=_stock((body,)) if envelope.topic == "variants/in_stock" else 0,
    )
    return (event(envelope, EventType.PRODUCT_UPDATED, facts, version=read.time(body, "updated_at")),)
