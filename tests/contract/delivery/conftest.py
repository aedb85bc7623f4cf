"""The providers behind each channel, set up once where that costs."""

from __future__ import annotations

from collections.abc import Iterator
from ssl import PROTOCOL_TLS_SERVER, SSLContext
from typing import Any

import boto3
import pytest
import trustme

from infra.local.process import internal
from infra.local.session import LocalSession
from infra.local.stand_ins.endpoint import EndpointStandIn
from infra.local.stand_ins.line import LineStandIn
from tests.contract.delivery.providers import (
    BUCKET,
    SECRET,
    CallEndpoint,
    LocalCall,
    LocalEndpoint,
    LocalLine,
    LocalPostal,
    LocalSes,
    LocalSms,
    NotifyEndpoint,
)


@pytest.fixture
def local_ses(cloud: LocalSession) -> Iterator[LocalSes]:
    client: Any = cloud.client("sesv2")
    names = client.list_configuration_sets()["ConfigurationSets"]
    if "contract" not in names:
        client.create_configuration_set(ConfigurationSetName="contract")
    known = [found["IdentityName"] for found in client.list_email_identities()["EmailIdentities"]]
    if "shop.example.jp" not in known:
        client.create_email_identity(EmailIdentity="shop.example.jp")
    found = LocalSes(cloud)
    yield found
    found.sandbox(False)
    internal(cloud.emulator, "DELETE", "/_matakite/faults")
    internal(cloud.emulator, "POST", "/_matakite/ses", {"sending_paused": False})


@pytest.fixture
def local_sms(cloud: LocalSession) -> Iterator[LocalSms]:
    yield LocalSms(cloud)
    internal(cloud.emulator, "DELETE", "/_matakite/faults")


@pytest.fixture
def local_line() -> Iterator[LocalLine]:
    with LineStandIn() as line:
        yield LocalLine(line)


@pytest.fixture(scope="session")
def ledger_table(cloud: boto3.Session) -> str:
    client: Any = cloud.client("dynamodb")
    names = ("pk", "sk", "unresolved_key", "unresolved_since")
    client.create_table(
        TableName="deliveries",
        KeySchema=[{"AttributeName": "pk", "KeyType": "HASH"}, {"AttributeName": "sk", "KeyType": "RANGE"}],
        AttributeDefinitions=[{"AttributeName": name, "AttributeType": "S"} for name in names],
        GlobalSecondaryIndexes=[
            {
                "IndexName": "unresolved",
                "KeySchema": [
                    {"AttributeName": "unresolved_key", "KeyType": "HASH"},
                    {"AttributeName": "unresolved_since", "KeyType": "RANGE"},
                ],
                "Projection": {"ProjectionType": "ALL"},
            }
        ],
        BillingMode="PAY_PER_REQUEST",
    )
    return "deliveries"


@pytest.fixture
def work_bucket(cloud: LocalSession) -> Iterator[None]:
    client: Any = cloud.client("s3")
    if BUCKET not in [found["Name"] for found in client.list_buckets()["Buckets"]]:
        client.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": "ap-northeast-1"})
    yield
    internal(cloud.emulator, "DELETE", "/_matakite/faults")


@pytest.fixture
def local_postal(cloud: LocalSession, work_bucket: None) -> LocalPostal:
    return LocalPostal(cloud)


@pytest.fixture
def local_call(cloud: LocalSession, work_bucket: None) -> LocalCall:
    return LocalCall(cloud)


@pytest.fixture(scope="session")
def authority() -> trustme.CA:
    """Who certifies the endpoint of the tests."""
    return trustme.CA()


@pytest.fixture
def endpoint(authority: trustme.CA) -> Iterator[EndpointStandIn]:
    context = SSLContext(PROTOCOL_TLS_SERVER)
    authority.issue_cert("hooks.shop.example.jp").configure_cert(context)
    with EndpointStandIn(SECRET, context) as found:
        yield found


@pytest.fixture
def local_webhook(endpoint: EndpointStandIn, authority: trustme.CA) -> LocalEndpoint:
    return LocalEndpoint(endpoint, authority)


@pytest.fixture
def call_endpoint(endpoint: EndpointStandIn, authority: trustme.CA) -> CallEndpoint:
    return CallEndpoint(endpoint, authority)


@pytest.fixture
def notify_endpoint(endpoint: EndpointStandIn, authority: trustme.CA) -> NotifyEndpoint:
    return NotifyEndpoint(endpoint, authority)
