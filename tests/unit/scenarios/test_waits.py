"""When each person's own time comes (最適な時間帯, 次回購入予定日)."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.customers.model import LtvTier, PersonState, Visit
from shared.scenarios.language.steps import Moment
from shared.scenarios.waits import EVENING, best_hour, moment_of
from tests.unit.scenarios.test_handing import of_steps
from tests.unit.scenarios.test_places import Shop
from tests.unit.scenarios.world import MORNING, a_person, an_order, jst

TOKYO = "Asia/Tokyo"


def seen_at(*hours: int) -> PersonState:
    """Visits at these hours of the shop's days."""
    start = jst("2026-02-01 00:00")
    visits = (Visit(f"v{n}", start + timedelta(days=n, hours=hour), "page") for n, hour in enumerate(hours))
    return replace(a_person(), visits=tuple(visits))


@pytest.mark.parametrize(
    ("person", "hour"),
    [
        (seen_at(), EVENING),
        (seen_at(9, 9), EVENING),
        (seen_at(9, 9, 21), 9),
        (seen_at(9, 12, 21), 21),
        (replace(seen_at(9, 21), orders=(an_order("x", jst("2026-02-03 21:40")),)), 21),
        (replace(seen_at(9, 9, 21), orders=(an_order("x", jst("2026-02-03 21:40"), cancelled=True),)), 9),
    ],
)
def test_an_hour_is_ones_own_after_three_signs_of_life(person: PersonState, hour: int) -> None:
    assert best_hour(person, TOKYO) == hour


@given(st.lists(st.integers(0, 23), max_size=12), st.datetimes(datetime(2026, 1, 1), datetime(2027, 1, 1)))  # noqa: DTZ001
def test_ones_hour_comes_within_a_day_and_is_the_hour(hours: list[int], naive: datetime) -> None:
    since, person = naive.replace(tzinfo=UTC), seen_at(*hours)
    moment = moment_of(Moment.BEST_HOUR, person, since, TOKYO, EVENING)
    assert since <= moment < since + timedelta(days=1)
    assert moment.astimezone(ZoneInfo(TOKYO)).hour == best_hour(person, TOKYO) or moment == since


@pytest.mark.parametrize(
    ("on", "moment"),
    [
        (date(2026, 3, 9), MORNING + timedelta(days=7)),
        (date(2026, 3, 1), MORNING),
        (date(2027, 3, 9), MORNING + timedelta(days=180)),
        (None, MORNING),
    ],
)
def test_the_day_of_the_next_order_is_waited_for_half_a_year_at_most(on: date | None, moment: datetime) -> None:
    person = a_person(tier=LtvTier.LOW)
    assert person.profile.scores
    scores = replace(person.profile.scores, next_order_on=on)
    person = replace(person, profile=replace(person.profile, scores=scores))
    assert moment_of(Moment.NEXT_ORDER, person, MORNING, TOKYO, EVENING) == moment


@pytest.mark.parametrize("batch_size", [1, 50])
def test_people_who_came_together_get_it_each_at_their_hour(batch_size: int) -> None:
    """In one batch as in many: the machine comes back for the next of them, not for the last."""
    shop = Shop(scenario=of_steps("wait: best_hour", "{send: one, channel: email, template: t/one}"))
    shop.batch_size = batch_size
    for customer, hours in {"hanako": (14, 14, 14), "taro": (18, 18, 18), "jiro": ()}.items():
        visits = seen_at(*hours).visits
        shop.people[customer] = replace(a_person(customer), visits=visits)
        shop.logs_in(customer)
    shop.at("2026-03-02 11:00", shop.sweeps)
    shop.play()
    sent = {m.key.customer_id: shop.ledger.rows(m.key.tenant, m.key.customer_id)[0].sent_at for m in shop.ses.accepted}
    assert sent == {
        "hanako": jst("2026-03-02 14:00"),
        "taro": jst("2026-03-02 18:00"),
        "jiro": jst("2026-03-02 20:00"),
    }
