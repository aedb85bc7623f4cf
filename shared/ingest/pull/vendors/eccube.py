"""EC-CUBE 4, Web API plugin: GraphQL at `/api`, tokens of an authorization code that are renewed at `/token`.

Lists are EC-CUBE's own search forms: `update_datetime_start` is the field 更新日時(開始) of the admin screen.
"""

from __future__ import annotations

import json
from collections.abc import Callable
from datetime import timedelta

from shared.core.errors import MisconfiguredError, UnavailableError
from shared.ingest.adapter import Connection, Request
from shared.ingest.model import Envelope
from shared.ingest.polled import polled_request
from shared.ingest.pull.lists import bearer, records, refresh_call
from shared.ingest.pull.model import Answer, Call, Document, Feed, Page, Record, RefreshPlan, Vendor, Window
from shared.ingest.sources.eccube import CUSTOMER, NAME, ORDER, PRODUCT, named_by

LIMIT = 100
_NAMED = "{ id name }"
FIELDS = {
    ORDER: "id pre_order_id order_no name01 name02 kana01 kana02 email phone_number postal_code addr01 addr02 birth "
    "subtotal discount delivery_fee_total charge tax total payment_total payment_method currency_code add_point "
    f"use_point order_date payment_date create_date update_date OrderStatus {_NAMED} Pref {_NAMED} Customer {{ id }} "
    "OrderItems { id product_name product_code class_category_name1 class_category_name2 price quantity tax tax_rate "
    f"OrderItemType {_NAMED} Product {{ id }} ProductClass {{ id }} }}",
    CUSTOMER: "id name01 name02 kana01 kana02 email phone_number postal_code addr01 addr02 birth create_date "
    f"update_date point Status {_NAMED} Sex {_NAMED} Job {_NAMED} Pref {_NAMED}",
    PRODUCT: f"id name create_date update_date Status {_NAMED} ProductClasses {{ id code stock stock_unlimited price01 "
    "price02 visible }",
}
"""Only fields of the plugin's allow-list; nothing that is not used."""


def _ask(query: str) -> Call:
    return Call(path="/api", body=json.dumps({"query": query}).encode())


def _data(answer: Answer) -> Document:
    """What was asked for. GraphQL tells its errors with status 200."""
    errors, data = answer.document.get("errors"), answer.document.get("data")
    if isinstance(errors, list) and errors:
        first = errors[0] if isinstance(errors[0], dict) else {}
        raise MisconfiguredError(f"EC-CUBE refuses the query: {str(first.get('message', ''))[:120]}")
    if not isinstance(data, dict):
        raise UnavailableError("an answer without data")
    return data


def _feed(entity: str, listed: str) -> Feed:
    def call(connection: Connection, window: Window, position: str | None) -> Call:
        since = window.since.strftime("%Y-%m-%dT%H:%M:%S+00:00")
        arguments = f'update_datetime_start: "{since}", page: {position or 1}, limit: {LIMIT}'
        return _ask(
            f"{{ {listed}({arguments}) {{ nodes {{ {FIELDS[entity]} }} totalCount pageInfo {{ hasNextPage }} }} }}"
        )

    def page(answer: Answer, position: str | None) -> Page:
        found = _data(answer).get(listed)
        if not isinstance(found, dict):
            raise UnavailableError(f"an answer without its list {listed!r}")
        info, total = found.get("pageInfo"), found.get("totalCount")
        more = isinstance(info, dict) and info.get("hasNextPage") is True
        following = str(int(position or 1) + 1) if more else None
        return Page(records(found, "nodes"), following, total if isinstance(total, int) else None)

    def request(record: Record, connection: Connection) -> Request:
        return polled_request(entity, record.body)

    return Feed(name=entity, call=call, page=page, request=request, known_from_webhooks=True)


def _read_back(notice: Envelope) -> tuple[Call, Callable[[Answer], Request | None]] | None:
    named = named_by(notice)
    if named is None:
        return None
    entity, key, _ = named

    def request_of(answer: Answer) -> Request | None:
        found = _data(answer).get(entity)
        return polled_request(entity, found) if isinstance(found, dict) else None

    return _ask(f"{{ {entity}(id: {int(key)}) {{ {FIELDS[entity]} }} }}"), request_of


def _refresh(connection: Connection, refresh_token: str) -> Call:
    return refresh_call("/token", connection, refresh_token)


VENDOR = Vendor(
    name=NAME,
    api_url=None,
    # Its documents call `/api` the address; the tokens are beside it.
    drops="/api",
    headers=bearer,
    feeds=(_feed(ORDER, "orders"), _feed(CUSTOMER, "customers")),
    requests_per_second=2,
    every=timedelta(hours=1),
    refresh=RefreshPlan(call=_refresh),
    read_back=_read_back,
)
