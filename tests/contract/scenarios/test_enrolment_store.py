"""One suite over enrolments in memory and in DynamoDB: what examples and crash tests prove of one holds for both."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any

import boto3
import pytest

from shared.core.ids import CustomerId, ScenarioId, TenantId, digest
from shared.scenarios.enrolment import Enrolment, EnrolmentState, FunnelRow, Instance
from shared.scenarios.store import (
    SHARDS,
    DynamoEnrolmentStore,
    EnrolmentStore,
    MemoryEnrolmentStore,
    _due_key,
    evenly,
)

NOW = datetime(2026, 3, 2, 1, 0, 0, 123456, tzinfo=UTC)
HOUR = timedelta(hours=1)
CART = ScenarioId("cart_abandoned")
HANAKO = CustomerId("hanako")


class CountedWrites:
    """A DynamoDB client that counts its writes."""

    def __init__(self, client: Any) -> None:
        self._client, self.writes = client, Counter[str]()

    def __getattr__(self, name: str) -> Any:
        if name in {"put_item", "update_item"}:
            self.writes[name] += 1
        return getattr(self._client, name)


def armed(tenant: TenantId, occurrence: str = "c1", touched_at: datetime = NOW, customer: str = "hanako") -> Enrolment:
    ref = Instance("shopify", "mihon.myshopify.com", f"token-{occurrence}")
    return Enrolment(tenant, CART, occurrence, CustomerId(customer), ref, touched_at, due_at=touched_at + HOUR)


def claim(store: EnrolmentStore, tenant: TenantId, occurrence: str = "c1", execution: str = "e1") -> Enrolment | None:
    return store.claim(tenant, CART, occurrence, execution, "v1", NOW + HOUR)


def test_what_is_armed_can_be_read_back(store: EnrolmentStore, tenant: TenantId) -> None:
    assert store.arm(armed(tenant))
    assert store.get(tenant, CART, "c1") == armed(tenant)
    assert store.get(tenant, CART, "unknown") is None


def test_the_due_come_in_the_order_they_became_due(store: EnrolmentStore, tenant: TenantId) -> None:
    for occurrence, minutes in (("late", 30), ("early", 0), ("middle", 15), ("tomorrow", 1440)):
        store.arm(armed(tenant, occurrence, NOW + timedelta(minutes=minutes)))
    until = NOW + HOUR + timedelta(minutes=30)
    assert [e.occurrence for e in store.due(tenant, CART, until, 10)] == ["early", "middle", "late"]
    assert [e.occurrence for e in store.due(tenant, CART, until, 2)] == ["early", "middle"]
    assert store.due(tenant, CART, until - timedelta(minutes=31), 10) == []
    assert store.due(TenantId(f"{tenant}-other"), CART, until, 10) == []
    assert store.due(tenant, ScenarioId("another"), until, 10) == []


def test_a_due_list_of_many_pages_is_complete(store: EnrolmentStore, tenant: TenantId) -> None:
    for number in range(130):
        store.arm(armed(tenant, f"c{number:03}", NOW + timedelta(seconds=number)))
    found = [e.occurrence for e in store.due(tenant, CART, NOW + 2 * HOUR, 1000)]
    assert found == [f"c{number:03}" for number in range(130)]
    assert len(store.get_each((tenant, CART, each) for each in found)) == 130


def test_a_crowd_that_is_due_at_once_is_handed_over_from_every_shard_in_turn(
    store: EnrolmentStore, tenant: TenantId
) -> None:
    """Whom one batch claims does not stand under one key of the index, and nobody is left out or twice in it."""
    for number in range(4 * SHARDS):
        store.arm(armed(tenant, f"c{number:03}"))
    handed = store.due(tenant, CART, NOW + HOUR, 1000)
    assert len({e.occurrence for e in handed}) == 4 * SHARDS
    together = Counter(_due_key(e) for e in handed[:SHARDS])
    assert max(together.values()) <= 2
    assert len(Counter(map(_due_key, handed))) >= 0.9 * SHARDS


def test_the_last_of_a_crowd_do_not_stand_under_the_keys_that_hold_most() -> None:
    """Hashes fill the shards unevenly: what is left over in the fullest must not be claimed at the end, all at once."""
    tenant = TenantId("crowd")
    memory = MemoryEnrolmentStore()
    for number in range(6_400):
        memory.arm(armed(tenant, digest(str(number))))
    handed = memory.due(tenant, CART, NOW + HOUR, 10_000)

    def busiest(crowd: Sequence[Enrolment]) -> int:
        """Of one key among a tenth of a crowd's end."""
        return max(Counter(map(_due_key, crowd[-640:])).values())

    spread = evenly(handed)
    assert sorted(map(_due_key, spread)) == sorted(map(_due_key, handed))
    assert busiest(spread) <= 1.3 * 640 / SHARDS < busiest(handed)


def test_who_was_made_due_before_there_were_shards_is_still_found(
    cloud: boto3.Session, scenarios_table: str, tenant: TenantId, monkeypatch: pytest.MonkeyPatch
) -> None:
    store = DynamoEnrolmentStore(scenarios_table, cloud.client("dynamodb"))
    with monkeypatch.context() as before:
        before.setattr("shared.scenarios.store.SHARDS", 1)
        store.arm(armed(tenant, "old"))
    store.arm(armed(tenant, "new", NOW + timedelta(seconds=1)))
    assert [e.occurrence for e in store.due(tenant, CART, NOW + 2 * HOUR, 10)] == ["old", "new"]


def test_a_later_touch_counts_anew_and_an_earlier_one_does_not(store: EnrolmentStore, tenant: TenantId) -> None:
    assert store.arm(armed(tenant))
    assert not store.arm(armed(tenant)), "the same again"
    assert not store.arm(armed(tenant, touched_at=NOW - HOUR)), "webhooks come out of order"
    assert store.arm(armed(tenant, touched_at=NOW + HOUR))
    assert store.due(tenant, CART, NOW + HOUR, 10) == []
    assert [e.due_at for e in store.due(tenant, CART, NOW + 2 * HOUR, 10)] == [NOW + 2 * HOUR]


def test_a_cart_that_moved_to_another_person_is_theirs(store: EnrolmentStore, tenant: TenantId) -> None:
    store.arm(armed(tenant, customer="visitor"))
    assert store.arm(armed(tenant, customer="hanako"))
    assert [e.occurrence for e in store.of_customer(tenant, HANAKO)] == ["c1"]
    assert store.of_customer(tenant, CustomerId("visitor")) == []
    assert [e.occurrence for e in store.of_customer(tenant, HANAKO, [CART, "others"])] == ["c1"]
    assert store.of_customer(tenant, HANAKO, [CART[:-1], "others"]) == store.of_customer(tenant, HANAKO, []) == []


def test_a_claim_is_for_one_execution_and_repeatable_by_it(store: EnrolmentStore, tenant: TenantId) -> None:
    store.arm(armed(tenant))
    first = claim(store, tenant)
    assert first is not None
    assert (first.state, first.execution, first.version) == (EnrolmentState.ENTERED, "e1", "v1")
    assert (first.entered_at, first.due_at) == (NOW + HOUR, NOW + HOUR)
    assert claim(store, tenant) == first
    assert claim(store, tenant, execution="e2") is None
    assert store.due(tenant, CART, NOW + 9 * HOUR, 10) == []


def test_nobody_can_be_claimed_before_they_are_due_or_without_being_armed(
    store: EnrolmentStore, tenant: TenantId
) -> None:
    store.arm(armed(tenant, touched_at=NOW + timedelta(microseconds=1)))
    assert claim(store, tenant) is None
    assert claim(store, tenant, "unknown") is None


def test_once_collected_a_cart_is_never_due_again(store: EnrolmentStore, tenant: TenantId) -> None:
    store.arm(armed(tenant))
    entered = claim(store, tenant)
    assert not store.arm(armed(tenant, touched_at=NOW + 5 * HOUR))
    assert entered is not None
    store.record(entered, "mail_1", "sent", EnrolmentState.FINISHED, NOW + HOUR)
    assert not store.arm(armed(tenant, touched_at=NOW + 9 * HOUR))
    assert store.due(tenant, CART, NOW + 99 * HOUR, 10) == []


def test_only_who_was_not_collected_can_be_taken_out(store: EnrolmentStore, tenant: TenantId) -> None:
    assert not store.disarm(tenant, CART, "c1", "ordered", NOW), "nobody there: nothing is written"
    assert store.get(tenant, CART, "c1") is None
    store.arm(armed(tenant))
    assert store.disarm(tenant, CART, "c1", "ordered", NOW)
    assert not store.disarm(tenant, CART, "c1", "ordered", NOW)
    out = store.get(tenant, CART, "c1")
    assert out is not None
    assert (out.state, out.outcome, out.moved_at, out.execution) == (EnrolmentState.EXITED, "ordered", NOW, "")
    assert store.due(tenant, CART, NOW + 9 * HOUR, 10) == []
    assert claim(store, tenant) is None
    store.arm(armed(tenant, "c2"))
    claim(store, tenant, "c2")
    assert not store.disarm(tenant, CART, "c2", "ordered", NOW)


def test_a_step_is_recorded_by_the_execution_that_has_them(store: EnrolmentStore, tenant: TenantId) -> None:
    store.arm(armed(tenant))
    mine = claim(store, tenant)
    assert mine is not None
    assert store.record(mine, "mail_1", "sent", EnrolmentState.ENTERED, NOW + HOUR)
    assert store.record(mine, "mail_1", "sent", EnrolmentState.ENTERED, NOW + HOUR), "a retry"
    assert not store.record(replace(mine, execution="e2"), "mail_1", "ordered", EnrolmentState.EXITED, NOW)
    assert store.record(mine, "mail_2", "ordered", EnrolmentState.EXITED, NOW + 2 * HOUR)
    assert store.record(mine, "mail_2", "ordered", EnrolmentState.EXITED, NOW + 2 * HOUR), "a retry of the last"
    assert not store.record(mine, "mail_3", "sent", EnrolmentState.FINISHED, NOW + 3 * HOUR), "they have left"
    found = store.get(tenant, CART, "c1")
    assert found is not None
    assert (found.step, found.outcome, found.state) == ("mail_2", "ordered", EnrolmentState.EXITED)


def test_a_funnel_row_is_replaced_by_the_repetition_of_its_batch(store: EnrolmentStore, tenant: TenantId) -> None:
    def row(on: date, batch: str, **counts: int) -> FunnelRow:
        return FunnelRow(tenant, CART, on, "e1", "mail_1", batch, counts)

    first, second = date(2026, 3, 2), date(2026, 3, 3)
    for each in (
        row(first, "0", waiting=3),
        row(first, "0", sent=3),
        row(first, "1", sent=1),
        row(second, "0", sent=9),
    ):
        store.put_funnel(each)
    assert list(store.funnel(tenant, CART, first, first)) == [row(first, "0", sent=3), row(first, "1", sent=1)]
    assert len(list(store.funnel(tenant, CART, first, second))) == 3
    assert list(store.funnel(tenant, CART, date(2026, 3, 4), date(2026, 4, 1))) == []


def test_a_cart_with_three_mails_costs_one_write_to_arm_one_to_claim_and_one_a_step(
    cloud: boto3.Session, scenarios_table: str, tenant: TenantId
) -> None:
    counted = CountedWrites(cloud.client("dynamodb"))
    store = DynamoEnrolmentStore(scenarios_table, counted)
    store.arm(armed(tenant))
    mine = claim(store, tenant)
    assert mine is not None
    for step in ("mail_1", "mail_2", "mail_3"):
        store.record(mine, step, "sent", EnrolmentState.ENTERED, NOW)
    assert counted.writes.total() == 5


def test_no_key_shows_a_token(cloud: boto3.Session, scenarios_table: str, tenant: TenantId) -> None:
    client: Any = cloud.client("dynamodb")
    DynamoEnrolmentStore(scenarios_table, client).arm(armed(tenant))
    items = client.scan(TableName=scenarios_table)["Items"]
    assert not [item for item in items if "token-" in item["pk"]["S"] + item["sk"]["S"]]


def test_one_person_can_be_taken_out_wherever_they_stand_and_once(store: EnrolmentStore, tenant: TenantId) -> None:
    store.arm(armed(tenant, "waiting"))
    store.arm(armed(tenant, "inside"))
    mine = claim(store, tenant, "inside")
    assert mine is not None
    for place in (armed(tenant, "waiting"), mine):
        assert store.eject(place, "ejected", NOW)
        assert not store.eject(place, "ejected", NOW)
        found = store.get(tenant, CART, place.occurrence)
        assert found is not None
        assert (found.state, found.outcome) == (EnrolmentState.EXITED, "ejected")
    assert store.due(tenant, CART, NOW + 9 * HOUR, 10) == []
    assert not store.record(mine, "mail_1", "sent", EnrolmentState.ENTERED, NOW), "the execution has lost them"
    assert not store.eject(armed(tenant, "nobody"), "ejected", NOW)


def test_a_scenario_is_paused_for_one_shop_until_it_goes_on(store: EnrolmentStore, tenant: TenantId) -> None:
    assert not store.paused(tenant, CART)
    store.pause(tenant, CART, NOW)
    assert store.paused(tenant, CART)
    assert not store.paused(TenantId(f"{tenant}-other"), CART)
    assert not store.paused(tenant, ScenarioId("another"))
    store.pause(tenant, CART, None)
    assert not store.paused(tenant, CART)


def test_everybody_in_a_scenario_is_listed_with_where_they_stand(store: EnrolmentStore, tenant: TenantId) -> None:
    store.arm(armed(tenant, "c1"))
    store.arm(armed(tenant, "c2", customer="taro"))
    claim(store, tenant, "c2")
    store.arm(armed(TenantId(f"{tenant}-other"), "c3"))
    store.put_funnel(FunnelRow(tenant, CART, date(2026, 3, 2), "e1", "mail_1", "0", {"sent": 1}))
    found = {each.occurrence: (each.customer_id, each.state) for each in store.people(tenant, CART)}
    assert found == {"c1": ("hanako", EnrolmentState.ARMED), "c2": ("taro", EnrolmentState.ENTERED)}


def test_a_move_is_for_who_is_inside_and_has_not_moved(store: EnrolmentStore, tenant: TenantId) -> None:
    store.arm(armed(tenant))
    waiting = store.get(tenant, CART, "c1")
    assert waiting
    assert not store.move(waiting, "e2", "v2"), "not inside yet"
    inside = claim(store, tenant)
    assert inside
    assert [store.move(inside, "e2", "v2") for _ in range(2)] == [True, False]
    moved = store.get(tenant, CART, "c1")
    assert moved
    assert (moved.execution, moved.version, moved.state) == ("e2", "v2", EnrolmentState.ENTERED)
    assert not store.record(inside, "mail_1", "sent", EnrolmentState.FINISHED, NOW), "the old execution has lost them"
    assert store.record(moved, "mail_1", "sent", EnrolmentState.FINISHED, NOW)
    assert not store.move(moved, "e3", "v3"), "has left"
