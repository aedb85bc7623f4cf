"""Merging and consent: the pure decisions about customers."""

from __future__ import annotations

import itertools
import random
from dataclasses import replace
from datetime import timedelta

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from shared.core.ids import TenantId
from shared.customers import rules
from shared.customers.identity import record_of, refs_of
from shared.customers.model import ConsentEntry, ConsentStatus, Record, Suppressed, Suppression
from shared.ingest.model import EventType, OrderStatusFacts
from tests.unit.customers.world import (
    EVENTS,
    KEYS,
    START,
    STORE,
    TENANT,
    a_cart,
    a_person,
    a_refund,
    an_event,
    an_order,
    minute,
)

# --- joining ---------------------------------------------------------------------------------------------------------
RECORDS = st.lists(EVENTS, min_size=3, max_size=8).map(
    lambda events: [
        record_of(replace(event, event_id=f"e{n}"), refs_of(event, KEYS), KEYS) for n, event in enumerate(events)
    ]
)


@settings(max_examples=250, deadline=None)
@given(RECORDS)
def test_records_join_like_sets(records: list[Record]) -> None:
    one, two, *others = records
    rest = rules.join(others)
    assert rules.join([one, two]) == rules.join([two, one])
    assert rules.join([rules.join([one, two]), rest]) == rules.join([one, rules.join([two, rest])])
    assert rules.join([one, one]) == rules.join([one])
    whole = rules.join(records)
    assert rules.join([whole, one, two]) == whole
    assert rules.settle(rules.join([rules.settle(one), two])) == rules.settle(rules.join([one, two]))


def test_the_newest_body_counts_refunds_add_up_and_a_cancel_stays() -> None:
    events = [
        an_order("o1", 1, total=1000, version="1", refunds={"r1": 100}),
        an_order("o1", 2, total=3000, version="3"),
        an_order("o1", 3, total=2000, version="2", refunds={"r2": 50}),
        a_refund("o1", "r1", 100, 4),
    ]
    for arriving in itertools.permutations(events):
        (order,) = rules.join(record_of(event, (), KEYS) for event in arriving).orders.values()
        assert (order.total, dict(order.refunds), order.amount) == (3000, {"r1": 100, "r2": 50}, 2850)
    cancelled = an_order("o1", 1, version="0", cancelled=True)
    (order,) = rules.join(record_of(event, (), KEYS) for event in [*events, cancelled]).orders.values()
    assert (order.valid, order.amount) == (False, 0)


def test_an_order_whose_payment_failed_and_was_made_counts() -> None:
    failed = an_order("o1", 1, total=3000, version="1", cancelled=True)
    paid = an_order("o1", 2, total=3000, version="2")
    refunded = a_refund("o1", "r1", 500, 3)
    for arriving in itertools.permutations([failed, paid, refunded]):
        (order,) = rules.join(record_of(event, (), KEYS) for event in arriving).orders.values()
        assert (order.valid, order.amount) == (True, 2500)
    step = OrderStatusFacts(order_id="o1", status="cancelled")
    stays = an_event(EventType.ORDER_CANCELLED, step, 1)
    for arriving in itertools.permutations([stays, failed, paid]):
        (order,) = rules.join(record_of(event, (), KEYS) for event in arriving).orders.values()
        assert (order.valid, order.amount) == (False, 0)


_BODIES = st.lists(st.tuples(st.sampled_from("0123"), st.booleans(), st.integers(0, 900)), min_size=1, max_size=6)


@settings(max_examples=200, deadline=None)
@given(_BODIES, st.randoms(use_true_random=False), st.integers(0, 3))
def test_the_latest_body_says_whether_an_order_is_cancelled(
    bodies: list[tuple[str, bool, int]], chance: random.Random, refunds: int
) -> None:
    events = [
        an_order("o1", n, version=version, cancelled=cancelled, total=total, event_id=f"e{n}")
        for n, (version, cancelled, total) in enumerate(bodies)
    ]
    events += [a_refund("o1", f"r{n}", 100, 20 + n) for n in range(refunds)]
    arriving = [*events, *chance.sample(events, chance.randint(0, len(events)))]
    chance.shuffle(arriving)
    known = Record()
    for event in arriving:
        known = rules.join([known, record_of(event, (), KEYS)])
    (order,) = known.orders.values()
    newest = max(version for version, _, _ in bodies)
    gone = any(said for version, said, _ in bodies if version in {newest, "0"})
    assert order.cancelled is gone
    amounts = [total for version, _, total in bodies if version == newest]
    assert order.amount == (0 if gone else max(0, amounts[-1] - 100 * refunds))


@pytest.mark.parametrize("arriving", list(itertools.permutations(range(3))))
def test_a_cart_is_its_newest_version_and_stays_completed(arriving: tuple[int, ...]) -> None:
    events = [
        a_cart("t1", 1, version="1", event_id="c", completed=True),
        a_cart("t1", 2, version="3", event_id="a"),
        a_cart("t1", 3, version="2", event_id="b"),
    ]
    (cart,) = rules.join(record_of(events[n], (), KEYS) for n in arriving).carts.values()
    assert (cart.version, cart.completed_at, cart.open) == ("3", minute(1), False)


def test_a_refund_with_a_version_of_its_own_never_hides_the_orders_body() -> None:
    refund = a_refund("o1", "r1", 100, 9, version="9")
    records = [record_of(event, (), KEYS) for event in (refund, an_order("o1", 1, version=""))]
    assert rules.join(records).orders == rules.join(records[::-1]).orders
    (order,) = rules.join(records).orders.values()
    assert (order.valid, order.amount) == (True, 1100)


def test_refunds_beyond_the_total_never_make_an_amount_negative() -> None:
    (order,) = record_of(an_order("o1", 1, total=100, refunds={"r1": 400}), (), KEYS).orders.values()
    assert order.amount == 0


def test_the_summary_counts_valid_orders_and_leaves_other_currencies_amounts_out() -> None:
    events = [
        an_order("o1", 1, total=1000, ordered_at=minute(1)),
        an_order("o2", 2, total=500, ordered_at=minute(5), currency="USD"),
        an_order("o3", 3, total=9000, ordered_at=minute(9), test=True),
        an_order("o4", 4, total=9000, ordered_at=minute(0), cancelled=True),
        a_refund("o5", "r1", 100, 5),
    ]
    orders = rules.join(record_of(event, (), KEYS) for event in events).orders
    summary = rules.summary(orders.values(), "JPY")
    assert (summary.order_count, summary.total_amount) == (2, 1000)
    assert (summary.first_ordered_at, summary.last_ordered_at) == (minute(1), minute(5))


def test_ids_come_from_the_strongest_ref_whatever_else_is_known() -> None:
    event = an_order("o1", 1, person=a_person("1", "a@example.com"), checkout="t1")
    refs = refs_of(event, KEYS)
    assert [ref.partition(":")[0] for ref in refs] == ["customer", "email", "anon", "anon"]
    assert rules.canonical_id(refs) == rules.canonical_id(refs[:1]) != rules.canonical_id(refs[1:])


@pytest.mark.parametrize("nobody", ["", "0"])
def test_customer_number_zero_is_nobody(nobody: str) -> None:
    assert [ref[:4] for ref in refs_of(an_order("o1", 1, person=a_person(nobody)), KEYS)] == ["anon"]


def test_refs_show_neither_addresses_nor_numbers_and_need_the_shops_key() -> None:
    refs = refs_of(an_order("777", 1, person=a_person("4242", "taro@example.com")), KEYS)
    assert not any(part in ref for ref in refs for part in ("taro", "4242", "777"))
    other = replace(KEYS, personal=b"another shop's key")
    mail = [ref for ref in refs if ref.startswith("email:")]
    assert mail != [
        ref
        for ref in refs_of(an_order("777", 1, person=a_person("4242", "taro@example.com")), other)
        if ref.startswith("email:")
    ]


# --- consent ---------------------------------------------------------------------------------------------------------
def said(granted: bool, at: int, *, by_customer: bool = True, store: str = STORE, event: str = "") -> ConsentEntry:
    return ConsentEntry(
        channel="email",
        store=store,
        granted=granted,
        at=minute(at),
        method="page" if by_customer else "import",
        basis="explicit",
        by_customer=by_customer,
        event_id=event or f"{granted}{at}{by_customer}",
    )


@pytest.mark.parametrize(
    ("ledger", "status"),
    [
        ([said(True, 1)], "opt_in"),
        ([said(True, 1), said(False, 2)], "opt_out"),
        ([said(False, 1), said(True, 2)], "opt_in"),
        ([said(False, 1), said(True, 2, by_customer=False)], "opt_out"),
        ([said(False, 1, by_customer=False), said(True, 2, by_customer=False)], "opt_out"),
        ([said(False, 1, by_customer=False), said(True, 2)], "opt_in"),
        ([said(True, 1), said(False, 2, by_customer=False)], "opt_out"),
        ([said(True, 2), said(False, 1), said(True, 3, by_customer=False)], "opt_in"),
        ([said(True, 1, by_customer=False)], "opt_in"),
        ([said(True, 1), said(False, 1)], "opt_out"),
        ([said(True, 1), said(False, 2, store="*")], "opt_out"),
        ([said(True, 3), said(False, 2, store="*")], "opt_in"),
        ([said(True, 1), said(False, 2, store="two.example.com")], "opt_in"),
    ],
)
def test_an_opt_out_stands_until_the_customer_says_otherwise(ledger: list[ConsentEntry], status: str) -> None:
    for arriving in itertools.permutations(ledger):
        current = rules.fold_consent(arriving, "email", STORE)
        assert current is not None
        assert current.status == status


def test_consent_was_never_given_where_nothing_was_said() -> None:
    assert rules.fold_consent([said(True, 1)], "sms", STORE) is None
    assert rules.fold_consent([said(True, 1)], "email", "two.example.com") is None


ENTRIES = st.builds(
    lambda granted, at, by_customer, store, n: said(granted, at, by_customer=by_customer, store=store, event=f"e{n}"),
    st.booleans(),
    st.integers(0, 8),
    st.booleans(),
    st.sampled_from([STORE, "two.example.com", "*"]),
    st.integers(0, 99),
)


@settings(max_examples=250, deadline=None)
@given(st.lists(ENTRIES, max_size=8, unique_by=lambda entry: entry.event_id), st.randoms(use_true_random=False))
def test_ledgers_fold_alike_in_any_order_and_only_the_customer_ends_an_opt_out(
    ledger: list[ConsentEntry], chance: random.Random
) -> None:
    current = rules.consents(ledger)
    shuffled = [*ledger, *ledger[:3]]
    chance.shuffle(shuffled)
    assert rules.consents(shuffled) == current
    for consent in current:
        counting = [entry for entry in ledger if entry.store in {consent.store, "*"}]
        outs = [entry.at for entry in counting if not entry.granted]
        wishes = [entry.at for entry in counting if entry.granted and entry.by_customer]
        if outs and consent.status is ConsentStatus.OPT_IN:
            assert wishes
            assert max(wishes) > max(outs)


# --- suppression -----------------------------------------------------------------------------------------------------
def soft(*days: int) -> Suppression:
    return Suppression(soft_bounces={f"b{day}": START + timedelta(days=day) for day in days})


@pytest.mark.parametrize(
    ("bounces", "day", "paused"),
    [
        (soft(0, 1), 2, False),
        (soft(0, 1, 2), 3, True),
        (soft(0, 1, 14), 15, True),
        (soft(0, 1, 15), 16, False),
        (soft(0, 1, 2), 31, True),
        (soft(0, 1, 2), 32, False),
        (soft(0, 20, 25, 30), 31, True),
    ],
)
def test_three_soft_bounces_in_two_weeks_pause_an_address_for_thirty_days(
    bounces: Suppression, day: int, paused: bool
) -> None:
    found = rules.suppressed(bounces, START + timedelta(days=day))
    assert found == (Suppressed.PAUSED if paused else None)


def test_a_complaint_outweighs_a_bounce_and_neither_heals() -> None:
    both = rules.merge_suppressions(
        Suppression({Suppressed.BOUNCED: minute(5)}), Suppression({Suppressed.COMPLAINED: minute(9)})
    )
    assert rules.suppressed(both, START + timedelta(days=9999)) is Suppressed.COMPLAINED
    earlier = rules.merge_suppressions(both, Suppression({Suppressed.BOUNCED: minute(1)}))
    assert earlier.reasons[Suppressed.BOUNCED] == minute(1)


def test_the_tenant_is_part_of_an_addresss_digest() -> None:
    event = an_order("o1", 1, person=a_person(email="a@example.com"))
    other = replace(event, tenant=TenantId("yaoya"))
    assert event.tenant == TENANT
    assert refs_of(event, KEYS)[0] != refs_of(other, KEYS)[0]
