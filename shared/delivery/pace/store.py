"""What workers share about sending (in table `deliveries`): slots of the account's rate, warm-up days, reputations.

| pk | sk | |
|---|---|---|
| `account#{account}[#{queue}]` | `pace` | the next free slot (`next_at`, µs) |
| `domain#{domain}` | `day#{date}` | mails of a warm-up day |
| `{tenant}#reputation` | `mail` | per day sent, bounced, complained (`s1121`, `b1121`, `c1121`); stopped or not |

The account and its domains belong to no shop. One write is a block of slots or a batch of feedback, never a mail.
"""

from __future__ import annotations

import threading
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any, Protocol

from shared.core.aws import domain_errors
from shared.core.clock import Clock, SystemClock, from_iso, to_iso
from shared.core.ids import TenantId
from shared.delivery.pacing import Lease
from shared.delivery.reputation import DAYS, Day, Reputation

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)
_TRIES = 3
"""Writes for one block: others may have moved the queue on between two of them."""


class ReputationStore(Protocol):
    """A shop's latest days of mail."""

    def tally(self, tenant: TenantId, on: date, more: Day) -> Reputation:
        """Add what came back for a day, and see all days."""
        ...

    def reputation(self, tenant: TenantId) -> Reputation:
        """All days, and whether the shop is stopped."""
        ...

    def stop(self, tenant: TenantId, why: str, at: datetime) -> bool:
        """Stop a shop's mail; False when it already is."""
        ...

    def resume(self, tenant: TenantId, by: str, at: datetime) -> bool:
        """Let it go on, with its figures counted anew from here; False when it was not stopped."""
        ...


class MemoryPaceStore:
    """In memory, for tests and replay: one lock instead of conditions."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._next: dict[str, datetime] = {}
        self._days: dict[tuple[str, date], int] = {}
        self._reputations: dict[TenantId, Reputation] = {}
        self.writes = 0

    def lease(self, account: str, length: timedelta, now: datetime, until: datetime) -> Lease | None:
        """See PaceStore."""
        with self._lock:
            self.writes += 1
            free_at = self._next.get(account)
            start = max(now, free_at or now)
            if start > until:
                return None
            self._next[account] = start + length
            return Lease(start, free_at)

    def count_day(self, domain: str, on: date, count: int, cap: int) -> bool:
        """See PaceStore."""
        with self._lock:
            total = self._days.get((domain, on), 0) + count
            if total <= cap:
                self._days[domain, on] = total
            return total <= cap

    def stopped(self, tenant: TenantId) -> str:
        """See PaceStore."""
        found = self.reputation(tenant)
        return found.why if found.stopped_at else ""

    def tally(self, tenant: TenantId, on: date, more: Day) -> Reputation:
        """See ReputationStore."""
        with self._lock:
            found = self._reputations.get(tenant, Reputation())
            days = {**found.days, on: found.days.get(on, Day()) + more}
            self._reputations[tenant] = replace(found, days=days)
            return self._reputations[tenant]

    def reputation(self, tenant: TenantId) -> Reputation:
        """See ReputationStore."""
        return self._reputations.get(tenant, Reputation())

    def stop(self, tenant: TenantId, why: str, at: datetime) -> bool:
        """See ReputationStore."""
        with self._lock:
            found = self._reputations.get(tenant, Reputation())
            if found.stopped_at is None:
                self._reputations[tenant] = replace(found, stopped_at=at, why=why)
            return found.stopped_at is None

    def resume(self, tenant: TenantId, by: str, at: datetime) -> bool:
        """See ReputationStore."""
        with self._lock:
            found = self._reputations.get(tenant, Reputation())
            if found.stopped_at is not None:
                self._reputations[tenant] = Reputation()
            return found.stopped_at is not None


class DynamoPaceStore:
    """In DynamoDB."""

    def __init__(self, table: str, client: Any, clock: Clock | None = None) -> None:
        self._table = table
        self._client = client
        self._clock = clock or SystemClock()
        self._free_at: dict[str, int] = {}
        """The first free slot of an account when we last wrote or were refused: it only moves on."""

    def lease(self, account: str, length: timedelta, now: datetime, until: datetime) -> Lease | None:
        """See PaceStore. A lost answer costs a block of slots: nobody uses them.

        A refused write costs as much as another: what is likely is tried first, and of a queue that is known to be too
        long nothing is asked, or every thread that is sent home would write to the one row.
        """
        size, at, last = (_micro(each) for each in (length, now - _EPOCH, until - _EPOCH))
        key = {"pk": {"S": f"account#{account}"}, "sk": {"S": "pace"}}
        idle = (
            "SET next_at = :after",
            "attribute_not_exists(next_at) OR next_at <= :now",
            _numbers(now=at, after=at + size),
        )
        queued = (
            "SET next_at = next_at + :length",
            "next_at > :now AND next_at <= :last",
            _numbers(now=at, length=size, last=last),
        )
        for _ in range(_TRIES):
            known = self._free_at.get(account, 0)
            if known > last:
                return None
            made, row = self._write(key, *(queued if known > at else idle))
            free_at = int(row["next_at"]["N"]) if "next_at" in row else None
            start = max(at, free_at or at)
            self._free_at[account] = start + size if made else start
            if made:
                return Lease(_time(start), None if free_at is None else _time(free_at))
        return None

    def _write(
        self, key: Mapping[str, Any], update: str, condition: str, values: Mapping[str, Any]
    ) -> tuple[bool, Mapping[str, Any]]:
        """Was the write made, and the row as it was before."""
        with domain_errors("pace"):
            try:
                answered = self._client.update_item(
                    TableName=self._table,
                    Key=key,
                    UpdateExpression=update,
                    ConditionExpression=condition,
                    ExpressionAttributeValues=values,
                    ReturnValues="ALL_OLD",
                    ReturnValuesOnConditionCheckFailure="ALL_OLD",
                )
            except self._client.exceptions.ConditionalCheckFailedException as error:
                return False, error.response.get("Item", {})
        return True, answered.get("Attributes", {})

    def count_day(self, domain: str, on: date, count: int, cap: int) -> bool:
        """See PaceStore."""
        if count > cap:
            return False
        key = {"pk": {"S": f"domain#{domain}"}, "sk": {"S": f"day#{on}"}}
        values = {":count": {"N": str(count)}, ":room": {"N": str(cap - count)}}
        condition = "attribute_not_exists(mails) OR mails <= :room"
        return self._update(key, "ADD mails :count", values, condition) is not None

    def stopped(self, tenant: TenantId) -> str:
        """See PaceStore."""
        found = self.reputation(tenant)
        return found.why if found.stopped_at else ""

    def tally(self, tenant: TenantId, on: date, more: Day) -> Reputation:
        """See ReputationStore."""
        named = {"s": more.sent, "b": more.bounced, "c": more.complained}
        added = {f"{letter}{on:%m%d}": count for letter, count in named.items() if count}
        update = "ADD " + ", ".join(f"{name} :{name}" for name in added) if added else "ADD n :n"
        values = {f":{name}": {"N": str(count)} for name, count in added.items()} or {":n": {"N": "0"}}
        found = self._update(_reputation_key(tenant), update, values)
        old = sorted(_old(found or {}, on))
        if old:
            self._update(_reputation_key(tenant), "REMOVE " + ", ".join(old), {})
        return _reputation(found or {}, on)

    def reputation(self, tenant: TenantId) -> Reputation:
        """See ReputationStore."""
        with domain_errors("reputation"):
            answer = self._client.get_item(TableName=self._table, Key=_reputation_key(tenant), ConsistentRead=True)
        return _reputation(answer.get("Item", {}), self._clock.now().date())

    def stop(self, tenant: TenantId, why: str, at: datetime) -> bool:
        """See ReputationStore."""
        values = {":at": {"S": to_iso(at)}, ":why": {"S": why}}
        update = "SET stopped_at = :at, why = :why"
        return self._update(_reputation_key(tenant), update, values, "attribute_not_exists(stopped_at)") is not None

    def resume(self, tenant: TenantId, by: str, at: datetime) -> bool:
        """See ReputationStore."""
        item = {**_reputation_key(tenant), "resumed_at": {"S": to_iso(at)}, "resumed_by": {"S": by}}
        with domain_errors("reputation"):
            try:
                self._client.put_item(
                    TableName=self._table, Item=item, ConditionExpression="attribute_exists(stopped_at)"
                )
            except self._client.exceptions.ConditionalCheckFailedException:
                return False
        return True

    def _update(
        self,
        key: Mapping[str, Any],
        update: str,
        values: Mapping[str, Any],
        condition: str = "",
    ) -> Mapping[str, Any] | None:
        """The row after the write; None when the condition does not hold."""
        given = {"ExpressionAttributeValues": values} if values else {}
        if condition:
            given["ConditionExpression"] = condition  # type: ignore[assignment]
        with domain_errors("pace"):
            try:
                answered = self._client.update_item(
                    TableName=self._table, Key=key, UpdateExpression=update, ReturnValues="ALL_NEW", **given
                )
            except self._client.exceptions.ConditionalCheckFailedException:
                return None
        found: Mapping[str, Any] = answered.get("Attributes", {})
        return found


def _micro(length: timedelta) -> int:
    return length // _MICROSECOND


def _time(micro: int) -> datetime:
    return _EPOCH + micro * _MICROSECOND


def _numbers(**values: int) -> dict[str, Any]:
    return {f":{name}": {"N": str(value)} for name, value in values.items()}


def _reputation_key(tenant: TenantId) -> dict[str, Any]:
    return {"pk": {"S": f"{tenant}#reputation"}, "sk": {"S": "mail"}}


def _dated(item: Mapping[str, Any], today: date) -> Mapping[str, date]:
    """Attribute → its day: `s1121` is the latest 21 November."""
    found = {}
    for name in item:
        if len(name) == 5 and name[0] in "sbc" and name[1:].isdigit():
            month, day = int(name[1:3]), int(name[3:])
            # 29 February is only ever written in a year that has one.
            year = today.year if (month, day) <= (today.month, today.day) else today.year - 1
            found[name] = date(year, month, day)
    return found


def _old(item: Mapping[str, Any], today: date) -> list[str]:
    return [name for name, on in _dated(item, today).items() if on <= today - timedelta(days=DAYS)]


def _reputation(item: Mapping[str, Any], today: date) -> Reputation:
    days: dict[date, Day] = {}
    for name, on in _dated(item, today + timedelta(days=1)).items():
        count = int(item[name]["N"])
        more = {"s": Day(sent=count), "b": Day(bounced=count), "c": Day(complained=count)}[name[0]]
        days[on] = days.get(on, Day()) + more
    stopped = item.get("stopped_at")
    return Reputation(days, from_iso(stopped["S"]) if stopped else None, item.get("why", {}).get("S", ""))
