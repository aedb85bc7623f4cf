"""The queue of read-backs: read at the shop what a thin webhook named."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from shared.core.batches import QUEUE, each_record
from shared.core.settings import load
from shared.core.telemetry import metrics
from shared.ingest.pull.live import Polls, live_polls


@dataclass(frozen=True)
class Settings:
    """Environment of this function."""

    prefix: str
    events_table: str
    pulls_table: str
    work_bucket: str


@cache
def _dependencies() -> Polls:
    return live_polls(**asdict(load(Settings)))


@metrics("ingest").log_metrics
def handler(event: dict[str, Any], context: Any, deps: Polls | None = None) -> PartialItemFailureResponse:
    """Read the thing of each message."""
    polls = deps or _dependencies()

    def one(record: SQSRecord) -> None:
        polls.read_back(record.body)

    return each_record("ingest", QUEUE, event, context, one)
