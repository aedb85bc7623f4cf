"""GET|HEAD|POST /v1/preferences/{token}: what a person wants to hear, and how often. Only POST acts."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from shared.core.aws import client
from shared.core.clock import SystemClock
from shared.core.keys import load_key_ring
from shared.core.settings import load
from shared.core.shop import load_shop
from shared.customers.store import CustomerStore
from shared.delivery.preference_centre import answer_http
from shared.delivery.unsubscribe import UnsubscribeDeps
from shared.ingest.oversize import NoOversize
from shared.ingest.store import DynamoEventStore


@dataclass(frozen=True)
class Settings:
    """Environment of this function."""

    customers_table: str
    events_table: str
    keys_secret: str
    prefix: str


@cache
def _dependencies() -> UnsubscribeDeps:
    settings = load(Settings)
    return UnsubscribeDeps(
        keys=lambda: load_key_ring(settings.keys_secret),
        read_shop=lambda tenant: load_shop(settings.prefix, tenant),
        customers=CustomerStore(settings.customers_table),
        events=DynamoEventStore(client("dynamodb"), settings.events_table, NoOversize()),
    )


def handler(event: dict[str, Any], _context: object, deps: UnsubscribeDeps | None = None) -> dict[str, Any]:
    """Answer one API Gateway HTTP API request (payload 2.0)."""
    return answer_http(event, deps or _dependencies(), SystemClock().now())
