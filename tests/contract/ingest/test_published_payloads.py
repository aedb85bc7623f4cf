"""Bodies and vectors the vendor or others published, read where they lie beside this repository."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shared.core.ids import ConnectionId, TenantId
from shared.ingest.adapter import Connection, Request
from shared.ingest.model import EventType
from shared.ingest.sources.shopify import ADAPTER, TOPICS, signature

PAYLOADS = Path(__file__).parents[4] / "shared" / "payloads"
NOW = datetime(2026, 12, 1, tzinfo=UTC)
STORE = "example-shop.myshopify.com"
CONNECTION = Connection(ConnectionId("c"), TenantId("sample"), "shopify", STORE, "s")

pytestmark = pytest.mark.skipif(not PAYLOADS.exists(), reason=f"no published payloads at ../{PAYLOADS.parent.name}")

CASES = [
    ("own/orders_create_jp.json", "orders/create", [EventType.ORDER_PLACED]),
    ("own/refunds_create_jp.json", "refunds/create", [EventType.ORDER_REFUNDED]),
    ("own/carts_update_jp.json", "carts/update", [EventType.CART_UPDATED]),
    ("own/checkouts_update_jp.json", "checkouts/update", [EventType.CHECKOUT_UPDATED]),
    ("own/customers_update_jp.json", "customers/update", [EventType.CUSTOMER_UPDATED]),
    ("own/customers_merge_completed.json", "customers/merge", [EventType.CUSTOMERS_MERGED]),
    (
        "own/customers_email_marketing_consent_update.json",
        "customers_email_marketing_consent/update",
        [EventType.CONSENT_CHANGED],
    ),
    (
        "own/customers_marketing_consent_update_sms.json",
        "customers_marketing_consent/update",
        [EventType.CONSENT_CHANGED],
    ),
    ("own/customers_data_request.json", "customers/data_request", [EventType.PERSON_EXPORT_REQUESTED]),
    ("own/customers_redact.json", "customers/redact", [EventType.PERSON_ERASED]),
    ("own/shop_redact.json", "shop/redact", [EventType.SHOP_ERASED]),
    ("own/customer.tags_added.json", "customer.tags_added", [EventType.UNKNOWN]),
    ("own/variants_in_stock.json", "variants/in_stock", [EventType.UNKNOWN]),
    ("own/subscription_contracts_update_paused.json", "subscription_contracts/update", [EventType.UNKNOWN]),
    ("captured/customer_2022.json", "customers/update", [EventType.CUSTOMER_UPDATED]),
    ("rest/order.json", "orders/updated", [EventType.ORDER_UPDATED]),
    ("rest/refund.json", "refunds/create", [EventType.ORDER_REFUNDED]),
    ("rest/customer.json", "customers/update", [EventType.CUSTOMER_UPDATED]),
]


def body_of(file: str) -> dict[str, Any]:
    """The body as a webhook carries it: the REST files wrap it once more."""
    body: dict[str, Any] = json.loads((PAYLOADS / "shopify" / file).read_text())
    (inner,) = body.values() if len(body) == 1 else (body,)
    return inner if isinstance(inner, dict) else body


@pytest.mark.parametrize(("file", "topic", "says"), CASES, ids=lambda value: value if isinstance(value, str) else "")
def test_a_published_body_is_read(file: str, topic: str, says: list[EventType]) -> None:
    raw = json.dumps(body_of(file)).encode()
    headers = {
        "x-shopify-topic": topic,
        "x-shopify-shop-domain": STORE,
        "x-shopify-hmac-sha256": signature("s", raw).decode(),
    }
    request = Request(headers, raw)
    assert ADAPTER.verify(request, CONNECTION, NOW)
    (envelope,) = ADAPTER.envelopes(request, CONNECTION, NOW)
    assert [event.event_type for event in ADAPTER.events(envelope)] == says
    assert (topic in TOPICS) == (says != [EventType.UNKNOWN])


def test_every_shopify_vector_computes() -> None:
    vectors = json.loads((PAYLOADS / "signatures" / "vectors.json").read_text())
    ours = [vector for vector in vectors if vector["source"] == "shopify"]
    assert ours
    for vector in ours:
        assert signature(vector["key"], vector["body"].encode()).decode() == vector["signature"]
