"""Somebody texts back to the shop's number (SMS の返信): a word that asks to stop is an opt-out, at once.

AWS End User Messaging publishes what a number with two-way SMS receives to the topic of `matakite sms connect`
(user guide, "two-way SMS payload"; a STOP comes there when the number's opt-outs are self-managed):

    {"originationNumber": "+81…", "destinationNumber": "+81…", "messageKeyword": "STOP", "messageBody": "STOP",
     "inboundMessageId": "…", "previousPublishedMessageId": "…"}

The opt-out is committed before the message leaves the queue; repeated, it is the same. It counts for everybody whom
this shop texted at that number and who still has it, and is confirmed by a text (confirm.py). What else people write is
not kept: the words may name anybody.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime

from shared.core.errors import MisconfiguredError
from shared.core.ids import CustomerId, SendId, TenantId
from shared.core.shop import Shop
from shared.core.telemetry import logger
from shared.customers.addresses import normalise_phone
from shared.customers.model import PersonState
from shared.customers.rules import EVERY_STORE
from shared.delivery.channels.sms import origination
from shared.delivery.replies.confirm import Confirmation
from shared.delivery.replies.store import TextedStore, number_digest
from shared.delivery.replies.words import asks_to_stop
from shared.delivery.tokens import UnsubscribeToken
from shared.delivery.unsubscribe import UnsubscribeDeps, opt_out
from shared.ingest import body as read

METHOD = "sms_reply"
_NUMBER = re.compile(r"\+[0-9]+")


@dataclass(frozen=True, slots=True)
class ReplyDeps:
    """What an opt-out by text needs."""

    texted: TextedStore
    pages: UnsubscribeDeps
    confirmation: Confirmation
    tenants: Callable[[], list[TenantId]]


def is_reply(record: read.Body) -> bool:
    """Something a number of ours received, and not a receipt of what it sent."""
    return "inboundMessageId" in record


def receive_reply(record: read.Body, deps: ReplyDeps, now: datetime) -> int:
    """How many people are out by it. Raises RejectedError for what is no reply as AWS documents it."""
    words = read.text(record, "messageBody") or read.text(record, "messageKeyword") or ""
    inbound = read.required(read.text(record, "inboundMessageId"), "inboundMessageId")
    if not asks_to_stop(words):
        logger("delivery").info("a text came back that is no opt-out", extra={"inbound": inbound})
        return 0
    number = read.required(normalise_phone(read.text(record, "originationNumber")), "originationNumber")
    ours = read.text(record, "destinationNumber") or ""
    out = list(_people(number, ours, deps))
    for tenant, person in out:
        _refuse(tenant, person, inbound, deps, now)
    for tenant, person in dict(reversed(out)).items():
        digest = number_digest(tenant, number, deps.pages.keys())
        deps.confirmation.tell(deps.pages.read_shop(tenant), person.profile.customer_id, digest, number, ours, now)
    logger("delivery").info("opted out by text", extra={"inbound": inbound, "people": len(out)})
    return len(out)


def _people(number: str, ours: str, deps: ReplyDeps) -> Iterator[tuple[TenantId, PersonState]]:
    for tenant in deps.tenants():
        if not _texts_from(deps.pages.read_shop(tenant), ours):
            continue
        for customer in deps.texted.people(tenant, number_digest(tenant, number, deps.pages.keys())):
            person = _who_has_it(tenant, customer, number, deps)
            if person is not None:
                yield tenant, person


def _who_has_it(tenant: TenantId, customer: CustomerId, number: str, deps: ReplyDeps) -> PersonState | None:
    person = deps.pages.customers.person(tenant, customer)
    gone = person is None or person.profile.erased or normalise_phone(person.profile.phone) != number
    return None if gone else person


def _texts_from(shop: Shop, ours: str) -> bool:
    """May this shop have texted from that number? A pool or a phone number's id does not say which it used."""
    try:
        named = origination(shop)
    except MisconfiguredError:
        return False
    return not _NUMBER.fullmatch(named) or named == normalise_phone(ours)


def _refuse(tenant: TenantId, person: PersonState, inbound: str, deps: ReplyDeps, now: datetime) -> None:
    """At every store, whatever they said there: a number does not say which one is meant."""
    said = {consent.store for consent in person.consents if consent.channel == "sms"}
    for store in sorted({*said, EVERY_STORE}):
        token = UnsubscribeToken(tenant, person.profile.customer_id, SendId(inbound), "sms", store)
        opt_out(token, METHOD, deps.pages, now)
