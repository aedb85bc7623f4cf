"""SES's events from the queue: kept once, ambiguous sends settled. What is not ours ends in the dead-letter queue."""

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
from shared.delivery.breaker import Breaker
from shared.delivery.feedback import FeedbackDeps, receive
from shared.delivery.pace.store import DynamoPaceStore
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
    breaker = Breaker(DynamoPaceStore(settings.deliveries_table, dynamodb))
    return FeedbackDeps(events, DynamoLedgerStore(settings.deliveries_table, dynamodb), breaker)


def handler(event: dict[str, Any], context: Any, deps: FeedbackDeps | None = None) -> PartialItemFailureResponse:
    """One SQS batch; only the records that failed come back."""
    now, ports = SystemClock().now(), deps or _dependencies()

    def one(record: SQSRecord) -> None:
        receive(record.body, ports, now)

    answer = each_record("delivery", QUEUE, event, context, one)
    if ports.breaker:
        ports.breaker.judge_all(now)
    return answer
