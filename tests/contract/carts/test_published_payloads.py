"""Bodies and vectors the vendor or others published, read where they lie beside this repository."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from shared.core.ids import ConnectionId, TenantId
from shared.ingest.adapter import Adapter, Connection, Request
from shared.ingest.model import CartFacts, Event, EventType, OrderFacts, OrderStatusFacts, SubscriptionFacts
from shared.ingest.registry import adapter
from shared.ingest.sources import eccube, ecforce, square, stripe, woocommerce
from shared.ingest.sources.shopify import ADAPTER, TOPICS, signature
from tests.contract.carts.carts import CARTS

PAYLOADS = Path(__file__).parents[4] / "shared" / "payloads"
NOW = datetime(2026, 12, 1, tzinfo=UTC)
STORE = "example-shop.myshopify.com"
CONNECTION = Connection(ConnectionId("c"), TenantId("sample"), "shopify", STORE, "s")

pytestmark = pytest.mark.skipif(not PAYLOADS.exists(), reason=f"no published payloads at ../{PAYLOADS.parent.name}")

CASES = [
    ("own/orders_create_jp.json", "orders/create", [EventType.ORDER_PLACED]),
    ("own/refunds_create_jp.json", "refunds/create", [EventType.ORDER_REFUNDED]),
    ("own/carts_update_jp.json", "carts/update", [EventType.CART_UPDATED]),
    ("own/checkouts_update_jp.json", "checkouts/update", [EventType.CHECKOUT_UPDATED]),
    ("own/customers_update_jp.json", "customers/update", [EventType.CUSTOMER_UPDATED]),
    ("own/customers_merge_completed.json", "customers/merge", [EventType.CUSTOMERS_MERGED]),
    (
        "own/customers_email_marketing_consent_update.json",
        "customers_email_marketing_consent/update",
        [EventType.CONSENT_CHANGED],
    ),
    (
        "own/customers_marketing_consent_update_sms.json",
        "customers_marketing_consent/update",
        [EventType.CONSENT_CHANGED],
    ),
    ("own/customers_data_request.json", "customers/data_request", [EventType.PERSON_EXPORT_REQUESTED]),
    ("own/customers_redact.json", "customers/redact", [EventType.PERSON_ERASED]),
    ("own/shop_redact.json", "shop/redact", [EventType.SHOP_ERASED]),
    ("own/customer.tags_added.json", "customer.tags_added", [EventType.CUSTOMER_UPDATED]),
    ("own/variants_in_stock.json", "variants/in_stock", [EventType.PRODUCT_UPDATED]),
    (
        "own/subscription_contracts_update_paused.json",
        "subscription_contracts/update",
        [EventType.SUBSCRIPTION_UPDATED],
    ),
    ("own/subscription_billing_cycles_skip.json", "subscription_billing_cycles/skip", [EventType.SUBSCRIPTION_UPDATED]),
    ("own/fulfillment_events_create_delivered.json", "fulfillment_events/create", [EventType.ORDER_UPDATED]),
    (
        "subscriptions/billing_attempts_failure_insufficient_funds.json",
        "subscription_billing_attempts/failure",
        [EventType.SUBSCRIPTION_UPDATED],
    ),
    (
        "subscriptions/customer_payment_methods_update.json",
        "customer_payment_methods/update",
        [EventType.CUSTOMER_UPDATED],
    ),
    ("captured/customer_2022.json", "customers/update", [EventType.CUSTOMER_UPDATED, EventType.CONSENT_CHANGED]),
    ("rest/order.json", "orders/updated", [EventType.ORDER_UPDATED]),
    ("rest/refund.json", "refunds/create", [EventType.ORDER_REFUNDED]),
    ("rest/customer.json", "customers/update", [EventType.CUSTOMER_UPDATED]),
]


def body_of(file: str) -> dict[str, Any]:
    """The body as a webhook carries it: the REST files wrap it once more."""
    body: dict[str, Any] = json.loads((PAYLOADS / "shopify" / file).read_text())
    (inner,) = body.values() if len(body) == 1 else (body,)
    return inner if isinstance(inner, dict) else body


@pytest.mark.parametrize(("file", "topic", "says"), CASES, ids=lambda value: value if isinstance(value, str) else "")
def test_a_published_body_is_read(file: str, topic: str, says: list[EventType]) -> None:
    raw = json.dumps(body_of(file)).encode()
    headers = {
        "x-shopify-topic": topic,
        "x-shopify-shop-domain": STORE,
        "x-shopify-hmac-sha256": signature("s", raw).decode(),
    }
    request = Request(headers, raw)
    assert ADAPTER.verify(request, CONNECTION, NOW)
    (envelope,) = ADAPTER.envelopes(request, CONNECTION, NOW)
    assert [event.event_type for event in ADAPTER.events(envelope)] == says
    assert (topic in TOPICS) == (says != [EventType.UNKNOWN])


# --- the other carts

OTHERS = [
    ("woocommerce", "docs/order.json", "order.updated", [EventType.ORDER_UPDATED]),
    ("woocommerce", "docs/customer.json", "customer.created", [EventType.CUSTOMER_UPDATED]),
    ("woocommerce", "own/order_created_bank_transfer_jp.json", "order.created", [EventType.ORDER_PLACED]),
    ("woocommerce", "own/order_updated_partial_refund_jp.json", "order.updated", [EventType.ORDER_UPDATED]),
    ("woocommerce", "own/order_updated_checkout_draft_guest.json", "order.updated", [EventType.CHECKOUT_UPDATED]),
    ("woocommerce", "own/order_deleted.json", "order.deleted", [EventType.ORDER_DELETED]),
    ("woocommerce", "own/subscription_updated_active.json", "subscription.updated", [EventType.SUBSCRIPTION_UPDATED]),
    ("square", "customer.created.json", "", [EventType.CUSTOMER_UPDATED]),
    ("square", "oauth.authorization.revoked.json", "", [EventType.UNKNOWN]),
    ("square", "order.updated.json", "", [EventType.ORDER_UPDATED]),
    ("square", "payment.updated.json", "", [EventType.ORDER_UPDATED]),
    ("square", "refund.updated.json", "", [EventType.ORDER_REFUNDED]),
    ("square", "subscription.created.json", "", [EventType.SUBSCRIPTION_UPDATED]),
    ("stripe", "openapi_event.json", "", []),
    ("stripe", "djstripe_event_account_application_deauthorized.json", "", []),
]


def read(cart: str, file: str, topic: str) -> list[Event]:
    """What a published body says, sent to the store that it names."""
    raw = (PAYLOADS / cart / file).read_bytes()
    named = json.loads(raw).get("merchant_id", CARTS[cart].store)
    connection = replace(CARTS[cart].connection, store=named.lower())
    request = CARTS[cart].ask(topic, raw, connection, NOW)
    found = adapter(cart)
    assert found.verify(request, connection, NOW)
    return [e for envelope in found.envelopes(request, connection, NOW) for e in found.events(envelope)]


@pytest.mark.parametrize(("cart", "file", "topic", "says"), OTHERS, ids=lambda v: v if isinstance(v, str) else "")
def test_a_published_body_of_another_cart_is_read(cart: str, file: str, topic: str, says: list[EventType]) -> None:
    assert [event.event_type for event in read(cart, file, topic)] == says


def test_the_published_orders_of_woocommerce_add_up() -> None:
    def facts(file: str) -> OrderFacts:
        (event,) = read("woocommerce", file, "order.updated")
        assert isinstance(event.facts, OrderFacts)
        return event.facts

    abroad, refunded = facts("docs/order.json"), facts("own/order_updated_partial_refund_jp.json")
    assert (abroad.currency, abroad.total, abroad.lines[0].unit_amount) == ("USD", 2935, 300)
    assert (refunded.total, [refund.amount for refund in refunded.refunds]) == (4560, [1980])
    (draft,) = read("woocommerce", "own/order_updated_checkout_draft_guest.json", "order.updated")
    assert isinstance(draft.facts, CartFacts)
    assert draft.person.email == "hanako.mihon@example.com"


def test_what_stripe_published_about_test_mode_reads_as_live_too() -> None:
    for file in ("openapi_event.json", "djstripe_event_account_application_deauthorized.json"):
        body = {**json.loads((PAYLOADS / "stripe" / file).read_text()), "livemode": True}
        connection = replace(CARTS["stripe"].connection, store=body.get("account", "acct_x").lower())
        request = CARTS["stripe"].ask("", json.dumps(body).encode(), connection, NOW)
        (envelope,) = stripe.ADAPTER.envelopes(request, connection, NOW)
        assert [event.event_type for event in stripe.ADAPTER.events(envelope)] == [EventType.UNKNOWN]


@pytest.mark.parametrize(
    ("file", "topic", "says"),
    [
        ("openapi_subscription.json", "customer.subscription.updated", EventType.SUBSCRIPTION_UPDATED),
        ("djstripe_subscription_sub_0001.json", "customer.subscription.updated", EventType.SUBSCRIPTION_UPDATED),
        ("openapi_invoice.json", "invoice.paid", EventType.ORDER_UPDATED),
        ("openapi_invoice.json", "invoice.payment_failed", EventType.SUBSCRIPTION_UPDATED),
    ],
)
def test_the_objects_stripe_publishes_are_read_in_both_shapes(file: str, topic: str, says: EventType) -> None:
    thing = json.loads((PAYLOADS / "stripe" / file).read_text())
    body = {"id": "evt_1Published", "object": "event", "livemode": True, "created": 1_793_674_801, "type": topic}
    raw = json.dumps({**body, "data": {"object": thing}}).encode()
    cart = CARTS["stripe"]
    (envelope,) = cart.adapter.envelopes(cart.ask(topic, raw), cart.connection, NOW)
    (event,) = cart.adapter.events(envelope)
    assert event.event_type is says
    if isinstance(event.facts, SubscriptionFacts) and topic.startswith("customer"):
        assert (event.facts.interval_unit, bool(event.facts.lines)) == ("month", True)


def test_the_published_notice_of_amazon_is_a_step_of_its_order() -> None:
    raw = (PAYLOADS / "amazon/OrderChangeNotification.json").read_bytes()
    connection = replace(CARTS["amazon"].connection, store="a3th9s8bh6gogm")
    (envelope,) = adapter("amazon").envelopes(Request({}, raw), connection, NOW)
    (event,) = adapter("amazon").events(envelope)
    assert isinstance(event.facts, OrderStatusFacts)
    assert (event.facts.order_id, event.facts.status) == ("903-8868176-2219830", "delivered")
    assert envelope.event_id == "d0e9e693-c3ad-4373-979f-ed4ec98dd746"


def test_our_amazon_samples_keep_to_the_published_schema() -> None:
    schema = json.loads((PAYLOADS / "schemas/amazon/OrderChangeNotification.json").read_text())
    change = schema["properties"]["Payload"]["properties"]["OrderChangeNotification"]
    summary = change["properties"]["Summary"]
    for sample in CARTS["amazon"].samples():
        if sample.topic == "FEED_PROCESSING_FINISHED":
            continue
        said = sample.body["Payload"]["OrderChangeNotification"]
        assert set(sample.body) >= set(schema["required"])
        assert set(change["required"]) <= set(said) <= set(change["properties"])
        assert set(summary["required"]) <= set(said["Summary"]) <= set(summary["properties"])


def test_the_rendered_body_of_ecforce_is_read_and_the_broken_one_kept() -> None:
    cart = CARTS["ecforce"]
    for file, says in (("order_rendered.json", EventType.ORDER_PLACED), ("order_rendered_unescaped_name.txt", None)):
        raw = (PAYLOADS / "ecforce/own" / file).read_bytes()
        request = cart.ask("", raw)
        assert cart.adapter.verify(request, cart.connection, NOW)
        (envelope,) = cart.adapter.envelopes(request, cart.connection, NOW)
        assert envelope.raw == raw
        if says:
            assert [event.event_type for event in cart.adapter.events(envelope)] == [says]
    ours = ecforce.TEMPLATE.read_text()
    for line in (PAYLOADS / "ecforce/own/order_template_v1.liquid").read_text().splitlines():
        assert "|" not in line or line.rstrip(",") in ours, "our template says all that the suggested one does"


def test_the_published_ping_of_woocommerce_is_answered_and_not_kept() -> None:
    ping = Request({}, (PAYLOADS / "woocommerce/own/activation_ping.txt").read_bytes().rstrip(b"\n"))
    connection = CARTS["woocommerce"].connection
    assert woocommerce.ADAPTER.verify(ping, connection, NOW)
    assert woocommerce.ADAPTER.envelopes(ping, connection, NOW) == ()


# --- signatures


def vectors(source: str) -> list[dict[str, str]]:
    """The vectors of a source."""
    found = json.loads((PAYLOADS / "signatures" / "vectors.json").read_text())
    return [vector for vector in found if vector["source"] == source]


def test_every_vector_computes() -> None:
    for source, count in (("shopify", 1), ("woocommerce", 2), ("square", 2), ("stripe", 1), ("eccube", 1)):
        ours = vectors(source)
        assert len(ours) >= count
        for vector in ours:
            assert computed(vector) == vector["signature"], vector


def computed(vector: dict[str, str]) -> str:
    """The signature our adapter would expect."""
    key, body = vector["key"], vector["body"].encode()
    match vector["source"]:
        case "shopify":
            return signature(key, body).decode()
        case "woocommerce":
            return woocommerce.signature(key, body).decode()
        case "eccube":
            return eccube.signature(key, body).decode()
        case "square":
            return square.signature(key, vector["notification_url"], body).decode()
        case _:
            time = vector["signature"].partition(",")[0].removeprefix("t=")
            return f"t={time},v1={stripe.signature(key, time, body).decode()}"


def test_the_adapters_believe_the_vectors() -> None:
    headers = {
        "woocommerce": "x-wc-webhook-signature",
        "square": "x-square-hmacsha256-signature",
        "eccube": "x-eccube-signature",
    }
    for cart, header in (*headers.items(), ("stripe", "stripe-signature")):
        for vector in vectors(cart):
            connection = replace(CARTS[cart].connection, secret=vector["key"], url=vector.get("notification_url"))
            site = {"x-wc-webhook-source": f"https://{connection.store}"}
            request = Request({header: vector["signature"], **site}, vector["body"].encode())
            at = datetime.fromtimestamp(1_700_000_000, UTC) if cart == "stripe" else NOW
            found: Adapter = adapter(cart)
            assert found.verify(request, connection, at), vector
            assert not found.verify(Request(request.headers, request.body + b" "), connection, at)
