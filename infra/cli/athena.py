"""Ask Athena from the command line: start, wait, read the answer."""

from __future__ import annotations

import codecs
import csv
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from infra.cli.session import Deployment
from infra.names import ATHENA_WORKGROUP, GLUE_DATABASE
from shared.core.errors import UnavailableError

_LOOK_SECONDS = 0.2


@dataclass(frozen=True)
class Answer:
    """A query that succeeded."""

    execution: str
    location: str
    """Where its rows lie as CSV."""
    scanned_bytes: int
    seconds: float


def ask(deployment: Deployment, query: str) -> Answer:
    """Run a query to its end. Raises UnavailableError with Athena's reason when it fails."""
    athena = deployment.client("athena")
    started = athena.start_query_execution(
        QueryString=query, WorkGroup=ATHENA_WORKGROUP, QueryExecutionContext={"Database": GLUE_DATABASE}
    )
    while True:
        found = athena.get_query_execution(QueryExecutionId=started["QueryExecutionId"])["QueryExecution"]
        state = found["Status"]["State"]
        if state == "SUCCEEDED":
            statistics = found.get("Statistics", {})
            return Answer(
                started["QueryExecutionId"],
                found["ResultConfiguration"]["OutputLocation"],
                int(statistics.get("DataScannedInBytes", 0)),
                int(statistics.get("TotalExecutionTimeInMillis", 0)) / 1000,
            )
        if state in {"FAILED", "CANCELLED"}:
            raise UnavailableError(f"Athena: {found['Status'].get('StateChangeReason', state)}")
        time.sleep(_LOOK_SECONDS)


def rows(deployment: Deployment, answer: Answer) -> Iterator[list[str | None]]:
    """A small answer, cell by cell, without its heading; null is None."""
    pages = deployment.client("athena").get_paginator("get_query_results").paginate(QueryExecutionId=answer.execution)
    found = (row for page in pages for row in page["ResultSet"]["Rows"])
    for number, row in enumerate(found):
        if number:
            yield [cell.get("VarCharValue") for cell in row["Data"]]


def stored_rows(deployment: Deployment, answer: Answer) -> Iterator[list[str]]:
    """An answer of any length from its file, without its heading: no page of a thousand rows at a time."""
    bucket, _, key = answer.location.removeprefix("s3://").partition("/")
    body: Any = deployment.client("s3").get_object(Bucket=bucket, Key=key)["Body"]
    lines = csv.reader(codecs.getreader("utf-8")(body))
    next(lines, None)
    yield from lines
