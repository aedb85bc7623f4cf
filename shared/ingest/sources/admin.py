"""Decisions of people who run the shop (名寄せと取り消し): `matakite customer merge`, `undo` and `refuse`.

Nothing of this is posted to a connection's URL: the command makes the envelope. It goes through the events table like
every event, so a replay keeps what was decided.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime

from shared.core.clock import from_iso, to_iso
from shared.core.errors import RejectedError
from shared.core.ids import ConnectionId, CustomerId, EventId, TenantId, digest
from shared.ingest import body as read
from shared.ingest import derive
from shared.ingest.adapter import About, Connection, Request
from shared.ingest.model import Envelope, Event, EventType, Person, PersonLinkFacts

NAME = "admin"
LINK = "person_link"


class Admin:
    """Adapter of our own commands."""

    name = NAME

    def verify(self, request: Request, connection: Connection, now: datetime) -> bool:
        """Never: no request from outside is one of ours."""
        return False

    def envelopes(self, request: Request, connection: Connection, now: datetime) -> Sequence[Envelope]:
        """Never: see `verify`."""
        raise RejectedError("our own commands keep their envelopes themselves")

    def events(self, envelope: Envelope) -> Sequence[Event]:
        """A decision about two persons."""
        said = read.parse_object(envelope.raw)
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
    at = from_iso(to_iso(at))
    first, second = sorted((one, other))
    body = {"one": first, "other": second, "joined": joined, "actor": actor}
    return Envelope(
        tenant=tenant,
        subject=f"{NAME}/people/link/{digest(first, second)}",
        event_id=EventId(digest(NAME, LINK, tenant, first, second, str(joined), actor, to_iso(at))),
        source=NAME,
        connection=ConnectionId(NAME),
        store="people",
        topic=LINK,
        occurred_at=at,
        received_at=at,
        raw=json.dumps(body, separators=(",", ":")).encode(),
    )
