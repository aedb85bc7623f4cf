"""SMS receipts and replies from the queue: kept once, opt-outs in force. Not ours: to the dead-letter queue."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from shared.core.aws import SINGLE_ATTEMPT, client
from shared.core.batches import QUEUE, each_record
from shared.core.clock import SystemClock
from shared.core.settings import load
from shared.core.shop import list_shop_ids
from shared.delivery.feedback import FeedbackDeps
from shared.delivery.live_pages import live_pages
from shared.delivery.receipts import ReceiptDeps, receive
from shared.delivery.replies.confirm import Confirmation
from shared.delivery.replies.receive import ReplyDeps
from shared.delivery.replies.store import DynamoTexted
from shared.delivery.spend.store import DynamoSpend
from shared.delivery.store import DynamoLedgerStore


@dataclass(frozen=True)
class Settings:
    """Environment of this function."""

    deliveries_table: str
    events_table: str
    customers_table: str
    keys_secret: str
    prefix: str


@cache
def _dependencies() -> ReceiptDeps:
    at, dynamodb = load(Settings), client("dynamodb")
    pages = live_pages(at.customers_table, at.events_table, at.keys_secret, at.prefix)
    feedback = FeedbackDeps(pages.events, DynamoLedgerStore(at.deliveries_table, dynamodb))
    texted = DynamoTexted(at.deliveries_table, dynamodb)
    spend = DynamoSpend(at.deliveries_table)
    confirmation = Confirmation(texted, spend, client("pinpoint-sms-voice-v2", SINGLE_ATTEMPT))
    return ReceiptDeps(feedback, ReplyDeps(texted, pages, confirmation, lambda: list_shop_ids(at.prefix)))


def handler(event: dict[str, Any], context: Any, deps: ReceiptDeps | None = None) -> PartialItemFailureResponse:
    """One SQS batch; only the records that failed come back."""
    now, ports = SystemClock().now(), deps or _dependencies()

    def one(record: SQSRecord) -> None:
        receive(record.body, ports, now)

    return each_record("delivery", QUEUE, event, context, one)
