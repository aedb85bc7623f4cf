"""Purchase models on a synthetic million: our own times only. Peers are not installed here, so none are shown."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from statistics import median
from typing import Any

import pytest

from tests.bench import million

ROOT = Path(__file__).parents[2]
CUSTOMERS = 1_000_000
ROUNDS = 3
LIMIT_MB = 1_500


@pytest.fixture(scope="module")
def shop(tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = Path(tmp_path_factory.mktemp("million")) / "shop.npz"
    million.write(path, CUSTOMERS)
    return path


def fresh(shop: Path, name: str) -> dict[str, Any]:
    """Measure in a process of its own, so that its peak memory is the model's."""
    command = [sys.executable, "-m", "tests.bench.million", str(shop), name]
    ran = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    return dict(json.loads(ran.stdout))


@pytest.mark.parametrize("name", ["bg_nbd", "mbg_nbd", "pareto_nbd"])
def test_a_million_customers(shop: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    rounds = [fresh(shop, name) for _ in range(ROUNDS)]
    steps = {step: median(each["seconds"][step] for each in rounds) for step in rounds[0]["seconds"]}
    one = rounds[0]
    with capsys.disabled():
        sys.stdout.write(
            f"\nours only, {CUSTOMERS:,} customers in {one['groups']:,} groups, median of {ROUNDS} processes, {name}: "
            + ", ".join(f"{step} {seconds:.3f} s" for step, seconds in steps.items())
            + f"; {one['evaluations']} evaluations, peak {max(each['peak_mb'] for each in rounds):.0f} MB\n"
        )
    assert one["reliable"]
    assert 0.4 < one["mean_orders"] < 0.5
    assert max(each["peak_mb"] for each in rounds) < LIMIT_MB
    if name == "bg_nbd":  # what the shop was drawn from, but for the days that merge two purchases
        drawn = (million.R, million.ALPHA, million.A, million.B)
        assert one["parameters"] == pytest.approx(drawn, rel=0.08)
