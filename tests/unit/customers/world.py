"""Builders of what happens around customers, and random histories of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from zlib import crc32

from hypothesis import strategies as st

from shared.core.clock import to_iso
from shared.core.ids import CustomerId, EventId, TenantId
from shared.core.keys import KeyRing
from shared.core.shop import Shop
from shared.customers.model import PersonState
from shared.ingest.model import (
    CartFacts,
    ConsentFacts,
    CustomerDeletedFacts,
    EraseFacts,
    Event,
    EventType,
    Line,
    MergeFacts,
    MessageFacts,
    OrderDeletedFacts,
    OrderFacts,
    Person,
    ProfileFacts,
    Refund,
    RefundFacts,
)

TENANT = TenantId("kissa")
STORE = "kissa.example.com"
KEYS = KeyRing(personal=b"a key of this test", links={"1": b"another"})
SHOP = Shop(TENANT, "喫茶みほん")
START = datetime(2026, 3, 1, tzinfo=UTC)
TEA = Line(product_id="p1", title="ほうじ茶", quantity=1, unit_amount=1200)


def minute(number: int) -> datetime:
    """Minutes after the start of the story."""
    return START + timedelta(minutes=number)


def an_event(kind: EventType, facts: Any, at: int, *, person: Person | None = None, **changes: Any) -> Event:
    """An event of the shop's own store at a minute of the story."""
    event_id = changes.pop("event_id", None) or f"{kind}-{at}-{crc32(repr((facts, person)).encode())}"
    return Event(
        tenant=TENANT,
        event_id=EventId(event_id),
        event_type=kind,
        source=changes.pop("source", "shopify"),
        store=changes.pop("store", STORE),
        subject=changes.pop("subject", "shopify/x"),
        occurred_at=minute(at),
        received_at=minute(at),
        version=changes.pop("version", to_iso(minute(at))),
        person=person or Person(),
        facts=facts,
        **changes,
    )


def a_person(customer: str | None = None, email: str | None = None, **known: Any) -> Person:
    """Who an event says it is about."""
    return Person(source_customer_id=customer, email=email, **known)


def an_order(order: str, at: int, *, total: int = 1200, person: Person | None = None, **changes: Any) -> Event:
    """An order as its store describes it."""
    refunds = tuple(Refund(refund_id=key, amount=amount) for key, amount in changes.pop("refunds", {}).items())
    facts = OrderFacts(
        order_id=order,
        ordered_at=changes.pop("ordered_at", START),
        currency=changes.pop("currency", "JPY"),
        total=total,
        refunds=refunds,
        cancelled_at=minute(at) if changes.pop("cancelled", False) else None,
        test=changes.pop("test", False),
        checkout_token=changes.pop("checkout", None),
        cart_token=changes.pop("cart", None),
        lines=(TEA,),
    )
    return an_event(EventType.ORDER_UPDATED, facts, at, person=person, **changes)


def a_refund(order: str, refund: str, amount: int, at: int, **changes: Any) -> Event:
    """A refund, reported without the order or its buyer."""
    facts = RefundFacts(order_id=order, refunds=(Refund(refund_id=refund, amount=amount),))
    return an_event(EventType.ORDER_REFUNDED, facts, at, **changes)


def a_deleted_order(order: str, at: int) -> Event:
    """An order that its store deleted."""
    return an_event(EventType.ORDER_DELETED, OrderDeletedFacts(order_id=order), at)


def a_cart(token: str, at: int, *, person: Person | None = None, **changes: Any) -> Event:
    """A checkout that was opened or changed."""
    facts = CartFacts(
        token=token,
        cart_token=changes.pop("cart", None),
        currency="JPY",
        total=1200,
        lines=(TEA,),
        recovery_url=f"https://{STORE}/recover/{token}",
        completed_at=minute(at) if changes.pop("completed", False) else None,
    )
    return an_event(EventType.CHECKOUT_UPDATED, facts, at, person=person, **changes)


def a_customer(at: int, person: Person, **changes: Any) -> Event:
    """A customer record that changed."""
    return an_event(EventType.CUSTOMER_UPDATED, ProfileFacts(), at, person=person, **changes)


def a_consent(granted: bool, at: int, person: Person, **changes: Any) -> Event:
    """A yes or no to mail."""
    facts = ConsentFacts(
        channel=changes.pop("channel", "email"),
        granted=granted,
        method=changes.pop("method", "page"),
        by_customer=changes.pop("by_customer", True),
    )
    return an_event(EventType.CONSENT_CHANGED, facts, at, person=person, **changes)


def a_merge(kept: str, deleted: str, at: int) -> Event:
    """The store says two of its customers are one."""
    return an_event(EventType.CUSTOMERS_MERGED, MergeFacts(kept_customer_id=kept, deleted_customer_id=deleted), at)


def an_erasure(at: int, person: Person, **changes: Any) -> Event:
    """A person asks to be forgotten."""
    return an_event(EventType.PERSON_ERASED, EraseFacts(), at, person=person, **changes)


def a_deletion(at: int, customer: str) -> Event:
    """A customer record that its store deleted."""
    return an_event(EventType.CUSTOMER_DELETED, CustomerDeletedFacts(), at, person=a_person(customer))


def feedback(kind: EventType, at: int, customer_id: str, **changes: Any) -> Event:
    """What SES says about a mail we sent."""
    email = changes.pop("email", None)
    facts = MessageFacts(
        send_id="s1",
        customer_id=customer_id,
        channel="email",
        message_id="m1",
        permanent=changes.pop("permanent", False),
    )
    return an_event(kind, facts, at, person=a_person(email=email), source="ses", **changes)


def comparable(state: PersonState) -> PersonState:
    """A state without what tells how a table came to it: revisions and the ids of before."""
    return replace(state, profile=replace(state.profile, rev=0, aliases=frozenset(), joins={}))


# --- random histories ------------------------------------------------------------------------------------------------
_CUSTOMERS = st.sampled_from([None, None, "1", "2", "3"])
_EMAILS = st.sampled_from([None, None, "a@example.com", "b@example.com", "c@EXAMPLE.com", "x@dummy.dummy"])
_PEOPLE = st.builds(
    a_person,
    _CUSTOMERS,
    _EMAILS,
    phone=st.sampled_from([None, "090-0000-0001", "+81 90 0000 0002"]),
    last_name=st.sampled_from([None, "見本", "例"]),
)
_AT = st.integers(0, 12)
_ORDERS = st.sampled_from(["o1", "o2", "o3"])
_TOKENS = st.sampled_from(["t1", "t2"])
_CARTS = st.sampled_from([None, "c1", "c2"])
_REFUNDS = st.dictionaries(st.sampled_from(["r1", "r2"]), st.integers(1, 900), max_size=2)

EVENTS = st.one_of(
    st.builds(
        an_order,
        _ORDERS,
        _AT,
        total=st.integers(0, 5000),
        person=_PEOPLE,
        refunds=_REFUNDS,
        cancelled=st.booleans(),
        test=st.booleans(),
        checkout=st.one_of(st.none(), _TOKENS),
        cart=_CARTS,
        historical=st.booleans(),
        currency=st.sampled_from(["JPY", "JPY", "USD"]),
    ),
    st.builds(a_refund, _ORDERS, st.sampled_from(["r1", "r2"]), st.integers(1, 900), _AT),
    st.builds(a_deleted_order, _ORDERS, _AT),
    st.builds(a_cart, _TOKENS, _AT, person=_PEOPLE, cart=_CARTS, completed=st.booleans()),
    st.builds(a_customer, _AT, _PEOPLE),
    st.builds(
        a_consent,
        st.booleans(),
        _AT,
        _PEOPLE,
        by_customer=st.booleans(),
        channel=st.sampled_from(["email", "sms"]),
        store=st.sampled_from([STORE, "two.example.com"]),
    ),
    st.builds(a_merge, st.sampled_from(["1", "2"]), st.sampled_from(["2", "3"]), _AT),
    st.builds(a_deletion, _AT, st.sampled_from(["1", "2"])),
)


@st.composite
def deliveries(draw: st.DrawFn, *, most: int = 12) -> tuple[list[Event], list[Event]]:
    """Some events, and the way they arrive: shuffled, some of them twice, some under another delivery id."""
    events = draw(st.lists(EVENTS, min_size=1, max_size=most))
    numbered = [replace(event, event_id=EventId(f"e{n}")) for n, event in enumerate(events)]
    again = draw(st.lists(st.sampled_from(numbered), max_size=4))
    arriving = draw(st.permutations([*numbered, *again]))
    return numbered, list(arriving)


def ids_of(states: Sequence[PersonState]) -> set[CustomerId]:
    """The persons."""
    return {state.profile.customer_id for state in states}
