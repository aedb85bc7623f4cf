"""Batches of a queue or a stream: each record for itself; what fails comes back alone and says in the log why."""

from __future__ import annotations

import traceback
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

from aws_lambda_powertools.utilities.batch import BatchProcessor, EventType, process_partial_response
from aws_lambda_powertools.utilities.batch.types import PartialItemFailureResponse

from shared.core.errors import MatakiteError
from shared.core.telemetry import logger

QUEUE, STREAM = EventType.SQS, EventType.DynamoDBStreams
_OURS = "shared"


def each_record(
    service: str, kind: EventType, event: dict[str, Any], context: Any, one: Callable[[Any], None]
) -> PartialItemFailureResponse:
    """Do `one` for every record; the answer names those that failed. Powertools itself tells nobody why."""

    def told(record: Any) -> None:
        try:
            one(record)
        except Exception as error:
            logger(service).warning("a record failed", extra={"record": _number(record), **why(error)})
            raise

    processor = BatchProcessor(event_type=kind, raise_on_entire_batch_failure=False)
    return process_partial_response(event=event, record_handler=told, processor=processor, context=context)


def why(error: Exception) -> Mapping[str, str]:
    """What a log may say of an error: our own words, but of anything else its name and place only, since the message
    may repeat what was read.
    """
    said = {"error": type(error).__name__, "at": _place(error)}
    return {**said, "reason": str(error)} if isinstance(error, MatakiteError) else said


def _place(error: Exception) -> str:
    """The last line of ours that it came through."""
    lines = [(Path(each.filename), each.lineno) for each in traceback.extract_tb(error.__traceback__)]
    ours = [place for place in lines if _OURS in place[0].parts]
    path, number = (ours or lines)[-1]
    return f"{path.parent.name}/{path.name}:{number}"


def _number(record: Any) -> str:
    return str(record.raw_event.get("messageId") or record.raw_event.get("eventID"))
