"""What the scenario files promise: every example of every file, with the real mail templates."""

from __future__ import annotations

from pathlib import Path

import pytest

from infra.cli.scenario import compiled_templates, missing_templates, misused
from shared.scenarios.examples import ExampleResult, run_examples
from shared.scenarios.model import LiveStatus, Scenario
from shared.scenarios.read import PRESETS, read_presets

SCENARIOS = read_presets()


def results() -> list[tuple[Scenario, ExampleResult]]:
    """Every example, once; one test beside says which templates are missing, and for all scenarios alike."""
    written = [scenario for scenario in SCENARIOS if not missing_templates(scenario, _file(scenario))]
    with compiled_templates() as templates:
        return [(scenario, result) for scenario in written for result in run_examples(scenario, templates)]


def _file(scenario: Scenario) -> Path:
    return PRESETS / f"{scenario.id}.yaml"


@pytest.mark.parametrize(("scenario", "result"), [pytest.param(s, r, id=f"{s.id}: {r.title}") for s, r in results()])
def test_an_example_holds(scenario: Scenario, result: ExampleResult) -> None:
    assert result.passed, (
        f"{scenario.id}, {result.title}\n"
        f"  expected  {'; '.join(map(str, result.expected))}\n"
        f"  happened  {'; '.join(map(str, result.happened))}"
    )


@pytest.mark.parametrize("scenario", SCENARIOS, ids=lambda scenario: scenario.id)
def test_a_preset_is_complete(scenario: Scenario) -> None:
    file = _file(scenario)
    assert file.exists()
    assert [str(mistake) for mistake in missing_templates(scenario, file)] == []
    assert [str(mistake) for mistake in misused(scenario, file)] == []
    assert scenario.notes, "notes say to a shop owner what it does, and what to set first"
    examples = len(scenario.examples)
    assert examples >= 6, f"{examples} examples: also an opt-out, no consent, a bounce, no address, an order meanwhile"


def test_an_example_that_promises_something_else_fails() -> None:
    """The runner itself can fail: one promise too many, a wrong reason, a wrong time."""
    preset = next(scenario for scenario in SCENARIOS if scenario.id == "cart_abandoned")
    first = preset.examples[0]
    wrong_time = first.expect[0].model_copy(update={"at": first.cart.touched_at})
    changed = [
        first.model_copy(update={"expect": first.expect[:-1]}),
        first.model_copy(update={"expect": (wrong_time, *first.expect[1:])}),
        first.model_copy(update={"person": first.person.model_copy(update={"consent": "opt_out"})}),
    ]
    scenario = preset.model_copy(update={"examples": tuple(changed)})
    with compiled_templates() as templates:
        found = run_examples(scenario, templates)
    assert [result.passed for result in found] == [False, False, False]
    assert [happened.outcome for happened in found[2].happened] == ["opted_out"]


def test_every_status_has_the_scenario_that_the_next_approach_names() -> None:
    named = {"dormant_winback", "at_risk_care", "vip_offer", "f2_conversion", "cycle_reminder"}
    assert named <= {scenario.id for scenario in SCENARIOS}


def test_only_carts_and_delivery_notices_send_before_the_shop_says_so() -> None:
    assert {s.id for s in SCENARIOS if s.status is LiveStatus.LIVE} == {"cart_abandoned", "next_delivery"}
