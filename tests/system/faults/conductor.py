"""Plans failures of AWS calls, lets waits and leases pass, and keeps the table of what came of it."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from typing import Any

from infra.cli.session import Deployment
from infra.demo import acts
from infra.demo.settle import settle, wait_until
from infra.local.lifecycle import LocalCloud
from infra.local.process import internal, set_wait_scale
from shared.core.clock import SystemClock, to_iso
from shared.core.ids import SendId, TenantId
from shared.core.shop import parameter_name
from shared.delivery.model import IN_FLIGHT, SendState
from tests.system.faults.cohort import FIRST, PREFIX, SCENARIO, Books, Cohort, Someone, function_name, invoke, rewrite

CALM = 1 / 200
"""A deferral of 90 seconds takes half a second; the day until the second mail lasts longer than any test."""
LONG_AGO = "2000-01-01T00:00:00.000000Z"
STEP = "ScenariosStep"
_SECOND_MAILS_SECONDS = 120
_RESTS = 15
"""Looks at which nobody is at work until four minutes are taken to be over."""


@dataclass(frozen=True)
class Line:
    """One line of the table: a fault, and what became of the people it was aimed at (or of the whole cohort)."""

    fault: str
    sent: int
    held: int
    unknown: int
    duplicates: int


TABLE: list[Line] = []


@dataclass(frozen=True)
class Conductor:
    """The test's hand on the local cloud."""

    cloud: LocalCloud
    deployment: Deployment

    # --- faults ---

    def plan(self, **fault: Any) -> str:
        """Plan a failure; its id."""
        return str(internal(self.cloud.emulator, "POST", "/_matakite/faults", fault)["id"])

    def missed(self) -> list[dict[str, Any]]:
        """Planned failures that never happened: a test of nothing."""
        return [fault for fault in internal(self.cloud.emulator, "GET", "/_matakite/faults") if not fault["happened"]]

    def count(self, fault_id: str) -> int:
        """How often a planned failure happened."""
        planned = internal(self.cloud.emulator, "GET", "/_matakite/faults")
        return next(int(fault["happened"]) for fault in planned if fault["id"] == fault_id)

    def forget(self) -> None:
        """No more failures."""
        internal(self.cloud.emulator, "DELETE", "/_matakite/faults")

    def ses(self, **behaviour: Any) -> None:
        """How SES behaves from now on."""
        internal(self.cloud.emulator, "POST", "/_matakite/ses", behaviour)

    @contextmanager
    def stream_held(self, function: str) -> Iterator[None]:
        """A function's streams are not read while inside."""
        client, name = self.deployment.client("lambda"), function_name(self.deployment, function)
        mappings = client.list_event_source_mappings(FunctionName=name)["EventSourceMappings"]
        for mapping in mappings:
            client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=False)
        try:
            yield
        finally:
            for mapping in mappings:
                client.update_event_source_mapping(UUID=mapping["UUID"], Enabled=True)

    # --- time ---

    def waits(self, scale: float) -> None:
        """How long Step Functions' waits take from now on."""
        set_wait_scale(self.cloud.emulator, scale)

    def rest(self) -> None:
        """Wait until streams and queues are worked off."""
        settle(self.cloud.emulator, executions=False)

    def busy(self) -> set[str]:
        """The shops one of whose batches is being worked on right now."""
        running = internal(self.cloud.emulator, "GET", "/_matakite/functions")
        return {each["event"]["tenant"] for each in running if STEP in each["function"]}

    def forget_the_account(self) -> None:
        """The sender starts from nothing: what it learnt of SES (its quota, that it wants a rest) was minutes ago."""
        renew(self.deployment, STEP)

    def until(self, condition: Callable[[], bool], what: str, seconds: float = 60) -> None:
        """Wait for it."""
        wait_until(condition, what, seconds, poll=0.1)

    def sweep(self) -> dict[str, Any]:
        """Everybody due, in every shop; at a time of the minute that leaves a second call in the same minute."""
        if (left := 60 - time.time() % 60) < 8:
            time.sleep(left)
        renew(self.deployment, "ScenariosSweep")
        return invoke(self.deployment, "ScenariosSweep", {"scenario": SCENARIO})

    def reconcile(self) -> dict[str, Any]:
        """What the reconciler's schedule does every quarter of an hour."""
        return invoke(self.deployment, "DeliveryReconcile", {})

    def first_mails(self, cohorts: Sequence[Cohort], seconds: float = 100) -> dict[SendId, SendState]:
        """Until everybody's first mail is decided. Leases of attempts that died run out, as a minute would have it, and
        so does the rest that SES asked for, as four would.

        Returns the sends whose attempts had died, and the furthest state one left its row in.
        """
        seen, left = dict[SendId, str](), dict[SendId, SendState]()
        shops, looks = {cohort.tenant for cohort in cohorts}, count(1)

        def decided() -> bool:
            # An attempt that lives and was seen last time is still at work now, between the two looks.
            busy, leases = self.busy(), list(self._leases(shops))
            for tenant, send, key, state, until in leases:
                over = seen.get(send) == until and tenant not in busy
                if over and rewrite(self.deployment, key, "lease_until", until, LONG_AGO):
                    left[send] = SendState.SENDING if SendState.SENDING in (state, left.get(send)) else state
            seen.clear()
            seen.update({send: until for _, send, _, _, until in leases})
            if not busy and next(looks) % _RESTS == 0:
                self.forget_the_account()
            return self._undecided(shops) == 0 and not leases

        wait_until(decided, "everybody's first mail", seconds, poll=0.3)
        return left

    def _leases(self, shops: set[TenantId]) -> Iterator[tuple[str, SendId, dict[str, Any], SendState, str]]:
        for item in self._scan("DeliveriesTable", "lease_until > :now", {":now": {"S": to_iso(SystemClock().now())}}):
            tenant = item["pk"]["S"].partition("#")[0]
            if tenant in shops:
                key, send = {name: item[name] for name in ("pk", "sk")}, item["sk"]["S"].removeprefix("send#")
                yield tenant, SendId(send), key, SendState(item["state"]["S"]), item["lease_until"]["S"]

    def _undecided(self, shops: set[TenantId]) -> int:
        waiting = "sk = :enrolment AND (attribute_not_exists(step) OR step = :none)"
        rows = self._scan("ScenariosTable", waiting, {":enrolment": {"S": "enrolment"}, ":none": {"S": ""}})
        return sum(row["tenant"]["S"] in shops for row in rows)

    def _scan(self, table: str, condition: str, values: dict[str, Any]) -> Iterator[dict[str, Any]]:
        pages = self.deployment.client("dynamodb").get_paginator("scan")
        for page in pages.paginate(
            TableName=self.deployment.outputs[table],
            FilterExpression=condition,
            ExpressionAttributeValues=values,
            ConsistentRead=True,
        ):
            yield from page["Items"]

    def to_the_end(self) -> None:
        """All further waits take no time, until every machine is done and every event was heard."""
        self.waits(0)
        settle(self.cloud.emulator, seconds=_SECOND_MAILS_SECONDS)
        self.waits(CALM)


def renew(deployment: Deployment, function: str) -> None:
    """Let a function start from nothing, as every change of its configuration does (it keeps shops for 5 minutes)."""
    client, name = deployment.client("lambda"), function_name(deployment, function)
    timeout = client.get_function_configuration(FunctionName=name)["Timeout"]
    client.update_function_configuration(FunctionName=name, Timeout=timeout)


@contextmanager
def conducting(cloud: LocalCloud, deployment: Deployment) -> Iterator[Conductor]:
    """Take the local cloud in hand: schedules fire only when told to; afterwards everything is as before."""
    conductor = Conductor(cloud, deployment)
    internal(cloud.emulator, "POST", "/_matakite/schedules/pause", {"paused": True})
    conductor.waits(CALM)
    try:
        yield conductor
    finally:
        conductor.forget()
        conductor.ses(sending_paused=False, lose_events=0, double_events=0)
        conductor.waits(acts.WAIT_SCALE)
        _close_shops(deployment)
        internal(cloud.emulator, "POST", "/_matakite/schedules/pause", {"paused": False})


def _close_shops(deployment: Deployment) -> None:
    """Nobody else's sweep or reconciler need look at the wrecks."""
    ssm, path = deployment.client("ssm"), parameter_name(deployment.prefix, TenantId("")).rstrip("/")
    for page in ssm.get_paginator("get_parameters_by_path").paginate(Path=path):
        for parameter in page["Parameters"]:
            if parameter["Name"].startswith(parameter_name(deployment.prefix, TenantId(PREFIX))):
                ssm.delete_parameter(Name=parameter["Name"])
    for function in ("ScenariosSweep", "DeliveryReconcile"):
        renew(deployment, function)


def note(fault: str, *met: tuple[Cohort, Books, Sequence[Someone]]) -> None:
    """Add a line to the table: what became of the first mail of whom the fault met."""
    states, extra = Counter[SendState](), 0
    for cohort, books, people in met:
        sends = {cohort.send(one) for one in people}
        states += Counter(row.state for row in books.at(FIRST) if row.send_id in sends)
        extra += sum(max(0, books.mails[send] - 1) for send in sends)
    held = sum(count for state, count in states.items() if state not in (*IN_FLIGHT, SendState.SENT, SendState.UNKNOWN))
    TABLE.append(Line(fault, states[SendState.SENT], held, states[SendState.UNKNOWN], extra))
