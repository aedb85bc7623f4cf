"""Store the posted body; used by the local cloud's own system test."""

import json
import os
import time
from typing import Any

import boto3


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Put one item and answer its id."""
    item_id = event["pathParameters"]["id"]
    print(json.dumps({"message": "received", "item": item_id}))
    emf = {"Namespace": "Tiny", "Dimensions": [["shop"]], "Metrics": [{"Name": "Received", "Unit": "Count"}]}
    at_milliseconds = int(time.time() * 1000)
    print(json.dumps({"_aws": {"Timestamp": at_milliseconds, "CloudWatchMetrics": [emf]}, "shop": "t1", "Received": 1}))
    table = boto3.client("dynamodb")
    table.put_item(TableName=os.environ["TABLE"], Item={"pk": {"S": item_id}, "body": {"S": event.get("body") or ""}})
    return {"statusCode": 202, "body": json.dumps({"id": item_id})}
