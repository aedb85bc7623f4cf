"""Refunds (返金), in the shop's currency."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

from shared.ingest import body as read
from shared.ingest.body import Body
from shared.ingest.derive import event
from shared.ingest.model import Envelope, Event, EventType, Refund, RefundFacts
from shared.ingest.sources.shopify.fields import GID, money, set_currency, shop_currency

REFUNDED = frozenset({"success", "pending"})
"""Status of a refund transaction that moved, or is moving, money."""

_REFUND_PARTS = (
    ("refund_line_items", "subtotal"),
    ("refund_shipping_lines", "subtotal_amount"),
    ("order_adjustments", "amount"),
)


def refund_created(envelope: Envelope, body: Body) -> Sequence[Event]:
    """One refund, told without its order."""
    order_id = read.required(read.identifier(body, "order_id"), "order_id")
    refund = refund_of(body, _refund_currency(body))
    facts = RefundFacts(order_id=order_id, refunds=(refund,))
    version = read.time(body, "processed_at") or read.time(body, "created_at")
    return (event(envelope, EventType.ORDER_REFUNDED, facts, version=version),)


def refund_of(body: Body, currency: str | None) -> Refund:
    """A refund on its own or inside its order; in an unknown currency it is worth nothing."""
    refund_id = read.required(read.identifier(body, gid=GID), "id")
    return Refund(refund_id=refund_id, amount=max(0, _refunded(body, currency)) if currency else 0)


def _refunded(body: Body, currency: str) -> int:
    """The shop currency's amount of one refund: the money that moved, else the value of what was taken back.

    An unpaid order's removed line moves no money and still lowers what was ordered; its tax is not added, because
    `subtotal` holds it where prices include tax, and refunds/create does not say whether they do.
    """
    done = (
        transaction
        for transaction in read.items(body, "transactions")
        if read.word(transaction, "kind") == "refund" and read.word(transaction, "status") in REFUNDED
    )
    moved = [amount for each in done if (amount := _moved(each, body, currency)) is not None]
    if moved:
        return sum(moved)
    lines = sum(money(line, "subtotal", currency) or 0 for line in read.items(body, "refund_line_items"))
    adjustments = read.items(body, "order_adjustments")
    # Adjustments are negative where money goes back (a shipping refund is "-600").
    adjusted = sum(money(entry, "amount", currency) or 0 for entry in adjustments)
    return lines - adjusted + (0 if any(map(_is_shipping, adjustments)) else _refunded_shipping(body, currency))


def _moved(transaction: Body, refund: Body, currency: str) -> int | None:
    """What a transaction moved, in the shop's currency; it may be told in the buyer's."""
    paid_in = read.currency(transaction)
    if paid_in in (None, currency):
        return money(transaction, "amount", currency) or 0
    rate = _rate(refund, paid_in)
    return read.rounded((read.number(transaction, "amount") or Decimal(0)) * rate, currency) if rate else None


def _rate(refund: Body, paid_in: str | None) -> Decimal | None:
    """What the buyer's money is in the shop's, by the parts of a refund that are told in both."""
    shops = buyers = Decimal(0)
    for name, amount in _REFUND_PARTS:
        for part in read.items(refund, name):
            told = read.inner(part, f"{amount}_set") or {}
            ours, theirs = read.inner(told, "shop_money") or {}, read.inner(told, "presentment_money") or {}
            if read.currency(theirs, "currency_code") == paid_in:
                shops += abs(read.number(ours, "amount") or Decimal(0))
                buyers += abs(read.number(theirs, "amount") or Decimal(0))
    return shops / buyers if buyers else None


def _is_shipping(adjustment: Body) -> bool:
    return read.word(adjustment, "kind") == "shipping_refund"


def _refunded_shipping(body: Body, currency: str) -> int:
    """Shipping given back: since 2024-10 no adjustment any more; some versions tell it in both places."""
    return sum(money(line, "subtotal_amount", currency) or 0 for line in read.items(body, "refund_shipping_lines"))


def _refund_currency(body: Body) -> str | None:
    for found in (shop_currency(line, amount) for name, amount in _REFUND_PARTS for line in read.items(body, name)):
        if found:
            return found
    for transaction in read.items(body, "transactions"):
        if paid_in := read.currency(transaction):
            return paid_in
    duties = read.inner(body, "total_duties_set")
    return set_currency(duties)
