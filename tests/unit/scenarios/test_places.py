"""Where people stand: re-entry, channels in order, pausing, ejecting, and a new version while people are inside."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from typing import Any

import pytest

from shared.core.errors import UnavailableError
from shared.core.ids import CustomerId
from shared.customers.model import Consent, ConsentStatus, PersonState, Visit
from shared.customers.store import ChangedRow
from shared.delivery.channels.fake import FakeChannel, Fault
from shared.delivery.send import SendDeps
from shared.scenarios.holidays import holidays, is_business_day
from shared.scenarios.model import LiveStatus, Scenario
from shared.scenarios.read import read_text
from shared.scenarios.step import COME_BACK_SECONDS, StepDeps
from shared.scenarios.trigger import dump_rules, entry_rules, load_rules
from tests.unit.scenarios.test_words import AN_EXAMPLE, ENTRIES, SEND, scenario_of, templates
from tests.unit.scenarios.world import MORNING, STORE, TENANT, World, a_cart, a_person, jst, preset

DAY = timedelta(days=1)


def logins(more: str = "", steps: str = f"  - {SEND}") -> Scenario:
    text = scenario_of("{event: logged_in, after: 1h}", steps, AN_EXAMPLE, more)
    return read_text(text).model_copy(update={"status": LiveStatus.LIVE})


class Shop(World):
    """A shop whose people log in."""

    def step_deps(self) -> StepDeps:
        deps = super().step_deps()
        return replace(deps, sending=self.sends(replace(deps.sending, renderer=templates())))

    def sends(self, deps: SendDeps) -> SendDeps:
        return deps

    def logs_in(self, customer: str, times: int = 1) -> None:
        """A login now, told by the stream `times` times."""
        person = self.people.get(customer) or a_person(customer)
        visit = Visit(f"{customer}-{self.clock.at}", self.clock.at, "login")
        self.people[customer] = replace(person, visits=(*person.visits, visit), last_login_at=self.clock.at)
        row = ChangedRow(TENANT, CustomerId(customer), "visits", False, visits=self.people[customer].visits)
        for _ in range(times):
            self._row(row)

    def day(self, number: int) -> None:
        """hanako logs in on the n-th day, and the sweep comes when she is due."""
        self.timeline.at(MORNING + number * DAY, lambda: self.logs_in("hanako", 2))
        self.timeline.at(MORNING + number * DAY + timedelta(hours=1), lambda: void(self.sweeps()))


def void(_: object) -> None:
    """Forget an answer."""


@pytest.mark.parametrize(
    ("more", "days", "mails"),
    [("", (0, 3, 40), 1), ("reentry: 30d", (0, 3, 29, 31), 2), ("reentry: always", (0, 3, 40), 3)],
)
def test_the_same_person_enters_as_often_as_the_file_says(more: str, days: tuple[int, ...], mails: int) -> None:
    shop = Shop(scenario=logins(more))
    for number in days:
        shop.day(number)
    shop.play()
    assert len(shop.mails("hanako")) == mails


def test_two_arrivals_at_once_are_one_entry_although_the_index_lags() -> None:
    """The index of a person's places is read a moment late: both are armed, and the first step lets one in."""
    shop = Shop(scenario=logins())
    shop.enrolments.of_customer, known = lambda *_: [], shop.enrolments.of_customer  # type: ignore[method-assign]
    shop.clock.at += timedelta(hours=22)
    shop.logs_in("hanako")
    shop.clock.at += timedelta(hours=2)
    shop.logs_in("hanako")
    shop.enrolments.of_customer = known  # type: ignore[method-assign]
    assert len(shop.enrolments.of_customer(TENANT, CustomerId("hanako"))) == 2
    shop.clock.at += timedelta(hours=1)
    shop.sweeps()
    shop.play()
    assert shop.mails("hanako") == ["one"]
    outcomes = {place.outcome for place in shop.enrolments.of_customer(TENANT, CustomerId("hanako"))}
    assert outcomes == {"sent", "entered_before"}


class TwoChannels(Shop):
    """LINE goes down in the middle of a send, and the person leaves LINE meanwhile."""

    def __post_init__(self) -> None:
        super().__post_init__()
        self.line = FakeChannel(parts=("line.json",))

    def sends(self, deps: SendDeps) -> SendDeps:
        return replace(deps, channels={"email": self.ses, "line": self.line})


def on_line(status: ConsentStatus = ConsentStatus.OPT_IN) -> PersonState:
    person = a_person("hanako", line_user_id="U1")
    consent = Consent("line", STORE, status, MORNING - DAY, "test")
    return replace(person, consents=(*person.consents, consent))


def test_a_retry_that_would_take_another_channel_sends_nothing_twice() -> None:
    steps = "  - {send: one, channel: [line, email], template: t/one}"
    shop = TwoChannels(scenario=logins(steps=steps), retried=(UnavailableError,))
    shop.people["hanako"] = on_line()
    accepted = shop.line.send

    def sends_and_dies(message: Any) -> Any:
        accepted(message)
        shop.people["hanako"] = replace(on_line(ConsentStatus.OPT_OUT), visits=shop.people["hanako"].visits)
        raise KeyError("the worker died")

    shop.line.send = sends_and_dies  # type: ignore[method-assign]
    shop.logs_in("hanako")
    shop.at("2026-03-02 11:00", shop.sweeps)
    shop.play()
    assert (len(shop.line.accepted), len(shop.ses.accepted)) == (1, 0)
    assert shop.ledger_states("hanako") == {"one": "ambiguous"}


def test_who_is_reached_by_mail_does_not_wait_for_the_night_of_line() -> None:
    shop = TwoChannels(scenario=logins(steps="  - {send: one, channel: [email, line], template: t/one}"))
    shop.people["taro"] = a_person("taro")
    shop.people["hanako"] = replace(on_line(), consents=on_line().consents[1:])
    shop.clock.at = jst("2026-03-02 20:00")
    for customer in ("taro", "hanako"):
        shop.logs_in(customer)
    shop.at("2026-03-02 21:30", shop.sweeps)
    shop.play()
    rows = [row for name in ("taro", "hanako") for row in shop.ledger.rows(TENANT, CustomerId(name))]
    assert [(row.channel, row.sent_at) for row in rows] == [
        ("email", jst("2026-03-02 21:30")),
        ("line", jst("2026-03-03 09:00")),
    ]


def test_a_mail_that_ses_could_not_take_does_not_wait_for_the_morning_of_line() -> None:
    shop = TwoChannels(scenario=logins(steps="  - {send: one, channel: [email, line], template: t/one}"))
    shop.people["taro"] = a_person("taro")
    shop.clock.at = jst("2026-03-02 20:00")
    shop.logs_in("taro")
    shop.ses.plan(Fault.THROTTLE)
    shop.at("2026-03-02 21:30", shop.sweeps)
    shop.play()
    (row,) = shop.ledger.rows(TENANT, CustomerId("taro"))
    assert row.sent_at == jst("2026-03-02 21:30") + timedelta(seconds=COME_BACK_SECONDS)


def test_a_paused_scenario_collects_and_sends_nothing_until_it_goes_on() -> None:
    world = World()
    world.adds(a_person("inside", a_cart("c1")))
    world.at("2026-03-02 11:00", world.sweeps)
    world.at("2026-03-03 09:00", lambda: world.enrolments.pause(TENANT, preset().scenario_id, world.clock.at))
    world.at("2026-03-03 09:00", lambda: world.adds(a_person("due", a_cart("c2", jst("2026-03-03 07:30")))))
    world.at("2026-03-03 09:05", lambda: assert_that(world.sweeps() == {}))
    world.at("2026-03-03 15:00", lambda: world.enrolments.pause(TENANT, preset().scenario_id, None))
    world.at("2026-03-03 15:05", world.sweeps)
    world.play()
    assert world.mails("inside") == ["mail_1", "mail_2", "mail_3"]
    sent = {row.step: row.sent_at for row in world.ledger.rows(TENANT, CustomerId("inside"))}
    assert sent["mail_2"] == jst("2026-03-03 15:00"), "an hourly look"
    assert world.mails("due") == ["mail_1", "mail_2", "mail_3"]


def test_what_became_too_late_in_a_pause_is_not_sent() -> None:
    world = World()
    world.adds(a_person("inside", a_cart("c1")))
    world.at("2026-03-02 11:00", world.sweeps)
    world.at("2026-03-03 09:00", lambda: world.enrolments.pause(TENANT, preset().scenario_id, world.clock.at))
    world.at("2026-03-04 09:30", lambda: world.enrolments.pause(TENANT, preset().scenario_id, None))
    world.play()
    assert world.ledger_states("inside")["mail_2"] == "too_late"


def assert_that(holds: bool) -> None:
    assert holds


def test_a_person_who_is_taken_out_gets_nothing_more() -> None:
    world = World()
    for number in range(3):
        world.adds(a_person(f"p{number}", a_cart(f"c{number}")))
    world.at("2026-03-02 11:00", world.sweeps)
    world.at(
        "2026-03-02 12:00",
        lambda: assert_that(world.enrolments.eject(world.enrolment("p1"), "ejected", world.clock.at)),
    )
    world.play()
    assert world.mails("p1") == ["mail_1"]
    assert world.mails("p0") == world.mails("p2") == ["mail_1", "mail_2", "mail_3"]


def test_the_rules_of_every_kind_of_entry_survive_the_environment_and_fit_into_it() -> None:
    entries = [entry for entry, _ in ENTRIES.values()]
    found = [read_text(scenario_of(entry, f"  - {SEND}", AN_EXAMPLE)) for entry in entries]
    packed = dump_rules(entry_rules(found))
    assert load_rules(packed) == entry_rules(found)
    assert len(packed) < 2500, "a function has 4 KB for its whole environment"


def test_japanese_holidays_and_business_days() -> None:
    assert holidays(2026) == {
        date(2026, *day)
        for day in (
            *((1, 1), (1, 12), (2, 11), (2, 23), (3, 20), (4, 29), (5, 3), (5, 4), (5, 5), (5, 6)),
            *((7, 20), (8, 11), (9, 21), (9, 22), (9, 23), (10, 12), (11, 3), (11, 23)),
        )
    }
    assert date(2025, 2, 24) in holidays(2025), "the Monday after a holiday on a Sunday"
    assert date(2024, 9, 22) in holidays(2024)
    assert [is_business_day(date(2026, 12, day)) for day in (28, 29, 31)] == [True, False, False]
    assert is_business_day(date(2026, 5, 7))


@pytest.mark.parametrize(
    "first", ["wait: 1h", "tag: seen", "split: half\n    shares: {a: 50, b: 50}\n    arms: {a: [], b: []}"]
)
def test_whoever_was_not_collected_in_time_does_not_enter_whatever_the_first_step_is(first: str) -> None:
    shop = Shop(scenario=logins(steps=f"  - {first}\n  - {SEND}"))
    shop.logs_in("hanako")
    shop.at("2026-03-03 11:01", shop.sweeps)
    shop.play()
    assert (shop.mails("hanako"), shop.enrolment("hanako").outcome) == ([], "too_late")
