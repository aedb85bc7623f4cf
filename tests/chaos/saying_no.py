"""Chaos around an opt-out: lost replies (T5) and races with the sender (T15)."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import cache
from typing import Any

from shared.core.errors import UnavailableError
from shared.core.ids import CustomerId, EventId, SendId
from shared.customers import fold
from shared.customers.model import ConsentStatus
from shared.customers.rows import MemoryRows
from shared.customers.store import MemoryCustomerStore
from shared.delivery.model import SendState
from shared.delivery.render import ROOT, TemplateStore
from shared.delivery.tokens import UnsubscribeToken, sign
from shared.delivery.unsubscribe import Submission, UnsubscribeDeps, act
from shared.ingest.codec import facts_json
from shared.ingest.model import ConsentFacts, Envelope, Event, EventType, MessageFacts, Person
from shared.ingest.oversize import MemoryOversize
from shared.ingest.store import MemoryEventStore
from tests.chaos.sending import ChannelWorld, a_world
from tests.unit.delivery import world as shop
from tests.unit.delivery.chaos import Anywhere, Interleaving, Never, Ports, one_attempt
from tests.unit.delivery.world import KEYS, STORE, TENANT, VirtualTime

FORM = "application/x-www-form-urlencoded"
ONE_CLICK = Submission(FORM, b"List-Unsubscribe=One-Click")
BUTTON = Submission(FORM, b"List-Unsubscribe=One-Click&said=page")
SOURCES = ("one_click", "page", "complaint", "admin")
NOTHING: Callable[[], None] = lambda: None  # noqa: E731


@cache
def pages() -> TemplateStore:
    """The product's own pages."""
    return TemplateStore(ROOT)


@dataclass
class FaultyRows(MemoryRows):
    """Rows whose calls let others run first, and whose replies get lost."""

    rng: random.Random
    lost: float = 0.0
    pause: Callable[[], None] = NOTHING

    def __post_init__(self) -> None:
        super().__init__()

    def get(self, keys: Any) -> Any:
        """Like the rows it stands for."""
        self.pause()
        return super().get(keys)

    def partition(self, pk: str) -> Any:
        """Like the rows it stands for."""
        self.pause()
        return super().partition(pk)

    def transact(self, writes: Any) -> None:
        """It took effect, and the caller may never hear of it."""
        self.pause()
        super().transact(writes)
        if self.rng.random() < self.lost:
            raise UnavailableError("transact: reply lost")


class FaultyEvents(MemoryEventStore):
    """Events whose replies get lost."""

    def __init__(self, rng: random.Random, lost: float) -> None:
        super().__init__(MemoryOversize())
        self._rng, self._lost = rng, lost

    def put_once(self, envelope: Envelope) -> bool:
        """It took effect, and the caller may never hear of it."""
        new = super().put_once(envelope)
        if self._rng.random() < self._lost:
            raise UnavailableError("put_once: reply lost")
        return new


@dataclass
class Site:
    """One customer who opted in, everything that can take it back, and the way there."""

    rng: random.Random
    lost: float = 0.0
    time: VirtualTime = field(default_factory=VirtualTime)

    def __post_init__(self) -> None:
        self.rows = FaultyRows(self.rng)
        self.customers = MemoryCustomerStore(self.time)
        self.customers.rows = self.rows
        self.events = FaultyEvents(self.rng, self.lost)
        self.deps = UnsubscribeDeps(lambda: KEYS, lambda _: shop.a_shop(), self.customers, self.events, pages())
        customer = self._fold(
            EventType.CONSENT_CHANGED, ConsentFacts(channel="email", granted=True, method="test"), -30
        )
        assert customer is not None
        self.customer: CustomerId = customer
        self.link = sign(UnsubscribeToken(TENANT, self.customer, SendId("s1"), "email", STORE), KEYS)
        self.rows.lost = self.lost

    def says_no(self, source: str) -> bool:
        """Whether it was acknowledged."""
        match source:
            case "one_click" | "page":
                body = ONE_CLICK if source == "one_click" else BUTTON
                return act(self.link, body, self.deps, self.time.now()).status == 200
            case "complaint":
                facts = MessageFacts(
                    channel="email",
                    message_id="m1",
                    send_id="s1",
                    customer_id=self.customer,
                    permanent=True,
                    reason="complaint:abuse",
                )
                self._fold(EventType.MESSAGE_COMPLAINED, facts)
            case _:
                self._fold(EventType.CONSENT_CHANGED, ConsentFacts(channel="email", granted=False, method="admin"))
        return True

    def is_out(self) -> bool:
        """Does the gate's own state say so?"""
        person = self.customers.person(TENANT, self.customer)
        assert person is not None
        said = {consent.channel: consent.status for consent in person.consents}
        return said.get("email") is ConsentStatus.OPT_OUT or "email" in person.suppressed

    def state(self) -> str:
        """Everything that is stored."""
        return repr((sorted(self.rows.partitions.items()), self.events.envelopes()))

    def _fold(self, kind: EventType, facts: Any, days: int = 0) -> CustomerId | None:
        at = self.time.now() + timedelta(days=days)
        event = Event(
            tenant=TENANT, event_id=EventId(f"{kind}-{facts_json(facts)}-{at.isoformat()}"), event_type=kind,
            source="shopify", store=STORE, subject="shopify/store/customer/1", occurred_at=at, received_at=at,
            version=at.isoformat(), person=Person(source_customer_id="1", email="hanako@example.com"), facts=facts,
        )  # fmt: skip
        return fold.apply(event, self.customers, KEYS, shop.a_shop()).customer_id


# --- T5 ---------------------------------------------------------------------------------------------------------------


def lost_opt_out_reply(_: int, rng: random.Random) -> None:
    """T5: any reply on the way of an opt-out is lost; who asks again is out at last, and stays out."""
    site = Site(rng, lost=0.4)
    body = rng.choice([ONE_CLICK, BUTTON])
    for _attempt in range(40):
        answer = act(site.link, body, site.deps, site.time.now())
        if answer.status == 200:
            break
        assert answer.status == 503, f"answered {answer.status}"
        site.time.pass_(rng.choice([0.1, 5, 60]))
    assert site.is_out(), "acknowledged, and not out"
    site.rows.lost = 0.0
    consents = list(site.rows.of_kind(TENANT, "consent"))
    assert len(consents) == 1, f"{len(consents)} consents of one channel"


# --- T15 --------------------------------------------------------------------------------------------------------------


def opt_out_race(case: int, rng: random.Random) -> None:
    """T15: one of four sources says no while up to four workers send; no call starts 1 s after it was acknowledged."""
    source = SOURCES[case % len(SOURCES)]
    world = a_world("email")
    site = Site(rng, time=world.time)
    requests = [shop.a_request(step, site.customer) for step in ("first", "second")]
    world.read_person = site.customers.person  # type: ignore[method-assign,assignment]
    said: list[datetime] = []
    ports: list[Ports] = []

    def worker(pause: Callable[[], None]) -> None:
        mine = Ports(world, Anywhere(rng, rng.choice([0, 0.05])), rng, pause)
        ports.append(mine)
        for request in rng.sample(requests, 2):
            for _ in range(3):
                try:
                    one_attempt(request, world, mine)
                    break
                except UnavailableError:
                    pause()

    def customer(pause: Callable[[], None]) -> None:
        for _ in range(rng.randrange(20)):
            pause()
        asked = world.time.now()
        assert site.says_no(source), f"{source} was not acknowledged"
        said.append(world.time.now())
        assert said[0] - asked <= timedelta(seconds=1), f"acknowledged after {said[0] - asked}"

    jobs = [worker] * rng.randint(1, 4) + [customer]
    Interleaving(world, rng).run(jobs)
    world.time.pass_(70)
    calm = Ports(world, Never(), rng)
    for request in requests:
        one_attempt(request, world, calm)
    assert not calm.started, "a mail after the opt-out was acknowledged"
    late = [at - said[0] for each in ports for _, at in each.started if at > said[0] + timedelta(seconds=1)]
    assert not late, f"{source}: a call started {max(late)} after the opt-out"
    _balance(world, requests)


def _balance(world: ChannelWorld, requests: list[Any]) -> None:
    sent = world.sent_ids()
    assert len(sent) == len(set(sent)), "accepted twice"
    for request in requests:
        row = world.ledger.row(request.key)
        assert row is not None, "due, and no row"
        assert row.state not in (SendState.RESERVED, SendState.SENDING), row
        assert (row.state is not SendState.SENT) or request.send_id in sent
