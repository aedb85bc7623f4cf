"""A link of a message over the deployed API: where it leads, and what is then known of the message."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import urllib3

from shared.core.ids import CustomerId, ScenarioId
from shared.core.keys import parse_key_ring
from shared.delivery.links.link import ROUTE, Link, code_of
from shared.delivery.links.store import DynamoLinks, Followed
from shared.delivery.model import Outcome, Reason, SendRequest, SendState
from shared.delivery.store import Attempt, DynamoLedgerStore
from tests.system.books import table_of
from tests.system.conftest import OpenShop

URL = "https://shop.example.jp/cart/recover?key=secret"
PHONE = {"user-agent": "Mozilla/5.0 (iPhone; CPU iPhone OS 18_0 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148"}
HTTP = urllib3.PoolManager(retries=False, timeout=30)


def test_a_link_leads_where_its_message_said_and_a_persons_click_is_known(open_shop: OpenShop) -> None:
    shop = open_shop("grants")
    place, tenant = shop.deployment, shop.shop.tenant
    at = datetime.now(UTC) - timedelta(minutes=5)
    request = SendRequest(
        tenant=tenant,
        customer_id=CustomerId("hanako"),
        scenario=ScenarioId("recommend"),
        scenario_version="1",
        step="line_1",
        occurrence=f"{at:%H%M%S%f}",
        channel="line",
        template="recommend/items",
    )
    ledger = DynamoLedgerStore(place.outputs["DeliveriesTable"], place.client("dynamodb"))
    attempt = Attempt("system", at)
    ledger.reserve(request, attempt, at)
    ledger.mark(request.key, attempt, at)
    ledger.record(request.key, Outcome(SendState.SENT, Reason.NONE, "line-1"), attempt, at)
    secret = place.client("secretsmanager").get_secret_value(SecretId=place.outputs["KeysSecret"])["SecretString"]
    code = code_of(request.key, URL, parse_key_ring(secret))
    followed = Followed(request.key, "line", request.scenario, request.step, Link(code, URL, 1))
    DynamoLinks(place.outputs["DeliveriesTable"], place.client("dynamodb")).keep([followed])

    link = f"{place.outputs['ApiUrl']}{ROUTE}{tenant}.{code}"
    looked = HTTP.request("HEAD", link, headers=PHONE, redirect=False)
    assert (looked.status, looked.headers["location"]) == (302, URL)
    row = ledger.row(request.key)
    assert row
    assert row.reactions == frozenset(), "a program that looks is no reader"
    clicked = HTTP.request("GET", link, headers=PHONE, redirect=False)
    assert (clicked.status, clicked.headers["location"]) == (302, URL)
    row = ledger.row(request.key)
    assert row
    assert row.reactions == {"clicked"}
    for wrong in (f"{link[:-1]}a" if link[-1] != "a" else f"{link[:-1]}b", f"{place.outputs['ApiUrl']}{ROUTE}x"):
        lost = HTTP.request("GET", wrong, headers=PHONE, redirect=False)
        assert lost.status == 404
        assert "location" not in lost.headers
    rows = table_of(place, "EventsTable", tenant)
    noted = [row for row in rows if row.startswith(f"{tenant}#page/click/click/{request.send_id} ")]
    assert len(noted) == 2, "the look and the click"
