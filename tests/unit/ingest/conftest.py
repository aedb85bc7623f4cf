"""A connected Shopify store and requests as it would send them."""

from __future__ import annotations

import base64
import hashlib
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shared.core.ids import ConnectionId, TenantId
from shared.ingest.adapter import Connection, Request

SAMPLES = Path(__file__).parents[2] / "samples" / "shopify"
STORE = "sample-shop.myshopify.com"
SECRET = "sample-secret"
NOW = datetime(2026, 11, 21, 3, 0, tzinfo=UTC)


@dataclass(frozen=True)
class Sample:
    """A sample body and the topic it arrives with."""

    name: str
    topic: str
    body: dict[str, Any]


def samples() -> list[Sample]:
    """Every sample body."""
    found = []
    for file in sorted(SAMPLES.glob("*.json")):
        topic = file.stem.partition("@")[0].replace("-", "/")
        found.append(Sample(file.stem, topic, json.loads(file.read_text())))
    return found


def sample(name: str) -> Sample:
    """One sample body."""
    return next(found for found in samples() if found.name == name)


def sign(secret: str, body: bytes) -> str:
    """Written here once more, so that the adapter is not tested against itself."""
    return base64.b64encode(hmac.new(secret.encode(), body, hashlib.sha256).digest()).decode()


@pytest.fixture
def connection() -> Connection:
    return Connection(ConnectionId("abcdefghijklmnopqrstuvwxyz"), TenantId("sample"), "shopify", STORE, SECRET)


Asks = Callable[..., Request]


@pytest.fixture
def ask() -> Asks:
    """Makes a signed request of a topic and a body (object or bytes)."""

    def make(
        topic: str, body: Mapping[str, Any] | bytes, *, secret: str = SECRET, headers: Mapping[str, str] | None = None
    ) -> Request:
        raw = body if isinstance(body, bytes) else json.dumps(body, ensure_ascii=False).encode()
        given = {
            "content-type": "application/json",
            "x-shopify-topic": topic,
            "x-shopify-hmac-sha256": sign(secret, raw),
            "x-shopify-shop-domain": STORE,
            "x-shopify-api-version": "2026-04",
            "x-shopify-webhook-id": "00000000-0000-4000-8000-0000000000aa",
            "x-shopify-event-id": "00000000-0000-4000-8000-0000000000bb",
            "x-shopify-triggered-at": "2026-11-03T03:00:01.123456Z",
        }
        return Request({**given, **(headers or {})}, raw)

    return make
