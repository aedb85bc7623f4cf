"""What a webhook and a mail cost in AWS calls, counted while a shop's day is played on the deployed stacks."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from infra.cli.session import Deployment
from infra.demo import acts, story, verify
from infra.demo.stage import Stage, set_up
from infra.local import lifecycle
from infra.local.process import Emulator, LocalPaths, internal
from shared.core.clock import SystemClock

SHOPPERS = 60
LIMIT_PER_WEBHOOK = 12
"""Write units of one webhook all in (event, state, due index), most of them of people never seen before, whose keys
are written too. The aim is 3; the fold's transactions count double.
"""
LIMIT_PER_MAIL = 6
"""Ledger 3, contact 1, enrolment 2."""


@pytest.fixture(scope="module")
def played(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Stage, Emulator, dict[str, float]]]:
    """A day on a cloud of its own, with the counters before the first mail."""
    paths = LocalPaths(Path(tmp_path_factory.mktemp("cost")))
    cloud = lifecycle.up(paths=paths, wait_scale=acts.WAIT_SCALE)
    try:
        stage = set_up(Deployment(cloud.session, cloud.emulator.endpoint))
        day = story.play(SystemClock().now(), shoppers=SHOPPERS, lead=timedelta(seconds=20))
        internal(cloud.emulator, "DELETE", "/_matakite/calls")
        tally = acts.morning(stage, cloud.emulator, day)
        morning = units(cloud.emulator) | {"webhooks": float(tally.answers["accepted"])}
        due_at = max(shopper.touched_at for shopper in day.shoppers) + story.TOUCHED_BEFORE_DUE
        acts.first_mails(stage, cloud.emulator, due_at)
        acts.evening(stage, cloud.emulator, day)
        acts.all_mails(cloud.emulator)
        yield stage, cloud.emulator, morning
    finally:
        lifecycle.down(paths)


def counted(emulator: Emulator) -> dict[str, Any]:
    """Everything the local cloud counted."""
    found: dict[str, Any] = internal(emulator, "GET", "/_matakite/calls")
    return found


def units(emulator: Emulator) -> dict[str, float]:
    """Write units by table (`Events`, `Customers`, …)."""
    return {
        name: sum(row["write_units"] for row in counted(emulator)["dynamodb"] if f"-{name}" in row["table"])
        for name in ("Events", "Customers", "Scenarios", "Deliveries")
    }


def test_write_units_are_counted(
    played: tuple[Stage, Emulator, dict[str, float]], capsys: pytest.CaptureFixture[str]
) -> None:
    stage, emulator, morning = played
    sends = list(verify.ledger(stage.deployment, stage.shop.tenant))
    mails = sum(send.state == "sent" for send in sends)
    total = units(emulator)
    webhook = sum(morning[name] for name in ("Events", "Customers", "Scenarios")) / morning["webhooks"]
    ledger = total["Deliveries"] / len(sends)
    enrolment = (total["Scenarios"] - morning["Scenarios"]) / len(sends)
    transitions = sum(row.get("transitions", 0) for row in counted(emulator)["state_machines"])
    with capsys.disabled():
        sys.stdout.write(
            f"\nwrite units per accepted webhook {webhook:.2f} (event {morning['Events'] / morning['webhooks']:.2f}, "
            f"state {morning['Customers'] / morning['webhooks']:.2f}, due index "
            f"{morning['Scenarios'] / morning['webhooks']:.2f}); per decision {ledger + enrolment:.2f} "
            f"(ledger and contact {ledger:.2f}, enrolment and counts {enrolment:.2f}); "
            f"{mails} mails of {len(sends)} decisions, {transitions} state transitions\n"
        )
    assert webhook < LIMIT_PER_WEBHOOK
    assert ledger + enrolment < LIMIT_PER_MAIL
