"""A small stack that touches every service the local cloud mends; synthesised once per test run."""

from __future__ import annotations

from pathlib import Path

from aws_cdk import App, CfnOutput, Duration, RemovalPolicy, Stack
from aws_cdk import aws_apigatewayv2 as http
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as sources
from aws_cdk import aws_logs as logs
from aws_cdk import aws_sqs as sqs
from aws_cdk.aws_apigatewayv2_integrations import HttpLambdaIntegration
from constructs import Construct

FUNCTIONS = Path(__file__).with_name("functions")


class TinyStack(Stack):
    """HTTP API -> function -> table -> stream -> function -> table, and what stands around it."""

    def __init__(self, scope: Construct, name: str) -> None:
        super().__init__(scope, name)
        self.table = dynamodb.Table(
            self,
            "Items",
            partition_key=dynamodb.Attribute(name="pk", type=dynamodb.AttributeType.STRING),
            stream=dynamodb.StreamViewType.NEW_AND_OLD_IMAGES,
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            removal_policy=RemovalPolicy.DESTROY,
        )
        self.copies = dynamodb.Table(
            self,
            "Copies",
            partition_key=dynamodb.Attribute(name="pk", type=dynamodb.AttributeType.STRING),
            billing_mode=dynamodb.BillingMode.PAY_PER_REQUEST,
            removal_policy=RemovalPolicy.DESTROY,
        )
        self._ingest()
        self._stream()

    def function(self, name: str, handler: str, **environment: str) -> lambda_.Function:
        """One Lambda of the stack, with its own role and log group."""
        group = logs.LogGroup(
            self, f"{name}Logs", retention=logs.RetentionDays.ONE_WEEK, removal_policy=RemovalPolicy.DESTROY
        )
        return lambda_.Function(
            self,
            name,
            runtime=lambda_.Runtime.PYTHON_3_13,
            handler=handler,
            code=lambda_.Code.from_asset(str(FUNCTIONS)),
            timeout=Duration.seconds(10),
            log_group=group,
            environment=environment,
        )

    def _ingest(self) -> None:
        receive = self.function("Receive", "receive.handler", TABLE=self.table.table_name)
        self.table.grant(receive, "dynamodb:PutItem")
        api = http.HttpApi(self, "Api")
        api.add_routes(
            path="/items/{id}",
            methods=[http.HttpMethod.POST],
            integration=HttpLambdaIntegration("ReceiveIntegration", receive),
        )
        CfnOutput(self, "ApiUrl", value=api.api_endpoint)
        CfnOutput(self, "ItemsTable", value=self.table.table_name)
        CfnOutput(self, "CopiesTable", value=self.copies.table_name)

    def _stream(self) -> None:
        copy = self.function("Copy", "copy_items.handler", TABLE=self.copies.table_name)
        self.copies.grant(copy, "dynamodb:PutItem")
        poison = sqs.Queue(self, "Poison", removal_policy=RemovalPolicy.DESTROY)
        copy.add_event_source(
            sources.DynamoEventSource(
                self.table,
                starting_position=lambda_.StartingPosition.TRIM_HORIZON,
                batch_size=10,
                retry_attempts=2,
                bisect_batch_on_error=True,
                report_batch_item_failures=True,
                on_failure=sources.SqsDlq(poison),
            )
        )
        CfnOutput(self, "PoisonQueue", value=poison.queue_url)


def synthesise(directory: Path) -> Path:
    """Write the cloud assembly and return its directory."""
    app = App(outdir=str(directory), analytics_reporting=False)
    TinyStack(app, "Tiny")
    app.synth()
    return directory
