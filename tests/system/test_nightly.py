"""The nightly run on the deployed stacks, and the screen that shows it."""

from __future__ import annotations

import json
import re
from datetime import timedelta
from typing import Any

import pytest

from infra.cli.analysis import follow_night
from infra.demo.settle import settle, wait_until
from infra.demo.stage import Stage
from infra.names import DASHBOARD, NIGHTLY_MACHINE
from shared.admin.views import VIEWS
from shared.analytics.meaning import analyses
from shared.analytics.nightly import RUN
from shared.analytics.reports import ReportStore
from tests.system.books import table_of
from tests.system.conftest import SHOPS, Outage, Played, fire_schedule

JAPANESE = re.compile(r"[぀-ヿ一-鿿]")


@pytest.fixture(scope="module")
def reports(played: Played) -> ReportStore:
    return _reports(played.stage)


def _reports(stage: Stage) -> ReportStore:
    return ReportStore(stage.deployment.outputs["ReportsTable"], stage.deployment.client("dynamodb"))


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


@pytest.fixture(scope="module")
def started(played: Played, outage: Outage) -> dict[str, str]:
    """Shop → the execution that the schedule started for it. One shop's last whole night was four days ago."""
    last = outage.missed[0] - timedelta(days=1)
    _reports(outage.stage).put(outage.stage.shop.tenant, RUN, last, {"state": "complete"})
    states = played.stage.deployment.client("stepfunctions")
    machine = played.stage.deployment.machine(NIGHTLY_MACHINE)
    found: dict[str, str] = {}

    def everybody() -> bool:
        running = states.list_executions(stateMachineArn=machine)["executions"]
        # The schedule's are named by the day, the command's by the moment.
        by_day = {each["name"].rpartition("-"): each["executionArn"] for each in running}
        found.update({shop: arn for (shop, _, on), arn in by_day.items() if len(on) == len("20261122")})
        return found.keys() >= set(SHOPS)

    fire_schedule(played.cloud, "NightlySchedule")
    wait_until(everybody, "a nightly execution for every shop", 60)
    for shop in found.keys() - {"default", "outage"}:  # the empty shops' nights teach nothing more, and cost a minute
        states.stop_execution(executionArn=found[shop])
    return found


def _ended(stage: Stage, execution: str) -> dict[str, Any]:
    """What became of a night's execution."""
    states, found = stage.deployment.client("stepfunctions"), dict[str, Any]()

    def over() -> bool:
        found.update(states.describe_execution(executionArn=execution))
        return bool(found["status"] != "RUNNING")

    wait_until(over, "the night", 180)
    return found


def test_the_schedule_starts_a_night_for_every_shop(played: Played, started: dict[str, str]) -> None:
    assert _ended(played.stage, started["default"])["status"] == "SUCCEEDED"


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


def test_missed_nights_are_run_in_order_each_as_of_its_own_day(outage: Outage, started: dict[str, str]) -> None:
    ended, missed = _ended(outage.stage, started["outage"]), outage.missed
    assert ended["status"] == "SUCCEEDED"
    assert [run["as_of"] for run in json.loads(ended["output"])["runs"]] == [day.isoformat() for day in missed]
    records = [_reports(outage.stage).get(outage.stage.shop.tenant, RUN, day) or {} for day in missed]
    assert [record["state"] for record in records] == ["complete"] * 3
    moments = [record[moment] for record in records for moment in ("started_at", "ended_at")]
    assert moments == sorted(moments), "one after the other"
    before = [missed[0] - timedelta(days=1), *missed[:2]]
    assert [record["compared_with"] for record in records] == [day.isoformat() for day in before]
    buyers = [each["rows"] for record in records for each in record["analyses"] if each["name"] == "buyers_v1"]
    assert buyers == [1, 2, 3], "each day knows who had bought by then"


def test_a_night_that_was_made_up_for_is_not_run_again(played: Played, outage: Outage, started: dict[str, str]) -> None:
    deployment, shop = outage.stage.deployment, outage.stage.shop
    states, machine = deployment.client("stepfunctions"), deployment.machine(NIGHTLY_MACHINE)
    begun = states.list_executions(stateMachineArn=machine)["executions"]
    assert _ended(outage.stage, started["outage"])["status"] == "SUCCEEDED"
    fire_schedule(played.cloud, "NightlySchedule")
    settle(played.cloud.emulator, executions=False)
    assert len(states.list_executions(stateMachineArn=machine)["executions"]) == len(begun)
    assert follow_night(deployment, shop, None) == 0, "no night is due any more"
