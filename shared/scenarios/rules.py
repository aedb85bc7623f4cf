"""What is decided about one person in a scenario: pure; state, definition and now in, action and reason out."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

from shared.customers.model import Cart, Order, PersonState
from shared.delivery.model import Outcome, Reason, SendState
from shared.scenarios.enrolment import Enrolment, EnrolmentState, cart_occurrence, order_occurrences
from shared.scenarios.model import OTHERWISE, ExitRule, LiveStatus, Subject, Trigger

HISTORICAL = "historical"
EMPTY_CART = "empty_cart"
OFF = "off"

_UNREACHABLE = frozenset({Reason.OPTED_OUT, Reason.COMPLAINED, Reason.BOUNCED, Reason.ERASED})


@dataclass(frozen=True, slots=True)
class EntryRule:
    """How people get into one scenario: the part of its file that the trigger knows."""

    scenario: str
    status: LiveStatus
    event: Trigger
    after: timedelta
    expires_after: timedelta


@dataclass(frozen=True, slots=True)
class Entering:
    """Due at an instant, or not at all for a reason."""

    due_at: datetime | None
    reason: str = ""


def entering(cart: Cart, rule: EntryRule, now: datetime, *, historical: bool = False) -> Entering:
    """Will this cart make its owner due, and when? The last touch counts; imported history never does."""
    due_at = cart.updated_at + rule.after
    if rule.status is LiveStatus.OFF:
        return Entering(None, OFF)
    if historical:
        return Entering(None, HISTORICAL)
    if cart.completed_at is not None:
        return Entering(None, Reason.ORDERED)
    if not cart.open:
        return Entering(None, EMPTY_CART)
    if now > due_at + rule.expires_after:
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
    touches = [cart.updated_at for cart in carts_of(enrolment, person) if not cart.historical]
    last = max(touches, default=enrolment.touched_at)
    if enrolment.due_at is None or last <= enrolment.touched_at:
        return None
    return replace(enrolment, touched_at=last, due_at=last + (enrolment.due_at - enrolment.touched_at))


def is_due(enrolment: Enrolment, now: datetime) -> bool:
    """Has their time come?"""
    return enrolment.due_at is not None and enrolment.due_at <= now


def exit_reason(rules: Collection[ExitRule], enrolment: Enrolment, person: PersonState) -> Reason | None:
    """The exit rule that takes this person out now, as the reason that is recorded; None: go on."""
    if ExitRule.ORDER_PLACED in rules and any(_ordered(order, enrolment) for order in person.orders):
        return Reason.ORDERED
    carts = carts_of(enrolment, person)
    if ExitRule.CART_COMPLETED in rules and any(cart.completed_at is not None for cart in carts):
        return Reason.ORDERED
    if ExitRule.CART_EMPTIED in rules and not any(cart.open for cart in carts[:1]):
        return Reason.EXITED
    return None


def ends_with(rules: Collection[ExitRule], outcome: Outcome) -> bool:
    """Is there no point in going on after this outcome?"""
    return ExitRule.UNSUBSCRIBED in rules and outcome.state is not SendState.SENT and outcome.reason in _UNREACHABLE


def carts_of(enrolment: Enrolment, person: PersonState) -> list[Cart]:
    """The cart the enrolment is about and the checkouts made from it, the latest first."""
    mine = [cart for cart in person.carts if cart_occurrence(cart) == enrolment.occurrence]
    return sorted(mine, key=lambda cart: (cart.updated_at, cart.recovery_url is not None), reverse=True)


def arm(on: Subject, arms: Collection[str], person: PersonState | None) -> str:
    """The way this person takes at a branch; `else` when their value is unknown or has no arm."""
    value = _value(on, person)
    return value if value in arms else OTHERWISE


def _value(on: Subject, person: PersonState | None) -> str:
    if person is None:
        return ""
    scores = person.profile.scores
    match on:
        case Subject.LTV_TIER:
            return scores.ltv_tier.value if scores else ""
        case Subject.STATUS:
            return scores.status.value if scores else ""
        case Subject.BUYER:
            return "repeat" if person.profile.summary.order_count else "first"


def _ordered(order: Order, enrolment: Enrolment) -> bool:
    """An order of this cart, or any order since the cart was last touched. A cancelled one counts: they came back."""
    if order.test or order.ordered_at is None:
        return False
    return enrolment.occurrence in order_occurrences(order) or order.ordered_at >= enrolment.touched_at
