"""`matakite model fit | predict` on files as people have them."""

from __future__ import annotations

import csv
import io
import json
import re
from collections.abc import Callable
from datetime import date
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from infra.cli.model import app
from infra.demo.cdnow import master_file
from shared.core.errors import RejectedError
from tests.unit.analytics.models.published import HIGH_END, cdnow

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


def test_a_summary_of_occasions_as_other_packages_name_it(write: Write) -> None:
    donors = master_file().with_name("donations.csv")
    found = run("fit", donors, "--model", "bg_bb")
    assert found["columns"] == {"x": "frequency", "t_x": "recency", "T": "periods", "count": "weights"}
    assert found["fits"]["bg_bb"]["log_likelihood"] == pytest.approx(-33225.58, abs=0.01)
    told = run("predict", donors, "--model", "bg_bb", "--horizon", 10)["predictions"]
    assert told[0]["expected_orders"] == pytest.approx(0.1302, abs=1e-4)
    assert found["fits"] == run("fit", _in_capitals(write, donors), "--model", "bg_bb")["fits"]


def _in_capitals(write: Write, file: Path) -> Path:
    heading, _, rows = file.read_text("ascii").partition("\n")
    return write("capitals.csv", f"{heading.upper()}\n{rows}")


def test_an_order_log_with_a_hold_out(write: Write) -> None:
    file = write("orders.csv", ORDERS)
    found = run("fit", file, "--calibration-end", "2026-08-31", "--unit", "day", "--horizon", 60)
    held = found["holdout"]
    assert (held["calibration_end"], held["until"], held["time"]) == ("2026-08-31", "2026-10-30", 60)
    assert set(held["purchases"]) == {"bg_nbd", "mbg_nbd", "pareto_nbd", "mbg_cnbd", "rate", "hiatus"}
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


def test_customers_that_are_numbers_with_gaps(tmp_path: Path) -> None:
    from pyarrow import parquet, table

    file = tmp_path / "orders.parquet"
    columns = {"Customer ID": [13085.0, float("nan"), None, 13085.0], "InvoiceDate": ["2010-12-01 08:26:00"] * 4}
    parquet.write_table(table(columns), file)
    with pytest.raises(RejectedError, match="line 2: no customer\n  line 3: no customer"):
        run("fit", file)
    days = ["2010-12-01", "2010-12-09", "2010-12-20", "2011-01-01"]
    parquet.write_table(table({**columns, "InvoiceDate": days}), file)
    told = run("predict", file, "--skip-bad-rows")["predictions"]
    assert [(each["customer"], each["x"]) for each in told] == [("13085", 1)]


def test_japanese_headings_dates_and_amounts(write: Write) -> None:
    lines = ORDERS.replace("customer,date,amount", "顧客ID,注文日,金額").replace("2026-", "2026/").splitlines()
    assert run("fit", write("受注.csv", "\n".join(lines)))["customers"] == 39
    kanji = re.sub("2026/0?([0-9]+)/0?([0-9]+)", r"2026年\1月\2日", "\n".join(lines))
    assert run("fit", write("漢字.csv", kanji))["fits"] == run("fit", write("受注.csv", "\n".join(lines)))["fits"]
    other = run("fit", write("own.csv", "\n".join(lines).replace("顧客ID", "誰")), "--customer", "誰")
    assert other["customers"] == 39


def test_a_file_of_excels_unicode_text_is_read(tmp_path: Path) -> None:
    file = tmp_path / "受注.txt"
    file.write_bytes(ORDERS.replace(",", "\t").encode("utf-16"))
    assert run("fit", file)["customers"] == 39


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
    with pytest.raises(RejectedError, match="line 2: a number is missing"):
        run("fit", write("missing.csv", "customer,date,amount\na,2026-01-01,\n"))


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
        ("customer,customer,date\na,b,2026-01-01\n", "more than one column customer"),
        ("x,t_x,T,mean_value\n1,2,4,-3\n", "line 2: mean_value=-3 is negative"),
        ("x,t_x,T\n1000000,2,4\n", "line 2: x=1e\\+06 is not a number of repeat purchases"),
        ("customer,date\na,9999-12-31\n", "line 2: date '9999-12-31' is in no year"),
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


ODD = {
    "one customer": "customer,date,amount\na,2026-01-01,100\n",
    "all on one day": "customer,date,amount\na,2026-01-01,100\nb,2026-01-01,50\n",
    "nobody came back": "customer,date,amount\n" + "".join(f"c{n},2026-01-{1 + n % 28:02},10\n" for n in range(60)),
    "times of day, twice a day": "customer,date,amount\na,2026-01-01T09:00:00+09:00,1\na,2026-01-01 23:59:59.5,2\n"
    "a,2026-03-01 00:00,3\nb,2026-02-01,0\n",
    "free orders only": "customer,date,amount\na,2026-01-01,0\na,2026-02-01,0\nb,2026-01-05,0\n",
    "a century": "customer,date,amount\na,1926-01-01,5\na,2026-01-01,5\nb,1970-01-01,5\n",
    "no amounts": "customer,date\na,2026-01-01\na,2026-02-01\nb,2026-01-05\n",
    "T is 0": "x,t_x,T,mean_value\n0,0,0,0\n0,0,0,0\n",
    "huge T": "x,t_x,T,mean_value\n3,900000,1000000,5\n0,0,1000000,0\n",
    "everybody the same": "x,t_x,T,mean_value\n" + "5,10,12,100\n" * 50,
    "one robot": "x,t_x,T,mean_value\n0,0,30,0\n1500,29.9,30,1\n1,3,30,5\n",
}


@pytest.mark.parametrize("content", ODD.values(), ids=ODD.keys())
def test_odd_files_are_fitted_pooled_and_predicted_without_a_nan(content: str, write: Write) -> None:
    file = write("odd.csv", content)
    fitted = run("fit", file)  # JSON without NaN, or the printer fails
    assert all(each["pooled"] for each in fitted["fits"].values())
    rows = run("predict", file)["predictions"]
    assert rows
    assert all(row["expected_orders"] >= 0 and 0 <= row["p_order_within"] <= 1 for row in rows)


def test_days_and_weeks_say_the_same(write: Write) -> None:
    file = write("orders.csv", ORDERS)
    weeks = run("predict", file, "--model", "pareto_nbd", "--horizon", 10)["predictions"]
    days = run("predict", file, "--model", "pareto_nbd", "--horizon", 70, "--unit", "day")["predictions"]
    for week, day in zip(weeks, days, strict=True):
        assert day["expected_orders"] == pytest.approx(week["expected_orders"], rel=1e-3)
        assert day["p_alive"] == pytest.approx(week["p_alive"], rel=1e-3)


def test_without_pooling_the_maximum_of_the_likelihood_is_found(write: Write) -> None:
    file = write("orders.csv", ORDERS)
    pooled, free = (run("fit", file, "--model", "mbg_nbd", option) for option in ("--pooling", "--no-pooling"))
    assert pooled["fits"]["mbg_nbd"]["pooled"] is True
    assert "pooled" in pooled["fits"]["mbg_nbd"]["notes"][0]
    assert free["fits"]["mbg_nbd"]["pooled"] is False
    assert free["fits"]["mbg_nbd"]["log_likelihood"] >= pooled["fits"]["mbg_nbd"]["log_likelihood"]


def test_an_audit_of_a_log_is_rolling_and_comes_to_a_verdict(write: Write) -> None:
    log = cdnow()
    rows = zip(log.names[log.customer], log.day.tolist(), log.amount.tolist(), strict=True)
    lines = [f"{who},{date.fromordinal(on).isoformat()},{value}\n" for who, on, value in rows]
    found = run("audit", write("cdnow.csv", "customer,date,amount\n" + "".join(lines)), "--windows", 2)
    newest, earlier = found["audits"]
    assert newest["until"] > earlier["until"]
    assert newest["verdict"] == "better"
    assert newest["source"] == "model"
    assert newest["use"] == newest["best"]
    assert newest["scores"][newest["best"]]["mae"] < newest["scores"]["rate"]["mae"]
    assert set(newest["won"]["hiatus"]) <= {"mae", "calibration", "normalised_gini"}


def test_an_audit_needs_something_to_audit(write: Write) -> None:
    file = write("summary.csv", "x,t_x,T\n1,2,3\n")
    for arguments in ([], [file, "--shop", "s"], [file], [write("day.csv", ODD["one customer"])]):
        with pytest.raises(RejectedError):
            CliRunner().invoke(app, ["audit", *map(str, arguments)], catch_exceptions=False)
