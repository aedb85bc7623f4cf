"""What happens to people at a step, and what a death in the middle of it changes: nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from shared.core.errors import MisconfiguredError, UnavailableError
from shared.customers.model import LtvTier, PersonState
from shared.delivery.channels.fake import Fault
from shared.delivery.spend.budget import Budgeted, Lots
from shared.delivery.spend.store import MemorySpend
from shared.scenarios.enrolment import EnrolmentState
from shared.scenarios.examples import SHOP
from shared.scenarios.step import StepDeps
from tests.unit.scenarios.world import MORNING, World, a_cart, a_person, jst, preset, void

ELEVEN = "2026-03-02 11:00"


def of_everyone(world: World) -> Counter[str]:
    """Everything every ledger row says, over all people."""
    return Counter(said for customer in world.people for said in world.ledger_states(customer).values())


def shop_of(*people: PersonState, **how: Any) -> World:
    """A shop whose people all left their cart at 10:00; the sweep runs at 11:00."""
    world = World(**how)
    for person in people:
        world.adds(person)
    world.at(ELEVEN, world.sweeps)
    return world


def crowd(count: int) -> list[PersonState]:
    """People of every tier and none."""
    tiers = [LtvTier.HIGH, LtvTier.POTENTIAL, LtvTier.LOW, None]
    return [a_person(f"p{n:03}", a_cart(f"c{n:03}"), tier=tiers[n % 4]) for n in range(count)]


def test_everyone_goes_their_own_way() -> None:
    world = shop_of(*crowd(4))
    world.play()
    assert world.mails("p000") == ["mail_1", "mail_2_high", "mail_3"]
    assert world.mails("p001") == ["mail_1", "mail_2_potential", "mail_3"]
    assert world.mails("p002") == world.mails("p003") == ["mail_1", "mail_2", "mail_3"]
    assert all(world.enrolment(f"p00{n}").state is EnrolmentState.FINISHED for n in range(4))


def test_one_batch_or_many_come_to_the_same() -> None:
    one, many = shop_of(*crowd(23)), shop_of(*crowd(23), batch_size=4)
    one.play()
    many.play()
    assert sorted((m.step, m.to) for m in one.ses.accepted) == sorted((m.step, m.to) for m in many.ses.accepted)
    assert one.funnel() == many.funnel()
    assert many.transitions["mail_1 batch"] == 6


def test_the_funnel_counts_everyone_once_and_balances_with_the_ledger() -> None:
    world = shop_of(*crowd(8), batch_size=3)
    world.at("2026-03-02 15:00", lambda: world.orders("p000", "c000"))
    world.at("2026-03-02 15:00", lambda: world.opts_out("p001"))
    world.play()
    assert world.funnel() == {
        "mail_1": Counter(sent=8),
        "tier": Counter({"high": 2, "potential": 2, "else": 4}),
        "mail_2_high": Counter(sent=1, ordered=1),
        "mail_2_potential": Counter(sent=1, opted_out=1),
        "mail_2": Counter(sent=4),
        "mail_3": Counter(sent=6),
    }
    due = sum((counts for step, counts in world.funnel().items() if step != "tier"), Counter())
    assert due == of_everyone(world)


EVENTS = {"Task": 5, "Map": 4, "Choice": 2, "Pass": 2, "Wait": 2, "Succeed": 2}
"""What a state writes into its execution's history, of which Step Functions allows 25,000 events."""


def welcome_for(days: int, people: int) -> World:
    """One mail to each of these people, welcome for so long, day and night."""
    first = preset().sends()[0].model_copy(update={"expires_after": timedelta(days=days)})
    world = shop_of(*crowd(people), scenario=preset().model_copy(update={"steps": (first,)}), batch_size=1)
    awake = {**SHOP.section("delivery"), "quiet_hours": {"email": None}}
    world.shop = replace(SHOP, sections={"delivery": awake})
    return world


def test_a_provider_that_takes_nothing_for_as_long_as_a_mail_is_welcome_uses_up_no_history() -> None:
    """At 90 seconds and up to 22 events a look the execution failed before, and everybody in it was lost."""
    world = welcome_for(3, people=1)
    world.ses.plan(*[Fault.PAUSE] * 10_000)
    world.play()
    assert of_everyone(world) == Counter(too_late=1)
    kinds = {name: state["Type"] for name, state in (world.machine or {})["States"].items()}
    assert sum(EVENTS[kinds[name]] * times for name, times in world.transitions.items() if name in kinds) < 25_000


@pytest.mark.parametrize(
    ("fault", "days", "seconds"), [(Fault.THROTTLE, 1, 90), (Fault.THROTTLE, 7, 605), (Fault.PAUSE, 1, 900)]
)
def test_a_busy_provider_is_asked_again_as_soon_as_the_mail_needs_it(fault: Fault, days: int, seconds: int) -> None:
    world = welcome_for(days, people=1)
    world.ses.plan(fault)
    world.play()
    assert of_everyone(world) == Counter(sent=1)
    assert world.clock.at == jst(ELEVEN) + timedelta(seconds=seconds)


def test_whoever_ordered_between_two_mails_leaves_with_a_record() -> None:
    world = shop_of(a_person("hanako", a_cart()))
    world.at("2026-03-02 12:00", lambda: world.orders("hanako"))
    world.play()
    assert world.mails() == ["mail_1"]
    assert world.ledger_states("hanako") == {"mail_1": "sent", "mail_2": "ordered"}
    assert world.enrolment("hanako").state is EnrolmentState.EXITED
    assert world.enrolment("hanako").outcome == "ordered"


def test_a_cart_touched_between_sweep_and_claim_is_due_again_later() -> None:
    world = shop_of(a_person("hanako", a_cart()))
    touched = a_cart(touched_at=jst("2026-03-02 10:59"))
    # The sweep of 11:00 has read the index; before its machine claims, the new touch arrives.
    world.at(ELEVEN, lambda: world.adds(a_person("hanako", touched)))
    world.at("2026-03-02 11:59", world.sweeps)
    world.play()
    assert [m.step for m in world.ses.accepted] == ["mail_1", "mail_2", "mail_3"]
    assert world.enrolment("hanako").entered_at == jst("2026-03-02 11:59")


def test_an_erased_person_is_held_back_and_leaves() -> None:
    world = shop_of(a_person("hanako", a_cart()))
    world.at("2026-03-02 12:00", world.people.clear)
    world.play()
    assert world.mails() == ["mail_1"]
    assert world.enrolment("hanako").outcome == "erased"


def test_at_night_the_whole_cohort_waits_until_the_morning_and_nobody_is_counted_twice() -> None:
    world = World()
    world.clock.at = jst("2026-03-02 21:30")
    for number in range(3):
        world.adds(a_person(f"p{number}", a_cart(f"c{number}", touched_at=world.clock.at)))
    world.at("2026-03-02 22:30", world.sweeps)
    world.play()
    assert world.funnel()["mail_1"] == Counter(sent=3)
    assert world.enrolment("p0").state is EnrolmentState.FINISHED


def collected_late(hours: int) -> World:
    """Nobody swept for a while."""
    world = World()
    world.adds(a_person("hanako", a_cart()))
    world.timeline.at(jst(ELEVEN) + timedelta(hours=hours), lambda: void(world.sweeps()))
    world.play()
    return world


def test_a_first_mail_that_comes_too_late_is_not_sent_but_the_next_is() -> None:
    assert collected_late(10).mails() == ["mail_1", "mail_2", "mail_3"]
    late = collected_late(22)
    assert late.mails() == ["mail_2", "mail_3"]
    assert late.ledger_states("hanako")["mail_1"] == "too_late"


def test_after_a_long_outage_nobody_enters_any_more() -> None:
    world = collected_late(25)
    assert world.mails() == []
    assert world.ledger_states("hanako") == {"mail_1": "too_late"}
    assert world.enrolment("hanako").state is EnrolmentState.EXITED
    assert world.funnel() == {"mail_1": Counter(too_late=1)}


def test_a_provider_that_is_down_for_long_lets_mail_expire_instead_of_bursting() -> None:
    world = shop_of(a_person("hanako", a_cart()))
    world.ses.plan(*[Fault.THROTTLE] * 1000)
    world.play()
    assert world.ledger_states("hanako")["mail_1"] == "too_late"


def test_a_busy_provider_makes_the_batch_come_back_until_everyone_was_served() -> None:
    world = shop_of(*crowd(5))
    world.ses.plan(Fault.THROTTLE, Fault.NONE, Fault.UNREACHABLE, Fault.NONE, Fault.PAUSE)
    world.play()
    assert Counter(world.mails())["mail_1"] == 5
    assert world.funnel()["mail_1"] == Counter(sent=5)


def test_what_a_batch_did_not_use_of_the_budget_goes_back_also_when_it_breaks_off() -> None:
    spend = MemorySpend()
    lots = Lots(spend)

    def budgeted(deps: StepDeps) -> StepDeps:
        sending = deps.sending
        channels = {
            name: Budgeted(channel, "line", lambda _: 1, lots, sending.read_shop, deps.clock)
            for name, channel in sending.channels.items()
        }
        return replace(deps, sending=replace(sending, channels=channels, put_back=lots.put_back))

    world = shop_of(*crowd(5), wrap=budgeted)
    world.ses.plan(Fault.NONE, Fault.THROTTLE, Fault.NONE, Fault.UNREACHABLE, Fault.PAUSE)
    world.play()
    assert spend.used(world.shop.tenant, "line#2026-03") == len(world.mails()) == 15


def test_a_first_step_that_comes_back_claims_nobody_again() -> None:
    world, claimed = shop_of(*crowd(5)), Counter[str]()
    claim = world.enrolments.claim

    def counted(tenant: Any, scenario: Any, occurrence: str, *rest: Any) -> Any:
        claimed[occurrence] += 1
        return claim(tenant, scenario, occurrence, *rest)

    world.enrolments.claim = counted  # type: ignore[method-assign,assignment]
    world.ses.plan(Fault.THROTTLE, Fault.NONE, Fault.THROTTLE)
    world.play()
    assert list(claimed.values()) == [1] * 5


def test_a_wrong_setting_stops_the_execution_and_spoils_nobody() -> None:
    world = shop_of(a_person("hanako", a_cart()), shop=replace(World().shop, sections={"delivery": {}}))
    with pytest.raises(MisconfiguredError):
        world.play()
    assert world.enrolment("hanako").state is EnrolmentState.ENTERED
    assert world.ledger_states("hanako") == {}
    # After it is mended, the failed execution is redriven at its step.
    world.shop = World().shop
    ((name, document),) = list(world.executions.items())
    del world.executions[name]
    world.start("cart_abandoned", name, document)
    world.play()
    assert world.mails("hanako") == ["mail_1", "mail_2", "mail_3"]


def test_a_person_on_whom_a_step_breaks_is_put_aside_and_the_others_go_on() -> None:
    def broken(deps: StepDeps) -> StepDeps:
        def person(tenant: Any, customer: Any) -> PersonState | None:
            if customer == "p001":
                raise KeyError("a bug")
            return deps.person(tenant, customer)

        return replace(deps, person=person)

    world = shop_of(*crowd(3), wrap=broken)
    world.play()
    assert world.enrolment("p001").state is EnrolmentState.FAILED
    assert world.funnel()["mail_1"] == Counter(sent=2, failed=1)
    assert world.mails("p000")
    assert world.mails("p002")


def test_a_staged_scenario_decides_and_records_and_sends_nothing() -> None:
    staged = preset().model_copy(update={"status": preset().status.STAGED})
    world = shop_of(*crowd(2), scenario=staged)
    world.play()
    assert world.mails() == []
    assert set(of_everyone(world)) == {"staged"}


# --- death ---


class Killed(BaseException):
    """The worker is gone."""


class Mortal:
    """A port whose nth call kills the worker: before its effect, or right after."""

    def __init__(self, port: Any, life: Life) -> None:
        self._port, self._life = port, life

    def __getattr__(self, name: str) -> Any:
        value = getattr(self._port, name)
        return self._life.guard(value) if callable(value) else value


class Life:
    """Counts calls; ends at one of them."""

    def __init__(self, dies_at: int, after: bool) -> None:
        self.calls, self.dies_at, self.after = 0, dies_at, after

    def guard(self, call: Callable[..., Any]) -> Callable[..., Any]:
        def guarded(*args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            if self.calls == self.dies_at and not self.after:
                raise Killed
            answer = call(*args, **kwargs)
            if self.calls == self.dies_at:
                raise Killed
            return answer

        return guarded


def mortal(deps: StepDeps, life: Life) -> StepDeps:
    """Every call a step makes may be its last."""
    sending = replace(
        deps.sending,
        ledger=Mortal(deps.sending.ledger, life),
        read_person=life.guard(deps.sending.read_person),
        channels={name: Mortal(channel, life) for name, channel in deps.sending.channels.items()},
    )
    return replace(
        deps,
        enrolments=Mortal(deps.enrolments, life),
        files=Mortal(deps.files, life),
        person=life.guard(deps.person),
        sending=sending,
    )


def killed_at(call: int, *, after: bool, batch_size: int = 50) -> tuple[World, Life]:
    life = Life(call, after)
    world = shop_of(
        a_person("hanako", a_cart("c1"), tier=LtvTier.HIGH),
        a_person("taro", a_cart("c2")),
        a_person("jiro", a_cart("c3")),
        batch_size=batch_size,
        wrap=lambda deps: mortal(deps, life),
        retried=(Killed,),
    )
    world.at("2026-03-02 12:00", lambda: world.orders("taro", "c2"))
    world.play()
    return world, life


def check_nobody_is_lost_or_mailed_twice(world: World) -> None:
    sent = Counter((str(m.key.customer_id), m.step) for m in world.ses.accepted)
    assert max(sent.values()) == 1, "I1: never twice"
    expected = {
        "hanako": ["mail_1", "mail_2_high", "mail_3"],
        "taro": ["mail_1", "mail_2"],
        "jiro": ["mail_1", "mail_2", "mail_3"],
    }
    for customer, steps in expected.items():
        said = world.ledger_states(customer)
        assert list(said) == steps or set(said) == set(steps), "I2: none lost without a record"
        for step in steps:
            bought = (customer, step) == ("taro", "mail_2")
            allowed = {"ordered"} if bought else {"sent", "ambiguous"}
            assert said[step] in allowed
            # What nobody knows was handed over at most once; everything else exactly as recorded.
            if said[step] != "ambiguous":
                assert sent[customer, step] == (0 if bought else 1)
    assert world.enrolment("taro").state is EnrolmentState.EXITED
    assert world.enrolment("hanako").state is world.enrolment("jiro").state is EnrolmentState.FINISHED
    counted = sum((counts for step, counts in world.funnel().items() if step != "tier"), Counter())
    assert counted == of_everyone(world), "the funnel tells what the ledger tells"


@pytest.mark.parametrize("batch_size", [50, 1])
@pytest.mark.parametrize("after", [False, True], ids=["before", "after"])
def test_a_death_at_any_call_loses_nobody_and_mails_nobody_twice(after: bool, batch_size: int) -> None:
    _, life = killed_at(10**9, after=after, batch_size=batch_size)
    calls = life.calls
    assert calls > 60
    ambiguous = 0
    for call in range(1, calls + 1):
        world, life = killed_at(call, after=after, batch_size=batch_size)
        assert life.calls > call, "it went on"
        check_nobody_is_lost_or_mailed_twice(world)
        ambiguous += of_everyone(world)["ambiguous"]
    # Only a death between mark and record leaves a mail that nobody knows about.
    assert 0 < ambiguous <= 3 * 7


def test_a_step_that_runs_twice_changes_nothing() -> None:
    """An Express child may run twice: every call of the whole run is made a second time right after the first."""
    once, twice = shop_of(*crowd(9), batch_size=4), shop_of(*crowd(9), batch_size=4)
    rehearsal = twice.rehearsal

    def doubled() -> Any:
        real = rehearsal()
        return replace(real, step=lambda call: (real.step(call), real.step(call))[1])

    twice.rehearsal = doubled  # type: ignore[method-assign]
    once.play()
    twice.play()
    assert sorted(once.mails()) == sorted(twice.mails())
    assert once.funnel() == twice.funnel()


def test_the_answers_of_a_repeated_branch_are_the_first_ones() -> None:
    """Scores may change between two attempts: nobody may end up in two arms."""
    world = shop_of(*crowd(4))
    rehearsal = world.rehearsal

    def changing() -> Any:
        real = rehearsal()

        def step(call: Any) -> Any:
            answer = real.step(call)
            if call["action"] == "branch":
                for customer in world.people:
                    world.people[customer] = replace(
                        world.people[customer], profile=replace(world.people[customer].profile, scores=None)
                    )
                assert real.step(call) == answer
            return answer

        return replace(real, step=step)

    world.rehearsal = changing  # type: ignore[method-assign]
    world.play()
    assert world.mails("p000") == ["mail_1", "mail_2_high", "mail_3"]


def test_an_unanswered_store_is_an_error_to_retry_and_not_a_decision() -> None:
    failures = iter([True, True, False])

    def flaky(deps: StepDeps) -> StepDeps:
        def person(tenant: Any, customer: Any) -> PersonState | None:
            if next(failures, False):
                raise UnavailableError("throttled")
            return deps.person(tenant, customer)

        return replace(deps, person=person)

    world = shop_of(a_person("hanako", a_cart()), wrap=flaky)
    world.play()
    assert world.mails("hanako") == ["mail_1", "mail_2", "mail_3"]
    assert MORNING + timedelta(hours=1) == world.enrolment("hanako").entered_at
