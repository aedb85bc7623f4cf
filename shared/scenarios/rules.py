"""What is decided about one person in a scenario: pure; state, definition and now in, action and reason out."""

from __future__ import annotations

import hashlib
from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.core.clock import shop_day
from shared.customers.model import Cart, Order, PersonState
from shared.delivery.model import Outcome, Reason, SendState
from shared.scenarios.conditions import View, holds
from shared.scenarios.enrolment import (
    Enrolment,
    EnrolmentState,
    cart_occurrence,
    order_occurrence,
    order_occurrences,
)
from shared.scenarios.language.conditions import Condition
from shared.scenarios.language.entries import Entry
from shared.scenarios.language.steps import HOLDOUT, OTHERWISE, Subject
from shared.scenarios.model import ExitRule, ExitWhen, LiveStatus

NOT_ELIGIBLE = "not_eligible"
ENTERED_BEFORE = "entered_before"
HISTORICAL = "historical"
EMPTY_CART = "empty_cart"
OFF = "off"

_UNREACHABLE = frozenset({Reason.OPTED_OUT, Reason.COMPLAINED, Reason.BOUNCED, Reason.ERASED})


@dataclass(frozen=True, slots=True)
class EntryRule:
    """How people get into one scenario: the part of its file that the trigger knows."""

    scenario: str
    status: LiveStatus
    entry: Entry
    again_after: timedelta | None = None
    """The same person may enter again so long after entering; None: whenever it happens again."""


@dataclass(frozen=True, slots=True)
class Entering:
    """Due at an instant, or not at all for a reason."""

    due_at: datetime | None
    reason: str = ""


def entering(cart: Cart, rule: EntryRule, now: datetime, *, historical: bool = False) -> Entering:
    """Will this cart make its owner due, and when? The last touch counts; imported history never does."""
    due_at = cart.updated_at + rule.entry.after
    if rule.status is LiveStatus.OFF:
        return Entering(None, OFF)
    if historical:
        return Entering(None, HISTORICAL)
    if cart.completed_at is not None:
        return Entering(None, Reason.ORDERED)
    if not cart.open:
        return Entering(None, EMPTY_CART)
    if now > due_at + rule.entry.expires_after:
        return Entering(None, Reason.TOO_LATE)
    return Entering(due_at)


def rearms(existing: Enrolment | None, arriving: Enrolment) -> bool:
    """May the due time (still) be set? One enrolment per cart for ever: only before anyone collected it, and only by a
    later touch (webhooks come out of order), or by the same one when the cart turned out to be somebody else's.
    """
    if existing is None:
        return True
    moved = arriving.touched_at == existing.touched_at and arriving.customer_id != existing.customer_id
    return existing.state is EnrolmentState.ARMED and (arriving.touched_at > existing.touched_at or moved)


def put_off(enrolment: Enrolment, person: PersonState) -> Enrolment | None:
    """Due later, because the cart was touched again since it was made due; None: due as it stands."""
    if not enrolment.instance.is_cart:
        return None
    touches = [cart.updated_at for cart in carts_of(enrolment, person) if not cart.historical]
    last = max(touches, default=enrolment.touched_at)
    if enrolment.due_at is None or last <= enrolment.touched_at:
        return None
    return replace(enrolment, touched_at=last, due_at=last + (enrolment.due_at - enrolment.touched_at))


def is_due(enrolment: Enrolment, now: datetime) -> bool:
    """Has their time come?"""
    return enrolment.due_at is not None and enrolment.due_at <= now


def exit_reason(exits: Collection[ExitWhen], goal: Condition | None, enrolment: Enrolment, view: View) -> Reason | None:
    """What takes this person out now, as the reason that is recorded; None: go on."""
    person = view.person
    if ExitRule.ORDER_PLACED in exits and any(_ordered(order, enrolment) for order in person.orders):
        return Reason.ORDERED
    carts = carts_of(enrolment, person)
    if ExitRule.CART_COMPLETED in exits and any(cart.completed_at is not None for cart in carts):
        return Reason.ORDERED
    if ExitRule.CART_EMPTIED in exits and not any(cart.open for cart in carts[:1]):
        return Reason.EXITED
    if goal is not None and holds(goal, view):
        return Reason.GOAL
    if any(isinstance(rule, Condition) and holds(rule, view) for rule in exits):
        return Reason.EXITED
    return None


def ends_with(rules: Collection[ExitWhen], outcome: Outcome) -> bool:
    """Is there no point in going on after this outcome?"""
    return ExitRule.UNSUBSCRIBED in rules and outcome.state is not SendState.SENT and outcome.reason in _UNREACHABLE


def carts_of(enrolment: Enrolment, person: PersonState) -> list[Cart]:
    """The cart the enrolment is about and the checkouts made from it, the latest first."""
    mine = [cart for cart in person.carts if cart_occurrence(cart) == enrolment.occurrence]
    return sorted(mine, key=lambda cart: (cart.updated_at, cart.recovery_url is not None), reverse=True)


def arm(on: Subject, arms: Collection[str], person: PersonState | None) -> str:
    """The way this person takes at a branch; `else` when their value is unknown or has no arm."""
    values = _values(on, person) if person else ()
    return next((each for each in arms if each in values), OTHERWISE)


def first_that_holds(when: Mapping[str, Condition], view: View | None) -> str:
    """The first arm whose condition is true of this person; `else` when none is."""
    found = (name for name, condition in when.items() if view is not None and holds(condition, view))
    return next(found, OTHERWISE)


def share(shares: Mapping[str, int], *what: str) -> str:
    """The arm chance gives (A/B テスト): by a digest, so that the same person comes to the same arm for ever."""
    drawn = int(hashlib.sha256("\x1f".join(what).encode()).hexdigest()[:12], 16) % sum(shares.values())
    for name, percent in shares.items():
        if drawn < percent:
            return name
        drawn -= percent
    return HOLDOUT


def entered_before(mine: Enrolment, others: Iterable[Enrolment], again_after: timedelta) -> bool:
    """Did this person enter the scenario too lately to do so again? Of two who come at once the earlier one goes."""
    due_at = mine.due_at or mine.touched_at
    earliest = None if again_after == timedelta.max else due_at - again_after
    for other in others:
        if other.scenario != mine.scenario or other.occurrence == mine.occurrence:
            continue
        at = other.entered_at or (other.due_at if other.state is EnrolmentState.ARMED else None)
        first = other.entered_at is not None or (at is not None and (at, other.occurrence) < (due_at, mine.occurrence))
        if at is not None and first and (earliest is None or at > earliest):
            return True
    return False


def let_in_as_another(mine: Enrolment, others: Iterable[Enrolment]) -> bool:
    """Did the very same thing let this person in under an id they had or got (名寄せ)? Of two who come at once the one
    goes whose occurrence is first.
    """

    def same(other: Enrolment) -> bool:
        alike = (other.scenario, other.instance, other.due_at) == (mine.scenario, mine.instance, mine.due_at)
        return alike and other.customer_id != mine.customer_id

    def first(other: Enrolment) -> bool:
        waits = other.state is EnrolmentState.ARMED and other.occurrence < mine.occurrence
        return waits or other.entered_at is not None

    return any(same(other) and first(other) for other in others)


def rivals(others: Iterable[Enrolment], now: datetime, timezone: str) -> int:
    """How many scenarios these places of a person are due in today: not collected yet, or before their first step."""
    today = shop_day(now, timezone)

    def wants(other: Enrolment) -> bool:
        if other.state is EnrolmentState.ARMED:
            return other.due_at is not None and shop_day(other.due_at, timezone) <= today
        first = other.state is EnrolmentState.ENTERED and not other.step
        return first and other.entered_at is not None and shop_day(other.entered_at, timezone) == today

    return len({other.scenario for other in others if wants(other)})


def _values(on: Subject, person: PersonState) -> Collection[str]:
    scores = person.profile.scores
    match on:
        case Subject.LTV_TIER:
            return (scores.ltv_tier,) if scores else ()
        case Subject.STATUS:
            return (scores.status,) if scores else ()
        case Subject.BUYER:
            return ("repeat" if person.profile.summary.order_count else "first",)
        case Subject.SEGMENT:
            return person.profile.segments


def _ordered(order: Order, enrolment: Enrolment) -> bool:
    """An order of this cart, or any order since the cart was last touched. A cancelled one counts: they came back."""
    if order.test or order.ordered_at is None or order_occurrence(order) == enrolment.occurrence:
        return False
    return enrolment.occurrence in order_occurrences(order) or order.ordered_at >= enrolment.touched_at
