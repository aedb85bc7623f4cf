"""Chaos of one send: a fault at every call (T3), workers interleaved (T4), lost replies (T5), clocks astray (T11)."""

from __future__ import annotations

import random
import tempfile
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path

from shared.core.clock import Clock
from shared.core.ids import CustomerId
from shared.customers.model import Consent, ConsentStatus, PersonState
from shared.delivery.channels.fake import FakeChannel
from shared.delivery.channels.line import REPEATS
from shared.delivery.model import Outcome, SendRequest, SendState
from shared.delivery.render import TemplateStore
from shared.delivery.send import deliver
from shared.delivery.store import Attempt
from tests.unit.delivery import world as shop
from tests.unit.delivery.chaos import (
    CALLS,
    AtCall,
    Fault,
    Never,
    Oracle,
    Ports,
    interleaved,
    one_attempt,
    until_decided,
)
from tests.unit.delivery.world import HANAKO, NOON, STORE, World

FAULTS = tuple(fault for fault in Fault if fault is not Fault.NONE)
CHANNELS = ("email", "sms", "line")
PARTS = {"email": ("subject.txt", "mail.html", "mail.txt"), "sms": ("sms.txt",), "line": ("line.json",)}
POINTS = (*CALLS, "batch again", "repair")
"""C0 to C6 are the calls; C7 repeats a batch that was done; C8 kills whoever repairs a dead attempt's row."""
TARO = CustomerId("taro")


@cache
def templates() -> TemplateStore:
    """The smallest template, with a part for every channel."""
    store = shop.plain_templates(Path(tempfile.mkdtemp(prefix="matakite-chaos-")))
    (store.root / "plain" / "sms.txt").write_text("{{ shop.name }}")
    (store.root / "plain" / "line.json").write_text('[{"type": "text", "text": "{{ shop.name }}"}]')
    return store


def a_person(customer: CustomerId = HANAKO) -> PersonState:
    """Somebody who agreed to every channel."""
    person = shop.a_person(customer, phone="+819000000000", line_user_id="U" + "0" * 32)
    at = NOON - timedelta(days=30)
    consents = tuple(Consent(channel, STORE, ConsentStatus.OPT_IN, at, "test") for channel in CHANNELS)
    return replace(person, consents=consents)


@dataclass
class ChannelWorld(World):
    """The same small shop, sending on one channel; LINE takes a repeat for what it is, as the real one does."""

    def __post_init__(self) -> None:
        self.ses = FakeChannel(parts=PARTS[self.channel], repeats=REPEATS if self.channel == "line" else None)
        self.people = {HANAKO: a_person(), TARO: a_person(TARO)}


def a_world(channel: str) -> ChannelWorld:
    """A fresh shop."""
    return ChannelWorld(templates(), channel=channel)


# --- T3 ---------------------------------------------------------------------------------------------------------------


def crash(case: int, rng: random.Random) -> None:
    """T3: one cell of points × faults × channels, with a seed of its own."""
    cells = [(point, fault, channel) for point in POINTS for fault in FAULTS for channel in CHANNELS]
    point, fault, channel = cells[case % len(cells)]
    world = a_world(channel)
    request = shop.a_request(channel=channel, expires_at=NOON + timedelta(hours=2))
    at = {"batch again": "reserve", "repair": "take_over" if channel == "line" else "abandon"}.get(point, point)
    plan = AtCall(at, fault, rng, more=0.0 if point == "repair" else rng.choice([0, 0, 0.1]))
    if point == "repair":
        _die_at_the_provider(world, request)
    outcome, tried = until_decided(request, world, plan, rng)
    for ports in tried:
        ports.land()
    if point == "batch again":
        again = one_attempt(request, world, Ports(world, Never(), rng))
        settled = outcome.state is SendState.UNKNOWN and again.state is SendState.SENT  # a record that came late
        assert again == outcome or settled, f"a repeated batch says {again}, and was {outcome}"
    Oracle(world, [request]).judge([started for ports in tried for started in ports.started])
    assert plan.fired, f"{point}: the fault never happened"
    if outcome.state is SendState.UNKNOWN:
        assert channel != "line", f"LINE takes repeats, and {point}/{fault} stayed in doubt"
        assert point == "repair" or any(ports.in_doubt for ports in tried), f"{point}/{fault}: in doubt too early"
    else:
        assert outcome.state is SendState.SENT, f"{point}/{fault}/{channel}: {outcome}"


def _die_at_the_provider(world: World, request: SendRequest) -> None:
    dead = Attempt("dead", NOON)
    world.ledger.reserve(request, dead, NOON)
    world.ledger.mark(request.key, dead, NOON)
    world.time.pass_(61)


# --- T4 ---------------------------------------------------------------------------------------------------------------


def due(channel: str) -> list[SendRequest]:
    """Two people, one of them due twice."""
    return [
        shop.a_request("first", channel=channel),
        shop.a_request("second", channel=channel),
        shop.a_request("first", TARO, channel=channel),
    ]


def interleave(case: int, rng: random.Random) -> None:
    """T4: workers stopped at every call, on a channel that takes repeats and on two that do not."""
    channel = CHANNELS[case % len(CHANNELS)]
    interleaved(a_world(channel), due(channel), rng.randrange(2**63))


# --- T5 ---------------------------------------------------------------------------------------------------------------


def lost_ledger_reply(call: str, case: int, rng: random.Random) -> None:
    """T5: the reply of a write of the ledger is lost, or the SDK makes the call again."""
    channel = CHANNELS[case % len(CHANNELS)]
    world, request = a_world(channel), shop.a_request(channel=channel)
    plan = AtCall(call, rng.choice([Fault.LOST_REPLY, Fault.REPEATED]), rng)
    outcome, tried = until_decided(request, world, plan, rng)
    Oracle(world, [request]).judge([started for ports in tried for started in ports.started])
    assert plan.fired
    if call == "record" and channel != "line" and outcome.state is SendState.UNKNOWN:
        return
    assert outcome.state is SendState.SENT, f"{call} on {channel}: {outcome}"
    assert len(world.ses.accepted) == 1


# --- T11 --------------------------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Astray:
    """A worker's clock, wrong by a constant."""

    clock: Clock
    by: timedelta

    def now(self) -> datetime:
        """What this worker takes for the time."""
        return self.clock.now() + self.by


SKEWS = (0, 0, 1, -1, 59, 60, 61, -60, 3600, -3600, 86_400, -86_400)


def clocks(case: int, rng: random.Random) -> None:
    """T11: workers whose clocks are wrong by up to a day; the schedule a step is given bounds them from below.

    A lease taken by a clock that is a day ahead keeps its row for a day: late, never twice.
    """
    skew = {n: timedelta(seconds=rng.choice(SKEWS) * rng.uniform(0.9, 1.0)) for n in range(64)}
    world = a_world("email")
    known: dict[int, timedelta] = {}

    def attempt(request: SendRequest, world: World, ports: Ports) -> Outcome:
        by = known.setdefault(id(ports), skew[len(known) % len(skew)])
        deps = replace(world.deps(ports.ledger(), ports, ports.read_person), clock=Astray(world.time, by))
        now = max(deps.clock.now(), NOON)  # the step's now is never before its schedule
        return deliver(request, world.read_person(request.tenant, request.customer_id), deps, now)

    interleaved(world, due("email"), rng.randrange(2**63), attempt, rest=86_400 + 70)
