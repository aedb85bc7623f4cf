"""Bodies and headers as Shopify sends them (Admin API 2026-04, format facts: shopify.dev webhooks reference).

Only the keys a receiver can rely on; ids are beyond 2^53 on purpose, money is text, JPY has no decimals.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

API_VERSION = "2026-04"
_FIRST_ID = 9_007_199_254_740_993


@dataclass(frozen=True, slots=True)
class Item:
    """A product in a cart."""

    number: int
    title: str
    price: int
    quantity: int = 1


@dataclass(frozen=True, slots=True)
class Buyer:
    """A person as Shopify knows them."""

    number: int
    email: str | None
    last_name: str
    first_name: str

    @property
    def customer_id(self) -> int:
        """Shopify's customer id."""
        return _FIRST_ID + self.number


def checkout(
    token: str, buyer: Buyer, items: Sequence[Item], at: datetime, shop: str, *, completed: datetime | None = None
) -> dict[str, Any]:
    """Body of checkouts/create and checkouts/update."""
    total = str(sum(item.price * item.quantity for item in items))
    return {
        "token": token,
        "cart_token": f"cart-{token}",
        "email": buyer.email or "",
        "buyer_accepts_marketing": False,
        "created_at": at.isoformat(),
        "updated_at": at.isoformat(),
        "completed_at": completed.isoformat() if completed else None,
        "currency": "JPY",
        "presentment_currency": "JPY",
        "customer_locale": "ja-JP",
        "phone": None,
        "line_items": [_checkout_line(item) for item in items],
        "abandoned_checkout_url": f"https://{shop}/100000001/checkouts/ac/{token}/recover?key=example",
        "total_price": total,
        "subtotal_price": total,
        "total_line_items_price": total,
        "total_discounts": "0",
        "shipping_address": {"first_name": buyer.first_name, "last_name": buyer.last_name, "country_code": "JP"},
        "customer": _customer(buyer) if buyer.email else None,
    }


def cart(token: str, items: Sequence[Item], at: datetime) -> dict[str, Any]:
    """Body of carts/create and carts/update: no person in it."""
    lines = [_checkout_line(item) | {"discounted_price": str(item.price), "properties": {}} for item in items]
    stamp = at.isoformat()
    return {"id": token, "token": token, "line_items": lines, "note": None, "updated_at": stamp, "created_at": stamp}


def order(number: int, token: str, buyer: Buyer, items: Sequence[Item], at: datetime) -> dict[str, Any]:
    """Body of orders/create, paid, updated, cancelled."""
    total = str(sum(item.price * item.quantity for item in items))
    money = {"shop_money": {"amount": total, "currency_code": "JPY"}}
    return {
        "id": _FIRST_ID + 1_000_000 + number,
        "admin_graphql_api_id": f"gid://shopify/Order/{_FIRST_ID + 1_000_000 + number}",
        "name": f"#{2000 + number}",
        "order_number": 2000 + number,
        "email": buyer.email or "",
        "contact_email": buyer.email,
        "created_at": at.isoformat(),
        "processed_at": at.isoformat(),
        "updated_at": at.isoformat(),
        "cancelled_at": None,
        "test": False,
        "currency": "JPY",
        "presentment_currency": "JPY",
        "financial_status": "paid",
        "total_price": total,
        "total_price_set": money | {"presentment_money": money["shop_money"]},
        "subtotal_price": total,
        "cart_token": f"cart-{token}",
        "checkout_token": token,
        "line_items": [_order_line(item) for item in items],
        "refunds": [],
        "customer": _customer(buyer),
    }


def email_consent(buyer: Buyer, *, granted: bool, at: datetime) -> dict[str, Any]:
    """Body of customers_email_marketing_consent/update."""
    return {
        "customer_id": buyer.customer_id,
        "email_address": buyer.email,
        "email_marketing_consent": {
            "state": "subscribed" if granted else "unsubscribed",
            "opt_in_level": "single_opt_in",
            "consent_updated_at": at.isoformat(),
        },
    }


def encode(body: dict[str, Any]) -> bytes:
    """The body's bytes, as they are signed."""
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


def headers(topic: str, body: bytes, secret: str, *, shop: str, webhook_id: str, at: datetime) -> dict[str, str]:
    """The request's headers, with the signature over the raw bytes."""
    signature = base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()
    return {
        "Content-Type": "application/json",
        "X-Shopify-Topic": topic,
        "X-Shopify-Hmac-SHA256": signature,
        "X-Shopify-Shop-Domain": shop,
        "X-Shopify-API-Version": API_VERSION,
        "X-Shopify-Webhook-Id": webhook_id,
        "X-Shopify-Event-Id": f"event-{webhook_id}",
        "X-Shopify-Triggered-At": at.isoformat().replace("+00:00", "Z"),
    }


def _customer(buyer: Buyer) -> dict[str, Any]:
    return {
        "id": buyer.customer_id,
        "admin_graphql_api_id": f"gid://shopify/Customer/{buyer.customer_id}",
        "email": buyer.email,
        "first_name": buyer.first_name,
        "last_name": buyer.last_name,
        "phone": None,
    }


def _checkout_line(item: Item) -> dict[str, Any]:
    return {
        "product_id": _FIRST_ID + 2_000_000 + item.number,
        "variant_id": _FIRST_ID + 3_000_000 + item.number,
        "title": item.title,
        "quantity": item.quantity,
        "price": str(item.price),
        "line_price": str(item.price * item.quantity),
        "sku": f"DEMO-{item.number:03}",
        "properties": None,
    }


def _order_line(item: Item) -> dict[str, Any]:
    money = {"shop_money": {"amount": str(item.price), "currency_code": "JPY"}}
    identity = {"id": _FIRST_ID + 4_000_000 + item.number, "price_set": money, "properties": []}
    return _checkout_line(item) | identity
