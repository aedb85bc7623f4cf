"""What a cart's API is to us: feeds of records, the calls that read them, and where a walk through one stands."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from shared.core.errors import MisconfiguredError, UnavailableError
from shared.ingest.adapter import Connection, Request
from shared.ingest.model import Envelope

Document = Mapping[str, Any]
Fields = tuple[tuple[str, str], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Call:
    """One request to an API, without its host and credentials. All of ours read, so each may be repeated."""

    path: str
    query: Fields = ()
    body: bytes | None = field(default=None, repr=False)
    """A body makes it a POST."""
    content_type: str = "application/json"


@dataclass(frozen=True, slots=True)
class Answer:
    """What an API said: any status, the document of a JSON body, header names in lower case."""

    status: int
    headers: Mapping[str, str]
    document: Document = field(repr=False)


@dataclass(frozen=True, slots=True)
class Record:
    """One thing of a list: its key there, and all it says."""

    key: str
    body: Document = field(repr=False)


@dataclass(frozen=True, slots=True)
class Page:
    """One page of a feed, and where the next one begins (None: this was the last)."""

    records: tuple[Record, ...]
    next: str | None = None
    total: int | None = None
    """How many rows the vendor says the whole list has now."""


@dataclass(frozen=True, slots=True)
class Window:
    """What a walk asks for: what changed (or was ordered) since `since`; `until` is when the walk began."""

    since: datetime
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class Feed:
    """One list of a vendor's API that is read again and again."""

    name: str
    """As the adapter knows it: a topic."""
    call: Callable[[Connection, Window, str | None], Call]
    """The request for a page; position None is the first."""
    page: Callable[[Answer, str | None], Page]
    """What an answer holds. Raises UnavailableError when it is not what was asked for."""
    request: Callable[[Record, Connection], Request]
    """A record as the request its adapter reads: for push sources exactly the webhook's."""
    detail: Callable[[Record], Call] | None = None
    """For lists that only name things: the call that reads one."""
    detail_of: Callable[[Answer], Document | None] = lambda answer: answer.document
    """The thing in that call's answer; None when it is not there."""
    overlap: timedelta = timedelta(minutes=15)
    """How far before the last walk's beginning the next one starts."""
    initial: timedelta = timedelta(days=90)
    """How far back the first walk goes."""
    deep: timedelta = timedelta(days=3)
    """How far back a deep walk goes, for what the overlap missed."""
    deep_every: timedelta = timedelta(hours=24)
    every: timedelta = timedelta(0)
    """At least this long between two walks; 0: at every poll."""
    shared_rows: bool = False
    """Pages overlap by rows (offset paging): a page that shares none with the one before was shifted, start again."""
    own_ids: bool = False
    """The records are the webhooks' own events, ids and all (Stripe)."""
    optional: bool = False
    """A shop may not have it (a plugin): 404 means none."""
    applies: Callable[[Connection], bool] = lambda connection: True
    """Can it be asked for with what the connection knows?"""
    known_from_webhooks: bool = False
    """Webhooks tell of it too: only what they did not tell is kept."""


@dataclass(frozen=True, slots=True, kw_only=True)
class RefreshPlan:
    """How a rotating token is renewed (OAuth2 refresh_token grant)."""

    call: Callable[[Connection, str], Call]
    """The request that trades a refresh token."""
    default_lifetime: timedelta = timedelta(hours=1)


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """Whether the vendor still knows our webhook."""

    call: Callable[[Connection], Call]
    problem: Callable[[Answer, Connection], str | None]
    """What is wrong with it, in words for whoever administers the shop; None when all is well."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Vendor:
    """One vendor's API."""

    name: str
    api_url: str | None
    """The documented host; None where every shop has its own."""
    root: str = ""
    """Where its paths begin. An address may be given with it or without."""
    drops: str = ""
    """An ending of an address that is none of the base."""
    headers: Callable[[Connection, str], Mapping[str, str]]
    """(connection, token) → how a call says who we are."""
    feeds: tuple[Feed, ...]
    requests_per_second: float
    every: timedelta = timedelta(minutes=15)
    """How often it is polled: the only way in for pull sources, the reconciling poll for push sources."""
    refresh: RefreshPlan | None = None
    expired: Callable[[Answer], bool] = lambda answer: answer.status == 401
    """Is this the answer to an expired token?"""
    limited_for: Callable[[Answer], float | None] = lambda answer: None
    """Seconds to stay away, where a vendor says so in its own words instead of 429."""
    check: Check | None = None
    default_url: Callable[[Connection], str] = lambda connection: f"https://{connection.store}"
    read_back: Callable[[Envelope], tuple[Call, Callable[[Answer], Request | None]] | None] | None = None
    """For thin webhooks: the call that reads what a notice names, and the request of what it answers (None: gone)."""

    def address(self, connection: Connection) -> str:
        """The base of this connection's calls."""
        given = connection.api_url or self.api_url or self.default_url(connection)
        bare = given.rstrip("/").removesuffix(self.drops).removesuffix(self.root)
        return f"{bare}{self.root}"


class BlockedError(UnavailableError):
    """The vendor told us to stay away for a while."""

    def __init__(self, message: str, seconds: float) -> None:
        super().__init__(message)
        self.seconds = seconds


class UnauthorisedError(UnavailableError):
    """The vendor does not accept our token: somebody must authorise again."""


class NotThereError(MisconfiguredError):
    """The vendor answers 404: this shop has no such list."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Cursor:
    """Where the walks through one feed of one connection stand."""

    done_until: datetime | None = None
    """When the last finished walk began: everything up to then was seen."""
    deep_at: datetime | None = None
    """When the last deep walk began."""
    walk: Window | None = None
    """The walk under way, if one was interrupted."""
    walk_deep: bool = False
    position: str | None = None
    total: int | None = None
    tail: tuple[str, ...] = ()
    """Last keys of the page before `position`."""
    restarts: int = 0


@dataclass(frozen=True, slots=True)
class Seen:
    """What a record looked like when it was last read, and for the how manieth time it had changed."""

    fingerprint: str
    times: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """How the polls of a connection are doing (鮮度)."""

    polled_at: datetime | None = None
    """Last poll that reached the end of every feed."""
    tried_at: datetime | None = None
    problem: str | None = None
    """Why the last poll stopped; never a person's data."""
    failures: int = 0
    blocked_until: datetime | None = None
    webhook_problem: str | None = None
    checked_at: datetime | None = None
    repaired: int = 0
    """Changes no webhook had told, found by the polls so far."""
