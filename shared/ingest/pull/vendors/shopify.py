"""Shopify Admin API (REST 2026-04), for what webhooks did not tell: its records are the webhooks' bodies.

Needs a custom app's Admin API token with read_orders and read_customers.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

from shared.ingest.adapter import Connection, Request
from shared.ingest.polled import record_bytes
from shared.ingest.pull.lists import records, second
from shared.ingest.pull.model import Answer, Call, Check, Feed, Page, Record, Vendor, Window
from shared.ingest.sources.shopify import NAME

VERSION = "2026-04"
LIMIT = 250
_LINK = re.compile(r"<([^>]+)>\s*;[^,]*rel=\"?next\"?", re.IGNORECASE)


def _headers(connection: Connection, token: str) -> Mapping[str, str]:
    return {"x-shopify-access-token": token}


def _feed(name: str, listed: str, topic: str, *extra: tuple[str, str]) -> Feed:
    def call(connection: Connection, window: Window, position: str | None) -> Call:
        path = f"/{listed}.json"
        if position is not None:
            # A page's cursor already holds the filters; Shopify refuses both together.
            return Call(path=path, query=(("limit", str(LIMIT)), ("page_info", position)))
        since = (("updated_at_min", second(window.since)), ("order", "updated_at asc"))
        return Call(path=path, query=(*since, *extra, ("limit", str(LIMIT))))

    def page(answer: Answer, position: str | None) -> Page:
        return Page(records(answer.document, listed), _next(answer))

    def request(record: Record, connection: Connection) -> Request:
        headers = {"x-shopify-topic": topic, "x-shopify-shop-domain": connection.store}
        changed = record.body.get("updated_at")
        if isinstance(changed, str):
            headers["x-shopify-triggered-at"] = changed
        return Request(headers, record_bytes(record.body))

    return Feed(name=name, call=call, page=page, request=request, initial=_INITIAL, known_from_webhooks=True)


_INITIAL = timedelta(days=3)
"""Before a shop was connected, its orders come by `matakite import`; later ones by webhook."""


def _next(answer: Answer) -> str | None:
    """`page_info` of the link to the next page; the link itself is not followed, for it may lead anywhere."""
    found = _LINK.search(answer.headers.get("link", ""))
    cursors = parse_qs(urlsplit(found.group(1)).query).get("page_info") if found else None
    return cursors[0] if cursors else None


def _webhooks(connection: Connection) -> Call:
    return Call(path="/webhooks.json", query=(("limit", str(LIMIT)),))


def _webhook_problem(answer: Answer, connection: Connection) -> str | None:
    listed = (each.body for each in records(answer.document, "webhooks"))
    ours = {str(each.get("topic")) for each in listed if str(each.get("address")).endswith(connection.connection_id)}
    if not ours:
        return (
            "Shopify lists no webhook to this connection: it deletes them after 8 failures in a row. Register them "
            "again (Webhook made by hand in 設定 → 通知 are not listed)"
        )
    missing = sorted({"orders/create", "orders/updated"} - ours)
    return f"Shopify lists no webhook for {' and '.join(missing)}: register it again" if missing else None


VENDOR = Vendor(
    name=NAME,
    api_url=None,
    root=f"/admin/api/{VERSION}",
    headers=_headers,
    feeds=(
        _feed("orders", "orders", "orders/updated", ("status", "any")),
        _feed("customers", "customers", "customers/update"),
    ),
    requests_per_second=2,
    every=timedelta(hours=1),
    check=Check(call=_webhooks, problem=_webhook_problem),
)
