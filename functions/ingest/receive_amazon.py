"""Amazon's order notices from the queue: kept once. What belongs to no connected seller ends with the dead letters."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from shared.core.aws import client
from shared.core.batches import QUEUE, each_record
from shared.core.clock import SystemClock
from shared.core.settings import load
from shared.ingest.connections import SsmConnections
from shared.ingest.notifications import NotificationDeps, receive_amazon
from shared.ingest.oversize import NoOversize
from shared.ingest.store import DynamoEventStore


@dataclass(frozen=True)
class Settings:
    """Environment of this function."""

    events_table: str
    prefix: str


@cache
def _dependencies() -> NotificationDeps:
    settings = load(Settings)
    # A message holds 256 KB at most: it always fits into its row.
    events = DynamoEventStore(client("dynamodb"), settings.events_table, NoOversize())
    return NotificationDeps(SsmConnections(client("ssm"), settings.prefix), events)


def handler(event: dict[str, Any], context: Any, deps: NotificationDeps | None = None) -> PartialItemFailureResponse:
    """One SQS batch; only the records that failed come back."""
    now, ports = SystemClock().now(), deps or _dependencies()

    def one(record: SQSRecord) -> None:
        receive_amazon(record.body, ports, now)

    return each_record("ingest", QUEUE, event, context, one)
