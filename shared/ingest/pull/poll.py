"""One poll of one connection: every feed to its end, each change kept once, and where it stands remembered.

Crash-safe by order: a change is kept before it is remembered, a page is remembered before the cursor moves. Whatever is
repeated after a crash gets the ids it had before.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Protocol

from shared.core.errors import MatakiteError, MisconfiguredError, RejectedError
from shared.core.ids import TenantId
from shared.core.telemetry import logger
from shared.ingest.adapter import Adapter, Connection, Request
from shared.ingest.model import Envelope, Event
from shared.ingest.pull import rules
from shared.ingest.pull.caller import Caller, FixedToken, Time, Tokens
from shared.ingest.pull.http import Http
from shared.ingest.pull.model import (
    BlockedError,
    Call,
    Cursor,
    Document,
    Feed,
    Health,
    NotThereError,
    Page,
    Record,
    Seen,
    Vendor,
    Window,
)
from shared.ingest.pull.registry import vendor
from shared.ingest.pull.store import PullStore
from shared.ingest.pull.tokens import RotatingTokens
from shared.ingest.registry import adapter

POLLED = "PollsDone"
FAILED = "PollsFailed"
CHANGES = "PollChanges"
REPAIRED = "WebhooksLost"
UNREADABLE = "PollUnreadable"
WEBHOOK_OFF = "WebhooksOff"
IN_TROUBLE = "CartsInTrouble"
"""What the alarm hears: a cart that needs somebody, once for each poll until it does not."""

LEASE_MARGIN = timedelta(seconds=30)


class Events(Protocol):
    """Where changes are kept, and what was kept of a thing before."""

    def put_once(self, envelope: Envelope) -> bool:
        """Keep a delivery; False when it is already there."""
        ...

    def of_subject(self, tenant: TenantId, subject: str) -> list[Envelope]:
        """Every delivery kept about one thing."""
        ...


@dataclass(frozen=True, slots=True)
class PollDeps:
    """What polling needs from outside."""

    store: PullStore
    events: Events
    http: Http
    time: Time
    owner: str
    """Unique for each run."""
    count: Callable[[str, int], None] = lambda _name, _value: None
    adapters: Callable[[str], Adapter] = adapter
    vendors: Callable[[str], Vendor] = vendor


@dataclass(slots=True)
class Tally:
    """What a poll did."""

    changes: int = 0
    repaired: int = 0
    """Of these, changes that a webhook should have told and did not."""
    unreadable: int = 0
    finished: bool = False
    skipped: bool = False
    problem: str | None = None
    pages: int = 0
    known: int = 0
    """Changed records that webhooks had told completely."""


def poll(connection: Connection, deps: PollDeps, now: datetime, budget: timedelta) -> Tally:
    """Read what changed at one connection. Never raises for what a vendor does; `health` says how it went."""
    until = now + budget + LEASE_MARGIN
    if not deps.store.lease(connection, deps.owner, now, until):
        return Tally(skipped=True)
    try:
        return _Run(connection, deps, now, budget).run()
    finally:
        deps.store.release(connection, deps.owner)


def tokens_of(connection: Connection, source: Vendor, deps: PollDeps) -> Tokens:
    """Where the access token of a connection comes from."""
    if source.refresh is None or (connection.token and not connection.refresh_token):
        return FixedToken(connection)
    address = source.address(connection)
    return RotatingTokens(connection, source, source.refresh, address, deps.http, deps.store, deps.time, deps.owner)


def caller_of(connection: Connection, deps: PollDeps, ends_at: datetime) -> Caller:
    """Calls to a connection's API."""
    source = deps.vendors(connection.source)
    tokens = tokens_of(connection, source, deps)
    return Caller(source, connection, deps.http, tokens, deps.time, ends_at)


class _OutOfTimeError(MatakiteError):
    """The run's time is over; the next one goes on where this stopped."""


class _Run:
    """One run: what its steps share."""

    def __init__(self, connection: Connection, deps: PollDeps, now: datetime, budget: timedelta) -> None:
        self.connection = connection
        self.deps = deps
        self.now = now
        self.ends_at = now + budget
        self.vendor = deps.vendors(connection.source)
        self.caller = caller_of(connection, deps, self.ends_at)
        self.tally = Tally()

    def run(self) -> Tally:
        health = self.deps.store.health(self.connection)
        try:
            for feed in self.vendor.feeds:
                self._walk(feed)
            health = self._check(health)
        except _OutOfTimeError:
            self.tally.problem = "not finished in one run: the next one goes on"
            repaired = health.repaired + self.tally.repaired
            health = replace(health, tried_at=self.now, problem=self.tally.problem, failures=0, repaired=repaired)
        except BlockedError as error:
            health = self._failed(health, str(error), error.seconds)
        except MatakiteError as error:
            health = self._failed(health, str(error), None)
        else:
            self.tally.finished = True
            health = rules.succeeded(health, self.now, self.tally.repaired)
            self.deps.count(POLLED, 1)
        self.deps.store.save_health(self.connection, health)
        if rules.needs_somebody(health):
            self.deps.count(IN_TROUBLE, 1)
        self._count()
        return self.tally

    def _failed(self, health: Health, problem: str, blocked_seconds: float | None) -> Health:
        self.tally.problem = problem
        self.deps.count(FAILED, 1)
        logger("ingest").warning("poll stopped: %s", problem, extra=self._who())
        return rules.failed(health, self.now, problem, blocked_seconds, self.tally.repaired)

    def _who(self) -> Mapping[str, str]:
        # The whole id is the secret part of the webhook URL.
        return {"connection": self.connection.connection_id[:4], "source": self.connection.source}

    def _count(self) -> None:
        for name, value in (
            (CHANGES, self.tally.changes),
            (REPAIRED, self.tally.repaired),
            (UNREADABLE, self.tally.unreadable),
        ):
            if value:
                self.deps.count(name, value)

    # a feed

    def _walk(self, feed: Feed) -> None:
        if not feed.applies(self.connection):
            return
        cursor = self.deps.store.cursor(self.connection, feed.name)
        if not rules.is_due(feed, cursor, self.now):
            return
        cursor = rules.begun(feed, cursor, self.now)
        resumed = cursor.position is not None
        while cursor.walk is not None:
            self._still_time()
            cursor = self._next(feed, cursor, cursor.walk, resumed=resumed)
            resumed = False
            self.deps.store.save_cursor(self.connection, feed.name, cursor)

    def _next(self, feed: Feed, cursor: Cursor, walk: Window, *, resumed: bool) -> Cursor:
        """The cursor after one page more.

        A place that another run left may be none any more (Square forgets its cursors after minutes, Stripe its events
        after a month): then the walk begins again, else it would be refused for ever.
        """
        try:
            page = self._page(feed, feed.call(self.connection, walk, cursor.position), cursor.position)
        except MisconfiguredError:
            if not resumed:
                raise
            return rules.restarted(cursor)
        self.tally.pages += 1
        return self._after(feed, cursor, page)

    def _page(self, feed: Feed, call: Call, position: str | None) -> Page:
        try:
            return feed.page(self.caller.ask(call), position)
        except NotThereError:
            if feed.optional:
                return Page(())
            raise

    def _after(self, feed: Feed, cursor: Cursor, page: Page) -> Cursor:
        if rules.is_shifted(feed, cursor, page):
            return rules.restarted(cursor)
        self._keep(feed, page)
        return rules.advanced(cursor, page)

    def _still_time(self) -> None:
        if self.deps.time.now() >= self.ends_at:
            raise _OutOfTimeError

    # records

    def _keep(self, feed: Feed, page: Page) -> None:
        looks = {record.key: rules.fingerprint(record.body) for record in page.records}
        seen = self.deps.store.seen(self.connection, feed.name, list(looks))
        for record in page.records:
            if rules.changed(seen.get(record.key), looks[record.key]):
                self._keep_change(feed, record, seen.get(record.key), looks[record.key])

    def _keep_change(self, feed: Feed, record: Record, seen: Seen | None, looks: str) -> None:
        whole = self._whole(feed, record)
        if whole is None:
            return
        try:
            envelopes = self._envelopes(feed.request(whole, self.connection))
        except RejectedError as error:
            # It stays at the vendor, is not remembered, and is tried again at every poll.
            self.tally.unreadable += 1
            logger("ingest").warning("a polled record cannot be read: %s", error, extra=self._who())
            return
        for envelope in envelopes:
            name = rules.event_id(self.connection.connection_id, feed.name, record.key, seen, looks, envelope.raw)
            self._put(feed, envelope if feed.own_ids else rules.renamed(envelope, name))
        times = seen.times + 1 if seen else 1
        self.deps.store.remember(self.connection, feed.name, record.key, Seen(looks, times), self.now)

    def _whole(self, feed: Feed, record: Record) -> Record | None:
        """The record itself where the list only names it; None when it went away meanwhile."""
        if feed.detail is None:
            return record
        self._still_time()
        body: Document | None = feed.detail_of(self.caller.ask(feed.detail(record)))
        return Record(record.key, body) if body is not None else None

    def _envelopes(self, request: Request) -> list[Envelope]:
        found = self.deps.adapters(self.connection.source).envelopes(request, self.connection, self.now)
        return list(found)

    def _put(self, feed: Feed, envelope: Envelope) -> None:
        if feed.known_from_webhooks and self._is_told(envelope):
            self.tally.known += 1
            return
        if self.deps.events.put_once(envelope):
            self.tally.changes += 1
            self.tally.repaired += feed.known_from_webhooks

    def _is_told(self, envelope: Envelope) -> bool:
        """Did webhooks (or earlier polls) say all of this? What cannot be read any more said nothing."""
        read = self.deps.adapters(self.connection.source).events
        stored: list[Event] = []
        try:
            polled = read(envelope)
            for kept in self.deps.events.of_subject(envelope.tenant, envelope.subject):
                with suppress(RejectedError):
                    stored += read(kept)
        except RejectedError:
            return False
        return bool(polled) and rules.is_told(polled, stored)

    # the webhook itself

    def _check(self, health: Health) -> Health:
        check = self.vendor.check
        if check is None or not rules.is_check_due(health, self.now):
            return health
        problem = check.problem(self.caller.ask(check.call(self.connection)), self.connection)
        if problem is not None:
            self.deps.count(WEBHOOK_OFF, 1)
            logger("ingest").error("webhook: %s", problem, extra=self._who())
        return replace(health, webhook_problem=problem, checked_at=self.now)
