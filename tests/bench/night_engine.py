"""One night on the local cloud's Athena engine, in a process of its own: `python -m tests.bench.night_engine FOLDER`.

Runs with the local cloud's interpreter. The planning is the nightly run's own, the translation, partition pruning and
byte counting the engine's own; only the state machine between them is a loop.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import duckdb
from ministack.services import glue, s3

from infra.local.emulator.athena_dialect import parse
from infra.local.emulator.athena_engine import Answer, Caller, Engine, csv_of
from infra.local.emulator.athena_tables import DataFile, FileCache
from infra.local.emulator.athena_tables import StoredObject as EngineObject
from infra.names import GLUE_DATABASE
from shared.analytics import meaning, nightly
from shared.analytics.lake import StoredObject
from shared.analytics.nightly import Night, result_prefix
from shared.analytics.schema import BASE_TABLES, Table
from shared.core.ids import TenantId
from shared.core.shop import Shop
from tests.bench.peak import peak_mb

BUCKET = "lake"
TENANT = TenantId("shop")
SHOP = Shop(TENANT, "お店", "Asia/Tokyo", "JPY")
NOW = datetime(2026, 10, 1, 17, tzinfo=UTC)

# The least that anybody would run over the same files: the newest state of each order, summed per customer.
RFM_PASS = """
COPY (
  SELECT customer_id, COUNT(*) AS orders, SUM(amount) AS amount,
         MIN(ordered_on) AS first_on, MAX(ordered_on) AS last_on,
         DATE_DIFF('day', MAX(ordered_on), DATE '{as_of}') AS recency_days
  FROM (
    SELECT customer_id, amount, ordered_on, valid FROM read_parquet('{files}')
    QUALIFY ROW_NUMBER() OVER (
      PARTITION BY customer_id, source, store, order_id ORDER BY written_at DESC, sequence DESC
    ) = 1
  )
  WHERE valid AND ordered_on <= DATE '{as_of}'
  GROUP BY customer_id
) TO '{out}' (FORMAT parquet, COMPRESSION zstd)
"""

# The same without looking at an order's states: a wrong answer where any order ever changed, shown for comparison.
RAW_PASS = """
COPY (
  SELECT customer_id, COUNT(*) AS orders, SUM(amount) AS amount, MIN(ordered_on) AS first_on, MAX(ordered_on) AS last_on
  FROM read_parquet('{files}') WHERE valid GROUP BY customer_id
) TO '{out}' (FORMAT parquet, COMPRESSION zstd)
"""


@dataclass(frozen=True)
class Lake:
    """The engine's own bucket as the nightly run sees one."""

    bucket: str = BUCKET

    def put(self, key: str, body: bytes) -> None:
        """Store an object."""
        s3._put_object(self.bucket, key, body, {"content-length": str(len(body))})

    def get(self, key: str) -> bytes:
        """An object's body."""
        return bytes(s3._get_object_data(self.bucket, key) or b"")

    def part(self, key: str, first: int, count: int) -> bytes:
        """Some of an object's body."""
        return self.get(key)[first : first + count]

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Objects below a prefix."""
        found = s3._buckets[self.bucket]["objects"]
        return iter([StoredObject(key, int(found[key]["size"])) for key in sorted(found) if key.startswith(prefix)])

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects."""
        for key in keys:
            s3._buckets[self.bucket]["objects"].pop(key, None)


def glue_table(table: Table) -> dict[str, Any]:
    """As the deployed catalogue has it."""
    location = f"s3://{BUCKET}/{table.name}/"
    return {
        "Name": table.name,
        "Parameters": table.projection(location),
        "PartitionKeys": [{"Name": name, "Type": kind.value} for name, kind in table.partition_keys().items()],
        "StorageDescriptor": {
            "Location": location,
            "InputFormat": "org.apache.hadoop.hive.ql.io.parquet.MapredParquetInputFormat",
            "SerdeInfo": {"SerializationLibrary": "org.apache.hadoop.hive.ql.io.parquet.serde.ParquetHiveSerDe"},
            "Columns": [{"Name": column.name, "Type": column.kind.value} for column in table.columns],
        },
    }


def attach(folder: Path, cache: FileCache) -> None:
    """The files of a folder as objects of the lake, read where they are."""
    s3._buckets[BUCKET] = {"objects": {}, "region": "us-east-1"}
    for table in (*BASE_TABLES, *meaning.result_tables()):
        glue._tables[f"{GLUE_DATABASE}/{table.name}"] = glue_table(table)
        for path in sorted(folder.glob(f"{table.name}/**/*.parquet")):
            key = str(path.relative_to(folder))
            stored = EngineObject(BUCKET, key, "0", path.stat().st_size)
            values = tuple(part.partition("=")[2] for part in key.split("/")[1:3])
            local = cache.path(
                f"{GLUE_DATABASE}.{table.name}", tuple(table.partition_keys()), DataFile(stored, values), None
            )
            local.parent.mkdir(parents=True, exist_ok=True)
            local.hardlink_to(path)
            s3._buckets[BUCKET]["objects"][key] = {"body": b"", "etag": stored.etag, "size": stored.size}


@dataclass
class Run:
    """A night in progress."""

    engine: Engine
    lake: Lake
    folder: Path
    asked: int = 0
    model_seconds: float = 0.0
    """Spent in functions between the queries."""

    def query(self, text: str) -> tuple[Answer, int]:
        """One statement, and the milliseconds it took."""
        self.asked += 1
        started = time.perf_counter()
        answer = self.engine.run(parse(text), GLUE_DATABASE, Caller(""), f"q{self.asked}")
        return answer, int((time.perf_counter() - started) * 1000)

    def item(self, query: Mapping[str, Any]) -> dict[str, Any]:
        """What the machine does with one analysis."""
        if "made_by" in query:
            answer_bytes, milliseconds = self.made(query)
        else:
            answer, milliseconds = self.query(query["query"])
            answer_bytes = answer.scanned_bytes
        checked, check_milliseconds = self.query(query["checks"])
        heading = [{"VarCharValue": column} for column in checked.columns]
        rows = [[{"VarCharValue": str(cell)} if cell is not None else {} for cell in row] for row in checked.rows]
        return {
            "name": query["name"],
            "checks": [{"Data": heading}, *({"Data": row} for row in rows)],
            "scanned_bytes": answer_bytes,
            "milliseconds": milliseconds,
            "check_bytes": checked.scanned_bytes,
            "check_milliseconds": check_milliseconds,
        }

    def made(self, query: Mapping[str, Any]) -> tuple[int, int]:
        """A result that a function makes: its inputs as CSV, the function in the project's own interpreter."""
        scanned = asked = 0
        for each in query["inputs"]:
            answer, milliseconds = self.query(each["query"])
            scanned, asked = scanned + answer.scanned_bytes, asked + milliseconds
            (self.folder / f"{each['name']}.csv").write_bytes(csv_of(answer.columns, answer.rows))
        columns = json.dumps(query["columns"])
        command = [".venv/bin/python", "-m", "tests.bench.night_models", str(self.folder), query["name"], columns]
        started = time.perf_counter()
        subprocess.run(command, check=True)
        self.model_seconds += time.perf_counter() - started
        body = (self.folder / f"{query['name']}.parquet").read_bytes()
        prefix = result_prefix(query["name"], TENANT, query["as_of"])
        if body:
            self.lake.put(f"{prefix}part-0.parquet", body)
        return scanned, asked


def night(run: Run, as_of: date) -> tuple[Night, float]:
    """Every stage of a usual night, its models with it: its outcomes and the seconds they took.

    On Sundays, and on the first night ever, the models are audited besides.
    """
    catalog = meaning.night_catalog()
    state = Night(TENANT, as_of, previous_on=as_of - timedelta(days=1))
    results: list[dict[str, Any]] = []
    started = time.perf_counter()
    while True:
        state = nightly.advance(state, results, catalog, SHOP, run.lake, NOW)
        if not state.queries:
            return state, time.perf_counter() - started
        sys.stderr.write(f"stage of {len(state.queries)}: state {len(json.dumps(state.document())):,} bytes\n")
        results = [run.item(query) for query in state.queries]


def bare(folder: Path, statement: str, as_of: str) -> tuple[float, float]:
    """Seconds of a statement in a bare DuckDB, and those the processors worked: the best of two each."""
    seconds, busy = [], []
    for _ in range(2):
        connection = duckdb.connect(":memory:")
        connection.execute("SET threads = 2")
        files = f"{folder}/order_states/**/*.parquet"
        started, worked_before = time.perf_counter(), worked()
        connection.execute(statement.format(files=files, as_of=as_of, out=folder / "bare.parquet"))
        seconds.append(time.perf_counter() - started)
        busy.append(worked() - worked_before)
        connection.close()
    return min(seconds), min(busy)


def worked() -> float:
    """Processor seconds of this process and those it started."""
    used = os.times()
    return used.user + used.system + used.children_user + used.children_system


def main(folder: Path, as_of: str) -> None:
    """Measure and print as JSON."""
    passes = {"rfm": bare(folder, RFM_PASS, as_of), "raw": bare(folder, RAW_PASS, as_of)}
    before = peak_mb()
    cache = FileCache(folder / "cache")
    attach(folder, cache)
    run = Run(Engine(cache), Lake(), folder)
    busy = worked()
    state, seconds = night(run, date.fromisoformat(as_of))
    busy = worked() - busy
    report = {
        "pass_seconds": passes,
        "seconds": seconds,
        "busy_seconds": busy,
        "model_seconds": run.model_seconds,
        "peak_mb": {"bare": before, "night": peak_mb()},
        "analyses": [
            {
                "name": each.name,
                "state": each.state,
                "reason": each.reason,
                "rows": each.rows,
                "seconds": each.seconds,
                "scanned_bytes": each.scanned_bytes,
            }
            for each in state.outcomes
        ],
    }
    sys.stdout.write(json.dumps(report))


if __name__ == "__main__":
    main(Path(sys.argv[1]), sys.argv[2])
