"""How an example begins: the event or date of the entry, as it would show in a person's state."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from zoneinfo import ZoneInfo

from shared.core.clock import shop_day
from shared.core.ids import CustomerId, TenantId
from shared.customers.model import (
    Attribute,
    AttributeValue,
    LtvTier,
    Order,
    PersonState,
    Profile,
    Scores,
    Status,
    Subscription,
    Visit,
)
from shared.customers.store import ChangedRow
from shared.ingest.model import Line, SubscriptionState
from shared.scenarios.language.entries import STOCK_REQUEST, DateOf, Entry, Trigger

DAY = timedelta(days=1)
FRIEND = CustomerId("friend")


@dataclass(frozen=True, slots=True)
class Story:
    """A person to whom it has just happened."""

    person: PersonState
    before: Profile | None = None
    friend: PersonState | None = None
    """Who came by their link."""

    def rows(self, tenant: TenantId, historical: bool) -> Iterator[ChangedRow]:
        """The state as the stream of the customers table tells it."""
        yield from _rows(self.person, tenant, historical)
        if self.friend is not None:
            yield from _rows(self.friend, tenant, historical)


def _rows(person: PersonState, tenant: TenantId, historical: bool) -> Iterator[ChangedRow]:
    base = ChangedRow(tenant, person.profile.customer_id, "profile", historical)
    for order in person.orders:
        yield replace(base, kind="order", order=order)
    for contract in person.subscriptions:
        yield replace(base, kind="subscription", subscription=contract)
    if person.visits:
        yield replace(base, kind="visits", visits=person.visits)
    yield replace(base, profile=person.profile, attributes=person.attributes)


def begin(entry: Entry, person: PersonState, at: datetime, store: str, timezone: str) -> Story:
    """What lets somebody in happens at `at`; of a date, that day is its day (`days` counted in)."""
    product = next(iter(entry.product or ()), "1")
    line = Line(product_id=product, title="見本のコーヒー豆 200g", quantity=1, unit_amount=3000)
    match entry.event:
        case Trigger.ORDER_PLACED:
            lines = (replace(line, subscription=bool(entry.subscription)),)
            order = Order("shopify", store, "example-order", at, "JPY", 3000, lines=lines)
            return Story(_bought(person, order))
        case Trigger.PAGE_VIEWED | Trigger.LOGGED_IN | Trigger.TRACKED:
            return Story(_visited(person, [_visit(entry, n, at) for n in range(entry.at_least)]))
        case Trigger.SURVEY_ANSWERED:
            name = f"survey/{entry.survey}/{entry.question or 'q1'}"
            return Story(_said(person, name, entry.choice or ("yes",), at))
        case Trigger.CONTRACT_CHANGED:
            state = next(iter(entry.state or (SubscriptionState.ACTIVE,)))
            ended = at if state is SubscriptionState.CANCELLED else None
            began = at if state is SubscriptionState.ACTIVE else at - 90 * DAY
            contract = Subscription("shopify", store, "example-contract", state, began, (line,), cancelled_at=ended)
            return Story(replace(person, subscriptions=(contract,)))
        case Trigger.STATUS_CHANGED:
            return _judged(entry, person, shop_day(at, timezone) - DAY)
        case Trigger.SEGMENT_ENTERED | Trigger.SEGMENT_LEFT:
            return _moved(entry, person, shop_day(at, timezone) - DAY)
        case Trigger.FRIEND_ORDERED:
            order = Order("shopify", store, "example-order", at, "JPY", 3000, referrer=person.profile.customer_id)
            friend = PersonState(Profile(person.profile.tenant, FRIEND))
            return Story(person, friend=_bought(friend, order))
        case Trigger.BACK_IN_STOCK:
            asked = Visit("visit", at, "tracked", STOCK_REQUEST, "/", None, product)
            return Story(_visited(person, [asked]))
        case Trigger.DATE:
            anchor = shop_day(at, timezone) - timedelta(days=entry.days)
            return Story(_dated(entry, person, anchor, store, line, timezone))
        case _:
            return Story(person)


def _bought(person: PersonState, order: Order) -> PersonState:
    count = person.profile.summary.order_count + 1
    profile = replace(person.profile, summary=replace(person.profile.summary, order_count=count))
    return replace(person, profile=profile, orders=(*person.orders, order))


def _visit(entry: Entry, number: int, at: datetime) -> Visit:
    kind = {Trigger.PAGE_VIEWED: "page", Trigger.TRACKED: "tracked"}.get(entry.event, "login")
    path = next(iter(entry.path or ("/",))).replace("*", "x")
    return Visit(
        f"visit-{number}",
        at - number * timedelta(minutes=1),
        kind,
        next(iter(entry.name or ()), None),
        path,
        next(iter(entry.page_type or ()), None),
        next(iter(entry.product or ()), None),
    )


def _visited(person: PersonState, visits: list[Visit]) -> PersonState:
    logins = [visit.at for visit in visits if visit.kind == "login"]
    seen = max(visit.at for visit in visits)
    login = max(logins, default=person.last_login_at)
    return replace(person, visits=tuple(sorted(visits, key=lambda v: v.at)), last_login_at=login, last_seen_at=seen)


def _said(person: PersonState, name: str, value: AttributeValue, at: datetime) -> PersonState:
    if name in person.attributes:
        return person
    return replace(person, attributes={**person.attributes, name: Attribute(value, at, "example")})


def _judged(entry: Entry, person: PersonState, since: date) -> Story:
    to = next(iter(entry.to or (Status.NEW,)))
    was = next(iter(entry.from_ or ()), next(status for status in Status if status is not to))
    known = person.profile.scores or Scores(since, was, since, LtvTier.LOW, 3, 3, 3, "有望")
    before = replace(person.profile, scores=replace(known, status=was))
    now = replace(known, status=to, as_of=since, status_since=since)
    return Story(replace(person, profile=replace(person.profile, scores=now)), before)


def _moved(entry: Entry, person: PersonState, on: date) -> Story:
    named = set(entry.segment or ())
    outside = replace(person.profile, segments=tuple(sorted(set(person.profile.segments) - named)))
    inside = replace(outside, segments=tuple(sorted({*outside.segments, *named})))
    entered = entry.event is Trigger.SEGMENT_ENTERED
    before, after = (outside, inside) if entered else (inside, outside)
    return Story(replace(person, profile=replace(after, segments_on=on)), before)


def _dated(entry: Entry, person: PersonState, day: date, store: str, line: Line, timezone: str) -> PersonState:
    at = datetime.combine(day, time(12), ZoneInfo(timezone)).astimezone(UTC)
    contract = Subscription("shopify", store, "example-contract", SubscriptionState.ACTIVE, at - 90 * DAY, (line,))
    match entry.date:
        case DateOf.BIRTHDAY:
            return _said(person, "birth_on", day.replace(year=day.year - 30, day=min(day.day, 28)).isoformat(), at)
        case DateOf.REGISTERED:
            return _said(person, "registered_on", day.isoformat(), at)
        case DateOf.FIRST_ORDER | DateOf.LAST_ORDER:
            return _bought(person, Order("shopify", store, "example-order", at, "JPY", 3000, lines=(line,)))
        case DateOf.LAST_LOGIN:
            return _visited(person, [Visit("visit", at, "login")])
        case DateOf.LAST_SEEN:
            return _visited(person, [Visit("visit", at, "page", None, "/", None, line.product_id)])
        case DateOf.NEXT_DELIVERY:
            return replace(person, subscriptions=(replace(contract, next_delivery_on=day, amount=3000),))
        case DateOf.CONTRACT_STARTED:
            return replace(person, subscriptions=(replace(contract, started_at=at),))
        case DateOf.NEXT_ORDER:
            known = person.profile.scores or Scores(day, Status.PROMISING, day, LtvTier.LOW, 3, 3, 3, "有望")
            scores = replace(known, next_order_on=day)
            return replace(person, profile=replace(person.profile, scores=scores))
        case DateOf.POINTS_EXPIRE:
            return _said(person, f"points/{store}/expires_on", day.isoformat(), at)
        case _:
            return _said(person, f"rank/{store}/until", day.isoformat(), at)
