"""Rolling windows over channels and topics, what people asked for on the preference centre, and a domain's warm-up."""

from __future__ import annotations

import itertools
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Any

import pytest

from shared.core.errors import MisconfiguredError
from shared.core.ids import ScenarioId
from shared.customers.model import Attribute, Consent, ConsentStatus, PersonState
from shared.delivery.model import Contact, Outcome, Purpose, Reason, SendRequest, SendState
from shared.delivery.policy import contact_policy
from shared.delivery.preferences import FREQUENCY, PAUSED_UNTIL, TOPIC, wishes_of
from shared.delivery.rules import Action, decide
from shared.delivery.send import deliver
from shared.delivery.warm_up import ACTIVE_DAYS, USUAL, WarmUp, may_warm
from tests.unit.delivery.world import NOON, STORE, World, a_consent, a_person, a_request, a_shop

NO_CAPS: dict[str, Any] = {"cap_per_day": None, "cap_per_week": None, "quiet_hours": {"email": None, "line": None}}
OFFERS, CART = ScenarioId("newsletter"), ScenarioId("cart_abandoned")


def everywhere() -> PersonState:
    """Somebody who may be written to by mail and on LINE."""
    line = Consent("line", STORE, ConsentStatus.OPT_IN, NOON, "test")
    return a_person(consents=(a_consent(), line), line_user_id="U1")


class BothChannels(World):
    """Mail and LINE through the same fake provider."""

    def both(self) -> Any:
        deps = self.deps()
        return replace(deps, channels={"email": self.ses, "line": self.ses})


def send_daily(world: BothChannels, days: int, *requests: SendRequest) -> list[datetime]:
    """Ask for one send of each kind every day; when they went out."""
    sent = []
    for day, request in itertools.product(range(days), requests):
        at = NOON + timedelta(days=day)
        due = replace(request, occurrence=f"{request.channel}-{day}")
        if deliver(due, world.people[due.customer_id], world.both(), at).state is SendState.SENT:
            sent.append(at)
    return sent


@pytest.fixture
def shop_of(plain: Any) -> Any:
    def make(**delivery: Any) -> BothChannels:
        world = BothChannels(plain, shop=a_shop(**NO_CAPS | delivery))
        world.people = {a_request().customer_id: everywhere()}
        return world

    return make


@pytest.mark.parametrize("days", [1, 7, 14, 30])
@pytest.mark.parametrize("at_most", [1, 3])
def test_no_window_of_any_length_holds_more_than_the_cap_over_mail_and_line(
    shop_of: Any, days: int, at_most: int
) -> None:
    world = shop_of(caps=[{"days": days, "at_most": at_most}])
    sent = send_daily(world, 65, a_request(), a_request(channel="line", scenario=OFFERS))
    for start in sent:
        assert sum(start <= at < start + timedelta(days=days) for at in sent) <= at_most
    assert len(sent) >= (65 // days) * min(at_most, 2 * days), "a cap is no reason to send less than it allows"


def test_a_cap_on_line_leaves_mail_alone(shop_of: Any) -> None:
    world = shop_of(caps=[{"days": 14, "at_most": 2, "channels": ["line"]}])
    mails = send_daily(world, 10, a_request())
    lines = send_daily(world, 10, a_request(channel="line"))
    assert (len(mails), len(lines)) == (10, 2)


def test_a_cap_on_a_topic_counts_that_topic_over_all_channels(shop_of: Any) -> None:
    world = shop_of(caps=[{"days": 7, "at_most": 1, "topics": ["offers"]}])
    offers = send_daily(world, 7, a_request(scenario=OFFERS), a_request(scenario=OFFERS, channel="line"))
    carts = send_daily(world, 7, a_request(scenario=CART))
    assert (len(offers), len(carts)) == (1, 7)


def test_transactional_mail_obeys_no_cap_wish_or_warm_up(shop_of: Any) -> None:
    world = shop_of(caps=[{"days": 30, "at_most": 1}], warm_up={"from": "2027-01-01"})
    tired = wishing(PAUSED_UNTIL, "2099-01-01T00:00:00Z")
    world.people = {a_request().customer_id: tired}
    assert len(send_daily(world, 5, a_request(purpose=Purpose.TRANSACTIONAL))) == 5


def wishing(name: str, value: str | bool) -> PersonState:
    return replace(everywhere(), attributes={name: Attribute(value, NOON, "e1")})


def decided(person: PersonState, request: SendRequest, now: datetime = NOON) -> Reason:
    return decide(person, request, Contact(), contact_policy(a_shop()), now).reason


def test_a_rest_ends_by_itself() -> None:
    resting = wishing(PAUSED_UNTIL, "2026-12-20T03:00:00Z")
    assert decided(resting, a_request()) is Reason.PAUSED
    assert decided(resting, a_request(), NOON + timedelta(days=30)) is Reason.NONE


def test_a_topic_that_was_turned_off_is_held_back_and_others_are_not() -> None:
    person = wishing(f"{TOPIC}offers", value=False)
    assert decided(person, a_request(scenario=OFFERS)) is Reason.TOPIC_OFF
    assert decided(person, a_request(scenario=CART)) is Reason.NONE


def test_once_a_month_is_once_in_thirty_days_whatever_the_shop_allows(shop_of: Any) -> None:
    world = shop_of()
    world.people = {a_request().customer_id: wishing(FREQUENCY, "monthly")}
    sent = send_daily(world, 95, a_request(), a_request(channel="line"))
    assert [(at - NOON).days for at in sent] == [0, 30, 60, 90]


def test_a_wish_that_cannot_be_read_is_none() -> None:
    said = {PAUSED_UNTIL: Attribute("soon", NOON, "e"), FREQUENCY: Attribute("never", NOON, "e")}
    assert wishes_of(said) == wishes_of({})


@pytest.mark.parametrize(
    "wrong",
    [
        {"caps": {"days": 7}},
        {"caps": [{"days": 0, "at_most": 1}]},
        {"caps": [{"days": 7, "at_most": 0}]},
        {"caps": [{"days": 40, "at_most": 1}]},
        {"caps": [{"days": 7, "at_most": 1, "channel": "line"}]},
        {"caps": [{"days": 7, "at_most": 1, "channels": "line"}]},
        {"topics": [{"id": "Offers!", "label": "x", "scenarios": []}]},
        {"topics": "offers"},
        {"warm_up": {"from": "soon"}},
        {"warm_up": {"from": "2026-12-01", "weeks": [[500, 50]]}},
        {"warm_up": []},
    ],
)
def test_a_setting_nobody_can_follow_is_refused(wrong: dict[str, Any]) -> None:
    with pytest.raises(MisconfiguredError, match=next(iter(wrong))):
        contact_policy(a_shop(**wrong))


def test_the_curve_rises_every_day_from_fifty_to_ten_thousand_and_ends() -> None:
    warm_up = WarmUp(date(2026, 12, 1))
    caps = [warm_up.cap(date(2026, 12, 1) + timedelta(days=day)) for day in range(29)]
    assert (caps[0], caps[6], caps[7], caps[27], caps[28]) == (50, 100, 200, 10_000, None)
    known = [cap for cap in caps if cap is not None]
    assert known == sorted(set(known))
    assert warm_up.cap(date(2026, 11, 30)) == 0
    assert len(USUAL) == len(ACTIVE_DAYS)


def test_who_was_active_lately_is_first() -> None:
    warm_up = WarmUp(date(2026, 12, 1))
    for week, days in enumerate(ACTIVE_DAYS):
        today = date(2026, 12, 1) + timedelta(weeks=week)
        last = datetime.fromisoformat(f"{today}T12:00:00Z")
        assert may_warm(warm_up, last - timedelta(days=days), today)
        assert not may_warm(warm_up, last - timedelta(days=days + 1), today)
        assert not may_warm(warm_up, None, today)
    assert may_warm(warm_up, None, date(2026, 12, 29))


def test_the_gate_says_so_of_mail_only(shop_of: Any) -> None:
    shop = a_shop(**NO_CAPS, warm_up={"from": "2026-11-18"})
    long_ago = replace(a_consent(), at=NOON - timedelta(days=400))
    line = Consent("line", STORE, ConsentStatus.OPT_IN, long_ago.at, "test")
    asleep = a_person(consents=(long_ago, line), line_user_id="U1")
    policy = contact_policy(shop)
    assert decide(asleep, a_request(), Contact(), policy, NOON).reason is Reason.WARM_UP
    assert decide(asleep, a_request(channel="line"), Contact(), policy, NOON).action is Action.SEND
    assert decide(everywhere(), a_request(), Contact(), policy, NOON).action is Action.SEND
    assert Outcome(SendState.SUPPRESSED, Reason.WARM_UP).reason == "warm_up"
