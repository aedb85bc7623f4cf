"""The nightly run (夜間集計): which nights are due, which analyses can run next, what changed, what widgets are told.

The state machine moves; everything it has to decide is decided here.

    plan ─► compact ─► for each night due:
                          next stage ─► run its analyses in Athena, check them ─┐
                              ▲─────────────────────────────────────────────────┘
                          write back who changed ─► publish reports and the run's record
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import date, datetime, timedelta
from typing import Any

from shared.analytics import catalog
from shared.analytics.catalog import Analysis
from shared.analytics.definitions import definitions_of
from shared.analytics.lake import Objects
from shared.analytics.reports import Reports
from shared.analytics.segments.night import NightSegments
from shared.analytics.sql import Value, unload
from shared.core.clock import shop_day
from shared.core.errors import RejectedError
from shared.core.ids import TenantId
from shared.core.shop import Shop

RUN = "nightly_run"
"""Report name of the run records."""

STEPS = "nightly_steps"
"""Report name of what each step of a run took: rows, bytes and seconds."""

CATCH_UP_NIGHTS = 7
"""Nights made up for after an outage; older days stay blank."""

_LOOK_BACK = 30
"""Runs looked through for a complete one."""

CHANGES = "score_changes_v1"

NO_SEGMENTS = NightSegments()


# --- which nights ----------------------------------------------------------------------------------------------------
def nights_due(shop: Shop, now: datetime, reports: Reports, as_of: date | None) -> list[date]:
    """The day asked for, else every day since the last complete run up to yesterday (shop time), oldest first.

    Raises RejectedError for a day to come: live state is the newest night's, and would stay that day's until then.
    """
    today = shop_day(now, shop.timezone)
    if as_of is not None:
        if as_of > today:
            raise RejectedError(f"{as_of} has not been yet: nobody knows how it ends")
        return [as_of]
    yesterday = today - timedelta(days=1)
    last = last_complete(reports, shop.tenant, before=yesterday + timedelta(days=1))
    first = (
        yesterday if last is None else max(last + timedelta(days=1), yesterday - timedelta(days=CATCH_UP_NIGHTS - 1))
    )
    return [first + timedelta(days=n) for n in range((yesterday - first).days + 1)]


def last_complete(reports: Reports, tenant: TenantId, *, before: date) -> date | None:
    """The newest day before `before` whose run ended with every analysis done and every change written back."""
    runs = reports.latest(tenant, RUN, _LOOK_BACK, before=before)
    return next((on for on, run in runs if run["state"] == "complete"), None)


def written_base(reports: Reports, tenant: TenantId, as_of: date) -> date | None:
    """The day whose scores the live state holds exactly, or None when that is not known: then everybody is compared.

    Not known after a run that did not finish, or when a day is run again.
    """
    for on, run in reports.latest(tenant, RUN):
        return on if on < as_of and run["state"] == "complete" else None
    return None


# --- one night, stage by stage ---------------------------------------------------------------------------------------
@dataclass(frozen=True, slots=True)
class Outcome:
    """How one analysis ended."""

    name: str
    state: str
    """done, failed, skipped"""
    reason: str = ""
    rows: int = 0
    scanned_bytes: int = 0
    seconds: float = 0.0
    warnings: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Night:
    """One night of one shop, as far as it has come."""

    tenant: TenantId
    as_of: date
    previous_on: date | None = None
    written_on: date | None = None
    outcomes: tuple[Outcome, ...] = ()
    newest: bool = True
    """No later day was run before this one."""
    prepared: Mapping[str, Any] = field(default_factory=dict)
    """What went before: since when, and the partitions and bytes compacted."""
    analysed_at: str = ""
    """When the last analysis had ended."""
    queries: tuple[Mapping[str, Any], ...] = field(default=(), repr=False)
    """What to run next; none when the night's analyses are through."""

    def document(self) -> dict[str, Any]:
        """As the state machine carries it."""
        return {
            "tenant": self.tenant,
            "as_of": self.as_of.isoformat(),
            "previous_on": self.previous_on.isoformat() if self.previous_on else "",
            "written_on": self.written_on.isoformat() if self.written_on else "",
            "newest": self.newest,
            "outcomes": [asdict(outcome) for outcome in self.outcomes],
            "prepared": dict(self.prepared),
            "analysed_at": self.analysed_at,
            "queries": [dict(query) for query in self.queries],
        }


def parse_night(document: Mapping[str, Any]) -> Night:
    """The night a state machine carries. Raises RejectedError when it is none."""
    try:
        return Night(
            tenant=TenantId(document["tenant"]),
            as_of=date.fromisoformat(document["as_of"]),
            previous_on=_day(document.get("previous_on")),
            written_on=_day(document.get("written_on")),
            newest=document.get("newest", True),
            outcomes=tuple(
                Outcome(**{**outcome, "warnings": tuple(outcome["warnings"])})
                for outcome in document.get("outcomes", ())
            ),
            prepared=document.get("prepared", {}),
            analysed_at=document.get("analysed_at", ""),
        )
    except (KeyError, TypeError, ValueError) as error:
        raise RejectedError(f"not a nightly run: {error}") from None


def _day(text: str | None) -> date | None:
    return date.fromisoformat(text) if text else None


def begin(planned: Night, reports: Reports, now: datetime) -> Night:
    """Start a night: from here on, until it is complete, the live state counts as half-written."""
    tenant, as_of = planned.tenant, planned.as_of
    night = replace(
        planned,
        previous_on=last_complete(reports, tenant, before=as_of),
        written_on=written_base(reports, tenant, as_of),
        newest=not any(on > as_of for on, _ in reports.latest(tenant, RUN)),
    )
    reports.put(tenant, RUN, as_of, {"as_of": as_of.isoformat(), "state": "running", "started_at": now.isoformat()})
    return night


def advance(
    night: Night,
    results: Iterable[Mapping[str, Any]],
    analyses: Sequence[Analysis],
    shop: Shop,
    lake: Objects,
    now: datetime,
    segments: NightSegments = NO_SEGMENTS,
) -> Night:
    """Note what the last stage gave and say what can run next: analyses all of whose inputs are done.

    Whoever reads a failed one is skipped, the others go on. A result's place is emptied just before its query runs,
    so running a day again replaces it.
    """
    outcomes = [*night.outcomes, *(judge(result) for result in results)]
    ended = {outcome.name: outcome for outcome in outcomes}
    mine = {analysis.name for analysis in analyses if analysis.tonight(night.as_of)}
    ready: list[Analysis] = []
    waits = {analysis.name: segments.waits(analysis.name, analyses) for analysis in analyses}
    # Those that wait for whatever the shop's segments read come last: by then this pass knows every loss.
    for analysis in sorted(in_order(analyses), key=lambda each: bool(waits[each.name])):
        if analysis.name in ended or analysis.name not in mine:
            continue
        needed = [name for name in catalog.stored_reads(analysis.name, analyses) if name in mine]
        lost = [name for name in needed if name in ended and ended[name].state != "done"]
        if lost:
            outcomes.append(Outcome(analysis.name, "skipped", f"needs {', '.join(lost)}"))
            ended[analysis.name] = outcomes[-1]
        elif all(name in ended for name in [*needed, *(mine & {*analysis.uses}), *waits[analysis.name]]):
            ready.append(analysis)
    values = catalog.parameters(
        night.tenant,
        night.as_of,
        definitions_of(shop),
        shop.currency,
        previous_on=night.previous_on,
        written_on=night.written_on,
        timezone=shop.timezone,
    )
    failed = [outcome.name for outcome in outcomes if outcome.state != "done"]
    own = {analysis.name: segments.query(analysis.name, failed, analyses, values) for analysis in ready}
    return replace(
        night,
        outcomes=tuple(outcomes),
        analysed_at="" if ready else now.isoformat(),
        queries=tuple(_statements(each, analyses, values, lake, own[each.name]) for each in ready),
    )


def in_order(analyses: Sequence[Analysis]) -> list[Analysis]:
    """Each analysis after those it reads, so that one pass over a stage sees every loss. Raises on a circle."""
    left, ordered = {analysis.name: analysis for analysis in analyses}, list[Analysis]()
    while left:
        free = [a for a in left.values() if not any(read in left for read in (*a.reads, *a.uses))]
        if not free:
            raise ValueError(f"analyses read each other in a circle: {', '.join(sorted(left))}")
        ordered += free
        for analysis in free:
            del left[analysis.name]
    return ordered


def _statements(
    analysis: Analysis, analyses: Sequence[Analysis], values: Mapping[str, Value], lake: Objects, own: str | None
) -> dict[str, Any]:
    """What is asked for one analysis; `own` is the shop's own query in place of the folder's."""
    name = analysis.name
    prefix = result_prefix(name, TenantId(str(values["tenant"])), values["as_of"])
    # UNLOAD refuses a place that holds something.
    lake.delete([stored.key for stored in lake.list(prefix)])
    if analysis.made_by:
        return {
            "name": name,
            "made_by": analysis.made_by,
            "tenant": values["tenant"],
            "as_of": str(values["as_of"]),
            "columns": dict(analysis.columns),
            "inputs": [
                {"name": each, "query": catalog.nightly_query(each, analyses, values)} for each in analysis.reads
            ],
            "checks": catalog.checks_query(name, values),
        }
    query = unload(own or catalog.nightly_query(name, analyses, values), f"s3://{lake.bucket}/{prefix}")
    return {"name": name, "query": query, "checks": catalog.checks_query(name, values)}


def result_prefix(name: str, tenant: TenantId, as_of: Value) -> str:
    """Where an analysis' rows of one day lie in the lake (`Partition.DT`)."""
    return f"{name}/tenant={tenant}/dt={as_of}/"


def judge(result: Mapping[str, Any]) -> Outcome:
    """What became of an analysis: a failed `#fail` check makes it failed, a `#warn` is noted."""
    if result.get("error"):
        return Outcome(result["name"], "failed", _first_line(result["error"]))
    found = [_check_row(row) for row in result["checks"][1:]]
    failed = [name for severity, name, violations in found if severity == "fail" and violations]
    rows = next((violations for severity, _, violations in found if severity == "info"), 0)
    return Outcome(
        name=result["name"],
        state="failed" if failed else "done",
        reason=f"checks: {', '.join(failed)}" if failed else "",
        rows=rows,
        scanned_bytes=int(result.get("scanned_bytes", 0)) + int(result.get("check_bytes", 0)),
        seconds=round((int(result.get("milliseconds", 0)) + int(result.get("check_milliseconds", 0))) / 1000, 3),
        warnings=tuple(name for severity, name, violations in found if severity == "warn" and violations),
    )


def _check_row(row: Mapping[str, Any]) -> tuple[str, str, int]:
    """A row of Athena's GetQueryResults (the first row is the heading)."""
    severity, name, violations = (cell.get("VarCharValue") for cell in row["Data"])
    # A check that cannot say how many violations there are has found one.
    return severity, name, int(violations) if violations is not None else 1


def _first_line(error: Any) -> str:
    """The start of an error; a query's text may follow it and is not repeated into records."""
    said = ("StateChangeReason", "Cause", "Error", "State")
    text = next((error[key] for key in said if error.get(key)), "failed") if isinstance(error, Mapping) else error
    return (str(text).strip().splitlines() or ["failed"])[0][:300]


# --- the end of a night ----------------------------------------------------------------------------------------------
def record(
    night: Night, applied: Mapping[str, Any], started_at: str, now: datetime, titles: Mapping[str, Mapping[str, str]]
) -> dict[str, Any]:
    """The run's record: per analysis title, state, rows, bytes scanned and seconds; complete when all was done."""
    failed = [outcome.name for outcome in night.outcomes if outcome.state != "done"]
    if applied.get("error"):
        failed.append("write_back")
    return {
        "as_of": night.as_of.isoformat(),
        "state": "incomplete" if failed else "complete",
        "failed": failed,
        "started_at": started_at,
        "ended_at": now.isoformat(),
        "compared_with": night.written_on.isoformat() if night.written_on else None,
        "changed": applied.get("changed", 0),
        "written": applied.get("written", 0),
        "scanned_bytes": sum(outcome.scanned_bytes for outcome in night.outcomes),
        "analyses": [asdict(outcome) | {"title": titles.get(outcome.name, {})} for outcome in night.outcomes],
    }


def steps(night: Night, applied: Mapping[str, Any], started_at: str, now: datetime) -> dict[str, Any]:
    """What each step of the night took, in order: the compaction before it, its analyses, the write-back."""
    prepared = night.prepared
    compacted = {
        "step": "compact",
        "state": "done" if prepared else "skipped",
        "rows": 0,
        "scanned_bytes": prepared.get("bytes", 0),
        "seconds": _seconds(prepared.get("planned_at", ""), started_at),
        "note": f"{prepared.get('partitions', 0)} partitions",
    }
    analysed = [
        {
            "step": outcome.name,
            "state": outcome.state,
            "rows": outcome.rows,
            "scanned_bytes": outcome.scanned_bytes,
            "seconds": outcome.seconds,
            "note": outcome.reason or ", ".join(outcome.warnings),
        }
        for outcome in night.outcomes
    ]
    written = {
        "step": "write_back",
        "state": "failed" if applied.get("error") else "done" if night.newest else "skipped",
        "rows": applied.get("written", 0),
        "scanned_bytes": applied.get("read_bytes", 0),
        "seconds": _seconds(night.analysed_at, now.isoformat()),
        "note": f"{applied.get('changed', 0)} people differ" if night.newest else "a later day was run before",
    }
    return {"as_of": night.as_of.isoformat(), "steps": [compacted, *analysed, written]}


def _seconds(since: str, until: str) -> float:
    if not since or not until:
        return 0.0
    return round((datetime.fromisoformat(until) - datetime.fromisoformat(since)).total_seconds(), 3)
