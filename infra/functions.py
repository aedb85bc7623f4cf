"""The one way a Lambda of this product is made: runtime, role, logs, tracing, limits and environment in one place."""

from __future__ import annotations

import ast
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TypedDict

from aws_cdk import Duration, RemovalPolicy
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_logs as logs
from constructs import Construct

FUNCTIONS = Path(__file__).parents[1] / "functions"
LOG_RETENTION = logs.RetentionDays.ONE_MONTH
"""Long enough to explain a month, short enough for an erasure to reach the logs (reliability.md §2.4: 30 days)."""

UNTRACED = frozenset(
    {
        "ingest/receive_webhook",
        "ingest/receive_tracking",
        "customers/update_state",
        "analytics/archive_events",
        "analytics/archive_states",
        "scenarios/trigger",
        "scenarios/sweep",
        "delivery/receive_feedback",
    }
)
"""Called for every webhook, click, record or minute. Lambda takes one trace a second of each traced function and 5 % of
the rest, which nobody can turn down: of these, X-Ray would take more than the mails of a small shop cost.
"""


def construct_id(name: str) -> str:
    """`ingest/receive_webhook` → `ReceiveWebhook`."""
    return "".join(word.capitalize() for word in name.rpartition("/")[2].split("_"))


def settings_of(name: str) -> tuple[str, ...]:
    """The fields of the `Settings` at the top of `functions/<name>.py`: what its environment must say."""
    tree = ast.parse((FUNCTIONS / f"{name}.py").read_text("utf-8"))
    settings = next(each for each in tree.body if isinstance(each, ast.ClassDef) and each.name == "Settings")
    fields = (each.target for each in settings.body if isinstance(each, ast.AnnAssign))
    return tuple(field.id for field in fields if isinstance(field, ast.Name))


class Limits(TypedDict, total=False):
    """How much of Lambda a function gets; `FunctionFactory.make` says what it is otherwise."""

    group: str
    timeout: Duration
    memory_mb: int
    concurrency: int | None


@dataclass(frozen=True)
class FunctionFactory:
    """Makes Lambdas. `code(group)` is the bundle of a dependency group; tests pass one that does not bundle."""

    code: Callable[[str], lambda_.Code]

    def make(
        self,
        scope: Construct,
        name: str,
        *,
        settings: Mapping[str, str],
        group: str = "light",
        timeout: Duration | None = None,
        memory_mb: int = 512,
        concurrency: int | None = None,
    ) -> lambda_.Function:
        """The Lambda of `functions/<name>.py` with a role, a log group and nothing granted but its logs and traces."""
        function_id = construct_id(name)
        log_group = logs.LogGroup(
            scope, f"{function_id}Logs", retention=LOG_RETENTION, removal_policy=RemovalPolicy.DESTROY
        )
        role = iam.Role(
            scope,
            f"{function_id}Role",
            assumed_by=iam.ServicePrincipal("lambda.amazonaws.com"),
            description=f"functions/{name}.py",
        )
        log_group.grant(role, "logs:CreateLogStream", "logs:PutLogEvents")
        return lambda_.Function(
            scope,
            function_id,
            runtime=lambda_.Runtime.PYTHON_3_13,
            architecture=lambda_.Architecture.ARM_64,
            handler=f"functions.{name.replace('/', '.')}.handler",
            code=self.code(group),
            role=role,
            log_group=log_group,
            # Without START, END and REPORT of every call: they would be most of the logs, and Lambda's metrics say it.
            logging_format=lambda_.LoggingFormat.JSON,
            system_log_level_v2=lambda_.SystemLogLevel.WARN,
            tracing=lambda_.Tracing.DISABLED if name in UNTRACED else lambda_.Tracing.ACTIVE,
            timeout=timeout or Duration.seconds(30),
            memory_size=memory_mb,
            reserved_concurrent_executions=concurrency,
            environment={field.upper(): value for field, value in settings.items()},
            description=f"matakite {name}",
        )
