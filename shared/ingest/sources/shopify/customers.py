"""People: who ordered, the customer's record, tags, saved cards, and what they agreed to."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from datetime import date, datetime, timedelta
from typing import Literal, TypedDict

from shared.ingest import body as read
from shared.ingest import media
from shared.ingest.body import Body
from shared.ingest.derive import event
from shared.ingest.model import (
    ConsentFacts,
    CustomerDeletedFacts,
    Envelope,
    Event,
    EventType,
    MergeFacts,
    Person,
    ProfileFacts,
)
from shared.ingest.names import last_or_company
from shared.ingest.prefectures import prefecture
from shared.ingest.sources.shopify.fields import GID, NAME, WORD, anonymous_ids, cart_token, tag_list, unread

CONSENT: Mapping[str, tuple[bool, bool]] = {
    "subscribed": (True, True),
    "unsubscribed": (False, True),
    "not_subscribed": (False, False),
    "pending": (False, False),
    "invalid": (False, False),
    "redacted": (False, False),
}
"""Marketing state → (granted, said by the customer). `pending` waits for the double opt-in mail: not yet a yes."""


def buyer(body: Body) -> Person:
    """Who ordered or is checking out; a guest has no customer object, and names then come from the bill.

    Not from the delivery address: a gift goes to somebody else.
    """
    customer = read.inner(body, "customer") or {}
    billing = read.inner(body, "billing_address") or {}
    place = billing or read.inner(customer, "default_address") or {}
    last = read.text(customer, "last_name") or read.text(billing, "last_name")
    first = read.text(customer, "first_name") or read.text(billing, "first_name")
    return Person(
        source_customer_id=read.identifier(customer, gid=GID),
        email=read.email(body) or read.email(body, "contact_email") or read.email(customer),
        phone=read.text(body, "phone") or read.text(customer, "phone") or read.text(place, "phone"),
        last_name=last_or_company(last, first, read.text(place, "company")),
        first_name=first,
        anonymous_ids=anonymous_ids(read.text(body, "checkout_token"), cart_token(body, "cart_token")),
        **_address(place),
    )


class _Address(TypedDict):
    postal_code: str | None
    prefecture: str | None
    address: str | None


def _address(place: Body) -> _Address:
    """An address as a postal DM needs it. Shopify writes the prefecture in Roman letters."""
    parts = (read.text(place, name) for name in ("city", "address1", "address2"))
    return {
        "postal_code": read.text(place, "zip"),
        "prefecture": prefecture(read.text(place, "province_code") or read.text(place, "province")),
        "address": " ".join(part for part in parts if part) or None,
    }


def _customer_person(body: Body) -> Person:
    place = read.inner(body, "default_address") or {}
    last, first = read.text(body, "last_name"), read.text(body, "first_name")
    return Person(
        source_customer_id=read.required(read.identifier(body, gid=GID), "id"),
        email=read.email(body),
        # The record's own telephone is the one to log in with; most have only that of the address.
        phone=read.text(body, "phone") or read.text(place, "phone"),
        last_name=last_or_company(last, first, read.text(place, "company")),
        first_name=first,
        **_address(place),
    )


def customer_changed(envelope: Envelope, body: Body) -> Sequence[Event]:
    """The record, and the consent that bodies before 2025-01 carried along."""
    person = _customer_person(body)
    version = read.time(body, "updated_at")
    changed = event(envelope, EventType.CUSTOMER_UPDATED, _profile(body), person, version)
    spoken = ((_CONSENT_FIELD[channel], channel) for channel in _CONSENT_FIELD)
    said = [each for name, channel in spoken for each in _consent(envelope, body, name, channel, person)]
    return (changed, *said, *(() if body.get("email_marketing_consent") else _old_consent(envelope, body, person)))


def _old_consent(envelope: Envelope, body: Body, person: Person) -> Sequence[Event]:
    """`accepts_marketing` of bodies before 2024-01. It does not say who ticked it: it never reverses an opt-out.

    A false without a time is how a record begins, not something anybody said.
    """
    granted, at = body.get("accepts_marketing"), read.time(body, "accepts_marketing_updated_at")
    if not isinstance(granted, bool) or not (granted or at):
        return ()
    facts = ConsentFacts(channel="email", granted=granted, method=f"{NAME}:accepts_marketing", by_customer=False)
    said = event(envelope, EventType.CONSENT_CHANGED, facts, person, at, part="email")
    return (replace(said, occurred_at=at or envelope.occurred_at),)


def _profile(body: Body) -> ProfileFacts:
    """When the customer registered, and the tags that bodies before 2025-01 carried along."""
    registered = read.local_day(body, "created_at")
    tags = (media.code(tag) for tag in tag_list(body))
    attributes: dict[str, str | int | float | bool] = {f"tags/{tag}": True for tag in tags if tag}
    return ProfileFacts(
        attributes={"registered_on": registered.isoformat(), **attributes} if registered else attributes
    )


def tags_changed(given: bool) -> Callable[[Envelope, Body], Sequence[Event]]:
    """Tags given to or taken from a customer: the difference only."""

    def events(envelope: Envelope, body: Body) -> Sequence[Event]:
        tags = (media.code(tag) for tag in read.strings(body, "tags"))
        return _attributes(envelope, body, "customerId", {f"tags/{tag}": given for tag in tags if tag}, "occurredAt")

    return events


def segment_changed(member: bool) -> Callable[[Envelope, Body], Sequence[Event]]:
    """A customer joined or left a segment the shop made in Shopify."""

    def events(envelope: Envelope, body: Body) -> Sequence[Event]:
        segment = read.required(read.identifier(body, "segment_id"), "segment_id")
        return _attributes(envelope, body, "customer_id", {f"custom/shopify_segment_{segment}": member})

    return events


def card_changed(envelope: Envelope, body: Body) -> Sequence[Event]:
    """A saved card and the month it expires in; other ways of paying have none."""
    card = read.inner(body, "payment_instrument") or {}
    year, month = read.number(card, "year"), read.number(card, "month")
    if year is None or month is None or year not in range(2000, 2200) or month not in range(1, 13):
        return unread(envelope, body)
    next_month = date(int(year) + int(month) // 12, int(month) % 12 + 1, 1)
    expires = {"custom/card_expires_on": (next_month - timedelta(days=1)).isoformat()}
    return _attributes(envelope, body, "customer_id", expires)


def _attributes(
    envelope: Envelope, body: Body, customer: str, attributes: Mapping[str, str | bool], at: str = ""
) -> Sequence[Event]:
    person = Person(source_customer_id=read.required(read.identifier(body, customer), customer))
    when = read.time(body, at) if at else None
    changed = event(envelope, EventType.CUSTOMER_UPDATED, ProfileFacts(attributes=dict(attributes)), person, when)
    return (replace(changed, occurred_at=when or envelope.occurred_at),)


def customer_deleted(envelope: Envelope, body: Body) -> Sequence[Event]:
    """The record is gone; what was bought stays, and an erasure comes on a topic of its own."""
    person = Person(source_customer_id=read.required(read.identifier(body, gid=GID), "id"))
    return (event(envelope, EventType.CUSTOMER_DELETED, CustomerDeletedFacts(), person),)


KEPT = "admin_graphql_api_customer_kept_id"
_DELETED = "admin_graphql_api_customer_deleted_id"


def customers_merged(envelope: Envelope, body: Body) -> Sequence[Event]:
    """Only a completed merge is a fact; requested and failed ones are kept unread."""
    if read.word(body, "status") != "completed":
        return unread(envelope, body)
    kept = read.required(read.identifier(body, KEPT), KEPT)
    deleted = read.required(read.identifier(body, _DELETED), _DELETED)
    facts = MergeFacts(kept_customer_id=kept, deleted_customer_id=deleted)
    return (event(envelope, EventType.CUSTOMERS_MERGED, facts, Person(source_customer_id=kept)),)


_Channel = Literal["email", "sms"]
_CONSENT_FIELD: Mapping[_Channel, str] = {"email": "email_marketing_consent", "sms": "sms_marketing_consent"}


def email_consent(envelope: Envelope, body: Body) -> Sequence[Event]:
    """What a customer said to mail, on consent's own topic."""
    customer_id = read.required(read.identifier(body, "customer_id"), "customer_id")
    person = Person(source_customer_id=customer_id, email=read.email(body, "email_address"))
    said = _consent(envelope, body, _CONSENT_FIELD["email"], "email", person, envelope.occurred_at)
    return said or unread(envelope, body)


def sms_consent(envelope: Envelope, body: Body) -> Sequence[Event]:
    """`customers_marketing_consent` is SMS, and its customer key is `id`."""
    customer_id = read.required(read.identifier(body), "id")
    person = Person(source_customer_id=customer_id, phone=read.text(body, "phone"))
    said = _consent(envelope, body, _CONSENT_FIELD["sms"], "sms", person, envelope.occurred_at)
    return said or unread(envelope, body)


def _consent(
    envelope: Envelope, body: Body, name: str, channel: _Channel, person: Person, told_at: datetime | None = None
) -> Sequence[Event]:
    """`told_at`: when it was said, on a topic of its own. A record says no time for what was imported or never asked:
    that it was touched is no new yes, which would undo a no said elsewhere, and its first state is no new no.
    """
    said = read.inner(body, name) or {}
    state = read.word(said, "state")
    if state not in CONSENT:
        return ()
    granted, by_customer = CONSENT[state]
    said_at = read.time(said, "consent_updated_at") or told_at
    if said_at is None and not (granted or by_customer):
        return ()
    how = read.word(said, "opt_in_level") if granted else state
    facts = ConsentFacts(
        channel=channel,
        granted=granted,
        method=f"{NAME}:{how}" if WORD.fullmatch(how) else NAME,
        by_customer=by_customer and said_at is not None,
    )
    # When the customer said it, not when the record was touched: an old yes must not overtake a newer no.
    at = said_at or envelope.occurred_at
    said_then = event(envelope, EventType.CONSENT_CHANGED, facts, person, at, part=channel)
    return (replace(said_then, occurred_at=at),)
