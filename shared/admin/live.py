"""What an erasure works with where it is deployed."""

from __future__ import annotations

from functools import partial
from typing import Any

from shared.admin.erase import EraseDeps, SweepDeps
from shared.analytics.lake import S3Objects
from shared.core.aws import client
from shared.core.clock import SystemClock
from shared.core.keys import load_key_ring
from shared.core.shop import list_shop_ids
from shared.customers.store import CustomerStore
from shared.delivery.store import DynamoLedgerStore
from shared.delivery.tray import S3Tray, Tray
from shared.ingest.oversize import S3Oversize
from shared.ingest.store import DynamoEventStore
from shared.scenarios.store import DynamoEnrolmentStore


def live_sweep(
    *,
    customers_table: str,
    deliveries_table: str,
    scenarios_table: str,
    events_table: str,
    work_bucket: str,
    keys_secret: str,
    prefix: str,
) -> SweepDeps:
    """For a function: clients of its own, keys and shops from where it may read them."""
    dynamodb, s3 = client("dynamodb"), client("s3")
    return SweepDeps(
        erase=erasing(dynamodb, customers_table, deliveries_table, scenarios_table, S3Tray(work_bucket, s3)),
        events=DynamoEventStore(dynamodb, events_table, S3Oversize(s3, work_bucket)),
        work=S3Objects(work_bucket, s3),
        keys=load_key_ring(keys_secret),
        tenants=partial(list_shop_ids, prefix),
    )


def erasing(dynamodb: Any, customers: str, deliveries: str, scenarios: str, tray: Tray) -> EraseDeps:
    """The tables that a person is deleted from at once."""
    return EraseDeps(
        CustomerStore(customers, dynamodb),
        DynamoLedgerStore(deliveries, dynamodb),
        DynamoEnrolmentStore(scenarios, dynamodb),
        tray,
        SystemClock(),
    )
