"""Contracts (定期) of the app itself, their payments and skips."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from shared.ingest import body as read
from shared.ingest.body import Body
from shared.ingest.derive import event
from shared.ingest.model import Envelope, Event, EventType, Person, SubscriptionFacts, SubscriptionState
from shared.ingest.sources.shopify.fields import GID, unread

SUBSCRIPTION_STATES: Mapping[str, SubscriptionState] = {
    "active": SubscriptionState.ACTIVE,
    "paused": SubscriptionState.PAUSED,
    "failed": SubscriptionState.PAST_DUE,
    "cancelled": SubscriptionState.CANCELLED,
    "expired": SubscriptionState.EXPIRED,
}
"""Status of a contract → ours; whatever is not here (`stale`) is UNKNOWN."""

SUBSCRIPTION_TOPICS: Mapping[str, SubscriptionState] = {
    "subscription_contracts/activate": SubscriptionState.ACTIVE,
    "subscription_contracts/pause": SubscriptionState.PAUSED,
    "subscription_contracts/cancel": SubscriptionState.CANCELLED,
    "subscription_contracts/expire": SubscriptionState.EXPIRED,
    "subscription_contracts/fail": SubscriptionState.PAST_DUE,
    "subscription_billing_attempts/success": SubscriptionState.ACTIVE,
    "subscription_billing_attempts/failure": SubscriptionState.PAST_DUE,
    "subscription_billing_attempts/challenged": SubscriptionState.PAST_DUE,
    "subscription_billing_cycles/skip": SubscriptionState.PAUSED,
    "subscription_billing_cycles/unskip": SubscriptionState.ACTIVE,
}
"""Topics that say the state themselves."""

CONTRACT_GID = "admin_graphql_api_subscription_contract_id"


def contract_changed(envelope: Envelope, body: Body) -> Sequence[Event]:
    """A contract of the app itself: its state and rhythm; Shopify tells no lines, price or date."""
    contract = read.required(read.identifier(body, gid=GID), "id")
    state = SUBSCRIPTION_TOPICS.get(envelope.topic) or SUBSCRIPTION_STATES.get(
        read.word(body, "status"), SubscriptionState.UNKNOWN
    )
    policy = read.inner(body, "delivery_policy") or read.inner(body, "billing_policy") or {}
    unit = read.word(policy, "interval")
    every = read.count(policy, "interval_count")
    began = read.time(body, "created_at") or (envelope.occurred_at if envelope.topic.endswith("/create") else None)
    facts = SubscriptionFacts(
        subscription_id=contract,
        state=state,
        started_at=began,
        currency=read.currency(body, "currency_code"),
        interval_unit=unit if unit in ("day", "week", "month", "year") else None,  # type: ignore[arg-type]
        interval_count=every or None,
        cancelled_at=envelope.occurred_at if state is SubscriptionState.CANCELLED else None,
    )
    customer = read.identifier(body, "customer_id", gid="admin_graphql_api_customer_id")
    return (event(envelope, EventType.SUBSCRIPTION_UPDATED, facts, _subscriber(contract, customer)),)


def billed(envelope: Envelope, body: Body) -> Sequence[Event]:
    """A payment of a contract came in or failed, or a cycle was skipped; documented bodies may be empty."""
    contract = read.identifier(body, "subscription_contract_id", gid=CONTRACT_GID)
    if contract is None:
        return unread(envelope, body)
    facts = SubscriptionFacts(
        subscription_id=contract,
        state=SUBSCRIPTION_TOPICS[envelope.topic],
        next_delivery_on=None if read.flag(body, "skipped") else read.local_day(body, "billing_attempt_expected_date"),
    )
    return (event(envelope, EventType.SUBSCRIPTION_UPDATED, facts, _subscriber(contract, None)),)


def _subscriber(contract: str, customer: str | None) -> Person:
    """Payments and skips name the contract only, so it is what they and the contract's own topics share."""
    return Person(source_customer_id=customer, anonymous_ids=(f"subscription/{contract}",))
