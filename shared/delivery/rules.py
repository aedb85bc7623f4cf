"""The one contact-policy gate: may this message go to this person now, and if not, the single reason why.

Pure: state, policy and now in; action and reason out. The order of the questions is fixed, so the same person is
always told the same single reason: erased, no address, suppressed, consent, topic, pause, too late, cap, what it
earns, warm-up, quiet hours.
"""

from __future__ import annotations

import math
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
from shared.delivery.policy import MONTHLY, Cap, ContactPolicy, contact_policy
from shared.delivery.preferences import Frequency, wishes_of
from shared.delivery.warm_up import may_warm
from shared.delivery.worth import PAID

WEEK = timedelta(days=7)

UNLESS_REFUSED = frozenset({"postal", "call", "webhook"})
"""Channels that 特定電子メール法 does not bind to an opt-in: a letter or a call to a customer goes out unless they
said no (個人情報保護法, 特定商取引法 §17). A webhook tells the shop's own systems; it reaches nobody by itself."""


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
                or _unwanted(person, request, policy, now)
                or _too_late(request, now)
                or _too_often(person, request, contact, policy, now)
                or _too_dear(person, request, contact, policy, now)
                or _too_cold(person, request, policy, now)
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


def reaches(person: PersonState, channel: str, store: str = "") -> bool:
    """Would a marketing message on this channel be allowed: an address, consent, no suppression?"""
    return why_unreachable(person, channel, store) is None


def arrives(person: PersonState, channel: str) -> bool:
    """Would a message that needs no consent get there: an address, no suppression?"""
    return bool(address(person, channel)) and channel not in person.suppressed


def why_unreachable(person: PersonState, channel: str, store: str = "") -> Reason | None:
    """The reason why not, in the gate's order; None: it would be allowed."""
    if person.profile.erased:
        return Reason.ERASED
    if not address(person, channel):
        return Reason.NO_ADDRESS
    if channel in person.suppressed:
        return _why_suppressed(person, channel)
    refused = _unheard(person, channel, store or latest_store(person, channel))
    return refused.reason if refused else None


def latest_store(person: PersonState, channel: str) -> str:
    """The store of which they last said whether they want this channel: whose word counts where no order or cart says
    which store it is about.
    """
    said = [(c.at, c.store) for c in person.consents if c.channel == channel and c.status is not ConsentStatus.UNKNOWN]
    return max(said)[1] if said else ""


def store_of(person: PersonState, channel: str, known: str) -> str:
    """The store whose consent counts on a channel: the one it is about, where they said anything of this channel there
    (LINE's yes is given to the account, not to the shop's cart).
    """
    said = any((consent.channel, consent.store) == (channel, known) for consent in person.consents)
    return known if known and said else latest_store(person, channel) or known


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
        case "webhook" | "notify" | "export":
            return person.profile.customer_id
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


def full(cap: Cap, contact: Contact, request: SendRequest, topic: str, now: datetime, kept: int = 0) -> bool:
    """Does a rolling window, of which `kept` slots are somebody else's, leave no room for one more such message?"""
    if not cap.counts(request.channel, topic):
        return False
    others = [other for other, at in contact.slots.items() if abs(at - now) < timedelta(days=cap.days)]
    known = contact.about
    counted = sum(other != request.send_id and (other not in known or cap.counts(*known[other])) for other in others)
    return counted + kept >= cap.at_most


def with_slot(contact: Contact, request: SendRequest, at: datetime, policy: ContactPolicy, days: int) -> Contact:
    """The contact after `request` claimed a slot at `at`; what is older than `days` no cap can count any more."""
    slots = {other: when for other, when in contact.slots.items() if when > at - timedelta(days=days + 1)}
    about = {other: what for other, what in contact.about.items() if other in slots}
    mine = {request.send_id: (request.channel, policy.topic(request.scenario))}
    return Contact({**slots, request.send_id: at}, contact.rev, {**about, **mine})


def remembered_days(person: PersonState, policy: ContactPolicy) -> int:
    """How far back this person's contacts count: the widest window of the shop or of their own wish."""
    monthly = wishes_of(person.attributes).frequency is Frequency.MONTHLY
    return max(policy.remembers_days, MONTHLY.days if monthly else 0)


def _why_suppressed(person: PersonState, channel: str) -> Reason:
    complained = any(c.channel == channel and c.method.startswith("complaint") for c in person.consents)
    return Reason.COMPLAINED if complained else Reason.BOUNCED


def _refused(person: PersonState, request: SendRequest) -> Decision | None:
    return _unheard(person, request.channel, request.store)


def _unheard(person: PersonState, channel: str, store: str) -> Decision | None:
    status = heard(person, channel, store)
    match status:
        case ConsentStatus.OPT_IN:
            return None
        case ConsentStatus.OPT_OUT:
            return Decision(Action.HOLD, Reason.OPTED_OUT)
        case ConsentStatus.UNKNOWN:
            return None if channel in UNLESS_REFUSED else Decision(Action.HOLD, Reason.NO_CONSENT)
        case _:
            assert_never(status)


def heard(person: PersonState, channel: str, store: str) -> ConsentStatus:
    """What they last said to this store. A no to letters or calls is one to the whole shop: the call centre that hears
    it, or the list it stands in, is of no store.
    """
    said = {c.store: c for c in person.consents if c.channel == channel}
    own = said.get(store) or said.get(EVERY_STORE)
    refusals = [c for c in said.values() if channel in UNLESS_REFUSED and c.status is ConsentStatus.OPT_OUT]
    if any(own is None or c.at >= own.at for c in refusals):
        return ConsentStatus.OPT_OUT
    return own.status if own else ConsentStatus.UNKNOWN


def _too_late(request: SendRequest, now: datetime) -> Decision | None:
    late = request.expires_at is not None and now >= request.expires_at
    return Decision(Action.EXPIRE, Reason.TOO_LATE) if late else None


def _unwanted(person: PersonState, request: SendRequest, policy: ContactPolicy, now: datetime) -> Decision | None:
    wishes = wishes_of(person.attributes)
    if policy.topic(request.scenario) in wishes.topics_off:
        return Decision(Action.HOLD, Reason.TOPIC_OFF)
    return Decision(Action.HOLD, Reason.PAUSED) if wishes.paused(now) else None


def _too_often(
    person: PersonState, request: SendRequest, contact: Contact, policy: ContactPolicy, now: datetime
) -> Decision | None:
    if request.channel in UNLESS_REFUSED:
        return None  # a letter or a call is no mail too many: 解約見込み starts all channels at once (D16)
    if _over(person, request, contact, policy, now):
        return Decision(Action.HOLD, Reason.FREQUENCY_CAP)
    if request.rivals and _over(person, request, contact, policy, now, kept=request.rivals):
        return Decision(Action.HOLD, Reason.OUTRANKED)
    return None


def _over(
    person: PersonState, request: SendRequest, contact: Contact, policy: ContactPolicy, now: datetime, kept: int = 0
) -> bool:
    """Is any window full, when `kept` of its slots are somebody else's?"""
    today, week = in_window(contact, request.send_id, now, policy.timezone)
    over_day = policy.per_day is not None and today + kept >= policy.per_day
    over_week = policy.per_week is not None and week + kept >= policy.per_week
    monthly = (MONTHLY,) if wishes_of(person.attributes).frequency is Frequency.MONTHLY else ()
    topic = policy.topic(request.scenario)
    return over_day or over_week or any(full(c, contact, request, topic, now, kept) for c in (*policy.caps, *monthly))


def _too_dear(
    person: PersonState, request: SendRequest, contact: Contact, policy: ContactPolicy, now: datetime
) -> Decision | None:
    """Does it cost money, or the last contact of the week, and is not expected to earn it?"""
    if policy.worth is None:
        return None
    _, contacts = in_window(contact, request.send_id, now, policy.timezone)
    last = policy.per_week is not None and contacts + 1 >= policy.per_week
    if not last and request.channel not in PAID:
        return None
    pays = policy.worth.pays(person, request.channel, contacts)
    return None if pays else Decision(Action.HOLD, Reason.NOT_WORTH)


def _too_cold(person: PersonState, request: SendRequest, policy: ContactPolicy, now: datetime) -> Decision | None:
    if request.channel != "email" or policy.warm_up is None:
        return None
    warm = may_warm(policy.warm_up, _last_active(person), shop_day(now, policy.timezone))
    return None if warm else Decision(Action.HOLD, Reason.WARM_UP)


def _last_active(person: PersonState) -> datetime | None:
    """The latest sign of life that is surely a person's: an order, a visit, or saying yes. Never an open."""
    said_yes = (c.at for c in person.consents if c.status is ConsentStatus.OPT_IN)
    signs = (person.profile.summary.last_ordered_at, person.last_seen_at, person.last_login_at, *said_yes)
    return max((at for at in signs if at is not None), default=None)


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
