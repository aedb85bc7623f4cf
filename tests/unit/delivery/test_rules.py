"""The contact-policy gate: its order of reasons, its caps under any schedule, its nights in any time zone."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, time, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule

from shared.core.clock import shop_day
from shared.core.ids import SendId
from shared.customers.model import Attribute, Consent, ConsentStatus, PersonState
from shared.delivery.model import Contact, Purpose, Reason, SendRequest, SendState
from shared.delivery.policy import ContactPolicy, QuietHours, contact_policy
from shared.delivery.rules import Action, Decision, address, decide, held, held_back, quiet_seconds, with_slot
from tests.unit.delivery.world import NOON, STORE, a_consent, a_person, a_request, a_shop, jst

POLICY = ContactPolicy()
NOBODY = Contact()
ZONES = ("Asia/Tokyo", "America/New_York", "Europe/Berlin", "Australia/Lord_Howe", "Pacific/Apia", "UTC")
instants = st.datetimes(datetime(2024, 1, 1), datetime(2028, 1, 1), timezones=st.just(UTC))  # noqa: DTZ001
times = st.times().map(lambda at: at.replace(microsecond=0))


def gate(person: PersonState | None, request: SendRequest, contact: Contact = NOBODY, now: datetime = NOON) -> Decision:
    return decide(person, request, contact, POLICY, now)


def test_reasons_come_in_a_fixed_order() -> None:
    """One problem is taken away at a time; the reason left is always the first of those that remain."""
    full = Contact({SendId("other"): NOON})
    night = jst("2026-11-20 23:00")
    late = a_request(expires_at=night - timedelta(hours=1))
    person = a_person(erased=True, email=None, consents=())
    person = replace(person, suppressed=frozenset({"email"}))
    seen = []
    mends: list[Callable[[PersonState], PersonState]] = [
        lambda p: p,
        lambda p: replace(p, profile=replace(p.profile, erased=False)),
        lambda p: replace(p, profile=replace(p.profile, email="hanako@example.com")),
        lambda p: replace(p, suppressed=frozenset()),
        lambda p: replace(p, consents=(a_consent(),)),
    ]
    for mend in mends:
        person = mend(person)
        seen.append(gate(person, late, full, night).reason)
    seen.append(gate(person, a_request(), Contact({SendId("other"): night}), night).reason)
    seen.append(gate(person, a_request(), NOBODY, night).reason)
    seen.append(gate(person, a_request(), NOBODY, NOON).reason)
    assert seen == [
        Reason.ERASED,
        Reason.NO_ADDRESS,
        Reason.BOUNCED,
        Reason.NO_CONSENT,
        Reason.TOO_LATE,
        Reason.FREQUENCY_CAP,
        Reason.QUIET_HOURS,
        Reason.NONE,
    ]


def test_an_unknown_person_was_erased() -> None:
    assert gate(None, a_request()) == Decision(Action.HOLD, Reason.ERASED)


def test_a_complaint_is_named_as_one() -> None:
    complained = a_consent(ConsentStatus.OPT_OUT, method="complaint")
    person = replace(a_person(consents=(complained,)), suppressed=frozenset({"email"}))
    assert gate(person, a_request()).reason is Reason.COMPLAINED


@pytest.mark.parametrize(
    ("status", "store", "reason"),
    [
        (ConsentStatus.OPT_IN, "mihon.myshopify.com", Reason.NONE),
        (ConsentStatus.OPT_OUT, "mihon.myshopify.com", Reason.OPTED_OUT),
        (ConsentStatus.UNKNOWN, "mihon.myshopify.com", Reason.NO_CONSENT),
        (ConsentStatus.OPT_IN, "another.myshopify.com", Reason.NO_CONSENT),
        (ConsentStatus.OPT_OUT, "*", Reason.OPTED_OUT),
    ],
)
def test_consent_counts_for_its_own_store(status: ConsentStatus, store: str, reason: Reason) -> None:
    assert gate(a_person(consents=(a_consent(status, store),)), a_request()).reason is reason


def test_consent_to_mail_is_no_consent_to_sms() -> None:
    assert gate(a_person(phone="+81312345678"), a_request(channel="sms")).reason is Reason.NO_CONSENT


def test_a_bounce_stops_transactional_mail_too() -> None:
    person = replace(a_person(), suppressed=frozenset({"email"}))
    assert gate(person, a_request(purpose=Purpose.TRANSACTIONAL)).reason is Reason.BOUNCED


def test_what_comes_too_late_is_not_sent() -> None:
    request = a_request(expires_at=NOON)
    assert gate(a_person(), request, now=NOON - timedelta(microseconds=1)).action is Action.SEND
    assert gate(a_person(), request, now=NOON) == Decision(Action.EXPIRE, Reason.TOO_LATE)


def test_what_cannot_wait_for_the_morning_expires_at_night() -> None:
    night = jst("2026-11-20 23:00")
    morning = jst("2026-11-21 08:00")
    assert gate(a_person(), a_request(expires_at=morning), now=night) == Decision(Action.EXPIRE, Reason.QUIET_HOURS)
    later = a_request(expires_at=morning + timedelta(seconds=1))
    assert gate(a_person(), later, now=night) == Decision(Action.DEFER, Reason.QUIET_HOURS)


def test_one_mail_a_day_is_counted_by_the_shops_calendar() -> None:
    contact = Contact({SendId("yesterday"): jst("2026-11-19 21:59")})
    assert gate(a_person(), a_request(), contact, jst("2026-11-20 08:00")).action is Action.SEND
    assert gate(a_person(), a_request(), contact, jst("2026-11-19 08:00")).reason is Reason.FREQUENCY_CAP


def test_four_mails_in_seven_days_is_a_rolling_week() -> None:
    slots = {SendId(f"day{day}"): jst(f"2026-11-{day} 12:00") for day in (13, 15, 17, 19)}
    at_the_end = jst("2026-11-20 11:59")
    assert gate(a_person(), a_request(), Contact(slots), at_the_end).reason is Reason.FREQUENCY_CAP
    assert gate(a_person(), a_request(), Contact(slots), at_the_end + timedelta(minutes=1)).action is Action.SEND


def test_a_retry_is_not_blocked_by_its_own_slot() -> None:
    contact = Contact({a_request().send_id: NOON})
    assert gate(a_person(), a_request(), contact).action is Action.SEND


def test_no_limit_is_said_with_null_and_zero_is_refused() -> None:
    policy = contact_policy(a_shop(cap_per_day=None, cap_per_week=None))
    many = Contact({SendId(str(n)): NOON for n in range(50)})
    assert decide(a_person(), a_request(), many, policy, NOON).action is Action.SEND


@given(
    st.booleans(),
    st.lists(st.sampled_from(list(ConsentStatus)), max_size=3),
    st.lists(st.sampled_from(["mihon.myshopify.com", "other", "*"]), min_size=3, max_size=3),
    st.booleans(),
    instants,
)
def test_marketing_is_never_sent_without_consent(
    suppressed: bool, statuses: list[ConsentStatus], stores: list[str], addressed: bool, now: datetime
) -> None:
    consents = tuple(a_consent(status, store) for status, store in zip(statuses, stores, strict=False))
    person = a_person(consents=consents, email="hanako@example.com" if addressed else None)
    person = replace(person, suppressed=frozenset({"email"} if suppressed else ()))
    if gate(person, a_request(), now=now).action in {Action.SEND, Action.DEFER}:
        assert addressed
        assert not suppressed
        granted = {c.store for c in consents if c.status is ConsentStatus.OPT_IN}
        assert granted & {"mihon.myshopify.com", "*"}


@given(instants, times, times, st.sampled_from(ZONES))
def test_the_end_of_the_night_is_found_in_every_zone(now: datetime, start: time, end: time, zone: str) -> None:
    hours = QuietHours(start, end)
    shop = a_shop(quiet_hours={"email": [start.isoformat(), end.isoformat()]})
    shop = replace(shop, timezone=zone)
    seconds = quiet_seconds(shop, Purpose.MARKETING, "email", now)
    quiet_now = hours.covers(now.astimezone(ZoneInfo(zone)).time())
    assert (seconds > 0) == quiet_now
    if seconds:
        then = now + timedelta(seconds=seconds)
        assert not hours.covers(then.astimezone(ZoneInfo(zone)).time())
        # A day and the hour that the clocks go back; Apia once skipped a whole day, but not in these years.
        assert seconds <= 25 * 3600
    assert quiet_seconds(shop, Purpose.TRANSACTIONAL, "email", now) == 0


@pytest.mark.parametrize(
    ("now", "seconds"),
    [
        ("2026-11-20 21:59:59", 0),
        ("2026-11-20 22:00:00", 10 * 3600),
        ("2026-11-21 07:59:59", 1),
        ("2026-11-21 08:00:00", 0),
    ],
)
def test_no_mail_at_night_in_japan(now: str, seconds: int) -> None:
    assert quiet_seconds(a_shop(), Purpose.MARKETING, "email", jst(now)) == seconds


def test_the_night_the_clocks_change_has_another_length() -> None:
    shop = replace(a_shop(), timezone="America/New_York")
    for night, hours in ((datetime(2026, 3, 8, 3, 0, tzinfo=UTC), 9), (datetime(2026, 11, 1, 2, 0, tzinfo=UTC), 11)):
        assert quiet_seconds(shop, Purpose.MARKETING, "email", night) == hours * 3600


def test_channels_that_ring_are_quiet_longer_and_a_shop_may_want_no_night() -> None:
    assert quiet_seconds(a_shop(), Purpose.MARKETING, "line", jst("2026-11-20 21:30")) > 0
    assert quiet_seconds(a_shop(quiet_hours={"line": None}), Purpose.MARKETING, "line", jst("2026-11-20 21:30")) == 0


def test_only_a_final_reason_can_be_recorded() -> None:
    assert held_back(Reason.TOO_LATE).state is SendState.EXPIRED
    for reason in (Reason.NONE, Reason.AMBIGUOUS):
        with pytest.raises(ValueError, match="no reason"):
            held_back(reason)
    for action in (Action.SEND, Action.DEFER):
        with pytest.raises(ValueError, match="not final"):
            held(Decision(action))


class Schedule(RuleBasedStateMachine):
    """Any mix of scenarios, times (also backwards: clocks differ) and retries: the caps hold at every moment."""

    def __init__(self) -> None:
        super().__init__()
        self.now = NOON
        self.contact = Contact()
        self.sent: dict[SendId, datetime] = {}
        self.crashed: list[SendRequest] = []
        """Claimed a slot and died before sending: the batch comes back to them."""
        self.count = 0

    @rule(minutes=st.integers(-600, 3000))
    def time_passes(self, minutes: int) -> None:
        self.now += timedelta(minutes=minutes)

    @rule(scenario=st.integers(0, 30), crashes=st.booleans())
    def a_scenario_wants_to_send(self, scenario: int, crashes: bool) -> None:
        self.count += 1
        self._try(a_request(f"step{scenario}", occurrence=str(self.count)), crashes=crashes)

    @precondition(lambda self: self.crashed)
    @rule(which=st.integers(0, 99), crashes=st.booleans())
    def a_batch_is_retried(self, which: int, crashes: bool) -> None:
        self._try(self.crashed.pop(which % len(self.crashed)), crashes=crashes)

    def _try(self, request: SendRequest, *, crashes: bool) -> None:
        if gate(a_person(), request, self.contact, self.now).action is not Action.SEND:
            return
        self.contact = with_slot(self.contact, request, self.now, POLICY, POLICY.remembers_days)
        if crashes:
            self.crashed.append(request)
        else:
            self.sent[request.send_id] = self.now

    @invariant()
    def never_two_on_one_day(self) -> None:
        days = [shop_day(at, "Asia/Tokyo") for at in self.sent.values()]
        assert len(days) == len(set(days))

    @invariant()
    def never_five_in_seven_days(self) -> None:
        for start in self.sent.values():
            assert sum(start <= at < start + timedelta(days=7) for at in self.sent.values()) <= 4

    @invariant()
    def never_at_night(self) -> None:
        for at in self.sent.values():
            assert not QuietHours(time(22), time(8)).covers(at.astimezone(ZoneInfo("Asia/Tokyo")).time())


TestSchedule = Schedule.TestCase
TestSchedule.settings = settings(max_examples=60, stateful_step_count=40, deadline=None)


# --- the other channels -----------------------------------------------------------------------------------------------
def reachable(**profile: Any) -> PersonState:
    person = a_person(phone="+818000000001", postal_code="100-0000", address="千代田区見本町1-2-3", **profile)
    return replace(person, attributes={"prefecture": Attribute("東京都", NOON, "e1")}, consents=())


def test_a_letter_is_addressed_as_a_label_is_written() -> None:
    assert address(reachable(first_name="花子"), "postal") == "〒100-0000\n東京都千代田区見本町1-2-3\n見本 花子 様"


def test_a_prefecture_is_not_written_twice() -> None:
    person = replace(reachable(), profile=replace(reachable().profile, address="東京都千代田区見本町1-2-3"))
    assert address(person, "postal") == "〒100-0000\n東京都千代田区見本町1-2-3\n見本 様"


@pytest.mark.parametrize("unknown", ["postal_code", "address", "last_name"])
def test_a_letter_needs_code_address_and_name(unknown: str) -> None:
    person = reachable()
    less: dict[str, Any] = {unknown: None}
    person = replace(person, profile=replace(person.profile, **less))
    assert address(person, "postal") is None


@pytest.mark.parametrize(
    ("channel", "found"), [("sms", "+818000000001"), ("call", "+818000000001"), ("line", None), ("pigeon", None)]
)
def test_each_channel_has_its_own_address(channel: str, found: str | None) -> None:
    assert address(reachable(), channel) == found


@pytest.mark.parametrize(
    ("channel", "reason"),
    [("postal", Reason.NONE), ("call", Reason.NONE), ("sms", Reason.NO_CONSENT), ("email", Reason.NO_CONSENT)],
)
def test_letters_and_calls_go_out_unless_refused_all_else_only_when_agreed(channel: str, reason: Reason) -> None:
    request = a_request(channel=channel)
    assert decide(reachable(), request, Contact(), POLICY, NOON).reason is reason


@pytest.mark.parametrize("channel", ["postal", "call"])
def test_a_refused_letter_or_call_stays_refused(channel: str) -> None:
    said_no = Consent(channel, STORE, ConsentStatus.OPT_OUT, NOON, "page")
    person = replace(reachable(), consents=(said_no,))
    assert decide(person, a_request(channel=channel), Contact(), POLICY, NOON).reason is Reason.OPTED_OUT


@pytest.mark.parametrize("channel", ["postal", "call"])
def test_a_no_to_letters_or_calls_holds_for_every_store_until_a_later_yes(channel: str) -> None:
    refused = Consent(channel, "callcentre.example.jp", ConsentStatus.OPT_OUT, NOON, "callcentre:refused")
    request = a_request(channel=channel)
    for days, reason in ((None, Reason.OPTED_OUT), (-1, Reason.OPTED_OUT), (0, Reason.OPTED_OUT), (1, Reason.NONE)):
        agreed = (
            []
            if days is None
            else [replace(refused, store=STORE, status=ConsentStatus.OPT_IN, at=NOON + timedelta(days=days))]
        )
        person = replace(reachable(), consents=(refused, *agreed))
        assert decide(person, request, Contact(), POLICY, NOON).reason is reason
    mall = replace(refused, channel="email", store="mall.example.jp")
    assert (
        decide(replace(reachable(), consents=(mall,)), a_request(), Contact(), POLICY, NOON).reason is Reason.NO_CONSENT
    )


def test_only_what_rings_or_arrives_keeps_the_night() -> None:
    night = jst("2026-11-20 23:00")
    kept = {
        c: quiet_seconds(a_shop(), Purpose.MARKETING, c, night) > 0 for c in ("email", "line", "sms", "postal", "call")
    }
    assert kept == {"email": True, "line": True, "sms": True, "postal": False, "call": False}
