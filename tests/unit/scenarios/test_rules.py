"""Decisions about one person."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from shared.core.ids import CustomerId
from shared.customers.model import Cart, LtvTier, Order, PersonState
from shared.delivery.model import Outcome, Reason, SendState
from shared.scenarios.conditions import View
from shared.scenarios.enrolment import Enrolment, EnrolmentState, Instance, cart_occurrence
from shared.scenarios.language.entries import Entry, Trigger
from shared.scenarios.language.steps import ARMS, OTHERWISE, Subject
from shared.scenarios.model import ExitRule, LiveStatus
from shared.scenarios.rules import EntryRule, arm, carts_of, ends_with, entering, exit_reason, rearms
from tests.unit.scenarios.world import CART, MORNING, STORE, TENANT, a_cart, a_person, an_order

HOUR = timedelta(hours=1)
RULE = EntryRule("cart_abandoned", LiveStatus.LIVE, Entry(event=Trigger.CART_ABANDONED, after=HOUR))
ALL = tuple(ExitRule)


def an_enrolment(cart: Cart) -> Enrolment:
    ref = Instance(cart.source, cart.store, cart.token)
    return Enrolment(TENANT, CART, cart_occurrence(cart), CustomerId("hanako"), ref, cart.updated_at)


def leaving(rules: tuple[ExitRule, ...], enrolment: Enrolment, person: PersonState) -> Reason | None:
    return exit_reason(rules, None, enrolment, View(person, enrolment.touched_at, MORNING, enrolment.occurrence))


# --- entering ---


def test_a_cart_is_due_an_hour_after_it_was_last_touched() -> None:
    assert entering(a_cart(), RULE, MORNING).due_at == MORNING + HOUR


@pytest.mark.parametrize(
    ("cart", "reason"),
    [
        (a_cart(lines=()), "empty_cart"),
        (a_cart(deleted=True), "empty_cart"),
        (a_cart(completed_at=MORNING), "ordered"),
        (a_cart(touched_at=MORNING - timedelta(hours=25, seconds=1)), "too_late"),
    ],
)
def test_who_does_not_enter_is_told_one_reason(cart: Cart, reason: str) -> None:
    decision = entering(cart, RULE, MORNING)
    assert (decision.due_at, decision.reason) == (None, reason)


def test_an_outage_of_less_than_the_entry_window_loses_nobody() -> None:
    assert entering(a_cart(touched_at=MORNING - timedelta(hours=25)), RULE, MORNING).due_at is not None


def test_imported_history_never_enters() -> None:
    assert entering(a_cart(), RULE, MORNING, historical=True).reason == "historical"


def test_a_scenario_that_is_off_lets_nobody_in_and_a_staged_one_does() -> None:
    assert entering(a_cart(), replace(RULE, status=LiveStatus.OFF), MORNING).reason == "off"
    assert entering(a_cart(), replace(RULE, status=LiveStatus.STAGED), MORNING).due_at


def test_a_cart_touched_again_counts_anew_until_somebody_collected_it() -> None:
    armed = an_enrolment(a_cart())
    later, earlier = (replace(armed, touched_at=MORNING + by) for by in (HOUR, -HOUR))
    assert rearms(None, armed)
    assert rearms(armed, later)
    assert not rearms(armed, armed)
    assert not rearms(armed, earlier)
    assert rearms(armed, replace(armed, customer_id=CustomerId("another")))
    for state in set(EnrolmentState) - {EnrolmentState.ARMED}:
        assert not rearms(replace(armed, state=state), later)


def test_a_cart_and_the_checkout_made_from_it_are_one_occurrence() -> None:
    cart = a_cart("cart-token")
    checkout = a_cart("checkout-token", cart_token="cart-token")
    assert cart_occurrence(cart) == cart_occurrence(checkout)
    assert cart_occurrence(cart) != cart_occurrence(replace(cart, store="other.myshopify.com"))
    assert "cart-token" not in cart_occurrence(cart), "a token opens a checkout: it is no part of a key"


# --- leaving ---


def test_nobody_leaves_while_nothing_happened() -> None:
    cart = a_cart()
    assert leaving(ALL, an_enrolment(cart), a_person("hanako", cart)) is None


@pytest.mark.parametrize(
    ("order", "leaves"),
    [
        (an_order(at=MORNING + HOUR), True),
        (an_order(at=MORNING - HOUR), True),  # of this very cart, whatever the clocks say
        (an_order("other", at=MORNING), True),
        (an_order("other", at=MORNING + timedelta(days=2), cancelled=True), True),
        (an_order("other", at=MORNING - timedelta(seconds=1)), False),
        (an_order("other", at=MORNING + HOUR, test=True), False),
        (replace(an_order("other"), ordered_at=None), False),
    ],
)
def test_an_order_of_the_cart_or_since_the_cart_ends_it(order: Order, leaves: bool) -> None:
    cart = a_cart()
    person = replace(a_person("hanako", cart), orders=(order,))
    assert leaving(ALL, an_enrolment(cart), person) == (Reason.ORDERED if leaves else None)
    assert leaving((ExitRule.CART_EMPTIED,), an_enrolment(cart), person) is None


@given(st.datetimes(datetime(2026, 3, 1), datetime(2026, 4, 1)), st.booleans(), st.booleans())  # noqa: DTZ001
def test_no_mail_ever_goes_to_somebody_with_an_order_since_the_cart(at: datetime, mine: bool, cancelled: bool) -> None:
    cart = a_cart()
    order = an_order("cart-1" if mine else "other", at.replace(tzinfo=MORNING.tzinfo), cancelled=cancelled)
    person = replace(a_person("hanako", cart), orders=(order,))
    if mine or (order.ordered_at and order.ordered_at >= MORNING):
        assert leaving(ALL, an_enrolment(cart), person) is Reason.ORDERED


def test_a_completed_or_emptied_cart_ends_it() -> None:
    enrolment = an_enrolment(a_cart())
    completed = a_person("hanako", a_cart(completed_at=MORNING))
    assert leaving(ALL, enrolment, completed) is Reason.ORDERED
    assert leaving(ALL, enrolment, a_person("hanako", a_cart(lines=()))) is Reason.EXITED
    assert leaving(ALL, enrolment, a_person("hanako")) is Reason.EXITED
    assert leaving((), enrolment, completed) is None


def test_the_latest_checkout_of_a_cart_counts() -> None:
    cart, checkout = a_cart("c"), a_cart("k", MORNING + HOUR, cart_token="c")
    person = a_person("hanako", cart, checkout, a_cart("unrelated", MORNING + 2 * HOUR))
    assert [found.token for found in carts_of(an_enrolment(cart), person)] == ["k", "c"]


def test_whoever_cannot_be_written_to_any_more_need_not_go_on() -> None:
    def ends(reason: Reason, state: SendState = SendState.SUPPRESSED) -> bool:
        return ends_with(ALL, Outcome(state, reason))

    assert all(map(ends, (Reason.OPTED_OUT, Reason.BOUNCED, Reason.COMPLAINED, Reason.ERASED)))
    assert not any(map(ends, (Reason.NO_CONSENT, Reason.NO_ADDRESS, Reason.FREQUENCY_CAP, Reason.TOO_LATE)))
    assert not ends(Reason.NONE, SendState.SENT)
    assert not ends_with((ExitRule.ORDER_PLACED,), Outcome(SendState.SUPPRESSED, Reason.OPTED_OUT))


# --- branching ---


@pytest.mark.parametrize("tier", list(LtvTier))
def test_everyone_takes_the_arm_of_their_tier(tier: LtvTier) -> None:
    person = a_person(tier=tier)
    assert arm(Subject.LTV_TIER, tuple(LtvTier), person) == tier.value
    assert arm(Subject.LTV_TIER, ("nothing",), person) == OTHERWISE


@pytest.mark.parametrize("subject", list(Subject))
def test_everyone_has_exactly_one_way_even_when_nothing_is_known(subject: Subject) -> None:
    arms = ARMS.get(subject, ("vip", "regulars"))
    assert arm(subject, arms, None) == OTHERWISE
    assert arm(subject, arms, a_person()) in {*arms, OTHERWISE}


def test_the_store_of_the_cart_is_kept_because_consent_is_per_store() -> None:
    assert an_enrolment(a_cart()).instance.store == STORE
