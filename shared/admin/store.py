"""ショップの削除: everything of a tenant, in every table and bucket; suppressions and the consent ledger stay.

Every key begins with the tenant (tables), or has it as a part of its path (buckets), so nothing needs to be known about
what a row or file holds. The settings and connections of the shop (SSM) are its own to delete: `matakite shop`.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from shared.analytics.lake import Objects
from shared.core.aws import domain_errors
from shared.core.ids import TenantId

EVIDENCE, SUPPRESSED, COMMAND = "consentlog", "suppressed", "command"


@dataclass(frozen=True, slots=True)
class Left:
    """What was deleted, and what stays."""

    rows: int
    objects: int
    evidence: int
    suppressions: int


def erase_shop(tenant: TenantId, dynamodb: Any, tables: Sequence[str], buckets: Sequence[Objects]) -> Left:
    """Delete a shop. Repeating it is harmless: what is gone is gone."""
    rows = 0
    kept = {EVIDENCE: 0, SUPPRESSED: 0, COMMAND: 0}
    for table in tables:
        for item in _of_shop(tenant, dynamodb, table):
            kind = item.get("kind", {}).get("S", "")
            if kind in kept:
                kept[kind] += 1
                continue
            with domain_errors("delete a row of a shop"):
                dynamodb.delete_item(TableName=table, Key={"pk": item["pk"], "sk": item["sk"]})
            rows += 1
    objects = sum(_erase_objects(tenant, bucket) for bucket in buckets)
    return Left(rows, objects, kept[EVIDENCE], kept[SUPPRESSED])


def _of_shop(tenant: TenantId, dynamodb: Any, table: str) -> list[dict[str, Any]]:
    pages = dynamodb.get_paginator("scan").paginate(
        TableName=table,
        FilterExpression="begins_with(pk, :shop)",
        ProjectionExpression="pk, sk, kind",
        ExpressionAttributeValues={":shop": {"S": f"{tenant}#"}},
    )
    with domain_errors("look for the rows of a shop"):
        return [item for page in pages for item in page["Items"]]


def _erase_objects(tenant: TenantId, bucket: Objects) -> int:
    """`<table>/tenant=<id>/…` of the lake, `<folder>/<id>/…` of the others: a shop may be called like a folder."""
    mine = re.compile(rf"[^/]+/(tenant=)?{re.escape(tenant)}/")
    keys = [each.key for each in bucket.list("") if mine.match(each.key)]
    bucket.delete(keys)
    return len(keys)
