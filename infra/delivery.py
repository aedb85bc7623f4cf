"""Delivery: SES with its events coming back through a queue, the way out of every mail, and the reconciler."""

from __future__ import annotations

from aws_cdk import Duration, Stack
from aws_cdk import aws_events as events
from aws_cdk import aws_events_targets as targets
from aws_cdk import aws_iam as iam
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_ses as ses
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.customers import STORE_READS
from infra.house import GET_HEAD, GET_HEAD_POST, House, allow, on_queue, on_schedule, rule_dead_letters, work_queue
from infra.names import CONFIGURATION_SET
from shared.analytics.feeds import PREFIX as FEEDS
from shared.delivery.links.link import ROUTE
from shared.delivery.store import INDEX
from shared.delivery.tray import PREFIX as TRAY

EVENT_TYPES = (
    "SEND",
    "DELIVERY",
    "DELIVERY_DELAY",
    "BOUNCE",
    "COMPLAINT",
    "REJECT",
    "RENDERING_FAILURE",
    "OPEN",
    "CLICK",
)

LEDGER_SEND = ("dynamodb:GetItem", "dynamodb:PutItem", "dynamodb:UpdateItem")
"""What `deliver` needs of the ledger: read a contact row, claim a slot, the steps of the protocol."""


class Delivery(Construct):
    """`grant_send` is for whoever calls `deliver`: the step function of the scenarios."""

    def __init__(self, scope: Construct, construct_id: str, *, house: House) -> None:
        super().__init__(scope, construct_id)
        self._house = house
        self._configuration_set()
        self.receive_feedback = self._receive_feedback()
        self.feedback = self._feedback_queue()
        self.unsubscribe = self._page("unsubscribe", "unsubscribe")
        self.preferences = self._page("set_preferences", "preferences")
        self.link_line = self._link_line()
        self.follow_link = self._follow_link()
        self.reconcile = self._reconcile()

    def grant_send(self, function: lambda_.Function) -> None:
        """What `deliver` does itself: ledger, signed links and SES. Its caller reads people and shops anyway."""
        self._grant_ledger(function, *LEDGER_SEND)
        self._house.grant_keys(function)
        self._grant_ses(function)
        self._grant_channels(function)

    def grant_transactional_mail(self, function: lambda_.Function) -> None:
        """What `deliver` does of a mail that answers somebody: no other channel, no slot in a contact row."""
        self._grant_ledger(function, "dynamodb:GetItem", "dynamodb:UpdateItem")
        self._house.grant_keys(function)
        self._grant_ses(function)

    def grant_tray(self, function: lambda_.Function) -> None:
        """What leaves as a file waits in the work bucket: letters, call tasks."""
        self._house.grant_objects(function, self._house.work, f"{TRAY}/", "s3:PutObject")

    def grant_catalogues(self, function: lambda_.Function) -> None:
        """What a shop sells, as its last night left it, if it had one."""
        self._house.grant_objects(function, self._house.lake, FEEDS, "s3:GetObject")
        self._house.grant_list(function, self._house.lake, FEEDS)

    def _grant_channels(self, function: lambda_.Function) -> None:
        """LINE and the shops' endpoints are known by their secrets; SMS is AWS's own."""
        self._house.grant_parameters(function, "line/*", "ssm:GetParameter")
        self._house.grant_parameters(function, "endpoints/*", "ssm:GetParameter")
        grant_texts(function)

    def _grant_ses(self, function: lambda_.Function) -> None:
        stack = Stack.of(self)
        identities = stack.format_arn(service="ses", resource="identity", resource_name="*")
        configuration_set = stack.format_arn(
            service="ses", resource="configuration-set", resource_name=CONFIGURATION_SET
        )
        tenants = stack.format_arn(service="ses", resource="tenant", resource_name="*")
        # Which identities a shop sends from is its own setting; what is sent without our configuration set is refused.
        function.add_to_role_policy(
            iam.PolicyStatement(actions=["ses:SendEmail"], resources=[identities, configuration_set, tenants])
        )
        # The account's rate and day; there is nothing narrower to ask for.
        allow(function, "*", "ses:GetAccount")

    def _grant_ledger(self, function: lambda_.Function, *actions: str, below: str = "") -> None:
        allow(function, f"{self._house.tables.deliveries.table_arn}{below}", *actions)

    def _configuration_set(self) -> None:
        configuration_set = ses.CfnConfigurationSet(
            self,
            "ConfigurationSet",
            name=CONFIGURATION_SET,
            reputation_options=ses.CfnConfigurationSet.ReputationOptionsProperty(reputation_metrics_enabled=True),
            delivery_options=ses.CfnConfigurationSet.DeliveryOptionsProperty(tls_policy="REQUIRE"),
            # A second net below our own suppression.
            suppression_options=ses.CfnConfigurationSet.SuppressionOptionsProperty(
                suppressed_reasons=["BOUNCE", "COMPLAINT"]
            ),
        )
        destination = ses.CfnConfigurationSetEventDestination(
            self,
            "Events",
            configuration_set_name=CONFIGURATION_SET,
            event_destination=ses.CfnConfigurationSetEventDestination.EventDestinationProperty(
                name="eventbridge",
                enabled=True,
                matching_event_types=list(EVENT_TYPES),
                event_bridge_destination=ses.CfnConfigurationSetEventDestination.EventBridgeDestinationProperty(
                    event_bus_arn=_default_bus_arn(self)
                ),
            ),
        )
        destination.add_resource_dependency(configuration_set)

    def _receive_feedback(self) -> lambda_.Function:
        house = self._house
        function = house.function(self, "delivery/receive_feedback", timeout=Duration.seconds(30))
        house.tables.events.grant(function, "dynamodb:PutItem")
        self._grant_ledger(function, "dynamodb:GetItem", "dynamodb:UpdateItem")
        return function

    def _feedback_queue(self) -> sqs.Queue:
        queue, _ = work_queue(self, "Feedback", Duration.seconds(30))
        # A batch writes the shop's reputation once: at 500 mails a second, batches of ten would 115 times a second.
        on_queue(self.receive_feedback, queue, batch_size=50, window=Duration.seconds(2))
        events.Rule(
            self,
            "FeedbackRule",
            description="SES events of Matakite's mails, to the queue of receive_feedback",
            event_pattern=events.EventPattern(
                source=["aws.ses"],
                resources=[
                    Stack.of(self).format_arn(
                        service="ses", resource="configuration-set", resource_name=CONFIGURATION_SET
                    )
                ],
            ),
            # The target adds the queue policy, scoped to this rule; without it EventBridge drops silently.
            targets=[targets.SqsQueue(queue, dead_letter_queue=rule_dead_letters(self))],
        )
        return queue

    def _page(self, function_name: str, page: str) -> lambda_.Function:
        """A page behind the signed link of a mail, where a person says what they want."""
        house = self._house
        function = house.page(self, f"delivery/{function_name}")
        # What is said there adds to a person; it joins nobody, so nothing is deleted.
        house.tables.customers.grant(function, *STORE_READS, "dynamodb:PutItem")
        house.tables.events.grant(function, "dynamodb:PutItem")
        house.grant_shops(function)
        house.route(GET_HEAD_POST, f"/v1/{page}/{{token}}", function)
        return function

    def _link_line(self) -> lambda_.Function:
        house = self._house
        function = house.page(self, "delivery/link_line")
        house.tables.customers.grant(function, *STORE_READS)
        house.tables.events.grant(function, "dynamodb:PutItem")
        house.grant_shops(function)
        house.grant_parameters(function, "line/*", "ssm:GetParameter")
        house.route(GET_HEAD_POST, "/v1/line/link/{token}", function)
        return function

    def _follow_link(self) -> lambda_.Function:
        """Where the links of LINE and SMS lead; it knows the sends and nobody's address."""
        house = self._house
        function = house.page(self, "delivery/follow_link")
        self._grant_ledger(function, "dynamodb:GetItem", "dynamodb:UpdateItem")
        house.tables.events.grant(function, "dynamodb:PutItem")
        house.route(GET_HEAD, f"{ROUTE}{{token}}", function)
        return function

    def _reconcile(self) -> lambda_.Function:
        house = self._house
        function = house.function(self, "delivery/reconcile", timeout=Duration.minutes(5))
        # Transactional messages only: they take no slot in a contact row, but those of LINE and SMS keep their links.
        self._grant_ledger(function, "dynamodb:GetItem", "dynamodb:UpdateItem", "dynamodb:PutItem")
        self._grant_ses(function)
        self._grant_channels(function)
        house.grant_keys(function)
        house.tables.customers.grant(function, *STORE_READS)
        house.grant_shops(function)
        self._grant_ledger(function, "dynamodb:Query", below=f"/index/{INDEX}")
        house.grant_all_parameters(function, "shops")
        what = "Count the sends in doubt; send an ambiguous transactional mail a second time"
        on_schedule(self, "EveryQuarterHour", function, Duration.minutes(15), what)
        return function


def grant_texts(function: lambda_.Function) -> None:
    """Which number, sender id or pool a shop sends from is its own setting."""
    numbers = Stack.of(function).format_arn(service="sms-voice", resource="*")
    allow(function, numbers, "sms-voice:SendTextMessage")


def _default_bus_arn(scope: Construct) -> str:
    """SES publishes to the default bus only."""
    return Stack.of(scope).format_arn(service="events", resource="event-bus", resource_name="default")
