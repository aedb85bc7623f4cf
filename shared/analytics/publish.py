"""The end of a night: small results become reports, and the run leaves its record."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime
from typing import Any

from shared.analytics import catalog, nightly
from shared.analytics.feeds import FEEDS, feed_key, write_feed
from shared.analytics.lake import Objects
from shared.analytics.nightly import Night, result_prefix
from shared.analytics.parquet import decode
from shared.analytics.reports import Reports
from shared.analytics.scores import total


def publish(event: Mapping[str, Any], lake: Objects, reports: Reports, now: datetime) -> dict[str, Any]:
    """Reports and feeds of what was done (a failed analysis keeps its last good one), then the record."""
    night = nightly.parse_night(event["night"])
    done = {outcome.name for outcome in night.outcomes if outcome.state == "done"}
    analyses = catalog.from_documents(event["catalog"])
    for analysis in analyses:
        if analysis.report and analysis.name in done:
            reports.put(night.tenant, report_name(analysis.name), night.as_of, _report(analysis.name, night, lake, now))
    for name in FEEDS:
        if name in done:
            lake.put(feed_key(night.tenant, name), write_feed(_rows(name, night, lake)))
    begun = reports.get(night.tenant, nightly.RUN, night.as_of) or {}
    titles = {analysis.name: analysis.title for analysis in analyses}
    applied, started_at = _applied(event["applied"]), begun.get("started_at", "")
    record = nightly.record(night, applied, started_at, now, titles)
    reports.put(night.tenant, nightly.STEPS, night.as_of, nightly.steps(night, applied, started_at, now))
    reports.put(night.tenant, nightly.RUN, night.as_of, record)
    return {key: record[key] for key in ("as_of", "state", "failed", "changed", "written")}


def report_name(analysis: str) -> str:
    """`rfm_matrix_v1` is shown as `rfm_matrix`: a widget does not change with the version."""
    return analysis.rpartition("_v")[0]


def _report(name: str, night: Night, lake: Objects, now: datetime) -> dict[str, Any]:
    return {
        "analysis": name,
        "as_of": night.as_of.isoformat(),
        "made_at": now.isoformat(),
        "rows": _rows(name, night, lake),
    }


def _rows(name: str, night: Night, lake: Objects) -> list[dict[str, Any]]:
    return [
        row
        for stored in lake.list(result_prefix(name, night.tenant, night.as_of))
        for row in decode(lake.get(stored.key)).to_pylist()
    ]


def _applied(applied: Any) -> Mapping[str, Any]:
    """Counts of all slices, or the error of the write-back."""
    return total(applied) if isinstance(applied, list) else applied
