"""Executions that failed: nothing else would tell of a scenario's machine that stopped with its people in it."""

from __future__ import annotations

from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from constructs import Construct

from infra.house import dead_letter_queue, rule_dead_letters, states_arn
from infra.names import MACHINES


class FailedRuns(Construct):
    """Every execution of our machines that failed or ran out of time → a dead-letter queue, whose alarm calls somebody.

    It waits there as long as Step Functions can redrive it: 14 days.
    """

    def __init__(self, scope: Construct, construct_id: str) -> None:
        super().__init__(scope, construct_id)
        queue = dead_letter_queue(self, "RunsDeadLetters")
        events.Rule(
            self,
            "Rule",
            description="Executions of Matakite's state machines that failed, to a queue with an alarm",
            event_pattern=events.EventPattern(
                source=["aws.states"],
                detail_type=["Step Functions Execution Status Change"],
                detail={
                    "status": ["FAILED", "TIMED_OUT"],
                    "stateMachineArn": [{"prefix": states_arn(self, "stateMachine", MACHINES)}],
                },
            ),
            targets=[targets.SqsQueue(queue, dead_letter_queue=rule_dead_letters(self))],
        )
