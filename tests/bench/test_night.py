"""The whole night against one bare DuckDB pass over the same files: seconds, bytes and memory of each analysis.

For a million customers with ten million orders; with `MATAKITE_BENCH_CUSTOMERS` for fewer, where what a night costs
whatever the shop's size hides what grows, and the bar is shown but not asked for.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from tests.bench import night_lake, night_memory

ROOT = Path(__file__).parents[2]
CUSTOMERS = int(os.environ.get("MATAKITE_BENCH_CUSTOMERS", "1000000"))
RATIO = 5.0
"""In processor seconds: a busy machine makes both slower, but not by the same factor. On the clock a pass keeps both
cores busy and the night not always: five of these are the six that the night may take.
"""


def test_a_night_costs_a_few_passes_over_its_files(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    orders = night_lake.write(tmp_path, CUSTOMERS)
    command = [".venv-cloud/bin/python", "-m", "tests.bench.night_engine", str(tmp_path), night_lake.AS_OF]
    ran = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(ran.stdout)
    with capsys.disabled():
        sys.stdout.write(_described(orders, found))
    assert {each["state"] for each in found["analyses"]} == {"done"}
    # A shop without saved segments has none to read.
    assert all(each["scanned_bytes"] > 0 for each in found["analyses"] if not each["name"].startswith("segment_"))
    assert CUSTOMERS < 1_000_000 or found["busy_seconds"] <= RATIO * found["pass_seconds"]["rfm"][1]


LAMBDA_MB = {"fit_models": 3_008, "plan_night": 512, "plan_stage": 512}
"""What a function of the night has (infra/analytics.py): 1,769 where nothing else is said."""
GROWTH_MB = {"compacted": 400, "fit_models": 250, "store_rows": 100}
"""What may be added from ten thousand customers to a million: the fit and what stores it grow with the groups, a
compaction up to its 64 MB of Parquet. The others do not grow with the customers.
"""


def test_no_function_of_the_night_outgrows_its_memory(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    curve: dict[str, dict[int, float]] = {name: {} for name in night_memory.FUNCTIONS}
    for customers in (10_000, 100_000, 1_000_000):
        folder = tmp_path / str(customers)
        night_memory.prepare(folder, customers)
        for name in night_memory.FUNCTIONS:
            command = [sys.executable, "-m", "tests.bench.night_memory", name, str(folder)]
            ran = subprocess.run(command, cwd=ROOT, check=True, stdout=subprocess.PIPE, text=True)
            curve[name][customers] = json.loads(ran.stdout)["peak_mb"]
    with capsys.disabled():
        sys.stdout.write("\npeak MB of the night's functions, by customers\n")
        for name, peaks in curve.items():
            figures = "".join(f"{customers:>12,}: {peak:>5.0f}" for customers, peak in peaks.items())
            sys.stdout.write(f"  {name:<16}{figures}  (has {LAMBDA_MB.get(name, 1_769):,})\n")
    for name, peaks in curve.items():
        assert peaks[1_000_000] < LAMBDA_MB.get(name, 1_769), name
        assert peaks[1_000_000] - peaks[10_000] < GROWTH_MB.get(name, 50), name


def _described(orders: int, found: dict[str, Any]) -> str:
    one, busy = found["pass_seconds"]["rfm"]
    lines = [
        f"\n{CUSTOMERS:,} customers, {orders:,} orders: one RFM pass {one:.2f} s"
        f" ({found['pass_seconds']['raw'][0]:.2f} s without looking at an order's states),"
        f" the whole night {found['seconds']:.2f} s = {found['seconds'] / one:.1f} passes"
        f" ({found['busy_seconds']:.1f} processor seconds = {found['busy_seconds'] / busy:.1f} passes),"
        f" of it its models {found['model_seconds']:.1f} s;"
        f" peak {found['peak_mb']['night']:.0f} MB (one pass {found['peak_mb']['bare']:.0f} MB)"
    ]
    lines += [
        f"  {each['name']:<26}{each['seconds']:>8.2f} s{each['rows']:>12,} rows{each['scanned_bytes']:>14,} B"
        for each in sorted(found["analyses"], key=lambda each: -each["seconds"])
    ]
    return "\n".join(lines) + "\n"
