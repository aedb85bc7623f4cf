"""One batch of a distributed map: note every person in it."""

import os
from typing import Any

import boto3


def handler(event: dict[str, Any], context: Any) -> dict[str, Any]:
    """Write one row per person; ``fail`` is a person who raises."""
    table = boto3.client("dynamodb")
    for person in event["Items"]:
        if person == "fail":
            raise LookupError(person)
        table.put_item(TableName=os.environ["TABLE"], Item={"pk": {"S": f"worked#{person}"}})
    return {"done": len(event["Items"])}
