"""カラーミーショップ (Color Me), REST v1.

Sales and customers by `update_date_min` (without it the vendor lists seven days only), products once a day.
"""

from __future__ import annotations

from datetime import timedelta

from shared.ingest.adapter import Connection, Request
from shared.ingest.polled import polled_request
from shared.ingest.pull.lists import bearer, offset_page, shop_time
from shared.ingest.pull.model import Answer, Call, Feed, Page, Record, Vendor, Window
from shared.ingest.sources.colorme import CUSTOMER, NAME, PRODUCT, SALE

LIMIT, PRODUCT_LIMIT = 100, 50


def _feed(name: str, path: str, limit: int, *, dated: bool = True, every: timedelta = timedelta(0)) -> Feed:
    def call(connection: Connection, window: Window, position: str | None) -> Call:
        since = (("update_date_min", shop_time(window.since, connection)),) if dated else ()
        return Call(path=f"/{path}", query=(*since, ("limit", str(limit)), ("offset", position or "0")))

    def page(answer: Answer, position: str | None) -> Page:
        return offset_page(answer, position, path, limit)

    def request(record: Record, connection: Connection) -> Request:
        return polled_request(name, record.body)

    return Feed(name=name, call=call, page=page, request=request, shared_rows=True, every=every)


VENDOR = Vendor(
    name=NAME,
    api_url="https://api.shop-pro.jp",
    root="/v1",
    headers=bearer,
    feeds=(
        _feed(SALE, "sales", LIMIT),
        _feed(CUSTOMER, "customers", LIMIT),
        _feed(PRODUCT, "products", PRODUCT_LIMIT, dated=False, every=timedelta(hours=24)),
    ),
    requests_per_second=1,
)
