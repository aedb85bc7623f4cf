"""The rehearsal and Step Functions run a machine alike: the same calls, with the same times, batch by batch.

Every example and crash test runs machines in the rehearsal; this is what ties them to the real interpreter, its
JSONPath and its JSONata.
"""

from __future__ import annotations

import inspect
import io
import json
import time
import zipfile
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import boto3
import pytest

from infra.local.process import LocalPaths, start, stop
from infra.local.session import ACCOUNT, REGION, LocalSession
from shared.core.clock import FixedClock
from shared.scenarios.compile import compile_scenario
from shared.scenarios.model import Scenario
from shared.scenarios.read import PRESETS, read_file, read_text
from shared.scenarios.rehearse import Rehearsal, Timeline

BUCKET = "machine-contract"
AT = "2026-03-02T02:00:00.000Z"
BATCHES = [{"key": f"cohorts/{n}.json", "part": "all", "index": f"{n:06}"} for n in range(3)]
FUNCTION = f"arn:aws:lambda:{REGION}:{ACCOUNT}:function:step"

NESTED = """
id: nested
title: 枝の中の枝
entry: {event: cart_abandoned, after: 1h}
exit_when: [order_placed]
steps:
  - wait: 1h
  - send: two_before
    channel: [line, email]
    template: cart_abandoned/first
  - branch: who
    on: buyer
    arms:
      repeat:
        - branch: tier
          on: ltv_tier
          arms:
            high: [{send: one, channel: email, template: cart_abandoned/first}]
            low: []
          else: [{exit: enough}]
    else: [{wait: 2h}]
  - wait: {for: 1h30m, until: "10:00", on: business_day}
  - wait_for: back
    when: {opened: two_before}
    timeout: 2h
    check_every: 1h
    then: []
    else: [{tag: late}]
  - split: test
    shares: {a: 50, holdout: 50}
    arms: {a: []}
  - send: two
    channel: email
    template: cart_abandoned/first
examples:
  - {title: a, expect: [{send: two}]}
  - {title: b, cart: {quantity: 0}, expect: [{skip: entry, reason: empty_cart}]}
"""


def answer(call):  # type: ignore[no-untyped-def]
    """What the step says, by rules that need no state: first mails are deferred once, arms are full, split or empty."""
    first_time = call["scheduled_at"] == call["arrived_at"]
    index = call.get("batch", {}).get("index", "")
    sizes = [{"size": 2, "batches": 1}, {"size": 0, "batches": 1}, {"size": 130, "batches": 3}]
    branch = call.get("branch", {})
    arms = [*branch.get("arms", []), *([] if "shares" in branch else ["else"])]
    answers = call.get("answers", [])
    late = call["action"] == "send" and call["step"] in ("mail_1", "one") and first_time and index in ("0", "000001")
    return {
        "defer_seconds": max(answers) if answers else 3600 if late else 7200 if call["action"] == "until" else 0,
        "arms": {
            arm: {"bucket": "machine-contract", "key": "cohorts/batches.json", "part": arm, **sizes[n % 3]}
            for n, arm in enumerate(arms)
        },
    }


HANDLER = """
import json, uuid, boto3

def handler(call, context):
    body = json.dumps(call, sort_keys=True).encode()
    boto3.client("s3").put_object(Bucket="machine-contract", Key=f"calls/{call['execution']}/{uuid.uuid4()}", Body=body)
    return answer(call)

"""


@pytest.fixture(scope="module")
def cloud(tmp_path_factory: pytest.TempPathFactory) -> Iterator[boto3.Session]:
    """An emulator of its own, in which nobody waits."""
    paths = LocalPaths(Path(tmp_path_factory.mktemp("impatient")))
    emulator = start(paths, port=0, wait_scale=0)
    try:
        session = LocalSession(emulator)
        prepare(session)
        yield session
    finally:
        stop(paths)


def prepare(cloud: boto3.Session) -> None:
    """A bucket with a list of batches, a role that may do what these machines do, and the step."""
    iam, s3, functions = (client(cloud, name) for name in ("iam", "s3", "lambda"))
    services = ["lambda.amazonaws.com", "states.amazonaws.com"]
    trust = {"Effect": "Allow", "Principal": {"Service": services}, "Action": "sts:AssumeRole"}
    iam.create_role(
        RoleName="machine", AssumeRolePolicyDocument=json.dumps({"Version": "2012-10-17", "Statement": [trust]})
    )
    actions = ["lambda:InvokeFunction", "s3:GetObject", "s3:PutObject", "states:*"]
    allowed = {"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Action": actions, "Resource": "*"}]}
    iam.put_role_policy(RoleName="machine", PolicyName="all", PolicyDocument=json.dumps(allowed))
    s3.create_bucket(Bucket=BUCKET, CreateBucketConfiguration={"LocationConstraint": REGION})
    s3.put_object(Bucket=BUCKET, Key="cohorts/batches.json", Body=json.dumps(BATCHES).encode())
    code = io.BytesIO()
    with zipfile.ZipFile(code, "w") as archive:
        archive.writestr("step.py", HANDLER + inspect.getsource(answer))
    functions.create_function(
        FunctionName="step",
        Runtime="python3.13",
        Handler="step.handler",
        Role=f"arn:aws:iam::{ACCOUNT}:role/machine",
        Code={"ZipFile": code.getvalue()},
        Timeout=30,
    )


def client(cloud: boto3.Session, name: str) -> Any:
    """A client of any service."""
    return cloud.client(name)  # type: ignore[call-overload]


SCENARIOS = {"preset": read_file(PRESETS / "cart_abandoned.yaml"), "nested": read_text(NESTED)}


@pytest.mark.parametrize("batches", [1, 3])
@pytest.mark.parametrize("scenario", SCENARIOS.values(), ids=SCENARIOS)
def test_step_functions_makes_the_calls_that_the_rehearsal_makes(
    cloud: boto3.Session, scenario: Scenario, batches: int
) -> None:
    machine = compile_scenario(scenario, FUNCTION)
    document = {
        "tenant": "mihon",
        "execution": f"{scenario.id}-{batches}",
        "scheduled_at": AT,
        "arrived_at": AT,
        "cohort": {"bucket": BUCKET, "key": "cohorts/batches.json", "part": "all", "size": 1, "batches": batches},
    }
    expected = rehearsed(machine, document)
    assert len(expected) >= 6
    assert by_content(ran(cloud, scenario.id, machine, document)) == by_content(expected)


def rehearsed(machine: Mapping[str, Any], document: dict[str, Any]) -> list[Any]:
    calls: list[Any] = []

    def step(call: Mapping[str, Any]) -> Any:
        calls.append(dict(call))
        return answer(dict(call))  # type: ignore[no-untyped-call]

    clock = FixedClock(datetime(2026, 3, 2, 2, tzinfo=UTC))
    timeline = Timeline(clock)
    timeline.start(Rehearsal(step, lambda _: BATCHES, clock).run(dict(machine), document))
    timeline.play()
    return calls


def ran(cloud: boto3.Session, scenario: str, machine: Mapping[str, Any], document: dict[str, Any]) -> list[Any]:
    states, s3 = client(cloud, "stepfunctions"), client(cloud, "s3")
    arn = states.create_state_machine(
        name=f"{scenario}-{document['execution']}",
        definition=json.dumps(machine),
        roleArn=f"arn:aws:iam::{ACCOUNT}:role/machine",
    )["stateMachineArn"]
    execution = states.start_execution(stateMachineArn=arn, name=document["execution"], input=json.dumps(document))[
        "executionArn"
    ]
    described = finished(states, execution)
    assert described["status"] == "SUCCEEDED", (described.get("error"), described.get("cause"))
    found = s3.list_objects_v2(Bucket=BUCKET, Prefix=f"calls/{document['execution']}/")["Contents"]
    return [json.loads(s3.get_object(Bucket=BUCKET, Key=item["Key"])["Body"].read()) for item in found]


def finished(states: Any, execution: str) -> Any:
    """The execution when it no longer runs; after half a minute it fails the test by its status."""
    described = states.describe_execution(executionArn=execution)
    for _ in range(300):
        if described["status"] != "RUNNING":
            break
        time.sleep(0.1)
        described = states.describe_execution(executionArn=execution)
    return described


def by_content(calls: list[Any]) -> list[str]:
    return sorted(json.dumps(call, sort_keys=True) for call in calls)
