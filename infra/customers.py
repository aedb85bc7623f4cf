"""Customers: the events stream folded into the state of every person."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_lambda as lambda_
from aws_cdk import aws_sqs as sqs
from constructs import Construct

from infra.house import House, on_stream
from shared.ingest import oversize

STORE_READS = ("dynamodb:BatchGetItem", "dynamodb:Query")
"""What `CustomerStore` needs to read a person."""

STORE_WRITES = ("dynamodb:DeleteItem", "dynamodb:PutItem")
"""What its transactions are made of."""


class Customers(Construct):
    """Events stream → `update_state` → customers table."""

    def __init__(self, scope: Construct, construct_id: str, *, house: House, erasures: sqs.Queue) -> None:
        super().__init__(scope, construct_id)
        self.update_state = house.functions.make(
            self,
            "customers/update_state",
            settings={
                "customers_table": house.tables.customers.table_name,
                "events_table": house.tables.events.table_name,
                "erasures_queue": erasures.queue_url,
                "work_bucket": house.work.bucket_name,
                "keys_secret": house.keys.secret_arn,
                "prefix": house.prefix,
            },
            timeout=Duration.seconds(60),
            memory_mb=1024,
        )
        house.tables.customers.grant(self.update_state, *STORE_READS, *STORE_WRITES)
        # The body of what arrives late about somebody erased.
        house.tables.events.grant(self.update_state, "dynamodb:UpdateItem")
        erasures.grant(self.update_state, "sqs:SendMessage")
        house.grant_objects(self.update_state, house.work, oversize.PREFIX, "s3:GetObject")
        house.grant_keys(self.update_state)
        house.grant_shops(self.update_state)
        on_stream(
            self.update_state,
            house.tables.events,
            # Rows that expire are no news.
            filters=[dict(lambda_.FilterCriteria.filter({"eventName": lambda_.FilterRule.is_equal("INSERT")}))],
        )
