"""BASE, REST API 1: a list by order time, one call for each order that changed in it, a refresh token used once.

5,000 calls an hour and 100,000 a day are allowed for a shop; one a second stays below both.
"""

from __future__ import annotations

from datetime import timedelta

from shared.core.errors import UnavailableError
from shared.ingest.adapter import Connection, Request
from shared.ingest.polled import polled_request
from shared.ingest.pull.lists import bearer, offset_page, refresh_call, shop_time
from shared.ingest.pull.model import Answer, Call, Document, Feed, Page, Record, RefreshPlan, Vendor, Window
from shared.ingest.sources.base import NAME, ORDER

LIMIT = 100
HOUR_LIMIT, DAY_LIMIT = "hour_api_limit", "day_api_limit"
"""`error` of an answer when the calls of the hour or day are used up."""
SPEAKS_OF_ACCESS = "アクセストークン"
"""In the `error_description` of an `invalid_request` that means the token: BASE has no error of its own for it."""


def _list(connection: Connection, window: Window, position: str | None) -> Call:
    since = shop_time(window.since, connection)
    return Call(path="/orders", query=(("start_ordered", since), ("limit", str(LIMIT)), ("offset", position or "0")))


def _page(answer: Answer, position: str | None) -> Page:
    return offset_page(answer, position, "orders", LIMIT, "unique_key")


def _detail(record: Record) -> Call:
    return Call(path=f"/orders/detail/{record.key}")


def _detail_of(answer: Answer) -> Document:
    order = answer.document.get("order")
    if not isinstance(order, dict):
        raise UnavailableError("an order's detail without its order")
    return order


def _request(record: Record, connection: Connection) -> Request:
    return polled_request(ORDER, record.body)


def _refresh(connection: Connection, refresh_token: str) -> Call:
    return refresh_call("/oauth/token", connection, refresh_token, redirect_uri=connection.redirect_url or "")


def _expired(answer: Answer) -> bool:
    said = str(answer.document.get("error_description") or "")
    return answer.status == 401 or (
        answer.status >= 400 and answer.document.get("error") == "invalid_request" and SPEAKS_OF_ACCESS in said
    )


def _limited_for(answer: Answer) -> float | None:
    return {HOUR_LIMIT: 15 * 60.0, DAY_LIMIT: 60 * 60.0}.get(str(answer.document.get("error")))


VENDOR = Vendor(
    name=NAME,
    api_url="https://api.thebase.in",
    root="/1",
    headers=bearer,
    feeds=(
        Feed(
            name=ORDER,
            call=_list,
            page=_page,
            request=_request,
            detail=_detail,
            detail_of=_detail_of,
            # The list knows order times only: a change is found by reading the orders it may have happened to.
            overlap=timedelta(days=30),
            deep=timedelta(days=90),
            deep_every=timedelta(hours=1),
            shared_rows=True,
        ),
    ),
    requests_per_second=1,
    refresh=RefreshPlan(call=_refresh),
    expired=_expired,
    limited_for=_limited_for,
)
