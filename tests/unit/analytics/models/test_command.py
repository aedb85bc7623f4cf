"""`matakite model fit | predict` on files as people have them."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from infra.cli.model import app
from infra.demo.cdnow import master_file
from shared.core.errors import RejectedError
from tests.unit.analytics.models.published import HIGH_END

Write = Callable[[str, str], Path]
ORDERS = "customer,date,amount\n" + "".join(
    f"c{who},2026-{month:02}-{day:02},{100 * who + month}\n"
    for who in range(1, 40)
    for month in range(1, 13)
    for day in (1 + who % 7, 15)
    if (who * month + day) % 5 == 0 or month == 1 + who % 4
)


@pytest.fixture
def write(tmp_path: Path) -> Write:
    def put(name: str, content: str) -> Path:
        path = tmp_path / name
        path.write_text(content, "utf-8")
        return path

    return put


def run(*arguments: object) -> Any:
    result = CliRunner().invoke(app, [str(each) for each in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)


def test_a_summary_with_the_columns_of_lifetimes() -> None:
    found = run("fit", master_file().with_name("cdnow_customers_summary_with_transactions.csv"))
    assert found["kind"] == "summary"
    assert found["customers"] == 2357
    assert found["fits"]["bg_nbd"]["parameters"]["r"] == pytest.approx(0.2426, abs=1e-4)
    assert found["fits"]["pareto_nbd"]["log_likelihood"] == pytest.approx(-9594.98, abs=0.01)
    assert found["fits"]["gamma_gamma"]["parameters"]["p"] == pytest.approx(6.249, abs=1e-3)
    assert found["fits"]["mbg_nbd"]["reliable"] is True
    assert found["best"] == "mbg_nbd"


def test_an_order_log_with_a_hold_out(write: Write) -> None:
    file = write("orders.csv", ORDERS)
    found = run("fit", file, "--calibration-end", "2026-08-31", "--unit", "day", "--horizon", 60)
    held = found["holdout"]
    assert (held["calibration_end"], held["until"], held["time"]) == ("2026-08-31", "2026-10-30", 60)
    assert set(held["purchases"]) == {"bg_nbd", "mbg_nbd", "pareto_nbd", "rate", "hiatus"}
    assert found["learnt_until"] == "2026-08-31"
    assert held["best"] in {"bg_nbd", "mbg_nbd", "pareto_nbd"}


def test_auto_learns_from_everything_and_checks_on_the_last_third(write: Write) -> None:
    found = run("fit", write("orders.csv", ORDERS))
    assert found["learnt_until"] == "2026-12-15"
    assert found["holdout"]["until"] == "2026-12-15"
    assert found["holdout"]["calibration_end"] < "2026-09-01"


def test_parquet_and_csv_say_the_same(write: Write, tmp_path: Path) -> None:
    from pyarrow import parquet, table

    file = write("orders.csv", ORDERS)
    rows = list(csv.DictReader(io.StringIO(ORDERS)))
    parquet.write_table(table({name: [row[name] for row in rows] for name in rows[0]}), tmp_path / "orders.parquet")
    first, second = run("fit", file), run("fit", tmp_path / "orders.parquet")
    assert {**first, "file": ""} == {**second, "file": ""}


def test_japanese_headings_dates_and_amounts(write: Write) -> None:
    lines = ORDERS.replace("customer,date,amount", "顧客ID,注文日,金額").replace("2026-", "2026/").splitlines()
    assert run("fit", write("受注.csv", "\n".join(lines)))["customers"] == 39
    other = run("fit", write("own.csv", "\n".join(lines).replace("顧客ID", "誰")), "--customer", "誰")
    assert other["customers"] == 39


def test_bad_rows_are_named_by_line(write: Write) -> None:
    file = write("orders.csv", ORDERS + "c1,2026-02-30,100\nc2,2026-02-03,-5\n,2026-02-03,5\nc3\n")
    line = ORDERS.count("\n") + 1
    with pytest.raises(RejectedError) as refused:
        run("fit", file)
    assert f"line {line}: date '2026-02-30' is not a day" in str(refused.value)
    assert f"line {line + 1}: amount '-5' is negative" in str(refused.value)
    assert f"line {line + 2}: no customer" in str(refused.value)
    assert f"line {line + 3}: has 1 columns, the header 3" in str(refused.value)
    assert run("fit", file, "--skip-bad-rows")["skipped_rows"] == 4


def test_impossible_histories_are_named_by_line(write: Write) -> None:
    with pytest.raises(RejectedError, match="line 3: t_x=5 is not between 0 and T=4"):
        run("fit", write("summary.csv", "x,t_x,T\n0,0,4\n1,5,4\n"))


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        ("", "empty"),
        ("a,b\n1,2\n", "found neither an order log"),
        ("customer,date\n", "no orders"),
        ("x,t_x,T\n", "no customers"),
        ("period,survivors\n1,10\n2,9\n", "periods must be 0, 1, 2"),
    ],
)
def test_files_that_say_nothing_are_refused(write: Write, content: str, reason: str) -> None:
    with pytest.raises(RejectedError, match=reason):
        run("fit", write("file.csv", content))


def test_a_model_of_the_other_kind_is_refused(write: Write) -> None:
    with pytest.raises(RejectedError, match="describes subscribers"):
        run("fit", write("orders.csv", ORDERS), "--model", "sbg")
    with pytest.raises(RejectedError, match="describes orders"):
        run("fit", write("curve.csv", "period,survivors\n0,10\n1,5\n"), "--model", "bg_nbd")
    with pytest.raises(RejectedError, match="needs the amounts"):
        run("fit", write("s.csv", "x,t_x,T\n1,2,3\n"), "--model", "gamma_gamma")


def test_predictions_for_each_customer(write: Write) -> None:
    file = write("orders.csv", ORDERS)
    found = run("predict", file, "--model", "pareto_nbd", "--horizon", 26)
    rows = found["predictions"]
    assert found["model"] == "pareto_nbd"
    assert {row["customer"] for row in rows} == {f"c{who}" for who in range(1, 40)}
    for row in rows:
        assert 0 <= row["p_order_within"] <= row["p_alive"] <= 1
        assert row["expected_orders"] >= 0
        assert row["clv_12_months"] >= 0
        assert row["order_value"] > 0


def test_bg_nbd_prints_no_p_alive(write: Write) -> None:
    rows = run("predict", write("orders.csv", ORDERS), "--model", "bg_nbd")["predictions"]
    assert {row["p_alive"] for row in rows} == {None}
    assert all(row["expected_orders"] >= 0 for row in rows)


def test_predictions_as_csv(write: Write) -> None:
    result = CliRunner().invoke(app, ["predict", str(write("orders.csv", ORDERS)), "--format", "csv"])
    rows = list(csv.DictReader(io.StringIO(result.stdout)))
    assert len(rows) == 39
    assert float(rows[0]["expected_orders"]) >= 0


def test_a_customer_is_no_formula_in_a_spreadsheet(write: Write) -> None:
    file = write("orders.csv", ORDERS.replace("c7,", "=cmd(),"))
    result = CliRunner().invoke(app, ["predict", str(file), "--model", "bg_nbd", "--format", "csv"])
    assert "\n'=cmd()," in result.stdout.replace("\r", "")


def test_a_survivor_curve(write: Write) -> None:
    lines = ["year,survivors", *(f"{year},{alive}" for year, alive in enumerate(HIGH_END[:8]))]
    file = write("high_end.csv", "\n".join(lines))
    assert set(run("fit", file)["fits"]) == {"sbg", "bdw"}
    found = run("predict", file, "--model", "sbg", "--horizon", 5)
    assert found["derl"] == pytest.approx(7.5296, abs=5e-5)
    assert [row["period"] for row in found["predictions"]][-1] == 12
    assert found["predictions"][7]["survivors"] == pytest.approx(460.4, abs=0.06)
    assert run("predict", file)["model"] == "bdw"
    short = write("short.csv", "\n".join(lines[:5]))
    assert run("predict", short)["model"] == "sbg"
