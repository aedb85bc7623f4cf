"""A replay decides what was decided live, and contacts nobody."""

from __future__ import annotations

import itertools
import random
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from infra.cli.replaying import cost, imported, known_of
from shared.analytics.lake import MemoryObjects
from shared.core.clock import FixedClock
from shared.core.ids import EventId
from shared.core.keys import derive_key_ring
from shared.core.shop import Shop
from shared.customers.fold import apply
from shared.customers.rows import MemoryRows, Put, Row, Write, encode_item
from shared.customers.store import MemoryCustomerStore
from shared.delivery.channels.fake import FakeChannel
from shared.delivery.send import SendDeps
from shared.delivery.store import MemoryLedgerStore
from shared.ingest.history import chunk_key, loaded_mark, write_chunk
from shared.ingest.model import CartFacts, ConsentFacts, Event, EventType, Line, OrderFacts, PageFacts, Person
from shared.measurement.cost.prices import read_prices
from shared.scenarios.cohorts import MemoryCohortFiles
from shared.scenarios.compile import compile_scenario
from shared.scenarios.examples import SHOP
from shared.scenarios.model import Scenario
from shared.scenarios.read import read_text
from shared.scenarios.rehearse import Rehearsal, Timeline
from shared.scenarios.replay import Decision, ReplayDeps, Replayed, audience, decision_of, replay, report
from shared.scenarios.step import StepDeps, run_step
from shared.scenarios.store import MemoryEnrolmentStore
from shared.scenarios.sweep import SweepDeps, sweep
from shared.scenarios.trigger import TriggerDeps, entry_rules, follow_change
from tests.unit.scenarios.test_words import templates
from tests.unit.scenarios.world import ARN, MORNING, STORE

KEYS = derive_key_ring("a master key that exists in tests only")
CAPPED: Shop = replace(SHOP, sections={"delivery": {**SHOP.sections["delivery"], "cap_per_day": 2}})


def a_scenario(name: str, entry: str, steps: str) -> Scenario:
    examples = (
        f"  - {{title: a, expect: [{{send: {name}_1}}]}}\n"
        f"  - {{title: b, expect: [{{skip: {name}_1, reason: no_consent}}]}}"
    )
    return read_text(
        f"id: {name}\ntitle: {name}\nstatus: live\nentry: {entry}\nexit_when: [order_placed, unsubscribed]\n"
        f"steps:\n{steps}\nexamples:\n{examples}\n"
    )


def sending(name: str) -> str:
    return f"{{send: {name}, channel: email, template: t/one}}"


SCENARIOS = [
    a_scenario(
        "carts",
        "{event: cart_abandoned, after: 1h}",
        f"  - {sending('carts_1')}\n  - wait: {{for: 4h, until: '10:00', on: business_day}}\n"
        f"  - split: test\n    shares: {{a: 40, b: 40, holdout: 20}}\n"
        f"    arms: {{a: [{sending('carts_2')}], b: [{sending('carts_3')}]}}",
    ).model_copy(update={"priority": 7}),
    a_scenario(
        "pages",
        "{event: page_viewed, after: 30m, page_type: price, at_least: 2, within: 1d,"
        " where: {none: [{orders: {at_least: 3}}]}}",
        f"  - {sending('pages_1')}\n  - wait_for: back\n    when: {{viewed: {{page_type: thanks}}}}\n    timeout: 8h\n"
        f"    then: []\n    else: [{sending('pages_2')}]",
    ),
    a_scenario("orders", "{event: order_placed, after: 6h, number: 1}", f"  - {sending('orders_1')}"),
]


def history(seed: int, people: int = 25) -> list[Event]:
    """A day and a half of carts, orders, visits and consent of some people."""
    draw, numbers = random.Random(seed), itertools.count()
    events: list[Event] = []

    def happens(kind: EventType, facts: Any, person: Person, at: datetime) -> None:
        number = next(numbers)
        events.append(
            Event(
                tenant=SHOP.tenant,
                event_id=EventId(f"e{number}"),
                event_type=kind,
                source="shopify",
                store=STORE,
                subject=f"shopify/{STORE}/{number}",
                occurred_at=at,
                received_at=at + timedelta(seconds=draw.randrange(1, 90)),
                version=f"{number:06}",
                person=person,
                facts=facts,
            )
        )

    for n in range(people):
        person = Person(source_customer_id=f"c{n}", email=f"c{n}@example.com", last_name="見本")
        line = Line(product_id="1", title="豆", quantity=1, unit_amount=1500)
        start = MORNING + timedelta(minutes=draw.randrange(0, 900))
        granted = draw.random() < 0.85
        happens(EventType.CONSENT_CHANGED, ConsentFacts(channel="email", granted=granted, method="test"), person, start)
        for _ in range(draw.randrange(1, 9)):
            at = start + timedelta(minutes=draw.randrange(1, 1300))
            match draw.randrange(5):
                case 0:
                    cart = CartFacts(token=f"t{n}-{draw.randrange(2)}", currency="JPY", total=1500, lines=(line,))
                    happens(EventType.CHECKOUT_UPDATED, cart, person, at)
                case 1:
                    facts = OrderFacts(
                        order_id=f"o{n}-{next(numbers)}", ordered_at=at, currency="JPY", total=1500, lines=(line,)
                    )
                    happens(EventType.ORDER_PLACED, facts, person, at)
                case 2:
                    out = ConsentFacts(channel="email", granted=False, method="test")
                    happens(EventType.CONSENT_CHANGED, out, person, at)
                case _:
                    page = PageFacts(
                        url="https://shop.example.jp/p", page_type=draw.choice(["price", "price", "thanks"])
                    )
                    happens(EventType.PAGE_VIEWED, page, person, at)
    return events


class Stream(MemoryRows):
    """Rows that keep what the stream would carry."""

    def __init__(self) -> None:
        super().__init__()
        self.records: list[dict[str, Any]] = []

    def transact(self, writes: Sequence[Write]) -> None:
        before = self.get([write.row.key for write in writes if isinstance(write, Put)])
        super().transact(writes)
        for write in writes:
            if isinstance(write, Put):
                old: Row | None = before.get(write.row.key)
                image = {"OldImage": encode_item(old)} if old else {}
                self.records.append({"NewImage": encode_item(write.row), **image})


class Live:
    """The shop as it runs: every stream record twice, a sweep at every tick, small batches, four workers."""

    def __init__(self, scenarios: Sequence[Scenario]) -> None:
        self.scenarios, self.clock = list(scenarios), FixedClock(MORNING)
        self.timeline = Timeline(self.clock)
        self.customers, self.rows = MemoryCustomerStore(self.clock), Stream()
        self.customers.rows = self.rows
        self.enrolments, self.files, self.ledger = MemoryEnrolmentStore(), MemoryCohortFiles(), MemoryLedgerStore()
        self.ses, self.owners = FakeChannel(), itertools.count()
        self.started: set[str] = set()

    def run(self, events: Sequence[Event], until: datetime) -> list[Decision]:
        for event in events:
            self.timeline.at(event.received_at, lambda event=event: self.receives(event))  # type: ignore[misc]
        for scenario in self.scenarios:
            tick = MORNING
            while tick <= until:
                self.timeline.at(tick, lambda scenario=scenario: self.sweeps(scenario))  # type: ignore[misc]
                tick += scenario.sweep_every
        self.timeline.play()
        people = {e.customer_id for s in self.scenarios for e in self.enrolments.people(SHOP.tenant, s.scenario_id)}
        rows = [row for customer in people for row in self.ledger.rows(SHOP.tenant, customer)]
        return [decision_of(row) for row in rows if row.decided_at <= until]

    def receives(self, event: Event) -> None:
        apply(event, self.customers, KEYS, CAPPED)
        records, self.rows.records = self.rows.records, []
        deps = TriggerDeps(entry_rules(self.scenarios), self.enrolments)
        for record in [*records, *records]:
            follow_change(record, deps, self.clock.at)

    def sweeps(self, scenario: Scenario) -> None:
        deps = SweepDeps(
            self.enrolments, self.files, self, lambda: [SHOP.tenant], batch_size=3, person=self.customers.person
        )
        sweep(scenario.scenario_id, deps, self.clock.at)

    def start(self, scenario: str, execution: str, document: Mapping[str, Any]) -> bool:
        if execution in self.started:
            return False
        self.started.add(execution)
        mine = next(each for each in self.scenarios if each.id == scenario)
        machine = compile_scenario(mine, ARN, others=self.scenarios)
        rehearsal = Rehearsal(lambda call: run_step(call, self.steps()), self.files.get, self.clock)
        self.timeline.start(rehearsal.run(machine, dict(document)))
        return True

    def steps(self) -> StepDeps:
        sends = SendDeps(
            ledger=self.ledger,
            read_person=self.customers.person,
            read_shop=lambda _: CAPPED,
            channels={"email": self.ses},
            renderer=templates(),
            keys=KEYS,
            clock=self.clock,
            monotonic=self.clock.at.timestamp,
            new_owner=lambda: f"live-{next(self.owners)}",
        )
        return StepDeps(self.enrolments, self.files, self.customers.person, sends, self.clock, 3, 4)


def the_log(decisions: Sequence[Decision]) -> set[Decision]:
    assert len(set(decisions)) == len(decisions)
    return set(decisions)


def replayed(events: Sequence[Event], until: datetime, scenarios: Sequence[Scenario] = SCENARIOS) -> Replayed:
    return replay(scenarios, events, ReplayDeps(CAPPED, KEYS, templates(), until=until))


@pytest.mark.parametrize("seed", range(4))
def test_replaying_a_live_period_reproduces_its_decisions_exactly(seed: int) -> None:
    events, until = history(seed), MORNING + timedelta(days=2)
    live = Live(SCENARIOS).run(events, until)
    again = replayed(events, until)
    assert len(live) > 20
    assert {each.outcome for each in live} >= {"sent", "opted_out"}
    assert the_log(again.decisions) == the_log(live)


def test_another_draft_decides_otherwise() -> None:
    """The comparison can fail: a longer wait is another log."""
    events, until = history(1), MORNING + timedelta(days=2)
    later = SCENARIOS[0].model_copy(
        update={"entry": SCENARIOS[0].entry.model_copy(update={"after": timedelta(hours=2)})}
    )
    assert the_log(replayed(events, until, [later, *SCENARIOS[1:]]).decisions) != the_log(
        replayed(events, until).decisions
    )


def test_a_replay_says_reach_sends_per_day_what_was_held_back_and_the_overlap() -> None:
    found = replayed(history(2, people=40), MORNING + timedelta(days=2))
    for scenario in SCENARIOS:
        sent = found.sent(scenario.id)
        assert sum(found.per_day(scenario.id).values()) == len(sent)
        assert len(sent) + sum(found.held(scenario.id).values()) == len(found.of(scenario.id))
        text = "\n".join(report(found, scenario))
        assert f"{len(sent)} messages to {len(found.reach(scenario.id))} people" in text
    assert found.overlap("carts")["pages"] == len(found.reach("carts") & found.reach("pages"))


def test_a_replay_says_what_it_would_have_cost() -> None:
    found = replayed(history(2, people=40), MORNING + timedelta(days=2))
    said = list(cost(found, SCENARIOS[0]))
    sent = len(found.sent("carts"))
    yen = read_prices().yen(read_prices().of({"ses_mail": sent}))
    assert said[0] == f"  cost: ¥{yen:,.0f}"
    assert said[1].startswith(f"    email: {sent}, ")


def test_the_audience_of_two_versions_is_compared_over_the_same_events() -> None:
    events, deps = history(2, people=40), ReplayDeps(CAPPED, KEYS, templates())
    pages, others = SCENARIOS[1], [SCENARIOS[0]]
    stricter = pages.model_copy(update={"entry": pages.entry.model_copy(update={"at_least": 3})})
    found = audience(pages, stricter, others, events, deps)
    assert found.after < found.before
    gone = len(found.before) - len(found.after)
    assert str(found) == f"{len(found.before)} people before, {len(found.after)} after: 0 more, {gone} no longer"


def test_who_was_imported_is_known_to_the_replay_once_the_chunk_counts() -> None:
    event = history(3)[0]
    work = MemoryObjects()
    for number in (1, 2):
        work.put(chunk_key(SHOP.tenant, "file", number), write_chunk([event]))
    work.put(loaded_mark(chunk_key(SHOP.tenant, "file", 2)), b"")
    assert list(imported(SHOP.tenant, work)) == [event]
    assert "1 events recorded since 2026-03-02" in known_of([event], SHOP.timezone)
    assert "connect a cart" in known_of([], SHOP.timezone)


def test_nobody_enters_by_imported_history() -> None:
    events = [replace(event, historical=True) for event in history(3)]
    assert replayed(events, MORNING + timedelta(days=9)).decisions == ()
