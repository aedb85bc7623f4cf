"""What a source must know how to do. One file per source in `sources/`; the registry finds them by name.

The base owns the flow (verify, then envelopes, then events); an adapter fills in the vendor's words.
"""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Protocol

from shared.core.clock import from_iso, to_iso
from shared.core.errors import RejectedError
from shared.core.ids import ConnectionId, EventId, TenantId
from shared.ingest.body import key_part
from shared.ingest.model import Envelope, Event


@dataclass(frozen=True, slots=True)
class Connection:
    """One connected store: which shop it belongs to and the secrets its requests are signed with.

    Stored as one SSM SecureString `{prefix}/connections/{connection_id}`.
    """

    connection_id: ConnectionId
    tenant: TenantId
    source: str
    store: str
    """The shop domain the source reports (`a.myshopify.com`): requests are compared with it, never trusted."""
    secret: str = field(repr=False)
    previous_secret: str | None = field(default=None, repr=False)
    """Still accepted while a rotation is under way, until `previous_until`."""
    previous_until: datetime | None = None
    currency: str = "JPY"
    timezone: str = "Asia/Tokyo"
    url: str | None = None
    """The webhook URL exactly as registered with the source, where its signature covers it (Square)."""
    api_url: str | None = None
    """Base of the vendor's API, where it is not the one the vendor documents (`https://api.example.com`)."""
    token: str | None = field(default=None, repr=False)
    """Access token or key of that API; for WooCommerce `ck_…:cs_…`. Without one nothing is polled."""
    client_id: str | None = None
    client_secret: str | None = field(default=None, repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    """The first link of a rotating chain (BASE, EC-CUBE); the later ones are in the pulls table."""
    redirect_url: str | None = None
    """As registered with the vendor's application; BASE wants it with every refresh."""
    locations: str | None = None
    """Ids of the locations whose orders are polled, separated by commas (Square)."""
    poll_minutes: int | None = None
    """How often its API is polled, where it is not the vendor's usual interval."""
    users_of: str | None = None
    """`source/store` whose customer numbers the user ids of a tracked site are (`shopify/a.myshopify.com`)."""
    proven_users: bool = False
    """A browser of a tracked site names a customer only with the site's proof (`tracking/proof.py`)."""


@dataclass(frozen=True, slots=True)
class Request:
    """One HTTP request as it arrived: header names in lower case, the body's raw bytes."""

    headers: Mapping[str, str]
    body: bytes = field(repr=False)


def delivered(
    request: Request,
    connection: Connection,
    now: datetime,
    *,
    about: tuple[str, str | None],
    event_id: str,
    topic: str,
    occurred_at: datetime | None = None,
) -> Envelope:
    """A verified request as it is kept: one partition per thing, so that the stream keeps the order of its events.

    `about`: (kind, id) of the thing; one without an id is a thing of its own. `occurred_at`: now, where nobody says.
    """
    kind, key = about
    return Envelope(
        tenant=connection.tenant,
        subject="/".join((connection.source, connection.store, key_part(kind), key_part(key or event_id))),
        event_id=EventId(event_id),
        source=connection.source,
        connection=connection.connection_id,
        store=connection.store,
        topic=topic,
        occurred_at=occurred_at or now,
        received_at=now,
        raw=request.body,
    )


def told_us(
    tenant: TenantId,
    source: str,
    store: str,
    topic: str,
    said: Mapping[str, object],
    at: datetime,
    *,
    about: tuple[str, str],
    event_id: str,
    by: str = "",
) -> Envelope:
    """What a page or command of our own was told, as it is kept. `by`: the page, where it is not the source."""
    at = from_iso(to_iso(at))
    return Envelope(
        tenant=tenant,
        subject="/".join((source, store, *about)),
        event_id=EventId(event_id),
        source=source,
        connection=ConnectionId(by or source),
        store=store,
        topic=topic,
        occurred_at=at,
        received_at=at,
        raw=json.dumps(said, ensure_ascii=False, separators=(",", ":")).encode(),
    )


@dataclass(frozen=True, slots=True)
class About:
    """What a source gives us and what it does not, for the connector matrix (連携一覧): one row of it.

    Each file in `sources/` names its own `ABOUT`. `no: …` says why not.
    """

    title: str
    arrives: str
    orders: str
    customers: str
    consent: str
    carts: str
    signature: str
    dedupe: str
    limits: str
    webhook: bool = False
    """A cart posts to a connection's URL (push); our own sources do not."""


class Adapter(Protocol):
    """A source of events. Pure: no clock, no network, no AWS."""

    name: str

    def verify(self, request: Request, connection: Connection, now: datetime) -> bool:
        """Is the request signed by one of the connection's live secrets? Constant time, over the raw bytes."""
        ...

    def envelopes(self, request: Request, connection: Connection, now: datetime) -> Sequence[Envelope]:
        """The deliveries in a verified request: usually one; none for pings and tests.

        Raises RejectedError when the body is not what this source sends.
        """
        ...

    def events(self, envelope: Envelope) -> Sequence[Event]:
        """What an envelope says, in our words. The same envelope always gives the same events."""
        ...


class NotPosted:
    """A source that nobody posts to a connection's URL: whoever was told keeps the envelope."""

    def verify(self, request: Request, connection: Connection, now: datetime) -> bool:
        """Never: a connection's secret says nothing here."""
        return False

    def envelopes(self, request: Request, connection: Connection, now: datetime) -> Sequence[Envelope]:
        """Never: see `verify`."""
        raise RejectedError("nothing of this source is posted to a connection's URL")
