"""What could not be handled says in the log why: whoever looks after a dead letter reads it there."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from functions.ingest import receive_amazon
from shared.core import batches
from shared.core.errors import UnavailableError
from shared.ingest.connections import MemoryConnections
from shared.ingest.notifications import NotificationDeps
from shared.ingest.oversize import NoOversize
from shared.ingest.store import MemoryEventStore

SAID = "hanako@example.jp"


class Log:
    """What was logged."""

    def __init__(self) -> None:
        self.lines: list[dict[str, str]] = []

    def warning(self, message: str, extra: dict[str, str]) -> None:
        self.lines.append({"message": message, **extra})


@pytest.fixture
def log(monkeypatch: pytest.MonkeyPatch) -> Log:
    kept = Log()
    monkeypatch.setattr(batches, "logger", lambda _service: kept)
    return kept


def message(number: int, body: str) -> dict[str, Any]:
    return {"messageId": f"m{number}", "body": body, "eventSource": "aws:sqs"}


def failing(error: Exception) -> Callable[[Any], None]:
    def one(record: Any) -> None:
        if record.body == SAID:
            raise error

    return one


def test_a_message_that_ends_among_the_dead_letters_left_no_word_in_the_log(log: Log) -> None:
    """Powertools takes what a record raises, names the record to the queue, and tells nobody."""
    deps = NotificationDeps(MemoryConnections(), MemoryEventStore(NoOversize()))
    answer = receive_amazon.handler({"Records": [message(1, f"no JSON of {SAID}")]}, None, deps)
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m1"}]}
    (line,) = log.lines
    assert (line["record"], line["error"]) == ("m1", "RejectedError")
    assert line["at"].startswith("ingest/")
    assert SAID not in str(line)


def test_only_what_failed_comes_back_with_our_own_words_for_it(log: Log) -> None:
    event = {"Records": [message(1, "good"), message(2, SAID)]}
    answer = batches.each_record("ingest", batches.QUEUE, event, None, failing(UnavailableError("the table is busy")))
    assert answer == {"batchItemFailures": [{"itemIdentifier": "m2"}]}
    assert [(line["record"], line["reason"]) for line in log.lines] == [("m2", "the table is busy")]


def test_of_an_error_that_is_not_ours_only_name_and_place_are_told(log: Log) -> None:
    event = {"Records": [message(1, SAID)]}
    batches.each_record("ingest", batches.QUEUE, event, None, failing(ValueError(f"bad value {SAID}")))
    (line,) = log.lines
    assert line["error"] == "ValueError"
    assert SAID not in str(line)


def test_every_function_on_a_queue_or_stream_takes_its_records_so() -> None:
    files = (Path(batches.__file__).parents[2] / "functions").glob("*/*.py")
    assert [file.name for file in files if "process_partial_response" in file.read_text("utf-8")] == []
