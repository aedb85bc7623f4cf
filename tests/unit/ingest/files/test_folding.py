"""What files do to the people of a shop: members are matched, and no file takes back what a customer said."""

from __future__ import annotations

from datetime import UTC, datetime
from random import Random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.ids import EventId, TenantId
from shared.core.keys import derive_key_ring
from shared.core.shop import Shop
from shared.customers.model import ConsentStatus, PersonState
from shared.customers.reference import fold_all
from shared.ingest.model import ConsentFacts, Event, EventType, Person
from tests.unit.ingest.files.reader import read

KEYS = derive_key_ring("a master key of the tests")
SHOP = Shop(TenantId("sample"), "見本商店")


def only(events: list[Event]) -> PersonState:
    (person,) = fold_all(events, KEYS, SHOP).values()
    return person


def opted_out(at: datetime) -> Event:
    return Event(
        tenant=TenantId("sample"),
        event_id=EventId("said-it-themselves"),
        event_type=EventType.CONSENT_CHANGED,
        source="import",
        store="history",
        subject="import/history/customer/7",
        occurred_at=at,
        received_at=at,
        version="1",
        person=Person(source_customer_id="7", email="a@example.jp"),
        facts=ConsentFacts(channel="email", granted=False, method="one_click"),
    )


@settings(max_examples=60, deadline=None)
@given(st.lists(st.tuples(st.integers(1, 28), st.booleans()), min_size=1, max_size=6), st.integers(1, 28), st.randoms())
def test_no_file_takes_back_an_opt_out_whatever_its_dates_and_in_any_order(
    rows: list[tuple[int, bool]], day: int, random: Random
) -> None:
    text = "会員ID,メールアドレス,許諾,根拠,日付\n" + "".join(
        f"7,a@example.jp,{'希望する' if granted else '拒否'},同意,2026-03-{on:02d}\n" for on, granted in rows
    )
    events = [*read("consents", text).events, opted_out(datetime(2026, 3, day, tzinfo=UTC))]
    random.shuffle(events)
    (consent,) = only(events).consents
    assert consent.status is ConsentStatus.OPT_OUT


def test_a_file_may_give_permission_where_nobody_refused() -> None:
    events = list(read("consents", "会員ID,メールアドレス,許諾,根拠,日付\n7,a@example.jp,1,同意,2026-03-01\n").events)
    (consent,) = only(events).consents
    assert consent.status is ConsentStatus.OPT_IN
    assert consent.method.startswith("import:")


@pytest.mark.parametrize("who", ["7,", ",a@example.jp"])
def test_a_sale_of_a_shop_is_the_members_who_also_buys_online(who: str) -> None:
    online = "受注番号,会員ID,メールアドレス,受注日,金額\nA,7,a@example.jp,2026-01-05,100\n"
    offline = f"伝票番号,店舗名,会員ID,メールアドレス,日時,金額\nR,渋谷店,{who},2026-02-05,50\n"
    person = only([*read("orders", online).events, *read("offline_orders", offline).events])
    assert person.profile.summary.total_amount == 150
    assert {order.order_id for order in person.orders} == {"A", "pos/渋谷店/R"}
