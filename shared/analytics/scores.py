"""Write-back: the people whose scores changed, from the night's result files into their live state."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import date
from typing import Any

from shared.analytics.lake import Objects
from shared.analytics.nightly import CHANGES, Night, result_prefix
from shared.analytics.parquet import count_rows, decode_slice
from shared.core.errors import RejectedError
from shared.core.ids import CustomerId, TenantId
from shared.customers.model import Findings, LtvTier, Scores, Status
from shared.customers.store import CustomerStore

BATCH_ROWS = 2_500
"""People one call writes: a few seconds."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Some rows of one result file."""

    key: str
    first: int
    count: int

    def document(self) -> dict[str, Any]:
        """As the state machine carries it."""
        return {"key": self.key, "first": self.first, "count": self.count}


def slices(lake: Objects, night: Night, size: int = BATCH_ROWS) -> list[Slice]:
    """The night's changes, cut for one call each. Raises RejectedError when they were not found out."""
    if not any(outcome.name == CHANGES and outcome.state == "done" for outcome in night.outcomes):
        raise RejectedError(f"{CHANGES} did not finish: there is nothing to write back")
    return [
        Slice(stored.key, first, size)
        for stored in lake.list(result_prefix(CHANGES, night.tenant, night.as_of))
        for first in range(0, count_rows(lake.get(stored.key)), size)
    ]


def apply(lake: Objects, tenant: TenantId, as_of: date, work: Slice, customers: CustomerStore) -> dict[str, int]:
    """Write one slice; safe to repeat. Returns the people in it and how many really changed."""
    body = lake.get(work.key)
    rows = decode_slice(body, work.first, work.count)
    found = {CustomerId(row["customer_id"]): Findings(parse_scores(row, as_of)) for row in rows}
    written = customers.write_findings(tenant, as_of, found)
    return {"changed": len(rows), "written": written, "read_bytes": len(body)}


def parse_scores(row: Mapping[str, Any], as_of: date) -> Scores | None:
    """The scores in a row of `score_changes_v1`; None for somebody who is no buyer any more."""
    if row["status"] is None:
        return None
    return Scores(
        as_of=as_of,
        status=Status(row["status"]),
        status_since=row["status_since"],
        ltv_tier=LtvTier(row["ltv_tier"]),
        rfm_r=row["rfm_r"],
        rfm_f=row["rfm_f"],
        rfm_m=row["rfm_m"],
        rfm_rank=row["rfm_rank"],
    )


def total(results: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """All slices together."""
    counted = list(results)
    return {key: sum(result[key] for result in counted) for key in ("changed", "written", "read_bytes")}
