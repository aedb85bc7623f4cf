"""Customers: the events stream folded into the state of every person."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.house import House, on_stream
from shared.ingest import oversize
from shared.ingest.sources import ses

STORE_READS = ("dynamodb:BatchGetItem", "dynamodb:Query")
"""What `CustomerStore` needs to read a person."""

STORE_WRITES = ("dynamodb:DeleteItem", "dynamodb:PutItem")
"""What its transactions are made of."""

STORE_STATEMENTS = ("dynamodb:PartiQLInsert", "dynamodb:PartiQLUpdate")
"""What a batch of the fold is written with."""


class Customers(Construct):
    """Events stream → `update_state` → customers table."""

    def __init__(self, scope: Construct, construct_id: str, *, house: House, erasures: sqs.Queue) -> None:
        super().__init__(scope, construct_id)
        self.update_state = house.function(
            self,
            "customers/update_state",
            own={"erasures_queue": erasures.queue_url},
            timeout=Duration.seconds(60),
            memory_mb=1024,
        )
        house.tables.customers.grant(self.update_state, *STORE_READS, *STORE_WRITES, *STORE_STATEMENTS)
        # The body of what arrives late about somebody erased.
        house.tables.events.grant(self.update_state, "dynamodb:UpdateItem")
        erasures.grant(self.update_state, "sqs:SendMessage")
        house.grant_objects(self.update_state, house.work, oversize.PREFIX, "s3:GetObject")
        house.grant_list(self.update_state, house.work, oversize.PREFIX)
        house.grant_keys(self.update_state)
        house.grant_shops(self.update_state)
        on_stream(
            self.update_state,
            house.tables.events,
            filters=_FILTERS,
            # What is said of one act, and of many people, shares its calls and writes.
            window=Duration.seconds(3),
        )


def _inserted(image: dict[str, object]) -> dict[str, object]:
    """Rows that expire are no news."""
    pattern = {"eventName": lambda_.FilterRule.is_equal("INSERT"), "dynamodb": {"NewImage": image}}
    return dict(lambda_.FilterCriteria.filter(pattern))


_FILTERS = [
    _inserted({"source": {"S": [{"anything-but": [ses.NAME]}]}}),
    # Of what SES says only these change what is known of a person: of every mail two or three records say nothing.
    _inserted({"source": {"S": [ses.NAME]}, "topic": {"S": ["Bounce", "Complaint"]}}),
]
