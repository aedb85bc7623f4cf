"""The scenarios table: who is due, where everyone stands, and what each batch met. The only file that knows its keys.

    pk {tenant}#{scenario}#{occurrence}   sk enrolment    one row per cart, for ever
        index `due`          due_key {tenant}#{scenario}[#{shard}], due_at     due_key only while ARMED
        index `by_customer`  customer_key {tenant}#{customer_id}, pk
    pk {tenant}#{scenario}                sk funnel#{date}#{execution}#{step}#{batch}
    pk {tenant}#{scenario}                sk control     there while the shop has paused the scenario

Write units of one cart: arm 1 (+2 index entries; +2 when it is put off), claim 1 (+1), each step 1.
"""

from __future__ import annotations

import heapq
import json
import threading
import zlib
from collections import defaultdict
from collections.abc import Collection, Iterable, Iterator, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from typing import Any, Protocol

from shared.core.aws import client, domain_errors
from shared.core.clock import from_iso, to_iso
from shared.core.errors import UnavailableError
from shared.core.ids import CustomerId, ScenarioId, TenantId
from shared.scenarios.enrolment import Enrolment, EnrolmentKey, EnrolmentState, FunnelRow, Instance
from shared.scenarios.rules import rearms

FUNNEL_DAYS = 400
_READ_AT_ONCE = 100
"""BatchGetItem's limit."""
_READ_ATTEMPTS = 8
SHARDS = 32
"""Keys of the due index for one scenario of a shop, so that a crowd writes no key 100 times a second: a function of
0.58 processors claims 240 people a second at 2.4 ms each, and a machine runs 10 of them (`compile.Options`). The price
is an idle look's 32 half read units: with all 24 presets (25,000 sweeps a month, 24,000 looks of the watchdog) a shop
pays 17 yen for them and 7 for the time, where one key would cost 1.
"""


class EnrolmentStore(Protocol):
    """Where everyone stands. Every method may raise UnavailableError; repeating any of them is harmless."""

    def arm(self, enrolment: Enrolment) -> bool:
        """Make someone due (again, while nobody has collected them and the cart was touched later). Did it?"""
        ...

    def disarm(self, tenant: TenantId, scenario: ScenarioId, occurrence: str, reason: str, at: datetime) -> bool:
        """Take someone out before they are collected. Did it? Nothing happens once they entered."""
        ...

    def due(self, tenant: TenantId, scenario: ScenarioId, until: datetime, limit: int) -> list[Enrolment]:
        """Who is due, the longest waiting first and the shards in turn; eventually consistent, so a claim decides."""
        ...

    def claim(
        self, tenant: TenantId, scenario: ScenarioId, occurrence: str, execution: str, version: str, at: datetime
    ) -> Enrolment | None:
        """Let an execution have someone who is due at `at`. None: not due (any more), or another's. Repeatable."""
        ...

    def record(self, enrolment: Enrolment, step: str, outcome: str, state: EnrolmentState, at: datetime) -> bool:
        """A step is done. False: they have left in the meantime and the record says why."""
        ...

    def get(self, tenant: TenantId, scenario: ScenarioId, occurrence: str) -> Enrolment | None:
        """One enrolment, strongly consistent."""
        ...

    def get_each(self, wanted: Iterable[EnrolmentKey]) -> dict[EnrolmentKey, Enrolment]:
        """Those of these enrolments that exist, strongly consistent."""
        ...

    def of_customer(
        self, tenant: TenantId, customer_id: CustomerId, scenarios: Collection[str] | None = None
    ) -> list[Enrolment]:
        """Every enrolment of a person, in every scenario or in these."""
        ...

    def forget(self, tenant: TenantId, customer_id: CustomerId) -> int:
        """Delete every enrolment of a person (erasure); returns how many."""
        ...

    def eject(self, enrolment: Enrolment, reason: str, at: datetime) -> bool:
        """Take somebody out wherever they stand. Did it? Whoever has left already stays as they are."""
        ...

    def move(self, enrolment: Enrolment, execution: str, version: str) -> bool:
        """Give somebody inside to another execution, of another version. Did it? Not who has left or moved already."""
        ...

    def pause(self, tenant: TenantId, scenario: ScenarioId, at: datetime | None) -> None:
        """Stop a scenario of a shop since `at`; None: let it go on."""
        ...

    def paused(self, tenant: TenantId, scenario: ScenarioId) -> bool:
        """Has the shop stopped it?"""
        ...

    def people(self, tenant: TenantId, scenario: ScenarioId) -> Iterator[Enrolment]:
        """Everybody who ever stood in a scenario. Reads the whole table: for a person who asks, not for a step."""
        ...

    def put_funnel(self, row: FunnelRow) -> None:
        """Record what a batch met at a step, replacing what an earlier attempt recorded."""
        ...

    def funnel(self, tenant: TenantId, scenario: ScenarioId, first: date, last: date) -> Iterator[FunnelRow]:
        """The recorded batches of these shop days."""
        ...


class DynamoEnrolmentStore:
    """Enrolments in DynamoDB."""

    def __init__(self, table: str, dynamodb: Any = None) -> None:
        self._table = table
        self._given = dynamodb

    @property
    def _client(self) -> Any:
        return self._given or client("dynamodb")

    def arm(self, enrolment: Enrolment) -> bool:
        """Make someone due. One conditional write."""
        if enrolment.due_at is None:
            raise ValueError("someone is made due at a time")
        changes = {
            **_row(enrolment),
            "due_key": _due_key(enrolment),
            "due_at": to_iso(enrolment.due_at),
        }
        # `rules.rearms` as a condition.
        later = "touched_at < :touched_at OR (touched_at = :touched_at AND customer_id <> :customer_id)"
        return self._update(
            _key(enrolment.tenant, enrolment.scenario, enrolment.occurrence),
            changes,
            condition=f"attribute_not_exists(pk) OR (#state = :state AND ({later}))",
        )

    def disarm(self, tenant: TenantId, scenario: ScenarioId, occurrence: str, reason: str, at: datetime) -> bool:
        """Take someone out before they are collected."""
        return self._update(
            _key(tenant, scenario, occurrence),
            {"state": EnrolmentState.EXITED, "outcome": reason, "moved_at": to_iso(at)},
            remove="due_key",
            condition="#state = :armed",
            values={":armed": EnrolmentState.ARMED},
        )

    def due(self, tenant: TenantId, scenario: ScenarioId, until: datetime, limit: int) -> list[Enrolment]:
        """Who is due, the longest waiting first."""
        shards = [self._due_of_shard(tenant, scenario, shard, until) for shard in range(SHARDS)]
        return list(islice(_in_turn(shards), limit))

    def _due_of_shard(self, tenant: TenantId, scenario: ScenarioId, shard: int, until: datetime) -> Iterator[Enrolment]:
        values = {":key": _shard_key(tenant, scenario, shard), ":until": to_iso(until)}
        query = {
            "TableName": self._table,
            "IndexName": "due",
            "KeyConditionExpression": "due_key = :key AND due_at <= :until",
            "ExpressionAttributeValues": _texts(values),
        }
        return map(_enrolment, self._query(query))

    def claim(
        self, tenant: TenantId, scenario: ScenarioId, occurrence: str, execution: str, version: str, at: datetime
    ) -> Enrolment | None:
        """Let an execution have someone who is due. One conditional write."""
        changes = {
            "state": EnrolmentState.ENTERED,
            "execution": execution,
            "version": version,
            "entered_at": to_iso(at),
            "moved_at": to_iso(at),
        }
        request = self._request(
            _key(tenant, scenario, occurrence),
            changes,
            remove="due_key",
            condition="#state = :armed AND due_at <= :entered_at",
            values={":armed": EnrolmentState.ARMED},
        )
        try:
            with domain_errors("claim an enrolment"):
                answer = self._client.update_item(
                    **request, ReturnValues="ALL_NEW", ReturnValuesOnConditionCheckFailure="ALL_OLD"
                )
        except self._client.exceptions.ConditionalCheckFailedException as error:
            item = error.response.get("Item")
            existing = _enrolment(item) if item else None
            return existing if existing and existing.execution == execution else None
        return _enrolment(answer["Attributes"])

    def record(self, enrolment: Enrolment, step: str, outcome: str, state: EnrolmentState, at: datetime) -> bool:
        """A step is done. One conditional write."""
        return self._update(
            _key(enrolment.tenant, enrolment.scenario, enrolment.occurrence),
            {"step": step, "outcome": outcome, "state": state, "moved_at": to_iso(at)},
            condition="execution = :execution AND (#state = :entered OR #step = :step)",
            values={":execution": enrolment.execution, ":entered": EnrolmentState.ENTERED},
        )

    def get(self, tenant: TenantId, scenario: ScenarioId, occurrence: str) -> Enrolment | None:
        """One enrolment, strongly consistent."""
        return self.get_each([(tenant, scenario, occurrence)]).get((tenant, scenario, occurrence))

    def get_each(self, wanted: Iterable[EnrolmentKey]) -> dict[EnrolmentKey, Enrolment]:
        """Those of these enrolments that exist, strongly consistent."""
        return {found.key: found for found in self._read([_key(*key) for key in dict.fromkeys(wanted)])}

    def of_customer(
        self, tenant: TenantId, customer_id: CustomerId, scenarios: Collection[str] | None = None
    ) -> list[Enrolment]:
        """Every enrolment of a person; the index knows the keys alone, so that only what is asked for is read."""
        keys = self._keys_of(tenant, customer_id)
        if scenarios is not None:
            begins = tuple(f"{tenant}#{scenario}#" for scenario in scenarios)
            keys = [key for key in keys if key["pk"]["S"].startswith(begins)]
        return sorted(self._read(keys), key=lambda enrolment: (enrolment.touched_at, enrolment.scenario))

    def _keys_of(self, tenant: TenantId, customer_id: CustomerId) -> list[Any]:
        query = {
            "TableName": self._table,
            "IndexName": "by_customer",
            "KeyConditionExpression": "customer_key = :key",
            "ExpressionAttributeValues": _texts({":key": f"{tenant}#{customer_id}"}),
        }
        return [{name: item[name] for name in ("pk", "sk")} for item in self._query(query)]

    def forget(self, tenant: TenantId, customer_id: CustomerId) -> int:
        """Delete every enrolment of a person (erasure)."""
        keys = self._keys_of(tenant, customer_id)
        for key in keys:
            with domain_errors("forget an enrolment"):
                self._client.delete_item(TableName=self._table, Key=key)
        return len(keys)

    def eject(self, enrolment: Enrolment, reason: str, at: datetime) -> bool:
        """Take somebody out wherever they stand. One conditional write."""
        return self._update(
            _key(enrolment.tenant, enrolment.scenario, enrolment.occurrence),
            {"state": EnrolmentState.EXITED, "outcome": reason, "moved_at": to_iso(at)},
            remove="due_key",
            condition="#state IN (:armed, :entered)",
            values={":armed": EnrolmentState.ARMED, ":entered": EnrolmentState.ENTERED},
        )

    def move(self, enrolment: Enrolment, execution: str, version: str) -> bool:
        """Give somebody inside to another execution. One conditional write."""
        return self._update(
            _key(enrolment.tenant, enrolment.scenario, enrolment.occurrence),
            {"execution": execution, "version": version, "state": EnrolmentState.ENTERED},
            condition="#execution = :was AND #state = :entered",
            values={":was": enrolment.execution, ":entered": EnrolmentState.ENTERED},
        )

    def pause(self, tenant: TenantId, scenario: ScenarioId, at: datetime | None) -> None:
        """Stop a scenario of a shop, or let it go on."""
        key = _control_key(tenant, scenario)
        with domain_errors("pause a scenario"):
            if at is None:
                self._client.delete_item(TableName=self._table, Key=key)
            else:
                self._client.put_item(TableName=self._table, Item={**key, **_texts({"paused_at": to_iso(at)})})

    def paused(self, tenant: TenantId, scenario: ScenarioId) -> bool:
        """Has the shop stopped it? Strongly consistent."""
        return any(True for _ in self._read_page([_control_key(tenant, scenario)]))

    def people(self, tenant: TenantId, scenario: ScenarioId) -> Iterator[Enrolment]:
        """Everybody who ever stood in a scenario."""
        wanted = _texts({":prefix": f"{tenant}#{scenario}#", ":sk": "enrolment"})
        with domain_errors("list a scenario's people"):
            for page in self._client.get_paginator("scan").paginate(
                TableName=self._table,
                FilterExpression="begins_with(pk, :prefix) AND sk = :sk",
                ExpressionAttributeValues=wanted,
                ConsistentRead=True,
            ):
                yield from map(_enrolment, page["Items"])

    def put_funnel(self, row: FunnelRow) -> None:
        """Record what a batch met at a step."""
        expires_at = datetime(row.on.year, row.on.month, row.on.day, tzinfo=UTC) + timedelta(days=FUNNEL_DAYS)
        item = _texts(
            {
                "pk": f"{row.tenant}#{row.scenario}",
                "sk": f"funnel#{row.on.isoformat()}#{row.execution}#{row.step}#{row.batch}",
                "execution": row.execution,
                "step": row.step,
                "batch": row.batch,
                "on": row.on.isoformat(),
                "counts": json.dumps(dict(row.counts), sort_keys=True),
                "due": str(row.due),
            }
        )
        item["expires_at"] = {"N": str(int(expires_at.timestamp()))}
        with domain_errors("record a funnel"):
            self._client.put_item(TableName=self._table, Item=item)

    def funnel(self, tenant: TenantId, scenario: ScenarioId, first: date, last: date) -> Iterator[FunnelRow]:
        """The recorded batches of these shop days."""
        span = {
            ":key": f"{tenant}#{scenario}",
            ":first": f"funnel#{first.isoformat()}",
            ":last": f"funnel#{last.isoformat()}~",
        }
        query = {
            "TableName": self._table,
            "KeyConditionExpression": "pk = :key AND sk BETWEEN :first AND :last",
            "ExpressionAttributeValues": _texts(span),
        }
        for item in self._query(query):
            text = {name: value["S"] for name, value in item.items() if "S" in value}
            yield FunnelRow(
                tenant,
                scenario,
                date.fromisoformat(text["on"]),
                text["execution"],
                text["step"],
                text["batch"],
                json.loads(text["counts"]),
                int(text.get("due", "0")),
            )

    def _update(self, key: Mapping[str, Any], changes: Mapping[str, str], **how: Any) -> bool:
        try:
            with domain_errors("write an enrolment"):
                self._client.update_item(**self._request(key, changes, **how))
        except self._client.exceptions.ConditionalCheckFailedException:
            return False
        return True

    def _request(
        self,
        key: Mapping[str, Any],
        changes: Mapping[str, str],
        *,
        condition: str,
        remove: str = "",
        values: Mapping[str, str] | None = None,
    ) -> dict[str, Any]:
        sets = "SET " + ", ".join(f"#{name} = :{name}" for name in changes)
        return {
            "TableName": self._table,
            "Key": key,
            "UpdateExpression": sets + (f" REMOVE {remove}" if remove else ""),
            "ConditionExpression": condition,
            "ExpressionAttributeNames": {f"#{name}": name for name in changes},
            "ExpressionAttributeValues": _texts(
                {**{f":{name}": str(value) for name, value in changes.items()}, **(values or {})}
            ),
        }

    def _query(self, query: dict[str, Any]) -> Iterator[dict[str, Any]]:
        with domain_errors("query the scenarios table"):
            for page in self._client.get_paginator("query").paginate(**query):
                yield from page["Items"]

    def _read(self, keys: list[Any]) -> list[Enrolment]:
        found: list[Enrolment] = []
        for start in range(0, len(keys), _READ_AT_ONCE):
            found += map(_enrolment, self._read_page(keys[start : start + _READ_AT_ONCE]))
        return found

    def _read_page(self, keys: list[Any]) -> Iterator[dict[str, Any]]:
        for _ in range(_READ_ATTEMPTS):
            with domain_errors("read enrolments"):
                answer = self._client.batch_get_item(RequestItems={self._table: {"Keys": keys, "ConsistentRead": True}})
            yield from answer["Responses"].get(self._table, [])
            keys = answer["UnprocessedKeys"].get(self._table, {}).get("Keys", [])
            if not keys:
                return
        raise UnavailableError("DynamoDB does not answer for all enrolments of a batch; try again")


class MemoryEnrolmentStore:
    """Enrolments in memory: the same promises, for tests, examples and rehearsals."""

    def __init__(self) -> None:
        self._rows: dict[EnrolmentKey, Enrolment] = {}
        self._funnel: dict[tuple[str, ...], FunnelRow] = {}
        self._paused: set[tuple[str, str]] = set()
        self._lock = threading.Lock()

    def arm(self, enrolment: Enrolment) -> bool:
        """Make someone due."""
        if enrolment.due_at is None:
            raise ValueError("someone is made due at a time")
        with self._lock:
            if not rearms(self._rows.get(enrolment.key), enrolment):
                return False
            self._rows[enrolment.key] = enrolment
            return True

    def disarm(self, tenant: TenantId, scenario: ScenarioId, occurrence: str, reason: str, at: datetime) -> bool:
        """Take someone out before they are collected."""
        with self._lock:
            existing = self._rows.get((tenant, scenario, occurrence))
            if existing is None or existing.state is not EnrolmentState.ARMED:
                return False
            self._rows[existing.key] = replace(existing, state=EnrolmentState.EXITED, outcome=reason, moved_at=at)
            return True

    def due(self, tenant: TenantId, scenario: ScenarioId, until: datetime, limit: int) -> list[Enrolment]:
        """Who is due, the longest waiting first."""
        armed = [row for row in self._rows.values() if row.state is EnrolmentState.ARMED]
        mine = [row for row in armed if (row.tenant, row.scenario) == (tenant, scenario)]
        due = sorted((row for row in mine if row.due_at and row.due_at <= until), key=_due_at)
        return list(islice(_in_turn(_by_shard(due)), limit))

    def claim(
        self, tenant: TenantId, scenario: ScenarioId, occurrence: str, execution: str, version: str, at: datetime
    ) -> Enrolment | None:
        """Let an execution have someone who is due."""
        with self._lock:
            existing = self._rows.get((tenant, scenario, occurrence))
            if existing is None:
                return None
            if existing.state is not EnrolmentState.ARMED or existing.due_at is None or existing.due_at > at:
                return existing if existing.execution == execution else None
            entered = replace(existing, state=EnrolmentState.ENTERED, execution=execution, version=version)
            self._rows[existing.key] = replace(entered, entered_at=at, moved_at=at)
            return self._rows[existing.key]

    def record(self, enrolment: Enrolment, step: str, outcome: str, state: EnrolmentState, at: datetime) -> bool:
        """A step is done."""
        with self._lock:
            existing = self._rows.get(enrolment.key)
            if existing is None or existing.execution != enrolment.execution:
                return False
            if existing.state is not EnrolmentState.ENTERED and existing.step != step:
                return False
            self._rows[existing.key] = replace(existing, step=step, outcome=outcome, state=state, moved_at=at)
            return True

    def get(self, tenant: TenantId, scenario: ScenarioId, occurrence: str) -> Enrolment | None:
        """One enrolment."""
        return self._rows.get((tenant, scenario, occurrence))

    def get_each(self, wanted: Iterable[EnrolmentKey]) -> dict[EnrolmentKey, Enrolment]:
        """Those of these enrolments that exist."""
        return {key: self._rows[key] for key in wanted if key in self._rows}

    def of_customer(
        self, tenant: TenantId, customer_id: CustomerId, scenarios: Collection[str] | None = None
    ) -> list[Enrolment]:
        """Every enrolment of a person."""
        mine = [row for row in self._rows.values() if (row.tenant, row.customer_id) == (tenant, customer_id)]
        mine = [row for row in mine if scenarios is None or row.scenario in scenarios]
        return sorted(mine, key=lambda enrolment: (enrolment.touched_at, enrolment.scenario))

    def forget(self, tenant: TenantId, customer_id: CustomerId) -> int:
        """Delete every enrolment of a person (erasure)."""
        doomed = [key for key, row in self._rows.items() if (row.tenant, row.customer_id) == (tenant, customer_id)]
        for key in doomed:
            del self._rows[key]
        return len(doomed)

    def eject(self, enrolment: Enrolment, reason: str, at: datetime) -> bool:
        """Take somebody out wherever they stand."""
        with self._lock:
            existing = self._rows.get(enrolment.key)
            if existing is None or existing.state not in {EnrolmentState.ARMED, EnrolmentState.ENTERED}:
                return False
            self._rows[existing.key] = replace(existing, state=EnrolmentState.EXITED, outcome=reason, moved_at=at)
            return True

    def move(self, enrolment: Enrolment, execution: str, version: str) -> bool:
        """Give somebody inside to another execution."""
        with self._lock:
            existing = self._rows.get(enrolment.key)
            inside = existing is not None and existing.state is EnrolmentState.ENTERED
            if existing is None or not inside or existing.execution != enrolment.execution:
                return False
            self._rows[existing.key] = replace(existing, execution=execution, version=version)
            return True

    def pause(self, tenant: TenantId, scenario: ScenarioId, at: datetime | None) -> None:
        """Stop a scenario of a shop, or let it go on."""
        (self._paused.discard if at is None else self._paused.add)((tenant, scenario))

    def paused(self, tenant: TenantId, scenario: ScenarioId) -> bool:
        """Has the shop stopped it?"""
        return (tenant, scenario) in self._paused

    def people(self, tenant: TenantId, scenario: ScenarioId) -> Iterator[Enrolment]:
        """Everybody who ever stood in a scenario."""
        mine = [row for row in self._rows.values() if (row.tenant, row.scenario) == (tenant, scenario)]
        yield from sorted(mine, key=lambda row: (row.touched_at, row.occurrence))

    def put_funnel(self, row: FunnelRow) -> None:
        """Record what a batch met at a step."""
        key = (row.tenant, row.scenario, row.on.isoformat(), row.execution, row.step, row.batch)
        self._funnel[key] = replace(row, counts=dict(row.counts))

    def funnel(self, tenant: TenantId, scenario: ScenarioId, first: date, last: date) -> Iterator[FunnelRow]:
        """The recorded batches of these shop days."""
        for key in sorted(self._funnel):
            row = self._funnel[key]
            if (row.tenant, row.scenario) == (tenant, scenario) and first <= row.on <= last:
                yield row


def _due_at(enrolment: Enrolment) -> tuple[datetime, str]:
    return enrolment.due_at or enrolment.touched_at, enrolment.occurrence


def _in_turn(shards: Iterable[Iterable[Enrolment]]) -> Iterator[Enrolment]:
    """The longest waiting first, and of those who wait equally long (a crowd) from every shard in turn.

    So those who are claimed together do not stand under one key.
    """

    def placed(shard: Iterable[Enrolment]) -> Iterator[tuple[datetime, int, Enrolment]]:
        return ((_due_at(row)[0], place, row) for place, row in enumerate(shard))

    for _, _, row in heapq.merge(*map(placed, shards), key=lambda each: each[:2]):
        yield row


def evenly(due: Iterable[Enrolment]) -> list[Enrolment]:
    """The same people, those of every shard spread over all of them: also the last to be claimed stand under many keys,
    though some shards hold more than others.
    """
    placed = [((place + 0.5) / len(shard), row) for shard in _by_shard(due) for place, row in enumerate(shard)]
    return [row for _, row in sorted(placed, key=lambda each: each[0])]


def _by_shard(due: Iterable[Enrolment]) -> list[list[Enrolment]]:
    shards: defaultdict[str, list[Enrolment]] = defaultdict(list)
    for row in due:
        shards[_due_key(row)].append(row)
    return list(shards.values())


def _due_key(enrolment: Enrolment) -> str:
    return _shard_key(enrolment.tenant, enrolment.scenario, zlib.crc32(enrolment.occurrence.encode()) % SHARDS)


def _shard_key(tenant: TenantId, scenario: ScenarioId, shard: int) -> str:
    """The first shard has no number: it is also that of rows made due before there were shards."""
    return f"{tenant}#{scenario}#{shard}" if shard else f"{tenant}#{scenario}"


def _key(tenant: TenantId, scenario: ScenarioId, occurrence: str) -> dict[str, Any]:
    return _texts({"pk": f"{tenant}#{scenario}#{occurrence}", "sk": "enrolment"})


def _control_key(tenant: TenantId, scenario: ScenarioId) -> dict[str, Any]:
    return _texts({"pk": f"{tenant}#{scenario}", "sk": "control"})


def _texts(values: Mapping[str, str]) -> dict[str, Any]:
    return {name: {"S": str(value)} for name, value in values.items()}


def _row(enrolment: Enrolment) -> dict[str, str]:
    return {
        "tenant": enrolment.tenant,
        "scenario": enrolment.scenario,
        "occurrence": enrolment.occurrence,
        "customer_id": enrolment.customer_id,
        "customer_key": f"{enrolment.tenant}#{enrolment.customer_id}",
        "about_source": enrolment.instance.source,
        "about_store": enrolment.instance.store,
        "about_key": enrolment.instance.key,
        "about_kind": enrolment.instance.kind,
        "touched_at": to_iso(enrolment.touched_at),
        "state": enrolment.state,
    }


def _enrolment(item: Mapping[str, Any]) -> Enrolment:
    text = {name: value["S"] for name, value in item.items() if "S" in value}

    def at(name: str) -> datetime | None:
        return from_iso(text[name]) if text.get(name) else None

    return Enrolment(
        tenant=TenantId(text["tenant"]),
        scenario=ScenarioId(text["scenario"]),
        occurrence=text["occurrence"],
        customer_id=CustomerId(text["customer_id"]),
        instance=Instance(*(text.get(f"about_{part}", "") for part in ("source", "store", "key", "kind"))),
        touched_at=from_iso(text["touched_at"]),
        state=EnrolmentState(text["state"]),
        due_at=at("due_at"),
        execution=text.get("execution", ""),
        version=text.get("version", ""),
        entered_at=at("entered_at"),
        step=text.get("step", ""),
        outcome=text.get("outcome", ""),
        moved_at=at("moved_at"),
    )
