"""The nightly run, state by state: what is due, what fails alone, what is written back."""

from __future__ import annotations

from dataclasses import replace
from datetime import date, timedelta
from io import SEEK_END, BytesIO
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from shared.analytics import meaning, nightly, scores
from shared.analytics.catalog import Analysis
from shared.analytics.lake import MemoryObjects, ObjectFile
from shared.analytics.nights import plan_nights, start_nights
from shared.analytics.parquet import decode_slice
from shared.analytics.reports import MemoryReportStore
from shared.analytics.scores import slices
from shared.core.clock import from_iso, to_iso
from shared.core.errors import RejectedError
from shared.core.ids import TenantId
from shared.customers.model import LtvTier, Status
from tests.unit.analytics.segments.test_night import MANY as BESIDE_THE_SCORES
from tests.unit.analytics.world import SHOP, TENANT, World, an_order, customer_of, day, decide, stored_id

NOW = from_iso("2026-11-20T17:00:00Z")  # 02:00 of the 21st in Japan


def due(reports: MemoryReportStore, as_of: date | None = None) -> list[str]:
    """The nights due."""
    return [night.isoformat() for night in nightly.nights_due(SHOP, NOW, reports, as_of)]


def ran(reports: MemoryReportStore, on: str, state: str = "complete") -> None:
    """A run left its record."""
    reports.put(TENANT, nightly.RUN, day(on), {"state": state})


def test_the_first_night_describes_yesterday_in_shop_time() -> None:
    assert due(MemoryReportStore()) == ["2026-11-20"]


def test_a_day_that_is_asked_for_is_run() -> None:
    assert due(MemoryReportStore(), day("1998-06-30")) == ["1998-06-30"]


def test_a_day_to_come_is_refused_for_its_state_would_stay_the_newest() -> None:
    assert due(MemoryReportStore(), day("2026-11-21")) == ["2026-11-21"]
    with pytest.raises(RejectedError, match="has not been yet"):
        due(MemoryReportStore(), day("2026-11-22"))


def test_missed_nights_are_made_up_for_oldest_first() -> None:
    reports = MemoryReportStore()
    ran(reports, "2026-11-17")
    ran(reports, "2026-11-18", "incomplete")
    assert due(reports) == ["2026-11-18", "2026-11-19", "2026-11-20"]


def test_a_long_outage_is_made_up_for_a_week() -> None:
    reports = MemoryReportStore()
    ran(reports, "2026-09-01")
    assert due(reports) == [f"2026-11-{number}" for number in range(14, 21)]


def test_a_night_that_is_complete_is_not_run_again() -> None:
    reports = MemoryReportStore()
    ran(reports, "2026-11-20")
    assert due(reports) == []


@pytest.mark.parametrize(
    ("runs", "base"),
    [
        ([], None),
        ([("2026-11-19", "complete")], "2026-11-19"),
        ([("2026-11-15", "complete")], "2026-11-15"),
        # the last run died half-way: who knows what it wrote
        ([("2026-11-18", "complete"), ("2026-11-19", "running")], None),
        ([("2026-11-18", "complete"), ("2026-11-19", "incomplete")], None),
        # the day itself, or a later one, was run before
        ([("2026-11-19", "complete"), ("2026-11-20", "complete")], None),
        ([("2026-11-21", "complete")], None),
    ],
)
def test_changes_are_only_counted_from_a_state_that_is_known(runs: list[tuple[str, str]], base: str | None) -> None:
    reports = MemoryReportStore()
    for on, state in runs:
        ran(reports, on, state)
    assert nightly.written_base(reports, TENANT, day("2026-11-20")) == (day(base) if base else None)


def test_a_night_scores_everybody_and_the_next_writes_only_who_changed() -> None:
    world = World()
    world.hear(an_order("a", "1", "2026-03-20"), an_order("b", "2", "2026-03-01", 90_000))
    assert world.run_night("2026-03-31", without=BESIDE_THE_SCORES) == {
        "as_of": "2026-03-31", "state": "complete", "failed": [], "changed": 2, "written": 2,
    }  # fmt: skip
    profile = world.customers.profile(TENANT, customer_of(world, "b"))
    assert profile is not None
    assert profile.scores is not None
    assert (profile.scores.status, profile.scores.ltv_tier) == (Status.NEW, LtvTier.HIGH)
    assert (profile.scores.rfm_r, profile.scores.rfm_f, profile.scores.rfm_m) == (6, 1, 5)
    # b bought 31 days ago: R falls to 5.
    assert world.run_night("2026-04-01", without=BESIDE_THE_SCORES)["changed"] == 1
    assert (_scores(world, "b").rfm_r, _scores(world, "b").as_of) == (5, day("2026-04-01"))
    assert (_scores(world, "a").rfm_r, _scores(world, "a").as_of) == (6, day("2026-03-31"))


def test_the_record_of_a_night_names_its_analyses_in_both_languages() -> None:
    world = World()
    world.hear(an_order("a", "1", "2026-03-20"))
    world.run_night("2026-03-31")
    record = world.reports.get(TENANT, nightly.RUN, day("2026-03-31"))
    assert record is not None
    titles = {each["name"]: each["title"] for each in record["analyses"]}
    assert titles == {each.name: dict(each.title) for each in meaning.analyses() if not each.weekly}
    assert all(set(title) == {"ja", "en"} for title in titles.values())


def test_alerts_compare_whole_weeks_on_the_night_of_a_sunday() -> None:
    alerts = {"early_warning_v1", "category_drop_v1"}
    assert {analysis.name for analysis in meaning.analyses() if analysis.weekly} == alerts
    world = World()
    world.hear(an_order("a", "1", "2026-03-20"))
    beside = BESIDE_THE_SCORES - alerts
    for on, expected in (("2026-03-28", set()), ("2026-03-29", alerts)):
        world.run_night(on, without=beside)
        record = world.reports.get(TENANT, nightly.RUN, day(on))
        assert record is not None
        assert {each["name"] for each in record["analyses"] if each["state"] == "done"} & alerts == expected


def test_a_day_that_is_run_again_gives_the_same_and_writes_nothing() -> None:
    world = World()
    world.hear(an_order("a", "1", "2026-03-01"), an_order("b", "2", "2026-03-02"))
    world.run_night("2026-03-31", without=BESIDE_THE_SCORES)
    before = {key for key in world.lake.bodies if key.startswith("status_v1/")}
    again = world.run_night("2026-03-31", without=BESIDE_THE_SCORES)
    assert (again["state"], again["written"]) == ("complete", 0)
    assert {key for key in world.lake.bodies if key.startswith("status_v1/")} == before


def test_a_status_keeps_its_entry_date_over_nights() -> None:
    world = World()
    world.hear(an_order("a", "1", "2026-03-01"))
    for on in ("2026-03-29", "2026-03-30", "2026-03-31"):
        world.run_night(on, without=BESIDE_THE_SCORES)
    assert _scores(world, "a").status_since == day("2026-03-29")
    world.run_night("2026-12-31", without=BESIDE_THE_SCORES)
    assert (_scores(world, "a").status, _scores(world, "a").status_since) == (Status.DORMANT, day("2026-12-31"))


def _scores(world: World, customer: str) -> Any:
    profile = world.customers.profile(TENANT, customer_of(world, customer))
    assert profile is not None
    return profile.scores


def test_a_failed_analysis_stops_only_those_that_read_it() -> None:
    world = World(breaks=frozenset({"rfm_v1"}))
    world.hear(an_order("a", "1", "2026-03-01"))
    result = world.run_night("2026-03-31")
    assert result["state"] == "incomplete"
    lost = {"rfm_v1", "rfm_matrix_v1", "customer_scores_v1", "customer_states_v1", "score_changes_v1"}
    assert set(result["failed"]) == {*lost, "write_back"}
    assert world.reports.get(TENANT, "status_counts", day("2026-03-31")) is not None
    assert world.reports.get(TENANT, "rfm_matrix", day("2026-03-31")) is None
    (_, record), *_ = world.reports.latest(TENANT, nightly.RUN)
    reasons = {analysis["name"]: analysis["reason"] for analysis in record["analyses"]}
    assert reasons["rfm_v1"] == "SYNTAX_ERROR: no such thing"
    assert reasons["score_changes_v1"] == "needs customer_scores_v1"


def test_after_a_night_that_was_not_written_back_everybody_is_compared() -> None:
    world = World()
    world.hear(an_order("a", "1", "2026-03-01"))
    world.run_night("2026-03-29", without=BESIDE_THE_SCORES)
    world.hear(an_order("b", "2", "2026-03-30"))
    assert world.run_night("2026-03-30", write_back=False, without=BESIDE_THE_SCORES)["state"] == "incomplete"
    assert _scores(world, "b") is None
    result = world.run_night("2026-03-31", without=BESIDE_THE_SCORES)
    assert (result["changed"], result["written"]) == (2, 1)
    assert _scores(world, "b").status is Status.NEW


def test_a_cancelled_only_order_takes_the_scores_away() -> None:
    world = World()
    world.hear(an_order("a", "1", "2026-03-01"), an_order("b", "2", "2026-03-01"))
    world.run_night("2026-03-30", without=BESIDE_THE_SCORES)
    cancelled = from_iso("2026-03-31T01:00:00Z")
    world.hear(an_order("a", "1", "2026-03-01", version="2026-03-31T01:00:00Z", cancelled_at=cancelled))
    world.run_night("2026-03-31", without=BESIDE_THE_SCORES)
    assert _scores(world, "a") is None
    assert _scores(world, "b") is not None


def test_compacting_changes_no_score() -> None:
    world = World()
    for number in range(6):
        world.hear(an_order(f"c{number % 3}", str(number), f"2026-03-{number + 1:02d}", 1000 * number))
    before = world.run_night("2026-03-31", without=BESIDE_THE_SCORES)
    scores = [_scores(world, f"c{number}") for number in range(3)]
    objects = len(world.lake.bodies)
    world.compact()
    assert len(world.lake.bodies) < objects
    world.run_night("2026-03-31", without=BESIDE_THE_SCORES)
    assert [_scores(world, f"c{number}") for number in range(3)] == scores
    assert before["state"] == "complete"


def test_a_failed_check_keeps_the_result_from_being_used() -> None:
    rows = [("severity", "name", "violations"), ("info", "rows", "3"), ("fail", "one_each", "2"), ("warn", "few", "1")]
    result = {"name": "rfm_v1", "checks": [{"Data": [{"VarCharValue": cell} for cell in row]} for row in rows]}
    outcome = nightly.judge(result)
    assert (outcome.state, outcome.reason, outcome.rows, outcome.warnings) == (
        "failed",
        "checks: one_each",
        3,
        ("few",),
    )


def test_analyses_that_read_each_other_are_refused() -> None:
    with pytest.raises(ValueError, match="circle"):
        nightly.in_order([Analysis("a_v1", ("b_v1",)), Analysis("b_v1", ("a_v1",))])


def test_what_is_no_night_is_refused() -> None:
    with pytest.raises(RejectedError):
        nightly.parse_night({"tenant": "shop", "as_of": "yesterday"})


def test_a_night_survives_the_state_machine() -> None:
    outcome = nightly.Outcome("rfm_v1", "done", rows=3, scanned_bytes=10, seconds=1.5, warnings=("few",))
    night = nightly.Night(TENANT, day("2026-03-31"), day("2026-03-30"), None, (outcome,))
    assert nightly.parse_night(night.document()) == replace(night, queries=())


class FakeStepFunctions:
    """Starts executions, once per name, as AWS does."""

    class exceptions:  # noqa: N801 - boto3's own spelling
        class ExecutionAlreadyExists(Exception):  # noqa: N818 - boto3's own spelling
            """The name was used with another input or has ended."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def start_execution(self, *, name: str, **_: Any) -> None:
        """One more, unless it is there."""
        if name in self.names:
            raise self.exceptions.ExecutionAlreadyExists
        self.names.append(name)


def test_one_execution_per_shop_and_day() -> None:
    machine = FakeStepFunctions()
    shops = [TenantId("a"), TenantId("b")]
    assert start_nights(machine, "arn", shops, NOW) == 2
    assert start_nights(machine, "arn", shops, NOW) == 0
    assert machine.names == ["a-20261120", "b-20261120"]


def test_a_person_who_became_another_takes_no_scores_away() -> None:
    world = World()
    world.hear(
        an_order("a", "1", "2026-03-01", email="a@example.com"), an_order("b", "2", "2026-03-02", email="b@example.com")
    )
    world.run_night("2026-03-30", without=BESIDE_THE_SCORES)
    world.hear(an_order("a", "3", "2026-03-31", email="b@example.com"))
    assert customer_of(world, "a") == customer_of(world, "b")
    assert world.run_night("2026-03-31", without=BESIDE_THE_SCORES)["state"] == "complete"
    assert (_scores(world, "a").rfm_f, _scores(world, "a").rfm_rank) == (3, "有望")


def test_who_is_decided_to_be_one_is_scored_as_one_and_as_before_when_that_is_taken_back() -> None:
    world = World()
    world.hear(an_order("a", "1", "2026-03-28"), an_order("b", "2", "2026-03-29"), an_order("c", "3", "2026-03-30"))

    def found(on: str) -> dict[str, tuple[int, int, int]]:
        """Of each that is stored and scored: R, F and M."""
        assert world.run_night(on, without=BESIDE_THE_SCORES)["state"] == "complete"
        stored = {name: world.customers.load(TENANT, stored_id(world, name)) for name in "abc"}
        scored = {name: each.scores for name, each in stored.items() if each and each.scores}
        return {name: (said.rfm_r, said.rfm_f, said.rfm_m) for name, said in scored.items()}

    alone = found("2026-03-31")
    assert alone == dict.fromkeys("abc", (6, 1, 1))
    decide(world, "a", "b", "2026-04-01", joined=True)
    whole = customer_of(world, "a")
    survivor = "a" if whole == stored_id(world, "a") else "b"
    assert found("2026-04-01") == {survivor: (6, 2, 1), "c": (6, 1, 1)}
    assert (_scores(world, "a"), _scores(world, "b")) == (_scores(world, survivor),) * 2
    decide(world, "a", "b", "2026-04-02", joined=False)
    assert found("2026-04-02") == alone


def test_each_step_leaves_its_rows_bytes_and_seconds() -> None:
    world = World(breaks=frozenset({"rfm_v1"}))
    world.hear(an_order("a", "1", "2026-03-20"), an_order("b", "2", "2026-03-01"))
    world.run_night("2026-03-31")
    document = world.reports.get(TENANT, nightly.STEPS, day("2026-03-31"))
    assert document is not None
    steps = {each["step"]: each for each in document["steps"]}
    assert next(iter(steps)) == "compact"
    assert list(steps)[-1] == "write_back"
    assert (steps["buyers_v1"]["state"], steps["buyers_v1"]["rows"], steps["buyers_v1"]["seconds"]) == ("done", 2, 1.5)
    assert steps["buyers_v1"]["scanned_bytes"] > 0
    assert steps["rfm_v1"]["state"] == "failed"
    assert "no such thing" in steps["rfm_v1"]["note"]
    # Whoever reads what failed is left out and says why; the others went on.
    assert (steps["rfm_matrix_v1"]["state"], steps["rfm_matrix_v1"]["note"]) == ("skipped", "needs rfm_v1")
    assert steps["cpm_counts_v1"]["state"] == "done"
    assert steps["write_back"]["state"] == "failed"


def test_the_first_night_due_knows_what_was_compacted_before_it() -> None:
    world = World()
    world.hear(an_order("a", "1", "2026-03-20"))
    world.hear(an_order("a", "2", "2026-03-21"))
    ran(world.reports, "2026-11-18")
    plan = plan_nights(SHOP, None, world.lake, world.reports, NOW)
    assert [night["as_of"] for night in plan["nights"]] == ["2026-11-19", "2026-11-20"]
    prepared = plan["nights"][0]["prepared"]
    assert prepared["partitions"] == sum(len(batch["partitions"]) for batch in plan["compactions"]) > 0
    assert prepared["bytes"] > 0
    assert "prepared" not in plan["nights"][1]
    night = nightly.parse_night(plan["nights"][0])
    found = nightly.steps(night, {}, to_iso(NOW + timedelta(seconds=7)), NOW)["steps"][0]
    assert (found["step"], found["state"], found["seconds"]) == ("compact", "done", 7.0)


def test_a_slice_unpacks_the_rows_it_names() -> None:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.table({"n": list(range(100))}), sink, row_group_size=30)
    body = BytesIO(bytes(sink.getvalue()))
    for first, count in [(0, 10), (25, 10), (29, 32), (90, 50), (100, 5)]:
        assert [row["n"] for row in decode_slice(body, first, count)] == list(range(100))[first : first + count]


def test_of_an_object_only_what_is_asked_for_is_fetched() -> None:
    lake, sink = MemoryObjects(), pa.BufferOutputStream()
    columns = {"n": list(range(40_000)), "text": [f"{n:020}" for n in range(40_000)]}
    pq.write_table(pa.table(columns), sink, row_group_size=1_000)
    lake.put("rows.parquet", bytes(sink.getvalue()))
    size = len(lake.get("rows.parquet"))
    file = ObjectFile(lake, "rows.parquet", size)
    assert [row["n"] for row in decode_slice(file, 20_500, 700)] == list(range(20_500, 21_200))
    assert file.fetched < size / 4
    file.seek(-10, SEEK_END)
    assert file.read() == lake.get("rows.parquet")[-10:]


def test_a_night_that_changes_millions_is_cut_into_no_more_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(scores, "MOST_SLICES", 4)
    lake, night = MemoryObjects(), nightly.parse_night({"tenant": "shop", "as_of": "2026-11-19"})
    done = replace(night, outcomes=(nightly.Outcome(nightly.CHANGES, "done"),))
    for part in range(2):
        sink = pa.BufferOutputStream()
        pq.write_table(pa.table({"n": list(range(50))}), sink)
        lake.put(f"{nightly.result_prefix(nightly.CHANGES, TENANT, night.as_of)}{part}", bytes(sink.getvalue()))
    assert [(each.first, each.count) for each in slices(lake, done, least=40)] == [(0, 40), (40, 40)] * 2
    assert [(each.first, each.count) for each in slices(lake, done, least=10)] == [(0, 25), (25, 25)] * 2
