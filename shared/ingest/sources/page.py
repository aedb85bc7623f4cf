"""Our own pages: what a person says there about themselves (配信停止 on the unsubscribe page).

Nothing of this is posted to a connection's URL: the page itself checks its signed link and makes the envelope. The
body names the person by our own id; `said_at` is part of the event's id, so every time somebody says it is an event
of its own, and saying it again after opting in again works.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import datetime
from typing import Literal, cast

from shared.core.clock import from_iso, to_iso
from shared.core.errors import RejectedError
from shared.core.ids import ConnectionId, CustomerId, EventId, TenantId, digest
from shared.ingest import body as read
from shared.ingest import derive
from shared.ingest.adapter import About, Connection, Request
from shared.ingest.model import ConsentFacts, Envelope, Event, EventType, Person

NAME = "page"
UNSUBSCRIBE = "unsubscribe"
_CHANNELS = frozenset({"email", "sms", "line"})


class Page:
    """Adapter of our own pages."""

    name = NAME

    def verify(self, request: Request, connection: Connection, now: datetime) -> bool:
        """Never: no request from outside is one of ours."""
        return False

    def envelopes(self, request: Request, connection: Connection, now: datetime) -> Sequence[Envelope]:
        """Never: see `verify`."""
        raise RejectedError("our own pages keep their envelopes themselves")

    def events(self, envelope: Envelope) -> Sequence[Event]:
        """An opt-out by the person themselves."""
        said = read.parse_object(envelope.raw)
        channel = read.required(read.text(said, "channel"), "channel")
        customer = read.required(read.text(said, "customer_id"), "customer_id")
        if envelope.topic != UNSUBSCRIBE or channel not in _CHANNELS:
            raise RejectedError(f"no page of ours says {envelope.topic!r} about {channel!r}")
        return (
            derive.event(
                envelope,
                EventType.CONSENT_CHANGED,
                ConsentFacts(
                    channel=cast("Literal['email', 'sms', 'line']", channel),
                    granted=False,
                    method=read.required(read.text(said, "method"), "method"),
                ),
                Person(source_customer_id=customer),
            ),
        )


ADAPTER = Page()

ABOUT = About(
    title="Our own pages (配信停止)",
    arrives="the page itself, behind a signed link",
    orders="no: not its business",
    customers="no: not its business",
    consent="yes: opt-out by the person",
    carts="no: not its business",
    signature="the link in the mail is signed",
    dedupe="digest of what was said and when",
    limits="nothing is accepted from outside",
)


def unsubscribe_envelope(
    tenant: TenantId, customer: CustomerId, channel: str, store: str, send_id: str, method: str, said_at: datetime
) -> Envelope:
    """What is kept when somebody presses 配信停止. `method`: `one_click` or `page`."""
    said_at = from_iso(to_iso(said_at))
    body = {"customer_id": customer, "channel": channel, "send_id": send_id, "method": method}
    return Envelope(
        tenant=tenant,
        subject=f"{NAME}/{store}/consent/{customer}",
        event_id=EventId(digest(NAME, UNSUBSCRIBE, tenant, customer, channel, store, send_id, to_iso(said_at))),
        source=NAME,
        connection=ConnectionId(NAME),
        store=store,
        topic=UNSUBSCRIBE,
        occurred_at=said_at,
        received_at=said_at,
        raw=json.dumps(body, separators=(",", ":")).encode(),
    )
