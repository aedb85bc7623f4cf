"""One suite for both customer stores: what the one in memory promises, the DynamoDB table keeps too."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from datetime import date, timedelta
from itertools import count
from typing import Any

import boto3
import pytest
from botocore.config import Config
from hypothesis import HealthCheck, given, settings

from shared.core.clock import FixedClock
from shared.core.errors import MisconfiguredError, UnavailableError
from shared.core.ids import CustomerId, Ref, TenantId
from shared.customers.batch import BatchRows
from shared.customers.fold import apply
from shared.customers.identity import address_ref, customer_ref
from shared.customers.load import load
from shared.customers.model import (
    ConsentStatus,
    Findings,
    LtvTier,
    PersonState,
    Scores,
    Status,
    Suppressed,
    Suppression,
)
from shared.customers.reference import fold_all
from shared.customers.rows import ConflictError, Delete, DynamoRows, Put, Row, Rows, encode_item
from shared.customers.rules import SHARED_BY_MOST
from shared.customers.store import CustomerStore, MemoryCustomerStore, read_row
from shared.ingest.model import Event
from tests.unit.customers.world import (
    KEYS,
    SHOP,
    START,
    STORE,
    TENANT,
    a_cart,
    a_consent,
    a_customer,
    a_merge,
    a_person,
    an_erasure,
    an_order,
    comparable,
    deliveries,
    minute,
)

_NUMBERS = count(1)


@pytest.fixture(scope="session")
def table(make_table: Callable[[str], str]) -> str:
    return make_table("customers-contract")


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock(START)


@pytest.fixture(params=["memory", "dynamodb"])
def store(request: pytest.FixtureRequest, clock: FixedClock) -> CustomerStore:
    if request.param == "memory":
        return MemoryCustomerStore(clock)
    cloud: boto3.Session = request.getfixturevalue("cloud")
    return CustomerStore(request.getfixturevalue("table"), cloud.client("dynamodb"), clock)


@pytest.fixture
def rows(store: CustomerStore) -> Rows:
    return store.rows


@pytest.fixture
def tenant() -> TenantId:
    """A shop of its own for every test: they share one table."""
    return TenantId(f"shop{next(_NUMBERS)}")


Put_ = Callable[..., CustomerId]


@pytest.fixture
def put(store: CustomerStore, tenant: TenantId) -> Put_:
    def put(*events: Event) -> CustomerId:
        found = [apply(replace(event, tenant=tenant), store, KEYS, SHOP).customer_id for event in events]
        assert found[-1] is not None
        return found[-1]

    return put


# --- rows ------------------------------------------------------------------------------------------------------------
def a_row(tenant: TenantId, sk: str = "a", **changes: Any) -> Row:
    return Row(f"{tenant}#x", sk, "order", changes.pop("body", '{"at":"日本"}'), **changes)


def test_rows_come_back_as_they_were_written(rows: Rows, tenant: TenantId) -> None:
    written = [a_row(tenant), a_row(tenant, "b", historical=True, rev=7, fields={"customer_id": "c"})]
    rows.transact([Put(row) for row in written])
    assert rows.partition(f"{tenant}#x") == written
    assert rows.get([row.key for row in written] + [("no", "where")]) == {row.key: row for row in written}
    rows.transact([Delete(written[0].key), Delete(("no", "where"))])
    assert rows.partition(f"{tenant}#x") == written[1:]


@pytest.mark.parametrize(("expected", "met"), [(0, False), (1, True), (2, False), (None, True)])
def test_a_write_happens_only_at_the_expected_revision(
    rows: Rows, tenant: TenantId, expected: int | None, met: bool
) -> None:
    rows.transact([Put(a_row(tenant, rev=1), expected=0)])
    change = [Put(a_row(tenant, rev=2, body="{}"), expected), Put(a_row(tenant, "other"))]
    if met:
        rows.transact(change)
        assert len(rows.partition(f"{tenant}#x")) == 2
    else:
        with pytest.raises(ConflictError):
            rows.transact(change)
        assert rows.partition(f"{tenant}#x") == [a_row(tenant, rev=1)]


def test_an_expected_revision_of_a_row_that_is_gone_is_a_conflict(rows: Rows, tenant: TenantId) -> None:
    with pytest.raises(ConflictError):
        rows.transact([Put(a_row(tenant, rev=2), expected=1)])


def test_of_many_transactions_the_refused_are_named_and_the_others_written(rows: Rows, tenant: TenantId) -> None:
    rows.transact([Put(a_row(tenant, "3", rev=1))])
    assert rows.transact_each([[Put(a_row(tenant, str(n), rev=1), 0)] for n in range(6)]) == [3]
    assert len(rows.partition(f"{tenant}#x")) == 6


def test_hundreds_of_rows_and_a_partition_of_megabytes_are_read_completely(rows: Rows, tenant: TenantId) -> None:
    many = [a_row(tenant, f"{n:04}", body='"' + "x" * 8000 + '"') for n in range(250)]
    assert rows.transact_each([[Put(row) for row in many[at : at + 50]] for at in range(0, 250, 50)]) == []
    assert rows.partition(f"{tenant}#x") == many
    assert len(rows.get(row.key for row in many)) == 250


# --- persons ---------------------------------------------------------------------------------------------------------
def test_a_person_reads_as_applied(store: CustomerStore, tenant: TenantId, put: Put_) -> None:
    taro = a_person("1", "taro@example.com", last_name="見本", first_name="太郎", phone="090-0000-0001")
    events = [
        a_customer(1, taro),
        an_order("820982911946154508", 2, person=taro, refunds={"r1": 200}),
        a_cart("t1", 3, person=taro, cart="c1"),
        a_consent(True, 4, taro),
    ]
    customer_id = put(*events)
    state = store.person(tenant, customer_id)
    assert state is not None
    mine = [replace(event, tenant=tenant) for event in events]
    shop = SHOP.__class__(tenant, SHOP.name)
    assert comparable(state) == fold_all(mine, KEYS, shop)[customer_id]
    assert store.profile(tenant, customer_id) == state.profile
    assert [entry.granted for entry in store.consent_log(tenant, customer_id)] == [True]


def test_refs_and_former_ids_lead_to_the_person(store: CustomerStore, tenant: TenantId, put: Put_) -> None:
    first = put(a_cart("t1", 1, person=a_person(email="taro@example.com")))
    second = put(an_order("o1", 2, person=a_person("2", "taro@example.com")))
    third = put(a_merge("1", "2", 3))
    found = store.profile(tenant, first)
    assert found is not None
    assert found.customer_id == third
    assert found.aliases == {first, second} - {third}
    assert store.resolve_ref(tenant, address_ref(tenant, "taro@example.com", KEYS)) == third
    for customer in "12":
        assert store.resolve_ref(tenant, customer_ref("shopify", STORE, customer)) == third


def test_nobody_is_found_where_nobody_is_known(store: CustomerStore, tenant: TenantId) -> None:
    nobody = CustomerId("nobody")
    assert store.person(tenant, nobody) is None
    assert store.profile(tenant, nobody) is None
    assert store.resolve_ref(tenant, Ref("email:nobody")) is None
    assert store.consent_log(tenant, nobody) == ()


def test_whoever_shares_an_address_is_asked_about_until_so_many_do_that_it_is_nobodys(
    store: CustomerStore, tenant: TenantId, put: Put_
) -> None:
    address = "dummy@shop.example"
    ids = [put(an_order(f"o{n}", n, person=a_person(f"b{n}", address))) for n in range(SHARED_BY_MOST)]
    assert len(store.parts(tenant, ids[0])) == SHARED_BY_MOST
    _, *pair = next(store.to_ask_about(tenant))
    assert {each.customer_id for each in pair} <= set(ids)
    ids += [put(an_order(f"o{n}", n, person=a_person(f"b{n}", address))) for n in (20, 21)]
    assert all(len(store.parts(tenant, each)) == 1 for each in ids)
    assert next(store.to_ask_about(tenant), None) is None
    assert store.resolve_ref(tenant, address_ref(tenant, address, KEYS)) is None


def test_another_shop_sees_nobody(store: CustomerStore, tenant: TenantId, put: Put_) -> None:
    customer_id = put(an_order("o1", 1, person=a_person("1")))
    assert store.person(TenantId(f"{tenant}x"), customer_id) is None
    assert store.person(TenantId(tenant[:-1]), customer_id) is None


def test_an_erased_person_keeps_amounts_only(store: CustomerStore, tenant: TenantId, put: Put_) -> None:
    taro = a_person("1", "taro@example.com")
    customer_id = put(an_order("o1", 1, person=taro), a_consent(False, 2, taro), an_erasure(9, a_person("1")))
    state = store.person(tenant, customer_id)
    assert state is not None
    assert (state.profile.erased, state.profile.email, state.profile.summary.total_amount) == (True, None, 1200)
    assert state.consents[0].status is ConsentStatus.OPT_OUT
    assert store.resolve_ref(tenant, address_ref(tenant, "taro@example.com", KEYS)) is None


def test_a_history_loads_at_once_and_only_once(store: CustomerStore, tenant: TenantId) -> None:
    events = [
        replace(
            an_order(f"o{n}", n, person=a_person(str(n % 40 + 1)), event_id=f"e{n}", source="import"),
            tenant=tenant,
            historical=True,
        )
        for n in range(300)
    ]
    big = [replace(an_order(f"b{n}", n, person=a_person("big"), event_id=f"b{n}"), tenant=tenant) for n in range(150)]
    first = load([*events, *big], store, KEYS, SHOP)
    assert (first.people, first.unchanged) == (41, 0)
    again = load([*events, *big], store, KEYS, SHOP)
    assert (again.people, again.rows_written, again.unchanged) == (41, 0, 41)
    shop = SHOP.__class__(tenant, SHOP.name)
    for customer_id, expected in fold_all([*events, *big], KEYS, shop).items():
        state = store.person(tenant, customer_id)
        assert state is not None
        assert comparable(state) == expected


# --- what a night found ----------------------------------------------------------------------------------------------
SCORES = Scores(date(2026, 3, 1), Status.LOYAL, date(2026, 2, 1), LtvTier.HIGH, 6, 5, 4, "優良")


NIGHT = SCORES.as_of


def test_scores_are_written_when_they_differ_and_not_for_a_new_day_alone(
    store: CustomerStore, tenant: TenantId, put: Put_
) -> None:
    customer_id = put(an_order("o1", 1, person=a_person("1")))
    later = replace(SCORES, as_of=date(2026, 3, 2))
    found = [{customer_id: Findings(SCORES)}, {customer_id: Findings(later)}, {CustomerId("nobody"): Findings(SCORES)}]
    assert [store.write_findings(tenant, NIGHT, each) for each in found] == [1, 0, 0]
    profile = store.profile(tenant, customer_id)
    assert profile is not None
    assert profile.scores == SCORES
    assert [store.write_findings(tenant, NIGHT, {customer_id: Findings(None)}) for _ in range(2)] == [1, 0]
    no_buyer = store.profile(tenant, customer_id)
    assert no_buyer is not None
    assert no_buyer.scores is None


def test_scores_of_many_people_and_of_former_ids_are_written_together(
    store: CustomerStore, tenant: TenantId, put: Put_
) -> None:
    former = put(a_cart("t1", 1, person=a_person(email="taro@example.com")))
    current = put(an_order("x", 2, person=a_person("x", "taro@example.com")))
    ids = [put(an_order(f"o{n}", 1, person=a_person(str(n)))) for n in range(1, 120)]
    found = dict.fromkeys([*ids, former, CustomerId("nobody")], Findings(SCORES, ("vip",)))
    assert [store.write_findings(tenant, NIGHT, found) for _ in range(2)] == [120, 0]
    profile = store.profile(tenant, current)
    assert profile is not None
    assert profile.scores == SCORES


def test_scores_survive_the_next_order(store: CustomerStore, tenant: TenantId, put: Put_) -> None:
    customer_id = put(an_order("o1", 1, person=a_person("1")))
    store.write_findings(tenant, NIGHT, {customer_id: Findings(SCORES, ("vip",))}, {"vip"})
    put(an_order("o2", 2, person=a_person("1")))
    profile = store.profile(tenant, customer_id)
    assert profile is not None
    assert (profile.scores, profile.segments, profile.summary.order_count) == (SCORES, ("vip",), 2)


@pytest.fixture
def shown(store: CustomerStore, monkeypatch: pytest.MonkeyPatch) -> list[tuple[bool, tuple[str, ...]]]:
    """The profile's rows as a stream shows them: historical, segments."""
    seen: list[tuple[bool, tuple[str, ...]]] = []
    transact_each = store.rows.transact_each

    def watched(transactions: Sequence[Sequence[Put]]) -> list[int]:
        for put in (put for puts in transactions for put in puts):
            row = read_row(encode_item(put.row))
            assert row is not None
            assert row.profile is not None
            seen.append((row.historical, row.profile.segments))
        return transact_each(transactions)

    monkeypatch.setattr(store.rows, "transact_each", watched)
    return seen


def test_only_what_was_looked_for_before_is_entered_or_left(
    store: CustomerStore, tenant: TenantId, put: Put_, shown: list[tuple[bool, tuple[str, ...]]]
) -> None:
    customer_id = put(an_order("o1", 1, person=a_person("1")))

    def night(on: int, segments: tuple[str, ...] | None, comparable: set[str]) -> list[tuple[bool, tuple[str, ...]]]:
        shown.clear()
        store.write_findings(tenant, date(2026, 3, on), {customer_id: Findings(SCORES, segments)}, comparable)
        return [*shown]

    assert night(1, ("new", "vip"), {"new"}) == [(True, ("vip",)), (False, ("new", "vip"))]
    assert night(2, ("new", "vip"), {"new", "vip"}) == []
    assert night(3, None, set()) == []
    assert night(4, ("vip",), {"new", "vip"}) == [(False, ("vip",))]
    assert night(5, (), {"new"}) == [(True, ())]  # nobody looks for "vip" any more
    profile = store.profile(tenant, customer_id)
    assert profile is not None
    assert (profile.segments, profile.segments_on) == ((), date(2026, 3, 5))


def test_an_imported_person_has_entered_nothing(
    store: CustomerStore, tenant: TenantId, put: Put_, shown: list[tuple[bool, tuple[str, ...]]]
) -> None:
    customer_id = put(an_order("o1", 1, person=a_person("1"), historical=True))
    for segments in (("vip",), ("new", "vip")):
        store.write_findings(tenant, NIGHT, {customer_id: Findings(SCORES, segments)}, {"new", "vip"})
    assert shown == [(True, ("vip",)), (False, ("vip",)), (False, ("new", "vip"))]


# --- suppression and commands ----------------------------------------------------------------------------------------
def test_a_suppressed_address_stays_so_for_its_channel_only(store: CustomerStore, tenant: TenantId, put: Put_) -> None:
    ref = address_ref(tenant, "taro@example.com", KEYS)
    customer_id = put(a_customer(1, a_person("1", "taro@example.com")))
    assert store.is_suppressed(tenant, "email", ref) is None
    assert store.suppress(tenant, "email", ref, Suppressed.BOUNCED, minute(1))
    assert not store.suppress(tenant, "email", ref, Suppressed.BOUNCED, minute(2))
    assert store.is_suppressed(tenant, "email", ref) is Suppressed.BOUNCED
    assert store.is_suppressed(tenant, "sms", ref) is None
    state = store.person(tenant, customer_id)
    assert state is not None
    assert state.suppressed == {"email"}


def test_a_pause_ends_by_itself(store: CustomerStore, tenant: TenantId, clock: FixedClock) -> None:
    ref = address_ref(tenant, "taro@example.com", KEYS)
    for n in range(3):
        store.add_suppression(tenant, "email", ref, Suppression(soft_bounces={f"b{n}": minute(n)}))
    assert store.is_suppressed(tenant, "email", ref) is Suppressed.PAUSED
    clock.at = START + timedelta(days=31)
    assert store.is_suppressed(tenant, "email", ref) is None


def test_commands_wait_once_each(store: CustomerStore, tenant: TenantId) -> None:
    assert store.queue_command(tenant, "erase_shop", "e1", {"store": STORE})
    assert not store.queue_command(tenant, "erase_shop", "e1", {"store": STORE})
    assert store.commands(tenant) == [{"command": "erase_shop#e1", "store": STORE}]


# --- the fold over the real table ------------------------------------------------------------------------------------
@pytest.fixture(scope="module")
def dynamo(cloud: boto3.Session, table: str) -> CustomerStore:
    return CustomerStore(table, cloud.client("dynamodb"))


@settings(max_examples=12, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(deliveries(most=8))
def test_the_table_ends_in_the_state_of_the_set(dynamo: CustomerStore, story: tuple[list[Event], list[Event]]) -> None:
    tenant = TenantId(f"shop{next(_NUMBERS)}")
    shop = SHOP.__class__(tenant, SHOP.name)
    events, arriving = ([replace(event, tenant=tenant) for event in some] for some in story)
    for event in arriving:
        apply(event, dynamo, KEYS, shop)
    for customer_id, expected in fold_all(events, KEYS, shop).items():
        state: PersonState | None = dynamo.person(tenant, customer_id)
        assert state is not None
        assert comparable(state) == expected
    assert load(events, dynamo, KEYS, shop).rows_written == 0


def test_workers_side_by_side_on_the_same_people_converge(dynamo: CustomerStore) -> None:
    tenant = TenantId(f"shop{next(_NUMBERS)}")
    shop = SHOP.__class__(tenant, SHOP.name)
    events = [
        replace(
            an_order(f"o{n}", n % 20, person=a_person(str(n % 3 + 1), f"{'abc'[n % 2]}@example.com"), event_id=f"e{n}"),
            tenant=tenant,
        )
        for n in range(24)
    ]
    with ThreadPoolExecutor(4) as pool:
        list(pool.map(lambda event: apply(event, dynamo, KEYS, shop), events))
    ((customer_id, expected),) = fold_all(events, KEYS, shop).items()
    state = dynamo.person(tenant, customer_id)
    assert state is not None
    assert comparable(state) == expected


# --- errors and the stream -------------------------------------------------------------------------------------------
def test_a_table_that_does_not_exist_is_a_matter_of_settings(cloud: boto3.Session) -> None:
    rows = DynamoRows("no-such-table", cloud.client("dynamodb"))
    for attempt in (lambda: rows.partition("x"), lambda: rows.transact([Put(a_row(TENANT))])):
        with pytest.raises(MisconfiguredError):
            attempt()


def test_a_table_that_does_not_answer_is_unavailable() -> None:
    client = boto3.client(
        "dynamodb",
        endpoint_url="http://127.0.0.1:9",
        region_name="ap-northeast-1",
        aws_access_key_id="test",
        aws_secret_access_key="test",
        config=Config(retries={"total_max_attempts": 1}, connect_timeout=1),
    )
    with pytest.raises(UnavailableError):
        DynamoRows("customers", client).partition("x")


def test_stream_images_read_as_what_was_applied(dynamo: CustomerStore, cloud: boto3.Session, table: str) -> None:
    tenant = TenantId(f"shop{next(_NUMBERS)}")
    taro = a_person("1", "taro@example.com")
    events = [
        a_cart("t1", 1, person=a_person(email="taro@example.com")),
        an_order("o1", 2, person=taro),
        a_consent(True, 3, taro),
    ]
    ids = [apply(replace(e, tenant=tenant), dynamo, KEYS, SHOP).customer_id for e in events]
    client: Any = cloud.client("dynamodb")
    items = [
        item
        for customer_id in dict.fromkeys(ids)
        for item in client.query(
            TableName=table,
            KeyConditionExpression="pk = :pk",
            ExpressionAttributeValues={":pk": {"S": f"{tenant}#{customer_id}"}},
        )["Items"]
    ]
    found = [row for item in items if (row := read_row(item))]
    assert {row.kind for row in found} == {"profile", "order", "cart", "consent", "consentlog"}
    assert {row.customer_id for row in found if row.kind != "profile"} == {ids[-1]}
    assert [(row.customer_id, row.merged_into) for row in found if row.merged_into] == [(ids[0], ids[-1])]
    assert [len(row.profile.refs) for row in found if row.profile] == [2]


@settings(max_examples=8, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(story=deliveries(most=8))
def test_a_batch_is_its_events_one_by_one(store: CustomerStore, story: tuple[list[Event], list[Event]]) -> None:
    events, arriving = story
    tenant = TenantId(f"batch{next(_NUMBERS)}")
    mine, shop = [replace(event, tenant=tenant) for event in arriving], replace(SHOP, tenant=tenant)
    rows = BatchRows(store.rows)
    rows.prefetch(mine, KEYS)
    for event in mine:
        apply(event, store.over(rows), KEYS, shop)
    rows.flush()
    expected = fold_all([replace(event, tenant=tenant) for event in events], KEYS, shop)
    for customer_id, state in expected.items():
        found = store.person(tenant, customer_id)
        assert found is not None
        assert comparable(found) == comparable(state)
