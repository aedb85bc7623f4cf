"""The one contact-policy gate: may this message go to this person now, and if not, the single reason why.

Pure: state, policy and now in; action and reason out. The order of the questions is fixed, so the same person is
always told the same single reason: erased, no address, suppressed, consent, too late, cap, quiet hours.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from enum import StrEnum
from typing import assert_never
from zoneinfo import ZoneInfo

from shared.core.clock import shop_day
from shared.core.ids import SendId
from shared.core.shop import Shop
from shared.customers.model import ConsentStatus, PersonState
from shared.customers.rules import EVERY_STORE
from shared.delivery.model import Contact, Outcome, Purpose, Reason, SendRequest, SendState
from shared.delivery.policy import ContactPolicy, contact_policy

WEEK = timedelta(days=7)

UNLESS_REFUSED = frozenset({"postal", "call"})
"""Channels that 特定電子メール法 does not bind to an opt-in: a letter or a call to a customer goes out unless they
said no (個人情報保護法, 特定商取引法 §17)."""


class Action(StrEnum):
    """What the gate says."""

    SEND = "send"
    DEFER = "defer"
    """Not now, but later today or tomorrow it will be welcome."""
    HOLD = "hold"
    """Held back for good."""
    EXPIRE = "expire"
    """Held back for good because its time has passed."""


@dataclass(frozen=True, slots=True)
class Decision:
    """An action and its single reason."""

    action: Action
    reason: Reason = Reason.NONE


_SEND = Decision(Action.SEND)


def decide(
    person: PersonState | None, request: SendRequest, contact: Contact, policy: ContactPolicy, now: datetime
) -> Decision:
    """May `request` go to `person` now? Transactional mail is exempt from consent, caps and quiet hours only."""
    if person is None or person.profile.erased:
        return Decision(Action.HOLD, Reason.ERASED)
    if not address(person, request.channel):
        return Decision(Action.HOLD, Reason.NO_ADDRESS)
    if request.channel in person.suppressed:
        return Decision(Action.HOLD, _why_suppressed(person, request.channel))
    match request.purpose:
        case Purpose.TRANSACTIONAL:
            return _too_late(request, now) or _SEND
        case Purpose.MARKETING:
            return (
                _refused(person, request)
                or _too_late(request, now)
                or _too_often(request, contact, policy, now)
                or _at_night(request, policy, now)
                or _SEND
            )
        case _:
            assert_never(request.purpose)


def held(decision: Decision) -> Outcome:
    """The final outcome of a decision not to send."""
    match decision.action:
        case Action.HOLD:
            return Outcome(SendState.SUPPRESSED, decision.reason)
        case Action.EXPIRE:
            return Outcome(SendState.EXPIRED, decision.reason)
        case Action.DEFER | Action.SEND:
            raise ValueError(f"{decision.action} is not final")
        case _:
            assert_never(decision.action)


def held_back(reason: Reason) -> Outcome:
    """The final outcome of a reason the scenario gives itself: an exit rule, staging, lateness, a broken template."""
    match reason:
        case Reason.TOO_LATE | Reason.QUIET_HOURS:
            return Outcome(SendState.EXPIRED, reason)
        case Reason.TEMPLATE | Reason.REJECTED:
            return Outcome(SendState.FAILED, reason)
        case Reason.NONE | Reason.AMBIGUOUS:
            raise ValueError(f"{reason!r} is no reason to hold somebody back")
        case _:
            return Outcome(SendState.SUPPRESSED, reason)


def address(person: PersonState, channel: str) -> str | None:
    """Where this channel reaches the person; None where it cannot."""
    match channel:
        case "email":
            return person.profile.email
        case "sms" | "call":
            return person.profile.phone
        case "line":
            return person.profile.line_user_id
        case "postal":
            return _postal_address(person)
        case _:
            return None


def _postal_address(person: PersonState) -> str | None:
    """宛名: postal code, address and name as three lines of a label; None unless all three are known."""
    profile, prefecture = person.profile, person.attributes.get("prefecture")
    name = " ".join(part for part in (profile.last_name, profile.first_name) if part)
    if not (profile.postal_code and profile.address and name):
        return None
    place = profile.address
    if prefecture and not place.startswith(str(prefecture.value)):
        place = f"{prefecture.value}{place}"
    return f"〒{profile.postal_code}\n{place}\n{name} 様"


def quiet_seconds(shop: Shop, purpose: Purpose, channel: str, now: datetime) -> int:
    """0, or the seconds until `channel` may carry this purpose again (クワイエットタイム)."""
    return 0 if purpose is Purpose.TRANSACTIONAL else _quiet_for(contact_policy(shop), channel, now)


def in_window(contact: Contact, send_id: SendId, now: datetime, timezone: str) -> tuple[int, int]:
    """Slots of other sends (on this shop-local day, within 7 days of now).

    A slot in the future counts too: clocks differ, and a catch-up run must not slip between two slots.
    """
    others = [at for other, at in contact.slots.items() if other != send_id]
    today = shop_day(now, timezone)
    return sum(shop_day(at, timezone) == today for at in others), sum(abs(at - now) < WEEK for at in others)


def with_slot(contact: Contact, send_id: SendId, at: datetime) -> Mapping[SendId, datetime]:
    """The slots after `send_id` claimed one at `at`; what no cap can count any more is dropped."""
    kept = {other: when for other, when in contact.slots.items() if when > at - WEEK - timedelta(days=1)}
    return {**kept, send_id: at}


def _why_suppressed(person: PersonState, channel: str) -> Reason:
    complained = any(c.channel == channel and c.method.startswith("complaint") for c in person.consents)
    return Reason.COMPLAINED if complained else Reason.BOUNCED


def _refused(person: PersonState, request: SendRequest) -> Decision | None:
    said = {c.store: c.status for c in person.consents if c.channel == request.channel}
    status = said.get(request.store) or said.get(EVERY_STORE, ConsentStatus.UNKNOWN)
    match status:
        case ConsentStatus.OPT_IN:
            return None
        case ConsentStatus.OPT_OUT:
            return Decision(Action.HOLD, Reason.OPTED_OUT)
        case ConsentStatus.UNKNOWN:
            return None if request.channel in UNLESS_REFUSED else Decision(Action.HOLD, Reason.NO_CONSENT)
        case _:
            assert_never(status)


def _too_late(request: SendRequest, now: datetime) -> Decision | None:
    late = request.expires_at is not None and now >= request.expires_at
    return Decision(Action.EXPIRE, Reason.TOO_LATE) if late else None


def _too_often(request: SendRequest, contact: Contact, policy: ContactPolicy, now: datetime) -> Decision | None:
    today, week = in_window(contact, request.send_id, now, policy.timezone)
    over_day = policy.per_day is not None and today >= policy.per_day
    over_week = policy.per_week is not None and week >= policy.per_week
    return Decision(Action.HOLD, Reason.FREQUENCY_CAP) if over_day or over_week else None


def _at_night(request: SendRequest, policy: ContactPolicy, now: datetime) -> Decision | None:
    seconds = _quiet_for(policy, request.channel, now)
    if not seconds:
        return None
    gone_by_morning = request.expires_at is not None and now + timedelta(seconds=seconds) >= request.expires_at
    return Decision(Action.EXPIRE if gone_by_morning else Action.DEFER, Reason.QUIET_HOURS)


def _quiet_for(policy: ContactPolicy, channel: str, now: datetime) -> int:
    hours = policy.quiet_hours(channel)
    zone = ZoneInfo(policy.timezone)
    local = now.astimezone(zone)
    if hours is None or not hours.covers(local.time()):
        return 0
    # Two folds: on the night the clocks change, the end of quiet hours may exist twice or not at all. Seconds are
    # counted in UTC because wall-clock arithmetic is an hour wrong that night.
    mornings = (
        datetime.combine(local.date() + timedelta(days=days), hours.end.replace(fold=fold), zone).astimezone(UTC)
        for days in (0, 1, 2)
        for fold in (0, 1)
    )
    return min(
        math.ceil((morning - now).total_seconds())
        for morning in mornings
        if morning > now and not hours.covers(morning.astimezone(zone).time())
    )
