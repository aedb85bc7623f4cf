"""The contact budget: a message that is expected to cost more than it earns is held back, with that as its reason."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.errors import MisconfiguredError
from shared.core.ids import SendId
from shared.customers.model import Consent, ConsentStatus, LtvTier, PersonState, Scores, Status, Summary
from shared.delivery.model import Contact, Purpose, Reason
from shared.delivery.policy import contact_policy
from shared.delivery.rules import Action, Decision, decide
from shared.delivery.worth import COSTS, NEW, Worth, worth_of
from tests.amount import amount
from tests.unit.delivery.world import NOON, STORE, a_consent, a_person, a_request, a_shop

SETTING: dict[str, Any] = {"margin_rate": 0.3, "order_rate": {"high": 0.02, "low": 0.001, "new": 0.001}}
NO_NIGHT = {"quiet_hours": {"email": None, "line": None, "sms": None}}
SENT = Decision(Action.SEND)
HELD = Decision(Action.HOLD, Reason.NOT_WORTH)


def somebody(tier: LtvTier | None = None, orders: int = 0, total: int = 0) -> PersonState:
    """Agreed to everything, and bought so much."""
    agreed = tuple(Consent(channel, STORE, ConsentStatus.OPT_IN, NOON, "test") for channel in ("line", "sms"))
    person = a_person(consents=(a_consent(), *agreed), line_user_id="U1", phone="+818000000001")
    scores = Scores(date(2026, 11, 20), Status.NEW, date(2026, 11, 1), tier, 3, 3, 3, "新規") if tier else None
    return replace(person, profile=replace(person.profile, scores=scores, summary=Summary(orders, total)))


def ask(
    person: PersonState, channel: str, contacts: int = 0, purpose: Purpose = Purpose.MARKETING, **worth: Any
) -> Decision:
    """The gate, for somebody who had so many contacts in the last days."""
    policy = contact_policy(a_shop(cap_per_day=None, **NO_NIGHT, **({"worth": SETTING | worth} if worth else {})))
    slots = {SendId(f"s{n}"): NOON - timedelta(days=2, minutes=n) for n in range(contacts)}
    return decide(person, a_request(channel=channel, purpose=purpose), Contact(slots), policy, NOON)


@pytest.mark.parametrize("channel", ["email", "line", "sms"])
@pytest.mark.parametrize("contacts", [0, 3])
def test_without_the_setting_nobody_asks(channel: str, contacts: int) -> None:
    assert ask(somebody(), channel, contacts) == SENT


def test_a_paid_message_must_be_expected_to_earn_its_price() -> None:
    """2 % of 10,000 yen at 30 % margin are 60 yen; 0.1 % are 3: no more than a push on LINE costs."""
    for tier, line, sms in ((LtvTier.HIGH, SENT, SENT), (LtvTier.LOW, HELD, HELD), (LtvTier.POTENTIAL, HELD, HELD)):
        person = somebody(tier, orders=4, total=40_000)
        assert (ask(person, "line", fatigue=0), ask(person, "sms", fatigue=0)) == (line, sms)
    assert ask(somebody(LtvTier.LOW, 4, 40_000), "line", costs={"line": 2.9}) == SENT


def test_a_mail_is_asked_about_only_when_it_is_the_last_of_the_week() -> None:
    person = somebody(LtvTier.LOW, orders=4, total=40_000)
    assert [ask(person, "email", contacts, fatigue=1.0) for contacts in range(4)] == [SENT, SENT, SENT, HELD]
    assert ask(person, "email", 3, fatigue=0.9) == SENT
    assert ask(person, "email", 4, fatigue=1.0) == Decision(Action.HOLD, Reason.FREQUENCY_CAP), (
        "the cap itself is first"
    )


def test_who_never_ordered_is_worth_the_shops_average_order() -> None:
    assert ask(somebody(), "line", average_order=0) == HELD
    assert ask(somebody(), "line", average_order=11_000) == SENT


def test_a_transactional_message_earns_nothing_and_goes() -> None:
    assert ask(somebody(), "sms", purpose=Purpose.TRANSACTIONAL, fatigue=1.0) == SENT


@settings(max_examples=amount(200, sample=50))
@given(
    rate=st.floats(0, 1), margin=st.floats(0, 1), total=st.integers(0, 10**7), contacts=st.integers(0, 30),
    fatigue=st.floats(0, 100), channel=st.sampled_from(sorted(COSTS)),
)  # fmt: skip
def test_more_contacts_and_dearer_messages_are_never_worth_more(
    rate: float, margin: float, total: int, contacts: int, fatigue: float, channel: str
) -> None:
    worth = Worth(margin, {NEW: rate}, fatigue=fatigue)
    person = somebody(orders=1, total=total)
    expected = worth.expected_margin(person, channel, contacts)
    assert expected == pytest.approx(rate * margin * total - COSTS[channel] - fatigue * contacts)
    assert worth.expected_margin(person, channel, contacts + 1) <= expected
    assert replace(worth, costs={channel: COSTS[channel] + 1}).expected_margin(person, channel, contacts) < expected
    assert worth.pays(person, channel, contacts) == (expected > 0)


@pytest.mark.parametrize(
    "wrong",
    [
        {}, [], "0.3", {"margin_rate": 0.3}, SETTING | {"margin_rate": 1.5}, SETTING | {"margin_rate": "a third"},
        SETTING | {"order_rate": {"high": -0.1}}, SETTING | {"order_rate": [0.1]}, SETTING | {"fatigue": -1},
        SETTING | {"costs": {"line": float("nan")}}, SETTING | {"margn": 1},
    ],
)  # fmt: skip
def test_a_wrong_setting_says_how_it_must_look(wrong: object) -> None:
    with pytest.raises(MisconfiguredError, match="margin_rate"):
        worth_of(wrong)
