"""A transactional mail of which nobody knows whether it left: the reconciler sends it a second time, once."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest

from infra.demo import shopify, verify
from infra.demo.post import post_all
from infra.demo.settle import settle, wait_until
from infra.demo.shopify import Buyer
from infra.demo.stage import Stage
from infra.demo.story import PRODUCTS, SHOP, Call
from infra.local.lifecycle import LocalCloud
from shared.core.ids import ScenarioId
from shared.delivery.context import cart_context
from shared.delivery.model import Outcome, Purpose, Reason, SendRequest, SendState
from shared.delivery.reconcile import PATIENCE
from shared.delivery.store import Attempt, DynamoLedgerStore
from tests.system.books import people_of
from tests.system.conftest import OpenShop, fire_schedule

BUYER = Buyer(30_001, "receipt@example.jp", "見本", "控")


@pytest.fixture(scope="module")
def shop(open_shop: OpenShop) -> Stage:
    return open_shop("grants")


def reconcile(cloud: LocalCloud) -> None:
    """What EventBridge Scheduler does every quarter of an hour."""
    fire_schedule(cloud, "QuarterHour")


def test_a_receipt_in_doubt_is_sent_a_second_time_and_never_a_third(cloud: LocalCloud, shop: Stage) -> None:
    at = datetime.now(UTC)
    body = shopify.encode(shopify.checkout("receipt", BUYER, PRODUCTS[:1], at, SHOP))
    post_all(shop.endpoint, [Call("checkouts/update", body, "receipt", at)])
    settle(cloud.emulator, executions=False)
    (person,) = [each for each in people_of(shop).values() if each.profile.email == BUYER.email]
    request = SendRequest(
        tenant=shop.shop.tenant,
        customer_id=person.profile.customer_id,
        scenario=ScenarioId("receipt"),
        scenario_version="1",
        step="receipt",
        occurrence=f"order-{at:%H%M%S%f}",
        channel="email",
        template="cart_abandoned/first",
        context={"cart": cart_context(person.carts[0])},
        store=SHOP,
        purpose=Purpose.TRANSACTIONAL,
    )
    ledger = DynamoLedgerStore(shop.deployment.outputs["DeliveriesTable"], shop.deployment.client("dynamodb"))
    before, attempt = at - 2 * PATIENCE, Attempt("died", at - 2 * PATIENCE)
    ledger.reserve(request, attempt, before)
    ledger.mark(request.key, attempt, before)
    ledger.record(request.key, Outcome(SendState.UNKNOWN, Reason.AMBIGUOUS), attempt, before)

    reconcile(cloud)
    row = ledger.row(request.key)
    wait_until(lambda: ledger.row(request.key).state is SendState.SENT, f"the receipt ({row})", 30)  # type: ignore[union-attr]
    mails = [m for m in verify.outbox(cloud.emulator, shop.shop.tenant) if m["tags"]["send_id"] == request.send_id]
    assert [verify.recipient(mail) for mail in mails] == [BUYER.email]
    assert json.dumps(mails[0]["headers"]).count("List-Unsubscribe") == 0, "a receipt is not subscribed to"

    # In doubt again: it had its second chance.
    settle(cloud.emulator, executions=False)
    shop.deployment.client("dynamodb").update_item(
        TableName=shop.deployment.outputs["DeliveriesTable"],
        Key={
            "pk": {"S": f"{shop.shop.tenant}#{person.profile.customer_id}"},
            "sk": {"S": f"send#{request.send_id}"},
        },
        UpdateExpression="SET #state = :unknown, unresolved_key = :key, unresolved_since = :since",
        ExpressionAttributeNames={"#state": "state"},
        ExpressionAttributeValues={
            ":unknown": {"S": "unknown"},
            ":key": {"S": str(shop.shop.tenant)},
            ":since": {"S": (before + timedelta(minutes=1)).isoformat(timespec="milliseconds").replace("+00:00", "Z")},
        },
    )
    reconcile(cloud)
    settle(cloud.emulator, executions=False)
    mails = [m for m in verify.outbox(cloud.emulator, shop.shop.tenant) if m["tags"]["send_id"] == request.send_id]
    assert len(mails) == 1
