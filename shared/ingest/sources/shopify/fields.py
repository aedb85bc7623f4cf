"""What bodies of Shopify have in common: money in up to three currencies, lines, tags, tokens."""

from __future__ import annotations

import re
from collections.abc import Sequence

from shared.ingest import body as read
from shared.ingest.body import Body
from shared.ingest.derive import unknown
from shared.ingest.model import Envelope, Event, Line

NAME = "shopify"
GID = "admin_graphql_api_id"
"""Beside `id`, where that is a number too large for what reads JSON as floats."""
WORD = re.compile(r"[a-z_]{1,40}", re.ASCII)
"""One of the vendor's own words; anything else may be somebody's text."""


def tag_list(body: Body) -> Sequence[str]:
    """Tags of an order or customer: one text with commas, a list where an app writes it through GraphQL."""
    if isinstance(body.get("tags"), list):
        return read.strings(body, "tags")
    return (read.text(body, "tags") or "").split(",")


def money(body: Body, name: str, currency: str) -> int | None:
    """An amount in the shop's currency: of three currencies in one order, only shop_money is revenue.

    Converted amounts come finer than the smallest coin (`"1523.45"` yen): rounded rather than an order lost.
    """
    amounts = read.inner(body, f"{name}_set")
    shop_money = read.inner(amounts, "shop_money") if amounts else None
    told = read.number(shop_money, "amount") if shop_money else None
    value = read.number(body, name) if told is None else told
    return None if value is None else read.rounded(value, currency)


def shop_currency(body: Body, name: str) -> str | None:
    """The currency of the shop, where an amount is told in several."""
    return set_currency(read.inner(body, f"{name}_set"))


def set_currency(amounts: Body | None) -> str | None:
    """The currency of the shop's side of a money set."""
    shop_money = read.inner(amounts, "shop_money") if amounts else None
    return read.currency(shop_money, "currency_code") if shop_money else None


def lines_of(body: Body, currency: str | None) -> tuple[Line, ...]:
    """The lines of an order, cart or checkout; without a currency they cost nothing."""
    return tuple(_line(line, currency) for line in read.items(body, "line_items"))


def _line(line: Body, currency: str | None) -> Line:
    return Line(
        # A line typed in by the shop has no product.
        product_id=read.identifier(line, "product_id") or "custom",
        variant_id=read.identifier(line, "variant_id"),
        title=read.text(line, "title") or read.text(line, "name") or "",
        quantity=read.count(line, "quantity"),
        unit_amount=max(0, money(line, "price", currency) or 0) if currency else 0,
        image_url=read.web_address(line, "image_url"),
        subscription=bool(line.get("selling_plan_allocation")),
    )


def cart_token(body: Body, *names: str) -> str | None:
    """A cart's token; `?key=…`, which only some bodies and pages append to it, is no part of its name."""
    written = (read.text(body, name) for name in names or ("token", "id"))
    return next((token for each in written if each and (token := each.partition("?")[0])), None)


def anonymous_ids(checkout_token: str | None, cart_token: str | None) -> tuple[str, ...]:
    """What a body without a customer is known by."""
    named = (("checkout", checkout_token), ("cart", cart_token))
    return tuple(f"{kind}/{token}" for kind, token in named if token)


def unread(envelope: Envelope, body: Body) -> Sequence[Event]:
    """A topic that says nothing we use (an edited order comes again as orders/updated, with totals)."""
    return (unknown(envelope),)
