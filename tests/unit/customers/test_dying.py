"""A worker that dies between any two writes, just when other customer numbers with the same address arrive, joins
nobody for good: the stream brings the first event again, and a parting still tells everybody apart.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from itertools import permutations

import pytest

from shared.core.errors import UnavailableError
from shared.customers.batch import BatchRows
from shared.customers.fold import apply
from shared.customers.rows import MemoryRows, Replace
from shared.customers.store import MemoryCustomerStore
from shared.ingest.model import Event
from tests.unit.customers.test_fold import DyingRows, apply_all, everyone
from tests.unit.customers.test_links import a_link
from tests.unit.customers.test_parting import HOME, defined, of
from tests.unit.customers.world import KEYS, SHOP, a_customer, a_person, an_order

FIRST = an_order("o1", 1, person=a_person("1", HOME, last_name="見本"), checkout="t1")
SECOND = an_order("o2", 2, person=a_person("2", HOME), checkout="t1")
THIRD = a_customer(3, a_person("3", HOME))
TOLD = [FIRST, SECOND, THIRD]
PARTED = [a_link(of(one), of(other), 20, joined=False) for one, other in ("12", "13", "23")]
MOST_WRITES = 9


def expect_all(store: MemoryCustomerStore) -> None:
    """All that was said is there, and nobody is one who was parted."""
    assert everyone(store) == defined(TOLD)
    apply_all(PARTED, store)
    assert everyone(store) == defined([*TOLD, *PARTED])
    assert len(everyone(store)) == 3


@pytest.mark.parametrize("order", [*permutations(TOLD)], ids=["123", "132", "213", "231", "312", "321"])
@pytest.mark.parametrize("done", [True, False], ids=["written", "not written"])
def test_whoever_dies_at_any_write_has_joined_nobody_for_good(order: Sequence[Event], done: bool) -> None:
    for dies_at in range(MOST_WRITES):
        store, rows = MemoryCustomerStore(), DyingRows()
        store.rows = rows
        first, *others = order
        rows.dies_at, rows.done = dies_at, done
        with suppress(UnavailableError):
            apply(first, store, KEYS, SHOP)
        rows.dies_at = None
        apply_all([*others, first], store)
        expect_all(store)


class HalfWrittenRows(MemoryRows):
    """Rows whose worker dies in the nth call of many writes, of which those in a mask happened."""

    def __init__(self, turn: int, mask: int) -> None:
        super().__init__()
        self.turn, self.mask = turn, mask

    def replace_each(self, changes: Sequence[Replace]) -> None:
        """No order is promised within a call."""
        self.turn -= 1
        if self.turn >= 0:
            super().replace_each(changes)
            return
        super().replace_each([each for n, each in enumerate(changes) if self.mask >> n & 1])
        raise UnavailableError("the worker died")


@pytest.mark.parametrize("turn", range(3))
def test_of_a_batch_that_died_halfway_any_part_joins_nobody_for_good(turn: int) -> None:
    for mask in range(16):
        store, rows = MemoryCustomerStore(), HalfWrittenRows(turn, mask)
        held = BatchRows(rows)
        apply(FIRST, store.over(held), KEYS, SHOP)
        with pytest.raises(UnavailableError):
            held.flush()
        store.rows.partitions = rows.partitions  # type: ignore[attr-defined]
        apply_all([SECOND, THIRD, FIRST], store)
        expect_all(store)
