"""Whom we texted at a number, in memory and in DynamoDB; an erasure takes it from both places."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from shared.core.ids import CustomerId, TenantId
from shared.delivery.replies.store import DynamoTexted, MemoryTexted, TextedStore
from shared.delivery.store import DynamoLedgerStore
from tests.unit.delivery.world import HANAKO, TENANT

TARO = CustomerId("taro")


@pytest.fixture(params=["memory", "dynamodb"])
def texted(request: pytest.FixtureRequest) -> TextedStore:
    if request.param == "memory":
        return MemoryTexted()
    return DynamoTexted(request.getfixturevalue("ledger_table"), request.getfixturevalue("cloud").client("dynamodb"))


def test_everybody_texted_at_a_number_is_found_by_it_and_nobody_of_another_shop(texted: TextedStore) -> None:
    for customer in (TARO, HANAKO, HANAKO):
        texted.note(TENANT, "digest-a", customer)
    texted.note(TENANT, "digest-b", TARO)
    texted.note(TenantId("yoso"), "digest-a", CustomerId("jiro"))
    assert texted.people(TENANT, "digest-a") == sorted([HANAKO, TARO])
    assert texted.people(TENANT, "digest-b") == [TARO]
    assert texted.people(TENANT, "digest-c") == []


def test_they_are_answered_once_a_day_and_nobody_who_was_never_texted(texted: TextedStore) -> None:
    texted.note(TENANT, "digest-d", HANAKO)
    today, tomorrow = date(2026, 3, 2), date(2026, 3, 3)
    assert [texted.answer(TENANT, "digest-d", HANAKO, on) for on in (today, today, tomorrow)] == [True, False, True]
    assert not texted.answer(TENANT, "digest-d", TARO, today)
    assert texted.people(TENANT, "digest-d") == [HANAKO]


def test_an_erasure_takes_them_off_the_number_too(ledger_table: str, cloud: Any) -> None:
    client = cloud.client("dynamodb")
    texted, ledger = DynamoTexted(ledger_table, client), DynamoLedgerStore(ledger_table, client)
    erased = CustomerId("erased")
    for customer in (erased, TARO):
        texted.note(TENANT, "digest-e", customer)
    assert ledger.forget(TENANT, erased) == 1
    assert texted.people(TENANT, "digest-e") == [TARO]
