"""People who were there before a date scenario was are armed by a command, once."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta

import pytest

from shared.core.errors import RejectedError
from shared.core.ids import CustomerId, TenantId
from shared.customers.model import Attribute, PersonState
from shared.scenarios.model import LiveStatus
from shared.scenarios.read import read_text
from shared.scenarios.seed import AT_ONCE, Seeded, seed
from shared.scenarios.store import MemoryEnrolmentStore
from shared.scenarios.trigger import entry_rules
from tests.unit.scenarios.test_words import AN_EXAMPLE, SEND, scenario_of
from tests.unit.scenarios.world import MORNING, TENANT, a_person

BIRTHDAY = "{event: date, date: birthday, days: -7}"
PEOPLE = AT_ONCE + 7


def somebody(number: int) -> PersonState:
    """Every third has told a birthday."""
    person = a_person(f"c{number:04}")
    if number % 3:
        return person
    born = MORNING.date().replace(year=1990) + timedelta(days=number % 300)
    return replace(person, attributes={"birth_on": Attribute(born.isoformat(), MORNING, "e")})


def seeded(entry: str, store: MemoryEnrolmentStore) -> list[Seeded]:
    text = scenario_of(entry, f"  - {SEND}", AN_EXAMPLE)
    (rule,) = entry_rules([read_text(text).model_copy(update={"status": LiveStatus.LIVE})])
    people = {CustomerId(f"c{number:04}"): somebody(number) for number in range(PEOPLE)}

    def person(_: TenantId, customer: CustomerId) -> PersonState | None:
        return people[customer]

    return list(seed(rule, TENANT, people, person, store, "Asia/Tokyo", MORNING))


def test_everybody_with_a_birthday_is_armed_once_and_the_progress_is_told() -> None:
    store = MemoryEnrolmentStore()
    with_birthday = -(-PEOPLE // 3)
    assert seeded(BIRTHDAY, store) == [Seeded(AT_ONCE, -(-AT_ONCE // 3)), Seeded(PEOPLE, with_birthday)]
    assert seeded(BIRTHDAY, store)[-1] == Seeded(PEOPLE, 0), "again is the same as once"


def test_an_entry_that_is_no_date_cannot_be_seeded() -> None:
    with pytest.raises(RejectedError, match="logged_in, not by a date"):
        seeded("{event: logged_in}", MemoryEnrolmentStore())
