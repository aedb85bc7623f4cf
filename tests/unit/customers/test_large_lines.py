"""A row may hold 400 KB: what does not fit is left to the lake, so that its person is known all the same."""

from __future__ import annotations

from dataclasses import replace

from shared.core.ids import digest
from shared.customers.fold import apply
from shared.customers.identity import MAX_LINES, MAX_TITLE, _kept
from shared.customers.items import dump
from shared.customers.model import Order
from shared.customers.rules import ATTRIBUTES_KEPT
from shared.customers.store import MemoryCustomerStore
from shared.ingest.model import Event, EventType, Line, ProfileFacts
from tests.unit.customers.test_fold import apply_all, everyone, fold
from tests.unit.customers.world import KEYS, SHOP, a_person, an_event

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


def a_call(number: int) -> Event:
    """An `identify` whose traits have other names each time."""
    said = {f"custom/{number}-{n}": digest(str(number), str(n)) + digest(str(n), str(number)) for n in range(40)}
    return an_event(EventType.CUSTOMER_UPDATED, ProfileFacts(attributes=said), number, person=a_person("1"))


def test_names_made_up_with_every_call_do_not_fill_the_row_of_a_person() -> None:
    store = MemoryCustomerStore()
    born = an_event(EventType.CUSTOMER_UPDATED, ProfileFacts(attributes={"gender": "female"}), 0, person=a_person("1"))
    calls = [a_call(number) for number in range(1, 16)]
    apply_all([born, *reversed(calls)], store)
    (person,) = everyone(store).values()
    assert len(person.attributes) == 1 + ATTRIBUTES_KEPT
    assert {"gender", "custom/15-39"} <= person.attributes.keys()
    assert "custom/1-0" not in person.attributes
    assert everyone(store) == fold([born, *calls])
    assert all(apply(event, store, KEYS, SHOP).changed == () for event in (born, calls[0], calls[-1]))
