"""The state machine that a scenario compiles to."""

from __future__ import annotations

import json
from collections.abc import Iterator
from typing import Any

import pytest
from cfnlint.api import lint_all

from shared.core.errors import RejectedError
from shared.scenarios.compile import MAX_STATES, Machine, Options, compile_scenario, count_states
from shared.scenarios.describe import describe
from shared.scenarios.model import LiveStatus, Scenario
from shared.scenarios.read import PRESETS, read_presets, read_text
from tests.unit.scenarios.world import ARN, World, a_cart, a_person, preset

SAFE = {
    "tenant",
    "execution",
    "scheduled_at",
    "arrived_at",
    "cohort",
    "batch",
    "attempt",
    "answers",
    "action",
    "of",
    "step",
    "send",
    "branch",
    "tag",
    "coupon",
    "staged",
    "until",
    "goal",
    "period",
    "reactions",
    "entry",
    "again_seconds",
    "scenario",
    "version",
    "exit_when",
    "enter_within_seconds",
    "lane",
}
"""All that a machine ever hands to a step: ids, counts, times and words of the definition."""


def a_scenario(steps: str, entry: str = "after: 1h") -> Scenario:
    """A scenario with these steps (YAML, one step a line)."""
    return read_text(
        f"id: sample\ntitle: 見本\nentry: {{event: cart_abandoned, {entry}}}\nexit_when: [order_placed]\n"
        f"steps:\n{steps}\n"
        "examples:\n"
        "  - {title: a, expect: [{send: one}]}\n"
        "  - {title: b, cart: {quantity: 0}, expect: [{skip: entry, reason: empty_cart}]}\n"
    )


def machines(machine: Machine) -> Iterator[Machine]:
    """A machine and every machine inside it."""
    yield machine
    for state in machine["States"].values():
        for branch in state.get("Branches", []):
            yield from machines(branch)
        if "ItemProcessor" in state:
            yield from machines(state["ItemProcessor"])


def names(machine: Machine) -> list[str]:
    return [name for part in machines(machine) for name in part["States"]]


ONE = "{send: one, channel: email, template: cart_abandoned/first}"
TWO = "{send: two, channel: email, template: cart_abandoned/first}"
SAMPLES = {
    "one mail": f"  - {ONE}",
    "waits first": f"  - wait: 1d\n  - {ONE}",
    "branches first": f"  - branch: who\n    on: buyer\n    arms: {{repeat: [{ONE}]}}\n    else: [{{exit: newcomer}}]",
    "an arm that only ends": f"  - {ONE}\n  - branch: who\n    on: buyer\n    arms: {{repeat: []}}\n    else: [{TWO}]",
    "branches in branches": (
        f"  - branch: who\n    on: buyer\n    arms:\n      repeat:\n"
        f"        - branch: tier\n          on: ltv_tier\n          arms: {{high: [{ONE}]}}\n          else: []\n"
        f"    else: [{{wait: 2h}}]\n  - {TWO}"
    ),
}


@pytest.fixture(params=[*SAMPLES, "preset"])
def machine(request: pytest.FixtureRequest) -> Machine:
    scenario = preset() if request.param == "preset" else a_scenario(SAMPLES[request.param])
    return compile_scenario(scenario, ARN)


def test_every_state_can_be_reached_and_leads_somewhere(machine: Machine) -> None:
    for part in machines(machine):
        states = part["States"]
        leads = {part["StartAt"]}
        for state in states.values():
            onward = [state.get("Next"), state.get("Default"), *(rule["Next"] for rule in state.get("Choices", []))]
            assert any(onward) or state.get("End") or state["Type"] == "Succeed"
            leads |= {name for name in onward if name}
        assert leads == set(states)


def test_state_names_are_unique_in_the_whole_machine_and_short_enough(machine: Machine) -> None:
    found = names(machine)
    assert len(found) == len(set(found))
    assert max(map(len, found)) <= 80


def test_a_machine_hands_over_ids_counts_times_and_the_definition_only(machine: Machine) -> None:
    for part in machines(machine):
        for state in part["States"].values():
            if state["Type"] == "Task":
                assert {key.removesuffix(".$") for key in state["Parameters"]["Payload"]} <= SAFE


def test_every_task_is_retried_and_ends_in_time(machine: Machine) -> None:
    for part in machines(machine):
        for state in part["States"].values():
            if state["Type"] == "Task":
                assert state["TimeoutSeconds"] <= 240, "an Express child lives 5 minutes"
                assert {error for retry in state["Retry"] for error in retry["ErrorEquals"]} >= {
                    "Lambda.TooManyRequestsException",
                    "States.TaskFailed",
                    "States.Timeout",
                }
                assert "Catch" not in state, "a failed execution must fail at its step, to be redriven there"


def with_numbers(part: Any) -> Any:
    """cfn-lint's schema takes numbers alone for `Seconds`; of a JSONata state it may be an expression as well."""
    if isinstance(part, dict):
        return {key: 1 if key == "Seconds" and "QueryLanguage" in part else with_numbers(e) for key, e in part.items()}
    return [with_numbers(each) for each in part] if isinstance(part, list) else part


@pytest.mark.parametrize("name", ["branches in branches", "preset"])
def test_cfn_lint_accepts_the_machine(name: str) -> None:
    machine = compile_scenario(preset() if name == "preset" else a_scenario(SAMPLES[name]), ARN)
    resource = {
        "Type": "AWS::StepFunctions::StateMachine",
        "Properties": {"RoleArn": "arn:aws:iam::000000000000:role/r", "Definition": with_numbers(machine)},
    }
    template = json.dumps({"AWSTemplateFormatVersion": "2010-09-09", "Resources": {"Machine": resource}})
    assert [match.message for match in lint_all(template) if match.rule.id[0] in "EW"] == []


def test_the_first_step_claims_and_no_other_does(machine: Machine) -> None:
    calls = [
        state["Parameters"]["Payload"]
        for part in machines(machine)
        for state in part["States"].values()
        if state["Type"] == "Task"
    ]
    claiming = {
        (call["action"] if call["action"] != "gather" else call["of"], call["lane"])
        for call in calls
        if call["enter_within_seconds"]
    }
    assert len(claiming) == 1
    assert all(lane == "" for _, lane in claiming)


def test_the_last_mail_of_a_way_knows_that_it_is_the_last() -> None:
    machine = compile_scenario(preset(), ARN)
    sends = {
        call["lane"] + call["step"]: call["send"]["last"]
        for part in machines(machine)
        for state in part["States"].values()
        if state["Type"] == "Task" and (call := state["Parameters"]["Payload"])["action"] == "send"
    }
    assert len(sends) == 7
    assert {name for name, last in sends.items() if last} == {
        f"tier={arm} / mail_3" for arm in ("high", "potential", "else")
    }


def test_a_staged_scenario_compiles_its_stage_into_every_send() -> None:
    staged = preset().model_copy(update={"status": LiveStatus.STAGED})
    text = json.dumps(compile_scenario(staged, ARN))
    assert '"staged": true' in text
    assert '"staged": false' not in text


def test_children_can_be_standard_executions() -> None:
    text = json.dumps(compile_scenario(preset(), ARN, Options(children="STANDARD", concurrency=3)))
    assert '"ExecutionType": "STANDARD"' in text
    assert '"MaxConcurrency": 3' in text


@pytest.mark.parametrize("branches", [7, 8, 30])
def test_a_scenario_that_grows_with_every_branch_is_refused_with_advice(branches: int) -> None:
    steps = f"  - {ONE}\n" + "".join(
        f"  - branch: b{n}\n    on: buyer\n    arms: {{repeat: []}}\n    else: []\n  - wait: 1h\n"
        for n in range(branches)
    )
    with pytest.raises(RejectedError, match=rf"more than {MAX_STATES}.*[Pp]ut branches last"):
        compile_scenario(a_scenario(steps + f"  - {TWO}"), ARN)


def test_a_year_of_waiting_is_too_long_for_an_execution() -> None:
    with pytest.raises(RejectedError, match="more than 360d"):
        compile_scenario(
            a_scenario(f"  - {ONE}\n  - wait: 200d\n  - {TWO}\n  - wait: 200d\n  - {ONE.replace('one', 'three')}"), ARN
        )


def test_a_cohort_of_one_costs_21_transitions_over_three_mails() -> None:
    world = World()
    world.adds(a_person("hanako", a_cart()))
    world.at("2026-03-02 11:00", world.sweeps)
    world.play()
    assert world.mails("hanako") == ["mail_1", "mail_2", "mail_3"]
    assert world.transitions.total() <= 21


def test_transitions_of_the_machine_itself_do_not_grow_with_people() -> None:
    def transitions(people: int) -> int:
        world = World(batch_size=5)
        for number in range(people):
            world.adds(a_person(f"p{number}", a_cart(f"cart-{number}")))
        world.at("2026-03-02 11:00", world.sweeps)
        world.play()
        assert len(world.mails()) == 3 * people
        return sum(n for name, n in world.transitions.items() if not name.endswith(" batch"))

    assert transitions(40) == transitions(20)


def test_presets_can_be_described_in_lines() -> None:
    for scenario in read_presets(PRESETS):
        text = "\n".join(describe(scenario))
        assert all(send.send in text for send in scenario.sends())
        assert count_states(compile_scenario(scenario, ARN)) < 100
