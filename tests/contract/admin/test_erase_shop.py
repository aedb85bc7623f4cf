"""A whole shop is erased from the real tables and buckets; the shops beside it lose nothing, whatever their names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import boto3
import pytest

from shared.admin.store import Left, erase_shop
from shared.analytics.lake import S3Objects
from shared.core.ids import TenantId

GONE = TenantId("outbox")
"""A shop with the name of a folder, whose own folders must not be mistaken for those of others."""
STAYS = ("outbox-2", "a-shop", "x-outbox")
KINDS = ("profile", "order", "consent", "ref", "command", "consentlog", "suppressed", "")
FILES = ("outbox/{}/postal/c1/s1.json", "imports/{}/i1/chunk-00001.jsonl.gz", "inbox/{}/orders.csv",
         "order_states/tenant={}/changed_on=2026-11-01/a.parquet", "feeds/tenant={}/recommend.json.gz")  # fmt: skip


def rows(table: str, client: Any) -> set[tuple[str, str]]:
    items = client.scan(TableName=table, ConsistentRead=True)["Items"]
    return {(item["pk"]["S"].partition("#")[0], item.get("kind", {}).get("S", "")) for item in items}


@pytest.fixture
def tables(cloud: boto3.Session, make_table: Callable[[str], str]) -> list[str]:
    """One that holds persons, one that holds what happened."""
    client: Any = cloud.client("dynamodb")
    made = [make_table("erase-shop-customers"), make_table("erase-shop-events")]
    for table in made:
        for tenant in (GONE, *STAYS):
            for kind in KINDS:
                item = {"pk": {"S": f"{tenant}#{kind}"}, "sk": {"S": "1"}, **({"kind": {"S": kind}} if kind else {})}
                client.put_item(TableName=table, Item=item)
    return made


@pytest.fixture
def bucket(cloud: boto3.Session) -> S3Objects:
    client: Any = cloud.client("s3")
    client.create_bucket(Bucket="erase-shop", CreateBucketConfiguration={"LocationConstraint": "ap-northeast-1"})
    made = S3Objects("erase-shop", client)
    for tenant in (GONE, *STAYS):
        for file in FILES:
            made.put(file.format(tenant), b"somebody")
    return made


def test_everything_of_one_shop_goes_but_its_proofs_and_nothing_of_another(
    cloud: boto3.Session, tables: list[str], bucket: S3Objects
) -> None:
    client: Any = cloud.client("dynamodb")
    left = erase_shop(GONE, client, tables, [bucket])
    assert left == Left(rows=2 * (len(KINDS) - 3), objects=len(FILES), evidence=2, suppressions=2)
    for table in tables:
        kept = rows(table, client)
        assert {kind for tenant, kind in kept if tenant == GONE} == {"command", "consentlog", "suppressed"}
        assert {(tenant, kind) for tenant, kind in kept if tenant != GONE} == {(t, k) for t in STAYS for k in KINDS}
    assert {each.key for each in bucket.list("")} == {file.format(tenant) for tenant in STAYS for file in FILES}
    again = erase_shop(GONE, client, tables, [bucket])
    assert again == Left(rows=0, objects=0, evidence=2, suppressions=2), "repeating it is harmless"
