"""CPU time of a warm webhook request beside a bare handler that verifies and puts one item, in one process, in turn.

Both verify the same signature over the same 9.7 KB order and put through botocore, whose HTTP answer is a fixed one:
the bare handler through a client as boto3 makes it, the function through the product's own. The bare handler stores
the body as it came.
"""

from __future__ import annotations

import base64
import gc
import hashlib
import hmac
import json
import sys
import time
from collections.abc import Callable
from contextlib import redirect_stdout
from datetime import UTC, datetime
from functools import partial
from io import StringIO
from pathlib import Path
from statistics import median
from typing import Any

import boto3
import pytest
from botocore.awsrequest import AWSResponse

from functions.ingest import receive_webhook
from shared.core import aws
from shared.core.ids import ConnectionId, TenantId
from shared.core.telemetry import tell
from shared.ingest.adapter import Connection
from shared.ingest.connections import MemoryConnections
from shared.ingest.oversize import MemoryOversize
from shared.ingest.receive import ReceiveDeps
from shared.ingest.store import DynamoEventStore

ENVIRONMENT = {
    "AWS_DEFAULT_REGION": "ap-northeast-1",
    "AWS_ACCESS_KEY_ID": "test",
    "AWS_SECRET_ACCESS_KEY": "test",
}
REQUESTS = 2_000
ROUND = 10
LIMIT = 1.5
SECRET = "sample-secret"
STORE = "example-shop.myshopify.com"
ORDER = Path(__file__).parents[1] / "samples" / "sized" / "shopify" / "orders_create.json"
CONNECTION = Connection(ConnectionId("abcdefghijklmnopqrstuvwxyz"), TenantId("mise"), "shopify", STORE, SECRET)


class _Answered:
    """The answer of DynamoDB to a put, without a network."""

    def stream(self) -> Any:
        yield b"{}"

    def read(self) -> bytes:
        return b"{}"


def answering(client: Any) -> Any:
    """A DynamoDB client whose requests are built, signed and answered, but not sent."""
    headers: Any = {"x-amz-crc32": "2745614147", "content-type": "application/x-amz-json-1.0"}
    client.meta.events.register(
        "before-send.dynamodb", lambda request, **_: AWSResponse(request.url, 200, headers, _Answered())
    )
    return client


def requests() -> list[dict[str, Any]]:
    """What API Gateway hands over: each a delivery of its own."""
    document = json.loads(ORDER.read_text(encoding="utf-8"))
    events = []
    for number in range(REQUESTS):
        document["id"] = 9_007_199_254_000_000 + number
        body = json.dumps(document, ensure_ascii=False, separators=(",", ":"))
        signature = base64.b64encode(hmac.new(SECRET.encode(), body.encode(), hashlib.sha256).digest()).decode()
        headers = {
            "content-type": "application/json",
            "x-shopify-topic": "orders/create",
            "x-shopify-shop-domain": STORE,
            "x-shopify-webhook-id": f"{number:08x}-0000-4000-8000-000000000000",
            "x-shopify-triggered-at": "2026-11-21T03:00:01.123456Z",
            "x-shopify-api-version": "2026-04",
            "x-shopify-hmac-sha256": signature,
        }
        events.append({"headers": headers, "body": body, "pathParameters": {"connection": CONNECTION.connection_id}})
    return events


def bare(client: Any) -> Callable[[dict[str, Any]], None]:
    """Verify and put one item, and nothing else."""

    def handle(event: dict[str, Any]) -> None:
        raw = event["body"].encode()
        made = base64.b64encode(hmac.new(SECRET.encode(), raw, hashlib.sha256).digest()).decode()
        assert hmac.compare_digest(made, event["headers"]["x-shopify-hmac-sha256"])
        item = {
            "pk": {"S": f"mise#{event['headers']['x-shopify-webhook-id']}"},
            "sk": {"S": event["headers"]["x-shopify-webhook-id"]},
            "received_at": {"S": datetime.now(UTC).isoformat()},
            "raw": {"B": raw},
        }
        client.put_item(TableName="events", Item=item, ConditionExpression="attribute_not_exists(pk)")

    return handle


def ours(client: Any) -> Callable[[dict[str, Any]], None]:
    """The function as deployed."""
    deps = ReceiveDeps(
        MemoryConnections(CONNECTION), DynamoEventStore(client, "events", MemoryOversize()), partial(tell, "ingest")
    )

    def handle(event: dict[str, Any]) -> None:
        answer = receive_webhook.handler(event, None, deps)
        assert answer["statusCode"] == 200, answer

    return handle


def milliseconds(handle: Callable[[dict[str, Any]], None], events: list[dict[str, Any]]) -> float:
    """CPU time of one request."""
    with redirect_stdout(StringIO()):  # metrics are lines of the log
        start = time.process_time()
        for event in events:
            handle(event)
        return (time.process_time() - start) / len(events) * 1000


def test_a_warm_webhook_takes_little_more_than_verifying_and_putting(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in ENVIRONMENT.items():
        monkeypatch.setenv(name, value)
    events = requests()
    handlers = bare(answering(boto3.client("dynamodb"))), ours(answering(aws.client.__wrapped__("dynamodb")))
    for handle in handlers:
        milliseconds(handle, events[:ROUND])
    gc.collect()
    rounds = [events[at : at + ROUND] for at in range(0, REQUESTS, ROUND)]
    pairs = [tuple(milliseconds(handle, some) for handle in handlers) for some in rounds]
    simple, full = (median(side) for side in zip(*pairs, strict=True))
    ratio = full / simple
    with capsys.disabled():
        sys.stdout.write(
            f"\nwarm CPU of a webhook over {REQUESTS} requests in {len(rounds)} pairs: receive_webhook {full:.2f} ms, "
            f"bare handler {simple:.2f} ms, ratio {ratio:.2f}\n"
        )
    assert ratio <= LIMIT
