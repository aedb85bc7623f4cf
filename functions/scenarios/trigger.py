"""Customers stream → due index: carts become due, orders take them out again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response

from shared.core.clock import SystemClock
from shared.core.settings import load
from shared.customers.store import read_row
from shared.scenarios.rules import EntryRule
from shared.scenarios.store import DynamoEnrolmentStore, EnrolmentStore
from shared.scenarios.trigger import follow, load_rules


@dataclass(frozen=True)
class Settings:
    """Environment of this function."""

    scenarios_table: str
    entry_rules: str


@cache
def _dependencies() -> tuple[Sequence[EntryRule], EnrolmentStore]:
    settings = load(Settings)
    return load_rules(settings.entry_rules), DynamoEnrolmentStore(settings.scenarios_table)


def handler(
    event: dict[str, Any], _context: object, deps: tuple[Sequence[EntryRule], EnrolmentStore] | None = None
) -> Any:
    """One batch of the stream: a record that cannot be read is set aside, the others count."""
    rules, store = deps or _dependencies()

    def each(record: Any) -> None:
        change = record.raw_event["dynamodb"]
        if image := change.get("NewImage"):
            follow(read_row(image), rules, store, SystemClock().now())

    return process_partial_response(
        event, each, BatchProcessor(EventType.DynamoDBStreams, raise_on_entire_batch_failure=False)
    )
