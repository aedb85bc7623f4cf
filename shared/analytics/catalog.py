"""The analyses as the functions see them: SQL by name, what each reads, and in which order they can run."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from functools import cache
from pathlib import Path
from typing import Any, Literal
from zoneinfo import ZoneInfo

from shared.analytics import sql
from shared.analytics.definitions import Definitions
from shared.analytics.sql import Value, bind, literal
from shared.core.errors import NotFoundError
from shared.core.ids import TenantId

_SUNDAY = 7

FOLDER = Path(__file__).parent / "analyses"

NEVER = date(1990, 1, 1)
"""Stands for "no earlier run": a day no result is filed under."""

THEN_DAYS = 28
"""How long ago a prediction was made that is held against what has happened since: a delivery cycle, whole weeks."""

ALWAYS = datetime(9999, 1, 1, tzinfo=UTC)
"""Stands for "as known now": whatever we know, we knew before."""


def end_of_day(as_of: date, timezone: str) -> datetime:
    """The instant at which a shop's day is over: what came before it was known then."""
    return datetime.combine(as_of + timedelta(days=1), time(), ZoneInfo(timezone)).astimezone(UTC)


@dataclass(frozen=True, slots=True)
class Analysis:
    """One analysis: its folder's name (and lake table), what it reads, whether a widget shows its rows, its titles."""

    name: str
    reads: tuple[str, ...]
    report: bool = False
    title: Mapping[str, str] = field(default_factory=dict)
    """Language → title; with it the record of a night can be read without the folder."""
    stored: bool = True
    """The night writes its rows. Else it is a view: its SQL becomes part of whatever reads it."""
    made_by: str = ""
    """The function that makes its rows of what it reads, where SQL cannot."""
    columns: Mapping[str, str] = field(default_factory=dict)
    """Name → kind of those rows."""
    uses: tuple[str, ...] = ()
    """Results it waits for, and does without where they failed."""
    then: bool = False
    """Asked as things stood and were known `THEN_DAYS` before: what was said then is held against what happened."""
    weekly: bool = False
    """It compares whole weeks: of the nights, only that of a Sunday works it out."""

    def tonight(self, as_of: date) -> bool:
        """Does the night of this day work it out?"""
        return self.stored and (not self.weekly or as_of.isoweekday() == _SUNDAY)

    def document(self) -> dict[str, Any]:
        """As it stands in the nightly machine's definition."""
        return asdict(self) | {"reads": list(self.reads), "uses": list(self.uses)}


def from_documents(documents: Iterable[Mapping[str, Any]]) -> list[Analysis]:
    """The analyses named in the nightly machine's definition."""
    return [
        Analysis(
            each["name"],
            tuple(each["reads"]),
            bool(each["report"]),
            each.get("title", {}),
            each.get("stored", True),
            each.get("made_by", ""),
            each.get("columns", {}),
            tuple(each.get("uses", ())),
            each.get("then", False),
            each.get("weekly", False),
        )
        for each in documents
    ]


@dataclass(frozen=True, slots=True)
class Check:
    """A query whose one row counts violations; `fail` keeps the result from being used, `warn` only shows."""

    severity: Literal["fail", "warn"]
    name: str
    description: str
    query: str


def names() -> list[str]:
    """Every analysis there is."""
    return sorted(folder.name for folder in FOLDER.iterdir() if (folder / "query.sql").is_file())


def made_by_functions() -> list[str]:
    """Results of the night whose rows SQL cannot make: they are asked for as tables, not as queries."""
    folders = (folder for folder in FOLDER.iterdir() if (folder / "meaning.yaml").is_file())
    return sorted(folder.name for folder in folders if not (folder / "query.sql").is_file())


@cache
def query_text(name: str) -> str:
    """The unbound SQL of an analysis. Raises NotFoundError naming those that exist."""
    if name not in names():
        raise NotFoundError(f"no analysis {name!r}; there are: {', '.join(names())}")
    return sql.read(FOLDER / name / "query.sql")


@cache
def checks(name: str) -> tuple[Check, ...]:
    """The checks of an analysis, in order."""
    blocks = re.split(r"^#(?=fail |warn )", (FOLDER / name / "checks.sql").read_text("utf-8"), flags=re.MULTILINE)
    return tuple(_check(block) for block in blocks[1:])


def _check(block: str) -> Check:
    head, _, query = block.partition("\n")
    severity, _, rest = head.partition(" ")
    check_name, _, description = rest.partition(":")
    return Check("fail" if severity == "fail" else "warn", check_name.strip(), description.strip(), query.strip())


def parameters(
    tenant: TenantId,
    as_of: date,
    definitions: Definitions,
    currency: str,
    *,
    previous_on: date | None = None,
    written_on: date | None = None,
    known_before: datetime | None = None,
    timezone: str = "UTC",
    call_order: str = "score",
) -> dict[str, Value]:
    """Everything a query may ask for. `previous_on` is the last complete run (statuses carry over from it),
    `written_on` the run whose scores the live state holds, `known_before` the instant before which something must have
    reached us to count (as known then); without it everything counts (as known now). `timezone` is the shop's,
    `call_order` what 解約見込み is ordered by: the score, or `newest` where its audit found that rule no worse.
    """
    then_on = as_of - timedelta(days=THEN_DAYS)
    return {
        "tenant": tenant,
        "as_of": as_of,
        "as_of_month": f"{as_of:%Y-%m}",
        "currency": currency,
        "previous_on": previous_on or NEVER,
        "written_on": written_on or NEVER,
        "known_before": known_before or ALWAYS,
        "call_order": call_order,
        "then_on": then_on,
        "then_known_before": min(known_before or ALWAYS, end_of_day(then_on, timezone)),
        **definitions.parameters(),
    }


def bound_query(name: str, values: Mapping[str, Value]) -> str:
    """The SQL of an analysis, ready for Athena."""
    return bind(query_text(name), values)


def checks_query(name: str, values: Mapping[str, Value]) -> str:
    """All checks of an analysis, and its row count, as one query: (severity, name, violations)."""
    rows = f"SELECT COUNT(*) AS violations FROM {name} WHERE tenant = :tenant AND dt = :as_of"  # noqa: S608 - a folder's name
    parts = [("info", "rows", rows), *((check.severity, check.name, check.query) for check in checks(name))]
    selects = [
        f"SELECT {literal(severity)} AS severity, {literal(label)} AS name, CAST(violations AS bigint) AS violations\n"
        f"FROM (\n{query}\n) AS counted"
        for severity, label, query in parts
    ]
    return bind("\nUNION ALL\n".join(selects), values)


def standalone_query(name: str, catalog: Sequence[Analysis], values: Mapping[str, Value]) -> str:
    """The SQL of an analysis over the base tables alone: the results it reads become common table expressions,
    so that it can be asked as of any day, whether or not that night has run.
    """
    asked = next(analysis for analysis in catalog if analysis.name == name)
    values = _as_then(values) if asked.then else values
    return over_base_tables(bound_query(name, values), asked.reads, catalog, values)


def nightly_query(name: str, catalog: Sequence[Analysis], values: Mapping[str, Value]) -> str:
    """The SQL of an analysis over what the night has stored so far: only views become common table expressions."""
    reads = next(analysis.reads for analysis in catalog if analysis.name == name)
    views = [analysis for analysis in catalog if not analysis.stored]
    return over_base_tables(bound_query(name, values), reads, views, values)


def stored_reads(name: str, catalog: Sequence[Analysis]) -> list[str]:
    """The stored results and base tables an analysis reads, directly or through views."""
    by_name = {analysis.name: analysis for analysis in catalog}
    found: list[str] = []
    for read in by_name[name].reads:
        view = by_name.get(read)
        found += [read] if view is None or view.stored else stored_reads(read, catalog)
    return list(dict.fromkeys(found))


def over_base_tables(query: str, reads: Sequence[str], catalog: Sequence[Analysis], values: Mapping[str, Value]) -> str:
    """A bound query with every analysis it reads, directly or not, as a common table expression before it."""
    by_name = {analysis.name: analysis for analysis in catalog}
    common = [
        f"{each} AS (\nSELECT inlined.*, {literal(values['tenant'])} AS tenant, {literal(values['as_of'])} AS dt\n"
        f"FROM (\n{_common(by_name[each], catalog, values)}\n) AS inlined\n)"
        for each in _inputs(reads, by_name)
    ]
    return f"WITH {', '.join(common)}\nSELECT answer.*\nFROM (\n{query}\n) AS answer" if common else query


def _common(analysis: Analysis, catalog: Sequence[Analysis], values: Mapping[str, Value]) -> str:
    """The SQL of a common table expression: of one asked as then, with all it reads inside it."""
    if not analysis.then:
        return bound_query(analysis.name, values)
    return standalone_query(analysis.name, catalog, values)


def _as_then(values: Mapping[str, Value]) -> dict[str, Value]:
    """The same question some weeks ago, knowing no more than was known."""
    then_on, known = values["then_on"], values["then_known_before"]
    earlier = {"as_of": then_on, "as_of_month": f"{then_on:%Y-%m}", "known_before": known, "call_order": "score"}
    return {**values, **earlier}


def _inputs(reads: Sequence[str], by_name: Mapping[str, Analysis]) -> list[str]:
    """The analyses among `reads` and those they read, each after what it reads itself."""
    ordered: list[str] = []
    for read in reads:
        if read in by_name:
            behind = () if by_name[read].then else by_name[read].reads
            inner = [*_inputs(behind, by_name), read]
            ordered += [each for each in inner if each not in ordered]
    return ordered
