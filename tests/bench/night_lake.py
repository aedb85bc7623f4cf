"""A synthetic shop as the lake holds it: order states in Parquet, ten orders a customer, some changed later; of the
customers some turned out to be others (名寄せ).
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from shared.analytics.parquet import arrow_schema
from shared.analytics.schema import ORDER_STATES, PERSON_IDS, Table, partition_path
from shared.core.ids import TenantId

TENANT = TenantId("shop")
FIRST_DAY = np.datetime64("2023-10-01")
AS_OF = "2026-09-30"
DAYS = 1095
ORDERS_PER_CUSTOMER = 10
CHANGED_LATER = 0.08
CANCELLED = 0.02
JOINED = 0.01

_LETTERS = np.frombuffer(b"abcdefghijklmnopqrstuvwxyz234567", dtype="S1")
_DAY = np.timedelta64(86_400_000, "ms")


def write(folder: Path, customers: int, seed: int = 20261121) -> int:
    """Write the shop's `order_states`, as the compaction leaves them: one sorted object a month. Returns the orders."""
    random = np.random.default_rng(seed)
    ids = people(customers, random)
    counts = np.maximum(1, random.negative_binomial(1, 1 / ORDERS_PER_CUSTOMER, customers) + 1)
    owner = np.repeat(np.arange(customers), counts)
    later = np.arange(len(owner)) != np.repeat(np.cumsum(counts) - counts, counts)
    start = random.integers(0, DAYS - 30, customers)[owner]
    day = np.minimum(start + (random.exponential(250, len(owner)) * later).astype(int), DAYS - 1)
    drawn = {
        "customer_id": owner,
        "order_id": np.arange(len(owner)) + 5_000_000_000,
        "day": day,
        "amount": np.exp(random.normal(8.7, 0.6, len(owner))).astype(np.int64),
        "cancelled": random.random(len(owner)) < CANCELLED,
        "changed": random.random(len(owner)) < CHANGED_LATER,
    }
    months = (FIRST_DAY + day).astype("datetime64[M]")
    for month in np.unique(months):
        rows = {name: values[months == month] for name, values in drawn.items()}
        path = folder / partition_path(ORDER_STATES, TENANT, str(month)) / "compact-0.parquet"
        path.parent.mkdir(parents=True)
        pq.write_table(_states(rows, ids), path, compression="zstd", coerce_timestamps="ms")
    _joined(folder, ids, random)
    return len(owner)


def _joined(folder: Path, ids: Any, random: np.random.Generator) -> None:
    """Somebody decided that each of a few is the one before them, on some day."""
    second = np.flatnonzero(random.random(len(ids) // 2) < JOINED) * 2 + 1
    at = np.full(len(second), np.datetime64(AS_OF, "ms"))
    rows = {
        "stored_id": ids[second],
        "customer_id": ids[second - 1],
        "written_at": at,
        "written_on": at,
        "sequence": [""] * len(second),
    }
    path = folder / partition_path(PERSON_IDS, TENANT, AS_OF[:7]) / "compact-0.parquet"
    path.parent.mkdir(parents=True)
    pq.write_table(conformed(PERSON_IDS, rows, len(second)), path, compression="zstd", coerce_timestamps="ms")


def people(customers: int, random: np.random.Generator) -> Any:
    """Ids of persons, sorted."""
    return np.sort(_LETTERS[random.integers(0, 32, (customers, 26))].view("S26").ravel()).astype("U26")


def month_of(month: str, orders: int, ids: Any, seed: int = 3) -> pa.Table:
    """A month's order states, of orders drawn over its people."""
    random = np.random.default_rng(seed)
    drawn = {
        "customer_id": random.integers(0, len(ids), orders),
        "order_id": np.arange(orders) + 5_000_000_000,
        "day": (np.datetime64(month, "D") - FIRST_DAY).astype(int) + random.integers(0, 28, orders),
        "amount": np.exp(random.normal(8.7, 0.6, orders)).astype(np.int64),
        "cancelled": random.random(orders) < CANCELLED,
        "changed": random.random(orders) < CHANGED_LATER,
    }
    return _states(drawn, ids)


def _states(rows: Mapping[str, Any], ids: Any) -> pa.Table:
    placed = _table(rows, ids, np.zeros(len(rows["day"]), bool), np.timedelta64(60_000, "ms"))
    changed = {name: values[rows["changed"] | rows["cancelled"]] for name, values in rows.items()}
    after = _table(changed, ids, changed["cancelled"], 3 * _DAY)
    whole = pa.concat_tables([placed, after])
    return whole.sort_by([(name, "ascending") for name in ORDER_STATES.sort])


def _table(rows: Mapping[str, Any], ids: Any, cancelled: Any, later: Any) -> pa.Table:
    count = len(rows["day"])
    on = FIRST_DAY + rows["day"]
    at = on.astype("datetime64[ms]") + np.timedelta64(3, "h")
    known = {
        "customer_id": ids[rows["customer_id"]],
        "source": np.full(count, "shopify"),
        "store": np.full(count, "a.myshopify.com"),
        "order_id": rows["order_id"].astype("U"),
        "ordered_at": at,
        "ordered_on": on,
        "currency": np.full(count, "JPY"),
        "total": rows["amount"],
        "amount": np.where(cancelled, 0, rows["amount"]),
        "valid": ~cancelled,
        "cancelled": cancelled,
        "version": np.datetime_as_string(at + later, unit="s"),
        "changed_on": (at + later).astype("datetime64[D]"),
        "written_at": at + later,
        "sequence": np.full(count, ""),
        "removed": np.zeros(count, bool),
        "historical": np.ones(count, bool),
        "goods_total": rows["amount"],
        "discount": np.zeros(count, np.int64),
        "offline": np.zeros(count, bool),
        "line_count": np.ones(count, np.int32),
    }
    return conformed(ORDER_STATES, known, count)


def conformed(table: Table, columns: Mapping[str, Any], count: int) -> pa.Table:
    """Columns at hand typed as the lake's table, the others null."""
    arrays = [
        pa.array(columns[field.name]).cast(field.type) if field.name in columns else pa.nulls(count, field.type)
        for field in arrow_schema(table)
    ]
    return pa.table(arrays, schema=arrow_schema(table))
