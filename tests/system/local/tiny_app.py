"""A small stack that touches every service the local cloud mends; synthesised once per test run."""

from __future__ import annotations

from pathlib import Path

from aws_cdk import App, CfnOutput, Duration, RemovalPolicy, Stack, TimeZone
from aws_cdk import aws_apigatewayv2 as http
from aws_cdk import aws_cloudwatch as cloudwatch
from aws_cdk import aws_dynamodb as dynamodb
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_glue as glue
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as sources
from aws_cdk import aws_logs as logs
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_scheduler_targets as scheduler_targets
from aws_cdk import aws_ses as ses
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
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
        self.lake = s3.Bucket(self, "Lake", enforce_ssl=True, removal_policy=RemovalPolicy.DESTROY)
        self._ingest()
        self._stream()
        self._lake_table()
        self._machine()
        self._mail()
        self._dashboard()

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
        for name, queue in (("PoisonAlarm", poison), ("QuietAlarm", sqs.Queue(self, "Quiet"))):
            queue.metric_approximate_number_of_messages_visible(
                period=Duration.minutes(1), statistic="Maximum"
            ).create_alarm(
                self,
                name,
                alarm_name=f"tiny-{name}",
                threshold=1,
                evaluation_periods=1,
                treat_missing_data=cloudwatch.TreatMissingData.NOT_BREACHING,
            )
        CfnOutput(self, "PoisonQueue", value=poison.queue_url)

    def _lake_table(self) -> None:
        database = glue.CfnDatabase(
            self,
            "Database",
            catalog_id=self.account,
            database_input=glue.CfnDatabase.DatabaseInputProperty(name="tiny"),
        )
        table = glue.CfnTable(
            self,
            "Orders",
            catalog_id=self.account,
            database_name="tiny",
            table_input=glue.CfnTable.TableInputProperty(
                name="orders",
                table_type="EXTERNAL_TABLE",
                partition_keys=[
                    glue.CfnTable.ColumnProperty(name="tenant", type="string"),
                    glue.CfnTable.ColumnProperty(name="day_on", type="date"),
                ],
                parameters={
                    "classification": "parquet",
                    "projection.enabled": "true",
                    "projection.tenant.type": "injected",
                    "projection.day_on.type": "date",
                    "projection.day_on.range": "2026-01-01,2026-12-31",
                    "projection.day_on.format": "yyyy-MM-dd",
                    "storage.location.template": self.lake.s3_url_for_object("orders/${tenant}/day_on=${day_on}/"),
                },
                storage_descriptor=glue.CfnTable.StorageDescriptorProperty(
                    location=self.lake.s3_url_for_object("orders/"),
                    input_format="org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
                    output_format="org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat",
                    serde_info=glue.CfnTable.SerdeInfoProperty(
                        serialization_library="org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"
                    ),
                    columns=[
                        glue.CfnTable.ColumnProperty(name="order_id", type="string"),
                        glue.CfnTable.ColumnProperty(name="amount", type="bigint"),
                        glue.CfnTable.ColumnProperty(name="ordered_at", type="timestamp"),
                    ],
                ),
            ),
        )
        table.node.add_dependency(database)
        CfnOutput(self, "LakeBucket", value=self.lake.bucket_name)

    def _machine(self) -> None:
        work = self.function("Work", "work.handler", TABLE=self.copies.table_name)
        self.copies.grant(work, "dynamodb:PutItem")
        each = tasks.LambdaInvoke(self, "WorkOnBatch", lambda_function=work, payload_response_only=True)
        people = sfn.DistributedMap(
            self,
            "People",
            item_reader=sfn.S3JsonItemReader(bucket=self.lake, key=sfn.JsonPath.string_at("$.key")),
            item_batcher=sfn.ItemBatcher(max_items_per_batch=2),
            result_writer_v2=sfn.ResultWriterV2(bucket=self.lake, prefix="map-results"),
            result_path="$.map",
        )
        people.item_processor(each)
        query = tasks.CallAwsService(
            self,
            "Count",
            service="athena",
            action="startQueryExecution",
            parameters={
                "QueryString": "SELECT count(*) AS n FROM tiny.orders WHERE tenant = 't1'",
                "ResultConfiguration": {"OutputLocation": self.lake.s3_url_for_object("results/")},
            },
            iam_resources=[f"arn:aws:athena:{self.region}:{self.account}:workgroup/primary"],
            result_path="$.query",
        )
        wait = sfn.Wait(self, "ADay", time=sfn.WaitTime.duration(Duration.days(1)))
        machine = sfn.StateMachine(
            self,
            "Machine",
            definition_body=sfn.DefinitionBody.from_chainable(wait.next(people).next(query)),
        )
        machine.add_to_role_policy(
            iam.PolicyStatement(
                actions=["s3:PutObject", "s3:GetBucketLocation"],
                resources=[self.lake.bucket_arn, self.lake.arn_for_objects("results/*")],
            )
        )
        machine.add_to_role_policy(
            iam.PolicyStatement(
                actions=["glue:GetTable"],
                resources=[
                    f"arn:aws:glue:{self.region}:{self.account}:{name}"
                    for name in ("catalog", "database/tiny", "table/tiny/orders")
                ],
            )
        )
        machine.add_to_role_policy(iam.PolicyStatement(actions=["s3:ListBucket"], resources=[self.lake.bucket_arn]))
        machine.add_to_role_policy(
            iam.PolicyStatement(actions=["s3:GetObject"], resources=[self.lake.arn_for_objects("orders/*")])
        )
        scheduler.Schedule(
            self,
            "Nightly",
            schedule_name="tiny-nightly",
            schedule=scheduler.ScheduleExpression.cron(hour="2", minute="0", time_zone=TimeZone.ASIA_TOKYO),
            target=scheduler_targets.StepFunctionsStartExecution(
                machine,
                input=scheduler.ScheduleTargetInput.from_object({"key": "cohort.json"}),
            ),
        )
        CfnOutput(self, "MachineArn", value=machine.state_machine_arn)

    def _mail(self) -> None:
        ses.EmailIdentity(self, "Identity", identity=ses.Identity.domain("shop.example.com"))
        set_ = ses.ConfigurationSet(self, "Mails", configuration_set_name="tiny")
        set_.add_event_destination(
            "Bus",
            destination=ses.EventDestination.event_bus(
                events.EventBus.from_event_bus_name(self, "DefaultBus", "default")
            ),
        )
        feedback = sqs.Queue(
            self, "Feedback", visibility_timeout=Duration.seconds(60), removal_policy=RemovalPolicy.DESTROY
        )
        events.Rule(
            self,
            "MailEvents",
            event_pattern=events.EventPattern(source=["aws.ses"]),
            targets=[targets.SqsQueue(feedback)],
        )
        note = self.function("Note", "note_feedback.handler", TABLE=self.copies.table_name)
        self.copies.grant(note, "dynamodb:PutItem")
        note.add_event_source(sources.SqsEventSource(feedback, report_batch_item_failures=True))
        send = self.function("Send", "send.handler", SENDER="news@shop.example.com")
        send.add_to_role_policy(
            iam.PolicyStatement(
                actions=["ses:SendEmail"],
                resources=[
                    f"arn:aws:ses:{self.region}:{self.account}:identity/shop.example.com",
                    f"arn:aws:ses:{self.region}:{self.account}:configuration-set/tiny",
                ],
            )
        )
        CfnOutput(self, "SendFunction", value=send.function_name)

    def _dashboard(self) -> None:
        widget = self.function("Widget", "widget.handler")
        board = cloudwatch.Dashboard(self, "Board", dashboard_name="tiny")
        board.add_widgets(cloudwatch.TextWidget(markdown="# 見本商店\n\n今日の **数字** です。", width=24, height=2))
        board.add_widgets(
            cloudwatch.CustomWidget(
                title="会員数",
                function_arn=widget.function_arn,
                params={"shop": "t1"},
                update_on_refresh=True,
                width=12,
                height=6,
            ),
            cloudwatch.GraphWidget(
                title="受信",
                left=[
                    cloudwatch.Metric(
                        namespace="Tiny", metric_name="Received", statistic="Sum", period=Duration.minutes(1)
                    )
                ],
                width=12,
                height=6,
            ),
        )


def synthesise(directory: Path) -> Path:
    """Write the cloud assembly and return its directory."""
    flags = {"@aws-cdk/aws-stepfunctions:useDistributedMapResultWriterV2": True}
    app = App(outdir=str(directory), analytics_reporting=False, context=flags)
    TinyStack(app, "Tiny")
    app.synth()
    return directory
