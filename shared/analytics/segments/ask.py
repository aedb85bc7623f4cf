"""The query for a segment's people as of a day: over what the night of that day left, else over the base tables."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Literal

from shared.analytics import catalog, nightly
from shared.analytics.catalog import Analysis
from shared.analytics.definitions import definitions_of
from shared.analytics.reports import Reports
from shared.analytics.segments.compile import Compiled, tables_of
from shared.analytics.sql import Value, bind
from shared.core.errors import RejectedError
from shared.core.shop import Shop

MADE = frozenset({"model_predictions_v1"})
"""Results that no SQL can work out again."""


@dataclass(frozen=True, slots=True)
class Asking:
    """Of which day a segment is asked, and what may be known of it."""

    as_of: date
    known: Literal["then", "now"] = "now"


def query(compiled: Compiled, asking: Asking, shop: Shop, reports: Reports, analyses: Sequence[Analysis]) -> str:
    """The bound query for `customer_id`. Raises RejectedError where that day's predictions do not exist.

    `analyses` are all of them (`every_analysis`), and those that functions make.
    """
    run = reports.get(shop.tenant, nightly.RUN, asking.as_of)
    values = _values(asking, shop, reports)
    if run is not None and run["state"] == "complete" and asking.known == "now":
        common = [analysis for analysis in analyses if analysis.name not in _stored(run)]
    else:
        common = list(analyses)
        if tables_of(compiled, analyses) & {*MADE, "customer_predictions_v1"}:
            raise RejectedError(
                f"predictions of {asking.as_of} exist only where that night is complete, as known now:"
                f" matakite nightly run --as-of {asking.as_of}, or ask of a day that was run"
            )
    return catalog.over_base_tables(bind(compiled.sql, values), compiled.reads, common, values)


def _values(asking: Asking, shop: Shop, reports: Reports) -> dict[str, Value]:
    before = catalog.end_of_day(asking.as_of, shop.timezone) if asking.known == "then" else None
    return catalog.parameters(
        shop.tenant,
        asking.as_of,
        definitions_of(shop),
        shop.currency,
        previous_on=nightly.last_complete(reports, shop.tenant, before=asking.as_of),
        known_before=before,
    )


def _stored(run: Mapping[str, object]) -> set[str]:
    """The results that a run left."""
    found = run.get("analyses", ())
    return {str(each["name"]) for each in found} if isinstance(found, list) else set()


def counted(members: str, sample: int) -> str:
    """How many there are, and the first ids: (customer_id, people); no row when nobody is in it."""
    return (
        f"SELECT customer_id, COUNT(*) OVER () AS people\nFROM (\n{members}\n) AS members\n"
        f"ORDER BY customer_id\nLIMIT {int(sample)}"
    )
