"""Whatever can go wrong calls somebody, and what they read says what to do."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from tests.stack import Templates

RUNBOOK = (Path(__file__).parents[2] / "RUNBOOK.md").read_text("utf-8")
LOGICAL = re.compile(r"[0-9A-F]{8}$")
Alarms = dict[str, dict[str, Any]]


@pytest.fixture(scope="module")
def alarms(templates: Templates) -> Alarms:
    return {alarm["AlarmName"]: alarm for _, alarm in templates.properties("AWS::CloudWatch::Alarm")}


def test_every_dead_letter_queue_has_an_alarm(templates: Templates, alarms: Alarms) -> None:
    watched = json.dumps([alarm.get("Dimensions") for alarm in alarms.values()])
    queues = [name for name, _ in templates.of_type("AWS::SQS::Queue") if "DeadLetters" in name]
    assert queues
    silent = [name for name in queues if f'"{name}"' not in watched]
    assert not silent, f"{silent}: two queues of one name in infra/admin.py _watch? Name this one after its work"


def test_every_alarm_calls_somebody_and_names_its_place_in_the_runbook(alarms: Alarms) -> None:
    for name, alarm in alarms.items():
        assert alarm["AlarmActions"], name
        anchor = alarm["AlarmDescription"].removeprefix("runbook#").partition(":")[0]
        assert f"\n## {anchor}\n" in RUNBOOK, f"RUNBOOK.md: ## {anchor}, what to do when {name} goes off"


def test_the_runbook_says_of_every_dead_letter_alarm_whose_log_to_read(templates: Templates, alarms: Alarms) -> None:
    functions = [LOGICAL.sub("", name) for name, _ in templates.of_type("AWS::Lambda::Function")]
    for name in alarms:
        if "DeadLetters" in name:
            row = re.search(rf"^\| `{name.removeprefix('matakite DeadLetters')}` \| (.+?) \|", RUNBOOK, re.MULTILINE)
            assert row, f"RUNBOOK.md, dead-letters: a row for {name}: the function, what it is and how it goes on"
            for function in re.findall("`(.+?)`", row[1]):
                assert [each for each in functions if each.endswith(function)], f"{name}: no function {function}"


def test_a_webhook_that_fails_at_either_door_calls_somebody(alarms: Alarms) -> None:
    assert {alarm["MetricName"] for alarm in alarms.values()} >= {"5xx", "Url5xxCount"}


def test_what_is_told_every_quarter_of_an_hour_is_one_alarm_while_it_lasts_and_not_one_a_quarter(
    templates: Templates, alarms: Alarms
) -> None:
    """A send in doubt is told of for a day: by five minutes that were 96 alarms, each of which called somebody."""
    rates = {p["Description"]: p["ScheduleExpression"] for _, p in templates.properties("AWS::Scheduler::Schedule")}
    told = [rate for what, rate in rates.items() if "in doubt" in what or "collected" in what]
    assert told == ["rate(15 minutes)", "rate(15 minutes)"]
    for name in ("SendsInDoubt", "SendsOverdue"):
        assert alarms[f"matakite {name}"]["Period"] > 2 * 15 * 60, name


def test_an_execution_that_fails_or_runs_out_of_time_calls_somebody(templates: Templates, alarms: Alarms) -> None:
    """Only nights that failed did; a scenario's machine stopped with its people in it, a night ran out of its time."""
    (rule,) = (p for _, p in templates.properties("AWS::Events::Rule") if p["EventPattern"]["source"] == ["aws.states"])
    assert set(rule["EventPattern"]["detail"]["status"]) == {"FAILED", "TIMED_OUT"}
    ((prefix,),) = (each.values() for each in rule["EventPattern"]["detail"]["stateMachineArn"])
    begin = "".join(part for part in prefix["Fn::Join"][1] if isinstance(part, str)).rpartition(":")[2]
    names = [p["StateMachineName"] for _, p in templates.properties("AWS::StepFunctions::StateMachine")]
    assert [name for name in names if not name.startswith(begin)] == []
    (target,) = rule["Targets"]
    assert json.dumps(target["Arn"]["Fn::GetAtt"][0]) in json.dumps(alarms["matakite DeadLettersRuns"]["Dimensions"])


def test_a_call_of_a_schedule_that_the_function_fails_at_calls_somebody(templates: Templates) -> None:
    """Scheduler hands the call over and hears of nothing more: a night that could not be begun was told to nobody."""
    kept = {
        json.dumps(each["FunctionName"]): each["DestinationConfig"]["OnFailure"]["Destination"]
        for _, each in templates.properties("AWS::Lambda::EventInvokeConfig")
    }
    functions = {name for name, _ in templates.of_type("AWS::Lambda::Function")}
    targets = [schedule["Target"] for _, schedule in templates.properties("AWS::Scheduler::Schedule")]
    called = [target for target in targets if target["Arn"].get("Fn::GetAtt", [""])[0] in functions]
    assert len(called) >= 5
    for target in called:
        assert kept[json.dumps({"Ref": target["Arn"]["Fn::GetAtt"][0]})] == target["DeadLetterConfig"]["Arn"]
