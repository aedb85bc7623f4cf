"""One row that nobody can read: it waits for a person in the dead-letter queues, and holds nobody else up."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

import pytest

from infra.demo import shopify
from infra.demo.post import post_all
from infra.demo.settle import settle, wait_until
from infra.demo.shopify import Buyer
from infra.demo.stage import Stage
from infra.demo.story import PRODUCTS, SHOP, Call
from infra.local.lifecycle import LocalCloud
from shared.analytics.lake import S3Objects
from shared.analytics.recompute import LakeEvent, lake_events
from shared.ingest.model import CartFacts
from tests.system.books import people_of
from tests.system.conftest import OpenShop

STATE_READERS = ("functions.scenarios.trigger.handler", "functions.analytics.archive_states.handler")
READERS = ("functions.customers.update_state.handler", "functions.analytics.archive_events.handler")
POISON = {"pk": {"S": "gate#poison"}, "source": {"S": "shopify"}, "raw": {"B": b"not compressed, not JSON"}}


@pytest.fixture(scope="module")
def shop(open_shop: OpenShop) -> Stage:
    return open_shop("gate")


@pytest.fixture(scope="module")
def queues(shop: Stage) -> Iterator[dict[str, str]]:
    """Reader of the events stream → its dead-letter queue; emptied afterwards."""
    client, sqs = shop.deployment.client("lambda"), shop.deployment.client("sqs")
    handlers = {
        function["FunctionArn"]: function["Handler"]
        for page in client.get_paginator("list_functions").paginate()
        for function in page["Functions"]
    }
    found = {
        handlers[mapping["FunctionArn"]]: sqs.get_queue_url(
            QueueName=mapping["DestinationConfig"]["OnFailure"]["Destination"].rpartition(":")[2]
        )["QueueUrl"]
        for mapping in client.list_event_source_mappings()["EventSourceMappings"]
        if "DestinationConfig" in mapping
    }
    assert set(found) == {*READERS, *STATE_READERS}
    yield found
    for url in found.values():
        sqs.purge_queue(QueueUrl=url)


def messages(shop: Stage, url: str) -> list[dict[str, Any]]:
    """What waits in a queue; each message is handed out once a visibility timeout."""
    answer = shop.deployment.client("sqs").receive_message(QueueUrl=url, MaxNumberOfMessages=10)
    return [json.loads(message["Body"]) for message in answer.get("Messages", [])]


def _token(found: LakeEvent) -> str:
    """The cart an event of the lake is about."""
    return found.event.facts.token if isinstance(found.event.facts, CartFacts) else ""


def test_a_poison_record_ends_in_the_dead_letter_queues_and_does_not_hold_the_stream(
    cloud: LocalCloud, shop: Stage, queues: dict[str, str]
) -> None:
    settle(cloud.emulator, executions=False)
    for url in queues.values():
        shop.deployment.client("sqs").purge_queue(QueueUrl=url)
    at = datetime.now(UTC)
    token = f"after-poison-{at:%H%M%S%f}"
    item = POISON | {"sk": {"S": f"before-{token}"}}
    shop.deployment.client("dynamodb").put_item(TableName=shop.deployment.outputs["EventsTable"], Item=item)

    buyer = Buyer(9_100, f"{token}@example.jp", "見本", "後子")
    body = shopify.encode(shopify.checkout(token, buyer, PRODUCTS[:1], at, SHOP))
    tally = post_all(shop.endpoint, [Call("checkouts/create", body, token, at)])
    assert tally.answers == {"accepted": 1}
    wait_until(
        lambda: any(person.profile.email == buyer.email for person in people_of(shop).values()),
        "the webhook behind the poison record to be folded",
        20,
    )
    lake = S3Objects(shop.deployment.outputs["LakeBucket"], shop.deployment.client("s3"))
    wait_until(
        lambda: any(_token(found) == token for found in lake_events(lake, shop.shop.tenant)),
        "the webhook behind the poison record to be archived",
        20,
    )

    for reader in READERS:
        _set_aside(shop, queues[reader], reader)


def test_a_poison_row_of_a_persons_state_holds_up_neither_scenarios_nor_lake(
    cloud: LocalCloud, shop: Stage, queues: dict[str, str]
) -> None:
    settle(cloud.emulator, executions=False)
    for url in queues.values():
        shop.deployment.client("sqs").purge_queue(QueueUrl=url)
    at = datetime.now(UTC)
    shop.deployment.client("dynamodb").put_item(
        TableName=shop.deployment.outputs["CustomersTable"],
        Item={
            "pk": {"S": "gate#poisoned"},
            "sk": {"S": f"order#shopify/{SHOP}/{at:%H%M%S%f}"},
            "kind": {"S": "order"},
            "body": {"S": "neither an order nor JSON"},
            "historical": {"BOOL": False},
            "rev": {"N": "1"},
        },
    )
    for reader in STATE_READERS:
        _set_aside(shop, queues[reader], reader)


def _set_aside(shop: Stage, url: str, reader: str) -> None:
    """Exactly one message waits in the queue, and it only points at the record."""
    waiting: list[dict[str, Any]] = []

    def arrived() -> bool:
        waiting.extend(messages(shop, url))
        return bool(waiting)

    wait_until(arrived, f"the poison record in the dead-letter queue of {reader}", 30)
    assert len(waiting) == 1, "one message: the records behind it were retried with it at most, not set aside"
    assert waiting[0]["requestContext"]["condition"] == "RetryAttemptsExhausted"
    assert "event" not in waiting[0], "the message points at the record and holds nothing of it"
