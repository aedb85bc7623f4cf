"""What is known about a person besides purchases (顧客属性), by name; the latest saying of each name counts.

| name | value | said by |
|---|---|---|
| `birth_on`, `registered_on` (ISO date), `gender`, `occupation`, `media`, | as the source says | customer record |
| `tags/<tag>`, `custom/<name>`, `prefecture` | as the source says | customer record |
| `survey/<survey>/<question>` | ids of the choices, or a number | survey |
| `points/<store>/balance`, `…/expires_on` (ISO date), `…/expiring` | number, date | member system |
| `rank/<store>`, `rank/<store>/until` (ISO date) | text, date | member system |
| `call/outcome`, `call/reason` | a word of the centre's | call centre |
"""

from __future__ import annotations

from collections.abc import Iterator

from shared.customers.model import Attribute, AttributeValue
from shared.ingest.model import CallFacts, Event, PointsFacts, ProfileFacts, SurveyFacts


def attributes_of(event: Event) -> dict[str, Attribute]:
    """What one event says of its person, by name."""
    return {name: Attribute(value, event.occurred_at, event.event_id) for name, value in _said(event)}


def _said(event: Event) -> Iterator[tuple[str, AttributeValue]]:
    facts = event.facts
    if isinstance(facts, ProfileFacts):
        yield from facts.attributes.items()
        if event.person.prefecture:
            yield "prefecture", event.person.prefecture
    elif isinstance(facts, SurveyFacts):
        answer = facts.number if facts.number is not None else facts.choices
        if answer != ():
            yield f"survey/{facts.survey_id}/{facts.question_id}", answer
    elif isinstance(facts, PointsFacts):
        yield from _points(facts, event.store)
    elif isinstance(facts, CallFacts):
        yield "call/outcome", facts.outcome
        if facts.reason:
            yield "call/reason", facts.reason


def _points(facts: PointsFacts, store: str) -> Iterator[tuple[str, AttributeValue]]:
    if facts.balance is not None:
        yield f"points/{store}/balance", facts.balance
    if facts.expires_on is not None:
        yield f"points/{store}/expires_on", facts.expires_on.isoformat()
    if facts.expiring is not None:
        yield f"points/{store}/expiring", facts.expiring
    if facts.rank is not None:
        yield f"rank/{store}", facts.rank
    if facts.rank_until is not None:
        yield f"rank/{store}/until", facts.rank_until.isoformat()
