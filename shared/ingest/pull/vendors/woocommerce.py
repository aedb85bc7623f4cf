"""WooCommerce REST v3, for what webhooks did not tell: it never repeats one, and switches them off after five failures.

The token is `ck_…:cs_…` of a REST API key that may read. Customers have no list by change: all are read once a day.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from datetime import timedelta

from shared.ingest.adapter import Connection, Request
from shared.ingest.polled import record_bytes
from shared.ingest.pull.lists import offset_page, records
from shared.ingest.pull.model import Answer, Call, Check, Feed, Page, Record, Vendor, Window
from shared.ingest.sources.woocommerce import NAME

LIMIT = 100


def _headers(connection: Connection, token: str) -> Mapping[str, str]:
    return {"authorization": f"Basic {base64.b64encode(token.encode()).decode()}"}


def _feed(listed: str, topic: str, *, optional: bool = False, dated: bool = True) -> Feed:
    def call(connection: Connection, window: Window, position: str | None) -> Call:
        gmt = window.since.strftime("%Y-%m-%dT%H:%M:%S")
        by_change = (("modified_after", gmt), ("dates_are_gmt", "true"), ("orderby", "modified"), ("status", "any"))
        by_age = (("orderby", "registered_date"), ("role", "all"))
        asked = (*(by_change if dated else by_age), ("order", "asc"))
        return Call(path=f"/{listed}", query=(*asked, ("per_page", str(LIMIT)), ("offset", position or "0")))

    def page(answer: Answer, position: str | None) -> Page:
        return offset_page(answer, position, "items", LIMIT)

    def request(record: Record, connection: Connection) -> Request:
        headers = {"x-wc-webhook-topic": topic, "x-wc-webhook-source": f"https://{connection.store}/"}
        return Request(headers, record_bytes(record.body))

    return Feed(
        name=listed,
        call=call,
        page=page,
        request=request,
        initial=timedelta(days=3),
        every=timedelta(0) if dated else timedelta(hours=24),
        shared_rows=True,
        optional=optional,
        known_from_webhooks=True,
    )


def _webhooks(connection: Connection) -> Call:
    return Call(path="/webhooks", query=(("per_page", str(LIMIT)),))


def _webhook_problem(answer: Answer, connection: Connection) -> str | None:
    listed = [each.body for each in records(answer.document, "items")]
    ours = [each for each in listed if str(each.get("delivery_url")).endswith(connection.connection_id)]
    if not ours:
        return "WooCommerce has no webhook to this connection: register one for each topic"
    off = [f"{each.get('id')} ({each.get('topic')})" for each in ours if each.get("status") != "active"]
    if not off:
        return None
    return (
        f"WooCommerce switched webhook {', '.join(sorted(off))} off, as it does after 5 failures in a row: set it to "
        "有効 again"
    )


VENDOR = Vendor(
    name=NAME,
    api_url=None,
    root="/wp-json/wc/v3",
    headers=_headers,
    feeds=(
        _feed("orders", "order.updated"),
        _feed("subscriptions", "subscription.updated", optional=True),
        _feed("customers", "customer.updated", dated=False),
    ),
    # The shop's own web server answers.
    requests_per_second=2,
    every=timedelta(hours=1),
    check=Check(call=_webhooks, problem=_webhook_problem),
)
