"""Chaos of a deploy (T20): a scenario is edited or deleted while people are inside, paused, and some are taken out."""

from __future__ import annotations

import random
from collections import Counter
from datetime import datetime
from functools import cache, partial

from shared.core.ids import CustomerId
from shared.scenarios.compile import compile_scenario
from shared.scenarios.enrolment import EnrolmentState
from shared.scenarios.model import LiveStatus, Scenario
from shared.scenarios.read import PRESETS, read_text
from tests.chaos.cohorts import HOUR, Shop, void
from tests.unit.scenarios.world import ARN, MORNING, TENANT, a_cart, a_person, preset

INSIDE, LATER = 50, 5
OLD_STEPS, NEW_STEPS = {"mail_1", "mail_2", "mail_3"}, {"mail_1", "mail_2", "mail_4"}


@cache
def edited() -> Scenario:
    """vN+1: the last mail is another one, and comes later."""
    text = (PRESETS / "cart_abandoned.yaml").read_text(encoding="utf-8")
    return read_text(text.replace("wait: 2d", "wait: 4d").replace("mail_3", "mail_4"))


def deploy(case: int, rng: random.Random) -> None:
    """T20: fifty stay with the definition they entered with; who comes later has the new one, or none."""
    deleted = case % 2 == 1
    shop = Shop(rng, people=INSIDE, batch_size=rng.randint(5, 20))
    inside = sorted(shop.people)
    shop.timeline.at(MORNING + HOUR, lambda: void(shop.sweeps()))
    deployed = MORNING + rng.uniform(1.1, 80) * HOUR
    waiting = [] if deleted else _come(shop, "waiting", deployed - HOUR / 2)
    shop.timeline.at(deployed, lambda: _deploy(shop, deleted=deleted))
    new = _come(shop, "new", deployed + HOUR / 20)
    if not deleted:
        for tick in range(1, 60):
            shop.timeline.at(deployed + tick * HOUR / 2, lambda: void(shop.sweeps()))
    paused, resumed = _pause(shop, rng)
    ejected = {customer: _eject(shop, customer, rng) for customer in rng.sample(inside, 3)}
    shop.play()
    if deleted:
        for customer in new:
            del shop.people[customer]
            assert not shop.enrolments.of_customer(TENANT, CustomerId(customer)), "somebody entered what is not there"
    shop.judge()
    _stayed(shop, inside, preset().version, OLD_STEPS)
    _stayed(shop, [] if deleted else [*waiting, *new], edited().version, NEW_STEPS)
    for message in shop.provider.accepted:
        at, customer = shop.provider.at[message.key.send_id], message.key.customer_id
        assert not paused < at < resumed, "a mail in a pause"
        assert customer not in ejected or at <= ejected[customer], "a mail to somebody who was taken out"


def _deploy(shop: Shop, *, deleted: bool) -> None:
    if deleted:
        shop.scenario = preset().model_copy(update={"status": LiveStatus.OFF})
    else:
        shop.scenario, shop.machine = edited(), compile_scenario(edited(), ARN)


def _come(shop: Shop, name: str, at: datetime) -> list[str]:
    customers = [f"{name}{n}" for n in range(LATER)]
    for customer in customers:
        shop.timeline.at(at, partial(shop.adds, a_person(customer, a_cart(f"cart-{customer}", at))))
    return customers


def _pause(shop: Shop, rng: random.Random) -> tuple[datetime, datetime]:
    paused = MORNING + rng.uniform(1.1, 80) * HOUR
    resumed = paused + rng.uniform(1, 20) * HOUR
    shop.timeline.at(paused, lambda: shop.enrolments.pause(TENANT, preset().scenario_id, paused))
    shop.timeline.at(resumed, lambda: shop.enrolments.pause(TENANT, preset().scenario_id, None))
    return paused, resumed


def _eject(shop: Shop, customer: str, rng: random.Random) -> datetime:
    at = MORNING + rng.uniform(1.1, 80) * HOUR
    shop.timeline.at(at, lambda: void(shop.enrolments.eject(shop.enrolment(customer), "ejected", shop.clock.at)))
    return at


def _stayed(shop: Shop, customers: list[str], version: str, steps: set[str]) -> None:
    """Everybody's definition is this version, and who went through it was decided about at each of its mails."""
    assert Counter(shop.enrolment(customer).version for customer in customers) == Counter({version: len(customers)})
    for customer in customers:
        decided = {row.step for row in shop.ledger.rows(TENANT, CustomerId(customer))}
        finished = shop.enrolment(customer).state is EnrolmentState.FINISHED
        assert decided == steps if finished else decided < steps, f"{customer}: {sorted(decided)}"
