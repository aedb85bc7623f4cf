"""Everything that can be replaced at any time: the API, the functions, the machines and the dashboard."""

from __future__ import annotations

from aws_cdk import Aws, CfnOutput, RemovalPolicy, Stack
from aws_cdk import aws_apigatewayv2 as apigw
from aws_cdk import aws_logs as logs
from constructs import Construct

from infra.admin import Admin
from infra.analytics import Analytics
from infra.customers import Customers
from infra.delivery import Delivery
from infra.failed_runs import FailedRuns
from infra.functions import LOG_RETENTION, FunctionFactory
from infra.house import House
from infra.inbox import Inbox
from infra.ingest import ImportOrders, Ingest
from infra.lookup import ROUTE as LOOKUP
from infra.lookup import Lookup
from infra.notifications import Notifications
from infra.polling import Polling
from infra.privacy import Privacy
from infra.receipts import Receipts
from infra.scenarios import Scenarios
from infra.sign_up import SignUp
from infra.stateful import StatefulStack
from infra.tracking import CORS, Tracking

_ACCESS_LOG = {
    "requestId": "$context.requestId",
    "time": "$context.requestTime",
    "method": "$context.httpMethod",
    # The route, not the path: a path holds the connection's secret part or a signed token.
    "route": "$context.routeKey",
    "status": "$context.status",
    "latency": "$context.responseLatency",
    "bytes": "$context.responseLength",
}

ROUTE_LIMITS = {
    "POST /v1/{call}": (300, 600),
    "POST /v1/subscribe": (5, 20),
    "POST /v1/subscribe/{key}": (5, 20),
    f"POST {LOOKUP}": (50, 100),
}
"""Requests per second, and at once. A sign-up sends a mail: nobody may send thousands through a form."""


class StatelessStack(Stack):
    """One construct per domain, in the order data flows through them."""

    def __init__(
        self, scope: Construct, construct_id: str, *, stateful: StatefulStack, functions: FunctionFactory
    ) -> None:
        super().__init__(scope, construct_id, description="Matakite: what the shop's data flows through")
        house = House(
            tables=stateful.tables,
            lake=stateful.lake,
            work=stateful.work,
            keys=stateful.keys,
            functions=functions,
            api=self._api(),
        )
        polling = Polling(self, "Polling", house=house)
        Ingest(self, "Ingest", house=house, read_backs=polling.read_backs)
        Notifications(self, "Notifications", house=house)
        Tracking(self, "Tracking", house=house)
        privacy = Privacy(self, "Privacy", house=house)
        Customers(self, "Customers", house=house, erasures=privacy.queue)
        analytics = Analytics(self, "Analytics", house=house)
        imports = ImportOrders(self, "ImportOrders", load_history=analytics.load_history)
        Inbox(self, "Inbox", house=house, bucket=stateful.inbox, machine=imports.machine)
        delivery = Delivery(self, "Delivery", house=house)
        Receipts(self, "Receipts", house=house)
        SignUp(self, "SignUp", house=house, delivery=delivery)
        scenarios = Scenarios(self, "Scenarios", house=house, delivery=delivery)
        Lookup(self, "Lookup", house=house)
        FailedRuns(self, "FailedRuns")
        Admin(self, "Admin", house=house, scenarios=scenarios)
        _throttle(house.api)
        self._outputs(house)

    def _api(self) -> apigw.HttpApi:
        api = apigw.HttpApi(
            self,
            "Api",
            create_default_stage=False,
            cors_preflight=CORS,
            description="Matakite: webhooks, tracking and public pages",
        )
        log_group = logs.LogGroup(self, "ApiAccessLogs", retention=LOG_RETENTION, removal_policy=RemovalPolicy.DESTROY)
        stage = api.add_stage(
            "Live",
            stage_name="$default",
            auto_deploy=True,
            throttle=apigw.ThrottleSettings(rate_limit=500, burst_limit=1000),
        )
        # The L2 stage has no access-log property for a JSON format with these keys (CDK 2.275).
        cfn_stage = stage.node.default_child
        assert isinstance(cfn_stage, apigw.CfnStage)  # noqa: S101 - for the type checker
        cfn_stage.access_log_settings = apigw.CfnStage.AccessLogSettingsProperty(
            destination_arn=log_group.log_group_arn, format=self.to_json_string(_ACCESS_LOG)
        )
        return api

    def _outputs(self, house: House) -> None:
        url = f"https://{house.api.api_id}.execute-api.{Aws.REGION}.{Aws.URL_SUFFIX}"
        CfnOutput(self, "ApiUrl", value=url)
        CfnOutput(self, "ApiId", value=house.api.api_id)


def _throttle(api: apigw.HttpApi) -> None:
    """Let no crowd on one route take what the whole API may: a visitor's clicks must not keep a cart's orders out."""
    stages = [each for each in api.node.find_all() if isinstance(each, apigw.CfnStage)]
    routes = [each for each in api.node.find_all() if isinstance(each, apigw.CfnRoute)]
    for stage in stages:
        stage.route_settings = {
            route: {"ThrottlingRateLimit": rate, "ThrottlingBurstLimit": burst}
            for route, (rate, burst) in ROUTE_LIMITS.items()
        }
        for route in routes:
            # A limit for a route that is not there yet is refused.
            stage.add_resource_dependency(route)
