"""A row may hold 400 KB: what does not fit is left to the lake, so that its person is known all the same."""

from __future__ import annotations

from dataclasses import replace

from shared.customers.identity import MAX_LINES, MAX_TITLE, _kept
from shared.customers.items import dump
from shared.customers.model import Order
from shared.ingest.model import Line

LINE = Line(
    product_id="9" * 20,
    variant_id="9" * 20,
    title="長い商品名" * 200,
    quantity=999_999,
    unit_amount=999_999_999_999,
)


def test_the_longest_order_fits_into_a_row() -> None:
    order = Order("shopify", "a.myshopify.com", "1", None, "JPY", 1)
    kept = replace(order, lines=_kept((LINE,) * 5_000))
    assert len(kept.lines) == MAX_LINES
    assert {len(line.title) for line in kept.lines} == {MAX_TITLE}
    assert len(dump(kept).encode()) < 380_000


def test_ordinary_lines_are_kept_as_they_are() -> None:
    lines = (replace(LINE, title="南部鉄器 急須"),) * 3
    assert _kept(lines) == lines
