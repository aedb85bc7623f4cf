"""Stripe's own list of events, for what webhooks did not tell: the same events with the same ids, kept for 30 days."""

from __future__ import annotations

from datetime import timedelta

from shared.ingest.adapter import Connection, Request
from shared.ingest.polled import record_bytes
from shared.ingest.pull.lists import bearer, records
from shared.ingest.pull.model import Answer, Call, Feed, Page, Record, Vendor, Window
from shared.ingest.sources.stripe import NAME, TYPES

LIMIT = 100
MOST_TYPES = 20


def _list(connection: Connection, window: Window, position: str | None) -> Call:
    after = (("starting_after", position),) if position else ()
    # Stripe filters by at most 20 types; with more of them all come, and what nobody reads is left out here.
    kinds = tuple(("types[]", name) for name in sorted(TYPES)) if len(TYPES) <= MOST_TYPES else ()
    since = ("created[gte]", str(int(window.since.timestamp())))
    return Call(path="/events", query=(since, *kinds, ("limit", str(LIMIT)), *after))


def _page(answer: Answer, position: str | None) -> Page:
    found = records(answer.document, "data")
    more = answer.document.get("has_more") is True and bool(found)
    read = tuple(record for record in found if record.body.get("type") in TYPES)
    return Page(read, found[-1].key if more else None)


def _request(record: Record, connection: Connection) -> Request:
    return Request({}, record_bytes(record.body))


VENDOR = Vendor(
    name=NAME,
    api_url="https://api.stripe.com",
    root="/v1",
    headers=bearer,
    feeds=(
        Feed(
            name="events",
            call=_list,
            page=_page,
            request=_request,
            overlap=timedelta(hours=1),
            initial=timedelta(days=3),
            own_ids=True,
            known_from_webhooks=True,
        ),
    ),
    requests_per_second=10,
    every=timedelta(hours=1),
)
