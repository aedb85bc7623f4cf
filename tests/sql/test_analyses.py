"""Every analysis: its SQL keeps the house rules, its folder tells the truth, its rows have the declared types."""

from __future__ import annotations

from datetime import date
from pathlib import Path

import pyarrow as pa
import pytest
import yaml

from shared.analytics import catalog, sqllint
from shared.analytics.definitions import Definitions
from shared.analytics.meaning import analyses, every_analysis, meaning, night_catalog, result_table, result_tables
from shared.analytics.nightly import in_order
from shared.analytics.parquet import arrow_schema
from shared.analytics.schema import BASE_TABLES
from shared.core.errors import MisconfiguredError
from shared.core.ids import TenantId
from tests.sql.lake_in_duckdb import TABLES, TENANT, DuckLake

VALUES = catalog.parameters(TenantId(TENANT), date(2026, 3, 31), Definitions(), "JPY")
NAMES = catalog.names()


FOLDERS = sorted(folder.name for folder in catalog.FOLDER.iterdir() if folder.is_dir() and folder.name != "__pycache__")
NEEDED = {
    "meaning.yaml": "title, question, grain, reads and freshness",
    "schema.yaml": "sort and columns",
    "query.sql": "the rows, or `made_by` in meaning.yaml names the function that makes them",
    "checks.sql": "#fail <name>: <what it holds>, then a query that counts violations",
}
PROVEN_ELSEWHERE = {
    "model_predictions_v1": "tests/unit/analytics/test_models_step.py",
    "segment_changes_v1": "tests/unit/analytics/segments",
    "segment_counts_v1": "tests/unit/analytics/segments",
    "segment_members_v1": "tests/unit/analytics/segments",
}
"""What has no rows of its own to write down: put together by a function, or of the segments a shop saved."""


@pytest.mark.parametrize("name", FOLDERS)
def test_a_folder_has_all_an_analysis_consists_of(name: str) -> None:
    there = {file.name for file in (catalog.FOLDER / name).iterdir()}
    if "meaning.yaml" in there and meaning(name).made_by:
        there.add("query.sql")
    missing = {file: says for file, says in NEEDED.items() if file not in there}
    assert not missing, f"write in shared/analytics/analyses/{name}: {missing}"
    cases = sorted((Path(__file__).parent / name).glob("*/expect.yaml"))
    assert cases or name in PROVEN_ELSEWHERE, f"rows in, rows out: tests/sql/{name}/<case>/inputs.yaml and expect.yaml"


@pytest.mark.parametrize(
    ("said", "wrong"),
    [
        ({"freshnes": "nightly"}, "freshnes is no word of it, freshness is missing; there are title, question, grain"),
        ({"freshness": "nightly", "customers": {"key": ["r"]}}, "customers: key is no word of it"),
    ],
)
def test_a_slip_in_meaning_yaml_is_named(
    said: dict[str, object], wrong: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    title = {"ja": "題", "en": "title"}
    (tmp_path / "slip_v1").mkdir()
    document = {"title": title, "question": title, "grain": "one", "reads": []} | said
    (tmp_path / "slip_v1/meaning.yaml").write_text(yaml.safe_dump(document), "utf-8")
    monkeypatch.setattr("shared.analytics.meaning.FOLDER", tmp_path)
    with pytest.raises(MisconfiguredError, match=wrong):
        meaning.__wrapped__("slip_v1")
    with pytest.raises(MisconfiguredError, match=r"none_v1 has no meaning\.yaml"):
        meaning.__wrapped__("none_v1")


@pytest.mark.parametrize("name", NAMES)
def test_a_query_and_its_checks_keep_the_house_rules(name: str) -> None:
    base = {table.name for table in BASE_TABLES}
    assert sqllint.lint(catalog.query_text(name), TABLES.keys(), VALUES.keys(), base) == []
    for check in catalog.checks(name):
        assert sqllint.lint(check.query, TABLES.keys(), VALUES.keys()) == [], check.name


@pytest.mark.parametrize("name", NAMES)
def test_an_analysis_reads_what_it_says_it_reads(name: str) -> None:
    said = meaning(name)
    itself = {name} if said.carries_over else set()
    assert sqllint.tables_read(catalog.bound_query(name, VALUES)) == {*said.reads, *said.uses} | itself


@pytest.mark.parametrize("name", NAMES)
def test_rows_have_the_declared_columns_and_types(name: str) -> None:
    found = DuckLake().ask(catalog.bound_query(name, VALUES)).schema
    declared = arrow_schema(result_table(name))
    assert found.names == declared.names
    assert [field.type for field in found] == [field.type for field in declared]


@pytest.mark.parametrize("name", NAMES)
def test_an_analysis_says_in_both_languages_what_it_answers(name: str) -> None:
    said = meaning(name)
    assert said.title.keys() == said.question.keys() == {"ja", "en"}
    assert said.grain
    assert catalog.checks(name)
    assert any(check.severity == "fail" for check in catalog.checks(name))
    assert all(check.name.isidentifier() and check.description for check in catalog.checks(name))


NEED_MORE_THAN_ORDERS = {
    "cancellation_risk_v1", "cancellation_then_v1", "cancellation_holdout_v1", "item_due_v1",
    "lines_v1", "ltv_by_product_v1", "ltv_by_category_v1", "product_flow_v1", "product_new_repeat_v1", "cross_sell_v1",
    "copurchase_v1", "category_drop_v1", "contracts_v1", "subscription_flow_v1", "cart_abandonment_v1",
    "points_rank_v1", "churn_causes_v1", "media_ltv_v1", "catalogue_v1", "coupons_v1",
}  # fmt: skip
"""Empty, never an error, where a shop told us of orders alone (or of too young ones)."""


@pytest.mark.parametrize("name", NAMES)
def test_it_can_be_asked_of_the_base_tables_alone(name: str) -> None:
    left_by_nights = {"segment_members_v1", "segment_counts_v1", "segment_changes_v1"}
    if name in {"score_changes_v1", "customer_predictions_v1", *left_by_nights}:
        pytest.skip("reads what nights have left, so it has no meaning without them")
    query = catalog.standalone_query(name, every_analysis(), VALUES)
    lake = DuckLake()
    lake.fill("order_states", [{"customer_id": "a", "order_id": "1", "ordered_on": date(2026, 3, 1), "amount": 10}])
    rows = lake.rows(query)
    if name == "rfm_matrix_v1":
        assert sum(row["customers"] for row in rows) == 1
    elif name == "status_counts_v1":
        assert {row["status"]: row["customers"] for row in rows}["new"] == 1
    elif name in NEED_MORE_THAN_ORDERS:
        assert rows == []
    elif name != "purchase_cycle_v1":
        assert rows
        assert {row.get("customer_id", "a") for row in rows} == {"a"}


def test_every_analysis_runs_after_those_it_reads() -> None:
    order = [analysis.name for analysis in in_order(every_analysis())]
    assert sorted(order) == NAMES
    for name in NAMES:
        assert all(order.index(read) < order.index(name) for read in meaning(name).reads if read in order)


def test_the_nightly_run_reads_results_base_tables_and_views() -> None:
    nightly = {analysis.name for analysis in analyses()}
    assert nightly == {table.name for table in result_tables()}
    assert nightly == {n for n in (*NAMES, *catalog.made_by_functions()) if meaning(n).freshness == "nightly"}
    assert {meaning(name).freshness for name in NAMES} == {"nightly", "on_demand"}
    views = {analysis.name for analysis in night_catalog() if not analysis.stored}
    known = nightly | views | {table.name for table in BASE_TABLES}
    for name in nightly:
        assert set(meaning(name).reads) <= known, name
    assert not [name for name in NAMES if meaning(name).report and name not in nightly]


def test_a_check_that_finds_something_counts_it() -> None:
    lake = DuckLake()
    people = [{"customer_id": "a", "r": 7, "f": 1, "m": 1}, {"customer_id": "a", "r": 1, "f": 1, "m": 1}]
    lake.fill("rfm_v1", people, dt=date(2026, 3, 31))
    lake.fill("buyers_v1", [{"customer_id": "a"}], dt=date(2026, 3, 31))
    rows = lake.rows(catalog.checks_query("rfm_v1", VALUES))
    assert {row["name"]: row["violations"] for row in rows} == {"rows": 2, "one_cell_each": 1, "bins_1_to_6": 1}


@pytest.mark.parametrize(
    ("query", "complaint"),
    [
        ("SELECT amount / 2 FROM order_states WHERE tenant = :tenant AND month <= :as_of_month", "7 / 2 is 3"),
        ("SELECT * FROM order_states WHERE tenant = :tenant AND month <= :as_of_month", "SELECT *"),
        ("SELECT amount FROM order_states WHERE month <= :as_of_month", "no tenant"),
        ("SELECT amount FROM order_states WHERE tenant = :tenant OR month <= :as_of_month", "no tenant"),
        ("SELECT amount FROM order_states WHERE tenant = 'other' AND month <= :as_of_month", "no tenant"),
        ("SELECT amount FROM order_states WHERE tenant = :tenant", "no bound on its partition"),
        (
            "SELECT a.amount FROM order_states AS a JOIN rfm_v1 AS b ON a.customer_id = b.customer_id"
            " WHERE a.tenant = :tenant AND a.month <= :as_of_month",
            "rfm_v1: no tenant",
        ),
        (
            "SELECT ordered_at AT TIME ZONE 'Asia/Tokyo' FROM order_states WHERE tenant = :tenant AND month = '2026'",
            "time-zone",
        ),
        ("SELECT now() FROM order_states WHERE tenant = :tenant AND month = '2026-01'", "the present"),
        ("SELECT COUNT_IF(valid) FROM order_states WHERE tenant = :tenant AND month = '2026-01'", "of no rows"),
        ("SELECT amount FROM order_states WHERE tenant = :tenant AND month = '2026-01'", "as known then"),
        ("DELETE FROM order_states", "not a query"),
        ("SELECT amount FROM order_states QUALIFY 1 = 1", "not Athena SQL"),
        ("SELECT :nonsense FROM order_states WHERE tenant = :tenant AND month = '2026-01'", "unknown parameters"),
    ],
)
def test_the_lint_refuses(query: str, complaint: str) -> None:
    assert complaint in " ".join(sqllint.lint(query, TABLES.keys(), VALUES.keys(), {"order_states"}))


def test_types_are_those_of_the_lake() -> None:
    assert arrow_schema(result_table("buyers_v1")).field("gaps").type == pa.list_(pa.int32())
