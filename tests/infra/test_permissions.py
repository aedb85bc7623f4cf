"""Permissions are reviewed as text: `iam.txt` says which role may do what to what, and a change shows in the diff."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path
from typing import Any

from tests.infra.test_house_rules import listed
from tests.stack import Templates

REVIEWED = Path(__file__).with_name("iam.txt")
HASH = re.compile(r"(?<=[A-Za-z])[0-9A-F]{8}(?=\W|$)")


def readable(value: Any) -> str:
    """A CloudFormation value on one line, with the logical ids' hashes dropped."""
    match value:
        case {"Fn::GetAtt": [name, attribute]}:
            text = f"{name}.{attribute}"
        case {"Ref": name}:
            text = f"{name}"
        case {"Fn::Join": ["", parts]}:
            text = "".join(part if isinstance(part, str) else f"<{readable(part)}>" for part in parts)
        case {"Fn::ImportValue": name}:
            text = re.sub(r"^.*Output(FnGetAtt|Ref)", "", str(name))
        case str():
            text = value
        case _:
            text = json.dumps(value, sort_keys=True)
    return HASH.sub("", text)


def scenario_machines(templates: Templates) -> set[str]:
    """The state machine of every scenario."""
    found = (HASH.sub("", name) for name, _ in templates.of_type("AWS::StepFunctions::StateMachine"))
    return {name for name in found if name.startswith("Scenarios")}


def table(templates: Templates) -> str:
    """One line per role, action and resource; what is granted on one scenario's machine is granted on all of them."""
    lines, machines = set(), scenario_machines(templates)
    for name, document in templates.policies():
        for statement in document["Statement"]:
            condition = f"  if {json.dumps(statement['Condition'], sort_keys=True)}" if "Condition" in statement else ""
            for action in listed(statement["Action"]):
                for resource in map(readable, listed(statement["Resource"])):
                    role, what = HASH.sub("", name), "<every scenario>" if resource in machines else resource
                    lines.add(f"{role:44} {statement['Effect']:5} {action:36} {what}{HASH.sub('', condition)}")
    return "\n".join(sorted(lines)) + "\n"


def test_permissions_are_the_reviewed_ones(templates: Templates) -> None:
    now = table(templates)
    if os.environ.get("MATAKITE_UPDATE_GOLDEN"):
        REVIEWED.write_text(now)
    assert now == REVIEWED.read_text(), "review the difference, then: MATAKITE_UPDATE_GOLDEN=1 pytest tests/infra"


def test_a_scenario_that_is_added_can_be_started(templates: Templates) -> None:
    started = {
        readable(resource)
        for name, document in templates.policies()
        if name.startswith("ScenariosSweepRole")
        for statement in document["Statement"]
        if "states:StartExecution" in listed(statement["Action"])
        for resource in listed(statement["Resource"])
    }
    assert started >= scenario_machines(templates) > set()


GOES = ("oversize/", "inbox/", "feeds/")
"""What is read after it may have expired, or been erased or taken back."""


def test_who_asks_for_an_object_that_is_gone_is_told_so(templates: Templates) -> None:
    """S3 says to who may not list that it is forbidden: one expired body ended the search after erasures, and polls."""
    lines = table(templates).splitlines()
    for folder in GOES:
        asks = {line.split()[0] for line in lines if " s3:GetObject " in line and line.endswith(f"/{folder}*")}
        told = {line.split()[0] for line in lines if " s3:ListBucket " in line and f'"{folder}*"' in line}
        assert asks, folder
        assert asks <= told, folder
