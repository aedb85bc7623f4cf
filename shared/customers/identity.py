"""Who an event is about (名寄せ): the refs in it, and what it adds to what is known of that person."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from datetime import datetime

from shared.core.clock import to_iso
from shared.core.ids import CustomerId, Ref, TenantId, digest, keyed_digest
from shared.core.keys import KeyRing
from shared.customers import rules
from shared.customers.model import Cart, ConsentEntry, Known, Order, Record
from shared.ingest.model import (
    CartFacts,
    ConsentFacts,
    Event,
    EventType,
    Line,
    MergeFacts,
    MessageFacts,
    OrderDeletedFacts,
    OrderFacts,
    OrderStatusFacts,
    RefundFacts,
)

OWN_SOURCES = frozenset({"page", "ses", "admin"})
"""Our own pages, mails and commands: their `source_customer_id` is our customer id, so it is no ref."""

MAX_LINES = 500
"""Lines of an order or cart kept in the live state: as many as Shopify allows. The lake keeps every line."""

MAX_TITLE = 120
"""Characters of a product's title: with them 500 lines stay well below the 400 KB an item may have."""

_ORDER_WITHOUT_BUYER = (RefundFacts, OrderDeletedFacts)
_NOBODY = frozenset({"", "0"})
_ABOUT_NOBODY = frozenset({EventType.SHOP_ERASED, EventType.PERSON_EXPORT_REQUESTED, EventType.UNKNOWN})
_ACCOUNT_EVENTS = frozenset({EventType.CUSTOMER_UPDATED, EventType.CONSENT_CHANGED})


def customer_ref(source: str, store: str, source_customer_id: str) -> Ref:
    """A customer id of one store."""
    return Ref(f"customer:{digest(source, store, source_customer_id)}")


def address_ref(tenant: TenantId, address: str, keys: KeyRing) -> Ref:
    """The keyed digest of a normalised mail address: what persons are found and addresses suppressed by."""
    return Ref(f"email:{keyed_digest(keys.personal, tenant, address)}")


def anonymous_ref(source: str, store: str, key: str) -> Ref:
    """A visitor not yet known, by `cart/<token>`, `checkout/<token>` or `order/<id>`."""
    return Ref(f"anon:{digest(source, store, key)}")


def named_person(event: Event) -> CustomerId | None:
    """Our own customer id, where an event of ours says it."""
    if isinstance(event.facts, MessageFacts):
        return CustomerId(event.facts.customer_id)
    if event.source in OWN_SOURCES and event.person.source_customer_id:
        return CustomerId(event.person.source_customer_id)
    return None


def refs_of(event: Event, keys: KeyRing) -> tuple[Ref, ...]:
    """Every ref in an event, strongest first; all of them are one person."""
    if event.event_type in _ABOUT_NOBODY or named_person(event):
        return ()
    refs = {customer_ref(event.source, event.store, known) for known in _customer_ids(event)}
    email = rules.normalise_email(event.person.email)
    if email and rules.names_one_person(email):
        refs.add(address_ref(event.tenant, email, keys))
    refs |= {anonymous_ref(event.source, event.store, key) for key in _anonymous_keys(event, bool(refs))}
    return tuple(sorted(refs, key=rules.ref_rank))


def _customer_ids(event: Event) -> Iterable[str]:
    facts = event.facts
    merged = (facts.kept_customer_id, facts.deleted_customer_id) if isinstance(facts, MergeFacts) else ()
    return {known for known in (event.person.source_customer_id, *merged) if known} - _NOBODY


def _anonymous_keys(event: Event, known: bool) -> set[str]:
    facts, keys = event.facts, set(event.person.anonymous_ids)
    if isinstance(facts, OrderFacts):
        keys |= {f"checkout/{facts.checkout_token}"} if facts.checkout_token else set()
        keys |= {f"cart/{facts.cart_token}"} if facts.cart_token else set()
    if isinstance(facts, CartFacts):
        kind = "cart" if event.event_type is EventType.CART_UPDATED else "checkout"
        keys |= {f"{kind}/{facts.token}"} | ({f"cart/{facts.cart_token}"} if facts.cart_token else set())
    # Refunds and deletions name the order only, so an order is found by its number too. A file names the buyer in
    # every row: 70,000 refs less to write for a shop's history.
    if isinstance(facts, OrderFacts | RefundFacts | OrderDeletedFacts) and not (event.source == "import" and known):
        keys.add(f"order/{facts.order_id}")
    return keys


def record_of(event: Event, refs: Iterable[Ref], keys: KeyRing, *, forgotten: bool = False) -> Record:
    """What one event says about its person. `forgotten`: its address was erased since, so nothing personal counts."""
    facts = event.facts
    orders = {f"{event.source}/{event.store}/{order.order_id}": order for order in _orders(event)}
    carts = {}
    if isinstance(facts, CartFacts) and not forgotten:
        carts[f"{event.source}/{event.store}/{facts.token}"] = _cart(event, facts)
    return Record(
        refs=frozenset(refs),
        contact={} if forgotten else _contact(event, keys),
        orders=orders,
        carts=carts,
        consent_log={entry_key(entry): entry for entry in _consent_entries(event, keys)},
        erased_at=event.occurred_at if event.event_type is EventType.PERSON_ERASED else None,
    )


def entry_key(entry: ConsentEntry) -> str:
    """Sort key of a ledger line: channel, store, time, event."""
    return f"{entry.channel}#{entry.store}#{to_iso(entry.at)}#{entry.event_id}"


def _orders(event: Event) -> Iterable[Order]:
    facts = event.facts
    if isinstance(facts, OrderFacts):
        yield Order(
            source=event.source,
            store=event.store,
            order_id=facts.order_id,
            ordered_at=facts.ordered_at,
            currency=facts.currency,
            total=facts.total,
            refunds={refund.refund_id: refund.amount for refund in sorted(facts.refunds, key=lambda r: r.refund_id)},
            cancelled=facts.cancelled_at is not None or event.event_type is EventType.ORDER_CANCELLED,
            test=facts.test,
            paid=facts.paid,
            lines=_kept(facts.lines),
            checkout_token=facts.checkout_token,
            cart_token=facts.cart_token,
            version=event.version,
            event_id=event.event_id,
            historical=event.historical,
            goods_total=facts.goods_total,
            discount=facts.discount,
            coupons=facts.coupons,
            media=facts.media,
            subscription_id=facts.subscription_id,
            delivery_number=facts.delivery_number,
            offline=facts.offline,
        )
    elif isinstance(facts, _ORDER_WITHOUT_BUYER):
        yield Order(
            source=event.source,
            store=event.store,
            order_id=facts.order_id,
            ordered_at=None,
            currency="",
            total=0,
            refunds={refund.refund_id: refund.amount for refund in sorted(facts.refunds, key=lambda r: r.refund_id)}
            if isinstance(facts, RefundFacts)
            else {},
            deleted=isinstance(facts, OrderDeletedFacts),
            historical=event.historical,
        )
    elif isinstance(facts, OrderStatusFacts) and facts.status == "cancelled":
        yield Order(
            source=event.source,
            store=event.store,
            order_id=facts.order_id,
            ordered_at=None,
            currency="",
            total=0,
            cancelled=True,
            historical=event.historical,
        )


def _kept(lines: tuple[Line, ...]) -> tuple[Line, ...]:
    """What of the lines goes into a row: one too large could never be written, and its person never known."""
    return tuple(
        line if len(line.title) <= MAX_TITLE else replace(line, title=line.title[:MAX_TITLE])
        for line in lines[:MAX_LINES]
    )


def _cart(event: Event, facts: CartFacts) -> Cart:
    return Cart(
        source=event.source,
        store=event.store,
        token=facts.token,
        updated_at=event.occurred_at,
        currency=facts.currency,
        total=facts.total,
        lines=_kept(facts.lines),
        recovery_url=facts.recovery_url,
        completed_at=facts.completed_at,
        deleted=facts.deleted or event.event_type is EventType.CHECKOUT_DELETED,
        cart_token=facts.cart_token,
        version=event.version,
        event_id=event.event_id,
        historical=event.historical,
    )


def _contact(event: Event, keys: KeyRing) -> dict[str, Known]:
    if event.event_type in {EventType.PERSON_ERASED, EventType.CUSTOMER_DELETED} or named_person(event):
        return {}
    said_by = "account" if event.event_type in _ACCOUNT_EVENTS else "order"
    email = rules.normalise_email(event.person.email)
    values = {
        "email": email,
        "phone": rules.normalise_phone(event.person.phone),
        "last_name": (event.person.last_name or "").strip(),
        "first_name": (event.person.first_name or "").strip(),
    }
    return {
        f"{said_by}/{field}": Known(
            value,
            event.occurred_at,
            event.event_id,
            address_ref(event.tenant, value, keys) if field == "email" else "",
        )
        for field, value in values.items()
        if value
    }


def _consent_entries(event: Event, keys: KeyRing) -> Iterable[ConsentEntry]:
    facts = event.facts
    email = rules.normalise_email(event.person.email)
    address = address_ref(event.tenant, email, keys) if email else ""
    if isinstance(facts, ConsentFacts):
        yield ConsentEntry(
            channel=facts.channel,
            store=event.store,
            granted=facts.granted,
            at=event.occurred_at,
            method=facts.method,
            basis=facts.basis,
            by_customer=facts.by_customer,
            event_id=event.event_id,
            address=address,
        )
    elif isinstance(facts, MessageFacts) and event.event_type is EventType.MESSAGE_COMPLAINED:
        # 迷惑メール報告: the customer says no to every store on this channel.
        yield _complaint(facts, event.occurred_at, event.event_id, address)


def _complaint(facts: MessageFacts, at: datetime, event_id: str, address: str) -> ConsentEntry:
    return ConsentEntry(
        channel=facts.channel,
        store=rules.EVERY_STORE,
        granted=False,
        at=at,
        method="complaint",
        basis="explicit",
        by_customer=True,
        event_id=event_id,
        address=address,
    )
