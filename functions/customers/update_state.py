"""Events stream → customers table: who is who, and what they did, as known now."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from shared.core.aws import client
from shared.core.keys import load_key_ring
from shared.core.settings import load
from shared.core.shop import load_shop
from shared.customers.erasures import ErasureQueue
from shared.customers.remembered import Remembered
from shared.customers.store import CustomerStore
from shared.customers.stream import FoldDeps, fold_records
from shared.ingest.oversize import NoOversize, S3Oversize
from shared.ingest.store import DynamoEventStore


@dataclass(frozen=True)
class Settings:
    """Environment of this function."""

    customers_table: str
    events_table: str
    erasures_queue: str
    work_bucket: str
    keys_secret: str
    prefix: str


_remembered = cache(Remembered)


def _dependencies() -> FoldDeps:
    settings = load(Settings)
    return FoldDeps(
        store=CustomerStore(settings.customers_table),
        oversize=S3Oversize(client("s3"), settings.work_bucket),
        keys=load_key_ring(settings.keys_secret),
        shop_of=partial(load_shop, settings.prefix),
        erased=ErasureQueue(settings.erasures_queue).tell,
        forget=DynamoEventStore(client("dynamodb"), settings.events_table, NoOversize()).forget,
        remembered=_remembered(),
    )


def handler(event: dict[str, Any], _context: object, deps: FoldDeps | None = None) -> dict[str, Any]:
    """One batch of the stream; what fails is retried alone, then set aside."""
    failed = fold_records(event["Records"], deps or _dependencies())
    return {"batchItemFailures": [{"itemIdentifier": number} for number in failed]}
