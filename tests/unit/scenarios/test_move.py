"""A new version while people are inside: whoever can goes on by it from where they are, the others finish by theirs."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.core.ids import CustomerId, ScenarioId, TenantId
from shared.scenarios.compile import compile_scenario
from shared.scenarios.model import LiveStatus, Scenario
from shared.scenarios.move import Moved, move, moved_execution
from shared.scenarios.read import read_text
from shared.scenarios.step import MOVED
from shared.scenarios.sweep import execution_name
from tests.unit.scenarios.test_places import Shop
from tests.unit.scenarios.test_words import AN_EXAMPLE, scenario_of
from tests.unit.scenarios.world import ARN, TENANT


def sending(name: str) -> str:
    return f"  - {{send: {name}, channel: email, template: t/one}}\n"


def version(*steps: str) -> Scenario:
    text = scenario_of("{event: logged_in, after: 1h}", "".join(steps), AN_EXAMPLE)
    return read_text(text).model_copy(update={"status": LiveStatus.LIVE})


BEFORE = version(sending("one"), "  - wait: 2d\n", sending("two"), "  - wait: 4d\n", sending("three"))
AFTER = version(
    sending("one"),
    "  - tag: seen\n",
    "  - wait: {for: 1d, until: '12:00'}\n",
    sending("between"),
    "  - wait: 1d\n",
    sending("two"),
    "  - wait: 1d\n",
    sending("last"),
)
ELSEWHERE = version(sending("one"), "  - wait: 3d\n", sending("other"))


class Versions(Shop):
    """A shop whose scenario is deployed anew while people are inside."""

    def deploys(self, scenario: Scenario) -> None:
        self.scenario, self.machine = scenario, compile_scenario(scenario, ARN)

    def moves(self) -> Moved:
        return move(self.scenario, self.inside, self.sweep_deps(), self.clock.at)

    def inside(self) -> list[Any]:
        return list(self.enrolments.people(TENANT, self.scenario.scenario_id))

    def step_deps(self) -> Any:

        return replace(super().step_deps(), tag=lambda *_: None)

    def log(self, customer: str = "hanako") -> dict[str, str]:
        rows = self.ledger.rows(TENANT, CustomerId(customer))
        return {
            row.step: f"{row.decided_at + timedelta(hours=9):%m-%d %H:%M} {row.reason or row.state}" for row in rows
        }


@pytest.fixture
def shop() -> Versions:
    """hanako logged in at 10 on 2 March and got the first mail at 11."""
    found = Versions(scenario=BEFORE)
    found.logs_in("hanako")
    found.at("2026-03-02 11:00", found.sweeps)
    return found


def test_who_stays_goes_on_by_the_version_they_entered_with(shop: Versions) -> None:
    shop.at("2026-03-03 09:00", lambda: shop.deploys(AFTER))
    shop.play()
    assert shop.log() == {"one": "03-02 11:00 sent", "two": "03-04 11:00 sent", "three": "03-08 11:00 sent"}


def test_who_is_moved_goes_on_by_the_new_version_at_its_times_and_gets_nothing_twice(shop: Versions) -> None:
    shop.at("2026-03-03 09:00", lambda: shop.deploys(AFTER))
    for at in ("09:00", "09:00", "09:30"):  # repeated at once, and again
        shop.at(f"2026-03-03 {at}", shop.moves)
    shop.play()
    assert shop.log() == {
        "one": "03-02 11:00 sent",
        "between": "03-03 12:00 sent",
        "two": "03-04 12:00 sent",
        "last": "03-05 12:00 sent",
    }
    assert sorted(shop.mails("hanako")) == ["between", "last", "one", "two"]
    assert {step: dict(found) for step, found in shop.funnel().items()}["one"] == {"sent": 1}, "counted once"


def test_what_the_new_version_would_have_sent_long_ago_is_too_late(shop: Versions) -> None:
    shop.at("2026-03-06 09:00", lambda: shop.deploys(AFTER))
    shop.at("2026-03-06 09:00", shop.moves)
    shop.play()
    log = shop.log()
    assert (log["between"][12:], log["two"], log["last"][12:]) == ("too_late", "03-04 11:00 sent", "too_late")
    assert "three" not in log


def test_whose_step_is_gone_stays(shop: Versions) -> None:
    shop.at("2026-03-05 09:00", lambda: shop.deploys(ELSEWHERE))
    found: list[Moved] = []
    shop.at("2026-03-05 09:00", lambda: found.append(shop.moves()))
    shop.play()
    assert found == [Moved(0, 1)]
    assert shop.log()["three"] == "03-08 11:00 sent"


def test_a_move_that_dies_half_way_is_finished_by_the_next(shop: Versions) -> None:
    shop.logs_in("taro")

    def dies(*_: Any) -> bool:
        raise KeyError("the command died")

    def half() -> None:
        start, shop.start = shop.start, dies  # type: ignore[method-assign,assignment]
        with pytest.raises(KeyError):
            shop.moves()
        shop.start = start  # type: ignore[method-assign]

    shop.at("2026-03-03 09:00", lambda: shop.deploys(AFTER))
    shop.at("2026-03-03 09:00", half)
    shop.at("2026-03-03 09:10", shop.moves)
    shop.play()
    for customer in ("hanako", "taro"):
        assert shop.log(customer)["last"] == "03-05 12:00 sent"


def test_a_message_is_the_same_whatever_channels_the_new_version_gives_it() -> None:
    """Moved within the first one's time: the mail that left is not sent again as a message of two channels."""
    notice = "  - {{send: {}, channel: {}, template: t/one, purpose: transactional}}\n"
    later = ("  - wait: 1h\n", notice.format("two", "email"), "  - wait: 1d\n", notice.format("three", "email"))
    shop = Versions(scenario=version(notice.format("one", "email"), *later))
    shop.logs_in("hanako")
    shop.at("2026-03-02 11:00", shop.sweeps)
    wider = version(notice.format("one", "[line, email]"), *later)
    shop.at("2026-03-02 12:30", lambda: shop.deploys(wider))
    shop.at("2026-03-02 12:30", shop.moves)
    shop.play()
    assert shop.mails("hanako") == ["one", "two", "three"]


def test_the_longest_names_make_an_execution_that_step_functions_takes(shop: Versions) -> None:
    """It was refused after its people had been given to it: they belonged to nothing that runs."""
    entered = replace(shop.inside()[0], tenant=TenantId("m" * 32), scenario=ScenarioId("s" * 31))
    began = execution_name(entered.tenant, entered.scenario, shop.clock.at)
    first, second = (replace(entered, execution=name, entered_at=shop.clock.at) for name in (began, f"{began[:-1]}x"))
    names = {moved_execution(each, shop.clock.at) for each in (first, second)}
    assert len(names) == 2
    assert max(map(len, (began, *names))) <= 80
    assert all(name.endswith(MOVED) for name in names)
