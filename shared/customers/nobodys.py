"""Addresses that the shop says are nobody's (ダミーの宛先): what its staff types where a customer gives none.

They stand in the shop's settings (`customers.nobody`, written by `matakite shop set --nobody`) as digests. An event
that names one is read as if it had named none. What a shop does not say is found out by how many share it (`links.py`).
"""

from __future__ import annotations

from dataclasses import replace

from shared.core.errors import MisconfiguredError, RejectedError
from shared.core.ids import Ref, TenantId
from shared.core.keys import KeyRing
from shared.core.shop import Shop
from shared.customers.addresses import normalise_email, normalise_phone
from shared.customers.identity import address_ref, phone_ref
from shared.ingest.model import Event, MessageFacts

SECTION = "customers"


def named(shop: Shop) -> frozenset[Ref]:
    """What the shop says is nobody's, as digests. Raises MisconfiguredError."""
    given = shop.section(SECTION).get("nobody", ())
    if not isinstance(given, list | tuple) or not all(isinstance(each, str) for each in given):
        raise MisconfiguredError("customers.nobody must be a list of digests: `matakite shop set --nobody` writes it")
    return frozenset(Ref(each) for each in given)


def digest_of(text: str, tenant: TenantId, keys: KeyRing) -> Ref:
    """The digest of a mail address or telephone number. Raises RejectedError where it is neither."""
    if email := normalise_email(text):
        return address_ref(tenant, email, keys)
    if phone := normalise_phone(text):
        return phone_ref(tenant, phone, "", keys)
    raise RejectedError("--nobody takes a mail address or a telephone number that somebody could have")


def unsaid(event: Event, shop: Shop, keys: KeyRing) -> Event:
    """An event without the addresses that are nobody's. What became of a message still says at which."""
    wanted, person = named(shop), event.person
    if not wanted or isinstance(event.facts, MessageFacts):
        return event
    if (email := normalise_email(person.email)) and address_ref(event.tenant, email, keys) in wanted:
        person = replace(person, email=None)
    if (phone := normalise_phone(person.phone)) and phone_ref(event.tenant, phone, "", keys) in wanted:
        person = replace(person, phone=None)
    return event if person is event.person else replace(event, person=person)
