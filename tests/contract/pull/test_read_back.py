"""Thin webhooks of EC-CUBE and Square: kept and answered at once, read back twice, told once."""

from __future__ import annotations

import hashlib
import hmac
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from itertools import pairwise
from typing import Any

import boto3
import pytest

from shared.core.errors import UnavailableError
from shared.ingest.adapter import Request
from shared.ingest.connections import MemoryConnections
from shared.ingest.model import EventType
from shared.ingest.pull.follow_up import FIRST, LAST, SqsQueue, Task, follow_up, read_task, write_task
from shared.ingest.pull.read_back import read_back
from shared.ingest.receive import Answer, ReceiveDeps, receive
from tests.contract.pull.conftest import Make, World, sample
from tests.contract.pull.servers import EcCube, Said, Square


@dataclass
class Waiting:
    """The queue: tasks come out when their time has come."""

    tasks: list[tuple[datetime, Task]] = field(default_factory=list)
    now: Callable[[], datetime] = datetime.now
    down: bool = False

    def put(self, tasks: Sequence[tuple[Task, timedelta]]) -> None:
        if self.down:
            raise UnavailableError("queue")
        self.tasks += [(self.now() + delay, read_task(write_task(task))) for task, delay in tasks]


@dataclass
class Shop:
    """A shop with its webhooks, and what becomes of them."""

    world: World
    queue: Waiting

    def webhook(self, *entries: tuple[str, int, str]) -> Answer:
        """What EC-CUBE posts."""
        body = [{"entity": entity, "id": number, "action": action} for entity, number, action in entries]
        raw = json.dumps(body).encode()
        signature = hmac.new(b"sample-secret", raw, hashlib.sha256).hexdigest()
        return self.receive(Request({"x-eccube-signature": signature}, raw))

    def receive(self, request: Request) -> Answer:
        deps = ReceiveDeps(MemoryConnections(self.world.connection), self.world.events, follow_up=follow_up(self.queue))
        return receive(request, self.world.connection.connection_id, deps, self.world.time.now())

    def later(self, after: timedelta) -> list[bool]:
        """Time passes, and what is due is read; what the shop does not answer comes again."""
        self.world.time.at += after
        now = self.world.time.now()
        ready = [task for when, task in self.queue.tasks if when <= now]
        self.queue.tasks = [each for each in self.queue.tasks if each[0] > now]
        return [read_back(task, self.world.connection, self.world.deps(), now) for task in ready]

    def says(self) -> list[EventType]:
        return [event.event_type for event in self.world.told() if event.event_type is not EventType.UNKNOWN]


@pytest.fixture
def shop(world: Make) -> Shop:
    made = world("eccube", EcCube())
    return Shop(made, Waiting(now=made.time.now))


def test_an_order_is_read_after_the_commit_and_told_once(shop: Shop) -> None:
    assert shop.webhook(("order", 5012, "created")) == Answer(200, "kept")
    assert shop.world.api.asked == [], "the shopper waits: nothing is read in the request"
    assert shop.says() == []
    shop.world.api.objects["order"]["5012"] = sample("eccube", "objects/order")
    assert shop.later(timedelta(seconds=29)) == []
    assert shop.later(timedelta(seconds=1)) == [True]
    assert shop.later(timedelta(minutes=5)) == [False]
    assert shop.says() == [EventType.ORDER_UPDATED]
    assert shop.world.totals() == {"5012": 4700}


def test_what_is_committed_late_is_found_by_the_second_read(shop: Shop) -> None:
    shop.webhook(("order", 5012, "created"))
    assert shop.later(timedelta(seconds=30)) == [False]
    shop.world.api.objects["order"]["5012"] = sample("eccube", "objects/order")
    assert shop.later(timedelta(minutes=5)) == [True]


def test_what_was_rolled_back_never_was(shop: Shop) -> None:
    shop.webhook(("order", 5012, "created"))
    assert shop.later(timedelta(seconds=30)) + shop.later(timedelta(minutes=5)) == [False, False]
    assert shop.says() == []


def test_a_deletion_is_believed_when_it_is_still_gone_at_the_end(shop: Shop) -> None:
    orders = shop.world.api.objects["order"]
    orders["5012"] = sample("eccube", "objects/order")
    shop.webhook(("order", 5012, "updated"))
    shop.later(timedelta(seconds=30))
    assert shop.world.totals() == {"5012": 4700}
    shop.webhook(("order", 5012, "deleted"))
    assert shop.later(timedelta(seconds=30))[-1] is False, "not yet: the deletion may be rolled back"
    del orders["5012"]
    shop.later(timedelta(minutes=5))
    assert shop.world.totals() == {"5012": 0}


def test_a_deletion_that_was_rolled_back_deletes_nothing(shop: Shop) -> None:
    shop.world.api.objects["order"]["5012"] = sample("eccube", "objects/order")
    shop.webhook(("order", 5012, "deleted"))
    shop.later(timedelta(minutes=5))
    assert shop.world.totals() == {"5012": 4700}


def test_a_purchase_under_way_is_a_cart_until_it_is_an_order(shop: Shop) -> None:
    orders = shop.world.api.objects["order"]
    orders["5013"] = sample("eccube", "objects/order@in-checkout")
    shop.webhook(("order", 5013, "created"))
    shop.later(timedelta(seconds=30))
    (person,) = shop.world.people()
    assert (person.orders, [cart.completed_at for cart in person.carts]) == ((), [None])
    assert person.profile.email == "soseki@example.com"
    ordered = {"id": "5013", "email": "soseki@example.com", "update_date": "2026-11-02T12:00:00+09:00"}
    orders["5013"] = {**sample("eccube", "objects/order"), **ordered, "Customer": None}
    shop.webhook(("order", 5013, "updated"))
    shop.later(timedelta(minutes=5))
    assert shop.world.totals() == {"5013": 4700}


def test_withdrawal_is_an_erasure_and_its_address_is_never_learned(shop: Shop) -> None:
    customers = shop.world.api.objects["customer"]
    customers["882"] = {**sample("eccube", "objects/customer"), "id": "882"}
    shop.webhook(("customer", 882, "updated"))
    shop.later(timedelta(seconds=30))
    assert [person.profile.email for person in shop.world.people()] == ["ichiyo.higuchi@example.jp"]
    gone = {**sample("eccube", "objects/customer@withdrawn"), "update_date": "2026-11-20T10:00:00+09:00"}
    customers["882"] = gone
    shop.world.time.at += timedelta(minutes=10)
    shop.webhook(("customer", 882, "updated"))
    shop.later(timedelta(seconds=30))
    assert EventType.PERSON_ERASED in shop.says()
    assert [person.profile.email for person in shop.world.people()] == [None]
    assert all("dummy.dummy" not in (event.person.email or "") for event in shop.world.told())


def test_the_same_bytes_are_a_new_notice_a_minute_later_and_a_repetition_within(shop: Shop) -> None:
    assert shop.webhook(("order", 5012, "updated")).message == "kept"
    shop.world.time.at += timedelta(seconds=20)
    assert shop.webhook(("order", 5012, "updated")).message == "already kept"
    shop.world.time.at += timedelta(seconds=60)
    assert shop.webhook(("order", 5012, "updated")).message == "kept"


def test_one_webhook_of_several_things_reads_each(shop: Shop) -> None:
    shop.world.api.objects["order"]["5012"] = sample("eccube", "objects/order")
    shop.world.api.objects["customer"]["881"] = sample("eccube", "objects/customer")
    shop.webhook(("order", 5012, "created"), ("customer", 881, "updated"), ("product", 41, "updated"))
    assert len(shop.queue.tasks) == 6
    assert shop.later(timedelta(seconds=30)) == [True, True, False]


def test_a_signature_is_required_and_nothing_is_queued_without(shop: Shop) -> None:
    raw = b'[{"entity":"order","id":5012,"action":"created"}]'
    right = hmac.new(b"sample-secret", raw, hashlib.sha256).hexdigest()
    for headers in (
        {},
        {"x-eccube-signature": ""},
        {"x-eccube-signature": "0" * 64},
        {"x-eccube-signature": right * 2},
    ):
        assert shop.receive(Request(headers, raw)).status == 401
    assert shop.queue.tasks == []
    assert shop.receive(Request({"x-eccube-signature": right}, raw)).status == 200


def test_a_queue_that_is_down_is_answered_with_come_again(shop: Shop) -> None:
    shop.queue.down = True
    assert shop.webhook(("order", 5012, "created")).status == 503
    shop.queue.down = False
    assert shop.webhook(("order", 5012, "created")).status == 200
    assert len(shop.queue.tasks) == 2, "queued although the notice was already kept"


def test_a_shop_that_does_not_answer_leaves_the_task_to_the_queue(shop: Shop) -> None:
    shop.webhook(("order", 5012, "created"))
    shop.world.api.faults.extend([Said(503, b"")] * 4)
    task = shop.queue.tasks[0][1]
    with pytest.raises(UnavailableError):
        shop.later(timedelta(seconds=30))
    shop.world.api.objects["order"]["5012"] = sample("eccube", "objects/order")
    assert read_back(task, shop.world.connection, shop.world.deps(), shop.world.time.now())


def test_a_connection_without_a_key_reads_nothing_back(shop: Shop) -> None:
    shop.world.connection = replace(shop.world.connection, token=None)
    shop.webhook(("order", 5012, "created"))
    assert shop.later(timedelta(minutes=5)) == [False, False]
    assert shop.world.api.asked == []


def test_the_reconciling_poll_after_a_read_back_finds_nothing_new(shop: Shop) -> None:
    fresh = {"update_date": "2026-11-21T11:59:00+09:00"}
    shop.world.api.objects["order"]["5012"] = {**sample("eccube", "objects/order"), **fresh}
    shop.webhook(("order", 5012, "created"))
    shop.later(timedelta(minutes=5))
    tally = shop.world.poll()
    assert (tally.finished, tally.known, tally.changes) == (True, 1, 0)


def test_a_thin_order_of_square_is_read_back_too(world: Make) -> None:
    from tests.contract.pull.test_lost_day import OfSquare

    keeper = OfSquare(world)
    made = keeper.world
    order = keeper.order(1)
    keeper.place(1, order)
    queue = Waiting(now=made.time.now)
    notice = sample("square", "order.updated")
    notice["data"] = {"type": "order", "id": order["id"], "object": {"order_updated": {"order_id": order["id"]}}}
    body = {**notice, "merchant_id": "MSAMPLE00000A"}
    made.webhook(body, {})
    follow_up(queue)(made.events.envelopes())
    assert [task.last for _, task in queue.tasks] == [False, True]
    api: Square = made.api
    assert [read_back(task, made.connection, made.deps(), made.time.now()) for _, task in queue.tasks] == [True, False]
    assert [asked.path for asked in api.asked] == [f"/v2/orders/{order['id']}"] * 2
    assert made.totals()[order["id"]] == 3300


def test_the_real_queue_delays_each_read(cloud: boto3.Session, shop: Shop) -> None:
    client: Any = cloud.client("sqs")
    url = client.create_queue(QueueName="read-backs")["QueueUrl"]
    shop.webhook(*(("order", number, "updated") for number in range(1, 8)))
    tasks = [task for _, task in shop.queue.tasks]
    SqsQueue(lambda: client, url).put([(task, timedelta(0)) for task in tasks])
    found: list[Task] = []
    while len(found) < len(tasks):
        messages = client.receive_message(QueueUrl=url, MaxNumberOfMessages=10, WaitTimeSeconds=1).get("Messages", [])
        assert messages, "not every task arrived"
        found += [read_task(message["Body"]) for message in messages]
        for message in messages:
            client.delete_message(QueueUrl=url, ReceiptHandle=message["ReceiptHandle"])
    assert sorted(map(write_task, found)) == sorted(map(write_task, tasks))
    SqsQueue(lambda: client, url).put([(tasks[0], FIRST), (tasks[0], LAST)])
    assert not client.receive_message(QueueUrl=url, WaitTimeSeconds=1).get("Messages")


def test_the_delays_are_those_the_vendor_needs() -> None:
    assert timedelta(seconds=15) <= FIRST <= timedelta(minutes=1) < LAST <= timedelta(minutes=15)
    assert all(earlier < later for earlier, later in pairwise((FIRST, LAST)))
