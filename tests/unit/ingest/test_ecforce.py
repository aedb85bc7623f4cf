"""ecforce: our template, our signature, and what its orders say."""

from __future__ import annotations

import json
import re
from dataclasses import replace
from typing import Any

import pytest

from shared.core.errors import RejectedError
from shared.core.ids import TenantId
from shared.core.keys import KeyRing
from shared.core.shop import Shop
from shared.customers.reference import fold_all
from shared.ingest.adapter import Request
from shared.ingest.model import Event, EventType, OrderFacts, OrderStatusFacts
from shared.ingest.sources.ecforce import ADAPTER, HEADER, MAX_BODY, TEMPLATE, UNREADABLE, signature, template
from tests.contract.carts.carts import CARTS, NOW, SECRET, Sample

CART = CARTS["ecforce"]
SAMPLES = {sample.name: sample for sample in CART.samples()}
E = EventType

SAID = {
    "customer_updated": E.UNKNOWN,
    "order_canceled": E.ORDER_CANCELLED,
    "order_complete": E.ORDER_PLACED,
    "order_completed": E.ORDER_PLACED,
    "order_completed@once-unpaid": E.ORDER_PLACED,
    "order_completed@template-0": E.ORDER_PLACED,
    "order_created": E.ORDER_PLACED,
    "order_delivered": E.ORDER_UPDATED,
    "order_shipped": E.ORDER_UPDATED,
    "order_updated": E.UNKNOWN,
    "subs_order_canceled": E.UNKNOWN,
}


def only(sample: Sample) -> Event:
    (event,) = CART.read(sample)
    return event


def order(name: str, **changes: Any) -> OrderFacts:
    facts = only(replace(SAMPLES[name], body={**SAMPLES[name].body, **changes})).facts
    assert isinstance(facts, OrderFacts)
    return facts


def test_every_sample_says_what_it_should() -> None:
    assert {name: only(sample).event_type for name, sample in SAMPLES.items()} == SAID


def test_an_order_in_full() -> None:
    event, facts = only(SAMPLES["order_completed"]), order("order_completed")
    assert (facts.order_id, facts.number, facts.total, facts.currency) == ("70012", "R0070012", 4_980, "JPY")
    assert (facts.paid, facts.delivery_number) == (True, 2)
    person = event.person
    assert (person.last_name, person.first_name_kana, person.phone) == ("樋口", "イチヨウ", "090-0000-0001")
    assert (person.postal_code, person.prefecture, person.address) == ("113-0033", "東京都", "文京区 本郷0-0-0")
    once = order("order_completed@once-unpaid")
    assert (once.paid, once.delivery_number, once.total) == (False, None, 1_980)


@pytest.mark.parametrize(
    ("name", "status"), [("shipped", "shipped"), ("delivered", "delivered"), ("canceled", "cancelled")]
)
def test_later_notices_are_steps_of_the_order(name: str, status: str) -> None:
    event = only(SAMPLES[f"order_{name}"])
    assert isinstance(event.facts, OrderStatusFacts)
    assert (event.facts.status, event.facts.order_id) == (status, "70012")
    assert event.person.source_customer_id == "3001"


def test_the_template_renders_to_a_body_the_adapter_reads() -> None:
    """Filled in as Liquid would: every variable as JSON text."""
    text = template("order_completed", SECRET)
    rendered = re.sub(r"\{\{ payment\.([a-z0-9_.]+) \| json \}\}", _value, text)
    body = json.loads(rendered)
    assert (body["event"], body["secret"]) == ("order_completed", SECRET)
    assert set(body) <= set(SAMPLES["order_completed"].body)
    event = only(Sample("rendered", "", body))
    assert isinstance(event.facts, OrderFacts)
    assert event.facts.total == 4_980


def _value(variable: re.Match[str]) -> str:
    name = variable.group(1)
    return json.dumps({"order.total": "4980", "order.times": "2"}.get(name, '花子 "はな"'))


def test_only_variables_the_vendor_names_are_in_the_template() -> None:
    names = set(re.findall(r"\{\{ ([a-z0-9_.]+) \| json \}\}", TEMPLATE.read_text()))
    address = "prefecture_id name01 name02 kana01 kana02 zip01 zip02 addr01 addr02 addr03 tel01 tel02 tel03"
    assert names == {
        *(f"payment.order.{name}" for name in ("id", "number", "times", "state", "total")),
        *(f"payment.order.customer.{name}" for name in ("id", "number", "email")),
        *(f"payment.order.billing_address.{name}" for name in address.split()),
        "payment.state",
        "payment.payment_method.name",
    }


def test_a_template_of_nonsense_is_refused() -> None:
    with pytest.raises(RejectedError, match="order_completed"):
        template('order", "secret": "', SECRET)


def believed(raw: bytes, **headers: str) -> bool:
    return ADAPTER.verify(Request(headers, raw), CART.connection, NOW)


def holding(secret: str) -> bytes:
    return json.dumps({**SAMPLES["order_completed"].body, "secret": secret}).encode()


def test_without_the_header_the_secret_in_the_body_is_believed() -> None:
    assert believed(holding(SECRET))
    for wrong in ("", SECRET[:-1], SECRET + "0", SECRET.upper(), "CONNECTION_SECRET"):
        assert not believed(holding(wrong)), wrong
    assert not believed(b"{}")


def test_a_header_that_is_there_must_be_right_whatever_the_body_holds() -> None:
    raw = holding(SECRET)
    assert believed(raw, **{HEADER: signature(SECRET, raw).decode()})
    for wrong in ("", "x", signature(SECRET, raw + b" ").decode(), signature("other", raw).decode()):
        assert not believed(raw, **{HEADER: wrong})


def test_a_secret_of_an_empty_connection_or_in_a_huge_body_is_nobodys() -> None:
    empty = replace(CART.connection, secret="")
    assert not ADAPTER.verify(Request({}, holding("")), empty, NOW)
    assert not believed(b" " * MAX_BODY + holding(SECRET))


def test_a_body_that_is_no_json_is_kept_as_it_came() -> None:
    """A quote in a name, where the template was pasted without its filter."""
    raw = holding(SECRET).replace(b'"id": "70012"', b'"name02": "\xe8\x8a\xb1\xe5\xad\x90 "\xe3\x81\xaf\xe3\x81\xaa""')
    assert believed(raw)
    (kept,) = ADAPTER.envelopes(Request({}, raw), CART.connection, NOW)
    assert (kept.topic, kept.raw) == (UNREADABLE, raw)
    with pytest.raises(RejectedError):
        ADAPTER.events(kept)


@pytest.mark.parametrize("body", [b"{}", b'{"event": 5}', b'{"event": "a b"}', b'{"event": "order_shipped"}'])
def test_a_body_our_template_never_writes_is_refused(body: bytes) -> None:
    with pytest.raises(RejectedError, match=r"event|id"):
        ADAPTER.envelopes(Request({}, body), CART.connection, NOW)


def test_a_list_is_kept_as_it_came() -> None:
    (kept,) = ADAPTER.envelopes(Request({}, b"[]"), CART.connection, NOW)
    assert kept.topic == UNREADABLE


def test_a_cancelled_order_counts_no_more_whichever_notice_came_first() -> None:
    placed, cancelled = only(SAMPLES["order_completed"]), only(SAMPLES["order_canceled"])
    keys, shop = KeyRing(personal=b"k", links={"1": b"l"}), Shop(TenantId("sample"), "見本商店")
    for events in ([placed, cancelled], [cancelled, placed]):
        (person,) = fold_all(events, keys, shop).values()
        assert (person.profile.summary.order_count, [order.cancelled for order in person.orders]) == (0, [True])
    (person,) = fold_all([placed], keys, shop).values()
    assert person.profile.summary.total_amount == 4_980
