"""What the night asks for a shop's saved segments: members, their numbers, and who entered or left.

    segment_members_v1   one query: every saved segment's people
    segment_counts_v1    how many they are, of every segment that was evaluated
    segment_changes_v1   against the run before: entered, left (its SQL is the folder's)

The SQL of a segment was compiled and checked when it was saved; here it is only joined. A segment that reads a result
which failed tonight keeps the people of the run before: one failed step changes nobody.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass

from shared.analytics import catalog
from shared.analytics.catalog import Analysis
from shared.analytics.segments.store import Saved
from shared.analytics.sql import Value, bind, literal

MEMBERS = "segment_members_v1"
COUNTS = "segment_counts_v1"
CHANGES = "segment_changes_v1"

READS = frozenset({"attribute_states", "consent_states", "subscription_states", "person_links", "person_ids",
                   "page_views", "events", "messages"})  # fmt: skip
"""Tables that a segment may read besides analyses (`sources/*.sql`)."""


@dataclass(frozen=True, slots=True)
class NightSegments:
    """A shop's saved segments as the night's planning sees them."""

    saved: tuple[Saved, ...] = ()

    def waits(self, name: str, analyses: Sequence[Analysis]) -> set[str]:
        """The results of tonight that must have ended, well or not, before a query is put together."""
        if name != MEMBERS:
            return set()
        return {read for each in self.saved for read in _results_behind(each, analyses)}

    def query(
        self, name: str, failed: Collection[str], analyses: Sequence[Analysis], values: Mapping[str, Value]
    ) -> str | None:
        """The query in place of the folder's, bound; None where the folder's is right."""
        if name not in (MEMBERS, COUNTS):
            return None
        kept = [each for each in self.saved if _results_behind(each, analyses) & set(failed)]
        asked = [each for each in self.saved if each not in kept]
        if name == COUNTS:
            return bind(_counts(asked, kept), values)
        reads = list(dict.fromkeys(read for each in asked for read in each.reads))
        views = [analysis for analysis in analyses if not analysis.stored]
        return catalog.over_base_tables(bind(_members(asked, kept), values), reads, views, values)


def _results_behind(saved: Saved, analyses: Sequence[Analysis]) -> set[str]:
    by_name = {analysis.name: analysis for analysis in analyses}
    found: set[str] = set()
    for read in saved.reads:
        if read in by_name:
            behind = [read] if by_name[read].stored else catalog.stored_reads(read, analyses)
            found |= {each for each in behind if each in by_name}
    return found


def _members(asked: Sequence[Saved], kept: Sequence[Saved]) -> str:
    selects = [
        f"SELECT {literal(each.name)} AS segment, {literal(each.version)} AS version, members.customer_id\n"
        f"FROM (\n{each.sql}\n) AS members"
        for each in asked
    ]
    return "\nUNION ALL\n".join([*selects, _earlier("segment, version, customer_id", MEMBERS, kept)])


def _counts(asked: Sequence[Saved], kept: Sequence[Saved]) -> str:
    evaluated = "\nUNION ALL\n".join(
        [
            *(
                f"SELECT {literal(each.name)} AS segment, {literal(each.version)} AS version,"
                f" {literal(each.title)} AS title"
                for each in asked
            ),
            _earlier("segment, version, title", COUNTS, kept),
        ]
    )
    members = f"SELECT segment, customer_id FROM {MEMBERS} WHERE tenant = :tenant AND dt = :as_of"  # noqa: S608
    columns = "evaluated.segment, evaluated.version, evaluated.title"
    return (
        f"SELECT {columns}, CAST(COUNT(members.customer_id) AS bigint) AS people\n"
        f"FROM (\n{evaluated}\n) AS evaluated\n"
        f"LEFT JOIN (\n{members}\n) AS members ON members.segment = evaluated.segment\n"
        f"GROUP BY {columns}"
    )


def _earlier(columns: str, table: str, kept: Sequence[Saved]) -> str:
    """What the run before said of the segments that cannot be evaluated tonight; of none of them, no row."""
    names = ", ".join(literal(each.name) for each in kept) or literal("")
    return f"SELECT {columns}\nFROM {table}\nWHERE tenant = :tenant AND dt = :previous_on AND segment IN ({names})"
