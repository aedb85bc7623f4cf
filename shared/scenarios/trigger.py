"""Follows the customers table: carts become due, orders take them out again."""

from __future__ import annotations

import json
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from shared.core.ids import ScenarioId
from shared.customers.model import Cart, Order
from shared.customers.store import ChangedRow
from shared.delivery.model import Reason
from shared.scenarios.enrolment import CartRef, Enrolment, EnrolmentState, cart_occurrence, order_occurrences
from shared.scenarios.model import LiveStatus, Scenario, Trigger
from shared.scenarios.rules import EntryRule, entering
from shared.scenarios.store import EnrolmentStore


def follow(row: ChangedRow | None, rules: Sequence[EntryRule], store: EnrolmentStore, now: datetime) -> None:
    """Act on one changed row. Safe to repeat, and to miss: what counts is checked again at the step.

    A cart that is touched again stays due at its first time: whoever collects it then sees the later touch and puts it
    off (`rules.put_off`). So a cart is a write for each hour of shopping, not for each touch; reading first whether
    there is anything to write costs a fifth of a write that is refused.
    """
    if row is None:
        return
    if row.cart is not None:
        for rule in rules:
            _follow_cart(row, row.cart, rule, store, now)
    if row.order is not None and not row.historical:
        for rule in rules:
            _follow_order(row, row.order, rule, store, now)


def _follow_cart(row: ChangedRow, cart: Cart, rule: EntryRule, store: EnrolmentStore, now: datetime) -> None:
    scenario, occurrence = ScenarioId(rule.scenario), cart_occurrence(cart)
    decision = entering(cart, rule, now, historical=row.historical)
    if decision.due_at is not None:
        known = store.get(row.tenant, scenario, occurrence)
        if known is not None and (known.customer_id == row.customer_id or known.state is not EnrolmentState.ARMED):
            return
        store.arm(
            Enrolment(
                tenant=row.tenant,
                scenario=scenario,
                occurrence=occurrence,
                customer_id=row.customer_id,
                cart=CartRef(cart.source, cart.store, cart.token),
                touched_at=cart.updated_at,
                due_at=decision.due_at,
            )
        )
    elif decision.reason == Reason.ORDERED:
        # An emptied cart stays due: it may be filled again before anyone looks, and the step looks.
        _disarm(row, scenario, occurrence, store, now)


def _disarm(row: ChangedRow, scenario: ScenarioId, occurrence: str, store: EnrolmentStore, now: datetime) -> None:
    known = store.get(row.tenant, scenario, occurrence)
    if known is not None and known.state is EnrolmentState.ARMED:
        store.disarm(row.tenant, scenario, occurrence, Reason.ORDERED, now)


def _follow_order(row: ChangedRow, order: Order, rule: EntryRule, store: EnrolmentStore, now: datetime) -> None:
    """Spares the sweep the carts that became orders; other orders of the person are found at the step."""
    for occurrence in order_occurrences(order):
        _disarm(row, ScenarioId(rule.scenario), occurrence, store, now)


def entry_rules(scenarios: Iterable[Scenario]) -> list[EntryRule]:
    """What the trigger needs to know of the scenarios."""
    return [
        EntryRule(s.id, s.status, s.entry.event, s.entry.after, s.entry.expires_after)
        for s in scenarios
        if s.status is not LiveStatus.OFF
    ]


def dump_rules(rules: Iterable[EntryRule]) -> str:
    """As an environment variable: no Lambda reads YAML."""
    return json.dumps(
        [
            [r.scenario, r.status.value, r.event.value, r.after.total_seconds(), r.expires_after.total_seconds()]
            for r in rules
        ],
        separators=(",", ":"),
    )


def load_rules(text: str) -> list[EntryRule]:
    """What `dump_rules` wrote."""
    return [
        EntryRule(scenario, LiveStatus(status), Trigger(event), timedelta(seconds=after), timedelta(seconds=expires))
        for scenario, status, event, after, expires in json.loads(text)
    ]
