"""Amazon: order states from the queue, once each, for the seller who is connected."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pytest

from functions.ingest import receive_amazon as function
from shared.core.errors import NotFoundError, RejectedError
from shared.ingest.connections import MemoryConnections, new_connection
from shared.ingest.model import Event, EventType, OrderStatusFacts
from shared.ingest.notifications import NotificationDeps, receive_amazon
from shared.ingest.oversize import NoOversize
from shared.ingest.sources.amazon import ADAPTER, STATUSES, connection_id
from shared.ingest.store import MemoryEventStore
from tests.contract.carts.carts import CARTS, NOW, Sample

CART = CARTS["amazon"]
SAMPLES = {sample.name.removeprefix("ORDER_CHANGE@"): sample for sample in CART.samples()}
SELLER = "ASAMPLE0000001"
CONNECTION = replace(new_connection("sample", "amazon", SELLER), connection_id=connection_id(SELLER))


def only(sample: Sample) -> Event:
    (event,) = CART.read(sample)
    return event


def deps() -> tuple[NotificationDeps, MemoryEventStore]:
    store = MemoryEventStore(NoOversize())
    return NotificationDeps(MemoryConnections(CONNECTION), store), store


@pytest.mark.parametrize(
    ("name", "said", "status"),
    [
        ("pending", EventType.ORDER_PLACED, "placed"),
        ("unshipped", EventType.ORDER_UPDATED, "payment"),
        ("shipped", EventType.ORDER_UPDATED, "shipped"),
        ("delivered", EventType.ORDER_UPDATED, "delivered"),
        ("canceled", EventType.ORDER_CANCELLED, "cancelled"),
        ("buyer-asks-to-cancel", EventType.ORDER_UPDATED, "payment"),
        ("a-status-of-tomorrow", EventType.ORDER_UPDATED, "other"),
    ],
)
def test_every_notice_is_a_step_of_its_order_and_never_an_order_worth_something(
    name: str, said: EventType, status: str
) -> None:
    event = only(SAMPLES[name])
    assert isinstance(event.facts, OrderStatusFacts)
    assert (event.event_type, event.facts.status) == (said, status)
    assert event.subject == f"amazon/{CART.store}/order/000-0000000-0000001"
    assert event.person.anonymous_ids == ("order/000-0000000-0000001",)
    assert (event.person.postal_code, event.person.email) == (None, None)


def test_every_status_of_the_published_schema_has_a_meaning() -> None:
    published = (
        "Pending Unshipped PartiallyShipped Shipped Canceled Unfulfillable InvoiceUnconfirmed PendingAvailability"
    )
    assert set(STATUSES) == {word.lower() for word in published.split()}


def test_it_happened_when_the_order_changed_or_was_announced_where_that_is_null() -> None:
    assert only(SAMPLES["shipped"]).occurred_at == datetime(2026, 11, 3, 2, 59, tzinfo=UTC)
    assert only(SAMPLES["canceled"]).occurred_at == datetime(2026, 11, 3, 3, 0, 5, 109000, tzinfo=UTC)


def test_another_type_is_kept_unread() -> None:
    sample = SAMPLES["FEED_PROCESSING_FINISHED"]
    assert only(sample).event_type is EventType.UNKNOWN
    listing = {**sample.body, "NotificationType": "LISTINGS_ITEM_STATUS_CHANGE", "Payload": {"SellerId": SELLER}}
    assert only(replace(sample, body=listing)).event_type is EventType.UNKNOWN


def test_a_message_is_kept_once_however_often_it_comes() -> None:
    ports, store = deps()
    for _ in range(3):
        for sample in SAMPLES.values():
            receive_amazon(json.dumps(sample.body), ports, NOW)
    assert len(store.rows) == len(SAMPLES)
    assert {envelope.event_id for envelope in store.envelopes()} == {
        sample.body["NotificationMetadata"]["NotificationId"] for sample in SAMPLES.values()
    }


def test_a_seller_nobody_connected_is_refused_and_so_is_another_ones_notice() -> None:
    ports, store = deps()
    stranger = json.dumps(SAMPLES["shipped"].body).replace(SELLER, "ASTRANGER00001")
    with pytest.raises(NotFoundError, match="connection add amazon"):
        receive_amazon(stranger, ports, NOW)
    with pytest.raises(RejectedError, match="SellerId"):
        ADAPTER.envelopes(CART.ask("", stranger.encode()), CART.connection, NOW)
    assert not store.rows


@pytest.mark.parametrize("message", ["", "null", "[]", "{}", '{"Payload":{"x":1}}', "[" * 5000, "\ud800", '{"a":NaN}'])
def test_what_is_no_notification_is_refused(message: str) -> None:
    with pytest.raises(RejectedError):
        receive_amazon(message, deps()[0], NOW)


def test_of_a_batch_only_what_failed_comes_back() -> None:
    ports, store = deps()
    bodies = [json.dumps(SAMPLES["shipped"].body), "{}", json.dumps(SAMPLES["pending"].body)]
    records: list[dict[str, Any]] = [
        {"messageId": str(number), "body": body, "eventSource": "aws:sqs", "attributes": {}, "messageAttributes": {}}
        for number, body in enumerate(bodies)
    ]
    answer = function.handler({"Records": records}, None, ports)
    assert [failure["itemIdentifier"] for failure in answer["batchItemFailures"]] == ["1"]
    assert len(store.rows) == 2


def test_the_connection_of_a_seller_is_found_however_the_id_is_written() -> None:
    assert connection_id("ASAMPLE0000001") == connection_id(" asample0000001 ")
    assert connection_id("ASAMPLE0000001") != connection_id("ASAMPLE0000002")
