"""A friend's first order lets in whoever recommended the shop: once a friend, never oneself, never somebody known."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.core.ids import CustomerId
from shared.customers.model import Order, PersonState
from shared.customers.store import ChangedRow
from shared.scenarios.model import LiveStatus
from shared.scenarios.read import read_text
from shared.scenarios.step import StepDeps
from shared.scenarios.trigger import entry_rules, follow
from tests.unit.scenarios.test_words import AN_EXAMPLE, SEND, scenario_of, templates
from tests.unit.scenarios.world import MORNING, STORE, TENANT, World, a_person, void

HANAKO = CustomerId("hanako")
THANKS = read_text(scenario_of("{event: friend_ordered, after: 14d}", f"  - {SEND}", AN_EXAMPLE))
TARO, JIRO = a_person("taro"), a_person("jiro")


def by_link(number: str = "1", after: timedelta = timedelta(0), referrer: CustomerId = HANAKO) -> Order:
    """An order of somebody who came by Hanako's link."""
    return Order("shopify", STORE, number, MORNING + after, "JPY", 3000, referrer=referrer)


class Recommended(World):
    """Hanako recommends the shop."""

    def step_deps(self) -> StepDeps:
        """With templates that need no cart."""
        deps = super().step_deps()
        return replace(deps, sending=replace(deps.sending, renderer=templates()))

    def bought(self, friend: PersonState, *orders: Order) -> None:
        """Their orders, as the stream tells them, each twice."""
        customer = friend.profile.customer_id
        self.people[customer] = replace(friend, orders=orders)
        for order in (*orders, *orders):
            row = ChangedRow(TENANT, customer, "order", order.historical, order=order)
            follow(row, entry_rules([self.scenario]), self.enrolments, self.clock.at)

    def thanked(self) -> int:
        """Mails to Hanako after two weeks, swept more often than need be."""
        for days in (14, 14.5, 17, 18):
            self.timeline.at(MORNING + timedelta(days=days), lambda: void(self.sweeps()))
        self.play()
        return len(self.mails("hanako"))


@pytest.fixture
def world() -> Recommended:
    found = Recommended(scenario=THANKS.model_copy(update={"status": LiveStatus.LIVE}))
    found.adds(a_person("hanako"))
    return found


def test_who_recommended_the_shop_is_thanked_once_for_each_friend(world: Recommended) -> None:
    world.bought(TARO, by_link("1"), by_link("2", timedelta(hours=1)))
    world.bought(JIRO, by_link("3", timedelta(days=3)))
    assert world.thanked() == 2
    assert world.mails("taro") == world.mails("jiro") == []


def test_an_order_by_ones_own_link_is_no_recommendation(world: Recommended) -> None:
    world.bought(world.people["hanako"], by_link())
    assert world.thanked() == 0
    assert world.enrolments.of_customer(TENANT, HANAKO) == []


def test_a_friend_who_turns_out_to_be_oneself_is_none(world: Recommended) -> None:
    world.bought(TARO, by_link())
    world.people["taro"] = replace(world.people["hanako"], orders=(by_link(),))  # joined since (名寄せ)
    assert world.thanked() == 0


def test_somebody_who_had_bought_before_was_not_brought_by_a_friend(world: Recommended) -> None:
    world.bought(TARO, replace(by_link("0", -timedelta(days=90)), referrer=None), by_link("1"))
    assert world.thanked() == 0


def test_an_order_that_is_cancelled_meanwhile_is_no_reason_for_thanks(world: Recommended) -> None:
    world.bought(TARO, by_link())
    world.people["taro"] = replace(TARO, orders=(replace(by_link(), cancelled=True),))
    assert world.thanked() == 0


@pytest.mark.parametrize("whose", ["taro", "hanako"])
def test_who_is_erased_meanwhile_is_neither_thanked_nor_a_reason_for_thanks(world: Recommended, whose: str) -> None:
    world.bought(TARO, by_link())
    gone = world.people[whose]
    world.people[whose] = replace(gone, orders=(), profile=replace(gone.profile, erased=True, email=None))
    assert world.thanked() == 0


def test_a_link_of_somebody_nobody_knows_thanks_nobody(world: Recommended) -> None:
    world.bought(TARO, by_link(referrer=CustomerId("nobody")))
    assert world.thanked() == 0
    assert [mail.key.customer_id for mail in world.ses.accepted] == []


def test_who_said_no_meanwhile_is_not_thanked_by_mail(world: Recommended) -> None:
    world.bought(TARO, by_link())
    world.opts_out("hanako")
    assert world.thanked() == 0
    assert world.ledger_states("hanako") == {"one": "opted_out"}


def test_an_imported_history_thanks_nobody(world: Recommended) -> None:
    world.bought(TARO, replace(by_link(), historical=True))
    assert world.thanked() == 0
