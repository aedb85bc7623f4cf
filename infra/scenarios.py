"""Scenarios: the trigger on the customers table, a sweep per scenario, one state machine per file, and their step."""

from __future__ import annotations

from aws_cdk import Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_scheduler as scheduler
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from constructs import Construct

from infra.customers import STORE_READS
from infra.delivery import Delivery
from infra.house import (
    House,
    allow,
    machine_logs,
    on_error,
    on_schedule,
    on_stream,
    schedules_dead_letters,
    states_arn,
)
from infra.names import scenario_machine
from shared.scenarios.cohorts import FOLDER
from shared.scenarios.compile import Options, compile_scenario
from shared.scenarios.entries import rows_of
from shared.scenarios.model import LiveStatus, Scenario
from shared.scenarios.read import read_presets
from shared.scenarios.trigger import dump_rules, entry_rules
from shared.scenarios.watchdog import RUN

OPTIONS = Options()

SWEPT_WITHIN = Duration.minutes(5)
"""The next sweep finds whom a failed one missed: old ones need not be repeated for hours."""


class Scenarios(Construct):
    """Everything between "a cart was left" and "this batch of people is at this step"."""

    def __init__(self, scope: Construct, construct_id: str, *, house: House, delivery: Delivery) -> None:
        super().__init__(scope, construct_id)
        self._house = house
        self.scenarios = read_presets()
        self.trigger = self._trigger()
        self.step = self._step(delivery)
        self._machine_role = self._role()
        # One log for all scenarios: every record names its machine, and a stack holds 500 resources at most.
        self._machine_logs = machine_logs(self, "Logs", scenario_machine(""))
        self.machines = {scenario.id: self._machine(scenario) for scenario in self.scenarios}
        self.sweep = self._sweep()
        self._schedules()
        self.watch_due = self._watch_due()

    def _trigger(self) -> lambda_.Function:
        function = self._house.function(
            self, "scenarios/trigger", own={"entry_rules": dump_rules(entry_rules(self.scenarios))}
        )
        allow(function, self._house.tables.scenarios.table_arn, "dynamodb:BatchGetItem", "dynamodb:UpdateItem")
        self._grant_by_customer(function)
        self._house.grant_shops(function)
        # Imported history starts nothing, so it does not even wake the function; nor do rows no scenario looks at.
        kinds = {kind for scenario in self.scenarios for kind in rows_of(scenario.entry)}
        filters = [_rows_of(kind) for kind in sorted(kinds)]
        on_stream(function, self._house.tables.customers, filters=filters, window=Duration.seconds(1))
        return function

    def _step(self, delivery: Delivery) -> lambda_.Function:
        tables = self._house.tables
        function = self._house.function(
            self,
            "scenarios/step",
            # Ends before the machine stops waiting, so that no attempt is overtaken by its own retry.
            timeout=Duration.seconds(OPTIONS.step_timeout_seconds - 10),
            memory_mb=1024,
        )
        allow(function, tables.scenarios.table_arn, "dynamodb:BatchGetItem", "dynamodb:PutItem", "dynamodb:UpdateItem")
        self._grant_by_customer(function)
        allow(function, tables.events.table_arn, "dynamodb:PutItem")
        allow(function, tables.customers.table_arn, *STORE_READS)
        self._house.grant_objects(function, self._house.work, FOLDER, "s3:GetObject", "s3:PutObject")
        self._house.grant_shops(function)
        delivery.grant_send(function)
        delivery.grant_tray(function)
        delivery.grant_catalogues(function)
        return function

    def _grant_by_customer(self, function: lambda_.Function) -> None:
        """Where else a person stands."""
        index = f"{self._house.tables.scenarios.table_arn}/index/by_customer"
        allow(function, index, "dynamodb:Query")

    # --- the machines -------------------------------------------------------------------------------------------------

    def _machine(self, scenario: Scenario) -> sfn.StateMachine:
        definition = compile_scenario(scenario, self.step.function_arn, OPTIONS, self.scenarios)
        return sfn.StateMachine(
            self,
            "".join(word.capitalize() for word in scenario.id.split("_")),
            state_machine_name=scenario_machine(scenario.id),
            comment=scenario.title,
            definition_body=sfn.DefinitionBody.from_string(Stack.of(self).to_json_string(definition)),
            role=self._machine_role,
            tracing_enabled=True,
            logs=self._machine_logs,
        )

    def _role(self) -> iam.Role:
        """One for all scenarios: they do the same, and differ in when."""
        role = iam.Role(
            self,
            "Role",
            assumed_by=iam.ServicePrincipal("states.amazonaws.com"),
            description="state machines of the scenarios",
        )
        cohorts = self._house.work.arn_for_objects(f"{FOLDER}*")
        machines = scenario_machine("*")
        for actions, resource in (
            (["lambda:InvokeFunction"], self.step.function_arn),
            (["s3:GetObject"], cohorts),
            # A Distributed Map runs its batches as executions of the machine itself.
            (["states:StartExecution"], states_arn(self, "stateMachine", machines)),
            (
                ["states:DescribeExecution", "states:RedriveExecution", "states:StopExecution"],
                states_arn(self, "execution", f"{machines}/*"),
            ),
        ):
            role.add_to_policy(iam.PolicyStatement(actions=actions, resources=[resource]))
        return role

    # --- the sweep ----------------------------------------------------------------------------------------------------

    def _sweep(self) -> lambda_.Function:
        table = self._house.tables.scenarios
        function = self._house.function(
            self,
            "scenarios/sweep",
            own={"machine_prefix": states_arn(self, "stateMachine", scenario_machine(""))},
            timeout=Duration.minutes(5),
        )
        allow(function, table.table_arn, "dynamodb:BatchGetItem", "dynamodb:UpdateItem")
        allow(function, self._house.tables.customers.table_arn, *STORE_READS)
        machines = [machine.state_machine_arn for machine in self.machines.values()]
        allow(function, f"{table.table_arn}/index/due", "dynamodb:Query")
        function.add_to_role_policy(iam.PolicyStatement(actions=["states:StartExecution"], resources=machines))
        self._house.grant_objects(function, self._house.work, FOLDER, "s3:GetObject", "s3:PutObject")
        self._house.grant_all_parameters(function, "shops")
        return function

    def _watch_due(self) -> lambda_.Function:
        """Looks whether the sweeps come, by a schedule of its own."""
        table = self._house.tables.scenarios
        swept = [scenario for scenario in self.scenarios if scenario.status is not LiveStatus.OFF]
        function = self._house.function(
            self,
            "scenarios/watch_due",
            own={"sweeps": ",".join(f"{each.id}:{int(each.sweep_every.total_seconds() // 60)}" for each in swept)},
            timeout=Duration.minutes(5),
        )
        allow(function, table.table_arn, "dynamodb:BatchGetItem")
        allow(function, f"{table.table_arn}/index/due", "dynamodb:Query")
        self._house.grant_all_parameters(function, "shops")
        often = Duration.minutes(RUN.total_seconds() // 60)
        on_schedule(self, "Watch", function, often, "Is anybody due and not collected?")
        return function

    def _schedules(self) -> None:
        dead_letters = schedules_dead_letters(self)
        on_error(self.sweep, dead_letters, SWEPT_WITHIN)
        role = iam.Role(self, "SweepScheduleRole", assumed_by=iam.ServicePrincipal("scheduler.amazonaws.com"))
        for actions, resource in (
            ("lambda:InvokeFunction", self.sweep.function_arn),
            ("sqs:SendMessage", dead_letters.queue_arn),
        ):
            role.add_to_policy(iam.PolicyStatement(actions=[actions], resources=[resource]))
        for scenario in self.scenarios:
            self._schedule(scenario, role, dead_letters)

    def _schedule(self, scenario: Scenario, role: iam.Role, dead_letters: sqs.Queue) -> None:
        minutes = int(scenario.sweep_every.total_seconds() // 60)
        scheduler.CfnSchedule(
            self,
            f"Sweep{''.join(word.capitalize() for word in scenario.id.split('_'))}",
            description=f"matakite sweep {scenario.id}",
            schedule_expression=f"rate({minutes} minute{'' if minutes == 1 else 's'})",
            flexible_time_window=scheduler.CfnSchedule.FlexibleTimeWindowProperty(mode="OFF"),
            state="DISABLED" if scenario.status is LiveStatus.OFF else "ENABLED",
            target=scheduler.CfnSchedule.TargetProperty(
                arn=self.sweep.function_arn,
                role_arn=role.role_arn,
                input=f'{{"scenario":"{scenario.id}"}}',
                dead_letter_config=scheduler.CfnSchedule.DeadLetterConfigProperty(arn=dead_letters.queue_arn),
                retry_policy=scheduler.CfnSchedule.RetryPolicyProperty(
                    maximum_event_age_in_seconds=int(SWEPT_WITHIN.to_seconds()), maximum_retry_attempts=2
                ),
            ),
        )


def _rows_of(kind: str) -> dict[str, object]:
    image = {"kind": {"S": [kind]}, "historical": {"BOOL": [False]}}
    return dict(lambda_.FilterCriteria.filter({"dynamodb": {"NewImage": image}}))
