"""More people than one batch takes: the machine runs them as a Distributed Map, and nobody is left out."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta

import pytest

from infra.demo import acts, shopify, verify
from infra.demo.post import post_all
from infra.demo.settle import settle, wait_until
from infra.demo.shopify import Buyer
from infra.demo.stage import Stage
from infra.demo.story import PRODUCTS, SHOP, Call
from infra.local.lifecycle import LocalCloud
from infra.local.process import internal, set_wait_scale
from infra.names import scenario_machine
from shared.scenarios.sweep import BATCH_SIZE
from tests.system.conftest import OpenShop, fire_schedule, schedules_paused

PEOPLE = BATCH_SIZE + 3


@pytest.fixture(scope="module")
def shop(cloud: LocalCloud, open_shop: OpenShop) -> Iterator[Stage]:
    """Schedules stand still: all of them are to be due in one sweep."""
    with schedules_paused(cloud):
        set_wait_scale(cloud.emulator, acts.HURRY)
        yield open_shop("exits")
        set_wait_scale(cloud.emulator, acts.WAIT_SCALE)


def test_a_cohort_of_several_batches_is_decided_to_the_last_person(cloud: LocalCloud, shop: Stage) -> None:
    at = datetime.now(UTC) - timedelta(hours=2)
    calls = [
        Call(
            "checkouts/update",
            shopify.encode(
                shopify.checkout(f"large-{n:03}", Buyer(20_000 + n, f"large-{n}@example.jp", "見本", "多"),
                                 PRODUCTS[:1], at, SHOP)
            ),
            f"large-{n:03}",
            at,
        )
        for n in range(PEOPLE)
    ]  # fmt: skip
    assert post_all(shop.endpoint, calls).answers == {"accepted": PEOPLE}
    settle(cloud.emulator)
    # The first file of the cohort is written, and its answer lost: the sweep meets its own file and reads it back.
    lost = {"service": "s3", "kind": "error_500_after", "principal": "ScenariosSweep", "contains": "/exits/"}
    planned = internal(cloud.emulator, "POST", "/_matakite/faults", lost)
    fire_schedule(cloud, "SweepCartAbandoned")
    wait_until(lambda: verify.undecided(shop.deployment, shop.shop.tenant) == 0, "everybody's decision", 60)
    settle(cloud.emulator)

    happened = {each["id"]: each["happened"] for each in internal(cloud.emulator, "GET", "/_matakite/faults")}
    assert happened[planned["id"]] == 1
    sends = Counter((send.state, send.reason) for send in verify.ledger(shop.deployment, shop.shop.tenant))
    assert sends == {("suppressed", "no_consent"): sends.total()}
    assert sends.total() % PEOPLE == 0
    assert sends.total() >= PEOPLE
    states = shop.deployment.client("stepfunctions")
    machine = shop.deployment.machine(scenario_machine(acts.SCENARIO))
    mine = [
        each
        for each in states.list_executions(stateMachineArn=machine)["executions"]
        if each["name"].startswith("exits-")
    ]
    assert [each["status"] for each in mine] == ["SUCCEEDED"]
    cohort = json.loads(states.describe_execution(executionArn=mine[0]["executionArn"])["input"])["cohort"]
    assert (cohort["size"], cohort["batches"]) == (PEOPLE, 2)
