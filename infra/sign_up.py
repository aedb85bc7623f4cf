"""Signing up for a shop's mail: the form, and the one mail that asks the owner of the address."""

from __future__ import annotations

from aws_cdk import Duration
from constructs import Construct

from infra.customers import STORE_READS
from infra.delivery import Delivery
from infra.house import GET_HEAD_POST, POST, House


class SignUp(Construct):
    """GET|POST /v1/subscribe/{key} for people, POST /v1/subscribe for programs."""

    def __init__(self, scope: Construct, construct_id: str, *, house: House, delivery: Delivery) -> None:
        super().__init__(scope, construct_id)
        self.sign_up = house.function(self, "delivery/sign_up", timeout=Duration.seconds(15), memory_mb=1024)
        # An address alone joins nobody, so nothing is deleted.
        house.tables.customers.grant(self.sign_up, *STORE_READS, "dynamodb:PutItem")
        house.tables.events.grant(self.sign_up, "dynamodb:PutItem")
        house.grant_parameters(self.sign_up, "connections/*", "ssm:GetParameter")
        house.grant_shops(self.sign_up)
        delivery.grant_transactional_mail(self.sign_up)
        house.route(GET_HEAD_POST, "/v1/subscribe/{key}", self.sign_up)
        house.route(POST, "/v1/subscribe", self.sign_up)
