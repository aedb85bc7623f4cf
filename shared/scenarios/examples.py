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
from shared.customers.model import (
    Attribute,
    Cart,
    Consent,
    ConsentStatus,
    LtvTier,
    Order,
    PersonState,
    Profile,
    Scores,
    Status,
    Summary,
    Visit,
)
from shared.customers.store import ChangedRow
from shared.delivery.channels.fake import FakeChannel
from shared.delivery.content.catalogue import Catalogue, Product
from shared.delivery.coupons.issue import Coupon
from shared.delivery.render import Renderer
from shared.delivery.send import SendDeps
from shared.delivery.store import MemoryLedgerStore
from shared.ingest.model import Line, SubscriptionState
from shared.scenarios.cohorts import MemoryCohortFiles
from shared.scenarios.compile import compile_scenario
from shared.scenarios.enrolment import Enrolment, EnrolmentState
from shared.scenarios.entries import broadcast
from shared.scenarios.language.entries import Trigger
from shared.scenarios.language.examples import ENTRY, Example, ExampleEvent, ExpectSend
from shared.scenarios.language.steps import HOLDOUT
from shared.scenarios.model import LiveStatus, Scenario
from shared.scenarios.rehearse import Rehearsal, Timeline
from shared.scenarios.rules import NOT_ELIGIBLE, entering
from shared.scenarios.step import PROMISED, TAGGED, StepDeps, run_step
from shared.scenarios.store import MemoryEnrolmentStore
from shared.scenarios.stories import FRIEND, begin
from shared.scenarios.sweep import SweepDeps, sweep
from shared.scenarios.trigger import enrol, entry_rules, follow

TENANT = TenantId("example")
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
            "sms": {"origination": "MIHON"},
            "budget": {"sms": 300},
            "company": "株式会社見本",
            "postal_address": "〒100-0000 東京都千代田区見本町1-2-3",
            "contact": "support@shop.example.jp",
            "shop_url": "https://shop.example.jp/",
        }
    },
)


PARTS = {
    "line": ("line.json",),
    "sms": ("sms.txt",),
    "postal": ("postal.txt",),
    "call": ("call.json",),
    "webhook": ("webhook.json",),
    "notify": ("notify.txt",),
    "export": (),
}
"""What a template is made of for the channels besides mail."""


class SampleCoupons:
    """Coupons that no cart takes: an example or a replay uses up no code of the shop's."""

    def __init__(self) -> None:
        self._given: dict[tuple[str, ...], Coupon] = {}

    def issue(self, tenant: TenantId, campaign: str, customer: CustomerId, occurrence: str, now: datetime) -> Coupon:
        """See Coupons."""
        coupon = Coupon(campaign, f"MIHON-{len(self._given):04}", "見本", "", None, now)
        return self._given.setdefault((tenant, campaign, customer, occurrence), coupon)

    def promise(self, tenant: TenantId, campaign: str, customer: CustomerId, occurrence: str, now: datetime) -> None:
        """See Coupons."""


@dataclass(frozen=True, slots=True)
class Happened:
    """One thing that came of an example."""

    step: str
    outcome: str
    """`sent`, or the reason why not."""
    at: datetime | None = None
    channel: str | None = None

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
            (e.step, e.outcome) == (h.step, h.outcome) and e.at in {None, h.at} and e.channel in {None, h.channel}
            for e, h in zip(self.expected, self.happened, strict=True)
        )


def run_examples(scenario: Scenario, renderer: Renderer) -> list[ExampleResult]:
    """Every example of the file, each in a world of its own; of a staged scenario what it will do when it is live."""
    staged = scenario.status is LiveStatus.STAGED
    played = scenario.model_copy(update={"status": LiveStatus.LIVE}) if staged else scenario
    return [
        ExampleResult(example.title, tuple(_expected(example)), tuple(_World(played, example, renderer).play()))
        for example in scenario.examples
    ]


def _expected(example: Example) -> Iterator[Happened]:
    for expect in example.expect:
        if isinstance(expect, ExpectSend):
            yield Happened(expect.send, "sent", _instant(expect.at) if expect.at else None, expect.channel)
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
        # Exits and tags say nothing that an example promises; being held out is a decision.
        if recorded and (outcome not in {step, TAGGED, PROMISED} or step == HOLDOUT):
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
    channels: dict[str, FakeChannel] = field(default_factory=dict)
    coupons: SampleCoupons = field(default_factory=SampleCoupons)
    friend: PersonState | None = None

    def __post_init__(self) -> None:
        self.touched_at = _instant(self.example.cart.touched_at)
        self.clock = FixedClock(self.touched_at)
        self.timeline = Timeline(self.clock)
        self.cart = _cart(self.example, self.touched_at)
        self.person = _person(self.example, self.touched_at)
        self.machine = compile_scenario(self.scenario, "arn:aws:lambda:ap-northeast-1:000000000000:function:step")
        wanted = self.scenario.entry.product or ("1",)
        self.catalogue = Catalogue({name: Product(name, "見本のコーヒー豆 200g") for name in wanted})
        self.rules = entry_rules([self.scenario])
        self.channels = {"email": FakeChannel(), **{name: FakeChannel(parts=parts) for name, parts in PARTS.items()}}

    def play(self) -> list[Happened]:
        if self.scenario.entry.event is Trigger.CART_ABANDONED:
            self.person = replace(self.person, carts=(self.cart,))
            self._cart_changed()
        else:
            self._begin()
        for event in self.example.then:
            self.timeline.at(self.touched_at + event.after, lambda event=event: self._happen(event))  # type: ignore[misc]
        self.timeline.play()
        carried = {message.step: name for name, channel in self.channels.items() for message in channel.accepted}
        sent = sum(1 for one in self.enrolments.journal if one.outcome == "sent")
        if sent != sum(len(channel.accepted) for channel in self.channels.values()):
            raise AssertionError(f"{sent} recorded as sent, {carried} handed to providers")
        return self._entry() + [replace(one, channel=carried.get(one.step)) for one in self.enrolments.journal]

    def _entry(self) -> list[Happened]:
        """What kept them out, if nobody ever entered."""
        mine = self.enrolments.of_customer(TENANT, self.person.profile.customer_id)
        if any(enrolment.execution for enrolment in mine):
            return []
        if mine:
            return [Happened(ENTRY, mine[0].outcome)]
        if self.scenario.entry.event is not Trigger.CART_ABANDONED:
            return [Happened(ENTRY, NOT_ELIGIBLE)]
        decision = entering(self.cart, self.rules[0], self.touched_at, historical=self.example.cart.historical)
        return [Happened(ENTRY, decision.reason)]

    def _begin(self) -> None:
        """What lets them in happens, as the stream tells it."""
        story = begin(self.scenario.entry, self.person, self.touched_at, STORE, SHOP.timezone)
        self.person, self.friend = story.person, story.friend
        for row in story.rows(TENANT, self.example.cart.historical):
            follow(row, self.rules, self.enrolments, self.clock.at, timezone=_shop_time, before=story.before)
        if self.scenario.entry.event is Trigger.BROADCAST and self.rules:
            arrival = broadcast("example", self.person.profile.customer_id, self.touched_at, self.scenario.entry)
            enrol(TENANT, self.person.profile.customer_id, arrival, self.rules[0], self.enrolments)
        for enrolment in self.enrolments.of_customer(TENANT, self.person.profile.customer_id):
            self.timeline.at(enrolment.due_at or self.clock.at, self._sweep)

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
                self.person = replace(self.person, consents=(consent, *self.person.consents[1:]))
            case "opened" | "clicked":
                self._react(event)
            case "viewed" | "logged_in":
                self._visit(event)
            case "friend_cancelled" if self.friend is not None:
                orders = tuple(replace(order, cancelled=True) for order in self.friend.orders)
                self.friend = replace(self.friend, orders=orders)
            case "contract_cancelled":
                ended = {"state": SubscriptionState.CANCELLED, "cancelled_at": self.clock.at}
                contracts = tuple(replace(each, **ended) for each in self.person.subscriptions)  # type: ignore[arg-type]
                self.person = replace(self.person, subscriptions=contracts)

    def _react(self, event: ExampleEvent) -> None:
        customer = self.person.profile.customer_id
        for row in self.ledger.rows(TENANT, customer):
            if row.step == event.send:
                self.ledger.react(row.key, event.event, self.clock.at)

    def _visit(self, event: ExampleEvent) -> None:
        kind = "login" if event.event == "logged_in" else "page"
        visit = Visit(f"visit-{self.clock.at}", self.clock.at, kind, None, event.path, event.page_type, event.product)
        at = self.clock.at if kind == "login" else self.person.last_login_at
        visits = (*self.person.visits, visit)
        self.person = replace(self.person, visits=visits, last_login_at=at, last_seen_at=self.clock.at)

    def _tag(self, _tenant: TenantId, _customer: CustomerId, tag: str, occasion: str, at: datetime) -> None:
        attributes = {**self.person.attributes, f"tags/{tag}": Attribute(True, at, occasion)}
        self.person = replace(self.person, attributes=attributes)

    def _order(self, token: str) -> None:
        order = Order("shopify", STORE, f"order-{token}", self.clock.at, "JPY", 3000, checkout_token=token)
        self.person = replace(self.person, orders=(*self.person.orders, order))
        row = ChangedRow(TENANT, self.person.profile.customer_id, "order", False, order=order)
        if self.scenario.entry.event is Trigger.CART_ABANDONED:
            follow(row, self.rules, self.enrolments, self.clock.at)

    def _touch(self, **changes: Any) -> None:
        self.cart = replace(self.cart, updated_at=self.clock.at, **changes)
        self.person = replace(self.person, carts=(self.cart,))
        self._cart_changed()

    def _cart_changed(self) -> None:
        row = ChangedRow(TENANT, self.person.profile.customer_id, "cart", self.example.cart.historical, cart=self.cart)
        follow(row, self.rules, self.enrolments, self.clock.at)
        self.timeline.at(self.clock.at + self.scenario.entry.after, self._sweep)

    # --- the machinery ---

    def _sweep(self) -> None:
        deps = SweepDeps(self.enrolments, self.files, self, lambda: [TENANT])
        sweep(self.scenario.scenario_id, deps, self.clock.at)

    def _read(self, _tenant: TenantId, customer: CustomerId) -> PersonState:
        return self.friend if self.friend and customer == FRIEND else self.person

    def start(self, scenario: str, execution: str, document: Mapping[str, Any]) -> bool:
        """`Machines`: a rehearsal in this world's time."""
        deps = StepDeps(
            self.enrolments,
            self.files,
            self._read,
            self._sending(),
            self.clock,
            tag=self._tag,
            coupons=self.coupons,
            workers=1,
        )
        rehearsal = Rehearsal(lambda call: run_step(call, deps), self.files.get, self.clock)
        self.timeline.start(rehearsal.run(self.machine, dict(document)))
        return True

    def _sending(self) -> SendDeps:
        owners = itertools.count()
        return SendDeps(
            ledger=self.ledger,
            read_person=self._read,
            read_shop=lambda _tenant: SHOP,
            channels=self.channels,
            renderer=self.renderer,
            keys=derive_key_ring("examples contact nobody"),
            read_catalogue=lambda _tenant: self.catalogue,
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


def _shop_time(_: TenantId) -> str:
    return SHOP.timezone


def _person(example: Example, touched_at: datetime) -> PersonState:
    given, long_ago = example.person, touched_at - timedelta(days=90)
    orders = tuple(
        Order("shopify", STORE, f"old-{n}", touched_at - timedelta(days=60 * (n + 1)), "JPY", 4000)
        for n in range(given.orders)
    )
    profile = Profile(
        TENANT,
        CustomerId(given.id),
        email=given.email,
        phone=given.phone,
        line_user_id=given.line_user_id,
        last_name=given.last_name,
        first_name=given.first_name,
        summary=Summary(order_count=given.orders, total_amount=4000 * given.orders),
        scores=_scores(example, touched_at.date()),
        segments=tuple(sorted(given.segments)),
    )
    said = {"email": given.consent, "line": given.line_consent, "sms": given.sms_consent}
    consents = tuple(
        Consent(channel, STORE, ConsentStatus(word), long_ago, "example") for channel, word in said.items()
    )
    suppressed = frozenset({"email"} if given.bounced else ())
    attributes = {name: Attribute(value, long_ago, "example") for name, value in given.attributes.items()}
    return PersonState(profile, orders, (), consents, suppressed, attributes=attributes)


def _scores(example: Example, on: date) -> Scores | None:
    given = example.person
    if given.tier is None and given.status is None:
        return None
    status = given.status or Status.PROMISING
    return Scores(on, status, on, given.tier or LtvTier.LOW, rfm_r=4, rfm_f=3, rfm_m=3, rfm_rank="有望")
