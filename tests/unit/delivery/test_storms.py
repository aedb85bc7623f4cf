"""T6, T7, T15 in virtual time: SES throttles for ten minutes, is away for half an hour; people opt out meanwhile."""

from __future__ import annotations

import random
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from shared.core.errors import UnavailableError
from shared.core.ids import CustomerId, TenantId
from shared.customers.model import Consent, ConsentStatus, PersonState
from shared.delivery.channels.channel import Accepted, Message, NotSentError
from shared.delivery.model import Outcome, SendState
from shared.delivery.send import deliver
from tests.amount import amount
from tests.unit.delivery.test_pacing import NIGHTLESS, Own, Paced, Timed, busiest_second
from tests.unit.delivery.world import HANAKO, NOON, STORE, World, a_consent, a_person, a_request, a_shop

COME_BACK = timedelta(seconds=90)
PEOPLE = 300
RATE = 14
RACES = amount(10_000, sample=1_000)


class Storm(Timed):
    """SES that refuses everything until an instant."""

    def __init__(self, clock: Own, until: datetime) -> None:
        super().__init__(clock)
        self.until = until
        self.calls_of: Counter[str] = Counter()

    def send(self, message: Message) -> Any:
        self.calls_of[message.key.send_id] += 1
        if self.clock.now() < self.until:
            self.calls.append(self.clock.now())
            raise NotSentError("429")
        return super().send(message)


def ride_out(world: World, storm: timedelta, patience: timedelta) -> tuple[Storm, Counter[SendState], Paced]:
    """A batch as the machine does it: everybody, then who is left, every 90 seconds."""
    world.shop = a_shop(**NIGHTLESS)
    paced = Paced(world, per_second=RATE)
    people = paced.people(PEOPLE)
    ses = Storm(paced.clock, NOON + storm)
    world.ses = ses
    paced.deps = replace(paced.deps, channels={"email": ses})
    outcomes: Counter[SendState] = Counter()
    waiting = people
    for _ in range(100):
        left = []
        for customer in waiting:
            try:
                outcomes[paced.send(customer, expires_at=NOON + patience).state] += 1
            except UnavailableError:
                left.append(customer)
        if not left:
            return ses, outcomes, paced
        waiting = left
        paced.clock.pass_(COME_BACK.total_seconds())
    raise AssertionError("it never ends")


def test_ten_minutes_of_429_lose_nobody_and_no_send_is_called_for_more_than_thrice(world: World) -> None:
    ses, outcomes, _ = ride_out(world, timedelta(seconds=600), timedelta(days=1))
    assert outcomes == {SendState.SENT: PEOPLE}
    assert Counter(message.key.send_id for message in ses.accepted).most_common(1)[0][1] == 1
    assert max(ses.calls_of.values()) <= 3
    assert busiest_second(ses.calls) <= RATE


def test_half_an_hour_away_what_is_late_expires_and_the_rest_leaves_at_the_rate_not_in_a_burst(world: World) -> None:
    ses, outcomes, paced = ride_out(world, timedelta(minutes=30), timedelta(minutes=31, seconds=10))
    assert outcomes[SendState.EXPIRED] > 0
    assert sum(outcomes.values()) == PEOPLE, "each sent or expired, none lost"
    assert outcomes[SendState.SENT] == len(ses.accepted) == len({m.key.send_id for m in ses.accepted})
    assert busiest_second(ses.calls) <= RATE
    states = {row.state for customer in world.people for row in world.ledger.rows(TenantId("mihon"), customer)}
    assert states <= {SendState.SENT, SendState.EXPIRED}
    assert paced.clock.now() < NOON + timedelta(hours=1)


# --- T15 ---


def one_click(person: PersonState) -> PersonState:
    return replace(person, consents=(a_consent(ConsentStatus.OPT_OUT, method="one_click"),))


def page(person: PersonState) -> PersonState:
    return replace(person, consents=(a_consent(ConsentStatus.OPT_OUT, method="preferences"),))


def complaint(person: PersonState) -> PersonState:
    said = Consent("email", STORE, ConsentStatus.OPT_OUT, NOON, "complaint")
    return replace(person, consents=(said,), suppressed=frozenset({"email"}))


def admin(person: PersonState) -> PersonState:
    return replace(person, consents=(a_consent(ConsentStatus.OPT_OUT, method="admin"),))


class Race:
    """One mail whose every call takes a random time; at one instant somebody opts out."""

    def __init__(self, world: World, seed: int) -> None:
        self.rng = random.Random(seed)
        self.world = world
        self.clock = Own()
        world.time = self.clock
        world.people = {HANAKO: a_person()}
        self.source = [one_click, page, complaint, admin][seed % 4]
        self.out_at = NOON + timedelta(seconds=self.rng.random() * 4)
        self.read_at = NOON
        self.started_at: datetime | None = None
        self.parts, self.repeats = world.ses.parts, None

    def time(self) -> None:
        self.clock.pass_(self.rng.choice([0.001, 0.02, 0.3, 0.9, 1.5]))

    def person(self, tenant: TenantId, customer: CustomerId) -> PersonState:
        """Read at one instant, answered at a later one."""
        self.read_at = self.clock.now()
        found = self.world.people[customer]
        seen = self.source(found) if self.clock.now() >= self.out_at else found
        self.clock.pass_(self.rng.choice([0.001, 0.02, 0.3]))
        return seen

    def send(self, message: Message) -> Accepted:
        self.started_at = self.clock.now()
        return Accepted("m1")

    def run(self, seed: int) -> Outcome | None:
        race, ledger = self, self.world.ledger

        class Slow:
            def __getattr__(self, name: str) -> Any:
                race.time()
                return getattr(ledger, name)

        slow: Any = Slow()
        channel: Any = self
        deps = self.world.deps(slow, channel, self.person)
        try:
            return deliver(a_request(occurrence=f"c{seed}"), self.person(TenantId("mihon"), HANAKO), deps, NOON)
        except UnavailableError:
            return None


def test_an_opt_out_wins_in_races_from_four_sources(plain: Any) -> None:
    """A sample; 10,000 races with `MATAKITE_FULL=1`."""
    sent = held = 0
    for seed in range(RACES):
        race = Race(World(plain, shop=a_shop(**NIGHTLESS)), seed)
        outcome = race.run(seed)
        if race.started_at is not None:
            sent += 1
            assert race.started_at <= race.out_at + timedelta(seconds=1), seed
            assert race.started_at - race.read_at <= timedelta(seconds=1), seed
        held += outcome is not None and outcome.state is SendState.SUPPRESSED
    assert min(sent, held) > RACES / 10, "both happen often, or nothing was tested"


def test_a_gate_that_reads_once_would_lose_races(plain: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shared.delivery.send.FRESH_SECONDS", 1e9)
    late = 0
    for seed in range(500):
        race = Race(World(plain, shop=a_shop(**NIGHTLESS)), seed)
        race.run(seed)
        late += race.started_at is not None and race.started_at > race.out_at + timedelta(seconds=1)
    assert late > 0
