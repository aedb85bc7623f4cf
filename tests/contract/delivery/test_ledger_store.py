"""One suite over the ledger in memory and in DynamoDB: what the crash matrix proves of one holds for both."""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from typing import Any

import boto3
import pytest

from infra.local.process import internal
from infra.local.session import LocalSession
from shared.core.errors import MisconfiguredError, UnavailableError
from shared.core.ids import CustomerId, ScenarioId, SendId, TenantId
from shared.delivery.model import Outcome, Purpose, Reason, SendRequest, SendState
from shared.delivery.store import LEASE, Attempt, DynamoLedgerStore, LedgerStore, MemoryLedgerStore

NOW = datetime(2026, 11, 20, 3, 0, 0, 123456, tzinfo=UTC)
LATER = NOW + LEASE + timedelta(seconds=1)
ME, OTHER = Attempt("me", NOW), Attempt("other", NOW + timedelta(minutes=5))
HANAKO = CustomerId("hanako")
SENT = Outcome(SendState.SENT, Reason.NONE, "0106-message")
UNKNOWN = Outcome(SendState.UNKNOWN, Reason.AMBIGUOUS)
_tenants = itertools.count()


@pytest.fixture(params=["memory", "dynamodb"])
def ledger(request: pytest.FixtureRequest) -> Iterator[LedgerStore]:
    if request.param == "memory":
        yield MemoryLedgerStore()
    else:
        table = request.getfixturevalue("ledger_table")
        yield DynamoLedgerStore(table, request.getfixturevalue("cloud").client("dynamodb"))


@pytest.fixture
def tenant() -> TenantId:
    """A shop of its own for each test: the table is shared."""
    return TenantId(f"shop-{next(_tenants)}")


@pytest.fixture
def make(tenant: TenantId) -> Callable[..., SendRequest]:
    def a_request(step: str = "first", **more: Any) -> SendRequest:
        given: dict[str, Any] = {
            "tenant": tenant,
            "customer_id": HANAKO,
            "scenario": ScenarioId("cart_abandoned"),
            "scenario_version": "v1",
            "step": step,
            "occurrence": "cart-1",
            "channel": "email",
            "template": "cart_abandoned/first",
        }
        return SendRequest(**given | more)

    return a_request


def test_nobody_else_reserves_what_is_reserved_until_the_lease_is_over(ledger: LedgerStore, make: Any) -> None:
    mine = ledger.reserve(make(), ME, NOW)
    assert mine.mine
    assert (mine.row.state, mine.row.owner, mine.row.lease_until) == (SendState.RESERVED, "me", NOW + LEASE)
    blocked = ledger.reserve(make(), OTHER, NOW + timedelta(seconds=59))
    assert not blocked.mine
    assert blocked.row == mine.row
    assert ledger.reserve(make(), OTHER, LATER).row.owner == "other"


def test_a_reservation_whose_reply_was_lost_is_still_ours(ledger: LedgerStore, make: Any) -> None:
    first, again = ledger.reserve(make(), ME, NOW), ledger.reserve(make(), ME, NOW)
    assert again.mine
    assert first.row == again.row


@pytest.mark.parametrize("outcome", [SENT, UNKNOWN, Outcome(SendState.FAILED, Reason.REJECTED)])
def test_a_final_row_is_never_reserved_again_not_even_by_its_owner(
    ledger: LedgerStore, make: Any, outcome: Outcome
) -> None:
    ledger.reserve(make(), ME, NOW)
    assert ledger.mark(make().key, ME, NOW)
    assert ledger.record(make().key, outcome, ME, NOW)
    for attempt in (ME, OTHER):
        found = ledger.reserve(make(), attempt, LATER)
        assert not found.mine
        assert found.row.outcome == outcome


def test_a_marked_row_is_nobodys_to_reserve_however_old(ledger: LedgerStore, make: Any) -> None:
    ledger.reserve(make(), ME, NOW)
    ledger.mark(make().key, ME, NOW)
    for attempt in (ME, OTHER):
        assert not ledger.reserve(make(), attempt, NOW + timedelta(days=365)).mine


def test_writes_of_an_attempt_that_lost_the_row_do_nothing(ledger: LedgerStore, make: Any) -> None:
    key = make().key
    ledger.reserve(make(), ME, NOW)
    ledger.reserve(make(), OTHER, LATER)
    assert not ledger.mark(key, ME, LATER)
    assert not ledger.record(key, SENT, ME, LATER)
    assert not ledger.release(key, Reason.NONE, ME)
    row = ledger.row(key)
    assert row is not None
    assert (row.owner, row.state) == ("other", SendState.RESERVED)


def test_a_send_in_doubt_is_taken_over_once_its_lease_is_over(ledger: LedgerStore, make: Any) -> None:
    key = make().key
    ledger.reserve(make(), ME, NOW)
    ledger.mark(key, ME, NOW)
    seen = ledger.row(key)
    assert seen is not None
    assert seen.marked_at == NOW
    taken = ledger.take_over(seen, OTHER, LATER)
    assert taken.mine
    assert (taken.row.state, taken.row.owner, taken.row.lease_until) == (SendState.SENDING, "other", LATER + LEASE)
    assert taken.row.marked_at == NOW, "how long a repeat is safe counts from the first call"
    assert ledger.take_over(seen, OTHER, LATER).mine, "its reply may be lost, and the SDK repeats it"
    assert not ledger.take_over(seen, ME, LATER).mine
    assert not ledger.record(key, SENT, ME, LATER)
    assert ledger.record(key, SENT, OTHER, LATER)


def test_only_a_send_in_doubt_is_taken_over(ledger: LedgerStore, make: Any) -> None:
    key = make().key
    reserved = ledger.reserve(make(), ME, NOW).row
    assert not ledger.take_over(reserved, OTHER, LATER).mine
    ledger.mark(key, ME, NOW)
    ledger.record(key, SENT, ME, NOW)
    assert not ledger.take_over(reserved, ME, LATER).mine


def test_a_call_without_an_answer_ends_the_lease_and_stays_marked(ledger: LedgerStore, make: Any) -> None:
    key = make().key
    ledger.reserve(make(), ME, NOW)
    assert not ledger.doubt(key, ME, NOW), "nothing was called yet"
    ledger.mark(key, ME, NOW)
    assert not ledger.doubt(key, OTHER, NOW)
    assert ledger.doubt(key, ME, NOW)
    row = ledger.row(key)
    assert row is not None
    assert (row.state, row.lease_until) == (SendState.SENDING, NOW)
    assert ledger.take_over(row, OTHER, NOW + timedelta(seconds=1)).mine


def test_mark_and_record_may_be_repeated(ledger: LedgerStore, make: Any) -> None:
    key = make().key
    ledger.reserve(make(), ME, NOW)
    assert ledger.mark(key, ME, NOW)
    assert ledger.mark(key, ME, NOW)
    assert ledger.record(key, SENT, ME, NOW)
    assert ledger.record(key, SENT, ME, NOW)
    row = ledger.row(key)
    assert row is not None
    assert (row.outcome, row.sent_at, row.lease_until) == (SENT, ME.at, None)


def test_a_row_let_go_is_free_at_once_and_remembers_why(ledger: LedgerStore, make: Any) -> None:
    key = make().key
    ledger.reserve(make(), ME, NOW)
    ledger.mark(key, ME, NOW)
    assert ledger.release(key, Reason.STOPPED, ME)
    row = ledger.row(key)
    assert row is not None
    assert (row.state, row.reason, row.lease_until) == (SendState.RESERVED, Reason.STOPPED, None)
    assert ledger.reserve(make(), OTHER, NOW).mine


def test_an_unknown_row_is_not_let_go(ledger: LedgerStore, make: Any) -> None:
    key = make().key
    ledger.reserve(make(), ME, NOW)
    ledger.mark(key, ME, NOW)
    ledger.record(key, UNKNOWN, ME, NOW)
    assert not ledger.release(key, Reason.NONE, ME)


def test_holding_back_takes_one_write_and_is_final(ledger: LedgerStore, make: Any) -> None:
    outcome = Outcome(SendState.SUPPRESSED, Reason.ORDERED)
    held = ledger.hold(make(), outcome, ME, NOW)
    assert held.mine
    assert (held.row.outcome, held.row.lease_until, held.row.decided_at) == (outcome, None, ME.at)
    assert ledger.hold(make(), outcome, ME, NOW).mine, "its own write, repeated"
    other = ledger.hold(make(), Outcome(SendState.SUPPRESSED, Reason.EXITED), OTHER, LATER)
    assert not other.mine
    assert other.row.outcome == outcome


def test_holding_back_waits_for_whoever_is_sending(ledger: LedgerStore, make: Any) -> None:
    outcome = Outcome(SendState.SUPPRESSED, Reason.ORDERED)
    ledger.reserve(make(), ME, NOW)
    assert not ledger.hold(make(), outcome, OTHER, NOW).mine
    assert ledger.hold(make(), outcome, OTHER, LATER).mine


def test_a_sending_row_whose_lease_is_over_becomes_unknown_once(ledger: LedgerStore, make: Any) -> None:
    key = make().key
    ledger.reserve(make(), ME, NOW)
    ledger.mark(key, ME, NOW)
    seen = ledger.row(key)
    assert seen is not None
    abandoned = ledger.abandon(seen, LATER)
    assert abandoned.mine
    assert (abandoned.row.outcome, abandoned.row.unresolved_since) == (UNKNOWN, LATER)
    assert not ledger.abandon(seen, LATER).mine
    assert ledger.record(key, SENT, ME, LATER), "its owner was slow, not dead, and knows better"


def test_abandoning_a_row_that_was_erased_says_so(ledger: LedgerStore, make: Any, tenant: TenantId) -> None:
    ledger.reserve(make(), ME, NOW)
    ledger.mark(make().key, ME, NOW)
    seen = ledger.row(make().key)
    assert seen is not None
    assert ledger.forget(tenant, HANAKO) == 1
    assert ledger.abandon(seen, LATER).row.reason is Reason.ERASED
    assert ledger.row(make().key) is None


@pytest.mark.parametrize("doubt", ["reserved", "sending", "unknown"])
def test_the_provider_settles_what_is_in_doubt(ledger: LedgerStore, make: Any, tenant: TenantId, doubt: str) -> None:
    key = make().key
    ledger.reserve(make(), ME, NOW)
    if doubt != "reserved":
        ledger.mark(key, ME, NOW)
    if doubt == "unknown":
        ledger.record(key, UNKNOWN, ME, NOW)
    assert ledger.settle(key, "0106-message", NOW)
    assert not ledger.settle(key, "0106-message", NOW)
    row = ledger.row(key)
    assert row is not None
    assert (row.outcome, row.unresolved_since) == (SENT, None)
    assert not list(ledger.unresolved(tenant, LATER))


def test_the_provider_settles_nothing_that_is_decided_or_absent(ledger: LedgerStore, make: Any) -> None:
    assert not ledger.settle(make("absent").key, "0106-message", NOW)
    ledger.hold(make(), Outcome(SendState.SUPPRESSED, Reason.ORDERED), ME, NOW)
    assert not ledger.settle(make().key, "0106-message", NOW)


def test_what_people_did_with_a_send_is_kept_whatever_else_happens_to_its_row(ledger: LedgerStore, make: Any) -> None:
    key = make().key
    assert not ledger.react(key, "opened", NOW), "no such send"
    assert ledger.row(key) is None
    ledger.reserve(make(), ME, NOW)
    assert ledger.react(key, "opened", NOW)
    ledger.mark(key, ME, NOW)
    assert ledger.react(key, "clicked", LATER)
    assert ledger.react(key, "clicked", LATER)
    ledger.record(key, SENT, ME, NOW)
    row = ledger.row(key)
    assert row is not None
    assert (row.outcome, row.reactions) == (SENT, frozenset({"opened", "clicked"}))


def test_only_rows_in_doubt_are_indexed_oldest_first(ledger: LedgerStore, make: Any, tenant: TenantId) -> None:
    for minutes, step in ((2, "second"), (1, "first"), (30, "late")):
        request, at = make(step), NOW + timedelta(minutes=minutes)
        ledger.reserve(request, ME, at)
        ledger.mark(request.key, ME, at)
        ledger.record(request.key, UNKNOWN, ME, at)
    ledger.reserve(make("in_flight"), ME, NOW)
    found = [row.step for row in ledger.unresolved(tenant, NOW + timedelta(minutes=10))]
    assert found == ["first", "second"]
    assert not list(ledger.unresolved(TenantId("another-shop"), LATER))


def test_a_transactional_row_keeps_its_request_until_it_is_final(ledger: LedgerStore, make: Any) -> None:
    request = make(
        purpose=Purpose.TRANSACTIONAL, context={"cart": {"lines": [{"title": "茶"}]}}, expires_at=NOW, store="s"
    )
    ledger.reserve(request, ME, NOW)
    ledger.mark(request.key, ME, NOW)
    ledger.record(request.key, UNKNOWN, ME, NOW)
    row = ledger.row(request.key)
    assert row is not None
    assert row.request == request
    ledger.settle(request.key, "0106-message", NOW)
    settled = ledger.row(request.key)
    assert settled is not None
    assert settled.request is None


def test_an_unknown_row_is_reopened_once_in_its_life_and_stays_in_view(
    ledger: LedgerStore, make: Any, tenant: TenantId
) -> None:
    key = make().key
    ledger.reserve(make(), ME, NOW)
    ledger.mark(key, ME, NOW)
    assert not ledger.reopen(key, NOW)
    ledger.record(key, UNKNOWN, ME, NOW)
    assert ledger.reopen(key, NOW)
    assert not ledger.reopen(key, NOW)
    assert [row.step for row in ledger.unresolved(tenant, LATER)] == ["first"]
    assert ledger.reserve(make(), OTHER, NOW).mine
    ledger.mark(key, OTHER, NOW)
    ledger.record(key, UNKNOWN, OTHER, NOW)
    assert not ledger.reopen(key, NOW)


def test_a_slot_is_claimed_only_by_whoever_saw_the_latest(ledger: LedgerStore, tenant: TenantId) -> None:
    first, second = SendId("first"), SendId("second")
    seen = ledger.contact(tenant, [HANAKO])
    assert (dict(seen.slots), seen.rev) == ({}, 0)
    assert ledger.claim(tenant, HANAKO, {first: NOW}, seen.rev)
    assert ledger.claim(tenant, HANAKO, {first: NOW}, seen.rev), "its own claim, repeated"
    assert not ledger.claim(tenant, HANAKO, {second: NOW}, seen.rev)
    again = ledger.contact(tenant, [HANAKO])
    assert dict(again.slots) == {first: NOW}
    assert ledger.claim(tenant, HANAKO, {first: NOW, second: NOW}, again.rev)
    assert not ledger.claim(tenant, HANAKO, {second: NOW}, again.rev)


def test_only_the_slot_that_was_claimed_is_given_back(ledger: LedgerStore, tenant: TenantId) -> None:
    send = SendId("first")
    ledger.claim(tenant, HANAKO, {send: NOW}, 0)
    ledger.unclaim(tenant, HANAKO, send, LATER)
    assert ledger.contact(tenant, [HANAKO]).slots
    ledger.unclaim(tenant, HANAKO, send, NOW)
    ledger.unclaim(tenant, HANAKO, send, NOW)
    ledger.unclaim(tenant, CustomerId("nobody"), send, NOW)
    contact = ledger.contact(tenant, [HANAKO])
    assert (dict(contact.slots), contact.rev) == ({}, 2)
    assert not ledger.claim(tenant, HANAKO, {send: NOW}, 1), "giving back is a change too"


def test_a_person_is_counted_with_everybody_merged_into_them(ledger: LedgerStore, tenant: TenantId) -> None:
    old = CustomerId("old")
    ledger.claim(tenant, old, {SendId("a"): NOW}, 0)
    ledger.claim(tenant, HANAKO, {SendId("b"): LATER}, 0)
    ledger.claim(tenant, HANAKO, {SendId("b"): LATER, SendId("c"): LATER}, 1)
    contact = ledger.contact(tenant, [HANAKO, old])
    assert (set(contact.slots), contact.rev) == ({"a", "b", "c"}, 2)


def test_a_persons_rows_can_be_listed_and_forgotten(ledger: LedgerStore, make: Any, tenant: TenantId) -> None:
    for step in ("first", "second"):
        ledger.reserve(make(step), ME, NOW)
    ledger.reserve(make(customer_id=CustomerId("taro")), ME, NOW)
    ledger.claim(tenant, HANAKO, {SendId("a"): NOW}, 0)
    assert {row.step for row in ledger.rows(tenant, HANAKO)} == {"first", "second"}
    assert ledger.forget(tenant, HANAKO) == 3
    assert not ledger.rows(tenant, HANAKO)
    assert ledger.contact(tenant, [HANAKO]).rev == 0
    assert len(ledger.rows(tenant, CustomerId("taro"))) == 1


def test_a_table_that_does_not_exist_is_a_mistake_of_ours(cloud: boto3.Session, make: Any) -> None:
    store = DynamoLedgerStore("no-such-table", cloud.client("dynamodb"))
    with pytest.raises(MisconfiguredError):
        store.reserve(make(), ME, NOW)


def test_a_database_that_cannot_be_reached_is_a_reason_to_come_back(cloud: boto3.Session, make: Any) -> None:
    from botocore.config import Config

    nowhere = cloud.client(  # nothing listens on the discard port
        "dynamodb", endpoint_url="http://127.0.0.1:9", config=Config(retries={"total_max_attempts": 1})
    )
    with pytest.raises(UnavailableError):
        DynamoLedgerStore("deliveries", nowhere).reserve(make(), ME, NOW)


def test_one_mail_costs_three_writes_of_the_ledger_and_one_of_the_contact_row(
    cloud: boto3.Session, ledger_table: str, make: Any, tenant: TenantId
) -> None:
    client: Any = cloud.client("dynamodb")
    writes = []
    client.meta.events.register(
        "before-call.dynamodb", lambda model, **_: writes.append(model.name) if model.name != "GetItem" else None
    )
    ledger = DynamoLedgerStore(ledger_table, client)
    key = make().key
    ledger.reserve(make(), ME, NOW)
    ledger.claim(tenant, HANAKO, {key.send_id: NOW}, 0)
    ledger.mark(key, ME, NOW)
    ledger.record(key, SENT, ME, NOW)
    assert writes == ["UpdateItem", "PutItem", "UpdateItem", "UpdateItem"]
    raw = client.get_item(
        TableName=ledger_table, Key={"pk": {"S": f"{tenant}#hanako"}, "sk": {"S": f"send#{key.send_id}"}}
    )
    size = sum(len(name) + len(value["S"].encode()) for name, value in raw["Item"].items())
    assert size < 1024, f"{size} bytes: a row of more than 1 KB would cost a second write unit per step"


@pytest.mark.parametrize("call", ["reserve", "hold", "mark", "record", "release", "claim", "settle"])
def test_a_write_whose_reply_was_lost_is_repeated_by_the_sdk_and_still_ours(
    cloud: LocalSession, ledger_table: str, make: Any, tenant: TenantId, call: str
) -> None:
    """Without `owner = :me` the repeated write would find the row taken, by ourselves, and the mail would be lost."""
    ledger = DynamoLedgerStore(ledger_table, cloud.client("dynamodb"))
    key = make().key
    if call not in {"reserve", "hold"}:
        ledger.reserve(make(), ME, NOW)
    if call in {"record", "release", "settle"}:
        ledger.mark(key, ME, NOW)
    writes: dict[str, Callable[[], object]] = {
        "reserve": lambda: ledger.reserve(make(), ME, NOW).mine,
        "hold": lambda: ledger.hold(make(), Outcome(SendState.SUPPRESSED, Reason.ORDERED), ME, NOW).mine,
        "mark": lambda: ledger.mark(key, ME, NOW),
        "record": lambda: ledger.record(key, SENT, ME, NOW),
        "release": lambda: ledger.release(key, Reason.NONE, ME),
        "claim": lambda: ledger.claim(tenant, HANAKO, {key.send_id: NOW}, 0),
        "settle": lambda: ledger.settle(key, "0106-message", NOW) or True,  # a second settling has nothing to do
    }
    action = "PutItem" if call == "claim" else "UpdateItem"
    internal(
        cloud.emulator, "POST", "/_matakite/faults", {"service": "dynamodb", "action": action, "kind": "lose_reply"}
    )
    try:
        assert writes[call]() is True
        planned = internal(cloud.emulator, "GET", "/_matakite/faults")
        assert "'happened': 1" in str(planned), "the reply was never lost"
    finally:
        internal(cloud.emulator, "DELETE", "/_matakite/faults")
