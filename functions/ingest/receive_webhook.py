"""POST /v1/hooks/{connection}: a cart's webhook, kept once and answered at once."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache, partial
from typing import Any

from shared.core.aws import client
from shared.core.clock import SystemClock
from shared.core.settings import load
from shared.core.telemetry import tell
from shared.ingest.connections import SsmConnections
from shared.ingest.oversize import S3Oversize
from shared.ingest.pull.follow_up import SqsQueue, follow_up
from shared.ingest.receive import ReceiveDeps, receive_http
from shared.ingest.store import DynamoEventStore


@dataclass(frozen=True)
class Settings:
    """Environment of this function."""

    events_table: str
    work_bucket: str
    prefix: str
    read_back_queue: str


@cache
def _dependencies() -> ReceiveDeps:
    settings = load(Settings)
    oversize = S3Oversize(client("s3"), settings.work_bucket)
    return ReceiveDeps(
        connections=SsmConnections(client("ssm"), settings.prefix),
        store=DynamoEventStore(client("dynamodb"), settings.events_table, oversize),
        count=partial(tell, "ingest"),
        follow_up=follow_up(SqsQueue(lambda: client("sqs"), settings.read_back_queue)),
    )


def handler(event: dict[str, Any], _context: object, deps: ReceiveDeps | None = None) -> dict[str, Any]:
    """Answer one request of the function's own address or of the API (payload 2.0 both)."""
    return receive_http(event, deps or _dependencies(), SystemClock().now())
