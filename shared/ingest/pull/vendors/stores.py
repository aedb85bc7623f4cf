"""STORES, API 202211: orders by order time. There is no `updated_at`; what an order says is compared with before."""

from __future__ import annotations

from datetime import timedelta

from shared.ingest.adapter import Connection, Request
from shared.ingest.polled import polled_request
from shared.ingest.pull.lists import bearer, offset_page, second
from shared.ingest.pull.model import Answer, Call, Feed, Page, Record, Vendor, Window
from shared.ingest.sources.stores import NAME, ORDER

LIMIT = 100


def _list(connection: Connection, window: Window, position: str | None) -> Call:
    since = (("ordered_at_from", second(window.since)),)
    return Call(path="/orders", query=(*since, ("limit", str(LIMIT)), ("offset", position or "0")))


def _page(answer: Answer, position: str | None) -> Page:
    return offset_page(answer, position, "orders", LIMIT)


def _request(record: Record, connection: Connection) -> Request:
    return polled_request(ORDER, record.body)


VENDOR = Vendor(
    name=NAME,
    api_url="https://api.stores.dev",
    root="/retail/202211",
    headers=bearer,
    feeds=(
        Feed(
            name=ORDER,
            call=_list,
            page=_page,
            request=_request,
            overlap=timedelta(days=30),
            deep=timedelta(days=90),
            deep_every=timedelta(hours=1),
            shared_rows=True,
        ),
    ),
    # 429 blocks the token "for some time": stay far from it.
    requests_per_second=1,
)
