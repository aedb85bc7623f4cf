"""Where links lead, in memory and in DynamoDB; gone with the person."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from typing import Any

import boto3
import pytest

from shared.core.ids import CustomerId, SendId, TenantId
from shared.delivery.links.link import Link
from shared.delivery.links.store import DynamoLinks, Followed, LinkStore, MemoryLinks
from shared.delivery.model import SendKey
from shared.delivery.store import DynamoLedgerStore
from tests.unit.delivery.world import HANAKO, TENANT

_numbers = itertools.count()


@pytest.fixture(params=["memory", "dynamodb"])
def store(request: pytest.FixtureRequest) -> LinkStore:
    if request.param == "memory":
        return MemoryLinks()
    make: Callable[[str], str] = request.getfixturevalue("make_table")
    cloud: boto3.Session = request.getfixturevalue("cloud")
    client: Any = cloud.client("dynamodb")
    return DynamoLinks(make(f"links-{next(_numbers)}"), client)


def links(send: str = "s1", customer: CustomerId = HANAKO) -> list[Followed]:
    key = SendKey(TENANT, customer, SendId(send))
    codes = [f"{customer[:4]}{send}aaaaa{number}" for number in (1, 2)]
    return [
        Followed(key, "line", "recommend", "mail_1", Link(code, f"https://shop.example.jp/{code}", number))
        for number, code in enumerate(codes, 1)
    ]


def test_what_was_kept_is_found_however_often_it_is_kept(store: LinkStore) -> None:
    for _ in range(2):
        store.keep(links())
    store.keep(links("s2"))
    for each in [*links(), *links("s2")]:
        assert store.find(TENANT, each.link.code) == each


def test_a_message_rendered_again_keeps_the_links_it_had(store: LinkStore) -> None:
    first, second = links()
    store.keep([first])
    store.keep([second])
    assert store.find(TENANT, first.link.code) == first
    assert store.find(TENANT, second.link.code) == second


def test_no_links_are_nothing_to_keep(store: LinkStore) -> None:
    store.keep([])
    assert store.find(TENANT, "aaaaaaaaaaaa") is None
    assert store.find(TenantId("yoso"), links()[0].link.code) is None


def test_somebodys_links_are_read_by_message_and_nobody_elses(store: LinkStore) -> None:
    told = [*links(), *links("s2"), *links(customer=CustomerId("taro"))]
    for each in told:
        store.keep([each])
    mine = {send: {each.link.code: each.link.url for each in links(send)} for send in ("s1", "s2")}
    assert store.of_customer(TENANT, HANAKO) == mine
    assert store.of_customer(TenantId("yoso"), HANAKO) == {}


def test_an_erasure_takes_where_they_lead(make_table: Callable[[str], str], cloud: boto3.Session) -> None:
    client: Any = cloud.client("dynamodb")
    table = make_table(f"links-{next(_numbers)}")
    store = DynamoLinks(table, client)
    store.keep(links())
    store.keep(links(customer=CustomerId("taro")))
    DynamoLedgerStore(table, client).forget(TENANT, HANAKO)
    assert store.find(TENANT, links()[0].link.code) is None
    assert store.find(TENANT, links(customer=CustomerId("taro"))[0].link.code)
