"""Privacy: persons erased by the fold are deleted everywhere else, at once from a queue and by a sweep at night."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_scheduler_targets as scheduler_targets
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from infra.house import House, allow, machine_logs, on_queue, schedules_dead_letters, work_queue
from infra.names import SWEEP_MACHINE
from shared.admin import erase
from shared.delivery import tray
from shared.ingest import history, oversize

_AT_ONCE = Duration.minutes(2)
_PART = Duration.minutes(10)


class Privacy(Construct):
    """`queue` is where the fold tells who was erased."""

    def __init__(self, scope: Construct, construct_id: str, *, house: House) -> None:
        super().__init__(scope, construct_id)
        self._house = house
        self.queue, _ = work_queue(self, "Erasures", _AT_ONCE)
        on_queue(self._erase_person(), self.queue)
        self._every_night(self._machine(self._sweep_erased()))

    def _erase_person(self) -> lambda_.Function:
        function = self._house.function(self, "admin/erase_person", timeout=_AT_ONCE)
        self._grant_erasing(function)
        return function

    def _sweep_erased(self) -> lambda_.Function:
        house, tables = self._house, self._house.tables
        function = house.function(
            self,
            "admin/sweep_erased",
            timeout=_PART,
            # Reading bodies is work for the processor, which comes with memory.
            memory_mb=1769,
        )
        self._grant_erasing(function)
        allow(function, tables.customers.table_arn, "dynamodb:Scan")
        allow(function, tables.events.table_arn, "dynamodb:Scan", "dynamodb:UpdateItem")
        house.grant_objects(function, house.work, oversize.PREFIX, "s3:GetObject", "s3:DeleteObject")
        house.grant_objects(function, house.work, history.PREFIX, "s3:GetObject", "s3:PutObject")
        house.grant_objects(function, house.work, erase.FOLDER, "s3:GetObject", "s3:PutObject")
        house.grant_list(function, house.work, history.PREFIX, oversize.PREFIX)
        house.grant_keys(function)
        house.grant_all_parameters(function, "shops")
        return function

    def _grant_erasing(self, function: lambda_.Function) -> None:
        tables = self._house.tables
        # A person is read, and the record of the erasure kept, with the customers; nothing of theirs is deleted there.
        allow(function, tables.customers.table_arn, "dynamodb:BatchGetItem", "dynamodb:Query", "dynamodb:PutItem")
        allow(function, tables.deliveries.table_arn, "dynamodb:Query", "dynamodb:DeleteItem")
        allow(function, tables.scenarios.table_arn, "dynamodb:DeleteItem")
        allow(function, f"{tables.scenarios.table_arn}/index/by_customer", "dynamodb:Query")
        self._house.grant_objects(function, self._house.work, f"{tray.PREFIX}/", "s3:DeleteObject")
        self._house.grant_list(function, self._house.work, f"{tray.PREFIX}/")

    def _machine(self, sweep: lambda_.Function) -> sfn.StateMachine:
        return sfn.StateMachine(
            self,
            "Sweep",
            state_machine_name=SWEEP_MACHINE,
            comment="Looks through everything kept for persons who were erased",
            definition_body=sfn.DefinitionBody.from_chainable(_definition(self, sweep)),
            timeout=Duration.hours(12),
            tracing_enabled=True,
            logs=machine_logs(self, "SweepLogs", SWEEP_MACHINE),
        )

    def _every_night(self, machine: sfn.StateMachine) -> None:
        role = iam.Role(
            self,
            "ForgettingScheduleRole",
            assumed_by=iam.ServicePrincipal("scheduler.amazonaws.com"),
            description="starts the search for what is kept of erased persons",
        )
        machine.grant_start_execution(role)
        scheduler.Schedule(
            self,
            "ForgettingEveryNight",
            description="After the shops' nights: search what is kept for persons who were erased",
            schedule=scheduler.ScheduleExpression.cron(hour="19", minute="30"),
            target=scheduler_targets.StepFunctionsStartExecution(
                machine,
                input=scheduler.ScheduleTargetInput.from_object({}),
                dead_letter_queue=schedules_dead_letters(self),
                role=role,
                retry_attempts=3,
            ),
        )


def _definition(scope: Construct, sweep: lambda_.Function) -> sfn.Chain:
    every = sfn.Map(scope, "EveryPart", items_path="$.parts", max_concurrency=erase.SEGMENTS)
    part = _call(scope, "SweepPart", sweep)
    # A part hands itself on when its time is short.
    again = sfn.Choice(scope, "PartDone").when(sfn.Condition.boolean_equals("$.done", False), part)
    part.next(again.otherwise(sfn.Succeed(scope, "PartSwept")))
    every.item_processor(part)
    return _call(scope, "PlanSweep", sweep).next(every)


def _call(scope: Construct, name: str, function: lambda_.Function) -> tasks.LambdaInvoke:
    task = tasks.LambdaInvoke(
        scope, name, lambda_function=function, payload_response_only=True, retry_on_service_exceptions=False
    )
    # Looking again changes nothing.
    task.add_retry(
        errors=[sfn.Errors.ALL],
        interval=Duration.seconds(5),
        backoff_rate=2,
        max_attempts=5,
        jitter_strategy=sfn.JitterType.FULL,
    )
    return task
