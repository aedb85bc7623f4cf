"""Polling: who is due every few minutes, one message for each connection, and what thin webhooks named read back."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_lambda_event_sources as sources
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.house import House, on_queue, on_schedule, work_queue
from shared.ingest import oversize

TICK = Duration.minutes(5)
"""How often is asked who is due; how often each connection is, its vendor or `poll_minutes` says."""
POLL_TIMEOUT = Duration.minutes(5)
READ_TIMEOUT = Duration.seconds(60)
READERS = 2
"""At once: it is the shop's own web server that answers, and a sale must not bring it down."""


class Polling(Construct):
    """Scheduler → `plan_polls` → queue → `poll_store`; and the queue of `read_back`, which the intake fills."""

    def __init__(self, scope: Construct, construct_id: str, *, house: House) -> None:
        super().__init__(scope, construct_id)
        self._house = house
        polls, _ = work_queue(self, "Polls", POLL_TIMEOUT)
        self.poll_store = self._reader("ingest/poll_store", POLL_TIMEOUT)
        # One message at a time: a slow vendor keeps its own worker busy and nobody else's.
        on_queue(self.poll_store, polls, batch_size=1)
        house.grant_list(self.poll_store, house.work, oversize.PREFIX)
        self.plan_polls = self._plan(polls)
        self.read_backs, _ = work_queue(self, "ReadBacks", READ_TIMEOUT)
        self.read_back = self._reader("ingest/read_back", READ_TIMEOUT)
        self.read_back.add_event_source(
            sources.SqsEventSource(
                self.read_backs, batch_size=1, report_batch_item_failures=True, max_concurrency=READERS
            )
        )

    def _reader(self, name: str, timeout: Duration) -> lambda_.Function:
        house = self._house
        function = house.function(self, name, timeout=timeout)
        house.tables.pulls.grant(function, "dynamodb:GetItem", "dynamodb:PutItem", *_WALK.get(name, ()))
        house.tables.events.grant(function, "dynamodb:PutItem", *_COMPARE.get(name, ()))
        house.grant_parameters(function, "connections/*", "ssm:GetParameter")
        house.grant_objects(function, house.work, oversize.PREFIX, "s3:PutObject", *_UNPACK.get(name, ()))
        return function

    def _plan(self, polls: sqs.Queue) -> lambda_.Function:
        house = self._house
        function = house.function(
            self, "ingest/plan_polls", own={"polls_queue": polls.queue_url}, timeout=Duration.minutes(1)
        )
        house.tables.pulls.grant(function, "dynamodb:GetItem")
        polls.grant(function, "sqs:SendMessage")
        house.grant_all_parameters(function, "connections")
        on_schedule(self, "Tick", function, TICK, "Ask which carts are due for a poll")
        return function


_WALK = {"ingest/poll_store": ("dynamodb:BatchGetItem", "dynamodb:DeleteItem")}
"""Walks remember what they saw, and give their lease back."""
_COMPARE = {"ingest/poll_store": ("dynamodb:Query",)}
"""A reconciling poll compares with what webhooks told."""
_UNPACK = {"ingest/poll_store": ("s3:GetObject",)}
