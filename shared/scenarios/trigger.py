"""Follows the customers table: carts, orders, visits, dates … make people due; orders take their carts out again."""

from __future__ import annotations

import base64
import json
import zlib
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from typing import Any, Protocol

from shared.core.errors import MatakiteError
from shared.core.ids import CustomerId, ScenarioId, TenantId
from shared.core.newest import Newest
from shared.customers.model import Cart, Order, PersonState, Profile
from shared.customers.store import ChangedRow, read_row
from shared.delivery.model import Reason
from shared.scenarios.enrolment import (
    Enrolment,
    EnrolmentKey,
    EnrolmentState,
    Instance,
    cart_occurrence,
    order_occurrences,
)
from shared.scenarios.entries import Arrival, arrivals, rows_of
from shared.scenarios.language.entries import Entry, Trigger
from shared.scenarios.model import LiveStatus, Scenario
from shared.scenarios.rules import EntryRule, entered_before, entering

Timezones = Callable[[TenantId], str]


class DueIndex(Protocol):
    """The part of the enrolments that a changed row touches (`EnrolmentStore`)."""

    def get(self, tenant: TenantId, scenario: ScenarioId, occurrence: str) -> Enrolment | None:
        """One enrolment."""
        ...

    def get_each(self, wanted: Iterable[EnrolmentKey]) -> dict[EnrolmentKey, Enrolment]:
        """Those of these enrolments that exist."""
        ...

    def of_customer(
        self, tenant: TenantId, customer_id: CustomerId, scenarios: Collection[str] | None = None
    ) -> list[Enrolment]:
        """Every enrolment of a person, or those in these scenarios."""
        ...

    def arm(self, enrolment: Enrolment) -> bool:
        """Make someone due. Did it?"""
        ...

    def disarm(self, tenant: TenantId, scenario: ScenarioId, occurrence: str, reason: str, at: datetime) -> bool:
        """Take someone out before they are collected. Did it?"""
        ...


def follow(
    row: ChangedRow | None,
    rules: Sequence[EntryRule],
    store: DueIndex,
    now: datetime,
    *,
    timezone: Timezones = lambda _: "Asia/Tokyo",
    before: Profile | None = None,
) -> None:
    """Act on one changed row. Safe to repeat, and to miss: what counts is checked again at the step.

    A cart that is touched again stays due at its first time: whoever collects it then sees the later touch and puts it
    off (`rules.put_off`). So a cart is a write for each hour of shopping, not for each touch; reading first whether
    there is anything to write costs a fifth of a write that is refused. `before`: a profile row's profile until now.
    """
    if row is None:
        return
    for rule in rules:
        if rule.entry.event is Trigger.CART_ABANDONED:
            if row.cart is not None:
                _follow_cart(row, row.cart, rule, store, now)
            if row.order is not None and not row.historical:
                _follow_order(row, row.order, rule, store, now)
        elif row.kind in rows_of(rule.entry) and (rule.entry.date is not None or not row.historical):
            person = _part(row)
            for arrival in arrivals(rule.entry, person, timezone(row.tenant), now, before) if person else ():
                enrol(row.tenant, arrival.customer_id or row.customer_id, arrival, rule, store)


class Met:
    """Enrolments that a warm worker read or made lately: whoever goes on shopping is not looked up at every touch.

    Old news does no harm: that somebody was made due for an occurrence stays so, and taking them out is a condition.
    """

    def __init__(self) -> None:
        self._each: Newest[EnrolmentKey, tuple[Enrolment, datetime]] = Newest(MOST_MET)

    def among(self, wanted: Iterable[EnrolmentKey], now: datetime) -> dict[EnrolmentKey, Enrolment]:
        """Those of these that were met lately."""
        found = {key: self._each[key] for key in wanted if key in self._each}
        return {key: enrolment for key, (enrolment, at) in found.items() if now - at < MET_FOR}

    def keep(self, each: Iterable[Enrolment], now: datetime) -> None:
        """They stand like this."""
        for enrolment in each:
            self._each[enrolment.key] = enrolment, now

    def forget(self, key: EnrolmentKey) -> None:
        """Somebody writes."""
        self._each.pop(key, None)


MET_FOR = timedelta(minutes=10)
MOST_MET = 2_000


@dataclass(frozen=True)
class TriggerDeps:
    """What following the stream needs."""

    rules: Sequence[EntryRule]
    store: DueIndex
    timezone: Timezones = lambda _: "Asia/Tokyo"
    met: Met = field(default_factory=Met)


def follow_change(change: Mapping[str, Any], deps: TriggerDeps, now: datetime) -> None:
    """Act on one record of the customers stream."""
    if "NewImage" not in change:
        return
    row = read_row(change["NewImage"])
    before = None
    if row is not None and row.kind == "profile" and "OldImage" in change:
        was = read_row(change["OldImage"])
        before = was.profile if was else None
    follow(row, deps.rules, deps.store, now, timezone=deps.timezone, before=before)


# --- a batch at once -------------------------------------------------------------------------------------------------
def read_ahead(changes: Iterable[Mapping[str, Any]], deps: TriggerDeps, now: datetime) -> TriggerDeps:
    """The same, with what following these records will ask for read at once.

    What is asked for is found by following them once over an index that knows nobody. A record that cannot be read is
    left for its turn to say so.
    """
    asking = _Asking()
    for change in changes:
        with suppress(MatakiteError, LookupError, TypeError, ValueError):
            follow_change(change, replace(deps, store=asking), now)
    met = deps.met.among(asking.asked, now)
    unknown = asking.asked.keys() - met.keys()
    found = deps.store.get_each(sorted(unknown)) if unknown else {}
    deps.met.keep(found.values(), now)
    return replace(deps, store=_ReadAhead(deps, {**dict.fromkeys(unknown), **met, **found}, now))


class _Asking:
    """A due index that knows nobody and remembers who was asked for."""

    def __init__(self) -> None:
        self.asked: dict[EnrolmentKey, None] = {}

    def get(self, tenant: TenantId, scenario: ScenarioId, occurrence: str) -> Enrolment | None:
        self.asked[tenant, scenario, occurrence] = None
        return None

    def get_each(self, wanted: Iterable[EnrolmentKey]) -> dict[EnrolmentKey, Enrolment]:
        self.asked |= dict.fromkeys(wanted)
        return {}

    def of_customer(self, *_which: object) -> list[Enrolment]:
        return []

    def arm(self, _enrolment: Enrolment) -> bool:
        return False

    def disarm(self, *_which: object) -> bool:
        return False


class _ReadAhead:
    """The due index, some of it read already; where somebody else wrote meanwhile it is read anew."""

    def __init__(self, deps: TriggerDeps, known: dict[EnrolmentKey, Enrolment | None], now: datetime) -> None:
        self._store, self._met, self._known, self._now = deps.store, deps.met, known, now

    def get(self, tenant: TenantId, scenario: ScenarioId, occurrence: str) -> Enrolment | None:
        if (tenant, scenario, occurrence) in self._known:
            return self._known[tenant, scenario, occurrence]
        return self._store.get(tenant, scenario, occurrence)

    def get_each(self, wanted: Iterable[EnrolmentKey]) -> dict[EnrolmentKey, Enrolment]:
        return self._store.get_each(wanted)

    def of_customer(
        self, tenant: TenantId, customer_id: CustomerId, scenarios: Collection[str] | None = None
    ) -> list[Enrolment]:
        return self._store.of_customer(tenant, customer_id, scenarios)

    def arm(self, enrolment: Enrolment) -> bool:
        self._wrote(enrolment.key)
        done = self._store.arm(enrolment)
        if done:
            self._known[enrolment.key] = enrolment
            self._met.keep([enrolment], self._now)
        return done

    def disarm(self, tenant: TenantId, scenario: ScenarioId, occurrence: str, reason: str, at: datetime) -> bool:
        self._wrote((tenant, scenario, occurrence))
        return self._store.disarm(tenant, scenario, occurrence, reason, at)

    def _wrote(self, which: EnrolmentKey) -> None:
        self._known.pop(which, None)
        self._met.forget(which)


# --- one row ----------------------------------------------------------------------------------------------------------
def _part(row: ChangedRow) -> PersonState | None:
    """As much of the person as the row says; None for one that is found to be another."""
    if row.merged_into is not None:
        return None
    return PersonState(
        row.profile or Profile(row.tenant, row.customer_id),
        orders=(row.order,) if row.order else (),
        subscriptions=(row.subscription,) if row.subscription else (),
        attributes=row.attributes,
        visits=row.visits,
    )


def enrol(tenant: TenantId, customer_id: CustomerId, arrival: Arrival, rule: EntryRule, store: DueIndex) -> bool:
    """Make somebody due unless they already are, were, or may not be again so soon. Did it?"""
    scenario = ScenarioId(rule.scenario)
    mine = Enrolment(
        tenant=tenant,
        scenario=scenario,
        occurrence=arrival.occurrence,
        customer_id=customer_id,
        instance=arrival.instance,
        touched_at=arrival.touched_at,
        due_at=arrival.due_at,
    )
    if store.get(tenant, scenario, arrival.occurrence) is not None:
        return False
    if rule.again_after is not None and entered_before(
        mine, store.of_customer(tenant, customer_id, [scenario]), rule.again_after
    ):
        return False
    return store.arm(mine)


def _follow_cart(row: ChangedRow, cart: Cart, rule: EntryRule, store: DueIndex, now: datetime) -> None:
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
                instance=Instance(cart.source, cart.store, cart.token),
                touched_at=cart.updated_at,
                due_at=decision.due_at,
            )
        )
    elif decision.reason == Reason.ORDERED:
        # An emptied cart stays due: it may be filled again before anyone looks, and the step looks.
        _disarm(row, scenario, occurrence, store, now)


def _disarm(row: ChangedRow, scenario: ScenarioId, occurrence: str, store: DueIndex, now: datetime) -> None:
    known = store.get(row.tenant, scenario, occurrence)
    if known is not None and known.state is EnrolmentState.ARMED:
        store.disarm(row.tenant, scenario, occurrence, Reason.ORDERED, now)


def _follow_order(row: ChangedRow, order: Order, rule: EntryRule, store: DueIndex, now: datetime) -> None:
    """Spares the sweep the carts that became orders; other orders of the person are found at the step."""
    for occurrence in order_occurrences(order):
        _disarm(row, ScenarioId(rule.scenario), occurrence, store, now)


def entry_rules(scenarios: Iterable[Scenario]) -> list[EntryRule]:
    """What the trigger needs to know of the scenarios."""
    return [EntryRule(s.id, s.status, s.entry, s.again_after) for s in scenarios if s.status is not LiveStatus.OFF]


def dump_rules(rules: Iterable[EntryRule]) -> str:
    """As an environment variable, of which a function has 4 KB in all: packed. No Lambda reads YAML."""
    told = [[r.scenario, r.status.value, r.entry.told(), dump_again(r.again_after)] for r in rules]
    packed = zlib.compress(json.dumps(told, separators=(",", ":")).encode(), 9)
    return base64.b64encode(packed).decode()


def load_rules(text: str) -> list[EntryRule]:
    """What `dump_rules` wrote."""
    return [
        EntryRule(scenario, LiveStatus(status), Entry.model_validate(entry), load_again(again))
        for scenario, status, entry, again in json.loads(zlib.decompress(base64.b64decode(text)))
    ]


def dump_again(again_after: timedelta | None) -> int | None:
    """In seconds; -1 is for ever."""
    if again_after is None:
        return None
    return -1 if again_after == timedelta.max else int(again_after.total_seconds())


def load_again(seconds: int | None) -> timedelta | None:
    """What `dump_again` wrote."""
    if seconds is None:
        return None
    return timedelta.max if seconds < 0 else timedelta(seconds=seconds)
