"""The month's budget (I8), in memory and in DynamoDB: never passed, whatever fails and however many send at once."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import boto3
import pytest

from shared.core.clock import FixedClock
from shared.core.errors import MisconfiguredError, UnavailableError
from shared.core.ids import CustomerId, SendId
from shared.delivery.channels.channel import AmbiguousError, Message, NotSentError, StoppedError
from shared.delivery.channels.fake import FakeChannel, Fault
from shared.delivery.model import SendKey
from shared.delivery.spend.budget import LOT, Account, Budgeted, Lots, cap_of, month_of
from shared.delivery.spend.store import DynamoSpend, MemorySpend, SpendStore
from tests.unit.delivery.messages import a_mail
from tests.unit.delivery.world import NOON, TENANT, a_shop

_numbers = itertools.count()
ACCOUNT = "line#2026-11"


class Rows(DynamoSpend):
    """The real store, with the rows of the sends that the ledger would have written before."""

    def mark(self, key: SendKey) -> bool:
        row = {"pk": {"S": f"{key.tenant}#{key.customer_id}"}, "sk": {"S": f"send#{key.send_id}"}}
        self._client.update_item(
            TableName=self._table,
            Key=row,
            UpdateExpression="SET #s = :s",
            ExpressionAttributeNames={"#s": "state"},
            ExpressionAttributeValues={":s": {"S": "sending"}},
        )
        return super().mark(key)


@pytest.fixture(params=["memory", "dynamodb"])
def spend(request: pytest.FixtureRequest) -> SpendStore:
    if request.param == "memory":
        return MemorySpend()
    make: Callable[[str], str] = request.getfixturevalue("make_table")
    cloud: boto3.Session = request.getfixturevalue("cloud")
    client: Any = cloud.client("dynamodb")
    return Rows(make(f"spend-{next(_numbers)}"), client)


def a_key() -> SendKey:
    return SendKey(TENANT, CustomerId("hanako"), SendId(f"s{next(_numbers)}"))


def of(cap: int | None) -> Account:
    return Account(TENANT, ACCOUNT, cap)


def test_a_send_takes_its_units_once(spend: SpendStore) -> None:
    key, lots = a_key(), Lots(spend)
    assert lots.reserve(key, of(10), 2).mine
    for worker in (lots, Lots(spend)):
        again = worker.reserve(key, of(10), 2)
        assert (again.granted, again.mine) == (True, False)
        worker.put_back()
    assert spend.used(TENANT, ACCOUNT) == 2


def test_the_cap_is_reached_and_never_passed(spend: SpendStore) -> None:
    keys, lots = [a_key() for _ in range(4)], Lots(spend)
    assert [lots.reserve(key, of(10), 3).granted for key in keys] == [True, True, True, False]
    assert lots.reserve(keys[0], of(9), 3).granted, "what it took before is its own"
    assert lots.reserve(a_key(), of(10), 1).granted
    assert not lots.reserve(a_key(), of(10), 1).granted
    assert not lots.reserve(a_key(), of(0), 1).granted
    lots.put_back()
    assert spend.used(TENANT, ACCOUNT) == 10


def test_what_is_given_back_can_be_taken_by_others(spend: SpendStore) -> None:
    key, lots = a_key(), Lots(spend)
    lots.reserve(key, of(1), 1)
    lots.give_back(key, of(1), 1)
    lots.give_back(key, of(1), 1)
    lots.put_back()
    assert spend.used(TENANT, ACCOUNT) == 0
    assert Lots(spend).reserve(a_key(), of(1), 1).granted


def test_no_limit_is_counted_too(spend: SpendStore) -> None:
    lots = Lots(spend)
    assert all(lots.reserve(a_key(), of(None), 5).granted for _ in range(3))
    lots.put_back()
    assert spend.used(TENANT, ACCOUNT) == 15


def test_a_worker_that_dies_takes_a_lot_with_it_at_most(spend: SpendStore) -> None:
    died, lives = Lots(spend), Lots(spend)
    assert died.reserve(a_key(), of(100), 1).granted
    assert spend.used(TENANT, ACCOUNT) == 1, "whoever sends one message takes one"
    assert died.reserve(a_key(), of(100), 1).granted
    assert spend.used(TENANT, ACCOUNT) == 1 + LOT
    sent = sum(lives.reserve(a_key(), of(100), 1).granted for _ in range(120))
    assert (sent, spend.used(TENANT, ACCOUNT)) == (100 - 1 - LOT, 100)


def test_who_found_nothing_left_asks_again_after_the_batch(spend: SpendStore) -> None:
    """Another worker's batch may have put something back."""
    slow, late = Lots(spend), Lots(spend)
    assert [slow.reserve(a_key(), of(5), 1).granted for _ in range(2)] == [True, True]
    assert not late.reserve(a_key(), of(5), 1).granted
    slow.put_back()
    assert not late.reserve(a_key(), of(5), 1).granted, "not once for every message of the batch"
    late.put_back()
    assert [late.reserve(a_key(), of(5), 1).granted for _ in range(4)] == [True, True, True, False]
    assert spend.used(TENANT, ACCOUNT) == 5


def test_what_no_cap_holds_back_is_counted(spend: SpendStore) -> None:
    spend.count(TENANT, ACCOUNT, 2)
    spend.count(TENANT, ACCOUNT, 1)
    assert spend.used(TENANT, ACCOUNT) == 3


def test_many_at_once_stop_at_the_cap(spend: SpendStore) -> None:
    workers = [Lots(spend) for _ in range(3)]

    def send(number: int) -> bool:
        return workers[number % 3].reserve(a_key(), of(25), 1).granted

    with ThreadPoolExecutor(8) as pool:
        sent = sum(pool.map(send, range(60)))
        assert sent <= 25
        for worker in workers:
            worker.put_back()
        sent += sum(pool.map(send, range(60, 120)))
    assert sent == 25 == spend.used(TENANT, ACCOUNT)


def budgeted(channel: FakeChannel, spend: SpendStore, cap: int | None = 2) -> Budgeted:
    shop = a_shop(budget={"line": cap})
    return Budgeted(channel, "line", lambda message: 1, Lots(spend), lambda tenant: shop, FixedClock(NOON))


def a_message() -> Message:
    return replace(a_mail(), key=a_key())


def test_nothing_leaves_beyond_the_budget(spend: SpendStore) -> None:
    channel = FakeChannel(repeats=timedelta(hours=23))
    sending = budgeted(channel, spend)
    first = a_message()
    sending.send(first)
    sending.send(a_message())
    with pytest.raises(StoppedError, match="配信予算"):
        sending.send(a_message())
    sending.send(first)
    assert len(channel.accepted) == 2


@pytest.mark.parametrize(
    ("fault", "error", "used"),
    [
        (Fault.THROTTLE, NotSentError, 0),
        (Fault.PAUSE, StoppedError, 0),
        (Fault.FAIL_AFTER, AmbiguousError, 1),
        (Fault.FAIL_BEFORE, AmbiguousError, 1),
    ],
)
def test_only_what_surely_did_not_leave_is_given_back(
    spend: SpendStore, fault: Fault, error: type[Exception], used: int
) -> None:
    sending = budgeted(FakeChannel([fault]), spend)
    with pytest.raises(error):
        sending.send(a_message())
    sending.lots.put_back()
    assert spend.used(TENANT, ACCOUNT) == used


def test_a_repeat_that_is_throttled_gives_nothing_back(spend: SpendStore) -> None:
    sending = budgeted(FakeChannel([Fault.LOSE_REPLY, Fault.THROTTLE], repeats=timedelta(hours=23)), spend)
    message = a_message()
    with pytest.raises(AmbiguousError):
        sending.send(message)
    with pytest.raises(NotSentError):
        sending.send(message)
    sending.lots.put_back()
    assert spend.used(TENANT, ACCOUNT) == 1


class Unreachable(MemorySpend):
    def take(self, *_: object) -> int:
        raise UnavailableError("budget: timeout")


def test_without_an_answer_about_the_budget_nothing_is_sent() -> None:
    channel = FakeChannel()
    with pytest.raises(NotSentError):
        budgeted(channel, Unreachable()).send(a_message())
    assert not channel.accepted


def test_the_month_is_the_shops_own() -> None:
    shop = a_shop()
    assert month_of("line", shop, datetime.fromisoformat("2026-11-30T15:00:00+00:00")) == "line#2026-12"
    assert month_of("line", shop, datetime.fromisoformat("2026-11-30T14:59:59+00:00")) == "line#2026-11"


def test_what_the_shop_says_is_its_cap() -> None:
    assert cap_of("line", a_shop()) == 200, "the free plan"
    assert cap_of("line", a_shop(budget={"line": None})) is None
    assert cap_of("sms", a_shop(budget={"sms": 300})) == 300
    for wrong in ({"sms": -1}, {"sms": True}, {"sms": "many"}, {}, [1]):
        with pytest.raises(MisconfiguredError, match="budget"):
            cap_of("sms", a_shop(budget=wrong))
