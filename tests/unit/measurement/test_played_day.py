"""A day really played: funnel, metrics, ledger and `explain` tell the same story of everyone."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from shared.admin.explain import Evidence, Voice, explain
from shared.core.ids import CustomerId, ScenarioId
from shared.customers.model import LtvTier
from shared.delivery.model import SendState
from shared.measurement.funnel import Funnel, funnel
from shared.scenarios.step import SENDS_HELD_BACK, SENDS_SENT
from tests.unit.scenarios.world import TENANT, World, a_cart, a_person

SENDS = ["mail_1", "mail_2_high", "mail_2_potential", "mail_2", "mail_3"]


@pytest.fixture(params=[1, 3, 50])
def played(request: pytest.FixtureRequest) -> World:
    """Twelve carts: some order, some opt out, some cannot be reached; in batches of several sizes."""
    tiers = [LtvTier.HIGH, LtvTier.POTENTIAL, LtvTier.LOW, None]
    world = World(batch_size=request.param)
    for n in range(12):
        given: dict[str, Any] = {"email": None} if n == 11 else {}
        world.adds(a_person(f"p{n:03}", a_cart(f"c{n:03}"), tier=tiers[n % 4], **given))
    world.at("2026-03-02 11:00", world.sweeps)
    for n in (0, 5):
        world.at("2026-03-02 15:00", lambda n=n: world.orders(f"p{n:03}", f"c{n:03}"))  # type: ignore[misc]
    world.at("2026-03-03 15:00", lambda: world.opts_out("p002"))
    world.play()
    return world


def the_funnel(world: World) -> Funnel:
    scenario = ScenarioId("cart_abandoned")
    return funnel(scenario, SENDS, world.enrolments.funnel(TENANT, scenario, date(2026, 1, 1), date(2026, 12, 31)))


def test_the_funnel_balances_at_every_step_and_agrees_with_the_ledger(played: World) -> None:
    result = the_funnel(played)
    rows = [row for customer in played.people for row in played.ledger.rows(TENANT, CustomerId(customer))]
    assert all(step.balanced for step in result.steps.values())
    assert result.total.due == len(rows)
    assert result.total.sent == sum(row.state is SendState.SENT for row in rows) == len(played.ses.accepted)
    held = Counter(row.reason for row in rows if row.state is not SendState.SENT)
    assert result.total.held == dict(held)
    assert {"ordered", "opted_out", "no_address"} <= {str(reason) for reason in held}


def test_the_metrics_count_what_the_funnel_counts() -> None:
    metrics: Counter[str] = Counter()
    world = World(batch_size=3, wrap=lambda deps: replace(deps, count=lambda name, n: metrics.update({name: n})))
    for n in range(6):
        world.adds(a_person(f"p{n:03}", a_cart(f"c{n:03}")))
    world.at("2026-03-02 11:00", world.sweeps)
    world.at("2026-03-02 15:00", lambda: world.orders("p000", "c000"))
    world.play()
    total = the_funnel(world).total
    assert metrics == {SENDS_SENT: total.sent, SENDS_HELD_BACK: total.held_back}


def test_explain_says_of_everyone_what_the_ledger_says(played: World) -> None:
    for customer, person in played.people.items():
        rows = played.ledger.rows(TENANT, CustomerId(customer))
        enrolments = played.enrolments.of_customer(TENANT, CustomerId(customer))
        story = explain(
            Evidence(CustomerId(customer), played.scenario, person, enrolments, rows), Voice("en"), played.clock.at
        )
        sent = sum(row.state is SendState.SENT for row in rows)
        held = len(rows) - sent
        assert (f"{sent} sent." in story.conclusion) is bool(sent)
        assert (f"{held} held back" in story.conclusion) is bool(held)
        assert sum(line.mark in "✓–" for chapter in story.chapters for line in chapter.lines) == len(rows)
