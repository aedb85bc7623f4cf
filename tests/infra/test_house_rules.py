"""The rules of the house that a program can check on the templates."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from infra.functions import UNTRACED
from shared.core.settings import variable
from shared.customers import identity
from shared.ingest.sources import ses
from shared.scenarios.cohorts import FOLDER
from shared.scenarios.sense import MAX_WAIT
from tests.infra.conftest import function_files, our_functions, settings_fields
from tests.stack import Templates

_TRACES = "X-Ray has no resource-level permissions"
_LOG_DELIVERY = "the vended log delivery of Step Functions has no resource-level permissions"
_STREAMS = "listing streams has no resource-level permissions"
_ACCOUNT = "the account's sending quota belongs to no resource"
STAR_RESOURCES = {
    "xray:PutTelemetryRecords": _TRACES,
    "xray:PutTraceSegments": _TRACES,
    "xray:GetSamplingRules": _TRACES,
    "xray:GetSamplingTargets": _TRACES,
    "logs:CreateLogDelivery": _LOG_DELIVERY,
    "logs:DeleteLogDelivery": _LOG_DELIVERY,
    "logs:DescribeLogGroups": _LOG_DELIVERY,
    "logs:DescribeResourcePolicies": _LOG_DELIVERY,
    "logs:GetLogDelivery": _LOG_DELIVERY,
    "logs:ListLogDeliveries": _LOG_DELIVERY,
    "logs:PutResourcePolicy": _LOG_DELIVERY,
    "logs:UpdateLogDelivery": _LOG_DELIVERY,
    "dynamodb:ListStreams": _STREAMS,
    "ses:GetAccount": _ACCOUNT,
}
"""Every action that may name resource `*`, with the reason."""


def test_a_cohort_is_kept_as_long_as_a_scenario_may_wait_and_everything_in_the_work_bucket_expires(
    templates: Templates,
) -> None:
    """Lists of people were gone after 30 days: whoever waited longer was never written to."""
    (work,) = (p for name, p in templates.properties("AWS::S3::Bucket") if name.startswith("Work"))
    rules = work["LifecycleConfiguration"]["Rules"]
    days = {rule["Prefix"]: rule["ExpirationInDays"] for rule in rules if "ExpirationInDays" in rule}
    assert timedelta(days=days.pop(FOLDER)) > MAX_WAIT + timedelta(days=7)
    assert set(days.values()) == {30}
    granted = set(re.findall(r"<Work\w+>/([^*]+)\*", (Path(__file__).parent / "iam.txt").read_text()))
    assert granted == {*days, FOLDER}


def test_every_function_file_is_deployed_and_nothing_else(templates: Templates) -> None:
    assert set(our_functions(templates)) == set(function_files())


def test_a_functions_environment_is_exactly_its_settings(templates: Templates) -> None:
    files = function_files()
    for name, properties in our_functions(templates).items():
        environment = set(properties.get("Environment", {}).get("Variables", {}))
        assert environment == {variable(field) for field in settings_fields(files[name])}, name


def test_every_function_has_its_own_role(templates: Templates) -> None:
    roles = [json.dumps(properties["Role"]) for _, properties in templates.properties("AWS::Lambda::Function")]
    assert len(set(roles)) == len(roles)


def test_every_function_runs_python_3_13_on_arm_with_traces_and_its_own_log_group(templates: Templates) -> None:
    functions = our_functions(templates)
    assert len(functions) >= 10
    for name, properties in functions.items():
        assert properties["Runtime"] == "python3.13", name
        assert properties["Architectures"] == ["arm64"], name
        file = str(properties["Description"]).removeprefix("matakite ")
        assert properties.get("TracingConfig") == (None if file in UNTRACED else {"Mode": "Active"}), name
        assert "LogGroup" in properties["LoggingConfig"], name
        assert properties["LoggingConfig"]["SystemLogLevel"] == "WARN", name


def test_every_log_group_forgets(templates: Templates) -> None:
    groups = dict(templates.properties("AWS::Logs::LogGroup"))
    assert groups
    assert [name for name, group in groups.items() if group.get("RetentionInDays", 9999) > 90] == []


def test_stream_readers_isolate_poison_and_never_block(templates: Templates) -> None:
    mappings = [p for _, p in templates.properties("AWS::Lambda::EventSourceMapping") if "StartingPosition" in p]
    assert len(mappings) >= 4
    for mapping in mappings:
        assert mapping["StartingPosition"] == "TRIM_HORIZON"
        assert mapping["BisectBatchOnFunctionError"] is True
        assert mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"]
        assert 0 < mapping["MaximumRetryAttempts"] <= 3
        assert 0 < mapping["MaximumRecordAgeInSeconds"] <= 6 * 3600
        assert mapping["DestinationConfig"]["OnFailure"]["Destination"]


def test_queue_readers_report_single_failures(templates: Templates) -> None:
    mappings = [p for _, p in templates.properties("AWS::Lambda::EventSourceMapping") if "StartingPosition" not in p]
    assert mappings
    assert all(mapping["FunctionResponseTypes"] == ["ReportBatchItemFailures"] for mapping in mappings)


def test_queues_are_encrypted_and_refuse_plain_http(templates: Templates) -> None:
    policies = json.dumps([p for _, p in templates.properties("AWS::SQS::QueuePolicy")])
    for name, queue in templates.properties("AWS::SQS::Queue"):
        assert queue["SqsManagedSseEnabled"] is True, name
        assert name in policies
        assert "aws:SecureTransport" in policies


def test_a_work_queue_waits_six_timeouts_and_gives_up_after_five(templates: Templates) -> None:
    worked = [(n, q) for n, q in templates.properties("AWS::SQS::Queue") if "RedrivePolicy" in q]
    assert worked
    for name, queue in worked:
        assert queue["RedrivePolicy"]["maxReceiveCount"] == 5, name
        assert queue["VisibilityTimeout"] >= 6 * 10, name


def test_every_schedule_and_rule_target_has_a_dead_letter_queue(templates: Templates) -> None:
    schedules = list(templates.properties("AWS::Scheduler::Schedule"))
    assert len(schedules) >= 2
    for name, schedule in schedules:
        assert schedule["Target"]["DeadLetterConfig"]["Arn"], name
    for name, rule in templates.properties("AWS::Events::Rule"):
        for target in rule["Targets"]:
            assert target["DeadLetterConfig"]["Arn"], name


def test_data_survives_and_is_encrypted_and_recoverable(templates: Templates) -> None:
    for name, resource in templates.of_type("AWS::DynamoDB::Table"):
        table = resource["Properties"]
        assert resource["DeletionPolicy"] == resource["UpdateReplacePolicy"] == "Retain", name
        assert table["SSESpecification"]["SSEEnabled"] is True, name
        # What arrived is kept for 30 days and no longer: its backup would be raw bodies of people erased since.
        passing = name.startswith("Events")
        assert table["PointInTimeRecoverySpecification"]["PointInTimeRecoveryEnabled"] is not passing, name
        assert not passing or (table["DeletionProtectionEnabled"] and table["TimeToLiveSpecification"]["Enabled"])
        assert table["BillingMode"] == "PAY_PER_REQUEST", name
    for name, resource in templates.of_type("AWS::S3::Bucket"):
        bucket = resource["Properties"]
        assert resource["DeletionPolicy"] == "Retain", name
        assert bucket["BucketEncryption"], name
        assert all(bucket["PublicAccessBlockConfiguration"].values()), name


def test_state_machines_log_and_trace(templates: Templates) -> None:
    machines = list(templates.properties("AWS::StepFunctions::StateMachine"))
    assert len(machines) >= 3
    for name, machine in machines:
        assert machine["TracingConfiguration"] == {"Enabled": True}, name
        assert machine["LoggingConfiguration"]["Level"] in {"ALL", "ERROR"}, name
        # Execution data in a log would carry customer ids to where nobody expects them.
        assert machine["LoggingConfiguration"].get("IncludeExecutionData", False) is False, name


def statements(templates: Templates) -> list[tuple[str, dict[str, Any]]]:
    """Every statement of every role, with the role's logical id."""
    return [(role, statement) for role, document in templates.policies() for statement in document["Statement"]]


def listed(value: Any) -> list[Any]:
    """A policy's `Action` or `Resource` is one or many."""
    return value if isinstance(value, list) else [value]


def test_no_role_may_do_everything_of_a_service(templates: Templates) -> None:
    wide = [
        (name, action)
        for name, statement in statements(templates)
        for action in listed(statement["Action"])
        if action == "*" or action.endswith(":*")
    ]
    assert wide == []


def test_resource_star_only_where_a_reason_is_listed(templates: Templates) -> None:
    starred = {
        action
        for _, statement in statements(templates)
        if "*" in listed(statement["Resource"])
        for action in listed(statement["Action"])
    }
    assert starred == set(STAR_RESOURCES)


def test_no_secret_stands_in_a_template(templates: Templates) -> None:
    text = json.dumps([templates.data, templates.main])
    for word in ("whsec_", "shpss_", "BEGIN PRIVATE KEY", "AKIA"):
        assert word not in text


@pytest.mark.parametrize(
    "route", ["POST /v1/hooks/{connection}", "GET /v1/unsubscribe/{token}", "POST /v1/unsubscribe/{token}"]
)
def test_public_routes_exist(templates: Templates, route: str) -> None:
    assert route in {p["RouteKey"] for _, p in templates.properties("AWS::ApiGatewayV2::Route")}


def test_no_other_route_is_public(templates: Templates) -> None:
    signed = ("unsubscribe", "preferences", "surveys", "confirm")
    pages = (*(f"/v1/{page}/{{token}}" for page in signed), "/v1/subscribe/{key}")
    calls = (
        "/v1/hooks/{connection}",
        "/v1/{call}",
        "/v1/surveys/{survey}/answers",
        "/v1/subscribe",
        "/v1/customers/lookup",
    )
    public = {f"{method} {path}" for path in pages for method in ("GET", "HEAD", "POST")}
    public |= {f"POST {path}" for path in calls}
    public |= {f"{method} /v1/line/link/{{token}}" for method in ("GET", "HEAD", "POST")}
    public |= {f"{method} /v1/c/{{token}}" for method in ("GET", "HEAD")}
    assert {p["RouteKey"] for _, p in templates.properties("AWS::ApiGatewayV2::Route")} == public


def test_only_the_intake_answers_at_its_own_address_and_a_flood_there_is_bounded(templates: Templates) -> None:
    ((_, address),) = templates.properties("AWS::Lambda::Url")
    function = templates.main["Resources"][address["TargetFunctionArn"]["Fn::GetAtt"][0]]["Properties"]
    assert function["Handler"] == "functions.ingest.receive_webhook.handler"
    assert "Cors" not in address, "a cart is no browser"
    assert 0 < function["ReservedConcurrentExecutions"] <= 100


def test_the_fold_is_not_woken_for_what_says_nothing_of_a_person(templates: Templates) -> None:
    patterns = [
        json.loads(each["Pattern"])
        for _, source in templates.properties("AWS::Lambda::EventSourceMapping")
        if "UpdateState" in json.dumps(source["FunctionName"])
        for each in source["FilterCriteria"]["Filters"]
    ]
    woken = {word for each in patterns for word in each["dynamodb"]["NewImage"].get("topic", {}).get("S", ())}
    silent = {kind for kind, (event, _) in ses.MEANING.items() if event in identity.SAYS_NOTHING}
    assert woken == set(ses.MEANING) - silent


def test_a_browser_of_any_site_may_call_and_bring_no_cookie(templates: Templates) -> None:
    ((_, api),) = templates.properties("AWS::ApiGatewayV2::Api")
    cors = api["CorsConfiguration"]
    assert (cors["AllowOrigins"], cors["AllowMethods"]) == (["*"], ["POST"])
    assert not cors.get("AllowCredentials")
    assert set(cors["AllowHeaders"]) == {"authorization", "content-type", "x-retry-count"}


def test_no_crowd_on_one_route_keeps_the_carts_out(templates: Templates) -> None:
    ((_, stage),) = templates.properties("AWS::ApiGatewayV2::Stage")
    limits = {route: each["ThrottlingRateLimit"] for route, each in stage["RouteSettings"].items()}
    whole = stage["DefaultRouteSettings"]["ThrottlingRateLimit"]
    assert limits["POST /v1/{call}"] < whole
    assert limits["POST /v1/subscribe"] == limits["POST /v1/subscribe/{key}"] <= 5
    assert limits.keys() <= {p["RouteKey"] for _, p in templates.properties("AWS::ApiGatewayV2::Route")}
