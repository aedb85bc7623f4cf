"""`matakite scenario seed`, `move` and `handed`: over a shop's people, with AWS itself as the only fake."""

from __future__ import annotations

import json
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from infra.cli.customer import Desk
from infra.cli.places import Places, listed
from infra.cli.session import Deployment
from infra.names import scenario_machine
from shared.analytics.segments.store import MemorySegmentStore
from shared.core.clock import FixedClock, SystemClock
from shared.core.errors import RejectedError
from shared.core.ids import CustomerId, EventId
from shared.core.keys import derive_key_ring
from shared.core.spreadsheet import csv_lines
from shared.customers.fold import apply
from shared.customers.store import MemoryCustomerStore
from shared.ingest.model import EraseFacts, Event, EventType, Facts, Person, ProfileFacts
from shared.scenarios.compile import compile_scenario
from shared.scenarios.examples import SHOP
from shared.scenarios.model import LiveStatus, Scenario
from shared.scenarios.read import read_text
from shared.scenarios.seed import Seeded
from shared.scenarios.store import MemoryEnrolmentStore
from tests.unit.scenarios.test_words import AN_EXAMPLE, SEND, scenario_of
from tests.unit.scenarios.world import ARN, MORNING, STORE

KEYS = derive_key_ring("a master key that exists in tests only")


class States:
    """Step Functions, as far as it is asked here."""

    def __init__(self, deployed: Scenario) -> None:
        self.name, self.machine = scenario_machine(deployed.id), compile_scenario(deployed, ARN)

    def client(self, service: str) -> States:
        assert service == "stepfunctions"
        return self

    def get_paginator(self, _: str) -> States:
        return self

    def paginate(self) -> list[Any]:
        return [{"stateMachines": [{"name": self.name, "stateMachineArn": f"arn:{self.name}"}]}]

    def describe_state_machine(self, **_: Any) -> Any:
        return {"definition": json.dumps(self.machine)}


class ShopDesk:
    """A shop with people, one of whom is called like a formula."""

    def __init__(self, deployed: Scenario) -> None:
        self.customers = MemoryCustomerStore(FixedClock(MORNING))
        self.ids = {name: self.says(name, ProfileFacts(attributes={"birth_on": "1990-06-01"})) for name in ("a", "=b")}
        aws: Any = States(deployed)
        ledger: Any = None
        self.store = MemoryEnrolmentStore()
        self.places = Places(Desk(Deployment(aws), SHOP, self.customers, ledger, MemorySegmentStore()), self.store)

    def says(self, name: str, facts: Facts, days: int = 0) -> CustomerId:
        kind = EventType.PERSON_ERASED if isinstance(facts, EraseFacts) else EventType.CUSTOMER_UPDATED
        at = MORNING - timedelta(days=9 - days)
        event = Event(
            event_id=EventId(f"{kind} {name}"),
            subject=f"shopify/{name}",
            version="1",
            event_type=kind,
            tenant=SHOP.tenant,
            source="shopify",
            store=STORE,
            occurred_at=at,
            received_at=at,
            person=Person(source_customer_id=name, email=f"{name.strip('=')}@example.com", last_name=name),
            facts=facts,
        )
        found = apply(event, self.customers, KEYS, SHOP).customer_id
        assert found
        return found


def scenario(entry: str = "{event: date, date: birthday}", template: str = "t/one") -> Scenario:
    text = scenario_of(entry, f"  - {SEND.replace('t/one', template)}", AN_EXAMPLE)
    return read_text(text).model_copy(update={"status": LiveStatus.LIVE})


def test_the_people_of_the_shop_are_seeded_once() -> None:
    desk = ShopDesk(scenario())
    assert list(desk.places.seed(scenario())) == [Seeded(2, 2)]
    assert list(desk.places.seed(scenario())) == [Seeded(2, 0)]
    due = [each.due_at for each in desk.store.people(SHOP.tenant, scenario().scenario_id)]
    assert all(at and at > SystemClock().now() - timedelta(days=2) for at in due)


ONE, OTHER = "a2" * 13, "b3" * 13


@pytest.mark.parametrize("text", [f"\ufeff顧客ID\r\n{ONE}\r\n{OTHER}\r\n", f"{ONE},見本\n\n{OTHER}\n{ONE}\n"])
def test_a_list_is_its_first_column_without_the_heading_each_id_once(text: str, tmp_path: Path) -> None:
    (file := tmp_path / "people.csv").write_text(text, "utf-8")
    assert listed(file) == [ONE, OTHER]


@pytest.mark.parametrize("text", ["", "顧客ID\n", f"注文番号\nW1\n{ONE}\n", f"{ONE}\nhanako@example.com\n"])
def test_another_file_is_no_list_and_nobody_is_enrolled(text: str, tmp_path: Path) -> None:
    (file := tmp_path / "orders.csv").write_text(text, "utf-8")
    with pytest.raises(RejectedError, match="no list of customer ids"):
        listed(file)


def test_a_broadcast_for_a_moment_that_is_over_is_refused() -> None:
    desk, news = ShopDesk(scenario()), scenario("{event: broadcast}")
    with pytest.raises(RejectedError, match="is over"):
        desk.places.enrol(news, list(desk.ids.values()), "one", datetime(1999, 1, 1))  # noqa: DTZ001 - the shop's time
    assert desk.places.enrol(news, list(desk.ids.values()), "one", None) == 2


def test_a_version_that_is_not_deployed_moves_nobody() -> None:
    desk = ShopDesk(scenario())
    with pytest.raises(RejectedError, match="is not deployed yet"):
        desk.places.move(scenario(template="t/other"))


def test_a_list_says_who_they_are_now_and_runs_no_formula() -> None:
    desk = ShopDesk(scenario())
    handed = [
        {"customer_id": customer, "scenario": "sample", "step": "list", "at": "2026-03-02T02:00:00Z"}
        for customer in desk.ids.values()
    ]
    desk.says("a", EraseFacts(), days=1)
    ((customer_id, last_name, _, email, *_),) = rows = list(desk.places.rows(handed))
    assert (customer_id, last_name, email) == (desk.ids["=b"], "=b", "b@example.com")
    assert "'=b" in "".join(csv_lines(("",), rows))
