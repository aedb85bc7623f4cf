"""GET|HEAD|POST /v1/subscribe/{key}, POST /v1/subscribe: signing up for a shop's mail, first step."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from shared.core.aws import client
from shared.core.clock import SystemClock
from shared.core.settings import load
from shared.customers.store import CustomerStore
from shared.delivery.live import live_send_deps
from shared.delivery.sign_up import SignUpDeps, sign_up_http
from shared.ingest.connections import SsmConnections
from shared.ingest.oversize import NoOversize
from shared.ingest.store import DynamoEventStore


@dataclass(frozen=True)
class Settings:
    """Environment of this function."""

    customers_table: str
    deliveries_table: str
    events_table: str
    configuration_set: str
    keys_secret: str
    prefix: str


@cache
def _dependencies() -> SignUpDeps:
    at = load(Settings)
    people = CustomerStore(at.customers_table)
    return SignUpDeps(
        connections=SsmConnections(client("ssm"), at.prefix),
        customers=people,
        events=DynamoEventStore(client("dynamodb"), at.events_table, NoOversize()),
        send=live_send_deps(at.deliveries_table, people, at.keys_secret, at.configuration_set, at.prefix),
    )


def handler(event: dict[str, Any], _context: object, deps: SignUpDeps | None = None) -> dict[str, Any]:
    """Answer one API Gateway HTTP API request (payload 2.0)."""
    return sign_up_http(event, deps or _dependencies(), SystemClock().now())
