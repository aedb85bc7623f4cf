"""Entering and leaving a segment lets people in: by what the night writes into the live state, told by the stream."""

from __future__ import annotations

from collections.abc import Collection
from datetime import date, timedelta

import pytest

from shared.core.clock import FixedClock
from shared.core.ids import EventId
from shared.core.keys import derive_key_ring
from shared.customers.fold import apply
from shared.customers.model import Findings
from shared.customers.store import MemoryCustomerStore
from shared.ingest.model import Event, EventType, Person, ProfileFacts
from shared.scenarios.enrolment import EnrolmentState
from shared.scenarios.examples import SHOP
from shared.scenarios.model import LiveStatus
from shared.scenarios.read import read_text
from shared.scenarios.replay import ToldRows
from shared.scenarios.store import MemoryEnrolmentStore
from shared.scenarios.trigger import TriggerDeps, dump_rules, entry_rules, follow_change, load_rules
from tests.unit.scenarios.test_words import AN_EXAMPLE, SEND, play, scenario_of
from tests.unit.scenarios.world import MORNING, STORE, jst

TEXTS = {
    kind: scenario_of(f"{{event: segment_{kind}, segment: [vip, regulars], after: 8h}}", f"  - {SEND}", AN_EXAMPLE)
    for kind in ("entered", "left")
}
SCENARIOS = [
    read_text(text).model_copy(update={"id": f"who_{kind}", "status": LiveStatus.LIVE}) for kind, text in TEXTS.items()
]


class Nights:
    """A shop with one person, night after night."""

    def __init__(self, *, imported: bool = False) -> None:
        self.rows, self.enrolments = ToldRows(), MemoryEnrolmentStore()
        self.customers = MemoryCustomerStore(FixedClock(MORNING))
        self.customers.rows = self.rows
        person = Person(source_customer_id="1", email="hanako@example.com")
        event = Event(
            event_id=EventId("e1"),
            subject="shopify/customer/1",
            version="1",
            event_type=EventType.CUSTOMER_UPDATED,
            tenant=SHOP.tenant,
            source="shopify",
            store=STORE,
            occurred_at=MORNING - timedelta(days=9),
            received_at=MORNING - timedelta(days=9),
            person=person,
            facts=ProfileFacts(),
            historical=imported,
        )
        applied = apply(event, self.customers, derive_key_ring("tests only"), SHOP)
        assert applied.customer_id
        self.customer = applied.customer_id
        self.rules = load_rules(dump_rules(entry_rules(SCENARIOS)))
        self.follow()

    def follow(self) -> None:
        for change in self.rows.changes():
            for _ in range(2):
                follow_change(change, TriggerDeps(self.rules, self.enrolments), self.now)

    now = jst("2026-03-02 03:00")

    def night(self, on: str, *segments: str, comparable: Collection[str] = ("vip", "regulars", "others")) -> None:
        self.now = jst(f"{on} 03:00") + timedelta(days=1)
        found = {self.customer: Findings(None, tuple(sorted(segments)))}
        self.customers.write_findings(SHOP.tenant, date.fromisoformat(on), found, comparable)
        self.follow()

    def armed(self) -> list[tuple[str, str, str]]:
        """Scenario, segment, when (shop time)."""
        found = self.enrolments.of_customer(SHOP.tenant, self.customer)
        assert all(each.state is EnrolmentState.ARMED and each.due_at for each in found)
        return [(e.scenario, e.instance.key, f"{e.due_at + timedelta(hours=9):%m-%d %H:%M}") for e in found if e.due_at]


def test_entering_and_leaving_make_due_on_the_morning_after_the_night_that_found_it() -> None:
    shop = Nights()
    shop.night("2026-03-01")
    shop.night("2026-03-02", "vip")
    shop.night("2026-03-03", "vip", "others")
    shop.night("2026-03-04", "others")
    assert shop.armed() == [("who_entered", "vip", "03-03 08:00"), ("who_left", "vip", "03-05 08:00")]


def test_the_first_segment_of_a_person_is_entered_like_any_other() -> None:
    shop = Nights()
    shop.night("2026-03-02", "regulars")
    assert shop.armed() == [("who_entered", "regulars", "03-03 08:00")]


@pytest.mark.parametrize("comparable", [(), ("others",)])
def test_nobody_enters_a_segment_because_it_was_saved(comparable: tuple[str, ...]) -> None:
    shop = Nights()
    shop.night("2026-03-02", "vip", comparable=comparable)
    shop.night("2026-03-03", "vip")
    assert shop.armed() == []


def test_an_imported_person_has_entered_nothing() -> None:
    shop = Nights(imported=True)
    shop.night("2026-03-02", "vip")
    assert shop.armed() == []


def test_who_is_back_outside_by_the_time_they_are_collected_does_not_get_in() -> None:
    """The live state decides at the step, not what let them in."""
    text = scenario_of(
        "{event: segment_entered, segment: vip, after: 11h, where: {segment: others}}",
        f"  - {SEND}",
        "  - {title: a, person: {segments: [others]}, expect: [{send: one}]}\n"
        "  - {title: b, expect: [{skip: entry, reason: not_eligible}]}\n",
    )
    play(text)
