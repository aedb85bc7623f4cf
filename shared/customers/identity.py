"""Who an event is about (名寄せ): the refs in it, and what it adds to what is known of that person.

All refs of one event are one person, and whoever shares a ref is one person; two with a customer number each are so by
a link that can be cut (`links.py`):

| ref | from | joins | not when |
|---|---|---|---|
| `customer:` | a store's customer number | always | empty, `0`, `null`, `なし` … |
| `email:` | normalised mail address | over all stores and malls | masked by a mall: one address is one order there |
| `line:` | LINE user id of a channel | always | |
| `phone:` | E.164 number **with** the normalised name | only where the event names nobody otherwise | |
| `anon:` | cart, checkout, order | until one of the above is known, then for good | |
| `visitor:` | a browser's cookie | nobody: whoever was seen in it first is shown its history (`links.py`) | |

What too many have in common, or the shop says, is nobody's (ダミーの宛先: `links.py`, `nobodys.py`).

A telephone number alone never joins two who are known otherwise: families and offices share one. That, and the same
name at the same address, is a match for a person to decide (`matches.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from urllib.parse import urlsplit

from shared.core.clock import to_iso
from shared.core.ids import CustomerId, Ref, TenantId, digest, keyed_digest
from shared.core.keys import KeyRing
from shared.customers import names, rules
from shared.customers.addresses import names_one_person, normalise_email, normalise_phone, says_nothing
from shared.customers.attributes import attributes_of
from shared.customers.model import (
    Card,
    Cart,
    Claim,
    ConsentEntry,
    Decision,
    Order,
    Record,
    Said,
    Subscription,
    Suppressed,
    Suppression,
    Visit,
)
from shared.customers.referrals import referrer_of
from shared.ingest.model import (
    CartFacts,
    ConsentFacts,
    Event,
    EventType,
    Line,
    LoginFacts,
    MergeFacts,
    MessageFacts,
    OrderDeletedFacts,
    OrderFacts,
    OrderStatusFacts,
    PageFacts,
    PersonLinkFacts,
    RefundFacts,
    SubscriptionFacts,
    TrackedFacts,
)

OWN_SOURCES = frozenset({"page", "ses", "admin", "callcentre", "sms"})
"""Our own pages, mails and commands: their `source_customer_id` is our customer id, so it is no ref."""

MAX_LINES = 500
"""Lines of an order or cart kept in the live state: as many as Shopify allows. The lake keeps every line."""

MAX_TITLE = 120
"""Characters of a product's title: with them 500 lines stay well below the 400 KB an item may have."""

_ORDER_CHANGES = RefundFacts | OrderDeletedFacts | OrderStatusFacts
_UNVERSIONED = frozenset({"", "0"})
"""Versions of a body without a date of its own, such as a cancelled sale of Color Me whose amounts are gone."""
_ABOUT_NOBODY = frozenset(
    {EventType.SHOP_ERASED, EventType.PERSON_EXPORT_REQUESTED, EventType.UNKNOWN, EventType.PRODUCT_UPDATED}
)
_NO_CARD = frozenset({EventType.PERSON_ERASED, EventType.CUSTOMER_DELETED})

COMMANDS = {EventType.SHOP_ERASED: "erase_shop", EventType.PERSON_EXPORT_REQUESTED: "export_person"}
"""What waits for an admin."""
SAYS_NOTHING = frozenset(
    {
        EventType.UNKNOWN,
        EventType.MESSAGE_SENT,
        EventType.MESSAGE_DELIVERED,
        EventType.MESSAGE_OPENED,
        EventType.MESSAGE_CLICKED,
        EventType.MESSAGE_REJECTED,
        EventType.PRODUCT_UPDATED,
    }
)
LINKS = frozenset({EventType.PERSONS_LINKED, EventType.PERSONS_UNLINKED})
"""Decisions about two persons."""
BLOCKS = frozenset({EventType.MESSAGE_BOUNCED, EventType.MESSAGE_COMPLAINED})
"""What blocks an address."""

RefsOf = Callable[[Event, KeyRing], tuple[Ref, ...]]
"""How the refs of an event are found: the lake keeps refs and not what they were made from, and making them costs."""


def customer_ref(source: str, store: str, source_customer_id: str) -> Ref:
    """A customer id of one store."""
    return Ref(f"customer:{digest(source, store, source_customer_id)}")


def address_ref(tenant: TenantId, address: str, keys: KeyRing) -> Ref:
    """The keyed digest of a normalised mail address: what persons are found and addresses suppressed by."""
    return Ref(f"email:{keyed_digest(keys.personal, tenant, address)}")


def line_ref(tenant: TenantId, store: str, line_user_id: str, keys: KeyRing) -> Ref:
    """The keyed digest of a LINE user id, which only means somebody within its channel."""
    return Ref(f"line:{keyed_digest(keys.personal, tenant, 'line', store, line_user_id)}")


def phone_ref(tenant: TenantId, phone: str, name: str, keys: KeyRing) -> Ref:
    """The keyed digest of a telephone number, with the name of whoever answers where it is known."""
    return Ref(f"phone:{keyed_digest(keys.personal, tenant, 'phone', phone, name)}")


def anonymous_ref(source: str, store: str, key: str) -> Ref:
    """A visitor not yet known, by `cart/<token>`, `checkout/<token>`, `order/<id>` or `visitor/<cookie>`."""
    kind = rules.VISITOR if key.startswith("visitor/") else "anon"
    return Ref(f"{kind}:{digest(source, store, key)}")


def named_person(event: Event) -> CustomerId | None:
    """Our own customer id, where an event of ours says it."""
    if isinstance(event.facts, MessageFacts):
        return CustomerId(event.facts.customer_id)
    if event.source in OWN_SOURCES and event.person.source_customer_id:
        return CustomerId(event.person.source_customer_id)
    return None


def linked_people(event: Event) -> tuple[CustomerId, ...]:
    """The two whom a decision is about; empty for every other event."""
    if not isinstance(event.facts, PersonLinkFacts):
        return ()
    return CustomerId(event.person.source_customer_id or ""), CustomerId(event.facts.other_customer_id)


def refs_of(event: Event, keys: KeyRing) -> tuple[Ref, ...]:
    """Every ref in an event, strongest first. All are one person, apart from the browser it happened in."""
    if event.event_type in _ABOUT_NOBODY or named_person(event):
        return ()
    refs = {customer_ref(event.source, event.store, known) for known in _customer_ids(event)}
    email = normalise_email(event.person.email)
    if email and names_one_person(email):
        refs.add(address_ref(event.tenant, email, keys))
    if event.person.line_user_id and not says_nothing(event.person.line_user_id):
        refs.add(line_ref(event.tenant, event.store, event.person.line_user_id, keys))
    phone = normalise_phone(event.person.phone)
    if phone and not refs:
        refs.add(phone_ref(event.tenant, phone, names.name_key(event.person.last_name, event.person.first_name), keys))
    refs |= {anonymous_ref(event.source, event.store, key) for key in _anonymous_keys(event, bool(refs))}
    return tuple(sorted(refs, key=rules.ref_rank))


def naming(event: Event, refs: Sequence[Ref], nobodys: Collection[Ref]) -> Sequence[Ref]:
    """The refs by which an event is somebody's. What says no more than an address that is nobody's is about nobody; an
    order or contract is kept all the same.
    """
    kept = isinstance(event.facts, OrderFacts | SubscriptionFacts | CartFacts | _ORDER_CHANGES)
    return rules.naming(refs, nobodys) if kept else [ref for ref in refs if ref not in nobodys]


def browsers(refs: Iterable[Ref]) -> tuple[tuple[Ref, ...], tuple[Ref, ...]]:
    """Refs of whom an event is about, and of the browser where that is more than a browser."""
    refs = tuple(refs)
    visitors = tuple(ref for ref in refs if rules.is_visitor_ref(ref))
    others = tuple(ref for ref in refs if not rules.is_visitor_ref(ref))
    return (others, visitors) if others else (visitors, ())


def seen_in(event: Event, browser: Ref, refs: Iterable[Ref]) -> Record:
    """What an event about somebody says of the browser it happened in: that they were seen there."""
    first = sorted(refs, key=rules.ref_rank)[:1]
    claim = Claim(event.occurred_at, event.event_id)
    return Record(refs=frozenset({browser}), claims=dict.fromkeys(first, claim))


def _customer_ids(event: Event) -> Iterable[str]:
    facts = event.facts
    merged = (facts.kept_customer_id, facts.deleted_customer_id) if isinstance(facts, MergeFacts) else ()
    return {known for known in (event.person.source_customer_id, *merged) if known and not says_nothing(known)}


def _anonymous_keys(event: Event, known: bool) -> set[str]:
    facts, keys = event.facts, set(event.person.anonymous_ids)
    if isinstance(facts, OrderFacts):
        keys |= {f"checkout/{facts.checkout_token}"} if facts.checkout_token else set()
        keys |= {f"cart/{facts.cart_token}"} if facts.cart_token else set()
    if isinstance(facts, CartFacts):
        kind = "cart" if event.event_type is EventType.CART_UPDATED else "checkout"
        keys |= {f"{kind}/{facts.token}"} | ({f"cart/{facts.cart_token}"} if facts.cart_token else set())
    keys = {key for key in keys if not says_nothing(key.partition("/")[2])}
    # Refunds and deletions name the order only, so an order is found by its number too. A file names the buyer in
    # every row: 70,000 refs less to write for a shop's history.
    if not isinstance(facts, OrderFacts | _ORDER_CHANGES):
        return keys
    if event.source != "import" or not known:
        keys.add(f"order/{facts.order_id}")
    return keys


def record_of(event: Event, refs: Iterable[Ref], keys: KeyRing) -> Record:
    """What one event says about its person."""
    facts, place = event.facts, f"{event.source}/{event.store}"
    referrer = referrer_of(facts.referral, event.tenant, keys) if isinstance(facts, OrderFacts) else None
    orders = {f"{place}/{order.order_id}": order for order in orders_of(event, referrer)}
    carts = {f"{place}/{facts.token}": _cart(event, facts)} if isinstance(facts, CartFacts) else {}
    contracts = (
        {f"{place}/{facts.subscription_id}": _subscription(event, facts)}
        if isinstance(facts, SubscriptionFacts)
        else {}
    )
    log = {entry_key(entry): entry for entry in _consent_entries(event, keys)}
    things = [
        *(f"order#{key}" for key in orders),
        *(f"cart#{key}" for key in carts),
        *(f"subscription#{key}" for key in contracts),
        *(f"consentlog#{key}" for key in log),
    ]
    cards, said = _contact(event, things, keys)
    visit = _visit(event)
    return Record(
        refs=frozenset(refs),
        cards=cards,
        said=said,
        orders=orders,
        carts=carts,
        subscriptions=contracts,
        attributes=attributes_of(event),
        visits={visit.event_id: visit} if visit else {},
        last_login_at=visit.at if visit and visit.kind == "login" else None,
        consent_log=log,
        decisions=_decisions(event),
        erased_at=event.occurred_at if event.event_type is EventType.PERSON_ERASED else None,
    )


def entry_key(entry: ConsentEntry) -> str:
    """Sort key of a ledger line: channel, store, time, what was said. Whoever repeats a line says nothing new."""
    words = digest(str(entry.granted), entry.method, entry.basis, str(entry.by_customer), entry.address)
    return f"{entry.channel}#{entry.store}#{to_iso(entry.at)}#{words[:10]}"


def _visit(event: Event) -> Visit | None:
    facts = event.facts
    if not isinstance(facts, PageFacts | LoginFacts | TrackedFacts) or facts.machine:
        return None
    return Visit(
        event_id=event.event_id,
        at=event.occurred_at,
        kind=facts.kind,
        name=facts.name if isinstance(facts, TrackedFacts) else None,
        path=(urlsplit(facts.url).path or "/")[:MAX_TITLE] if isinstance(facts, PageFacts) else None,
        page_type=facts.page_type if isinstance(facts, PageFacts) else None,
        product_id=facts.product_id if isinstance(facts, PageFacts) else None,
    )


def _decisions(event: Event) -> dict[str, Decision]:
    facts = event.facts
    if not isinstance(facts, PersonLinkFacts):
        return {}
    one, other = sorted((CustomerId(event.person.source_customer_id or ""), CustomerId(facts.other_customer_id)))
    decision = Decision(one, other, facts.joined, event.occurred_at, event.event_id, facts.actor)
    return {f"{one}+{other}": decision}


def _subscription(event: Event, facts: SubscriptionFacts) -> Subscription:
    # A notice (a failed payment, a skipped delivery) names the contract and its state only.
    terms = any((facts.lines, facts.interval_unit, facts.amount, facts.started_at, facts.currency, facts.media))
    return Subscription(
        source=event.source,
        store=event.store,
        subscription_id=facts.subscription_id,
        state=facts.state,
        started_at=facts.started_at,
        lines=_kept(facts.lines),
        currency=facts.currency,
        amount=facts.amount,
        interval_unit=facts.interval_unit,
        interval_count=facts.interval_count,
        deliveries=facts.deliveries,
        next_delivery_on=facts.next_delivery_on,
        cancelled_at=facts.cancelled_at,
        cancel_reason=facts.cancel_reason,
        media=facts.media,
        version=event.version,
        event_id=event.event_id,
        terms_version=event.version if terms else "",
        terms_event_id=event.event_id if terms else "",
        historical=event.historical,
    )


def orders_of(event: Event, referrer: CustomerId | None = None) -> Iterable[Order]:
    """What an event says of an order: at most one. `referrer`: whose link the buyer came by."""
    facts = event.facts
    if isinstance(facts, OrderFacts):
        yield Order(
            source=event.source,
            store=event.store,
            order_id=facts.order_id,
            ordered_at=facts.ordered_at,
            currency=facts.currency,
            total=facts.total,
            refunds=_refunds(facts),
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
            referrer=referrer,
            subscription_id=facts.subscription_id,
            delivery_number=facts.delivery_number,
            offline=facts.offline,
            cancel_is_final=facts.cancelled_at is not None and event.version in _UNVERSIONED,
        )
    elif isinstance(facts, RefundFacts):
        yield replace(_without_buyer(event, facts.order_id), refunds=_refunds(facts))
    elif isinstance(facts, OrderDeletedFacts):
        yield replace(_without_buyer(event, facts.order_id), deleted=True)
    elif isinstance(facts, OrderStatusFacts) and facts.status == "cancelled":
        yield replace(_without_buyer(event, facts.order_id), cancelled=True, cancel_is_final=True)


def _without_buyer(event: Event, order_id: str) -> Order:
    """An order of which an event says neither whose it is nor what it is worth."""
    return Order(
        source=event.source,
        store=event.store,
        order_id=order_id,
        ordered_at=None,
        currency="",
        total=0,
        historical=event.historical,
    )


def _refunds(facts: OrderFacts | RefundFacts) -> dict[str, int]:
    return {refund.refund_id: refund.amount for refund in sorted(facts.refunds, key=lambda each: each.refund_id)}


def _kept(lines: tuple[Line, ...]) -> tuple[Line, ...]:
    """What of the lines goes into a row: one too large could never be written, and its person never known."""
    return tuple(
        line if len(line.title) <= MAX_TITLE else replace(line, title=line.title[:MAX_TITLE])
        for line in lines[:MAX_LINES]
    )


def _cart(event: Event, facts: CartFacts) -> Cart:
    deleted = facts.deleted or event.event_type is EventType.CHECKOUT_DELETED
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
        deleted=deleted,
        cart_token=facts.cart_token,
        version=event.version,
        event_id=event.event_id,
        historical=event.historical,
        completed_said_at=event.occurred_at if facts.completed_at else None,
        deleted_said_at=event.occurred_at if deleted else None,
    )


def _contact(event: Event, things: list[str], keys: KeyRing) -> tuple[dict[str, Card], dict[str, Said]]:
    """The card an event shows, under its key, and what it was shown for."""
    card = _card(event, keys)
    if card == Card() or event.event_type in _NO_CARD or named_person(event):
        return {}, {}
    key = keyed_digest(keys.personal, event.tenant, repr(card))[:12]
    # What a browser claims is worth no more than a form: it never goes before what the cart's record says.
    recorded = event.event_type is EventType.CUSTOMER_UPDATED and not event.person.claimed
    # LINE knows a user id and nothing else: what a form says of the address must not stand in its place.
    fallback = "account" if recorded else "line" if event.person.line_user_id else "form"
    said = Said(event.occurred_at, event.event_id, key)
    return {key: card}, dict.fromkeys(things or [fallback], said)


def _card(event: Event, keys: KeyRing) -> Card:
    person = event.person
    email, phone, line = normalise_email(person.email), normalise_phone(person.phone), person.line_user_id
    name = names.name_key(person.last_name, person.first_name)

    def text(value: str | None) -> str | None:
        return (value or "").strip()[:MAX_TITLE] or None

    return Card(
        email=email,
        phone=phone,
        line_user_id=line,
        last_name=text(person.last_name),
        first_name=text(person.first_name),
        last_name_kana=text(names.full_width(person.last_name_kana)),
        first_name_kana=text(names.full_width(person.first_name_kana)),
        postal_code=text(person.postal_code),
        prefecture=text(person.prefecture),
        address=text(person.address),
        email_ref=address_ref(event.tenant, email, keys) if email else "",
        line_ref=line_ref(event.tenant, event.store, line, keys) if line else "",
        phone_ref=phone_ref(event.tenant, phone, name, keys) if phone else "",
    )


def _consent_entries(event: Event, keys: KeyRing) -> Iterable[ConsentEntry]:
    facts = event.facts
    if isinstance(facts, ConsentFacts):
        line = event.person.line_user_id if facts.channel == "line" else None
        address = line_ref(event.tenant, event.store, line, keys) if line else _address(event, keys)
        yield ConsentEntry(
            channel=facts.channel,
            store=event.store,
            granted=facts.granted,
            at=event.occurred_at,
            method=facts.method,
            basis=facts.basis,
            by_customer=facts.by_customer,
            event_id=event.event_id,
            address=address or facts.address,
            wording=facts.wording,
            wording_text=facts.wording_text,
            form=facts.form,
            network=facts.network,
        )
    elif isinstance(facts, MessageFacts) and event.event_type is EventType.MESSAGE_COMPLAINED:
        # 迷惑メール報告: the customer says no to every store on this channel.
        yield _complaint(facts, event.occurred_at, event.event_id, _address(event, keys))


def _address(event: Event, keys: KeyRing) -> str:
    email = normalise_email(event.person.email)
    return address_ref(event.tenant, email, keys) if email else ""


def suppression_of(event: Event) -> Suppression:
    """What a bounce or complaint says about the address."""
    if event.event_type is EventType.MESSAGE_COMPLAINED:
        return Suppression({Suppressed.COMPLAINED: event.occurred_at})
    if isinstance(event.facts, MessageFacts) and event.facts.permanent:
        return Suppression({Suppressed.BOUNCED: event.occurred_at})
    return Suppression(soft_bounces={event.event_id: event.occurred_at})


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
