"""Kill the sender at every step and lose the reply of every call: no mail twice, none lost without a record.

Where the points of reliability.md §1.4 are here: C0 before `reserve` · C1 `reserve`, reply lost · C2 after `reserve` ·
C3 after `read_person` or `claim` · C3b after `mark` · C4 `send`, reply lost · C5 killed after `send` · C6 `record`,
reply lost · C7 the batch repeated after it was done · C8 whoever repairs a dead attempt's row dies too.
"""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from shared.core.errors import UnavailableError
from shared.core.ids import CustomerId
from shared.customers.store import MemoryCustomerStore
from shared.delivery import live, rules, send, store
from shared.delivery.channels.call import CallChannel
from shared.delivery.channels.channel import Channel
from shared.delivery.channels.fake import FakeChannel
from shared.delivery.channels.handover import TEXT as NOTICE
from shared.delivery.channels.handover import HandoverChannel
from shared.delivery.channels.line import LineChannel
from shared.delivery.channels.postal import PostalChannel
from shared.delivery.channels.ses import SesChannel
from shared.delivery.channels.sms import SmsChannel
from shared.delivery.channels.webhook import WebhookChannel
from shared.delivery.model import Outcome, Reason, SendState
from shared.delivery.pacing import NO_QUEUE
from shared.delivery.render import TemplateStore
from shared.delivery.store import Attempt
from shared.delivery.tray import MemoryTray
from tests.amount import amount
from tests.unit.delivery.chaos import (
    CALLS,
    AtCall,
    Fault,
    Killed,
    Never,
    Oracle,
    Ports,
    ViolationError,
    interleaved,
    one_attempt,
    until_decided,
)
from tests.unit.delivery.world import HANAKO, KEYS, NOON, World, a_consent, a_person, a_request, opted_out

SEEDS = amount(100, sample=25)
"""Of each crash."""
BLOCK = amount(500, sample=100)
"""Of the ways in which workers overtake each other; `MATAKITE_FULL=1` plays 2,000 and 1,000 of them."""
FAULTS = [fault for fault in Fault if fault is not Fault.NONE]


EVERY: dict[str, type[Channel] | Channel] = {
    "email": SesChannel,
    "line": LineChannel,
    "sms": SmsChannel,
    "postal": PostalChannel,
    "call": CallChannel,
    "webhook": WebhookChannel,
    "notify": HandoverChannel("notify", MemoryTray(), (NOTICE,)),
    "export": HandoverChannel("export", MemoryTray()),
}
"""Every channel there is: its parts and what it promises of a repeat are its own."""

REACHABLE: dict[str, Any] = {
    "phone": "+818000000001",
    "line_user_id": "U000000000000000000000000000000a1",
    "first_name": "花子",
    "postal_code": "100-0001",
    "address": "東京都千代田区千代田1-1",
}


def world_of(plain: TemplateStore, channel: str) -> World:
    """Somebody who can be reached in every way, over a provider that keeps the channel's own promise."""
    kind: Any = EVERY[channel]
    agreed = replace(a_consent(), channel=channel)
    person = a_person(consents=(agreed,), **REACHABLE)
    fake = FakeChannel(parts=kind.parts, repeats=kind.repeats)
    return World(plain, ses=fake, people={HANAKO: person}, channel=channel)


def crash(
    plain: TemplateStore,
    call: str,
    fault: Fault,
    seed: int,
    repeats: timedelta | None = None,
    world: World | None = None,
) -> tuple[Outcome, AtCall, World, list[Ports]]:
    """One message with one fault at one call (and sometimes more), until it is decided; judged by the oracle."""
    rng = random.Random(f"{call}/{fault}/{seed}")
    world = world or World(plain, ses=FakeChannel(repeats=repeats))
    request = a_request(expires_at=NOON + timedelta(hours=2), channel=world.channel)
    plan = AtCall(call, fault, rng, more=rng.choice([0, 0, 0.1]))
    outcome, tried = until_decided(request, world, plan, rng)
    for ports in tried:
        ports.land()
    oracle = Oracle(world, [request])
    oracle.judge([started for ports in tried for started in ports.started])
    return outcome, plan, world, tried


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("call", CALLS)
def test_one_fault_at_one_call(plain: TemplateStore, call: str, fault: Fault) -> None:
    for seed in range(SEEDS):
        outcome, plan, world, tried = crash(plain, call, fault, seed)
        assert plan.fired, "the fault never happened"
        if outcome.state is SendState.UNKNOWN:
            assert any(ports.in_doubt for ports in tried), (seed, plan.fired)
        else:
            assert outcome.state is SendState.SENT, (seed, outcome, plan.fired)
        # SES's own Send event arrives at last, for what it accepted: nothing stays in doubt that was sent.
        for message in world.ses.accepted:
            world.ledger.settle(message.key, "0106-late", world.time.now())
            row = world.ledger.row(message.key)
            assert row is not None
            assert row.state is SendState.SENT


@pytest.mark.parametrize("fault", FAULTS)
@pytest.mark.parametrize("call", CALLS)
def test_where_the_provider_knows_a_repeat_nothing_stays_in_doubt(
    plain: TemplateStore, call: str, fault: Fault
) -> None:
    """LINE's retry key, a printer's file, a webhook's id: the same send again is no second message."""
    for seed in range(SEEDS):
        outcome, plan, world, _ = crash(plain, call, fault, seed, repeats=timedelta(hours=24))
        assert plan.fired, "the fault never happened"
        assert outcome.state is SendState.SENT, (seed, outcome, plan.fired)
        assert len(world.ses.accepted) == 1


@pytest.mark.parametrize("channel", EVERY)
def test_every_channel_by_its_own_promise(plain: TemplateStore, channel: str) -> None:
    """Never twice on any; nothing in doubt on LINE, in letters, calls and webhooks."""
    outcomes = Counter[SendState]()
    for call in CALLS:
        for fault in FAULTS:
            for seed in range(10):
                outcome, plan, world, tried = crash(plain, call, fault, seed, world=world_of(plain, channel))
                assert plan.fired, "the fault never happened"
                assert len(world.ses.accepted) <= 1
                assert outcome.state is not SendState.UNKNOWN or any(ports.in_doubt for ports in tried)
                outcomes[outcome.state] += 1
    wanted = {SendState.SENT} if world_of(plain, channel).ses.repeats else {SendState.SENT, SendState.UNKNOWN}
    assert set(outcomes) == wanted, outcomes


def test_every_channel_that_is_live_is_in_the_matrix(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "client", lambda *names: None)
    monkeypatch.setattr(live, "load_key_ring", lambda secret: KEYS)
    monkeypatch.setattr(live, "live_turns", lambda table: NO_QUEUE, raising=False)
    people = MemoryCustomerStore()
    deps = live.live_send_deps("deliveries", people, "keys", "set", "/matakite", "work")
    assert set(deps.channels) == set(EVERY)
    for name, channel in deps.channels.items():
        kind: Any = EVERY[name]
        assert (channel.parts, channel.repeats) == (kind.parts, kind.repeats)


@pytest.mark.parametrize("late", [timedelta(hours=23), timedelta(hours=25)])
def test_a_repeat_is_made_only_while_the_provider_still_knows_the_first(plain: TemplateStore, late: timedelta) -> None:
    world, request, rng = World(plain, ses=FakeChannel(repeats=timedelta(hours=24))), a_request(), random.Random(1)
    with pytest.raises(Killed):
        one_attempt(request, world, Ports(world, AtCall("send", Fault.KILL_AFTER, rng), rng))
    world.time.pass_(late.total_seconds())
    outcome = one_attempt(request, world, Ports(world, Never(), rng))
    assert outcome.state is (SendState.SENT if late < timedelta(hours=24) else SendState.UNKNOWN)
    assert len(world.ses.accepted) == 1


@pytest.mark.parametrize("fault", [Fault.KILL, Fault.KILL_AFTER, Fault.LOST_REPLY])
def test_who_says_no_before_the_repeat_gets_no_second_call(plain: TemplateStore, fault: Fault) -> None:
    world, request, rng = World(plain, ses=FakeChannel(repeats=timedelta(hours=24))), a_request(), random.Random(2)
    with pytest.raises((Killed, UnavailableError)):
        one_attempt(request, world, Ports(world, AtCall("send", fault, rng), rng))
    world.people[HANAKO] = opted_out(world.people[HANAKO])
    world.time.pass_(61)
    calm = Ports(world, Never(), rng)
    assert one_attempt(request, world, calm).state is SendState.UNKNOWN
    assert not calm.started


@pytest.mark.parametrize("block", range(2))
def test_workers_interleaved_over_a_channel_that_takes_repeats(plain: TemplateStore, block: int) -> None:
    for seed in range(block * BLOCK, (block + 1) * BLOCK):
        world = two_people(plain)
        world.ses.repeats = timedelta(hours=24)
        try:
            interleaved(world, DUE, seed)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error}") from error


@pytest.mark.parametrize("fault", [Fault.EXCEPTION, Fault.KILL])
@pytest.mark.parametrize("call", ["contact", "reserve", "read_person", "claim", "mark"])
def test_before_the_mark_no_single_fault_costs_a_mail(plain: TemplateStore, call: str, fault: Fault) -> None:
    for seed in range(SEEDS):
        rng = random.Random(seed)
        world = World(plain)
        outcome, _ = until_decided(a_request(), world, AtCall(call, fault, rng), rng)
        assert outcome.state is SendState.SENT
        assert len(world.ses.accepted) == 1


@dataclass
class Both:
    """Two faults, each at its own call."""

    plans: tuple[AtCall, AtCall]

    def fault(self, call: str) -> Fault:
        kinds = [plan.fault(call) for plan in self.plans]
        return max(kinds, key=lambda kind: kind is not Fault.NONE)


@pytest.mark.parametrize("fault", [Fault.EXCEPTION, Fault.TIMEOUT, Fault.LOST_REPLY, Fault.REPEATED])
def test_a_throttled_mail_whose_release_fails_too_is_sent_later(plain: TemplateStore, fault: Fault) -> None:
    """SES said that it did not take it: that knowledge is not lost with one write."""
    for seed in range(SEEDS):
        rng = random.Random(seed)
        world, request = World(plain), a_request()
        plan = Both((AtCall("send", Fault.EXCEPTION, rng), AtCall("release", fault, rng)))
        outcome, tried = until_decided(request, world, plan, rng)
        assert all(each.fired for each in plan.plans)
        assert outcome.state is SendState.SENT, (seed, outcome)
        Oracle(world, [request]).judge([started for ports in tried for started in ports.started])


def test_c7_the_batch_is_repeated_after_it_was_done(world: World) -> None:
    rng = random.Random(7)
    first = one_attempt(a_request(), world, Ports(world, Never(), rng))
    assert [one_attempt(a_request(), world, Ports(world, Never(), rng)) for _ in range(5)] == [first] * 5
    assert len(world.ses.accepted) == 1


@pytest.mark.parametrize("fault", FAULTS)
def test_c8_whoever_repairs_a_dead_attempts_row_dies_too(plain: TemplateStore, fault: Fault) -> None:
    for seed in range(SEEDS):
        rng = random.Random(seed)
        world, request = World(plain), a_request()
        dead = Attempt("dead", NOON)
        world.ledger.reserve(request, dead, NOON)
        world.ledger.mark(request.key, dead, NOON)
        world.time.pass_(61)
        outcome, tried = until_decided(request, world, AtCall("abandon", fault, rng), rng)
        assert outcome == Outcome(SendState.UNKNOWN, Reason.AMBIGUOUS)
        Oracle(world, [request]).judge([call for ports in tried for call in ports.started])
        assert not world.ses.accepted


def test_a_crash_in_the_middle_and_an_opt_out_before_the_retry(plain: TemplateStore) -> None:
    for call in CALLS[:5]:
        for fault in (Fault.KILL, Fault.KILL_AFTER, Fault.LOST_REPLY):
            world, request, rng = World(plain), a_request(), random.Random(f"{call}{fault}")
            ports = Ports(world, AtCall(call, fault, rng), rng)
            with pytest.raises((Killed, UnavailableError)):
                one_attempt(request, world, ports)
            world.people[HANAKO] = opted_out(world.people[HANAKO])
            world.time.pass_(61)
            outcome = one_attempt(request, world, Ports(world, Never(), rng))
            assert not world.ses.accepted
            assert outcome.state in {SendState.SUPPRESSED, SendState.UNKNOWN}
            assert (outcome.state is SendState.UNKNOWN) == (call == "mark" and fault is Fault.KILL_AFTER)


TARO = CustomerId("taro")
DUE = [a_request("first"), a_request("second"), a_request("first", TARO)]


def two_people(plain: TemplateStore) -> World:
    return World(plain, people={HANAKO: a_person(), TARO: a_person(TARO)})


@pytest.mark.parametrize("block", range(4))
def test_workers_interleaved_at_every_call(plain: TemplateStore, block: int) -> None:
    for seed in range(block * BLOCK, (block + 1) * BLOCK):
        try:
            interleaved(two_people(plain), DUE, seed)
        except Exception as error:
            raise AssertionError(f"seed {seed}: {error}") from error


# --- the tests of the tests: each guard taken away must be noticed ---------------------------------------------------
def _reserve_over_sending(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(
        store, "free", lambda row, attempt, now: row is None or row.lease_until is None or row.lease_until < now
    )


def _reserve_without_looking(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store, "free", lambda row, attempt, now: True)


def _write_what_is_not_ours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(store.MemoryLedgerStore, "_owned", lambda self, key, owner, states: self._rows.get(key))


def _repeat_an_ambiguous_send(monkeypatch: pytest.MonkeyPatch) -> None:
    original = send._Delivery._record

    def record(self: send._Delivery, outcome: Outcome) -> Outcome:
        if outcome.state is not SendState.UNKNOWN:
            return original(self, outcome)
        self._let_go(Reason.NONE)
        raise UnavailableError("try again")

    monkeypatch.setattr(send._Delivery, "_record", record)


def _forget_to_record(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(send._Delivery, "_record", lambda self, outcome: outcome)


def _hold_back_without_a_row(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(send._Delivery, "close", lambda self, outcome: outcome)


def _trust_the_first_read(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(send, "FRESH_SECONDS", 1e9)


def _ask_nobody(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "_refused", lambda person, request: None)


def _claim_over_others(monkeypatch: pytest.MonkeyPatch) -> None:
    original = store.MemoryLedgerStore.claim
    monkeypatch.setattr(
        store.MemoryLedgerStore,
        "claim",
        lambda self, tenant, customer, slots, rev, about: original(
            self, tenant, customer, slots, self.contact(tenant, [customer]).rev, about
        ),
    )


def _give_the_slot_back_in_doubt(monkeypatch: pytest.MonkeyPatch) -> None:
    original = send._Delivery._record

    def record(self: send._Delivery, outcome: Outcome) -> Outcome:
        recorded = original(self, outcome)
        if outcome.state is SendState.UNKNOWN:
            self._unclaim()
        return recorded

    monkeypatch.setattr(send._Delivery, "_record", record)


def _abandon_to_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    """A SENDING row whose lease is over is taken for not sent."""
    monkeypatch.setattr(store, "UNKNOWN", Outcome(SendState.RESERVED))


def _never_too_late(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rules, "_too_late", lambda request, now: None)


@pytest.mark.parametrize(
    ("without", "invariant"),
    [
        (_reserve_over_sending, "I1"),
        (_reserve_without_looking, "I1"),
        (_write_what_is_not_ours, "I1"),
        (_repeat_an_ambiguous_send, "I1"),
        (_abandon_to_nothing, "I1"),
        (_forget_to_record, "I2"),
        (_hold_back_without_a_row, "I2"),
        (_trust_the_first_read, "I3"),
        (_ask_nobody, "I3"),
        (_claim_over_others, "I6"),
        (_give_the_slot_back_in_doubt, "I6"),
        (_never_too_late, "I6"),
    ],
)
def test_a_guard_taken_away_is_noticed(
    plain: TemplateStore, monkeypatch: pytest.MonkeyPatch, without: Callable[[pytest.MonkeyPatch], None], invariant: str
) -> None:
    without(monkeypatch)
    due = [
        a_request("first", expires_at=NOON + timedelta(seconds=30)),
        a_request("second"),
        a_request("first", TARO),
    ]
    found = set()
    for seed in range(1500):
        try:
            interleaved(two_people(plain), due, seed)
        except ViolationError as violation:
            found.add(str(violation)[:2])
        except UnavailableError:
            # The calm redrive found no way out: a row stuck for ever is a lost one.
            found.add("I2")
        if invariant in found:
            return
    pytest.fail(f"nothing noticed, only {found}")
