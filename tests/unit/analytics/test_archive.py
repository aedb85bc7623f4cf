"""Streams into Parquet: nothing lost, nothing twice, nobody named."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import replace
from datetime import date
from typing import Any

import pytest

from shared.analytics.archive import Archived, archive_events, archive_history, archive_states
from shared.analytics.lake import MemoryObjects
from shared.analytics.parquet import decode, to_arrow
from shared.analytics.person_rows import Written, attribute_rows, link_rows, order_rows, subscription_rows
from shared.analytics.rows import changed_on, event_row
from shared.analytics.schema import EVENTS, ORDER_STATES, SUBSCRIPTION_STATES, partition_path
from shared.core.ids import ConnectionId, CustomerId, EventId, Ref
from shared.customers import fold, identity
from shared.customers.load import load
from shared.customers.model import Attribute, AttributeValue, Subscription
from shared.ingest.model import (
    CartFacts,
    ConsentFacts,
    Envelope,
    Event,
    EventType,
    Line,
    MergeFacts,
    MessageFacts,
    PageFacts,
    Person,
    PersonLinkFacts,
    ProductFacts,
    ProfileFacts,
    SubscriptionState,
    TrackedFacts,
)
from shared.ingest.oversize import MemoryOversize
from shared.ingest.store import MemoryEventStore
from tests.unit.analytics.world import (
    KEYS,
    SHOP,
    TENANT,
    World,
    an_order,
    customer_of,
    decide,
    noon,
    passes_filter,
    stored_id,
)

PERSONAL = (
    "taro@example.com",
    "090-1234-5678",
    "山田",
    "太郎",
    "secret-recovery",
    "checkout.example.com",
    "1980-04-17",
)


def personal_events() -> Iterator[Event]:
    """Every kind of event, full of what must not reach the lake."""
    person = Person(source_customer_id="77", email=PERSONAL[0], phone=PERSONAL[1], last_name="山田", first_name="太郎")
    base = replace(an_order("77", "1", "2026-03-01"), person=person)
    yield base
    link = f"https://{PERSONAL[5]}/{PERSONAL[4]}?mail={PERSONAL[0]}"
    line = Line(product_id="p", title="お茶", quantity=1, unit_amount=500)
    facts: list[tuple[EventType, Any]] = [
        (EventType.CHECKOUT_UPDATED, CartFacts(token="t1", recovery_url=link, lines=(line,), total=500)),
        (EventType.CONSENT_CHANGED, ConsentFacts(channel="email", granted=True, method="page")),
        (
            EventType.MESSAGE_CLICKED,
            MessageFacts(send_id="s", customer_id="c" * 26, channel="email", message_id="m", link=link),
        ),
        (
            EventType.PAGE_VIEWED,
            PageFacts(url=f"https://shop.example.com/account/{PERSONAL[0]}", page_type="account", campaign=PERSONAL[0]),
        ),
        (EventType.TRACKED, TrackedFacts(name="Quiz", properties={"phone": PERSONAL[1], "mail": PERSONAL[0], "n": 3})),
        (EventType.PRODUCT_UPDATED, ProductFacts(product_id="p", title="お茶", price=500)),
        (
            EventType.CUSTOMER_UPDATED,
            ProfileFacts(attributes={"birth_on": PERSONAL[6], "custom/memo": "山田太郎", "gender": "male"}),
        ),
        (
            EventType.PERSONS_LINKED,
            PersonLinkFacts(other_customer_id="d" * 26, joined=True, actor=PERSONAL[0]),
        ),
    ]
    for number, (kind, fact) in enumerate(facts):
        yield replace(base, event_id=EventId(f"e{number}"), event_type=kind, facts=fact)


def test_nothing_personal_reaches_the_lake() -> None:
    world = World()
    events = list(personal_events())
    order = next(iter(identity.record_of(events[0], (), KEYS).orders.values()))
    order = replace(order, lines=(Line(product_id="p", title="お茶", quantity=1, unit_amount=500),))
    written = Written(CustomerId("c" * 26), SHOP, noon(date(2026, 3, 2)))
    told: dict[str, AttributeValue] = {
        "birth_on": PERSONAL[6],
        "custom/memo": "山田太郎",
        "custom/points": 12,
        "prefecture": "東京都",
    }
    attributes = {name: Attribute(value, written.at, "e") for name, value in told.items()}
    states = [*order_rows(order, written), *attribute_rows({}, attributes, written)]
    keys = archive_history(
        TENANT, "import-1", [(event, identity.refs_of(event, KEYS)) for event in events], states, world.lake, SHOP
    )
    tables = {key.partition("/")[0] for key in keys}
    assert tables == {"events", "messages", "page_views", "products", "order_states", "order_lines", "attribute_states"}
    text = json.dumps([decode(world.lake.get(key)).to_pylist() for key in keys], default=str, ensure_ascii=False)
    assert "お茶" in text
    assert "1980-04" in text
    assert "東京都" in text
    for secret in PERSONAL:
        assert secret not in text
        assert all(secret.encode() not in world.lake.get(key) for key in keys)


def test_a_day_is_the_shops_day() -> None:
    late = replace(an_order("a", "1", "2026-03-31"), occurred_at=noon(date(2026, 3, 31)).replace(hour=16))
    assert event_row(late, (), SHOP)["occurred_on"] == date(2026, 4, 1)


def test_our_own_pages_name_the_person_by_our_id() -> None:
    facts = ConsentFacts(channel="email", granted=False, method="one_click")
    own = replace(an_order("c" * 26, "1", "2026-03-01"), source="page", facts=facts)
    assert event_row(own, (), SHOP)["refs"] == [f"person:{'c' * 26}"]


def test_a_retried_batch_replaces_its_own_object() -> None:
    world = World()
    fold.apply(an_order("a", "1", "2026-03-01"), world.customers, KEYS, SHOP)
    records = [record for record in world.rows.records if passes_filter(record)]
    for _ in range(3):
        archive_states(records, world.lake, lambda _: SHOP, world.customers)
    assert sorted(key.partition("/")[0] for key in world.lake.bodies) == ["order_states", "person_links"]


def test_a_late_order_lands_in_the_month_it_belongs_to() -> None:
    world = World()
    world.hear(an_order("a", "1", "2026-03-01"), an_order("a", "2", "2025-12-31"))
    orders = [key for key in world.lake.bodies if key.startswith("order_")]
    assert {key.rpartition("/")[0] + "/" for key in orders} == {
        partition_path(ORDER_STATES, TENANT, month) for month in ("2026-03", "2025-12")
    }


def test_a_record_that_cannot_be_read_holds_back_none_behind_it() -> None:
    rows = MemoryEventStore(MemoryOversize())
    for number in range(3):
        rows.put_once(an_envelope(number))
    records: list[dict[str, Any]] = [
        {"dynamodb": {"NewImage": image, "SequenceNumber": str(number)}}
        for number, image in enumerate(rows.rows.values())
    ]
    records[1]["dynamodb"]["NewImage"] = {"pk": {"S": "default#broken"}, "sk": {"S": "broken"}}
    lake = MemoryObjects()
    archived = archive_events(records, lake, KEYS, lambda _: SHOP, MemoryOversize())
    assert archived.failed == {"1": "RejectedError"}
    assert archived.response() == {"batchItemFailures": [{"itemIdentifier": "1"}]}
    assert sorted(row["event_id"] for body in lake.bodies.values() for row in decode(body).to_pylist()) == ["e0", "e2"]


def an_envelope(number: int) -> Envelope:
    """A delivery nobody reads anything into yet."""
    return Envelope(
        tenant=TENANT,
        subject=f"shopify/a.example.com/thing/{number}",
        event_id=EventId(f"e{number}"),
        source="shopify",
        connection=ConnectionId("c"),
        store="a.example.com",
        topic="themes/update",
        occurred_at=noon(date(2026, 3, 1)),
        received_at=noon(date(2026, 3, 1)),
        raw=b"{}",
    )


def test_a_partial_answer_names_every_record_that_failed() -> None:
    answer = Archived(4, {"123": "RejectedError", "125": "RejectedError"}).response()
    assert answer == {"batchItemFailures": [{"itemIdentifier": "123"}, {"itemIdentifier": "125"}]}
    assert Archived(4).response() == {"batchItemFailures": []}


def states(world: World) -> list[dict[str, Any]]:
    """Every order state in the lake, oldest first."""
    rows = [row for key in world.lake.bodies if key.startswith("order_states/") for row in _rows(world, key)]
    return sorted(rows, key=lambda row: (row["written_at"], row["sequence"]))


def _rows(world: World, key: str) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = decode(world.lake.get(key)).to_pylist()
    return found


def test_a_merge_takes_orders_from_one_person_and_gives_them_to_the_other() -> None:
    world = World()
    world.hear(
        an_order("a", "1", "2026-03-01", email="a@example.com"), an_order("b", "2", "2026-03-02", email="b@example.com")
    )
    one, other = customer_of(world, "a"), customer_of(world, "b")
    world.hear(a_merge("a", "b", "2026-03-03"), an_order("a", "3", "2026-03-03"))
    survivor = customer_of(world, "a")
    assert survivor == customer_of(world, "b")
    now = {(row["customer_id"], row["order_id"]): row["removed"] for row in states(world)}
    gone = other if survivor == one else one
    assert {key for key, removed in now.items() if removed} == {(gone, "1" if gone == one else "2")}
    assert {order for (owner, order), removed in now.items() if owner == survivor and not removed} == {"1", "2", "3"}


def test_imported_orders_that_move_are_archived_for_their_new_owner() -> None:
    world = World()
    imported = [
        replace(an_order("a", "1", "2026-03-01", email="a@example.com"), historical=True),
        replace(an_order("b", "2", "2026-03-02", email="b@example.com"), historical=True),
    ]
    load(imported, world.customers, KEYS, SHOP)
    world.archive()
    assert states(world) == []  # the import writes its own rows
    world.hear(a_merge("a", "b", "2026-03-03"), an_order("a", "3", "2026-03-03"))
    survivor = customer_of(world, "a")
    moved = [row["order_id"] for row in states(world) if row["customer_id"] == survivor and not row["removed"]]
    assert "3" in moved
    assert len(set(moved)) == 2


def test_imported_orders_that_move_stay_with_whom_they_are_kept() -> None:
    """Where they move to somebody who is read as a third: taken back, that is exactly what it was."""
    world = World()
    imported = [
        replace(an_order(name, name, "2026-03-01", email=f"{name}@example.com"), historical=True) for name in "abc"
    ]
    load(imported, world.customers, KEYS, SHOP)
    ids = {name: stored_id(world, name) for name in "abc"}
    first, second, last = by_strength("abc")
    decide(world, first, second, "2026-03-02", joined=True)
    world.hear(a_merge(second, last, "2026-03-03"))
    kept = {row["customer_id"] for row in states(world) if row["order_id"] == last and not row["removed"]}
    assert kept == {ids[second]}


def a_merge(kept: str, deleted: str, on: str) -> Event:
    """The store says that two of its customers are one."""
    facts = MergeFacts(kept_customer_id=kept, deleted_customer_id=deleted)
    return replace(an_order(kept, "merge", on), event_type=EventType.CUSTOMERS_MERGED, facts=facts)


def by_strength(customers: str) -> list[str]:
    """In the order in which their keys name whoever they are together."""
    return sorted(customers, key=lambda name: identity.customer_ref("shopify", "a.myshopify.com", name))


def read_as(world: World) -> dict[str, str]:
    """Who is read as somebody else, by the newest row of each id."""
    rows = [row for key in world.lake.bodies if key.startswith("person_ids/") for row in _rows(world, key)]
    newest = {
        row["stored_id"]: row["customer_id"] for row in sorted(rows, key=lambda r: (r["written_at"], r["sequence"]))
    }
    return {stored: read for stored, read in newest.items() if stored != read}


def test_the_lake_knows_as_whom_an_id_is_read_and_that_it_was_taken_back() -> None:
    world = World()
    world.hear(*(an_order(name, name, "2026-03-01", email=f"{name}@example.com") for name in "abcd"))
    assert read_as(world) == {}
    a, b, c = (stored_id(world, name) for name in by_strength("abc"))
    first, second, third = by_strength("abc")
    decide(world, first, second, "2026-03-02", joined=True)
    decide(world, second, third, "2026-03-03", joined=True)
    assert read_as(world) == {b: a, c: a}
    decide(world, second, third, "2026-03-04", joined=False)
    assert read_as(world) == {b: a}
    decide(world, first, second, "2026-03-05", joined=False)
    assert read_as(world) == {}


def test_who_becomes_another_in_the_store_itself_is_read_as_nobody_else() -> None:
    """Their rows are the other's then: what the lake says of those they left must not stand beside them."""
    world = World()
    world.hear(*(an_order(name, name, "2026-03-01", email=f"{name}@example.com") for name in "abc"))
    ids = {name: stored_id(world, name) for name in "abc"}
    first, second, last = by_strength("abc")
    decide(world, first, last, "2026-03-02", joined=True)
    assert read_as(world) == {ids[last]: ids[first]}
    world.hear(a_merge(last, second, "2026-03-03"))
    assert read_as(world) == {ids[second]: ids[first]}


def test_an_order_of_nobody_known_is_read_with_whom_their_browser_leads_to() -> None:
    world = World()
    cookie = ("visitor/v",)
    known = an_order("a", "1", "2026-03-02")
    nobody = replace(an_order("", "2", "2026-03-01"), person=Person(anonymous_ids=cookie))
    world.hear(nobody)
    assert read_as(world) == {}
    world.hear(replace(known, person=replace(known.person, anonymous_ids=cookie)))
    (owners,) = [{row["customer_id"] for row in states(world) if row["order_id"] == "2"}]
    assert read_as(world) == dict.fromkeys(owners, customer_of(world, "a"))


def named(world: World) -> dict[str, str]:
    """Whom each ref names, by the newest row."""
    found = [
        row
        for key in world.lake.bodies
        if key.startswith("person_links/")
        for row in decode(world.lake.get(key)).to_pylist()
    ]
    rows = sorted(found, key=lambda row: (row["written_at"], row["sequence"]))
    return {row["ref"]: row["customer_id"] for row in rows if not row["removed"]}


def test_what_people_decide_about_two_persons_reaches_the_links_and_goes_again() -> None:
    world = World()
    world.hear(
        an_order("a", "1", "2026-03-01", email="a@example.com"), an_order("b", "2", "2026-03-02", email="b@example.com")
    )
    one, other = customer_of(world, "a"), customer_of(world, "b")
    apart = named(world)
    assert set(apart.values()) == {one, other}
    for day, joined in ((4, True), (5, False)):
        decide(world, "a", "b", f"2026-03-0{day}", joined=joined)
        assert len(set(named(world).values())) == (1 if joined else 2)
    assert named(world) == apart


def test_events_are_kept_with_their_refs() -> None:
    event = an_order("a", "1", "2026-03-01")
    row = event_row(event, identity.refs_of(event, KEYS), SHOP)
    assert row["refs"] == list(identity.refs_of(event, KEYS))
    assert row["subject"] != event.subject
    assert set(row) == {column.name for column in EVENTS.columns}


def test_lines_that_left_an_order_are_removed() -> None:
    world = World()
    tea, cup = (Line(product_id=name, title=name, quantity=2, unit_amount=300) for name in ("tea", "cup"))
    world.hear(an_order("a", "1", "2026-03-01", lines=(tea, cup)))
    world.hear(an_order("a", "1", "2026-03-01", version="2026-03-02T00:00:00Z", lines=(tea,)))
    found = [row for key in world.lake.bodies if key.startswith("order_lines/") for row in _rows(world, key)]
    said = sorted((row["sequence"], row["line_no"], row["product_id"], row["removed"]) for row in found)
    assert [entry[1:] for entry in said] == [
        (1, "tea", False),
        (2, "cup", False),
        (1, "tea", False),
        (2, None, True),
    ]
    assert {row["amount"] for row in found if not row["removed"]} == {600}


def test_only_what_changed_about_a_person_is_said_and_what_is_gone_is_removed() -> None:
    written = Written(CustomerId("c"), SHOP, noon(date(2026, 3, 2)))
    at = noon(date(2026, 3, 1))
    old = {"gender": Attribute("female", at, "1"), "tags/vip": Attribute(True, at, "2")}
    new = {"gender": Attribute("female", at, "1"), "survey/s/q": Attribute(("a", "b"), at, "3")}
    rows = {row["name"]: row for _, row in attribute_rows(old, new, written)}
    assert rows.keys() == {"tags/vip", "survey/s/q"}
    assert rows["tags/vip"]["removed"]
    assert rows["survey/s/q"]["choices"] == ["a", "b"]
    links = [row for _, row in link_rows(frozenset({Ref("email:a")}), frozenset({Ref("email:b")}), written)]
    assert [(row["ref"], row["removed"]) for row in links] == [("email:a", True), ("email:b", False)]


def test_a_contract_is_kept_in_each_state_it_was_in() -> None:
    tea = Line(product_id="tea", title="お茶", quantity=1, unit_amount=300)
    contract = Subscription(
        source="shopify", store="a", subscription_id="1", state=SubscriptionState.CANCELLED, lines=(tea,),
        started_at=noon(date(2026, 1, 5)), interval_unit="month", interval_count=1, version="2026-03-01T20:00:00Z",
        cancelled_at=noon(date(2026, 3, 1)),
    )  # fmt: skip
    ((table, row),) = subscription_rows(contract, Written(CustomerId("c"), SHOP, noon(date(2026, 3, 2))))
    assert table is SUBSCRIPTION_STATES
    assert (row["state"], row["product_id"], row["interval_days"]) == ("cancelled", "tea", 30)
    assert (row["started_on"], row["cancelled_on"], row["changed_on"]) == (
        date(2026, 1, 5), date(2026, 3, 1), date(2026, 3, 2),
    )  # fmt: skip
    assert to_arrow(table, [row]).num_rows == 1


@pytest.mark.parametrize(
    ("version", "day"),
    [
        ("2026-03-01T20:00:00.000000Z", date(2026, 3, 2)),
        ("2026-03-01T20:00:00.000000Z/2026-03-04T00:00:00.000000Z", date(2026, 3, 2)),
        ("order/000000000007", None),
        ("0", None),
    ],
)
def test_a_state_holds_from_the_day_of_its_version_also_where_that_breaks_ties(version: str, day: date | None) -> None:
    """WooCommerce's cancellations would else count from the day of the order."""
    assert changed_on(version, SHOP) == day
