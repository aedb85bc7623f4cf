"""Runs last: every grant of every role was needed by something the suite did, or stands below with a reason.

The emulator enforces IAM and remembers which call was allowed by which grant alone (`needed`): taking such a grant
away breaks that call. A few are really taken away here, to see that it does.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
import urllib3

from infra.cli.analysis import follow_night
from infra.cli.session import Deployment
from infra.demo import shopify, verify
from infra.demo.settle import settle, wait_until
from infra.demo.shopify import Buyer
from infra.demo.stage import Stage
from infra.demo.story import PRODUCTS, SHOP, Role
from infra.local.process import internal
from shared.core.errors import UnavailableError
from shared.core.ids import CustomerId
from shared.customers.store import CustomerStore
from tests.system.books import people_of, table_of
from tests.system.conftest import OpenShop, Played, fire_schedule
from tests.system.roles import without

_TRACES = "the local cloud has no X-Ray"
_VENDED = "the vended log delivery of Step Functions is not emulated"
_MULTIPART = "Athena writes large results in parts; the local one writes all of them at once"
_CDK_QUEUE = "CDK grants it with its queue targets and sources; neither Lambda's reader nor ours asks for it"
_VERSIONS = "CDK grants versions and aliases as well; there are none"
_MISSING = "S3 tells whoever may not list that a missing object is forbidden; the local one says that it is missing"
_LOST = "the local scheduler calls once and forgets a call that failed; Lambda tries three times and keeps it"
_OTHER_ROWS = "every table of the lake is granted alike; this suite's shops have no rows for these, or wait for Sunday"
_OTHER_MACHINES = "a grant for every machine; in this suite people only leave carts"
_CHANNELS = (
    "one sender everywhere; LINE, SMS, letters, endpoints and tenants of SES are sent through in the contract suite"
)
_STAND_IN = "the local SMS service asks IAM for nothing; that an opt-out is confirmed is seen in test_other_doors"
_NOBODY_LATE = "nothing was kept of an erased person that late"
_SMALL = "no page of this suite says more than a row holds"
_REACHED = "a call that reaches nobody is tried below for the other schedules"
_MAP = "only a person redrives or stops a run, and Step Functions itself stops the children of a failed Map"

NOT_EXERCISED: Mapping[tuple[str, str, str], str] = {
    (r".*", r"xray:.*", r"\*"): _TRACES,
    (r".*", r"logs:(CreateLogDelivery|.*LogDeliver(y|ies)|DescribeLogGroups|.*ResourcePolic(y|ies))", r"\*"): _VENDED,
    (r"AnalyticsNightlyRole", r"s3:AbortMultipartUpload|s3:ListMultipartUploadParts", r".*"): _MULTIPART,
    (r".*", r"sqs:(GetQueueAttributes|GetQueueUrl)", r".*StreamDeadLetters"): _CDK_QUEUE,
    (r"DeliveryReceiveFeedbackRole", r"sqs:(ChangeMessageVisibility|GetQueueUrl)", r".*"): _CDK_QUEUE,
    (
        r"Polling(PollStore|ReadBack)Role|PrivacyErasePersonRole|InboxTakeInFileRole"
        r"|NotificationsReceiveAmazonRole|ReceiptsReceiveReceiptRole",
        r"sqs:(ChangeMessageVisibility|GetQueueUrl)",
        r".*",
    ): _CDK_QUEUE,
    (
        r"Analytics(ArchiveEvents|ArchiveStates|Compact|LoadHistory|Nightly|PlanStage|PublishReports)Role",
        r"s3:(Get|Put|Delete)Object",
        r".*-lake.*/(attribute_states|media_costs|page_views|products|subscription_states|person_links|person_ids|messages"
        r"|order_lines|events|(catalogue|category_drop|early_warning|segment_changes|model_predictions)_v1)/\*",
    ): _OTHER_ROWS,
    (r"ScenariosSweepRole", r"states:StartExecution", r".*"): _OTHER_MACHINES,
    (r"(ScenariosStep|DeliveryReconcile|SignUpSignUp)Role", r"ses:SendEmail", r".*:tenant/\*"): _CHANNELS,
    (r"(ScenariosStep|DeliveryReconcile|SignUpSignUp)Role", r"sms-voice:SendTextMessage", r".*"): _CHANNELS,
    (r"(ScenariosStep|DeliveryReconcile|SignUpSignUp)Role", r"ssm:GetParameter", r".*/(line|endpoints)/\*"): _CHANNELS,
    (r"ReceiptsReceiveReceiptRole", r"sms-voice:SendTextMessage", r".*"): _STAND_IN,
    (r"ScenariosStepRole", r"dynamodb:PutItem", r".*Events"): "no scenario of this suite tags anybody",
    (r"PrivacySweepErasedRole", r"dynamodb:DeleteItem", r".*(Deliveries|Scenarios)"): _NOBODY_LATE,
    (r"PrivacySweepErasedRole", r"s3:DeleteObject", r".*/outbox/\*"): _NOBODY_LATE,
    (r"TrackingReceiveTrackingRole", r"s3:PutObject", r".*/oversize/\*"): _SMALL,
    (r"PrivacyForgettingScheduleRole", r"sqs:SendMessage", r".*"): _REACHED,
    (
        r"PrivacySweepRole|ImportOrdersMachineRole",
        r"lambda:InvokeFunction",
        r".*:\*",
    ): _VERSIONS,
    (r"ScenariosStepRole", r"s3:ListBucket", r".*-lake.*"): _MISSING,
    (
        r"(CustomersUpdateState|AnalyticsArchiveEvents|PollingPollStore|InboxTakeInFile)Role",
        r"s3:ListBucket",
        r".*-(work|inbox).*",
    ): _MISSING,
    (
        r"(AnalyticsStartNights|DeliveryReconcile|PollingPlanPolls|ScenariosSweep|ScenariosWatchDue)Role",
        r"sqs:SendMessage",
        r".*SchedulesDeadLetters",
    ): _LOST,
    (r"ScenariosRole", r"states:(DescribeExecution|RedriveExecution|StopExecution)", r".*"): _MAP,
}
"""(role, action, resource) as regular expressions → why the suite cannot need it. Each must still be unneeded."""


# --- taken away, something fails ------------------------------------------------------------


@pytest.fixture(scope="module")
def shop(open_shop: OpenShop) -> Stage:
    return open_shop("grants")


def post(shop: Stage, token: str) -> int:
    """Post one good webhook; its status."""
    at = datetime.now(UTC)
    body = shopify.encode(
        shopify.checkout(token, Buyer(40_001, "grants@example.jp", "見本", "権"), PRODUCTS[:1], at, SHOP)
    )
    headers = shopify.headers("checkouts/update", body, shop.endpoint.secret, shop=SHOP, webhook_id=token, at=at)
    pool = urllib3.PoolManager(retries=False, timeout=30)
    return pool.request("POST", shop.endpoint.url, body=body, headers=headers).status


def emptied(deployment: Deployment, queue: str) -> str:
    """The URL of the one queue with this in its name, with nothing left in it."""
    sqs = deployment.client("sqs")
    (url,) = [each for each in sqs.list_queues(MaxResults=1000)["QueueUrls"] if queue in each]
    sqs.purge_queue(QueueUrl=url)
    return str(url)


def waits(deployment: Deployment, url: str) -> bool:
    """Whether something waits in a queue."""
    return bool(deployment.client("sqs").receive_message(QueueUrl=url).get("Messages"))


def test_a_webhook_is_not_confirmed_when_it_cannot_be_kept(shop: Stage) -> None:
    before = table_of(shop.deployment, "EventsTable", shop.shop.tenant)
    with without(shop.deployment, "IngestReceiveWebhookRole", "dynamodb:PutItem"):
        assert post(shop, "not-kept") >= 500, "a cart sends again what was not confirmed"
    assert table_of(shop.deployment, "EventsTable", shop.shop.tenant) == before
    alarm = {"AlarmNames": ["matakite HooksErrors"]}
    cloudwatch = shop.deployment.client("cloudwatch")
    wait_until(
        lambda: [each["StateValue"] for each in cloudwatch.describe_alarms(**alarm)["MetricAlarms"]] == ["ALARM"],
        "the alarm of the address that carts post to",
        20,
    )
    assert post(shop, "not-kept") == 200


def test_what_cannot_be_folded_waits_in_the_dead_letter_queue(played: Played, shop: Stage) -> None:
    token = f"unfolded-{datetime.now(UTC):%H%M%S%f}"
    dead_letters = emptied(shop.deployment, "UpdateStateStreamDeadLetters")
    with without(shop.deployment, "CustomersUpdateStateRole", "dynamodb:BatchGetItem"):
        assert post(shop, token) == 200
        settle(played.cloud.emulator, executions=False)
        assert not any(cart.token == token for person in people_of(shop).values() for cart in person.carts)
    wait_until(lambda: waits(shop.deployment, dead_letters), "what could not be folded", 20)
    emptied(shop.deployment, "UpdateStateStreamDeadLetters")
    later = f"{token}-later"
    assert post(shop, later) == 200
    wait_until(
        lambda: any(cart.token == later for person in people_of(shop).values() for cart in person.carts),
        "the next webhook to be folded",
        20,
    )


def test_nobody_is_told_to_be_unsubscribed_who_is_not(played: Played) -> None:
    mails = verify.outbox(played.cloud.emulator, played.stage.shop.tenant)
    who = played.day.by_role(Role.ABANDONS)[-1].buyer.email
    mail = next(mail for mail in mails if verify.recipient(mail) == who)
    link = re.search(r"<(https?://[^>]+)>", json.dumps(mail["headers"]))
    assert link
    pool = urllib3.PoolManager(retries=False, timeout=30)
    deployment = played.stage.deployment
    with without(deployment, "DeliveryUnsubscribeRole", "dynamodb:PutItem"):
        answer = pool.request_encode_body(
            "POST", link[1], fields={"List-Unsubscribe": "One-Click"}, encode_multipart=False
        )
        assert answer.status >= 500
    store = CustomerStore(deployment.outputs["CustomersTable"], deployment.client("dynamodb"))
    person = store.person(played.stage.shop.tenant, CustomerId(mail["tags"]["customer"]))
    assert person
    assert [consent.status.value for consent in person.consents] == ["opt_in"]


def test_a_night_that_may_not_ask_athena_is_incomplete_and_calls_somebody(shop: Stage, played: Played) -> None:
    failed = emptied(shop.deployment, "RunsDeadLetters")
    with (
        without(shop.deployment, "AnalyticsNightlyRole", "athena:StartQueryExecution"),
        pytest.raises(UnavailableError, match=r"Incomplete|failed"),
    ):
        follow_night(shop.deployment, shop.shop, played.night)
    wait_until(lambda: waits(shop.deployment, failed), "the execution that failed among the dead letters", 20)
    emptied(shop.deployment, "RunsDeadLetters")


@pytest.mark.parametrize(
    ("schedule", "role"),
    [
        ("SweepCartAbandoned", "ScenariosSweepScheduleRole"),
        ("NightlySchedule", "AnalyticsNightlyScheduleRole"),
        ("QuarterHour", "DeliveryEveryQuarterHourScheduleRole"),
        ("Watch", "ScenariosWatchScheduleRole"),
        ("Tick", "PollingTickScheduleRole"),
    ],
)
def test_a_schedule_that_reaches_nobody_leaves_its_call_in_the_dead_letter_queue(
    played: Played, schedule: str, role: str
) -> None:
    deployment = played.stage.deployment
    url = emptied(deployment, "SchedulesDeadLetters")
    with without(deployment, role, "lambda:InvokeFunction"):
        fire_schedule(played.cloud, schedule)
        wait_until(lambda: waits(deployment, url), f"the call of {schedule} among the dead letters", 20)
    emptied(deployment, "SchedulesDeadLetters")


# --- and nothing is granted that nothing needs ------------------------------------------------------------


@pytest.fixture(scope="module")
def report(request: pytest.FixtureRequest, played: Played) -> dict[str, Any]:
    """What the suite's calls needed; of no use when only a part of it ran."""
    here = Path(__file__).parent
    wanted = {*here.glob("test_*.py"), *(here / "faults").glob("test_*.py")}
    missing = wanted - {Path(item.path) for item in request.session.items}
    if missing:
        pytest.skip(f"only the whole suite needs every grant; not run: {sorted(path.name for path in missing)}")
    settle(played.cloud.emulator)
    found: dict[str, Any] = internal(played.cloud.emulator, "GET", "/_matakite/grants")
    return found


HASH = re.compile(r"(?<=[A-Za-z0-9])[0-9A-F]{8}-[0-9A-F]{12,13}$")
"""What CloudFormation adds to a name."""


def roles(deployment: Deployment) -> Mapping[str, str]:
    """Name of every deployed role → its logical id without the hash."""
    cloudformation = deployment.client("cloudformation")
    return {
        each["PhysicalResourceId"]: each["LogicalResourceId"][:-8]
        for stack in cloudformation.describe_stacks()["Stacks"]
        for page in cloudformation.get_paginator("list_stack_resources").paginate(StackName=stack["StackName"])
        for each in page["StackResourceSummaries"]
        if each["ResourceType"] == "AWS::IAM::Role"
    }


def unneeded(report: Mapping[str, Any], deployment: Deployment) -> set[tuple[str, str, str]]:
    """Grants that no call needed, in readable names."""
    known = roles(deployment)
    return {
        (known[grant["role"]], grant["action"], HASH.sub("", grant["resource"]))
        for grant in report["grants"]
        if not grant["needed"]
    }


def _matches(grant: tuple[str, str, str], reason: tuple[str, str, str]) -> bool:
    return all(re.fullmatch(pattern, text) for pattern, text in zip(reason, grant, strict=True))


def test_every_grant_was_needed_or_stands_in_the_list_with_a_reason(report: dict[str, Any], played: Played) -> None:
    spare = unneeded(report, played.stage.deployment)
    unexplained = {grant for grant in spare if not any(_matches(grant, reason) for reason in NOT_EXERCISED)}
    assert sorted(unexplained) == []


def test_every_reason_in_the_list_still_explains_something(report: dict[str, Any], played: Played) -> None:
    spare = unneeded(report, played.stage.deployment)
    assert [reason for reason in NOT_EXERCISED if not any(_matches(grant, reason) for grant in spare)] == []


def test_every_service_that_is_let_in_came(report: dict[str, Any]) -> None:
    came: dict[tuple[str, str], int] = {}
    for permission in report["permissions"]:
        # CDK makes one statement for each method of a route; they are the same.
        key = (permission["resource"], json.dumps(permission["condition"], sort_keys=True))
        came[key] = came.get(key, 0) + permission["calls"]
    never = [resource.rpartition(":")[2] for (resource, _), calls in came.items() if not calls]
    # EventBridge's own dead letters: the local bus never fails to reach a queue.
    assert [name for name in never if "RuleDeadLetters" not in name] == []


def test_the_record_covers_every_role_of_the_stacks(report: dict[str, Any], played: Played) -> None:
    deployed = roles(played.stage.deployment)
    assert len(deployed) > 15
    assert {grant["role"] for grant in report["grants"]} == set(deployed)
