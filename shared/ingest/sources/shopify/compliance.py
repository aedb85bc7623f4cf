"""What the law has Shopify ask of every app: a person's export or erasure, and the shop's."""

from __future__ import annotations

from collections.abc import Sequence

from shared.core.errors import RejectedError
from shared.ingest import body as read
from shared.ingest.body import Body
from shared.ingest.derive import event
from shared.ingest.model import Envelope, EraseFacts, Event, EventType, Person, UnknownFacts

COMPLIANCE = frozenset({"customers/data_request", "customers/redact", "shop/redact"})


def check_shop(body: Body, store: str) -> None:
    """The topic header is not signed: what erases must name this shop in its signed body."""
    named = body.get("shop_domain")
    if not isinstance(named, str) or named.strip().lower() != store.lower():
        raise RejectedError("field 'shop_domain' must name the shop of this connection")


def export_requested(envelope: Envelope, body: Body) -> Sequence[Event]:
    """A person asks what is known of them (開示請求)."""
    return (event(envelope, EventType.PERSON_EXPORT_REQUESTED, UnknownFacts(), _named(body)),)


def person_erased(envelope: Envelope, body: Body) -> Sequence[Event]:
    """A person is to be erased (消去請求): asked ten days ago, or 60 days after the last order."""
    return (event(envelope, EventType.PERSON_ERASED, EraseFacts(), _named(body)),)


def shop_erased(envelope: Envelope, body: Body) -> Sequence[Event]:
    """The shop left: everything of it is to be erased."""
    check_shop(body, envelope.store)
    return (event(envelope, EventType.SHOP_ERASED, EraseFacts()),)


def _named(body: Body) -> Person:
    """The person of a compliance request: by id, mail and phone, any of which may be missing."""
    customer = read.inner(body, "customer") or {}
    return Person(
        source_customer_id=read.identifier(customer),
        email=read.email(customer),
        phone=read.text(customer, "phone"),
    )
