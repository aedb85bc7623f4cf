"""Say what is still under way: unread stream records, messages in worked queues, running executions.

On AWS the same is read from the IteratorAge, ApproximateNumberOfMessages and ExecutionsStarted metrics, minutes late;
a rehearsal wants to know at once when everything has come to rest.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator
from typing import Any

from ministack.services import dynamodb, lambda_svc, sqs, stepfunctions

from infra.local.emulator.gateway import InternalRequest, route
from infra.local.emulator.settings import EmulatorSettings
from infra.local.emulator.stream_failures import _table_of


def _mappings() -> Iterator[dict[str, Any]]:
    """Every event source mapping, in the scope of its own account and region."""
    for account, region, mapping in lambda_svc._iter_all_esms():
        lambda_svc._request_account_id.set(account)
        lambda_svc._request_region.set(region)
        yield mapping


def _unread_records(mapping: dict[str, Any]) -> int:
    table = _table_of(mapping)
    if table is None:
        return 0
    read = lambda_svc._dynamodb_stream_positions.get(mapping["UUID"])
    first = dynamodb.stream_start_position(table) if read is None else read
    return max(0, int(dynamodb.stream_end_position(table)) - int(first))


def _messages(mapping: dict[str, Any]) -> list[dict[str, Any]]:
    queue = sqs._queue_by_arn(str(mapping.get("EventSourceArn", "")))
    return list(queue["messages"]) if queue else []


def _delayed(message: dict[str, Any]) -> bool:
    """Put there for later, and nobody has had it yet."""
    return message["receive_count"] == 0 and float(message["visible_at"]) > time.time()


def _waiting_messages(mapping: dict[str, Any]) -> int:
    """Also the messages being worked on: they leave the queue when they are done. Not those for later."""
    return sum(not _delayed(message) for message in _messages(mapping))


def _worked_on(mapping: dict[str, Any]) -> tuple[str, int]:
    source = str(mapping.get("EventSourceArn", ""))
    if ":dynamodb:" in source:
        return "stream_records", _unread_records(mapping)
    return "queue_messages", _waiting_messages(mapping) if ":sqs:" in source else 0


def backlog() -> dict[str, Any]:
    """Counts of everything under way, and how much of it waits for whom."""
    counts: Counter[str] = Counter(stream_records=0, queue_messages=0)
    waiting: Counter[str] = Counter()
    for mapping in _mappings():
        kind, count = _worked_on(mapping)
        counts[kind] += count
        waiting[str(mapping["FunctionName"])] += count
    running = [item for _, item in stepfunctions._executions.all_items() if item.get("status") == "RUNNING"]
    waiting.update(str(item["stateMachineArn"]).rpartition(":")[2] for item in running)
    return {**counts, "executions": len(running), "waiting": {name: n for name, n in waiting.items() if n}}


def _report(request: InternalRequest) -> dict[str, Any]:
    return backlog()


def _end_delays(request: InternalRequest) -> dict[str, int]:
    """What was put into a queue for later is due now: minutes need not be waited for."""
    ended = [message for mapping in _mappings() for message in _messages(mapping) if _delayed(message)]
    for message in ended:
        message["visible_at"] = time.time()
    return {"ended": len(ended)}


def install(settings: EmulatorSettings) -> None:
    """Serve `GET /_matakite/backlog` and `POST /_matakite/delays/end`."""
    route("GET", "backlog", _report)
    route("POST", "delays/end", _end_delays)
