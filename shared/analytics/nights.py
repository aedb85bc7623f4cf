"""The calls of the nightly machine's planning states, and of the schedule that starts it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from datetime import date, datetime
from typing import Any

from shared.analytics import catalog, compaction, nightly
from shared.analytics.lake import Objects, partitions
from shared.analytics.reports import Reports
from shared.analytics.schema import BASE_TABLES
from shared.analytics.segments.night import NightSegments
from shared.analytics.segments.store import SavedSegments
from shared.core.aws import domain_errors
from shared.core.ids import TenantId
from shared.core.shop import Shop


def list_shops(ssm: Any, prefix: str) -> list[TenantId]:
    """Every shop of the deployment."""
    path = f"{prefix}/shops"
    with domain_errors("list the shops"):
        pages = ssm.get_paginator("get_parameters_by_path").paginate(Path=path)
        return [TenantId(found["Name"].rpartition("/")[2]) for page in pages for found in page["Parameters"]]


def start_nights(stepfunctions: Any, machine: str, shops: Iterable[TenantId], now: datetime) -> int:
    """One execution per shop, named by the day: a second start on that day is none. Returns how many started."""
    started = 0
    for tenant in shops:
        with domain_errors("start the nightly run"):
            try:
                stepfunctions.start_execution(
                    stateMachineArn=machine, name=f"{tenant}-{now:%Y%m%d}", input=f'{{"tenant":"{tenant}"}}'
                )
                started += 1
            except stepfunctions.exceptions.ExecutionAlreadyExists:
                continue
    return started


def plan_nights(shop: Shop, as_of: str | None, lake: Objects, reports: Reports, now: datetime) -> dict[str, Any]:
    """The nights due, oldest first, and the compactions to do before them."""
    due = nightly.nights_due(shop, now, reports, date.fromisoformat(as_of) if as_of else None)
    stored = {
        (table.name, value): found
        for table in BASE_TABLES
        for value, found in partitions(lake, table, shop.tenant).items()
    }
    batches = compaction.plan(stored, shop.tenant)
    prepared = {
        "planned_at": now.isoformat(),
        "partitions": sum(len(batch) for batch in batches),
        "bytes": sum(
            each.size
            for batch in batches
            for work in batch
            for each in compaction.small(stored[work.table, work.value])
        ),
    }
    # Compaction is the first night's: the others begin when the one before has ended.
    nights: list[dict[str, Any]] = [{"tenant": shop.tenant, "as_of": day.isoformat()} for day in due]
    nights[:1] = [night | {"prepared": prepared} for night in nights[:1]]
    return {
        "nights": nights,
        "compactions": [{"partitions": [work.document() for work in batch]} for batch in batches],
    }


def plan_stage(
    event: Mapping[str, Any],
    shop: Shop,
    lake: Objects,
    reports: Reports,
    now: datetime,
    segments: SavedSegments | None = None,
) -> dict[str, Any]:
    """Begin a night, or go on with it: what the last queries gave, and the next ones."""
    night = nightly.parse_night(event["night"])
    if "outcomes" not in event["night"]:
        night = nightly.begin(night, reports, now)
    analyses = catalog.from_documents(event["catalog"])
    saved = NightSegments(tuple(segments.all(night.tenant)) if segments else ())
    return nightly.advance(night, event["results"], analyses, shop, lake, now, saved).document()
