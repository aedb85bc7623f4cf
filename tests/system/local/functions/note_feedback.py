"""Note SES events that arrived over the rule and the queue."""

import json
import os
from typing import Any

import boto3


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """One row per event type and message."""
    table = boto3.client("dynamodb")
    for record in event["Records"]:
        detail = json.loads(record["body"])["detail"]
        key = f"mail#{detail['eventType']}#{detail['mail']['messageId']}"
        table.put_item(TableName=os.environ["TABLE"], Item={"pk": {"S": key}, "detail": {"S": json.dumps(detail)}})
    return {"batchItemFailures": []}
