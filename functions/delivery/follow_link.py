"""GET|HEAD /v1/c/{token}: a link of a message on LINE or by SMS; leads on to where that message said, and notes it."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from shared.core.aws import client
from shared.core.clock import SystemClock
from shared.core.keys import load_key_ring
from shared.core.settings import load
from shared.delivery.links.clicks import ClickDeps, answer_http
from shared.delivery.links.store import DynamoLinks
from shared.delivery.store import DynamoLedgerStore
from shared.ingest.oversize import NoOversize
from shared.ingest.store import DynamoEventStore


@dataclass(frozen=True)
class Settings:
    """Environment of this function."""

    deliveries_table: str
    events_table: str
    keys_secret: str


@cache
def _dependencies() -> ClickDeps:
    settings, dynamodb = load(Settings), client("dynamodb")
    return ClickDeps(
        keys=lambda: load_key_ring(settings.keys_secret),
        links=DynamoLinks(settings.deliveries_table, dynamodb),
        ledger=DynamoLedgerStore(settings.deliveries_table, dynamodb),
        events=DynamoEventStore(dynamodb, settings.events_table, NoOversize()),
    )


def handler(event: dict[str, Any], _context: object, deps: ClickDeps | None = None) -> dict[str, Any]:
    """Answer one API Gateway HTTP API request (payload 2.0)."""
    return answer_http(event, deps or _dependencies(), SystemClock().now())
