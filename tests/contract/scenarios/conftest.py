"""Enrolments in memory and in DynamoDB, in a table that the suites of this folder share."""

from __future__ import annotations

import itertools
from typing import Any

import boto3
import pytest

from shared.core.ids import TenantId
from shared.scenarios.store import DynamoEnrolmentStore, EnrolmentStore, MemoryEnrolmentStore

_tenants = itertools.count()


@pytest.fixture(scope="session")
def scenarios_table(cloud: boto3.Session) -> str:
    client: Any = cloud.client("dynamodb")
    names = ("pk", "sk", "due_key", "due_at", "customer_key")
    client.create_table(
        TableName="scenarios-contract",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in names],
        GlobalSecondaryIndexes=[
            index("due", "due_key", "due_at", "ALL"),
            index("by_customer", "customer_key", "pk", "KEYS_ONLY"),
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    return "scenarios-contract"


def index(name: str, partition: str, sort: str, projection: str) -> dict[str, Any]:
    """As the stateful stack makes it."""
    return {
        "IndexName": name,
        "KeySchema": [{"AttributeName": partition, "KeyType": "HASH"}, {"AttributeName": sort, "KeyType": "RANGE"}],
        "Projection": {"ProjectionType": projection},
    }


@pytest.fixture(params=["memory", "dynamodb"])
def store(request: pytest.FixtureRequest) -> EnrolmentStore:
    if request.param == "memory":
        return MemoryEnrolmentStore()
    cloud: boto3.Session = request.getfixturevalue("cloud")
    return DynamoEnrolmentStore(request.getfixturevalue("scenarios_table"), cloud.client("dynamodb"))


@pytest.fixture
def tenant() -> TenantId:
    """A shop of its own for every test: nothing is shared across tenants."""
    return TenantId(f"shop-{next(_tenants)}")
