"""Square API v2, for what webhooks did not tell, and for the orders that its webhooks only name.

Orders are searched by location: a connection without `locations` polls customers only.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from datetime import timedelta
from typing import Any

from shared.ingest.adapter import Connection, Request
from shared.ingest.model import Envelope
from shared.ingest.polled import polled_request
from shared.ingest.pull.lists import records, second
from shared.ingest.pull.model import Answer, Call, Document, Feed, Page, Record, Vendor, Window
from shared.ingest.sources.square import NAME, is_thin

VERSION = "2026-01-22"
LIMIT = 100
LOCATIONS = 10
"""A search is of at most so many locations; a shop with more has a feed for each group of them."""
GROUPS = 10


def _headers(connection: Connection, token: str) -> Mapping[str, str]:
    return {"authorization": f"Bearer {token}", "square-version": VERSION}


def _post(path: str, asked: Mapping[str, Any], position: str | None) -> Call:
    cursor = {"cursor": position} if position else {}
    return Call(path=path, body=json.dumps({**asked, "limit": LIMIT, **cursor}).encode())


def _customers(connection: Connection, window: Window, position: str | None) -> Call:
    changed = {"updated_at": {"start_at": second(window.since)}}
    query = {"filter": changed, "sort": {"field": "CREATED_AT", "order": "ASC"}}
    return _post("/customers/search", {"query": query}, position)


def _orders(group: int) -> Feed:
    """The orders of one group of locations."""

    def call(connection: Connection, window: Window, position: str | None) -> Call:
        changed = {"date_time_filter": {"updated_at": {"start_at": second(window.since)}}}
        query = {"filter": changed, "sort": {"sort_field": "UPDATED_AT", "sort_order": "ASC"}}
        asked = {"location_ids": _locations(connection, group), "query": query, "return_entries": False}
        return _post("/orders/search", asked, position)

    return Feed(
        name=f"orders-{group}" if group else "orders",
        call=call,
        page=_page("orders"),
        request=_request("order"),
        initial=timedelta(days=3),
        applies=lambda connection: bool(_locations(connection, group)),
        known_from_webhooks=True,
    )


def _locations(connection: Connection, group: int) -> list[str]:
    named = [each.strip() for each in (connection.locations or "").split(",") if each.strip()]
    return named[group * LOCATIONS : (group + 1) * LOCATIONS]


def _page(listed: str) -> Callable[[Answer, str | None], Page]:
    def page(answer: Answer, position: str | None) -> Page:
        # Square leaves an empty list out.
        said: Document = {listed: [], **answer.document}
        following = said.get("cursor")
        return Page(records(said, listed), following if isinstance(following, str) and following else None)

    return page


def _request(kind: str) -> Callable[[Record, Connection], Request]:
    return lambda record, connection: polled_request(kind, record.body)


def _read_back(notice: Envelope) -> tuple[Call, Callable[[Answer], Request | None]] | None:
    if not is_thin(notice):
        return None

    def request_of(answer: Answer) -> Request | None:
        order = answer.document.get("order")
        return polled_request("order", order) if isinstance(order, dict) else None

    return Call(path=f"/orders/{notice.subject.rpartition('/')[2]}"), request_of


VENDOR = Vendor(
    name=NAME,
    api_url="https://connect.squareup.com",
    root="/v2",
    headers=_headers,
    feeds=(
        Feed(
            name="customers",
            call=_customers,
            page=_page("customers"),
            request=_request("customer"),
            initial=timedelta(days=3),
            known_from_webhooks=True,
        ),
        *map(_orders, range(GROUPS)),
    ),
    requests_per_second=5,
    every=timedelta(hours=1),
    read_back=_read_back,
)
