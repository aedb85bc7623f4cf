"""Every record of a stream is handled or given up, in order, whatever fails."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from infra.local.emulator.stream_policy import Outcome, Policy, outcome_of, work_through


def a_batch(size: int) -> list[dict[str, Any]]:
    """Records numbered from zero."""
    return [{"n": n, "dynamodb": {"SequenceNumber": str(n)}} for n in range(size)]


class Consumer:
    """A function that fails on some records: by raising, or by naming the record."""

    def __init__(self, bad: set[int], *, raises: bool) -> None:
        self.bad, self.raises = bad, raises
        self.handled: list[int] = []
        self.given_up: list[list[int]] = []
        self.calls: Counter[tuple[int, ...]] = Counter()

    def invoke(self, piece: list[dict[str, Any]]) -> Outcome:
        """One invocation."""
        self.calls[tuple(r["n"] for r in piece)] += 1
        for index, record in enumerate(piece):
            if record["n"] in self.bad:
                return Outcome(error=True, checkpoint=0) if self.raises else Outcome(error=False, checkpoint=index)
            self.handled.append(record["n"])
        return Outcome(error=False, checkpoint=len(piece))

    def give_up(self, piece: list[dict[str, Any]], condition: str, result: dict[str, Any]) -> None:
        """The failure destination."""
        self.given_up.append([r["n"] for r in piece])


def work(consumer: Consumer, size: int, policy: Policy) -> None:
    """Deliver a batch without pauses."""
    work_through(a_batch(size), policy, consumer.invoke, consumer.give_up, lambda attempts: None, lambda piece: 0.0)


def test_bisecting_gives_up_the_poison_record_alone() -> None:
    consumer = Consumer({3}, raises=True)
    work(consumer, 8, Policy(retries=2, bisect=True, partial=True, max_age_seconds=None))
    assert consumer.given_up == [[3]]
    assert set(consumer.handled) == {0, 1, 2, 4, 5, 6, 7}
    assert consumer.calls[(3,)] == 3


def test_without_bisecting_the_whole_batch_is_given_up() -> None:
    consumer = Consumer({3}, raises=True)
    work(consumer, 5, Policy(retries=1, bisect=False, partial=False, max_age_seconds=None))
    assert consumer.given_up == [[0, 1, 2, 3, 4]]


def test_a_partial_failure_starts_again_at_the_failed_record_and_gives_up_the_rest() -> None:
    consumer = Consumer({2}, raises=False)
    work(consumer, 4, Policy(retries=2, bisect=True, partial=True, max_age_seconds=None))
    assert consumer.handled == [0, 1]
    assert consumer.given_up == [[2, 3]]


@given(st.integers(1, 12), st.sets(st.integers(0, 11)), st.booleans(), st.booleans(), st.integers(0, 3))
def test_no_record_is_lost(size: int, bad: set[int], raises: bool, bisect: bool, retries: int) -> None:
    consumer = Consumer(bad, raises=raises)
    work(consumer, size, Policy(retries=retries, bisect=bisect, partial=True, max_age_seconds=None))
    given_up = [n for piece in consumer.given_up for n in piece]
    assert set(consumer.handled) | set(given_up) == set(range(size))
    assert given_up == sorted(given_up)


@pytest.mark.parametrize(
    ("body", "checkpoint", "error"),
    [
        ({"batchItemFailures": []}, 3, False),
        (None, 3, False),
        ({"batchItemFailures": [{"itemIdentifier": "2"}, {"itemIdentifier": "1"}]}, 1, False),
        ('{"batchItemFailures": [{"itemIdentifier": "2"}]}', 2, False),
        ({"batchItemFailures": [{"itemIdentifier": ""}]}, 0, True),
    ],
)
def test_the_lowest_failed_record_is_the_checkpoint(body: object, checkpoint: int, error: bool) -> None:
    found = outcome_of({"body": body}, a_batch(3), partial=True)
    assert (found.checkpoint, found.error) == (checkpoint, error)
