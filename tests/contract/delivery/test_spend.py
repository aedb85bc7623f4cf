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
from shared.delivery.spend.store import Budgeted, DynamoSpend, MemorySpend, SpendStore, account_of, cap_of
from tests.unit.delivery.messages import a_mail
from tests.unit.delivery.world import NOON, TENANT, a_shop

_numbers = itertools.count()
ACCOUNT = "line#2026-11"


class Rows(DynamoSpend):
    """The real store, with the rows of the sends that the ledger would have written before."""

    def reserve(self, key: SendKey, account: str, units: int, cap: int | None) -> Any:
        row = {"pk": {"S": f"{key.tenant}#{key.customer_id}"}, "sk": {"S": f"send#{key.send_id}"}}
        self._client.update_item(
            TableName=self._table,
            Key=row,
            UpdateExpression="SET #s = :s",
            ExpressionAttributeNames={"#s": "state"},
            ExpressionAttributeValues={":s": {"S": "sending"}},
        )
        return super().reserve(key, account, units, cap)


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


def test_a_send_takes_its_units_once(spend: SpendStore) -> None:
    key = a_key()
    assert spend.reserve(key, ACCOUNT, 2, 10).mine
    again = spend.reserve(key, ACCOUNT, 2, 10)
    assert (again.granted, again.mine) == (True, False)
    assert spend.used(TENANT, ACCOUNT) == 2


def test_the_cap_is_reached_and_never_passed(spend: SpendStore) -> None:
    keys = [a_key() for _ in range(4)]
    assert [spend.reserve(key, ACCOUNT, 3, 10).granted for key in keys] == [True, True, True, False]
    assert spend.reserve(keys[0], ACCOUNT, 3, 9).granted, "what it took before is its own"
    assert spend.used(TENANT, ACCOUNT) == 9
    assert spend.reserve(a_key(), ACCOUNT, 1, 10).granted
    assert not spend.reserve(a_key(), ACCOUNT, 1, 0).granted


def test_what_is_given_back_can_be_taken_by_others(spend: SpendStore) -> None:
    key = a_key()
    spend.reserve(key, ACCOUNT, 1, 1)
    spend.give_back(key, ACCOUNT, 1)
    spend.give_back(key, ACCOUNT, 1)
    assert spend.used(TENANT, ACCOUNT) == 0
    assert spend.reserve(a_key(), ACCOUNT, 1, 1).granted


def test_no_limit_is_counted_too(spend: SpendStore) -> None:
    assert spend.reserve(a_key(), ACCOUNT, 5, None).granted
    assert spend.used(TENANT, ACCOUNT) == 5


def test_what_no_cap_holds_back_is_counted(spend: SpendStore) -> None:
    spend.count(TENANT, ACCOUNT, 2)
    spend.count(TENANT, ACCOUNT, 1)
    assert spend.used(TENANT, ACCOUNT) == 3


def test_many_at_once_stop_at_the_cap(spend: SpendStore) -> None:
    with ThreadPoolExecutor(8) as pool:
        granted = list(pool.map(lambda key: spend.reserve(key, ACCOUNT, 1, 10).granted, [a_key() for _ in range(30)]))
    assert sum(granted) == 10
    assert spend.used(TENANT, ACCOUNT) == 10


def budgeted(channel: FakeChannel, spend: SpendStore, cap: int | None = 2) -> Budgeted:
    shop = a_shop(budget={"line": cap})
    return Budgeted(channel, "line", lambda message: 1, spend, lambda tenant: shop, FixedClock(NOON))


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
    with pytest.raises(error):
        budgeted(FakeChannel([fault]), spend).send(a_message())
    assert spend.used(TENANT, ACCOUNT) == used


def test_a_repeat_that_is_throttled_gives_nothing_back(spend: SpendStore) -> None:
    sending = budgeted(FakeChannel([Fault.LOSE_REPLY, Fault.THROTTLE], repeats=timedelta(hours=23)), spend)
    message = a_message()
    with pytest.raises(AmbiguousError):
        sending.send(message)
    with pytest.raises(NotSentError):
        sending.send(message)
    assert spend.used(TENANT, ACCOUNT) == 1


class Unreachable(MemorySpend):
    def reserve(self, key: SendKey, account: str, units: int, cap: int | None) -> Any:
        raise UnavailableError("budget: timeout")


def test_without_an_answer_about_the_budget_nothing_is_sent() -> None:
    channel = FakeChannel()
    with pytest.raises(NotSentError):
        budgeted(channel, Unreachable()).send(a_message())
    assert not channel.accepted


def test_the_month_is_the_shops_own() -> None:
    shop = a_shop()
    assert account_of("line", shop, datetime.fromisoformat("2026-11-30T15:00:00+00:00")) == "line#2026-12"
    assert account_of("line", shop, datetime.fromisoformat("2026-11-30T14:59:59+00:00")) == "line#2026-11"


def test_what_the_shop_says_is_its_cap() -> None:
    assert cap_of("line", a_shop()) == 200, "the free plan"
    assert cap_of("line", a_shop(budget={"line": None})) is None
    assert cap_of("sms", a_shop(budget={"sms": 300})) == 300
    for wrong in ({"sms": -1}, {"sms": True}, {"sms": "many"}, {}, [1]):
        with pytest.raises(MisconfiguredError, match="budget"):
            cap_of("sms", a_shop(budget=wrong))
