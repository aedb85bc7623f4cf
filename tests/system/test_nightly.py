"""The nightly run on the deployed stacks, and the screen that shows it."""

from __future__ import annotations

import json
import re
from typing import Any

import pytest

from infra.cli.analysis import follow_night
from infra.demo.settle import settle, wait_until
from infra.names import DASHBOARD, NIGHTLY_MACHINE
from shared.admin.views import VIEWS
from shared.analytics.meaning import analyses
from shared.analytics.nightly import RUN
from shared.analytics.reports import ReportStore
from tests.system.books import table_of
from tests.system.conftest import SHOPS, Played, fire_schedule

JAPANESE = re.compile(r"[぀-ヿ一-鿿]")


@pytest.fixture(scope="module")
def reports(played: Played) -> ReportStore:
    deployment = played.stage.deployment
    return ReportStore(deployment.outputs["ReportsTable"], deployment.client("dynamodb"))


def test_the_night_is_complete_and_every_report_is_there(played: Played, reports: ReportStore) -> None:
    tenant = played.stage.shop.tenant
    record = reports.get(tenant, RUN, played.night)
    assert record is not None
    assert record["state"] == "complete"
    tonight = [analysis for analysis in analyses() if analysis.tonight(played.night)]
    assert {each["name"] for each in record["analyses"]} == {analysis.name for analysis in tonight}
    assert all(each["state"] == "done" and each["scanned_bytes"] >= 0 for each in record["analyses"])
    wanted = [analysis.name.rpartition("_v")[0] for analysis in tonight if analysis.report]
    assert len(wanted) >= 2
    for name in wanted:
        assert reports.get(tenant, name, played.night), name


def test_the_first_run_wrote_everybody_and_the_second_nobody(played: Played, reports: ReportStore) -> None:
    deployment, tenant = played.stage.deployment, played.stage.shop.tenant
    before = table_of(deployment, "CustomersTable", tenant)
    follow_night(deployment, played.stage.shop, played.night)
    settle(played.cloud.emulator, executions=False)
    again = reports.get(tenant, RUN, played.night)
    assert again is not None
    assert again["state"] == "complete"
    assert again["written"] == 0
    assert table_of(deployment, "CustomersTable", tenant) == before


def test_the_schedule_starts_a_night_for_every_shop(played: Played) -> None:
    states = played.stage.deployment.client("stepfunctions")
    machine = next(
        each["stateMachineArn"]
        for page in states.get_paginator("list_state_machines").paginate()
        for each in page["stateMachines"]
        if each["name"] == NIGHTLY_MACHINE
    )

    def running() -> dict[str, str]:
        found = states.list_executions(stateMachineArn=machine)["executions"]
        return {each["name"]: each["executionArn"] for each in found}

    before = running()
    fire_schedule(played.cloud, "NightlySchedule")
    started: dict[str, str] = {}

    def everybody() -> bool:
        started.update({name: arn for name, arn in running().items() if name not in before})
        return {name.rpartition("-")[0] for name in started} >= set(SHOPS)

    wait_until(everybody, "a nightly execution for every shop", 60)
    for name, arn in started.items():
        if not name.startswith("default"):  # the empty shops' nights teach nothing more, and cost a minute
            states.stop_execution(executionArn=arn)
    (mine,) = [arn for name, arn in started.items() if name.startswith("default")]
    wait_until(lambda: states.describe_execution(executionArn=mine)["status"] != "RUNNING", "the night", 90)
    assert states.describe_execution(executionArn=mine)["status"] == "SUCCEEDED"


@pytest.fixture(scope="module")
def widgets(played: Played) -> dict[str, dict[str, Any]]:
    """View → the custom widget of the deployed dashboard."""
    body = played.stage.deployment.client("cloudwatch").get_dashboard(DashboardName=DASHBOARD)["DashboardBody"]
    custom = [each["properties"] for each in json.loads(body)["widgets"] if each["type"] == "custom"]
    return {each["params"]["view"]: each for each in custom}


def test_the_dashboard_lists_every_view(widgets: dict[str, dict[str, Any]]) -> None:
    assert set(widgets) == set(VIEWS)
    assert all(JAPANESE.search(each["title"]) for each in widgets.values())


@pytest.mark.parametrize("view", VIEWS)
def test_a_widget_draws_itself_in_japanese(played: Played, widgets: dict[str, dict[str, Any]], view: str) -> None:
    widget = widgets[view]
    event = widget["params"] | {
        "widgetContext": {
            "dashboardName": DASHBOARD,
            "accountId": "000000000000",
            "locale": "ja",
            "theme": "light",
            "width": 800,
            "height": 400,
        }
    }
    client = played.stage.deployment.client("lambda")
    answer = client.invoke(FunctionName=widget["endpoint"], Payload=json.dumps(event))
    assert "FunctionError" not in answer
    html = json.load(answer["Payload"])
    assert isinstance(html, str)
    assert JAPANESE.search(html)
    assert "表示できません" not in html
    assert "script" not in html.lower()
    described = client.invoke(FunctionName=widget["endpoint"], Payload=json.dumps({"describe": True, "view": view}))
    assert JAPANESE.search(json.load(described["Payload"])["markdown"])
