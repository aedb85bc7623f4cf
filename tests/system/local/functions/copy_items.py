"""Copy stream records to a second table; records whose id begins with poison always fail."""

import os
from typing import Any

import boto3


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Copy in order and stop at the first failure, as a stream consumer must."""
    table = boto3.client("dynamodb")
    for record in event["Records"]:
        pk = record["dynamodb"]["Keys"]["pk"]["S"]
        if pk.startswith("crash"):
            raise RuntimeError(f"cannot handle {pk}")
        if pk.startswith("poison"):
            return {"batchItemFailures": [{"itemIdentifier": record["dynamodb"]["SequenceNumber"]}]}
        table.put_item(TableName=os.environ["TABLE"], Item={"pk": {"S": pk}})
    return {"batchItemFailures": []}
