"""What the domains share: the tables, buckets and keys of the stateful stack, the API, and how to grant on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Unpack

from aws_cdk import ArnFormat, Duration, RemovalPolicy, Stack
from aws_cdk import aws_apigatewayv2 as apigw
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as sources
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_secretsmanager as secretsmanager
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk.aws_apigatewayv2_integrations import HttpLambdaIntegration
from constructs import Construct

from infra.functions import LOG_RETENTION, FunctionFactory, Limits, settings_of
from infra.names import CONFIGURATION_SET, PREFIX

GET_HEAD = (apigw.HttpMethod.GET, apigw.HttpMethod.HEAD)
"""What mail scanners and link previews ask as well: such a request may not change anything."""
POST = (apigw.HttpMethod.POST,)
GET_HEAD_POST = (*GET_HEAD, *POST)


@dataclass(frozen=True)
class Tables:
    """The DynamoDB tables; their keys are known to the domains' `store.py` only."""

    events: dynamodb.Table
    customers: dynamodb.Table
    scenarios: dynamodb.Table
    deliveries: dynamodb.Table
    reports: dynamodb.Table
    pulls: dynamodb.Table


@dataclass(frozen=True)
class House:
    """Handed to every domain's construct."""

    tables: Tables
    lake: s3.Bucket
    """Parquet, for ever: ids only, no personal data."""
    work: s3.Bucket
    """Cohorts, imports, oversized bodies, query results: everything in it expires (stateful.WORK_DAYS)."""
    keys: secretsmanager.Secret
    """`shared.core.keys.KeyRing`."""
    functions: FunctionFactory
    api: apigw.HttpApi
    prefix: str = PREFIX

    def function(
        self, scope: Construct, name: str, *, own: Mapping[str, str] | None = None, **limits: Unpack[Limits]
    ) -> lambda_.Function:
        """The Lambda of `functions/<name>.py`, told where the tables, buckets and keys are that its `Settings` name.

        `own` holds those of its settings that are nobody else's. Raises KeyError for a setting that nobody knows.
        """
        known = {**self._places(), **(own or {})}
        return self.functions.make(scope, name, settings={each: known[each] for each in settings_of(name)}, **limits)

    def page(self, scope: Construct, name: str) -> lambda_.Function:
        """A page behind a signed link: a person waits for it, so a cold start gets its processor by memory."""
        function = self.function(scope, name, timeout=Duration.seconds(15), memory_mb=1024)
        self.grant_keys(function)
        return function

    def _places(self) -> dict[str, str]:
        """What a setting of this name means in every function."""
        tables = {f"{each.name}_table": getattr(self.tables, each.name).table_name for each in fields(self.tables)}
        return {
            **tables,
            "lake_bucket": self.lake.bucket_name,
            "work_bucket": self.work.bucket_name,
            "keys_secret": self.keys.secret_arn,
            "prefix": self.prefix,
            "configuration_set": CONFIGURATION_SET,
        }

    def route(self, methods: Sequence[apigw.HttpMethod], path: str, function: lambda_.Function) -> None:
        """Open a public route to a function."""
        integration = HttpLambdaIntegration(f"{function.node.id}Integration", function)
        self.api.add_routes(path=path, methods=list(methods), integration=integration)

    def grant_shops(self, function: lambda_.Function) -> None:
        """Read the shops' settings documents."""
        self.grant_parameters(function, "shops/*", "ssm:GetParameter")

    def grant_parameters(self, function: lambda_.Function, path: str, *actions: str) -> None:
        """Named SSM actions on `{prefix}/{path}`."""
        arn = Stack.of(function).format_arn(
            service="ssm",
            resource="parameter",
            resource_name=f"{self.prefix.strip('/')}/{path}",
        )
        allow(function, arn, *actions)

    def grant_all_parameters(self, function: lambda_.Function, path: str) -> None:
        """Read every parameter below `{prefix}/{path}`: that is asked of the path itself."""
        self.grant_parameters(function, path, "ssm:GetParametersByPath")

    def grant_keys(self, function: lambda_.Function) -> None:
        """Read the deployment's secret keys (the secret uses the AWS managed key: no KMS grant is needed)."""
        allow(function, self.keys.secret_arn, "secretsmanager:GetSecretValue")

    def grant_objects(self, function: lambda_.Function, bucket: s3.Bucket, prefix: str, *actions: str) -> None:
        """Named S3 object actions below one prefix."""
        allow(function, bucket.arn_for_objects(f"{prefix}*"), *actions)

    def grant_list(self, function: lambda_.Function, bucket: s3.Bucket, *prefixes: str) -> None:
        """List the objects below these prefixes, and be told of one that is gone: to who may not list, S3 says that it
        is forbidden. One statement, since a role's policy holds 10,240 letters.
        """
        function.add_to_role_policy(
            iam.PolicyStatement(
                actions=["s3:ListBucket"],
                resources=[bucket.bucket_arn],
                conditions={"StringLike": {"s3:prefix": [f"{prefix}*" for prefix in prefixes]}},
            )
        )


def allow(function: lambda_.Function, resource: str, *actions: str) -> None:
    """Named actions on exactly this: `Table.grant` would open every index of a table as well."""
    function.add_to_role_policy(iam.PolicyStatement(actions=list(actions), resources=[resource]))


def dead_letter_queue(scope: Construct, queue_id: str) -> sqs.Queue:
    """Where what could not be handled waits 14 days for a person (settings of reliability.md §1.6)."""
    return sqs.Queue(
        scope,
        queue_id,
        encryption=sqs.QueueEncryption.SQS_MANAGED,
        enforce_ssl=True,
        retention_period=Duration.days(14),
    )


def states_arn(scope: Construct, resource: str, name: str) -> str:
    """The ARN of a state machine (`stateMachine`) or of its executions (`execution`)."""
    return Stack.of(scope).format_arn(
        service="states", resource=resource, resource_name=name, arn_format=ArnFormat.COLON_RESOURCE_NAME
    )


def machine_logs(scope: Construct, construct_id: str, machine: str) -> sfn.LogOptions:
    """Where the errors of a state machine are told, without what it was working on."""
    group = logs.LogGroup(
        scope,
        construct_id,
        # CloudWatch truncates a longer resource policy unless the group's name begins like this.
        log_group_name=f"/aws/vendedlogs/states/{machine}",
        retention=LOG_RETENTION,
        removal_policy=RemovalPolicy.DESTROY,
    )
    return sfn.LogOptions(destination=group, level=sfn.LogLevel.ERROR, include_execution_data=False)


def schedules_dead_letters(scope: Construct) -> sqs.Queue:
    """Where a schedule's call waits that reached nobody: one queue for all, since the message names its schedule."""
    return _shared_dead_letters(scope, "SchedulesDeadLetters")


def rule_dead_letters(scope: Construct) -> sqs.Queue:
    """Where an event waits that EventBridge could not deliver: one queue for all, since the message names its rule."""
    return _shared_dead_letters(scope, "RuleDeadLetters")


def _shared_dead_letters(scope: Construct, name: str) -> sqs.Queue:
    """The stack's queue of this name, made by the first who needs it."""
    stack = Stack.of(scope)
    known = stack.node.try_find_child(name)
    return known if isinstance(known, sqs.Queue) else dead_letter_queue(stack, name)


def on_error(function: lambda_.Function, dead_letters: sqs.Queue, within: Duration) -> None:
    """Keep a schedule's call that the function failed at: Lambda takes the call at once and answers the schedule before
    it has run, so whatever goes wrong then the schedule never hears of. Tried three times `within` this time.
    """
    allow(function, dead_letters.queue_arn, "sqs:SendMessage")
    failed = lambda_.CfnEventInvokeConfig.OnFailureProperty(destination=dead_letters.queue_arn)
    lambda_.CfnEventInvokeConfig(
        function,
        "Calls",
        function_name=function.function_name,
        qualifier="$LATEST",
        maximum_retry_attempts=2,
        maximum_event_age_in_seconds=int(within.to_seconds()),
        destination_config=lambda_.CfnEventInvokeConfig.DestinationConfigProperty(on_failure=failed),
    )


def on_stream(
    function: lambda_.Function,
    table: dynamodb.Table,
    *,
    filters: list[dict[str, object]] | None = None,
    batch_size: int = 100,
    window: Duration | None = None,
) -> sqs.Queue:
    """Feed a table's stream to a function: in order per key, poison isolated and sent to a dead-letter queue."""
    from aws_cdk.aws_lambda_event_sources import SqsDlq

    queue = dead_letter_queue(function, "StreamDeadLetters")
    function.add_event_source(
        sources.DynamoEventSource(
            table,
            starting_position=lambda_.StartingPosition.TRIM_HORIZON,
            batch_size=batch_size,
            max_batching_window=window or Duration.seconds(0),
            bisect_batch_on_error=True,
            report_batch_item_failures=True,
            retry_attempts=3,
            max_record_age=Duration.hours(6),
            on_failure=SqsDlq(queue),
            filters=filters,
        )
    )
    return queue


def on_queue(
    function: lambda_.Function, queue: sqs.Queue, *, batch_size: int = 10, window: Duration | None = None
) -> None:
    """Feed a queue to a function with partial batch responses; more than ten at once are collected for a `window`."""
    function.add_event_source(
        sources.SqsEventSource(
            queue, batch_size=batch_size, max_batching_window=window, report_batch_item_failures=True
        )
    )


def work_queue(scope: Construct, queue_id: str, function_timeout: Duration) -> tuple[sqs.Queue, sqs.Queue]:
    """A queue and its dead-letter queue: visibility 6 × the function's timeout, 5 receives."""
    dead = dead_letter_queue(scope, f"{queue_id}DeadLetters")
    queue = sqs.Queue(
        scope,
        queue_id,
        encryption=sqs.QueueEncryption.SQS_MANAGED,
        enforce_ssl=True,
        visibility_timeout=Duration.seconds(6 * function_timeout.to_seconds()),
        retention_period=Duration.days(4),
        dead_letter_queue=sqs.DeadLetterQueue(queue=dead, max_receive_count=5),
    )
    return queue, dead


def on_schedule(parent: Construct, name: str, function: lambda_.Function, every: Duration, description: str) -> None:
    """Let the clock call a function; a call that reaches nobody before the next is due, or that the function fails at,
    waits in a dead letter queue.

    The role is named after the schedule and may do nothing else: CDK's own target would grant every version as well.
    """
    scope = Construct(parent, name)
    dead_letters = schedules_dead_letters(scope)
    on_error(function, dead_letters, every)
    role = iam.Role(scope, "ScheduleRole", assumed_by=iam.ServicePrincipal("scheduler.amazonaws.com"))
    for action, resource in (
        ("lambda:InvokeFunction", function.function_arn),
        ("sqs:SendMessage", dead_letters.queue_arn),
    ):
        role.add_to_policy(iam.PolicyStatement(actions=[action], resources=[resource]))
    scheduler.CfnSchedule(
        scope,
        "Schedule",
        description=description,
        schedule_expression=scheduler.ScheduleExpression.rate(every).expression_string,
        flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
        target=scheduler.CfnSchedule.TargetProperty(
            arn=function.function_arn,
            role_arn=role.role_arn,
            dead_letter_config=scheduler.CfnSchedule.DeadLetterConfigProperty(arn=dead_letters.queue_arn),
            retry_policy=scheduler.CfnSchedule.RetryPolicyProperty(
                maximum_event_age_in_seconds=int(every.to_seconds()), maximum_retry_attempts=2
            ),
        ),
    )
