"""The state, computed again from the lake alone."""

from __future__ import annotations

import pytest

from infra.demo.settle import settle
from shared.analytics.lake import S3Objects
from shared.analytics.recompute import lake_events, recompute, without_personal_data
from shared.core.ids import CustomerId
from shared.customers.model import PersonState
from tests.system.books import keys_of, people_of
from tests.system.conftest import Played


@pytest.fixture(scope="module")
def everybody(played: Played) -> dict[CustomerId, PersonState]:
    settle(played.cloud.emulator)
    return people_of(played.stage)


def test_the_state_recomputed_from_the_lake_is_the_live_state_person_by_person(
    played: Played, everybody: dict[CustomerId, PersonState]
) -> None:
    deployment, shop = played.stage.deployment, played.stage.shop
    lake = S3Objects(deployment.outputs["LakeBucket"], deployment.client("s3"))
    again = recompute(lake_events(lake, shop.tenant), keys_of(deployment), shop)
    live = {customer_id: without_personal_data(person) for customer_id, person in everybody.items()}
    assert again.keys() == live.keys()
    assert {customer_id: state for customer_id, state in again.items() if state != live[customer_id]} == {}
    # What is compared is not empty: orders, carts and consent all came through.
    assert sum(len(state.orders) for state in again.values()) > 1_000
    assert any(state.carts for state in again.values())
    assert any(state.consents for state in again.values())


def test_only_personal_data_and_scores_are_left_out_of_the_comparison(
    everybody: dict[CustomerId, PersonState],
) -> None:
    person = next(state for state in everybody.values() if state.carts and state.orders)
    left = without_personal_data(person)
    assert left.orders == person.orders
    assert left.profile.refs == person.profile.refs
    assert left.profile.summary == person.profile.summary
    assert [(c.status, c.store, c.channel) for c in left.consents] == [
        (c.status, c.store, c.channel) for c in person.consents
    ]
    assert [cart.lines for cart in left.carts] == [cart.lines for cart in person.carts]
