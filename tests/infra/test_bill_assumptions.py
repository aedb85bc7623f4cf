"""What the bill assumes of the infrastructure is what the templates say."""

from __future__ import annotations

import json
from datetime import timedelta

from shared.ingest.store import RETENTION
from shared.measurement.cost.bill import QUEUES, Assumptions
from shared.scenarios.sweep import BATCH_SIZE
from tests.stack import Templates

ASSUMED = Assumptions()


def windows(templates: Templates, function: str) -> set[int]:
    """Seconds for which a stream is collected before a function is called."""
    return {
        source.get("MaximumBatchingWindowInSeconds", 0)
        for _, source in templates.properties("AWS::Lambda::EventSourceMapping")
        if function in json.dumps(source["FunctionName"])
    }


def test_what_stands_still_is_counted_from_the_template(templates: Templates) -> None:
    alarms = len(list(templates.properties("AWS::CloudWatch::Alarm")))
    assert alarms == ASSUMED.alarms, f"$0.10 a month each: Assumptions.alarms of the bill is {alarms} now"
    assert len(list(templates.properties("AWS::CloudWatch::Dashboard"))) == 1
    assert not list(templates.properties("AWS::KMS::Key"))
    sources = [source for _, source in templates.properties("AWS::Lambda::EventSourceMapping")]
    assert sum("StartingPosition" not in source for source in sources) == QUEUES


def test_streams_are_collected_as_long_as_the_bill_says(templates: Templates) -> None:
    assert windows(templates, "UpdateState") == {ASSUMED.fold_window_seconds}
    assert (
        windows(templates, "ArchiveEvents") == windows(templates, "ArchiveStates") == {ASSUMED.archive_window_seconds}
    )


def test_what_is_kept_and_sent_together_is_what_the_code_says() -> None:
    assert timedelta(days=ASSUMED.kept_days) == RETENTION
    assert ASSUMED.batch_size == BATCH_SIZE
