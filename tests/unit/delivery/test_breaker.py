"""The breaker: what counts, when it warns, when it stops, and that a stopped shop stays stopped until somebody acts."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from functions.delivery import receive_feedback
from shared.core.errors import UnavailableError
from shared.core.ids import SendId, TenantId
from shared.delivery.breaker import Breaker
from shared.delivery.feedback import FeedbackDeps
from shared.delivery.model import SendKey
from shared.delivery.pace.store import MemoryPaceStore
from shared.delivery.reputation import DAYS, ENOUGH, Day, Reputation, Verdict, judge
from shared.ingest.oversize import NoOversize
from shared.ingest.store import MemoryEventStore
from tests.unit.delivery.test_feedback import from_eventbridge
from tests.unit.delivery.test_sources import sample
from tests.unit.delivery.world import HANAKO, NOON, TENANT, World

TODAY = NOON.date()


@pytest.mark.parametrize(
    ("day", "verdict"),
    [
        (Day(1000, 19, 0), Verdict.FINE),
        (Day(1000, 20, 0), Verdict.WARN),
        (Day(1000, 39, 0), Verdict.WARN),
        (Day(1000, 40, 0), Verdict.STOP),
        (Day(1000, 0, 1), Verdict.STOP),
        (Day(2000, 0, 1), Verdict.WARN),
        (Day(2001, 0, 1), Verdict.FINE),
        (Day(999, 999, 999), Verdict.FINE),
    ],
)
def test_the_limits_are_two_and_four_percent_and_a_half_and_one_in_a_thousand(day: Day, verdict: Verdict) -> None:
    assert judge({TODAY: day}, TODAY).verdict is verdict


def test_only_the_latest_days_that_hold_a_thousand_sends_count() -> None:
    bad, good = Day(ENOUGH, 100, 5), Day(ENOUGH)
    assert judge({TODAY - timedelta(days=1): bad, TODAY: good}, TODAY).verdict is Verdict.FINE
    assert judge({TODAY - timedelta(days=1): good, TODAY: bad}, TODAY).verdict is Verdict.STOP
    small = {TODAY - timedelta(days=back): Day(ENOUGH // 10, 4, 0) for back in range(10)}
    assert judge(small, TODAY).verdict is Verdict.STOP
    assert judge({TODAY - timedelta(days=DAYS): bad}, TODAY).verdict is Verdict.FINE


def record(name: str, send: int, tenant: str = TENANT) -> dict[str, Any]:
    found = sample(name)
    key = SendKey(TenantId(tenant), HANAKO, SendId(f"s{send}"))
    found["mail"]["tags"] |= {"tenant": [key.tenant], "customer": [key.customer_id], "send_id": [key.send_id]}
    found["mail"]["messageId"] = f"m{send}"
    for part in ("bounce", "complaint"):
        if part in found:
            found[part]["feedbackId"] = f"f{send}"
    return found


def arrive(deps: FeedbackDeps, *records: dict[str, Any]) -> None:
    messages = [
        {"messageId": str(n), "body": from_eventbridge(each), "eventSource": "aws:sqs"}
        for n, each in enumerate(records)
    ]
    assert receive_feedback.handler({"Records": messages}, None, deps) == {"batchItemFailures": []}


@pytest.fixture
def store() -> MemoryPaceStore:
    return MemoryPaceStore()


@pytest.fixture
def deps(world: World, store: MemoryPaceStore) -> FeedbackDeps:
    return FeedbackDeps(MemoryEventStore(NoOversize()), world.ledger, Breaker(store))


def days(store: MemoryPaceStore, tenant: str = TENANT) -> Day:
    return sum(store.reputation(TenantId(tenant)).days.values(), Day())


def test_a_batch_is_one_write_a_shop_and_a_repeat_counts_nothing(deps: FeedbackDeps, store: MemoryPaceStore) -> None:
    batch = [record("send", n) for n in range(8)] + [record("bounce@permanent", 1), record("complaint", 2)]
    arrive(deps, *batch, record("send", 9, "other"))
    arrive(deps, *batch)
    assert days(store) == Day(8, 1, 1)
    assert days(store, "other") == Day(1)


class BusyStore(MemoryPaceStore):
    """The table has no time for the first write."""

    busy = True

    def tally(self, tenant: TenantId, on: date, more: Day) -> Reputation:
        if self.busy:
            self.busy = False
            raise UnavailableError("reputation: ThrottlingException")
        return super().tally(tenant, on, more)


def test_a_bounce_counts_although_the_table_was_busy_when_it_came(world: World) -> None:
    """The queue brings the batch again, and each record is known by then: nothing of it was counted."""
    store = BusyStore()
    deps = FeedbackDeps(MemoryEventStore(NoOversize()), world.ledger, Breaker(store))
    bounce = record("bounce@permanent", 1)
    with pytest.raises(UnavailableError):
        arrive(deps, bounce)
    arrive(deps, bounce)
    assert days(store) == Day(bounced=1)


def test_a_full_mailbox_and_a_mail_that_is_no_spam_after_all_are_held_against_nobody(
    deps: FeedbackDeps, store: MemoryPaceStore
) -> None:
    soft, corrected = record("bounce@permanent", 1), record("complaint", 2)
    soft["bounce"]["bounceType"] = "Transient"
    corrected["complaint"]["complaintFeedbackType"] = "not-spam"
    arrive(deps, soft, corrected, record("delivery", 3))
    assert days(store) == Day()


def test_the_fortieth_bounce_of_a_thousand_mails_stops_this_shop_and_no_other(
    deps: FeedbackDeps, store: MemoryPaceStore
) -> None:
    for tenant in (TENANT, "other"):
        for start in range(0, 1000, 100):
            arrive(deps, *(record("send", n, tenant) for n in range(start, start + 100)))
    arrive(deps, *(record("bounce@permanent", n) for n in range(39)))
    assert store.stopped(TENANT) == ""
    arrive(deps, record("bounce@permanent", 40))
    assert store.stopped(TENANT).startswith("4.00% bounces")
    assert store.stopped(TenantId("other")) == ""
    arrive(deps, record("send", 2000))
    assert store.stopped(TENANT), "more mail does not start it again"
    store.resume(TENANT, "admin", NOON)
    arrive(deps, record("bounce@permanent", 41))
    assert store.stopped(TENANT) == "", "counted anew"
