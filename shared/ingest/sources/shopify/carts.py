"""Carts and checkouts, with the link back."""

from __future__ import annotations

import re
from collections.abc import Sequence

from shared.ingest import body as read
from shared.ingest.body import Body
from shared.ingest.derive import event
from shared.ingest.model import CartFacts, Envelope, Event, EventType, Person
from shared.ingest.sources.shopify.customers import buyer
from shared.ingest.sources.shopify.fields import anonymous_ids, cart_token, lines_of, money, shop_currency, unread

_HTTPS = re.compile(r"https://[^\s<>\"']{1,2000}", re.ASCII)


def cart_changed(envelope: Envelope, body: Body) -> Sequence[Event]:
    """A cart names no person: it is known by its token until a checkout joins it."""
    token = read.required(cart_token(body), "token")
    currencies = (shop_currency(line, "price") for line in read.items(body, "line_items"))
    currency = next((found for found in currencies if found), None)
    lines = lines_of(body, currency)
    facts = CartFacts(
        token=token,
        cart_token=token,
        currency=currency,
        total=sum(money(line, "line_price", currency) or 0 for line in read.items(body, "line_items"))
        if currency
        else 0,
        lines=lines,
    )
    person = Person(anonymous_ids=anonymous_ids(None, token))
    return (event(envelope, EventType.CART_UPDATED, facts, person, read.time(body, "updated_at")),)


def checkout_changed(envelope: Envelope, body: Body) -> Sequence[Event]:
    """A checkout with its person, the link back, and when it was completed."""
    token = read.required(read.text(body, "token"), "token")
    # The documentation's own sample wraps it once more.
    currency = read.currency(read.inner(body, "currency") or {} if isinstance(body.get("currency"), dict) else body)
    url = read.text(body, "abandoned_checkout_url")
    facts = CartFacts(
        token=token,
        cart_token=cart_token(body, "cart_token"),
        currency=currency,
        total=max(0, money(body, "total_price", currency) or 0) if currency else 0,
        lines=lines_of(body, currency),
        recovery_url=url if url and _HTTPS.fullmatch(url) else None,
        completed_at=read.time(body, "completed_at"),
    )
    person = buyer({**body, "checkout_token": token})
    return (event(envelope, EventType.CHECKOUT_UPDATED, facts, person, read.time(body, "updated_at")),)


def checkout_deleted(envelope: Envelope, body: Body) -> Sequence[Event]:
    """Where the body still names the token; most only hold a number nobody else mentions."""
    token = read.text(body, "token")
    if token is None:
        return unread(envelope, body)
    person = Person(anonymous_ids=anonymous_ids(token, None))
    return (event(envelope, EventType.CHECKOUT_DELETED, CartFacts(token=token, deleted=True), person),)
