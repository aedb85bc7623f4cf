"""RFM, status, order counts and amounts against plain Python over the same file, customer by customer."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import pytest

from infra.demo import cdnow
from infra.demo.story import Role
from shared.analytics.lake import S3Objects
from shared.analytics.nightly import result_prefix
from shared.analytics.parquet import decode
from shared.core.ids import CustomerId
from shared.customers.model import LtvTier, PersonState
from tests.sql.test_oracle import Bought, people, rfm, statuses
from tests.system.books import people_of
from tests.system.conftest import CUSTOMERS, Played


@pytest.fixture(scope="module")
def history(played: Played) -> list[Bought]:
    """The file itself, read without the demo's reader: the first customers, the last day moved to the night's."""
    lines = [line.split() for line in cdnow.master_file().read_text("ascii").splitlines()[1:]]
    shift = played.night - date(1998, 6, 30)
    return [
        Bought(customer, date(int(on[:4]), int(on[4:6]), int(on[6:])) + shift, int(Decimal(dollars) * 100))
        for customer, on, _, dollars in lines
        if int(customer) <= CUSTOMERS
    ]


@pytest.fixture(scope="module")
def by_number(played: Played) -> dict[str, PersonState]:
    """CDNOW's customer number → person, found by the synthetic address (not by our own ids)."""
    known = {person.profile.email: person for person in people_of(played.stage).values()}
    return {f"{n:05}": known[cdnow.email(f"{n:05}")] for n in range(1, CUSTOMERS + 1)}


@pytest.fixture(scope="module")
def bought_today(played: Played) -> Mapping[str | None, Sequence[int]]:
    """Address → totals of what the play's shoppers ordered that day."""
    buying = (Role.ORDERS_AT_ONCE, Role.ORDERS_AFTER_FIRST_MAIL)
    return {
        shopper.buyer.email: [sum(item.price * item.quantity for item in shopper.items)]
        for shopper in played.day.shoppers
        if shopper.role in buying
    }


def rows_of(played: Played, analysis: str) -> dict[CustomerId, dict[str, Any]]:
    """What the nightly run wrote into the lake, by customer."""
    deployment = played.stage.deployment
    lake = S3Objects(deployment.outputs["LakeBucket"], deployment.client("s3"))
    prefix = result_prefix(analysis, played.stage.shop.tenant, played.night)
    rows = [row for stored in lake.list(prefix) for row in decode(lake.get(stored.key)).to_pylist()]
    by_customer = {CustomerId(row["customer_id"]): row for row in rows}
    assert len(by_customer) == len(rows)
    return by_customer


def test_every_customers_orders_and_amounts_are_those_of_the_file(
    history: list[Bought], by_number: dict[str, PersonState], bought_today: Mapping[str, Sequence[int]]
) -> None:
    for number, bought in people(history, date.max).items():
        person = by_number[number]
        imported = [order.amount for order in person.orders if order.source == "import"]
        assert sorted(imported) == sorted(order.amount for order in bought), number
        today = bought_today.get(cdnow.email(number), [])
        summary = person.profile.summary
        assert summary.order_count == len(bought) + len(today), number
        assert summary.total_amount == sum(order.amount for order in bought) + sum(today), number


def test_the_play_makes_some_customers_of_the_history_buy_again(
    by_number: dict[str, PersonState], bought_today: Mapping[str, Sequence[int]]
) -> None:
    assert sum(person.profile.email in bought_today for person in by_number.values()) >= 3


def test_every_customers_rfm_is_that_of_the_file_in_lake_and_profile(
    played: Played, history: list[Bought], by_number: dict[str, PersonState]
) -> None:
    expected = {number: rfm(bought, played.night) for number, bought in people(history, played.night).items()}
    lake = rows_of(played, "rfm_v1")
    assert len(lake) == len(expected) == CUSTOMERS
    for number, cell in expected.items():
        ids = {by_number[number].profile.customer_id, *by_number[number].profile.aliases}
        (row,) = [lake[each] for each in ids if each in lake]
        scores = by_number[number].profile.scores
        assert scores is not None
        assert (row["r"], row["f"], row["m"], row["rank"]) == cell, number
        assert (scores.rfm_r, scores.rfm_f, scores.rfm_m, scores.rfm_rank) == cell, number


def test_every_customers_status_and_tier_are_those_of_the_definitions(
    played: Played, history: list[Bought], by_number: dict[str, PersonState]
) -> None:
    expected = statuses(history, played.night)
    found = {
        # 潜在 is what the models make of the rest: only who is 高 can be told from the orders alone.
        number: (scores.status.value, "high" if scores.ltv_tier is LtvTier.HIGH else "low")
        for number, person in by_number.items()
        if (scores := person.profile.scores)
    }
    assert found == expected
    assert len({status for status, _ in expected.values()}) == 5
