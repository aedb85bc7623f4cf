"""Persons the fold has erased, from its queue: their sends and places in scenarios go at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from shared.admin.erase import EraseDeps, erase_person
from shared.admin.live import erasing
from shared.core.aws import client
from shared.core.batches import QUEUE, each_record
from shared.core.settings import load
from shared.customers.erasures import read_message
from shared.delivery.tray import S3Tray


@dataclass(frozen=True)
class Settings:
    """Environment of this function."""

    customers_table: str
    deliveries_table: str
    scenarios_table: str
    work_bucket: str


@cache
def _dependencies() -> EraseDeps:
    at = load(Settings)
    tray = S3Tray(at.work_bucket, client("s3"))
    return erasing(client("dynamodb"), at.customers_table, at.deliveries_table, at.scenarios_table, tray)


def handler(event: dict[str, Any], context: Any, deps: EraseDeps | None = None) -> PartialItemFailureResponse:
    """One SQS batch; what fails comes back alone."""

    def one(record: SQSRecord) -> None:
        erase_person(*read_message(record.body), deps or _dependencies())

    return each_record("admin", QUEUE, event, context, one)
