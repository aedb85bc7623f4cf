"""`matakite customer show` tells of each saved segment what the last night found, and what holds now."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, cast

from infra.cli.customer import Desk, everything
from infra.cli.session import Deployment
from shared.admin.explain import Voice
from shared.analytics.segments.store import MemorySegmentStore, Saved, stamp
from shared.customers.fold import apply
from shared.customers.store import MemoryCustomerStore
from shared.delivery.store import DynamoLedgerStore, MemoryLedgerStore
from tests.unit.customers.test_parting import of
from tests.unit.customers.world import KEYS, SHOP, TENANT, a_merge, a_person, an_order, minute

NOW = minute(30)


def a_desk(definitions: dict[str, Any]) -> Desk:
    """A shop whose one person ordered under two numbers, and its saved segments: name and members."""
    customers, segments = MemoryCustomerStore(), MemorySegmentStore()
    for event in (
        an_order("o1", 1, person=a_person("1")),
        an_order("o2", 2, person=a_person("2")),
        a_merge("1", "2", 3),
    ):
        apply(event, customers, KEYS, SHOP)
    for name, members in definitions.items():
        document = {"name": name, "members": members}
        segments.save(TENANT, Saved(name, "1", f"題 {name}", document, "", (), stamp(NOW)), None)
    ledger = cast(DynamoLedgerStore, MemoryLedgerStore())
    return Desk(cast(Deployment, None), SHOP, customers, ledger, segments)


def told(desk: Desk, *at_night: str, language: str = "ja") -> tuple[str, dict[str, tuple[str, ...]]] | None:
    """What is over the segments, and segment → the rest of its row; None: the card says nothing of segments."""
    person = desk.customers.person(TENANT, of("1"))
    assert person is not None
    person = replace(person, profile=replace(person.profile, segments=at_night))
    sections = everything(desk, person.profile.customer_id, person, Voice(language), NOW)
    found = [each for each in sections if each.title.startswith(("セグメント", "Segments"))]
    return (found[0].title, {row[0]: row[1:] for row in found[0].rows}) if found else None


def test_each_saved_segment_is_told_as_the_night_found_it_and_as_it_holds_now() -> None:
    desk = a_desk(
        {
            "entered": {"orders": {"count": {"at_least": 2}}},  # only both numbers together have two
            "left": {"orders": {"count": 1}},
            "stayed": {"last_order": {"days_ago": {"at_most": 1}}},
            "never": {"orders": {"count": {"at_least": 9}}},
            "nightly": {"p_alive": {"at_least": 0.5}},
            "nightly_too": {"p_alive": {"less_than": 0.5}},
            "decided": {"all": [{"p_alive": {"at_least": 0.5}}, {"orders": {"count": 1}}]},
            "unreadable": {"a_word_of_another_version": 1},
        }
    )
    assert told(desk, "left", "nightly", "stayed") == (
        "セグメント（ほか夜間集計のみ 1 件）",
        {
            "entered": ("題 entered", "–", "該当（次の夜間集計で入る見込み）"),
            "left": ("題 left", "該当", "–（次の夜間集計で外れる見込み）"),
            "nightly": ("題 nightly", "該当", "夜間集計のみ"),
            "stayed": ("題 stayed", "該当", "該当"),
            "unreadable": ("題 unreadable", "–", "定義を読めません（理由は matakite segment show unreadable）"),
        },
    )
    english = told(desk, language="en")
    assert english is not None
    assert english[0] == "Segments (2 more that only the night can tell)"
    assert english[1]["entered"][1:] == ("–", "in (expected to enter next night)")


def test_a_shop_without_saved_segments_reads_nothing_more() -> None:
    assert told(a_desk({}), "removed_today") is None
