"""Ten thousand traces over every source: duplicated, shuffled, replayed; the same state as a one-thread fold."""

from __future__ import annotations

import sys
import time

import pytest

from tests.contract.customers.traces import check

TRACES = 10_000


def test_ten_thousand_traces_over_every_source(capsys: pytest.CaptureFixture[str]) -> None:
    start = time.perf_counter()
    found = check(TRACES, seed=2)
    with capsys.disabled():
        sys.stdout.write(f"\n{TRACES} traces over {found} sources in {time.perf_counter() - start:.0f} s\n")
