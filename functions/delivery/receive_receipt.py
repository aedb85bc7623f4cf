"""SMS receipts from the queue: kept once, sends in doubt settled. What is not ours ends in the dead-letter queue."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from shared.core.aws import client
from shared.core.clock import SystemClock
from shared.core.settings import load
from shared.delivery.feedback import FeedbackDeps
from shared.delivery.receipts import receive_receipt
from shared.delivery.store import DynamoLedgerStore
from shared.ingest.oversize import NoOversize
from shared.ingest.store import DynamoEventStore


@dataclass(frozen=True)
class Settings:
    """Environment of this function."""

    deliveries_table: str
    events_table: str


@cache
def _dependencies() -> FeedbackDeps:
    settings, dynamodb = load(Settings), client("dynamodb")
    events = DynamoEventStore(dynamodb, settings.events_table, NoOversize())
    return FeedbackDeps(events, DynamoLedgerStore(settings.deliveries_table, dynamodb))


def handler(event: dict[str, Any], context: Any, deps: FeedbackDeps | None = None) -> PartialItemFailureResponse:
    """One SQS batch; only the records that failed come back."""
    now, ports = SystemClock().now(), deps or _dependencies()

    def one(record: SQSRecord) -> None:
        receive_receipt(record.body, ports, now)

    processor = BatchProcessor(event_type=EventType.SQS, raise_on_entire_batch_failure=False)
    return process_partial_response(event=event, record_handler=one, processor=processor, context=context)
