"""The send ledger (送信台帳): one row per send, one conditional write per step, so that nothing is sent twice or lost.

    1 RESERVE  the row is ours, if nobody has it, or whoever had it let go (lease over) before marking
    2 CONSENT  (the caller reads the person and asks the gate)
    3 MARK     SENDING: from here until the record, a crash is ambiguous and the row is never sent again by itself
    4 SEND     (the channel, without SDK retries)
    5 RECORD   SENT, FAILED, SUPPRESSED, EXPIRED or UNKNOWN

Every write names its attempt (`owner`, new for each call of `deliver`), so a write whose reply was lost can be repeated
by the SDK, and a late write of an attempt that lost the row does nothing. Three write units per mail, plus one for the
contact row that the caps count.

Who finds a row when a whole batch died? The cohort does: a scenario's batch is retried, and redriven, over the same
list of people, and each row answers for itself. An index of open rows would cost two more write units per mail. Only
UNKNOWN rows, which nobody will come back for, are indexed (sparse `unresolved`).
"""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, suppress
from dataclasses import asdict, dataclass, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from shared.core.aws import domain_errors
from shared.core.clock import from_iso, to_iso
from shared.core.errors import UnavailableError
from shared.core.ids import CustomerId, ScenarioId, SendId, TenantId
from shared.delivery.model import (
    IN_FLIGHT,
    Contact,
    LedgerRow,
    Outcome,
    Purpose,
    Reason,
    SendKey,
    SendRequest,
    SendState,
)

LEASE = timedelta(seconds=60)
"""How long an attempt owns its row. Longer than one send can take (about 15 s); a retry waits it out."""

INDEX = "unresolved"


About = Mapping[SendId, tuple[str, str]]
"""(channel, topic) of each slot of a contact row."""
_NONE: About = {}


@dataclass(frozen=True, slots=True)
class Attempt:
    """One call of `deliver`: who writes, and the instant the decision is made for (the schedule's, where waits are
    accelerated). Leases use the machine's clock instead, which every method is given as `now`.
    """

    owner: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Held:
    """The row as it stands, and whether the write made (or found) it ours."""

    row: LedgerRow
    mine: bool


class LedgerStore(Protocol):
    """The send ledger and the contact rows. Every method may raise UnavailableError, its effect then unknown."""

    def reserve(self, request: SendRequest, attempt: Attempt, now: datetime) -> Held:
        """RESERVE: own the row for a lease, or see who has it."""
        ...

    def hold(self, request: SendRequest, outcome: Outcome, attempt: Attempt, now: datetime) -> Held:
        """Record a final outcome in one write, unless the row is in flight or already final."""
        ...

    def mark(self, key: SendKey, attempt: Attempt, now: datetime) -> bool:
        """MARK: the provider is about to be called. False: the row is no longer ours."""
        ...

    def record(self, key: SendKey, outcome: Outcome, attempt: Attempt, now: datetime) -> bool:
        """RECORD what came of it. False: the row is no longer ours."""
        ...

    def release(self, key: SendKey, reason: Reason, attempt: Attempt) -> bool:
        """Let go of a row that was surely not sent, so that a retry need not wait out the lease.

        Not of an UNKNOWN one: others may already have reported it as final, and nobody would come back for it.
        """
        ...

    def abandon(self, seen: LedgerRow, now: datetime) -> Held:
        """A SENDING row whose lease is over becomes UNKNOWN (`mine`: it is now)."""
        ...

    def take_over(self, seen: LedgerRow, attempt: Attempt, now: datetime) -> Held:
        """A SENDING row whose lease is over is this attempt's to send again: only where the provider takes a repeat
        for what it is (`mine`: it is ours now).
        """
        ...

    def doubt(self, key: SendKey, attempt: Attempt, now: datetime) -> bool:
        """The call's answer was lost: the row stays SENDING, and the lease ends, so that a repeat need not wait."""
        ...

    def settle(self, key: SendKey, message_id: str, at: datetime) -> bool:
        """The provider itself says it accepted this send: SENT, from whatever state was in doubt."""
        ...

    def reopen(self, key: SendKey, now: datetime) -> bool:
        """An UNKNOWN row may be sent a second time, once in its life (transactional)."""
        ...

    def react(self, key: SendKey, reaction: str, at: datetime) -> bool:
        """A person `opened` or `clicked` it: what a scenario may ask about. False: no such send."""
        ...

    def row(self, key: SendKey) -> LedgerRow | None:
        """One row, strongly consistent."""
        ...

    def rows(self, tenant: TenantId, customer: CustomerId) -> Sequence[LedgerRow]:
        """Every row of a person, for `explain` and export."""
        ...

    def unresolved(self, tenant: TenantId, before: datetime) -> Iterator[LedgerRow]:
        """Rows whose send has been in doubt since before an instant, oldest first."""
        ...

    def contact(self, tenant: TenantId, customers: Sequence[CustomerId]) -> Contact:
        """Recent marketing sends of a person and the persons merged into them; `rev` is that of the first."""
        ...

    def claim(
        self, tenant: TenantId, customer: CustomerId, slots: Mapping[SendId, datetime], rev: int, about: About = _NONE
    ) -> bool:
        """Replace the slots if nobody changed them since `rev`. Repeating a claim that worked is harmless.

        `about`: channel and topic of the slots.
        """
        ...

    def unclaim(self, tenant: TenantId, customer: CustomerId, send_id: SendId, at: datetime) -> None:
        """Give back the slot that a send claimed at `at` and surely did not use."""
        ...

    def forget(self, tenant: TenantId, customer: CustomerId) -> int:
        """Delete every row of a person (erasure); returns how many."""
        ...


UNKNOWN = Outcome(SendState.UNKNOWN, Reason.AMBIGUOUS)

SENDING = frozenset({SendState.SENDING})

DOUBTFUL = IN_FLIGHT | {SendState.UNKNOWN}
"""States in which the owner still knows best, and in which the provider's word settles the matter."""

RECORDABLE = {
    # The provider's own word (`settle`) may be there first; the owner's record then says the same.
    SendState.SENT: DOUBTFUL | {SendState.SENT},
    SendState.UNKNOWN: IN_FLIGHT | {SendState.UNKNOWN},
    SendState.FAILED: DOUBTFUL | {SendState.FAILED},
    SendState.SUPPRESSED: DOUBTFUL | {SendState.SUPPRESSED},
    SendState.EXPIRED: DOUBTFUL | {SendState.EXPIRED},
}
"""Outcome → the states its owner may record it over. A repeated record finds its own state."""


def free(row: LedgerRow | None, attempt: Attempt, now: datetime) -> bool:
    """May this attempt reserve the row? Only while it is RESERVED and nobody else's lease runs."""
    if row is None:
        return True
    if row.state is not SendState.RESERVED or row.sent_at is not None:
        return False
    return row.owner == attempt.owner or row.lease_until is None or row.lease_until < now


class MemoryLedgerStore:
    """The ledger in memory, for tests and replay: the same answers as DynamoDB, one lock instead of conditions."""

    def __init__(self) -> None:
        self._rows: dict[SendKey, LedgerRow] = {}
        self._contacts: dict[tuple[TenantId, CustomerId], Contact] = {}
        self._lock = threading.Lock()

    def reserve(self, request: SendRequest, attempt: Attempt, now: datetime) -> Held:
        """See LedgerStore."""
        with self._lock:
            found = self._rows.get(request.key)
            if found is not None and not free(found, attempt, now):
                return Held(found, mine=False)
            return Held(self._put(_reserved(found, request, attempt, now)), mine=True)

    def hold(self, request: SendRequest, outcome: Outcome, attempt: Attempt, now: datetime) -> Held:
        """See LedgerStore."""
        with self._lock:
            found = self._rows.get(request.key)
            if found is not None and not free(found, attempt, now):
                return Held(found, mine=found.owner == attempt.owner and found.outcome == outcome)
            row = _recorded(_reserved(found, request, attempt, now), outcome, attempt.at, now)
            return Held(self._put(row), mine=True)

    def mark(self, key: SendKey, attempt: Attempt, now: datetime) -> bool:
        """See LedgerStore."""
        with self._lock:
            found = self._owned(key, attempt.owner, IN_FLIGHT)
            if found is not None:
                marked = replace(found, state=SendState.SENDING, reason=Reason.NONE, lease_until=now + LEASE)
                self._put(replace(marked, marked_at=found.marked_at or now))
            return found is not None

    def record(self, key: SendKey, outcome: Outcome, attempt: Attempt, now: datetime) -> bool:
        """See LedgerStore."""
        with self._lock:
            found = self._owned(key, attempt.owner, RECORDABLE[outcome.state])
            if found is not None:
                self._put(_recorded(found, outcome, attempt.at, now))
            return found is not None

    def release(self, key: SendKey, reason: Reason, attempt: Attempt) -> bool:
        """See LedgerStore."""
        with self._lock:
            found = self._owned(key, attempt.owner, IN_FLIGHT)
            if found is not None:
                self._put(replace(found, state=SendState.RESERVED, reason=reason, lease_until=None))
            return found is not None

    def abandon(self, seen: LedgerRow, now: datetime) -> Held:
        """See LedgerStore."""
        with self._lock:
            found = self._rows.get(seen.key)
            if found is None:
                return _gone(seen)
            if found.state is not SendState.SENDING or found.lease_until != seen.lease_until:
                return Held(found, mine=False)
            return Held(self._put(_recorded(found, UNKNOWN, found.decided_at, now)), mine=True)

    def take_over(self, seen: LedgerRow, attempt: Attempt, now: datetime) -> Held:
        """See LedgerStore."""
        with self._lock:
            found = self._rows.get(seen.key)
            if found is None:
                return _gone(seen)
            if found.state is not SendState.SENDING:
                return Held(found, mine=False)
            if found.owner != attempt.owner and found.lease_until != seen.lease_until:
                return Held(found, mine=False)
            return Held(self._put(replace(found, owner=attempt.owner, lease_until=now + LEASE)), mine=True)

    def doubt(self, key: SendKey, attempt: Attempt, now: datetime) -> bool:
        """See LedgerStore."""
        with self._lock:
            found = self._owned(key, attempt.owner, SENDING)
            if found is not None:
                self._put(replace(found, lease_until=now))
            return found is not None

    def settle(self, key: SendKey, message_id: str, at: datetime) -> bool:
        """See LedgerStore."""
        with self._lock:
            found = self._rows.get(key)
            if found is None or found.state not in DOUBTFUL:
                return False
            self._put(_recorded(found, Outcome(SendState.SENT, Reason.NONE, message_id), at, at))
            return True

    def reopen(self, key: SendKey, now: datetime) -> bool:
        """See LedgerStore."""
        del now
        with self._lock:
            found = self._rows.get(key)
            if found is None or found.state is not SendState.UNKNOWN or found.resent:
                return False
            self._put(replace(found, state=SendState.RESERVED, reason=Reason.NONE, lease_until=None, resent=True))
            return True

    def react(self, key: SendKey, reaction: str, at: datetime) -> bool:
        """See LedgerStore."""
        del at
        with self._lock:
            found = self._rows.get(key)
            if found is not None:
                self._put(replace(found, reactions=found.reactions | {reaction}))
            return found is not None

    def row(self, key: SendKey) -> LedgerRow | None:
        """See LedgerStore."""
        with self._lock:
            return self._rows.get(key)

    def rows(self, tenant: TenantId, customer: CustomerId) -> Sequence[LedgerRow]:
        """See LedgerStore."""
        with self._lock:
            mine = [row for row in self._rows.values() if (row.tenant, row.customer_id) == (tenant, customer)]
            return sorted(mine, key=lambda row: row.send_id)

    def unresolved(self, tenant: TenantId, before: datetime) -> Iterator[LedgerRow]:
        """See LedgerStore."""
        with self._lock:
            doubtful = [
                (row.unresolved_since, row.send_id, row)
                for row in self._rows.values()
                if row.tenant == tenant and row.unresolved_since is not None and row.unresolved_since < before
            ]
        return iter([row for _, _, row in sorted(doubtful, key=lambda found: found[:2])])

    def contact(self, tenant: TenantId, customers: Sequence[CustomerId]) -> Contact:
        """See LedgerStore."""
        with self._lock:
            return _joined([self._contacts.get((tenant, customer), Contact()) for customer in customers])

    def claim(
        self, tenant: TenantId, customer: CustomerId, slots: Mapping[SendId, datetime], rev: int, about: About = _NONE
    ) -> bool:
        """See LedgerStore."""
        with self._lock:
            found = self._contacts.get((tenant, customer), Contact())
            if found.rev != rev:
                return found.slots == slots
            self._contacts[tenant, customer] = Contact(dict(slots), rev + 1, dict(about))
            return True

    def unclaim(self, tenant: TenantId, customer: CustomerId, send_id: SendId, at: datetime) -> None:
        """See LedgerStore."""
        with self._lock:
            found = self._contacts.get((tenant, customer))
            if found is not None and found.slots.get(send_id) == at:
                kept = {other: at for other, at in found.slots.items() if other != send_id}
                self._contacts[tenant, customer] = Contact(kept, found.rev + 1, found.about)

    def forget(self, tenant: TenantId, customer: CustomerId) -> int:
        """See LedgerStore."""
        with self._lock:
            doomed = [key for key in self._rows if (key.tenant, key.customer_id) == (tenant, customer)]
            for key in doomed:
                del self._rows[key]
            return len(doomed) + (self._contacts.pop((tenant, customer), None) is not None)

    def _owned(self, key: SendKey, owner: str, states: frozenset[SendState]) -> LedgerRow | None:
        found = self._rows.get(key)
        return found if found is not None and found.owner == owner and found.state in states else None

    def _put(self, row: LedgerRow) -> LedgerRow:
        self._rows[row.key] = row
        return row


def _reserved(found: LedgerRow | None, request: SendRequest, attempt: Attempt, now: datetime) -> LedgerRow:
    return LedgerRow(
        send_id=request.send_id,
        tenant=request.tenant,
        customer_id=request.customer_id,
        scenario=request.scenario,
        scenario_version=request.scenario_version,
        step=request.step,
        occurrence=request.occurrence,
        channel=request.channel,
        state=SendState.RESERVED,
        reason=Reason.NONE,
        owner=attempt.owner,
        lease_until=now + LEASE,
        decided_at=attempt.at,
        purpose=request.purpose,
        template=request.template,
        resent=found.resent if found else False,
        marked_at=found.marked_at if found else None,
        unresolved_since=found.unresolved_since if found else None,
        request=request if request.purpose is Purpose.TRANSACTIONAL else None,
    )


def _recorded(row: LedgerRow, outcome: Outcome, at: datetime, now: datetime) -> LedgerRow:
    unknown = outcome.state is SendState.UNKNOWN
    return replace(
        row,
        state=outcome.state,
        reason=outcome.reason,
        message_id=outcome.message_id,
        sent_at=at if outcome.state is SendState.SENT else None,
        lease_until=None,
        decided_at=at,
        unresolved_since=(row.unresolved_since or now) if unknown else None,
        request=row.request if unknown else None,
    )


def _joined(contacts: Sequence[Contact]) -> Contact:
    slots = {send_id: at for contact in reversed(contacts) for send_id, at in contact.slots.items()}
    about = {send_id: what for contact in reversed(contacts) for send_id, what in contact.about.items()}
    return Contact(slots, contacts[0].rev if contacts else 0, about)


class DynamoLedgerStore:
    """The ledger in DynamoDB: table `deliveries`, pk `{tenant}#{customer}`, sk `send#{send_id}` or `contact`."""

    def __init__(self, table: str, client: Any) -> None:
        self._table = table
        self._client = client

    def reserve(self, request: SendRequest, attempt: Attempt, now: datetime) -> Held:
        """See LedgerStore."""
        row = _reserved(None, request, attempt, now)
        mine, item = self._update(request.key, _fields(row), (), *_free(attempt, now))
        return Held(_row(item), mine)

    def hold(self, request: SendRequest, outcome: Outcome, attempt: Attempt, now: datetime) -> Held:
        """See LedgerStore."""
        row = _reserved(None, request, attempt, now)
        fields, removed = _outcome_fields(row.key, outcome, attempt.at, now)
        fields = {name: value for name, value in {**_fields(row), **fields}.items() if name not in removed}
        mine, item = self._update(request.key, fields, removed, *_free(attempt, now))
        found = _row(item)
        return Held(found, mine or (found.owner == attempt.owner and found.outcome == outcome))

    def mark(self, key: SendKey, attempt: Attempt, now: datetime) -> bool:
        """See LedgerStore."""
        fields: Fields = {"state": SendState.SENDING, "reason": Reason.NONE, "lease_until": to_iso(now + LEASE)}
        return self._made(key, fields, (), *_owned(attempt, IN_FLIGHT), once={"marked_at": to_iso(now)})

    def record(self, key: SendKey, outcome: Outcome, attempt: Attempt, now: datetime) -> bool:
        """See LedgerStore."""
        fields, removed = _outcome_fields(key, outcome, attempt.at, now)
        return self._made(key, fields, removed, *_owned(attempt, RECORDABLE[outcome.state]))

    def release(self, key: SendKey, reason: Reason, attempt: Attempt) -> bool:
        """See LedgerStore."""
        fields: Fields = {"state": SendState.RESERVED, "reason": reason}
        return self._made(key, fields, ("lease_until",), *_owned(attempt, IN_FLIGHT))

    def abandon(self, seen: LedgerRow, now: datetime) -> Held:
        """See LedgerStore."""
        fields, removed = _outcome_fields(seen.key, UNKNOWN, seen.decided_at, now)
        values = {":sending": SendState.SENDING.value, ":lease": to_iso(seen.lease_until or now)}
        mine, item = self._update(seen.key, fields, removed, "#state = :sending AND #lease_until = :lease", values)
        return Held(_row(item), mine) if item else _gone(seen)

    def take_over(self, seen: LedgerRow, attempt: Attempt, now: datetime) -> Held:
        """See LedgerStore."""
        fields: Fields = {"owner": attempt.owner, "lease_until": to_iso(now + LEASE)}
        condition = "#state = :sending AND (#owner = :me OR #lease_until = :lease)"
        values = {
            ":sending": SendState.SENDING.value,
            ":me": attempt.owner,
            ":lease": to_iso(seen.lease_until or now),
        }
        mine, item = self._update(seen.key, fields, (), condition, values)
        return Held(_row(item), mine) if item else _gone(seen)

    def doubt(self, key: SendKey, attempt: Attempt, now: datetime) -> bool:
        """See LedgerStore."""
        return self._made(key, {"lease_until": to_iso(now)}, (), *_owned(attempt, SENDING))

    def settle(self, key: SendKey, message_id: str, at: datetime) -> bool:
        """See LedgerStore."""
        fields, removed = _outcome_fields(key, Outcome(SendState.SENT, Reason.NONE, message_id), at, at)
        return self._made(key, fields, removed, *_in_states(DOUBTFUL))

    def reopen(self, key: SendKey, now: datetime) -> bool:
        """See LedgerStore."""
        del now
        fields: Fields = {"state": SendState.RESERVED, "reason": Reason.NONE, "resent": "yes"}
        condition = "#state = :unknown AND attribute_not_exists(#resent)"
        return self._made(key, fields, ("lease_until",), condition, {":unknown": SendState.UNKNOWN.value})

    def react(self, key: SendKey, reaction: str, at: datetime) -> bool:
        """See LedgerStore."""
        return self._made(key, {}, (), "attribute_exists(#pk)", {}, once={f"{reaction}_at": to_iso(at)})

    def row(self, key: SendKey) -> LedgerRow | None:
        """See LedgerStore."""
        with _ledger():
            answer = self._client.get_item(TableName=self._table, Key=_key(key), ConsistentRead=True)
        return _row(answer["Item"]) if "Item" in answer else None

    def rows(self, tenant: TenantId, customer: CustomerId) -> Sequence[LedgerRow]:
        """See LedgerStore."""
        items = self._query(
            KeyConditionExpression="pk = :pk AND begins_with(sk, :sk)",
            ExpressionAttributeValues={":pk": {"S": _pk(tenant, customer)}, ":sk": {"S": "send#"}},
            ConsistentRead=True,
        )
        return [_row(item) for item in items]

    def unresolved(self, tenant: TenantId, before: datetime) -> Iterator[LedgerRow]:
        """See LedgerStore."""
        items = self._query(
            IndexName=INDEX,
            KeyConditionExpression="unresolved_key = :tenant AND unresolved_since < :before",
            ExpressionAttributeValues={":tenant": {"S": tenant}, ":before": {"S": to_iso(before)}},
        )
        return (_row(item) for item in items)

    def contact(self, tenant: TenantId, customers: Sequence[CustomerId]) -> Contact:
        """See LedgerStore."""
        found = []
        for customer in customers:
            with _ledger():
                answer = self._client.get_item(
                    TableName=self._table, Key=_contact_key(tenant, customer), ConsistentRead=True
                )
            found.append(_contact(answer.get("Item")))
        return _joined(found)

    def claim(
        self, tenant: TenantId, customer: CustomerId, slots: Mapping[SendId, datetime], rev: int, about: About = _NONE
    ) -> bool:
        """See LedgerStore."""
        item = {
            **_contact_key(tenant, customer),
            "slots": {"M": {send_id: {"S": to_iso(at)} for send_id, at in slots.items()}},
            "rev": {"N": str(rev + 1)},
        }
        if about:
            item["about"] = {"M": {send_id: {"S": f"{channel} {topic}"} for send_id, (channel, topic) in about.items()}}
        condition = (
            {"ConditionExpression": "attribute_not_exists(pk)"}
            if rev == 0
            else {
                "ConditionExpression": "rev = :rev",
                "ExpressionAttributeValues": {":rev": {"N": str(rev)}},
            }
        )
        with _ledger():
            try:
                self._client.put_item(
                    TableName=self._table, Item=item, ReturnValuesOnConditionCheckFailure="ALL_OLD", **condition
                )
            except self._client.exceptions.ConditionalCheckFailedException as error:
                # Our own claim, whose reply was lost and which the SDK repeated, looks like a conflict.
                return _contact(error.response.get("Item")).slots == slots
        return True

    def unclaim(self, tenant: TenantId, customer: CustomerId, send_id: SendId, at: datetime) -> None:
        """See LedgerStore."""
        with _ledger(), suppress(self._client.exceptions.ConditionalCheckFailedException):
            self._client.update_item(
                TableName=self._table,
                Key=_contact_key(tenant, customer),
                UpdateExpression="REMOVE slots.#id ADD rev :one",
                ConditionExpression="slots.#id = :at",
                ExpressionAttributeNames={"#id": send_id},
                ExpressionAttributeValues={":one": {"N": "1"}, ":at": {"S": to_iso(at)}},
            )

    def forget(self, tenant: TenantId, customer: CustomerId) -> int:
        """See LedgerStore."""
        items = list(
            self._query(
                KeyConditionExpression="pk = :pk",
                ExpressionAttributeValues={":pk": {"S": _pk(tenant, customer)}},
                ProjectionExpression="pk, sk, also_pk, also_sk",
                ConsistentRead=True,
            )
        )
        for item in items:
            with _ledger():
                # What lies elsewhere goes first: the row that names it is how it would be found again.
                if "also_pk" in item:
                    self._client.delete_item(TableName=self._table, Key={"pk": item["also_pk"], "sk": item["also_sk"]})
                self._client.delete_item(TableName=self._table, Key={"pk": item["pk"], "sk": item["sk"]})
        return len(items)

    def _made(
        self,
        key: SendKey,
        fields: Fields,
        removed: Sequence[str],
        condition: str,
        values: Mapping[str, str],
        once: Fields | None = None,
    ) -> bool:
        """A write whose row nobody asks for: reading twenty attributes back takes longer than writing them."""
        return self._update(key, fields, removed, condition, values, once, look=False)[0]

    def _update(
        self,
        key: SendKey,
        fields: Fields,
        removed: Sequence[str],
        condition: str,
        values: Mapping[str, str],
        once: Fields | None = None,
        look: bool = True,
    ) -> tuple[bool, Item | None]:
        """One conditional write: whether it was made, and the row as it now stands (None: there is none).

        `once` are attributes that keep the first value they were ever given. Without `look` the row is not answered.
        """
        once = once or {}
        used = {*fields, *once, *removed, *_NAME.findall(condition)}
        sets = "SET " + ", ".join(
            [f"#{name} = :{name}" for name in fields] + [f"#{name} = if_not_exists(#{name}, :{name})" for name in once]
        )
        removes = " REMOVE " + ", ".join(f"#{name}" for name in removed) if removed else ""
        with _ledger():
            try:
                answer = self._client.update_item(
                    TableName=self._table,
                    Key=_key(key),
                    UpdateExpression=sets + removes,
                    ConditionExpression=condition,
                    ExpressionAttributeNames={f"#{name}": name for name in used},
                    ExpressionAttributeValues={
                        **{f":{name}": {"S": str(value)} for name, value in {**fields, **once}.items()},
                        **{name: {"S": value} for name, value in values.items()},
                    },
                    ReturnValues="ALL_NEW" if look else "NONE",
                    ReturnValuesOnConditionCheckFailure="ALL_OLD" if look else "NONE",
                )
            except self._client.exceptions.ConditionalCheckFailedException as error:
                return False, error.response.get("Item")
        return True, answer.get("Attributes")

    def _query(self, **query: Any) -> Iterator[Item]:
        with _ledger():
            for page in self._client.get_paginator("query").paginate(TableName=self._table, **query):
                yield from page["Items"]


Item = dict[str, Any]
Fields = Mapping[str, str]
_NAME = re.compile(r"#(\w+)")


def _ledger() -> AbstractContextManager[None]:
    """A timeout may hide a write that was made: every write here may be repeated."""
    return domain_errors("send ledger")


def _pk(tenant: TenantId, customer: CustomerId) -> str:
    return f"{tenant}#{customer}"


def _key(key: SendKey) -> Item:
    return {"pk": {"S": _pk(key.tenant, key.customer_id)}, "sk": {"S": f"send#{key.send_id}"}}


def _contact_key(tenant: TenantId, customer: CustomerId) -> Item:
    return {"pk": {"S": _pk(tenant, customer)}, "sk": {"S": "contact"}}


def _free(attempt: Attempt, now: datetime) -> tuple[str, dict[str, str]]:
    """The condition of `free`."""
    condition = (
        "attribute_not_exists(#pk) OR (#state = :reserved AND attribute_not_exists(#sent_at)"
        " AND (#owner = :me OR attribute_not_exists(#lease_until) OR #lease_until < :now))"
    )
    return condition, {":reserved": SendState.RESERVED.value, ":me": attempt.owner, ":now": to_iso(now)}


def _owned(attempt: Attempt, states: frozenset[SendState]) -> tuple[str, dict[str, str]]:
    condition, values = _in_states(states)
    return f"#owner = :me AND {condition}", {**values, ":me": attempt.owner}


def _in_states(states: frozenset[SendState]) -> tuple[str, dict[str, str]]:
    values = {f":in_{state.value}": state.value for state in states}
    return f"#state IN ({', '.join(values)})", values


def _fields(row: LedgerRow) -> dict[str, str]:
    """A reservation as attributes. What an earlier attempt left behind (`resent`, `unresolved_…`) is not touched."""
    fields = {
        "scenario": row.scenario,
        "scenario_version": row.scenario_version,
        "step": row.step,
        "occurrence": row.occurrence,
        "channel": row.channel,
        "template": row.template,
        "purpose": row.purpose.value,
        "state": row.state.value,
        "reason": row.reason.value,
        "owner": row.owner,
        "decided_at": to_iso(row.decided_at),
    }
    if row.lease_until is not None:
        fields["lease_until"] = to_iso(row.lease_until)
    if row.request is not None:
        fields["request"] = _packed(row.request)
    return fields


def _outcome_fields(key: SendKey, outcome: Outcome, at: datetime, now: datetime) -> tuple[dict[str, str], list[str]]:
    fields = {"state": outcome.state.value, "reason": outcome.reason.value, "decided_at": to_iso(at)}
    if outcome.message_id:
        fields["message_id"] = outcome.message_id
    if outcome.state is SendState.SENT:
        fields["sent_at"] = to_iso(at)
    if outcome.state is SendState.UNKNOWN:
        return {**fields, "unresolved_key": key.tenant, "unresolved_since": to_iso(now)}, ["lease_until"]
    return fields, ["lease_until", "unresolved_key", "unresolved_since", "request"]


def _row(item: Item | None) -> LedgerRow:
    if item is None:
        raise UnavailableError("the ledger row disappeared while it was written (erased?); try again")
    text = {name: value["S"] for name, value in item.items()}
    tenant, _, customer = text["pk"].partition("#")
    return LedgerRow(
        send_id=SendId(text["sk"].removeprefix("send#")),
        tenant=TenantId(tenant),
        customer_id=CustomerId(customer),
        scenario=ScenarioId(text["scenario"]),
        scenario_version=text["scenario_version"],
        step=text["step"],
        occurrence=text["occurrence"],
        channel=text["channel"],
        state=SendState(text["state"]),
        reason=Reason(text["reason"]),
        owner=text["owner"],
        lease_until=_instant(text.get("lease_until")),
        marked_at=_instant(text.get("marked_at")),
        decided_at=from_iso(text["decided_at"]),
        sent_at=_instant(text.get("sent_at")),
        message_id=text.get("message_id", ""),
        purpose=Purpose(text["purpose"]),
        template=text["template"],
        unresolved_since=_instant(text.get("unresolved_since")),
        resent="resent" in text,
        reactions=frozenset(reaction for reaction in ("opened", "clicked") if f"{reaction}_at" in text),
        request=_unpacked(text["request"]) if "request" in text else None,
    )


def _instant(text: str | None) -> datetime | None:
    return from_iso(text) if text else None


def _contact(item: Item | None) -> Contact:
    if item is None:
        return Contact()
    slots = {SendId(send_id): from_iso(at["S"]) for send_id, at in item["slots"]["M"].items()}
    described = item.get("about", {"M": {}})["M"].items()
    about = {SendId(send_id): (what["S"].partition(" ")[0], what["S"].partition(" ")[2]) for send_id, what in described}
    return Contact(slots, int(item["rev"]["N"]), {one: what for one, what in about.items() if one in slots})


def _packed(request: SendRequest) -> str:
    document = asdict(request)
    document["expires_at"] = to_iso(request.expires_at) if request.expires_at else None
    return json.dumps(document, ensure_ascii=False, separators=(",", ":"))


def _unpacked(text: str) -> SendRequest:
    document = json.loads(text)
    return SendRequest(
        **{**document, "purpose": Purpose(document["purpose"]), "expires_at": _instant(document["expires_at"])}
    )


def _gone(seen: LedgerRow) -> Held:
    """The person was erased while the send was in doubt."""
    return Held(replace(seen, state=SendState.SUPPRESSED, reason=Reason.ERASED), mine=False)
