"""Is a condition of a scenario file true of a person now? Pure: the live state alone decides, at the step."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from shared.customers.model import Attribute, Order, PersonState, Visit
from shared.delivery.rules import reaches
from shared.scenarios.enrolment import order_occurrence
from shared.scenarios.language.conditions import AttributeIs, Condition, LoggedIn, Numbers, Ordered, Viewed

OPENED = "opened"
CLICKED = "clicked"


@dataclass(frozen=True, slots=True)
class View:
    """A person as a condition looks at them."""

    person: PersonState
    since: datetime
    """What let them in."""
    now: datetime
    occurrence: str = ""
    """The enrolment: the order that let them in is not one they placed since."""
    reactions: Mapping[str, frozenset[str]] = field(default_factory=dict)
    """Send → what people (no machines) did with it."""


def holds(condition: Condition, view: View) -> bool:
    """Is everything true that the condition says?"""
    return all(_answers(condition, view))


def _answers(condition: Condition, view: View) -> Iterator[bool]:
    person, scores = view.person, view.person.profile.scores
    if condition.tier is not None:
        yield scores is not None and scores.ltv_tier in condition.tier
    if condition.status is not None:
        yield scores is not None and scores.status in condition.status
    if condition.segment is not None:
        yield not set(person.profile.segments).isdisjoint(condition.segment)
    if condition.buyer is not None:
        yield condition.buyer == ("repeat" if person.profile.summary.order_count else "first")
    if condition.orders is not None:
        yield _within(person.profile.summary.order_count, condition.orders)
    if condition.ordered is not None:
        yield ordered(condition.ordered, view)
    if condition.opened is not None:
        yield bool(view.reactions.get(condition.opened, frozenset()) & {OPENED, CLICKED})
    if condition.clicked is not None:
        yield CLICKED in view.reactions.get(condition.clicked, frozenset())
    if condition.viewed is not None:
        yield len(views(condition.viewed, person.visits, view)) >= condition.viewed.at_least
    if condition.logged_in is not None:
        yield _logged_in(condition.logged_in, view)
    if condition.attribute is not None:
        yield _attribute(condition.attribute, person.attributes.get(condition.attribute.name))
    if condition.contract is not None:
        yield any(contract.state in condition.contract for contract in person.subscriptions)
    if condition.reachable is not None:
        yield reaches(person, condition.reachable)
    yield from (holds(inner, view) for inner in condition.all_)
    if condition.any_:
        yield any(holds(inner, view) for inner in condition.any_)
    yield from (not holds(inner, view) for inner in condition.none_)


def ordered(asked: Ordered, view: View) -> bool:
    """Did they order (again)?"""
    since = view.since if asked.within is None else view.now - asked.within
    mine = [order for order in view.person.orders if _counts(order, since, view) and bought(order, asked.product)]
    return len(mine) >= asked.at_least


def _counts(order: Order, since: datetime, view: View) -> bool:
    at = order.ordered_at
    return order.valid and at is not None and since <= at <= view.now and order_occurrence(order) != view.occurrence


def bought(order: Order, products: tuple[str, ...] | None) -> bool:
    """Is one of these products in it?"""
    return products is None or any(line.product_id in products for line in order.lines)


def views(asked: Viewed, visits: tuple[Visit, ...], view: View) -> list[Visit]:
    """The page views that are meant."""
    since = view.since if asked.within is None else view.now - asked.within
    return [visit for visit in visits if visit.kind == "page" and since <= visit.at <= view.now and shows(visit, asked)]


def shows(visit: Visit, asked: Viewed) -> bool:
    """Is it such a page?"""
    return (
        (asked.page_type is None or visit.page_type in asked.page_type)
        and (asked.product is None or visit.product_id in asked.product)
        and (asked.path is None or any(_fits(visit.path or "", path) for path in asked.path))
    )


def _fits(path: str, wanted: str) -> bool:
    return path.startswith(wanted[:-1]) if wanted.endswith("*") else path == wanted


def _logged_in(asked: LoggedIn, view: View) -> bool:
    at, since = view.person.last_login_at, view.since if asked.within is None else view.now - asked.within
    return at is not None and at >= since


def _attribute(asked: AttributeIs, found: Attribute | None) -> bool:
    if found is None:
        return asked.known is False
    if asked.known is False:
        return False
    said = found.value if isinstance(found.value, tuple) else (_text(found.value),)
    if asked.is_ is not None and not set(said) & set(asked.is_):
        return False
    limits = Numbers(at_least=asked.at_least, at_most=asked.at_most)
    number = found.value if isinstance(found.value, int | float) and not isinstance(found.value, bool) else None
    return limits == Numbers() or (number is not None and _within(number, limits))


def _text(value: object) -> str:
    return str(value).lower() if isinstance(value, bool) else str(value)


def _within(value: float, limits: Numbers) -> bool:
    return (limits.at_least is None or value >= limits.at_least) and (limits.at_most is None or value <= limits.at_most)
