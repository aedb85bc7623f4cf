"""The reports table: small results kept ready for widgets, which never run a query (ウィジェット用集計).

pk `{tenant}#{report}`, sk the day (`2026-11-21`), `document` JSON. The only file that knows its keys.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from datetime import date
from typing import Any, Protocol

from shared.core.aws import client, domain_errors
from shared.core.ids import TenantId

Document = Mapping[str, Any]

MODEL_AUDIT = "model_audit"
"""Which prediction is used, why, and how good it was (`modelling.py`)."""

_AFTER_EVERY_DAY = "9999"


class Reports(Protocol):
    """Where reports are kept, one per shop, name and day."""

    def put(self, tenant: TenantId, name: str, on: date, document: Document) -> None:
        """Keep a report, replacing that day's."""
        ...

    def get(self, tenant: TenantId, name: str, on: date) -> dict[str, Any] | None:
        """The report of a day."""
        ...

    def latest(
        self, tenant: TenantId, name: str, limit: int = 1, *, before: date | None = None
    ) -> list[tuple[date, dict[str, Any]]]:
        """The newest reports (of days before `before`) with their days, newest first."""
        ...


class ReportStore:
    """The reports table."""

    def __init__(self, table: str, given: Any = None) -> None:
        self._table = table
        self._given = given

    @property
    def _client(self) -> Any:
        return self._given or client("dynamodb")

    def put(self, tenant: TenantId, name: str, on: date, document: Document) -> None:
        """Keep a report, replacing that day's."""
        item = {**_key(tenant, name, on), "document": {"S": _dump(document)}}
        with domain_errors("keep a report"):
            self._client.put_item(TableName=self._table, Item=item)

    def get(self, tenant: TenantId, name: str, on: date) -> dict[str, Any] | None:
        """The report of a day."""
        with domain_errors("read a report"):
            answer = self._client.get_item(TableName=self._table, Key=_key(tenant, name, on), ConsistentRead=True)
        return _document(answer["Item"]) if "Item" in answer else None

    def latest(
        self, tenant: TenantId, name: str, limit: int = 1, *, before: date | None = None
    ) -> list[tuple[date, dict[str, Any]]]:
        """The newest reports (of days before `before`) with their days, newest first."""
        with domain_errors("read reports"):
            items = self._client.query(
                TableName=self._table,
                KeyConditionExpression="pk = :pk AND sk < :before",
                ExpressionAttributeValues={
                    ":pk": {"S": _partition(tenant, name)},
                    ":before": {"S": before.isoformat() if before else _AFTER_EVERY_DAY},
                },
                ScanIndexForward=False,
                Limit=limit,
                ConsistentRead=True,
            )["Items"]
        return [(date.fromisoformat(item["sk"]["S"]), _document(item)) for item in items]


class MemoryReportStore:
    """Reports in a dict."""

    def __init__(self) -> None:
        self.documents: dict[tuple[str, date], str] = {}

    def put(self, tenant: TenantId, name: str, on: date, document: Document) -> None:
        """Keep a report, replacing that day's."""
        self.documents[_partition(tenant, name), on] = _dump(document)

    def get(self, tenant: TenantId, name: str, on: date) -> dict[str, Any] | None:
        """The report of a day."""
        text = self.documents.get((_partition(tenant, name), on))
        return _load(text) if text is not None else None

    def latest(
        self, tenant: TenantId, name: str, limit: int = 1, *, before: date | None = None
    ) -> list[tuple[date, dict[str, Any]]]:
        """The newest reports (of days before `before`) with their days, newest first."""
        partition = _partition(tenant, name)
        days = sorted(
            (on for of, on in self.documents if of == partition and (before is None or on < before)), reverse=True
        )
        return [(on, _load(self.documents[partition, on])) for on in days[:limit]]


def _partition(tenant: TenantId, name: str) -> str:
    return f"{tenant}#{name}"


def _key(tenant: TenantId, name: str, on: date) -> dict[str, Any]:
    return {"pk": {"S": _partition(tenant, name)}, "sk": {"S": on.isoformat()}}


def _dump(document: Document) -> str:
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"), sort_keys=True)


def _load(text: str) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(text)
    return document


def _document(item: Mapping[str, Any]) -> dict[str, Any]:
    return _load(item["document"]["S"])
