"""Ingest: the inbox. A file put into its bucket is read by `take_in_file` and handed to the import machine."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_s3 as s3
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.house import House, allow, on_queue, rule_dead_letters, states_arn, work_queue
from infra.names import IMPORT_MACHINE
from shared.ingest import history
from shared.ingest.files import inbox

_TIMEOUT = Duration.minutes(10)


class Inbox(Construct):
    """`inbox/<tenant>/<kind>/<file>.csv` → EventBridge → queue → `take_in_file` → the import machine."""

    def __init__(
        self, scope: Construct, construct_id: str, *, house: House, bucket: s3.Bucket, machine: sfn.StateMachine
    ) -> None:
        super().__init__(scope, construct_id)
        function = house.function(
            self,
            "ingest/take_in_file",
            own={"inbox_bucket": bucket.bucket_name, "import_machine": machine.state_machine_arn},
            timeout=_TIMEOUT,
            # Of 200 MB, the largest file taken here, the rows of one pass are in memory at once.
            memory_mb=3008,
        )
        queue, _ = work_queue(self, "Files", _TIMEOUT)
        on_queue(function, queue, batch_size=1)
        events.Rule(
            self,
            "FileRule",
            description="Files put into the inbox, to the queue of take_in_file",
            event_pattern=events.EventPattern(
                source=["aws.s3"],
                detail_type=["Object Created"],
                detail={
                    "bucket": {"name": [bucket.bucket_name]},
                    # What take_in_file writes beside a file is no file to take in.
                    "object": {"key": [{"anything-but": {"suffix": [inbox.REPORT, inbox.REJECTED]}}]},
                },
            ),
            targets=[targets.SqsQueue(queue, dead_letter_queue=rule_dead_letters(self))],
        )
        house.grant_keys(function)
        house.grant_shops(function)
        house.grant_parameters(function, "file-mappings/*", "ssm:GetParameter")
        house.grant_all_parameters(function, "connections")
        house.grant_objects(function, bucket, inbox.PREFIX, "s3:GetObject", "s3:PutObject")
        house.grant_list(function, bucket, inbox.PREFIX)
        house.grant_objects(function, house.work, history.PREFIX, "s3:PutObject")
        machine.grant_start_execution(function)
        executions = states_arn(self, "execution", f"{IMPORT_MACHINE}:*")
        allow(function, executions, "states:DescribeExecution")
