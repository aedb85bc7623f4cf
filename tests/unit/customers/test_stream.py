"""The events stream as the function gets it: rows of the events table, in batches, with poison among them."""

from __future__ import annotations

import base64
import json
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from functions.customers.update_state import handler
from shared.core.errors import MisconfiguredError
from shared.core.ids import ConnectionId, TenantId
from shared.core.shop import Shop
from shared.customers.identity import address_ref, customer_ref
from shared.customers.store import MemoryCustomerStore
from shared.customers.stream import FoldDeps
from shared.ingest.adapter import Connection, Request
from shared.ingest.oversize import MemoryOversize
from shared.ingest.registry import adapter
from shared.ingest.store import encode_item
from tests.unit.customers.world import KEYS, SHOP, TENANT

SAMPLES = Path(__file__).parents[2] / "samples" / "shopify"
STORE = "sample-shop.myshopify.com"
NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)
CONNECTION = Connection(ConnectionId("abcdefghijklmnopqrstuvwxyz"), TENANT, "shopify", STORE, "secret")


def a_record(number: int, topic: str, body: Any) -> dict[str, Any]:
    """A stream record of a webhook that was put into the events table."""
    raw = body if isinstance(body, bytes) else json.dumps(body).encode()
    headers = {
        "x-shopify-topic": topic,
        "x-shopify-shop-domain": STORE,
        "x-shopify-webhook-id": f"webhook-{number:08}",
        "x-shopify-triggered-at": "2026-11-21T02:00:00Z",
    }
    (envelope,) = adapter("shopify").envelopes(Request(headers, raw), CONNECTION, NOW)
    item = encode_item(envelope, MemoryOversize(), "attempt")
    image = {name: {"B": base64.b64encode(v["B"]).decode()} if "B" in v else v for name, v in item.items()}
    return {"eventName": "INSERT", "dynamodb": {"SequenceNumber": str(number), "NewImage": image}}


@pytest.fixture
def deps() -> FoldDeps:
    return FoldDeps(MemoryCustomerStore(), MemoryOversize(), KEYS, lambda _tenant: SHOP)


AN_ORDER = {
    "id": 820982911946154508,
    "email": "taro@example.com",
    "created_at": "2026-11-21T01:00:00Z",
    "updated_at": "2026-11-21T01:00:00Z",
    "currency": "JPY",
    "total_price": "19800",
    "customer": {"id": 42, "email": "taro@example.com"},
    "line_items": [],
}


def test_a_webhook_becomes_a_person(deps: FoldDeps) -> None:
    batch = {"Records": [a_record(1, "orders/create", AN_ORDER), a_record(2, "orders/create", AN_ORDER)]}
    assert handler(batch, None, deps) == {"batchItemFailures": []}
    found = deps.store.resolve_ref(TENANT, customer_ref("shopify", STORE, "42"))
    assert found is not None
    assert found == deps.store.resolve_ref(TENANT, address_ref(TENANT, "taro@example.com", KEYS))
    state = deps.store.person(TENANT, found)
    assert state is not None
    assert (state.profile.summary.order_count, state.profile.summary.total_amount) == (1, 19800)


def test_every_sample_of_a_webhook_can_be_folded_in_any_batch(deps: FoldDeps) -> None:
    records = [
        a_record(number, file.stem.partition("@")[0].replace("-", "/", 1), json.loads(file.read_text()))
        for number, file in enumerate(sorted(SAMPLES.glob("*.json")))
    ]
    assert len(records) > 10
    assert handler({"Records": records}, None, deps) == {"batchItemFailures": []}
    assert handler({"Records": records[::-1]}, None, deps) == {"batchItemFailures": []}


def test_a_poison_record_is_named_and_the_others_count(deps: FoldDeps) -> None:
    poison = a_record(2, "orders/create", AN_ORDER)
    poison["dynamodb"]["NewImage"]["raw"] = {"B": base64.b64encode(b"not zlib").decode()}
    unreadable = a_record(3, "orders/create", {**AN_ORDER, "total_price": "free"})
    batch = {"Records": [poison, unreadable, a_record(4, "orders/create", AN_ORDER)]}
    assert handler(batch, None, deps) == {"batchItemFailures": [{"itemIdentifier": "2"}, {"itemIdentifier": "3"}]}
    assert deps.store.resolve_ref(TENANT, customer_ref("shopify", STORE, "42"))


def test_rows_that_expire_are_no_news(deps: FoldDeps) -> None:
    expired = {"eventName": "REMOVE", "dynamodb": {"SequenceNumber": "1", "OldImage": {}}}
    assert handler({"Records": [expired]}, None, deps) == {"batchItemFailures": []}


def test_a_shop_without_settings_holds_its_events_back(deps: FoldDeps) -> None:
    def no_shop(tenant: TenantId) -> Shop:
        raise MisconfiguredError(f"no settings of shop {tenant}")

    held = FoldDeps(deps.store, deps.oversize, KEYS, no_shop)
    failed = handler({"Records": [a_record(7, "orders/create", AN_ORDER)]}, None, held)
    assert failed == {"batchItemFailures": [{"itemIdentifier": "7"}]}


def test_the_function_starts_without_boto3_pandas_or_pyarrow() -> None:
    script = "import sys, functions.customers.update_state; print({'boto3', 'pandas', 'pyarrow'} & set(sys.modules))"
    root = Path(__file__).parents[3]
    done = subprocess.run([sys.executable, "-c", script], cwd=root, env={}, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "set()"
