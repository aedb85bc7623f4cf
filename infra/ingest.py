"""Ingest: the webhook intake, and the machine that loads imported history.

Carts post to the function's own address: API Gateway takes $1.29 for a million calls, which of 60 webhooks a month per
address is a tenth of what SES takes, and adds nothing here (the signature is checked by the function either way). The
route of the API stays, for carts that were given it and for who wants its throttling or an own domain.
"""

from __future__ import annotations

from aws_cdk import CfnOutput, Duration
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from aws_cdk import aws_stepfunctions as sfn
from aws_cdk import aws_stepfunctions_tasks as tasks
from constructs import Construct

from infra.house import POST, House, machine_logs
from infra.names import IMPORT_MACHINE
from shared.ingest import oversize

CHUNKS_AT_ONCE = 4
WEBHOOKS_AT_ONCE = 100
"""Of the intake: a flood at the function's own address meets 429 here as it would meet the API's throttle (a webhook
takes about 10 ms, so this is some thousands a second), and takes no other function's share of the account. An account
whose own limit is below 200 (new ones may begin at 10) cannot set so many aside: `cdk deploy -c webhooks_at_once=0`.
"""


class Ingest(Construct):
    """POST /v1/hooks/{connection}, at the function's own address and behind the API."""

    def __init__(self, scope: Construct, construct_id: str, *, house: House, read_backs: sqs.Queue) -> None:
        super().__init__(scope, construct_id)
        self.receive_webhook = house.function(
            self,
            "ingest/receive_webhook",
            own={"read_back_queue": read_backs.queue_url},
            # Shopify hangs up after 5 s; a cold start gets its processor by memory.
            timeout=Duration.seconds(10),
            memory_mb=1024,
            concurrency=self._at_once(),
        )
        house.tables.events.grant(self.receive_webhook, "dynamodb:PutItem")
        house.grant_parameters(self.receive_webhook, "connections/*", "ssm:GetParameter")
        house.grant_objects(self.receive_webhook, house.work, oversize.PREFIX, "s3:PutObject")
        read_backs.grant(self.receive_webhook, "sqs:SendMessage")
        house.route(POST, "/v1/hooks/{connection}", self.receive_webhook)
        # No signature of AWS: a cart has none. Whose it is says the secret part of the path, whether it is genuine its
        # own signature, exactly as behind the API.
        address = self.receive_webhook.add_function_url(auth_type=lambda_.FunctionUrlAuthType.NONE)
        output = CfnOutput(self, "HooksUrl", value=address.url, description="where carts post their webhooks")
        output.override_logical_id("HooksUrl")

    def _at_once(self) -> int | None:
        """How many calls are set aside for webhooks; None: the function takes its share like every other."""
        asked = self.node.try_get_context("webhooks_at_once")
        return (int(asked) or None) if asked is not None else WEBHOOKS_AT_ONCE


class ImportOrders(Construct):
    """The state machine behind `matakite import`, of orders and of every other kind: each chunk once, four at a time.

    Input {"tenant", "import_id", "bucket", "keys": […]}; output [{"orders", "changed"}, …] in the order of the keys.
    Its execution is named after the file's content, so that starting it twice is one import.
    """

    def __init__(self, scope: Construct, construct_id: str, *, load_history: lambda_.Function) -> None:
        super().__init__(scope, construct_id)
        self.machine = sfn.StateMachine(
            self,
            "Machine",
            state_machine_name=IMPORT_MACHINE,
            comment="Loads the chunks of an imported order history",
            definition_body=sfn.DefinitionBody.from_chainable(_every_chunk(self, load_history)),
            timeout=Duration.hours(6),
            tracing_enabled=True,
            logs=machine_logs(self, "Logs", IMPORT_MACHINE),
        )


def _every_chunk(scope: Construct, load_history: lambda_.Function) -> sfn.Map:
    every = sfn.Map(
        scope,
        "EveryChunk",
        items_path="$.keys",
        item_selector={
            "tenant.$": "$.tenant",
            "import_id.$": "$.import_id",
            "bucket.$": "$.bucket",
            "key.$": "$$.Map.Item.Value",
        },
        max_concurrency=CHUNKS_AT_ONCE,
    )
    load = tasks.LambdaInvoke(
        scope,
        "LoadChunk",
        lambda_function=load_history,
        payload_response_only=True,
        retry_on_service_exceptions=False,
    )
    # Loading a chunk again changes nothing, so everything but a bad chunk is worth another try.
    load.add_retry(errors=["RejectedError", "MisconfiguredError"], max_attempts=0)
    load.add_retry(
        errors=[sfn.Errors.ALL],
        interval=Duration.seconds(2),
        backoff_rate=2,
        max_attempts=5,
        jitter_strategy=sfn.JitterType.FULL,
    )
    every.item_processor(load)
    return every
