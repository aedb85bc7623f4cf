"""Write-back: of whom the night found something new, from its result files into their live state."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import date
from math import ceil
from typing import Any

from shared.analytics.lake import ObjectFile, Objects
from shared.analytics.nightly import CHANGES, Night, result_prefix
from shared.analytics.parquet import count_rows, decode, decode_slice
from shared.analytics.segments.night import COUNTS
from shared.core.errors import RejectedError
from shared.core.ids import CustomerId, TenantId
from shared.customers.model import Findings, LtvTier, Scores, Status
from shared.customers.store import CustomerStore

BATCH_ROWS = 2_500
"""People one call writes: a few seconds."""

MOST_SLICES = 400
"""Of a night. The state machine carries the list (256 KB are its limit), so beyond a million changes slices grow."""


@dataclass(frozen=True, slots=True)
class Slice:
    """Some rows of one result file."""

    key: str
    first: int
    count: int
    size: int
    """Bytes of the file."""

    def document(self) -> dict[str, Any]:
        """As the state machine carries it."""
        return asdict(self)


def slices(lake: Objects, night: Night, least: int = BATCH_ROWS) -> list[Slice]:
    """The night's changes, cut for one call each. Raises RejectedError when they were not found out."""
    if not any(outcome.name == CHANGES and outcome.state == "done" for outcome in night.outcomes):
        raise RejectedError(f"{CHANGES} did not finish: there is nothing to write back")
    files = [
        (stored, count_rows(ObjectFile(lake, stored.key, stored.size)))
        for stored in lake.list(result_prefix(CHANGES, night.tenant, night.as_of))
    ]
    count = max(least, ceil(sum(rows for _, rows in files) / MOST_SLICES))
    return [Slice(stored.key, first, count, stored.size) for stored, rows in files for first in range(0, rows, count)]


def write_back(lake: Objects, night: Night, least: int = BATCH_ROWS) -> dict[str, Any]:
    """What the machine's write-back is told: the slices, and `comparable_segments`.

    Live state is the newest night's: a day that is run after a later one is looked at, and told to nobody.
    """
    work = slices(lake, night, least)
    return {
        "slices": [each.document() for each in work] if night.newest else [],
        "comparable": comparable_segments(lake, night),
    }


def comparable_segments(lake: Objects, night: Night) -> list[str] | None:
    """The saved segments somebody can have entered or left: the run before evaluated the same definition.

    None where tonight's segments failed: then everybody stays where they are.
    """
    if not any(outcome.name == COUNTS and outcome.state == "done" for outcome in night.outcomes):
        return None
    before = _versions(lake, night.tenant, night.previous_on) if night.previous_on else {}
    return sorted(
        name for name, version in _versions(lake, night.tenant, night.as_of).items() if before.get(name) == version
    )


def _versions(lake: Objects, tenant: TenantId, on: date) -> dict[str, str]:
    files = lake.list(result_prefix(COUNTS, tenant, on))
    rows = (row for stored in files for row in decode(lake.get(stored.key)).to_pylist())
    return {row["segment"]: row["version"] for row in rows}


def apply(
    lake: Objects,
    tenant: TenantId,
    as_of: date,
    work: Slice,
    customers: CustomerStore,
    comparable: Collection[str] | None = None,
) -> dict[str, int]:
    """Write one slice; safe to repeat. Returns the people in it and how many really changed."""
    file = ObjectFile(lake, work.key, work.size)
    rows = decode_slice(file, work.first, work.count)
    found = {
        CustomerId(row["customer_id"]): Findings(
            parse_scores(row, as_of), None if comparable is None else _segments(row)
        )
        for row in rows
    }
    written = customers.write_findings(tenant, as_of, found, comparable or ())
    return {"changed": len(rows), "written": written, "read_bytes": file.fetched}


def _segments(row: Mapping[str, Any]) -> tuple[str, ...]:
    return tuple(name for name in row["segments"].split(",") if name)


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
        next_order_on=row.get("next_order_on"),
    )


def total(results: Iterable[Mapping[str, int]]) -> dict[str, int]:
    """All slices together."""
    counted = list(results)
    return {key: sum(result[key] for result in counted) for key in ("changed", "written", "read_bytes")}
