"""POST /v1/customers/lookup: what the shop's own systems ask about customers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from shared.admin.lookup import LookupDeps, lookup_http
from shared.core.aws import client
from shared.core.clock import SystemClock
from shared.core.keys import load_key_ring
from shared.core.settings import load
from shared.customers.store import CustomerStore
from shared.ingest.connections import SsmConnections


@dataclass(frozen=True)
class Settings:
    """Environment of this function."""

    customers_table: str
    keys_secret: str
    prefix: str


@cache
def _dependencies() -> LookupDeps:
    settings = load(Settings)
    return LookupDeps(
        connections=SsmConnections(client("ssm"), settings.prefix),
        customers=CustomerStore(settings.customers_table),
        keys=lambda: load_key_ring(settings.keys_secret),
    )


def handler(event: dict[str, Any], _context: object, deps: LookupDeps | None = None) -> dict[str, Any]:
    """Answer one API Gateway HTTP API request (payload 2.0)."""
    return lookup_http(event, deps or _dependencies(), SystemClock().now())
