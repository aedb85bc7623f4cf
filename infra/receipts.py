"""SMS receipts and replies: a topic (AWS sends them nowhere else that leads to a queue), the queue, and its reader."""

from __future__ import annotations

from aws_cdk import CfnOutput, Duration, Stack
from aws_cdk import aws_iam as iam
from aws_cdk import aws_sns as sns
from aws_cdk import aws_sns_subscriptions as subscriptions
from constructs import Construct

from infra.customers import STORE_READS
from infra.delivery import grant_texts
from infra.house import House, allow, on_queue, work_queue
from infra.names import RECEIPTS_TOPIC


class Receipts(Construct):
    """End User Messaging → topic → queue → receive_receipt. `matakite sms connect` names the topic there."""

    def __init__(self, scope: Construct, construct_id: str, *, house: House) -> None:
        super().__init__(scope, construct_id)
        timeout = Duration.seconds(30)
        self.receive_receipt = house.function(self, "delivery/receive_receipt", timeout=timeout)
        house.tables.events.grant(self.receive_receipt, "dynamodb:PutItem")
        ledger = house.tables.deliveries.table_arn
        allow(self.receive_receipt, ledger, "dynamodb:GetItem", "dynamodb:UpdateItem", "dynamodb:Query")
        self._grant_opt_outs(house)
        queue, _ = work_queue(self, "Receipts", timeout)
        on_queue(self.receive_receipt, queue)
        topic = self._topic()
        topic.add_subscription(subscriptions.SqsSubscription(queue, raw_message_delivery=True))
        output = CfnOutput(self, "Topic", value=topic.topic_arn, description="event destination of SMS")
        output.override_logical_id(RECEIPTS_TOPIC)

    def _grant_opt_outs(self, house: House) -> None:
        """Whoever texts STOP adds to a person, as on a page, and hears of it; which shop is meant is seen from all."""
        function = self.receive_receipt
        house.grant_keys(function)
        house.tables.customers.grant(function, *STORE_READS, "dynamodb:PutItem")
        house.grant_shops(function)
        house.grant_all_parameters(function, "shops")
        grant_texts(function)

    def _topic(self) -> sns.Topic:
        topic = sns.Topic(self, "ReceiptsTopic", enforce_ssl=True)
        topic.add_to_resource_policy(
            iam.PolicyStatement(
                principals=[iam.ServicePrincipal("sms-voice.amazonaws.com")],
                actions=["sns:Publish"],
                resources=[topic.topic_arn],
                conditions={"StringEquals": {"aws:SourceAccount": Stack.of(self).account}},
            )
        )
        return topic
