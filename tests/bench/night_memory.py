"""What each function of the night holds in memory, in a process of its own:
`python -m tests.bench.night_memory FUNCTION FOLDER`.

The buckets are folders, so that what is measured is the function and not its surroundings.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow.parquet as pq

from shared.analytics import meaning, modelling, nights, publish, stored_rows
from shared.analytics.compact import compact
from shared.analytics.compaction import Compaction
from shared.analytics.lake import StoredObject
from shared.analytics.nightly import CHANGES, Night, Outcome, result_prefix
from shared.analytics.reports import MemoryReportStore
from shared.analytics.schema import ORDER_STATES, partition_path
from shared.analytics.scores import MOST_SLICES, Slice, apply, write_back
from shared.core.ids import TenantId
from shared.core.shop import Shop
from shared.customers.store import MemoryCustomerStore
from tests.bench import million, night_lake
from tests.bench.peak import peak_mb

TENANT = TenantId("shop")
SHOP = Shop(TENANT, "お店", "Asia/Tokyo", "JPY")
AS_OF = date(2026, 9, 30)
NOW = datetime(2026, 10, 1, 17, tzinfo=UTC)
MODEL = "model_predictions_v1"
MONTH = "2026-09"
ORDERS_AN_OBJECT = 500
"""What one batch of the stream leaves in the lake."""


@dataclass(frozen=True)
class Folder:
    """A bucket of files."""

    root: Path

    @property
    def bucket(self) -> str:
        """Its name."""
        return self.root.name

    def put(self, key: str, body: bytes) -> None:
        """Store an object."""
        (self.root / key).parent.mkdir(parents=True, exist_ok=True)
        (self.root / key).write_bytes(body)

    def get(self, key: str) -> bytes:
        """An object's body."""
        return (self.root / key).read_bytes()

    def part(self, key: str, first: int, count: int) -> bytes:
        """Some of it."""
        with (self.root / key).open("rb") as file:
            file.seek(first)
            return file.read(count)

    def list(self, prefix: str) -> Iterator[StoredObject]:
        """Objects below a prefix, by key."""
        for path in sorted((self.root / prefix).rglob("*.*")):
            yield StoredObject(str(path.relative_to(self.root)), path.stat().st_size)

    def delete(self, keys: Iterable[str]) -> None:
        """Remove objects."""
        for key in keys:
            (self.root / key).unlink(missing_ok=True)


# --- what the functions find -----------------------------------------------------------------------------------------
def prepare(folder: Path, customers: int) -> None:
    """A shop of that size: groups and hold-out for the fit, a month in small objects, changes of everybody."""
    lake, work = Folder(folder / "lake"), Folder(folder / "work")
    x, t_x, t_cal = million.draw(customers)
    random = np.random.default_rng(1)
    keys, count = np.unique((x.astype(np.int64) << 32) + (t_x.astype(np.int64) << 16) + t_cal, return_counts=True)
    groups = [keys >> 32, keys >> 16 & 0xFFFF, keys & 0xFFFF]
    work.put("athena/model_groups_v1.csv", _csv("x,t_x,t_cal,customers,log_gaps", *groups, count, np.zeros(len(keys))))
    later = random.poisson(0.4, len(keys))
    days = np.full(len(keys), 182)
    work.put("athena/model_holdout_v1.csv", _csv("x,t_x,t_cal,later,days,customers", *groups, later, days, count))
    orders, mean = random.integers(1, 30, 12_000), np.round(random.lognormal(8, 1, 12_000), 3)
    work.put("athena/model_spend_v1.csv", _csv("orders,customers,mean", orders, np.ones(12_000, int), mean))
    _small_objects(lake, customers)
    _changes(lake, customers)


def _csv(heading: str, *columns: Any) -> bytes:
    rows = "\n".join(",".join(map(str, row)) for row in zip(*(column.tolist() for column in columns), strict=True))
    return f"{heading}\n{rows}\n".encode()


def _small_objects(lake: Folder, customers: int) -> None:
    """The order states of a month before its compaction, ten orders a customer over three years."""
    rows = max(customers * night_lake.ORDERS_PER_CUSTOMER // 36, 2)
    ids = night_lake.people(customers, np.random.default_rng(2))
    states = night_lake.month_of(MONTH, rows, ids)
    for start in range(0, rows, ORDERS_AN_OBJECT):
        key = f"{partition_path(ORDER_STATES, TENANT, MONTH)}batch-{start}.parquet"
        (lake.root / key).parent.mkdir(parents=True, exist_ok=True)
        pq.write_table(states.slice(start, ORDERS_AN_OBJECT), lake.root / key, compression="zstd")


def _changes(lake: Folder, customers: int) -> None:
    """A night in which everybody changed."""
    known = {
        "customer_id": night_lake.people(customers, np.random.default_rng(2)),
        "status": np.full(customers, "loyal"),
        "status_since": np.full(customers, np.datetime64("2026-09-01")),
        "ltv_tier": np.full(customers, "high"),
        "rfm_rank": np.full(customers, "gold"),
        "segments": np.full(customers, "vip,asleep"),
    } | {name: np.full(customers, 3, np.int32) for name in ("rfm_r", "rfm_f", "rfm_m")}
    path = lake.root / f"{result_prefix(CHANGES, TENANT, AS_OF)}part-0.parquet"
    path.parent.mkdir(parents=True)
    rows = night_lake.conformed(meaning.result_table(CHANGES), known, customers)
    pq.write_table(rows, path, compression="zstd", row_group_size=100_000)


# --- the functions ---------------------------------------------------------------------------------------------------
def _night() -> Night:
    return Night(TENANT, AS_OF, outcomes=(Outcome(CHANGES, "done"),))


def plan_night(lake: Folder, _: Folder) -> Any:
    """Which partitions want compacting."""
    return len(nights.plan_nights(SHOP, AS_OF.isoformat(), lake, MemoryReportStore(), NOW)["compactions"])


def plan_stage(lake: Folder, _: Folder) -> Any:
    """The first queries of the night; how many letters the machine carries."""
    catalog = [analysis.document() for analysis in meaning.night_catalog()]
    event = {"night": {"tenant": TENANT, "as_of": AS_OF.isoformat()}, "results": [], "catalog": catalog}
    return len(json.dumps(nights.plan_stage(event, SHOP, lake, MemoryReportStore(), NOW)))


def compacted(lake: Folder, _: Folder) -> Any:
    """One month."""
    return compact(Compaction(ORDER_STATES.name, TENANT, MONTH), lake)["objects"]


def fit_models(_: Folder, work: Folder) -> Any:
    """Learn, predict, test."""
    names = (modelling.GROUPS, modelling.SPEND, modelling.HOLDOUT)
    inputs = [{"name": name, "location": f"s3://{work.bucket}/athena/{name}.csv"} for name in names]
    event = {"tenant": TENANT, "as_of": AS_OF.isoformat(), "name": MODEL, "inputs": inputs}
    return modelling.fit(event, work, MemoryReportStore(), NOW)["rows"]


def store_rows(lake: Folder, work: Folder) -> Any:
    """The predictions into the lake (after `fit_models`)."""
    kinds = {column.name: column.kind.value for column in meaning.result_table(MODEL).columns}
    key = f"{modelling.PREFIX}{TENANT}/{AS_OF}/{MODEL}.columns"
    event = {"tenant": TENANT, "as_of": AS_OF.isoformat(), "name": MODEL, "key": key, "columns": kinds}
    return stored_rows.store(event, work, lake)["rows"]


def plan_scores(lake: Folder, _: Folder) -> Any:
    """Who is written back, cut for one call each."""
    return len(write_back(lake, _night())["slices"])


def apply_scores(lake: Folder, _: Folder) -> Any:
    """One of those calls, in the middle of the file."""
    slices = write_back(lake, _night())["slices"]
    assert len(slices) <= MOST_SLICES
    return apply(lake, TENANT, AS_OF, Slice(**slices[len(slices) // 2]), MemoryCustomerStore())["changed"]


def publish_reports(lake: Folder, _: Folder) -> Any:
    """The record of a night in which everything was done."""
    catalog = meaning.night_catalog()
    done = tuple(Outcome(analysis.name, "done") for analysis in catalog if analysis.stored)
    count = len(write_back(lake, _night())["slices"])
    event = {
        "night": Night(TENANT, AS_OF, outcomes=done).document(),
        "catalog": [analysis.document() for analysis in catalog],
        "applied": [{"changed": 2_500, "written": 2_500, "read_bytes": 1_000_000}] * count,
    }
    return publish.publish(event, lake, MemoryReportStore(), NOW)["written"]


FUNCTIONS: dict[str, Callable[[Folder, Folder], Any]] = {
    each.__name__: each
    for each in (
        plan_night, plan_stage, compacted, fit_models, store_rows, plan_scores, apply_scores, publish_reports,
    )
}  # fmt: skip


def main(name: str, folder: Path) -> None:
    """Run one function and print what it held beyond the imports, in MB."""
    before = peak_mb()
    did = FUNCTIONS[name](Folder(folder / "lake"), Folder(folder / "work"))
    sys.stdout.write(json.dumps({"before_mb": before, "peak_mb": peak_mb(), "did": did}))


if __name__ == "__main__":
    main(sys.argv[1], Path(sys.argv[2]))
