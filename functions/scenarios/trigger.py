"""Customers stream → due index: carts become due, orders take them out again."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from typing import Any

from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse

from shared.core.batches import STREAM, each_record
from shared.core.clock import SystemClock
from shared.core.settings import load
from shared.core.shop import load_shop
from shared.scenarios.store import DynamoEnrolmentStore
from shared.scenarios.trigger import TriggerDeps, follow_change, load_rules, read_ahead


@dataclass(frozen=True)
class Settings:
    """Environment of this function."""

    scenarios_table: str
    entry_rules: str
    prefix: str


@cache
def _dependencies() -> TriggerDeps:
    at = load(Settings)
    store = DynamoEnrolmentStore(at.scenarios_table)
    return TriggerDeps(load_rules(at.entry_rules), store, lambda tenant: load_shop(at.prefix, tenant).timezone)


def handler(event: dict[str, Any], context: Any, deps: TriggerDeps | None = None) -> PartialItemFailureResponse:
    """One batch of the stream: a record that cannot be read is set aside, the others count."""
    changes = [record["dynamodb"] for record in event["Records"]]
    ports = read_ahead(changes, deps or _dependencies(), SystemClock().now())

    def each(record: Any) -> None:
        follow_change(record.raw_event["dynamodb"], ports, SystemClock().now())

    return each_record("scenarios", STREAM, event, context, each)
