"""Runs the examples of a scenario file: the live trigger, sweep, machine, step and delivery, over stores in memory.

The mail provider is the only fake (`FakeChannel`): what an example calls sent was rendered and handed over.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from shared.core.clock import FixedClock
from shared.core.ids import CustomerId, TenantId
from shared.core.keys import derive_key_ring
from shared.core.shop import Shop
from shared.customers.model import Cart, Consent, ConsentStatus, Order, PersonState, Profile, Scores, Status, Summary
from shared.customers.store import ChangedRow
from shared.delivery.channels.fake import FakeChannel
from shared.delivery.render import Renderer
from shared.delivery.send import SendDeps
from shared.delivery.store import MemoryLedgerStore
from shared.ingest.model import Line
from shared.scenarios.cohorts import MemoryCohortFiles
from shared.scenarios.compile import compile_scenario
from shared.scenarios.enrolment import Enrolment, EnrolmentState, cart_occurrence
from shared.scenarios.model import ENTRY, Example, ExampleEvent, ExpectSend, Scenario
from shared.scenarios.rehearse import Rehearsal, Timeline
from shared.scenarios.rules import entering
from shared.scenarios.step import StepDeps, run_step
from shared.scenarios.store import MemoryEnrolmentStore
from shared.scenarios.sweep import SweepDeps, sweep
from shared.scenarios.trigger import entry_rules, follow

TENANT = TenantId("example")
CUSTOMER = CustomerId("hanako")
STORE = "example.myshopify.com"
TOKEN = "example-checkout"  # noqa: S105 - no secret
SHOP = Shop(
    TENANT,
    "見本商店",
    public_url="https://go.example.jp",
    sections={
        "delivery": {
            "from_address": "news@shop.example.jp",
            "from_name": "見本商店",
            "company": "株式会社見本",
            "postal_address": "〒100-0000 東京都千代田区見本町1-2-3",
            "contact": "support@shop.example.jp",
            "shop_url": "https://shop.example.jp/",
        }
    },
)


@dataclass(frozen=True, slots=True)
class Happened:
    """One thing that came of an example."""

    step: str
    outcome: str
    """`sent`, or the reason why not."""
    at: datetime | None = None

    def __str__(self) -> str:
        """`2026-03-02 11:00 mail_1: sent`."""
        when = f"{self.at.astimezone(ZoneInfo(SHOP.timezone)):%Y-%m-%d %H:%M} " if self.at else ""
        return f"{when}{self.step}: {self.outcome}"


@dataclass(frozen=True, slots=True)
class ExampleResult:
    """What an example promised and what came of it."""

    title: str
    expected: tuple[Happened, ...]
    happened: tuple[Happened, ...]

    @property
    def passed(self) -> bool:
        """Is it the same, step by step? A time counts where the example gives one."""
        return len(self.expected) == len(self.happened) and all(
            (e.step, e.outcome) == (h.step, h.outcome) and e.at in {None, h.at}
            for e, h in zip(self.expected, self.happened, strict=True)
        )


def run_examples(scenario: Scenario, renderer: Renderer) -> list[ExampleResult]:
    """Every example of the file, each in a world of its own."""
    return [
        ExampleResult(example.title, tuple(_expected(example)), tuple(_World(scenario, example, renderer).play()))
        for example in scenario.examples
    ]


def _expected(example: Example) -> Iterator[Happened]:
    for expect in example.expect:
        if isinstance(expect, ExpectSend):
            yield Happened(expect.send, "sent", _instant(expect.at) if expect.at else None)
        else:
            yield Happened(expect.skip, expect.reason)


def _instant(at: datetime) -> datetime:
    return at.replace(tzinfo=ZoneInfo(SHOP.timezone))


class _Journal(MemoryEnrolmentStore):
    """Enrolments that also remember what was recorded, in order."""

    def __init__(self) -> None:
        super().__init__()
        self.journal: list[Happened] = []

    def record(self, enrolment: Enrolment, step: str, outcome: str, state: EnrolmentState, at: datetime) -> bool:
        recorded = super().record(enrolment, step, outcome, state, at)
        if recorded:
            self.journal.append(Happened(step, outcome, at))
        return recorded


@dataclass
class _World:
    """A shop with one person and one cart."""

    scenario: Scenario
    example: Example
    renderer: Renderer
    clock: FixedClock = field(init=False)
    enrolments: _Journal = field(default_factory=_Journal)
    files: MemoryCohortFiles = field(default_factory=MemoryCohortFiles)
    ledger: MemoryLedgerStore = field(default_factory=MemoryLedgerStore)
    ses: FakeChannel = field(default_factory=FakeChannel)

    def __post_init__(self) -> None:
        self.touched_at = _instant(self.example.cart.touched_at)
        self.clock = FixedClock(self.touched_at)
        self.timeline = Timeline(self.clock)
        self.cart = _cart(self.example, self.touched_at)
        self.person = _person(self.example, self.cart, self.touched_at)
        self.machine = compile_scenario(self.scenario, "arn:aws:lambda:ap-northeast-1:000000000000:function:step")
        self.rules = entry_rules([self.scenario])

    def play(self) -> list[Happened]:
        self._cart_changed()
        for event in self.example.then:
            self.timeline.at(self.touched_at + event.after, lambda event=event: self._happen(event))  # type: ignore[misc]
        self.timeline.play()
        sent = sum(1 for one in self.enrolments.journal if one.outcome == "sent")
        if sent != len(self.ses.accepted):
            raise AssertionError(f"{sent} recorded as sent, {len(self.ses.accepted)} handed to the provider")
        return self._entry() + self.enrolments.journal

    def _entry(self) -> list[Happened]:
        """What kept them out, if nobody ever entered."""
        enrolment = self.enrolments.get(TENANT, self.scenario.scenario_id, cart_occurrence(self.cart))
        if enrolment is None:
            decision = entering(self.cart, self.rules[0], self.touched_at, historical=self.example.cart.historical)
            return [Happened(ENTRY, decision.reason)]
        return [] if enrolment.execution else [Happened(ENTRY, enrolment.outcome)]

    # --- what happens to the person ---

    def _happen(self, event: ExampleEvent) -> None:
        match event.event:
            case "order_placed":
                self._order(TOKEN)
            case "other_order_placed":
                self._order("another-checkout")
            case "cart_completed":
                self._touch(completed_at=self.clock.at)
            case "cart_emptied":
                self._touch(lines=(), total=0)
            case "cart_touched":
                self._touch()
            case "opted_out":
                consent = replace(self.person.consents[0], status=ConsentStatus.OPT_OUT, at=self.clock.at)
                self.person = replace(self.person, consents=(consent,))

    def _order(self, token: str) -> None:
        order = Order("shopify", STORE, f"order-{token}", self.clock.at, "JPY", 3000, checkout_token=token)
        self.person = replace(self.person, orders=(*self.person.orders, order))
        follow(ChangedRow(TENANT, CUSTOMER, "order", False, order=order), self.rules, self.enrolments, self.clock.at)

    def _touch(self, **changes: Any) -> None:
        self.cart = replace(self.cart, updated_at=self.clock.at, **changes)
        self.person = replace(self.person, carts=(self.cart,))
        self._cart_changed()

    def _cart_changed(self) -> None:
        row = ChangedRow(TENANT, CUSTOMER, "cart", self.example.cart.historical, cart=self.cart)
        follow(row, self.rules, self.enrolments, self.clock.at)
        self.timeline.at(self.clock.at + self.scenario.entry.after, self._sweep)

    # --- the machinery ---

    def _sweep(self) -> None:
        deps = SweepDeps(self.enrolments, self.files, self, lambda: [TENANT])
        sweep(self.scenario.scenario_id, deps, self.clock.at)

    def start(self, scenario: str, execution: str, document: Mapping[str, Any]) -> bool:
        """`Machines`: a rehearsal in this world's time."""
        deps = StepDeps(
            self.enrolments, self.files, lambda _tenant, _customer: self.person, self._sending(), self.clock, workers=1
        )
        rehearsal = Rehearsal(lambda call: run_step(call, deps), self.files.get, self.clock)
        self.timeline.start(rehearsal.run(self.machine, dict(document)))
        return True

    def _sending(self) -> SendDeps:
        owners = itertools.count()
        return SendDeps(
            ledger=self.ledger,
            read_person=lambda _tenant, _customer: self.person,
            read_shop=lambda _tenant: SHOP,
            channels={"email": self.ses},
            renderer=self.renderer,
            keys=derive_key_ring("examples contact nobody"),
            clock=self.clock,
            monotonic=self.clock.at.timestamp,
            new_owner=lambda: f"attempt-{next(owners)}",
        )


def _cart(example: Example, touched_at: datetime) -> Cart:
    quantity = example.cart.quantity
    line = Line(product_id="1", title="見本のコーヒー豆 200g", quantity=quantity, unit_amount=1500)
    return Cart(
        source="shopify",
        store=STORE,
        token=TOKEN,
        updated_at=touched_at,
        currency="JPY",
        total=1500 * quantity,
        lines=(line,) if quantity else (),
        recovery_url="https://shop.example.jp/checkouts/example/recover",
    )


def _person(example: Example, cart: Cart, touched_at: datetime) -> PersonState:
    given = example.person
    orders = tuple(
        Order("shopify", STORE, f"old-{n}", touched_at - timedelta(days=60 * (n + 1)), "JPY", 4000)
        for n in range(given.orders)
    )
    profile = Profile(
        TENANT,
        CUSTOMER,
        email=given.email,
        last_name=given.last_name,
        first_name=given.first_name,
        summary=Summary(order_count=given.orders, total_amount=4000 * given.orders),
        scores=_scores(example, touched_at.date()),
    )
    consent = Consent("email", STORE, ConsentStatus(given.consent), touched_at - timedelta(days=90), "example")
    suppressed = frozenset({"email"} if given.bounced else ())
    return PersonState(profile, orders, (cart,), (consent,), suppressed)


def _scores(example: Example, on: date) -> Scores | None:
    given = example.person
    if given.tier is None:
        return None
    status = given.status or Status.PROMISING
    return Scores(on, status, on, given.tier, rfm_r=4, rfm_f=3, rfm_m=3, rfm_rank="有望")
