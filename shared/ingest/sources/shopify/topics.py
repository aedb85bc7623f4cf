"""Vendor word → our word: what each topic is about, and who reads its body."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from shared.ingest import body as read
from shared.ingest.body import Body
from shared.ingest.model import Envelope, Event, EventType
from shared.ingest.sources.shopify import carts, compliance, customers, orders, products, refunds, subscriptions
from shared.ingest.sources.shopify.fields import GID, cart_token, unread


@dataclass(frozen=True, slots=True)
class Topic:
    """What a vendor topic means: the thing it is about, and how its body reads."""

    subject: Callable[[Body], tuple[str, str | None]]
    """(kind, id) of the thing; id None when the body has none."""
    read: Callable[[Envelope, Body], Sequence[Event]]


def _subject_id(kind: str, name: str = "id", gid: str | None = GID) -> Callable[[Body], tuple[str, str | None]]:
    return lambda body: (kind, read.identifier(body, name, gid))


def _in_customer(body: Body) -> tuple[str, str | None]:
    return "customer", read.identifier(read.inner(body, "customer") or {})


_ORDER, _OF_ORDER = _subject_id("order"), _subject_id("order", "order_id", gid=None)
_CUSTOMER, _OF_CUSTOMER = _subject_id("customer"), _subject_id("customer", "customer_id", gid=None)
_TAGGED = _subject_id("customer", "customerId", gid=None)
_HOLDER = _subject_id("customer", "customer_id", gid="admin_graphql_api_customer_id")
_PRODUCT, _OF_PRODUCT = _subject_id("product"), _subject_id("product", "product_id", gid=None)
_CONTRACT = _subject_id("subscription")
_OF_CONTRACT = _subject_id("subscription", "subscription_contract_id", gid=subscriptions.CONTRACT_GID)

_BILLING = tuple(topic for topic in subscriptions.SUBSCRIPTION_TOPICS if topic.startswith("subscription_billing_"))
MAY_NAME_NOTHING = compliance.COMPLIANCE | {
    *_BILLING,
    "tender_transactions/create",
    "order_transactions/create",
    "orders/edited",
    "customers/purchasing_summary",
    "customer_payment_methods/revoke",
    "app/uninstalled",
    "app/scopes_update",
}
"""Topics whose body may come without an id: an empty one is documented, or a person is named by address only."""

TOPICS: Mapping[str, Topic] = {
    "carts/create": Topic(lambda body: ("cart", cart_token(body)), carts.cart_changed),
    "carts/update": Topic(lambda body: ("cart", cart_token(body)), carts.cart_changed),
    "checkouts/create": Topic(lambda body: ("checkout", read.text(body, "token")), carts.checkout_changed),
    "checkouts/update": Topic(lambda body: ("checkout", read.text(body, "token")), carts.checkout_changed),
    "checkouts/delete": Topic(
        lambda body: ("checkout", read.text(body, "token") or read.identifier(body)), carts.checkout_deleted
    ),
    "orders/create": Topic(_ORDER, orders.order_changed(EventType.ORDER_PLACED)),
    "orders/paid": Topic(_ORDER, orders.order_changed(EventType.ORDER_UPDATED)),
    "orders/updated": Topic(_ORDER, orders.order_changed(EventType.ORDER_UPDATED)),
    "orders/fulfilled": Topic(_ORDER, orders.order_changed(EventType.ORDER_UPDATED)),
    "orders/partially_fulfilled": Topic(_ORDER, orders.order_changed(EventType.ORDER_UPDATED)),
    "orders/cancelled": Topic(_ORDER, orders.order_changed(EventType.ORDER_CANCELLED)),
    "orders/edited": Topic(
        lambda body: ("order", read.identifier(read.inner(body, "order_edit") or {}, "order_id")), unread
    ),
    "orders/delete": Topic(_ORDER, orders.order_deleted),
    "refunds/create": Topic(_OF_ORDER, refunds.refund_created),
    "order_transactions/create": Topic(_OF_ORDER, orders.paid),
    "tender_transactions/create": Topic(_OF_ORDER, orders.paid),
    "fulfillments/create": Topic(_OF_ORDER, orders.parcel),
    "fulfillments/update": Topic(_OF_ORDER, orders.parcel),
    "fulfillment_events/create": Topic(_OF_ORDER, orders.parcel_scanned),
    "customers/create": Topic(_CUSTOMER, customers.customer_changed),
    "customers/update": Topic(_CUSTOMER, customers.customer_changed),
    "customers/enable": Topic(_CUSTOMER, customers.customer_changed),
    "customers/disable": Topic(_CUSTOMER, customers.customer_changed),
    "customers/delete": Topic(_CUSTOMER, customers.customer_deleted),
    "customers/merge": Topic(_subject_id("customer", customers.KEPT, gid=None), customers.customers_merged),
    "customers/purchasing_summary": Topic(_TAGGED, unread),
    "customer.tags_added": Topic(_TAGGED, customers.tags_changed(given=True)),
    "customer.tags_removed": Topic(_TAGGED, customers.tags_changed(given=False)),
    "customer.joined_segment": Topic(_OF_CUSTOMER, customers.segment_changed(member=True)),
    "customer.left_segment": Topic(_OF_CUSTOMER, customers.segment_changed(member=False)),
    "customer_payment_methods/create": Topic(_HOLDER, customers.card_changed),
    "customer_payment_methods/update": Topic(_HOLDER, customers.card_changed),
    "customer_payment_methods/revoke": Topic(_HOLDER, unread),
    "customers_email_marketing_consent/update": Topic(_OF_CUSTOMER, customers.email_consent),
    "customers_marketing_consent/update": Topic(_CUSTOMER, customers.sms_consent),
    "customers/data_request": Topic(_in_customer, compliance.export_requested),
    "customers/redact": Topic(_in_customer, compliance.person_erased),
    "shop/redact": Topic(lambda body: ("shop", "shop"), compliance.shop_erased),
    "products/create": Topic(_PRODUCT, products.product_changed),
    "products/update": Topic(_PRODUCT, products.product_changed),
    "products/delete": Topic(_PRODUCT, products.product_deleted),
    "variants/in_stock": Topic(_OF_PRODUCT, products.variant_changed),
    "variants/out_of_stock": Topic(_OF_PRODUCT, products.variant_changed),
    "app/uninstalled": Topic(lambda body: ("app", "app"), unread),
    "app/scopes_update": Topic(lambda body: ("app", "app"), unread),
    **{
        f"subscription_contracts/{happened}": Topic(_CONTRACT, subscriptions.contract_changed)
        for happened in ("create", "update", "activate", "pause", "cancel", "expire", "fail")
    },
    **{topic: Topic(_OF_CONTRACT, subscriptions.billed) for topic in _BILLING},
}
