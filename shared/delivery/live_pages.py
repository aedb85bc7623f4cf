"""The ports of the pages behind a person's own links, in a deployment: tables, keys, the shop's settings."""

from __future__ import annotations

from shared.core.aws import client
from shared.core.keys import load_key_ring
from shared.core.shop import load_shop
from shared.customers.store import CustomerStore
from shared.delivery.unsubscribe import UnsubscribeDeps
from shared.ingest.oversize import NoOversize
from shared.ingest.store import DynamoEventStore


def live_pages(customers_table: str, events_table: str, keys_secret: str, prefix: str) -> UnsubscribeDeps:
    """Built once per worker. What a page writes is small: it needs no bucket for large bodies."""
    return UnsubscribeDeps(
        keys=lambda: load_key_ring(keys_secret),
        read_shop=lambda tenant: load_shop(prefix, tenant),
        customers=CustomerStore(customers_table),
        events=DynamoEventStore(client("dynamodb"), events_table, NoOversize()),
    )
