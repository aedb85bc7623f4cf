"""Somebody found to be another (名寄せ) while a scenario waits for them: they hear of the same thing once."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta

import pytest

from shared.core.ids import CustomerId
from shared.customers.model import Attribute, PersonState, Subscription
from shared.customers.store import ChangedRow
from shared.ingest.model import SubscriptionState
from shared.scenarios.model import LiveStatus, Scenario
from shared.scenarios.read import read_text
from shared.scenarios.step import StepDeps
from tests.unit.scenarios.test_words import AN_EXAMPLE, SEND, scenario_of, templates
from tests.unit.scenarios.world import MORNING, STORE, TENANT, World, a_person, void

HANAKO, TARO = CustomerId("hanako"), CustomerId("taro")
CONTRACT = Subscription(
    "shopify", STORE, "contract-1", SubscriptionState.ACTIVE, MORNING, next_delivery_on=date(2026, 3, 10)
)


class Merging(World):
    """A shop without caps, to which one person is known by two ids."""

    def __post_init__(self) -> None:
        super().__post_init__()
        delivery = {**self.shop.section("delivery"), "cap_per_day": None, "cap_per_week": None}
        self.shop = replace(self.shop, sections={"delivery": delivery})

    def step_deps(self) -> StepDeps:
        """With templates that need no cart."""
        deps = super().step_deps()
        return replace(deps, sending=replace(deps.sending, renderer=templates()))

    def knows(self, customer: CustomerId) -> None:
        """The rows of this person change, as the stream tells it."""
        person = self.people[customer]
        self._row(ChangedRow(TENANT, customer, "profile", False, profile=person.profile, attributes=person.attributes))
        for contract in person.subscriptions:
            self._row(ChangedRow(TENANT, customer, "subscription", False, subscription=contract))

    def merges(self) -> None:
        """Taro was Hanako: his rows move to her."""
        both = self.people[HANAKO]
        profile = replace(both.profile, aliases=frozenset({TARO}))
        self.people[HANAKO] = self.people[TARO] = replace(both, profile=profile)
        self.knows(HANAKO)


def known_as(customer: CustomerId) -> PersonState:
    birth = {"birth_on": Attribute("1990-03-05", MORNING, "e1")}
    return replace(a_person(customer), attributes=birth, subscriptions=(CONTRACT,))


def scenario(entry: str, reentry: str) -> Scenario:
    found = read_text(scenario_of(entry, f"  - {SEND}", AN_EXAMPLE, f"reentry: {reentry}"))
    return found.model_copy(update={"status": LiveStatus.LIVE})


@pytest.mark.parametrize("merged", ["2026-03-03 12:00", "2026-03-05 12:30", "2026-03-09 12:00"])
@pytest.mark.parametrize(
    "scenario",
    [
        scenario("{event: date, date: next_delivery, days: -5, expires_after: 1d}", "always"),
        scenario("{event: date, date: birthday, expires_after: 1d}", "always"),
        scenario("{event: date, date: birthday, expires_after: 1d}", "300d"),
    ],
    ids=["delivery", "birthday", "once a year"],
)
def test_who_was_found_to_be_another_hears_of_the_same_day_once(scenario: Scenario, merged: str) -> None:
    world = Merging(scenario=scenario)
    world.people = {HANAKO: a_person(HANAKO), TARO: known_as(TARO)}
    world.knows(TARO)
    world.people[HANAKO] = known_as(HANAKO)
    world.at(merged, world.merges)
    for hours in range(24 * 10):
        world.timeline.at(MORNING + timedelta(hours=hours), lambda: void(world.sweeps()))
    world.play()
    assert world.mails() == ["one"]


def test_two_people_of_one_birthday_each_hear_of_it() -> None:
    world = Merging(scenario=scenario("{event: date, date: birthday}", "always"))
    world.people = {HANAKO: known_as(HANAKO), TARO: known_as(TARO)}
    world.knows(HANAKO)
    world.knows(TARO)
    for hours in range(24 * 5):
        world.timeline.at(MORNING + timedelta(hours=hours), lambda: void(world.sweeps()))
    world.play()
    assert world.mails() == ["one", "one"]
