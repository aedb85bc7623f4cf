"""WooCommerce: what its bodies mean, and the traps in them."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, cast

import pytest

from shared.core.errors import RejectedError
from shared.ingest.adapter import Request
from shared.ingest.connections import MemoryConnections
from shared.ingest.model import CartFacts, Event, EventType, OrderFacts
from shared.ingest.oversize import MemoryOversize
from shared.ingest.receive import Answer, ReceiveDeps, receive
from shared.ingest.sources.woocommerce import ADAPTER, STATUSES, TOPICS, Meaning, meaning, signature
from shared.ingest.store import MemoryEventStore
from tests.contract.carts.carts import CARTS, NOW, Sample

CART = CARTS["woocommerce"]
SAMPLES = {sample.name: sample for sample in CART.samples()}


def changed(name: str, **changes: Any) -> Sample:
    """A sample with some fields changed."""
    return replace(SAMPLES[name], body={**SAMPLES[name].body, **changes})


def only(sample: Sample) -> Event:
    """The one event of a sample."""
    (event,) = CART.read(sample)
    return event


def order(sample: Sample) -> OrderFacts:
    """The order of a sample."""
    facts = only(sample).facts
    assert isinstance(facts, OrderFacts)
    return facts


SAID = {
    "action.woocommerce_add_to_cart": EventType.UNKNOWN,
    "coupon.created": EventType.UNKNOWN,
    "customer.created@names-in-the-bill": EventType.CUSTOMER_UPDATED,
    "customer.deleted": EventType.CUSTOMER_DELETED,
    "customer.restored": EventType.CUSTOMER_UPDATED,
    "customer.updated": EventType.CUSTOMER_UPDATED,
    "order.created": EventType.ORDER_PLACED,
    "order.created@bank-transfer": EventType.ORDER_PLACED,
    "order.created@guest-dollars": EventType.ORDER_PLACED,
    "order.created@numbers-for-text": EventType.ORDER_PLACED,
    "order.created@renewal": EventType.ORDER_PLACED,
    "order.deleted": EventType.ORDER_DELETED,
    "order.restored": EventType.ORDER_UPDATED,
    "order.updated@cancelled": EventType.ORDER_CANCELLED,
    "order.updated@draft-becomes-order": EventType.ORDER_UPDATED,
    "order.updated@draft-of-a-guest": EventType.CHECKOUT_UPDATED,
    "order.updated@draft-without-mail": EventType.CHECKOUT_UPDATED,
    "order.updated@failed": EventType.ORDER_CANCELLED,
    "order.updated@partial-refund": EventType.ORDER_UPDATED,
    "order.updated@refunded": EventType.ORDER_UPDATED,
    "order.updated@status-of-a-plugin": EventType.ORDER_UPDATED,
    "order.updated@typed-in-by-the-shop": EventType.UNKNOWN,
    "order.updated@without-status": EventType.UNKNOWN,
    "order.updated@wrapped": EventType.ORDER_UPDATED,
    "order.created@coupon-and-kana": EventType.ORDER_PLACED,
    "product.created": EventType.PRODUCT_UPDATED,
    "product.deleted": EventType.PRODUCT_UPDATED,
    "product.restored": EventType.PRODUCT_UPDATED,
    "product.updated": EventType.PRODUCT_UPDATED,
    "product.updated@sold-out": EventType.PRODUCT_UPDATED,
    "subscription.created": EventType.SUBSCRIPTION_UPDATED,
    "subscription.deleted": EventType.SUBSCRIPTION_UPDATED,
    "subscription.restored": EventType.SUBSCRIPTION_UPDATED,
    "subscription.switched": EventType.SUBSCRIPTION_UPDATED,
    "subscription.updated": EventType.SUBSCRIPTION_UPDATED,
    "subscription.updated@cancelled": EventType.SUBSCRIPTION_UPDATED,
    "subscription.updated@paused": EventType.SUBSCRIPTION_UPDATED,
    "subscription.updated@payment-failed": EventType.SUBSCRIPTION_UPDATED,
    "subscription.updated@pending-cancel": EventType.SUBSCRIPTION_UPDATED,
}


def test_every_sample_says_what_it_should_and_every_topic_has_one() -> None:
    assert {name: only(sample).event_type for name, sample in SAMPLES.items()} == SAID
    assert {sample.topic for sample in SAMPLES.values()} >= set(TOPICS)


def test_an_order_in_full() -> None:
    facts = order(SAMPLES["order.created"])
    assert (facts.order_id, facts.number, facts.currency, facts.total) == ("7001", "7001", "JPY", 5040)
    assert facts.ordered_at == datetime(2026, 11, 3, 3, 0, 1, tzinfo=UTC)
    assert facts.paid
    (line,) = facts.lines
    # (4110 + 329) / 2 pieces = 2219.5: prices are shown with tax here (内税).
    assert (line.product_id, line.variant_id, line.quantity, line.unit_amount) == ("301", None, 2, 2220)
    assert line.image_url == "https://mise.example.jp/wp/tea.jpg"
    person = only(SAMPLES["order.created"]).person
    assert (person.source_customer_id, person.email) == ("41", "ichiyo.higuchi@example.jp")
    assert (person.last_name, person.first_name) == ("樋口", "一葉"), "the buyer's, not the receiver's"


def test_a_bank_transfer_is_an_order_and_not_paid_yet_and_yen_may_have_decimals() -> None:
    facts = order(SAMPLES["order.created@bank-transfer"])
    assert (facts.total, facts.paid) == (5040, False)


def test_cash_on_delivery_is_processing_and_not_paid() -> None:
    assert not order(changed("order.created", date_paid_gmt=None, payment_method="cod")).paid


def test_a_guest_is_no_customer_number_and_dollars_are_cents() -> None:
    sample = SAMPLES["order.created@guest-dollars"]
    assert only(sample).person.source_customer_id is None
    facts = order(sample)
    assert (facts.currency, facts.total) == ("USD", 2935)
    assert facts.lines[0].unit_amount == 667, "20.00 / 3 pieces, without tax where prices are shown without"
    assert facts.checkout_token is None, "only the block checkout makes drafts"


def test_numbers_and_text_are_the_same() -> None:
    facts = order(SAMPLES["order.created@numbers-for-text"])
    assert (facts.order_id, facts.number, facts.total, facts.paid) == ("7004", "7004", 5040, False)
    assert (facts.lines[0].quantity, facts.lines[0].unit_amount) == (2, 1080), "1.5 of something is two pieces"
    assert only(SAMPLES["order.created@numbers-for-text"]).person.source_customer_id == "41"


def test_an_empty_bill_is_a_list_in_php() -> None:
    event = only(changed("order.created", billing=[]))
    assert (event.person.email, event.person.source_customer_id) == (None, "41")
    with pytest.raises(RejectedError, match="billing"):
        only(changed("order.created", billing=["x"]))


def test_refunds_are_negative_there_and_positive_here() -> None:
    assert [(r.refund_id, r.amount) for r in order(SAMPLES["order.updated@partial-refund"]).refunds] == [("7050", 2220)]
    refunded = order(SAMPLES["order.updated@refunded"])
    assert sum(refund.amount for refund in refunded.refunds) == refunded.total
    assert refunded.paid


def test_a_draft_is_a_checkout_and_never_an_order() -> None:
    for name in ("order.created", "order.updated@partial-refund"):
        event = only(changed(name, status="checkout-draft"))
        assert event.event_type is EventType.CHECKOUT_UPDATED
        assert isinstance(event.facts, CartFacts)
    draft = cast("CartFacts", only(SAMPLES["order.updated@draft-of-a-guest"]).facts)
    assert (draft.token, draft.total, len(draft.lines)) == ("7009", 5040, 1)
    assert (draft.recovery_url, draft.completed_at) == (None, None)


def test_the_order_a_draft_becomes_names_its_checkout() -> None:
    draft, became = only(SAMPLES["order.updated@draft-of-a-guest"]), only(SAMPLES["order.updated@draft-becomes-order"])
    assert isinstance(draft.facts, CartFacts)
    assert isinstance(became.facts, OrderFacts)
    assert became.facts.checkout_token == draft.facts.token
    assert set(draft.person.anonymous_ids) == set(became.person.anonymous_ids) == {"checkout/7009"}
    assert draft.subject == became.subject, "one partition: the stream keeps their order"


@pytest.mark.parametrize("status", ["", None, 7, "draft", "auto-draft", "trash", "wc-trash"])
def test_what_may_be_no_order_is_none(status: object) -> None:
    assert only(changed("order.created", status=status)).event_type is EventType.UNKNOWN


def test_a_status_of_a_plugin_claims_nothing() -> None:
    assert meaning({"status": "wc-packed"}) is meaning({"status": "予約"}) is Meaning.UNKNOWN
    assert meaning({"status": "wc-completed"}) is Meaning.PAID
    assert Meaning.UNKNOWN not in STATUSES.values()
    assert order(changed("order.created", status="packed", date_paid_gmt="")).paid is False


def test_a_cancelled_order_says_when() -> None:
    assert order(SAMPLES["order.updated@cancelled"]).cancelled_at == datetime(2026, 11, 6, 3, tzinfo=UTC)


def test_a_time_is_utc_though_it_does_not_say_so_and_the_local_one_counts_only_alone() -> None:
    facts = order(changed("order.created", date_created="2001-01-01T00:00:00"))
    assert facts.ordered_at == datetime(2026, 11, 3, 3, 0, 1, tzinfo=UTC)
    alone = order(changed("order.created", date_created_gmt=None, date_created="2026-11-03T12:00:01"))
    assert alone.ordered_at == datetime(2026, 11, 3, 3, 0, 1, tzinfo=UTC)
    with pytest.raises(RejectedError, match="date_created_gmt"):
        order(changed("order.created", date_created_gmt=None, date_created=None))


def test_the_later_change_wins_and_within_a_second_the_one_sent_last() -> None:
    def version(modified: str, received: datetime) -> str:
        sample = changed("order.created", date_modified_gmt=modified)
        request = CART.ask(sample.topic, sample.raw)
        (envelope,) = ADAPTER.envelopes(request, CART.connection, received)
        return ADAPTER.events(envelope)[0].version

    soon = NOW + timedelta(seconds=3)
    assert version("2026-11-03T03:00:05", soon) > version("2026-11-03T03:00:05", NOW)
    assert version("2026-11-03T03:00:06", NOW) > version("2026-11-03T03:00:05", soon)


def test_the_same_bytes_within_a_minute_are_one_delivery_and_later_another() -> None:
    def event_id(at: datetime, topic: str = "order.deleted", raw: bytes = b'{"id":7008}') -> str:
        (envelope,) = ADAPTER.envelopes(CART.ask(topic, raw), CART.connection, at)
        return envelope.event_id

    assert event_id(NOW) == event_id(NOW + timedelta(seconds=29))
    others = {event_id(NOW + timedelta(minutes=1)), event_id(NOW, "customer.deleted"), event_id(NOW, raw=b'{"id":7}')}
    assert len({event_id(NOW), *others}) == 4


def test_saving_a_webhook_sends_an_unsigned_ping_that_is_answered_and_not_kept() -> None:
    store = MemoryEventStore(MemoryOversize())
    deps = ReceiveDeps(MemoryConnections(CART.connection), store)
    form = {"content-type": "application/x-www-form-urlencoded", "user-agent": "WooCommerce/10.3.0 Hookshot"}
    ping = Request(form, b"webhook_id=142")
    assert receive(ping, CART.connection.connection_id, deps, NOW) == Answer(200, "nothing to keep")
    for body in (b"webhook_id=142&x=1", b"webhook_id=", b" webhook_id=142", b"webhook_id=142\n", b"webhook_id=1x", b""):
        assert receive(Request(form, body), CART.connection.connection_id, deps, NOW).status == 401, body
    dressed = Request({**form, "x-wc-webhook-topic": "order.created"}, ping.body)
    assert receive(dressed, CART.connection.connection_id, deps, NOW).status == 401
    assert store.rows == {}


def test_a_ping_to_a_connection_without_a_secret_is_refused() -> None:
    assert not ADAPTER.verify(Request({}, b"webhook_id=142"), replace(CART.connection, secret=""), NOW)


@pytest.mark.parametrize("kept_as", ["a&b", "a&amp;b"])
def test_a_secret_may_be_stored_escaped(kept_as: str) -> None:
    assert signature(kept_as, b'{"id":118}') == b"wTbkdXSd3lPFsdqnizhA/V9uIVlrBVHHkeBHD8wjyLU="


@pytest.mark.parametrize(
    ("source", "believed"),
    [
        ("https://mise.example.jp/", True),
        ("http://MISE.example.jp:8443/shop/", True),
        ("https://other.example.jp/", False),
        ("mise.example.jp", False),
        ("https://[", False),
        ("", False),
    ],
)
def test_the_site_that_sent_it_is_compared(source: str, believed: bool) -> None:
    request = CART.ask("order.deleted", b'{"id":1}')
    headers = {**request.headers, "x-wc-webhook-source": source}
    assert ADAPTER.verify(Request(headers, request.body), CART.connection, NOW) is believed


def test_an_amount_out_of_all_reason_is_refused() -> None:
    line = {**SAMPLES["order.created"].body["line_items"][0], "quantity": 1e-40}
    with pytest.raises(RejectedError):
        order(changed("order.created", line_items=[line]))


def test_a_webhook_of_the_legacy_api_is_told_what_to_set() -> None:
    legacy = b'{"order": {"id": 645, "order_number": 645, "created_at": "2026-11-02T01:15:30Z", "total": "2580.00"}}'
    with pytest.raises(RejectedError, match="WP REST API Integration v3"):
        ADAPTER.envelopes(CART.ask("order.created", legacy), CART.connection, NOW)


def test_an_error_in_the_place_of_an_order_is_told_what_to_do() -> None:
    error = b'{"code": "woocommerce_rest_cannot_view", "message": "...", "data": {"status": 403}}'
    with pytest.raises(RejectedError, match="user who saved the webhook"):
        ADAPTER.envelopes(CART.ask("order.updated", error), CART.connection, NOW)
