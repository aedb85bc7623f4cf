"""How AWS delivers one batch of stream records: checkpoint, retry, bisect, give up. Pure: what invokes is passed in."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

Record = dict[str, Any]
Mapping = dict[str, Any]


@dataclass(frozen=True)
class Outcome:
    """What one invocation with a batch came to."""

    error: bool
    #: Index of the first record to do again; the batch's length when all are done.
    checkpoint: int
    result: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Policy:
    """A mapping's rules for failures; ``None`` retries means for ever."""

    retries: int | None
    bisect: bool
    partial: bool
    max_age_seconds: int | None


def policy_of(mapping: Mapping) -> Policy:
    """Read the rules out of the event source mapping."""
    retries, age = int(mapping.get("MaximumRetryAttempts", -1)), int(mapping.get("MaximumRecordAgeInSeconds") or -1)
    return Policy(
        retries=None if retries < 0 else retries,
        bisect=_true(mapping.get("BisectBatchOnFunctionError")),
        partial="ReportBatchItemFailures" in (mapping.get("FunctionResponseTypes") or ()),
        max_age_seconds=None if age < 0 else age,
    )


def _true(value: object) -> bool:
    return value is True or str(value).lower() == "true"


def outcome_of(result: dict[str, Any], batch: list[Record], *, partial: bool) -> Outcome:
    """Read the function's answer: an error, or the lowest failed sequence number as the checkpoint."""
    if result.get("error"):
        return Outcome(error=True, checkpoint=0, result=result)
    body = result.get("body")
    if isinstance(body, str):
        try:
            body = json.loads(body)
        except ValueError:
            body = None
    if not partial or not isinstance(body, dict) or not body.get("batchItemFailures"):
        return Outcome(error=False, checkpoint=len(batch), result=result)
    positions = {str(record["dynamodb"]["SequenceNumber"]): index for index, record in enumerate(batch)}
    named = [failure.get("itemIdentifier") for failure in body["batchItemFailures"]]
    if any(name not in positions for name in named):
        return Outcome(error=True, checkpoint=0, result=result)
    return Outcome(error=False, checkpoint=min(positions[name] for name in named), result=result)


def work_through(
    batch: list[Record],
    policy: Policy,
    invoke: Callable[[list[Record]], Outcome],
    give_up: Callable[[list[Record], str, dict[str, Any]], None],
    pause: Callable[[int], None],
    age: Callable[[list[Record]], float],
) -> None:
    """Deliver one batch completely: every record is either handled or given up, in order."""
    pieces = [batch]
    attempts = 0
    while pieces:
        piece = pieces[0]
        outcome = invoke(piece)
        if not outcome.error and outcome.checkpoint == len(piece):
            pieces.pop(0)
            attempts = 0
            continue
        if policy.max_age_seconds is not None and age(piece) > policy.max_age_seconds:
            give_up(piece[outcome.checkpoint :], "MaximumRecordAgeExceeded", outcome.result)
            pieces.pop(0)
            attempts = 0
            continue
        if not outcome.error and outcome.checkpoint > 0:
            pieces[0] = piece[outcome.checkpoint :]
            attempts = 0 if policy.bisect else attempts + 1
        elif outcome.error and policy.bisect and len(piece) > 1:
            middle = len(piece) // 2
            pieces[0:1] = [piece[:middle], piece[middle:]]
            attempts = 0
        else:
            attempts += 1
        if policy.retries is not None and attempts > policy.retries:
            give_up(pieces[0], "RetryAttemptsExhausted", outcome.result)
            pieces.pop(0)
            attempts = 0
            continue
        pause(attempts)
