"""Tracking: the SDKs' API, hosted survey pages, and the page that confirms a sign-up (double opt-in)."""

from __future__ import annotations

from aws_cdk import Duration
from aws_cdk import aws_apigatewayv2 as apigw
from aws_cdk import aws_lambda as lambda_
from constructs import Construct

from infra.house import GET_HEAD, GET_HEAD_POST, POST, House
from shared.ingest import oversize

CORS = apigw.CorsPreflightOptions(
    # Any site may call: the key in its page is public, nothing is answered to a browser that needs a cookie, and
    # every page of ours is opened by its own token. API Gateway answers the browser's question itself, once a day.
    allow_origins=["*"],
    allow_methods=[apigw.CorsHttpMethod.POST],
    allow_headers=["authorization", "content-type", "x-retry-count"],
    max_age=Duration.days(1),
)


class Tracking(Construct):
    """POST /v1/{track|identify|page|batch|…}: fixed routes such as /v1/subscribe go before it."""

    def __init__(self, scope: Construct, construct_id: str, *, house: House) -> None:
        super().__init__(scope, construct_id)
        self._house = house
        self.receive_tracking = self._receive_tracking()
        self.show_survey = self._show_survey()
        self.answer_survey = self._answer_survey()
        self.confirm_consent = self._confirm_consent()

    def _receive_tracking(self) -> lambda_.Function:
        house = self._house
        function = house.function(self, "ingest/receive_tracking", timeout=Duration.seconds(10), memory_mb=512)
        house.tables.events.grant(function, "dynamodb:PutItem")
        house.grant_parameters(function, "connections/*", "ssm:GetParameter")
        house.grant_shops(function)
        house.grant_objects(function, house.work, oversize.PREFIX, "s3:PutObject")
        house.route(POST, "/v1/{call}", function)
        return function

    def _show_survey(self) -> lambda_.Function:
        house = self._house
        function = self._page("ingest/show_survey")
        house.grant_parameters(function, "surveys/*", "ssm:GetParameter")
        house.route(GET_HEAD, "/v1/surveys/{token}", function)
        return function

    def _answer_survey(self) -> lambda_.Function:
        house = self._house
        function = self._page("ingest/answer_survey")
        house.tables.events.grant(function, "dynamodb:PutItem")
        house.grant_parameters(function, "surveys/*", "ssm:GetParameter")
        house.grant_parameters(function, "connections/*", "ssm:GetParameter")
        house.route(POST, "/v1/surveys/{token}", function)
        house.route(POST, "/v1/surveys/{survey}/answers", function)
        return function

    def _confirm_consent(self) -> lambda_.Function:
        house = self._house
        function = self._page("ingest/confirm_consent")
        house.tables.events.grant(function, "dynamodb:PutItem")
        house.route(GET_HEAD_POST, "/v1/confirm/{token}", function)
        return function

    def _page(self, name: str) -> lambda_.Function:
        function = self._house.page(self, name)
        self._house.grant_shops(function)
        return function
