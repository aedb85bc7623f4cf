"""Decisions of a poll, pure: what to ask for next, what a page shows, what a change is called, when to try again."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime

from shared.core.ids import ConnectionId, EventId, digest
from shared.ingest.model import Envelope, Event
from shared.ingest.polled import record_bytes
from shared.ingest.pull.model import Cursor, Document, Feed, Health, Page, Seen, Vendor, Window

TAIL = 5
"""Rows that two neighbouring pages of offset paging share."""
MAX_RESTARTS = 3
"""A list that shifts more often than this is left to the next walk's overlap."""
LONGEST_BACKOFF = timedelta(hours=2)
LONGEST_BLOCK = timedelta(days=1)
"""Whatever a vendor's Retry-After says: a point in time written as seconds would silence the cart for decades."""
FIRST_BACKOFF = timedelta(minutes=1)
FAILURES_TOLERATED = 6
"""Polls that stop in a row before somebody is called: half an hour and more, with the pauses between them."""
CHECK_EVERY = timedelta(hours=6)
EARLY = timedelta(seconds=30)
"""Ticks come a little early or late: a poll due within this is due."""


# --- walks ------------------------------------------------------------------------------------------------------------


def is_due(feed: Feed, cursor: Cursor, now: datetime) -> bool:
    """Is there a walk through this feed to start or to go on with?"""
    return cursor.walk is not None or cursor.done_until is None or now - cursor.done_until >= feed.every - EARLY


def begun(feed: Feed, cursor: Cursor, now: datetime) -> Cursor:
    """The cursor with a walk under way: the interrupted one, else a new one."""
    if cursor.walk is not None:
        return cursor
    deep = cursor.deep_at is None or now - cursor.deep_at >= feed.deep_every
    return replace(
        cursor, walk=Window(_since(feed, cursor, now, deep), now), walk_deep=deep, position=None, tail=(), restarts=0
    )


def _since(feed: Feed, cursor: Cursor, now: datetime, deep: bool) -> datetime:
    if cursor.done_until is None:
        return now - feed.initial
    hot = cursor.done_until - feed.overlap
    return min(hot, now - feed.deep) if deep else hot


def is_shifted(feed: Feed, cursor: Cursor, page: Page) -> bool:
    """Did the list change so much under offset paging that rows may have slipped between two pages?

    Two pages that share a row cannot have a gap between them; when they share none, the walk starts again.
    """
    if cursor.position is None or not page.records or cursor.restarts >= MAX_RESTARTS:
        return False
    if cursor.total is not None and page.total is not None and page.total < cursor.total:
        return True
    if not feed.shared_rows or not cursor.tail:
        return False
    return not {record.key for record in page.records} & set(cursor.tail)


def restarted(cursor: Cursor) -> Cursor:
    """The walk from its first page once more: what was seen is remembered, so this only reads."""
    return replace(cursor, position=None, total=None, tail=(), restarts=cursor.restarts + 1)


def advanced(cursor: Cursor, page: Page) -> Cursor:
    """The cursor after a page was kept; after the last one the walk is done."""
    if page.next is not None:
        tail = tuple(record.key for record in page.records[-TAIL:])
        return replace(cursor, position=page.next, total=page.total, tail=tail)
    assert cursor.walk is not None  # noqa: S101 - for the type checker
    deep_at = cursor.walk.until if cursor.walk_deep else cursor.deep_at
    return Cursor(done_until=cursor.walk.until, deep_at=deep_at)


def next_offset(position: str | None, rows: int, limit: int, shared: int = TAIL) -> str | None:
    """The position of the next page in offset paging, overlapping this one; None after a page that was not full."""
    return str(int(position or 0) + rows - min(shared, rows - 1)) if rows >= limit else None


# --- records ----------------------------------------------------------------------------------------------------------


def fingerprint(body: Document) -> str:
    """Stands for everything a record says."""
    return hashlib.sha256(record_bytes(body)).hexdigest()[:32]


def changed(seen: Seen | None, now_looks: str) -> bool:
    """Does a record look different from when it was last read?"""
    return seen is None or seen.fingerprint != now_looks


def event_id(connection: ConnectionId, feed: str, key: str, seen: Seen | None, now_looks: str, raw: bytes) -> EventId:
    """The id of one change of one record.

    Read again it is the same id; changed, changed back and changed again it is a new one each time, because the id
    holds how often the record had changed before.
    """
    times = str(seen.times + 1 if seen else 1)
    return EventId(digest("poll", connection, feed, key, now_looks, times, raw_digest(raw)))


def is_told(polled: Iterable[Event], stored: Iterable[Event]) -> bool:
    """Did earlier deliveries say all that a polled record says, at its version or a later one?

    Only then is keeping it once more without effect. An older delivery that says the same is not enough: what came
    between may still arrive late.
    """
    told = list(stored)
    return all(any(_covers(earlier, event) for earlier in told) for event in polled)


def _covers(earlier: Event, event: Event) -> bool:
    same = earlier.facts == event.facts and earlier.person == event.person
    # What follows the slash only breaks ties within one version of the source.
    return same and earlier.version.partition("/")[0] >= event.version.partition("/")[0]


def raw_digest(raw: bytes) -> str:
    """Stands for the bytes of a body."""
    return hashlib.sha256(raw).hexdigest()


def renamed(envelope: Envelope, name: EventId) -> Envelope:
    """The envelope under the poller's id, which knows what was seen before."""
    return replace(envelope, event_id=name)


# --- when -------------------------------------------------------------------------------------------------------------


def is_poll_due(vendor: Vendor, health: Health, now: datetime, every: timedelta | None = None) -> bool:
    """Should a connection be polled at this tick?"""
    if health.blocked_until is not None and now < health.blocked_until:
        return False
    if health.failures and health.tried_at and now - health.tried_at < backoff(health.failures) - EARLY:
        return False
    return health.polled_at is None or health.failures > 0 or now - health.polled_at >= (every or vendor.every) - EARLY


def backoff(failures: int) -> timedelta:
    """How long a connection that failed is left alone."""
    return min(FIRST_BACKOFF * (1 << min(failures - 1, 10)), LONGEST_BACKOFF)


def retry_after(value: str | None, now: datetime) -> float | None:
    """Seconds of a Retry-After header, which says seconds or a date; None when it says neither."""
    if not value:
        return None
    try:
        return max(0.0, float(value))
    except ValueError:
        pass
    try:
        at = parsedate_to_datetime(value)
    except (TypeError, ValueError):
        return None
    aware = at if at.tzinfo else at.replace(tzinfo=UTC)
    return max(0.0, (aware - now).total_seconds())


def succeeded(health: Health, now: datetime, repaired: int) -> Health:
    """After a poll that reached the end of every feed."""
    return replace(
        health,
        polled_at=now,
        tried_at=now,
        problem=None,
        failures=0,
        blocked_until=None,
        repaired=health.repaired + repaired,
    )


def failed(health: Health, now: datetime, problem: str, blocked_seconds: float | None, repaired: int) -> Health:
    """After a poll that stopped before its end; what it kept stays kept."""
    silent = timedelta(seconds=min(blocked_seconds or 0.0, LONGEST_BLOCK.total_seconds()))
    return replace(
        health,
        tried_at=now,
        problem=problem,
        failures=health.failures + 1,
        blocked_until=now + silent if silent else None,
        repaired=health.repaired + repaired,
    )


def needs_somebody(health: Health) -> bool:
    """Does the cart not come round by itself: unreadable several times in a row, or its webhook off?

    Shops are maintained at night, and vendors fail for minutes. What was lost is repaired afterwards.
    """
    return health.failures >= FAILURES_TOLERATED or health.webhook_problem is not None


def is_check_due(health: Health, now: datetime) -> bool:
    """Is it time to ask whether the vendor still knows our webhook?"""
    return health.checked_at is None or now - health.checked_at >= CHECK_EVERY - EARLY
