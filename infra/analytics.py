"""Analytics: the lake's catalogue and query engine, the functions that fill it, and the nightly machine."""

from __future__ import annotations

from collections.abc import Iterable

from aws_cdk import Duration, Stack, TimeZone
from aws_cdk import aws_athena as athena
from aws_cdk import aws_glue as glue
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.house import House, allow, machine_logs, on_error, on_stream, schedules_dead_letters
from infra.names import ATHENA_WORKGROUP, GLUE_DATABASE, NIGHTLY_MACHINE
from infra.nightly import NightlyParts, nightly_machine
from shared.analytics.catalog import made_by_functions, stored_reads
from shared.analytics.feeds import FEEDS
from shared.analytics.feeds import PREFIX as FEED_PREFIX
from shared.analytics.meaning import analyses, night_catalog, result_tables
from shared.analytics.nightly import CHANGES
from shared.analytics.schema import BASE_TABLES, EVENT_TABLES, ORDER_LINES, ORDER_STATES, STATE_TABLES, Table
from shared.analytics.segments.night import COUNTS
from shared.analytics.segments.night import READS as SEGMENT_READS
from shared.ingest import history, oversize

MODELS = "models/"
"""Prefix in the work bucket of predictions on their way into the lake (`shared.analytics.modelling`)."""

QUERY_RESULTS = "athena/"
"""Prefix of query results in the work bucket."""

SCAN_LIMIT_BYTES = 20 * 1024**3
"""A query that would scan more (about $0.10) is a mistake and is stopped."""

_PARQUET_INPUT = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat"
_PARQUET_OUTPUT = "org.apache.hadoop.hive.ql.io.parquet.MapredParquetOutputFormat"
_PARQUET_SERDE = "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"

_BATCH = 1000
_WINDOW = Duration.minutes(5)
"""The longest there is: fewer, larger objects, and nobody reads the lake by the minute."""

# One order row of the customers stream. Imported history is written to the lake by the import itself; when it moves
# or goes, that is news.
_ORDER_WRITTEN: dict[str, object] = {
    "eventName": ["INSERT", "MODIFY"],
    "dynamodb": {"NewImage": {"kind": {"S": ["order"]}, "historical": {"BOOL": [False]}}},
}
_ORDER_REMOVED: dict[str, object] = {
    "eventName": ["REMOVE"],
    "dynamodb": {"OldImage": {"kind": {"S": ["order"]}}},
}
# What is known of people besides their orders: the import leaves these to the stream.
_PERSON = {"kind": {"S": ["profile", "subscription", "consent", "link", "claims"]}}
_PERSON_WRITTEN: dict[str, object] = {"eventName": ["INSERT", "MODIFY"], "dynamodb": {"NewImage": _PERSON}}
_PERSON_REMOVED: dict[str, object] = {"eventName": ["REMOVE"], "dynamodb": {"OldImage": _PERSON}}


def _filter(pattern: dict[str, object]) -> dict[str, object]:
    """A stream filter: what does not match is never handed to the function."""
    return dict(lambda_.FilterCriteria.filter(pattern))


class Analytics(Construct):
    """The lake, from the streams and the import to the nightly results."""

    def __init__(self, scope: Construct, construct_id: str, *, house: House) -> None:
        super().__init__(scope, construct_id)
        self._house = house
        self._results = result_tables()
        self.workgroup = self._catalogue([*BASE_TABLES, *self._results])
        self._archives()
        self.load_history = self._load_history()
        self.machine = self._nightly()
        self._schedule()

    # --- catalogue ----------------------------------------------------------------------------------------------------
    def _catalogue(self, tables: Iterable[Table]) -> athena.CfnWorkGroup:
        """Glue tables with computed partitions, and the workgroup that queries must use."""
        database = glue.CfnDatabase(
            self,
            "Database",
            catalog_id=Stack.of(self).account,
            database_input=glue.CfnDatabase.DatabaseInputProperty(name=GLUE_DATABASE, description="Matakite's lake"),
        )
        for table in tables:
            self._table(table).add_resource_dependency(database)
        return athena.CfnWorkGroup(
            self,
            "Workgroup",
            name=ATHENA_WORKGROUP,
            description="Matakite's analyses",
            recursive_delete_option=True,
            work_group_configuration=athena.CfnWorkGroup.WorkGroupConfigurationProperty(
                enforce_work_group_configuration=True,
                publish_cloud_watch_metrics_enabled=True,
                bytes_scanned_cutoff_per_query=SCAN_LIMIT_BYTES,
                engine_version=athena.CfnWorkGroup.EngineVersionProperty(
                    selected_engine_version="Athena engine version 3"
                ),
                result_configuration=athena.CfnWorkGroup.ResultConfigurationProperty(
                    output_location=f"s3://{self._house.work.bucket_name}/{QUERY_RESULTS}",
                    encryption_configuration=athena.CfnWorkGroup.EncryptionConfigurationProperty(
                        encryption_option="SSE_S3"
                    ),
                ),
            ),
        )

    def _table(self, table: Table) -> glue.CfnTable:
        location = f"s3://{self._house.lake.bucket_name}/{table.name}/"
        return glue.CfnTable(
            self,
            f"Table{''.join(word.capitalize() for word in table.name.split('_'))}",
            catalog_id=Stack.of(self).account,
            database_name=GLUE_DATABASE,
            table_input=glue.CfnTable.TableInputProperty(
                name=table.name,
                description=table.meaning,
                table_type="EXTERNAL_TABLE",
                parameters=table.projection(location),
                partition_keys=[
                    glue.CfnTable.ColumnProperty(name=name, type=kind.value)
                    for name, kind in table.partition_keys().items()
                ],
                storage_descriptor=glue.CfnTable.StorageDescriptorProperty(
                    columns=[
                        glue.CfnTable.ColumnProperty(
                            name=column.name, type=column.kind.value, comment=column.meaning[:250]
                        )
                        for column in table.columns
                    ],
                    location=location,
                    input_format=_PARQUET_INPUT,
                    output_format=_PARQUET_OUTPUT,
                    serde_info=glue.CfnTable.SerdeInfoProperty(serialization_library=_PARQUET_SERDE),
                ),
            ),
        )

    # --- what fills the lake ------------------------------------------------------------------------------------------
    def _archives(self) -> None:
        house = self._house
        events = self._function("archive_events")
        house.grant_keys(events)
        house.grant_shops(events)
        for table in EVENT_TABLES:
            house.grant_objects(events, house.lake, f"{table.name}/", "s3:PutObject")
        house.grant_objects(events, house.work, oversize.PREFIX, "s3:GetObject")
        house.grant_list(events, house.work, oversize.PREFIX)
        on_stream(
            events, house.tables.events, filters=[_filter({"eventName": ["INSERT"]})], batch_size=_BATCH, window=_WINDOW
        )
        states = self._function("archive_states")
        house.grant_shops(states)
        for table in STATE_TABLES:
            house.grant_objects(states, house.lake, f"{table.name}/", "s3:PutObject")
        house.tables.customers.grant(states, "dynamodb:BatchGetItem", "dynamodb:Query")
        on_stream(
            states,
            house.tables.customers,
            filters=[
                _filter(pattern) for pattern in (_ORDER_WRITTEN, _ORDER_REMOVED, _PERSON_WRITTEN, _PERSON_REMOVED)
            ],
            batch_size=_BATCH,
            window=_WINDOW,
        )

    def _load_history(self) -> lambda_.Function:
        house = self._house
        function = self._function("load_history", timeout=Duration.minutes(5))
        house.grant_keys(function)
        house.grant_shops(function)
        for table in (*EVENT_TABLES, ORDER_STATES, ORDER_LINES):
            house.grant_objects(function, house.lake, f"{table.name}/", "s3:PutObject")
        house.grant_objects(function, house.work, history.PREFIX, "s3:GetObject", "s3:PutObject")
        house.grant_list(function, house.work, history.PREFIX)
        house.tables.customers.grant(
            function,
            "dynamodb:BatchGetItem",
            "dynamodb:Query",
            "dynamodb:PutItem",
            "dynamodb:DeleteItem",
        )
        return function

    def _function(
        self, name: str, *, own: dict[str, str] | None = None, group: str = "lake", timeout: Duration | None = None
    ) -> lambda_.Function:
        return self._house.function(
            self,
            f"analytics/{name}",
            own=own,
            group=group,
            timeout=timeout or Duration.minutes(2),
            # A partition of a large shop is read whole (pyarrow needs about ten times its compressed size).
            # The fit of ten million customers (1.4 million groups) needs 2 GB.
            memory_mb={"lake": 1769, "model": 3008}.get(group, 512),
        )

    # --- the nightly machine ------------------------------------------------------------------------------------------
    def _nightly(self) -> sfn.StateMachine:
        functions = self._nightly_functions()
        parts = NightlyParts(
            **{name: function.function_arn for name, function in functions.items()},
            workgroup=ATHENA_WORKGROUP,
            database=GLUE_DATABASE,
        )
        role = iam.Role(
            self,
            "NightlyRole",
            assumed_by=iam.ServicePrincipal("states.amazonaws.com"),
            description="the nightly state machine",
        )
        for statement in self._nightly_statements(functions.values()):
            role.add_to_policy(statement)
        machine = sfn.StateMachine(
            self,
            "Nightly",
            state_machine_name=NIGHTLY_MACHINE,
            comment="One shop's nightly run",
            definition_body=sfn.DefinitionBody.from_string(
                Stack.of(self).to_json_string(nightly_machine(parts, night_catalog()))
            ),
            role=role,
            tracing_enabled=True,
            logs=machine_logs(self, "NightlyLogs", NIGHTLY_MACHINE),
        )
        machine.node.add_dependency(self.workgroup)
        return machine

    def _nightly_functions(self) -> dict[str, lambda_.Function]:
        house, tables = self._house, self._house.tables
        plan_night = self._function("plan_night", group="light")
        house.grant_shops(plan_night)
        tables.reports.grant(plan_night, "dynamodb:Query")
        compact = self._function("compact", timeout=Duration.minutes(15))
        told = [f"{table.name}/" for table in BASE_TABLES]
        house.grant_list(plan_night, house.lake, *told)
        house.grant_list(compact, house.lake, *told)
        for table in BASE_TABLES:
            house.grant_objects(
                compact, house.lake, f"{table.name}/", "s3:GetObject", "s3:PutObject", "s3:DeleteObject"
            )
        plan_stage = self._function("plan_stage", group="light")
        house.grant_shops(plan_stage)
        tables.reports.grant(plan_stage, "dynamodb:Query", "dynamodb:PutItem")
        house.grant_list(plan_stage, house.lake, *(f"{table.name}/" for table in self._results))
        for table in self._results:
            house.grant_objects(plan_stage, house.lake, f"{table.name}/", "s3:DeleteObject")
        fit_models, store_rows = self._model_functions()
        plan_scores = self._function("plan_scores")
        house.grant_list(plan_scores, house.lake, *(f"{name}/" for name in (CHANGES, COUNTS)))
        for name in (CHANGES, COUNTS):
            house.grant_objects(plan_scores, house.lake, f"{name}/", "s3:GetObject")
        apply_scores = self._function("apply_scores", timeout=Duration.minutes(5))
        house.grant_objects(apply_scores, house.lake, f"{CHANGES}/", "s3:GetObject")
        tables.customers.grant(apply_scores, "dynamodb:BatchGetItem", "dynamodb:PutItem")
        publish_reports = self._function("publish_reports")
        tables.reports.grant(publish_reports, "dynamodb:GetItem", "dynamodb:PutItem")
        shown = [f"{analysis.name}/" for analysis in analyses() if analysis.report or analysis.name in FEEDS]
        house.grant_list(publish_reports, house.lake, *shown)
        for each in shown:
            house.grant_objects(publish_reports, house.lake, each, "s3:GetObject")
        house.grant_objects(publish_reports, house.lake, FEED_PREFIX, "s3:PutObject")
        return {
            "plan_night": plan_night,
            "compact": compact,
            "plan_stage": plan_stage,
            "fit_models": fit_models,
            "store_rows": store_rows,
            "plan_scores": plan_scores,
            "apply_scores": apply_scores,
            "publish_reports": publish_reports,
        }

    def _model_functions(self) -> tuple[lambda_.Function, lambda_.Function]:
        """The fit reads query results and writes packed columns; what stores them as Parquet has the other bundle."""
        house = self._house
        fit = self._function("fit_models", group="model", timeout=Duration.minutes(15))
        house.grant_objects(fit, house.work, QUERY_RESULTS, "s3:GetObject")
        house.grant_objects(fit, house.work, MODELS, "s3:PutObject")
        house.tables.reports.grant(fit, "dynamodb:Query", "dynamodb:PutItem")
        store = self._function("store_rows")
        house.grant_objects(store, house.work, MODELS, "s3:GetObject")
        for name in made_by_functions():
            house.grant_objects(store, house.lake, f"{name}/", "s3:PutObject")
        return fit, store

    def _nightly_statements(self, functions: Iterable[lambda_.Function]) -> list[iam.PolicyStatement]:
        """Call the functions; ask Athena, which reads the catalogue and the buckets in this role's name."""
        house, stack = self._house, Stack.of(self)

        def arn(service: str, resource: str, name: str) -> str:
            return stack.format_arn(service=service, resource=resource, resource_name=name)

        catalog = night_catalog()
        read = {name for analysis in analyses() for name in stored_reads(analysis.name, catalog)} | SEGMENT_READS
        lake_tables = [*(table for table in BASE_TABLES if table.name in read), *self._results]
        catalogue = [stack.format_arn(service="glue", resource="catalog"), arn("glue", "database", GLUE_DATABASE)]
        return [
            iam.PolicyStatement(
                actions=["lambda:InvokeFunction"], resources=[function.function_arn for function in functions]
            ),
            iam.PolicyStatement(
                actions=["athena:StartQueryExecution", "athena:GetQueryExecution", "athena:GetQueryResults"],
                resources=[arn("athena", "workgroup", ATHENA_WORKGROUP)],
            ),
            iam.PolicyStatement(actions=["glue:GetDatabase"], resources=catalogue),
            iam.PolicyStatement(
                actions=["glue:GetTable"], resources=[*catalogue, arn("glue", "table", f"{GLUE_DATABASE}/*")]
            ),
            iam.PolicyStatement(
                actions=["s3:GetBucketLocation"], resources=[house.lake.bucket_arn, house.work.bucket_arn]
            ),
            iam.PolicyStatement(
                actions=["s3:ListBucket"],
                resources=[house.lake.bucket_arn],
                conditions={"StringLike": {"s3:prefix": [f"{table.name}/*" for table in lake_tables]}},
            ),
            iam.PolicyStatement(
                actions=["s3:GetObject"],
                resources=[house.lake.arn_for_objects(f"{table.name}/*") for table in lake_tables],
            ),
            iam.PolicyStatement(
                actions=["s3:PutObject", "s3:AbortMultipartUpload"],
                resources=[house.lake.arn_for_objects(f"{table.name}/*") for table in self._results],
            ),
            iam.PolicyStatement(
                actions=["s3:GetObject", "s3:PutObject", "s3:AbortMultipartUpload", "s3:ListMultipartUploadParts"],
                resources=[house.work.arn_for_objects(f"{QUERY_RESULTS}*")],
            ),
        ]

    def _schedule(self) -> None:
        """Every night at 02:00 in Japan, when yesterday is over and nobody is shopping."""
        house = self._house
        start = self._function("start_nights", own={"nightly_machine": self.machine.state_machine_arn}, group="light")
        allow(start, self.machine.state_machine_arn, "states:StartExecution")
        house.grant_all_parameters(start, "shops")
        dead, within = schedules_dead_letters(self), Duration.hours(6)
        on_error(start, dead, within)
        role = iam.Role(
            self,
            "NightlyScheduleRole",
            assumed_by=iam.ServicePrincipal("scheduler.amazonaws.com"),
            description="starts the nightly runs",
        )
        role.add_to_policy(iam.PolicyStatement(actions=["lambda:InvokeFunction"], resources=[start.function_arn]))
        role.add_to_policy(iam.PolicyStatement(actions=["sqs:SendMessage"], resources=[dead.queue_arn]))
        scheduler.CfnSchedule(
            self,
            "NightlySchedule",
            description="Matakite nightly runs",
            schedule_expression="cron(0 2 * * ? *)",
            schedule_expression_timezone=TimeZone.ASIA_TOKYO.timezone_name,
            flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
            target=scheduler.CfnSchedule.TargetProperty(
                arn=start.function_arn,
                role_arn=role.role_arn,
                dead_letter_config=scheduler.CfnSchedule.DeadLetterConfigProperty(arn=dead.queue_arn),
                retry_policy=scheduler.CfnSchedule.RetryPolicyProperty(
                    maximum_event_age_in_seconds=int(within.to_seconds()), maximum_retry_attempts=10
                ),
            ),
        )
