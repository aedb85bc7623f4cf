"""Decisions of people who run the shop: 名寄せ (`matakite customer merge`, `undo`) and 消去 (`matakite privacy erase`).

Nothing of this is posted to a connection's URL: the command makes the envelope. It goes through the events table like
every event, so a replay keeps what was decided.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from shared.core.clock import to_iso
from shared.core.errors import RejectedError
from shared.core.ids import CustomerId, TenantId, digest
from shared.ingest import body as read
from shared.ingest import derive
from shared.ingest.adapter import About, NotPosted, told_us
from shared.ingest.model import Envelope, EraseFacts, Event, EventType, Person, PersonLinkFacts, ProfileFacts

NAME = "admin"
PEOPLE = "people"
LINK = "person_link"
ERASE = "person_erase"
TAG = "tag"


class Admin(NotPosted):
    """Adapter of our own commands: no request from outside is one of ours."""

    name = NAME

    def events(self, envelope: Envelope) -> Sequence[Event]:
        """A decision about two persons, to forget one, or a tag that a scenario gave one."""
        said = read.parse_object(envelope.raw)
        if envelope.topic == ERASE:
            person = Person(source_customer_id=read.required(read.text(said, "customer_id"), "customer_id"))
            return (derive.event(envelope, EventType.PERSON_ERASED, EraseFacts(), person),)
        if envelope.topic == TAG:
            return (_tagged(envelope, said),)
        joined = said.get("joined")
        if envelope.topic != LINK or not isinstance(joined, bool):
            raise RejectedError(f"no command of ours says {envelope.topic!r}")
        facts = PersonLinkFacts(
            other_customer_id=read.required(read.text(said, "other"), "other"),
            joined=joined,
            actor=read.required(read.text(said, "actor"), "actor"),
        )
        kind = EventType.PERSONS_LINKED if joined else EventType.PERSONS_UNLINKED
        one = read.required(read.text(said, "one"), "one")
        return (derive.event(envelope, kind, facts, Person(source_customer_id=one)),)


def _tagged(envelope: Envelope, said: read.Body) -> Event:
    tag = read.required(read.text(said, "tag"), "tag")
    one = read.required(read.text(said, "one"), "one")
    facts = ProfileFacts(attributes={f"tags/{tag}": True})
    return derive.event(envelope, EventType.CUSTOMER_UPDATED, facts, Person(source_customer_id=one))


ADAPTER = Admin()

ABOUT = About(
    title="Our own commands (名寄せ)",
    arrives="`matakite customer merge`, `undo`, `refuse`",
    orders="no: not its business",
    customers="yes: who is one person, and who is not",
    consent="no: not its business",
    carts="no: not its business",
    signature="whoever may write the events table",
    dedupe="digest of what was decided and when",
    limits="nothing is accepted from outside",
)


def link_envelope(
    tenant: TenantId, one: CustomerId, other: CustomerId, *, joined: bool, actor: str, at: datetime
) -> Envelope:
    """What is kept when somebody decides that two are one person, or are not."""
    first, second = sorted((one, other))
    event_id = digest(NAME, LINK, tenant, first, second, str(joined), actor, to_iso(at))
    said = {"one": first, "other": second, "joined": joined, "actor": actor}
    return told_us(tenant, NAME, PEOPLE, LINK, said, at, about=("link", digest(first, second)), event_id=event_id)


def erase_envelope(tenant: TenantId, customer: CustomerId, actor: str, at: datetime) -> Envelope:
    """What is kept when somebody is erased by a command (消去の依頼): who asked, never whom by name."""
    event_id = digest(NAME, ERASE, tenant, customer, to_iso(at))
    said = {"customer_id": customer, "actor": actor}
    return told_us(tenant, NAME, PEOPLE, ERASE, said, at, about=("erase", customer), event_id=event_id)


def tag_envelope(tenant: TenantId, one: CustomerId, tag: str, occasion: str, at: datetime) -> Envelope:
    """What is kept when a scenario marks a person (タグ付け): once for each occasion."""
    event_id = digest(NAME, TAG, tenant, one, tag, occasion)
    said = {"one": one, "tag": tag}
    return told_us(tenant, NAME, PEOPLE, TAG, said, at, about=("tag", digest(one, tag)), event_id=event_id)
