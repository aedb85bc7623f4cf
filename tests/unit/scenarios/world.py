"""A small shop with carts, over stores in memory: the live trigger, sweep, machine, step and delivery around them."""

from __future__ import annotations

import itertools
import tempfile
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

from shared.core.clock import FixedClock
from shared.core.ids import CustomerId, ScenarioId, TenantId
from shared.core.keys import derive_key_ring
from shared.core.shop import Shop
from shared.customers.model import (
    Cart,
    Consent,
    ConsentStatus,
    LtvTier,
    Order,
    PersonState,
    Profile,
    Scores,
    Status,
)
from shared.customers.store import ChangedRow
from shared.delivery.channels.fake import FakeChannel
from shared.delivery.model import SendState
from shared.delivery.render import TemplateStore
from shared.delivery.send import SendDeps
from shared.delivery.store import MemoryLedgerStore
from shared.ingest.model import Line
from shared.scenarios.cohorts import MemoryCohortFiles
from shared.scenarios.compile import Machine, compile_scenario
from shared.scenarios.enrolment import Enrolment
from shared.scenarios.examples import SHOP
from shared.scenarios.model import Scenario
from shared.scenarios.read import read_presets
from shared.scenarios.rehearse import Rehearsal, Timeline
from shared.scenarios.step import StepDeps, run_step
from shared.scenarios.store import MemoryEnrolmentStore
from shared.scenarios.sweep import SweepDeps, sweep
from shared.scenarios.trigger import entry_rules, follow

TENANT = TenantId("mihon")
STORE = "mihon.myshopify.com"
CART = ScenarioId("cart_abandoned")
ARN = "arn:aws:lambda:ap-northeast-1:000000000000:function:step"


def jst(text: str) -> datetime:
    """`2026-03-02 10:00` on a clock in Japan."""
    return datetime.fromisoformat(f"{text}+09:00").astimezone(UTC)


MORNING = jst("2026-03-02 10:00")


@cache
def preset(name: str = "cart_abandoned") -> Scenario:
    """A scenario that comes with the product."""
    return next(scenario for scenario in read_presets() if scenario.id == name)


@cache
def plain_templates() -> TemplateStore:
    """The real renderer, over the smallest templates with the names that the presets use."""
    root = Path(tempfile.mkdtemp())
    for send in (send for scenario in read_presets() for send in scenario.sends()):
        folder = root / send.template
        folder.mkdir(parents=True, exist_ok=True)
        (folder / "subject.txt").write_text(f"{send.template} {{{{ person.name }}}}")
        (folder / "mail.html").write_text("{% for line in cart.lines %}{{ line.title }}{% endfor %}")
        (folder / "mail.txt").write_text("{{ cart.total }} {{ cart.recovery_url }}")
        (folder / "line.json").write_text('{"type": "text", "text": "{{ cart.total }} {{ cart.recovery_url }}"}')
    return TemplateStore(root)


def a_cart(token: str = "cart-1", touched_at: datetime = MORNING, **more: Any) -> Cart:
    """An open checkout with one thing in it."""
    line = Line(product_id="1", title="見本のコーヒー豆", quantity=2, unit_amount=1500)
    url = f"https://shop.example.jp/recover/{token}"
    given: dict[str, Any] = {"lines": (line,), "recovery_url": url, "currency": "JPY", "total": 3000}
    return Cart("shopify", STORE, token, touched_at, **(given | more))


def an_order(token: str = "cart-1", at: datetime = MORNING, **more: Any) -> Order:
    """An order made from that checkout."""
    return Order("shopify", STORE, f"order-{token}", at, "JPY", 3000, checkout_token=token, **more)


def a_person(customer: str = "hanako", *carts: Cart, tier: LtvTier | None = None, **more: Any) -> PersonState:
    """Someone who may be written to."""
    on = MORNING.date()
    scores = Scores(on, Status.NEW, on, tier, 3, 2, 2, "新規") if tier else None
    known = {"email": f"{customer}@example.com", "last_name": "見本", "scores": scores} | more
    consent = Consent("email", STORE, ConsentStatus.OPT_IN, MORNING - timedelta(days=30), "test")
    return PersonState(Profile(TENANT, CustomerId(customer), **known), carts=carts, consents=(consent,))


@dataclass
class World:
    """One shop; `play()` lets everything that is planned happen."""

    scenario: Scenario = field(default_factory=preset)
    machine: Machine | None = None
    shop: Shop = SHOP
    batch_size: int = 50
    clock: FixedClock = field(default_factory=lambda: FixedClock(MORNING))
    enrolments: MemoryEnrolmentStore = field(default_factory=MemoryEnrolmentStore)
    files: MemoryCohortFiles = field(default_factory=MemoryCohortFiles)
    ledger: MemoryLedgerStore = field(default_factory=MemoryLedgerStore)
    ses: FakeChannel = field(default_factory=FakeChannel)
    channel: str = "email"
    people: dict[str, PersonState] = field(default_factory=dict)
    executions: dict[str, Any] = field(default_factory=dict)
    transitions: Counter[str] = field(default_factory=Counter)
    wrap: Callable[[StepDeps], StepDeps] = lambda deps: deps
    retried: tuple[type[BaseException], ...] = ()

    def __post_init__(self) -> None:
        self.timeline = Timeline(self.clock)
        self.machine = self.machine or compile_scenario(self.scenario, ARN)
        self._owners = itertools.count()

    # --- what happens ---

    def adds(self, person: PersonState, *, historical: bool = False) -> None:
        """Somebody with carts: the stream tells the trigger."""
        customer = person.profile.customer_id
        self.people[customer] = person
        for cart in person.carts:
            self._row(ChangedRow(TENANT, customer, "cart", historical, cart=cart))

    def orders(self, customer: str, token: str = "cart-1", **more: Any) -> None:
        """An order comes in, now."""
        order = an_order(token, self.clock.at, **more)
        self.people[customer] = replace(self.people[customer], orders=(*self.people[customer].orders, order))
        self._row(ChangedRow(TENANT, CustomerId(customer), "order", False, order=order))

    def opts_out(self, customer: str) -> None:
        """An opt-out, now."""
        consent = replace(self.people[customer].consents[0], status=ConsentStatus.OPT_OUT)
        self.people[customer] = replace(self.people[customer], consents=(consent,))

    def at(self, text: str, do: Callable[[], Any]) -> None:
        """Plan something for a time in Japan."""
        self.timeline.at(jst(text), lambda: void(do()))

    def sweeps(self) -> dict[str, int]:
        """The sweep runs, now."""
        return sweep(self.scenario.scenario_id, self.sweep_deps(), self.clock.at)

    def play(self) -> None:
        """Let everything that is planned happen, and what comes of it."""
        self.timeline.play()

    # --- ports ---

    def start(self, scenario: str, execution: str, document: Mapping[str, Any]) -> bool:
        """`Machines`."""
        if execution in self.executions:
            return False
        self.executions[execution] = dict(document)
        self.timeline.start(self.rehearsal().run(self.machine or {}, dict(document)))
        return True

    def rehearsal(self) -> Rehearsal:
        """A machine's surroundings; a killed step is tried again like any failed task."""
        return Rehearsal(
            lambda call: run_step(call, self.step_deps()),
            self.files.get,
            self.clock,
            retried=(Exception, *self.retried),
            entered=lambda name: self.transitions.update([name]),
        )

    def sweep_deps(self) -> SweepDeps:
        """The sweep's ports."""
        return SweepDeps(self.enrolments, self.files, self, lambda: [TENANT], self.batch_size)

    def step_deps(self) -> StepDeps:
        """The step's ports: one worker, so that a run can be repeated exactly."""
        deps = StepDeps(
            self.enrolments, self.files, self.person, self._sending(), self.clock, self.batch_size, workers=1
        )
        return self.wrap(deps)

    def person(self, tenant: TenantId, customer: CustomerId) -> PersonState | None:
        """Strongly consistent by nature."""
        assert tenant == TENANT
        return self.people.get(customer)

    def _sending(self) -> SendDeps:
        return SendDeps(
            ledger=self.ledger,
            read_person=self.person,
            read_shop=lambda _: self.shop,
            channels={self.channel: self.ses},
            renderer=plain_templates(),
            keys=derive_key_ring("a master key that exists in tests only"),
            clock=self.clock,
            monotonic=self.clock.at.timestamp,
            new_owner=lambda: f"attempt-{next(self._owners)}",
        )

    def _row(self, row: ChangedRow) -> None:
        follow(row, entry_rules([self.scenario]), self.enrolments, self.clock.at)

    # --- what came of it ---

    def enrolment(self, customer: str) -> Enrolment:
        """The one enrolment of a person."""
        (found,) = self.enrolments.of_customer(TENANT, CustomerId(customer))
        return found

    def mails(self, customer: str | None = None) -> list[str]:
        """Steps whose mail the provider accepted, in order."""
        return [m.step for m in self.ses.accepted if customer is None or m.key.customer_id == customer]

    def ledger_states(self, customer: str) -> dict[str, str]:
        """Step → `sent` or the reason."""
        rows = self.ledger.rows(TENANT, CustomerId(customer))
        return {row.step: "sent" if row.state is SendState.SENT else str(row.reason or row.state) for row in rows}

    def funnel(self) -> dict[str, Counter[str]]:
        """Step → outcome → people, over all batches."""
        found: dict[str, Counter[str]] = {}
        first, last = MORNING.date() - timedelta(days=30), MORNING.date() + timedelta(days=60)
        for row in self.enrolments.funnel(TENANT, self.scenario.scenario_id, first, last):
            found.setdefault(row.step, Counter()).update(row.counts)
        return found


def void(_: object) -> None:
    """Forget an answer."""
