"""Whom we texted at a number, so that an answer from it finds them: table `deliveries`.

    pk {tenant}#number#{digest}     sk {customer_id}      answered_on: the day an opt-out of theirs was confirmed
    pk {tenant}#{customer_id}       sk number#{digest}    names the first (`also_…`), so that an erasure takes both

The number itself is not kept: `digest` is keyed. Two write units a text, which costs five thousand times as much.
"""

from __future__ import annotations

from datetime import date
from typing import Any, Protocol

from shared.core.aws import domain_errors
from shared.core.ids import CustomerId, TenantId, keyed_digest
from shared.core.keys import KeyRing


class TextedStore(Protocol):
    """Who was texted where. Every method may raise UnavailableError and be called again."""

    def note(self, tenant: TenantId, number: str, customer: CustomerId) -> None:
        """They are about to be texted there."""
        ...

    def people(self, tenant: TenantId, number: str) -> list[CustomerId]:
        """Everybody who was: a family may share a number."""
        ...

    def answer(self, tenant: TenantId, number: str, customer: CustomerId, on: date) -> bool:
        """May they be answered on this day? Once; never where nobody was texted."""
        ...


def number_digest(tenant: TenantId, number: str, keys: KeyRing) -> str:
    """What stands for a telephone number (E.164)."""
    return keyed_digest(keys.personal, tenant, "texted", number)


class MemoryTexted:
    """In memory, for tests."""

    def __init__(self) -> None:
        self._rows: dict[tuple[TenantId, str], set[CustomerId]] = {}
        self._answered: set[tuple[TenantId, str, CustomerId, date]] = set()

    def note(self, tenant: TenantId, number: str, customer: CustomerId) -> None:
        """See TextedStore."""
        self._rows.setdefault((tenant, number), set()).add(customer)

    def people(self, tenant: TenantId, number: str) -> list[CustomerId]:
        """See TextedStore."""
        return sorted(self._rows.get((tenant, number), ()))

    def answer(self, tenant: TenantId, number: str, customer: CustomerId, on: date) -> bool:
        """See TextedStore."""
        this = (tenant, number, customer, on)
        first = customer in self.people(tenant, number) and this not in self._answered
        self._answered |= {this} if first else set()
        return first


class DynamoTexted:
    """In DynamoDB. `number` is always the digest."""

    def __init__(self, table: str, client: Any) -> None:
        self._table = table
        self._client = client

    def note(self, tenant: TenantId, number: str, customer: CustomerId) -> None:
        """See TextedStore. The person's own row first: what an erasure would not find is never written."""
        found = {"pk": {"S": f"{tenant}#number#{number}"}, "sk": {"S": customer}}
        theirs = {"pk": {"S": f"{tenant}#{customer}"}, "sk": {"S": f"number#{number}"}}
        with domain_errors("note who is texted"):
            also = {"also_pk": found["pk"], "also_sk": found["sk"]}
            self._client.put_item(TableName=self._table, Item={**theirs, **also})
            self._client.put_item(TableName=self._table, Item=found)

    def people(self, tenant: TenantId, number: str) -> list[CustomerId]:
        """See TextedStore."""
        with domain_errors("find who was texted"):
            answer = self._client.query(
                TableName=self._table,
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": {"S": f"{tenant}#number#{number}"}},
                ConsistentRead=True,
            )
        return sorted(CustomerId(item["sk"]["S"]) for item in answer["Items"])

    def answer(self, tenant: TenantId, number: str, customer: CustomerId, on: date) -> bool:
        """See TextedStore."""
        not_today = "attribute_exists(pk) AND (attribute_not_exists(answered_on) OR answered_on < :on)"
        with domain_errors("note who is answered"):
            try:
                self._client.update_item(
                    TableName=self._table,
                    Key={"pk": {"S": f"{tenant}#number#{number}"}, "sk": {"S": customer}},
                    UpdateExpression="SET answered_on = :on",
                    ConditionExpression=not_today,
                    ExpressionAttributeValues={":on": {"S": on.isoformat()}},
                )
            except self._client.exceptions.ConditionalCheckFailedException:
                return False
        return True
