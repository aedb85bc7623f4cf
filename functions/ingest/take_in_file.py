"""Files put into the inbox bucket, from the queue: read, handed to the import machine, reported beside the file."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse
from aws_lambda_powertools.utilities.data_classes.sqs_event import SQSRecord

from shared.core.batches import QUEUE, each_record
from shared.core.clock import SystemClock
from shared.core.settings import load
from shared.ingest.files.inbox import InboxPorts, take_in


@dataclass(frozen=True)
class Settings:
    """Environment of this function."""

    inbox_bucket: str
    work_bucket: str
    import_machine: str
    keys_secret: str
    prefix: str


@cache
def _dependencies() -> InboxPorts:
    return InboxPorts.live(**asdict(load(Settings)))


def handler(event: dict[str, Any], context: Any, deps: InboxPorts | None = None) -> PartialItemFailureResponse:
    """One SQS batch; only what is worth another try comes back."""
    now, ports = SystemClock().now(), deps or _dependencies()

    def one(record: SQSRecord) -> None:
        take_in(record.body, ports, now)

    return each_record("ingest", QUEUE, event, context, one)
