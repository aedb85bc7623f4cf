"""The units of each month, and the sends that took some: what `budget.py` counts with."""

from __future__ import annotations

import threading
import uuid
from typing import Any, Protocol

from shared.core.aws import SINGLE_ATTEMPT, client, domain_errors
from shared.core.errors import UnavailableError
from shared.core.ids import TenantId
from shared.delivery.model import SendKey

_TRIES = 5
"""Attempts at a month that others take from; a lost one is somebody else's progress."""


class SpendStore(Protocol):
    """Counts the units of each month. Every method may raise UnavailableError."""

    def take(self, tenant: TenantId, account: str, least: int, most: int, cap: int | None) -> int:
        """Count what there is room for under the cap, at most `most`; 0 (and nothing counted) if less than `least`."""
        ...

    def count(self, tenant: TenantId, account: str, units: int) -> None:
        """Units that no cap holds back; fewer than none: they go back."""
        ...

    def used(self, tenant: TenantId, account: str) -> int:
        """Units taken so far."""
        ...

    def mark(self, key: SendKey) -> bool:
        """This send has its units from now on. False: it had them before, or its row is gone."""
        ...

    def unmark(self, key: SendKey) -> bool:
        """This send has none any more. False: it had none."""
        ...

    def is_marked(self, key: SendKey) -> bool:
        """Has this send its units?"""
        ...


class MemorySpend:
    """A month in memory, for tests and replay."""

    def __init__(self) -> None:
        self._used: dict[tuple[TenantId, str], int] = {}
        self._taken: set[SendKey] = set()
        self._lock = threading.Lock()

    def take(self, tenant: TenantId, account: str, least: int, most: int, cap: int | None) -> int:
        """See SpendStore."""
        with self._lock:
            used = self._used.get((tenant, account), 0)
            units = most if cap is None else min(most, cap - used)
            if units < least:
                return 0
            self._used[tenant, account] = used + units
            return units

    def count(self, tenant: TenantId, account: str, units: int) -> None:
        """See SpendStore."""
        with self._lock:
            self._used[tenant, account] = self._used.get((tenant, account), 0) + units

    def used(self, tenant: TenantId, account: str) -> int:
        """See SpendStore."""
        return self._used.get((tenant, account), 0)

    def mark(self, key: SendKey) -> bool:
        """See SpendStore."""
        with self._lock:
            new = key not in self._taken
            self._taken.add(key)
            return new

    def unmark(self, key: SendKey) -> bool:
        """See SpendStore."""
        with self._lock:
            was = key in self._taken
            self._taken.discard(key)
            return was

    def is_marked(self, key: SendKey) -> bool:
        """See SpendStore."""
        return key in self._taken


class DynamoSpend:
    """In table `deliveries`: pk `{tenant}#budget`, sk the account; who took units is marked on the send's own row.

    The client does not retry: a lost answer of a count must not be counted twice the wrong way round.
    """

    def __init__(self, table: str, dynamodb: Any = None) -> None:
        self._table = table
        self._given = dynamodb

    @property
    def _client(self) -> Any:
        return self._given or client("dynamodb", SINGLE_ATTEMPT)

    def take(self, tenant: TenantId, account: str, least: int, most: int, cap: int | None) -> int:
        """See SpendStore."""
        if cap is None:
            self.count(tenant, account, most)
            return most
        units = min(most, cap)
        for _ in range(_TRIES):
            if units < least:
                return 0
            used = self._add(tenant, account, units, cap)
            if used is None:
                return units
            units = min(units, cap - used)
        raise UnavailableError("too many take from the month's budget at once; try again")

    def count(self, tenant: TenantId, account: str, units: int) -> None:
        """See SpendStore."""
        with domain_errors("count in a budget"):
            self._client.update_item(**self._adding(tenant, account, units))

    def used(self, tenant: TenantId, account: str) -> int:
        """See SpendStore."""
        with domain_errors("read a budget"):
            found = self._client.get_item(TableName=self._table, Key=_month(tenant, account), ConsistentRead=True)
        return _used(found.get("Item", {}))

    def mark(self, key: SendKey) -> bool:
        """See SpendStore."""
        # Only on a row that is there: one made here would be a send without its request.
        condition = "attribute_exists(pk) AND attribute_not_exists(spender)"
        values = {":me": {"S": uuid.uuid4().hex}}
        return self._change(key, "SET spender = :me", condition, ExpressionAttributeValues=values)

    def unmark(self, key: SendKey) -> bool:
        """See SpendStore."""
        return self._change(key, "REMOVE spender", "attribute_exists(spender)")

    def is_marked(self, key: SendKey) -> bool:
        """See SpendStore."""
        with domain_errors("read a send"):
            found = self._client.get_item(TableName=self._table, Key=_send_row(key), ConsistentRead=True)
        return "spender" in found.get("Item", {})

    def _add(self, tenant: TenantId, account: str, units: int, cap: int) -> int | None:
        """None: counted. Else what is used: too much for so many more."""
        adding = self._adding(tenant, account, units)
        adding["ExpressionAttributeValues"][":room"] = {"N": str(cap - units)}
        with domain_errors("take from a budget"):
            try:
                self._client.update_item(
                    **adding,
                    ConditionExpression="attribute_not_exists(used) OR used <= :room",
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
            except self._client.exceptions.ConditionalCheckFailedException as error:
                return _used(error.response.get("Item", {}))
        return None

    def _adding(self, tenant: TenantId, account: str, units: int) -> dict[str, Any]:
        return {
            "TableName": self._table,
            "Key": _month(tenant, account),
            "UpdateExpression": "ADD used :units",
            "ExpressionAttributeValues": {":units": {"N": str(units)}},
        }

    def _change(self, key: SendKey, change: str, condition: str, **how: Any) -> bool:
        with domain_errors("mark a send"):
            try:
                self._client.update_item(
                    TableName=self._table,
                    Key=_send_row(key),
                    UpdateExpression=change,
                    ConditionExpression=condition,
                    **how,
                )
            except self._client.exceptions.ConditionalCheckFailedException:
                return False
        return True


def _used(row: dict[str, Any]) -> int:
    return int(row.get("used", {"N": "0"})["N"])


def _month(tenant: TenantId, account: str) -> dict[str, Any]:
    return {"pk": {"S": f"{tenant}#budget"}, "sk": {"S": account}}


def _send_row(key: SendKey) -> dict[str, Any]:
    return {"pk": {"S": f"{key.tenant}#{key.customer_id}"}, "sk": {"S": f"send#{key.send_id}"}}
