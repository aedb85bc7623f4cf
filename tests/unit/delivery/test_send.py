"""One message through the whole protocol, without faults."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.core.errors import MisconfiguredError, UnavailableError
from shared.core.ids import CustomerId
from shared.core.shop import Shop
from shared.customers.model import PersonState
from shared.customers.store import CustomerStore
from shared.delivery.channels.channel import Around, InTime, NotSentError, StoppedError
from shared.delivery.channels.fake import Fault
from shared.delivery.channels.ses import SUBJECT, TEXT
from shared.delivery.live import live_send_deps
from shared.delivery.model import Outcome, Purpose, Reason, SendState
from shared.delivery.pacing import NO_QUEUE
from shared.delivery.send import deliver, hold_back
from shared.delivery.spend.budget import Budgeted, Lots
from shared.delivery.spend.store import MemorySpend
from tests.unit.delivery.world import HANAKO, KEYS, NOON, TENANT, World, a_person, a_request, a_shop, jst, opted_out

SENT = SendState.SENT


def test_a_mail_goes_out_once_and_the_ledger_says_so(world: World) -> None:
    request = a_request()
    outcome = deliver(request, world.people[HANAKO], world.deps(), NOON)
    assert (outcome.state, outcome.message_id) == (SENT, "fake-000001")
    assert deliver(request, world.people[HANAKO], world.deps(), NOON) == outcome
    assert world.sent_ids() == [request.send_id]
    row = world.ledger.row(request.key)
    assert row is not None
    assert (row.state, row.sent_at, row.message_id, row.lease_until) == (SENT, NOON, "fake-000001", None)


def test_the_message_carries_the_persons_address_and_a_way_out(world: World) -> None:
    deliver(a_request(), world.people[HANAKO], world.deps(), NOON)
    (message,) = world.ses.accepted
    assert (message.to, message.parts[SUBJECT], message.parts[TEXT]) == ("hanako@example.com", "見本商店", "見本\n")
    assert message.unsubscribe_url.startswith("https://go.example.jp/v1/unsubscribe/v1.")
    assert "hanako@" not in message.unsubscribe_url


def test_somebody_who_may_not_be_written_to_costs_one_write(world: World) -> None:
    request, calls = a_request(), []

    class Counting(type(world.ledger)):  # type: ignore[misc]
        def hold(self, *args: object) -> object:
            calls.append("hold")
            return super().hold(*args)

        def reserve(self, *args: object) -> object:
            calls.append("reserve")
            return super().reserve(*args)

    world.ledger = Counting()
    outcome = deliver(request, opted_out(a_person()), world.deps(), NOON)
    assert outcome == Outcome(SendState.SUPPRESSED, Reason.OPTED_OUT)
    assert calls == ["hold"]


def test_an_opt_out_after_the_callers_read_wins(world: World) -> None:
    stale = world.people[HANAKO]
    world.people[HANAKO] = opted_out(stale)
    outcome = deliver(a_request(), stale, world.deps(), NOON)
    assert outcome == Outcome(SendState.SUPPRESSED, Reason.OPTED_OUT)
    assert not world.ses.accepted
    assert not world.ledger.contact(TENANT, [HANAKO]).slots


def test_an_opt_out_during_a_slow_write_wins_if_more_than_a_second_passes(world: World) -> None:
    class SlowMark(type(world.ledger)):  # type: ignore[misc]
        def mark(self, *args: object) -> object:
            world.time.pass_(1.5)
            world.people[HANAKO] = opted_out(world.people[HANAKO])
            return super().mark(*args)

    world.ledger = SlowMark()
    outcome = deliver(a_request(), world.people[HANAKO], world.deps(), NOON)
    assert outcome == Outcome(SendState.SUPPRESSED, Reason.OPTED_OUT)
    assert not world.ses.accepted
    assert not world.ledger.contact(TENANT, [HANAKO]).slots


def test_a_no_said_while_what_stands_around_a_channel_wrote_wins(world: World) -> None:
    class SlowSpend(MemorySpend):
        def take(self, *given: Any) -> int:
            world.time.pass_(1.5)
            world.people[HANAKO] = opted_out(world.people[HANAKO])
            return super().take(*given)

    spend, request = SlowSpend(), a_request()
    lots = Lots(spend)
    channel = Budgeted(InTime(world.ses), "line", lambda _: 1, lots, lambda _: world.shop, world.time)
    with pytest.raises(NotSentError, match="consent"):
        deliver(request, world.people[HANAKO], world.deps(channel=channel), NOON)
    lots.put_back()
    assert not world.ses.accepted
    assert spend.used(TENANT, "line#2026-11") == 0
    outcome = deliver(request, world.people[HANAKO], world.deps(channel=channel), NOON)
    assert outcome == Outcome(SendState.SUPPRESSED, Reason.OPTED_OUT)


@pytest.mark.parametrize("name", ["line", "sms"])
def test_the_last_thing_around_a_channel_looks_whether_there_is_still_time(
    monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setattr("shared.delivery.live.client", lambda *service: None)
    monkeypatch.setattr("shared.delivery.live.live_turns", lambda table: NO_QUEUE)
    monkeypatch.setattr("shared.delivery.live.load_key_ring", lambda _: KEYS)
    around: Any = live_send_deps("deliveries", CustomerStore("customers"), "keys", "set", "/matakite").channels[name]
    while isinstance(around.channel, Around):
        around = around.channel
    assert isinstance(around, InTime)


def test_a_store_too_slow_to_read_consent_safely_sends_nothing_and_lets_go(world: World) -> None:
    def slow(tenant: object, customer: CustomerId) -> PersonState | None:
        world.time.pass_(2)
        return world.people[customer]

    request = a_request()
    with pytest.raises(UnavailableError, match="opt-out"):
        deliver(request, world.people[HANAKO], world.deps(read_person=slow), NOON)
    assert not world.ses.accepted
    assert deliver(request, world.people[HANAKO], world.deps(), NOON).state is SENT


def test_a_throttled_mail_is_let_go_and_goes_out_on_the_next_try(world: World) -> None:
    world.ses.plan(Fault.THROTTLE)
    request = a_request()
    with pytest.raises(NotSentError):
        deliver(request, world.people[HANAKO], world.deps(), NOON)
    row = world.ledger.row(request.key)
    assert row is not None
    assert row.state is SendState.RESERVED
    assert not world.ledger.contact(TENANT, [HANAKO]).slots
    assert deliver(request, world.people[HANAKO], world.deps(), NOON).state is SENT
    assert len(world.ses.accepted) == 1


def test_a_paused_account_stops_the_batch_and_the_row_says_why(world: World) -> None:
    world.ses.plan(Fault.PAUSE)
    with pytest.raises(StoppedError):
        deliver(a_request(), world.people[HANAKO], world.deps(), NOON)
    row = world.ledger.row(a_request().key)
    assert row is not None
    assert (row.state, row.reason) == (SendState.RESERVED, Reason.STOPPED)


def test_a_refused_mail_has_failed_and_uses_up_no_slot(world: World) -> None:
    world.ses.plan(Fault.REJECT)
    outcome = deliver(a_request(), world.people[HANAKO], world.deps(), NOON)
    assert outcome == Outcome(SendState.FAILED, Reason.REJECTED)
    assert deliver(a_request("second"), world.people[HANAKO], world.deps(), NOON).state is SENT


@pytest.mark.parametrize("fault", [Fault.LOSE_REPLY, Fault.HANG, Fault.FAIL_AFTER, Fault.FAIL_BEFORE])
def test_an_ambiguous_marketing_mail_is_never_sent_again_and_keeps_its_slot(world: World, fault: Fault) -> None:
    world.ses.plan(fault)
    request = a_request()
    unknown = Outcome(SendState.UNKNOWN, Reason.AMBIGUOUS)
    assert deliver(request, world.people[HANAKO], world.deps(), NOON) == unknown
    world.time.pass_(3600)
    assert deliver(request, world.people[HANAKO], world.deps(), NOON) == unknown
    assert len(world.ses.accepted) <= 1
    other = deliver(a_request("second"), world.people[HANAKO], world.deps(), NOON)
    assert other == Outcome(SendState.SUPPRESSED, Reason.FREQUENCY_CAP)
    assert [row.send_id for row in world.ledger.unresolved(TENANT, world.time.now())] == [request.send_id]


def test_the_providers_own_word_settles_an_ambiguous_mail(world: World) -> None:
    world.ses.plan(Fault.LOSE_REPLY)
    request = a_request()
    deliver(request, world.people[HANAKO], world.deps(), NOON)
    assert world.ledger.settle(request.key, "0106-ses", NOON + timedelta(seconds=3))
    assert deliver(request, world.people[HANAKO], world.deps(), NOON) == Outcome(SENT, Reason.NONE, "0106-ses")
    assert not list(world.ledger.unresolved(TENANT, world.time.now() + timedelta(days=1)))


def test_a_staged_scenario_records_what_it_would_do_and_sends_nothing(world: World) -> None:
    outcome = deliver(a_request(staged=True), world.people[HANAKO], world.deps(), NOON)
    assert outcome == Outcome(SendState.SUPPRESSED, Reason.STAGED)
    held = deliver(a_request("second", staged=True), opted_out(a_person()), world.deps(), NOON)
    assert held == Outcome(SendState.SUPPRESSED, Reason.OPTED_OUT)
    assert not world.ses.accepted


def test_at_night_nothing_is_written_and_the_mail_goes_out_in_the_morning(world: World) -> None:
    request, night = a_request(), jst("2026-11-20 22:30")
    waiting = deliver(request, world.people[HANAKO], world.deps(), night)
    assert waiting == Outcome(SendState.RESERVED, Reason.QUIET_HOURS)
    assert world.ledger.row(request.key) is None
    assert deliver(request, world.people[HANAKO], world.deps(), jst("2026-11-21 08:00")).state is SENT


def test_a_broken_template_fails_this_message_only(world: World) -> None:
    folder = world.templates.root / "broken"
    folder.mkdir(exist_ok=True)
    for part in ("subject.txt", "mail.html", "mail.txt"):
        (folder / part).write_text("{{ cart.nonsense }}")
    outcome = deliver(a_request(template="broken", context={"cart": {}}), world.people[HANAKO], world.deps(), NOON)
    assert outcome == Outcome(SendState.FAILED, Reason.TEMPLATE)


def test_the_scenario_can_hold_somebody_back_but_not_undo_a_mail(world: World) -> None:
    first, second = a_request("first"), a_request("second")
    assert hold_back(first, Reason.ORDERED, world.deps(), NOON) == Outcome(SendState.SUPPRESSED, Reason.ORDERED)
    assert deliver(first, world.people[HANAKO], world.deps(), NOON).reason is Reason.ORDERED
    deliver(second, world.people[HANAKO], world.deps(), NOON)
    assert hold_back(second, Reason.ORDERED, world.deps(), NOON).state is SENT
    assert hold_back(a_request("third"), Reason.TOO_LATE, world.deps(), NOON).state is SendState.EXPIRED


def test_holding_back_closes_a_row_that_a_dead_attempt_left_sending(world: World) -> None:
    request = a_request()
    dead = world.deps()
    from shared.delivery.store import Attempt

    attempt = Attempt("dead", NOON)
    world.ledger.reserve(request, attempt, NOON)
    world.ledger.mark(request.key, attempt, NOON)
    with pytest.raises(UnavailableError, match="another attempt"):
        hold_back(request, Reason.EXITED, dead, NOON)
    world.time.pass_(61)
    assert hold_back(request, Reason.EXITED, dead, NOON) == Outcome(SendState.UNKNOWN, Reason.AMBIGUOUS)


def test_a_merged_persons_earlier_mails_count_under_the_cap(world: World) -> None:
    deliver(a_request(), world.people[HANAKO], world.deps(), NOON)
    joined = CustomerId("joined")
    survivor = a_person(joined, aliases=frozenset({HANAKO}))
    world.people = {joined: survivor, HANAKO: survivor}
    outcome = deliver(a_request("second", joined), survivor, world.deps(), NOON + timedelta(hours=1))
    assert outcome.reason is Reason.FREQUENCY_CAP


def test_transactional_mail_needs_no_consent_no_slot_and_no_daylight(world: World) -> None:
    world.people[HANAKO] = opted_out(a_person())
    night = jst("2026-11-20 23:00")
    for step in ("receipt", "shipped"):
        request = a_request(step, purpose=Purpose.TRANSACTIONAL)
        assert deliver(request, world.people[HANAKO], world.deps(), night).state is SENT
    assert not world.ledger.contact(TENANT, [HANAKO]).slots


@pytest.mark.parametrize(
    ("shop", "message"),
    [
        (replace(a_shop(), public_url=""), "public_url"),
        (a_shop(postal_address=""), "postal_address"),
        (a_shop(from_address="news"), "from_address"),
        (a_shop(cap_per_day=0), "cap_per_day"),
        (a_shop(quiet_hours={"email": ["25:00", "8"]}), "quiet_hours"),
    ],
)
def test_a_shop_set_up_wrongly_sends_nothing_and_is_told_what_to_mend(world: World, shop: Shop, message: str) -> None:
    world.shop = shop
    with pytest.raises(MisconfiguredError, match=message):
        deliver(a_request(), world.people[HANAKO], world.deps(), NOON)
    assert world.ledger.row(a_request().key) is None


def test_an_unknown_channel_is_a_mistake_of_ours(world: World) -> None:
    with pytest.raises(MisconfiguredError, match="carrier_pigeon"):
        deliver(a_request(channel="carrier_pigeon"), world.people[HANAKO], world.deps(), NOON)
