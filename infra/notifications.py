"""Queues that malls write into: Amazon's order notices (SP-API)."""

from __future__ import annotations

from aws_cdk import CfnOutput, Duration
from aws_cdk import aws_iam as iam
from constructs import Construct

from infra.house import House, on_queue, work_queue
from infra.names import AMAZON_QUEUE

SP_API_ACCOUNT = "437568002678"
"""The AWS account SP-API sends notifications from, in every region. Amazon's notifications guide names it ("Set
Principal to …"), and a seller's queue stayed silent until it was this one and nobody's else
(https://github.com/amzn/selling-partner-api-docs/issues/2043). What comes from another account is refused."""


class Notifications(Construct):
    """Amazon's `ORDER_CHANGE` → queue → receive_amazon."""

    def __init__(self, scope: Construct, construct_id: str, *, house: House) -> None:
        super().__init__(scope, construct_id)
        timeout = Duration.seconds(30)
        self.receive_amazon = house.function(self, "ingest/receive_amazon", timeout=timeout)
        house.tables.events.grant(self.receive_amazon, "dynamodb:PutItem")
        house.grant_parameters(self.receive_amazon, "connections/*", "ssm:GetParameter")
        queue, _ = work_queue(self, "Amazon", timeout)
        # Whose notice it is stands in its body and is compared with the connected sellers.
        queue.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.AccountPrincipal(SP_API_ACCOUNT)],
                actions=["sqs:SendMessage", "sqs:GetQueueAttributes"],
                resources=[queue.queue_arn],
            )
        )
        on_queue(self.receive_amazon, queue)
        output = CfnOutput(self, "Queue", value=queue.queue_arn, description="destination of SP-API notifications")
        output.override_logical_id(AMAZON_QUEUE)
