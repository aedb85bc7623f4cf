"""Who becomes due, and when: pure; a changed row (or a whole person) and an entry in, arrivals out.

Carts have a rule of their own (`rules.entering`), because a cart that is touched again becomes due later.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from shared.core.clock import shop_day, to_iso
from shared.core.ids import CustomerId
from shared.customers.model import Attribute, Order, PersonState, Profile, Scores
from shared.delivery.model import Reason
from shared.ingest.model import SubscriptionState
from shared.scenarios.conditions import View, bought, holds, shows
from shared.scenarios.enrolment import (
    Enrolment,
    Instance,
    contract_occurrence,
    order_occurrence,
    person_occurrence,
)
from shared.scenarios.language.conditions import Viewed
from shared.scenarios.language.entries import STOCK_REQUEST, DateOf, Entry, Trigger
from shared.scenarios.model import Period
from shared.scenarios.rules import NOT_ELIGIBLE

DAY = timedelta(days=1)
ASKED_FOR = timedelta(days=60)
"""How long a request for a product that is out of stock stands, unless the entry says `within`."""
ROWS: dict[Trigger, tuple[str, ...]] = {
    Trigger.CART_ABANDONED: ("cart", "order"),
    Trigger.ORDER_PLACED: ("order",),
    Trigger.PAGE_VIEWED: ("visits",),
    Trigger.LOGGED_IN: ("visits",),
    Trigger.TRACKED: ("visits",),
    Trigger.SURVEY_ANSWERED: ("profile",),
    Trigger.CONTRACT_CHANGED: ("subscription",),
    Trigger.STATUS_CHANGED: ("profile",),
    Trigger.SEGMENT_ENTERED: ("profile",),
    Trigger.SEGMENT_LEFT: ("profile",),
    Trigger.FRIEND_ORDERED: ("order",),
    Trigger.BACK_IN_STOCK: ("visits",),
    Trigger.BROADCAST: (),
}
"""Kinds of rows of the customers table in which an entry can be seen."""
DATE_ROWS: dict[DateOf, str] = {
    DateOf.BIRTHDAY: "profile",
    DateOf.REGISTERED: "profile",
    DateOf.FIRST_ORDER: "order",
    DateOf.LAST_ORDER: "order",
    DateOf.LAST_LOGIN: "visits",
    DateOf.LAST_SEEN: "visits",
    DateOf.NEXT_DELIVERY: "subscription",
    DateOf.CONTRACT_STARTED: "subscription",
    DateOf.NEXT_ORDER: "profile",
    DateOf.POINTS_EXPIRE: "profile",
    DateOf.RANK_UNTIL: "profile",
}


@dataclass(frozen=True, slots=True)
class Arrival:
    """Something that lets a person in."""

    occurrence: str
    instance: Instance
    touched_at: datetime
    due_at: datetime
    customer_id: CustomerId | None = None
    """Whom it lets in, where that is somebody else."""


def rows_of(entry: Entry) -> tuple[str, ...]:
    """Kinds of rows in which this entry can be seen."""
    return (DATE_ROWS[entry.date],) if entry.date else ROWS[entry.event]


def arrivals(
    entry: Entry, person: PersonState, timezone: str, now: datetime, before: Profile | None = None
) -> list[Arrival]:
    """Everything in this state that lets its person in and is not too late to do so.

    `person` may be a part of one: what a single row says. `before` is the profile until now.
    """
    mine = _Looking(entry, person, person.profile.customer_id, timezone, now)
    match entry.event:
        case Trigger.ORDER_PLACED:
            found = mine.orders()
        case Trigger.PAGE_VIEWED | Trigger.TRACKED | Trigger.LOGGED_IN:
            found = mine.visits()
        case Trigger.SURVEY_ANSWERED:
            found = mine.answers()
        case Trigger.CONTRACT_CHANGED:
            found = mine.contracts()
        case Trigger.STATUS_CHANGED:
            found = mine.status(before.scores if before else None)
        case Trigger.SEGMENT_ENTERED | Trigger.SEGMENT_LEFT:
            found = mine.segments(before)
        case Trigger.FRIEND_ORDERED:
            found = mine.recommendations()
        case Trigger.BACK_IN_STOCK:
            found = mine.stock_requests()
        case Trigger.DATE:
            found = mine.dates()
        case _:
            return []
    return [each for each in found if now <= each.due_at + entry.expires_after]


def recommended(enrolment: Enrolment, person: PersonState, friend: PersonState | None) -> bool:
    """Is the order that let them in still the first valid one of a friend, who is not themselves (名寄せ)?"""
    if friend is None or friend.profile.customer_id == person.profile.customer_id or person.profile.erased:
        return False
    valid = [(order.ordered_at, order.order_id, order) for order in friend.orders if order.valid and order.ordered_at]
    first = min(valid, key=lambda each: each[:2], default=None)
    return first is not None and _of_friend(first[2]) == enrolment.occurrence


def turned_away(enrolment: Enrolment, entry: Entry | None, period: Period | None, view: View, timezone: str) -> str:
    """Why this person, though due, does not get in; empty: they do."""
    if period is not None and not period.covers(shop_day(view.now, timezone)):
        return Reason.CLOSED
    if entry is None:
        return ""
    admitted = _still(enrolment, entry, view.person, timezone) and (entry.where is None or holds(entry.where, view))
    return "" if admitted else NOT_ELIGIBLE


def _still(enrolment: Enrolment, entry: Entry, person: PersonState, timezone: str) -> bool:
    """Is what let them in still so, now that they are collected?"""
    match entry.event:
        case Trigger.ORDER_PLACED:
            return _nth(enrolment, entry, person)
        case Trigger.CONTRACT_CHANGED:
            return any(contract_occurrence(contract) == enrolment.occurrence for contract in person.subscriptions)
        case Trigger.STATUS_CHANGED:
            scores = person.profile.scores
            return scores is not None and scores.status in (entry.to or ())
        case Trigger.SEGMENT_ENTERED:
            return enrolment.instance.key in person.profile.segments
        case Trigger.SEGMENT_LEFT:
            return enrolment.instance.key not in person.profile.segments
        case Trigger.BACK_IN_STOCK | Trigger.DATE:
            at = enrolment.due_at or enrolment.touched_at
            looking = _Looking(entry, person, enrolment.customer_id, timezone, at)
            found = looking.dates() if entry.date else looking.stock_requests()
            return any(each.occurrence == enrolment.occurrence for each in found)
        case _:
            return True


def _nth(enrolment: Enrolment, entry: Entry, person: PersonState) -> bool:
    """Is it still a valid order, and the n-th of this person?"""
    valid = sorted((o.ordered_at, o.order_id, order_occurrence(o)) for o in person.orders if o.valid and o.ordered_at)
    places = [place for place, (_, _, occurrence) in enumerate(valid, 1) if occurrence == enrolment.occurrence]
    return bool(places) and (entry.number is None or places[0] == entry.number)


def broadcast(name: str, customer_id: CustomerId, at: datetime, entry: Entry) -> Arrival:
    """A place in a broadcast (一斉配信): once per person and broadcast, whatever happens to the command."""
    occurrence = person_occurrence(customer_id, "broadcast", name)
    return Arrival(occurrence, Instance(key=name, kind="person"), at, at + entry.after)


def dates_after(enrolment: Enrolment, entry: Entry, person: PersonState, timezone: str) -> Iterator[Enrolment]:
    """When the same person is due next: the next birthday, or a date where it has moved to."""
    due_at = enrolment.due_at or enrolment.touched_at
    later = due_at + entry.expires_after + DAY if entry.date is DateOf.BIRTHDAY else due_at
    for each in _Looking(entry, person, enrolment.customer_id, timezone, later).dates():
        if each.due_at > due_at and each.occurrence != enrolment.occurrence:
            yield replace(
                enrolment,
                occurrence=each.occurrence,
                instance=each.instance,
                touched_at=each.touched_at,
                due_at=each.due_at,
            )


@dataclass(frozen=True, slots=True)
class _Looking:
    entry: Entry
    person: PersonState
    customer_id: CustomerId
    timezone: str
    now: datetime

    def orders(self) -> Iterator[Arrival]:
        for order in self.person.orders:
            wanted = self.entry.subscription
            if not order.valid or order.ordered_at is None or not bought(order, self.entry.product):
                continue
            if wanted is not None and wanted != bool(order.subscription_id or any(x.subscription for x in order.lines)):
                continue
            instance = Instance(order.source, order.store, order.order_id, "order")
            yield self._arrival(order_occurrence(order), instance, order.ordered_at)

    def recommendations(self) -> Iterator[Arrival]:
        """Of whoever recommended the shop to this person; whether it was their first order is asked at the step."""
        for order in self.person.orders:
            if order.valid and order.ordered_at is not None and order.referrer not in {None, self.customer_id}:
                about = Instance(order.source, order.store, self.customer_id, "friend")
                arrival = self._arrival(_of_friend(order), about, order.ordered_at)
                yield replace(arrival, customer_id=order.referrer)

    def contracts(self) -> Iterator[Arrival]:
        for contract in self.person.subscriptions:
            if contract.estimated or contract.state not in (self.entry.state or ()):
                continue
            if self.entry.product is not None and not set(contract.product_ids) & set(self.entry.product):
                continue
            at = {SubscriptionState.CANCELLED: contract.cancelled_at, SubscriptionState.ACTIVE: contract.started_at}
            instance = Instance(contract.source, contract.store, contract.subscription_id, "contract")
            yield self._arrival(contract_occurrence(contract), instance, at.get(contract.state) or self.now)

    def visits(self) -> Iterator[Arrival]:
        entry = self.entry
        kind = {Trigger.PAGE_VIEWED: "page", Trigger.TRACKED: "tracked"}.get(entry.event, "login")
        asked = Viewed(page_type=entry.page_type, path=entry.path, product=entry.product)
        found = [visit for visit in self.person.visits if visit.kind == kind and visit.at <= self.now]
        if kind == "page":
            found = [visit for visit in found if shows(visit, asked)]
        elif kind == "tracked":
            found = [visit for visit in found if visit.name in (entry.name or ())]
        if not found:
            return
        last = max(visit.at for visit in found)
        if sum(1 for visit in found if entry.within is None or visit.at > last - entry.within) >= entry.at_least:
            yield self._of_person(last, kind, to_iso(last)[:10])

    def stock_requests(self) -> Iterator[Arrival]:
        """Of whoever asked for a product lately enough, and has not bought it since."""
        for visit in self.person.visits:
            wanted, within = visit.product_id, self.entry.within or ASKED_FOR
            if visit.name != STOCK_REQUEST or wanted is None or not visit.at <= self.now <= visit.at + within:
                continue
            if self.entry.product is not None and wanted not in self.entry.product:
                continue
            later = (o for o in self.person.orders if o.valid and o.ordered_at and o.ordered_at >= visit.at)
            if not any(bought(order, (wanted,)) for order in later):
                occurrence = person_occurrence(self.customer_id, "stock", wanted, to_iso(visit.at)[:10])
                yield self._arrival(occurrence, Instance(key=wanted, kind="product"), visit.at)

    def answers(self) -> Iterator[Arrival]:
        begin = f"survey/{self.entry.survey}/"
        for name, said in self.person.attributes.items():
            if not name.startswith(begin) or self.entry.question not in {None, name.removeprefix(begin)}:
                continue
            if self.entry.choice is None or _chosen(said) & set(self.entry.choice):
                yield self._of_person(said.at, name, to_iso(said.at))

    def status(self, before: Scores | None) -> Iterator[Arrival]:
        scores, entry = self.person.profile.scores, self.entry
        if scores is None or scores.status not in (entry.to or ()):
            return
        if entry.from_ is not None and (before is None or before.status not in entry.from_):
            return
        # Whoever is judged for the first time (an import's whole history) has changed nothing.
        if before is None or before.status is scores.status:
            return
        # It holds of the whole day `status_since`, and was found out the night after.
        at = _at(scores.status_since + DAY, time(0), self.timezone)
        yield self._of_person(at, "status", scores.status, scores.status_since.isoformat())

    def segments(self, before: Profile | None) -> Iterator[Arrival]:
        profile = self.person.profile
        if before is None or profile.segments_on is None:
            return
        was, now = set(before.segments), set(profile.segments)
        changed = now - was if self.entry.event is Trigger.SEGMENT_ENTERED else was - now
        at = _at(profile.segments_on + DAY, time(0), self.timezone)
        for name in sorted(changed & set(self.entry.segment or ())):
            occurrence = person_occurrence(self.customer_id, self.entry.event, name, profile.segments_on.isoformat())
            yield self._arrival(occurrence, Instance(key=name, kind="person"), at)

    def dates(self) -> Iterator[Arrival]:
        entry = self.entry
        if entry.date is None:
            return
        for key, day, instance in self._days(entry.date):
            due_at = _at(day + timedelta(days=entry.days), entry.at, self.timezone) + entry.after
            occurrence = person_occurrence(self.customer_id, entry.date, key, day.isoformat())
            yield Arrival(occurrence, instance, due_at, due_at)

    def _days(self, of: DateOf) -> Iterator[tuple[str, date, Instance]]:
        person, nobody = self.person, Instance(kind="person")
        match of:
            case DateOf.BIRTHDAY | DateOf.REGISTERED:
                said = person.attributes.get("birth_on" if of is DateOf.BIRTHDAY else "registered_on")
                if (day := _day(said)) is not None:
                    yield "", self._coming(day) if of is DateOf.BIRTHDAY else day, nobody
            case DateOf.FIRST_ORDER | DateOf.LAST_ORDER:
                valid = [order for order in person.orders if order.valid and order.ordered_at is not None]
                if valid:
                    pick = min if of is DateOf.FIRST_ORDER else max
                    order = pick(valid, key=lambda each: (each.ordered_at, each.order_id))
                    instance = Instance(order.source, order.store, order.order_id, "order")
                    yield order.order_id, shop_day(order.ordered_at or self.now, self.timezone), instance
            case DateOf.LAST_LOGIN | DateOf.LAST_SEEN:
                seen = [v.at for v in person.visits if of is DateOf.LAST_SEEN or v.kind == "login"]
                known = person.last_login_at if of is DateOf.LAST_LOGIN else person.last_seen_at
                if at := max([*seen, *([known] if known else [])], default=None):
                    yield "", shop_day(at, self.timezone), nobody
            case DateOf.NEXT_DELIVERY | DateOf.CONTRACT_STARTED:
                for contract in person.subscriptions:
                    instance = Instance(contract.source, contract.store, contract.subscription_id, "contract")
                    began = shop_day(contract.started_at, self.timezone) if contract.started_at else None
                    day = contract.next_delivery_on if of is DateOf.NEXT_DELIVERY else began
                    if day and contract.state is SubscriptionState.ACTIVE and not contract.estimated:
                        yield contract.subscription_id, day, instance
            case DateOf.NEXT_ORDER:
                scores = person.profile.scores
                if scores is not None and scores.next_order_on is not None:
                    yield "", scores.next_order_on, nobody
            case DateOf.POINTS_EXPIRE | DateOf.RANK_UNTIL:
                end = "/expires_on" if of is DateOf.POINTS_EXPIRE else "/until"
                begin = "points/" if of is DateOf.POINTS_EXPIRE else "rank/"
                for name, said in person.attributes.items():
                    if name.startswith(begin) and name.endswith(end) and (day := _day(said)) is not None:
                        store = name.removeprefix(begin).removesuffix(end)
                        yield name, day, Instance(store=store, kind="person")

    def _coming(self, born: date) -> date:
        """The first birthday whose mail is not too late by now."""
        for year in range(self.now.year - 1, self.now.year + 3):
            day = _anniversary(born, year)
            due_at = _at(day + timedelta(days=self.entry.days), self.entry.at, self.timezone) + self.entry.after
            if due_at + self.entry.expires_after >= self.now:
                return day
        raise AssertionError("three years hold a birthday")

    def _arrival(self, occurrence: str, instance: Instance, at: datetime) -> Arrival:
        return Arrival(occurrence, instance, at, at + self.entry.after)

    def _of_person(self, at: datetime, *what: str) -> Arrival:
        return self._arrival(person_occurrence(self.customer_id, *what), Instance(kind="person"), at)


def _of_friend(order: Order) -> str:
    return person_occurrence(order.referrer or CustomerId(""), "friend", order_occurrence(order))


def _anniversary(born: date, year: int) -> date:
    leap = year % 4 == 0 and (year % 100 != 0 or year % 400 == 0)
    return date(year, 2, 28) if (born.month, born.day) == (2, 29) and not leap else born.replace(year=year)


def _at(day: date, at: time, timezone: str) -> datetime:
    return datetime.combine(day, at, ZoneInfo(timezone)).astimezone(UTC)


def _day(said: Attribute | None) -> date | None:
    try:
        return date.fromisoformat(str(said.value)[:10]) if said else None
    except ValueError:
        return None


def _chosen(said: Attribute) -> set[str]:
    return set(said.value) if isinstance(said.value, tuple) else {str(said.value)}
